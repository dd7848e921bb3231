// Aggregate calls: their arguments are bound over the input, their result types follow from them
// alone; equal calls share one accumulator.

#include <algorithm>

#include "engine/expr/bind.h"
#include "engine/expr/functions.h"
#include "engine/expr/problem_codes.h"

namespace weir {
namespace {

const Type kInt64Type = Type::Of(TypeKind::kInt64);
const Type kFloat64Type = Type::Of(TypeKind::kFloat64);

/// The result type for an argument type; empty: not defined.
std::optional<Type> SumType(const Type& type) {
  if (type.is_integer()) return kInt64Type;
  if (type.is_float()) return kFloat64Type;
  if (type.kind == TypeKind::kDecimal) return Type::Decimal(kDecimalPrecisionMax, type.scale);
  return std::nullopt;
}
std::optional<Type> AverageType(const Type& type) {
  if (type.is_integer() || type.is_float()) return kFloat64Type;
  if (type.kind == TypeKind::kDecimal)
    return Type::Decimal(kDecimalPrecisionMax, std::max<int>(type.scale, 6));
  return std::nullopt;
}

FunctionDoc Aggregate(std::string_view name, std::string_view signature, std::string_view doc,
                      std::string_view example) {
  return {.name = name,
          .group = "aggregates",
          .signature = signature,
          .doc = doc,
          .null_rule = "ignores NULL; NULL if no input is left",
          .example = example,
          .aggregate = true};
}
FunctionDoc Count(std::string_view name, std::string_view signature, std::string_view doc,
                  std::string_view example) {
  FunctionDoc counted = Aggregate(name, signature, doc, example);
  counted.null_rule = "ignores NULL, except count(*); 0 if no input is left";
  return counted;
}
FunctionDoc PlannedAggregate(std::string_view name, std::string_view signature,
                             std::string_view doc) {
  FunctionDoc planned = Aggregate(name, signature, doc, "");
  planned.planned = true;
  return planned;
}

}  // namespace

void AddAggregates(std::vector<Function>& table) {
  table.push_back({.doc = Count("count", "count(*) | count(x) | count(DISTINCT x) -> int64",
                                "Counts rows, values that are not NULL, or distinct values.",
                                "count(DISTINCT user_id)")});
  table.push_back(
      {.doc = Aggregate("sum", "sum(number) -> int64 | decimal(38,s) | float64",
                        "The sum: int64 of integers, decimal(38,s) of decimals, float64 of floats. "
                        "Integers and decimals overflow only if the result does.",
                        "sum(price)")});
  table.push_back(
      {.doc = Aggregate("avg", "avg(number) -> float64 | decimal(38,s)",
                        "The mean: float64, of decimals a decimal of at least 6 fraction digits.",
                        "avg(latency_ms)")});
  table.push_back(
      {.doc = Aggregate("min", "min(x) -> type of x", "The least value.", "min(price)")});
  table.push_back(
      {.doc = Aggregate("max", "max(x) -> type of x", "The greatest value.", "max(price)")});
  table.push_back({.doc = Aggregate("first", "first(x) -> type of x",
                                    "The value of the earliest row by event time, then arrival.",
                                    "first(page)")});
  table.push_back(
      {.doc = Aggregate("last", "last(x) -> type of x",
                        "The value of the latest row by event time, then arrival.", "last(page)")});
  table.push_back({.doc = Aggregate("bool_and", "bool_and(bool) -> bool",
                                    "Whether all values are true.", "bool_and(paid)")});
  table.push_back({.doc = Aggregate("bool_or", "bool_or(bool) -> bool",
                                    "Whether any value is true.", "bool_or(failed)")});
  FunctionDoc deviation =
      Aggregate("stddev_samp", "stddev_samp(number) -> float64",
                "The standard deviation of the sample.", "stddev_samp(latency_ms)");
  deviation.null_rule = "ignores NULL; NULL below 2 values";
  table.push_back({.doc = deviation});
  table.push_back({.doc = Count("approx_count_distinct", "approx_count_distinct(x) -> int64",
                                "About how many distinct values: HyperLogLog, error about 0.8 %.",
                                "approx_count_distinct(user_id)")});
  table.push_back({.doc = Aggregate("percentile", "percentile(number, q) -> float64",
                                    "The q-quantile, 0 <= q <= 1, by t-digest; q is a constant.",
                                    "percentile(latency_ms, 0.99)")});
  table.push_back(
      {.doc = PlannedAggregate("any_value", "any_value(x) -> type of x", "Some value.")});
  table.push_back({.doc = PlannedAggregate("min_by", "min_by(x, k) -> type of x",
                                           "The x of the row with the least k.")});
  table.push_back({.doc = PlannedAggregate("max_by", "max_by(x, k) -> type of x",
                                           "The x of the row with the greatest k.")});
  table.push_back({.doc = PlannedAggregate("var_samp", "var_samp(number) -> float64",
                                           "The variance of the sample.")});
  table.push_back(
      {.doc = PlannedAggregate("array_agg", "array_agg(x ORDER BY y) -> array", "All values.")});
  table.push_back({.doc = PlannedAggregate("string_agg", "string_agg(x, separator) -> string",
                                           "All texts, joined.")});
  table.push_back(
      {.doc = PlannedAggregate("map_agg", "map_agg(k, v) -> map", "All pairs as a map.")});
  table.push_back(
      {.doc = PlannedAggregate("top_k", "top_k(x, k) -> array", "The most frequent values.")});
  table.push_back({.doc = PlannedAggregate("histogram", "histogram(x) -> map",
                                           "How often each value occurs.")});
}

NodeRef Binder::BindAggregate(const Function& function, const PgQuery__Node* node) {
  const PgQuery__FuncCall& call = *node->func_call;
  const std::string name(function.doc.name);
  if (inside_aggregate_)
    return Problem(node, kProblemAggregate, "an aggregate cannot stand inside another",
                   "compute the inner one in an aggregate node before");
  if (aggregates_ == nullptr || calls_ == nullptr) {
    return Problem(node, kProblemAggregate,
                   "aggregate '" + name + "' stands only in `aggregates` and `having`",
                   "use an aggregate node");
  }
  if (call.n_agg_order != 0)
    return Problem(node, kProblemAggregate, "ORDER BY has no meaning in " + name);
  AggregateCall bound;
  bound.function = name;
  bound.distinct = call.agg_distinct != 0;
  Binder inner(aggregates_->input, text_, problems_);
  inner.inside_aggregate_ = true;
  inner.depth_ = depth_;
  inner.nodes_ = nodes_;
  std::vector<NodeRef> arguments;
  bool ok = true;
  for (size_t i = 0; i < call.n_args; ++i) {
    arguments.push_back(inner.Bind(call.args[i]));
    ok &= arguments.back() != nullptr;
  }
  NodeRef filter;
  if (call.agg_filter != nullptr) {
    filter = inner.BindCondition(call.agg_filter, "the condition of FILTER");
    ok &= filter != nullptr;
  }
  nodes_ = inner.nodes_;
  const size_t wanted = name == "percentile" ? 2 : 1;
  const bool star = call.agg_star != 0;
  if (star ? name != "count" || bound.distinct : call.n_args != wanted) {
    return Problem(
        node, kProblemArguments,
        star ? "'*' stands only in count(*)"
             : name + " does not take " + std::to_string(call.n_args) +
                   (call.n_args == 1 ? " argument" : " arguments"),
        name == "count" ? "write count(*)" : "its form is " + std::string(function.doc.signature));
  }
  if (!ok) return nullptr;
  if (bound.distinct && name != "count") {
    return Problem(node, kProblemPlanned,
                   "DISTINCT in " + name + " is planned, not in this version",
                   name == "min" || name == "max" || name == "bool_and" || name == "bool_or"
                       ? "it changes nothing: leave it out"
                       : "");
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i]->type.kind == TypeKind::kNull)
      return Problem(call.args[i], kProblemUntypedNull, "NULL has no type here",
                     "write CAST(NULL AS int64), say");
  }
  const Type argument = arguments.empty() ? Type() : arguments[0]->type;
  std::optional<Type> result;
  if (name == "count" || name == "approx_count_distinct") result = kInt64Type;
  if (name == "sum") result = SumType(argument);
  if (name == "avg") result = AverageType(argument);
  if (name == "min" || name == "max" || name == "first" || name == "last") result = argument;
  if ((name == "bool_and" || name == "bool_or") && argument.kind == TypeKind::kBool)
    result = argument;
  if ((name == "stddev_samp" || name == "percentile") && argument.is_numeric()) {
    result = kFloat64Type;
    arguments[0] = Coerce(arguments[0], kFloat64Type);
  }
  if (!result) {
    return Problem(node, kProblemArguments, name + "(" + argument.ToString() + ") is not defined",
                   argument.kind == TypeKind::kBool && (name == "sum" || name == "avg")
                       ? "count(*) FILTER (WHERE x) counts true values"
                       : "its form is " + std::string(function.doc.signature));
  }
  if (name == "percentile") {
    const NodeRef q =
        arguments[1]->type.is_numeric() ? Coerce(arguments[1], kFloat64Type) : nullptr;
    const bool constant = q != nullptr && q->kind == NodeKind::kConstant && !q->nullable;
    const double value = constant ? q->constant.Values<double>()[0] : -1;
    if (!(value >= 0 && value <= 1))
      return Problem(call.args[1], kProblemArguments,
                     "the quantile must be a constant between 0 and 1", "percentile(x, 0.99)");
    arguments[1] = q;
  }
  bound.result = *result;
  const bool counted = name == "count" || name == "approx_count_distinct";
  bound.nullable =
      !counted && (name == "stddev_samp" || filter != nullptr || arguments[0]->nullable);
  bound.text = name + "(" + (star ? "*" : bound.distinct ? "DISTINCT " : "");
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == nullptr) return nullptr;
    Expression expression(arguments[i]);
    bound.text +=
        (i == 0 ? "" : ", ") + expression.ToString() + " " + arguments[i]->type.ToString();
    bound.arguments.push_back(std::move(expression));
  }
  bound.text += ")";
  if (filter != nullptr) {
    bound.filter = Expression(filter);
    bound.text += " FILTER (WHERE " + bound.filter->ToString() + ")";
  }
  const auto equal = std::find_if(calls_->begin(), calls_->end(), [&](const AggregateCall& known) {
    return known.text == bound.text;
  });
  const auto index = static_cast<size_t>(equal - calls_->begin());
  ExpressionNode column;
  column.kind = NodeKind::kColumn;
  column.type = bound.result;
  column.nullable = bound.nullable;
  column.evaluate = EvaluateColumn;
  column.text = bound.text;
  column.column = ColumnIndex{static_cast<uint16_t>(
      (aggregates_->groups == nullptr ? 0 : aggregates_->groups->size()) + index)};
  column.foldable = false;
  if (equal == calls_->end()) calls_->push_back(std::move(bound));
  return std::make_shared<const ExpressionNode>(std::move(column));
}

}  // namespace weir
