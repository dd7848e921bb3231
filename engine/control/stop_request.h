#pragma once
// StopRequest: whether a job has been asked to stop, how, and for how long it may take. A stop
// lasts as long as one checkpoint may, whatever was under way when it was asked for; with `drain`
// what is read goes through first, however long that takes. The coordinator's loop thread.

#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/base/time.h"

namespace weir::control {

class StopRequest {
 public:
  void Ask(bool drain, Duration deadline);

  bool asked() const { return asked_; }
  bool drains() const { return drains_; }
  /// With a last checkpoint at once, instead of at the end of all input.
  bool cuts_off() const { return asked_ && !drains_; }
  bool is_over(Duration now) const { return now >= deadline_; }  // REQUIRES: asked
  bool is_overdue(Duration now) const { return cuts_off() && is_over(now); }
  /// Of `wanted`, what is left for a checkpoint.
  Duration TimeFor(Duration wanted, Duration now) const;

  /// Why there is no final checkpoint.
  static Status TookTooLong(bool sink_recovers);
  /// Why the results of the final checkpoint are not all out.
  static Status SinksLate(CheckpointId id);

 private:
  bool asked_ = false, drains_ = false;
  Duration deadline_{};
};

}  // namespace weir::control
