#include "engine/runtime/attempt.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "engine/base/log.h"
#include "engine/data/key_encoding.h"
#include "engine/plan/memory_split.h"
#include "engine/runtime/worker.h"

namespace weir::runtime {
namespace {

class Attempt final : public JobAttempt {
 public:
  explicit Attempt(AttemptOptions options)
      : options_(std::move(options)),
        plan_(*options_.plan),
        pool_jobs_(std::make_shared<PoolJobs>(*options_.env)) {}
  ~Attempt() override {
    IgnoreStatus(Cancel(Seconds(30)) ? Status::Ok() : Status(Code::kTimedOut, "tasks did not end"),
                 "nothing more can be done here");
  }

  Status Wire();

  void Start() override;
  void AddSplits(NodeIndex node, TaskIndex task, std::vector<SplitState> splits,
                 bool complete) override {
    TaskAt(plan_.nodes[node.value].chain, task)
        .Put({.kind = TaskCommand::Kind::kSplits,
              .node = node,
              .splits = std::move(splits),
              .complete = complete});
  }
  void Trigger(CheckpointId n) override { Tell(TaskCommand::Kind::kBarrier, n); }
  void Complete(CheckpointId n) override { Tell(TaskCommand::Kind::kComplete, n); }
  void Abort(CheckpointId n) override { Tell(TaskCommand::Kind::kAbort, n); }
  void StopSources() override { Tell(TaskCommand::Kind::kStopSources, {}); }
  void Drain() override { Tell(TaskCommand::Kind::kDrain, {}); }
  bool Cancel(Duration deadline) override;
  std::vector<NodeValues> Values() const override;
  uint64_t changes() const override;
  size_t lanes() const override {
    size_t sum = 0;
    for (const auto& task : tasks_) sum += task->lanes();
    return sum;
  }
  bool lanes_confirmed(CheckpointId n) const override;

 private:
  Task& TaskAt(uint32_t chain, TaskIndex task) { return *tasks_[first_task_[chain] + task.value]; }
  void Tell(TaskCommand::Kind kind, CheckpointId n) {
    for (const auto& task : tasks_) task->Put({.kind = kind, .checkpoint = n});
  }
  std::vector<uint32_t> ConsumersOf(const PlanEdge& edge, uint32_t producer_task) const;
  void Refresh() const;

  const AttemptOptions options_;
  const PhysicalPlan& plan_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::shared_ptr<Task>> tasks_;  // by chain, then task
  std::vector<size_t> first_task_;            // by chain
  std::shared_ptr<PoolJobs> pool_jobs_;
  std::shared_ptr<std::atomic<int>> to_open_ = std::make_shared<std::atomic<int>>(0);
  std::atomic<bool> cancelled_{false};

  // The readers of values; workers never take it.
  mutable std::mutex values_mutex_;
  mutable std::vector<std::unique_ptr<TaskValues>> values_;  // by task
};

/// Tasks of the consumer that task `producer_task` of the producer feeds.
std::vector<uint32_t> Attempt::ConsumersOf(const PlanEdge& edge, uint32_t producer_task) const {
  const uint32_t producers = plan_.nodes[edge.producer.value].parallelism;
  const uint32_t consumers = plan_.nodes[edge.consumer.value].parallelism;
  switch (edge.kind) {
    case EdgeKind::kForward:
      return {producer_task};
    case EdgeKind::kRanges:
      return {static_cast<uint32_t>(uint64_t{producer_task} * consumers / producers)};
    default:
      break;
  }
  std::vector<uint32_t> all(consumers);
  for (uint32_t i = 0; i < consumers; ++i) all[i] = i;
  return all;
}

Status Attempt::Wire() {
  if (!options_.chaining)
    return Status(Code::kInvalidArgument,
                  "an attempt without chaining needs a plan without chains: Unchained(plan)");
  const int threads = std::max(options_.threads, 1);
  for (int i = 0; i < threads; ++i)
    workers_.push_back(std::make_unique<Worker>(*options_.env, "worker-" + std::to_string(i)));

  std::vector<std::vector<TaskSpec>> specs(plan_.chains.size());
  for (const PlanChain& chain : plan_.chains) {
    for (uint32_t i = 0; i < chain.parallelism; ++i) {
      TaskSpec& spec = specs[chain.index].emplace_back();
      spec.options = &options_;
      spec.chain = &chain;
      spec.task = {static_cast<uint16_t>(i)};
      spec.signal =
          std::make_shared<TaskSignal>(workers_[i % static_cast<uint32_t>(threads)]->signal());
      spec.pool_jobs = pool_jobs_;
      spec.targets.resize(chain.nodes.size());
      for (size_t node = 0; node < chain.nodes.size(); ++node) {
        spec.targets[node].resize(
            std::max<size_t>(plan_.nodes[chain.nodes[node].value].shape.outputs.size(), 1));
      }
    }
  }

  const MemorySplit memory = SplitMemory(plan_, options_.memory->limit());
  const size_t share = memory.channel_share;
  if (share < kChannelShareLeast) {
    return Status(Code::kLimit, "job '" + plan_.job + "' has " + std::to_string(memory.channels) +
                                    " channels, which share " +
                                    std::to_string(memory.exchange_budget) +
                                    " bytes (a quarter of its memory): " + std::to_string(share) +
                                    " bytes each, at least " + std::to_string(kChannelShareLeast) +
                                    " are needed; raise execution.memory or lower the parallelism");
  }

  for (const PlanEdge& edge : plan_.edges) {
    const PlanNode& producer = plan_.nodes[edge.producer.value];
    const PlanNode& consumer = plan_.nodes[edge.consumer.value];
    const auto position = [&](const PlanNode& node) {
      const std::vector<NodeIndex>& nodes = plan_.chains[node.chain].nodes;
      return static_cast<size_t>(std::find(nodes.begin(), nodes.end(), node.index) - nodes.begin());
    };
    if (edge.kind != EdgeKind::kDirect && plan_.chains[consumer.chain].head() != consumer.index) {
      return Status(Code::kInternal,
                    "node '" + consumer.id + "' has an input channel but does not head its chain");
    }
    if (edge.combined && consumer.on_error == OnError::kSideOutput) {
      return Status(Code::kInternal, "node '" + consumer.id +
                                         "' writes bad rows to its port 'errors', so its input may "
                                         "not be combined before the exchange");
    }
    std::vector<std::vector<std::unique_ptr<ChannelSender>>> senders(producer.parallelism);
    for (uint32_t task = 0; task < producer.parallelism; ++task) {
      TaskSpec& from = specs[producer.chain][task];
      Target target;
      target.edge = &edge;
      if (edge.kind == EdgeKind::kHash && !edge.combined) {
        target.rewrites_updates =
            SplitsUpdates(producer.shape.outputs[edge.from.value],
                          *producer.shape.outputs[edge.from.value].schema, edge.hash_keys);
      }
      if (edge.kind == EdgeKind::kDirect) {
        target.local = position(consumer);
      } else {
        std::vector<std::unique_ptr<ChannelSender>> targets;
        for (const uint32_t other : ConsumersOf(edge, task)) {
          TaskSpec& to = specs[consumer.chain][other];
          Channel::Options channel;
          if (options_.channel_queue_items != 0) channel.queue_items = options_.channel_queue_items;
          channel.batch_rows = options_.batch_rows_initial;
          channel.share_bytes = share;
          channel.producer = from.signal;
          channel.consumer = to.signal;
          auto shared = std::make_shared<Channel>(std::move(channel));
          targets.push_back(std::make_unique<ChannelSender>(shared));
          to.inputs.push_back(
              {edge.to, producer.id, std::make_unique<ChannelReceiver>(std::move(shared))});
        }
        target.exchange = std::make_unique<Exchange>(edge, plan_.key_groups, consumer.parallelism,
                                                     std::move(targets));
      }
      std::vector<std::vector<Target>>& ports = from.targets[position(producer)];
      if (ports.size() <= edge.from.value) ports.resize(static_cast<size_t>(edge.from.value) + 1);
      ports[edge.from.value].push_back(std::move(target));
    }
  }

  for (std::vector<TaskSpec>& of_chain : specs) {
    first_task_.push_back(tasks_.size());
    for (TaskSpec& spec : of_chain) {
      const size_t inputs = spec.inputs.size();
      spec.share_bytes = share;
      spec.pool_bytes = inputs == 0 ? 0 : memory.floating * inputs / memory.channels;
      if (inputs != 0) {
        // Windows with their overdraft, and the reserve for one large row.
        WEIR_ASSIGN(spec.queues, options_.memory->Open(plan_.job + "/channels", MemoryKind::kQueues,
                                                       2 * share * inputs + memory.row_reserve));
      }
      uint64_t ports = 0;
      for (const NodeIndex node : spec.chain->nodes) {
        ports += PortsRead(plan_, plan_.nodes[node.value]);
        const uint64_t wanted = plan_.nodes[node.value].shape.client_queue_bytes;
        if (wanted == 0) continue;
        WEIR_ASSIGN(spec.clients[node],
                    options_.memory->Open(plan_.job + "/clients of " + plan_.nodes[node.value].id,
                                          MemoryKind::kKafkaClient, memory.client_bytes(wanted)));
      }
      WEIR_ASSIGN(spec.batches, options_.memory->Open(plan_.job + "/batches", MemoryKind::kBatches,
                                                      ports * memory.port_bytes));
      const TaskIndex index = spec.task;
      tasks_.push_back(std::make_shared<Task>(std::move(spec)));
      workers_[index.value % static_cast<uint32_t>(threads)]->Add(tasks_.back());
    }
  }
  values_.resize(tasks_.size());
  return Status::Ok();
}

void Attempt::Start() {
  to_open_->store(static_cast<int>(tasks_.size()));
  for (const auto& worker : workers_) worker->Start();
  for (const auto& task : tasks_) {
    pool_jobs_->Post([task, to_open = to_open_, listener = options_.listener] {
      const Status status = task->Open();
      if (!status.ok()) {
        listener->OnFailed(task->failed_node(), task->key(), status);
      } else {
        task->SetOpened();
        if (to_open->fetch_sub(1) == 1) listener->OnRunning();
      }
    });
  }
}

bool Attempt::Cancel(Duration deadline) {
  if (cancelled_) return pool_jobs_->Close(deadline);
  cancelled_ = true;
  for (const auto& worker : workers_) worker->Stop();
  if (!pool_jobs_->Close(deadline)) return false;
  const std::lock_guard lock(values_mutex_);
  for (const auto& task : tasks_) {
    if (task->opened()) task->PublishFinal();
  }
  Refresh();
  for (const auto& worker : workers_) worker->Clear();
  tasks_.clear();
  return true;
}

void Attempt::Refresh() const {
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (std::unique_ptr<TaskValues> newer = tasks_[i]->TakeValues()) values_[i] = std::move(newer);
  }
}

std::vector<NodeValues> Attempt::Values() const {
  const std::lock_guard lock(values_mutex_);
  Refresh();
  const Duration now = options_.env->Steady();
  std::vector<NodeValues> all;
  std::map<std::pair<std::string, TaskIndex>, size_t> at;
  for (const auto& values : values_) {
    if (values == nullptr) continue;
    for (const NodeValues& node : values->nodes) {
      at[{node.node_id, node.task}] = all.size();
      all.push_back(node);
      // What has gone on since the copy was made.
      if (!cancelled_)
        all.back().time_us[static_cast<size_t>(values->since)] +=
            static_cast<uint64_t>(std::max<int64_t>(0, (now - values->steady).us));
    }
  }
  // Combiners count as the consuming node, in its task of the same number or else its first.
  std::set<std::string> combining;
  for (const auto& values : values_) {
    if (values == nullptr) continue;
    for (const NodeValues& combined : values->combined) {
      auto found = at.find({combined.node_id, combined.task});
      if (found == at.end()) found = at.find({combined.node_id, TaskIndex{0}});
      if (found == at.end()) continue;  // it has not run yet
      NodeValues& into = all[found->second];
      into.records_in += combined.records_in;
      into.bytes_in += combined.bytes_in;
      for (size_t i = 0; i < kOutcomes; ++i) into.outcomes[i] += combined.outcomes[i];
      for (size_t i = 0; i < kNodeCounts; ++i) into.counts[i] += combined.counts[i];
      for (size_t i = 0; i < kRecordCodes; ++i) into.errors[i] += combined.errors[i];
      into.unaccounted += combined.unaccounted;
      combining.insert(combined.node_id);
    }
  }
  // What one task combines goes to all tasks of the node: only their sum says something.
  for (const std::string& node : combining) {
    NodeValues* first = nullptr;
    for (NodeValues& values : all) {
      if (values.node_id != node) continue;
      if (first == nullptr) {
        first = &values;
      } else {
        first->unaccounted += std::exchange(values.unaccounted, 0);
      }
    }
  }
  return all;
}

uint64_t Attempt::changes() const {
  const std::lock_guard lock(values_mutex_);
  uint64_t sum = 0;
  for (const auto& task : tasks_) sum += task->changes();
  return sum;
}

bool Attempt::lanes_confirmed(CheckpointId n) const {
  const std::lock_guard lock(values_mutex_);
  Refresh();
  for (const auto& values : values_) {
    if (values == nullptr) continue;
    for (const auto& [node, lane] : values->lanes) {
      if (lane.confirmed < n) return false;
    }
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<JobAttempt>> JobAttempt::Create(AttemptOptions options) {
  auto attempt = std::make_unique<Attempt>(std::move(options));
  WEIR_TRY(attempt->Wire());
  return std::unique_ptr<JobAttempt>(std::move(attempt));
}

}  // namespace weir::runtime
