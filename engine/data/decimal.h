#pragma once
// Decimals as 128-bit unscaled integers: parse, print, rescale with half-away-from-zero rounding,
// bounds of 38 digits, plus time of day and date text. No operation wraps: it answers empty where
// the result does not fit. Pure functions; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/data/types.h"

namespace weir {

/// 10^n. REQUIRES: 0 <= n <= 38.
Int128 PowerOfTen(int n);
/// |value| < 10^precision.
bool FitsPrecision(Int128 value, int precision);
/// From scale to scale; fewer digits round half away from zero; empty on overflow of 38 digits.
std::optional<Int128> Rescale(Int128 value, int from_scale, int to_scale);
/// As Rescale, but empty if digits other than 0 would be lost.
std::optional<Int128> RescaleExact(Int128 value, int from_scale, int to_scale);
/// Decimal text ("-12.50", "1e3") read exactly into unscaled digits at `scale`; empty if it is no
/// number or does not fit exactly.
std::optional<Int128> ParseDecimalExact(std::string_view text, int precision, int scale);
/// All digits of the scale: "9.00".
std::string DecimalToString(Int128 value, int scale);
double DecimalToDouble(Int128 value, int scale);

}  // namespace weir
