#include "engine/runtime/source_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"

namespace weir::runtime {
namespace {

constexpr double kRateBurstUs = 100'000;  // tokens kept for at most this time of the rate

std::optional<WatermarkPolicy> PolicyOf(const NodeShape& shape) {
  if (!shape.event_time) return std::nullopt;
  return WatermarkPolicy{shape.event_time->max_delay, shape.event_time->idle_timeout,
                         shape.event_time->when_idle};
}

SchemaRef FirstColumns(const Schema& schema, size_t count) {
  return std::make_shared<const Schema>(std::vector<Field>(
      schema.fields().begin(), schema.fields().begin() + static_cast<std::ptrdiff_t>(count)));
}

Column ConstantTime(EventTime time, uint32_t rows) {
  auto values = std::make_shared<Buffer>(size_t{rows} * sizeof(int64_t));
  std::fill_n(values->as<int64_t>(), rows, time.us);
  return Column(Type::Of(TypeKind::kTimestamp), rows, std::move(values), nullptr, nullptr);
}

}  // namespace

SourceStep::SourceStep(const PlanNode& node, std::unique_ptr<Source> source,
                       std::unique_ptr<Decoder> decoder, EventTime start, uint32_t rows_max,
                       uint32_t tasks)
    : plan_(node),
      shape_(*node.shape.source),
      source_(std::move(source)),
      decoder_(std::move(decoder)),
      rows_max_(rows_max),
      schema_(node.shape.outputs.front().schema),
      planned_schema_(FirstColumns(*schema_, shape_.columns.size())),
      tracker_(PolicyOf(node.shape), start),
      builder_(planned_schema_, rows_max) {
  if (shape_.rate_per_second) {
    rate_per_us_ = *shape_.rate_per_second / static_cast<double>(std::max(tasks, 1U)) / 1e6;
    tokens_max_ = std::max(1.0, rate_per_us_ * kRateBurstUs);
  }
}

void SourceStep::Append(SplitIndex split, const Record& record) {
  if (runs_.empty() || runs_.back().split != split)
    runs_.push_back({split, static_cast<uint32_t>(records_.size()), 0});
  ++runs_.back().count;
  records_.push_back(record);
}

void SourceStep::CloseRowsRun() {
  if (!rows_.empty()) rows_.back().count = builder_.rows() - rows_.back().first;
}

RowBuilder& SourceStep::Rows(SplitIndex split) {
  if (rows_.empty() || rows_.back().split != split) {
    CloseRowsRun();
    rows_.push_back({split, builder_.rows(), 0});
  }
  return builder_;
}

void SourceStep::Report(SplitIndex split, std::string_view position, SplitStatus status,
                        int64_t lag) {
  WEIR_CHECK_LE(position.size(), kSplitPositionBytesMax);
  reports_.push_back({split, std::string(position), status, lag});
}

void SourceStep::Skipped(SplitIndex, uint64_t records) { skipped_ += records; }

Status SourceStep::AddSplits(std::span<const SplitState> splits, bool running, Marks& marks) {
  for (const SplitState& split : splits) {
    tracker_.Add(split, running, marks);
    splits_.push_back({split.id, split.position, {}, -1, -1});
  }
  return splits.empty() ? Status::Ok() : source_->Add(splits);
}

bool SourceStep::MayPoll(Duration steady, uint32_t rows_limit) {
  rows_wanted_ = std::clamp(rows_limit, uint32_t{1}, rows_max_);
  if (rate_per_us_ == 0) return true;
  if (refilled_.us == 0) refilled_ = steady;
  tokens_ =
      std::min(tokens_max_, tokens_ + static_cast<double>((steady - refilled_).us) * rate_per_us_);
  refilled_ = steady;
  rate_at_.reset();
  // A tenth of what the burst holds at once: not a wake-up for every row.
  const double least = std::max(1.0, tokens_max_ / 10);
  if (tokens_ < least) {
    rate_at_ = steady + Duration{static_cast<int64_t>(std::ceil((least - tokens_) / rate_per_us_))};
    return false;
  }
  rows_wanted_ = std::min(rows_wanted_, static_cast<uint32_t>(std::min(tokens_, 1e9)));
  return true;
}

Result<Step> SourceStep::Poll(EventTime now, Duration steady, NodeCounters& counters,
                              RecordErrorHandler& errors, Marks& marks) {
  now_ = now;
  steady_ = steady;
  decode_us_ = 0;
  records_.clear();
  runs_.clear();
  rows_.clear();
  row_records_.clear();
  skipped_ = 0;
  WEIR_ASSIGN(const Step step, source_->Poll(*this));

  counters.outcomes[static_cast<size_t>(Outcome::kFiltered)] += static_cast<int64_t>(skipped_);
  counters.records_in += skipped_;
  uint64_t taken = skipped_;
  if (decoder_ != nullptr) {
    for (const Run& run : runs_) {
      taken += run.count;
      for (uint32_t first = 0; first < run.count; first += rows_max_) {
        WEIR_TRY(DecodeRun({run.split, run.first + first, std::min(rows_max_, run.count - first)},
                           counters, errors, marks));
        if (builder_.full()) WEIR_TRY(EmitBuilt(counters, errors, marks));
      }
    }
  } else {
    CloseRowsRun();
    counters.records_in += builder_.rows();
    taken += builder_.rows();
  }
  if (!builder_.empty()) WEIR_TRY(EmitBuilt(counters, errors, marks));
  if (rate_per_us_ != 0) tokens_ -= static_cast<double>(taken);
  return step;
}

Status SourceStep::DecodeRun(const Run& run, NodeCounters& counters, RecordErrorHandler& errors,
                             Marks& marks) {
  static_cast<void>(marks);
  const std::span<const Record> records(records_.data() + run.first, run.count);
  counters.records_in += run.count;
  for (const Record& record : records) counters.bytes_in += record.value.size();
  SplitInfo& info = splits_[run.split.value];
  if (info.partition != records.back().partition || info.topic != records.back().topic) {
    info.topic = records.back().topic;
    info.partition = records.back().partition;
  }
  const uint32_t before = builder_.rows();
  row_errors_.Clear();
  WEIR_ASSIGN(const Step step, decoder_->Decode(records, builder_, row_errors_));
  static_cast<void>(step);
  WEIR_CHECK_EQ(builder_.rows() - before + row_errors_.rows(), run.count);
  rows_.push_back({run.split, before, builder_.rows() - before});
  if (row_errors_.empty()) {
    for (uint32_t i = 0; i < run.count; ++i) row_records_.push_back(run.first + i);
    return Status::Ok();
  }
  for (uint32_t i = 0; i < run.count; ++i) {
    if (!row_errors_.Has(i)) row_records_.push_back(run.first + i);
  }
  for (const RowError& error : row_errors_.errors())
    WEIR_TRY(errors.OnRecordError(records_[run.first + error.row], error));
  return Status::Ok();
}

/// Planned rows -> event time, bad and future ones out -> metadata columns -> a batch of the
/// harvest.
Status SourceStep::EmitBuilt(NodeCounters& counters, RecordErrorHandler& errors, Marks& marks) {
  const uint32_t rows = builder_.rows();
  Batch planned = builder_.Build();
  std::vector<Run> runs = std::move(rows_);
  std::vector<uint32_t> records = std::move(row_records_);
  rows_.clear();
  row_records_.clear();
  const auto record_of = [&](uint32_t row) {
    return records.empty() ? Record{} : records_[records[row]];
  };

  Column event_time;
  if (plan_.shape.event_time) {
    const EventTimeSpec& spec = *plan_.shape.event_time;
    row_errors_.Clear();
    if (spec.field) {
      event_time = spec.field.Evaluate(planned, row_errors_);
    } else {
      auto values = std::make_shared<Buffer>(size_t{rows} * sizeof(int64_t));
      for (uint32_t row = 0; row < rows; ++row)
        values->as<int64_t>()[row] = record_of(row).timestamp.us;
      event_time =
          Column(Type::Of(TypeKind::kTimestamp), rows, std::move(values), nullptr, nullptr);
    }
    const std::span<const int64_t> times = event_time.Values<int64_t>();
    const Validity valid = event_time.Valid();
    const int64_t latest =
        spec.max_future_drift ? SatAdd(now_, *spec.max_future_drift).us : EventTime::Max().us;
    // All good, nearly always: one pass over the values says so.
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;
    for (const int64_t time : times) {
      least = std::min(least, time);
      most = std::max(most, time);
    }
    bool all_valid = valid.all() && row_errors_.empty();
    if (!all_valid && row_errors_.empty()) {
      all_valid = true;
      for (uint32_t row = 0; row < rows && all_valid; ++row) all_valid = valid[row];
    }
    if (!all_valid || least < kEventTimeLeast.us || most > kEventTimeMost.us || most > latest) {
      Selection good;
      for (uint32_t row = 0; row < rows; ++row) {
        RowError error{.row = 0,
                       .code = RecordCode::kBadEventTime,
                       .message = {},
                       .detached = false,
                       .raw = {}};
        if (row_errors_.Has(row)) {
          for (const RowError& found : row_errors_.errors()) {
            if (found.row == row)
              error.message = "the event time cannot be computed: " + found.message;
          }
        } else if (!valid[row]) {
          error.message = "the event time is NULL";
        } else if (!IsUsable(EventTime{times[row]})) {
          error.message = spec.field ? "the event time lies outside of the years 1 to 9999"
                                     : "the record has no usable timestamp";
        } else if (times[row] > latest) {
          error.code = RecordCode::kEventTimeInFuture;
          error.message = "the event time lies further ahead of the clock than max_future_drift";
        } else {
          good.mutable_rows().push_back(row);
          continue;
        }
        Record record = record_of(row);
        std::string raw;
        if (records.empty()) record.value = raw = planned.RowToString(row);
        WEIR_TRY(errors.OnRecordError(record, error));
      }
      if (good.empty()) return Status::Ok();
      std::vector<Run> kept_runs;
      size_t at = 0;
      for (const Run& run : runs) {
        Run kept{run.split, static_cast<uint32_t>(at), 0};
        while (at < good.size() && good[static_cast<uint32_t>(at)] < run.first + run.count)
          ++at, ++kept.count;
        if (kept.count != 0) kept_runs.push_back(kept);
      }
      runs = std::move(kept_runs);
      planned = planned.Take(good);
      event_time = event_time.Take(good.rows());
      if (!records.empty()) {
        std::vector<uint32_t> kept;
        for (const uint32_t row : good) kept.push_back(records[row]);
        records = std::move(kept);
      }
    }
    for (const Run& run : runs) {
      if (run.count == 0) continue;
      const std::span<const int64_t> of_run =
          event_time.Values<int64_t>().subspan(run.first, run.count);
      tracker_.BeforeRows(run.split, marks);
      tracker_.OnTime(run.split, EventTime{*std::max_element(of_run.begin(), of_run.end())});
    }
    last_time_ = EventTime{event_time.Values<int64_t>().back()};
    // No row that stays has a NULL here.
    if (event_time.offset() == 0)
      event_time = Column(event_time.type(), event_time.rows(), event_time.values_buffer(), nullptr,
                          nullptr);
  } else {
    for (const Run& run : runs) {
      if (run.count != 0) tracker_.BeforeRows(run.split, marks);
    }
  }

  std::vector<Column> columns;
  columns.reserve(schema_->size());
  for (size_t i = 0; i < shape_.columns.size(); ++i)
    columns.push_back(planned.column(ColumnIndex{static_cast<uint16_t>(i)}));
  row_records_ = std::move(records);  // Metadata reads it
  for (const std::string& name : shape_.metadata)
    columns.push_back(Metadata(name, planned.rows(), event_time));
  row_records_.clear();
  counters.outcomes[static_cast<size_t>(Outcome::kPassed)] += planned.rows();
  harvest_.push_back(Batch::Make(schema_, planned.rows(), std::move(columns)));
  return Status::Ok();
}

Column SourceStep::Metadata(const std::string& name, uint32_t rows,
                            const Column& event_time) const {
  if (name == kEventTimeColumn) return event_time;
  if (name == kProcessingTimeColumn) return ConstantTime(now_, rows);
  static const Record kNoRecord;
  const auto record_of = [&](uint32_t row) -> const Record& {
    return row_records_.empty() ? kNoRecord : records_[row_records_[row]];
  };
  if (name == kPartitionColumn || name == kOffsetColumn) {
    const bool offsets = name == kOffsetColumn;
    ColumnBuilder column(Type::Of(offsets ? TypeKind::kInt64 : TypeKind::kInt32), rows);
    for (uint32_t row = 0; row < rows; ++row) {
      if (offsets) {
        column.Append<int64_t>(record_of(row).offset);
      } else {
        column.Append<int32_t>(record_of(row).partition);
      }
    }
    return column.Build();
  }
  const bool is_key = name == kKeyColumn;
  ColumnBuilder column(Type::Of(is_key ? TypeKind::kBytes : TypeKind::kString), rows);
  for (uint32_t row = 0; row < rows; ++row) {
    const Record& record = record_of(row);
    if (!is_key) {
      column.AppendString(record.topic);
    } else if (record.key) {
      column.AppendString(*record.key);
    } else {
      column.AppendNull();
    }
  }
  return column.Build();
}

void SourceStep::Finish(Marks& marks) {
  // A split whose turn has come enters before the one read before it ends.
  for (const Reported& report : reports_) {
    SplitInfo& info = splits_[report.split.value];
    if (info.position != report.position) ++positions_moved_;
    info.position = report.position;
    if (report.lag >= 0 || report.status == SplitStatus::kCaughtUp) info.lag = report.lag;
    if (report.status != SplitStatus::kEnded) tracker_.OnReport(report.split, report.status, marks);
  }
  tracker_.EmitWatermark(marks);
  for (const Reported& report : reports_) {
    if (report.status == SplitStatus::kEnded) tracker_.OnEnd(report.split, marks);
  }
  reports_.clear();
}

std::vector<SplitState> SourceStep::Snapshot() const {
  std::vector<SplitState> states;
  for (uint32_t i = 0; i < splits_.size(); ++i) {
    states.push_back({splits_[i].id, splits_[i].position, tracker_.max_ts({i}), tracker_.idle({i}),
                      tracker_.begun({i})});
  }
  return states;
}

std::vector<SplitValues> SourceStep::Values() const {
  std::vector<SplitValues> values;
  for (uint32_t i = 0; i < splits_.size(); ++i) {
    const SplitInfo& split = splits_[i];
    values.push_back(
        {split.id, split.topic, split.partition, split.lag, split.position, tracker_.status({i})});
  }
  return values;
}

bool SourceStep::unreachable() const {
  for (uint32_t i = 0; i < splits_.size(); ++i) {
    if (tracker_.status({i}) == SplitStatus::kUnreachable) return true;
  }
  return false;
}

}  // namespace weir::runtime
