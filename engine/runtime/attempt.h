#pragma once
// JobAttempt: all tasks of one attempt of a job in this process, on worker threads. Control makes
// one per (re)start, drives checkpoints through it and hears from it through an AttemptListener. A
// failure of any task is reported once; control then cancels the attempt and makes another one.
// Threads: methods are called by one control thread; listener calls come from worker and pool
// threads, must not block and not call back.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/api/checkpoint_store.h"
#include "engine/api/clients.h"
#include "engine/api/memory.h"
#include "engine/api/state_backend.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/snapshot.h"
#include "engine/runtime/task_metrics.h"

namespace weir::runtime {

class AttemptListener {
 public:
  virtual ~AttemptListener() = default;
  virtual void OnRunning() = 0;  // once: all tasks are open and restored
  virtual void OnAck(
      CheckpointId n,
      TaskSnapshot snapshot) = 0;  // files uploaded: names in image.files; one per task and n
  virtual void OnDeclined(TaskKey task, CheckpointId n, Status why) = 0;
  virtual void OnFailed(const std::string& node_id, TaskKey task,
                        Status why) = 0;  // the attempt is lost
  virtual void OnFinished(
      TaskKey task) = 0;  // END has passed through; it stays for the last checkpoint
  virtual void OnLaneResolved(
      const std::string& node_id, LaneId lane,
      LaneProgress progress) = 0;  // lanes with a protocol: at first, then whenever it has changed
};

struct AttemptOptions {
  const PhysicalPlan* plan = nullptr;  // these outlive the attempt
  Env* env = nullptr;
  Clients* clients = nullptr;
  StateBackend* backend = nullptr;
  MemoryGovernor* memory = nullptr;
  CheckpointStore* store = nullptr;
  AttemptListener* listener = nullptr;
  std::string cluster, incarnation;
  Attempt attempt;
  CheckpointId head;  // the restored checkpoint, 0: none
  int threads =
      1;  // worker threads; 0 in simulation: turns are driven by the Env's loops all the same
  Path state_directory;  // <state_dir>/<job>; tasks use <U>-<A>-<chain>-<task> below it
  std::map<TaskKey, TaskRestore> restore;
  uint32_t batch_rows_initial = 1024;  // test configurations make these tiny
  uint32_t channel_queue_items = 0;    // 0: by the plan
  bool chaining =
      true;  // false is refused: give an Unchained plan, as chains name the tasks of a snapshot
};

/// Files of snapshots are uploaded by the tasks below `<job>/<U>/` of the store:
/// shared/<xx>/<hash>-<length>.sst and chk/<N>-<A>/....
class JobAttempt {
 public:
  /// Makes channels and tasks, opens nothing. kLimit if the memory does not suffice (says how much
  /// is missing and which option to change).
  static Result<std::unique_ptr<JobAttempt>> Create(AttemptOptions options);
  virtual ~JobAttempt() = default;  // cancels and joins

  virtual void Start() = 0;  // opens and restores on P, then runs
  /// Splits of a source node for one task: start, restore and discovery. `complete`: no more will
  /// come to any task of the node.
  virtual void AddSplits(NodeIndex node, TaskIndex task, std::vector<SplitState> splits,
                         bool complete) = 0;
  /// Barrier n into all source tasks, and into tasks whose inputs have ended.
  virtual void Trigger(CheckpointId n) = 0;
  virtual void Complete(CheckpointId n) = 0;  // HEAD is n
  virtual void Abort(CheckpointId n) = 0;
  /// Sources stop polling; what is in flight stays: the next checkpoint is the last one (stop
  /// without drain).
  virtual void StopSources() = 0;
  /// Sources end as if bounded: everything fires (stop --drain).
  virtual void Drain() = 0;
  /// Asks all tasks to end; false if one has not within `deadline` (the process must then exit).
  virtual bool Cancel(Duration deadline) = 0;

  virtual std::vector<NodeValues> Values() const = 0;  // A
  virtual uint64_t changes()
      const = 0;  // A  rows, timers and positions so far: unmoved = nothing to checkpoint
  /// Lanes with a protocol, retired ones included; each reports by OnLaneResolved. Fixed from
  /// OnRunning on, not before.
  virtual size_t lanes() const = 0;
  virtual bool lanes_confirmed(
      CheckpointId n) const = 0;  // A  every exactly-once lane has published all of n
};

}  // namespace weir::runtime
