#include "engine/base/record_code.h"

#include <array>

namespace weir {
namespace {

constexpr std::array<std::string_view, kRecordCodes> kNames = {
    "decode.json",          "decode.csv",          "decode.too_large",
    "decode.truncated",     "decode.null_value",   "bad_event_time",
    "event_time_in_future", "expression.overflow", "expression.division_by_zero",
    "expression.cast",      "expression.limit",    "sink.rejected",
    "sink.too_large",
};

}  // namespace

std::string_view RecordCodeName(RecordCode code) { return kNames[static_cast<size_t>(code)]; }

std::string_view RecordCodeKind(RecordCode code) {
  switch (code) {
    case RecordCode::kBadEventTime:
    case RecordCode::kEventTimeInFuture:
      return "event_time";
    default:
      const std::string_view name = RecordCodeName(code);
      return name.substr(0, name.find('.'));
  }
}

}  // namespace weir
