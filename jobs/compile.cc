#include "jobs/job_spec.h"
#include "jobs/jobs.h"
#include "jobs/logical_graph.h"
#include "jobs/planner.h"

#include <set>
#include <tuple>

namespace weir::jobs {
namespace {

/// Node types may find a fault that a common check has found already.
void DropRepeats(Problems& problems) {
  std::set<std::tuple<std::string, std::string, size_t>> seen;
  Problems kept;
  for (Problem& problem : problems.mutable_list()) {
    const size_t inside = problem.inside ? problem.inside->first : SIZE_MAX;
    std::string what = problem.code;
    // Several members of one object can be missing, several ports unread.
    if (problem.at_key || problem.code == "W0202" || problem.pointer.empty())
      what += problem.message;
    if (seen.insert({std::move(what), problem.pointer, inside}).second)
      kept.Add(std::move(problem));
  }
  problems = std::move(kept);
}

void MakeStrict(Problems& problems) {
  Problems strict;
  for (Problem& problem : problems.mutable_list()) {
    problem.warning = false;
    strict.Add(std::move(problem));
  }
  problems = std::move(strict);
}

}  // namespace

CompiledJob CompileJob(std::string_view text, const CompileOptions& options) {
  WEIR_CHECK(options.registry != nullptr);
  CompiledJob job;
  job.file = options.file;
  job.text = text;
  job.document = ParseJob(text, options.comments);
  if (!job.document.root.is_object()) return job;
  job.spec = ReadSpec(job.document.root, options, job.problems);
  if (options.semantic) {
    job.graph = BuildGraph(job.spec, options, job.problems);
  } else {
    for (const NodeSpec& node : job.spec.nodes) {
      if (node.type != nullptr) CheckSyntax(node, job.problems);
    }
  }
  DropRepeats(job.problems);
  if (options.strict) MakeStrict(job.problems);
  if (options.semantic && !job.has_errors()) {
    job.plan = MakePlan(job.spec, job.graph, options, job.problems);
    if (job.problems.has_errors()) job.plan.reset();
  }
  return job;
}

void RunProbes(CompiledJob& job, Clients& clients, Env& env) {
  for (const LogicalNode& node : job.graph.nodes) {
    if (node.config == nullptr || node.type->probe == nullptr) continue;
    const size_t before = job.problems.list().size();
    node.type->probe(*node.config, node.shape, clients, env, job.problems);
    for (size_t i = before; i < job.problems.list().size(); ++i) {
      Problem& problem = job.problems.mutable_list()[i];
      if (problem.node_id.empty()) problem.node_id = node.id;
      if (problem.pointer.empty()) problem.pointer = node.config->pointer();
    }
  }
  DropRepeats(job.problems);
}

int ExitCodeOf(const CompiledJob& job) {
  if (!job.document.problems.empty()) return 1;
  bool environment = false;
  for (const Problem& problem : job.problems.list()) {
    if (problem.warning) continue;
    if (problem.code.starts_with("W07")) {
      environment = true;
    } else {
      return 1;
    }
  }
  return environment ? 4 : 0;
}

}  // namespace weir::jobs
