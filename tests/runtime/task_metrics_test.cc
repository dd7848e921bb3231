#include "engine/runtime/task_metrics.h"

#include <gtest/gtest.h>

#include <set>

namespace weir::runtime {
namespace {

TEST(TaskMetrics, NamesOfStatesAndPartsAreThoseOfMetricLabels) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kTimeStates; ++i) names.insert(TimeStateName(static_cast<TimeState>(i)));
  EXPECT_EQ(names, (std::set<std::string_view>{"busy", "idle", "backpressured"}));
  names.clear();
  for (size_t i = 0; i < kBusyParts; ++i) names.insert(BusyPartName(static_cast<BusyPart>(i)));
  EXPECT_EQ(names.size(), kBusyParts);
  EXPECT_EQ(BusyPartName(BusyPart::kStateRead), "state_read");
}

}  // namespace
}  // namespace weir::runtime
