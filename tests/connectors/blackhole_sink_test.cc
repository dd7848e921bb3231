#include <gtest/gtest.h>

#include <memory>

#include "engine/base/env_posix.h"
#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"
#include "tests/harness/sim_env.h"

namespace weir {
namespace {

TEST(BlackholeSink, TakesEverythingAndCountsIt) {
  TestNodeOptions more;
  more.input = SchemaOf("n int64");
  const std::unique_ptr<TestNode> node = MakeNode("blackhole_sink", "{}", more);
  ASSERT_TRUE(node->Codes().empty()) << node->Messages();
  const SinkParts parts =
      std::get<Factory<SinkParts>>(node->config->type().create)(*node->config, node->shape).value();
  EXPECT_FALSE(parts.protocol) << "there is nothing to commit";

  const std::unique_ptr<Env> env = MakePosixEnv(1);
  TestSinkContext context(*env, nullptr, nullptr, LaneId{3});
  const std::unique_ptr<Sink> sink = parts.sink();
  ASSERT_TRUE(sink->Open(context, {}).ok());
  RowBuilder builder(more.input);
  for (int64_t row = 0; row < 5; ++row) {
    builder.column(size_t{0}).Append<int64_t>(row);
    builder.FinishRow();
  }
  RowErrors errors;
  const Result<Step> step = sink->Write(builder.Build(), errors);
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(step->kind, Step::kDone);
  EXPECT_EQ(sink->progress().records_committed, 5U);
  sink->Prepare(CheckpointId{1});
  const auto lane = sink->Prepared(CheckpointId{1});
  ASSERT_TRUE(lane.ok() && lane->has_value());
  EXPECT_EQ((*lane)->lane, LaneId{3});
}

TEST(BlackholeSink, TakesNoMoreThanItsRateUntilItIsOver) {
  TestNodeOptions more;
  more.input = SchemaOf("n int64");
  const std::unique_ptr<TestNode> node =
      MakeNode("blackhole_sink", R"({"rate": "1/s", "rate_for": "100ms"})", more);
  ASSERT_TRUE(node->Codes().empty()) << node->Messages();
  const SinkParts parts =
      std::get<Factory<SinkParts>>(node->config->type().create)(*node->config, node->shape).value();
  SimWorld world(1);
  const std::unique_ptr<Env> env = world.StartProcess("sink");
  TestSinkContext context(*env, nullptr, nullptr, LaneId{0});
  const std::unique_ptr<Sink> sink = parts.sink();
  ASSERT_TRUE(sink->Open(context, {}).ok());
  RowBuilder builder(more.input);
  for (int64_t row = 0; row < 3; ++row) {
    builder.column(size_t{0}).Append<int64_t>(row);
    builder.FinishRow();
  }
  const Batch batch = builder.Build();
  RowErrors errors;
  const Result<Step> slow = sink->Write(batch, errors);
  ASSERT_TRUE(slow.ok());
  EXPECT_EQ(slow->kind, Step::kWait);
  EXPECT_EQ(slow->rows_done, 0U);
  EXPECT_EQ(sink->progress().records_committed, 0U);
  world.RunFor(Milliseconds(100));
  const Result<Step> free = sink->Write(batch, errors);
  ASSERT_TRUE(free.ok());
  EXPECT_EQ(free->kind, Step::kDone);
  EXPECT_EQ(sink->progress().records_committed, 3U);
}

}  // namespace
}  // namespace weir
