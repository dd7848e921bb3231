#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/json.h"
#include "tests/jobs/test_types.h"

namespace weir::jobs {
namespace {

using ::testing::HasSubstr;

std::string Small(const std::string& where) {
  return "{\n  \"weir\": 1, \"name\": \"small\",\n  \"nodes\": {\n    " + SourceNode() +
         ",\n    \"f\": { \"type\": \"t_filter\", \"inputs\": [\"in\"],\n      \"where\": \"" +
         where + "\" },\n    " + SinkNode("out", "f") + "\n  }\n}\n";
}

TEST(FormatProblemsText, PointsIntoTheTextOfAnExpression) {
  CompileOptions options;
  options.file = "small.weir.json";
  const std::string text = FormatProblemsText(CompileTest(Small("id > 1 AND nmae = 'x'"), options));
  EXPECT_EQ(text,
            "error[W0412]: column 'nmae' does not exist\n"
            " --> small.weir.json:6:28   at /nodes/f/where, character 12\n"
            "  |\n"
            "5 |     \"f\": { \"type\": \"t_filter\", \"inputs\": [\"in\"],\n"
            "6 |       \"where\": \"id > 1 AND nmae = 'x'\" },\n"
            "  |                            ^^^^\n"
            "  |\n"
            "  = columns of 'in': id int64, name string?, at timestamp\n"
            "  = help: did you mean 'name'?\n"
            "  = more: weir explain W0412\n"
            "\n"
            "1 error in 1 file. Nothing was submitted.\n");
}

TEST(FormatProblemsText, CountsCharactersAndNotBytesThroughEscapes) {
  const CompiledJob job = CompileTest(Small("name = '\xC3\xA4\\u00e4\\\"' AND nmae = 'x'"));
  const std::string text = FormatProblemsText(job);
  EXPECT_THAT(text, HasSubstr(":6:40   at /nodes/f/where, character 18\n"));
}

TEST(FormatProblemsJson, HasPositionsAndFixes) {
  const CompiledJob job = CompileTest(Small("nmae = 'x'"));
  const Json json = FormatProblemsJson(job);
  EXPECT_EQ(json["status"], 422);
  ASSERT_EQ(json["errors"].size(), 1U);
  const Json& error = json["errors"][0];
  EXPECT_EQ(error["code"], "W0412");
  EXPECT_EQ(error["severity"], "error");
  EXPECT_EQ(error["pointer"], "/nodes/f/where");
  EXPECT_EQ(error["node_id"], "f");
  EXPECT_EQ(error["start"]["line"], 6);
  EXPECT_EQ(error["start"]["column"], 17);
  EXPECT_EQ(error["end"]["column"], 21);
  EXPECT_EQ(job.text.substr(error["start"]["offset"].get<size_t>(), 4), "nmae");
  EXPECT_EQ(error["fixes"][0]["replace"], "name");
  EXPECT_EQ(error["docs"], "/docs/errors/W0412");
}

TEST(ApplyFixes, ReplacesWhatIsUnambiguous) {
  std::string text = Small("nmae = 'x'");
  text.replace(text.find("t_filter"), 8, "t_flter");
  size_t fixed = 0;
  text = ApplyFixes(CompileTest(text), fixed);
  EXPECT_EQ(fixed, 1U);
  text = ApplyFixes(CompileTest(text), fixed);
  EXPECT_EQ(fixed, 1U);
  EXPECT_EQ(text, Small("name = 'x'"));
  EXPECT_TRUE(CompileTest(text).plan.has_value());
}

TEST(ExitCodeOf, TellsWhoseFaultItIs) {
  CompiledJob job = CompileTest(Small("id > 1"));
  EXPECT_EQ(ExitCodeOf(job), 0);
  Problem problem;
  problem.code = "W0701";
  job.problems.Add(problem);
  EXPECT_EQ(ExitCodeOf(job), 4);
  problem.code = "W0412";
  job.problems.Add(problem);
  EXPECT_EQ(ExitCodeOf(job), 1);
}

TEST(ExplainCode, HasAPageForEveryCode) {
  EXPECT_THAT(ExplainCode("W0412"), HasSubstr("W0412: no such column"));
  EXPECT_EQ(ExplainCode("W9999"), "");
  for (const std::string& code : KnownCodes()) EXPECT_GT(ExplainCode(code).size(), 40U) << code;
}

TEST(ExplainNode, ListsOptionsWithTheirDefaults) {
  const std::string text = ExplainNode(TestRegistry(), "t_options");
  EXPECT_THAT(text, HasSubstr("count  (whole number, 1..10|all, in rows)"));
  EXPECT_THAT(text, HasSubstr("on_error  (one of, default fail, fail|drop|side_output)"));
  EXPECT_EQ(ExplainNode(TestRegistry(), "top_n"), "top_n: planned, not in this version\n");
  EXPECT_EQ(ExplainNode(TestRegistry(), "nothing"), "");
}

TEST(ExplainFunction, ShowsSignatureAndNullRule) {
  EXPECT_THAT(ExplainFunction("length"), HasSubstr("length("));
  EXPECT_EQ(ExplainFunction("no_such_function"), "");
}

}  // namespace
}  // namespace weir::jobs
