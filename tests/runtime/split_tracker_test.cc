#include "engine/runtime/split_tracker.h"

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

constexpr EventTime T(int64_t us) { return {us}; }
Mark W(int64_t us) { return {Mark::Kind::kWatermark, T(us)}; }
const Mark kIdleMark{Mark::Kind::kIdle};
const Mark kActiveMark{Mark::Kind::kActive};
const Mark kEndMark{Mark::Kind::kEnd};
constexpr WatermarkPolicy kPolicy{
    .max_delay = {10}, .idle_timeout = Milliseconds(500), .when_idle = WhenIdle::kExclude};
const auto kNotPaused = [](SplitIndex) { return false; };

SplitState Fresh(const std::string& id) { return {.id = id, .position = "0"}; }

/// A tracker with `splits` splits from the start, its clock running.
struct Source {
  explicit Source(size_t splits, WatermarkPolicy policy = kPolicy)
      : tracker(policy, EventTime::Min()) {
    for (size_t i = 0; i < splits; ++i) tracker.Add(Fresh(std::to_string(i)), false, marks);
    tracker.Started(marks);
    tracker.StartClock(steady);
  }
  void Rows(uint32_t split, int64_t time) {
    tracker.BeforeRows({split}, marks);
    tracker.OnTime({split}, T(time));
    tracker.EmitWatermark(marks);
  }
  Marks Take() { return std::exchange(marks, {}); }
  void Pass(Duration time, bool blocked = false, bool paused = false) {
    for (Duration left = time; left.us > 0; left = left - kIdleTick) {
      steady = steady + kIdleTick;
      tracker.Tick(
          steady, T(1'000'000), blocked, [&](SplitIndex) { return paused; }, marks);
    }
  }
  Marks marks;
  SplitTracker tracker;
  Duration steady = Seconds(1);
};

TEST(SplitTracker, TakesTheLeastOfItsSplitsLessTheDelay) {
  Source source(2);
  source.Rows(0, 100);
  EXPECT_TRUE(source.Take().empty());
  source.Rows(1, 50);
  EXPECT_EQ(source.Take(), Marks{W(39)});  // 50 - 10 - 1
  source.Rows(1, 40);                      // never back
  EXPECT_TRUE(source.Take().empty());
  source.Rows(1, 300);
  EXPECT_EQ(source.Take(), Marks{W(89)});
}

TEST(SplitTracker, IsIdleAtOnceWithoutASplit) {
  Source source(0);
  EXPECT_EQ(source.Take(), Marks{kIdleMark});
  source.tracker.NoMoreSplits(source.marks);
  EXPECT_EQ(source.Take(), Marks{kEndMark});
}

TEST(SplitTracker, EndsWhenAllSplitsHaveEndedAndNoneWillCome) {
  Source source(2);
  source.tracker.OnEnd({0}, source.marks);
  source.tracker.OnEnd({1}, source.marks);
  EXPECT_EQ(source.Take(), Marks{kIdleMark});  // more may be found
  source.tracker.NoMoreSplits(source.marks);
  EXPECT_EQ(source.Take(), Marks{kEndMark});
}

TEST(SplitTracker, LeavesACaughtUpSplitOutAfterItsTimeout) {
  Source source(2);
  source.Rows(0, 100);
  source.Rows(1, 20);
  source.Take();
  source.tracker.OnReport({1}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Milliseconds(400));
  EXPECT_TRUE(source.Take().empty());
  source.Pass(Milliseconds(100));
  EXPECT_EQ(source.Take(), Marks{W(89)});
  EXPECT_TRUE(source.tracker.idle({1}));
}

TEST(SplitTracker, StopsTheIdleClockWhileBlockedPausedOrBehind) {
  Source source(1);
  source.Rows(0, 100);
  source.Take();
  source.tracker.OnReport({0}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Seconds(5), /*blocked=*/true);
  source.Pass(Seconds(5), false, /*paused=*/true);
  EXPECT_TRUE(source.Take().empty());
  source.tracker.OnReport({0}, SplitStatus::kBehind,
                          source.marks);  // rows wait inside of the connector
  source.Pass(Seconds(5));
  EXPECT_TRUE(source.Take().empty());
  source.tracker.OnReport({0}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Milliseconds(500));
  EXPECT_EQ(source.Take(), Marks{kIdleMark});
}

TEST(SplitTracker, NeverCallsAnUnreachableSplitIdle) {
  Source source(1);
  source.tracker.OnReport({0}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Milliseconds(400));
  source.tracker.OnReport({0}, SplitStatus::kUnreachable, source.marks);
  source.Pass(Seconds(60));
  EXPECT_TRUE(source.Take().empty());
}

TEST(SplitTracker, CallsAnEmptySplitIdleOnceItIsCaughtUp) {
  Source source(1);
  source.tracker.OnReport({0}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Milliseconds(500));
  EXPECT_EQ(source.Take(), Marks{kIdleMark});
}

TEST(SplitTracker, IsActiveBeforeTheRowThatEndsItsIdleness) {
  Source source(1);
  source.Rows(0, 100);
  source.tracker.OnReport({0}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Milliseconds(500));
  source.Take();
  source.tracker.BeforeRows({0}, source.marks);
  EXPECT_EQ(source.Take(), Marks{kActiveMark});
  source.tracker.OnTime({0}, T(200));
  source.tracker.EmitWatermark(source.marks);
  EXPECT_EQ(source.Take(), Marks{W(189)});
}

TEST(SplitTracker, LeavesASplitFoundWhileRunningOutUntilItHasCaughtUp) {
  Source source(1);
  source.Rows(0, 1000);
  source.Take();
  source.tracker.Add(Fresh("new"), true, source.marks);
  source.Rows(1, 5);
  source.Rows(0, 1100);
  EXPECT_EQ(source.Take(), Marks{W(1089)});
  source.Rows(1, 1200);
  source.Rows(0, 2000);
  EXPECT_EQ(source.Take(), Marks{W(1189)});
}

TEST(SplitTracker, LetsAFileInWhenItsTurnComes) {
  SplitTracker tracker(kPolicy, EventTime::Min());
  Marks marks;
  tracker.Add(Fresh("a"), false, marks);
  SplitState later = Fresh("b");
  later.begun = false;
  tracker.Add(later, false, marks);
  tracker.Started(marks);
  tracker.NoMoreSplits(marks);
  tracker.BeforeRows({0}, marks);
  tracker.OnTime({0}, T(100));
  tracker.EmitWatermark(marks);
  EXPECT_EQ(marks, Marks{W(89)});  // b has not begun, so it does not hold
  marks.clear();
  tracker.OnReport({1}, SplitStatus::kBehind,
                   marks);  // begun before a ends: no flush, no idleness between
  tracker.OnEnd({0}, marks);
  EXPECT_TRUE(marks.empty());
  tracker.OnTime({1}, T(300));
  tracker.EmitWatermark(marks);
  tracker.OnEnd({1}, marks);
  EXPECT_EQ(marks, (Marks{W(289), kEndMark}));
}

TEST(SplitTracker, AnnouncesTheRestoredTimeAndIsIdleAgainOnceCaughtUp) {
  SplitTracker tracker(kPolicy, T(50));
  Marks marks;
  tracker.Add({.id = "a", .position = "7", .max_ts = T(100), .idle = true}, false, marks);
  tracker.Started(marks);
  EXPECT_EQ(marks, Marks{W(89)});
  tracker.StartClock(Seconds(1));
  tracker.OnReport({0}, SplitStatus::kCaughtUp, marks);
  tracker.Tick(Seconds(1) + kIdleTick, T(0), false, kNotPaused, marks);
  EXPECT_EQ(marks.back(), kIdleMark);
}

TEST(SplitTracker, AdvancesAnIdleSplitByTheClockWhereTheJobSaysSo) {
  WatermarkPolicy policy = kPolicy;
  policy.when_idle = WhenIdle::kAdvance;
  Source source(1, policy);
  source.Rows(0, 100);
  source.Take();
  source.tracker.OnReport({0}, SplitStatus::kCaughtUp, source.marks);
  source.Pass(Milliseconds(500));
  EXPECT_EQ(source.Take(), Marks{W(1'000'000 - 11)});
  EXPECT_FALSE(source.tracker.idle({0}));
}

TEST(SplitTracker, HasNoWatermarksWithoutEventTime) {
  SplitTracker tracker(std::nullopt, EventTime::Min());
  Marks marks;
  tracker.Add(Fresh("a"), false, marks);
  tracker.Started(marks);
  tracker.BeforeRows({0}, marks);
  tracker.EmitWatermark(marks);
  tracker.NoMoreSplits(marks);
  EXPECT_TRUE(marks.empty());
  tracker.OnEnd({0}, marks);
  EXPECT_EQ(marks, Marks{kEndMark});
}

TEST(SplitTracker, SavesItsTimeAsOneItemAndTakesTheLeastOfAll) {
  Source source(1);
  source.Rows(0, 100);
  const std::unique_ptr<ListState> list = MakeListState({});
  EXPECT_EQ(LeastMaxTs(*list).value(), EventTime::Min()) << "saved by a version without the list";
  SaveMaxTs(source.tracker, *list);
  source.Rows(0, 150);
  SaveMaxTs(source.tracker, *list);
  const auto items = list->Items();
  ASSERT_EQ(items.size(), 1U) << "the item of the checkpoint before is gone";
  EXPECT_EQ(LeastMaxTs(*list).value(), T(150));
  Source other(1);
  other.Rows(0, -70);
  const std::unique_ptr<ListState> second = MakeListState({});
  SaveMaxTs(other.tracker, *second);
  EXPECT_EQ(LeastMaxTs(*MakeListState({items[0].second, second->Items()[0].second})).value(),
            T(-70));
  for (const char* const bad : {"", "1234567", "123456789"})
    EXPECT_EQ(LeastMaxTs(*MakeListState({bad})).status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace weir::runtime
