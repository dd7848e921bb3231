#include "engine/expr/compare.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <unordered_set>

#include "engine/data/decimal.h"
#include "engine/data/row_builder.h"
#include "engine/expr/loops.h"
#include "engine/expr/wide_integer.h"

namespace weir {
namespace {

template <class T>
bool EqualTo(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a == b || (a != a && b != b);
  } else {
    return a == b;
  }
}
template <class T>
bool LessThan(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a < b || (b != b && a == a);
  } else if constexpr (std::is_same_v<T, Utf8View>) {
    const uint32_t shorter = std::min(a.size(), b.size());
    const int order = shorter == 0 ? 0 : std::memcmp(a.data(), b.data(), shorter);
    return order != 0 ? order < 0 : a.size() < b.size();
  } else {
    return a < b;
  }
}

template <Comparison kComparison>
struct Compare {
  template <class T>
  static uint8_t Apply(const T& a, const T& b) {
    if constexpr (kComparison == Comparison::kEqual) return EqualTo(a, b) ? 1 : 0;
    if constexpr (kComparison == Comparison::kNotEqual) return EqualTo(a, b) ? 0 : 1;
    if constexpr (kComparison == Comparison::kLess) return LessThan(a, b) ? 1 : 0;
    if constexpr (kComparison == Comparison::kLessEqual) return LessThan(b, a) ? 0 : 1;
  }
};

/// Equality with a short constant needs no look at arenas, so it runs over NULL rows too.
template <Comparison kComparison>
void TextEqualLoop(const KernelCall& call) {
  const Vector* varying = &call.arguments[0];
  const Vector* constant = &call.arguments[1];
  if (varying->constant) std::swap(varying, constant);
  if (!constant->constant || !constant->Values<Utf8View>()[0].is_inline()) {
    BinaryValidLoop<Utf8View, Utf8View, uint8_t, Compare<kComparison>>(call);
    return;
  }
  std::array<uint64_t, 2> wanted{};
  std::memcpy(wanted.data(), constant->values, sizeof(wanted));
  const char* in = varying->values;
  auto* out = call.Out<uint8_t>();
  const uint64_t first = wanted[0], second = wanted[1];
  call.rows.ForEach([=](uint32_t row) {
    uint64_t head = 0, tail = 0;
    std::memcpy(&head, in + size_t{row} * sizeof(Utf8View), 8);
    std::memcpy(&tail, in + size_t{row} * sizeof(Utf8View) + 8, 8);
    const uint64_t differs = (head ^ first) | (tail ^ second);
    out[row] = (kComparison == Comparison::kEqual) == (differs == 0) ? 1 : 0;
  });
}

/// Decimals of different scales, exactly.
int CompareDecimals(Int128 a, int a_scale, Int128 b, int b_scale) {
  if (a_scale == b_scale) return a < b ? -1 : a > b ? 1 : 0;
  if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
  const int scale = std::max(a_scale, b_scale);
  const Wide x = Multiply(MagnitudeOf(a), static_cast<Uint128>(PowerOfTen(scale - a_scale)));
  const Wide y = Multiply(MagnitudeOf(b), static_cast<Uint128>(PowerOfTen(scale - b_scale)));
  const int order = x < y ? -1 : x == y ? 0 : 1;
  return a < 0 ? -order : order;
}
template <Comparison kComparison>
void UnalignedDecimalLoop(const KernelCall& call) {
  const int a_scale = call.node.arguments[0]->type.scale;
  const int b_scale = call.node.arguments[1]->type.scale;
  const Reader<Int128> a(call.arguments[0]);
  const Reader<Int128> b(call.arguments[1]);
  auto* out = call.Out<uint8_t>();
  call.ForEachValid([&](uint32_t row) {
    const int order = CompareDecimals(a[row], a_scale, b[row], b_scale);
    out[row] = Compare<kComparison>::Apply(order, 0);
  });
}

template <Comparison kComparison>
ExpressionNode::KernelFunction KernelOf(const Type& a, const Type& b) {
  if (a.kind == TypeKind::kDecimal && a.scale != b.scale) return UnalignedDecimalLoop<kComparison>;
  return VisitKind(a.kind, []<TypeKind kKind>() -> ExpressionNode::KernelFunction {
    using T = Physical<kKind>;
    if constexpr (std::is_same_v<T, Utf8View>) {
      if constexpr (kComparison == Comparison::kEqual || kComparison == Comparison::kNotEqual)
        return TextEqualLoop<kComparison>;
      return BinaryValidLoop<T, T, uint8_t, Compare<kComparison>>;
    } else {
      return BinaryLoop<T, T, uint8_t, Compare<kComparison>>;
    }
  });
}

template <class T, bool kEqual>
void DistinctLoop(const KernelCall& call) {
  const Vector& left = call.arguments[0];
  const Vector& right = call.arguments[1];
  const Reader<T> a(left);
  const Reader<T> b(right);
  auto* out = call.Out<uint8_t>();
  call.rows.ForEach([&](uint32_t row) {
    const bool a_valid = left.IsValid(row);
    const bool same = a_valid == right.IsValid(row) && (!a_valid || EqualTo(a[row], b[row]));
    out[row] = same == kEqual ? 1 : 0;
  });
}

template <class T, bool kGreatest>
void ExtremeLoop(const KernelCall& call) {
  T* out = call.Out<T>();
  uint8_t* valid = nullptr;
  bool nullable = true;
  for (const Vector& argument : call.arguments) nullable &= !argument.all_valid();
  if (nullable) {
    valid = call.evaluator.MakeValid(call.out);
    call.rows.ForEach([&](uint32_t row) { valid[row] = 0; });
  }
  std::vector<uint8_t> seen(call.evaluator.batch_rows(), 0);
  for (const Vector& argument : call.arguments) {
    const Reader<T> in(argument);
    call.rows.ForEach([&](uint32_t row) {
      if (!argument.IsValid(row)) return;
      if (seen[row] == 0 || (kGreatest ? LessThan(out[row], in[row]) : LessThan(in[row], out[row])))
        out[row] = in[row];
      seen[row] = 1;
      if (valid != nullptr) valid[row] = 1;
    });
  }
}

constexpr size_t kScannedItemsMax = 12;  // up to here a scan beats a search

}  // namespace

struct InList {
  Column values;                               // one row per item
  std::unordered_set<std::string_view> texts;  // of a long list of strings, views of `values`
  bool sorted = false;                         // a long list of anything else
  bool has_null = false;
};

namespace {

template <class T>
bool Contains(const InList& list, std::span<const T> items, const T& value) {
  if constexpr (std::is_same_v<T, Utf8View>) {
    if (!list.texts.empty()) return list.texts.contains(value.view());
  } else if (list.sorted) {
    const auto at = std::lower_bound(items.begin(), items.end(), value,
                                     [](const T& a, const T& b) { return LessThan(a, b); });
    return at != items.end() && EqualTo(*at, value);
  }
  bool found = false;
  for (const T& item : items) found |= EqualTo(item, value);
  return found;
}

template <class T, bool kNegated>
void InLoop(const KernelCall& call) {
  const auto& list = call.Data<InList>();
  const std::span<const T> items = list.values.Values<T>();
  const T* in = call.arguments[0].Values<T>();
  auto* out = call.Out<uint8_t>();
  uint8_t* valid = list.has_null ? call.evaluator.MakeValid(call.out) : nullptr;
  call.ForEachValid([&](uint32_t row) {
    const bool found = Contains<T>(list, items, in[row]);
    out[row] = found != kNegated ? 1 : 0;
    if (!found && valid != nullptr) valid[row] = 0;
  });
}

}  // namespace

ExpressionNode::KernelFunction CompareKernel(Comparison comparison, const Type& a, const Type& b) {
  if (a.kind != b.kind || a.kind > TypeKind::kDuration) return nullptr;
  switch (comparison) {
    case Comparison::kEqual:
      return KernelOf<Comparison::kEqual>(a, b);
    case Comparison::kNotEqual:
      return KernelOf<Comparison::kNotEqual>(a, b);
    case Comparison::kLess:
      return KernelOf<Comparison::kLess>(a, b);
    default:
      return KernelOf<Comparison::kLessEqual>(a, b);
  }
}

ExpressionNode::KernelFunction DistinctKernel(bool equal, const Type& type) {
  return VisitKind(type.kind, [&]<TypeKind kKind>() -> ExpressionNode::KernelFunction {
    using T = Physical<kKind>;
    return equal ? DistinctLoop<T, true> : DistinctLoop<T, false>;
  });
}

ExpressionNode::KernelFunction ExtremeKernel(bool greatest, const Type& type) {
  return VisitKind(type.kind, [&]<TypeKind kKind>() -> ExpressionNode::KernelFunction {
    using T = Physical<kKind>;
    return greatest ? ExtremeLoop<T, true> : ExtremeLoop<T, false>;
  });
}

ExpressionNode::KernelFunction InKernel(bool negated, const Type& type) {
  return VisitKind(type.kind, [&]<TypeKind kKind>() -> ExpressionNode::KernelFunction {
    using T = Physical<kKind>;
    return negated ? InLoop<T, true> : InLoop<T, false>;
  });
}

std::shared_ptr<const InList> MakeInList(const Type& type, std::span<const NodeRef> constants,
                                         bool has_null) {
  auto list = std::make_shared<InList>();
  list->has_null = has_null;
  ColumnBuilder builder(type, static_cast<uint32_t>(constants.size()));
  for (const NodeRef& constant : constants) builder.AppendFrom(constant->constant, 0);
  list->values = builder.Build();
  if (constants.size() <= kScannedItemsMax) return list;
  if (type.is_text()) {
    for (const Utf8View& text : list->values.Values<Utf8View>()) list->texts.insert(text.view());
    return list;
  }
  std::vector<uint32_t> order(constants.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return CompareValues(type, list->values, a, list->values, b) < 0;
  });
  list->values = list->values.Take(order);
  list->sorted = true;
  return list;
}

int CompareValues(const Type& type, const Column& a, uint32_t a_row, const Column& b,
                  uint32_t b_row) {
  return VisitKind(type.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    const T& x = a.Values<T>()[a_row];
    const T& y = b.Values<T>()[b_row];
    return LessThan(x, y) ? -1 : LessThan(y, x) ? 1 : 0;
  });
}

}  // namespace weir
