#include "engine/api/operator.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

/// Only what every operator must have.
class Least final : public Operator {
 public:
  Result<Step> OnBatch(Port, const Batch&, Output&) override { return Step::Done(); }
};

TEST(Operator, NeedsOnlyOnBatchUnlessItSetsTimers) {
  Least least;
  Output out({});
  EXPECT_TRUE(least.OnWatermark(EventTime{1}, out).ok());
  EXPECT_TRUE(least.OnWake(out).ok());
  EXPECT_TRUE(least.OnEnd(out).ok());
  const Result<Step> timers = least.OnTimers({}, out);
  ASSERT_FALSE(timers.ok()) << "a timer that nobody handles is a bug, not a loss";
  EXPECT_EQ(timers.status().code(), Code::kInternal);
}

}  // namespace
}  // namespace weir
