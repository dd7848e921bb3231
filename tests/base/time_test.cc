#include "engine/base/time.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Time, SaturatesAtBothEnds) {
  EXPECT_EQ(SatAdd(INT64_MAX, 1), INT64_MAX);
  EXPECT_EQ(SatAdd(INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(SatAdd(INT64_MAX, INT64_MIN), -1);
  EXPECT_EQ(SatAdd(EventTime::Max(), Seconds(1)), EventTime::Max());
  EXPECT_EQ(SatAdd(EventTime::Min(), Microseconds(-1)), EventTime::Min());
  EXPECT_EQ(SatAdd(EventTime{5}, Milliseconds(1)), EventTime{1005});
}

TEST(Time, UsableTimesAreYearsOneToNineThousandNineHundredNinetyNine) {
  EXPECT_TRUE(IsUsable(kEventTimeLeast));
  EXPECT_TRUE(IsUsable(kEventTimeMost));
  EXPECT_FALSE(IsUsable(EventTime{kEventTimeLeast.us - 1}));
  EXPECT_FALSE(IsUsable(EventTime{kEventTimeMost.us + 1}));
  EXPECT_FALSE(IsUsable(EventTime::Min()));
  EXPECT_FALSE(IsUsable(EventTime::Max()));
}

}  // namespace
}  // namespace weir
