#include "engine/expr/cast.h"

#include <gtest/gtest.h>

#include "engine/data/decimal.h"
#include "tests/expr/case_table.h"

namespace weir {
namespace {

TEST(Cast, FollowsTheTable) {
  testing::ExpectCases(R"(
s string? | '42'; ' -7 '; '1.5'; 'x'; NULL; '99999999999999999999'
  CAST(s AS int32) => int32: 42; -7; !expression.cast; !expression.cast; NULL; !expression.cast
  CAST(s AS int64) => int64: 42; -7; !expression.cast; !expression.cast; NULL; !expression.cast
  CAST(s AS float64) => float64: 42; -7; 1.5; !expression.cast; NULL; 1e+20
  CAST(s AS decimal(6,1)) => decimal(6,1): 42.0; -7.0; 1.5; !expression.cast; NULL; !expression.cast
  try_cast(s, 'int64') => int64: 42; -7; NULL; NULL; NULL; NULL
  try_cast(s, 'bigint') => int64: 42; -7; NULL; NULL; NULL; NULL
  CAST(CAST(s AS bytes) AS string) => string: 42; ' -7 '; 1.5; x; NULL; 99999999999999999999
i int32, l int64?, f float64, d decimal(20,3) | 1, 2147483648, 2.5, 0.500; -1, -2147483649, -2.5, -0.500; 0, NULL, nan, 99999999999999999.499; 7, 2147483647, 1e30, 2147483647.500
  CAST(l AS int32) => int32: !expression.cast; !expression.cast; NULL; 2147483647
  CAST(f AS int32) => int32: 3; -3; !expression.cast; !expression.cast
  CAST(f AS int64) => int64: 3; -3; !expression.cast; !expression.cast
  CAST(d AS int32) => int32: 1; -1; !expression.cast; !expression.cast
  CAST(d AS int64) => int64: 1; -1; 99999999999999999; 2147483648
  CAST(d AS decimal(4,1)) => decimal(4,1): 0.5; -0.5; !expression.cast; !expression.cast
  CAST(f AS decimal(4,2)) => decimal(4,2): 2.50; -2.50; !expression.cast; !expression.cast
  CAST(i AS decimal(2,1)) => decimal(2,1): 1.0; -1.0; 0.0; 7.0
  CAST(l AS decimal(10,0)) => decimal(10,0): 2147483648; -2147483649; NULL; 2147483647
  CAST(l AS decimal(9,0)) => decimal(9,0): !expression.cast; !expression.cast; NULL; !expression.cast
  CAST(i AS string) => string: '1'; '-1'; '0'; '7'
  CAST(f AS string) => string: '2.5'; '-2.5'; 'NaN'; '1e+30'
  CAST(d AS string) => string: '0.500'; '-0.500'; '99999999999999999.499'; '2147483647.500'
  CAST(i AS bool) => bool: true; true; false; true
  CAST(d AS float64) => float64: 0.5; -0.5; 1e+17; 2147483647.5
  CAST(i AS float32) => float32: 1; -1; 0; 7
t timestamp, a date, n duration, b bool | 2026-03-01T12:30:00.5Z, 2026-03-01, PT90S, true; 1969-12-31T23:59:59Z, 0001-01-01, PT0S, false
  CAST(t AS string) => string: '2026-03-01T12:30:00.500Z'; '1969-12-31T23:59:59Z'
  CAST(t AS date) => date: 2026-03-01; 1969-12-31
  CAST(a AS timestamp) => timestamp: 2026-03-01T00:00:00Z; 0001-01-01T00:00:00Z
  CAST(a AS string) => string: '2026-03-01'; '0001-01-01'
  CAST(n AS string) => string: 'PT1M30S'; 'PT0S'
  CAST(b AS string) => string: 'true'; 'false'
  CAST(b AS int32) => int32: 1; 0
w string | '2026-02-29'; '2024-02-29'; '9999-12-31'; 'today'
  CAST(w AS date) => date: !expression.cast; 2024-02-29; 9999-12-31; !expression.cast
w string | '2026-01-01T00:00:00Z'; '2016-12-31T23:59:60Z'; '2026-01-01 00:00:00+99:99'; '2026-01-01'
  CAST(w AS timestamp) => timestamp: 2026-01-01T00:00:00Z; 2017-01-01T00:00:00Z; !expression.cast; 2026-01-01T00:00:00Z
w string | '5 minutes'; '1 day 02:00:00'; '1 month'; 'PT5S'
  CAST(w AS duration) => duration: PT5M; P1DT2H; !expression.cast; PT5S
)");
}

TEST(ParseInterval, ReadsUnitsOfFixedLength) {
  EXPECT_EQ(ParseInterval("1 week"), 7 * 86'400'000'000);
  EXPECT_EQ(ParseInterval("1.5 hours"), 5'400'000'000);
  EXPECT_EQ(ParseInterval("-5 minutes"), -300'000'000);
  EXPECT_EQ(ParseInterval("1 hour -30 min"), 1'800'000'000);
  EXPECT_EQ(ParseInterval("2 days 03:04:05.000006"), 2 * 86'400'000'000 + 11'045'000'006);
  EXPECT_EQ(ParseInterval("250ms 5us"), 250'005);
  EXPECT_EQ(ParseInterval("0 seconds"), 0);
  EXPECT_EQ(ParseInterval("PT1M"), 60'000'000);
  for (const char* text : {"", " ", "5", "5 months", "1 year", "x", "5 minutes ago", "1:2",
                           "99999999999999999999 days", "1 . hours", "--5 min", "5 minutes,"}) {
    EXPECT_EQ(ParseInterval(text), std::nullopt) << text;
  }
}

TEST(ParseDecimal, RoundsHalfAwayFromZero) {
  const auto parsed = [](std::string_view text, int precision, int scale) {
    const std::optional<Int128> value = ParseDecimal(text, precision, scale);
    return value ? DecimalToString(*value, scale) : std::string("none");
  };
  EXPECT_EQ(parsed("2.345", 5, 2), "2.35");
  EXPECT_EQ(parsed("-2.345", 5, 2), "-2.35");
  EXPECT_EQ(parsed("2.3449999999999999999999999999999999999999", 5, 2), "2.34");
  EXPECT_EQ(parsed("0.005", 5, 2), "0.01");
  EXPECT_EQ(parsed("0.0049", 5, 2), "0.00");
  EXPECT_EQ(parsed("999.995", 5, 2), "none");
  EXPECT_EQ(parsed("1e3", 4, 0), "1000");
  EXPECT_EQ(parsed("1e-40", 38, 38), "0.00000000000000000000000000000000000000");
  EXPECT_EQ(parsed("1e999999999999", 38, 0), "none");
  EXPECT_EQ(parsed("1e-999999999999", 38, 0), "0");
  EXPECT_EQ(parsed("00000000000000000000000000000000000000000000000001", 1, 0), "1");
  for (const char* text : {"", ".", "-", "1e", "e5", "1.2.3", "0x1", "1e+-5"})
    EXPECT_EQ(parsed(text, 38, 2), "none") << text;
}

TEST(IsValidUtf8, FindsWhatIsNot) {
  EXPECT_TRUE(IsValidUtf8("plain text, longer than eight bytes, ä€𝄞"));
  for (const char* text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                           "abcdefgh\xe2\x82", "\xe0\x80\x80", "\x80"})
    EXPECT_FALSE(IsValidUtf8(text));
}

}  // namespace
}  // namespace weir
