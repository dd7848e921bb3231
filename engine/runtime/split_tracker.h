#pragma once
// SplitTracker: event time of one source task, split by split: the watermark
// generator, the idle clock and the valve over its splits. Also serves assign_event_time, with one
// split. Pure but for the clock readings it is given; W. The task tells it about rows, reports and
// time, and forwards the marks that it appends.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/keyed_state.h"
#include "engine/api/registry.h"
#include "engine/api/source.h"
#include "engine/runtime/watermark_merger.h"

namespace weir::runtime {

inline constexpr Duration kIdleTick = Milliseconds(100);

/// What of EventTimeSpec the generator needs.
struct WatermarkPolicy {
  Duration max_delay{};
  Duration idle_timeout = Seconds(30);
  WhenIdle when_idle = WhenIdle::kExclude;
};

class SplitTracker {
 public:
  /// Without a policy there are no watermarks, only the end. `start`: W0.
  SplitTracker(std::optional<WatermarkPolicy> policy, EventTime start);

  /// `running`: found while running, so it enters by ADD; else it is there from the start and
  /// announces its saved max_ts.
  SplitIndex Add(const SplitState& split, bool running, Marks& out);
  /// The splits of the start have been added: a task without any is idle at once.
  void Started(Marks& out);
  /// Bounded: no further split will come.
  void NoMoreSplits(Marks& out);

  /// Before rows of `split` are emitted: it is active, a split whose turn has come enters.
  void BeforeRows(SplitIndex split, Marks& out);
  /// After rows with this largest time; takes effect with EmitWatermark.
  void OnTime(SplitIndex split, EventTime most);
  void EmitWatermark(Marks& out) { merger_.EmitLeast(out); }
  /// What the source reported with its last record. A split without rows whose turn has come enters
  /// by it.
  void OnReport(SplitIndex split, SplitStatus status, Marks& out);
  /// After the rows before it have been emitted.
  void OnEnd(SplitIndex split, Marks& out);

  /// Runs the idle clocks. `blocked`: the task has no room: clocks stand still. `paused(split)`: by
  /// alignment or rate.
  template <class Paused>
  void Tick(Duration steady, EventTime now, bool blocked, Paused paused, Marks& out) {
    const Duration elapsed = steady - last_tick_;
    if (elapsed < kIdleTick) return;
    last_tick_ = steady;
    if (blocked || !policy_) return;
    for (uint32_t i = 0; i < splits_.size(); ++i)
      TickSplit({i}, elapsed, now, paused(SplitIndex{i}), out);
  }
  void StartClock(Duration steady) { last_tick_ = steady; }
  /// Steady time of the next tick that can change something; empty: none.
  std::optional<Duration> next_tick() const;

  bool finished() const { return merger_.out_status() == WatermarkMerger::Status::kFinished; }
  size_t splits() const { return splits_.size(); }
  EventTime max_ts(SplitIndex split) const { return splits_[split.value].max_ts; }
  bool idle(SplitIndex split) const {
    return merger_.status(splits_[split.value].input) == WatermarkMerger::Status::kIdle &&
           splits_[split.value].begun;
  }
  bool begun(SplitIndex split) const { return splits_[split.value].begun; }
  bool ended(SplitIndex split) const {
    return merger_.status(splits_[split.value].input) == WatermarkMerger::Status::kFinished;
  }
  SplitStatus status(SplitIndex split) const { return splits_[split.value].status; }
  EventTime watermark() const { return merger_.out(); }

 private:
  struct Split {
    size_t input = 0;
    EventTime max_ts = EventTime::Min();
    SplitStatus status = SplitStatus::kBehind;
    Duration idle_clock{};
    bool begun = true;
    bool was_idle = false;  // before the restart: idle again as soon as it is caught up
  };
  EventTime WatermarkOf(EventTime max_ts) const;
  void Begin(Split& split, Marks& out);
  void TickSplit(SplitIndex split, Duration elapsed, EventTime now, bool paused, Marks& out);

  std::optional<WatermarkPolicy> policy_;
  const EventTime start_;
  WatermarkMerger merger_;  // input 0 stands for splits that may still come
  std::vector<Split> splits_;
  Duration last_tick_{};
};

/// What assign_event_time leaves in its list, and what a restored task makes of the items of all
/// old tasks: the least, because rows may come to other tasks than before. Min of none: a
/// checkpoint of a version that saved nothing. kCorruption: an item of another form.
void SaveMaxTs(const SplitTracker& generator, ListState& list);
Result<EventTime> LeastMaxTs(const ListState& list);

}  // namespace weir::runtime
