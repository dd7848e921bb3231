#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/api/registry.h"
#include "engine/base/json.h"

namespace weir {
namespace {

using ::testing::ElementsAre;

Result<SourceParts> NoSource(const NodeConfig&, const NodeShape&) {
  return Status(Code::kInternal, "not in this test");
}

NodeType SourceType() {
  return {.name = "s",
          .doc = "d",
          .options = {{.name = "window",
                       .type = OptionType::kObject,
                       .doc = "d",
                       .fields = {{.name = "size", .type = OptionType::kDuration, .doc = "d"}}},
                      {.name = "routes", .type = OptionType::kExpressionMap, .doc = "d"},
                      {.name = "where", .type = OptionType::kBoolExpression, .doc = "d"}},
          .create = NoSource};
}

class NodeConfigTest : public ::testing::Test {
 protected:
  NodeConfig Make(const std::string& options, std::vector<NodeConfig::Input> inputs = {}) {
    Result<Json> parsed = ParseJson(options);
    EXPECT_TRUE(parsed.ok()) << parsed.status().ToString();
    return NodeConfig(registry_, type_, "n", *parsed, std::move(inputs), settings_, &problems_);
  }
  std::vector<std::string> Codes() const {
    std::vector<std::string> codes;
    for (const Problem& problem : problems_.list()) codes.push_back(problem.code);
    return codes;
  }

  const Registry registry_;
  const NodeType type_ = SourceType();
  const std::shared_ptr<JobSettings> settings_ = std::make_shared<JobSettings>();
  Problems problems_;
};

TEST_F(NodeConfigTest, FindsOptionsByPathAndFillsInFallbacks) {
  const NodeConfig config = Make(R"({"window": {"size": "1m"}, "routes": {"a/b~c": "x"}})");
  EXPECT_EQ(config.DurationOf("window/size"), Seconds(60));
  EXPECT_EQ(config.Text("routes/" + PointerToken("a/b~c")), "x");
  EXPECT_EQ(config.on_error(), OnError::kFail);
  EXPECT_FALSE(config.Has("window/none"));
  EXPECT_FALSE(config.Has("window/size/deeper"));
  EXPECT_EQ(config.pointer("window/size"), "/nodes/n/window/size");
}

TEST_F(NodeConfigTest, InfersASourceFromItsDeclaration) {
  const NodeConfig config = Make(
      R"({"schema": {"a": "int64", "b": {"type": "string?", "from": "/x/b"}, "/c": "bool", "at": "timestamp_ms"},
    "event_time": {"field": "at", "max_delay": "5s", "on_future": "side_output"}, "rate": "7/s"})");
  NodeShape shape;
  config.InferSource(shape, {std::string(kTopicColumn)});
  ASSERT_TRUE(Codes().empty());
  EXPECT_EQ(shape.outputs[0].schema->ToString(),
            "a int64, b string?, /c bool, at timestamp, _event_time timestamp, _processing_time "
            "timestamp, _topic string");
  EXPECT_TRUE(shape.outputs[0].has_event_time);
  const SourceShape& source = *shape.source;
  EXPECT_EQ(source.columns[1].from, "/x/b");
  EXPECT_EQ(source.columns[2].from, "/~1c");
  EXPECT_EQ(source.columns[3].wire, WireType::kTimestampMillis);
  EXPECT_TRUE(source.columns[3].event_time);
  EXPECT_FALSE(source.columns[0].event_time);
  EXPECT_THAT(source.metadata, ElementsAre("_event_time", "_processing_time", "_topic"));
  EXPECT_EQ(source.rate_per_second, 7.0);
  EXPECT_EQ(shape.event_time->max_delay, Seconds(5));
  EXPECT_EQ(shape.event_time->idle_timeout, Seconds(30));
  EXPECT_EQ(shape.event_time->on_future, OnFuture::kSideOutput);
  EXPECT_EQ(shape.event_time->field.columns(), std::vector<ColumnIndex>{ColumnIndex{3}});
}

TEST_F(NodeConfigTest, ReadsOnlyWantedColumnsAndThoseOfEventTime) {
  NodeConfig config = Make(
      R"({"schema": {"a": "int64", "b": "string?", "at": "timestamp"}, "event_time": {"field": "at", "max_delay": "5s"}})");
  config.SetWanted(std::make_shared<const std::set<std::string>>(std::set<std::string>{"b"}));
  NodeShape shape;
  config.InferSource(shape, {std::string(kTopicColumn)});
  EXPECT_EQ(shape.outputs[0].schema->ToString(), "b string?, at timestamp, _event_time timestamp");
  EXPECT_EQ(shape.event_time->field.columns(), std::vector<ColumnIndex>{ColumnIndex{1}});
}

TEST_F(NodeConfigTest, RefusesDeclarationsThatCannotBe) {
  const auto codes = [&](const std::string& options) {
    problems_ = Problems();
    NodeShape shape;
    Make(options).InferSource(shape, {});
    return Codes();
  };
  EXPECT_THAT(codes(R"({})"), ElementsAre("W0202"));
  EXPECT_THAT(codes(R"({"schema": {}})"), ElementsAre("W0206"));
  EXPECT_THAT(codes(R"({"schema": {"a": "itn64"}})"), ElementsAre("W0404"));
  EXPECT_THAT(codes(R"({"schema": {"a": "json"}})"), ElementsAre("W0210"));
  EXPECT_THAT(codes(R"({"schema": {"_topic": "string"}})"), ElementsAre("W0207"));
  EXPECT_THAT(codes(R"({"schema": {"window_start": "timestamp"}})"), ElementsAre("W0207"));
  EXPECT_THAT(codes(R"({"schema": {"a": "int64"}, "event_time": {"max_delay": "1s"}})"),
              ElementsAre("W0202"));
  EXPECT_THAT(
      codes(R"({"schema": {"a": "int64"}, "event_time": {"field": "a", "max_delay": "1s"}})"),
      ElementsAre("W0502"));
  EXPECT_THAT(
      codes(R"({"schema": {"a": "int64"}, "event_time": {"field": "b", "max_delay": "1s"}})"),
      ElementsAre("W0412"));
  EXPECT_THAT(codes(R"({"schema": {"a": "int64", "b": 5, "c": {"from": "x"}}})"),
              ElementsAre("W0203", "W0203"));
}

TEST_F(NodeConfigTest, ReportsExpressionsWithTheirPlaceAndTheColumnsThatThereAre) {
  PortShape input;
  input.schema = std::make_shared<const Schema>(
      std::vector<Field>{{"user_id", Type::Of(TypeKind::kString), false},
                         {std::string(kTopicColumn), Type::Of(TypeKind::kString), false}});
  const NodeConfig config = Make(R"({"where": "1 = 1 AND usr_id = 'x'"})", {{"clicks", input}});
  EXPECT_FALSE(config.expression("where"));
  EXPECT_TRUE(config.failed());
  ASSERT_THAT(Codes(), ElementsAre("W0412"));
  const Problem& problem = problems_.list()[0];
  EXPECT_EQ(problem.pointer, "/nodes/n/where");
  EXPECT_EQ(problem.inside, (std::pair<size_t, size_t>{10, 16}));
  EXPECT_EQ(problem.fix, "user_id");
}

TEST_F(NodeConfigTest, SaysNothingOfExpressionsWhileAnInputIsUnknown) {
  const NodeConfig config = Make(R"({"where": "nothing = 1"})", {{"clicks", PortShape{}}});
  EXPECT_FALSE(config.inputs_known());
  EXPECT_FALSE(config.expression("where"));
  EXPECT_TRUE(Codes().empty());
}

TEST_F(NodeConfigTest, WantsConditionsToBeBool) {
  PortShape input;
  input.schema =
      std::make_shared<const Schema>(std::vector<Field>{{"n", Type::Of(TypeKind::kInt64), false}});
  Make(R"({"where": "n"})", {{"in", input}}).expression("where");
  EXPECT_THAT(Codes(), ElementsAre("W0422"));
}

}  // namespace
}  // namespace weir
