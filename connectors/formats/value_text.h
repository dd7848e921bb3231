#pragma once
// Values as text, the part that formats share: "read exactly, or not at all".
// Readers answer null, or the reason why the text is no value of the column: a constant that
// completes "expected int32: <reason>". Pure functions but TimestampReader, which keeps the last
// day it met; one thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/api/format.h"
#include "engine/data/types.h"

namespace weir {

using ReadFault = const char*;  // null: no fault
inline constexpr ReadFault kNoFault = nullptr;

/// JSON's grammar of numbers: "-12.5e3"; no sign +, no leading zeros, no blanks.
bool IsJsonNumber(std::string_view text);

/// Whole numbers, also as `7.0` and `1e3`.
ReadFault ReadInt64(std::string_view text, int64_t* value);
ReadFault ReadInt32(std::string_view text, int32_t* value);
ReadFault ReadFloat32(std::string_view text, float* value);
ReadFault ReadFloat64(std::string_view text, double* value);
ReadFault ReadDecimal(std::string_view text, int precision, int scale, Int128* value);
ReadFault ReadBool(std::string_view text, uint8_t* value);
ReadFault ReadDate(std::string_view text, int32_t* days);
/// ISO 8601.
ReadFault ReadDuration(std::string_view text, int64_t* us);
/// Epoch number in the unit of `wire`; digits below the microsecond are cut. Outside of years 1 ...
/// 9999: a fault.
ReadFault ReadEpoch(std::string_view text, WireType wire, int64_t* us);
/// RFC 4648 with padding, appended to `out`.
ReadFault ReadBase64(std::string_view text, std::string* out);

/// RFC 3339 and its kin. Records of one stream mostly share a day: its calendar is computed once.
class TimestampReader {
 public:
  ReadFault Read(std::string_view text, int64_t* us);

 private:
  char day_[16] = {};
  int64_t day_us_ = 0;
};

/// Cursor-like appends for encoders; numbers as JSON has them.
void AppendInt(int64_t value, std::string& out);
/// The shortest text that reads back equal; -0.0 keeps its sign. NaN and infinities as NaN,
/// Infinity, -Infinity, without quotes.
void AppendFloat(double value, std::string& out);
void AppendFloat(float value, std::string& out);
void AppendBase64(std::string_view bytes, std::string& out);

}  // namespace weir
