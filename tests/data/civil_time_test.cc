#include "engine/data/civil_time.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/time.h"

namespace weir {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;

std::string Canonical(std::string_view text) {
  const std::optional<int64_t> us = ParseTimestamp(text);
  return us ? TimestampToString(*us) : "none";
}

TEST(CivilDate, EveryDayFromYearOneToTenThousandCountsOn) {
  CivilDate expected{1, 1, 1};
  const int64_t first = DaysFromCivil(expected);
  EXPECT_EQ(first * kDayUs, kEventTimeLeast.us);
  const int64_t last = DaysFromCivil({10'000, 1, 1});
  EXPECT_EQ(last * kDayUs, kEventTimeMost.us + 1);
  for (int64_t day = first; day <= last; ++day) {
    const CivilDate date = CivilFromDays(day);
    ASSERT_TRUE(date.year == expected.year && date.month == expected.month &&
                date.day == expected.day)
        << day;
    ASSERT_EQ(DaysFromCivil(date), day);
    ASSERT_TRUE(IsValidDate(date));
    ++expected.day;
    if (!IsValidDate(expected)) expected = {expected.year, expected.month + 1, 1};
    if (expected.month == 13) expected = {expected.year + 1, 1, 1};
  }
}

TEST(CivilDate, LeapYearsFollowTheGregorianRule) {
  EXPECT_TRUE(IsValidDate({2024, 2, 29}));
  EXPECT_TRUE(IsValidDate({2000, 2, 29}));
  EXPECT_FALSE(IsValidDate({1900, 2, 29}));
  EXPECT_FALSE(IsValidDate({2023, 2, 29}));
  EXPECT_FALSE(IsValidDate({2024, 13, 1}));
  EXPECT_FALSE(IsValidDate({2024, 0, 1}));
  EXPECT_FALSE(IsValidDate({2024, 4, 31}));
  EXPECT_FALSE(IsValidDate({2024, 4, 0}));
}

TEST(Timestamp, TakesEverySpellingOfTheFormat) {
  const std::string same = "2026-01-31T12:34:56Z";
  for (const char* text :
       {"2026-01-31T12:34:56Z", "2026-01-31T12:34:56", "2026-01-31 12:34:56",
        "2026-01-31 12:34:56Z", "2026-01-31t12:34:56z", "2026-01-31T14:34:56+02:00",
        "2026-01-31T14:34:56+0200", "2026-01-31T14:34:56+02", "2026-01-31 06:34:56-06",
        "2026-01-31T18:19:56+05:45", "2026-02-01T00:34:56+12:00", "2026-01-31T12:34:56-00:00",
        "2026-01-31T12:34:56.0Z"}) {
    EXPECT_EQ(Canonical(text), same) << text;
  }
  EXPECT_EQ(Canonical("2026-01-31"), "2026-01-31T00:00:00Z");
  EXPECT_EQ(Canonical("2026-12-31T23:59:60Z"), "2027-01-01T00:00:00Z");
  EXPECT_EQ(Canonical("2026-12-31T23:59:60.5Z"), "2027-01-01T00:00:00.500Z");
}

TEST(Timestamp, DigitsBeyondTheSixthAreCut) {
  EXPECT_EQ(Canonical("2026-01-31T12:34:56.1Z"), "2026-01-31T12:34:56.100Z");
  EXPECT_EQ(Canonical("2026-01-31T12:34:56.123456Z"), "2026-01-31T12:34:56.123456Z");
  EXPECT_EQ(Canonical("2026-01-31T12:34:56.1234569"), "2026-01-31T12:34:56.123456Z");
  EXPECT_EQ(Canonical("2026-01-31T23:59:59.999999999999"), "2026-01-31T23:59:59.999999Z");
  EXPECT_EQ(Canonical("1969-12-31T23:59:59.9999999Z"), "1969-12-31T23:59:59.999999Z");
}

TEST(Timestamp, YearsOneAndNineThousandNineHundredNinetyNineAreTheEnds) {
  EXPECT_EQ(ParseTimestamp("0001-01-01"), kEventTimeLeast.us);
  EXPECT_EQ(ParseTimestamp("9999-12-31T23:59:59.999999Z"), kEventTimeMost.us);
  EXPECT_EQ(ParseTimestamp("0001-01-01T00:00:00-01:00"), kEventTimeLeast.us + 3'600'000'000);
  for (const char* text :
       {"0000-12-31", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z"}) {
    EXPECT_FALSE(ParseTimestamp(text)) << text;
  }
}

TEST(Timestamp, WhatIsNoTimestampIsRefused) {
  for (const char* text : {"",
                           "2026",
                           "2026-01",
                           "2026-1-01",
                           "2026-01-32",
                           "2026-02-29",
                           "2026-13-01",
                           "2026-00-01",
                           "2026-01-00",
                           "2026/01/01",
                           "20260101",
                           "2026-01-31T",
                           "2026-01-31T12",
                           "2026-01-31T12:34",
                           "2026-01-31T12:34:5",
                           "2026-01-31T24:00:00",
                           "2026-01-31T12:60:00",
                           "2026-01-31T12:34:61",
                           "2026-01-31T12:34:56.",
                           "2026-01-31T12:34:56,5",
                           "2026-01-31T12:34:56 Z",
                           "2026-01-31T12:34:56ZZ",
                           "2026-01-31T12:34:56+",
                           "2026-01-31T12:34:56+1",
                           "2026-01-31T12:34:56+24:00",
                           "2026-01-31T12:34:56+01:60",
                           "2026-01-31T12:34:56+01:",
                           "2026-01-31T12:34:56+01:0",
                           "2026-01-31T12:34:56+010",
                           "2026-01-31X12:34:56",
                           "2026-01-31  12:34:56",
                           " 2026-01-31",
                           "2026-01-31 ",
                           "2026-01-31Z",
                           "-2026-01-31",
                           "2026-01-31T12:34:56Europe/Berlin",
                           "1767225600"}) {
    EXPECT_FALSE(ParseTimestamp(text)) << text;
  }
}

TEST(Timestamp, PrintsYearsPastTheUsableOnes) {
  EXPECT_EQ(TimestampToString(kEventTimeMost.us + 1), "+10000-01-01T00:00:00Z");
  EXPECT_EQ(TimestampToString(kEventTimeLeast.us), "0001-01-01T00:00:00Z");
  EXPECT_EQ(TimestampToString(kEventTimeLeast.us - 1), "0000-12-31T23:59:59.999999Z");
  EXPECT_EQ(TimestampToString(DaysFromCivil({-1, 6, 1}) * kDayUs), "-0001-06-01T00:00:00Z");
  EXPECT_EQ(TimestampToString(INT64_MAX), "+294247-01-10T04:00:54.775807Z");
  EXPECT_EQ(TimestampToString(INT64_MIN), "-290308-12-21T19:59:05.224192Z");
}

TEST(Timestamp, TextReadsBackOverRandomTimes) {
  std::mt19937_64 random(3);
  std::uniform_int_distribution<int64_t> usable(kEventTimeLeast.us, kEventTimeMost.us);
  for (int i = 0; i < 50'000; ++i) {
    int64_t us = usable(random);
    if (i % 3 == 1) us -= us % 1000;
    if (i % 3 == 2) us -= us % 1'000'000;
    ASSERT_EQ(ParseTimestamp(TimestampToString(us)), us);
  }
}

TEST(Date, ReadsItsOneSpelling) {
  EXPECT_EQ(ParseDate("1970-01-01"), 0);
  EXPECT_EQ(ParseDate("1969-12-31"), -1);
  EXPECT_EQ(DateToString(*ParseDate("2026-01-31")), "2026-01-31");
  EXPECT_EQ(DateToString(*ParseDate("0001-01-01")), "0001-01-01");
  for (const char* text :
       {"", "2026-02-30", "0000-01-01", "2026-1-1", "2026-01-31T00:00:00Z", "10000-01-01"})
    EXPECT_FALSE(ParseDate(text)) << text;
}

TEST(IsoDuration, ReadsDaysAndSmaller) {
  EXPECT_EQ(ParseIsoDuration("PT1M30S"), 90'000'000);
  EXPECT_EQ(ParseIsoDuration("P1DT2H3M4.000005S"), 93'784'000'005);
  EXPECT_EQ(ParseIsoDuration("-PT0.5S"), -500'000);
  EXPECT_EQ(ParseIsoDuration("+P2D"), 2 * kDayUs);
  EXPECT_EQ(ParseIsoDuration("PT36H"), 36 * 3'600'000'000);
  EXPECT_EQ(ParseIsoDuration("PT1.500000000S"), 1'500'000);
  for (const char* text :
       {"",           "P",     "PT",    "P1DT",   "1D",     "P1Y",    "P1M",
        "P1W",        "PT1D",  "P1H",   "PT1S2S", "PT1S1M", "PT1.5M", "PT1.0000001S",
        "PT.5S",      "PT1.S", "PT-1S", "PT1",    "PT1S ",  "pt1s",   "P99999999999999999999D",
        "P106751992D"}) {
    EXPECT_FALSE(ParseIsoDuration(text)) << text;
  }
}

TEST(IsoDuration, TextReadsBack) {
  EXPECT_EQ(IsoDurationToString(0), "PT0S");
  EXPECT_EQ(IsoDurationToString(90'000'000), "PT1M30S");
  EXPECT_EQ(IsoDurationToString(kDayUs), "P1D");
  EXPECT_EQ(IsoDurationToString(-kDayUs - 1), "-P1DT0.000001S");
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    const auto us = static_cast<int64_t>(random()) >> (random() % 63);
    ASSERT_EQ(ParseIsoDuration(IsoDurationToString(us)), us);
  }
  for (int64_t us : {INT64_MIN, INT64_MAX, int64_t{1}, int64_t{-1}})
    EXPECT_EQ(ParseIsoDuration(IsoDurationToString(us)), us);
}

TEST(JobDuration, ReadsUnitsInAnyNumber) {
  EXPECT_EQ(ParseJobDuration("1h30m", false), 5'400'000'000);
  EXPECT_EQ(ParseJobDuration("500ms", false), 500'000);
  EXPECT_EQ(ParseJobDuration("0s", false), 0);
  EXPECT_EQ(ParseJobDuration("1m1ms", false), 60'001'000);
  EXPECT_EQ(ParseJobDuration("-5m", true), -300'000'000);
  EXPECT_EQ(ParseJobDuration("36500d", false), 36'500 * kDayUs);
  for (const char* text : {"", "-", "5", "s", "5 s", "1.5h", "5S", "5min", "1h-5m", "-5m",
                           "36500d1ms", "99999999999999999999s", "9223372036854775807d", "1us"}) {
    EXPECT_FALSE(ParseJobDuration(text, false)) << text;
  }
  EXPECT_FALSE(ParseJobDuration("-", true));
  EXPECT_FALSE(ParseJobDuration("--5m", true));
}

TEST(JobDuration, TextReadsBack) {
  EXPECT_EQ(JobDurationToString(5'400'000'000), "1h30m");
  EXPECT_EQ(JobDurationToString(0), "0s");
  EXPECT_EQ(JobDurationToString(-1'500'000), "-1s500ms");
  std::mt19937_64 random(5);
  for (int i = 0; i < 10'000; ++i) {
    const int64_t us = static_cast<int64_t>(random() % (36'500ULL * kDayUs)) / 1000 * 1000;
    ASSERT_EQ(ParseJobDuration(JobDurationToString(us), false), us);
  }
}

}  // namespace
}  // namespace weir
