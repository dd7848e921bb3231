#pragma once
// CAST: which casts exist, their kernels, and the text forms of values: blanks
// around a number are allowed, fractions round half away from zero, what does not fit is a row
// error. Pure; any thread.

#include <optional>
#include <string>
#include <string_view>

#include "engine/expr/node.h"

namespace weir {

/// Null: there is no such cast. The kernel reports with `expression.cast`.
ExpressionNode::KernelFunction CastKernel(const Type& from, const Type& to);

std::optional<bool> ParseBool(std::string_view text);
std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseFloat(std::string_view text);
/// Digits beyond the scale are rounded half away from zero.
std::optional<Int128> ParseDecimal(std::string_view text, int precision, int scale);
/// "5 minutes", "1 day 02:30:00", "-1.5 hours", "PT5M"; microseconds to weeks. Empty: none of
/// these; months and years have no fixed length.
std::optional<int64_t> ParseInterval(std::string_view text);
bool IsValidUtf8(std::string_view text);
/// The shortest text that reads back equal; "Infinity", "NaN".
std::string FloatText(double value);
std::string FloatText(float value);

}  // namespace weir
