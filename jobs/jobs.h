#pragma once
// Jobs: the text of a job file becomes a typed logical graph and a physical plan, or all of its
// problems at once. Called by the commands of the CLI, the HTTP API and tests, on
// any thread; pure but for RunProbes.
//
//   CompiledJob job = CompileJob(text, {.registry = &registry, .file = "clicks.weir.json"});
//   if (job.problems.has_errors()) { print(FormatProblemsText(job)); return ExitCodeOf(job); }
//   coordinator.Start(*job.plan);
//
// Registry and SecretStore must outlive the plan. Nothing here throws; a text of any bytes gives
// problems, never a crash.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/api/registry.h"
#include "engine/base/json.h"
#include "engine/plan/physical_plan.h"

namespace weir {
class SecretStore;
}  // namespace weir

namespace weir::jobs {

inline constexpr size_t kNodesMax = 1024;      // nodes of one job
inline constexpr size_t kEdgesMax = 16384;     // inputs of all nodes together
inline constexpr uint64_t kTasksMax = 65536;   // nodes times their parallelism
inline constexpr size_t kProblemsShown = 200;  // printed as text; the rest is counted

struct CompileOptions {
  const Registry* registry = nullptr;
  std::string file = "job.weir.json";                       // for messages
  bool comments = true;                                     // false: as the HTTP API takes it
  std::vector<std::pair<std::string, std::string>> params;  // -p name=value
  std::function<std::optional<std::string>(const std::string& name)>
      environment;  // allowed variables; empty: there are none
  const SecretStore* secrets = nullptr;
  std::optional<uint32_t> parallelism;  // stands for execution.parallelism
  uint32_t parallelism_default = 1;     // for "auto"
  bool allow_literal_secrets = false;
  bool strict = false;   // warnings are errors
  bool semantic = true;  // false: JSON text, shape and expression syntax only; no graph, no plan
  std::vector<std::string> allowed_paths;  // of file connectors
};

/// `id` or `id.port` in `inputs`.
struct PortReference {
  std::string node, port;  // port "": main
  std::string pointer;     // where it stands in the file
};
struct InputSpec {
  std::string alias;
  std::vector<PortReference> ports;  // several: a union of equal columns
};
struct NodeSpec {
  std::string id;
  const NodeType* type = nullptr;  // null: unknown or planned (already a problem)
  Json options;                    // substituted and checked
  std::vector<InputSpec> inputs;
  bool sound = true;  // no problem in its shape
};
struct JobSpec {
  std::string name, description;
  std::vector<NodeSpec> nodes;  // in the order of the file
  Json execution;               // substituted, checked, fallbacks filled in
  std::shared_ptr<JobSettings> settings;
};

struct LogicalEdge {
  uint32_t producer = 0;  // positions in LogicalGraph::nodes
  Port from = kMain;
  uint32_t consumer = 0;
  Port to = kMain;
};
struct LogicalNode {
  std::string id;
  const NodeType* type = nullptr;
  std::shared_ptr<const NodeConfig> config;  // null: it could not be configured
  NodeShape shape;
  std::vector<uint32_t> in_edges, out_edges;  // positions in LogicalGraph::edges
  std::string renamed_from;
};
struct LogicalGraph {
  std::vector<LogicalNode> nodes;  // topological, else by their order in the file
  std::vector<LogicalEdge> edges;
};

struct CompiledJob {
  std::string file, text;
  JsonDocument document;
  JobSpec spec;
  LogicalGraph graph;
  Problems problems;                 // those of the JSON text stand in document.problems
  std::optional<PhysicalPlan> plan;  // set if no problem is an error and `semantic`
  bool has_errors() const { return problems.has_errors() || !document.problems.empty(); }
};

CompiledJob CompileJob(std::string_view text, const CompileOptions& options);

/// The environment layer: asks each node type's probe about topics, permissions, paths (codes
/// W07xx). P, blocks. Problems are added to the job.
void RunProbes(CompiledJob& job, Clients& clients, Env& env);

/// 0: sound · 1: problems in the job · 4: only the environment is at fault.
int ExitCodeOf(const CompiledJob& job);

/// Text for people, by place, with caret lines and a last line that counts. Empty without problems.
std::string FormatProblemsText(const CompiledJob& job);
/// application/problem+json, with `errors`.
Json FormatProblemsJson(const CompiledJob& job);
/// The text of the file with every unambiguous fix applied; `fixed` counts them.
std::string ApplyFixes(const CompiledJob& job, size_t& fixed);

// Pictures of the logical graph: `weir graph`.
std::string GraphText(const LogicalGraph& graph);
std::string GraphDot(const LogicalGraph& graph);
std::string GraphMermaid(const LogicalGraph& graph);

struct PlanTextOptions {
  bool stages = false;  // each chain with its edges
  bool types = false;   // columns of every edge
  std::optional<uint64_t>
      memory_bytes;  // of the process: how it would be dealt out; else as execution.memory says
};
std::string PlanText(const PhysicalPlan& plan, const PlanTextOptions& options);
/// One line per sink: "stats_out: at_least_once, visible in milliseconds".
std::vector<std::string> SinkPromises(const PhysicalPlan& plan);

/// JSON Schema of job files, draft-07.
Json JobSchema(const Registry& registry);

// Upgrades.
/// What a checkpoint remembers of its job: node ids, types, states, keys, what sources read and
/// sinks promise.
Json DescribeForUpgrade(const PhysicalPlan& plan);

enum class Verdict : uint8_t { kKeep, kMigrate, kReset, kIncompatible };
std::string_view VerdictName(Verdict verdict);
/// "W0902", which `weir explain` knows; empty for kKeep.
std::string_view VerdictCode(Verdict verdict);
struct NodeVerdict {
  std::string node;
  Verdict verdict = Verdict::kKeep;
  std::string reason;  // empty: nothing changed that matters
};
struct UpgradeReport {
  std::vector<NodeVerdict> nodes;  // those of the new job, then the removed ones
  /// In this version only `keep` goes on.
  bool accepted() const;
  std::string ToText() const;  // a line per node
};
/// kCorruption: `old` is no description.
Result<UpgradeReport> CompareJobs(const Json& old, const PhysicalPlan& plan);

// The built-in manual: `weir explain`. Empty: not known, `Suggest` has the near ones.
std::string ExplainCode(std::string_view code);
std::string ExplainNode(const Registry& registry, std::string_view type);
std::string ExplainFunction(std::string_view name);
std::vector<std::string> KnownCodes();

}  // namespace weir::jobs
