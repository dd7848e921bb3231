#pragma once
// Ownership: that this process and no other runs the job, as far as that can be known before HEAD
// is moved: first the lock on the state directory, then the storage's OWNER, which is watched if it
// is another place's and renewed from then on. A courtesy to a healthy job; the proof is HEAD.
// Everything on the coordinator's loop. Errors: kLocked, naming who has it; kCancelled if it was
// given up meanwhile; else the directory's or the storage's.

#include <functional>
#include <memory>
#include <string>

#include "engine/control/event_loop.h"
#include "engine/control/job_storage.h"

namespace weir::control {

/// Where a job runs. What is on the pool holds a share.
struct JobPlace {
  JobPlace(Env& used_env, CheckpointStore& store, const std::string& job, const Path& directory)
      : env(used_env), state_directory(directory), storage(used_env, store, job, directory) {}

  /// Last of all: whoever comes next goes on at once, or, if HEAD was lost, is watched. Blocks.
  void Leave(bool lost_head);

  Env& env;
  const Path state_directory;
  JobStorage storage;
  std::unique_ptr<FileLock> lock;
};

class Ownership {
 public:
  using Done = std::function<void(const Status&)>;

  /// `given_up`: asked between steps. `say`: one line for people. `loop` must outlive it.
  Ownership(EventLoop& loop, std::shared_ptr<JobPlace> place, std::function<bool()> given_up,
            std::function<void(const std::string&)> say);

  /// Nothing of the job is read or written before the lock is held. Who holds it may be about to
  /// end, so it is waited for: a pod deleted with --force is succeeded while its process still
  /// runs.
  void TakeLock(Duration deadline, const Done& done);
  /// Asks the storage, and watches an OWNER that may be alive.
  void AwaitOwner(Done done);
  /// Writes OWNER, and renews it until StopRenewing.
  void TakeOwner(Done done);
  void StopRenewing() { renews_ = false; }
  bool owned() const { return owned_; }

 private:
  void TryLock(Duration deadline, bool first, const Done& done);
  void Watch(const std::string& text, Duration deadline, const Done& done);
  void Renew();

  EventLoop& loop_;
  const std::shared_ptr<JobPlace> place_;
  const std::function<bool()> given_up_;
  const std::function<void(const std::string&)> say_;
  bool owned_ = false, renews_ = true;
};

}  // namespace weir::control
