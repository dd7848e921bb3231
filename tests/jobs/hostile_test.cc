// Texts that mean harm: the rows J01 ... J30 that concern a job file. What is
// shown: problems with codes, and no crash; the sanitizer builds run the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/escape.h"
#include "engine/base/json.h"
#include "tests/jobs/test_types.h"

namespace weir::jobs {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

/// Compiles, prints in both forms; answers the codes.
std::vector<std::string> Codes(const std::string& text, CompileOptions options = {}) {
  const CompiledJob job = CompileTest(text, std::move(options));
  const std::string printed = FormatProblemsText(job);
  EXPECT_TRUE(IsUtf8(printed));
  for (const char c : printed) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  EXPECT_FALSE(
      FormatProblemsJson(job).dump(-1, ' ', false, Json::error_handler_t::replace).empty());
  EXPECT_EQ(job.plan.has_value(), !job.has_errors());
  return CodesOf(job);
}

std::string Sound() { return JobOf(SourceNode() + "," + SinkNode("out", "in")); }

TEST(HostileJobs, J01OtherThanAnObject) {
  for (const char* const text : {"", "null", "[]", "\"x\"", "5", "   \n"})
    EXPECT_THAT(Codes(text), Contains(StartsWith("W01"))) << text;
}

TEST(HostileJobs, J02CutOffOrWronglyEncoded) {
  const std::string sound = Sound();
  for (size_t length = 0; length < sound.size(); ++length)
    EXPECT_THAT(Codes(sound.substr(0, length)), Contains(StartsWith("W01"))) << length;
  EXPECT_THAT(Codes(sound + "x"), Contains(StartsWith("W01")));
  EXPECT_THAT(Codes(sound + sound), Contains(StartsWith("W01")));
  EXPECT_THAT(Codes("\xEF\xBB\xBF" + sound), Contains(StartsWith("W01")));
  EXPECT_THAT(Codes(std::string("\xFF\xFE{\0}\0", 6)), Contains(StartsWith("W01")));
  EXPECT_THAT(Codes(R"({"name": "\ud800"})"), Contains(StartsWith("W01")));
  EXPECT_THAT(Codes("{\"name\": \"\xC0\xAF\"}"), Contains(StartsWith("W01")));
  EXPECT_THAT(Codes(std::string("{\"name\": \"a\0b\"}", 15)), Contains(StartsWith("W01")));
}

TEST(HostileJobs, J03DeepNesting) {
  EXPECT_THAT(Codes(std::string(10'000, '[')), Contains("W0103"));
  EXPECT_THAT(Codes("{\"nodes\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
              Contains("W0103"));
  std::string objects;
  for (int i = 0; i < 10'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(Codes(objects), Contains("W0103"));
}

TEST(HostileJobs, J05TooLarge) {
  EXPECT_THAT(Codes("{\"description\": \"" + std::string(size_t{10} << 20, 'x') + "\"}"),
              ElementsAre("W0104"));
  EXPECT_THAT(Codes("[" + std::string(size_t{4} << 20, ',') + "]"), ElementsAre("W0104"));
}

TEST(HostileJobs, J06RepeatedKeys) {
  EXPECT_THAT(Codes(R"({"weir": 1, "weir": 1})"), Contains("W0102"));
  EXPECT_THAT(Codes(R"({"weir": 1, "\u0077eir": 1})"), Contains("W0102"));
}

TEST(HostileJobs, J07Numbers) {
  for (const char* const number : {"1e999", "1E400", "NaN", "0x10", "007", "99999999999999999999",
                                   "-1", "1.0000000000000001", "-0"}) {
    const std::string text = R"({"weir": 1, "name": "t", "execution": {"max_parallelism": )" +
                             std::string(number) + R"(}, "nodes": {)" + SourceNode() + "," +
                             SinkNode("out", "in") + "}}";
    EXPECT_THAT(Codes(text), Not(IsEmpty())) << number;
  }
}

TEST(HostileJobs, J10ManyNodes) {
  std::string nodes;
  for (int i = 0; i < 20'000; ++i)
    nodes += (i == 0 ? "\"n" : ",\"n") + std::to_string(i) + R"(":{"type":"t_wait"})";
  EXPECT_THAT(Codes(JobOf(nodes)), ElementsAre("W0217"));
  std::string more;
  for (int i = 0; i < 100'000; ++i) more += (i == 0 ? "\"n" : ",\"n") + std::to_string(i) + "\":{}";
  EXPECT_THAT(Codes(JobOf(more)), Contains(::testing::AnyOf("W0104", "W0217")));
}

TEST(HostileJobs, J10ChainAsLongAsAllowed) {
  std::string nodes = SourceNode("n0");
  const size_t count = kNodesMax - 2;
  for (size_t i = 1; i <= count; ++i)
    nodes += ",\"n" + std::to_string(i) + R"(":{"type":"t_wait","inputs":["n)" +
             std::to_string(i - 1) + "\"]}";
  EXPECT_THAT(Codes(JobOf(nodes + "," + SinkNode("out", "n" + std::to_string(count)))), IsEmpty());
}

TEST(HostileJobs, J12Names) {
  for (const char* const name :
       {"a/b", "..", "../../x", "%2e%2e", "-x", "", "CON", "a b", "\xF0\x9F\x98\x80",
        "\xE2\x80\xAE"
        "abc",
        "a\\u0000b", "a\\nb", "cluster", "meta", "storage"}) {
    EXPECT_THAT(Codes(R"({"weir": 1, "name": ")" + std::string(name) + R"(", "nodes": {)" +
                      SourceNode() + "," + SinkNode("out", "in") + "}}"),
                Not(IsEmpty()))
        << name;
    if (std::string(name) == "cluster" || std::string(name) == "meta" ||
        std::string(name) == "storage")
      continue;
    EXPECT_THAT(Codes(JobOf(SourceNode(name) + "," + SinkNode("out", name))), Not(IsEmpty()))
        << name;
  }
  EXPECT_THAT(Codes(R"({"weir": 1, "name": ")" + std::string(10'240, 'a') + R"(", "nodes": {)" +
                    SourceNode() + "," + SinkNode("out", "in") + "}}"),
              ElementsAre("W0207"));
}

TEST(HostileJobs, J13NamesOfOtherLanguages) {
  EXPECT_THAT(Codes(R"({"weir": 1, "name": "t", "__proto__": {}, "constructor": 1, "nodes": {)" +
                    SourceNode() + "," + SinkNode("out", "in") + "}}"),
              ElementsAre("W0201", "W0201"));
}

TEST(HostileJobs, J14MarkupIsText) {
  const CompiledJob job =
      CompileTest(R"({"weir": 1, "name": "<script>alert(1)</script>", "nodes": {)" + SourceNode() +
                  "," + SinkNode("out", "in") + "}}");
  EXPECT_THAT(FormatProblemsText(job), HasSubstr("'<script>alert(1)</script>' is not a name"));
}

TEST(HostileJobs, J15References) {
  std::string deep = "x";
  for (int i = 0; i < 1000; ++i) deep = "${A:-" + deep + "}";
  const std::string text =
      R"({"weir": 1, "name": "t", "connections": {"main": {"type": "kafka", "brokers": ")" + deep +
      R"("}}, "nodes": {)" + SourceNode() + "," + SinkNode("out", "in") + "}}";
  EXPECT_THAT(Codes(text), ElementsAre("W0214"));
}

TEST(HostileJobs, J29Expressions) {
  const auto where = [](const std::string& expression) {
    return Codes(JobOf(SourceNode() + R"(,"f": {"type": "t_filter", "inputs": ["in"], "where": ")" +
                       expression + "\"}," + SinkNode("out", "f")));
  };
  std::string plus = "1";
  while (plus.size() < 900'000) plus += "+1";
  EXPECT_THAT(where(plus), Each(StartsWith("W04")));
  EXPECT_THAT(where(std::string(10'000, '(') + "1" + std::string(10'000, ')')),
              Each(StartsWith("W04")));
  EXPECT_THAT(where("name = '" + std::string(900'000, 'x') + "'"), Each(StartsWith("W04")));
  EXPECT_THAT(where("1; DROP TABLE x"), Each(StartsWith("W04")));
}

TEST(HostileJobs, LongLinesAreCutAroundTheCaret) {
  const std::string text = R"({"weir": 1, "name": "t", "description": ")" +
                           std::string(100'000, 'd') + R"(", "colour": 1, "nodes": {)" +
                           SourceNode() + "," + SinkNode("out", "in") + "}}";
  const std::string printed = FormatProblemsText(CompileTest(text));
  EXPECT_LT(printed.size(), 2'000U);
  EXPECT_THAT(printed, HasSubstr("\"colour\": 1"));
}

TEST(HostileJobs, ManyProblemsArePrintedUpToABound) {
  std::string members;
  for (int i = 0; i < 3'000; ++i) members += "\"zz" + std::to_string(i) + "\": 1, ";
  const CompiledJob job = CompileTest("{" + members + R"("weir": 1, "name": "t", "nodes": {)" +
                                      SourceNode() + "," + SinkNode("out", "in") + "}}");
  EXPECT_THAT(FormatProblemsText(job),
              HasSubstr("... and 2800 more.\n\n3000 errors in 1 file. Nothing was submitted.\n"));
}

TEST(HostileJobs, CommentsAreRefusedWhereAJobIsSent) {
  CompileOptions options;
  options.comments = false;
  EXPECT_THAT(Codes("{ // note\n\"weir\": 1}", options), Contains("W0109"));
}

}  // namespace
}  // namespace weir::jobs
