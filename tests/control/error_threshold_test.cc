#include "engine/control/error_threshold.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

PhysicalPlan OneNode(ErrorThreshold threshold) {
  PhysicalPlan plan;
  PlanNode node;
  node.id = "clicks";
  node.error_threshold = threshold;
  plan.nodes.push_back(std::move(node));
  return plan;
}

std::vector<runtime::NodeValues> Values(
    std::initializer_list<std::pair<uint64_t, uint64_t>> tasks) {
  std::vector<runtime::NodeValues> values;
  for (const auto& [rows, errors] : tasks) {
    runtime::NodeValues value;
    value.node_id = "clicks";
    value.records_in = rows;
    value.errors[0] = errors;
    values.push_back(value);
  }
  return values;
}

TEST(ErrorThresholds, JudgesOverAllTasksOfANode) {
  const PhysicalPlan plan = OneNode({});
  ErrorThresholds thresholds(plan);
  EXPECT_TRUE(thresholds.Judge(Seconds(1), Values({{900, 900}, {99, 0}})).ok())
      << "fewer rows than rows_min";
  EXPECT_TRUE(thresholds.Judge(Seconds(2), Values({{900, 500}, {100, 0}})).ok()) << "exactly half";
  const Status status = thresholds.Judge(Seconds(3), Values({{900, 501}, {100, 0}}));
  EXPECT_EQ(status.code(), Code::kBadRecord);
  EXPECT_EQ(status.retry(), Retry::kNever);
  EXPECT_EQ(thresholds.last_node(), "clicks");
}

TEST(ErrorThresholds, LooksAtTheLastSpanOnly) {
  const PhysicalPlan plan = OneNode({});
  ErrorThresholds thresholds(plan);
  // 100,000 good rows long ago do not hide that now all are bad.
  EXPECT_TRUE(thresholds.Judge(Seconds(0), Values({{100'000, 0}})).ok());
  EXPECT_TRUE(thresholds.Judge(Seconds(61), Values({{100'500, 500}})).ok())
      << "too few rows in the span";
  EXPECT_FALSE(thresholds.Judge(Seconds(62), Values({{101'200, 1'200}})).ok());
}

TEST(ErrorThresholds, StartsOverWithANewAttempt) {
  const PhysicalPlan plan = OneNode({});
  ErrorThresholds thresholds(plan);
  EXPECT_TRUE(thresholds.Judge(Seconds(0), Values({{50'000, 20'000}})).ok());
  EXPECT_TRUE(thresholds.Judge(Seconds(70), Values({{10, 0}})).ok());
}

TEST(ErrorThresholds, CanBeSwitchedOff) {
  ErrorThreshold off;
  off.off = true;
  const PhysicalPlan plan = OneNode(off);
  EXPECT_TRUE(ErrorThresholds(plan).Judge(Seconds(1), Values({{5'000, 5'000}})).ok());
}

}  // namespace
}  // namespace weir::control
