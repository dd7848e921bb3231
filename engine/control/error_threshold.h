#pragma once
// ErrorThresholds: fails a job of which too large a share of a node's rows is dropped or sent
// aside. Judged over all tasks of a node from their counters, about once a second, over a sliding
// span of time. Control thread only.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/task_metrics.h"

namespace weir::control {

class ErrorThresholds {
 public:
  explicit ErrorThresholds(const PhysicalPlan& plan) : plan_(plan) {}

  /// kBadRecord, never retried, once a node has passed its threshold. Counters that fell (a new
  /// attempt) start over.
  Status Judge(Duration now, const std::vector<runtime::NodeValues>& values);
  /// The node of the last failure.
  const std::string& last_node() const { return last_node_; }

 private:
  struct Sample {
    Duration at{};
    uint64_t rows = 0, errors = 0;
  };
  const PhysicalPlan& plan_;
  std::map<std::string, std::deque<Sample>> samples_;
  std::string last_node_;
};

}  // namespace weir::control
