#include "engine/control/restart_policy.h"

#include <algorithm>
#include <cmath>

namespace weir::control {

std::optional<Duration> RestartPolicy::OnFailure(Duration now, double random) {
  ++total_;
  if (options_.max_attempts && total_ >= *options_.max_attempts) return std::nullopt;
  if (last_ && now - *last_ >= options_.reset_after) in_row_ = 0;
  last_ = now;
  ++in_row_;
  switch (options_.strategy) {
    case RestartStrategy::kNone:
      return std::nullopt;
    case RestartStrategy::kFixedDelay:
      if (total_ > options_.attempts) return std::nullopt;
      return options_.delay;
    case RestartStrategy::kFailureRate:
      recent_.push_back(now);
      while (!recent_.empty() && now - recent_.front() > options_.per) recent_.pop_front();
      if (recent_.size() > options_.failures) return std::nullopt;
      return options_.delay;
    case RestartStrategy::kExponential:
      break;
  }
  if (in_row_ == 1) return Duration{0};
  const double grown = static_cast<double>(options_.initial_delay.us) *
                       std::pow(options_.multiplier, static_cast<double>(in_row_ - 2));
  const double held = std::min(grown, static_cast<double>(options_.max_delay.us));
  return Duration{static_cast<int64_t>(held * (1 + options_.jitter * (2 * random - 1)))};
}

}  // namespace weir::control
