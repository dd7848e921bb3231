#pragma once
// TaskNode: one node inside one task: its objects, its context, where its outputs go, its place in
// event time, its counters. Plain state that the task's state machine (task.cc) works on; W unless
// a member says otherwise. A node is a source, an operator or a sink.

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/api/clients.h"
#include "engine/api/context.h"
#include "engine/api/keyed_state.h"
#include "engine/api/memory.h"
#include "engine/api/segment_log.h"
#include "engine/api/sink.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/exchange.h"
#include "engine/runtime/histogram.h"
#include "engine/runtime/signal.h"
#include "engine/runtime/split_tracker.h"
#include "engine/runtime/task_metrics.h"

namespace weir::runtime {

/// What a node's wakers raise; outlives the task as long as somebody holds one.
struct WakeTarget {
  std::atomic<bool> woken{false};
  std::shared_ptr<TaskSignal> task;
  void Wake() {
    woken.store(true, std::memory_order_seq_cst);
    task->Raise();
  }
  bool Take() {
    return woken.load(std::memory_order_relaxed) &&
           woken.exchange(false, std::memory_order_seq_cst);
  }
};

/// What all nodes of a task share.
struct TaskServices {
  Env* env = nullptr;
  Clients* clients = nullptr;
  CheckpointStore* store = nullptr;
  MemoryGovernor* memory = nullptr;
  std::shared_ptr<TaskSignal> signal;
  EventTime now{};                                  // wall clock of this run
  std::function<void(std::function<void()>)> post;  // onto P, keeping the task alive
};

struct NodeCounters {
  uint64_t records_in = 0, records_out = 0, bytes_in = 0, bytes_out = 0;
  std::array<uint64_t, kBusyParts> busy_us{};
  std::array<int64_t, kOutcomes> outcomes{};
  std::array<uint64_t, kNodeCounts> counts{};
  std::array<uint64_t, kRecordCodes> errors{};
  void Take(Output& out);  // outcomes and counts of a call
};

/// The calls that every context answers alike.
class NodeBasics {
 public:
  NodeBasics(NodeInfo info, TaskServices& services);
  const NodeInfo info;
  TaskServices& services;
  std::shared_ptr<WakeTarget> wake = std::make_shared<WakeTarget>();
  std::optional<Duration> wake_at;  // steady
  std::map<std::string, Counter, std::less<>> anomalies;
  MemoryAccount& Memory();
  MemoryAccount& ClientMemory();
  std::unique_ptr<MemoryAccount> client_memory;  // as the attempt has reserved it

 private:
  std::unique_ptr<MemoryAccount> OpenEmpty(MemoryKind kind) const;
  std::unique_ptr<MemoryAccount> memory_;
};

template <class Context>
class BasicContext : public Context {
 public:
  explicit BasicContext(NodeBasics& basics) : basics_(basics) {}
  const NodeInfo& node() const override { return basics_.info; }
  EventTime processing_time() const override { return basics_.services.now; }
  Waker waker() const override {
    return Waker([target = basics_.wake] { target->Wake(); });
  }
  void WakeAfter(Duration delay) override {
    const Duration at = basics_.services.env->Steady() + delay;
    if (!basics_.wake_at || at < *basics_.wake_at) basics_.wake_at = at;
  }
  void Post(std::function<void()> job) override {
    basics_.services.post([job = std::move(job), target = basics_.wake] {
      job();
      target->Wake();
    });
  }
  Env& env() override { return *basics_.services.env; }
  Clients& clients() override { return *basics_.services.clients; }
  MemoryAccount& memory() override { return basics_.Memory(); }
  MemoryAccount& client_memory() override { return basics_.ClientMemory(); }
  Counter& counter(std::string_view name) override {
    const auto found = basics_.anomalies.find(name);
    return found != basics_.anomalies.end() ? found->second : basics_.anomalies[std::string(name)];
  }

 protected:
  NodeBasics& basics_;
};

/// Event time of one node: W, what it has announced, and the floors of its key groups.
struct NodeTime {
  EventTime watermark = EventTime::Min();
  EventTime hold = EventTime::Max();
  EventTime announced = EventTime::Min();
  GroupRange groups;
  std::vector<EventTime> floors;  // by owned group; empty: none
  EventTime JudgedBy(KeyGroup group) const {
    if (floors.empty() || !groups.Contains(group)) return watermark;
    return std::max(watermark, floors[static_cast<size_t>(group.value - groups.first.value)]);
  }
};

class OperatorTaskContext final : public BasicContext<OperatorContext> {
 public:
  OperatorTaskContext(NodeBasics& basics, NodeTime& time) : BasicContext(basics), time_(time) {}
  ValueState& value(StateIndex state) override { return Get<ValueState>(state); }
  MapState& map(StateIndex state) override { return Get<MapState>(state); }
  LogState& log(StateIndex state) override { return Get<LogState>(state); }
  TimerState& timers(StateIndex state) override { return Get<TimerState>(state); }
  ListState& list(StateIndex state) override { return *lists.at(state); }
  EventTime watermark() const override { return time_.watermark; }
  EventTime watermark(KeyGroup group) const override { return time_.JudgedBy(group); }
  void HoldWatermark(EventTime latest) override { time_.hold = latest; }

  std::vector<StatePointer> states;  // by StateIndex
  std::map<StateIndex, std::unique_ptr<ListState>> lists;

 private:
  template <class State>
  State& Get(StateIndex state) {
    WEIR_CHECK_LT(state.value, states.size());
    State* const* found = std::get_if<State*>(&states[state.value]);
    WEIR_CHECK(found != nullptr);
    return **found;
  }
  NodeTime& time_;
};

class SinkTaskContext final : public BasicContext<SinkContext> {
 public:
  SinkTaskContext(NodeBasics& basics, LaneId lane, const NodeConfig& config, SchemaRef input)
      : BasicContext(basics), lane_(lane), config_(config), input_(std::move(input)) {}
  ~SinkTaskContext() override;
  Status MakeEncoder();
  Encoder& encoder() override {
    WEIR_CHECK(encoder_ != nullptr);
    return *encoder_;
  }
  CheckpointStore& store() override { return *basics_.services.store; }
  SegmentLog& segments() override;
  LaneId lane() const override { return lane_; }

 private:
  const LaneId lane_;
  const NodeConfig& config_;
  const SchemaRef input_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<SegmentLog> segments_;
};

/// The consuming node's combiner inside the producer's task: it counts, and fails, as part of that
/// node.
struct CombineStep {
  CombineStep(const PlanNode& consumer_node, NodeInfo info, TaskServices& services,
              const std::vector<Expression>& keys);
  const PlanNode& consumer;
  NodeBasics basics;
  NodeTime time;  // W of the producer: it can only be behind the consumer's
  OperatorTaskContext context;
  const std::vector<Expression>& keys;
  std::unique_ptr<Combiner> combiner;
  Output out;
  NodeCounters counters;
};

/// One edge out of a port.
struct Target {
  const PlanEdge* edge = nullptr;
  std::optional<size_t> local;         // position in the chain of the consumer, by direct call
  std::unique_ptr<Exchange> exchange;  // or the way out of the task
  std::unique_ptr<CombineStep> combine;
  bool rewrites_updates = false;
};

/// A protocol of one lane, run as a tasklet of its own beside the sink.
struct CommitLane {
  CommitLane(NodeInfo info, TaskServices& services, LaneId lane, const NodeConfig& config,
             SchemaRef input);
  NodeBasics basics;
  SinkTaskContext context;
  LaneState restored;
  std::unique_ptr<SinkCommitProtocol> protocol;
  LaneProgress told;
  bool recovered = false;
  bool done = true;  // the last Run had nothing to do
  bool told_once = false;
};

struct TaskNode {
  enum class Role : uint8_t { kSource, kOperator, kSink };
  TaskNode(const PlanNode& node, NodeInfo info, TaskServices& services, Output output);

  const PlanNode& plan;
  const Role role;
  NodeBasics basics;
  NodeTime time;
  std::unique_ptr<OperatorTaskContext> operator_context;
  std::unique_ptr<BasicContext<NodeContext>> source_context;
  std::unique_ptr<SinkTaskContext> sink_context;
  std::unique_ptr<Operator> op;
  std::unique_ptr<Sink> sink;
  std::vector<std::unique_ptr<CommitLane>> lanes;
  bool transactional = false;  // its sink has a protocol

  Output out;
  std::vector<std::vector<Target>> targets;  // by port
  std::vector<Exchange*> exchanges;          // all of them, for room and marks
  std::vector<size_t> followers;             // chained consumers, each once
  uint32_t rows_limit = kBatchRowsMax;

  // Keyed nodes.
  std::vector<std::optional<std::vector<Expression>>> keys;  // by input port
  bool keyed = false, combined = false;
  size_t key_columns = 0;
  std::vector<KeyedState*> prefetched;  // keyed states without namespaces
  std::vector<TimerState*> event_timers, processing_timers;

  std::optional<SplitTracker> generator;         // assign_event_time
  EventTime restored_max_ts = EventTime::Min();  // at which it starts
  Marks generated;  // its marks, to be forwarded when the batch has gone down

  double us_per_row = 0;       // measured
  bool retry = false;          // a wake came for a frame that waits
  uint64_t restored_rows = 0;  // conservation
  NodeCounters counters;
  Histogram latency{kLatencyBounds}, alignment{kCheckpointBounds}, snapshot_sync{kPauseBounds},
      snapshot_async{kCheckpointBounds}, snapshot_upload{kCheckpointBounds},
      sink_commit{kCheckpointBounds};

  bool HasRoom() const {
    for (const Exchange* exchange : exchanges) {
      if (!exchange->has_room()) return false;
    }
    return true;
  }
  bool HasOutput() const {
    for (size_t port = 0; port < out.ports(); ++port) {
      if (out.HasOutput({static_cast<uint16_t>(port)})) return true;
    }
    return false;
  }
  bool Wanted(Port port) const {
    return port.value < targets.size() && !targets[port.value].empty();
  }
};

/// Output ports of a node: schemas of its shape, wanted where somebody reads.
Output MakeOutput(const PlanNode& node, const std::vector<bool>& wanted);

}  // namespace weir::runtime
