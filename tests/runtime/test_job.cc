#include "tests/runtime/test_job.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/base/env_posix.h"
#include "engine/base/json.h"
#include "engine/data/key_encoding.h"
#include "state/state.h"

namespace weir::runtime {
namespace {

constexpr int kPoolThreads = 2;

std::map<std::string, TestNode>& Nodes() {
  static std::map<std::string, TestNode> nodes;
  return nodes;
}

int64_t FloorTo(int64_t time, int64_t size) {
  const int64_t rest = time % size;
  return time - (rest < 0 ? rest + size : rest);
}

class TestSource final : public Source {
 public:
  explicit TestSource(TestNode& node) : node_(node) {}
  Status Open(NodeContext& context) override {
    context_ = &context;
    return Status::Ok();
  }
  Status Add(std::span<const SplitState> splits) override {
    for (const SplitState& split : splits)
      splits_.push_back({&node_.splits.at(split.id),
                         split.position.empty() ? 0 : std::stoull(split.position), false});
    return Status::Ok();
  }
  Result<Step> Poll(SourceOutput& out) override {
    const size_t released = node_.released->load();
    uint32_t left = out.rows_wanted();
    bool more = false;
    for (uint32_t i = 0; i < splits_.size() && left != 0; ++i) {
      Split& split = splits_[(i + next_) % splits_.size()];
      const SplitIndex index{static_cast<uint32_t>((i + next_) % splits_.size())};
      if (split.ended || out.paused(index)) continue;
      const size_t end = std::min(split.rows->size(), released);
      const size_t part = std::max<size_t>(1, left / 2);
      const size_t count = end > split.at ? std::min<size_t>({end - split.at, part, left}) : 0;
      if (count != 0) {
        RowBuilder& rows = out.Rows(index);
        for (size_t row = 0; row < count; ++row) {
          const TestRow& test = (*split.rows)[split.at++];
          rows.column(size_t{0}).Append<int64_t>(test.key);
          rows.column(size_t{1}).Append<int64_t>(test.value);
          rows.column(size_t{2}).Append<int64_t>(test.time);
          rows.FinishRow();
        }
        left -= static_cast<uint32_t>(count);
      }
      split.ended = node_.bounded && split.at == split.rows->size();
      more |= !split.ended && split.at < end;
      const SplitStatus status = split.ended      ? SplitStatus::kEnded
                                 : split.at < end ? SplitStatus::kBehind
                                                  : SplitStatus::kCaughtUp;
      if (count != 0 || split.ended || !split.reported)
        out.Report(index, std::to_string(split.at), status);
      split.reported = true;
    }
    if (!splits_.empty()) next_ = (next_ + 1) % splits_.size();
    if (more) return Step::Done();
    context_->WakeAfter(Milliseconds(1));  // the gate may have opened
    return Step::Wait(0);
  }

 private:
  struct Split {
    const std::vector<TestRow>* rows;
    size_t at;
    bool ended, reported = false;
  };
  TestNode& node_;
  NodeContext* context_ = nullptr;
  std::vector<Split> splits_;
  size_t next_ = 0;
};

class TestStep final : public Operator {
 public:
  explicit TestStep(TestNode& node) : node_(node) {}
  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    if (node_.on_batch) return node_.on_batch(batch, out);
    out.Count(Outcome::kPassed, batch.rows());
    out.Emit(kMain, batch);
    return Step::Done();
  }

 private:
  TestNode& node_;
};

/// Tumbling sums with every habit of a real window: namespaces by window, one timer per key group,
/// cursor inside a unit.
class WindowSum final : public Operator {
 public:
  WindowSum(int64_t size, bool combined) : size_(size), combined_(combined) {}
  Status Open(OperatorContext& context) override {
    context_ = &context;
    sums_ = &context.value({0});
    timers_ = &context.timers({1});
    return Status::Ok();
  }
  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    const KeyBatch& keys = batch.keys();
    const auto key = batch.Values<int64_t>({0});
    const auto value = batch.Values<int64_t>({static_cast<uint16_t>(combined_ ? 2 : 1)});
    const auto time = batch.Values<int64_t>({static_cast<uint16_t>(combined_ ? 1 : 2)});
    std::vector<Namespace> windows(batch.rows());
    std::set<std::pair<uint16_t, int64_t>> timers;
    int64_t late = 0, kept = 0;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      const int64_t start = FloorTo(time[row], size_);
      const int64_t stands_for = combined_ ? batch.Values<int64_t>({3})[row] : 1;
      const KeyGroup group = KeyGroupOf(keys.hash[row], context_->node().key_groups);
      if (start + size_ - 1 <= context_->watermark(group).us) {
        windows[row] = kSkip;
        late += stands_for;
        continue;
      }
      windows[row] = {start};
      timers.emplace(group.value, start);
      kept += stands_for;
    }
    rows_.assign(batch.rows(), nullptr);
    if (sums_->Update(keys, windows, rows_) == Ready::kWait) return Step::Wait(0);
    const StateLayout& layout = sums_->layout();
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (rows_[row] == nullptr) continue;
      StateRow& state = *rows_[row];
      const bool fresh = state.IsNull(layout.fields[0]);
      state.Set<int64_t>(layout.fields[0], key[row]);
      state.Set<int64_t>(layout.fields[1],
                         (fresh ? 0 : state.Get<int64_t>(layout.fields[1])) + value[row]);
      state.Set<int64_t>(layout.fields[2], (fresh ? 0 : state.Get<int64_t>(layout.fields[2])) +
                                               (combined_ ? batch.Values<int64_t>({3})[row] : 1));
    }
    for (const auto& [group, start] : timers)
      timers_->Set(std::vector<KeyGroup>{{group}}, {start}, {start + size_ - 1});
    out.Count(Outcome::kLateDropped, late);
    out.Count(Outcome::kBuffered, kept);
    return Step::Done();
  }
  Result<Step> OnTimers(std::span<Timer> due, Output& out) override {
    RowBuilder& rows = out.Rows(kMain);
    for (uint32_t i = 0; i < due.size(); ++i) {
      Timer& timer = due[i];
      while (true) {
        if (sums_->ScanNamespace(timer.ns, {timer.group, timer.group}, timer.cursor, block_) ==
            Ready::kWait)
          return Step::Wait(i);
        const StateLayout& layout = sums_->layout();
        for (size_t row = 0; row < block_.rows.size(); ++row) {
          if (rows.full()) return Step::More(i);
          const StateRow& state = *block_.rows[row];
          rows.column(size_t{0}).Append<int64_t>(state.Get<int64_t>(layout.fields[0]));
          rows.column(size_t{1}).Append<int64_t>(state.Get<int64_t>(layout.fields[1]));
          rows.column(size_t{2}).Append<int64_t>(timer.time.us);
          rows.column(size_t{3}).Append<int64_t>(timer.time.us);
          rows.FinishRow();
          out.Count(Outcome::kAbsorbed, state.Get<int64_t>(layout.fields[2]));
          out.Count(Outcome::kBuffered, -state.Get<int64_t>(layout.fields[2]));
          timer.cursor = std::string(block_.key[row]);
        }
        if (!block_.more) break;
      }
      sums_->Drop(timer.ns, {timer.group, timer.group});
    }
    return Step::Done();
  }

 private:
  const int64_t size_;
  const bool combined_;
  OperatorContext* context_ = nullptr;
  ValueState* sums_ = nullptr;
  TimerState* timers_ = nullptr;
  std::vector<StateRow*> rows_;
  RowBlock block_;
};

class SumCombiner final : public Combiner {
 public:
  explicit SumCombiner(int64_t size) : size_(size) {}
  void Combine(const Batch& batch, Output& out) override {
    std::map<std::pair<int64_t, int64_t>, std::pair<int64_t, int64_t>> sums;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      auto& [sum, rows] =
          sums[{batch.Values<int64_t>({0})[row], FloorTo(batch.Values<int64_t>({2})[row], size_)}];
      sum += batch.Values<int64_t>({1})[row];
      ++rows;
    }
    RowBuilder& rows = out.Rows(kMain);
    for (const auto& [at, sum] : sums) {
      rows.column(size_t{0}).Append<int64_t>(at.first);
      rows.column(size_t{1}).Append<int64_t>(at.second);
      rows.column(size_t{2}).Append<int64_t>(sum.first);
      rows.column(size_t{3}).Append<int64_t>(sum.second);
      rows.FinishRow();
    }
  }

 private:
  const int64_t size_;
};

/// Keeps its rows; what a checkpoint covers is the number of rows of its lane, to which a restore
/// cuts back: exactly once.
class TestSink final : public Sink {
 public:
  explicit TestSink(TestNode& node) : kept_(node.kept) {}
  Status Open(SinkContext& context, std::span<const LaneState> restored) override {
    context_ = &context;
    const std::lock_guard lock(kept_->mutex);
    kept_->lanes[context.lane().value];
    for (const LaneState& lane : restored)
      kept_->lanes[lane.lane.value].resize(std::stoull(lane.handle));
    return Status::Ok();
  }
  Result<Step> Write(const Batch& batch, RowErrors&) override {
    if (!kept_->open.load()) {
      context_->WakeAfter(Milliseconds(1));
      return Step::Wait(0);
    }
    uint32_t rows = batch.rows();
    if (const int64_t us = kept_->us_per_row.load(); us != 0) {
      const Duration now = context_->env().Steady();
      if (free_at_ > now) {
        context_->WakeAfter(free_at_ - now);
        return Step::Wait(0);
      }
      rows = std::min<uint32_t>(rows, 20);
      free_at_ = std::max(free_at_, now - Milliseconds(50)) + Microseconds(us * rows);
    }
    const std::lock_guard lock(kept_->mutex);
    if (batch.schema().Find("node_id")) {
      for (uint32_t row = 0; row < rows; ++row) kept_->errors.push_back(batch.RowToString(row));
    } else {
      const std::vector<TestRow> all = RowsOf(batch.Slice(0, rows));
      auto& lane = kept_->lanes[context_->lane().value];
      lane.insert(lane.end(), all.begin(), all.end());
    }
    if (rows == batch.rows()) return Step::Done();
    context_->WakeAfter(
        Microseconds(1));  // the rest may come again at once; the pace is kept above
    return Step::Wait(rows);
  }
  void Prepare(CheckpointId n) override {
    const std::lock_guard lock(kept_->mutex);
    cuts_[n] = kept_->lanes[context_->lane().value].size();
  }
  Result<std::optional<LaneState>> Prepared(CheckpointId n) override {
    if (kept_->decline.load()) return Status(Code::kUnavailable, "the test says no");
    return std::optional(LaneState{context_->lane(), std::to_string(cuts_.at(n))});
  }
  void Abort(CheckpointId n) override { cuts_.erase(n); }

 private:
  const std::shared_ptr<TestNode::Kept> kept_;
  SinkContext* context_ = nullptr;
  std::map<CheckpointId, size_t> cuts_;
  Duration free_at_{};
};

Registry& TestRegistry() {
  static Registry registry = [] {
    Registry made;
    made.Add({.name = "test_source",
              .doc = "rows of a test",
              .create = [](const NodeConfig& config, const NodeShape&) -> Result<SourceParts> {
                TestNode& node = Nodes().at(config.id());
                return SourceParts{[&node] { return std::make_unique<TestSource>(node); }, {}};
              }});
    made.Add({.name = "test_step",
              .doc = "a step of a test",
              .inputs = {.least = 1, .most = kInputsMax},
              .create = [](const NodeConfig& config,
                           const NodeShape&) -> Result<std::unique_ptr<Operator>> {
                TestNode& node = Nodes().at(config.id());
                if (node.make_operator) return node.make_operator();
                return std::make_unique<TestStep>(node);
              }});
    made.Add({.name = "test_sink",
              .doc = "keeps rows",
              .inputs = {.least = 1, .most = kInputsMax},
              .create = [](const NodeConfig& config, const NodeShape&) -> Result<SinkParts> {
                TestNode& node = Nodes().at(config.id());
                return SinkParts{[&node] { return std::make_unique<TestSink>(node); },
                                 {},
                                 Guarantee::kExactlyOnce};
              }});
    return made;
  }();
  return registry;
}

}  // namespace

SchemaRef TestSchema() {
  static const SchemaRef kSchema = std::make_shared<const Schema>(
      std::vector<Field>{{"key", Type::Of(TypeKind::kInt64), false},
                         {"value", Type::Of(TypeKind::kInt64), false},
                         {"ts", Type::Of(TypeKind::kTimestamp), false},
                         {std::string(kEventTimeColumn), Type::Of(TypeKind::kTimestamp), false}});
  return kSchema;
}
SchemaRef WindowSchema() { return TestSchema(); }

Batch MakeTestBatch(std::span<const TestRow> rows, const SchemaRef& schema) {
  RowBuilder builder(schema, static_cast<uint32_t>(rows.size()) + 1);
  for (const TestRow& row : rows) {
    builder.column(size_t{0}).Append<int64_t>(row.key);
    builder.column(size_t{1}).Append<int64_t>(row.value);
    for (size_t i = 2; i < schema->size(); ++i) builder.column(i).Append<int64_t>(row.time);
    builder.FinishRow();
  }
  return builder.Build();
}

std::vector<TestRow> RowsOf(const Batch& batch) {
  std::vector<TestRow> rows;
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    rows.push_back({batch.Values<int64_t>({0})[row], batch.Values<int64_t>({1})[row],
                    batch.Values<int64_t>({2})[row]});
  }
  return rows;
}

Expression KeyColumn() {
  Scope scope;
  scope.inputs.push_back({"", TestSchema()});
  return BindExpression("key", scope, {}).expression;
}

TestJob::TestJob(std::string name) : name_(std::move(name)) {
  plan.job = name_;
  settings->name = name_;
  plan.settings = settings;
}
TestJob::~TestJob() {
  for (const PlanNode& node : plan.nodes) Nodes().erase(node.id);
}

TestNode& TestJob::node(const std::string& id) { return Nodes().at(name_ + "." + id); }

EventTimeSpec TestJob::Time(int64_t max_delay_us) {
  Scope scope;
  scope.inputs.push_back({"", TestSchema()});
  EventTimeSpec spec;
  spec.field = BindExpression("ts", scope, {}).expression;
  spec.max_delay = {max_delay_us};
  return spec;
}

NodeIndex TestJob::Add(const std::string& id, const char* type, uint32_t parallelism,
                       NodeShape shape, const std::vector<NodeIndex>& inputs, EdgeKind kind,
                       Port from, SchemaRef edge_schema, bool combined) {
  PlanNode node;
  node.index = {static_cast<uint16_t>(plan.nodes.size())};
  node.id = name_ + "." + id;
  node.type = TestRegistry().Find(type);
  std::vector<NodeConfig::Input> config_inputs;
  config_inputs.reserve(inputs.size());
  for (const NodeIndex input : inputs)
    config_inputs.push_back(
        {plan.nodes[input.value].id, plan.nodes[input.value].shape.outputs[from.value]});
  Nodes()[node.id];
  node.config = std::make_shared<NodeConfig>(TestRegistry(), *node.type, node.id, Json::object(),
                                             config_inputs, settings, nullptr);
  node.shape = std::move(shape);
  node.parallelism = parallelism;
  for (const NodeIndex input : inputs) {
    PlanEdge edge;
    edge.index = static_cast<uint32_t>(plan.edges.size());
    edge.producer = input;
    edge.from = from;
    edge.consumer = node.index;
    edge.kind = kind;
    edge.schema = edge_schema != nullptr ? edge_schema
                                         : plan.nodes[input.value].shape.outputs[from.value].schema;
    edge.combined = combined;
    if (kind == EdgeKind::kHash) edge.hash_keys = {KeyColumn()};
    plan.nodes[input.value].out_edges.push_back(edge.index);
    node.in_edges.push_back(edge.index);
    plan.edges.push_back(std::move(edge));
  }
  plan.nodes.push_back(std::move(node));
  return plan.nodes.back().index;
}

namespace {

NodeShape ShapeWithErrors(SchemaRef main) {
  NodeShape shape;
  shape.outputs = {PortShape{std::move(main), kAppend, {}, true, {}}, PortShape{},
                   PortShape{NodeConfig::ErrorsSchema(), kAppend, {}, false, {}}};
  shape.port_names = {"", "late", "errors"};
  return shape;
}

}  // namespace

NodeIndex TestJob::AddSource(const std::string& id, uint32_t parallelism,
                             std::optional<EventTimeSpec> time) {
  NodeShape shape = ShapeWithErrors(TestSchema());
  SourceShape source;
  for (const char* column : {"key", "value", "ts"})
    source.columns.push_back(
        {TestSchema()->field(*TestSchema()->Find(column)), WireType::kDefault, column, false});
  source.metadata = {std::string(kEventTimeColumn)};
  shape.source = source;
  shape.event_time = time ? *time : Time(0);
  return Add(id, "test_source", parallelism, std::move(shape), {}, EdgeKind::kDirect, kMain,
             nullptr, false);
}

NodeIndex TestJob::AddStep(const std::string& id, uint32_t parallelism,
                           std::vector<NodeIndex> inputs, EdgeKind kind) {
  return Add(id, "test_step", parallelism, ShapeWithErrors(TestSchema()), inputs, kind, kMain,
             nullptr, false);
}

NodeIndex TestJob::AddTimes(const std::string& id, uint32_t parallelism,
                            std::vector<NodeIndex> inputs, EdgeKind kind, EventTimeSpec time) {
  NodeShape shape = ShapeWithErrors(TestSchema());
  shape.event_time = std::move(time);
  shape.states = {
      {.name = "max_ts", .kind = StateKind::kList, .row = {}, .spread = Spread::kUnion}};
  return Add(id, "test_step", parallelism, std::move(shape), inputs, kind, kMain, nullptr, false);
}

NodeIndex TestJob::AddWindowSum(const std::string& id, uint32_t parallelism,
                                std::vector<NodeIndex> inputs, int64_t window_us, bool combine) {
  NodeShape shape = ShapeWithErrors(WindowSchema());
  shape.keys = {std::vector<Expression>{KeyColumn()}};
  shape.key_names = {"key"};
  const Field integer{"", Type::Of(TypeKind::kInt64), true};
  StateSpec sums{
      .name = "sums",
      .kind = StateKind::kValue,
      .row = Schema(
          {{"key", integer.type, true}, {"sum", integer.type, true}, {"rows", integer.type, true}}),
      .namespaced = true};
  StateSpec timers{
      .name = "timers", .kind = StateKind::kEventTimers, .row = {}, .namespaced = true};
  shape.states = {sums, timers};
  SchemaRef partial;
  if (combine) {
    // The size travels in the partial column's name: factories are plain functions.
    CombineSpec spec;
    spec.partial = Schema({{"key", integer.type, false},
                           {std::to_string(window_us), integer.type, false},
                           {"sum", integer.type, false},
                           {"rows", integer.type, false}});
    spec.create = [](const NodeConfig&, const NodeShape& of,
                     OperatorContext&) -> Result<std::unique_ptr<Combiner>> {
      return std::make_unique<SumCombiner>(std::stoll(of.combine->partial.field({1}).name));
    };
    partial = std::make_shared<const Schema>(spec.partial);
    shape.combine = std::move(spec);
  }
  const NodeIndex index = Add(id, "test_step", parallelism, std::move(shape), inputs,
                              EdgeKind::kHash, kMain, partial, combine);
  node(id).make_operator = [window_us, combine] {
    return std::make_unique<WindowSum>(window_us, combine);
  };
  return index;
}

NodeIndex TestJob::AddSink(const std::string& id, uint32_t parallelism,
                           std::vector<NodeIndex> inputs, EdgeKind kind, Port from) {
  NodeShape shape;
  shape.guarantee = Guarantee::kExactlyOnce;
  return Add(id, "test_sink", parallelism, std::move(shape), inputs, kind, from, nullptr, false);
}

void TestJob::Finish() {
  plan.chains.clear();
  for (PlanNode& node : plan.nodes) {
    if (node.in_edges.size() == 1 && plan.edges[node.in_edges.front()].kind == EdgeKind::kDirect) {
      node.chain = plan.nodes[plan.edges[node.in_edges.front()].producer.value].chain;
      plan.chains[node.chain].nodes.push_back(node.index);
      continue;
    }
    node.chain = static_cast<uint32_t>(plan.chains.size());
    plan.chains.push_back({node.chain, {node.index}, node.parallelism});
  }
}

TestRows TestJob::Kept(const std::string& sink) {
  TestNode::Kept& kept = *node(sink).kept;
  const std::lock_guard lock(kept.mutex);
  TestRows rows;
  for (const auto& [lane, all] : kept.lanes) {
    for (const TestRow& row : all) rows.emplace(row.key, row.value, row.time);
  }
  return rows;
}

// --- TestRun

TestRun::TestRun(const PhysicalPlan& plan, Options options)
    : plan_(&plan), options_(options), env_(MakePosixEnv(kPoolThreads)) {
  static std::atomic<int> number{0};
  directory_ = ::testing::TempDir() + "weir_runtime_" + std::to_string(getpid()) + "_" +
               std::to_string(number.fetch_add(1));
  backend_ = state::MakeMemoryBackend(*env_);
  Result<std::unique_ptr<CheckpointStore>> store =
      state::OpenFileStore(*env_, "file://" + directory_ + "/store");
  WEIR_CHECK(store.ok());
  store_ = std::move(*store);
  memory_ = std::make_unique<ProcessMemoryGovernor>(options_.memory);
}

TestRun::~TestRun() {
  attempt_.reset();
  IgnoreStatus(env_->RemoveTree(directory_), "a temporary directory");
}

bool TestRun::Wait(int seconds, const std::function<bool()>& until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(seconds), until);
}

void TestRun::Start(const PhysicalPlan* plan) {
  if (plan != nullptr) plan_ = plan;
  attempt_.reset();
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    finished_.clear();
    failure_ = Status::Ok();
    acks_.clear();
    declined_.clear();
  }
  AttemptOptions options;
  options.plan = plan_;
  options.env = env_.get();
  options.backend = backend_.get();
  options.memory = memory_.get();
  options.store = store_.get();
  options.listener = this;
  options.cluster = "test";
  options.incarnation = "u1";
  options.attempt = {++attempt_number_};
  options.head = complete_;
  options.threads = options_.threads;
  options.state_directory = directory_ + "/state";
  options.batch_rows_initial = options_.batch_rows;
  options.channel_queue_items = options_.queue_items;
  options.restore = Deal(*plan_);
  std::map<std::string, SplitState> restored;
  for (const auto& [key, restore] : options.restore) {
    for (const auto& [node, splits] : restore.splits) {
      for (const SplitState& split : splits) restored[node + "/" + split.id] = split;
    }
  }
  Result<std::unique_ptr<JobAttempt>> attempt = JobAttempt::Create(std::move(options));
  ASSERT_TRUE(attempt.ok()) << attempt.status().ToString();
  attempt_ = std::move(*attempt);
  attempt_->Start();
  for (const PlanNode& node : plan_->nodes) {
    if (!node.type->is_source()) continue;
    std::vector<std::vector<SplitState>> shares(node.parallelism);
    for (const auto& [id, rows] : Nodes().at(node.id).splits) {
      const auto found = restored.find(node.id + "/" + id);
      shares[TaskOfSplit(id, node.parallelism).value].push_back(
          found != restored.end() ? found->second : SplitState{.id = id, .position = "0"});
    }
    for (uint32_t task = 0; task < node.parallelism; ++task)
      attempt_->AddSplits(node.index, {static_cast<uint16_t>(task)}, std::move(shares[task]), true);
  }
}

/// As control deals a checkpoint: key groups to their owners, lanes by number, in-flight rows to
/// every task that may own some of them.
std::map<TaskKey, TaskRestore> TestRun::Deal(const PhysicalPlan& plan) {
  std::map<TaskKey, TaskRestore> dealt;
  if (complete_.value == 0) return dealt;
  for (const auto& [old_key, old] : complete_snapshots_) {
    for (const PlanChain& chain : plan.chains) {
      for (uint32_t task = 0; task < chain.parallelism; ++task) {
        TaskRestore& restore = dealt[{chain.index, {static_cast<uint16_t>(task)}}];
        if (old_key.chain != chain.index) continue;
        const GroupRange groups =
            GroupsOf({static_cast<uint16_t>(task)}, plan.key_groups, chain.parallelism);
        const bool overlaps = old.groups.first <= groups.last && groups.first <= old.groups.last;
        for (const NodeIndex index : chain.nodes) {
          const PlanNode& node = plan.nodes[index.value];
          const EventTime time = old.watermarks.at(node.id);
          if (node.shape.keys.empty()) {
            const auto [at, fresh] = restore.watermarks.emplace(node.id, time);
            if (!fresh) at->second = std::min(at->second, time);
          } else if (overlaps) {
            for (uint32_t group = old.groups.first.value; group <= old.groups.last.value; ++group) {
              if (groups.Contains({static_cast<uint16_t>(group)}))
                restore.group_watermarks[node.id][static_cast<uint16_t>(group)] = time;
            }
          }
          if (const auto buffered = old.buffered.find(node.id); buffered != old.buffered.end()) {
            for (const auto& [group, rows] : buffered->second) {
              if (groups.Contains({group})) restore.buffered[node.id] += rows;
            }
          }
        }
        if (old.image && overlaps) {
          StateImage image = *old.image;
          for (ImageFile& file : image.files)
            file.local = directory_ + "/store/" + plan.job + "/u1/" + file.name;
          restore.images.push_back(std::move(image));
        }
        const bool keyed = !plan.nodes[chain.head().value].shape.keys.empty();
        for (const InFlightRows& rows : old.in_flight) {
          if (keyed ? overlaps : old_key.task.value % chain.parallelism == task)
            restore.in_flight.push_back(rows);
        }
        for (const ListItems& list : old.lists) restore.lists.push_back(list);  // all are unions
        for (const NodeLane& lane : old.lanes) {
          if (lane.lane.lane.value % chain.parallelism == task) restore.lanes.push_back(lane);
        }
        if (task == 0) {
          for (const auto& [node, splits] : old.splits)
            restore.splits[node].insert(restore.splits[node].end(), splits.begin(), splits.end());
        }
      }
    }
  }
  return dealt;
}

size_t TestRun::tasks() const {
  size_t tasks = 0;
  for (const PlanChain& chain : plan_->chains) tasks += chain.parallelism;
  return tasks;
}

bool TestRun::WaitAcks(CheckpointId n) {
  return Wait(60,
              [&] {
                return acks_[n].size() == tasks() || declined_.contains(n) || !failure_.ok();
              }) &&
         acks(n).size() == tasks();
}

bool TestRun::Checkpoint() {
  const CheckpointId n = next();
  attempt_->Trigger(n);
  if (!WaitAcks(n)) {
    attempt_->Abort(n);
    return false;
  }
  complete_ = n;
  complete_snapshots_ = acks(n);
  // Through the codec, as the manifest's parts go.
  for (auto& [key, snapshot] : complete_snapshots_) {
    std::string text;
    EncodeTaskSnapshot(snapshot, text);
    Result<TaskSnapshot> read = DecodeTaskSnapshot(text);
    WEIR_CHECK(read.ok());
    snapshot = std::move(*read);
  }
  attempt_->Complete(n);
  return true;
}

std::map<TaskKey, TaskSnapshot> TestRun::acks(CheckpointId n) {
  const std::lock_guard lock(mutex_);
  return acks_[n];
}

bool TestRun::WaitFinished(int seconds) {
  return Wait(seconds, [&] { return finished_.size() == tasks() || !failure_.ok(); }) &&
         failure().ok();
}
bool TestRun::WaitFailed(int seconds) {
  return Wait(seconds, [&] { return !failure_.ok(); });
}
bool TestRun::WaitRunning(int seconds) {
  return Wait(seconds, [&] { return running_; });
}

void TestRun::Discard() { attempt_.reset(); }

void TestRun::Kill() {
  ASSERT_TRUE(attempt_->Cancel(Seconds(30)));
  if (complete_.value != 0) return;
  for (const PlanNode& node : plan_->nodes) {  // nothing to go back to: sinks begin anew
    const std::lock_guard lock(Nodes().at(node.id).kept->mutex);
    Nodes().at(node.id).kept->lanes.clear();
  }
}

Status TestRun::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void TestRun::OnRunning() {
  const std::lock_guard lock(mutex_);
  running_ = true;
  changed_.notify_all();
}
void TestRun::OnAck(CheckpointId n, TaskSnapshot snapshot) {
  const std::lock_guard lock(mutex_);
  EXPECT_FALSE(acks_[n].contains(snapshot.task)) << "a second ack";
  acks_[n][snapshot.task] = std::move(snapshot);
  changed_.notify_all();
}
void TestRun::OnDeclined(TaskKey, CheckpointId n, Status) {
  const std::lock_guard lock(mutex_);
  declined_.insert(n);
  changed_.notify_all();
}
void TestRun::OnFailed(const std::string& node_id, TaskKey, Status why) {
  const std::lock_guard lock(mutex_);
  if (failure_.ok()) failure_ = why.At(node_id);
  changed_.notify_all();
}
void TestRun::OnFinished(TaskKey task) {
  const std::lock_guard lock(mutex_);
  EXPECT_TRUE(finished_.insert(task).second) << "finished twice";
  changed_.notify_all();
}

}  // namespace weir::runtime
