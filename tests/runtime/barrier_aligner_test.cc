#include "engine/runtime/barrier_aligner.h"

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

CheckpointId C(uint64_t n) { return {n}; }

TEST(BarrierAligner, BlocksAnInputBehindItsBarrierUntilAllHaveCome) {
  BarrierAligner aligner(2, true);
  aligner.OnBarrier(0, C(1));
  EXPECT_TRUE(aligner.blocked(0));
  EXPECT_FALSE(aligner.blocked(1));
  EXPECT_FALSE(aligner.ready());
  aligner.OnBarrier(1, C(1));
  EXPECT_TRUE(aligner.ready());
  aligner.Complete();
  EXPECT_FALSE(aligner.blocked(0));
  EXPECT_EQ(aligner.done(), C(1));
}

TEST(BarrierAligner, DropsASmallerBarrierAndFollowsALargerOne) {
  BarrierAligner aligner(2, true);
  aligner.OnBarrier(0, C(5));
  EXPECT_EQ(aligner.OnBarrier(1, C(4)), C(0));
  EXPECT_FALSE(aligner.blocked(1));
  EXPECT_EQ(aligner.OnBarrier(1, C(6)), C(5));  // 5 is subsumed
  EXPECT_FALSE(aligner.blocked(0));
  EXPECT_TRUE(aligner.blocked(1));
  EXPECT_EQ(aligner.OnBarrier(0, C(5)), C(0));  // late
  EXPECT_FALSE(aligner.blocked(0));
  aligner.OnBarrier(0, C(6));
  EXPECT_TRUE(aligner.ready());
}

TEST(BarrierAligner, IgnoresARepeatedBarrier) {
  BarrierAligner aligner(3, false);
  aligner.OnBarrier(0, C(1));
  aligner.OnBarrier(0, C(1));
  aligner.OnBarrier(1, C(1));
  EXPECT_FALSE(aligner.ready());
  aligner.OnBarrier(2, C(1));
  EXPECT_TRUE(aligner.ready());
  aligner.Complete();
  aligner.OnBarrier(1, C(1));
  EXPECT_FALSE(aligner.aligning());
}

TEST(BarrierAligner, IsReadyWhenTheMissingInputEndsDuringAlignment) {  // FLINK-1775
  BarrierAligner aligner(2, true);
  aligner.OnBarrier(0, C(1));
  aligner.OnEnd(1);
  EXPECT_TRUE(aligner.ready());
  aligner.Complete();
  EXPECT_FALSE(aligner.all_ended());
  aligner.OnBarrier(0, C(2));
  EXPECT_TRUE(aligner.ready());
}

TEST(BarrierAligner, TakesAnEndBehindTheBarrierOfAnInputThatIsNotBlocked) {
  BarrierAligner aligner(3, false);
  aligner.OnBarrier(0, C(1));
  aligner.OnEnd(0);
  EXPECT_FALSE(aligner.ready());
  aligner.OnBarrier(1, C(1));
  aligner.OnEnd(2);
  EXPECT_TRUE(aligner.ready());
}

TEST(BarrierAligner, UnblocksOnCancelAndSendsItOnOnce) {
  BarrierAligner aligner(2, true);
  aligner.OnBarrier(0, C(3));
  int sent = 0;
  for (int i = 0; i < 5; ++i) sent += aligner.OnCancel(C(3)) ? 1 : 0;
  EXPECT_EQ(sent, 1);
  EXPECT_FALSE(aligner.blocked(0));
  aligner.OnBarrier(1, C(3));  // late barrier of the cancelled checkpoint
  EXPECT_FALSE(aligner.aligning());
  EXPECT_FALSE(aligner.OnCancel(C(2)));
  aligner.OnBarrier(1, C(4));
  EXPECT_TRUE(aligner.OnCancel(C(4)));
  EXPECT_FALSE(aligner.blocked(1));
}

TEST(BarrierAligner, CancelBeforeAnyBarrierDropsTheBarriersThatFollow) {
  BarrierAligner aligner(1, true);
  EXPECT_TRUE(aligner.OnCancel(C(2)));
  aligner.OnBarrier(0, C(2));
  EXPECT_FALSE(aligner.ready());
  aligner.OnBarrier(0, C(3));
  EXPECT_TRUE(aligner.ready());
}

TEST(BarrierAligner, TakesCheckpointsByCommandWhenAllInputsHaveEnded) {
  BarrierAligner aligner(1, true);
  EXPECT_FALSE(aligner.OnCommand(C(1)));
  aligner.OnEnd(0);
  EXPECT_TRUE(aligner.OnCommand(C(1)));
  EXPECT_TRUE(aligner.ready());
  aligner.Complete();
  EXPECT_FALSE(aligner.OnCommand(C(1)));
  EXPECT_TRUE(aligner.OnCommand(C(2)));
}

}  // namespace
}  // namespace weir::runtime
