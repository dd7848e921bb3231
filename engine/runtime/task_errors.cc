// The part of Task that applies `on_error` to bad records and rows, of sources,
// operators, sinks and combiners alike.

#include <algorithm>

#include "engine/base/escape.h"
#include "engine/base/log.h"
#include "engine/runtime/error_rows.h"
#include "engine/runtime/task.h"

namespace weir::runtime {
namespace {

constexpr int64_t kLogEveryMs = 10'000;
constexpr size_t kShownBytesMax = 256;  // of a record

OnError PolicyFor(const PlanNode& node, RecordCode code) {
  if (code != RecordCode::kEventTimeInFuture || !node.shape.event_time) return node.on_error;
  switch (node.shape.event_time->on_future) {
    case OnFuture::kFail:
      return OnError::kFail;
    case OnFuture::kSideOutput:
      return OnError::kSideOutput;
    case OnFuture::kDrop:
      break;
  }
  return OnError::kDrop;
}

/// Where a record came from, "topic:partition:offset" or "file:offset"; empty if nobody knows.
std::string PlaceOf(const Record& record) {
  if (record.offset < 0) return "";
  return std::string(record.topic) + ":" +
         (record.partition >= 0 ? std::to_string(record.partition) + ":" : std::string()) +
         std::to_string(record.offset);
}

/// The error ends the attempt. The job's status shows the record; the log above debug says only
/// which one it was.
Status BadRecord(const PlanNode& node, const RowError& error, std::string_view what,
                 const std::string& place) {
  WEIR_LOG(kError, "a bad record ends the attempt", {"node_id", node.id},
           {"code", RecordCodeName(error.code)}, {"record", place});
  return Status(Code::kBadRecord,
                "node '" + node.id + "': " + std::string(RecordCodeName(error.code)) + ": " +
                    error.message + "; the record: " + OneLine(what, kShownBytesMax) +
                    (place.empty() ? "" : " at " + place) +
                    " (set on_error to \"drop\" or \"side_output\" to go on without such records)");
}

void LogDropped(const PlanNode& node, const RowError& error) {
  WEIR_LOG_EVERY_MS(kLogEveryMs, kWarn, "bad record dropped", {"node_id", node.id},
                    {"code", RecordCodeName(error.code)});
}

/// Its content, which the log shows at debug alone. `what()` makes it.
template <class What>
void ShowAtDebug(const PlanNode& node, const RowError& error, What&& what) {
  WEIR_LOG_EVERY_MS(kLogEveryMs, kDebug, "bad record", {"node_id", node.id},
                    {"code", RecordCodeName(error.code)},
                    {"reason", OneLine(error.message, kShownBytesMax)},
                    {"content", OneLine(what(), kShownBytesMax)});
}

}  // namespace

Status Task::OnRecordError(const Record& record, const RowError& error) {
  TaskNode& node = head();
  ++node.counters.errors[static_cast<size_t>(error.code)];
  const OnError policy = PolicyFor(node.plan, error.code);
  ShowAtDebug(node.plan, error,
              [&] { return std::string(record.value.substr(0, kShownBytesMax)); });
  if (policy == OnError::kFail) return BadRecord(node.plan, error, record.value, PlaceOf(record));
  if (policy == OnError::kSideOutput && node.Wanted(kErrors)) {
    ++node.counters.outcomes[static_cast<size_t>(Outcome::kErrorSide)];
    AppendRecordError(node.plan.id, record, error, services_.now, node.out.Rows(kErrors));
    return Status::Ok();
  }
  ++node.counters.outcomes[static_cast<size_t>(Outcome::kErrorDropped)];
  LogDropped(node.plan, error);
  return Status::Ok();
}

/// Errors of rows that are not done come again with the rows; those of the others are final.
Status Task::ApplyErrors(TaskNode& node, const Batch& batch, uint32_t rows_done) {
  for (const RowError& error : node.out.errors().errors()) {
    if (!error.detached && error.row >= rows_done) continue;
    ++node.counters.errors[static_cast<size_t>(error.code)];
    const OnError policy = PolicyFor(node.plan, error.code);
    ShowAtDebug(node.plan, error,
                [&] { return error.detached ? error.raw : RowToJson(batch, error.row); });
    if (policy == OnError::kFail)
      return BadRecord(node.plan, error, error.detached ? error.raw : RowToJson(batch, error.row),
                       "");
    const bool aside = policy == OnError::kSideOutput && node.Wanted(kErrors);
    // A result that failed is no input row: its rows have their class already.
    if (!error.detached)
      ++node.counters
            .outcomes[static_cast<size_t>(aside ? Outcome::kErrorSide : Outcome::kErrorDropped)];
    if (aside) {
      AppendRowError(node.plan.id, batch, error, services_.now, node.out.Rows(kErrors));
    } else {
      LogDropped(node.plan, error);
    }
  }
  node.out.errors().Clear();
  return Status::Ok();
}

/// The consuming node's errors, met in the producer's task. Its `errors` port starts in its own
/// tasks, so nodes that write bad rows aside do not combine.
Status Task::ApplyCombineErrors(CombineStep& combine, const Batch& batch, RowErrors& errors) {
  for (const RowError& error : errors.errors()) {
    ++combine.counters.errors[static_cast<size_t>(error.code)];
    ShowAtDebug(combine.consumer, error,
                [&] { return error.detached ? error.raw : RowToJson(batch, error.row); });
    if (combine.consumer.on_error == OnError::kFail)
      return BadRecord(combine.consumer, error,
                       error.detached ? error.raw : RowToJson(batch, error.row), "");
    if (!error.detached) ++combine.counters.outcomes[static_cast<size_t>(Outcome::kErrorDropped)];
    LogDropped(combine.consumer, error);
  }
  return Status::Ok();
}

/// assign_event_time: the operator has set the column; rows too far ahead leave, the others move
/// the generator.
Batch Task::OutputTimes(TaskNode& node, Batch batch) {
  const EventTimeSpec& spec = *node.plan.shape.event_time;
  const std::optional<ColumnIndex> column = batch.schema().Find(kEventTimeColumn);
  WEIR_CHECK(column.has_value());
  const int64_t latest = spec.max_future_drift ? SatAdd(services_.now, *spec.max_future_drift).us
                                               : EventTime::Max().us;
  std::span<const int64_t> times = batch.Values<int64_t>(*column);
  if (*std::max_element(times.begin(), times.end()) > latest) {
    Selection good;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (times[row] <= latest) {
        good.mutable_rows().push_back(row);
      } else {
        node.out.errors().Add(
            row, RecordCode::kEventTimeInFuture,
            "the event time lies further ahead of the clock than max_future_drift");
      }
    }
    node.counters.outcomes[static_cast<size_t>(Outcome::kPassed)] -=
        node.out.errors().rows();  // the operator counted them
    const Status status = ApplyErrors(node, batch, batch.rows());
    if (!status.ok()) {
      Fail(node, status);
      return {};
    }
    batch = batch.Take(good);
    if (good.empty()) return {};
    times = batch.Values<int64_t>(*column);
  }
  node.generator->BeforeRows({0}, node.generated);
  // ACTIVE precedes the rows; the watermark follows them.
  while (!node.generated.empty() && node.generated.front().kind == Mark::Kind::kActive) {
    node.generated.erase(node.generated.begin());
    ForwardStatus(
        static_cast<size_t>(std::find_if(nodes_.begin(), nodes_.end(),
                                         [&](const auto& other) { return other.get() == &node; }) -
                            nodes_.begin()),
        true, true);
  }
  node.generator->OnTime({0}, EventTime{*std::max_element(times.begin(), times.end())});
  node.generator->EmitWatermark(node.generated);
  return batch;
}

}  // namespace weir::runtime
