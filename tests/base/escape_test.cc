#include "engine/base/escape.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/base/json.h"

namespace weir {
namespace {

TEST(Utf8, ValidCharactersOfAllLengths) {
  for (const char* text :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
}

TEST(Utf8, InvalidSequencesEndTheValidPrefix) {
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe0\xa0",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xfe", "\xff"}) {
    for (const size_t before :
         {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{20}}) {
      EXPECT_EQ(Utf8PrefixLength(std::string(before, 'x') + text + "tail"), before);
    }
  }
}

TEST(OneLine, ShowsControlsAndInvalidBytes) {
  EXPECT_EQ(OneLine("plain text, \xc3\xa9 too", 100), "plain text, \xc3\xa9 too");
  EXPECT_EQ(OneLine("a\nb\rc\td\\e", 100), "a\\nb\\rc\\td\\\\e");
  EXPECT_EQ(OneLine(std::string_view("\0\x1b[31m\x7f", 7), 100), "\\x00\\x1b[31m\\x7f");
  EXPECT_EQ(OneLine("\xff\xc3", 100), "\\xff\\xc3");
  EXPECT_EQ(OneLine("\xc2\x85|\xe2\x80\xa8", 100),
            "\\xc2\\x85|\\xe2\\x80\\xa8");  // line breaks outside ASCII
}

TEST(OneLine, NeverExceedsItsBoundNorCutsACharacter) {
  const std::string text =
      "ab\n\xc3\xa9\xf0\x9f\x98\x80"
      "c\xff"
      "d";
  const std::string whole =
      "ab\\n\xc3\xa9\xf0\x9f\x98\x80"
      "c\\xffd";
  for (size_t bytes_max = 0; bytes_max < 30; ++bytes_max) {
    const std::string line = OneLine(text, bytes_max);
    EXPECT_LE(line.size(), bytes_max);
    EXPECT_TRUE(IsUtf8(line)) << bytes_max;
    if (bytes_max >= whole.size()) {
      EXPECT_EQ(line, whole);
    } else if (bytes_max >= 3) {
      EXPECT_TRUE(line.ends_with("...")) << bytes_max;
    }
  }
}

TEST(JsonString, IsReadBackByAParser) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random() % 20, 'a');
    for (char& c : text) c = static_cast<char>(1 + random() % 127);
    if (round % 2 == 0) text += "\xc3\xa9\xf0\x9f\x98\x80";
    std::string quoted;
    AppendJsonString(text, quoted);
    const Result<Json> parsed = ParseJson(quoted);
    ASSERT_TRUE(parsed.ok()) << quoted;
    ASSERT_EQ(parsed->get<std::string>(), text);
    ASSERT_EQ(quoted.find_first_of("\n\r\x7f"), std::string::npos);
  }
}

TEST(JsonString, ReplacesBytesThatAreNoUtf8) {
  std::string quoted;
  AppendJsonString(
      "a\xff"
      "b",
      quoted);
  EXPECT_EQ(quoted,
            "\"a\xef\xbf\xbd"
            "b\"");
}

}  // namespace
}  // namespace weir
