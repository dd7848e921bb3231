#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/harness/paths.h"
#include "tests/jobs/builtin/job_folder.h"

namespace weir::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const PlanNode& NodeOf(const CompiledJob& job, std::string_view id) {
  for (const PlanNode& node : job.plan->nodes) {
    if (node.id == id) return node;
  }
  ADD_FAILURE() << "no node " << id;
  return job.plan->nodes[0];
}

TEST(Examples, AreSoundJobs) {
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(SourceDirectory() + "/jobs/examples")) {
    const std::string name = entry.path().filename().string();
    const CompiledJob job = CompileBuiltin(name, ReadSourceFile("jobs/examples/" + name));
    EXPECT_FALSE(job.has_errors()) << FormatProblemsText(job);
    EXPECT_TRUE(job.plan.has_value()) << name;
    ++count;
  }
  EXPECT_GE(count, 2U);
}

TEST(Examples, HelloRoutesRevisesNothingAndEndsOnTheScreen) {
  const CompiledJob job =
      CompileBuiltin("hello.weir.json", ReadSourceFile("jobs/examples/hello.weir.json"));
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  EXPECT_EQ(NodeOf(job, "avg").shape.outputs[0].kind, kAppend);
  EXPECT_EQ(NodeOf(job, "screen").parallelism, 1U);
  EXPECT_EQ(NodeOf(job, "split").chain, NodeOf(job, "sensors").chain);
  EXPECT_EQ(NodeOf(job, "alerts").chain, NodeOf(job, "sensors").chain);
}

TEST(Examples, ClicksWritesRevisionsByTheirUniqueKey) {
  const CompiledJob job =
      CompileBuiltin("clicks.weir.json", ReadSourceFile("jobs/examples/clicks.weir.json"));
  ASSERT_TRUE(job.plan.has_value()) << FormatProblemsText(job);
  const PlanNode& per_page = NodeOf(job, "per_page");
  EXPECT_EQ(per_page.shape.outputs[0].kind, kChangelog);
  EXPECT_THAT(per_page.shape.outputs[0].unique_key, ElementsAre("page", "window_start"));
  EXPECT_EQ(NodeOf(job, "stats_out").chain, per_page.chain);
  EXPECT_EQ(job.plan->key_groups, 120U);
  EXPECT_EQ((*job.plan->settings->connections)["main"]["security"]["password"],
            "${secret:kafka/password}");
  // `page IS NOT NULL` made it a column that is never null.
  const std::optional<ColumnIndex> page = per_page.shape.outputs[0].schema->Find("page");
  ASSERT_TRUE(page.has_value());
  EXPECT_FALSE(per_page.shape.outputs[0].schema->field(*page).nullable);
}

TEST(BenchJobs, AreSound) {
  for (const auto& entry :
       std::filesystem::directory_iterator(SourceDirectory() + "/bench/nexmark/jobs")) {
    const std::string name = entry.path().filename().string();
    const CompiledJob job = CompileBuiltin(name, ReadSourceFile("bench/nexmark/jobs/" + name));
    EXPECT_FALSE(job.has_errors()) << FormatProblemsText(job);
  }
}

TEST(JobSchema, IsTheFileBesideTheExamples) {
  const std::string written = JobSchema(BuiltinRegistry()).dump(2) + "\n";
  const std::string path = SourceDirectory() + "/jobs/weir-job.v1.schema.json";
  if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::binary) << written;
  EXPECT_EQ(written, ReadSourceFile("jobs/weir-job.v1.schema.json"));
}

TEST(JobSchema, TellsEveryNodeTypeAndOption) {
  const Json schema = JobSchema(BuiltinRegistry());
  EXPECT_EQ(schema["$schema"], "http://json-schema.org/draft-07/schema#");
  const Json& node = schema["definitions"]["node"];
  std::set<std::string> names;
  for (const Json& name : node["properties"]["type"]["enum"]) names.insert(name.get<std::string>());
  for (const auto& type : BuiltinRegistry().types())
    EXPECT_EQ(names.contains(std::string(type->name)), !type->planned) << type->name;
  for (const Json& kind : node["allOf"]) {
    EXPECT_EQ(kind["then"]["additionalProperties"], false);
    for (const auto& [name, option] : kind["then"]["properties"].items()) {
      if (name != "inputs") {
        EXPECT_TRUE(option.contains("description")) << kind["if"].dump() << name;
      }
    }
  }
}

TEST(Registry, HasDocsForEveryTypeAndOption) {
  for (const auto& type : BuiltinRegistry().types()) {
    EXPECT_FALSE(type->doc.empty()) << type->name;
    if (type->planned) continue;
    EXPECT_NE(type->infer, nullptr) << type->name;
    EXPECT_FALSE(type->example.empty()) << type->name;
    EXPECT_TRUE(ParseJson(type->example).ok()) << type->name;
    EXPECT_THAT(ExplainNode(BuiltinRegistry(), type->name), HasSubstr("options"));
    for (const Option& option : type->options)
      EXPECT_FALSE(option.doc.empty()) << type->name << " " << option.name;
  }
}

/// Codes of problems in the sources of one folder.
std::set<std::string> CodesIn(const std::string& folder) {
  std::set<std::string> codes;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(SourceDirectory() + "/" + folder)) {
    const std::string name = entry.path().string();
    if (!(name.ends_with(".cc") || name.ends_with(".h")) || name.ends_with("jobs/explain.cc"))
      continue;
    const std::string text = ReadSourceFile(name.substr(SourceDirectory().size() + 1));
    for (size_t at = text.find("\"W0"); at != std::string::npos; at = text.find("\"W0", at + 1)) {
      const std::string code = text.substr(at + 1, 5);
      if (text.substr(at + 6, 1) == "\"" &&
          code.find_first_not_of("W0123456789") == std::string::npos)
        codes.insert(code);
    }
  }
  return codes;
}

TEST(ExplainCode, KnowsEveryCodeOfTheSources) {
  std::set<std::string> used;
  for (const char* const folder : {"engine", "operators", "connectors", "jobs"})
    used.merge(CodesIn(folder));
  for (const std::string& code : used) EXPECT_NE(ExplainCode(code), "") << code;
  for (const std::string& code : KnownCodes()) EXPECT_TRUE(used.contains(code)) << code;
}

}  // namespace
}  // namespace weir::jobs
