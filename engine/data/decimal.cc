#include "engine/data/decimal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "engine/base/check.h"

namespace weir {
namespace {

constexpr std::array<Int128, kDecimalPrecisionMax + 1> MakePowers() {
  std::array<Int128, kDecimalPrecisionMax + 1> powers{};
  powers[0] = 1;
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}
constexpr std::array<Int128, kDecimalPrecisionMax + 1> kPowers = MakePowers();

Uint128 Magnitude(Int128 value) {
  return value < 0 ? ~static_cast<Uint128>(value) + 1 : static_cast<Uint128>(value);
}

std::optional<Int128> MultiplyByPower(Int128 value, int power) {
  if (value == 0) return Int128{0};
  Int128 product = 0;
  if (power > kDecimalPrecisionMax ||
      __builtin_mul_overflow(value, kPowers[static_cast<size_t>(power)], &product))
    return std::nullopt;
  if (!FitsPrecision(product, kDecimalPrecisionMax)) return std::nullopt;
  return product;
}

/// Significant digits of a number's text: value = mantissa * 10^exponent, the mantissa without
/// trailing zeros.
struct Digits {
  Uint128 mantissa = 0;
  int64_t exponent = 0;
  bool negative = false;
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<Digits> ReadDigits(std::string_view text) {
  constexpr int64_t kExponentMax = int64_t{1}
                                   << 40;  // far beyond any text's digits: larger ones act the same
  Digits digits;
  size_t at = 0;
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) digits.negative = text[at++] == '-';
  int64_t zeros = 0;  // seen since the last digit of the mantissa
  int64_t fraction_digits = 0;
  bool any_digit = false;
  bool point = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && !point) {
      point = true;
      continue;
    }
    if (!IsDigit(text[at])) break;
    any_digit = true;
    if (point) ++fraction_digits;
    if (text[at] == '0') {
      ++zeros;
      continue;
    }
    if (digits.mantissa == 0) zeros = 0;
    // Up to 38 digits do not overflow; a mantissa beyond can fit no decimal.
    for (int64_t i = 0; i <= zeros; ++i) {
      if (digits.mantissa >= static_cast<Uint128>(kPowers[kDecimalPrecisionMax - 1]))
        return std::nullopt;
      digits.mantissa *= 10;
    }
    digits.mantissa += static_cast<Uint128>(text[at] - '0');
    zeros = 0;
  }
  if (!any_digit) return std::nullopt;
  int64_t exponent = 0;
  if (at < text.size()) {
    if (text[at] != 'e' && text[at] != 'E') return std::nullopt;
    ++at;
    const bool minus = at < text.size() && text[at] == '-';
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (at == text.size()) return std::nullopt;
    for (; at < text.size(); ++at) {
      if (!IsDigit(text[at])) return std::nullopt;
      exponent = std::min(kExponentMax, exponent * 10 + (text[at] - '0'));
    }
    if (minus) exponent = -exponent;
  }
  digits.exponent = exponent + zeros - fraction_digits;
  return digits;
}

}  // namespace

Int128 PowerOfTen(int n) {
  WEIR_CHECK(n >= 0 && n <= kDecimalPrecisionMax);
  return kPowers[static_cast<size_t>(n)];
}

bool FitsPrecision(Int128 value, int precision) {
  return Magnitude(value) < static_cast<Uint128>(PowerOfTen(precision));
}

std::optional<Int128> Rescale(Int128 value, int from_scale, int to_scale) {
  if (to_scale >= from_scale) return MultiplyByPower(value, to_scale - from_scale);
  if (from_scale - to_scale > kDecimalPrecisionMax) return Int128{0};
  const Int128 divisor = PowerOfTen(from_scale - to_scale);
  Int128 quotient = value / divisor;
  const Uint128 rest = Magnitude(value % divisor);
  if (rest * 2 >= static_cast<Uint128>(divisor)) quotient += value < 0 ? -1 : 1;
  if (!FitsPrecision(quotient, kDecimalPrecisionMax)) return std::nullopt;
  return quotient;
}

std::optional<Int128> RescaleExact(Int128 value, int from_scale, int to_scale) {
  if (to_scale >= from_scale) return MultiplyByPower(value, to_scale - from_scale);
  if (value == 0) return Int128{0};
  if (from_scale - to_scale > kDecimalPrecisionMax) return std::nullopt;
  const Int128 divisor = PowerOfTen(from_scale - to_scale);
  if (value % divisor != 0 || !FitsPrecision(value / divisor, kDecimalPrecisionMax))
    return std::nullopt;
  return value / divisor;
}

std::optional<Int128> ParseDecimalExact(std::string_view text, int precision, int scale) {
  const std::optional<Digits> digits = ReadDigits(text);
  if (!digits) return std::nullopt;
  if (digits->mantissa == 0) return Int128{0};
  const int64_t power = digits->exponent + scale;
  if (power < 0 || power > kDecimalPrecisionMax) return std::nullopt;
  const std::optional<Int128> value =
      MultiplyByPower(static_cast<Int128>(digits->mantissa), static_cast<int>(power));
  if (!value || !FitsPrecision(*value, precision)) return std::nullopt;
  return digits->negative ? -*value : *value;
}

std::string DecimalToString(Int128 value, int scale) {
  constexpr size_t kDigitsMax = 40;  // 39 of 2^127, one before the point
  std::array<char, kDigitsMax> digits;
  size_t first = kDigitsMax;
  Uint128 rest = Magnitude(value);
  const size_t least = static_cast<size_t>(scale) + 1;
  while (rest != 0 || kDigitsMax - first < least) {
    digits[--first] = static_cast<char>('0' + static_cast<int>(rest % 10));
    rest /= 10;
  }
  std::string text;
  if (value < 0) text.push_back('-');
  const size_t whole = kDigitsMax - first - static_cast<size_t>(scale);
  text.append(digits.data() + first, whole);
  if (scale > 0) {
    text.push_back('.');
    text.append(digits.data() + first + whole, static_cast<size_t>(scale));
  }
  return text;
}

double DecimalToDouble(Int128 value, int scale) {
  // Both exact: one correctly rounded division.
  constexpr Uint128 kExactMax = static_cast<Uint128>(1) << 53;
  constexpr int kExactPowerMax = 22;
  if (Magnitude(value) <= kExactMax && scale <= kExactPowerMax) {
    return static_cast<double>(static_cast<int64_t>(value)) /
           static_cast<double>(PowerOfTen(scale));
  }
  const std::string text = DecimalToString(value, scale);
  double result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

}  // namespace weir
