#include "engine/api/operator.h"

namespace weir {

Result<Step> Operator::OnTimers(std::span<Timer> due, Output& out) {
  static_cast<void>(due), static_cast<void>(out);
  return Status(Code::kInternal, "a timer is due at an operator that has no OnTimers");
}

}  // namespace weir
