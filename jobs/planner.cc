#include "jobs/planner.h"

#include <algorithm>
#include <set>

#include "engine/api/options.h"
#include "engine/data/civil_time.h"
#include "jobs/shape.h"

namespace weir::jobs {
namespace {

Duration DurationIn(const Json& object, const char* name) {
  return {ParseJobDuration(object[name].get<std::string>(), true).value_or(0)};
}

/// A column by its name as an expression, whatever characters it has.
std::string QuotedIdentifier(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"') text += '"';
    text += c;
  }
  return text + "\"";
}

/// Plans one job; one object per call of MakePlan.
class Planner {
 public:
  Planner(const JobSpec& spec, const LogicalGraph& graph, const CompileOptions& options,
          Problems& problems)
      : spec_(spec), graph_(graph), options_(options), problems_(problems) {}

  std::optional<PhysicalPlan> Plan() {
    const size_t before = problems_.errors();
    ReadExecution();
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) AddNode(i);
    CheckTasks();
    if (problems_.errors() != before) return std::nullopt;
    for (const LogicalEdge& edge : graph_.edges) AddEdge(edge);
    if (problems_.errors() != before) return std::nullopt;
    MakeChains();
    plan_.job_hash = Hash();
    return std::move(plan_);
  }

 private:
  void Error(const std::string& node, const std::string& below, std::string code,
             std::string message, std::string help = "") {
    Problem problem;
    problem.code = std::move(code);
    problem.message = std::move(message);
    problem.pointer = node.empty() ? below : "/nodes/" + PointerToken(node) + below;
    problem.help = std::move(help);
    problem.node_id = node;
    problems_.Add(std::move(problem));
  }

  void ReadExecution() {
    const Json& execution = spec_.execution;
    plan_.job = spec_.name;
    plan_.settings = spec_.settings;
    plan_.key_groups = static_cast<uint32_t>(execution["max_parallelism"].get<int64_t>());
    const bool automatic = !execution["parallelism"].is_number();
    plan_.parallelism = automatic ? options_.parallelism_default
                                  : static_cast<uint32_t>(execution["parallelism"].get<int64_t>());
    if (options_.parallelism) plan_.parallelism = *options_.parallelism;
    if (plan_.parallelism < 1 || plan_.parallelism > kKeyGroupsMax) {
      Error("", "/execution/parallelism", "W0204",
            "parallelism must be in 1 to " + std::to_string(kKeyGroupsMax));
      plan_.parallelism = 1;
    }
    // What the machine offers is no fault of the job.
    if (automatic && !options_.parallelism)
      plan_.parallelism = std::min(plan_.parallelism, plan_.key_groups);
    plan_.memory = ParseSize(execution["memory"].get<std::string>());
    plan_.state_backend = execution["state"]["backend"].get<std::string>();
    plan_.compression = execution["state"]["compression"].get<std::string>();
    plan_.allow_dropped_state = execution["upgrade"]["allow_dropped_state"].get<bool>();
    ReadCheckpoint(execution["checkpoint"]);
    ReadRestart(execution["restart"]);
  }

  void ReadCheckpoint(const Json& given) {
    CheckpointOptions& checkpoint = plan_.checkpoint;
    checkpoint.off = given["interval"] == "off";
    if (!checkpoint.off) checkpoint.interval = DurationIn(given, "interval");
    checkpoint.timeout = DurationIn(given, "timeout");
    checkpoint.min_pause = DurationIn(given, "min_pause");
    checkpoint.exactly_once = given["mode"] == "exactly_once";
    checkpoint.tolerable_failures =
        static_cast<uint32_t>(given["tolerable_failures"].get<int64_t>());
    checkpoint.retain = static_cast<uint32_t>(given["retain"].get<int64_t>());
    if (given.contains("storage")) checkpoint.storage = given["storage"].get<std::string>();
  }

  void ReadRestart(const Json& given) {
    RestartOptions& restart = plan_.restart;
    const std::string strategy = given["strategy"].get<std::string>();
    restart.strategy = strategy == "fixed_delay"    ? RestartStrategy::kFixedDelay
                       : strategy == "failure_rate" ? RestartStrategy::kFailureRate
                       : strategy == "none"         ? RestartStrategy::kNone
                                                    : RestartStrategy::kExponential;
    // Without checkpoints a restart would begin from nothing.
    if (plan_.checkpoint.off) restart.strategy = RestartStrategy::kNone;
    restart.initial_delay = DurationIn(given, "initial_delay");
    restart.max_delay = DurationIn(given, "max_delay");
    restart.reset_after = DurationIn(given, "reset_after");
    restart.delay = DurationIn(given, "delay");
    restart.per = DurationIn(given, "per");
    restart.multiplier = given["multiplier"].get<double>();
    restart.jitter = given["jitter"].get<double>();
    restart.attempts = static_cast<uint64_t>(given["attempts"].get<int64_t>());
    restart.failures = static_cast<uint64_t>(given["failures"].get<int64_t>());
    if (given.contains("max_attempts"))
      restart.max_attempts = static_cast<uint64_t>(given["max_attempts"].get<int64_t>());
  }

  // Nodes
  // ---------------------------------------------------------------------------------------------------------------------------------------------

  static bool IsKeyed(const NodeShape& shape) {
    return std::any_of(shape.keys.begin(), shape.keys.end(),
                       [](const auto& keys) { return keys.has_value(); });
  }

  /// Rows that a sink must keep apart by key come from one task each already.
  bool IsSpreadFor(const LogicalNode& node,
                   const std::optional<std::vector<std::string>>& spread) const {
    if (!spread || node.shape.keys.empty() || !node.shape.keys[0]) return false;
    const std::vector<std::string>& key = node.shape.key_names;
    return std::all_of(spread->begin(), spread->end(), [&](const std::string& column) {
      return std::find(key.begin(), key.end(), column) != key.end();
    });
  }

  /// How the one stream of a node's only edge is spread over the producer's tasks; empty: no rule,
  /// or several edges.
  std::optional<std::vector<std::string>> SpreadOfInput(const LogicalNode& node) const {
    if (node.in_edges.size() != 1) return std::nullopt;
    const LogicalEdge& edge = graph_.edges[node.in_edges[0]];
    return spread_[edge.producer]
               ? graph_.nodes[edge.producer].shape.outputs[edge.from.value].partitioned_by
               : std::nullopt;
  }

  void AddNode(uint32_t index) {
    const LogicalNode& node = graph_.nodes[index];
    PlanNode planned;
    planned.index = NodeIndex{static_cast<uint16_t>(index)};
    planned.id = node.id;
    planned.type = node.type;
    planned.config = node.config;
    planned.shape = node.shape;
    planned.on_error = node.config->on_error();
    planned.error_threshold = Threshold(*node.config);
    planned.renamed_from = node.renamed_from;
    planned.parallelism = Parallelism(node);
    // Rows stay where they are behind a node with as many tasks as its input, so its promise of
    // partitioning holds; a keyed node makes its own.
    const bool same =
        node.in_edges.empty() ||
        (node.in_edges.size() == 1 &&
         plan_.nodes[graph_.edges[node.in_edges[0]].producer].parallelism == planned.parallelism);
    const bool inherited =
        node.in_edges.size() != 1 || spread_[graph_.edges[node.in_edges[0]].producer];
    spread_.push_back(IsKeyed(node.shape) || (same && inherited));
    plan_.nodes.push_back(std::move(planned));
  }

  uint32_t Parallelism(const LogicalNode& node) {
    const bool keyed = IsKeyed(node.shape);
    uint32_t most = node.shape.parallelism_max.value_or(kKeyGroupsMax);
    if (keyed) most = std::min(most, plan_.key_groups);
    // A single key has a single task.
    if (keyed && !node.type->is_sink() && node.shape.keys[0] && node.shape.keys[0]->empty())
      most = 1;
    const uint32_t inputs = LargestInput(node);
    if (node.config->Has("parallelism")) {
      const auto asked = static_cast<uint32_t>(node.config->Int("parallelism"));
      if (asked <= most) return asked;
      const bool groups = keyed && most == plan_.key_groups;
      Error(node.id, "/parallelism", "W0204",
            "'" + node.id + "' has at most " + std::to_string(most) +
                (most == 1 ? " task" : " tasks") +
                (groups ? ", as many as there are key groups" : ""),
            groups ? "raise execution.max_parallelism; it cannot change later" : "");
      return most;
    }
    if (node.type->is_source()) return std::min(most, plan_.parallelism);
    if (!keyed) return std::min(most, inputs);
    if (node.type->is_sink())
      return std::min(most, IsSpreadFor(node, SpreadOfInput(node)) ? inputs : plan_.parallelism);
    if (plan_.parallelism > plan_.key_groups && most == plan_.key_groups && !too_parallel_) {
      too_parallel_ = true;
      Error("", "/execution/parallelism", "W0204",
            "parallelism " + std::to_string(plan_.parallelism) +
                " is above the number of key groups, " + std::to_string(plan_.key_groups),
            "raise execution.max_parallelism; it cannot change later");
    }
    return std::min(most, plan_.parallelism);
  }

  uint32_t LargestInput(const LogicalNode& node) const {
    uint32_t largest = 1;
    for (const uint32_t edge : node.in_edges)
      largest = std::max(largest, plan_.nodes[graph_.edges[edge].producer].parallelism);
    return largest;
  }

  static ErrorThreshold Threshold(const NodeConfig& config) {
    ErrorThreshold threshold;
    if (!config.Has("error_threshold")) return threshold;
    threshold.off = config.json("error_threshold").is_string();
    if (threshold.off) return threshold;
    threshold.ratio = config.Float("error_threshold/ratio");
    threshold.over = config.DurationOf("error_threshold/over");
    threshold.rows_min = static_cast<uint64_t>(config.Int("error_threshold/min_rows"));
    return threshold;
  }

  void CheckTasks() {
    uint64_t tasks = 0;
    for (const PlanNode& node : plan_.nodes) tasks += node.parallelism;
    if (tasks > kTasksMax)
      Error("", "/execution", "W0217",
            "the job would have " + std::to_string(tasks) + " tasks, at most " +
                std::to_string(kTasksMax) + " are possible",
            "lower the parallelism");
  }

  // Edges
  // ---------------------------------------------------------------------------------------------------------------------------------------------

  void AddEdge(const LogicalEdge& logical) {
    PlanNode& producer = plan_.nodes[logical.producer];
    PlanNode& consumer = plan_.nodes[logical.consumer];
    const PortShape& stream = producer.shape.outputs[logical.from.value];
    PlanEdge edge;
    edge.index = static_cast<uint32_t>(plan_.edges.size());
    edge.producer = producer.index;
    edge.from = logical.from;
    edge.consumer = consumer.index;
    edge.to = logical.to;
    edge.schema = stream.schema;
    Route(stream, logical, edge);
    producer.out_edges.push_back(edge.index);
    consumer.in_edges.push_back(edge.index);
    plan_.edges.push_back(std::move(edge));
  }

  void Route(const PortShape& stream, const LogicalEdge& logical, PlanEdge& edge) {
    const LogicalNode& consumer = graph_.nodes[logical.consumer];
    const uint32_t from = plan_.nodes[logical.producer].parallelism,
                   to = plan_.nodes[logical.consumer].parallelism;
    const auto& keys = consumer.shape.keys;
    if (logical.to.value < keys.size() && keys[logical.to.value]) {
      const bool spread =
          consumer.type->is_sink() && from == to && IsSpreadFor(consumer, SpreadOfInput(consumer));
      if (!spread) {
        if (consumer.type->is_sink() && stream.kind != kAppend && stream.partitioned_by &&
            !stream.partitioned_by->empty())
          CheckRewrite(stream, consumer);
        edge.kind = EdgeKind::kHash;
        edge.hash_keys = *keys[logical.to.value];
        edge.combined = consumer.shape.combine.has_value();
        if (edge.combined)
          edge.schema = std::make_shared<const Schema>(consumer.shape.combine->partial);
        return;
      }
    }
    if (from == to) {
      edge.kind = EdgeKind::kForward;
    } else if (to < from || consumer.in_edges.size() > 1) {
      edge.kind = EdgeKind::kRanges;
    } else if (stream.kind == kAppend) {
      edge.kind = EdgeKind::kRoundRobin;
    } else {
      SpreadByUniqueKey(stream, logical, edge);
    }
  }

  /// An updating stream into an exchange by other columns than those it is made by: two tasks could
  /// hold versions of one key.
  void CheckRewrite(const PortShape& stream, const LogicalNode& consumer) {
    for (const std::string& column : *stream.partitioned_by) {
      if (std::find(consumer.shape.key_names.begin(), consumer.shape.key_names.end(), column) !=
          consumer.shape.key_names.end())
        continue;
      Error(consumer.id, "/key", "W0609",
            "results of one key come from several tasks, because they are made by '" + column +
                "', which is no part of the key",
            "add '" + column + "' to the key");
      return;
    }
  }

  void SpreadByUniqueKey(const PortShape& stream, const LogicalEdge& logical, PlanEdge& edge) {
    const LogicalNode& consumer = graph_.nodes[logical.consumer];
    if (stream.unique_key.empty()) {
      Error(consumer.id, "/parallelism", "W0608",
            "an updating stream without a unique key cannot be spread over more tasks: versions of "
            "one row would overtake each other",
            "give '" + consumer.id + "' the parallelism of its input");
      return;
    }
    Scope scope;
    scope.inputs.push_back({graph_.nodes[logical.producer].id, stream.schema});
    for (const std::string& column : stream.unique_key) {
      BindResult bound = BindExpression(QuotedIdentifier(column), scope, {});
      if (bound.expression) edge.hash_keys.push_back(std::move(bound.expression));
    }
    if (edge.hash_keys.size() != stream.unique_key.size()) {
      Error(consumer.id, "/parallelism", "W0608",
            "the unique key of the input cannot be computed here",
            "give '" + consumer.id + "' the parallelism of its input");
    }
    edge.kind = EdgeKind::kHash;
  }

  // Chains
  // --------------------------------------------------------------------------------------------------------------------------------------------

  /// A node heads its own chain unless its one producer's task can call it.
  bool IsHead(const PlanNode& node) const {
    return node.in_edges.size() != 1 || node.type->waits ||
           plan_.edges[node.in_edges[0]].kind != EdgeKind::kForward;
  }

  void MakeChains() {
    for (PlanNode& node : plan_.nodes) {
      if (IsHead(node)) {
        node.chain = static_cast<uint32_t>(plan_.chains.size());
        plan_.chains.push_back({node.chain, {node.index}, node.parallelism});
        continue;
      }
      PlanEdge& edge = plan_.edges[node.in_edges[0]];
      edge.kind = EdgeKind::kDirect;
      node.chain = plan_.nodes[edge.producer.value].chain;
      plan_.chains[node.chain].nodes.push_back(node.index);
    }
  }

  /// Of what the job computes: without texts for people, and secrets are references still.
  std::string Hash() const {
    Json described = Json::object();
    described["name"] = spec_.name;
    described["execution"] = spec_.execution;
    described["connections"] = *spec_.settings->connections;
    for (const NodeSpec& node : spec_.nodes) {
      Json options = node.options;
      options.erase("description");
      options.erase("labels");
      Json inputs = Json::array();
      for (const InputSpec& input : node.inputs) {
        for (const PortReference& port : input.ports)
          inputs.push_back({input.alias, port.node, port.port});
      }
      described["nodes"][node.id] = {{"type", std::string(node.type->name)},
                                     {"options", std::move(options)},
                                     {"inputs", std::move(inputs)}};
    }
    for (const Scope::Parameter& parameter : spec_.settings->parameters)
      described["params"][parameter.name] = parameter.value ? Json(*parameter.value) : Json();
    static constexpr char kDigits[] = "0123456789abcdef";
    uint64_t hash = HashKey(described.dump(-1, ' ', false, Json::error_handler_t::replace));
    std::string text(16, '0');
    for (size_t i = text.size(); i-- > 0; hash >>= 4) text[i] = kDigits[hash & 15];
    return text;
  }

  const JobSpec& spec_;
  const LogicalGraph& graph_;
  const CompileOptions& options_;
  Problems& problems_;
  PhysicalPlan plan_;
  std::vector<bool> spread_;  // by node: its outputs' `partitioned_by` holds as planned
  bool too_parallel_ = false;
};

}  // namespace

std::optional<PhysicalPlan> MakePlan(const JobSpec& spec, const LogicalGraph& graph,
                                     const CompileOptions& options, Problems& problems) {
  return Planner(spec, graph, options, problems).Plan();
}

}  // namespace weir::jobs
