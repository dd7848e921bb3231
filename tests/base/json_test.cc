#include "engine/base/json.h"

#include <gtest/gtest.h>

#include <random>

namespace weir {
namespace {

/// "W0101 2:5" for each problem, in order.
std::vector<std::string> Problems(std::string_view text, bool comments = true) {
  std::vector<std::string> problems;
  for (const JsonProblem& problem : ParseJob(text, comments).problems) {
    problems.push_back(problem.code + " " + std::to_string(problem.range.start.line) + ":" +
                       std::to_string(problem.range.start.column));
  }
  return problems;
}
using Lines = std::vector<std::string>;

std::string At(const TextRange& range) {
  return std::to_string(range.start.line) + ":" + std::to_string(range.start.column) + "-" +
         std::to_string(range.end.line) + ":" + std::to_string(range.end.column);
}

TEST(JobJson, ReadsASoundTextAsItStands) {
  const JsonDocument document =
      ParseJob(R"({"b": [1, -2, 1.5, true, null], "a": {"x": "y"}})", false);
  EXPECT_TRUE(document.problems.empty());
  EXPECT_EQ(document.root.dump(), R"({"b":[1,-2,1.5,true,null],"a":{"x":"y"}})");
  EXPECT_TRUE(document.root["b"][0].is_number_unsigned());
  EXPECT_TRUE(document.root["b"][1].is_number_integer());
  EXPECT_TRUE(document.root["b"][2].is_number_float());
}

TEST(JobJson, KnowsWhereEveryKeyAndValueStands) {
  const std::string text =
      "{\n  \"a/b\": {\"~\": [10,\n\t\"x\"]},\n  \"\xc3\xa9\": \"\xf0\x9f\x98\x80\", \"z\": 1\n}";
  const JsonDocument document = ParseJob(text, false);
  ASSERT_TRUE(document.problems.empty());
  EXPECT_EQ(At(document.values.at("")), "1:1-5:2");
  EXPECT_EQ(At(document.keys.at("/a~1b")), "2:3-2:8");
  EXPECT_EQ(At(document.values.at("/a~1b")), "2:10-3:7");
  EXPECT_EQ(At(document.keys.at("/a~1b/~0")), "2:11-2:14");
  EXPECT_EQ(At(document.values.at("/a~1b/~0/0")), "2:17-2:19");
  EXPECT_EQ(At(document.values.at("/a~1b/~0/1")), "3:2-3:5");
  EXPECT_EQ(At(document.values.at("/\xc3\xa9")), "4:8-4:11") << "columns count characters";
  EXPECT_EQ(At(document.values.at("/z")), "4:18-4:19");
  EXPECT_EQ(document.values.size(), 7U);
  EXPECT_EQ(text.substr(document.values.at("/z").start.offset, 1), "1");
}

TEST(JobJson, CommentsAreAcceptedWhereAllowed) {
  const std::string text =
      "// first\n{ /* in */ \"a\": /* \n \" */ 1 // tail {\n , \"b\": \"// no comment /* */\" } // "
      "end";
  const JsonDocument document = ParseJob(text, true);
  EXPECT_TRUE(document.problems.empty());
  EXPECT_EQ(document.root.dump(), R"({"a":1,"b":"// no comment /* */"})");
  EXPECT_EQ(Problems(text, false),
            (Lines{"W0109 1:1", "W0109 2:3", "W0109 2:17", "W0109 3:9", "W0109 4:33"}));
  EXPECT_EQ(Problems("{} /* open"), Lines{"W0101 1:4"});
  EXPECT_EQ(Problems("{ / }"), Lines{"W0101 1:3"});
}

TEST(JobJson, DuplicateKeysAreFoundAlsoThroughEscapes) {
  const JsonDocument document =
      ParseJob(R"({"a": 1, "\u0061": {"a": 5, "a": 6}, "b": {"x": 1, "x": 2}, "A": 3})", false);
  ASSERT_EQ(document.problems.size(), 3U);
  EXPECT_EQ(document.problems[0].code, "W0102");
  EXPECT_EQ(document.problems[0].pointer, "/a");
  EXPECT_EQ(At(document.problems[0].range), "1:10-1:18");
  EXPECT_EQ(document.problems[0].help,
            "the first one stands in line 1, column 2; remove one of the two");
  EXPECT_EQ(document.problems[2].pointer, "/b/x");
  EXPECT_EQ(document.root.dump(), R"({"a":1,"b":{"x":1},"A":3})");
}

TEST(JobJson, AllProblemsAreToldInOnePass) {
  EXPECT_EQ(
      Problems(
          "{\n\"a\": 01,\n\"b\": \"\\q\",\n\"c\": 1 \"d\": 2,\n\"e\": [1,2,],\n\"e\": nul,\n}"),
      (Lines{"W0108 2:6", "W0107 3:7", "W0101 4:8", "W0101 5:10", "W0102 6:1", "W0101 6:6",
             "W0101 6:9"}));
}

TEST(JobJson, WhatIsNoObjectIsRefused) {
  for (const char* text : {"", "  \n", "null", "[]", "\"x\"", "12", "true", "// only a comment"}) {
    const JsonDocument document = ParseJob(text, true);
    ASSERT_EQ(document.problems.size(), 1U) << text;
    EXPECT_EQ(document.problems[0].code, "W0106") << text;
  }
}

TEST(JobJson, BrokenSyntaxIsRefusedWithItsPlace) {
  EXPECT_EQ(Problems("{"), Lines{"W0101 1:2"});
  EXPECT_EQ(Problems("{\"a\""), Lines{"W0101 1:5"});
  EXPECT_EQ(Problems("{\"a\":"), Lines{"W0101 1:6"});
  EXPECT_EQ(Problems("{\"a\": 1"), Lines{"W0101 1:8"});
  EXPECT_EQ(Problems("{\"a\": 1,"), Lines{"W0101 1:9"});
  EXPECT_EQ(Problems("{\"a\": \"x"), Lines{"W0101 1:7"});
  EXPECT_EQ(Problems("{\"a\": [1, 2"), Lines{"W0101 1:12"});
  EXPECT_EQ(Problems("{\"a\": 1]"), Lines{"W0101 1:8"});
  EXPECT_EQ(Problems("{\"a\" 1}"), Lines{"W0101 1:6"});
  EXPECT_EQ(Problems("{a: 1}"), Lines{"W0101 1:2"});
  EXPECT_EQ(Problems("{'a': 1}"), Lines{"W0101 1:2"});
  EXPECT_EQ(Problems("{\"a\": 'x'}"), Lines{"W0101 1:7"});
  EXPECT_EQ(Problems("{\"a\": }"), Lines{"W0101 1:7"});
  EXPECT_EQ(Problems("{,}"), Lines{"W0101 1:2"});
  EXPECT_EQ(Problems("{\"a\": 1,,\"b\": 2}"), Lines{"W0101 1:9"});
  EXPECT_EQ(Problems("{} {}"), Lines{"W0101 1:4"});
  EXPECT_EQ(Problems("{} x"), Lines{"W0101 1:4"});
  EXPECT_EQ(Problems("{}]"), Lines{"W0101 1:3"});
  EXPECT_EQ(Problems("{1: 2}"), Lines{"W0101 1:2"});
  EXPECT_EQ(Problems("{\"a\": \"x\ny\"}"), Lines{"W0101 1:7"});
  EXPECT_EQ(Problems(std::string_view("{}\0", 3)), Lines{"W0101 1:3"});
  EXPECT_EQ(Problems(std::string_view("\0{}", 3)), Lines{"W0101 1:1"});
}

TEST(JobJson, EveryTruncationOfASoundTextIsRefused) {
  const std::string text =
      "{\"a\": [1.5e3, {\"b\": \"x\\u00e9\\ud83d\\ude00\xc3\xa9\"}, null], /* c */ \"d\": -7}";
  ASSERT_TRUE(Problems(text).empty());
  for (size_t size = 0; size < text.size(); ++size)
    ASSERT_FALSE(Problems(text.substr(0, size)).empty()) << size;
}

TEST(JobJson, OtherEncodingsAreRefused) {
  EXPECT_EQ(Problems("\xef\xbb\xbf{}"), Lines{"W0105 1:1"});
  EXPECT_EQ(Problems(std::string_view("\xff\xfe{\0}\0", 6)), Lines{"W0105 1:1"});
  EXPECT_EQ(Problems(std::string_view("\xfe\xff\0{\0}", 6)), Lines{"W0105 1:1"});
  EXPECT_EQ(Problems("{\n\"a\": \"\xc3\xa9\xff\"}"), Lines{"W0105 2:8"});
  EXPECT_EQ(Problems("{\"a\": \"\xed\xa0\x80\"}"), Lines{"W0105 1:8"});
  EXPECT_EQ(Problems("{\"a\": \"\xc0\x80\"}"), Lines{"W0105 1:8"});
}

TEST(JobJson, StringsAreDecodedOrRefused) {
  EXPECT_EQ(ParseJob(R"({"a": "\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00"})", false).root["a"],
            "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  for (const char* text :
       {R"({"a": "\ud800"})", R"({"a": "\ud800x"})", R"({"a": "\ud800\u0041"})",
        R"({"a": "\udc00"})", R"({"a": "\udc00\ud800"})", R"({"a": "\ud800\ud800"})",
        R"({"a": "\u12g4"})", R"({"a": "\u12"})", R"({"a": "\x41"})", R"({"a": "\u0000"})",
        "{\"a\": \"\t\"}", "{\"a\": \"\x01\"}", "{\"a\\q\": 1}"}) {
    ASSERT_EQ(ParseJob(text, false).problems.size(), 1U) << text;
    EXPECT_EQ(ParseJob(text, false).problems[0].code, "W0107") << text;
  }
  EXPECT_EQ(Problems(std::string_view("{\"a\": \"\0\"}", 10)), Lines{"W0107 1:8"});
  EXPECT_EQ(Problems(R"({"a": "\ud800 \q \ud801", "b": "\q"})"), (Lines{"W0107 1:8", "W0107 1:33"}))
      << "one problem for each string";
}

TEST(JobJson, NumbersAreExactOrRefused) {
  for (const char* number : {"0", "-0", "7", "9223372036854775807", "-9223372036854775808", "0.1",
                             "1e3", "1E+3", "1.5e-7", "123456.789", "1e308", "-0.0", "0e5",
                             "0.30000000000000004", "1.7976931348623157e308", "5e-324",
                             "1000000000000000000000000.0", "0.50000000000000000000000000"}) {
    const std::string text = std::string("{\"a\": ") + number + "}";
    EXPECT_TRUE(Problems(text).empty()) << number;
  }
  for (const char* number : {"01",
                             "-01",
                             "00",
                             "+1",
                             ".5",
                             "5.",
                             "1e",
                             "1e+",
                             "1.e3",
                             "-",
                             "--1",
                             "0x10",
                             "1_000",
                             "NaN",
                             "Infinity",
                             "-Infinity",
                             "1e999",
                             "1E400",
                             "-1e999",
                             "1e-999",
                             "9223372036854775808",
                             "-9223372036854775809",
                             "18446744073709551615",
                             "12345678901234567890123",
                             "0.1234567890123456789",
                             "9007199254740993.0",
                             "1.2.3"}) {
    const std::string text = std::string("{\"a\": ") + number + "}";
    ASSERT_EQ(ParseJob(text, false).problems.size(), 1U) << number;
    EXPECT_TRUE(ParseJob(text, false).problems[0].code == "W0108" || std::string(number) == "-")
        << number;
  }
  EXPECT_EQ(ParseJob("{\"a\": -9223372036854775808}", false).root["a"].get<int64_t>(), INT64_MIN);
}

TEST(JobJson, SizeIsJudgedBeforeReading) {
  std::string text = "{\"a\": \"" + std::string(10 * kJobBytesMax, 'x') + "\"}";
  EXPECT_EQ(Problems(text), Lines{"W0104 1:1"});
  text = "{\"a\": \"" + std::string(kJobBytesMax - 9, 'x') + "\"}";
  ASSERT_EQ(text.size(), kJobBytesMax);
  EXPECT_TRUE(Problems(text).empty());
  EXPECT_EQ(Problems(text + " "), Lines{"W0104 1:1"});
}

TEST(JobJson, DepthIsJudgedBeforeReading) {
  for (const char bracket : {'[', '{'}) {
    for (const size_t depth : {size_t{10'000}, size_t{100'000}}) {
      const JsonDocument document = ParseJob(std::string(depth, bracket), true);
      ASSERT_EQ(document.problems.size(), 1U);
      EXPECT_EQ(document.problems[0].code, "W0103");
      EXPECT_EQ(document.problems[0].range.start.column, static_cast<uint32_t>(kJobDepthMax) + 1);
      EXPECT_TRUE(document.root.is_null());
    }
  }
  const auto nested = [](int depth) {
    std::string text = "{\"a\": ";
    for (int i = 1; i < depth; ++i) text += '[';
    for (int i = 1; i < depth; ++i) text += ']';
    return text + "}";
  };
  EXPECT_TRUE(Problems(nested(kJobDepthMax)).empty());
  EXPECT_EQ(ParseJob(nested(kJobDepthMax + 1), true).problems[0].code, "W0103");
  EXPECT_TRUE(
      Problems("{\"a\": \"" + std::string(1000, '[') + "\" /* " + std::string(1000, '[') + " */}")
          .empty())
      << "brackets in strings and comments nest nothing";
}

TEST(JobJson, ManyValuesAndLongKeysAboveThemAreBounded) {
  std::string many = "{\"a\": [0";
  for (size_t i = 0; i < kJobValuesMax; ++i) many += ",0";
  EXPECT_EQ(ParseJob(many + "]}", false).problems.at(0).code, "W0104");
  std::string long_key = "{\"" + std::string(500'000, 'k') + "\": [0";
  for (int i = 0; i < 90'000; ++i) long_key += ",0";
  EXPECT_EQ(ParseJob(long_key + "]}", false).problems.at(0).code, "W0104");
  std::string keys = "{";
  for (int i = 0; i < 80'000; ++i) keys += "\"" + std::to_string(i) + "\":0,";
  keys += "\"x\":1}";
  const JsonDocument document = ParseJob(keys, false);
  EXPECT_TRUE(document.problems.empty());
  EXPECT_EQ(document.root.size(), 80'001U);
}

TEST(JobJson, ProblemsAreBounded) {
  std::string text = "{\"a\": [0";
  for (int i = 0; i < 10'000; ++i) text += ",01";
  EXPECT_EQ(ParseJob(text + "]}", false).problems.size(), kJsonProblemsMax);
}

TEST(JobJson, MessagesNeverCarryControlCharacters) {
  for (const char* text : {"{\"a\x1b\": 1, \x1b}", "{\"k\x7f\": \x1b[31m}", "{\x01}",
                           "{\"a\\u001b[31m\": 1, \"a\\u001b[31m\": 2}"}) {
    for (const JsonProblem& problem : ParseJob(text, true).problems) {
      for (const char c : problem.message + problem.help)
        EXPECT_GE(static_cast<unsigned char>(c), 0x20) << problem.message;
    }
  }
}

TEST(JobJson, PositionsInsideStringsGoThroughEscapes) {
  const std::string text = "{\n  \"where\": \"a\\n\\u00e9\xc3\xa9\\ud83d\\ude00z\", \"n\": 1\n}";
  const JsonDocument document = ParseJob(text, false);
  ASSERT_TRUE(document.problems.empty());
  const auto column = [&](size_t index) {
    return document.InsideString(text, "/where", index).column;
  };
  EXPECT_EQ(document.InsideString(text, "/where", 0).line, 2U);
  EXPECT_EQ(column(0), 13U);  // a
  EXPECT_EQ(column(1), 14U);  // \n
  EXPECT_EQ(column(2), 16U);  // \u00e9, both of its bytes
  EXPECT_EQ(column(3), 16U);
  EXPECT_EQ(column(4), 22U);  // é
  EXPECT_EQ(column(6), 23U);  // the pair, all four bytes
  EXPECT_EQ(column(9), 23U);
  EXPECT_EQ(column(10), 35U);  // z
  EXPECT_EQ(column(11), 36U);  // closing quote
  EXPECT_EQ(column(1000), 36U);
  EXPECT_EQ(document.InsideString(text, "/n", 0).column, 44U);
  EXPECT_EQ(document.InsideString(text, "/none", 0).line, 1U);
}

TEST(ParseJson, ReadsTrustedTextsOrSaysCorruption) {
  EXPECT_EQ(ParseJson("[1, 18446744073709551615, 0.1234567890123456789]")->at(1),
            18446744073709551615ULL);
  EXPECT_EQ(ParseJson("\"x\"")->get<std::string>(), "x");
  for (const char* text :
       {"", "{", "{\"a\": 1, \"a\": 2}", "// c\n{}", "[1,]", "\"\xff\"", "1e999", "[] []"})
    EXPECT_EQ(ParseJson(text).status().code(), Code::kCorruption) << text;
  EXPECT_EQ(ParseJson(std::string(100'000, '[')).status().code(), Code::kCorruption);
  EXPECT_NE(ParseJson("[1,\n 2").status().message().find("line 2, column 3"), std::string::npos);
}

TEST(ParseJson, AgreesWithAnotherParserOnRandomTexts) {
  std::mt19937_64 random(1);
  const std::string alphabet = "{}[]:,\"\\ue01-.9tfnr \n/";
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = random() % 2 == 0 ? R"({"a":[1,{"b":"c\u00e9"}],"d":-0.5e1,"e":[true,null]})"
                                         : R"([[],{},"",0])";
    for (uint64_t i = 0; i < 1 + random() % 3; ++i) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          text.erase(at, 1);
          break;
        default:
          text.insert(at, 1, alphabet[random() % alphabet.size()]);
          break;
      }
    }
    const Result<Json> ours = ParseJson(text);
    Json theirs = Json::parse(text, nullptr, false);
    if (ours.ok()) {
      ++accepted;
      ASSERT_FALSE(theirs.is_discarded()) << text;
      ASSERT_EQ(*ours, theirs) << text;
    } else if (!theirs.is_discarded()) {
      // What only we refuse: NUL by escape, and keys that stand twice.
      const std::string message = ours.status().message();
      ASSERT_TRUE(message.find("NUL") != std::string::npos ||
                  message.find("stands twice") != std::string::npos)
          << text << "\n"
          << message;
    }
  }
  EXPECT_GT(accepted, 1000);
}

TEST(PointerToken, EscapesTildeAndSlash) {
  EXPECT_EQ(PointerToken("a/b~c"), "a~1b~0c");
  EXPECT_EQ(PointerToken(""), "");
}

}  // namespace
}  // namespace weir
