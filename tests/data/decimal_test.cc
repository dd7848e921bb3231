#include "engine/data/decimal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace weir {
namespace {

const std::string k38Nines(38, '9');

std::string Text(std::optional<Int128> value, int scale) {
  return value ? DecimalToString(*value, scale) : "none";
}

TEST(Decimal, PrintsAllDigitsOfTheScale) {
  EXPECT_EQ(DecimalToString(900, 2), "9.00");
  EXPECT_EQ(DecimalToString(-5, 2), "-0.05");
  EXPECT_EQ(DecimalToString(0, 3), "0.000");
  EXPECT_EQ(DecimalToString(0, 0), "0");
  EXPECT_EQ(DecimalToString(-7, 0), "-7");
  EXPECT_EQ(DecimalToString(PowerOfTen(38) - 1, 38), "0." + k38Nines);
  EXPECT_EQ(DecimalToString(-(PowerOfTen(38) - 1), 0), "-" + k38Nines);
  EXPECT_EQ(DecimalToString(static_cast<Int128>(static_cast<Uint128>(1) << 127), 0),
            "-170141183460469231731687303715884105728");
}

TEST(Decimal, ReadsExactlyOrNotAtAll) {
  EXPECT_EQ(Text(ParseDecimalExact("-12.50", 10, 2), 2), "-12.50");
  EXPECT_EQ(Text(ParseDecimalExact("1e3", 10, 2), 2), "1000.00");
  EXPECT_EQ(Text(ParseDecimalExact("1.500", 10, 2), 2), "1.50");
  EXPECT_EQ(Text(ParseDecimalExact("1.005", 10, 2), 2), "none");
  EXPECT_EQ(Text(ParseDecimalExact("+7", 10, 2), 2), "7.00");
  EXPECT_EQ(Text(ParseDecimalExact("-0.0", 10, 2), 2), "0.00");
  EXPECT_EQ(Text(ParseDecimalExact("12345e-2", 10, 2), 2), "123.45");
  EXPECT_EQ(Text(ParseDecimalExact("0.00012e4", 10, 2), 2), "1.20");
  EXPECT_EQ(Text(ParseDecimalExact("99999999.99", 10, 2), 2), "99999999.99");
  EXPECT_EQ(Text(ParseDecimalExact("100000000", 10, 2), 2), "none");
  EXPECT_EQ(Text(ParseDecimalExact("0e999999999999999999999", 10, 2), 2), "0.00");
  EXPECT_EQ(Text(ParseDecimalExact("1e999999999999999999999", 10, 2), 2), "none");
  EXPECT_EQ(Text(ParseDecimalExact("1e-999999999999999999999", 10, 2), 2), "none");
}

TEST(Decimal, HoldsThirtyEightDigitsAndNotOneMore) {
  EXPECT_EQ(Text(ParseDecimalExact(k38Nines, 38, 0), 0), k38Nines);
  EXPECT_EQ(Text(ParseDecimalExact("-0." + k38Nines, 38, 38), 38), "-0." + k38Nines);
  EXPECT_EQ(Text(ParseDecimalExact("1" + std::string(38, '0'), 38, 0), 0), "none");
  EXPECT_EQ(Text(ParseDecimalExact(k38Nines + "9", 38, 0), 0), "none");
  EXPECT_EQ(Text(ParseDecimalExact(k38Nines + ".0000", 38, 0), 0), k38Nines);
  std::string zeros(1'000'000, '0');
  EXPECT_EQ(Text(ParseDecimalExact(zeros.append("1.").append(zeros), 38, 0), 0),
            "none");  // a 1 among the copied zeros
  zeros.assign(10'000'000, '0');
  zeros[5'000'000] = '1';
  zeros[5'000'001] = '.';
  EXPECT_EQ(Text(ParseDecimalExact(zeros, 38, 0), 0), "1");
  EXPECT_TRUE(FitsPrecision(PowerOfTen(38) - 1, 38));
  EXPECT_FALSE(FitsPrecision(PowerOfTen(38), 38));
  EXPECT_FALSE(FitsPrecision(static_cast<Int128>(static_cast<Uint128>(1) << 127), 38));
}

TEST(Decimal, WhatIsNoNumberIsRefused) {
  for (const char* text : {"", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "--1", "1 ", " 1", "0x10",
                           "NaN", "Infinity", "1,5", "1e5.0", "1_000", "\xd9\xa1"}) {
    EXPECT_FALSE(ParseDecimalExact(text, 38, 10)) << text;
  }
  EXPECT_TRUE(ParseDecimalExact(".5", 5, 1));
  EXPECT_TRUE(ParseDecimalExact("5.", 5, 1));
  EXPECT_TRUE(ParseDecimalExact("007", 5, 1));
}

TEST(Decimal, RescaleRoundsHalfAwayFromZero) {
  EXPECT_EQ(Text(Rescale(125, 2, 1), 1), "1.3");
  EXPECT_EQ(Text(Rescale(-125, 2, 1), 1), "-1.3");
  EXPECT_EQ(Text(Rescale(124, 2, 1), 1), "1.2");
  EXPECT_EQ(Text(Rescale(-124, 2, 1), 1), "-1.2");
  EXPECT_EQ(Text(Rescale(5, 1, 0), 0), "1");
  EXPECT_EQ(Text(Rescale(-4, 1, 0), 0), "0");
  EXPECT_EQ(Text(Rescale(12, 1, 3), 3), "1.200");
  EXPECT_EQ(Text(Rescale(PowerOfTen(38) - 1, 0, 1), 1), "none");
  EXPECT_EQ(Text(Rescale(PowerOfTen(38) - 1, 38, 0), 0), "1");
  EXPECT_EQ(Text(Rescale(PowerOfTen(37), 0, 1), 1), "none");
  EXPECT_EQ(Text(Rescale(0, 0, 38), 38), "0." + std::string(38, '0'));
}

TEST(Decimal, RescaleExactLosesNoDigit) {
  EXPECT_EQ(Text(RescaleExact(1250, 3, 2), 2), "1.25");
  EXPECT_EQ(Text(RescaleExact(1255, 3, 2), 2), "none");
  EXPECT_EQ(Text(RescaleExact(0, 38, 0), 0), "0");
  EXPECT_EQ(Text(RescaleExact(PowerOfTen(38) - 1, 0, 1), 1), "none");
}

TEST(Decimal, TextRoundTripsOverRandomValues) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const int scale = static_cast<int>(random() % 39);
    Int128 value =
        static_cast<Int128>((static_cast<Uint128>(random()) << 64 | random()) %
                            static_cast<Uint128>(PowerOfTen(static_cast<int>(random() % 39))));
    if (random() % 2 == 0) value = -value;
    const std::string text = DecimalToString(value, scale);
    const std::optional<Int128> back = ParseDecimalExact(text, 38, scale);
    ASSERT_TRUE(back) << text;
    ASSERT_TRUE(*back == value) << text;
  }
}

TEST(Decimal, ToDoubleIsTheNearestDouble) {
  EXPECT_EQ(DecimalToDouble(1, 1), 0.1);
  EXPECT_EQ(DecimalToDouble(-123456789, 4), -12345.6789);
  EXPECT_EQ(DecimalToDouble(PowerOfTen(38) - 1, 0), 1e38);
  EXPECT_EQ(DecimalToDouble(1, 38), 1e-38);
  std::mt19937_64 random(2);
  for (int i = 0; i < 20'000; ++i) {
    const int scale = static_cast<int>(random() % 39);
    const auto value = static_cast<Int128>(static_cast<int64_t>(random()) >> (random() % 60));
    ASSERT_EQ(DecimalToDouble(value, scale),
              std::strtod(DecimalToString(value, scale).c_str(), nullptr))
        << DecimalToString(value, scale);
  }
}

}  // namespace
}  // namespace weir
