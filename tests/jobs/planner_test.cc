#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/jobs/test_types.h"

namespace weir::jobs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::string Node(const std::string& id, const std::string& type, const std::string& inputs,
                 const std::string& more = "") {
  return '"' + id + R"(": {"type": ")" + type + R"(", "inputs": [)" + inputs + "]" +
         (more.empty() ? "" : ", " + more) + "}";
}
std::string Keyed(const std::string& id, const std::string& input, const std::string& more = "") {
  return Node(id, "t_keyed", '"' + input + '"',
              R"("key_by": ["name"])" + (more.empty() ? std::string() : ", " + more));
}

CompiledJob At(uint32_t parallelism, const std::string& nodes) {
  CompileOptions options;
  options.parallelism = parallelism;
  return CompileTest(JobOf(nodes), options);
}

const PlanNode& NodeOf(const CompiledJob& job, std::string_view id) {
  for (const PlanNode& node : job.plan->nodes) {
    if (node.id == id) return node;
  }
  ADD_FAILURE() << "no node " << id;
  return job.plan->nodes[0];
}
const PlanEdge& EdgeInto(const CompiledJob& job, std::string_view id, size_t number = 0) {
  return job.plan->edges[NodeOf(job, id).in_edges.at(number)];
}

// Graph
// -----------------------------------------------------------------------------------------------------------------------------------------------

// J09
TEST(LogicalGraph, RefusesWhatIsNoGraph) {
  const auto codes = [](const std::string& nodes) { return CodesOf(CompileTest(JobOf(nodes))); };
  EXPECT_THAT(codes(""), ElementsAre("W0206"));
  EXPECT_THAT(codes(SourceNode() + "," + SinkNode("out", "inn")),
              UnorderedElementsAre("W0301", "W0302"));
  EXPECT_THAT(codes(SourceNode() + "," + SinkNode("out", "in.none")),
              UnorderedElementsAre("W0308", "W0302"));
  EXPECT_THAT(codes(SourceNode()), UnorderedElementsAre("W0307", "W0302"));
  EXPECT_THAT(codes(SinkNode("out", "out")), UnorderedElementsAre("W0303", "W0306"));
  EXPECT_THAT(codes(SourceNode() + "," + Node("out", "t_sink", R"("in", "in")")),
              ElementsAre("W0309"));
  EXPECT_THAT(
      codes(SourceNode() + "," + Node("u", "t_union", R"("in")") + "," + SinkNode("out", "u")),
      ElementsAre("W0304"));
  EXPECT_THAT(codes(SourceNode() + "," + SinkNode("a", "in") + "," + SinkNode("out", "a")),
              ElementsAre("W0308"));
  EXPECT_THAT(codes(SourceNode() + R"(,"out": {"type": "t_sink"})"),
              UnorderedElementsAre("W0202", "W0302"));
  EXPECT_THAT(codes(SourceNode() + R"(,"out": {"type": "t_sink", "inputs": []})"),
              UnorderedElementsAre("W0206", "W0302"));
  EXPECT_THAT(codes(SourceNode() + R"(,"out": {"type": "t_sink", "inputs": ["../x"]})"),
              UnorderedElementsAre("W0207", "W0302"));
  EXPECT_THAT(codes(R"("in": {"type": "t_source", "inputs": ["in"], "schema": {"a": "int64"}},)" +
                    SinkNode("out", "in")),
              ElementsAre("W0201"));
}

TEST(LogicalGraph, NamesEachCycleOnce) {
  const CompiledJob job =
      CompileTest(JobOf(SourceNode() + "," + Node("a", "t_union", R"("in", "c")") + "," +
                        Node("b", "t_wait", R"("a")") + "," + Node("c", "t_wait", R"("b")") + "," +
                        Node("x", "t_wait", R"("y")") + "," + Node("y", "t_wait", R"("x")") + "," +
                        Node("behind", "t_sink", R"("c", "y")")));
  ASSERT_THAT(CodesOf(job), ElementsAre("W0303", "W0303"));
  EXPECT_EQ(job.problems.list()[0].message, "nodes form a cycle: a -> b -> c -> a");
  EXPECT_EQ(job.problems.list()[1].message, "nodes form a cycle: x -> y -> x");
}

TEST(LogicalGraph, WantsEveryDeclaredPortToBeRead) {
  EXPECT_THAT(
      CodesOf(CompileTest(JobOf(SourceNode() + "," + Keyed("k", "in", R"("late": "side_output")") +
                                "," + SinkNode("out", "k")))),
      ElementsAre("W0302"));
  EXPECT_THAT(
      CodesOf(CompileTest(JobOf(SourceNode() + "," + Keyed("k", "in", R"("late": "side_output")") +
                                "," + SinkNode("out", "k") + "," + SinkNode("l", "k.late")))),
      IsEmpty());
  EXPECT_THAT(CodesOf(CompileTest(JobOf(SourceNode() + "," +
                                        Keyed("k", "in", R"("on_error": "side_output")") + "," +
                                        SinkNode("out", "k")))),
              ElementsAre("W0302"));
  const CompiledJob errors =
      CompileTest(JobOf(SourceNode() + "," + Keyed("k", "in", R"("on_error": "side_output")") +
                        "," + SinkNode("out", "k") + "," + SinkNode("e", "k.errors")));
  ASSERT_TRUE(errors.plan.has_value()) << FormatProblemsText(errors);
  EXPECT_EQ(NodeOf(errors, "k").shape.outputs[kErrors.value].schema, NodeConfig::ErrorsSchema());
}

TEST(LogicalGraph, UnitesOnlyEqualColumns) {
  const std::string other =
      R"("other": {"type": "t_source", "schema": {"id": "int64"}, "event_time": {"max_delay": "1s"}})";
  const CompiledJob job = CompileTest(
      JobOf(SourceNode() + "," + other + "," + Node("out", "t_sink", R"("in", "other")")));
  ASSERT_THAT(CodesOf(job), ElementsAre("W0331"));
  EXPECT_THAT(job.problems.list()[0].notes,
              ElementsAre("in:    id int64, name string?, at timestamp", "other: id int64"));
  const std::string untimed =
      R"("other": {"type": "t_source", "schema": {"id": "int64", "name": "string?", "at": "timestamp"}})";
  EXPECT_THAT(CodesOf(CompileTest(JobOf(SourceNode() + "," + untimed + "," +
                                        Node("out", "t_sink", R"("in", "other")")))),
              ElementsAre("W0332"));
}

TEST(LogicalGraph, ReadsOnlyTheColumnsThatAreUsed) {
  const CompiledJob job = CompileTest(
      JobOf(SourceNode() + "," + Node("f", "t_filter", R"("in")", R"("where": "id > 1")") + "," +
            Keyed("k", "f") + "," + SinkNode("out", "k")));
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  EXPECT_EQ(NodeOf(job, "in").shape.outputs[0].schema->ToString(),
            "id int64, name string?, at timestamp, _event_time timestamp");
  const CompiledJob fewer = CompileTest(JobOf(
      R"("in": {"type": "t_source", "schema": {"id": "int64", "name": "string?", "more": "string", "at": "timestamp"}, "event_time": {"max_delay": "1s"}},)" +
      Keyed("k", "in") + "," + SinkNode("out", "k")));
  ASSERT_TRUE(fewer.plan.has_value()) << FormatProblemsText(fewer);
  const PlanNode& source = NodeOf(fewer, "in");
  EXPECT_EQ(source.shape.outputs[0].schema->ToString(), "name string?, _event_time timestamp");
  ASSERT_EQ(source.shape.source->columns.size(), 1U);
  EXPECT_EQ(source.shape.source->columns[0].from, "name");
  EXPECT_THAT(source.shape.source->metadata, ElementsAre("_event_time"));
}

TEST(LogicalGraph, LateRowsKeepTheirColumns) {
  const CompiledJob job =
      CompileTest(JobOf(SourceNode() + "," + Keyed("k", "in", R"("late": "side_output")") + "," +
                        SinkNode("out", "k") + "," + SinkNode("late", "k.late")));
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_THAT(NodeOf(job, "k").shape.outputs[kLate.value].schema->ToString(),
              HasSubstr("id int64, name string?, at timestamp"));
}

TEST(LogicalGraph, RefusesUpdatingStreamsWhereTheyCannotBeRead) {
  EXPECT_THAT(
      CodesOf(CompileTest(JobOf(SourceNode() + "," + Keyed("k", "in", R"("kind": "changelog")") +
                                "," + Keyed("k2", "k") + "," + SinkNode("out", "k2")))),
      ElementsAre("W0607"));
}

// Plan
// ------------------------------------------------------------------------------------------------------------------------------------------------

TEST(Planner, ChainsWhatHasOneProducerAndAsManyTasks) {
  const CompiledJob job =
      At(3, SourceNode() + "," + Node("f", "t_filter", R"("in")", R"("where": "id > 1")") + "," +
                Keyed("k", "f") + "," + Node("g", "t_filter", R"("k")", R"("where": "n > 1")") +
                "," + SinkNode("out", "g"));
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  ASSERT_EQ(job.plan->chains.size(), 2U);
  EXPECT_EQ(job.plan->chains[0].nodes, (std::vector<NodeIndex>{NodeIndex{0}, NodeIndex{1}}));
  EXPECT_EQ(job.plan->chains[1].nodes,
            (std::vector<NodeIndex>{NodeIndex{2}, NodeIndex{3}, NodeIndex{4}}));
  EXPECT_EQ(job.plan->chains[1].parallelism, 3U);
  EXPECT_EQ(EdgeInto(job, "f").kind, EdgeKind::kDirect);
  EXPECT_EQ(EdgeInto(job, "k").kind, EdgeKind::kHash);
  EXPECT_EQ(EdgeInto(job, "k").hash_keys.size(), 1U);
}

TEST(Planner, LetsNodesThatWaitHeadTheirChain) {
  const CompiledJob job =
      At(2, SourceNode() + "," + Node("w", "t_wait", R"("in")") + "," + SinkNode("out", "w"));
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_EQ(EdgeInto(job, "w").kind, EdgeKind::kForward);
  EXPECT_EQ(job.plan->chains.size(), 2U);
  EXPECT_EQ(NodeOf(job, "out").chain, NodeOf(job, "w").chain);
}

TEST(Planner, TakesParallelismFromOptionJobAndInput) {
  const CompiledJob job =
      At(4, SourceNode() + "," +
                Node("f", "t_filter", R"("in")", R"("where": "id > 1", "parallelism": 2)") + "," +
                Keyed("k", "f") + "," + Node("all", "t_keyed", R"("f")", R"("key_by": [])") + "," +
                SinkNode("out", "k") + "," + SinkNode("out2", "all") + "," +
                Node("one", "t_single", R"("k")"));
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  EXPECT_EQ(NodeOf(job, "in").parallelism, 4U);
  EXPECT_EQ(NodeOf(job, "f").parallelism, 2U);
  EXPECT_EQ(NodeOf(job, "k").parallelism, 4U);
  EXPECT_EQ(NodeOf(job, "all").parallelism, 1U);
  EXPECT_EQ(NodeOf(job, "out").parallelism, 4U);
  EXPECT_EQ(NodeOf(job, "out2").parallelism, 1U);
  EXPECT_EQ(NodeOf(job, "one").parallelism, 1U);
  EXPECT_EQ(EdgeInto(job, "f").kind, EdgeKind::kRanges);
  EXPECT_EQ(EdgeInto(job, "all").kind, EdgeKind::kHash);
  EXPECT_EQ(EdgeInto(job, "one").kind, EdgeKind::kRanges);
}

TEST(Planner, SpreadsAppendStreamsByBatchOnlyWhereTheUserAsksForMoreTasks) {
  const CompiledJob job =
      At(2, SourceNode() + "," + Node("out", "t_sink", R"("in")", R"("parallelism": 5)"));
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_EQ(EdgeInto(job, "out").kind, EdgeKind::kRoundRobin);
  EXPECT_THAT(PlanText(*job.plan, {}),
              HasSubstr("round robin by batch: the order of rows is lost"));
}

TEST(Planner, LeavesAnUpsertSinkInTheChainThatMakesItsKeys) {
  const CompiledJob job = At(2, SourceNode() + "," + Keyed("k", "in", R"("kind": "upsert")") + "," +
                                    Node("out", "t_upsert_sink", R"("k")", R"("key": ["name"])"));
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  EXPECT_EQ(EdgeInto(job, "out").kind, EdgeKind::kDirect);
  const CompiledJob source =
      At(2, SourceNode() + "," + Node("out", "t_upsert_sink", R"("in")", R"("key": ["id"])"));
  ASSERT_TRUE(source.plan.has_value()) << FormatProblemsText(source);
  EXPECT_EQ(EdgeInto(source, "out").kind, EdgeKind::kHash);
  // With other tasks than its producer it gets an exchange by its key.
  const CompiledJob more =
      At(2, SourceNode() + "," + Keyed("k", "in", R"("kind": "upsert")") + "," +
                Node("out", "t_upsert_sink", R"("k")", R"("key": ["name"], "parallelism": 3)"));
  ASSERT_TRUE(more.plan.has_value()) << FormatProblemsText(more);
  EXPECT_EQ(EdgeInto(more, "out").kind, EdgeKind::kHash);
}

TEST(Planner, RefusesAnUpsertSinkWhoseKeysSeveralTasksMake) {
  const CompiledJob job = At(2, SourceNode() + "," + Keyed("k", "in", R"("kind": "upsert")") + "," +
                                    Node("out", "t_upsert_sink", R"("k")", R"("key": ["n"])"));
  EXPECT_THAT(CodesOf(job), ElementsAre("W0609"));
}

// J10
TEST(Planner, RefusesMoreTasksThanKeyGroups) {
  const auto job = [](const std::string& execution, const std::string& more) {
    return CompileTest(R"({"weir": 1, "name": "t", "execution": {)" + execution +
                       R"(}, "nodes": {)" + SourceNode() + "," + Keyed("k", "in", more) + "," +
                       SinkNode("out", "k") + "}}");
  };
  EXPECT_THAT(CodesOf(job(R"("parallelism": 200)", "")), ElementsAre("W0204"));
  EXPECT_THAT(CodesOf(job(R"("parallelism": 200, "max_parallelism": 360)", "")), IsEmpty());
  EXPECT_THAT(CodesOf(job(R"("max_parallelism": 4)", R"("parallelism": 5)")), ElementsAre("W0204"));
  for (const char* const bad : {"0", "-1", "2147483648", "32769", "1.5", "\"many\""}) {
    EXPECT_THAT(CodesOf(job(R"("parallelism": )" + std::string(bad), "")),
                Contains(::testing::AnyOf("W0204", "W0203")))
        << bad;
  }
  CompileOptions machine;
  machine.parallelism_default = 256;
  const CompiledJob automatic = CompileTest(
      JobOf(SourceNode() + "," + Keyed("k", "in") + "," + SinkNode("out", "k")), machine);
  ASSERT_TRUE(automatic.plan.has_value());
  EXPECT_EQ(automatic.plan->parallelism, 128U);
}

TEST(Planner, ReadsTheExecutionOptions) {
  const CompiledJob job = CompileTest(
      R"({"weir": 1, "name": "t", "execution": {"parallelism": 2, "max_parallelism": 120, "memory": "1GiB",
    "checkpoint": {"interval": "30s", "mode": "at_least_once", "retain": 5, "storage": "${DIR:-file:///tmp/x}"},
    "restart": {"strategy": "failure_rate", "failures": 7, "per": "2m", "delay": "3s"}, "state": {"backend": "memory", "default_ttl": "7d"}, "upgrade": {"allow_dropped_state": true}},
    "nodes": {)" +
      SourceNode() + "," + SinkNode("out", "in") + "}}");
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  const PhysicalPlan& plan = *job.plan;
  EXPECT_EQ(plan.key_groups, 120U);
  EXPECT_EQ(plan.memory, uint64_t{1} << 30);
  EXPECT_EQ(plan.checkpoint.interval, Seconds(30));
  EXPECT_FALSE(plan.checkpoint.exactly_once);
  EXPECT_EQ(plan.checkpoint.retain, 5U);
  EXPECT_EQ(plan.checkpoint.storage, "file:///tmp/x");
  EXPECT_EQ(plan.restart.strategy, RestartStrategy::kFailureRate);
  EXPECT_EQ(plan.restart.failures, 7U);
  EXPECT_EQ(plan.restart.per, Seconds(120));
  EXPECT_EQ(plan.restart.delay, Seconds(3));
  EXPECT_EQ(plan.state_backend, "memory");
  EXPECT_TRUE(plan.allow_dropped_state);
  EXPECT_EQ(plan.settings->state_ttl_default, "7d");
  EXPECT_FALSE(plan.settings->exactly_once);
}

// J28
TEST(Planner, RefusesExecutionOptionsOutOfRange) {
  for (const char* const execution :
       {R"("checkpoint": {"interval": "0s"})", R"("checkpoint": {"interval": "1ms"})",
        R"("checkpoint": {"interval": "365d"})", R"("checkpoint": {"retain": -1})",
        R"("checkpoint": {"retain": 1000000000})", R"("max_parallelism": 0)",
        R"("max_parallelism": 32769)", R"("memory": "1B")"}) {
    EXPECT_THAT(CodesOf(CompileTest(R"({"weir": 1, "name": "t", "execution": {)" +
                                    std::string(execution) + R"(}, "nodes": {)" + SourceNode() +
                                    "," + SinkNode("out", "in") + "}}")),
                ElementsAre("W0204"))
        << execution;
  }
}

TEST(Planner, RestartsNothingWithoutCheckpoints) {
  const CompiledJob job = CompileTest(
      R"({"weir": 1, "name": "t", "execution": {"checkpoint": {"interval": "off"}}, "nodes": {)" +
      SourceNode() + "," + SinkNode("out", "in") + "}}");
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_TRUE(job.plan->checkpoint.off);
  EXPECT_EQ(job.plan->restart.strategy, RestartStrategy::kNone);
}

TEST(Planner, HashesWhatTheJobComputesAndNotWhatIsSaidAboutIt) {
  const auto hash = [](const std::string& more, const std::string& where) {
    return CompileTest(
               JobOf(SourceNode() + "," +
                     Node("f", "t_filter", R"("in")", R"("where": ")" + where + '"' + more) + "," +
                     SinkNode("out", "f")))
        .plan->job_hash;
  };
  EXPECT_EQ(hash("", "id > 1"), hash(R"(, "description": "text", "labels": {"a": "b"})", "id > 1"));
  EXPECT_NE(hash("", "id > 1"), hash("", "id > 2"));
  EXPECT_EQ(hash("", "id > 1").size(), 16U);
}

TEST(PlanText, SaysChainsExchangesStateAndWhatSinksPromise) {
  const CompiledJob job =
      At(2, SourceNode() + "," + Keyed("k", "in") + "," + Node("out", "t_once_sink", R"("k")"));
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_THAT(SinkPromises(*job.plan),
              ElementsAre("out: exactly_once, visible once per checkpoint, 10s"));
  const std::string text =
      PlanText(*job.plan, {.stages = true, .types = true, .memory_bytes = uint64_t{1} << 30});
  EXPECT_THAT(text, HasSubstr("  0 x2  in (t_source)\n"));
  EXPECT_THAT(text,
              HasSubstr("  1 x2  k (t_keyed) > out (t_once_sink)\n       state of k: rows\n"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "  in -> k: hash by name\n       name string?, at timestamp, _event_time timestamp\n"));
  EXPECT_THAT(text, HasSubstr("exchange: 4 channels, "));
  // 819 MiB are four fifths; 2 tasks read channels; source and keyed node have a reader each.
  EXPECT_THAT(
      text,
      HasSubstr(
          "\nmemory: 1024 MiB, of which accounts may hold 819 MiB; the rest is for code, stacks, "
          "the allocator and libraries\n"
          "  rocksdb        114 MiB  cache 102 MiB, write buffers of at most 51 MiB in it; 12 MiB "
          "beside it for flushes and compactions\n"
          "  queues          10 MiB  exchange: 4 channels, 512 KiB each; for one large row 4096 "
          "KiB "
          "in each of 2 tasks; by need 202 MiB more (a quarter of the job's memory in all)\n"
          "  batches       1024 KiB  in the hands of tasks: 4 ports, 256 KiB each\n"
          "  hot_state     8192 KiB  2 stateful tasks, at least 4096 KiB each\n"
          "  left           685 MiB  by need, most of it for hot state\n"));
}

TEST(PlanText, SaysWhatAJobLacks) {
  const CompiledJob job =
      At(2, SourceNode() + "," + Keyed("k", "in") + "," + Node("out", "t_once_sink", R"("k")"));
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_THAT(PlanText(*job.plan, {.memory_bytes = uint64_t{70} << 20}),
              HasSubstr("the job is refused: raise memory_limit, or lower the parallelism"));
  EXPECT_THAT(PlanText(*job.plan, {}), Not(HasSubstr("memory:")));
}

TEST(GraphText, DrawsNodesAndPorts) {
  const CompiledJob job =
      CompileTest(JobOf(SourceNode() + "," + Keyed("k", "in", R"("late": "side_output")") + "," +
                        SinkNode("out", "k") + "," + SinkNode("end", "k.late")));
  ASSERT_TRUE(job.plan.has_value());
  EXPECT_EQ(GraphText(job.graph),
            "in (t_source)\nk (t_keyed) <- in\nout (t_sink) <- k\nend (t_sink) <- k.late\n");
  EXPECT_THAT(GraphDot(job.graph), HasSubstr("\"k\" -> \"end\" [label=\"late\"];"));
  EXPECT_THAT(GraphMermaid(job.graph), HasSubstr("n_k -- late --> n_end"));
}

}  // namespace
}  // namespace weir::jobs
