#pragma once
// RestartPolicy: how long to wait after a failure before the next attempt, or that there is none.
// Pure: time and randomness come in with the call. Control thread only.

#include <cstdint>
#include <deque>
#include <optional>

#include "engine/base/time.h"
#include "engine/plan/physical_plan.h"

namespace weir::control {

class RestartPolicy {
 public:
  explicit RestartPolicy(const RestartOptions& options) : options_(options) {}

  /// A failure at `now` (steady clock). `random`: a number in [0, 1) for the jitter. Empty: give
  /// up. Failures before the planned restart belong to it: the caller reports one per attempt.
  std::optional<Duration> OnFailure(Duration now, double random);
  uint64_t failures() const { return total_; }

 private:
  const RestartOptions options_;
  uint64_t in_row_ = 0, total_ = 0;
  std::optional<Duration> last_;
  std::deque<Duration> recent_;
};

}  // namespace weir::control
