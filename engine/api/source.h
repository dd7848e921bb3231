#pragma once
// Source and SplitEnumerator: where rows come from. A Source is a set of poll steps of one task
// (W): it knows no format, watermark or barrier. The task decodes, runs event time and the idle
// clock per split, fills metadata columns and injects barriers; the position that a checkpoint
// saves is the last one reported for rows that have all gone down the chain. The SplitEnumerator
// (P, one per source node, beside the coordinator) finds the splits.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/context.h"
#include "engine/api/format.h"
#include "engine/api/operator.h"
#include "engine/base/status.h"
#include "engine/data/key_encoding.h"
#include "engine/data/row_builder.h"

namespace weir {

inline constexpr size_t kSplitPositionBytesMax = 1024;

/// A Kafka partition, a file, a stripe of a generator.
struct SplitState {
  std::string id;                       // stable over restarts; decides the task
  std::string position;                 // where to go on: the source's own text
  EventTime max_ts = EventTime::Min();  // the task's
  bool idle = false;                    // the task's
  bool begun = true;                    // false: a file of `order: by_name` whose turn has not come
};

class SplitEnumerator {
 public:
  virtual ~SplitEnumerator() = default;
  /// Refuses what is gone or changed identity: kNotFound, kIncompatible with names.
  virtual Status Open(NodeContext& context, std::span<const SplitState> restored) = 0;
  /// All splits known now, with concrete start positions; known ids are ignored. Called every
  /// discovery interval.
  virtual Result<std::vector<SplitState>> Discover() = 0;
  virtual bool complete() const = 0;  // bounded: no further split will come
  virtual Duration discovery_interval() const { return Seconds(10); }
  /// Which task reads a split: a function of its id alone. Kafka partitions are dealt
  /// by topic and number.
  virtual TaskIndex TaskOf(const SplitState& split, uint32_t parallelism) const {
    return TaskOfSplit(split.id, parallelism);
  }
};

/// The idle clock runs only in kCaughtUp.
enum class SplitStatus : uint8_t { kBehind, kCaughtUp, kUnreachable, kEnded };

/// One Poll's harvest; the task's.
class SourceOutput {
 public:
  virtual ~SourceOutput() = default;
  virtual uint32_t rows_wanted()
      const = 0;  // at least 1: a checkpoint waits until these rows have gone down
  virtual bool paused(SplitIndex split) const = 0;  // by alignment or `rate`: leave it alone
  /// Bytes stay the source's and valid until its next call: decoded right after Poll.
  virtual void Append(SplitIndex split, const Record& record) = 0;
  virtual RowBuilder& Rows(
      SplitIndex split) = 0;  // sources without a format: rows of the planned schema
  /// After the split's last record of this Poll: the position to save. `lag`: records behind the
  /// end, -1 unknown.
  virtual void Report(SplitIndex split, std::string_view position, SplitStatus status,
                      int64_t lag = -1) = 0;
  /// Records passed over without a row (NULL values that are skipped): counted as filtered.
  virtual void Skipped(SplitIndex split, uint64_t records) = 0;
};

class Source {
 public:
  virtual ~Source() = default;
  virtual Status Open(NodeContext& context) = 0;               // P
  virtual Status Add(std::span<const SplitState> splits) = 0;  // W  start, restore, discovery;
                                                               // SplitIndex counts on in this order
  virtual Result<Step> Poll(
      SourceOutput& out) = 0;  // W  kDone: took what was wanted; kWait: nothing now, a wake follows
  virtual void OnComplete(
      CheckpointId checkpoint,
      std::span<const SplitState> splits) {  // W  offsets for lag tools; failures are only counted
    static_cast<void>(checkpoint), static_cast<void>(splits);
  }
};

struct SourceParts {
  std::function<std::unique_ptr<Source>()> source;  // cheap; connects in Open
  std::function<std::unique_ptr<SplitEnumerator>()> enumerator;
};

}  // namespace weir
