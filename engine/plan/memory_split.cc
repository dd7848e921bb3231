#include "engine/plan/memory_split.h"

#include <algorithm>
#include <set>

#include "engine/data/row_builder.h"

namespace weir {
namespace {

constexpr uint64_t kExchangePart = 4;  // of the job's memory
constexpr uint64_t kBatchesPart = 16;  // of the job's memory, at most
constexpr uint64_t kClientsPart = 8;   // of the job's memory, at most
constexpr uint64_t kRocksdbPart = 8;   // of what is handed out
constexpr uint64_t kBackgroundPart = 16;
constexpr uint64_t kCacheBytesLeast = uint64_t{8} << 20, kCacheBytesMost = uint64_t{512} << 20;
constexpr uint64_t kBackgroundBytesMost = uint64_t{12} << 20;

bool HasKeyedState(const NodeShape& shape) {
  return std::any_of(shape.states.begin(), shape.states.end(),
                     [](const StateSpec& state) { return state.kind != StateKind::kList; });
}

}  // namespace

uint64_t HandedOut(uint64_t limit) {
  return limit > kMemoryFreeLeast ? std::min(limit / 5 * 4, limit - kMemoryFreeLeast) : 0;
}

RocksdbSplit SplitRocksdb(uint64_t handed_out) {
  RocksdbSplit split;
  split.cache = std::clamp(handed_out / kRocksdbPart, kCacheBytesLeast, kCacheBytesMost);
  split.write_buffers = split.cache / 2;
  split.background = std::min(handed_out / kBackgroundPart, kBackgroundBytesMost);
  return split;
}

uint64_t ChannelsOf(const PhysicalPlan& plan, const PlanEdge& edge) {
  const uint64_t from = plan.nodes[edge.producer.value].parallelism;
  switch (edge.kind) {
    case EdgeKind::kDirect:
      return 0;
    case EdgeKind::kForward:
    case EdgeKind::kRanges:
      return from;
    default:
      return from * plan.nodes[edge.consumer.value].parallelism;
  }
}

uint64_t PortsRead(const PhysicalPlan& plan, const PlanNode& node) {
  std::set<uint16_t> ports;
  for (const PlanEdge& edge : plan.edges) {
    if (edge.producer == node.index) ports.insert(edge.from.value);
  }
  return ports.size();
}

uint64_t MemorySplit::client_bytes(uint64_t wanted) const {
  if (clients_wanted <= clients_budget) return wanted;
  return static_cast<uint64_t>(static_cast<double>(wanted) * static_cast<double>(clients_budget) /
                               static_cast<double>(clients_wanted));
}

MemorySplit SplitMemory(const PhysicalPlan& plan, uint64_t limit) {
  MemorySplit split;
  split.limit = limit;
  split.handed_out = HandedOut(limit);
  split.job = std::min(plan.memory.value_or(split.handed_out), split.handed_out);
  if (plan.state_backend == "rocksdb") split.rocksdb = SplitRocksdb(split.handed_out);

  for (const PlanEdge& edge : plan.edges) split.channels += ChannelsOf(plan, edge);
  for (const PlanChain& chain : plan.chains) {
    const PlanNode& head = plan.nodes[chain.head().value];
    const bool reads = std::any_of(head.in_edges.begin(), head.in_edges.end(), [&](uint32_t edge) {
      return plan.edges[edge].kind != EdgeKind::kDirect;
    });
    if (reads) split.channel_tasks += chain.parallelism;
    const bool stateful = std::any_of(chain.nodes.begin(), chain.nodes.end(), [&](NodeIndex node) {
      return HasKeyedState(plan.nodes[node.value].shape);
    });
    if (stateful) split.stateful_tasks += chain.parallelism;
  }
  split.exchange_budget = split.job / kExchangePart;
  split.channel_share = kChannelShareMost;
  if (split.channels != 0) {
    split.channel_share =
        std::min(split.channel_share, split.exchange_budget / (2 * split.channels));
    split.row_reserve = std::min(plan.row_bytes_max(), split.exchange_budget / split.channels);
    const uint64_t exclusive = 2 * split.channel_share * split.channels;
    split.floating =
        split.exchange_budget > exclusive ? split.exchange_budget - exclusive : uint64_t{0};
  }

  for (const PlanNode& node : plan.nodes) {
    split.ports += PortsRead(plan, node) * node.parallelism;
    split.clients_wanted += node.shape.client_queue_bytes * node.parallelism;
  }
  split.port_bytes = kBatchBytesMax;
  if (split.ports != 0)
    split.port_bytes = std::min(split.port_bytes, split.job / kBatchesPart / split.ports);
  split.clients_budget = split.job / kClientsPart;
  for (const PlanNode& node : plan.nodes)
    split.clients += split.client_bytes(node.shape.client_queue_bytes) * node.parallelism;
  return split;
}

}  // namespace weir
