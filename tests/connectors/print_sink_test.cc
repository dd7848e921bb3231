#include <gtest/gtest.h>

#include <memory>

#include "engine/base/env_posix.h"
#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

TEST(PrintSink, ShowsUpToItsLimitAndCountsTheRest) {
  TestNodeOptions more;
  more.input = SchemaOf("n int64");
  const std::unique_ptr<TestNode> node =
      MakeNode("print_sink", R"({"limit": 2, "format": {"type": "json"}})", more);
  ASSERT_TRUE(node->Codes().empty()) << node->Messages();
  const SinkParts parts =
      std::get<Factory<SinkParts>>(node->config->type().create)(*node->config, node->shape).value();
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  TestSinkContext context(*env, nullptr, node->config->MakeEncoder(more.input).value(), LaneId{0});
  const std::unique_ptr<Sink> sink = parts.sink();
  ASSERT_TRUE(sink->Open(context, {}).ok());
  RowBuilder builder(more.input);
  for (int64_t row = 0; row < 3; ++row) {
    builder.column(size_t{0}).Append<int64_t>(row);
    builder.FinishRow();
  }
  RowErrors errors;
  testing::internal::CaptureStdout();
  const Result<Step> step = sink->Write(builder.Build(), errors);
  sink->Prepare(CheckpointId{1});
  const auto lane = sink->Prepared(CheckpointId{1});
  const std::string printed = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(printed, "{\"n\":0}\n{\"n\":1}\n");
  EXPECT_EQ(sink->progress().records_committed, 3U);
  ASSERT_TRUE(lane.ok());
  EXPECT_TRUE(lane->has_value()) << "nothing is waiting to be printed";
}

}  // namespace
}  // namespace weir
