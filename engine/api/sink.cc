#include "engine/api/sink.h"

#include <array>

namespace weir {

std::string_view GuaranteeName(Guarantee guarantee) {
  static constexpr std::array<std::string_view, 4> kNames = {"none", "at_least_once",
                                                             "effectively_once", "exactly_once"};
  return kNames[static_cast<size_t>(guarantee)];
}

}  // namespace weir
