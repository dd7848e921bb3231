#pragma once
// TestJob: small jobs for the tests of the runtime, built as plain physical plans from real node
// types (a source of given rows, stateless steps, a keyed window sum, a sink that keeps its rows),
// run by real attempts on real threads over the in-memory state backend, with checkpoints, kills
// and restores.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "engine/api/registry.h"
#include "engine/runtime/attempt.h"
#include "engine/runtime/memory_governor.h"

namespace weir::runtime {

struct TestRow {
  int64_t key = 0, value = 0, time = 0;
  friend auto operator<=>(const TestRow&, const TestRow&) = default;
};
using TestRows = std::multiset<std::tuple<int64_t, int64_t, int64_t>>;  // key, value, time

/// What one node of a test does; found by the factories through the node's id.
struct TestNode {
  // Source: rows by split. `released` gates how many rows of each split may be read; splits end
  // after their last row if `bounded`.
  std::map<std::string, std::vector<TestRow>> splits;
  std::shared_ptr<std::atomic<size_t>> released = std::make_shared<std::atomic<size_t>>(SIZE_MAX);
  bool bounded = true;
  // Operator.
  std::function<Result<Step>(const Batch&, Output&)> on_batch;
  std::function<std::unique_ptr<Operator>()> make_operator;
  // Sink: rows it keeps, per lane; the gate stops it; how long each row takes.
  struct Kept {
    std::mutex mutex;
    std::map<uint16_t, std::vector<TestRow>> lanes;
    std::vector<std::string> errors;  // rows of an errors port as text
    std::atomic<bool> open{true};
    std::atomic<int64_t> us_per_row{0};
    std::atomic<bool> decline{false};
  };
  std::shared_ptr<Kept> kept = std::make_shared<Kept>();
};

SchemaRef TestSchema();    // key, value, _event_time
SchemaRef WindowSchema();  // key, value (the sum), _event_time (of the window)
Batch MakeTestBatch(std::span<const TestRow> rows, const SchemaRef& schema);
std::vector<TestRow> RowsOf(const Batch& batch);
Expression KeyColumn();  // `key` of TestSchema

class TestJob {
 public:
  explicit TestJob(std::string name);
  ~TestJob();

  NodeIndex AddSource(const std::string& id, uint32_t parallelism,
                      std::optional<EventTimeSpec> time);
  NodeIndex AddStep(const std::string& id, uint32_t parallelism, std::vector<NodeIndex> inputs,
                    EdgeKind kind);
  /// As assign_event_time, whose column is there already: the task makes watermarks of `time`.
  NodeIndex AddTimes(const std::string& id, uint32_t parallelism, std::vector<NodeIndex> inputs,
                     EdgeKind kind, EventTimeSpec time);
  NodeIndex AddWindowSum(const std::string& id, uint32_t parallelism, std::vector<NodeIndex> inputs,
                         int64_t window_us, bool combine = false);
  NodeIndex AddSink(const std::string& id, uint32_t parallelism, std::vector<NodeIndex> inputs,
                    EdgeKind kind, Port from = kMain);
  TestNode& node(const std::string& id);
  PlanNode& plan_node(NodeIndex index) { return plan.nodes[index.value]; }
  /// Edges are made when the nodes are added; chains are made here: a node with one direct input
  /// edge joins its producer.
  void Finish();

  TestRows Kept(const std::string& sink);
  static EventTimeSpec Time(int64_t max_delay_us);

  PhysicalPlan plan;
  std::shared_ptr<JobSettings> settings = std::make_shared<JobSettings>();

 private:
  NodeIndex Add(const std::string& id, const char* type, uint32_t parallelism, NodeShape shape,
                const std::vector<NodeIndex>& inputs, EdgeKind kind, Port from,
                SchemaRef edge_schema, bool combined);
  const std::string name_;
};

/// Drives attempts of a job as control would.
class TestRun final : public AttemptListener {
 public:
  struct Options {
    int threads = 2;
    uint32_t batch_rows = 1024;
    uint32_t queue_items = 0;
    size_t memory = size_t{512} << 20;
  };
  TestRun(const PhysicalPlan& plan, Options options);
  ~TestRun() override;

  /// A new attempt, from the newest complete checkpoint if there is one. Splits of all sources are
  /// dealt.
  void Start(const PhysicalPlan* plan = nullptr);
  /// Barrier, acks of all tasks, complete. False if it was declined or did not come in time (then
  /// it has been aborted).
  bool Checkpoint();
  void Trigger(CheckpointId n) { attempt_->Trigger(n); }
  bool WaitAcks(CheckpointId n);
  /// Waits until every task has finished, or one has failed; true if finished.
  bool WaitFinished(int seconds = 60);
  bool WaitFailed(int seconds = 60);
  bool WaitRunning(int seconds = 60);
  void Kill();     // cancels without a checkpoint
  void Discard();  // the attempt, which was killed or has finished
  JobAttempt& attempt() { return *attempt_; }
  Status failure();
  size_t tasks() const;
  std::map<TaskKey, TaskSnapshot> acks(CheckpointId n);
  CheckpointId last_complete() const { return complete_; }
  CheckpointId next() { return {++checkpoint_.value}; }
  Env& env() { return *env_; }
  const ProcessMemoryGovernor& memory() const { return *memory_; }

  void OnRunning() override;
  void OnAck(CheckpointId n, TaskSnapshot snapshot) override;
  void OnDeclined(TaskKey task, CheckpointId n, Status why) override;
  void OnFailed(const std::string& node_id, TaskKey task, Status why) override;
  void OnFinished(TaskKey task) override;
  void OnLaneResolved(const std::string&, LaneId, LaneProgress) override {}

 private:
  std::map<TaskKey, TaskRestore> Deal(const PhysicalPlan& plan);
  bool Wait(int seconds, const std::function<bool()>& until);

  const PhysicalPlan* plan_;
  const Options options_;
  std::string directory_;
  std::unique_ptr<Env> env_;
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<StateBackend> backend_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<ProcessMemoryGovernor> memory_;
  std::unique_ptr<JobAttempt> attempt_;
  uint64_t attempt_number_ = 0;
  CheckpointId checkpoint_, complete_;
  std::map<TaskKey, TaskSnapshot> complete_snapshots_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;
  std::map<CheckpointId, std::map<TaskKey, TaskSnapshot>> acks_;
  std::set<CheckpointId> declined_;
  std::set<TaskKey> finished_;
  Status failure_;
};

}  // namespace weir::runtime
