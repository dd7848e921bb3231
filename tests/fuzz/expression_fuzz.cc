// Expressions: any text gives an expression or problems inside the text; what binds evaluates to a
// column of its type, without failing rows twice, and its rows do not depend on how the batch is
// cut.

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/data/row_builder.h"
#include "engine/expr/expression.h"
#include "tests/fuzz/target.h"

namespace {

weir::SchemaRef MakeSchema() {
  using weir::Type;
  using weir::TypeKind;
  return std::make_shared<const weir::Schema>(
      std::vector<weir::Field>{{"a", Type::Of(TypeKind::kInt32), false},
                               {"b", Type::Of(TypeKind::kInt64), true},
                               {"s", Type::Of(TypeKind::kString), true},
                               {"d", Type::Decimal(18, 2), false},
                               {"f", Type::Of(TypeKind::kFloat64), false},
                               {"t", Type::Of(TypeKind::kTimestamp), true},
                               {"ok", Type::Of(TypeKind::kBool), true}});
}

weir::Batch MakeBatch(const weir::SchemaRef& schema) {
  weir::RowBuilder builder(schema);
  const std::vector<std::string> texts = {"", "a", "12", "abcdefghijklm", "ströme€ and more"};
  for (int row = 0; row < 10; ++row) {
    builder.column(size_t{0}).Append<int32_t>(row == 9 ? INT32_MIN : row - 3);
    builder.column(size_t{1}).Append<int64_t>(row % 4 == 0 ? INT64_MIN : int64_t{row} << 40);
    if (row % 3 == 1) {
      builder.column(size_t{2}).AppendNull();
    } else {
      builder.column(size_t{2}).AppendString(texts[static_cast<size_t>(row) % texts.size()]);
    }
    builder.column(size_t{3}).Append<weir::Int128>(row * 101 - 300);
    builder.column(size_t{4}).Append<double>(row == 5 ? 1e300 : row / 3.0);
    builder.column(size_t{5}).Append<int64_t>(int64_t{row} * 1'000'000'000'000'000);
    builder.column(size_t{6}).Append<uint8_t>(static_cast<uint8_t>(row % 2));
    builder.FinishRow();
  }
  return builder.Build();
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {
      "a + b * 2 > d AND s LIKE '%b_%' OR ok IS NOT TRUE",
      "CASE s WHEN 'a' THEN 1 WHEN '12' THEN CAST(s AS int32) ELSE a / (a - 1) END",
      "coalesce(nullif(s, ''), substring(s FROM 2 FOR 3), lpad(s, 5, 'x')) || upper(s)",
      "EXTRACT(hour FROM t AT TIME ZONE 'Europe/Stockholm') BETWEEN 8 AND 18",
      "date_trunc('week', t) + INTERVAL '1 day 02:03:04' < TIMESTAMP '2026-01-01 00:00:00Z'",
      "try_cast(s, 'decimal(10,2)') IN (1.5, 2, NULL) OR d % 0.7 = round(d, 1)",
      "regexp_extract(s, '([a-z]+)', 1) ~* 'x|y' AND split_part(s, 'b', -1) <> replace(s, 'a', "
      "'bb')",
      "greatest(a, b, 3) << 2 # 5 & -1",
      "-(-(a)) IS DISTINCT FROM \"a\"",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const weir::SchemaRef kSchema = MakeSchema();
  static const weir::Batch kBatch = MakeBatch(kSchema);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  weir::Scope scope;
  scope.inputs.push_back({"x", kSchema});
  const weir::BindResult bound = weir::BindExpression(text, scope, {});
  bool error = false;
  for (const weir::ExpressionProblem& problem : bound.problems) {
    WEIR_CHECK(!problem.code.empty() && !problem.message.empty());
    WEIR_CHECK_LE(problem.start, problem.end);
    WEIR_CHECK_LE(problem.end, text.size());
    error |= !problem.warning;
  }
  WEIR_CHECK_EQ(static_cast<bool>(bound.expression), !error);
  if (!bound.expression) return 0;
  weir::RowErrors errors;
  const weir::Column whole = bound.expression.Evaluate(kBatch, errors);
  WEIR_CHECK(whole.type() == bound.expression.type());
  WEIR_CHECK_EQ(whole.rows(), kBatch.rows());
  for (uint32_t row = 0; row < kBatch.rows(); ++row) {
    weir::RowErrors own;
    const weir::Column one = bound.expression.Evaluate(kBatch.Slice(row, 1), own);
    WEIR_CHECK_EQ(own.Has(0), errors.Has(row));
    WEIR_CHECK_EQ(weir::ValueToString(one, 0), weir::ValueToString(whole, row));
    WEIR_CHECK(bound.expression.nullable() || errors.Has(row) || whole.Valid()[row]);
  }
  WEIR_CHECK(!bound.expression.ToString().empty());
  std::vector<weir::AggregateCall> calls;
  weir::BindAggregates(text, {scope, kSchema, {}}, {}, calls);
  return 0;
}
