#pragma once
// Exchange: the producer's side of one edge that leaves the task: which channel each row takes
// (hash by key group, ranges, round robin, broadcast, forward). One pass over the hashes and one
// Take per target; no copy where one target takes the whole batch. W.

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/plan/physical_plan.h"
#include "engine/runtime/channel.h"

namespace weir::runtime {

class Exchange {
 public:
  /// `targets`: the channel to each consumer task that this task feeds, in order of the task index.
  Exchange(const PlanEdge& edge, uint32_t key_groups, uint32_t consumers,
           std::vector<std::unique_ptr<ChannelSender>> targets);

  const PlanEdge& edge() const { return edge_; }
  size_t targets() const { return targets_.size(); }
  /// REQUIRES: has_room(); on hash edges with several targets a batch with keys. They travel along
  /// if `ship_keys`; else the consumer evaluates again.
  void Scatter(Batch batch, bool ship_keys, int64_t ingest_us, Duration now);

  void Watermark(EventTime time, int64_t ingest_us, Duration now);
  void Idle(Duration now);
  void Active(Duration now);
  void Barrier(CheckpointId n, Duration now);
  void End(Duration now);
  void Cancel(CheckpointId n);

  bool has_room() const;
  bool Pump(Duration now);
  void Flush(Duration now, bool always);
  std::optional<Duration> flush_at() const;
  /// Of rows that no channel has taken yet.
  size_t held_bytes() const;
  /// Rows of one batch that the consumers want at once.
  uint32_t rows_limit() const;

 private:
  void ScatterByKey(const Batch& batch, bool ship_keys, int64_t ingest_us, Duration now);

  const PlanEdge& edge_;
  const uint32_t key_groups_, consumers_;
  const std::vector<std::unique_ptr<ChannelSender>> targets_;
  size_t next_ = 0;                    // round robin
  std::vector<Selection> selections_;  // by target, reused
};

/// True if the two halves of an update of `producer` may go to different tasks of a hash edge: its
/// keys are not columns of the unique key only.
bool SplitsUpdates(const PortShape& producer, const Schema& schema,
                   const std::vector<Expression>& hash_keys);

/// update_before -> delete, update_after -> insert. A batch without `_op` stays as
/// it is; keys are dropped.
Batch WithoutUpdates(const Batch& batch);

}  // namespace weir::runtime
