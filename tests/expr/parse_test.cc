#include "engine/expr/parse.h"

#include <gtest/gtest.h>
#include <pg_query.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/expr/problem_check.h"

namespace weir {
namespace {

using testing::ExpectProblem;

TEST(ParsedText, RefusesWhatIsNotOneExpression) {
  ExpectProblem("", "W0401", "", "empty");
  ExpectProblem("  \n", "W0401", "  \n", "empty");
  ExpectProblem("1; SELECT 2", "W0401", ";", "exactly one expression");
  ExpectProblem("a FROM t", "W0401", "a FROM t", "without FROM");
  ExpectProblem("a, 2", "W0401", "a, 2", "exactly one expression");
  ExpectProblem("a AS x", "W0401", "a AS x", "name is not allowed");
  ExpectProblem("a x", "W0401", "a x", "name is not allowed");
  ExpectProblem("a WHERE TRUE", "W0401", "a WHERE TRUE", "further clauses");
  ExpectProblem("a ORDER BY 1", "W0401", "a ORDER BY 1", "further clauses");
  ExpectProblem("a LIMIT 1", "W0401", "a LIMIT 1", "further clauses");
  ExpectProblem("1 UNION SELECT 2", "W0401", "1 UNION SELECT 2", "further clauses");
  ExpectProblem("1 INTO x", "W0401", "1 INTO x", "further clauses");
  ExpectProblem("DISTINCT a", "W0401", "DISTINCT");
  ExpectProblem("ALL a", "W0401", "ALL");
  ExpectProblem("all", "W0401", "all");
  ExpectProblem("*", "W0401", "*", "count(*)");
  ExpectProblem("t.*", "W0401", "t.*", "count(*)");
  ExpectProblem("(SELECT 1)", "W0401", "(SELECT 1)", "subqueries");
  ExpectProblem("a IN (SELECT 1)", "W0401", "IN (SELECT 1)", "subqueries");
  ExpectProblem("EXISTS (SELECT 1)", "W0401", "EXISTS (SELECT 1)", "subqueries");
  ExpectProblem("$1", "W0401", "$1", "param('name')");
  ExpectProblem("a -- comment", "W0401", "-- comment", "comments");
  ExpectProblem("a /* comment */ + 1", "W0401", "/* comment */", "comments");
  ExpectProblem("pg_catalog.lower(b)", "W0401", "pg_catalog", "schema");
  ExpectProblem("pg_catalog.like_escape(b, b)", "W0401", "pg_catalog", "schema");
  ExpectProblem("x.lower(b)", "W0401", "x.lower(b)", "schema");
  ExpectProblem("b COLLATE \"C\"", "W0401", "b COLLATE", "COLLATE");
  ExpectProblem("lower(b) OVER ()", "W0401", "lower(b)", "OVER");
  ExpectProblem("U&'x'", "W0401", "U&'x'", "U&");
  ExpectProblem("B'01'", "W0401", "B'01'", "bit strings");
  ExpectProblem(std::string_view("a\0b", 3), "W0401", std::string_view("\0", 1), "NUL");
  ExpectProblem("'\xff'", "W0401", "'\xff'", "UTF-8");
}

TEST(ParsedText, KnowsNoClockAndNoSystem) {
  ExpectProblem("now()", "W0415", "now()", "_event_time");
  ExpectProblem("current_timestamp", "W0415", "current_timestamp", "_event_time");
  ExpectProblem("a = 1 AND user = 'x'", "W0415", "user", "quote it");
  for (const char* text : {"env('HOME')", "pg_read_file('x')", "http('x')", "getenv('x')",
                           "pg_sleep(1)", "version()", "set_config('a', 'b', false)"}) {
    const auto problems = testing::ProblemsOf(text);
    ASSERT_FALSE(problems.empty()) << text;
    EXPECT_EQ(problems[0].code, "W0415") << text;
  }
}

TEST(ParsedText, PointsAtSyntaxErrors) {
  ExpectProblem("a +", "W0401", "", "syntax error");
  ExpectProblem("a + ) 1", "W0401", ")", "syntax error");
  ExpectProblem("'ä€𝄞' = b )", "W0401", ")", "syntax error");
  ExpectProblem("'open", "W0401", "'open", "unterminated");
  ExpectProblem("a = order", "W0401", "order", "quote it");
  ExpectProblem("a < limit", "W0401", "limit", "quote it");
  ExpectProblem("offset > 3", "W0401", "offset", "quote it");
  EXPECT_EQ(testing::ProblemsOf("\"order\" > 3", "order int32").size(), 0U);
}

TEST(ParsedText, BoundsTheTextBeforeParsing) {
  const auto limit_of = [](const std::string& text) {
    const auto begin = std::chrono::steady_clock::now();
    const auto problems = testing::ProblemsOf(text);
    const auto took = std::chrono::steady_clock::now() - begin;
    ::testing::Test::RecordProperty(
        "microseconds",
        static_cast<int>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
    return problems.empty() ? std::string("accepted") : problems[0].code;
  };
  std::string plus = "1";
  for (int i = 0; i < 1'000'000; ++i) plus += "+1";
  EXPECT_EQ(limit_of(plus), "W0403");
  EXPECT_EQ(limit_of(plus.substr(0, 16383)), "W0403");  // within the bytes, beyond the operators
  EXPECT_EQ(limit_of(plus.substr(0, 4001)), "W0403");   // beyond the levels of the tree
  EXPECT_EQ(limit_of(testing::Repeated('(', 10'000) + "1" + testing::Repeated(')', 10'000)),
            "W0403");
  EXPECT_EQ(limit_of(testing::Repeated('(', 8'000) + "1" + testing::Repeated(')', 8'000)), "W0403");
  EXPECT_EQ(limit_of("'" + testing::Repeated('x', 1 << 20) + "'"), "W0403");
  EXPECT_EQ(limit_of(testing::Repeated('-', 2000) + "1"), "W0401");  // a comment
  std::string minus = "1";
  for (int i = 0; i < 70; ++i) minus = "- " + minus;
  EXPECT_EQ(limit_of(minus), "W0403");
  std::string negations = "TRUE";
  for (int i = 0; i < 70; ++i) negations = "NOT " + negations;
  EXPECT_EQ(limit_of(negations), "W0403");
  std::string cases = "1";
  for (int i = 0; i < 70; ++i) cases = "CASE WHEN TRUE THEN " + cases + " END";
  EXPECT_EQ(limit_of(cases), "W0403");
  std::string casts = "1";
  for (int i = 0; i < 700; ++i) casts += "::int";
  EXPECT_EQ(limit_of(casts), "W0403");
  std::string nulls = "1";
  for (int i = 0; i < 700; ++i) nulls += " IS NULL";
  EXPECT_EQ(limit_of(nulls), "W0403");
  std::string conjunction = "TRUE";
  for (int i = 0; i < 500; ++i) conjunction += " AND TRUE";
  EXPECT_EQ(limit_of(conjunction), "accepted");  // one level, however long
  EXPECT_EQ(limit_of(testing::Repeated('(', 60) + "1" + testing::Repeated(')', 60)), "accepted");
}

TEST(ParsedText, RefusesNamesThatWouldBeCut) {
  const std::string name(64, 'x');
  ExpectProblem(name, "W0401", name, "63 bytes");
  ExpectProblem("\"" + name + "\"", "W0401", "\"" + name + "\"", "63 bytes");
  const std::string fits(63, 'x');
  EXPECT_EQ(testing::ProblemsOf(fits, fits + " int32").size(), 0U);
}

TEST(ParsedText, ReadsOrders) {
  const BindOptions order{.form = ExpressionForm::kOrderBy, .expected = {}};
  const Scope scope = testing::MakeScope(testing::MakeSchema("a int32, b string?"));
  const BindResult falling = BindExpression("a DESC", scope, order);
  ASSERT_TRUE(falling.expression);
  EXPECT_TRUE(falling.descending);
  EXPECT_TRUE(falling.nulls_first);
  const BindResult rising = BindExpression("b NULLS FIRST", scope, order);
  ASSERT_TRUE(rising.expression);
  EXPECT_FALSE(rising.descending);
  EXPECT_TRUE(rising.nulls_first);
  EXPECT_FALSE(BindExpression("b", scope, order).nulls_first);
  ExpectProblem("1", "W0401", "1", "constant", "a int32", order);
  ExpectProblem("a, a", "W0401", "a, a", "exactly one", "a int32", order);
  ExpectProblem("a USING <", "W0401", "a USING <", "USING", "a int32", order);
}

/// The golden corpus: every line an expression, a tab and libpg_query's tree. Another grammar under
/// the same expressions shows here first.
TEST(ParsedText, SeesTheGrammarOfPostgres15) {
  std::ifstream file("tests/expr/syntax_trees.tsv");
  std::string line;
  std::ostringstream updated;
  int count = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') {
      updated << line << "\n";
      continue;
    }
    const std::string expression = line.substr(0, line.find('\t'));
    const PgQueryParseResult parsed = pg_query_parse(("SELECT " + expression).c_str());
    const std::string tree = parsed.error != nullptr
                                 ? std::string("error: ") + parsed.error->message
                                 : parsed.parse_tree;
    pg_query_free_parse_result(parsed);
    updated << expression << "\t" << tree << "\n";
    EXPECT_EQ(line.find('\t') == std::string::npos ? "" : line.substr(line.find('\t') + 1), tree)
        << expression;
    ++count;
  }
  EXPECT_GT(count, 40);
  if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr)
    std::ofstream("tests/expr/syntax_trees.tsv") << updated.str();
}

}  // namespace
}  // namespace weir
