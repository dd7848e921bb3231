#include "engine/expr/zone.h"

#include <gtest/gtest.h>

#include "engine/data/civil_time.h"

namespace weir {
namespace {

constexpr int64_t kHour = 3'600'000'000;

int64_t At(const char* text) { return *ParseTimestamp(text); }

TEST(ZoneRules, KnowsSummerTime) {
  const auto zone = ZoneRules::Find("Europe/Stockholm");
  ASSERT_NE(zone, nullptr);
  EXPECT_EQ(zone->OffsetAt(At("2026-01-01T00:00:00Z")), kHour);
  EXPECT_EQ(zone->OffsetAt(At("2026-03-29T00:59:59Z")), kHour);
  EXPECT_EQ(zone->OffsetAt(At("2026-03-29T01:00:00Z")), 2 * kHour);
  EXPECT_EQ(zone->OffsetAt(At("2026-10-25T00:59:59Z")), 2 * kHour);
  EXPECT_EQ(zone->OffsetAt(At("2026-10-25T01:00:00Z")), kHour);
  EXPECT_EQ(zone->OffsetAt(At("2037-07-01T00:00:00Z")), 2 * kHour);
  EXPECT_EQ(zone->OffsetAt(At("1900-07-01T00:00:00Z")), kHour);
}

TEST(ZoneRules, ChoosesAsPostgresInGapsAndOverlaps) {
  const auto zone = ZoneRules::Find("Europe/Stockholm");
  ASSERT_NE(zone, nullptr);
  EXPECT_EQ(zone->ToUtc(At("2026-03-29T02:30:00Z")),
            At("2026-03-29T01:30:00Z"));  // does not exist: the offset before
  EXPECT_EQ(zone->ToUtc(At("2026-10-25T02:30:00Z")),
            At("2026-10-25T01:30:00Z"));  // twice: the later offset
  for (const char* text : {"2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z", "1950-05-05T05:05:05Z",
                           "2026-03-29T03:00:00Z", "2026-03-29T01:59:59Z"}) {
    const int64_t local = At(text);
    EXPECT_EQ(zone->ToUtc(local) + zone->OffsetAt(zone->ToUtc(local)), local) << text;
  }
}

TEST(ZoneRules, HoldsAtTheEndsOfTime) {
  const auto zone = ZoneRules::Find("America/New_York");
  ASSERT_NE(zone, nullptr);
  for (const int64_t time : {INT64_MIN, INT64_MIN / 2, int64_t{0}, INT64_MAX / 2, INT64_MAX})
    EXPECT_LT(std::abs(zone->OffsetAt(time)), 24 * kHour);
}

TEST(ZoneRules, RefusesUnknownNames) {
  for (const char* name : {"", "Mars/Base", "../../etc/passwd", "europe/stockholm2", "CET+1"})
    EXPECT_EQ(ZoneRules::Find(name), nullptr) << name;
  ASSERT_NE(ZoneRules::Find("UTC"), nullptr);
  EXPECT_EQ(ZoneRules::Find("UTC")->OffsetAt(0), 0);
}

}  // namespace
}  // namespace weir
