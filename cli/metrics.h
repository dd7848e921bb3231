#pragma once
// JobMetrics: what /metrics shows, made at scrape time from the tasks' values and
// the job's status: nothing here is on a data path. A scrape calls Collect on a server thread, also
// before there is a coordinator to follow: the job then is `created`. Plan, governor and
// coordinator must outlive it.

#include <prometheus/collectable.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "cli/storage_meter.h"
#include "engine/api/memory.h"
#include "engine/control/coordinator.h"

namespace weir::cli {

class JobMetrics final : public prometheus::Collectable {
 public:
  /// `tasks_max`: with more tasks of a node the label `task` becomes `all` and values are summed.
  JobMetrics(const PhysicalPlan& plan, const MemoryGovernor& memory, uint32_t tasks_max)
      : plan_(plan), memory_(memory), tasks_max_(tasks_max) {}
  void Follow(const control::JobCoordinator& coordinator) {
    coordinator_.store(&coordinator, std::memory_order_release);
  }
  /// Where the calls to the job's storage are counted.
  StorageMeter& storage() { return storage_; }
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const PhysicalPlan& plan_;
  const MemoryGovernor& memory_;
  const uint32_t tasks_max_;
  std::atomic<const control::JobCoordinator*> coordinator_ = nullptr;
  StorageMeter storage_;
};

/// Prometheus text of everything `metrics` holds.
std::string MetricsText(const JobMetrics& metrics);

}  // namespace weir::cli
