#pragma once
// Arithmetic of numbers and times: which result type an operator has and the
// kernel for it. Operands come with the common type already (decimals with their own precision and
// scale). Called by the binder.

#include <memory>
#include <optional>

#include "engine/expr/node.h"

namespace weir {

struct Operation {
  Type result;
  ExpressionNode::KernelFunction kernel = nullptr;
  std::shared_ptr<const void> data;
};

/// `+ - * / %` of two numbers of equal kind (int32, int64, float32, float64; two decimals). Empty:
/// not defined.
std::optional<Operation> ArithmeticOf(char op, const Type& a, const Type& b);
/// `& | # << >>` (as '&', '|', '#', '<', '>') of two int32 or two int64; shifts take an int32 on
/// the right.
std::optional<Operation> BitOperationOf(char op, const Type& a, const Type& b);
/// `-x` and `abs(x)`, of numbers and durations.
std::optional<Operation> NegationOf(const Type& type);
std::optional<Operation> AbsoluteOf(const Type& type);
/// Times: timestamp +- duration, timestamp - timestamp, date +- int32, date - date, duration +-
/// duration, duration * or / number (int64, float64).
std::optional<Operation> TimeArithmeticOf(char op, const Type& a, const Type& b);

/// Result type of two decimals.
Type DecimalResult(char op, const Type& a, const Type& b);
/// Precision and scale brought into 38 digits: integer digits are kept, then up to six of the
/// scale.
Type CapDecimal(int precision, int scale);

}  // namespace weir
