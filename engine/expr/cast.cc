#include "engine/expr/cast.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"
#include "engine/expr/loops.h"

namespace weir {
namespace {

constexpr int64_t kMicrosPerDay = 86'400'000'000;
constexpr size_t kQuotedBytesMax = 64;

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

/// Reports text that is no value of the node's type.
void FailText(const KernelCall& call, uint32_t row, std::string_view text) {
  const bool cut = text.size() > kQuotedBytesMax;
  call.Fail(row, RecordCode::kExpressionCast,
            "'" + std::string(text.substr(0, kQuotedBytesMax)) + (cut ? "...'" : "'") + " is no " +
                call.node.type.ToString());
}
void FailValue(const KernelCall& call, uint32_t row, const std::string& value) {
  call.Fail(row, RecordCode::kExpressionCast, value + " does not fit " + call.node.type.ToString());
}

// From text: one loop per target, the parser inlined.
template <class R, class Parse>
void ParseLoop(const KernelCall& call, Parse&& parse) {
  const TextReader in(call.arguments[0]);
  R* out = call.Out<R>();
  call.ForEachValid([&](uint32_t row) {
    const auto value = parse(in[row]);
    if (value) {
      out[row] = static_cast<R>(*value);
    } else {
      out[row] = R{};
      FailText(call, row, in[row]);
    }
  });
}
std::optional<int32_t> ParseInt32(std::string_view text) {
  const std::optional<int64_t> value = ParseInteger(text);
  if (!value || *value < std::numeric_limits<int32_t>::min() ||
      *value > std::numeric_limits<int32_t>::max())
    return std::nullopt;
  return static_cast<int32_t>(*value);
}
std::optional<float> ParseFloat32(std::string_view text) {
  text = Trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
void TextToBool(const KernelCall& call) { ParseLoop<uint8_t>(call, ParseBool); }
void TextToInt32(const KernelCall& call) { ParseLoop<int32_t>(call, ParseInt32); }
void TextToInt64(const KernelCall& call) { ParseLoop<int64_t>(call, ParseInteger); }
void TextToFloat32(const KernelCall& call) { ParseLoop<float>(call, ParseFloat32); }
void TextToFloat64(const KernelCall& call) { ParseLoop<double>(call, ParseFloat); }
void TextToDecimal(const KernelCall& call) {
  const Type& type = call.node.type;
  ParseLoop<Int128>(
      call, [&](std::string_view text) { return ParseDecimal(text, type.precision, type.scale); });
}
void TextToDate(const KernelCall& call) {
  ParseLoop<int32_t>(call, [](std::string_view text) { return weir::ParseDate(Trimmed(text)); });
}
void TextToTimestamp(const KernelCall& call) {
  ParseLoop<int64_t>(call,
                     [](std::string_view text) { return weir::ParseTimestamp(Trimmed(text)); });
}
void TextToDuration(const KernelCall& call) { ParseLoop<int64_t>(call, ParseInterval); }

// To text.
template <class A, class Print>
void PrintLoop(const KernelCall& call, Print&& print) {
  const Reader<A> in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  TextArena arena;
  call.ForEachValid([&](uint32_t row) { out[row] = arena.Add(print(in[row])); });
  arena.FinishInto(call.out);
}
template <class A>
void IntegerToText(const KernelCall& call) {
  std::array<char, 24> digits{};
  PrintLoop<A>(call, [&](A value) {
    const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return std::string_view(digits.data(), static_cast<size_t>(result.ptr - digits.data()));
  });
}
void BoolToText(const KernelCall& call) {
  PrintLoop<uint8_t>(call, [](uint8_t value) {
    return value != 0 ? std::string_view("true") : std::string_view("false");
  });
}
template <class A>
void FloatToText(const KernelCall& call) {
  PrintLoop<A>(call, [](A value) { return FloatText(value); });
}
void DecimalToText(const KernelCall& call) {
  const int scale = call.node.arguments[0]->type.scale;
  PrintLoop<Int128>(call, [=](Int128 value) { return DecimalToString(value, scale); });
}
void DateToText(const KernelCall& call) { PrintLoop<int32_t>(call, DateToString); }
void TimestampToText(const KernelCall& call) { PrintLoop<int64_t>(call, TimestampToString); }
void DurationToText(const KernelCall& call) { PrintLoop<int64_t>(call, IsoDurationToString); }

void BytesToText(const KernelCall& call) {
  const Reader<Utf8View> in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  call.ForEachValid([&](uint32_t row) {
    out[row] = in[row];
    if (!IsValidUtf8(in[row].view()))
      call.Fail(row, RecordCode::kExpressionCast, "bytes are not valid UTF-8");
  });
}
void TextToBytes(const KernelCall& call) {
  const Reader<Utf8View> in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  call.ForEachValid([&](uint32_t row) { out[row] = in[row]; });
}

// Between numbers.
template <class A>
std::string ValueText(const KernelCall& call, A value) {
  if constexpr (std::is_floating_point_v<A>) {
    return FloatText(value);
  } else if constexpr (std::is_same_v<A, Int128>) {
    return DecimalToString(value, call.node.arguments[0]->type.scale);
  } else {
    return std::to_string(value);
  }
}

template <class A, class R>
struct NumberCast {
  static bool Apply(A a, R* r) {
    if constexpr (std::is_integral_v<A> && std::is_integral_v<R>) {
      *r = static_cast<R>(a);
      return static_cast<A>(*r) != a;
    } else if constexpr (std::is_floating_point_v<A> && std::is_integral_v<R>) {
      // Half away from zero; the bounds are exact powers of two.
      constexpr double kBound = sizeof(R) == 4 ? 2147483648.0 : 9223372036854775808.0;
      const double rounded = std::round(static_cast<double>(a));
      *r = 0;
      if (!(rounded >= -kBound && rounded < kBound)) return true;
      *r = static_cast<R>(rounded);
      return false;
    } else if constexpr (std::is_same_v<A, double> && std::is_same_v<R, float>) {
      if (std::isfinite(a) &&
          std::fabs(a) > static_cast<double>(std::numeric_limits<float>::max())) {
        *r = static_cast<float>(a > 0 ? 1 : -1);
        return true;
      }
      *r = static_cast<float>(a);
      return false;
    } else {
      *r = static_cast<R>(a);
      return false;
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, A a) {
    FailValue(call, row, ValueText(call, a));
  }
};

template <class A>
void NumberToBool(const KernelCall& call) {
  const A* in = call.arguments[0].Values<A>();
  auto* out = call.Out<uint8_t>();
  call.rows.ForEach([=](uint32_t row) { out[row] = in[row] != 0 ? 1 : 0; });
}

template <class A>
void IntegerToDecimal(const KernelCall& call) {
  const Type& type = call.node.type;
  const Int128 factor = PowerOfTen(type.scale);
  const A* in = call.arguments[0].Values<A>();
  auto* out = call.Out<Int128>();
  constexpr int kDigits = std::is_same_v<A, int32_t> ? 10 : 19;
  if (type.precision - type.scale >= kDigits) {
    if (type.scale == 0) {
      call.rows.ForEach([=](uint32_t row) { out[row] = in[row]; });
    } else {
      call.rows.ForEach([=](uint32_t row) { out[row] = static_cast<Int128>(in[row]) * factor; });
    }
    return;
  }
  call.ForEachValid([&](uint32_t row) {
    Int128 value = 0;
    if (__builtin_mul_overflow(static_cast<Int128>(in[row]), factor, &value) ||
        !FitsPrecision(value, type.precision)) {
      FailValue(call, row, std::to_string(in[row]));
    } else {
      out[row] = value;
    }
  });
}

template <class A>
void FloatToDecimal(const KernelCall& call) {
  const Type& type = call.node.type;
  const Reader<A> in(call.arguments[0]);
  auto* out = call.Out<Int128>();
  call.ForEachValid([&](uint32_t row) {
    const std::optional<Int128> value =
        std::isfinite(in[row]) ? ParseDecimal(FloatText(in[row]), type.precision, type.scale)
                               : std::nullopt;
    if (value) {
      out[row] = *value;
    } else {
      FailValue(call, row, FloatText(in[row]));
    }
  });
}

template <class R>
void DecimalToInteger(const KernelCall& call) {
  const int scale = call.node.arguments[0]->type.scale;
  const Reader<Int128> in(call.arguments[0]);
  R* out = call.Out<R>();
  call.ForEachValid([&](uint32_t row) {
    const std::optional<Int128> value = Rescale(in[row], scale, 0);
    if (!value || *value < std::numeric_limits<R>::min() ||
        *value > std::numeric_limits<R>::max()) {
      FailValue(call, row, DecimalToString(in[row], scale));
    } else {
      out[row] = static_cast<R>(*value);
    }
  });
}
template <class R>
void DecimalToFloat(const KernelCall& call) {
  const int scale = call.node.arguments[0]->type.scale;
  const Reader<Int128> in(call.arguments[0]);
  R* out = call.Out<R>();
  call.ForEachValid(
      [&](uint32_t row) { out[row] = static_cast<R>(DecimalToDouble(in[row], scale)); });
}
void DecimalToDecimal(const KernelCall& call) {
  const Type& from = call.node.arguments[0]->type;
  const Type& to = call.node.type;
  const Int128* in = call.arguments[0].Values<Int128>();
  auto* out = call.Out<Int128>();
  if (to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale) {
    const auto factor = static_cast<Uint128>(PowerOfTen(to.scale - from.scale));
    call.rows.ForEach([=](uint32_t row) {
      out[row] = static_cast<Int128>(static_cast<Uint128>(in[row]) * factor);
    });
    return;
  }
  call.ForEachValid([&](uint32_t row) {
    const std::optional<Int128> value = Rescale(in[row], from.scale, to.scale);
    if (!value || !FitsPrecision(*value, to.precision)) {
      FailValue(call, row, DecimalToString(in[row], from.scale));
    } else {
      out[row] = *value;
    }
  });
}

// Times.
struct DateToTimestamp {
  static bool Apply(int32_t days, int64_t* r) {
    return __builtin_mul_overflow(int64_t{days}, kMicrosPerDay, r);
  }
  static void Explain(const KernelCall& call, uint32_t row, int32_t days) {
    FailValue(call, row, DateToString(days));
  }
};
struct TimestampToDate {
  static int32_t Apply(int64_t us) {
    return static_cast<int32_t>(us / kMicrosPerDay - (us % kMicrosPerDay < 0 ? 1 : 0));
  }
};

ExpressionNode::KernelFunction FromText(TypeKind to) {
  switch (to) {
    case TypeKind::kBool:
      return TextToBool;
    case TypeKind::kInt32:
      return TextToInt32;
    case TypeKind::kInt64:
      return TextToInt64;
    case TypeKind::kFloat32:
      return TextToFloat32;
    case TypeKind::kFloat64:
      return TextToFloat64;
    case TypeKind::kDecimal:
      return TextToDecimal;
    case TypeKind::kBytes:
      return TextToBytes;
    case TypeKind::kDate:
      return TextToDate;
    case TypeKind::kTimestamp:
      return TextToTimestamp;
    case TypeKind::kDuration:
      return TextToDuration;
    default:
      return nullptr;
  }
}
ExpressionNode::KernelFunction ToText(TypeKind from) {
  switch (from) {
    case TypeKind::kBool:
      return BoolToText;
    case TypeKind::kInt32:
      return IntegerToText<int32_t>;
    case TypeKind::kInt64:
      return IntegerToText<int64_t>;
    case TypeKind::kFloat32:
      return FloatToText<float>;
    case TypeKind::kFloat64:
      return FloatToText<double>;
    case TypeKind::kDecimal:
      return DecimalToText;
    case TypeKind::kBytes:
      return BytesToText;
    case TypeKind::kDate:
      return DateToText;
    case TypeKind::kTimestamp:
      return TimestampToText;
    case TypeKind::kDuration:
      return DurationToText;
    default:
      return nullptr;
  }
}

template <class A>
ExpressionNode::KernelFunction FromNumber(TypeKind to) {
  switch (to) {
    case TypeKind::kInt32:
      return CheckedUnaryLoop<A, int32_t, NumberCast<A, int32_t>>;
    case TypeKind::kInt64:
      return CheckedUnaryLoop<A, int64_t, NumberCast<A, int64_t>>;
    case TypeKind::kFloat32:
      return CheckedUnaryLoop<A, float, NumberCast<A, float>>;
    case TypeKind::kFloat64:
      return CheckedUnaryLoop<A, double, NumberCast<A, double>>;
    case TypeKind::kDecimal:
      if constexpr (std::is_integral_v<A>) {
        return IntegerToDecimal<A>;
      } else {
        return FloatToDecimal<A>;
      }
    case TypeKind::kBool:
      if constexpr (std::is_integral_v<A>) return NumberToBool<A>;
      return nullptr;
    default:
      return nullptr;
  }
}

/// One word or number of an interval.
std::string_view TakeWhile(std::string_view& text, bool (*wanted)(char)) {
  size_t size = 0;
  while (size < text.size() && wanted(text[size])) ++size;
  const std::string_view taken = text.substr(0, size);
  text.remove_prefix(size);
  return taken;
}
std::optional<int64_t> UnitMicros(std::string_view word) {
  std::string unit;
  for (const char c : word) unit.push_back(Lower(c));
  if (unit == "us" || unit == "usec" || unit == "usecs" || unit == "microsecond" ||
      unit == "microseconds")
    return 1;
  if (unit == "ms" || unit == "msec" || unit == "msecs" || unit == "millisecond" ||
      unit == "milliseconds")
    return 1000;
  if (unit == "s" || unit == "sec" || unit == "secs" || unit == "second" || unit == "seconds")
    return 1'000'000;
  if (unit == "m" || unit == "min" || unit == "mins" || unit == "minute" || unit == "minutes")
    return 60'000'000;
  if (unit == "h" || unit == "hr" || unit == "hrs" || unit == "hour" || unit == "hours")
    return 3'600'000'000;
  if (unit == "d" || unit == "day" || unit == "days") return kMicrosPerDay;
  if (unit == "w" || unit == "week" || unit == "weeks") return 7 * kMicrosPerDay;
  return std::nullopt;
}
/// "1.5" times `unit`, exactly to the microsecond.
bool AddAmount(std::string_view number, bool negative, int64_t unit, int64_t* total) {
  const std::optional<Int128> amount = ParseDecimal(number, kDecimalPrecisionMax, 12);
  if (!amount) return false;
  Int128 product = 0;
  if (__builtin_mul_overflow(*amount, static_cast<Int128>(unit), &product)) return false;
  const std::optional<Int128> micros = Rescale(product, 12, 0);
  if (!micros) return false;
  const Int128 sum = *total + (negative ? -*micros : *micros);
  *total = static_cast<int64_t>(sum);
  return *total == sum;
}

}  // namespace

ExpressionNode::KernelFunction CastKernel(const Type& from, const Type& to) {
  if (from.kind == TypeKind::kString) return FromText(to.kind);
  if (to.kind == TypeKind::kString) return ToText(from.kind);
  switch (from.kind) {
    case TypeKind::kInt32:
      return FromNumber<int32_t>(to.kind);
    case TypeKind::kInt64:
      return FromNumber<int64_t>(to.kind);
    case TypeKind::kFloat32:
      return FromNumber<float>(to.kind);
    case TypeKind::kFloat64:
      return FromNumber<double>(to.kind);
    case TypeKind::kDecimal:
      switch (to.kind) {
        case TypeKind::kInt32:
          return DecimalToInteger<int32_t>;
        case TypeKind::kInt64:
          return DecimalToInteger<int64_t>;
        case TypeKind::kFloat32:
          return DecimalToFloat<float>;
        case TypeKind::kFloat64:
          return DecimalToFloat<double>;
        case TypeKind::kDecimal:
          return DecimalToDecimal;
        default:
          return nullptr;
      }
    case TypeKind::kBool:
      if (to.kind == TypeKind::kInt32)
        return CheckedUnaryLoop<uint8_t, int32_t, NumberCast<uint8_t, int32_t>>;
      if (to.kind == TypeKind::kInt64)
        return CheckedUnaryLoop<uint8_t, int64_t, NumberCast<uint8_t, int64_t>>;
      return nullptr;
    case TypeKind::kDate:
      return to.kind == TypeKind::kTimestamp ? CheckedUnaryLoop<int32_t, int64_t, DateToTimestamp>
                                             : nullptr;
    case TypeKind::kTimestamp:
      return to.kind == TypeKind::kDate ? UnaryLoop<int64_t, int32_t, TimestampToDate> : nullptr;
    default:
      return nullptr;
  }
}

std::optional<bool> ParseBool(std::string_view text) {
  text = Trimmed(text);
  std::string word;
  for (const char c : text.substr(0, 8)) word.push_back(Lower(c));
  // PostgreSQL's: any unambiguous beginning of these.
  const auto begins = [&](std::string_view whole, size_t least) {
    return word.size() >= least && whole.starts_with(word);
  };
  if (begins("true", 1) || begins("yes", 1) || word == "on" || word == "1") return true;
  if (begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0") return false;
  return std::nullopt;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  text = Trimmed(text);
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return std::nullopt;
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseFloat(std::string_view text) {
  text = Trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Int128> ParseDecimal(std::string_view text, int precision, int scale) {
  text = Trimmed(text);
  size_t at = 0;
  bool negative = false;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) negative = text[at++] == '-';
  // Significant digits, cut where they cannot matter, and where the point stands relative to their
  // start.
  std::array<char, kDecimalPrecisionMax + 2> digits{};
  size_t count = 0;
  int64_t point = 0;
  bool any = false, after_point = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && !after_point) {
      after_point = true;
      continue;
    }
    if (!IsDigit(text[at])) break;
    any = true;
    if (count == 0 && text[at] == '0') {
      if (after_point) --point;
      continue;
    }
    if (count < digits.size()) digits[count++] = text[at];
    if (!after_point) ++point;
  }
  if (!any) return std::nullopt;
  if (at < text.size()) {
    if (text[at] != 'e' && text[at] != 'E') return std::nullopt;
    ++at;
    if (at < text.size() && text[at] == '+') {
      ++at;
      if (at == text.size() || !IsDigit(text[at])) return std::nullopt;
    }
    int32_t exponent = 0;
    const auto [end, error] =
        std::from_chars(text.data() + at, text.data() + text.size(), exponent);
    if (end != text.data() + text.size() || error == std::errc::invalid_argument)
      return std::nullopt;
    if (error == std::errc::result_out_of_range)
      exponent = text[at] == '-' ? -1'000'000 : 1'000'000;
    point += exponent;
  }
  if (count == 0) return Int128{0};
  const int64_t kept = point + scale;
  if (kept > kDecimalPrecisionMax) return std::nullopt;
  if (kept < 0) return Int128{0};
  Int128 value = 0;
  for (int64_t i = 0; i < kept; ++i)
    value =
        value * 10 + (static_cast<size_t>(i) < count ? digits[static_cast<size_t>(i)] - '0' : 0);
  if (static_cast<size_t>(kept) < count && digits[static_cast<size_t>(kept)] >= '5') value += 1;
  if (!FitsPrecision(value, precision)) return std::nullopt;
  return negative ? -value : value;
}

std::optional<int64_t> ParseInterval(std::string_view text) {
  text = Trimmed(text);
  if (text.starts_with('P') || text.starts_with("-P")) return ParseIsoDuration(text);
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    TakeWhile(text, IsBlank);
    bool negative = false;
    if (text.starts_with('-') || text.starts_with('+')) {
      negative = text.front() == '-';
      text.remove_prefix(1);
    }
    const std::string_view number = TakeWhile(text, [](char c) { return IsDigit(c) || c == '.'; });
    if (number.empty()) return std::nullopt;
    if (text.starts_with(':')) {
      // hours:minutes, hours:minutes:seconds
      text.remove_prefix(1);
      const std::string_view minutes = TakeWhile(text, IsDigit);
      std::string_view seconds = "0";
      if (text.starts_with(':')) {
        text.remove_prefix(1);
        seconds = TakeWhile(text, [](char c) { return IsDigit(c) || c == '.'; });
      }
      if (minutes.size() != 2 || seconds.empty() || number.find('.') != std::string_view::npos)
        return std::nullopt;
      if (!AddAmount(number, negative, 3'600'000'000, &total) ||
          !AddAmount(minutes, negative, 60'000'000, &total) ||
          !AddAmount(seconds, negative, 1'000'000, &total)) {
        return std::nullopt;
      }
    } else {
      TakeWhile(text, IsBlank);
      const std::optional<int64_t> unit =
          UnitMicros(TakeWhile(text, [](char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }));
      if (!unit || !AddAmount(number, negative, *unit, &total)) return std::nullopt;
    }
    if (!text.empty() && !IsBlank(text.front()) && !IsDigit(text.front()) && text.front() != '-' &&
        text.front() != '+')
      return std::nullopt;
    TakeWhile(text, IsBlank);
  }
  return total;
}

bool IsValidUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = at + text.size();
  const auto trail = [&](ptrdiff_t i) { return (at[i] & 0xC0) == 0x80; };
  while (at < end) {
    if (end - at >= 8) {
      uint64_t word = 0;
      std::memcpy(&word, at, 8);
      if ((word & 0x8080808080808080ULL) == 0) {
        at += 8;
        continue;
      }
    }
    if (*at < 0x80) {
      ++at;
    } else if (*at >= 0xC2 && *at <= 0xDF) {
      if (end - at < 2 || !trail(1)) return false;
      at += 2;
    } else if ((*at & 0xF0) == 0xE0) {
      if (end - at < 3 || !trail(1) || !trail(2) || (*at == 0xE0 && at[1] < 0xA0) ||
          (*at == 0xED && at[1] > 0x9F))
        return false;
      at += 3;
    } else if (*at >= 0xF0 && *at <= 0xF4) {
      if (end - at < 4 || !trail(1) || !trail(2) || !trail(3) || (*at == 0xF0 && at[1] < 0x90) ||
          (*at == 0xF4 && at[1] > 0x8F))
        return false;
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

template <class T>
static std::string ShortestText(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  std::array<char, 40> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), result.ptr};
}
std::string FloatText(double value) { return ShortestText(value); }
std::string FloatText(float value) { return ShortestText(value); }

}  // namespace weir
