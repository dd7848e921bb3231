#include <algorithm>
#include <array>

#include "engine/api/memory.h"
#include "engine/data/civil_time.h"
#include "engine/plan/memory_split.h"
#include "jobs/jobs.h"

namespace weir::jobs {
namespace {

std::string Plural(uint64_t count, const std::string& word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

std::string Bytes(uint64_t bytes) {
  constexpr std::array<const char*, 4> kUnits = {"B", "KiB", "MiB", "GiB"};
  size_t unit = 0;
  while (bytes >= 10240 && unit + 1 < kUnits.size()) bytes /= 1024, ++unit;
  return std::to_string(bytes) + " " + kUnits[unit];
}

std::string PortText(const std::string& node, const NodeShape& shape, Port port) {
  return port == kMain || port.value >= shape.port_names.size()
             ? node
             : node + "." + shape.port_names[port.value];
}

/// "hash by page": how rows go over an edge.
std::string WayText(const PhysicalPlan& plan, const PlanEdge& edge) {
  const PlanNode& consumer = plan.nodes[edge.consumer.value];
  std::string text;
  switch (edge.kind) {
    case EdgeKind::kDirect:
      return "direct call";
    case EdgeKind::kForward:
      return "forward, task to task";
    case EdgeKind::kRanges:
      return "ranges of tasks";
    case EdgeKind::kRoundRobin:
      return "round robin by batch: the order of rows is lost";
    case EdgeKind::kBroadcast:
      return "broadcast";
    case EdgeKind::kHash:
      text = "hash";
      break;
  }
  if (edge.hash_keys.empty()) {
    text += ", one task";
  } else {
    text += " by ";
    for (size_t i = 0; i < edge.hash_keys.size(); ++i) {
      const bool named = edge.hash_keys.size() == consumer.shape.key_names.size();
      text += (i == 0 ? "" : ", ") +
              (named ? consumer.shape.key_names[i] : edge.hash_keys[i].ToString());
    }
  }
  return edge.combined ? text + ", rows of a batch combined first" : text;
}

std::string TypesText(const PlanEdge& edge) {
  std::string text;
  for (const Field& field : edge.schema->fields())
    text += (text.empty() ? "" : ", ") + field.ToString();
  return text;
}

std::string StateText(const PlanNode& node) {
  std::string text;
  for (const StateSpec& state : node.shape.states) {
    text += (text.empty() ? "" : ", ") + state.name;
    if (state.ttl) text += " (ttl " + JobDurationToString(state.ttl->us) + ")";
  }
  return text;
}

/// A kind as weir_memory_accounted_bytes names it.
std::string MemoryLine(std::string_view name, uint64_t bytes, const std::string& what) {
  constexpr size_t kNameWidth = 13;
  constexpr size_t kBytesWidth = 9;
  std::string line = "  " + std::string(name);
  line.resize(2 + std::max(kNameWidth, name.size() + 1), ' ');
  const std::string size = Bytes(bytes);
  if (size.size() < kBytesWidth) line.append(kBytesWidth - size.size(), ' ');
  return line + size + "  " + what + "\n";
}

std::string ClientsText(const PhysicalPlan& plan, const MemorySplit& split) {
  std::string text = "queues of ";
  for (bool first = true; const PlanNode& node : plan.nodes) {
    const uint64_t wanted = node.shape.client_queue_bytes;
    if (wanted == 0) continue;
    text += (first ? "" : ", ") + node.id + ", " + Plural(node.parallelism, "task") + " x " +
            Bytes(split.client_bytes(wanted));
    first = false;
  }
  if (split.clients_wanted > split.clients_budget)
    text += "; they would take " + Bytes(split.clients_wanted) + " with more memory";
  return text;
}

/// What an attempt reserves, part by part: the same numbers (MemorySplit).
std::string MemoryText(const PhysicalPlan& plan, const PlanTextOptions& options) {
  const std::optional<uint64_t> limit = options.memory_bytes ? options.memory_bytes : plan.memory;
  if (!limit) return "";
  const MemorySplit split = SplitMemory(plan, *limit);
  std::string text = "\nmemory: " + Bytes(split.limit) + ", of which accounts may hold " +
                     Bytes(split.handed_out) +
                     "; the rest is for code, stacks, the allocator and libraries\n";
  if (split.job < split.handed_out)
    text += "  the job's channels, batches and clients share " + Bytes(split.job) +
            " of it (execution.memory)\n";
  using enum MemoryKind;
  if (split.rocksdb.bytes() != 0) {
    text +=
        MemoryLine(MemoryKindName(kRocksdb), split.rocksdb.bytes(),
                   "cache " + Bytes(split.rocksdb.cache) + ", write buffers of at most " +
                       Bytes(split.rocksdb.write_buffers) + " in it; " +
                       Bytes(split.rocksdb.background) + " beside it for flushes and compactions");
  }
  if (split.channels != 0) {
    text += MemoryLine(MemoryKindName(kQueues), split.queues(),
                       "exchange: " + Plural(split.channels, "channel") + ", " +
                           Bytes(2 * split.channel_share) + " each; for one large row " +
                           Bytes(split.row_reserve) + " in each of " +
                           Plural(split.channel_tasks, "task") + "; by need " +
                           Bytes(split.floating) + " more (a quarter of the job's memory in all)");
    if (split.channel_share < kChannelShareLeast)
      text +=
          "    too small for the channels: lower the parallelism, or give the job more memory\n";
  }
  if (split.batches() != 0) {
    text += MemoryLine(MemoryKindName(kBatches), split.batches(),
                       "in the hands of tasks: " + Plural(split.ports, "port") + ", " +
                           Bytes(split.port_bytes) + " each");
  }
  if (split.clients != 0)
    text += MemoryLine(MemoryKindName(kKafkaClient), split.clients, ClientsText(plan, split));
  if (split.hot_state() != 0) {
    text += MemoryLine(MemoryKindName(kHotState), split.hot_state(),
                       Plural(split.stateful_tasks, "stateful task") + ", at least " +
                           Bytes(kHotStateReserveBytes) + " each");
  }
  if (split.reserved() > split.handed_out) {
    return text + MemoryLine("missing", split.reserved() - split.handed_out,
                             "the job is refused: raise memory_limit, or lower the parallelism");
  }
  return text +
         MemoryLine("left", split.handed_out - split.reserved(),
                    split.hot_state() != 0 ? "by need, most of it for hot state" : "by need");
}

std::string DotText(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// Calls `visit(producer text, port label, consumer)` for each edge.
template <class Visit>
void ForEachEdge(const LogicalGraph& graph, Visit&& visit) {
  for (const LogicalEdge& edge : graph.edges) {
    const LogicalNode& producer = graph.nodes[edge.producer];
    const std::string port =
        edge.from == kMain || edge.from.value >= producer.shape.port_names.size()
            ? ""
            : producer.shape.port_names[edge.from.value];
    visit(producer, port, graph.nodes[edge.consumer]);
  }
}

std::string TypeName(const LogicalNode& node) {
  return node.type == nullptr ? "unknown" : std::string(node.type->name);
}

}  // namespace

std::string GraphText(const LogicalGraph& graph) {
  std::string text;
  for (const LogicalNode& node : graph.nodes) {
    text += node.id + " (" + TypeName(node) + ")";
    for (size_t i = 0; i < node.in_edges.size(); ++i) {
      const LogicalEdge& edge = graph.edges[node.in_edges[i]];
      const LogicalNode& producer = graph.nodes[edge.producer];
      text += (i == 0 ? " <- " : ", ") + PortText(producer.id, producer.shape, edge.from);
    }
    text += "\n";
  }
  return text;
}

std::string GraphDot(const LogicalGraph& graph) {
  std::string text = "digraph job {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const LogicalNode& node : graph.nodes)
    text += "  \"" + DotText(node.id) + "\" [label=\"" + DotText(node.id) + "\\n" +
            DotText(TypeName(node)) + "\"];\n";
  ForEachEdge(graph, [&](const LogicalNode& producer, const std::string& port,
                         const LogicalNode& consumer) {
    text += "  \"" + DotText(producer.id) + "\" -> \"" + DotText(consumer.id) + "\"" +
            (port.empty() ? "" : " [label=\"" + DotText(port) + "\"]") + ";\n";
  });
  return text + "}\n";
}

std::string GraphMermaid(const LogicalGraph& graph) {
  // Ids get a prefix: `end` and others are words of the language.
  std::string text = "flowchart LR\n";
  for (const LogicalNode& node : graph.nodes)
    text += "  n_" + node.id + "[\"" + node.id + "<br/>" + TypeName(node) + "\"]\n";
  ForEachEdge(graph, [&](const LogicalNode& producer, const std::string& port,
                         const LogicalNode& consumer) {
    text += "  n_" + producer.id + (port.empty() ? " --> n_" : " -- " + port + " --> n_") +
            consumer.id + "\n";
  });
  return text;
}

std::vector<std::string> SinkPromises(const PhysicalPlan& plan) {
  std::vector<std::string> lines;
  for (const PlanNode& node : plan.nodes) {
    if (!node.type->is_sink()) continue;
    std::string line = node.id + ": " + std::string(GuaranteeName(node.shape.guarantee));
    if (!node.shape.visibility.empty()) line += ", " + node.shape.visibility;
    if (node.shape.guarantee == Guarantee::kExactlyOnce && !plan.checkpoint.off)
      line += ", " + JobDurationToString(plan.checkpoint.interval.us);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string PlanText(const PhysicalPlan& plan, const PlanTextOptions& options) {
  uint32_t slots = 1;
  for (const PlanChain& chain : plan.chains) slots = std::max(slots, chain.parallelism);
  std::string text = "job " + plan.job + ": " + Plural(plan.nodes.size(), "node") + ", " +
                     Plural(plan.chains.size(), "chain") + ", " + Plural(slots, "slot") + ", " +
                     Plural(plan.key_groups, "key group") + ", hash " + plan.job_hash + "\n";
  text += plan.checkpoint.off
              ? "checkpoints: off\n"
              : "checkpoints: every " + JobDurationToString(plan.checkpoint.interval.us) + ", " +
                    (plan.checkpoint.exactly_once ? "exactly_once" : "at_least_once") +
                    (plan.checkpoint.storage.empty() ? "" : ", in " + plan.checkpoint.storage) +
                    "\n";
  text += "state: " + plan.state_backend + ", compression " + plan.compression + "\n\nchains\n";
  for (const PlanChain& chain : plan.chains) {
    text += "  " + std::to_string(chain.index) + " x" + std::to_string(chain.parallelism) + "  ";
    for (size_t i = 0; i < chain.nodes.size(); ++i) {
      const PlanNode& node = plan.nodes[chain.nodes[i].value];
      text += (i == 0 ? "" : " > ") + node.id + " (" + std::string(node.type->name) + ")";
    }
    text += "\n";
    for (const NodeIndex index : chain.nodes) {
      const std::string states = StateText(plan.nodes[index.value]);
      if (!states.empty())
        text += "       state of " + plan.nodes[index.value].id + ": " + states + "\n";
    }
  }
  text += "\nexchanges\n";
  bool any = false;
  for (const PlanEdge& edge : plan.edges) {
    if (edge.kind == EdgeKind::kDirect && !options.stages) continue;
    any = true;
    const PlanNode& producer = plan.nodes[edge.producer.value];
    text += "  " + PortText(producer.id, producer.shape, edge.from) + " -> " +
            plan.nodes[edge.consumer.value].id + ": " + WayText(plan, edge) + "\n";
    if (options.types) text += "       " + TypesText(edge) + "\n";
  }
  if (!any) text += "  none\n";
  text += "\nsinks\n";
  for (const std::string& line : SinkPromises(plan)) text += "  " + line + "\n";
  return text + MemoryText(plan, options);
}

}  // namespace weir::jobs
