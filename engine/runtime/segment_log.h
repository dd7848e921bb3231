#pragma once
// FileSegmentLog: the SegmentLog of sinks over Env files. Bytes are copied on W into blocks; one
// pool job at a time works off the order given: open, write, sync, close. After the first failed
// call the log is dead and says so. Bounded: kQueueFull beyond kSegmentQueueBytesMax.

#include <memory>

#include "engine/api/context.h"
#include "engine/api/segment_log.h"

namespace weir::runtime {

inline constexpr size_t kSegmentQueueBytesMax = size_t{16} << 20;
inline constexpr size_t kSegmentBlockBytes =
    size_t{256} << 10;  // appended bytes become a write at this size, or at a Sync

/// `context` must outlive the log.
std::unique_ptr<SegmentLog> MakeFileSegmentLog(NodeContext& context);

}  // namespace weir::runtime
