#include "engine/expr/functions.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/expr/case_table.h"
#include "tests/expr/problem_check.h"

namespace weir {
namespace {

TEST(Functions, OfNumbersFollowTheTable) {
  testing::ExpectCases(R"(
d decimal(6,3), f float64?, i int64 | 2.345, 2.5, 7; -2.345, -2.5, -7; 999.999, NULL, 0; 0.500, 1e300, 9223372036854775807
  round(d) => decimal(4,0): 2; -2; 1000; 1
  round(d, 2) => decimal(6,2): 2.35; -2.35; 1000.00; 0.50
  trunc(d, 1) => decimal(5,1): 2.3; -2.3; 999.9; 0.5
  ceil(d) => decimal(4,0): 3; -2; 1000; 1
  floor(d) => decimal(4,0): 2; -3; 999; 0
  round(f) => float64: 3; -3; NULL; 1e+300
  floor(f) => float64: 2; -3; NULL; 1e+300
  round(f, 1) => float64: 2.5; -2.5; NULL; 1e+300
  abs(d) => decimal(6,3): 2.345; 2.345; 999.999; 0.500
  abs(i) => int64: 7; 7; 0; 9223372036854775807
  sign(d) => int32: 1; -1; 1; 1
  sqrt(f) => float64: 1.5811388300841898; !expression.overflow; NULL; 1e+150
  ln(i) => float64: 1.9459101490553132; !expression.overflow; !expression.overflow; 43.66827237527655
  exp(f) => float64: 12.182493960703473; 0.0820849986238988; NULL; !expression.overflow
  power(f, 2) => float64: 6.25; 6.25; NULL; !expression.overflow
  mod(i, 4) => int64: 3; -3; 0; 3
  i % 123 => int64: 7; -7; 0; 7
  i / 123 => int64: 0; 0; 0; 74986764527274600
  width_bucket(i, 0, 10, 5) => int64: 4; 0; 1; 6
)");
}

TEST(Functions, OfTextFollowTheTable) {
  testing::ExpectCases(R"(
s string?, n int32 | 'stream', 2; 'Ströme€', -2; NULL, 1; '', 3
  length(s) => int64: 6; 7; NULL; 0
  upper(s) => string: STREAM; STRÖME€; NULL; ''
  lower(s) => string: stream; ströme€; NULL; ''
  left(s, n) => string: st; Ström; NULL; ''
  right(s, n) => string: am; röme€; NULL; ''
  substring(s, n) => string: tream; Ströme€; NULL; ''
  substring(s, n, 4) => string: trea; S; NULL; ''
  substring(s, 2, n) => string: tr; !expression.cast; NULL; ''
  reverse(s) => string: maerts; €emörtS; NULL; ''
  repeat(s, n) => string: streamstream; ''; NULL; ''
  lpad(s, 9, 'äb') => string: äbästream; äbStröme€; NULL; äbäbäbäbä
  rpad(s, 4) => string: stre; Strö; NULL; '    '
  strpos(s, 'm') => int64: 6; 5; NULL; 0
  position('r' IN s) => int64: 3; 3; NULL; 0
  replace(s, 'r', 'RRR') => string: stRRReam; StRRRöme€; NULL; ''
  split_part(s, 'm', 1) => string: strea; Strö; NULL; ''
  split_part(s, 'r', -1) => string: eam; öme€; NULL; ''
  starts_with(s, 'st') => bool: true; false; NULL; false
  ends_with(s, '€') => bool: false; true; NULL; false
  contains(s, '') => bool: true; true; NULL; true
  trim(both 'sm' from s) => string: trea; Ströme€; NULL; ''
  length(repeat(s, 200000)) => int64: !expression.limit; !expression.limit; NULL; 0
  lpad(s, 2147483647) IS NULL => bool: !expression.limit; !expression.limit; true; !expression.limit
  repeat('%n%s', n) => string: %n%s%n%s; ''; %n%s; %n%s%n%s%n%s
s string | 'a+b%20%C3%A4'; '%zz'; '%2'; '%ff'
  url_decode(s) => string: 'a b ä'; !expression.cast; !expression.cast; !expression.cast
s string | 'weir'; ''; 'ä'
  to_base64(s) => string: d2Vpcg==; ''; w6Q=
  to_hex(s) => string: 77656972; ''; c3a4
  CAST(from_base64(to_base64(s)) AS string) = s => bool: true; true; true
  CAST(from_hex(to_hex(s)) AS string) = s => bool: true; true; true
  left(sha256(s), 8) => string: 9e1bd4e5; e3b0c442; 33e6d73f
u string | 'https://me@host.example:8080/a/b?x=1&y=#frag'; '/path?q'; 'http://[::1]/'; ''
  url_part(u, 'scheme') => string: https; NULL; http; NULL
  url_part(u, 'host') => string: host.example; NULL; [::1]; NULL
  url_part(u, 'port') => string: 8080; NULL; NULL; NULL
  url_part(u, 'path') => string: /a/b; /path; /; NULL
  url_part(u, 'query') => string: x=1&y=; q; NULL; NULL
  url_part(u, 'query', 'x') => string: 1; NULL; NULL; NULL
  url_part(u, 'query', 'y') => string: ''; NULL; NULL; NULL
  url_part(u, 'fragment') => string: frag; NULL; NULL; NULL
  split_part(u, '/', 4) => string: a; ''; ''; ''
)");
}

TEST(Functions, OfTimeFollowTheTable) {
  testing::ExpectCases(R"(
t timestamp?, d duration | 2026-10-25T01:30:15.25Z, PT1H30M; 1969-12-31T23:59:59Z, -PT0.5S; NULL, PT0S; 2026-03-29T00:30:00Z, P2DT3H
  date_trunc('hour', t) => timestamp: 2026-10-25T01:00:00Z; 1969-12-31T23:00:00Z; NULL; 2026-03-29T00:00:00Z
  date_trunc('week', t) => timestamp: 2026-10-19T00:00:00Z; 1969-12-29T00:00:00Z; NULL; 2026-03-23T00:00:00Z
  date_trunc('day', t, 'Europe/Stockholm') => timestamp: 2026-10-24T22:00:00Z; 1969-12-31T23:00:00Z; NULL; 2026-03-28T23:00:00Z
  EXTRACT(hour FROM t) => int64: 1; 23; NULL; 0
  EXTRACT(second FROM t) => decimal(8,6): 15.250000; 59.000000; NULL; 0.000000
  EXTRACT(epoch FROM t) => decimal(18,6): 1792891815.250000; -1.000000; NULL; 1774744200.000000
  EXTRACT(isoyear FROM t) => int64: 2026; 1970; NULL; 2026
  date_part('hour', t, 'Asia/Tokyo') => int64: 10; 8; NULL; 9
  EXTRACT(hour FROM d) => int64: 1; 0; 0; 3
  EXTRACT(epoch FROM d) => decimal(18,6): 5400.000000; -0.500000; 0.000000; 183600.000000
  t AT TIME ZONE 'Europe/Stockholm' => timestamp: 2026-10-25T02:30:15.250Z; 1970-01-01T00:59:59Z; NULL; 2026-03-29T01:30:00Z
  time_bucket(INTERVAL '5 minutes', t) => timestamp: 2026-10-25T01:30:00Z; 1969-12-31T23:55:00Z; NULL; 2026-03-29T00:30:00Z
  time_bucket(d, t) => timestamp: 2026-10-25T01:30:00Z; !expression.overflow; NULL; 2026-03-28T06:00:00Z
  to_epoch(t, 'ms') => int64: 1792891815250; -1000; NULL; 1774744200000
  to_epoch(t) => int64: 1792891815; -1; NULL; 1774744200
  from_epoch(to_epoch(t, 'us'), 'us') = t => bool: true; true; NULL; true
  date_diff('day', TIMESTAMP '2026-01-01', t) => int64: 297; -20454; NULL; 87
  date_diff('month', TIMESTAMP '2026-01-31', t) => int64: 8; -672; NULL; 1
  date_diff('year', TIMESTAMP '2020-06-01', t) => int64: 6; -50; NULL; 5
  format_timestamp(t, '%Y-%m-%d %H:%M:%S %z', 'Europe/Stockholm') => string: '2026-10-25 02:30:15.25 +0100'; '1970-01-01 00:59:59 +0100'; NULL; '2026-03-29 01:30:00 +0100'
  format_timestamp(t, '%a %d %b %y, %I%p, day %j %%') => string: 'Sun 25 Oct 26, 01AM, day 298 %'; 'Wed 31 Dec 69, 11PM, day 365 %'; NULL; 'Sun 29 Mar 26, 12AM, day 088 %'
  t + d => timestamp: 2026-10-25T03:00:15.250Z; 1969-12-31T23:59:58.500Z; NULL; 2026-03-31T03:30:00Z
s string | '31.01.2026 12:30:01.5'; '31.02.2026 12:30:00'; '1.2.2026 1:2:3'; 'x'
  parse_timestamp(s, '%d.%m.%Y %H:%M:%S') => timestamp: 2026-01-31T12:30:01.500Z; !expression.cast; 2026-02-01T01:02:03Z; !expression.cast
  parse_timestamp(s, '%d.%m.%Y %H:%M:%S', 'America/New_York') => timestamp: 2026-01-31T17:30:01.500Z; !expression.cast; 2026-02-01T06:02:03Z; !expression.cast
s string | '2026-01-31T10:00:00+0200'; '2026-01-31T10:00:00Z'; '2026-01-31T10:00:00'; '2026-01-31T10:00:00+99:99'
  parse_timestamp(s, '%FT%T%z') => timestamp: 2026-01-31T08:00:00Z; 2026-01-31T10:00:00Z; !expression.cast; !expression.cast
n int64 | 1767225600000; 1000000000000000000; -1; 0
  from_epoch(n, 'ms') => timestamp: 2026-01-01T00:00:00Z; !expression.overflow; 1969-12-31T23:59:59.999Z; 1970-01-01T00:00:00Z
)");
}

TEST(Functions, BoundWhatOneBatchMayHold) {
  // Each text is allowed, all of them together are not.
  const SchemaRef schema = testing::MakeSchema("n int32");
  std::string rows = "1000000";
  for (int i = 1; i < 400; ++i) rows += "; 1000000";
  const BindResult bound = BindExpression("length(repeat('x', n))", testing::MakeScope(schema), {});
  RowErrors errors;
  const Column column = bound.expression.Evaluate(testing::MakeBatch(schema, rows), errors);
  EXPECT_EQ(errors.rows(), 400 - kTextArenaBytesMax / 1'000'000);
  EXPECT_EQ(testing::Values(column, errors).front(), "1000000");
  EXPECT_EQ(testing::Values(column, errors).back(), "!expression.limit");
}

TEST(Functions, BoundTheCopiesOfOneTextThatManyRowsShare) {
  const SchemaRef schema = testing::MakeSchema("n int32");
  std::string rows = "1";
  for (int i = 1; i < 400; ++i) rows += "; 1";
  for (const char* function : {"upper", "lower", "reverse"}) {
    const BindResult bound = BindExpression(
        std::string(function) + "(CASE WHEN n = 1 THEN repeat('x', 1000000) ELSE 'y' END)",
        testing::MakeScope(schema), {});
    RowErrors errors;
    const Column column = bound.expression.Evaluate(testing::MakeBatch(schema, rows), errors);
    EXPECT_EQ(errors.rows(), 400 - kTextArenaBytesMax / 1'000'000) << function;
    EXPECT_EQ(column.Values<Utf8View>()[0].size(), 1'000'000U) << function;
    EXPECT_EQ(testing::Values(column, errors).back(), "!expression.limit") << function;
  }
}

TEST(Functions, ExplainTheirMistakes) {
  using testing::ExpectProblem;
  const char* columns = "t timestamp, s string, a int32";
  ExpectProblem("date_trunc('hours', t)", "W0416", "'hours'", "did you mean 'hour'?", columns);
  ExpectProblem("EXTRACT(hours FROM t)", "W0416", "EXTRACT(hours FROM t)", "did you mean 'hour'?",
                columns);
  ExpectProblem("EXTRACT(century FROM t)", "W0416", "EXTRACT(century FROM t)", "fields: year",
                columns);
  ExpectProblem("date_trunc(s, t)", "W0427", "s", "constant", columns);
  ExpectProblem("t AT TIME ZONE 'Mars'", "W0427", "'Mars'", "IANA", columns);
  ExpectProblem("format_timestamp(t, '%Q')", "W0427", "'%Q'", "%Y", columns);
  ExpectProblem("round(a, s)", "W0416", "s", "constant", columns);
  ExpectProblem("url_part(s, 'hots')", "W0416", "'hots'", "host", columns);
  ExpectProblem("concat(s, a)", "W0416", "concat(s, a)", "x::string", columns);
  ExpectProblem("try_cast(s, 'int65')", "W0424", "'int65'", "", columns);
  ExpectProblem("lower(DISTINCT s)", "W0417", "lower(DISTINCT s)", "no aggregate", columns);
}

TEST(Functions, AreDocumented) {
  std::set<std::string_view> names;
  Scope scope = testing::MakeScope(testing::MakeSchema(
      "user_id string, price decimal(18,2), latency_ms int32, page string, paid bool, failed bool, "
      "at timestamp, url string, path string, nickname string?, name string?, code string?, "
      "a int32?, b int32?, first_name string?, last_name string?, phone string, email string, "
      "ordered_at timestamp, paid_at timestamp"));
  scope.parameters = {{"limit", Type::Of(TypeKind::kInt32), "5"}};
  scope.random_allowed = true;
  const AggregateScope aggregates{scope, std::make_shared<const Schema>(), {}};
  size_t working = 0;
  for (const FunctionDoc& doc : Functions()) {
    EXPECT_TRUE(names.insert(doc.name).second) << doc.name;
    EXPECT_FALSE(doc.group.empty() || doc.signature.empty() || doc.doc.empty() ||
                 doc.null_rule.empty())
        << doc.name;
    if (doc.planned) continue;
    ++working;
    std::string example(doc.example);
    if (doc.name == "nullif") example = "nullif(a, 0)";
    if (doc.aggregate) {
      std::vector<AggregateCall> calls;
      EXPECT_TRUE(BindAggregates(example, aggregates, {}, calls).result)
          << doc.name << ": " << example;
    } else {
      const BindResult bound = BindExpression(example, scope, {});
      EXPECT_TRUE(bound.expression)
          << doc.name << ": " << example
          << (bound.problems.empty() ? "" : ": " + bound.problems[0].message);
    }
  }
  EXPECT_GE(working, 60U);
}

}  // namespace
}  // namespace weir
