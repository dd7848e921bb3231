#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/json.h"
#include "tests/jobs/test_types.h"

namespace weir::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Job(const std::string& keyed, const std::string& source = R"("topics": ["a"])",
                const std::string& sink = "t_sink", const std::string& execution = "") {
  return R"({"weir": 1, "name": "t", "execution": {)" + execution +
         R"(}, "nodes": {"in": {"type": "t_source", )" + source +
         R"(, "schema": {"id": "int64", "name": "string"}, "event_time": {"max_delay": "1s"}}, "k": {"type": "t_keyed", "inputs": ["in"], )" +
         keyed + R"(}, "out": {"type": ")" + sink + R"(", "inputs": ["k"]}}})";
}

const std::string kSame = R"("key_by": ["name"])";

/// Verdict and reason of node `id` after `old` became `now`.
NodeVerdict Compare(const std::string& old, const std::string& now, const std::string& id) {
  const CompiledJob before = CompileTest(old), after = CompileTest(now);
  EXPECT_TRUE(before.plan && after.plan) << FormatProblemsText(before) << FormatProblemsText(after);
  // As a manifest keeps it: text.
  const Result<Json> kept = ParseJson(DescribeForUpgrade(*before.plan).dump());
  EXPECT_TRUE(kept.ok());
  const Result<UpgradeReport> report = CompareJobs(*kept, *after.plan);
  EXPECT_TRUE(report.ok());
  for (const NodeVerdict& verdict : report->nodes) {
    if (verdict.node == id) return verdict;
  }
  ADD_FAILURE() << "no verdict of " << id;
  return {};
}

TEST(CompareJobs, KeepsWhatDoesNotTouchState) {
  for (const char* const id : {"in", "k", "out"})
    EXPECT_EQ(Compare(Job(kSame), Job(kSame), id).verdict, Verdict::kKeep);
  EXPECT_EQ(
      Compare(Job(kSame), Job(kSame + R"(, "description": "x", "parallelism": 3)"), "k").verdict,
      Verdict::kKeep);
  EXPECT_EQ(Compare(Job(kSame), Job(kSame, R"("topics": ["a", "b"])"), "in").verdict,
            Verdict::kKeep);
  EXPECT_EQ(Compare(Job(kSame), Job(kSame, R"("topics": ["a"], "rate": "5/s")"), "in").verdict,
            Verdict::kKeep);
  EXPECT_EQ(
      Compare(Job(kSame),
              Job(kSame, R"("topics": ["a"])", "t_sink", R"("checkpoint": {"interval": "1m"})"),
              "k")
          .verdict,
      Verdict::kKeep);
}

TEST(CompareJobs, ResetsStateThatMeansSomethingElse) {
  EXPECT_EQ(Compare(Job(kSame), Job(R"("key_by": ["id"])"), "k").verdict, Verdict::kReset);
  EXPECT_EQ(Compare(Job(kSame), Job(kSame + R"(, "meaning": "sum")"), "k").verdict,
            Verdict::kReset);
  EXPECT_EQ(Compare(Job(kSame), Job(kSame, R"("topics": ["b"])"), "in").verdict, Verdict::kReset);
}

TEST(CompareJobs, CallsIncompatibleWhatNoUpgradeCanDo) {
  EXPECT_EQ(Compare(Job(kSame),
                    Job(kSame, R"("topics": ["a"])", "t_sink", R"("max_parallelism": 64)"), "k")
                .verdict,
            Verdict::kIncompatible);
  EXPECT_EQ(Compare(Job(kSame, R"("topics": ["a"])", "t_once_sink"), Job(kSame), "out").verdict,
            Verdict::kIncompatible);
  const std::string filter =
      R"({"weir": 1, "name": "t", "nodes": {"in": {"type": "t_source", "topics": ["a"], "schema": {"id": "int64", "name": "string"}},
    "k": {"type": "t_filter", "inputs": ["in"], "where": "id > 1"}, "out": {"type": "t_sink", "inputs": ["k"]}}})";
  EXPECT_EQ(Compare(Job(kSame), filter, "k").verdict, Verdict::kIncompatible);
  EXPECT_EQ(Compare(filter, Job(kSame), "k").verdict, Verdict::kKeep);
}

TEST(CompareJobs, RefusesToLoseANodeWithState) {
  std::string renamed = Job(kSame);
  renamed.replace(renamed.find("\"k\": {"), 6, "\"k2\": {");
  renamed.replace(renamed.find("[\"k\"]"), 5, "[\"k2\"]");
  EXPECT_EQ(Compare(Job(kSame), renamed, "k").verdict, Verdict::kReset);
  EXPECT_EQ(Compare(Job(kSame), renamed, "k2").verdict, Verdict::kKeep);
  std::string said = renamed;
  said.replace(said.find("\"t_keyed\""), 9, R"("t_keyed", "renamed_from": "k")");
  EXPECT_EQ(Compare(Job(kSame), said, "k2").verdict, Verdict::kMigrate);
}

TEST(UpgradeReport, AcceptsOnlyKeepInThisVersionAndSaysWhy) {
  const CompiledJob old = CompileTest(Job(kSame)), same = CompileTest(Job(kSame)),
                    other = CompileTest(Job(R"("key_by": ["id"])"));
  const Json description = DescribeForUpgrade(*old.plan);
  EXPECT_TRUE(CompareJobs(description, *same.plan)->accepted());
  const Result<UpgradeReport> report = CompareJobs(description, *other.plan);
  EXPECT_FALSE(report->accepted());
  EXPECT_THAT(report->ToText(), HasSubstr("k    reset: the key changed: it was"));
  EXPECT_THAT(report->ToText(), HasSubstr("--from none"));
}

TEST(UpgradeReport, NamesThePageOfEachVerdictThatItRefuses) {
  const CompiledJob old = CompileTest(Job(kSame));
  const auto text = [&](const std::string& now) {
    const CompiledJob job = CompileTest(now);
    return CompareJobs(DescribeForUpgrade(*old.plan), *job.plan)->ToText();
  };
  EXPECT_THAT(text(Job(kSame)), Not(HasSubstr("W09")));
  EXPECT_THAT(text(Job(R"("key_by": ["id"])")), HasSubstr(" (W0902)\n"));
  EXPECT_THAT(text(Job(kSame, R"("topics": ["a"])", "t_sink", R"("max_parallelism": 64)")),
              HasSubstr("it is fixed for the life of the state (W0903)\n"));
  std::string renamed = Job(kSame);
  renamed.replace(renamed.find("\"k\": {"), 6, "\"k2\": {");
  renamed.replace(renamed.find("[\"k\"]"), 5, "[\"k2\"]");
  renamed.replace(renamed.find("\"t_keyed\""), 9, R"("t_keyed", "renamed_from": "k")");
  EXPECT_THAT(text(renamed), HasSubstr("it was 'k' (W0901)\n"));
  for (const Verdict verdict : {Verdict::kMigrate, Verdict::kReset, Verdict::kIncompatible})
    EXPECT_NE(ExplainCode(VerdictCode(verdict)), "") << VerdictName(verdict);
}

TEST(CompareJobs, RefusesWhatIsNoDescription) {
  const CompiledJob job = CompileTest(Job(kSame));
  Json description = DescribeForUpgrade(*job.plan);
  EXPECT_TRUE(CompareJobs(description, *job.plan).ok());
  for (const char* const member : {"format", "key_groups", "nodes"}) {
    Json damaged = description;
    damaged.erase(member);
    EXPECT_EQ(CompareJobs(damaged, *job.plan).status().code(), Code::kCorruption);
  }
  for (const char* const member : {"id", "type", "role", "states", "keys"}) {
    Json damaged = description;
    damaged["nodes"][1].erase(member);
    EXPECT_EQ(CompareJobs(damaged, *job.plan).status().code(), Code::kCorruption);
  }
  EXPECT_EQ(CompareJobs(Json(), *job.plan).status().code(), Code::kCorruption);
}

}  // namespace
}  // namespace weir::jobs
