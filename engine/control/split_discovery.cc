#include "engine/control/split_discovery.h"

#include <algorithm>

#include "engine/base/check.h"

namespace weir::control {
namespace {

/// What an enumerator is offered: it runs on the pool and wakes nobody.
class EnumeratorContext final : public NodeContext {
 public:
  EnumeratorContext(NodeInfo info, Env& env, Clients& clients,
                    std::unique_ptr<MemoryAccount> memory)
      : info_(std::move(info)), env_(env), clients_(clients), memory_(std::move(memory)) {}
  const NodeInfo& node() const override { return info_; }
  EventTime processing_time() const override { return env_.Now(); }
  Waker waker() const override { return Waker(); }
  void WakeAfter(Duration) override {}
  void Post(std::function<void()> job) override { env_.Post(std::move(job)); }
  Env& env() override { return env_; }
  Clients& clients() override { return clients_; }
  MemoryAccount& memory() override { return *memory_; }
  MemoryAccount& client_memory() override { return *memory_; }  // asks, and queues nothing
  Counter& counter(std::string_view name) override { return counters_[std::string(name)]; }

 private:
  const NodeInfo info_;
  Env& env_;
  Clients& clients_;
  const std::unique_ptr<MemoryAccount> memory_;
  std::map<std::string, Counter> counters_;
};

}  // namespace

struct SplitDiscovery::SourceNode {
  const PlanNode* node = nullptr;
  std::unique_ptr<EnumeratorContext> context;
  std::unique_ptr<SplitEnumerator> enumerator;
  std::set<std::string> known;
  bool told_complete = false;
};

SplitDiscovery::~SplitDiscovery() = default;

Result<std::unique_ptr<SplitDiscovery>> SplitDiscovery::Open(
    const PhysicalPlan& plan, const Surroundings& surroundings,
    const std::map<std::string, std::vector<SplitState>>& restored) {
  std::unique_ptr<SplitDiscovery> discovery(new SplitDiscovery());
  for (const PlanNode& node : plan.nodes) {
    if (!node.type->is_source()) continue;
    auto source = std::make_unique<SourceNode>();
    source->node = &node;
    const auto factory = std::get<Factory<SourceParts>>(node.type->create);
    WEIR_ASSIGN(const SourceParts parts, factory(*node.config, node.shape));
    source->enumerator = parts.enumerator();
    NodeInfo info;
    info.cluster = surroundings.cluster;
    info.job = plan.job;
    info.incarnation = surroundings.incarnation;
    info.id = node.id;
    info.type = std::string(node.type->name);
    info.attempt = surroundings.attempt;
    info.parallelism = node.parallelism;
    info.key_groups = plan.key_groups;
    WEIR_ASSIGN(auto account,
                surroundings.memory->Open("splits of " + node.id, MemoryKind::kOther, 0));
    source->context = std::make_unique<EnumeratorContext>(
        std::move(info), *surroundings.env, *surroundings.clients, std::move(account));
    const auto place = restored.find(node.id);
    const std::vector<SplitState> splits =
        place == restored.end() ? std::vector<SplitState>() : place->second;
    if (Status status = source->enumerator->Open(*source->context, splits); !status.ok())
      return status.At("node '" + node.id + "'");
    SourceNode& opened = *source;
    discovery->sources_[node.index] = std::move(source);
    discovery->Deal(opened, splits);
    if (Status status = discovery->Discover(node.index); !status.ok())
      return status.At("node '" + node.id + "'");
  }
  return discovery;
}

Status SplitDiscovery::Discover(NodeIndex node) {
  SourceNode& source = *sources_.at(node);
  WEIR_ASSIGN(std::vector<SplitState> splits, source.enumerator->Discover());
  std::erase_if(splits, [&](const SplitState& split) { return source.known.contains(split.id); });
  Deal(source, std::move(splits));
  return Status::Ok();
}

void SplitDiscovery::Deal(SourceNode& source, std::vector<SplitState> splits) {
  std::vector<std::vector<SplitState>> by_task(source.node->parallelism);
  for (SplitState& split : splits) {
    source.known.insert(split.id);
    const TaskIndex task = source.enumerator->TaskOf(split, source.node->parallelism);
    WEIR_CHECK_LT(task.value, by_task.size());
    by_task[task.value].push_back(std::move(split));
  }
  const bool complete = source.enumerator->complete();
  const std::lock_guard lock(mutex_);
  for (uint32_t task = 0; task < by_task.size(); ++task) {
    if (by_task[task].empty() && !(complete && !source.told_complete)) continue;
    shares_.push_back({source.node->index, TaskIndex{static_cast<uint16_t>(task)},
                       std::move(by_task[task]), complete});
  }
  source.told_complete = source.told_complete || complete;
}

std::vector<SplitDiscovery::Share> SplitDiscovery::TakeShares() {
  const std::lock_guard lock(mutex_);
  return std::exchange(shares_, {});
}

std::map<NodeIndex, Duration> SplitDiscovery::Intervals() const {
  std::map<NodeIndex, Duration> intervals;
  for (const auto& [node, source] : sources_) {
    if (!source->enumerator->complete()) intervals[node] = source->enumerator->discovery_interval();
  }
  return intervals;
}

bool SplitDiscovery::complete(NodeIndex node) const {
  return sources_.at(node)->enumerator->complete();
}

}  // namespace weir::control
