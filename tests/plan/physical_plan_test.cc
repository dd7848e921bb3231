#include "engine/plan/physical_plan.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(EdgeKind, HasTheNamesThatPlansPrint) {
  EXPECT_EQ(EdgeKindName(EdgeKind::kDirect), "direct");
  EXPECT_EQ(EdgeKindName(EdgeKind::kHash), "hash");
  EXPECT_EQ(EdgeKindName(EdgeKind::kBroadcast), "broadcast");
}

TEST(Unchained, GivesEachNodeAChainAndKeepsOtherEdges) {
  PhysicalPlan plan;
  plan.nodes.resize(3);
  for (uint16_t i = 0; i < 3; ++i) {
    plan.nodes[i].index = NodeIndex{i};
    plan.nodes[i].parallelism = i + 1U;
    plan.nodes[i].chain = 0;
  }
  plan.edges.resize(2);
  plan.edges[0].kind = EdgeKind::kDirect;
  plan.edges[1].kind = EdgeKind::kHash;

  const PhysicalPlan unchained = Unchained(plan);
  ASSERT_EQ(unchained.chains.size(), 3U);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(unchained.nodes[i].chain, i);
    EXPECT_EQ(unchained.chains[i].nodes, std::vector<NodeIndex>{unchained.nodes[i].index});
    EXPECT_EQ(unchained.chains[i].parallelism, i + 1U);
  }
  EXPECT_EQ(unchained.edges[0].kind, EdgeKind::kForward);
  EXPECT_EQ(unchained.edges[1].kind, EdgeKind::kHash);
}

}  // namespace
}  // namespace weir
