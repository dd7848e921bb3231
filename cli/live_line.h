#pragma once
// LiveLine: one line on a terminal while a job runs: rows/s in and out, watermark lag, state size,
// busiest node; a bar with the time left for bounded input. Text is made from two readings of the
// tasks' values; main thread. Nothing is drawn where standard error is no terminal.

#include <optional>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/task_metrics.h"

namespace weir::cli {

class LiveLine {
 public:
  explicit LiveLine(const PhysicalPlan& plan) : plan_(plan) {}

  /// The line for the values read at `steady` / `now`; rates since the call before.
  std::string Text(const std::vector<runtime::NodeValues>& values, Duration steady, EventTime now);

 private:
  struct Reading {
    Duration at{};
    uint64_t rows_in = 0, rows_out = 0;
    std::vector<std::pair<std::string, uint64_t>> busy_us;
  };
  const PhysicalPlan& plan_;
  std::optional<Reading> last_;
};

/// "12.3k", "4.0M".
std::string ShortCount(double n);
/// "1.2 GiB".
std::string ShortBytes(uint64_t bytes);

}  // namespace weir::cli
