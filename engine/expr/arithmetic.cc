#include "engine/expr/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/data/decimal.h"
#include "engine/expr/loops.h"
#include "engine/expr/wide_integer.h"

namespace weir {
namespace {

constexpr std::string_view kDivisionByZero = "division by zero";

template <class T>
std::string NumberText(T value) {
  if constexpr (std::is_same_v<T, Int128>) {
    return DecimalToString(value, 0);
  } else {
    return std::to_string(value);
  }
}

template <class A, class B>
void ExplainOverflow(const KernelCall& call, uint32_t row, A a, B b) {
  call.Fail(row, RecordCode::kExpressionOverflow,
            NumberText(a) + " " + call.node.text + " " + NumberText(b) + " does not fit " +
                call.node.type.ToString());
}

template <class T>
struct Add {
  static bool Apply(T a, T b, T* r) {
    if constexpr (std::is_floating_point_v<T>) {
      *r = a + b;
      return std::isinf(*r) && !std::isinf(a) && !std::isinf(b);
    } else {
      return __builtin_add_overflow(a, b, r);
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, T a, T b) {
    ExplainOverflow(call, row, a, b);
  }
};
template <class T>
struct Subtract {
  static bool Apply(T a, T b, T* r) {
    if constexpr (std::is_floating_point_v<T>) {
      *r = a - b;
      return std::isinf(*r) && !std::isinf(a) && !std::isinf(b);
    } else {
      return __builtin_sub_overflow(a, b, r);
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, T a, T b) {
    ExplainOverflow(call, row, a, b);
  }
};
template <class T>
struct Times {
  static bool Apply(T a, T b, T* r) {
    if constexpr (std::is_floating_point_v<T>) {
      *r = a * b;
      return std::isinf(*r) && !std::isinf(a) && !std::isinf(b);
    } else {
      return __builtin_mul_overflow(a, b, r);
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, T a, T b) {
    ExplainOverflow(call, row, a, b);
  }
};
template <class T>
struct Quotient {
  static bool Apply(T a, T b, T* r) {
    if constexpr (std::is_floating_point_v<T>) {
      if (b == 0) {
        *r = 0;
        return !std::isnan(a);
      }
      *r = a / b;
      return std::isinf(*r) && !std::isinf(a);
    } else {
      if (b == 0 || (b == -1 && a == std::numeric_limits<T>::min())) {
        *r = 0;
        return true;
      }
      *r = a / b;
      return false;
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, T a, T b) {
    if (b == 0) {
      call.Fail(row, RecordCode::kExpressionDivisionByZero, kDivisionByZero);
    } else {
      ExplainOverflow(call, row, a, b);
    }
  }
};
template <class T>
struct Remainder {
  static bool Apply(T a, T b, T* r) {
    if (b == 0) {
      *r = 0;
      return true;
    }
    *r = b == -1 ? 0 : a % b;
    return false;
  }
  static void Explain(const KernelCall& call, uint32_t row, T, T) {
    call.Fail(row, RecordCode::kExpressionDivisionByZero, kDivisionByZero);
  }
};

/// Division by a constant as a multiplication by its reciprocal: the estimate is at most two too
/// small.
template <class T, bool kQuotient>
void DivideByConstant(const KernelCall& call) {
  using U = std::make_unsigned_t<T>;
  using Twice = std::conditional_t<sizeof(T) == 4, uint64_t, Uint128>;
  const T divisor = call.arguments[1].Values<T>()[0];
  const U magnitude =
      divisor < 0 ? static_cast<U>(0) - static_cast<U>(divisor) : static_cast<U>(divisor);
  const U reciprocal = static_cast<U>(~U{0} / magnitude);
  constexpr int kBits = sizeof(T) * 8;
  const T* in = call.arguments[0].Values<T>();
  T* out = call.Out<T>();
  call.rows.ForEach([=](uint32_t row) {
    const T value = in[row];
    const U n = value < 0 ? static_cast<U>(0) - static_cast<U>(value) : static_cast<U>(value);
    U quotient = static_cast<U>((static_cast<Twice>(n) * reciprocal) >> kBits);
    U rest = static_cast<U>(n - quotient * magnitude);
    for (int i = 0; i < 2; ++i) {
      const U more = rest >= magnitude ? 1 : 0;
      quotient += more;
      rest = static_cast<U>(rest - (more != 0 ? magnitude : 0));
    }
    const U result = kQuotient ? quotient : rest;
    const bool negative = kQuotient ? (value < 0) != (divisor < 0) : value < 0;
    out[row] = static_cast<T>(negative ? static_cast<U>(0) - result : result);
  });
}
template <class T, bool kQuotient>
void DivideLoop(const KernelCall& call) {
  const Vector& divisor = call.arguments[1];
  if (divisor.constant) {
    const T value = divisor.Values<T>()[0];
    if (value != 0 && value != -1) return DivideByConstant<T, kQuotient>(call);
  }
  CheckedBinaryLoop<T, T, T, std::conditional_t<kQuotient, Quotient<T>, Remainder<T>>>(call);
}

// Decimals. The plain loops serve what provably fits; the exact ones work on magnitudes of 256 bits
// where 128 do not suffice.

struct DecimalScales {
  int a = 0, b = 0, exact = 0, result = 0;  // of the operands, of the exact result, of the result
};

struct PlainAdd {
  static Int128 Apply(Int128 a, Int128 b) {
    return static_cast<Int128>(static_cast<Uint128>(a) + static_cast<Uint128>(b));
  }
};
struct PlainSubtract {
  static Int128 Apply(Int128 a, Int128 b) {
    return static_cast<Int128>(static_cast<Uint128>(a) - static_cast<Uint128>(b));
  }
};
struct PlainTimes {
  static Int128 Apply(Int128 a, Int128 b) {
    return static_cast<Int128>(static_cast<Uint128>(a) * static_cast<Uint128>(b));
  }
};

/// magnitude / divisor, half away from zero; empty above 38 digits.
std::optional<Int128> RoundedQuotient(const Wide& dividend, const Wide& divisor, bool negative) {
  WideQuotient parts;
  if (dividend.high == 0 && divisor.high == 0) {
    parts.quotient.low = dividend.low / divisor.low;
    parts.rest.low = dividend.low % divisor.low;
  } else {
    parts = Divide(dividend, divisor);
  }
  if (!(parts.rest.Doubled() < divisor)) parts.quotient = parts.quotient + Wide{0, 1};
  const auto limit = static_cast<Uint128>(PowerOfTen(kDecimalPrecisionMax));
  if (parts.quotient.high != 0 || parts.quotient.low >= limit) return std::nullopt;
  const auto value = static_cast<Int128>(parts.quotient.low);
  return negative ? -value : value;
}

/// |value| * 10^power, power <= 76.
Wide Scaled(Int128 value, int power) {
  const Uint128 magnitude = MagnitudeOf(value);
  if (power <= kDecimalPrecisionMax)
    return Multiply(magnitude, static_cast<Uint128>(PowerOfTen(power)));
  const Wide first = Multiply(magnitude, static_cast<Uint128>(PowerOfTen(kDecimalPrecisionMax)));
  const auto rest = static_cast<Uint128>(PowerOfTen(power - kDecimalPrecisionMax));
  Wide product = Multiply(first.low, rest);
  product.high += first.high * rest;
  return product;
}
Wide PowerWide(int power) { return Scaled(1, power); }

std::optional<Int128> ExactAdd(const DecimalScales& s, Int128 a, Int128 b) {
  const Wide x = Scaled(a, s.exact - s.a);
  const Wide y = Scaled(b, s.exact - s.b);
  const bool a_negative = a < 0;
  const bool b_negative = b < 0;
  if (a_negative == b_negative)
    return RoundedQuotient(x + y, PowerWide(s.exact - s.result), a_negative);
  const bool x_larger = y < x;
  return RoundedQuotient(x_larger ? x - y : y - x, PowerWide(s.exact - s.result),
                         x_larger ? a_negative : b_negative);
}
std::optional<Int128> ExactTimes(const DecimalScales& s, Int128 a, Int128 b) {
  return RoundedQuotient(Multiply(MagnitudeOf(a), MagnitudeOf(b)), PowerWide(s.exact - s.result),
                         (a < 0) != (b < 0));
}
std::optional<Int128> ExactQuotient(const DecimalScales& s, Int128 a, Int128 b) {
  // a / 10^sa / (b / 10^sb) * 10^result
  const int power = s.result - s.a + s.b;
  if (power >= 0)
    return RoundedQuotient(Scaled(a, power), Wide{0, MagnitudeOf(b)}, (a < 0) != (b < 0));
  return RoundedQuotient(Wide{0, MagnitudeOf(a)}, Scaled(b, -power), (a < 0) != (b < 0));
}
std::optional<Int128> ExactRemainder(const DecimalScales& s, Int128 a, Int128 b) {
  const Wide rest = Divide(Scaled(a, s.exact - s.a), Scaled(b, s.exact - s.b)).rest;
  return RoundedQuotient(rest, PowerWide(s.exact - s.result), a < 0);
}

template <char kOp>
void DecimalLoop(const KernelCall& call) {
  const DecimalScales scales = call.Data<DecimalScales>();
  const auto limit = static_cast<Uint128>(PowerOfTen(call.node.type.precision));
  Int128* out = call.Out<Int128>();
  const Reader<Int128> left(call.arguments[0]);
  const Reader<Int128> right(call.arguments[1]);
  call.ForEachValid([&](uint32_t row) {
    const Int128 a = left[row];
    const Int128 b = right[row];
    if ((kOp == '/' || kOp == '%') && b == 0) {
      call.Fail(row, RecordCode::kExpressionDivisionByZero, kDivisionByZero);
      return;
    }
    std::optional<Int128> result;
    if constexpr (kOp == '+') result = ExactAdd(scales, a, b);
    if constexpr (kOp == '-') result = ExactAdd(scales, a, -b);
    if constexpr (kOp == '*') result = ExactTimes(scales, a, b);
    if constexpr (kOp == '/') result = ExactQuotient(scales, a, b);
    if constexpr (kOp == '%') result = ExactRemainder(scales, a, b);
    if (!result || MagnitudeOf(*result) >= limit) {
      call.Fail(row, RecordCode::kExpressionOverflow,
                DecimalToString(a, scales.a) + " " + call.node.text + " " +
                    DecimalToString(b, scales.b) + " does not fit " + call.node.type.ToString());
      return;
    }
    out[row] = *result;
  });
}

/// Both operands already at the result's scale, and the result provably fits.
template <char kOp>
void AlignedDecimalLoop(const KernelCall& call) {
  const DecimalScales& scales = call.Data<DecimalScales>();
  const Int128 a_factor = PowerOfTen(scales.result - scales.a);
  const Int128 b_factor = PowerOfTen(scales.result - scales.b);
  Int128* out = call.Out<Int128>();
  WithArguments<Int128, Int128>(call, [&](auto a, auto b) {
    call.rows.ForEach([=](uint32_t row) {
      const Int128 x = PlainTimes::Apply(a(row), a_factor);
      const Int128 y = PlainTimes::Apply(b(row), b_factor);
      out[row] = kOp == '+' ? PlainAdd::Apply(x, y) : PlainSubtract::Apply(x, y);
    });
  });
}

std::optional<Operation> DecimalArithmetic(char op, const Type& a, const Type& b) {
  const Type result = DecimalResult(op, a, b);
  auto scales = std::make_shared<DecimalScales>();
  scales->a = a.scale;
  scales->b = b.scale;
  scales->exact = op == '*' ? a.scale + b.scale : std::max(a.scale, b.scale);
  scales->result = result.scale;
  const int precision =
      op == '*' ? a.precision + b.precision
                : std::max(a.precision - a.scale, b.precision - b.scale) + scales->exact + 1;
  const bool fits = precision <= kDecimalPrecisionMax && result.scale == scales->exact;
  ExpressionNode::KernelFunction kernel = nullptr;
  switch (op) {
    case '+':
      kernel = fits && a.scale == b.scale ? BinaryLoop<Int128, Int128, Int128, PlainAdd>
               : fits                     ? AlignedDecimalLoop<'+'>
                                          : DecimalLoop<'+'>;
      break;
    case '-':
      kernel = fits && a.scale == b.scale ? BinaryLoop<Int128, Int128, Int128, PlainSubtract>
               : fits                     ? AlignedDecimalLoop<'-'>
                                          : DecimalLoop<'-'>;
      break;
    case '*':
      kernel = fits ? BinaryLoop<Int128, Int128, Int128, PlainTimes> : DecimalLoop<'*'>;
      break;
    case '/':
      kernel = DecimalLoop<'/'>;
      break;
    case '%':
      kernel = DecimalLoop<'%'>;
      break;
    default:
      return std::nullopt;
  }
  return Operation{result, kernel, std::move(scales)};
}

template <class T>
ExpressionNode::KernelFunction NumberKernel(char op) {
  switch (op) {
    case '+':
      return CheckedBinaryLoop<T, T, T, Add<T>>;
    case '-':
      return CheckedBinaryLoop<T, T, T, Subtract<T>>;
    case '*':
      return CheckedBinaryLoop<T, T, T, Times<T>>;
    default:
      break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    return op == '/' ? CheckedBinaryLoop<T, T, T, Quotient<T>> : nullptr;
  } else {
    return op == '/' ? DivideLoop<T, true> : op == '%' ? DivideLoop<T, false> : nullptr;
  }
}

// Bits.

struct BitAnd {
  template <class T>
  static T Apply(T a, T b) {
    return a & b;
  }
};
struct BitOr {
  template <class T>
  static T Apply(T a, T b) {
    return a | b;
  }
};
struct BitXor {
  template <class T>
  static T Apply(T a, T b) {
    return a ^ b;
  }
};
template <class T, bool kLeft>
struct Shift {
  static bool Apply(T a, int32_t bits, T* r) {
    constexpr int kBits = sizeof(T) * 8;
    *r = 0;
    if (bits < 0 || bits >= kBits) return true;
    *r = kLeft ? static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) << bits)
               : static_cast<T>(a >> bits);
    return false;
  }
  static void Explain(const KernelCall& call, uint32_t row, T, int32_t bits) {
    call.Fail(row, RecordCode::kExpressionOverflow,
              "shift by " + std::to_string(bits) + " bits of " + call.node.type.ToString());
  }
};
template <class T>
ExpressionNode::KernelFunction BitKernel(char op) {
  switch (op) {
    case '&':
      return BinaryLoop<T, T, T, BitAnd>;
    case '|':
      return BinaryLoop<T, T, T, BitOr>;
    case '#':
      return BinaryLoop<T, T, T, BitXor>;
    case '<':
      return CheckedBinaryLoop<T, int32_t, T, Shift<T, true>>;
    default:
      return CheckedBinaryLoop<T, int32_t, T, Shift<T, false>>;
  }
}

// Sign.

template <class T>
struct Negate {
  static bool Apply(T a, T* r) {
    if constexpr (std::is_integral_v<T>) {
      return __builtin_sub_overflow(T{0}, a, r);
    } else if constexpr (std::is_same_v<T, Int128>) {
      *r = static_cast<Int128>(~static_cast<Uint128>(a) + 1);
      return false;
    } else {
      *r = -a;
      return false;
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, T a) {
    call.Fail(row, RecordCode::kExpressionOverflow,
              "the negative of " + NumberText(a) + " does not fit " + call.node.type.ToString());
  }
};
template <class T>
struct Absolute {
  static bool Apply(T a, T* r) {
    if constexpr (std::is_floating_point_v<T>) {
      *r = std::fabs(a);
      return false;
    } else {
      if (a < 0) return Negate<T>::Apply(a, r);
      *r = a;
      return false;
    }
  }
  static void Explain(const KernelCall& call, uint32_t row, T a) {
    Negate<T>::Explain(call, row, a);
  }
};

template <template <class> class Op>
std::optional<Operation> SignOperation(const Type& type) {
  switch (type.kind) {
    case TypeKind::kInt32:
      return Operation{type, CheckedUnaryLoop<int32_t, int32_t, Op<int32_t>>, nullptr};
    case TypeKind::kInt64:
    case TypeKind::kDuration:
      return Operation{type, CheckedUnaryLoop<int64_t, int64_t, Op<int64_t>>, nullptr};
    case TypeKind::kFloat32:
      return Operation{type, CheckedUnaryLoop<float, float, Op<float>>, nullptr};
    case TypeKind::kFloat64:
      return Operation{type, CheckedUnaryLoop<double, double, Op<double>>, nullptr};
    case TypeKind::kDecimal:
      return Operation{type, CheckedUnaryLoop<Int128, Int128, Op<Int128>>, nullptr};
    default:
      return std::nullopt;
  }
}

// Times.

struct DateMinusDate {
  static bool Apply(int32_t a, int32_t b, int32_t* r) { return __builtin_sub_overflow(a, b, r); }
  static void Explain(const KernelCall& call, uint32_t row, int32_t a, int32_t b) {
    ExplainOverflow(call, row, a, b);
  }
};
struct DurationTimes {
  static bool Apply(int64_t a, double factor, int64_t* r) {
    const double product = static_cast<double>(a) * factor;
    *r = 0;
    if (!(product > -9.2233720368547748e18 && product < 9.2233720368547748e18)) return true;
    *r = std::llround(product);
    return false;
  }
  static void Explain(const KernelCall& call, uint32_t row, int64_t a, double b) {
    ExplainOverflow(call, row, a, b);
  }
};
struct DurationQuotient {
  static bool Apply(int64_t a, double divisor, int64_t* r) {
    *r = 0;
    return divisor == 0 || DurationTimes::Apply(a, 1 / divisor, r);
  }
  static void Explain(const KernelCall& call, uint32_t row, int64_t a, double b) {
    if (b == 0) {
      call.Fail(row, RecordCode::kExpressionDivisionByZero, kDivisionByZero);
    } else {
      ExplainOverflow(call, row, a, b);
    }
  }
};

}  // namespace

Type CapDecimal(int precision, int scale) {
  if (precision <= kDecimalPrecisionMax) return Type::Decimal(precision, scale);
  const int digits = precision - scale;
  return Type::Decimal(kDecimalPrecisionMax,
                       std::max(kDecimalPrecisionMax - digits, std::min(scale, 6)));
}

Type DecimalResult(char op, const Type& a, const Type& b) {
  const int p1 = a.precision, s1 = a.scale, p2 = b.precision, s2 = b.scale;
  switch (op) {
    case '*':
      return CapDecimal(p1 + p2 + 1, s1 + s2);
    case '/': {
      const int scale = std::max(6, s1 + p2 + 1);
      return CapDecimal(p1 - s1 + s2 + scale, scale);
    }
    case '%': {
      const int scale = std::max(s1, s2);
      return CapDecimal(std::max(1, std::min(p1 - s1, p2 - s2) + scale), scale);
    }
    default: {
      const int scale = std::max(s1, s2);
      return CapDecimal(std::max(p1 - s1, p2 - s2) + scale + 1, scale);
    }
  }
}

std::optional<Operation> ArithmeticOf(char op, const Type& a, const Type& b) {
  if (a.kind != b.kind) return std::nullopt;
  ExpressionNode::KernelFunction kernel = nullptr;
  switch (a.kind) {
    case TypeKind::kInt32:
      kernel = NumberKernel<int32_t>(op);
      break;
    case TypeKind::kInt64:
      kernel = NumberKernel<int64_t>(op);
      break;
    case TypeKind::kFloat32:
      kernel = NumberKernel<float>(op);
      break;
    case TypeKind::kFloat64:
      kernel = NumberKernel<double>(op);
      break;
    case TypeKind::kDecimal:
      return DecimalArithmetic(op, a, b);
    default:
      break;
  }
  if (kernel == nullptr) return std::nullopt;
  return Operation{a, kernel, nullptr};
}

std::optional<Operation> BitOperationOf(char op, const Type& a, const Type& b) {
  if (!a.is_integer() || b.kind != (op == '<' || op == '>' ? TypeKind::kInt32 : a.kind))
    return std::nullopt;
  return Operation{a, a.kind == TypeKind::kInt32 ? BitKernel<int32_t>(op) : BitKernel<int64_t>(op),
                   nullptr};
}

std::optional<Operation> NegationOf(const Type& type) { return SignOperation<Negate>(type); }
std::optional<Operation> AbsoluteOf(const Type& type) { return SignOperation<Absolute>(type); }

std::optional<Operation> TimeArithmeticOf(char op, const Type& a, const Type& b) {
  constexpr auto kAdd = CheckedBinaryLoop<int64_t, int64_t, int64_t, Add<int64_t>>;
  constexpr auto kSubtract = CheckedBinaryLoop<int64_t, int64_t, int64_t, Subtract<int64_t>>;
  const TypeKind left = a.kind, right = b.kind;
  if (left == TypeKind::kTimestamp && right == TypeKind::kDuration && (op == '+' || op == '-'))
    return Operation{a, op == '+' ? kAdd : kSubtract, nullptr};
  if (left == TypeKind::kTimestamp && right == TypeKind::kTimestamp && op == '-')
    return Operation{Type::Of(TypeKind::kDuration), kSubtract, nullptr};
  if (left == TypeKind::kDuration && right == TypeKind::kDuration && (op == '+' || op == '-'))
    return Operation{a, op == '+' ? kAdd : kSubtract, nullptr};
  if (left == TypeKind::kDate && right == TypeKind::kInt32 && (op == '+' || op == '-')) {
    return Operation{a,
                     op == '+' ? CheckedBinaryLoop<int32_t, int32_t, int32_t, Add<int32_t>>
                               : CheckedBinaryLoop<int32_t, int32_t, int32_t, DateMinusDate>,
                     nullptr};
  }
  if (left == TypeKind::kDate && right == TypeKind::kDate && op == '-') {
    return Operation{Type::Of(TypeKind::kInt32),
                     CheckedBinaryLoop<int32_t, int32_t, int32_t, DateMinusDate>, nullptr};
  }
  if (left == TypeKind::kDuration && right == TypeKind::kInt64 && op == '*') {
    return Operation{a, CheckedBinaryLoop<int64_t, int64_t, int64_t, Times<int64_t>>, nullptr};
  }
  if (left == TypeKind::kDuration && right == TypeKind::kFloat64 && (op == '*' || op == '/')) {
    return Operation{a,
                     op == '*' ? CheckedBinaryLoop<int64_t, double, int64_t, DurationTimes>
                               : CheckedBinaryLoop<int64_t, double, int64_t, DurationQuotient>,
                     nullptr};
  }
  return std::nullopt;
}

}  // namespace weir
