#pragma once
// TimeAccount: where the time of one task goes. Readings of the steady clock cut
// time into pieces without gaps: each piece is booked once, so busy, idle and backpressured add up
// to wall time, and the parts of busy add up to busy. One writer (W).

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/base/time.h"
#include "engine/runtime/task_metrics.h"

namespace weir::runtime {

class TimeAccount {
 public:
  void Start(Duration steady) { last_ = steady; }
  bool started() const { return last_.us != 0; }
  /// Books the time since the last reading; answers it in microseconds.
  uint64_t Book(TimeState state, Duration steady) {
    const auto us = static_cast<uint64_t>(std::max<int64_t>(0, (steady - last_).us));
    last_ = std::max(last_, steady);
    state_us_[static_cast<size_t>(state)] += us;
    return us;
  }
  /// Between two runs, for the reason that the earlier one gave.
  void BookWait(TimeState state, Duration steady) {
    const uint64_t us = Book(state, steady);
    if (state != TimeState::kBackpressured) return;
    stall_us_ += us;
    stall_longest_us_ = std::max(stall_longest_us_, stall_us_);
  }
  /// Something moved: the stall, if there was one, is over.
  void EndStall() { stall_us_ = 0; }

  const std::array<uint64_t, kTimeStates>& state_us() const { return state_us_; }
  uint64_t stall_longest_us() const { return stall_longest_us_; }
  Duration last() const { return last_; }
  Duration non_idle() const {
    return {static_cast<int64_t>(state_us_[static_cast<size_t>(TimeState::kBusy)] +
                                 state_us_[static_cast<size_t>(TimeState::kBackpressured)])};
  }

 private:
  Duration last_{};
  std::array<uint64_t, kTimeStates> state_us_{};
  uint64_t stall_us_ = 0, stall_longest_us_ = 0;
};

}  // namespace weir::runtime
