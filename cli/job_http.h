#pragma once
// JobHttp: what the addresses of a `weir run` answer, from before its environment is asked until it
// has ended: /healthz (alive at once, not only once brokers answer), /readyz with the reason while
// the job does not run (once it has, an outage of brokers or storage leaves it ready), /metrics
// (state `created` before there is a coordinator) and the status. Made and told by the main thread;
// asked by the servers' threads. Plan, governor and Env must outlive it, the coordinator its Close.
// Errors: those of HttpApi::Start.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cli/http_api.h"
#include "cli/metrics.h"
#include "cli/process_config.h"

namespace weir::cli {

class JobHttp {
 public:
  JobHttp(const PhysicalPlan& plan, const MemoryGovernor& memory, Env& env);

  /// `optional`: the API listens only if an address for it was given.
  Status Listen(const ProcessConfig& config, bool optional);
  /// What the start waits for now; /readyz shows it until there is a coordinator.
  void Waiting(std::string what);
  void Follow(const control::JobCoordinator& coordinator);
  /// Where the calls to the job's storage are counted.
  StorageMeter& storage() { return metrics_.storage(); }
  void Close() { servers_.clear(); }
  /// Of the API, else of the probes; empty: nobody listens.
  std::string address() const;

  Readiness readiness() const;
  bool healthy() const;
  std::string MetricsPage() const { return MetricsText(metrics_); }
  std::string StatusPage() const;

 private:
  const PhysicalPlan& plan_;
  Env& env_;
  JobMetrics metrics_;
  std::atomic<const control::JobCoordinator*> coordinator_ = nullptr;
  mutable std::mutex mutex_;
  std::string waiting_;                            // guarded by mutex_
  std::vector<std::unique_ptr<HttpApi>> servers_;  // last: they end before what they ask
};

/// The job's status as /api/v1/jobs and the report show it.
Json StatusJson(const PhysicalPlan& plan, const control::JobStatus& status);

}  // namespace weir::cli
