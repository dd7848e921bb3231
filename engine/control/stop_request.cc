#include "engine/control/stop_request.h"

#include <algorithm>
#include <string>

namespace weir::control {

void StopRequest::Ask(bool drain, Duration deadline) {
  asked_ = true;
  drains_ = drain;
  deadline_ = deadline;
}

Duration StopRequest::TimeFor(Duration wanted, Duration now) const {
  return cuts_off() ? std::min(wanted, deadline_ - now) : wanted;
}

Status StopRequest::TookTooLong(bool sink_recovers) {
  return Status(Code::kTimedOut, std::string("the stop took longer than checkpoint.timeout") +
                                     (sink_recovers ? ", while a sink still recovers" : ""));
}

Status StopRequest::SinksLate(CheckpointId id) {
  return Status(Code::kTimedOut, "sinks did not publish checkpoint " + std::to_string(id.value) +
                                     " before the stop's time was over; it goes out at the next "
                                     "start");
}

}  // namespace weir::control
