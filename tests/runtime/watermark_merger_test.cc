#include "engine/runtime/watermark_merger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace weir::runtime {
namespace {

using Status = WatermarkMerger::Status;

constexpr EventTime T(int64_t us) { return {us}; }
Mark W(int64_t us) { return {Mark::Kind::kWatermark, T(us)}; }
const Mark kIdleMark{Mark::Kind::kIdle};
const Mark kActiveMark{Mark::Kind::kActive};
const Mark kEndMark{Mark::Kind::kEnd};

/// Walks every sequence of events up to `depth` and checks the invariants of the valve after
/// each.
class Enumeration {
 public:
  Enumeration(size_t inputs, bool with_add, int depth)
      : inputs_(inputs), with_add_(with_add), depth_(depth) {}
  uint64_t Run() {
    Walk(WatermarkMerger(inputs_, EventTime::Min()), EventTime::Min(), false, 0, 0);
    return states_;
  }

 private:
  void Walk(const WatermarkMerger& merger, EventTime before, bool idle, int ends, int depth) {
    ++states_;
    if (depth == depth_ || ::testing::Test::HasFailure()) return;
    for (size_t input = 0; input < inputs_; ++input) {
      for (int64_t time = 1; time <= 3; ++time)
        Step(merger, before, idle, ends, depth,
             [&](WatermarkMerger& m, Marks& out) { m.OnWatermark(input, T(time), out); });
      Step(merger, before, idle, ends, depth,
           [&](WatermarkMerger& m, Marks& out) { m.OnIdle(input, out); });
      Step(merger, before, idle, ends, depth,
           [&](WatermarkMerger& m, Marks& out) { m.OnActive(input, out); });
      Step(merger, before, idle, ends, depth,
           [&](WatermarkMerger& m, Marks& out) { m.OnEnd(input, out); });
    }
    if (with_add_ && merger.inputs() == inputs_ && merger.out_status() != Status::kFinished) {
      Step(merger, before, idle, ends, depth,
           [&](WatermarkMerger& m, Marks& out) { m.Add(m.NewInput(), out); });
    }
  }

  void Step(const WatermarkMerger& from, EventTime before, bool idle, int ends, int depth,
            const std::function<void(WatermarkMerger&, Marks&)>& event) {
    WatermarkMerger merger = from;
    Marks out;
    event(merger, out);
    EventTime last = before;
    for (const Mark& mark : out) {
      switch (mark.kind) {
        case Mark::Kind::kWatermark:
          EXPECT_GT(mark.time, last);
          EXPECT_FALSE(idle) << "a watermark left while idle";
          last = mark.time;
          break;
        case Mark::Kind::kIdle:
          EXPECT_FALSE(idle);
          idle = true;
          break;
        case Mark::Kind::kActive:
          EXPECT_TRUE(idle);
          idle = false;
          break;
        case Mark::Kind::kEnd:
          ++ends;
          break;
      }
    }
    EXPECT_GE(merger.out(), before);
    bool all_finished = true;
    bool any_active = false;
    EventTime most = EventTime::Min();
    EventTime least_active = EventTime::Max();
    for (size_t i = 0; i < merger.inputs(); ++i) {
      all_finished &= merger.status(i) == Status::kFinished;
      any_active |= merger.status(i) == Status::kActive;
      most = std::max(most, merger.watermark(i));
      if (merger.status(i) == Status::kActive)
        least_active = std::min(least_active, merger.watermark(i));
      EXPECT_EQ(merger.aligned(i),
                merger.status(i) == Status::kActive && merger.watermark(i) >= merger.out());
    }
    EXPECT_EQ(merger.out() == EventTime::Max(), all_finished);
    EXPECT_EQ(ends, all_finished ? 1 : 0);
    if (!all_finished && !any_active) {
      EXPECT_EQ(merger.out_status(), Status::kIdle);
      EXPECT_EQ(merger.out(), most);
    }
    if (any_active) {
      EXPECT_GE(merger.out(), least_active);
      EXPECT_FALSE(idle);
    }
    Walk(merger, merger.out(), idle, ends, depth + 1);
  }

  const size_t inputs_;
  const bool with_add_;
  const int depth_;
  uint64_t states_ = 0;
};

TEST(WatermarkMerger, HoldsItsInvariantsOverAllEventsOfTwoInputs) {
  EXPECT_GT(Enumeration(2, false, 5).Run(), 100'000U);
}
TEST(WatermarkMerger, HoldsItsInvariantsOverAllEventsOfTwoInputsAndAnAddedOne) {
  EXPECT_GT(Enumeration(2, true, 5).Run(), 100'000U);
}
TEST(WatermarkMerger, HoldsItsInvariantsOverAllEventsOfThreeInputs) {
  EXPECT_GT(Enumeration(3, false, 4).Run(), 100'000U);
}
TEST(WatermarkMerger, HoldsItsInvariantsOverAllEventsOfThreeInputsAndAnAddedOne) {
  EXPECT_GT(Enumeration(3, true, 4).Run(), 100'000U);
}

TEST(WatermarkMerger, FlushesToTheLargestWatermarkWhicheverInputIdlesLast) {
  for (const bool slow_first : {true, false}) {
    WatermarkMerger merger(2, EventTime::Min());
    Marks out;
    merger.OnWatermark(0, T(10), out);
    merger.OnWatermark(1, T(20), out);
    merger.OnIdle(slow_first ? 0 : 1, out);
    merger.OnIdle(slow_first ? 1 : 0, out);
    EXPECT_EQ(merger.out(), T(20));
    EXPECT_EQ(out.back(), kIdleMark);
  }
}

TEST(WatermarkMerger, LetsALoneInputThatComesBackGoOn) {
  WatermarkMerger merger(2, EventTime::Min());
  Marks out;
  merger.OnIdle(0, out);
  merger.OnWatermark(1, T(5), out);
  merger.OnIdle(1, out);
  out.clear();
  merger.OnActive(1, out);
  EXPECT_EQ(out, Marks{kActiveMark});
  out.clear();
  merger.OnWatermark(1, T(7), out);
  EXPECT_EQ(out, Marks{W(7)});
}

TEST(WatermarkMerger, TreatsFinishedBesideIdleAsIdleAndNotAsTheEnd) {
  WatermarkMerger merger(2, EventTime::Min());
  Marks out;
  merger.OnWatermark(0, T(4), out);
  merger.OnEnd(0, out);
  merger.OnIdle(1, out);
  EXPECT_EQ(out, (Marks{W(4), kIdleMark}));
  EXPECT_EQ(merger.out(), T(4));
}

TEST(WatermarkMerger, EndsWithoutAnyRow) {
  WatermarkMerger merger(2, EventTime::Min());
  Marks out;
  merger.OnEnd(1, out);
  merger.OnEnd(0, out);
  merger.OnEnd(0, out);
  EXPECT_EQ(out, Marks{kEndMark});
}

TEST(WatermarkMerger, LeavesAnAddedInputOutUntilItHasCaughtUp) {
  WatermarkMerger merger(1, EventTime::Min());
  Marks out;
  merger.OnWatermark(0, T(10), out);
  const size_t added = merger.NewInput();
  merger.Add(added, out);
  out.clear();
  merger.OnWatermark(added, T(3), out);
  merger.OnWatermark(0, T(11), out);
  EXPECT_EQ(out, Marks{W(11)});
  merger.OnWatermark(added, T(11), out);
  merger.OnWatermark(0, T(20), out);
  EXPECT_EQ(merger.out(), T(11));
}

TEST(WatermarkMerger, ReportsAWatermarkThatGoesBack) {
  WatermarkMerger merger(1, T(5));
  Marks out;
  EXPECT_FALSE(merger.OnWatermark(0, T(4), out));
  EXPECT_TRUE(merger.OnWatermark(0, T(5), out));
  EXPECT_TRUE(merger.OnWatermark(0, T(6), out));
  EXPECT_EQ(out, Marks{W(6)});
}

}  // namespace
}  // namespace weir::runtime
