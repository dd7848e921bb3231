#include "engine/runtime/input_flow.h"

#include <gtest/gtest.h>

#include <numeric>

namespace weir::runtime {
namespace {

/// A consumer that does `rows_per_second` and is never idle, fed as much as its windows allow.
uint64_t SettledRows(size_t channels, double rows_per_second, int seconds) {
  InputFlow flow(channels, 1024, 256 << 10, uint64_t{64} << 20);
  Duration now = Seconds(1);
  Duration busy{0};
  flow.Tick(now, busy);
  double owed = 0;
  for (int i = 0; i < seconds * 5; ++i) {
    owed += rows_per_second / 5;
    const auto rows = static_cast<uint32_t>(owed);
    owed -= rows;
    flow.OnConsumed(rows, size_t{rows} * 50);
    now = now + kFlowPeriod;
    busy = busy + kFlowPeriod;
    flow.Tick(now, busy);
  }
  const std::vector<uint64_t> backlog(channels, 10);
  const std::vector<ChannelWindow> windows = flow.Deal(backlog);
  return std::accumulate(
      windows.begin(), windows.end(), uint64_t{0},
      [](uint64_t sum, const ChannelWindow& window) { return sum + window.rows; });
}

TEST(InputFlow, SettlesNearOneSecondOfASlowConsumersRate) {
  const uint64_t rows = SettledRows(1, 1000, 30);
  EXPECT_GE(rows, 900U);
  EXPECT_LE(rows, 1200U);
}

TEST(InputFlow, ShrinksTheSumOfTheWindowsBehindSixteenProducers) {
  const uint64_t rows = SettledRows(16, 1000, 40);
  EXPECT_GE(rows, 16U * 62U);
  EXPECT_LE(rows, 1300U);
}

TEST(InputFlow, GrowsForAFastConsumer) { EXPECT_GT(SettledRows(1, 1'000'000, 60), 100'000U); }

TEST(InputFlow, KeepsTinyBatchesTinyWhereATestAsksForThem) {
  InputFlow flow(1, 1, 4096, 0);
  Duration now = Seconds(1);
  flow.Tick(now, {0});
  for (int i = 1; i < 20; ++i) {
    flow.OnConsumed(100'000, 1'000'000);
    now = now + kFlowPeriod;
    flow.Tick(now, Duration{i * kFlowPeriod.us});
  }
  EXPECT_EQ(flow.batch_rows(), 1U);
}

TEST(InputFlow, GivesMoreToWhereRowsWaitAndEachAtLeastOneBatch) {
  InputFlow flow(2, 100, 4096, 1 << 20);
  const std::vector<uint64_t> backlog = {10'000, 0};
  const std::vector<ChannelWindow> windows = flow.Deal(backlog);
  EXPECT_GT(windows[0].rows, windows[1].rows);
  EXPECT_GE(windows[1].rows, 100U);
}

}  // namespace
}  // namespace weir::runtime
