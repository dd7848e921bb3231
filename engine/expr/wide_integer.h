#pragma once
// 256-bit unsigned integers for the rare decimal operation whose intermediate does not fit 128
// bits: exact products and quotients of 38-digit numbers. Pure; any thread.

#include "engine/data/types.h"

namespace weir {

struct Wide {
  Uint128 high = 0, low = 0;

  friend bool operator<(const Wide& a, const Wide& b) {
    return a.high != b.high ? a.high < b.high : a.low < b.low;
  }
  friend bool operator==(const Wide& a, const Wide& b) = default;
  friend Wide operator+(const Wide& a, const Wide& b) {
    Wide sum{a.high + b.high, a.low + b.low};
    if (sum.low < a.low) ++sum.high;
    return sum;
  }
  friend Wide operator-(const Wide& a, const Wide& b) {
    Wide difference{a.high - b.high, a.low - b.low};
    if (a.low < b.low) --difference.high;
    return difference;
  }
  Wide Doubled() const { return {(high << 1) | (low >> 127), low << 1}; }
  bool Bit(int bit) const { return (bit < 128 ? low >> bit & 1 : high >> (bit - 128) & 1) != 0; }
};

inline Wide Multiply(Uint128 a, Uint128 b) {
  const auto half = [](Uint128 value) {
    return static_cast<Uint128>(static_cast<uint64_t>(value));
  };
  const Uint128 a0 = half(a), a1 = a >> 64, b0 = half(b), b1 = b >> 64;
  const Uint128 low = a0 * b0, middle1 = a1 * b0, middle2 = a0 * b1;
  const Uint128 carry = (low >> 64) + half(middle1) + half(middle2);
  return {a1 * b1 + (middle1 >> 64) + (middle2 >> 64) + (carry >> 64), (carry << 64) | half(low)};
}

struct WideQuotient {
  Wide quotient, rest;
};
/// Schoolbook division bit by bit. REQUIRES: divisor != 0, divisor < 2^255.
inline WideQuotient Divide(const Wide& dividend, const Wide& divisor) {
  WideQuotient result;
  for (int bit = 255; bit >= 0; --bit) {
    result.rest = result.rest.Doubled();
    if (dividend.Bit(bit)) result.rest.low |= 1;
    result.quotient = result.quotient.Doubled();
    if (!(result.rest < divisor)) {
      result.rest = result.rest - divisor;
      result.quotient.low |= 1;
    }
  }
  return result;
}

inline Uint128 MagnitudeOf(Int128 value) {
  return value < 0 ? ~static_cast<Uint128>(value) + 1 : static_cast<Uint128>(value);
}

}  // namespace weir
