#pragma once
// Comparisons, membership and the kernels that choose among equal types: total orders, NaN equal to
// NaN and last, strings byte-wise. The binder brings both sides to the common type first. Chosen at
// binding; loops run per batch.

#include <optional>
#include <span>

#include "engine/expr/node.h"

namespace weir {

enum class Comparison : uint8_t { kEqual, kNotEqual, kLess, kLessEqual };

/// Both sides of type `a` and `b`: equal kinds; decimals may differ in scale. Null: not comparable.
ExpressionNode::KernelFunction CompareKernel(Comparison comparison, const Type& a, const Type& b);
/// IS NOT DISTINCT FROM (`equal`) or IS DISTINCT FROM; lenient.
ExpressionNode::KernelFunction DistinctKernel(bool equal, const Type& type);
/// GREATEST and LEAST over any number of arguments of one type, ignoring NULL; lenient.
ExpressionNode::KernelFunction ExtremeKernel(bool greatest, const Type& type);

/// Values of an IN list, ready to search: data of the node, argument 0 is looked for.
struct InList;
ExpressionNode::KernelFunction InKernel(bool negated, const Type& type);
/// REQUIRES: constants of `type`, not NULL. `has_null`: a miss is NULL, not false.
std::shared_ptr<const InList> MakeInList(const Type& type, std::span<const NodeRef> constants,
                                         bool has_null);

/// -1, 0, 1 in the order above.
int CompareValues(const Type& type, const Column& a, uint32_t a_row, const Column& b,
                  uint32_t b_row);

}  // namespace weir
