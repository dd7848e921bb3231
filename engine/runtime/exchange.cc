#include "engine/runtime/exchange.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/data/key_encoding.h"
#include "engine/data/row_builder.h"
#include "engine/runtime/keyed_batch.h"

namespace weir::runtime {

Exchange::Exchange(const PlanEdge& edge, uint32_t key_groups, uint32_t consumers,
                   std::vector<std::unique_ptr<ChannelSender>> targets)
    : edge_(edge),
      key_groups_(key_groups),
      consumers_(consumers),
      targets_(std::move(targets)),
      selections_(targets_.size()) {}

void Exchange::Scatter(Batch batch, bool ship_keys, int64_t ingest_us, Duration now) {
  switch (edge_.kind) {
    case EdgeKind::kHash:
      if (targets_.size() == 1) {
        targets_.front()->Send(std::move(batch), ingest_us, now);
      } else {
        ScatterByKey(batch, ship_keys, ingest_us, now);
      }
      return;
    case EdgeKind::kRoundRobin:
      targets_[next_]->Send(std::move(batch), ingest_us, now);
      next_ = (next_ + 1) % targets_.size();
      return;
    default:
      for (const auto& target : targets_) target->Send(batch, ingest_us, now);
  }
}

void Exchange::ScatterByKey(const Batch& batch, bool ship_keys, int64_t ingest_us, Duration now) {
  const std::span<const uint64_t> hashes = batch.keys().hash;
  const auto task_of = [&](uint64_t hash) {
    return TaskOf(KeyGroupOf(hash, key_groups_), key_groups_, consumers_).value;
  };
  for (Selection& selection : selections_) selection.mutable_rows().clear();
  for (uint32_t row = 0; row < batch.rows(); ++row)
    selections_[task_of(hashes[row])].mutable_rows().push_back(row);
  for (size_t target = 0; target < targets_.size(); ++target) {
    if (selections_[target].empty()) continue;
    targets_[target]->Send(
        ship_keys ? TakeWithKeys(batch, selections_[target]) : batch.Take(selections_[target]),
        ingest_us, now);
  }
}

void Exchange::Watermark(EventTime time, int64_t ingest_us, Duration now) {
  for (const auto& target : targets_) target->SendWatermark(time, ingest_us, now);
}
void Exchange::Idle(Duration now) {
  for (const auto& target : targets_) target->SendIdle(now);
}
void Exchange::Active(Duration now) {
  for (const auto& target : targets_) target->SendActive(now);
}
void Exchange::Barrier(CheckpointId n, Duration now) {
  for (const auto& target : targets_) {
    if (!target->ended()) target->SendBarrier(n, now);  // a finished task's channels carry none
  }
}
void Exchange::End(Duration now) {
  for (const auto& target : targets_) target->SendEnd(now);
}
void Exchange::Cancel(CheckpointId n) {
  for (const auto& target : targets_) target->SendCancel(n);
}

bool Exchange::has_room() const {
  return std::all_of(targets_.begin(), targets_.end(),
                     [](const auto& target) { return target->has_room(); });
}

bool Exchange::Pump(Duration now) {
  bool moved = false;
  for (const auto& target : targets_) moved |= target->Pump(now);
  return moved;
}

void Exchange::Flush(Duration now, bool always) {
  for (const auto& target : targets_) target->Flush(now, always);
}

std::optional<Duration> Exchange::flush_at() const {
  std::optional<Duration> soonest;
  for (const auto& target : targets_) {
    const std::optional<Duration> at = target->flush_at();
    if (at && (!soonest || *at < *soonest)) soonest = at;
  }
  return soonest;
}

size_t Exchange::held_bytes() const {
  size_t bytes = 0;
  for (const auto& target : targets_) bytes += target->held_bytes();
  return bytes;
}

uint32_t Exchange::rows_limit() const {
  uint32_t least = kBatchRowsMax;
  for (const auto& target : targets_) least = std::min(least, target->batch_rows());
  const bool deals = edge_.kind == EdgeKind::kHash || edge_.kind == EdgeKind::kRoundRobin;
  return deals ? std::min<uint32_t>(kBatchRowsMax, least * static_cast<uint32_t>(std::max<size_t>(
                                                               1, targets_.size())))
               : least;
}

bool SplitsUpdates(const PortShape& producer, const Schema& schema,
                   const std::vector<Expression>& hash_keys) {
  if (producer.kind != kChangelog) return false;
  return !std::all_of(hash_keys.begin(), hash_keys.end(), [&](const Expression& key) {
    const std::optional<ColumnIndex> column = key.as_column();
    if (!column) return false;
    const std::string& name = schema.field(*column).name;
    return std::find(producer.unique_key.begin(), producer.unique_key.end(), name) !=
           producer.unique_key.end();
  });
}

Batch WithoutUpdates(const Batch& batch) {
  const std::optional<ColumnIndex> op_column = batch.schema().Find(kOpColumn);
  if (!op_column) return batch;
  const std::span<const int32_t> ops = batch.Values<int32_t>(*op_column);
  const auto is_update = [](int32_t op) {
    return op == static_cast<int32_t>(Op::kUpdateBefore) ||
           op == static_cast<int32_t>(Op::kUpdateAfter);
  };
  if (std::none_of(ops.begin(), ops.end(), is_update)) return batch;
  ColumnBuilder rewritten(Type::Of(TypeKind::kInt32), batch.rows());
  for (const int32_t op : ops) {
    const Op kept = static_cast<Op>(op);
    rewritten.Append(static_cast<int32_t>(kept == Op::kUpdateBefore  ? Op::kDelete
                                          : kept == Op::kUpdateAfter ? Op::kInsert
                                                                     : kept));
  }
  std::vector<Column> columns;
  for (size_t i = 0; i < batch.schema().size(); ++i) {
    const ColumnIndex column{static_cast<uint16_t>(i)};
    columns.push_back(column == *op_column ? rewritten.Build() : batch.column(column));
  }
  return Batch::Make(batch.schema_ref(), batch.rows(), std::move(columns));
}

}  // namespace weir::runtime
