#pragma once
// JobMetrics: what /metrics shows, made at scrape time from the tasks' values and
// the job's status: nothing here is on a data path. A scrape calls Collect on a server thread; the
// coordinator must outlive it.

#include <prometheus/collectable.h>

#include <cstdint>
#include <string>

#include "engine/api/memory.h"
#include "engine/control/coordinator.h"

namespace weir::cli {

class JobMetrics final : public prometheus::Collectable {
 public:
  /// `tasks_max`: with more tasks of a node the label `task` becomes `all` and values are summed.
  JobMetrics(const PhysicalPlan& plan, const control::JobCoordinator& coordinator,
             const MemoryGovernor& memory, uint32_t tasks_max)
      : plan_(plan), coordinator_(coordinator), memory_(memory), tasks_max_(tasks_max) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const PhysicalPlan& plan_;
  const control::JobCoordinator& coordinator_;
  const MemoryGovernor& memory_;
  const uint32_t tasks_max_;
};

/// Prometheus text of everything `metrics` holds.
std::string MetricsText(const JobMetrics& metrics);

}  // namespace weir::cli
