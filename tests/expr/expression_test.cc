#include "engine/expr/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/data/row_builder.h"
#include "tests/expr/problem_check.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::MakeBatch;
using testing::MakeSchema;
using testing::MakeScope;

Expression Bound(std::string_view text, const SchemaRef& schema) {
  const BindResult bound = BindExpression(text, MakeScope(schema), {});
  EXPECT_TRUE(bound.expression) << text
                                << (bound.problems.empty() ? "" : ": " + bound.problems[0].message);
  return bound.expression;
}

TEST(Expression, KnowsItsColumns) {
  const SchemaRef schema = MakeSchema("a int32, b string?, c int64, d bool?");
  EXPECT_THAT(Bound("c > 1 AND (b = 'x' OR c = 2) AND a = 1", schema).columns(),
              ElementsAre(ColumnIndex{0}, ColumnIndex{1}, ColumnIndex{2}));
  EXPECT_EQ(Bound("b", schema).as_column(), ColumnIndex{1});
  EXPECT_EQ(Bound("b || ''", schema).as_column(), std::nullopt);
  EXPECT_THAT(Bound("b IS NOT NULL AND d IS NOT NULL AND a = 1", schema).not_null_when_true(),
              ElementsAre(ColumnIndex{1}, ColumnIndex{3}));
  EXPECT_THAT(Bound("b IS NOT NULL", schema).not_null_when_true(), ElementsAre(ColumnIndex{1}));
  EXPECT_THAT(Bound("b IS NOT NULL OR a = 1", schema).not_null_when_true(), IsEmpty());
  EXPECT_THAT(Bound("NOT (b IS NULL)", schema).not_null_when_true(), IsEmpty());
}

TEST(Expression, PrintsEqualTreesAlike) {
  const SchemaRef schema = MakeSchema("a int32, b string?, c int64");
  EXPECT_EQ(Bound("a+1*2", schema).ToString(), Bound("( A + 2 )", schema).ToString());
  EXPECT_EQ(Bound("b LIKE 'x%'", schema).ToString(), "(b LIKE 'x%')");
  EXPECT_NE(Bound("b LIKE 'x'", schema).ToString(),
            Bound("b LIKE 'x' ESCAPE '!'", schema).ToString());
  EXPECT_NE(Bound("a IN (1, 2)", schema).ToString(), Bound("a IN (1, 2, NULL)", schema).ToString());
  EXPECT_NE(Bound("1", schema).ToString(), Bound("1::int64", schema).ToString());
  EXPECT_NE(
      Bound("date_trunc('day', TIMESTAMP '2026-01-01' + c * INTERVAL '1 s', 'Asia/Tokyo')", schema)
          .ToString(),
      Bound("date_trunc('day', TIMESTAMP '2026-01-01' + c * INTERVAL '1 s')", schema).ToString());
  EXPECT_EQ(Bound("CASE b WHEN 'x' THEN a ELSE 0 END", schema).ToString(),
            "CASE WHEN (b = 'x') THEN a ELSE 0::int32 END");
  EXPECT_EQ(Bound("b IS NOT NULL AND NOT (c > a)", schema).ToString(),
            "((b IS NOT NULL) AND (NOT (CAST(a AS int64) < c)))");
}

TEST(Expression, SharesColumnsInsteadOfCopying) {
  const SchemaRef schema = MakeSchema("a int32, b string?");
  const Batch batch = MakeBatch(schema, "1, 'a text longer than twelve bytes'; 2, NULL; 3, 'c'");
  RowErrors errors;
  const Column column = Bound("b", schema).Evaluate(batch, errors);
  EXPECT_EQ(column.values_buffer(), batch.column(ColumnIndex{1}).values_buffer());
  // A part of a long text points into the arena that the column keeps.
  const Column part = Bound("substring(b, 3)", schema).Evaluate(batch, errors);
  ASSERT_NE(part.arenas(), nullptr);
  EXPECT_EQ(part.arenas(), batch.column(ColumnIndex{1}).arenas());
}

TEST(Expression, TextsOutliveTheBatchTheyCameFrom) {
  const SchemaRef schema = MakeSchema("a int32, b string?");
  const Expression expression = Bound(
      "CASE a WHEN 1 THEN upper(b) WHEN 2 THEN substring(b, 2) ELSE 'a constant text of many "
      "bytes' END",
      schema);
  Column column;
  {
    const Batch batch = MakeBatch(schema,
                                  "1, 'a text longer than twelve bytes'; 2, 'another one, longer "
                                  "than that'; 3, 'c'; 1, NULL");
    RowErrors errors;
    column = expression.Evaluate(batch, errors);
  }
  RowErrors errors;
  EXPECT_THAT(testing::Values(column, errors),
              ElementsAre("A TEXT LONGER THAN TWELVE BYTES", "nother one, longer than that",
                          "a constant text of many bytes", "NULL"));
}

TEST(Expression, CountsARowOnceAndLetsNoErrorPass) {
  const SchemaRef schema = MakeSchema("x int32, y int32");
  const Batch batch = MakeBatch(schema, "0, 0; 1, 0; 0, 1; 1, 1");
  RowErrors errors;
  EXPECT_THAT(Bound("coalesce(1 / x, 1 / y) = 1 OR TRUE", schema).SelectTrue(batch, errors).rows(),
              ElementsAre(1U, 3U));
  EXPECT_EQ(errors.rows(), 2U);
  EXPECT_EQ(errors.errors()[0].message, "division by zero");
  EXPECT_TRUE(errors.Has(0));
  EXPECT_TRUE(errors.Has(2));
}

TEST(Expression, EvaluatesEmptyBatches) {
  const SchemaRef schema = MakeSchema("x int32, s string?");
  const Batch batch = MakeBatch(schema, "1, 'a'").Slice(0, 0);
  RowErrors errors;
  for (const char* text :
       {"x", "x + 1", "s || 'x'", "CASE WHEN x = 1 THEN s END", "x IN (1, 2)", "coalesce(s, 'x')",
        "1", "NULL::string", "concat(s, s)", "greatest(x, 2)", "try(x / 0)"}) {
    EXPECT_EQ(Bound(text, schema).Evaluate(batch, errors).rows(), 0U) << text;
  }
  EXPECT_TRUE(Bound("x = 1 AND s = 'a'", schema).SelectTrue(batch, errors).empty());
  EXPECT_TRUE(errors.empty());
}

TEST(RandomFunctions, DependOnSeedAndRowOnly) {
  const SchemaRef schema = MakeSchema("x int32");
  Scope scope = MakeScope(schema);
  scope.random_allowed = true;
  const BindResult bound = BindExpression(
      "'d' || random_int(1, 5)::string || '-' || random_int(1, 1000)::string", scope, {});
  ASSERT_TRUE(bound.expression);
  EXPECT_FALSE(bound.expression.nullable());
  std::string rows = "1";
  for (int i = 1; i < 500; ++i) rows += ";1";
  const Batch batch = MakeBatch(schema, rows);
  const auto values = [&](std::vector<uint32_t> cuts) {
    RandomStream random(42);
    std::vector<std::string> all;
    uint32_t first = 0;
    cuts.push_back(batch.rows());
    for (const uint32_t cut : cuts) {
      RowErrors errors;
      for (std::string& value : testing::Values(
               bound.expression.Evaluate(batch.Slice(first, cut - first), errors, &random), errors))
        all.push_back(std::move(value));
      first = cut;
    }
    return all;
  };
  const std::vector<std::string> whole = values({});
  EXPECT_EQ(whole, values({1, 2, 3, 250}));
  RandomStream other(43);
  RowErrors errors;
  EXPECT_NE(whole, testing::Values(bound.expression.Evaluate(batch, errors, &other), errors));
  int counts[6] = {};
  for (const std::string& value : whole) {
    ASSERT_GE(value[1], '1');
    ASSERT_LE(value[1], '5');
    ++counts[value[1] - '0'];
  }
  for (int i = 1; i <= 5; ++i) EXPECT_GT(counts[i], 60) << i;
}

TEST(RandomFunctions, StayInTheirBounds) {
  const SchemaRef schema = MakeSchema("x int32");
  Scope scope = MakeScope(schema);
  scope.random_allowed = true;
  std::string rows = "1";
  for (int i = 1; i < 4000; ++i) rows += ";1";
  const Batch batch = MakeBatch(schema, rows);
  RandomStream random(1);
  RowErrors errors;
  const Column normal =
      BindExpression("random_normal(20, 8)", scope, {}).expression.Evaluate(batch, errors, &random);
  double sum = 0;
  for (const double value : normal.Values<double>()) sum += value;
  EXPECT_NEAR(sum / batch.rows(), 20, 1);
  const Column duration =
      BindExpression("random_duration(INTERVAL '0 seconds', INTERVAL '3 seconds')", scope, {})
          .expression.Evaluate(batch, errors, &random);
  for (const int64_t value : duration.Values<int64_t>()) {
    EXPECT_GE(value, 0);
    EXPECT_LE(value, 3'000'000);
  }
  EXPECT_TRUE(errors.empty());
}

TEST(BindKey, NamesItsColumn) {
  const Scope scope = MakeScope(MakeSchema("user_id string, at timestamp?"));
  KeyResult key = BindKey("user_id", scope);
  ASSERT_TRUE(key.key);
  EXPECT_EQ(key.key->name, "user_id");
  key = BindKey("date_trunc('hour', at) AS hour", scope);
  ASSERT_TRUE(key.key);
  EXPECT_EQ(key.key->name, "hour");
  EXPECT_EQ(key.key->expression.type().kind, TypeKind::kTimestamp);
  EXPECT_EQ(BindKey("user_id AS u", scope).key->name, "u");
  key = BindKey("lower(user_id)", scope);
  EXPECT_FALSE(key.key);
  ASSERT_EQ(key.problems.size(), 1U);
  EXPECT_EQ(key.problems[0].help, "write lower(user_id) AS name");
  EXPECT_EQ(BindKey("usr_id", scope).problems[0].help, "did you mean 'user_id'?");
}

struct Aggregates {
  AggregateScope scope{
      MakeScope(MakeSchema("user_id string, amount decimal(10,2), n int32?, f float32, ok bool?")),
      MakeSchema("user_id string, window_start timestamp, window_end timestamp"),
      {}};
  std::vector<AggregateCall> calls;
  AggregateResult Bind(std::string_view text, const BindOptions& options = {}) {
    return BindAggregates(text, scope, options, calls);
  }
};

TEST(BindAggregates, TypesCalls) {
  struct Expected {
    const char* text;
    const char* type;
    bool nullable;
  };
  for (const Expected& some :
       std::vector<Expected>{{"count(*)", "int64", false},
                             {"count(n)", "int64", false},
                             {"count(DISTINCT user_id)", "int64", false},
                             {"sum(n)", "int64", true},
                             {"sum(amount)", "decimal(38,2)", false},
                             {"sum(f)", "float64", false},
                             {"avg(n)", "float64", true},
                             {"avg(amount)", "decimal(38,6)", false},
                             {"min(user_id)", "string", false},
                             {"max(n)", "int32", true},
                             {"first(amount)", "decimal(10,2)", false},
                             {"last(n)", "int32", true},
                             {"bool_and(ok)", "bool", true},
                             {"bool_or(amount > 1)", "bool", false},
                             {"stddev_samp(amount)", "float64", true},
                             {"approx_count_distinct(user_id)", "int64", false},
                             {"percentile(amount, 0.99)", "float64", false},
                             {"sum(amount) FILTER (WHERE ok)", "decimal(38,2)", true},
                             {"count(*) FILTER (WHERE ok)", "int64", false}}) {
    Aggregates aggregates;
    const AggregateResult result = aggregates.Bind(some.text);
    ASSERT_TRUE(result.result) << some.text
                               << (result.problems.empty() ? ""
                                                           : ": " + result.problems[0].message);
    ASSERT_EQ(aggregates.calls.size(), 1U) << some.text;
    EXPECT_EQ(aggregates.calls[0].result.ToString(), some.type) << some.text;
    EXPECT_EQ(aggregates.calls[0].nullable, some.nullable) << some.text;
    EXPECT_EQ(result.result.as_column(), ColumnIndex{3}) << some.text;
  }
}

TEST(BindAggregates, SharesEqualCallsAndReadsGroups) {
  Aggregates aggregates;
  const AggregateResult mean = aggregates.Bind("sum(amount) / count(*)");
  ASSERT_TRUE(mean.result);
  ASSERT_TRUE(aggregates.Bind("coalesce(SUM( Amount ), 0)").result);
  ASSERT_TRUE(aggregates.Bind("count(DISTINCT n) FILTER (WHERE ok)").result);
  ASSERT_EQ(aggregates.calls.size(), 3U);
  EXPECT_EQ(aggregates.calls[0].text, "sum(amount decimal(10,2))");
  EXPECT_EQ(aggregates.calls[1].text, "count(*)");
  EXPECT_EQ(aggregates.calls[2].text, "count(DISTINCT n int32) FILTER (WHERE ok)");
  EXPECT_TRUE(aggregates.calls[2].distinct);
  EXPECT_TRUE(aggregates.calls[1].arguments.empty());
  EXPECT_THAT(mean.result.columns(), ElementsAre(ColumnIndex{3}, ColumnIndex{4}));
  aggregates.scope.named.emplace_back("mean", mean.result);
  const AggregateResult having =
      aggregates.Bind("mean > 10 AND user_id <> 'x' AND count(*) > 1",
                      {.form = ExpressionForm::kValue, .expected = Type::Of(TypeKind::kBool)});
  ASSERT_TRUE(having.result) << having.problems[0].message;
  EXPECT_EQ(aggregates.calls.size(), 3U);
  EXPECT_THAT(having.result.columns(), ElementsAre(ColumnIndex{0}, ColumnIndex{3}, ColumnIndex{4}));
  // Over the columns [groups ..., calls ...].
  const SchemaRef schema = MakeSchema(
      "user_id string, window_start timestamp, window_end timestamp, sum decimal(38,2), count "
      "int64, distinct_ int64");
  const Batch batch =
      MakeBatch(schema,
                "'a', 2026-01-01, 2026-01-01, 30.00, 2, 1; 'x', 2026-01-01, 2026-01-01, 30.00, 2, "
                "1; 'b', 2026-01-01, 2026-01-01, 10.00, 2, 1");
  RowErrors errors;
  EXPECT_THAT(having.result.SelectTrue(batch, errors).rows(), ElementsAre(0U));
}

TEST(BindAggregates, ExplainsMistakes) {
  struct Expected {
    const char* text;
    const char* code;
    const char* words;
  };
  for (const Expected& some : std::vector<Expected>{
           {"amount", "W0418", "neither a key nor inside an aggregate"},
           {"sum(amount) + n", "W0418", "key_by"},
           {"count()", "W0416", "write count(*)"},
           {"sum(*)", "W0416", "count(*)"},
           {"sum(count(*))", "W0417", "inside another"},
           {"sum(user_id)", "W0416", "not defined"},
           {"sum(ok)", "W0416", "FILTER"},
           {"sum(DISTINCT n)", "W0402", "planned"},
           {"percentile(n, 1.5)", "W0416", "between 0 and 1"},
           {"percentile(n, f)", "W0416", "between 0 and 1"},
           {"percentile(n)", "W0416", "percentile(number, q)"},
           {"array_agg(n)", "W0402", "planned"},
           {"count(*) FILTER (WHERE n)", "W0422", "bool"},
           {"sum(nix)", "W0412", "does not exist"},
           {"usr_id", "W0412", "did you mean 'user_id'?"},
           {"count(*) OVER ()", "W0401", "OVER"},
           {"percentile_cont(0.5) WITHIN GROUP (ORDER BY n)", "W0401", "percentile(x, 0.99)"},
           {"first(n ORDER BY f)", "W0417", "ORDER BY"}}) {
    Aggregates aggregates;
    const AggregateResult result = aggregates.Bind(some.text);
    EXPECT_FALSE(result.result) << some.text;
    ASSERT_FALSE(result.problems.empty()) << some.text;
    EXPECT_EQ(result.problems[0].code, some.code)
        << some.text << ": " << result.problems[0].message;
    EXPECT_NE((result.problems[0].message + "|" + result.problems[0].help).find(some.words),
              std::string::npos)
        << some.text << ": " << result.problems[0].message << "|" << result.problems[0].help;
  }
}

TEST(Suggest, OrdersByLikeness) {
  const std::vector<std::string> known = {"user_id", "page", "ts", "latency_ms", "user", "use_id"};
  EXPECT_EQ(Suggest("usr_id", known).front(), "user_id");
  EXPECT_THAT(Suggest("USER_ID", known).front(), "user_id");
  EXPECT_THAT(Suggest("pgae", known), ElementsAre("page"));
  EXPECT_THAT(Suggest("latency", known), ElementsAre("latency_ms"));
  EXPECT_THAT(Suggest("zzzzzz", known), IsEmpty());
  EXPECT_LE(Suggest("user_i", known).size(), 3U);
}

TEST(ConstantFromText, ReadsAsCastDoes) {
  ASSERT_TRUE(ConstantFromText(Type::Of(TypeKind::kInt32), " 42 "));
  EXPECT_FALSE(ConstantFromText(Type::Of(TypeKind::kInt32), "x"));
  EXPECT_FALSE(ConstantFromText(Type::Of(TypeKind::kTimestamp), "yesterday"));
  EXPECT_EQ(ConstantFromText(Type::Decimal(5, 2), "1.005")->Values<Int128>()[0], 101);
}

}  // namespace
}  // namespace weir
