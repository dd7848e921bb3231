#pragma once
// From JSON to JobSpec: every member of the file is known, substituted and of its declared shape,
// or a problem says what is wrong (W02xx). Nodes with a problem are kept, marked as not sound, so
// that the graph can be checked around them.

#include <span>

#include "engine/api/problems.h"
#include "jobs/jobs.h"

namespace weir::jobs {

/// The options of `execution`: also for the JSON Schema.
std::span<const Option> ExecutionOptions();
/// Node types of `registry` that are not planned: for suggestions.
std::vector<std::string> NodeTypeNames(const Registry& registry);

/// REQUIRES: `root` is an object.
JobSpec ReadSpec(const Json& root, const CompileOptions& options, Problems& problems);

}  // namespace weir::jobs
