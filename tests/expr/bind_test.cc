#include "engine/expr/bind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/expr/problem_check.h"

namespace weir {
namespace {

using testing::ExpectProblem;
using testing::MakeSchema;
using testing::MakeScope;

std::string TypeOf(std::string_view text, std::string_view columns) {
  const BindResult bound = BindExpression(text, MakeScope(MakeSchema(columns)), {});
  if (!bound.expression) return bound.problems.empty() ? "?" : bound.problems[0].code;
  return bound.expression.type().ToString() + (bound.expression.nullable() ? "?" : "");
}
std::string Printed(std::string_view text, std::string_view columns) {
  return BindExpression(text, MakeScope(MakeSchema(columns)), {}).expression.ToString();
}

TEST(Binder, FindsColumns) {
  EXPECT_EQ(TypeOf("A", "a int32"), "int32");
  EXPECT_EQ(TypeOf("t.a", "a int32?"), "int32?");
  EXPECT_EQ(TypeOf("\"A\"", "a int32"), "W0412");
  EXPECT_EQ(TypeOf("\"A\"", "a int32, A string"), "string");
  EXPECT_EQ(TypeOf("dateTime", "dateTime timestamp"), "timestamp");
  ExpectProblem("a = 1", "W0413", "a", "quote", "a int32, A string");
  ExpectProblem("usr_id = 'x'", "W0412", "usr_id", "did you mean 'user_id'?",
                "user_id string, page string");
  ExpectProblem("1 + x.a", "W0412", "x.a", "no input 'x'");
  ExpectProblem("coalesce(b, 'ä', nix)", "W0412", "nix");
  const auto problems = testing::ProblemsOf("usr_id = 'x'", "user_id string, page string?");
  EXPECT_EQ(problems[0].fix, "user_id");
  EXPECT_EQ(problems[0].note, "columns: user_id string, page string?");
}

TEST(Binder, QualifiesColumnsOfSeveralInputs) {
  Scope scope;
  scope.inputs = {{"l", MakeSchema("id int32, x int64")}, {"r", MakeSchema("id int32, y string")}};
  BindResult bound =
      BindExpression("l.id = r.id AND y = 'a'", scope,
                     {.form = ExpressionForm::kValue, .expected = Type::Of(TypeKind::kBool)});
  ASSERT_TRUE(bound.expression);
  EXPECT_THAT(bound.expression.columns(),
              ::testing::ElementsAre(ColumnIndex{0}, ColumnIndex{2}, ColumnIndex{3}));
  EXPECT_EQ(bound.expression.ToString(), "((l.id = r.id) AND (r.y = 'a'))");
  bound = BindExpression("id = 1", scope, {});
  ASSERT_EQ(bound.problems.size(), 1U);
  EXPECT_EQ(bound.problems[0].code, "W0413");
  EXPECT_EQ(bound.problems[0].help, "qualify it by its input: l.id");
}

TEST(Binder, TypesLiteralsAndArithmetic) {
  EXPECT_EQ(TypeOf("0.908 * price", "price int64"), "decimal(23,3)");
  EXPECT_EQ(TypeOf("0.908", "a int32"), "decimal(3,3)");
  EXPECT_EQ(TypeOf("2147483648", "a int32"), "int64");
  EXPECT_EQ(TypeOf("a + b", "a int32, b int64?"), "int64?");
  EXPECT_EQ(TypeOf("a + b", "a float32, b int32"), "float64");
  EXPECT_EQ(TypeOf("a + b", "a float32, b float32"), "float32");
  EXPECT_EQ(TypeOf("a + b", "a decimal(18,2), b decimal(10,4)"), "decimal(21,4)");
  EXPECT_EQ(TypeOf("a * b", "a decimal(18,2), b decimal(10,4)"), "decimal(29,6)");
  EXPECT_EQ(TypeOf("a / b", "a decimal(18,2), b decimal(10,4)"), "decimal(33,13)");
  EXPECT_EQ(TypeOf("a % b", "a decimal(18,2), b decimal(10,4)"), "decimal(10,4)");
  EXPECT_EQ(TypeOf("a * b", "a decimal(38,10), b decimal(38,10)"), "decimal(38,6)");
  EXPECT_EQ(TypeOf("a / b", "a decimal(38,2), b decimal(38,2)"), "decimal(38,6)");
  EXPECT_EQ(TypeOf("round(a, 1)", "a decimal(18,2)"), "decimal(18,1)");
  EXPECT_EQ(TypeOf("CASE WHEN a = 1 THEN 1 ELSE 2.5 END", "a int32"), "decimal(11,1)");
  EXPECT_EQ(TypeOf("coalesce(a, 0)", "a int64?"), "int64");
  EXPECT_EQ(TypeOf("nullif(a, 0)", "a int64"), "int64?");
  EXPECT_EQ(TypeOf("CASE WHEN a = 1 THEN 'x' END", "a int32"), "string?");
  EXPECT_EQ(TypeOf("try(a / 2)", "a int32"), "int32?");
  EXPECT_EQ(TypeOf("try_cast(a, 'decimal(10,2)')", "a string"), "decimal(10,2)?");
  EXPECT_EQ(TypeOf("a - b", "a timestamp, b timestamp?"), "duration?");
  EXPECT_EQ(TypeOf("EXTRACT(second FROM a)", "a timestamp"), "decimal(8,6)");
}

TEST(Binder, ExplainsTypeErrors) {
  ExpectProblem("page = '/' AND user_id > 42", "W0423", "user_id > 42",
                "write user_id > '42', or CAST(user_id AS int32) > 42",
                "page string, user_id string");
  ExpectProblem("at > '2026-01-01'", "W0423", "at > '2026-01-01'", "TIMESTAMP '2026-01-01'",
                "at timestamp");
  ExpectProblem("(a + b) * 2", "W0421", "a + b", "CAST");
  ExpectProblem("b || a", "W0421", "b || a", "a::string");
  ExpectProblem("b + b", "W0421", "b + b", "||");
  ExpectProblem("a AND TRUE", "W0422", "a", "bool");
  ExpectProblem("CASE WHEN a THEN 1 END", "W0422", "a");
  ExpectProblem("coalesce(a, b)", "W0423", "coalesce(a, b)", "CAST");
  ExpectProblem("lower(a)", "W0416", "lower(a)", "lower(string) -> string");
  ExpectProblem("lower(b, b)", "W0416", "lower(b, b)");
  ExpectProblem("lowr(b)", "W0415", "lowr", "did you mean 'lower'?");
  ExpectProblem("NULL", "W0426", "NULL", "CAST");
  ExpectProblem("NULL = NULL", "W0426", "NULL = NULL");
  ExpectProblem("CAST(a AS integr)", "W0424", "CAST(a AS integr)", "integer");
  ExpectProblem("a::timestamp", "W0424", "a::timestamp", "from_epoch");
  ExpectProblem("CAST(b AS decimal)", "W0424", "CAST(b AS decimal)", "decimal(18,2)");
  ExpectProblem("DATE '2026-02-30'", "W0425", "DATE '2026-02-30'", "DATE '2026-01-31'");
  ExpectProblem("INTERVAL '1 month'", "W0425", "INTERVAL '1 month'", "no fixed length");
  ExpectProblem("INTERVAL '5' MINUTE", "W0424", "INTERVAL '5'", "inside the quotes");
  ExpectProblem("ARRAY[1, 2]", "W0402", "ARRAY[1, 2]", "planned");
  ExpectProblem("b -> 'x'", "W0402", "b -> 'x'", "planned");
  ExpectProblem("json_get(b, 'x')", "W0402", "json_get(b, 'x')", "planned");
  ExpectProblem("a ^ 2", "W0421", "a ^ 2", "power");
  ExpectProblem("sum(a)", "W0417", "sum(a)", "aggregates");
  ExpectProblem("random_int(1, 2)", "W0419", "random_int(1, 2)", "generator_source");
  ExpectProblem("param('x')", "W0414", "'x'", "params");
  ExpectProblem("a", "W0422", "a", "compare", "a int32",
                {.form = ExpressionForm::kValue, .expected = Type::Of(TypeKind::kBool)});
}

TEST(Binder, ReportsAllProblemsAtOnce) {
  const auto problems = testing::ProblemsOf("nix = 1 AND lowr(b) = 'x' OR a = 'y'");
  ASSERT_EQ(problems.size(), 3U);
  EXPECT_EQ(problems[0].code, "W0412");
  EXPECT_EQ(problems[1].code, "W0415");
  EXPECT_EQ(problems[2].code, "W0423");
}

TEST(Binder, FoldsConstantsAndWarnsOfThoseThatFail) {
  EXPECT_EQ(Printed("a + 2 * 3", "a int32"), "(a + 6::int32)");
  EXPECT_EQ(Printed("a > 1.0", "a decimal(10,2)"), "(1.00::decimal(10,2) < a)");
  EXPECT_EQ(Printed("a = 'x' || 'y'", "a string"), "(a = 'xy')");
  const BindResult bound = BindExpression("a = 1 / 0", MakeScope(MakeSchema("a int32")), {});
  ASSERT_TRUE(bound.expression);
  ASSERT_EQ(bound.problems.size(), 1U);
  EXPECT_TRUE(bound.problems[0].warning);
  EXPECT_EQ(bound.problems[0].code, "W0428");
  EXPECT_EQ(bound.problems[0].start, 4U);
  EXPECT_EQ(bound.problems[0].end, 9U);
  EXPECT_TRUE(BindExpression("try(1 / 0)", MakeScope(MakeSchema("a int32")), {}).problems.empty());
}

TEST(Binder, TakesParameters) {
  Scope scope = MakeScope(MakeSchema("a int32"));
  scope.parameters = {{"limit", Type::Of(TypeKind::kInt64), "42"},
                      {"name", Type::Of(TypeKind::kString), std::nullopt}};
  EXPECT_EQ(BindExpression("a > param('limit')", scope, {}).expression.ToString(),
            "(42::int64 < CAST(a AS int64))");
  EXPECT_EQ(BindExpression("param('name')", scope, {}).expression.ToString(), "NULL::string");
  const BindResult bound = BindExpression("param('limt')", scope, {});
  ASSERT_EQ(bound.problems.size(), 1U);
  EXPECT_EQ(bound.problems[0].help, "did you mean 'limit'?");
}

TEST(Binder, WarnsOfTheClockWhereReplaysWouldDiffer) {
  Scope scope = MakeScope(MakeSchema("_processing_time timestamp"));
  EXPECT_TRUE(BindExpression("_processing_time", scope, {}).problems.empty());
  scope.clock_warning = "a key by the clock differs after a replay";
  const BindResult bound = BindExpression("date_trunc('hour', _processing_time)", scope, {});
  ASSERT_EQ(bound.problems.size(), 1U);
  EXPECT_TRUE(bound.problems[0].warning);
  EXPECT_EQ(bound.problems[0].code, "W0509");
  EXPECT_TRUE(bound.expression);
}

TEST(CommonType, FollowsTheOrder) {
  const auto common = [](std::string_view a, std::string_view b) {
    const std::optional<Type> type = CommonType(*ParseType(a), *ParseType(b));
    const std::optional<Type> swapped = CommonType(*ParseType(b), *ParseType(a));
    EXPECT_EQ(type.has_value(), swapped.has_value());
    if (!type) return std::string("none");
    EXPECT_EQ(*type, *swapped);
    return type->ToString();
  };
  EXPECT_EQ(common("int32", "int64"), "int64");
  EXPECT_EQ(common("int32", "decimal(5,2)"), "decimal(12,2)");
  EXPECT_EQ(common("int64", "decimal(5,2)"), "decimal(21,2)");
  EXPECT_EQ(common("decimal(10,1)", "decimal(5,4)"), "decimal(13,4)");
  EXPECT_EQ(common("decimal(38,0)", "decimal(38,38)"), "decimal(38,6)");
  EXPECT_EQ(common("decimal(5,2)", "float32"), "float64");
  EXPECT_EQ(common("int32", "float32"), "float64");
  EXPECT_EQ(common("float32", "float64"), "float64");
  EXPECT_EQ(common("date", "timestamp"), "timestamp");
  EXPECT_EQ(common("string", "bytes"), "none");
  EXPECT_EQ(common("bool", "int32"), "none");
  EXPECT_EQ(common("duration", "int64"), "none");
}

}  // namespace
}  // namespace weir
