#include "connectors/formats/value_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "engine/base/time.h"
#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"

namespace weir {
namespace {

constexpr ReadFault kNoNumber = "not a number";
constexpr ReadFault kOutOfRange = "out of range";
constexpr ReadFault kNotWhole = "not a whole number, or out of range";
constexpr ReadFault kNoTimestamp = "not a timestamp such as 2026-01-31T12:00:00Z";

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

template <class T>
ReadFault ReadFloat(std::string_view text, T* value) {
  if (text == "NaN") {
    *value = std::numeric_limits<T>::quiet_NaN();
    return kNoFault;
  }
  if (text == "Infinity" || text == "-Infinity") {
    *value = text.front() == '-' ? -std::numeric_limits<T>::infinity()
                                 : std::numeric_limits<T>::infinity();
    return kNoFault;
  }
  if (!IsJsonNumber(text)) return kNoNumber;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error == std::errc()) return kNoFault;
  // Too small for the type is no fault: the nearest value is zero. Too large is one. The library
  // answers both alike.
  double wide = 0;
  if constexpr (std::is_same_v<T, float>) {
    if (std::from_chars(text.data(), text.data() + text.size(), wide).ec == std::errc() &&
        std::abs(wide) < 1) {
      *value = static_cast<float>(wide);
      return kNoFault;
    }
  }
  const size_t exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos && exponent + 1 < text.size() &&
      text[exponent + 1] == '-') {
    *value = text.front() == '-' ? T{-0.0F} : T{0};
    return kNoFault;
  }
  return kOutOfRange;
}

template <class T>
void AppendShortest(T value, std::string& out) {
  if (std::isnan(value)) {
    out.append("NaN");
    return;
  }
  if (std::isinf(value)) {
    out.append(value < 0 ? "-Infinity" : "Infinity");
    return;
  }
  if (value == 0) {
    out.append(std::signbit(value) ? "-0.0" : "0");
    return;
  }
  constexpr size_t kFloatTextMax = 32;
  std::array<char, kFloatTextMax> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), static_cast<size_t>(end - text.data()));
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::array<int8_t, 256> MakeBase64Values() {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (size_t i = 0; i < kBase64.size(); ++i)
    values[static_cast<uint8_t>(kBase64[i])] = static_cast<int8_t>(i);
  return values;
}
constexpr std::array<int8_t, 256> kBase64Values = MakeBase64Values();

}  // namespace

bool IsJsonNumber(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t first = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at - first;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const size_t whole = at;
  const size_t whole_digits = digits();
  if (whole_digits == 0 || (whole_digits > 1 && text[whole] == '0')) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

ReadFault ReadInt64(std::string_view text, int64_t* value) {
  const bool negative = !text.empty() && text.front() == '-';
  const std::string_view digits = text.substr(negative ? 1 : 0);
  constexpr size_t kSafeDigits = 18;
  if (!digits.empty() && digits.size() <= kSafeDigits &&
      (digits.front() != '0' || digits.size() == 1)) {
    int64_t sum = 0;
    bool whole = true;
    for (const char c : digits) {
      whole = whole && IsDigit(c);
      sum = sum * 10 + (c - '0');
      if (!whole) break;
    }
    if (whole) {
      *value = negative ? -sum : sum;
      return kNoFault;
    }
  }
  if (!IsJsonNumber(text)) return kNoNumber;
  const std::optional<Int128> exact = ParseDecimalExact(text, kDecimalPrecisionMax, 0);
  if (!exact || *exact < INT64_MIN || *exact > INT64_MAX) return kNotWhole;
  *value = static_cast<int64_t>(*exact);
  return kNoFault;
}

ReadFault ReadInt32(std::string_view text, int32_t* value) {
  int64_t wide = 0;
  if (const ReadFault fault = ReadInt64(text, &wide)) return fault;
  if (wide < INT32_MIN || wide > INT32_MAX) return kOutOfRange;
  *value = static_cast<int32_t>(wide);
  return kNoFault;
}

ReadFault ReadFloat32(std::string_view text, float* value) { return ReadFloat(text, value); }
ReadFault ReadFloat64(std::string_view text, double* value) { return ReadFloat(text, value); }

ReadFault ReadDecimal(std::string_view text, int precision, int scale, Int128* value) {
  if (!IsJsonNumber(text)) return kNoNumber;
  const std::optional<Int128> exact = ParseDecimalExact(text, precision, scale);
  if (!exact) return "more digits than the column has, or out of range";
  *value = *exact;
  return kNoFault;
}

ReadFault ReadBool(std::string_view text, uint8_t* value) {
  if (text != "true" && text != "false") return "neither true nor false";
  *value = text == "true" ? 1 : 0;
  return kNoFault;
}

ReadFault ReadDate(std::string_view text, int32_t* days) {
  const std::optional<int32_t> date = ParseDate(text);
  if (!date) return "not a date such as 2026-01-31";
  *days = *date;
  return kNoFault;
}

ReadFault ReadDuration(std::string_view text, int64_t* us) {
  const std::optional<int64_t> duration = ParseIsoDuration(text);
  if (!duration) return "not an ISO 8601 duration such as PT1M30S";
  *us = *duration;
  return kNoFault;
}

ReadFault ReadEpoch(std::string_view text, WireType wire, int64_t* us) {
  const int scale = wire == WireType::kTimestampSeconds  ? 6
                    : wire == WireType::kTimestampMillis ? 3
                                                         : 0;
  const int64_t unit = wire == WireType::kTimestampSeconds  ? kSecond
                       : wire == WireType::kTimestampMillis ? 1000
                                                            : 1;
  int64_t whole = 0;
  if (ReadInt64(text, &whole) == kNoFault) {
    if (__builtin_mul_overflow(whole, unit, us) || !IsUsable(EventTime{*us}))
      return "outside of the years 1 to 9999";
    return kNoFault;
  }
  if (!IsJsonNumber(text)) return kNoNumber;
  // A fraction: exact at the finest scale that a decimal has, then cut towards the past, as texts
  // are.
  constexpr int kFineScale = 18;
  std::string_view kept = text;
  if (const size_t point = text.find('.');
      point != std::string_view::npos && text.find_first_of("eE") == std::string_view::npos) {
    kept = text.substr(0, point + 1 + kFineScale);
  }
  const std::optional<Int128> fine = ParseDecimalExact(kept, kDecimalPrecisionMax, kFineScale);
  if (!fine) return kOutOfRange;
  const Int128 divisor = PowerOfTen(kFineScale - scale);
  Int128 quotient = *fine / divisor;
  if (*fine % divisor < 0) --quotient;
  if (quotient < kEventTimeLeast.us || quotient > kEventTimeMost.us)
    return "outside of the years 1 to 9999";
  *us = static_cast<int64_t>(quotient);
  return kNoFault;
}

ReadFault ReadBase64(std::string_view text, std::string* out) {
  constexpr ReadFault kNoBase64 = "not base64";
  if (text.size() % 4 != 0) return kNoBase64;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view digits = text.substr(0, text.size() - padding);
  uint32_t bits = 0;
  int have = 0;
  for (const char c : digits) {
    const int8_t value = kBase64Values[static_cast<uint8_t>(c)];
    if (value < 0) return kNoBase64;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out->push_back(static_cast<char>(bits >> have & 0xFF));
    }
  }
  // What padding leaves over must be zero, else two texts would mean one value.
  if ((bits & ((1U << have) - 1)) != 0) return kNoBase64;
  return kNoFault;
}

ReadFault TimestampReader::Read(std::string_view text, int64_t* us) {
  constexpr size_t kDateBytes = 10;
  constexpr size_t kSecondBytes = 19;
  // The day is the one before, and the rest is hh:mm:ss, up to six digits, Z or nothing: no other
  // case is common.
  if (text.size() >= kSecondBytes && std::memcmp(text.data(), day_, kDateBytes) == 0) {
    const char* at = text.data() + kDateBytes;
    const char* end = text.data() + text.size();
    const auto two = [](const char* digits) { return (digits[0] - '0') * 10 + (digits[1] - '0'); };
    bool common = (at[0] == ' ' || at[0] == 'T') && at[3] == ':' && at[6] == ':' &&
                  IsDigit(at[1]) && IsDigit(at[2]) && IsDigit(at[4]) && IsDigit(at[5]) &&
                  IsDigit(at[7]) && IsDigit(at[8]);
    const int hour = two(at + 1);
    const int minute = two(at + 4);
    const int second = two(at + 7);
    common = common && hour < 24 && minute < 60 && second < 60;
    int64_t fraction = 0;
    at += kSecondBytes - kDateBytes;
    if (common && at != end && *at == '.') {
      int64_t unit = kSecond / 10;
      const char* first = ++at;
      for (; at != end && IsDigit(*at); ++at, unit /= 10) fraction += unit * (*at - '0');
      common = at != first;
    }
    if (common && at != end && *at == 'Z') ++at;
    if (common && at == end) {
      *us = day_us_ + (hour * 3600 + minute * 60 + second) * kSecond + fraction;
      return kNoFault;
    }
  }
  const std::optional<int64_t> parsed = ParseTimestamp(text);
  if (!parsed) return kNoTimestamp;
  if (!IsUsable(EventTime{*parsed})) return "outside of the years 1 to 9999";
  if (text.size() >= kDateBytes) {
    if (const std::optional<int32_t> days = ParseDate(text.substr(0, kDateBytes))) {
      std::memcpy(day_, text.data(), kDateBytes);
      day_us_ = *days * kDay;
    }
  }
  *us = *parsed;
  return kNoFault;
}

void AppendInt(int64_t value, std::string& out) {
  constexpr size_t kIntTextMax = 24;
  std::array<char, kIntTextMax> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), static_cast<size_t>(end - text.data()));
}

void AppendFloat(double value, std::string& out) { AppendShortest(value, out); }
void AppendFloat(float value, std::string& out) { AppendShortest(value, out); }

void AppendBase64(std::string_view bytes, std::string& out) {
  size_t i = 0;
  const auto byte = [&](size_t at) {
    return static_cast<uint32_t>(static_cast<uint8_t>(bytes[at]));
  };
  const auto digits = [&](uint32_t bits, int count) {
    for (int shift = 18, n = 0; n < count; ++n, shift -= 6)
      out.push_back(kBase64[bits >> shift & 63]);
  };
  for (; i + 3 <= bytes.size(); i += 3) digits(byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2), 4);
  if (bytes.size() - i == 1) {
    digits(byte(i) << 16, 2);
    out.append("==");
  } else if (bytes.size() - i == 2) {
    digits(byte(i) << 16 | byte(i + 1) << 8, 3);
    out.push_back('=');
  }
}

}  // namespace weir
