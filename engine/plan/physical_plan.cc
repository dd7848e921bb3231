#include "engine/plan/physical_plan.h"

#include <array>

namespace weir {

std::string_view EdgeKindName(EdgeKind kind) {
  static constexpr std::array<std::string_view, 6> kNames = {"direct", "forward",     "hash",
                                                             "ranges", "round_robin", "broadcast"};
  return kNames[static_cast<size_t>(kind)];
}

PhysicalPlan Unchained(PhysicalPlan plan) {
  plan.chains.clear();
  for (PlanNode& node : plan.nodes) {
    node.chain = static_cast<uint32_t>(plan.chains.size());
    plan.chains.push_back({node.chain, {node.index}, node.parallelism});
  }
  for (PlanEdge& edge : plan.edges) {
    if (edge.kind == EdgeKind::kDirect) edge.kind = EdgeKind::kForward;
  }
  return plan;
}

}  // namespace weir
