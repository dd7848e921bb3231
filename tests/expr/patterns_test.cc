#include "engine/expr/patterns.h"

#include <gtest/gtest.h>

#include "engine/data/row_builder.h"
#include "tests/expr/case_table.h"
#include "tests/expr/problem_check.h"

namespace weir {
namespace {

using testing::ExpectProblem;

TEST(Like, FollowsTheTable) {
  testing::ExpectCases(R"(
s string?, p string | 'bot-7', 'bot-%'; 'user', '%user'; NULL, '%'; 'ströme€', 's__öme_'; '', '%'; 'a%b_c', 'a\%b\_c'; 'abcdefghijklmnopqrst', '%k%t'; 'x', 'x\'
  s LIKE p => bool: true; true; NULL; true; true; true; true; !expression.cast
  s LIKE 'bot-%' => bool: true; false; NULL; false; false; false; false; false
  s NOT LIKE 'bot-%' => bool: false; true; NULL; true; true; true; true; true
  s LIKE '%e%' => bool: false; true; NULL; true; false; false; true; false
  s LIKE '%t' => bool: false; false; NULL; false; false; false; true; false
  s LIKE 'user' => bool: false; true; NULL; false; false; false; false; false
  s LIKE '%' => bool: true; true; NULL; true; true; true; true; true
  s LIKE '_' => bool: false; false; NULL; false; false; false; false; true
  s LIKE 'str_me_' => bool: false; false; NULL; true; false; false; false; false
  s ILIKE 'STRÖ%' => bool: false; false; NULL; true; false; false; false; false
  s ILIKE '%USER' => bool: false; true; NULL; false; false; false; false; false
  s LIKE 'a!%b!_c' ESCAPE '!' => bool: false; false; NULL; false; false; true; false; false
)");
}

TEST(Like, RefusesPatternsThatEndWithTheirEscape) {
  ExpectProblem("b LIKE 'x\\'", "W0427", "'x\\'", "escape");
  ExpectProblem("b LIKE 'x' ESCAPE 'ab'", "W0427", "'ab'", "one character");
  ExpectProblem("a LIKE 'x'", "W0421", "a LIKE 'x'", "string");
}

TEST(Regex, FollowsTheTable) {
  testing::ExpectCases(R"(
s string? | '/item/42?x=1'; 'channel_id=apple&b'; NULL; 'Zürich'
  s ~ '^/item/[0-9]+' => bool: true; false; NULL; false
  s !~ 'z' => bool: true; true; NULL; true
  s ~* 'ZÜR' => bool: false; false; NULL; true
  regexp_like(s, 'a') => bool: false; true; NULL; false
  regexp_extract(s, '(&|^)channel_id=([^&]*)', 2) => string: NULL; apple; NULL; NULL
  regexp_extract(s, '[0-9]+') => string: 42; NULL; NULL; NULL
  regexp_extract(s, '/(item)/([0-9]+)') => string: item; NULL; NULL; NULL
  regexp_extract(s, '/(item)/([0-9]+)', 0) => string: /item/42; NULL; NULL; NULL
  regexp_extract(s, '(x)?channel') => string: NULL; NULL; NULL; NULL
  regexp_replace(s, '[0-9]+', '<\&>') => string: /item/<42>?x=1; channel_id=apple&b; NULL; Zürich
  regexp_replace(s, '[0-9]', '', 'g') => string: /item/?x=; channel_id=apple&b; NULL; Zürich
  regexp_replace(s, 'z(.)r', '\1', 'i') => string: /item/42?x=1; channel_id=apple&b; NULL; üich
)");
}

TEST(Regex, RefusesWhatCannotBeBounded) {
  for (const char* pattern : {"(", "a{1000}{1000}", "(a)\\1", "(?<=a)b", "[z-a]", "a**"}) {
    const auto problems = testing::ProblemsOf("b ~ '" + std::string(pattern) + "'");
    ASSERT_FALSE(problems.empty()) << pattern;
    EXPECT_EQ(problems[0].code, "W0427") << pattern;
  }
  EXPECT_EQ(testing::ProblemsOf("b ~ '" + testing::Repeated('a', 1025) + "'")[0].code, "W0427");
  EXPECT_TRUE(testing::ProblemsOf("b ~ '" + testing::Repeated('a', 1024) + "'").empty());
  ExpectProblem("b ~ b", "W0427", "b", "constant");
  ExpectProblem("regexp_extract(b, 'x', 1)", "W0416", "1", "no such group");
  ExpectProblem("regexp_replace(b, 'x', '\\3')", "W0416", "'\\3'", "replacement");
  ExpectProblem("regexp_replace(b, 'x', 'y', 'z')", "W0416", "'z'", "flags");
}

TEST(Regex, ReplacesWithinBounds) {
  testing::ExpectCases(R"(
s string? | 'abxc'; 'äö'; NULL; ''
  regexp_replace(s, '', '-', 'g') => string: -a-b-x-c-; -ä-ö-; NULL; -
  regexp_replace(s, 'x*', '-', 'g') => string: -a-b-c-; -ä-ö-; NULL; -
  regexp_replace(s, '(.)(.)', '\2\1', 'g') => string: bacx; öä; NULL; ''
  regexp_replace(s, '^.', '\\\&', 'g') => string: '\abxc'; '\äö'; NULL; ''
  length(regexp_replace(repeat(s, 100000), '.*', '\&\&\&')) => int64: !expression.limit; !expression.limit; NULL; 0
  length(regexp_replace(repeat(s, 100000), '.', 'xxxxxxxxxxxx', 'g')) => int64: !expression.limit; !expression.limit; NULL; 0
)");
}

TEST(Regex, IsLinearInTheText) {
  const SchemaRef schema = testing::MakeSchema("s string");
  RowBuilder builder(schema);
  builder.column(size_t{0}).AppendString(testing::Repeated('a', 100 << 10) + "b");
  builder.FinishRow();
  const Batch batch = builder.Build();
  const BindResult bound = BindExpression("s ~ '(a+)+$'", testing::MakeScope(schema), {});
  RowErrors errors;
  EXPECT_EQ(testing::Values(bound.expression.Evaluate(batch, errors), errors),
            std::vector<std::string>{"false"});  // returns at all: linear
}

TEST(Concat, JoinsAndBounds) {
  testing::ExpectCases(R"(
s string?, t string | 'a', 'b'; NULL, 'b'; '', ''; 'abcdefgh', 'ijklmnop'
  s || t => string: ab; NULL; ''; abcdefghijklmnop
  s || 'x' || t => string: axb; NULL; x; abcdefghxijklmnop
  length(repeat('0123456789abcdef', 65536) || t) => int64: !expression.limit; !expression.limit; 1048576; !expression.limit
  concat(s, t) => string: ab; b; ''; abcdefghijklmnop
  concat_ws('-', s, t) => string: a-b; b; -; abcdefgh-ijklmnop
  concat_ws(s, t, 'z') => string: baz; NULL; z; ijklmnopabcdefghz
)");
}

}  // namespace
}  // namespace weir
