#include "engine/control/restart_policy.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

constexpr double kNoJitter = 0.5;  // the middle of the jitter's range

TEST(RestartPolicy, RestartsAtOnceAfterAHealthyPeriodThenBacksOff) {
  RestartPolicy policy(RestartOptions{});
  EXPECT_EQ(policy.OnFailure(Seconds(0), kNoJitter), Duration{0});
  EXPECT_EQ(policy.OnFailure(Seconds(1), kNoJitter), Seconds(1));
  EXPECT_EQ(policy.OnFailure(Seconds(3), kNoJitter), Milliseconds(1500));
  EXPECT_EQ(policy.OnFailure(Seconds(6), kNoJitter), Milliseconds(2250));
  Duration delay{};
  for (int i = 0; i < 40; ++i) delay = *policy.OnFailure(Seconds(10 + i), kNoJitter);
  EXPECT_EQ(delay, Seconds(60));
  EXPECT_EQ(policy.OnFailure(Seconds(10 + 39 + 600), kNoJitter), Duration{0})
      << "ten minutes without a failure are a healthy period";
}

TEST(RestartPolicy, SpreadsDelaysByTheJitter) {
  for (const double random : {0.0, 0.999999}) {
    RestartPolicy policy(RestartOptions{});
    static_cast<void>(policy.OnFailure(Seconds(0), random));
    const Duration delay = *policy.OnFailure(Seconds(1), random);
    EXPECT_GE(delay, Milliseconds(899));
    EXPECT_LE(delay, Milliseconds(1100));
    EXPECT_NE(delay, Seconds(1));
  }
}

TEST(RestartPolicy, GivesUpAfterMaxAttempts) {
  RestartOptions options;
  options.max_attempts = 3;
  RestartPolicy policy(options);
  EXPECT_TRUE(policy.OnFailure(Seconds(0), kNoJitter));
  EXPECT_TRUE(policy.OnFailure(Seconds(1), kNoJitter));
  EXPECT_FALSE(policy.OnFailure(Seconds(2), kNoJitter));
}

TEST(RestartPolicy, FixedDelayAllowsItsAttempts) {
  RestartOptions options;
  options.strategy = RestartStrategy::kFixedDelay;
  RestartPolicy policy(options);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(policy.OnFailure(Seconds(i), kNoJitter), Seconds(1));
  EXPECT_FALSE(policy.OnFailure(Seconds(4), kNoJitter));
}

TEST(RestartPolicy, FailureRateForgetsOldFailures) {
  RestartOptions options;
  options.strategy = RestartStrategy::kFailureRate;
  RestartPolicy policy(options);
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(policy.OnFailure(Seconds(30 * i), kNoJitter))
        << "three in a minute are allowed, failure " << i;
  EXPECT_TRUE(policy.OnFailure(Seconds(30 * 19 + 1), kNoJitter));
  EXPECT_FALSE(policy.OnFailure(Seconds(30 * 19 + 2), kNoJitter));
}

TEST(RestartPolicy, NoneNeverRestarts) {
  RestartOptions options;
  options.strategy = RestartStrategy::kNone;
  EXPECT_FALSE(RestartPolicy(options).OnFailure(Seconds(0), kNoJitter));
}

}  // namespace
}  // namespace weir::control
