#pragma once
// SourceStep: the source side of a task: polls, decodes right after the poll, adds
// metadata columns and event time, runs the splits' clocks, keeps the positions. What one poll
// brought is a harvest of ready batches; the position that a checkpoint saves moves only when the
// harvest has gone down. The task drives it (W) and forwards the marks.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/source.h"
#include "engine/runtime/node.h"

namespace weir::runtime {

/// A bad record of a harvest, given to whoever applies `on_error`.
class RecordErrorHandler {
 public:
  virtual ~RecordErrorHandler() = default;
  /// A Status ends the attempt.
  virtual Status OnRecordError(const Record& record, const RowError& error) = 0;
};

class SourceStep final : public SourceOutput {
 public:
  /// `rows_max`: of one batch. `tasks`: that share the rate.
  SourceStep(const PlanNode& node, std::unique_ptr<Source> source, std::unique_ptr<Decoder> decoder,
             EventTime start, uint32_t rows_max, uint32_t tasks);

  Source& source() { return *source_; }
  SplitTracker& tracker() { return tracker_; }

  // SourceOutput.
  uint32_t rows_wanted() const override { return rows_wanted_; }
  bool paused(SplitIndex split) const override { return tracker_.ended(split); }
  void Append(SplitIndex split, const Record& record) override;
  RowBuilder& Rows(SplitIndex split) override;
  void Report(SplitIndex split, std::string_view position, SplitStatus status,
              int64_t lag) override;
  void Skipped(SplitIndex split, uint64_t records) override;

  // The task.
  Status AddSplits(std::span<const SplitState> splits, bool running, Marks& marks);
  /// The rate allows rows now; else `rate_at` says when.
  bool MayPoll(Duration steady, uint32_t rows_limit);
  std::optional<Duration> rate_at() const { return rate_at_; }
  /// One poll and all of the decoding. Afterwards `harvest` holds batches in order. `now`: wall
  /// clock.
  Result<Step> Poll(EventTime now, Duration steady, NodeCounters& counters,
                    RecordErrorHandler& errors, Marks& marks);
  std::deque<Batch>& harvest() { return harvest_; }
  bool has_reports() const { return !reports_.empty(); }
  size_t held_bytes() const {
    size_t bytes = 0;
    for (const Batch& batch : harvest_) bytes += batch.bytes();
    return bytes;
  }
  uint64_t decode_us() const { return decode_us_; }
  /// The harvest has gone down: positions move, watermarks and ends follow.
  void Finish(Marks& marks);
  std::vector<SplitState> Snapshot() const;
  std::vector<SplitValues> Values() const;
  bool unreachable() const;
  std::optional<EventTime> last_time() const { return last_time_; }
  uint64_t positions_moved() const { return positions_moved_; }

 private:
  struct Run {  // records or rows of one split, in a row
    SplitIndex split;
    uint32_t first = 0, count = 0;
  };
  struct SplitInfo {
    std::string id, position;
    std::string topic;  // of its last record
    int32_t partition = -1;
    int64_t lag = -1;
  };
  struct Reported {
    SplitIndex split;
    std::string position;
    SplitStatus status;
    int64_t lag;
  };
  Status DecodeRun(const Run& run, NodeCounters& counters, RecordErrorHandler& errors,
                   Marks& marks);
  Status EmitBuilt(NodeCounters& counters, RecordErrorHandler& errors, Marks& marks);
  Column Metadata(const std::string& name, uint32_t rows, const Column& event_time) const;
  void CloseRowsRun();

  const PlanNode& plan_;
  const SourceShape& shape_;
  const std::unique_ptr<Source> source_;
  const std::unique_ptr<Decoder> decoder_;
  const uint32_t rows_max_;
  const SchemaRef schema_;    // of the output
  SchemaRef planned_schema_;  // its first columns
  SplitTracker tracker_;
  std::vector<SplitInfo> splits_;
  uint64_t skipped_ = 0;
  uint64_t positions_moved_ = 0;

  // One poll.
  uint32_t rows_wanted_ = 1024;
  std::vector<Record> records_;
  std::vector<Run> runs_;              // of records_
  RowBuilder builder_;                 // planned columns
  std::vector<Run> rows_;              // of builder_
  std::vector<uint32_t> row_records_;  // builder_ row -> records_; empty without a decoder
  std::vector<Reported> reports_;
  std::deque<Batch> harvest_;
  RowErrors row_errors_;
  EventTime now_{};
  Duration steady_{};
  uint64_t decode_us_ = 0;
  std::optional<EventTime> last_time_;

  // `rate`.
  double rate_per_us_ = 0, tokens_ = 0, tokens_max_ = 0;
  Duration refilled_{};
  std::optional<Duration> rate_at_;
};

}  // namespace weir::runtime
