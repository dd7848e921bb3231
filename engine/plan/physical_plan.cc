#include "engine/plan/physical_plan.h"

#include <array>

namespace weir {

std::string_view EdgeKindName(EdgeKind kind) {
  static constexpr std::array<std::string_view, 6> kNames = {"direct", "forward", "hash", "ranges", "round_robin", "broadcast"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace weir
