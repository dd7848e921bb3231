#pragma once
// What tasks measure, as plain values copied out for a scrape, the live line or a report. The
// originals are single-writer counters of the task's worker (relaxed, per batch); copying is done
// by any thread and never stops a worker.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/output.h"
#include "engine/api/sink.h"
#include "engine/api/source.h"
#include "engine/api/state_backend.h"
#include "engine/base/ids.h"
#include "engine/base/record_code.h"
#include "engine/base/time.h"

namespace weir::runtime {

enum class TimeState : uint8_t { kBusy, kIdle, kBackpressured };
inline constexpr size_t kTimeStates = 3;
enum class BusyPart : uint8_t { kDecode, kCompute, kStateRead, kStateWrite, kEncode, kThreadWait };
inline constexpr size_t kBusyParts = 6;
std::string_view TimeStateName(TimeState state);
std::string_view BusyPartName(BusyPart part);

/// Fixed buckets; bounds in seconds, the last one is +Inf.
struct HistogramValues {
  std::vector<double> bounds;
  std::vector<uint64_t> counts;  // bounds.size() + 1
  double sum = 0;
};

struct ChannelValues {
  std::string upstream;  // node id of the producer
  int64_t credits = 0;   // rows the sender may still send
  uint64_t queued_rows = 0, queued_bytes = 0, blocked_us = 0;
};

struct SplitValues {
  std::string id, topic;
  int32_t partition = -1;
  int64_t lag = -1;  // -1: not known
  std::string position;
  SplitStatus status = SplitStatus::kBehind;
};

/// One node in one task.
struct NodeValues {
  std::string node_id, type;
  TaskIndex task;
  bool source = false, sink = false, head = false;
  uint64_t records_in = 0, records_out = 0, bytes_in = 0, bytes_out = 0;
  std::array<uint64_t, kTimeStates> time_us{};  // of the task: the same on every node of a chain
  std::array<uint64_t, kBusyParts> busy_us{};   // the node's own
  std::optional<EventTime> watermark;
  std::array<int64_t, kOutcomes> outcomes{};
  std::array<uint64_t, kNodeCounts> counts{};
  std::array<uint64_t, kRecordCodes> errors{};
  std::map<std::string, uint64_t> anomalies;
  int64_t unaccounted = 0;
  bool exact_conservation = false;
  std::optional<StateUsage> state;
  std::vector<SplitValues> splits;
  std::optional<double> emit_lag_seconds;  // sources
  SinkProgress sink_progress;
  std::vector<ChannelValues> channels;  // heads
  HistogramValues record_latency, alignment, snapshot_sync, snapshot_async, snapshot_upload,
      sink_commit;
  std::string degraded;  // sources: what does not answer; empty: nothing
  uint64_t stall_longest_us = 0;
};

}  // namespace weir::runtime
