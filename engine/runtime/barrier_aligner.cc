#include "engine/runtime/barrier_aligner.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"

namespace weir::runtime {

BarrierAligner::BarrierAligner(size_t inputs, bool blocks)
    : blocks_(blocks), got_(inputs), blocked_(inputs), ended_(inputs), open_(inputs) {}

void BarrierAligner::Drop() {
  done_ = std::max(done_, current_);
  current_ = {};
  missing_ = 0;
  std::fill(got_.begin(), got_.end(), false);
  std::fill(blocked_.begin(), blocked_.end(), false);
}

CheckpointId BarrierAligner::OnBarrier(size_t input, CheckpointId n) {
  WEIR_CHECK(!blocked_[input]);
  WEIR_CHECK(!ended_[input]);
  if (n <= done_ || (aligning() && n < current_)) return {};
  CheckpointId subsumed;
  if (aligning() && n > current_) {
    subsumed = current_;
    Drop();
  }
  if (!aligning()) {
    current_ = n;
    missing_ = open_;
  }
  if (got_[input]) return subsumed;  // a repeated barrier
  got_[input] = true;
  --missing_;
  if (blocks_) blocked_[input] = true;
  return subsumed;
}

void BarrierAligner::OnEnd(size_t input) {
  if (ended_[input]) return;
  WEIR_CHECK(!blocked_[input]);
  ended_[input] = true;
  --open_;
  if (aligning() && !got_[input])
    --missing_;  // without blocking, END may follow the input's barrier
}

bool BarrierAligner::OnCancel(CheckpointId n) {
  if (n <= done_) return false;
  if (aligning() && current_ <= n) Drop();
  done_ = n;
  return true;
}

bool BarrierAligner::OnCommand(CheckpointId n) {
  if (n <= done_ || open_ != 0) return false;
  if (aligning() && n < current_) return false;
  if (aligning() && n > current_) Drop();
  current_ = n;
  missing_ = 0;
  return true;
}

void BarrierAligner::Complete() {
  WEIR_CHECK(ready());
  Drop();
}

}  // namespace weir::runtime
