#pragma once
// Task: one parallel instance of a chain, as a tasklet of one worker: the state machine of
// input, timers, marks and checkpoints. Run() does up to about a millisecond of work, never blocks,
// and says why it stopped. A chain is called from one explicit stack of frames, never by recursion.
// Threads: Create by the attempt; Open on P; Run and everything below it on the task's worker (W);
// Put, TakeValues from any thread. Pool jobs hold a share of the task, so its objects are destroyed
// after the last of them.

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/runtime/attempt.h"
#include "engine/runtime/barrier_aligner.h"
#include "engine/runtime/input_flow.h"
#include "engine/runtime/mailbox.h"
#include "engine/runtime/node.h"
#include "engine/runtime/pool_jobs.h"
#include "engine/runtime/source_step.h"
#include "engine/runtime/time_account.h"

namespace weir::runtime {

inline constexpr Duration kTimeSlice = Milliseconds(1);
inline constexpr Duration kCallAim =
    Microseconds(500);  // batches are cut so that a call takes about this
inline constexpr Duration kPublishPeriod = Milliseconds(200);
inline constexpr size_t kEvictBytesAtOnce = size_t{256} << 10;

/// One input channel of a task.
struct TaskInput {
  Port port;
  std::string upstream;  // node id
  std::unique_ptr<ChannelReceiver> channel;
};

struct TaskSpec {
  const AttemptOptions* options = nullptr;
  const PlanChain* chain = nullptr;
  TaskIndex task;
  std::shared_ptr<TaskSignal> signal;
  std::shared_ptr<PoolJobs> pool_jobs;  // of the attempt
  std::vector<TaskInput> inputs;
  /// By position in the chain, then port.
  std::vector<std::vector<std::vector<Target>>> targets;
  size_t share_bytes = 0;                                       // of a channel
  uint64_t pool_bytes = 0;                                      // floating windows
  std::unique_ptr<MemoryAccount> queues;                        // reservation of its input channels
  std::unique_ptr<MemoryAccount> batches;                       // of what it holds between two runs
  std::map<NodeIndex, std::unique_ptr<MemoryAccount>> clients;  // of its nodes' client queues
};

struct TaskCommand {
  enum class Kind : uint8_t { kSplits, kBarrier, kComplete, kAbort, kStopSources, kDrain } kind;
  CheckpointId checkpoint = {};
  NodeIndex node = {};
  std::vector<SplitState> splits = {};
  bool complete = false;
};

/// Copied out about every 200 ms and when the task stops moving.
struct TaskValues {
  std::vector<NodeValues> nodes;
  std::vector<NodeValues> combined;    // what the combiners of consuming nodes did here
  Duration steady{};                   // when it was copied
  TimeState since = TimeState::kIdle;  // what the task does since then
  uint64_t changes = 0;
  std::vector<std::pair<std::string, LaneProgress>> lanes;
};

class Task final : public std::enable_shared_from_this<Task>, private RecordErrorHandler {
 public:
  enum class Why : uint8_t { kSlice, kNoInput, kNoRoom, kWaiting, kStopped };
  struct Answer {
    Why why = Why::kNoInput;
    bool moved = false;          // it did something
    std::optional<Duration> at;  // steady time at which to run it without a signal
  };

  explicit Task(TaskSpec spec);
  ~Task() override;

  TaskKey key() const { return {spec_.chain->index, spec_.task}; }
  /// P. Opens state and node objects. W may run the task only after it.
  Status Open();
  const std::string& failed_node() const { return failed_node_; }
  bool opened() const { return opened_.load(std::memory_order_acquire); }
  void SetOpened() {
    opened_.store(true, std::memory_order_release);
    spec_.signal->RaiseAgain();
  }
  void Put(TaskCommand command) {
    mailbox_.Put(std::move(command));
    spec_.signal->Raise();
  }
  TaskSignal& signal() { return *spec_.signal; }
  bool stateful() const { return state_ != nullptr; }
  size_t lanes() const;  // A  fixed once it is opened

  Answer Run();
  /// An exception of a third party got as far as the worker.
  void FailWith(const Status& status) { Fail(head(), status); }

  /// Any thread: the newest values since the last call; nullptr: none newer.
  std::unique_ptr<TaskValues> TakeValues() {
    return std::unique_ptr<TaskValues>(published_.exchange(nullptr, std::memory_order_acq_rel));
  }
  uint64_t changes() const { return changes_seen_.load(std::memory_order_relaxed); }  // A
  /// By whoever stopped the worker: the final values.
  void PublishFinal() { Publish(services_.env->Steady()); }

 private:
  struct Frame {
    enum class Call : uint8_t { kBatch, kTimers, kWatermark, kWake, kHarvest } call;
    size_t node = 0;
    Port port = kMain;
    Batch rest = {};
    int64_t ingest_us = 0;
    EventTime time = EventTime::Min();  // watermark; timers: due up to
    bool end = false;                   // the watermark is END
    uint8_t phase = 0;
    size_t timers = 0;      // which timer state
    bool prepared = false;  // keys made, bad rows out
    bool restored = false;  // rows of the in-flight section
    bool finished = false, waits = false, mid_row = false;
  };
  /// A checkpoint between its barrier and its ack.
  struct Pending {
    CheckpointId n;
    TaskSnapshot snapshot;
    Duration since{};
    bool needs_image = false, image_done = false;
    std::vector<size_t> sinks;  // nodes whose Prepared has not answered
  };
  struct ImageResult {
    std::atomic<bool> done{false};
    Status status;
    StateImage image;
    Duration write{}, upload{};
  };
  struct Input {
    TaskInput wired;
    Marks held;  // marks read ahead of their turn, behind a busy stack
    bool ended = false;
  };

  // task.cc: the state machine.
  TaskNode& head() { return *nodes_.front(); }
  bool is_source() const { return source_ != nullptr; }
  void ReadMailbox();
  void DoCommand(TaskCommand& command);
  bool PushNext();
  bool PushMark();
  bool PushRestored();
  bool PushWake();
  bool PushProcessingTimers();
  bool PushInput();
  bool PushPoll();
  bool TakeOutput(size_t frame);
  void Deliver(TaskNode& node, Target& target, const Batch& batch, int64_t ingest_us);
  bool ForwardGenerated(size_t node);
  void Call(size_t frame);
  Status CallBatch(Frame& frame, TaskNode& node);
  Status CallWatermark(size_t frame, TaskNode& node);
  Status CallTimers(Frame& frame, TaskNode& node, TimerState& timers, bool& done);
  Status After(Frame& frame, TaskNode& node, const Step& step, uint32_t rows_done);
  Status Prepare(Frame& frame, TaskNode& node);
  void Pop();
  void ForwardWatermark(size_t node, EventTime time, bool end, int64_t ingest_us);
  void ForwardStatus(size_t node, bool active, bool own);
  bool ReadAhead();
  bool TakeItem(size_t input);
  void TakeBatch(size_t input, ChannelItem item);
  void OnBarrier(size_t input, CheckpointId n);
  void OnInputMark(size_t input, const Mark& mark);
  void CheckCancels();
  Answer Stop(Why why);
  size_t HeldBytes() const;
  /// Whether the node's exchanges take one more batch, after sending what can be sent.
  bool MakeRoom(TaskNode& node);
  void BookCall(TaskNode& node, BusyPart part);
  void RefreshLimits();
  void TickFlow();
  void TickClocks();
  void RunLanes();
  void TakeWakes();
  void Evict();
  void AdvanceState();
  std::optional<Duration> NextTime() const;
  bool AllHaveRoom() const;
  void Finished();
  void Fail(TaskNode& node, const Status& status);
  void FailNode(const std::string& node_id, const Status& status);

  // task_errors.cc
  Status OnRecordError(const Record& record, const RowError& error) override;
  Status ApplyErrors(TaskNode& node, const Batch& batch, uint32_t rows_done);
  Status ApplyCombineErrors(CombineStep& combine, const Batch& batch, RowErrors& errors);
  Batch OutputTimes(TaskNode& node, Batch batch);

  // task_checkpoint.cc
  bool CheckpointReady();
  bool StackCanBeSaved() const;
  void TakeCheckpoint(CheckpointId n);
  void FillSnapshot(TaskSnapshot& snapshot);
  void WriteImage(CheckpointId n);
  void PollPending();
  void Abandon();
  void Complete(CheckpointId n);
  void Abort(CheckpointId n);
  void Cancel(CheckpointId n);

  // task_open.cc
  Status OpenState();
  Status OpenNode(TaskNode& node);
  Status OpenCombiners(TaskNode& node);
  void RestoreTime();
  void BeginRunning();
  void Publish(Duration steady);
  void FillValues(TaskNode& node, NodeValues& values);

  // Fixed after Open.
  TaskSpec spec_;
  const AttemptOptions& options_;
  const PhysicalPlan& plan_;
  TaskServices services_;
  GroupRange groups_;
  const TaskRestore* restore_ = nullptr;
  std::unique_ptr<MemoryAccount> hot_;
  std::unique_ptr<TaskState> state_;
  bool ttl_by_clock_ = true;  // no input of a keyed node has event time
  std::vector<std::unique_ptr<TaskNode>> nodes_;
  std::unique_ptr<SourceStep> source_;
  std::vector<Input> inputs_;
  std::vector<Exchange*> exchanges_;  // all ways out of the task
  std::atomic<bool> opened_{false};
  std::string failed_node_;
  Mailbox<TaskCommand> mailbox_;
  std::atomic<TaskValues*> published_{nullptr};
  std::atomic<uint64_t> changes_seen_{0};  // changes_ as of the end of the last run

  // Worker thread only.
  bool begun_ = false, failed_ = false, finished_ = false, stop_sources_ = false, drained_ = false;
  bool splits_started_ = false, source_waits_ = false;
  std::vector<Frame> stack_;
  Marks marks_;  // of the valve or the splits, to be forwarded in order
  size_t next_mark_ = 0;
  int64_t marks_ingest_us_ = 0;
  WatermarkMerger valve_;
  BarrierAligner aligner_;
  InputFlow flow_;
  size_t next_input_ = 0;
  std::optional<size_t> reserve_lent_;  // input that the row reserve is lent to
  std::deque<InFlightRows> restored_;
  std::vector<Timer> due_;
  CheckpointId command_, last_barrier_;
  std::optional<Duration> aligning_since_;
  std::optional<Pending> pending_;
  std::shared_ptr<ImageResult> image_;  // under way or not collected yet
  CheckpointId image_of_, abort_after_image_;
  std::shared_ptr<WakeTarget> state_wake_;
  std::map<CheckpointId, TaskSnapshot>
      taken_;  // lanes and splits of checkpoints that are not complete yet
  TimeAccount time_;
  TimeState booked_as_ = TimeState::kIdle;
  Why last_why_ = Why::kNoInput;
  TaskNode* waiting_node_ = nullptr;
  Duration now_{}, slice_end_{};
  uint64_t call_us_ = 0;
  bool moved_ = false, no_room_ = false, state_cold_ = false;
  uint32_t rows_limit_ = kBatchRowsMax;  // the least of the chain
  uint64_t changes_ = 0;
  size_t held_bytes_ = 0;  // as the account has it
  Duration published_at_{};
  bool dirty_ = true;
};

}  // namespace weir::runtime
