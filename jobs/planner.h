#pragma once
// From logical graph to physical plan: parallelism, ways of rows, chains.

#include "engine/api/problems.h"
#include "jobs/jobs.h"

namespace weir::jobs {

/// REQUIRES: a graph without problems. Problems found here (parallelism, lost order) leave the plan
/// empty.
std::optional<PhysicalPlan> MakePlan(const JobSpec& spec, const LogicalGraph& graph,
                                     const CompileOptions& options, Problems& problems);

}  // namespace weir::jobs
