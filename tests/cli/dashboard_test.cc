#include "cli/dashboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "cli/builtins.h"
#include "engine/base/json.h"
#include "jobs/jobs.h"

namespace weir::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kJob = R"json({
  "weir": 1, "name": "views",
  "connections": {"main": {"type": "kafka", "brokers": "127.0.0.1:9092", "security": {"protocol": "plaintext"}}},
  "nodes": {
    "clicks": {"type": "kafka_source", "connection": "main", "topics": ["clicks"], "format": {"type": "json"},
               "schema": {"page": "string", "at": "timestamp"}, "event_time": {"field": "at", "max_delay": "5s"}},
    "known": {"type": "filter", "inputs": ["clicks"], "where": "page IS NOT NULL"},
    "per_page": {"type": "aggregate", "inputs": ["known"], "key_by": ["page"], "window": {"type": "tumbling", "size": "1m"},
                 "aggregates": {"n": "count(*)"}},
    "screen": {"type": "print_sink", "inputs": ["per_page"]}
  }
})json";

class DashboardTest : public ::testing::Test {
 protected:
  void Make(const std::string& text) {
    jobs::CompileOptions options;
    options.registry = &Builtins();
    options.file = "views.weir.json";
    job_ = jobs::CompileJob(text, options);
    ASSERT_TRUE(job_.plan) << jobs::FormatProblemsText(job_);
    dashboard_ = MakeDashboard(*job_.plan);
  }
  /// Titles of the panels below the row of that title.
  std::set<std::string> Below(const std::string& row) const {
    std::set<std::string> titles;
    bool inside = false;
    for (const Json& panel : dashboard_["panels"]) {
      const std::string title = panel["title"].get<std::string>();
      if (panel["type"] == "row") {
        inside = title == row;
      } else if (inside) {
        titles.insert(title);
      }
    }
    return titles;
  }

  jobs::CompiledJob job_;
  Json dashboard_;
};

TEST_F(DashboardTest, NamesTheJobInEveryExpressionAndLeavesNoMark) {
  Make(kJob);
  EXPECT_EQ(dashboard_["title"], "Weir: views");
  EXPECT_EQ(dashboard_["uid"], "weir-job-views");
  EXPECT_EQ(dashboard_.dump().find("$JOB"), std::string::npos);
  EXPECT_EQ(dashboard_.dump().find("$NODE"), std::string::npos);
  size_t expressions = 0;
  for (const Json& panel : dashboard_["panels"]) {
    if (!panel.contains("targets")) continue;
    for (const Json& target : panel["targets"]) {
      ++expressions;
      EXPECT_THAT(target["expr"].get<std::string>(), HasSubstr("job_name=\"views\""));
    }
  }
  EXPECT_GT(expressions, 30U);
}

TEST_F(DashboardTest, HasARowForEachNodeWithThePanelsThatAreAboutIt) {
  Make(kJob);
  const std::set<std::string> source = Below("clicks (kafka_source)"),
                              filter = Below("known (filter)"),
                              aggregate = Below("per_page (aggregate)"),
                              sink = Below("screen (print_sink)");
  for (const auto& panels : {source, filter, aggregate, sink}) {
    EXPECT_TRUE(panels.contains("Records in per node"));
    EXPECT_TRUE(panels.contains("Busy, idle, backpressured"));
  }
  EXPECT_TRUE(source.contains("Lag by partition"));
  EXPECT_TRUE(source.contains("Event-time lag of emitted rows"));
  EXPECT_FALSE(sink.contains("Lag by partition"));
  EXPECT_TRUE(aggregate.contains("State size"));
  EXPECT_TRUE(aggregate.contains("Pause for a checkpoint"));
  EXPECT_FALSE(filter.contains("State size"));
  EXPECT_TRUE(sink.contains("Sink outcomes"));
  EXPECT_FALSE(aggregate.contains("Sink outcomes"));
}

TEST_F(DashboardTest, PutsPanelsBesideEachOtherWithinTheGrid) {
  Make(kJob);
  std::set<std::pair<int, int>> taken;
  std::set<int> ids;
  for (const Json& panel : dashboard_["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second);
    const Json& grid = panel["gridPos"];
    const int x = grid["x"].get<int>(), y = grid["y"].get<int>();
    EXPECT_LE(x + grid["w"].get<int>(), 24) << panel["title"];
    for (int column = x; column < x + grid["w"].get<int>(); ++column) {
      for (int line = y; line < y + grid["h"].get<int>(); ++line)
        ASSERT_TRUE(taken.emplace(column, line).second) << panel["title"] << " overlaps";
    }
  }
}

TEST_F(DashboardTest, AUidOfALongNameIsCutAndStaysItsOwn) {
  std::string text = kJob;
  const std::string one(60, 'a'), other = std::string(59, 'a') + "b";
  text.replace(text.find("views"), 5, one);
  Make(text);
  const std::string uid = dashboard_["uid"].get<std::string>();
  EXPECT_EQ(uid.size(), 40U);
  text.replace(text.find(one), one.size(), other);
  Make(text);
  EXPECT_NE(dashboard_["uid"].get<std::string>(), uid);
}

TEST_F(DashboardTest, LooksAtOneNamespaceAndIsItsOwn) {
  Make(kJob);
  const Json of_namespace = MakeDashboard(*job_.plan, "streams");
  EXPECT_EQ(of_namespace["title"], "Weir: streams/views");
  EXPECT_EQ(of_namespace["uid"], "weir-job-streams-views");
  for (const Json& panel : of_namespace["panels"]) {
    if (!panel.contains("targets")) continue;
    for (const Json& target : panel["targets"])
      EXPECT_THAT(target["expr"].get<std::string>(),
                  HasSubstr("job_name=\"views\",namespace=\"streams\""));
  }
  EXPECT_THAT(dashboard_.dump(), Not(HasSubstr("namespace=")));
}

/// `weir dashboard` with these arguments, on a job with that path of its sink.
std::pair<int, std::string> RunDashboard(const std::string& sink_path,
                                         const std::vector<std::string>& more) {
  const std::string file = ::testing::TempDir() + "/dashboard_test_" + std::to_string(getpid());
  std::ofstream(file) << R"({"weir": 1, "name": "views", "nodes": {
      "numbers": {"type": "generator_source", "schema": {"id": "int64"}, "fields": {"id": "_offset"}},
      "out": {"type": "file_sink", "inputs": ["numbers"], "path": ")"
                      << sink_path << R"(", "format": {"type": "json"}}}})";
  CLI::App app;
  Invocation invocation;
  AddDashboard(app, invocation);
  std::vector<std::string> words = {"weir", "dashboard", file};
  words.insert(words.end(), more.begin(), more.end());
  std::vector<const char*> argv;
  argv.reserve(words.size());
  for (const std::string& word : words) argv.push_back(word.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  int code = -1;
  std::string error;
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
    code = invocation.run();
  } catch (const CLI::ParseError& refused) {
    error = refused.what();
  }
  const std::string out = ::testing::internal::GetCapturedStdout();
  error += ::testing::internal::GetCapturedStderr();
  std::remove(file.c_str());
  return {code, code == 0 ? out : error};
}

TEST(DashboardCommand, TakesAPathThatThisMachineDoesNotAllow) {
  const auto [code, text] = RunDashboard("/var/lib/weir/files/views", {});
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, HasSubstr("weir-job-views"));
}

TEST(DashboardCommand, TakesOnlyANamespaceThatKubernetesTakes) {
  const auto [code, text] = RunDashboard("out", {"--rules", "--namespace", "streams-1"});
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, HasSubstr("namespace=\"streams-1\""));
  for (const char* wrong : {"", "Streams", "a\"b", "-a", "a-"}) {
    const auto [refused, why] = RunDashboard("out", {"--namespace", wrong});
    EXPECT_EQ(refused, -1) << wrong;
    EXPECT_THAT(why, HasSubstr("namespace")) << wrong;
  }
}

TEST(Rules, LookAtOneNamespaceOnly) {
  const std::string rules = MakeRules("views", "streams");
  EXPECT_THAT(rules, HasSubstr("absent(weir_job_state{job_name=\"views\",namespace=\"streams\"})"));
  for (size_t at = rules.find("job_name=\"views\""); at != std::string::npos;
       at = rules.find("job_name=\"views\"", at + 1))
    EXPECT_EQ(rules.substr(at + 16, 20), ",namespace=\"streams\"");
}

TEST(Rules, LookAtOneJobOnly) {
  const std::string rules = MakeRules("views");
  EXPECT_THAT(rules, HasSubstr("absent(weir_job_state{job_name=\"views\"})"));
  EXPECT_THAT(rules, HasSubstr("summary: Job views is not running anywhere"));
  EXPECT_THAT(rules, Not(HasSubstr("NAME")));
  EXPECT_THAT(rules, Not(HasSubstr(".+")));
}

}  // namespace
}  // namespace weir::cli
