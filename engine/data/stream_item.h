#pragma once
// StreamItem: what travels on a channel: a batch, or a control item that uses no credit but keeps
// its place. A value.

#include <cstdint>
#include <string>
#include <variant>

#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/data/batch.h"

namespace weir {

struct WatermarkItem {
  EventTime time;
};
struct BarrierItem {
  CheckpointId checkpoint;
};
struct CancelItem {
  CheckpointId checkpoint;
};
struct IdleItem {};
struct ActiveItem {};
struct NeedItem {
  uint64_t bytes;
};  // a row larger than the window waits for the consumer's reserve
struct EndItem {};

using StreamItem = std::variant<Batch, WatermarkItem, BarrierItem, CancelItem, IdleItem, ActiveItem,
                                NeedItem, EndItem>;

/// "watermark 2026-01-01T00:00:00Z", "batch of 12 rows": logs and test failures.
std::string DebugString(const StreamItem& item);

}  // namespace weir
