#include "engine/runtime/watermark_merger.h"

#include <algorithm>

#include "engine/base/check.h"

namespace weir::runtime {

WatermarkMerger::WatermarkMerger(size_t inputs, EventTime start)
    : inputs_(inputs, Input{Status::kActive, start, true}), out_(start) {}

size_t WatermarkMerger::NewInput() {
  inputs_.push_back({Status::kIdle, EventTime::Min(), false});
  return inputs_.size() - 1;
}

size_t WatermarkMerger::NewActiveInput(EventTime start) {
  inputs_.push_back({Status::kActive, start, start >= out_});
  return inputs_.size() - 1;
}

bool WatermarkMerger::Set(size_t input, EventTime time) {
  WEIR_CHECK(time != EventTime::Max());
  Input& in = inputs_[input];
  if (in.status != Status::kActive) return true;
  if (time <= in.watermark) return time == in.watermark;
  in.watermark = time;
  if (!in.aligned && time >= out_) in.aligned = true;
  return true;
}

bool WatermarkMerger::OnWatermark(size_t input, EventTime time, Marks& out) {
  const bool forward = Set(input, time);
  EmitLeast(out);
  return forward;
}

void WatermarkMerger::OnIdle(size_t input, Marks& out) {
  Input& in = inputs_[input];
  if (in.status != Status::kActive) return;
  in.status = Status::kIdle;
  in.aligned = false;
  Settle(out);
}

void WatermarkMerger::OnEnd(size_t input, Marks& out) {
  Input& in = inputs_[input];
  if (in.status == Status::kFinished) return;
  in.status = Status::kFinished;
  in.aligned = false;
  Settle(out);
}

void WatermarkMerger::OnActive(size_t input, Marks& out) {
  Input& in = inputs_[input];
  if (in.status != Status::kIdle) return;
  in.status = Status::kActive;
  in.aligned = in.watermark >= out_;  // below: left out until it has caught up
  if (out_status_ == Status::kIdle) {
    out_status_ = Status::kActive;
    out.push_back({Mark::Kind::kActive});
  }
  EmitLeast(out);  // after ACTIVE, or a lone re-activated input stalls for ever
}

void WatermarkMerger::Add(size_t input, Marks& out) {
  Input& in = inputs_[input];
  in.watermark = EventTime::Min();
  in.status = Status::kIdle;
  in.aligned = false;
  OnActive(input, out);
}

void WatermarkMerger::Settle(Marks& out) {
  bool any_active = false;
  bool all_finished = true;
  EventTime most = EventTime::Min();
  for (const Input& in : inputs_) {
    any_active |= in.status == Status::kActive;
    all_finished &= in.status == Status::kFinished;
    most = std::max(most, in.watermark);
  }
  if (all_finished) {
    if (out_status_ == Status::kFinished) return;
    out_ = EventTime::Max();
    out_status_ = Status::kFinished;
    out.push_back({Mark::Kind::kEnd});
    return;
  }
  if (any_active) return EmitLeast(out);
  if (most > out_) {  // everything is idle or done: flush
    out_ = most;
    out.push_back({Mark::Kind::kWatermark, most});
  }
  if (out_status_ != Status::kIdle) {
    out_status_ = Status::kIdle;
    out.push_back({Mark::Kind::kIdle});
  }
}

void WatermarkMerger::EmitLeast(Marks& out) {
  bool any = false;
  EventTime least = EventTime::Max();
  for (const Input& in : inputs_) {
    if (in.status != Status::kActive || !in.aligned) continue;
    any = true;
    least = std::min(least, in.watermark);
  }
  if (!any || least <= out_) return;
  out_ = least;
  // Raising `out` can leave nobody behind: it is the least of those aligned.
  out.push_back({Mark::Kind::kWatermark, least});
}

}  // namespace weir::runtime
