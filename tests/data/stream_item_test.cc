#include "engine/data/stream_item.h"

#include <gtest/gtest.h>

#include "tests/data/rows.h"

namespace weir {
namespace {

TEST(StreamItem, PrintsWhatItIs) {
  const Batch batch = BatchOf({{"a", Type::Of(TypeKind::kInt64), false}},
                              {Values<int64_t>(Type::Of(TypeKind::kInt64), {1, 2})});
  EXPECT_EQ(DebugString(batch), "batch of 2 rows");
  EXPECT_EQ(DebugString(WatermarkItem{EventTime{0}}), "watermark 1970-01-01T00:00:00Z");
  EXPECT_EQ(DebugString(WatermarkItem{EventTime::Min()}), "watermark MIN");
  EXPECT_EQ(DebugString(WatermarkItem{EventTime::Max()}), "watermark MAX");
  EXPECT_EQ(DebugString(BarrierItem{CheckpointId{7}}), "barrier 7");
  EXPECT_EQ(DebugString(CancelItem{CheckpointId{8}}), "cancel 8");
  EXPECT_EQ(DebugString(IdleItem{}), "idle");
  EXPECT_EQ(DebugString(ActiveItem{}), "active");
  EXPECT_EQ(DebugString(NeedItem{9}), "need 9 bytes");
  EXPECT_EQ(DebugString(EndItem{}), "end");
}

}  // namespace
}  // namespace weir
