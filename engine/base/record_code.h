#pragma once
// RecordCode: why a record is bad. Stable text in dead letters, logs and metrics;
// the class before the dot is the label `kind` of weir_node_errors_total.

#include <cstdint>
#include <string_view>

namespace weir {

enum class RecordCode : uint8_t {
  kDecodeJson,
  kDecodeCsv,
  kDecodeTooLarge,
  kDecodeTruncated,
  kDecodeNullValue,
  kBadEventTime,
  kEventTimeInFuture,
  kExpressionOverflow,
  kExpressionDivisionByZero,
  kExpressionCast,
  kExpressionLimit,
  kSinkRejected,
  kSinkTooLarge,
};
inline constexpr int kRecordCodes = 13;

/// "decode.json", "bad_event_time" ...
std::string_view RecordCodeName(RecordCode code);
/// Label `kind`: decode, event_time, expression, sink.
std::string_view RecordCodeKind(RecordCode code);

}  // namespace weir
