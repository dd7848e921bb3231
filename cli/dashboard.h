#pragma once
// Dashboard and rules for one job: the panels of deploy/grafana and the rules of deploy/prometheus,
// which are part of the program, with the job's name in their expressions and a row for each of its
// nodes. Both look at one namespace of Kubernetes, or without its name at any. Pure functions; any
// thread.

#include <string>

#include "cli/command.h"
#include "engine/base/json_fwd.h"
#include "engine/plan/physical_plan.h"

namespace weir::cli {

/// A Grafana dashboard, ready to import.
Json MakeDashboard(const PhysicalPlan& plan, const std::string& name_space = "");
/// A rule file of Prometheus that looks at no other job.
std::string MakeRules(const std::string& job, const std::string& name_space = "");

void AddDashboard(CLI::App& app, Invocation& invocation);

}  // namespace weir::cli
