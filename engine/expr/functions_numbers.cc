// numbers

#include <algorithm>
#include <cmath>

#include "engine/data/decimal.h"
#include "engine/expr/functions.h"
#include "engine/expr/loops.h"
#include "engine/expr/problem_codes.h"

namespace weir {
namespace {

enum class Rounding : uint8_t { kCeil, kFloor, kRound, kTrunc };

template <Rounding kRounding>
double RoundFloat(double value) {
  if constexpr (kRounding == Rounding::kCeil) return std::ceil(value);
  if constexpr (kRounding == Rounding::kFloor) return std::floor(value);
  if constexpr (kRounding == Rounding::kRound) return std::round(value);
  return std::trunc(value);
}
template <class T, Rounding kRounding>
struct RoundWhole {
  static T Apply(T value) {
    return static_cast<T>(RoundFloat<kRounding>(static_cast<double>(value)));
  }
};

/// Digits behind the point of `round` and `trunc` of a float.
template <class T, Rounding kRounding>
void RoundDigitsLoop(const KernelCall& call) {
  const double power = call.Data<double>();
  const Reader<T> in(call.arguments[0]);
  T* out = call.Out<T>();
  call.rows.ForEach([&](uint32_t row) {
    const double scaled = static_cast<double>(in[row]) * power;
    // Beyond 2^53 there are no fraction digits to lose.
    out[row] = std::fabs(scaled) < 9007199254740992.0
                   ? static_cast<T>(RoundFloat<kRounding>(scaled) / power)
                   : in[row];
  });
}

template <Rounding kRounding>
void RoundDecimalLoop(const KernelCall& call) {
  const int from = call.node.arguments[0]->type.scale;
  const Int128 divisor = PowerOfTen(from - call.node.type.scale);
  const auto* in = call.arguments[0].Values<Int128>();
  auto* out = call.Out<Int128>();
  call.rows.ForEach([=](uint32_t row) {
    const Int128 value = in[row];
    Int128 quotient = value / divisor;
    const Int128 rest = value % divisor;
    if constexpr (kRounding == Rounding::kCeil) quotient += rest > 0 ? 1 : 0;
    if constexpr (kRounding == Rounding::kFloor) quotient -= rest < 0 ? 1 : 0;
    if constexpr (kRounding == Rounding::kRound) {
      const Int128 magnitude = rest < 0 ? -rest : rest;
      if (divisor > 1 && magnitude >= divisor - magnitude) quotient += value < 0 ? -1 : 1;
    }
    out[row] = quotient;
  });
}

template <Rounding kRounding>
NodeRef BindRounding(Binder& binder, FunctionCall& call) {
  NodeRef operand = call.arguments[0];
  int digits = 0;
  if (call.arguments.size() == 2) {
    const std::optional<double> number = binder.ConstantNumber(call, 1, "the number of digits");
    if (!number) return nullptr;
    if (!(*number >= 0 && *number <= kDecimalPrecisionMax) || *number != std::floor(*number)) {
      return binder.Problem(call.raw[1], kProblemArguments,
                            "the number of digits must be a whole number from 0 to 38");
    }
    digits = static_cast<int>(*number);
  }
  const std::string name(call.function.doc.name);
  const Type type = operand->type;
  switch (type.kind) {
    case TypeKind::kInt32:
    case TypeKind::kInt64:
      return operand;
    case TypeKind::kFloat32:
    case TypeKind::kFloat64: {
      const bool wide = type.kind == TypeKind::kFloat64;
      if (digits == 0) {
        return binder.Strict(type, name,
                             wide ? UnaryLoop<double, double, RoundWhole<double, kRounding>>
                                  : UnaryLoop<float, float, RoundWhole<float, kRounding>>,
                             {std::move(operand)});
      }
      return binder.Strict(
          type, name + std::to_string(digits),
          wide ? RoundDigitsLoop<double, kRounding> : RoundDigitsLoop<float, kRounding>,
          {std::move(operand)}, std::make_shared<double>(std::pow(10.0, digits)));
    }
    case TypeKind::kDecimal: {
      const int scale = std::min<int>(digits, type.scale);
      const int precision = std::min(kDecimalPrecisionMax, type.precision - type.scale + scale + 1);
      return binder.Strict(Type::Decimal(precision, scale), name, RoundDecimalLoop<kRounding>,
                           {std::move(operand)});
    }
    default:
      return binder.WrongArguments(call);
  }
}

NodeRef BindAbs(Binder& binder, FunctionCall& call) {
  const std::optional<Operation> operation = AbsoluteOf(call.arguments[0]->type);
  if (!operation) return binder.WrongArguments(call);
  return binder.Strict(operation->result, "abs", operation->kernel, {call.arguments[0]});
}
NodeRef BindMod(Binder& binder, FunctionCall& call) {
  return binder.Arithmetic('%', call.arguments[0], call.arguments[1], call.node);
}

template <class T>
struct SignOf {
  static int32_t Apply(T value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }
};
struct SignOfFloat {
  static double Apply(double value) {
    return std::isnan(value) ? value : value > 0 ? 1 : value < 0 ? -1 : 0;
  }
};
NodeRef BindSign(Binder& binder, FunctionCall& call) {
  NodeRef operand = call.arguments[0];
  const Type int32 = Type::Of(TypeKind::kInt32);
  switch (operand->type.kind) {
    case TypeKind::kInt32:
      return binder.Strict(int32, "sign", UnaryLoop<int32_t, int32_t, SignOf<int32_t>>,
                           {std::move(operand)});
    case TypeKind::kInt64:
      return binder.Strict(int32, "sign", UnaryLoop<int64_t, int32_t, SignOf<int64_t>>,
                           {std::move(operand)});
    case TypeKind::kDecimal:
      return binder.Strict(int32, "sign", UnaryLoop<Int128, int32_t, SignOf<Int128>>,
                           {std::move(operand)});
    case TypeKind::kFloat32:
    case TypeKind::kFloat64: {
      const Type float64 = Type::Of(TypeKind::kFloat64);
      return binder.Strict(float64, "sign", UnaryLoop<double, double, SignOfFloat>,
                           {binder.Coerce(operand, float64)});
    }
    default:
      return binder.WrongArguments(call);
  }
}

void FailDomain(const KernelCall& call, uint32_t row) {
  call.Fail(row, RecordCode::kExpressionOverflow,
            call.node.text + " has no float64 result for this argument");
}
/// Functions of one float64; a result that is no number, or infinite for a finite argument, is an
/// error.
template <double (*kFunction)(double)>
struct FloatFunction {
  static bool Apply(double value, double* result) {
    *result = kFunction(value);
    return (std::isnan(*result) && !std::isnan(value)) ||
           (std::isinf(*result) && !std::isinf(value));
  }
  static void Explain(const KernelCall& call, uint32_t row, double) { FailDomain(call, row); }
};
struct Power {
  static bool Apply(double base, double exponent, double* result) {
    *result = std::pow(base, exponent);
    const bool known = !std::isnan(base) && !std::isnan(exponent);
    return (std::isnan(*result) && known) ||
           (std::isinf(*result) && !std::isinf(base) && !std::isinf(exponent));
  }
  static void Explain(const KernelCall& call, uint32_t row, double base, double) {
    if (base == 0) {
      call.Fail(row, RecordCode::kExpressionDivisionByZero, "zero raised to a negative power");
    } else {
      FailDomain(call, row);
    }
  }
};

void WidthBucketLoop(const KernelCall& call) {
  const Reader<double> value(call.arguments[0]);
  const Reader<double> low(call.arguments[1]);
  const Reader<double> high(call.arguments[2]);
  const Reader<int64_t> buckets(call.arguments[3]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    const double x = value[row], a = low[row], b = high[row];
    const int64_t n = buckets[row];
    if (n <= 0 || n == INT64_MAX || std::isnan(x) || !std::isfinite(a) || !std::isfinite(b) ||
        a == b) {
      call.Fail(row, RecordCode::kExpressionOverflow,
                "width_bucket needs a number, finite unequal bounds and at least one bucket");
      return;
    }
    const bool rising = a < b;
    if (rising ? x < a : x > a) {
      out[row] = 0;
    } else if (rising ? x >= b : x <= b) {
      out[row] = n + 1;
    } else {
      out[row] = std::min(n, static_cast<int64_t>((x - a) / (b - a) * static_cast<double>(n)) + 1);
    }
  });
}

}  // namespace

void AddNumbers(std::vector<Function>& table) {
  const auto custom = [&](FunctionDoc doc, int least, int most,
                          NodeRef (*bind)(Binder&, FunctionCall&)) {
    doc.group = "numbers";
    doc.null_rule = "strict";
    Function function;
    function.doc = doc;
    function.least = least;
    function.most = most;
    function.bind = bind;
    table.push_back(function);
  };
  const auto simple = [&](FunctionDoc doc, const char* parameters, TypeKind result,
                          ExpressionNode::KernelFunction kernel) {
    doc.group = "numbers";
    doc.null_rule = "strict";
    Function function;
    function.doc = doc;
    function.parameters = parameters;
    function.result = result;
    function.kernel = kernel;
    table.push_back(function);
  };
  custom({.name = "abs",
          .signature = "abs(number) -> type of it",
          .doc = "The absolute value.",
          .example = "abs(-3)"},
         1, 1, BindAbs);
  custom({.name = "ceil",
          .signature = "ceil(number) -> number",
          .doc = "The least whole number that is not less.",
          .example = "ceil(1.2)"},
         1, 1, BindRounding<Rounding::kCeil>);
  custom({.name = "floor",
          .signature = "floor(number) -> number",
          .doc = "The greatest whole number that is not greater.",
          .example = "floor(-1.2)"},
         1, 1, BindRounding<Rounding::kFloor>);
  custom(
      {.name = "round",
       .signature = "round(number [, digits]) -> number",
       .doc = "Rounded half away from zero to a constant number of fraction digits, 0 by default.",
       .example = "round(2.345, 2)"},
      1, 2, BindRounding<Rounding::kRound>);
  custom({.name = "trunc",
          .signature = "trunc(number [, digits]) -> number",
          .doc = "Cut to a constant number of fraction digits, 0 by default.",
          .example = "trunc(-1.9)"},
         1, 2, BindRounding<Rounding::kTrunc>);
  custom({.name = "sign",
          .signature = "sign(number) -> int32 | float64",
          .doc = "-1, 0 or 1.",
          .example = "sign(-2.5)"},
         1, 1, BindSign);
  custom({.name = "mod",
          .signature = "mod(x, y) -> as x % y",
          .doc = "The remainder, with the sign of x.",
          .example = "mod(7, 3)"},
         2, 2, BindMod);
  simple({.name = "sqrt",
          .signature = "sqrt(number) -> float64",
          .doc = "The square root.",
          .example = "sqrt(2)"},
         "n", TypeKind::kFloat64, CheckedUnaryLoop<double, double, FloatFunction<std::sqrt>>);
  simple({.name = "exp",
          .signature = "exp(number) -> float64",
          .doc = "e to that power.",
          .example = "exp(1)"},
         "n", TypeKind::kFloat64, CheckedUnaryLoop<double, double, FloatFunction<std::exp>>);
  simple({.name = "ln",
          .signature = "ln(number) -> float64",
          .doc = "The natural logarithm.",
          .example = "ln(10)"},
         "n", TypeKind::kFloat64, CheckedUnaryLoop<double, double, FloatFunction<std::log>>);
  simple({.name = "log10",
          .signature = "log10(number) -> float64",
          .doc = "The logarithm of base 10.",
          .example = "log10(1000)"},
         "n", TypeKind::kFloat64, CheckedUnaryLoop<double, double, FloatFunction<std::log10>>);
  simple({.name = "power",
          .signature = "power(x, y) -> float64",
          .doc = "x to the power of y.",
          .example = "power(2, 10)"},
         "nn", TypeKind::kFloat64, CheckedBinaryLoop<double, double, double, Power>);
  simple({.name = "width_bucket",
          .signature = "width_bucket(x, low, high, buckets) -> int64",
          .doc = "The number of the equally wide bucket that x falls into; 0 below the range, "
                 "buckets + 1 above.",
          .example = "width_bucket(5.3, 0, 10, 5)"},
         "nnni", TypeKind::kInt64, WidthBucketLoop);
}

}  // namespace weir
