// condition, conversion, random. coalesce, nullif, greatest and least have grammar of their own
// (bind.cc); their entries here are documentation.

#include <cmath>

#include "engine/expr/cast.h"
#include "engine/expr/functions.h"
#include "engine/expr/problem_codes.h"

namespace weir {
namespace {

NodeRef BindIf(Binder& binder, FunctionCall& call) {
  NodeRef condition = call.arguments[0];
  if (condition->type.kind == TypeKind::kNull) condition = MakeNull(Type::Of(TypeKind::kBool));
  if (condition->type.kind != TypeKind::kBool) return binder.WrongArguments(call);
  return binder.Case({condition, call.arguments[1]}, call.arguments[2], call.node);
}

NodeRef MakeTry(Binder& binder, NodeRef operand, std::string text) {
  if (operand == nullptr) return nullptr;
  ExpressionNode node;
  node.type = operand->type;
  node.nullable = true;
  node.evaluate = EvaluateTry;
  node.text = std::move(text);
  node.arguments = {std::move(operand)};
  return binder.Node(std::move(node));
}

NodeRef BindTry(Binder& binder, FunctionCall& call) {
  binder.EnterTry();
  NodeRef operand = binder.BindArguments(call) ? call.arguments[0] : nullptr;
  if (operand != nullptr && operand->type.kind == TypeKind::kNull)
    operand = binder.Problem(call.node, kProblemUntypedNull, "NULL has no type here");
  NodeRef result = MakeTry(binder, std::move(operand), "try");
  binder.LeaveTry();
  return result;
}

NodeRef BindTryCast(Binder& binder, FunctionCall& call) {
  binder.EnterTry();
  NodeRef result;
  if (binder.BindArguments(call)) {
    if (const std::optional<std::string> name =
            binder.ConstantText(call, 1, "the type of try_cast")) {
      const std::optional<Type> type = binder.TypeFromText(*name);
      if (!type) {
        binder.Problem(call.raw[1], kProblemCast, "there is no type '" + *name + "'",
                       "int64, decimal(18,2), timestamp ...");
      } else {
        NodeRef operand = call.arguments[0];
        result = operand->type == *type
                     ? operand
                     : MakeTry(binder, binder.Cast(operand, *type, call.node), "try");
      }
    }
  }
  binder.LeaveTry();
  return result;
}

NodeRef BindParam(Binder& binder, FunctionCall& call) {
  if (!binder.BindArguments(call)) return nullptr;
  const std::optional<std::string> name = binder.ConstantText(call, 0, "the name of a parameter");
  if (!name) return nullptr;
  std::vector<std::string> known;
  for (const Scope::Parameter& parameter : binder.scope().parameters) {
    known.push_back(parameter.name);
    if (parameter.name != *name) continue;
    if (!parameter.value) return MakeNull(parameter.type);
    std::optional<Column> value = ConstantFromText(parameter.type, *parameter.value);
    if (!value)
      return binder.Problem(
          call.node, kProblemLiteral,
          "the value of parameter '" + *name + "' is no " + parameter.type.ToString());
    return MakeConstant(std::move(*value));
  }
  const std::vector<std::string> close = Suggest(*name, known);
  return binder.Problem(
      call.raw[0], kProblemUnknownParameter, "parameter '" + *name + "' does not exist",
      close.empty() ? "declare it in `params`" : "did you mean '" + close.front() + "'?");
}

NodeRef BindByGrammar(Binder& binder, FunctionCall& call) {
  return binder.Problem(call.node, kProblemArguments,
                        std::string(call.function.doc.name) + " is not called like this",
                        "its form is " + std::string(call.function.doc.signature));
}

// random_*: one draw per row comes with the call of Evaluate; each node of a tree mixes its own
// number into it.

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}
uint64_t Draw(const KernelCall& call, uint32_t row, uint64_t salt) {
  return Mix(call.evaluator.random(row) +
             0x9E3779B97F4A7C15ULL * (2 * uint64_t{call.node.slot} + salt + 1));
}
double Unit(uint64_t draw) { return static_cast<double>(draw >> 11) * 0x1.0p-53; }

void RandomIntegerLoop(const KernelCall& call) {
  const Reader<int64_t> low(call.arguments[0]);
  const Reader<int64_t> high(call.arguments[1]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    if (low[row] > high[row]) {
      call.Fail(row, RecordCode::kExpressionOverflow,
                "the lower bound of a random value lies above the upper one");
      return;
    }
    const uint64_t width =
        static_cast<uint64_t>(high[row]) - static_cast<uint64_t>(low[row]) + 1;  // 0: all of int64
    const uint64_t draw = Draw(call, row, 0);
    const uint64_t offset =
        width == 0 ? draw : static_cast<uint64_t>((static_cast<Uint128>(draw) * width) >> 64);
    out[row] = static_cast<int64_t>(static_cast<uint64_t>(low[row]) + offset);
  });
}
void RandomNormalLoop(const KernelCall& call) {
  const Reader<double> mean(call.arguments[0]);
  const Reader<double> deviation(call.arguments[1]);
  auto* out = call.Out<double>();
  constexpr double kTwoPi = 6.283185307179586;
  call.ForEachValid([&](uint32_t row) {
    // Box and Muller; 1 - u is never 0.
    const double radius = std::sqrt(-2 * std::log(1 - Unit(Draw(call, row, 0))));
    out[row] = mean[row] + deviation[row] * radius * std::cos(kTwoPi * Unit(Draw(call, row, 1)));
  });
}

NodeRef MakeRandom(Binder& binder, FunctionCall& call, const Type& type, TypeKind argument,
                   ExpressionNode::KernelFunction kernel) {
  if (!binder.scope().random_allowed) {
    return binder.Problem(
        call.node, kProblemPlace,
        std::string(call.function.doc.name) + " stands only in the fields of a generator_source",
        "elsewhere a replay would give other values");
  }
  ExpressionNode node;
  node.kind = NodeKind::kRandom;
  node.type = type;
  node.text = std::string(call.function.doc.name);
  node.evaluate = EvaluateStrict;
  node.kernel = kernel;
  node.slot = binder.NextRandom();
  node.foldable = false;
  node.random = true;
  for (const NodeRef& some : call.arguments) {
    const bool fits = argument == TypeKind::kInt64     ? some->type.is_integer()
                      : argument == TypeKind::kFloat64 ? some->type.is_numeric()
                                                       : some->type.kind == argument;
    if (!fits) return binder.WrongArguments(call);
    node.arguments.push_back(binder.Coerce(some, Type::Of(argument)));
    node.nullable |= some->nullable;
  }
  return binder.Node(std::move(node));
}
NodeRef BindRandomInteger(Binder& binder, FunctionCall& call) {
  return MakeRandom(binder, call, Type::Of(TypeKind::kInt64), TypeKind::kInt64, RandomIntegerLoop);
}
NodeRef BindRandomNormal(Binder& binder, FunctionCall& call) {
  return MakeRandom(binder, call, Type::Of(TypeKind::kFloat64), TypeKind::kFloat64,
                    RandomNormalLoop);
}
NodeRef BindRandomDuration(Binder& binder, FunctionCall& call) {
  return MakeRandom(binder, call, Type::Of(TypeKind::kDuration), TypeKind::kDuration,
                    RandomIntegerLoop);
}

}  // namespace

void AddConditions(std::vector<Function>& table) {
  const auto add = [&](FunctionDoc doc, int least, int most,
                       NodeRef (*bind)(Binder&, FunctionCall&), bool binds_arguments) {
    Function function;
    function.doc = doc;
    function.least = least;
    function.most = most;
    function.bind = bind;
    function.binds_arguments = binds_arguments;
    table.push_back(function);
  };
  add({.name = "coalesce",
       .group = "condition",
       .signature = "coalesce(x, y, ...) -> common type",
       .doc = "The first argument that is not NULL; later ones are not computed.",
       .null_rule = "NULL if all are",
       .example = "coalesce(nickname, name, 'nobody')"},
      1, 100, BindByGrammar, false);
  add({.name = "nullif",
       .group = "condition",
       .signature = "nullif(x, y) -> type of x",
       .doc = "NULL if x = y, else x.",
       .null_rule = "x if y is NULL",
       .example = "nullif(code, 0)"},
      2, 2, BindByGrammar, false);
  add({.name = "if",
       .group = "condition",
       .signature = "if(condition, x, y) -> common type",
       .doc = "x where the condition is true, else y; only the chosen one is computed.",
       .null_rule = "a NULL condition takes y",
       .example = "if(price > 100, 'high', 'low')"},
      3, 3, BindIf, false);
  add({.name = "greatest",
       .group = "condition",
       .signature = "greatest(x, y, ...) -> common type",
       .doc = "The greatest argument.",
       .null_rule = "ignores NULL; NULL if all are",
       .example = "greatest(a, b)"},
      1, 100, BindByGrammar, false);
  add({.name = "least",
       .group = "condition",
       .signature = "least(x, y, ...) -> common type",
       .doc = "The least argument.",
       .null_rule = "ignores NULL; NULL if all are",
       .example = "least(a, b)"},
      1, 100, BindByGrammar, false);
  add({.name = "try_cast",
       .group = "conversion",
       .signature = "try_cast(x, 'type') -> type",
       .doc = "As CAST, but NULL where the value does not fit.",
       .null_rule = "NULL for NULL and for a row error",
       .example = "try_cast(code, 'int64')"},
      2, 2, BindTryCast, true);
  add({.name = "try",
       .group = "conversion",
       .signature = "try(x) -> type of x",
       .doc = "NULL where computing x fails.",
       .null_rule = "NULL for NULL and for a row error",
       .example = "try(a / b)"},
      1, 1, BindTry, true);
  add({.name = "param",
       .group = "conversion",
       .signature = "param('name') -> type of the parameter",
       .doc = "The value of a parameter of the job.",
       .null_rule = "the parameter's own nullability",
       .example = "param('limit')"},
      1, 1, BindParam, true);
  add({.name = "random_int",
       .group = "random",
       .signature = "random_int(low, high) -> int64",
       .doc = "A uniform integer, both bounds included; only in a generator_source, seeded.",
       .null_rule = "strict",
       .example = "random_int(1, 6)"},
      2, 2, BindRandomInteger, false);
  add({.name = "random_normal",
       .group = "random",
       .signature = "random_normal(mean, deviation) -> float64",
       .doc = "A normally distributed number; only in a generator_source, seeded.",
       .null_rule = "strict",
       .example = "random_normal(20, 8)"},
      2, 2, BindRandomNormal, false);
  add({.name = "random_duration",
       .group = "random",
       .signature = "random_duration(low, high) -> duration",
       .doc = "A uniform duration; only in a generator_source, seeded.",
       .null_rule = "strict",
       .example = "random_duration(INTERVAL '0 seconds', INTERVAL '3 seconds')"},
      2, 2, BindRandomDuration, false);
}

}  // namespace weir
