#include "engine/plan/memory_split.h"

#include <gtest/gtest.h>

#include <memory>

#include "engine/data/row_builder.h"

namespace weir {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

/// source x2 -> hash -> keyed x3 > sink x3; the source and the sink have clients.
PhysicalPlan SomePlan() {
  PhysicalPlan plan;
  plan.settings = std::make_shared<JobSettings>();
  plan.nodes.resize(3);
  const uint32_t parallelism[] = {2, 3, 3};
  const uint32_t chains[] = {0, 1, 1};
  for (uint16_t i = 0; i < 3; ++i) {
    plan.nodes[i].index = NodeIndex{i};
    plan.nodes[i].parallelism = parallelism[i];
    plan.nodes[i].chain = chains[i];
  }
  plan.nodes[0].shape.client_queue_bytes = 8 * kMiB;
  plan.nodes[2].shape.client_queue_bytes = 32 * kMiB;
  plan.nodes[1].shape.states.push_back({.name = "rows", .kind = StateKind::kValue, .row = {}});
  plan.edges.resize(2);
  for (uint16_t i = 0; i < 2; ++i) {
    plan.edges[i].producer = NodeIndex{i};
    plan.edges[i].consumer = NodeIndex{static_cast<uint16_t>(i + 1)};
    plan.nodes[i + 1U].in_edges = {i};
  }
  plan.edges[0].kind = EdgeKind::kHash;
  plan.edges[1].kind = EdgeKind::kDirect;
  plan.chains = {{0, {NodeIndex{0}}, 2}, {1, {NodeIndex{1}, NodeIndex{2}}, 3}};
  return plan;
}

TEST(MemorySplit, CountsWhatEachPartOfAJobReserves) {
  const MemorySplit split = SplitMemory(SomePlan(), 4096 * kMiB);
  EXPECT_EQ(split.handed_out, uint64_t{4096} * kMiB / 5 * 4);
  EXPECT_EQ(split.job, split.handed_out);
  EXPECT_EQ(split.rocksdb.cache, split.handed_out / 8);
  EXPECT_EQ(split.rocksdb.write_buffers, split.rocksdb.cache / 2);
  EXPECT_EQ(split.rocksdb.background, 12 * kMiB);
  EXPECT_EQ(split.channels, 6U);
  EXPECT_EQ(split.channel_tasks, 3U);
  EXPECT_EQ(split.channel_share, kChannelShareMost);
  EXPECT_EQ(split.row_reserve, 4 * kMiB);
  EXPECT_EQ(split.queues(), 6 * 2 * kChannelShareMost + 3 * 4 * kMiB);
  EXPECT_EQ(split.floating, split.handed_out / 4 - 6 * 2 * kChannelShareMost);
  EXPECT_EQ(split.ports, 5U);  // the source's and the keyed node's
  EXPECT_EQ(split.batches(), 5 * kBatchBytesMax);
  EXPECT_EQ(split.client_bytes(8 * kMiB), 8 * kMiB);
  EXPECT_EQ(split.clients, 2 * 8 * kMiB + 3 * 32 * kMiB);
  EXPECT_EQ(split.hot_state(), 3 * kHotStateReserveBytes);
  EXPECT_EQ(split.reserved(), split.rocksdb.bytes() + split.queues() + split.batches() +
                                  split.clients + split.hot_state());
  EXPECT_LT(split.reserved(), split.handed_out);
}

TEST(MemorySplit, ShrinksWithTheMemoryAndLeavesRoomForState) {
  const MemorySplit split = SplitMemory(SomePlan(), 128 * kMiB);
  EXPECT_EQ(split.handed_out, 64 * kMiB);
  EXPECT_EQ(split.rocksdb.bytes(), 12 * kMiB);
  EXPECT_EQ(split.clients_wanted, 112 * kMiB);
  EXPECT_LE(split.clients, 8 * kMiB);  // an eighth, dealt in equal parts of what each wants
  EXPECT_EQ(split.client_bytes(32 * kMiB) / 4, split.client_bytes(8 * kMiB));
  EXPECT_LE(split.batches(), 4 * kMiB);
  EXPECT_LE(split.reserved(), split.handed_out);
}

TEST(MemorySplit, KeepsAJobToItsShare) {
  PhysicalPlan plan = SomePlan();
  plan.memory = 256 * kMiB;
  const MemorySplit split = SplitMemory(plan, 4096 * kMiB);
  EXPECT_EQ(split.job, 256 * kMiB);
  EXPECT_EQ(split.exchange_budget, 64 * kMiB);
  plan.memory = 8192 * kMiB;  // more than there is
  EXPECT_EQ(SplitMemory(plan, 4096 * kMiB).job, split.handed_out);
  plan.state_backend = "memory";
  EXPECT_EQ(SplitMemory(plan, 4096 * kMiB).rocksdb.bytes(), 0U);
}

TEST(MemorySplit, KnowsTheChannelsOfEachKindOfEdge) {
  PhysicalPlan plan = SomePlan();
  EXPECT_EQ(ChannelsOf(plan, plan.edges[0]), 6U);
  EXPECT_EQ(ChannelsOf(plan, plan.edges[1]), 0U);
  plan.edges[0].kind = EdgeKind::kRanges;
  EXPECT_EQ(ChannelsOf(plan, plan.edges[0]), 2U);
  plan.edges[0].kind = EdgeKind::kBroadcast;
  EXPECT_EQ(ChannelsOf(plan, plan.edges[0]), 6U);
  EXPECT_EQ(PortsRead(plan, plan.nodes[0]), 1U);
  EXPECT_EQ(PortsRead(plan, plan.nodes[2]), 0U);
}

}  // namespace
}  // namespace weir
