#pragma once
// From spec to typed graph: ports become edges, every node gets its shape from its registry entry
// in topological order, twice: first with all columns, so that every name can be checked, then with
// the columns that somebody reads, so that sources decode no others. Codes W03xx to W06xx.

#include "engine/api/problems.h"
#include "jobs/jobs.h"

namespace weir::jobs {

/// A node with a problem keeps an empty shape; what follows it is not judged.
LogicalGraph BuildGraph(const JobSpec& spec, const CompileOptions& options, Problems& problems);

/// Syntax of every expression of the job, without names and types: what is left to say of nodes
/// whose inputs are unknown.
void CheckSyntax(const NodeSpec& node, Problems& problems);

}  // namespace weir::jobs
