#pragma once
// BarrierAligner: aligned barriers over the input channels of one task. Pure; W.
// The task tells it what it finds on the inputs and asks what is blocked and whether a checkpoint
// is ready; taking the checkpoint, and sending barriers and cancels on, is the task's work.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/ids.h"

namespace weir::runtime {

class BarrierAligner {
 public:
  /// `blocks`: exactly once; else inputs go on behind their barrier.
  BarrierAligner(size_t inputs, bool blocks);

  /// BARRIER(n) is reached on `input`. Answers the checkpoint that n subsumes (its parts are to be
  /// discarded), or 0.
  CheckpointId OnBarrier(size_t input, CheckpointId n);
  void OnEnd(size_t input);
  /// True: send CANCEL(n) to every output, once.
  bool OnCancel(CheckpointId n);
  /// A task without open inputs takes n by command. False: n is done already.
  bool OnCommand(CheckpointId n);
  /// The ready checkpoint has been taken: inputs are free again.
  void Complete();

  bool blocked(size_t input) const { return blocked_[input]; }
  bool ended(size_t input) const { return ended_[input]; }
  bool aligning() const { return current_.value != 0; }
  bool ready() const { return current_.value != 0 && missing_ == 0; }
  bool all_ended() const { return open_ == 0; }
  CheckpointId current() const { return current_; }
  CheckpointId done() const { return done_; }  // the highest finished or aborted one

 private:
  void Drop();

  const bool blocks_;
  std::vector<bool> got_, blocked_, ended_;
  size_t open_;         // inputs without END
  size_t missing_ = 0;  // open inputs whose barrier has not come
  CheckpointId current_, done_;
};

}  // namespace weir::runtime
