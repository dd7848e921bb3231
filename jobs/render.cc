#include <algorithm>
#include <array>

#include "engine/data/civil_time.h"
#include "jobs/jobs.h"

namespace weir::jobs {
namespace {

constexpr uint64_t kChannelShareBytesMax = uint64_t{256} << 10;  // as the engine grants
constexpr uint64_t kChannelShareBytesMin =
    uint64_t{4} << 10;  // below it a channel carries less than a batch of small rows

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

uint64_t Channels(const PhysicalPlan& plan) {
  uint64_t channels = 0;
  for (const PlanEdge& edge : plan.edges) {
    const uint64_t from = plan.nodes[edge.producer.value].parallelism,
                   to = plan.nodes[edge.consumer.value].parallelism;
    switch (edge.kind) {
      case EdgeKind::kDirect:
        break;
      case EdgeKind::kForward:
      case EdgeKind::kRanges:
        channels += from;
        break;
      default:
        channels += from * to;
    }
  }
  return channels;
}

std::string MemoryText(const PhysicalPlan& plan, const PlanTextOptions& options) {
  const uint64_t channels = Channels(plan);
  std::string text = "exchange: " + Plural(channels, "channel");
  const std::optional<uint64_t> memory = plan.memory ? plan.memory
                                         : options.memory_bytes
                                             ? std::optional(*options.memory_bytes / 5 * 4)
                                             : std::nullopt;
  if (channels == 0 || !memory) return text + "\n";
  const uint64_t budget = *memory / 4;
  const uint64_t share = std::min(kChannelShareBytesMax, budget / (2 * channels));
  text += ", " + Bytes(2 * share * channels) + " of a budget of " + Bytes(budget) +
          " (a quarter of the job's memory), " + Bytes(share) + " a channel\n";
  if (share < kChannelShareBytesMin)
    text += "  too small: lower the parallelism, or give the job more memory\n";
  return text;
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
  return text + "\n" + MemoryText(plan, options);
}

}  // namespace weir::jobs
