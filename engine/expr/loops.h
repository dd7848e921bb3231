#pragma once
// Loops over rows from which kernels are made: one per combination of dense or selected rows and
// constant or varying arguments, the operation inlined. An operation is a struct with static
// functions, so nothing is called through a pointer per row.

#include "engine/expr/node.h"

namespace weir {

template <class T>
struct Varying {
  const T* values;
  const T& operator()(uint32_t row) const { return values[row]; }
};
template <class T>
struct Fixed {
  T value;
  const T& operator()(uint32_t) const { return value; }
};

/// Calls body(a, b) with accessors of both arguments. REQUIRES: not both constant (EvaluateStrict
/// sees to it).
template <class A, class B, class Body>
void WithArguments(const KernelCall& call, Body&& body) {
  const Vector& a = call.arguments[0];
  const Vector& b = call.arguments[1];
  if (b.constant) {
    body(Varying<A>{a.Values<A>()}, Fixed<B>{b.Values<B>()[0]});
  } else if (a.constant) {
    body(Fixed<A>{a.Values<A>()[0]}, Varying<B>{b.Values<B>()});
  } else {
    body(Varying<A>{a.Values<A>()}, Varying<B>{b.Values<B>()});
  }
}

/// Op::Apply(a) -> R, total also on what stands under NULL.
template <class A, class R, class Op>
void UnaryLoop(const KernelCall& call) {
  const A* in = call.arguments[0].Values<A>();
  R* out = call.Out<R>();
  call.rows.ForEach([=](uint32_t row) { out[row] = Op::Apply(in[row]); });
}

/// Op::Apply(a, b) -> R, total also on what stands under NULL.
template <class A, class B, class R, class Op>
void BinaryLoop(const KernelCall& call) {
  R* out = call.Out<R>();
  WithArguments<A, B>(call, [&](auto a, auto b) {
    call.rows.ForEach([=](uint32_t row) { out[row] = Op::Apply(a(row), b(row)); });
  });
}

/// As BinaryLoop, only on rows without NULL: for strings, whose bytes may not be looked at under
/// NULL.
template <class A, class B, class R, class Op>
void BinaryValidLoop(const KernelCall& call) {
  R* out = call.Out<R>();
  WithArguments<A, B>(call, [&](auto a, auto b) {
    call.ForEachValid([=](uint32_t row) { out[row] = Op::Apply(a(row), b(row)); });
  });
}

/// Op::Apply(a, &r) -> true if it fails; Op::Explain(call, row, a) reports. The first pass only
/// notes that something failed.
template <class A, class R, class Op>
void CheckedUnaryLoop(const KernelCall& call) {
  const A* in = call.arguments[0].Values<A>();
  R* out = call.Out<R>();
  bool failed = false;
  call.rows.ForEach([&](uint32_t row) { failed |= Op::Apply(in[row], &out[row]); });
  if (!failed) return;
  call.ForEachValid([&](uint32_t row) {
    R ignored{};
    if (Op::Apply(in[row], &ignored)) Op::Explain(call, row, in[row]);
  });
}

template <class A, class B, class R, class Op>
void CheckedBinaryLoop(const KernelCall& call) {
  R* out = call.Out<R>();
  WithArguments<A, B>(call, [&](auto a, auto b) {
    bool failed = false;
    call.rows.ForEach([&](uint32_t row) { failed |= Op::Apply(a(row), b(row), &out[row]); });
    if (!failed) return;
    call.ForEachValid([&](uint32_t row) {
      R ignored{};
      if (Op::Apply(a(row), b(row), &ignored)) Op::Explain(call, row, a(row), b(row));
    });
  });
}

}  // namespace weir
