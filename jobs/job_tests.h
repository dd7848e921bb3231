#pragma once
// The shape of `tests` in a job file: known members, steps of one kind each, sources
// and ports that exist.

#include "engine/base/json.h"
#include "jobs/jobs.h"
#include "jobs/shape.h"

namespace weir::jobs {

void CheckTests(const Json& tests, const JobSpec& spec, ShapeChecker& shape);

}  // namespace weir::jobs
