#include "engine/runtime/split_tracker.h"

#include <algorithm>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace weir::runtime {

SplitTracker::SplitTracker(std::optional<WatermarkPolicy> policy, EventTime start)
    : policy_(policy), start_(start), merger_(1, start) {}

EventTime SplitTracker::WatermarkOf(EventTime max_ts) const {
  if (max_ts == EventTime::Min()) return max_ts;
  return SatAdd(SatAdd(max_ts, Duration{-policy_->max_delay.us}), Duration{-1});
}

SplitIndex SplitTracker::Add(const SplitState& split, bool running, Marks& out) {
  Split added;
  added.max_ts = split.max_ts;
  added.begun = split.begun;
  added.was_idle = split.idle;
  if (!split.begun) {
    added.input = merger_.NewInput();
  } else if (running) {
    added.input = merger_.NewInput();
    merger_.Add(added.input, out);
  } else {
    added.input = merger_.NewActiveInput(start_);
  }
  if (policy_ && split.begun && split.max_ts != EventTime::Min())
    merger_.Set(added.input, WatermarkOf(split.max_ts));
  splits_.push_back(added);
  return {static_cast<uint32_t>(splits_.size() - 1)};
}

void SplitTracker::Started(Marks& out) {
  merger_.OnIdle(0, out);
  merger_.EmitLeast(out);
}

void SplitTracker::NoMoreSplits(Marks& out) { merger_.OnEnd(0, out); }

void SplitTracker::Begin(Split& split, Marks& out) {
  split.begun = true;
  merger_.Add(split.input, out);
}

void SplitTracker::BeforeRows(SplitIndex index, Marks& out) {
  Split& split = splits_[index.value];
  if (!split.begun) return Begin(split, out);
  split.idle_clock = {};
  split.was_idle = false;
  if (merger_.status(split.input) == WatermarkMerger::Status::kIdle)
    merger_.OnActive(split.input, out);
}

void SplitTracker::OnTime(SplitIndex index, EventTime most) {
  Split& split = splits_[index.value];
  if (most <= split.max_ts) return;
  split.max_ts = most;
  if (policy_) merger_.Set(split.input, WatermarkOf(most));
}

void SplitTracker::OnReport(SplitIndex index, SplitStatus status, Marks& out) {
  Split& split = splits_[index.value];
  if (!split.begun) Begin(split, out);
  split.status = status;
  if (status != SplitStatus::kCaughtUp) {
    split.idle_clock = {};
  } else if (split.was_idle && policy_) {
    split.idle_clock = policy_->idle_timeout;
  }
}

void SplitTracker::OnEnd(SplitIndex index, Marks& out) {
  splits_[index.value].status = SplitStatus::kEnded;
  merger_.OnEnd(splits_[index.value].input, out);
}

void SplitTracker::TickSplit(SplitIndex index, Duration elapsed, EventTime now, bool paused,
                             Marks& out) {
  Split& split = splits_[index.value];
  if (paused || !split.begun || split.status != SplitStatus::kCaughtUp) return;
  if (split.idle_clock < policy_->idle_timeout) split.idle_clock = split.idle_clock + elapsed;
  if (split.idle_clock < policy_->idle_timeout) return;
  if (policy_->when_idle == WhenIdle::kAdvance) {
    const EventTime time = WatermarkOf(now);
    if (time > merger_.watermark(split.input)) merger_.OnWatermark(split.input, time, out);
    return;
  }
  merger_.OnIdle(split.input, out);
}

std::optional<Duration> SplitTracker::next_tick() const {
  if (!policy_ || finished()) return std::nullopt;
  for (const Split& split : splits_) {
    if (!split.begun || split.status != SplitStatus::kCaughtUp ||
        merger_.status(split.input) != WatermarkMerger::Status::kActive)
      continue;
    return last_tick_ + kIdleTick;
  }
  return std::nullopt;
}

void SaveMaxTs(const SplitTracker& generator, ListState& list) {
  for (const auto& [id, item] : list.Items()) list.Remove(id);
  std::string item;
  ByteWriter(item).Fixed(generator.max_ts({0}).us);
  list.Add(item);
}

Result<EventTime> LeastMaxTs(const ListState& list) {
  EventTime least = EventTime::Max();
  const auto items = list.Items();
  for (const auto& [id, item] : items) {
    ByteReader reader(item);
    least.us = std::min(least.us, reader.Fixed<int64_t>());
    if (!reader.ok() || reader.left() != 0)
      return Status(Code::kCorruption, "the list of max_ts holds an item of " +
                                           std::to_string(item.size()) + " bytes, expected 8");
  }
  return items.empty() ? EventTime::Min() : least;
}

}  // namespace weir::runtime
