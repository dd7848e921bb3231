#include "engine/runtime/task_metrics.h"

namespace weir::runtime {

std::string_view TimeStateName(TimeState state) {
  static constexpr std::array<std::string_view, kTimeStates> kNames = {"busy", "idle",
                                                                       "backpressured"};
  return kNames[static_cast<size_t>(state)];
}

std::string_view BusyPartName(BusyPart part) {
  static constexpr std::array<std::string_view, kBusyParts> kNames = {
      "decode", "compute", "state_read", "state_write", "encode", "thread_wait"};
  return kNames[static_cast<size_t>(part)];
}

}  // namespace weir::runtime
