#pragma once
// JobCoordinator: the life of one job: takes the job's HEAD, restores, starts an attempt, drives
// periodic checkpoints and their publication, finds new splits, judges error thresholds, restarts
// after failures, and ends with a last checkpoint.
// One loop thread of the Env runs everything here; what blocks goes to the pool and comes back as
// an event. The public methods may be called from any thread. Errors end in JobStatus::failure. The
// objects in the options must outlive the coordinator.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control/manifest.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/attempt.h"

namespace weir::control {

enum class JobState : uint8_t {
  kCreated,
  kScheduling,
  kRunning,
  kFinishing,
  kFinished,
  kStopping,
  kStopped,
  kRestarting,
  kFailing,
  kFailed
};
inline constexpr size_t kJobStates = 10;
std::string_view JobStateName(JobState state);

struct CheckpointStats {
  uint64_t completed = 0, failed = 0, expired = 0, skipped = 0;
  uint64_t fallbacks = 0;  // to an older one, because the newest was damaged
  bool in_progress = false;
  CheckpointId last;          // 0: none in this process
  EventTime current_as_of{};  // set by completion, by a skipped interval, by the job's start; 0
                              // without checkpoints
  Duration last_duration{};
  uint64_t last_bytes = 0, last_uploaded_bytes = 0;
  runtime::HistogramValues duration;
};

struct JobStatus {
  JobState state = JobState::kCreated;
  bool has_run = false;  // in this process: all tasks of an attempt were open and restored
  Status failure;        // of a failed job, or why a stop left no final checkpoint
  std::string failed_node;
  Attempt attempt;
  std::string incarnation, cluster;
  EventTime started{};
  std::map<std::string, uint64_t> restarts;  // by reason: task_failed, checkpoint
  std::optional<CheckpointId> restored;
  Status last_attempt_failure;  // what the newest restart was for
  CheckpointStats checkpoints;
};

struct CoordinatorOptions {
  const PhysicalPlan* plan = nullptr;
  Json description;  // of the plan, stored in manifests for later upgrade checks
  /// Verdict on going on from a checkpoint with this plan: Ok, or kIncompatible with the reasons.
  std::function<Status(const Manifest&)> check_upgrade;
  Env* env = nullptr;
  Clients* clients = nullptr;
  StateBackend* backend = nullptr;
  MemoryGovernor* memory = nullptr;
  CheckpointStore* store = nullptr;
  Path state_directory;    // <state_dir>/<job>
  std::string cluster;     // empty: the id in the storage
  bool from_none = false;  // start empty under a new incarnation
  std::optional<uint64_t> from_checkpoint;
  std::string nonce;  // a start with the nonce of HEAD ignores the two above
  int threads = 1;
  Duration connect_timeout = Seconds(30), stop_timeout = Seconds(60), cancel_timeout = Seconds(30);
  uint32_t batch_rows_initial = 1024, channel_queue_items = 0;
  bool chaining = true;
  std::function<void(const std::string&)> say = [](const std::string&) {
  };  // one line for people; loop thread
};

class JobCoordinator {
 public:
  static std::unique_ptr<JobCoordinator> Create(CoordinatorOptions options);
  virtual ~JobCoordinator() = default;

  virtual void Start() = 0;
  /// Ends with a last checkpoint; `drain`: sources end as if bounded, so everything fires first.
  virtual void Stop(bool drain) = 0;
  virtual JobStatus status() const = 0;
  /// Finished, stopped or failed; the last attempt is gone.
  virtual bool ended() const = 0;
  virtual std::vector<runtime::NodeValues> Values() const = 0;
  /// Values of the last attempt just before it was given up: reports after the end.
  virtual std::vector<runtime::NodeValues> final_values() const = 0;
  /// Steady clock of the loop's last turn: liveness.
  virtual Duration last_turn() const = 0;
};

/// Process exit code of an ended job.
int ExitCodeOf(const JobStatus& status);

}  // namespace weir::control
