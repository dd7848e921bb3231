#pragma once
// HotState: all keyed state of one task: a hot table per declared state, one dirty set, one
// eviction buffer, over a ColdStore that pool threads work on (lower.h). Both backends are this
// with another store. W, but for Write and the destructor (P) and usage (A).

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "state/hot_table.h"
#include "state/image.h"
#include "state/sorted_state.h"
#include "state/timer_state.h"
#include "state/value_state.h"

namespace weir::state {

class HotState final : public TaskState, private Pump {
 public:
  HotState(const TaskStateSpec& spec, std::string backend, size_t eviction_buffer_bytes,
           std::shared_ptr<Lower> lower);
  ~HotState() override;

  /// Before the first call: what the images say beside their rows, which the store has already.
  void Restore(const std::vector<ImageDescription>& images);

  StatePointer state(NodeIndex node, StateIndex state) override;
  void Advance(EventTime watermark) override;
  void Freeze(CheckpointId n, EventTime watermark) override;
  Result<StateImage> Write(CheckpointId n) override { return lower_->Write(n); }
  void Completed(CheckpointId n) override;
  void Aborted(CheckpointId n) override;
  size_t excess() const override;
  size_t Evict(size_t bytes) override;
  bool CanTakeBatch(uint32_t rows) const override;
  Status status() const override;
  StateUsage usage() const override;

 private:
  void TakeReads() override;
  void Settle() override;
  void SendOrders() override;

  struct Pass {  // of the clock
    size_t freed;
    int64_t visits;
    bool room;  // in the eviction buffer
  };

  void SizeBuffer();
  size_t Excess() const;
  Pass EvictSome(size_t bytes);
  void TakeArrivals();
  bool SettleSet(WriteSet& set, size_t& budget);
  bool HasRoomFor(uint32_t rows);
  void PushBatch();
  void PushNote(WriteSet::Kind kind, CheckpointId n);
  void Publish();
  ImageDescription Describe(CheckpointId n, EventTime watermark) const;

  const std::string backend_;
  const uint32_t key_groups_;
  MemoryAccount* const hot_;
  const std::function<void()> wake_;
  const size_t buffer_bytes_fixed_;  // 0: follows the target
  const std::shared_ptr<Lower> lower_;
  HotShared shared_;
  std::vector<std::unique_ptr<HotTable>>
      tables_;  // by state of the store; lists have one without rows
  std::vector<StatePointer> states_;
  std::vector<std::unique_ptr<HotValueState>> values_;
  std::vector<std::unique_ptr<HotMapState>> maps_;
  std::vector<std::unique_ptr<HotLogState>> logs_;
  std::vector<std::unique_ptr<HotTimerState>> timers_;
  std::vector<HotTimerState*> timers_by_state_;  // nullptr: not timers

  std::vector<Arrival> arrived_;                    // written sets that Settle has not looked at
  std::vector<std::shared_ptr<WriteSet>> freezes_;  // pushed, neither written nor aborted
  uint64_t sets_settled_ = 0;
  size_t evict_table_ = 0;
  int64_t visits_without_batch_ = 0;  // of the clock, since a batch was taken
  int64_t reported_bytes_ = 0;
  struct Published {
    std::atomic<uint64_t> hot_rows = 0, hot_bytes = 0, rows = 0, evictions = 0, cold_reads = 0;
  };
  Published published_;
};

}  // namespace weir::state
