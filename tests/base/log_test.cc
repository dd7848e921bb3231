#include "engine/base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "engine/base/json.h"

namespace weir {
namespace {

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { ConfigureLog(LogLevel::kInfo, LogFormat::kText); }
};

TEST_F(LogTest, JsonLinesParseAndKeepTypes) {
  ConfigureLog(LogLevel::kDebug, LogFormat::kJson);
  testing::internal::CaptureStderr();
  WEIR_LOG(kWarn, "broker \"down\"\n", {"job", "clicks"}, {"bytes", 12}, {"ratio", 0.5},
           {"on", true}, {"odd", std::nan("")}, {"text", std::string("a\nb\x1b\xff")});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const Result<Json> parsed = ParseJson(line);
  ASSERT_TRUE(parsed.ok()) << line << parsed.status().ToString();
  const Json& json = *parsed;
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["msg"], "broker \"down\"\n");
  EXPECT_EQ(json["job"], "clicks");
  EXPECT_EQ(json["bytes"], 12);
  EXPECT_EQ(json["ratio"], 0.5);
  EXPECT_EQ(json["on"], true);
  EXPECT_TRUE(json["odd"].is_string());
  EXPECT_EQ(json["text"], "a\nb\x1b\xef\xbf\xbd");
  EXPECT_EQ(json["ts"].get<std::string>().size(),
            std::string("2026-01-31T12:34:56.123456Z").size());
  EXPECT_EQ(json["ts"].get<std::string>().back(), 'Z');
}

TEST_F(LogTest, TextLinesAreOneLineEach) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kText);
  testing::internal::CaptureStderr();
  WEIR_LOG(kInfo, "two\nlines", {"path", "/a b"}, {"n", 3}, {"evil", "x\ny=\x1b[31m"});
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.substr(27), " info  two\\nlines path=\"/a b\" n=3 evil=\"x\\ny=\\u001b[31m\"\n");
}

TEST_F(LogTest, LinesBelowTheLevelAreNotWrittenAndTheirFieldsNotMade) {
  ConfigureLog(LogLevel::kWarn, LogFormat::kText);
  testing::internal::CaptureStderr();
  int made = 0;
  const auto field = [&] {
    ++made;
    return 1;
  };
  WEIR_LOG(kInfo, "quiet", {"n", field()});
  WEIR_LOG(kError, "loud", {"n", field()});
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(text.find("quiet"), std::string::npos);
  EXPECT_NE(text.find("loud"), std::string::npos);
}

TEST_F(LogTest, ARepeatingSiteOpensOncePerIntervalAndCountsTheRest) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kText);
  LogSite site;
  int64_t suppressed = -1;
  EXPECT_TRUE(site.Opens(3'600'000, &suppressed));
  EXPECT_EQ(suppressed, 0);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(site.Opens(3'600'000, &suppressed));
  LogSite always;
  EXPECT_TRUE(always.Opens(0, &suppressed));
  EXPECT_TRUE(always.Opens(0, &suppressed));
  testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) WEIR_LOG_EVERY_MS(3'600'000, kWarn, "again", {"i", i});
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_NE(text.find("suppressed=0 i=0"), std::string::npos);
}

TEST_F(LogTest, LinesOfSeveralThreadsDoNotMix) {
  ConfigureLog(LogLevel::kInfo, LogFormat::kJson);
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 200; ++i) WEIR_LOG(kInfo, "line", {"text", std::string(200, 'x')});
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string text = testing::internal::GetCapturedStderr();
  int lines = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    ASSERT_NE(end, std::string::npos);
    ASSERT_TRUE(ParseJson(text.substr(0, end)).ok());
    text.erase(0, end + 1);
    ++lines;
  }
  EXPECT_EQ(lines, 800);
}

}  // namespace
}  // namespace weir
