#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kJson = R"({"type": "json"})";

/// One record with a column `x` of `type`: the row, or "code" of the error.
std::string Read(const std::string& type, const std::string& value) {
  const Decoded decoded =
      DecodeTexts(kJson, R"({"x": ")" + type + R"("})", {R"({"x": )" + value + "}"});
  EXPECT_EQ(decoded.rows.size() + decoded.errors.size(), 1U) << value;
  if (!decoded.rows.empty()) return decoded.rows.front();
  return decoded.errors.front().substr(2, decoded.errors.front().find(':') - 2);
}

TEST(JsonDecoder, ReadsExactlyOrNotAtAll) {
  struct Case {
    const char *type, *value, *expected;
  };
  const Case cases[] = {
      {"int32", "7", "{x: 7}"},
      {"int32", "-2147483648", "{x: -2147483648}"},
      {"int32", "2147483648", "decode.json"},
      {"int32", "7.0", "{x: 7}"},
      {"int32", "1e3", "{x: 1000}"},
      {"int32", "7.5", "decode.json"},
      {"int32", "-0", "{x: 0}"},
      {"int32", "\"7\"", "{x: 7}"},
      {"int32", "\" 7 \"", "decode.json"},
      {"int32", "07", "decode.json"},
      {"int32", "+7", "decode.json"},
      {"int32", "0x10", "decode.json"},
      {"int32", "true", "decode.json"},
      {"int32", "[7]", "decode.json"},
      {"int32", "null", "decode.json"},
      {"int32?", "null", "{x: NULL}"},
      {"int64", "9223372036854775807", "{x: 9223372036854775807}"},
      {"int64", "9223372036854775808", "decode.json"},
      {"int64", "-9223372036854775808", "{x: -9223372036854775808}"},
      {"int64", "1e400", "decode.json"},
      {"float64", "0.1", "{x: 0.1}"},
      {"float64", "1e400", "decode.json"},
      {"float64", "\"NaN\"", "{x: nan}"},
      {"float64", "\"1.5\"", "decode.json"},
      {"float64", "NaN", "decode.json"},
      {"float64", "1.", "decode.json"},
      {"float64", ".5", "decode.json"},
      {"decimal(10,2)", "1.500", "{x: 1.50}"},
      {"decimal(10,2)", "1.005", "decode.json"},
      {"decimal(10,2)", "\"12345678.90\"", "{x: 12345678.90}"},
      {"decimal(10,2)", "123456789.0", "decode.json"},
      {"decimal(38,38)", "0.1234567890123456789012345678901234567890", "decode.json"},
      {"bool", "true", "{x: true}"},
      {"bool", "\"true\"", "decode.json"},
      {"bool", "1", "decode.json"},
      {"string", "\"a\\u00e9\\n\\\"\"", "{x: 'a\xC3\xA9\\n\"'}"},
      {"string", "\"\\ud83d\\ude00\"", "{x: '\xF0\x9F\x98\x80'}"},
      {"string", "\"\\ud83d\"", "decode.json"},
      {"string", "\"\\ude00\\ud83d\"", "decode.json"},
      {"string", "\"\\q\"", "decode.json"},
      {"string", "7", "decode.json"},
      {"string", "{}", "decode.json"},
      {"string", "\"\"", "{x: ''}"},
      {"bytes", "\"AAEC\"", "{x: '\\x00\\x01\\x02'}"},
      {"bytes", "\"AAE\"", "decode.json"},
      {"bytes", "\"AA==\"", "{x: '\\x00'}"},
      {"bytes", "\"AB==\"", "decode.json"},
      {"date", "\"2024-02-29\"", "{x: 2024-02-29}"},
      {"date", "\"2023-02-29\"", "decode.json"},
      {"timestamp", "\"2023-11-14 22:13:20.12\"", "{x: 2023-11-14T22:13:20.120Z}"},
      {"timestamp", "\"2023-11-14T22:13:20+01:00\"", "{x: 2023-11-14T21:13:20Z}"},
      {"timestamp", "\"2023-11-14T22:13:20.1234567Z\"", "{x: 2023-11-14T22:13:20.123456Z}"},
      {"timestamp", "\"2023-11-14\"", "{x: 2023-11-14T00:00:00Z}"},
      {"timestamp", "\"2023-11-14T22:13:60Z\"", "{x: 2023-11-14T22:14:00Z}"},
      {"timestamp", "\"2023-11-14T25:13:20Z\"", "decode.json"},
      {"timestamp", "1700000000", "decode.json"},
      {"timestamp_s", "1700000000", "{x: 2023-11-14T22:13:20Z}"},
      {"timestamp_s", "1700000000.1234567", "{x: 2023-11-14T22:13:20.123456Z}"},
      {"timestamp_s", "-0.0000001", "{x: 1969-12-31T23:59:59.999999Z}"},
      {"timestamp_ms", "1700000000001", "{x: 2023-11-14T22:13:20.001Z}"},
      {"timestamp_ms", "1000000000000000000", "decode.json"},
      {"timestamp_ms", "\"1700000000001\"", "decode.json"},
      {"timestamp_us", "-1", "{x: 1969-12-31T23:59:59.999999Z}"},
      {"duration", "\"PT1M30S\"", "{x: PT1M30S}"},
      {"duration", "90000000", "{x: PT1M30S}"},
      {"duration", "\"90\"", "decode.json"},
  };
  for (const Case& one : cases)
    EXPECT_EQ(Read(one.type, one.value), one.expected) << one.type << " " << one.value;
}

TEST(JsonDecoder, RefusesBrokenTextAndGoesOnWithTheNextRecord) {
  const std::vector<std::string> bad = {
      "",
      "   ",
      "{",
      "{\"x\":",
      "{\"x\": 1",
      "{\"x\": 1}}",
      "{\"x\": 1} {\"x\": 2}",
      "{\"x\": 1} x",
      "[1]",
      "7",
      "null",
      "{\"x\": \"abc}",
      "{\"x\": 1, \"s\": \"\xFF\xFE\"}",
      "{\"x\": 1, \"s\": \"a\nb\"}",
      "{\"x\" 1}",
      "{x: 1}",
      "{\"x\": 1,}",
      "{\"x\": 1 \"y\": 2}",
      "{\"x\": }",
      "{\"y\": 1}",
      std::string("\0\x01\x02", 3),
      "{\"x\": 1}\\",
      "{\"x\": 12\"a\"}",
      "{\"x\": \"1\"2}",
      std::string(10'000, '['),
      "{\"y\": " + std::string(10'000, '[') + std::string(10'000, ']') + ", \"x\": 1}",
  };
  for (const std::string& text : bad) {
    const Decoded decoded =
        DecodeTexts(kJson, R"({"x": "int32"})", {"{\"x\": 5}", text, "{\"x\": 6}"});
    EXPECT_THAT(decoded.rows, ElementsAre("{x: 5}", "{x: 6}")) << text.substr(0, 50);
    ASSERT_THAT(decoded.errors, SizeIs(1)) << text.substr(0, 50);
    EXPECT_THAT(decoded.errors.front(), HasSubstr("1 decode.json: ")) << text.substr(0, 50);
  }
}

TEST(JsonDecoder, RefusesEachSingleByteAsADocument) {
  for (int byte = 0; byte < 256; ++byte) {
    const Decoded decoded =
        DecodeTexts(kJson, R"({"x": "int32?"})", {std::string(1, static_cast<char>(byte)), "{}"});
    EXPECT_THAT(decoded.rows, SizeIs(1)) << byte;
    EXPECT_THAT(decoded.errors, SizeIs(1)) << byte;
  }
}

TEST(JsonDecoder, SaysWhereAndWhatWithoutControlCharacters) {
  const Decoded decoded = DecodeTexts(kJson, R"({"n": {"type": "int32", "from": "/a/b"}})",
                                      {"{\"a\": {\"b\": \"x\\u001b[31m\"}}"});
  ASSERT_THAT(decoded.errors, SizeIs(1));
  EXPECT_THAT(decoded.errors.front(), HasSubstr("/a/b: expected int32: not a number: "));
  EXPECT_EQ(decoded.errors.front().find('\x1b'), std::string::npos);
}

TEST(JsonDecoder, FollowsPointersIntoObjectsAndArrays) {
  const std::string schema =
      R"({"id": {"type": "int64?", "from": "/user/id"}, "second": {"type": "string?", "from": "/tags/1"},
                                 "odd": {"type": "int32?", "from": "/a~1b/m~0n"}, "top": {"type": "int32?", "from": "x"}})";
  const Decoded decoded = DecodeTexts(
      kJson, schema,
      {R"({"user": {"name": "n", "id": 7}, "tags": ["a", "b", {"c": [1, 2]}], "a/b": {"m~n": 3}, "x": 4})",
       R"({"user": null, "tags": [], "x": null})",
       R"({"user": 5, "tags": {"1": "t"}, "a/b": []})"});
  EXPECT_THAT(decoded.errors, IsEmpty());
  EXPECT_THAT(decoded.rows, ElementsAre("{id: 7, second: 'b', odd: 3, top: 4}",
                                        "{id: NULL, second: NULL, odd: NULL, top: NULL}",
                                        "{id: NULL, second: 't', odd: NULL, top: NULL}"));
}

TEST(JsonDecoder, TakesTheFirstOfDuplicateKeysAlsoByEscape) {
  const Decoded decoded =
      DecodeTexts(kJson, R"({"x": "int32?", "y": {"type": "int32?", "from": "/o/y"}})",
                  {R"({"x": 1, "x": 2, "\u0078": 3, "o": {"y": 1, "y": 9}, "o": {"y": 5}})",
                   R"({"\u0078": 4, "x": 5})", R"({"x": null, "x": 6})"});
  EXPECT_THAT(decoded.errors, IsEmpty());
  EXPECT_THAT(decoded.rows, ElementsAre("{x: 1, y: 1}", "{x: 4, y: NULL}", "{x: NULL, y: NULL}"));
}

TEST(JsonDecoder, ReadsFieldsInAnyOrderAndChangingShapes) {
  std::vector<std::string> texts;
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    const std::string a = "\"a_rather_long_field_name\" : " + std::to_string(i);
    const std::string b = "\"b\":\"" + std::to_string(i) + "\"";
    texts.push_back(i % 3 == 0   ? "{" + a + "," + b + "}"
                    : i % 3 == 1 ? "{" + b + ", \"c\": [{}], " + a + "}"
                                 : "{ \"other\": {\"b\": 1}, " + a + " , " + b + " } ");
    expected.push_back("{a_rather_long_field_name: " + std::to_string(i) + ", b: '" +
                       std::to_string(i) + "'}");
  }
  const Decoded decoded =
      DecodeTexts(kJson, R"({"a_rather_long_field_name": "int32", "b": "string"})", texts);
  EXPECT_THAT(decoded.errors, IsEmpty());
  EXPECT_EQ(decoded.rows, expected);
}

TEST(JsonDecoder, CountsUnreadableEventTimesAsSuch) {
  EXPECT_THAT(DecodeTexts(kJson, R"({"event_at": "timestamp_ms"})",
                          {R"({"event_at": 9999999999999999})", R"({"event_at": -1})"})
                  .errors,
              ElementsAre(HasSubstr("0 bad_event_time: /event_at")));
  EXPECT_THAT(
      DecodeTexts(kJson, R"({"event_at": "timestamp"})", {R"({"event_at": "yesterday"})"}).errors,
      ElementsAre(HasSubstr("bad_event_time")));
}

TEST(JsonDecoder, ChecksOnlyWhatIsReadUnlessToldOtherwise) {
  const std::vector<std::string> texts = {R"({"x": 1, "y": 0001})", R"({"x": 1, "y": {"z": tru}})",
                                          R"({"x": 1, "y": "\q"})", R"({"x": 1, "y": [1 2]})",
                                          R"({"x": 1, "y": [1, {"a": -1.5e3}]})"};
  EXPECT_THAT(DecodeTexts(kJson, R"({"x": "int32"})", texts).errors, IsEmpty());
  const Decoded full =
      DecodeTexts(R"({"type": "json", "check": "full"})", R"({"x": "int32"})", texts);
  EXPECT_THAT(full.errors, SizeIs(4));
  EXPECT_THAT(full.rows, ElementsAre("{x: 1}"));
}

TEST(JsonDecoder, RefusesUnknownFieldsIfAsked) {
  const Decoded decoded = DecodeTexts(
      R"({"type": "json", "unknown_fields": "error"})",
      R"({"x": "int32", "z": {"type": "int32?", "from": "/o/z"}})",
      {R"({"x": 1, "o": {"z": 2}})", R"({"x": 1, "y": 2})", R"({"x": 1, "o": {"w": 2}})"});
  EXPECT_THAT(decoded.rows, ElementsAre("{x: 1, z: 2}"));
  EXPECT_THAT(decoded.errors, ElementsAre(HasSubstr("/y: not in the schema"),
                                          HasSubstr("/o/w: not in the schema")));
}

TEST(JsonDecoder, TakesLargeRecordsAloneAndRefusesThoseBeyondTheLimit) {
  const std::string large = R"({"s": ")" + std::string(100'000, 'a') + R"(", "x": 1})";
  const std::string format = R"({"type": "json", "max_record": "128KiB"})";
  std::string many_keys = "{";
  for (int i = 0; i < 5000; ++i) many_keys += "\"k" + std::to_string(i) + "\":0,";
  many_keys += "\"x\":3}";
  const Decoded decoded = DecodeTexts(
      format, R"({"x": "int32"})",
      {"{\"x\": 0}", large, "{\"x\": 2}", many_keys, std::string(200'000, ' '), "{\"x\": 4}"});
  EXPECT_THAT(decoded.rows, ElementsAre("{x: 0}", "{x: 1}", "{x: 2}", "{x: 3}", "{x: 4}"));
  EXPECT_THAT(decoded.errors, ElementsAre(HasSubstr("4 decode.too_large: ")));
}

TEST(JsonDecoder, ReadsAPaddedRecordInPlaceAndRefusesTombstones) {
  const auto decoder = MakeTestDecoder(kJson, R"({"x": "int32"})");
  std::string text = R"({"s": ")" + std::string(50'000, 'a') + R"(", "x": 1})";
  const size_t size = text.size();
  text.resize(size + kRecordPadding, '}');
  Record record;
  record.value = std::string_view(text).substr(0, size);
  record.padded = true;
  Record tombstone;
  tombstone.null_value = true;
  Record cut;
  cut.value = "{\"x\"";
  cut.truncated = true;
  const std::vector<Record> records = {record, tombstone, cut};
  const Decoded decoded = decoder->Decode(records);
  EXPECT_THAT(decoded.rows, ElementsAre("{x: 1}"));
  EXPECT_THAT(decoded.errors,
              ElementsAre(HasSubstr("1 decode.null_value"), HasSubstr("2 decode.truncated")));
}

TEST(JsonDecoder, FramesLinesOfFiles) {
  const auto made =
      MakeTestDecoder(R"({"type": "json", "max_record": "10B"})", R"({"x": "int32"})");
  std::vector<Record> records;
  const std::string text = "\xEF\xBB\xBF{\"x\":1}\r\n\n  \n{\"x\":2}\n{\"x\":123456789}\n{\"x\":3}";
  Result<size_t> used = made->decoder->Frame(text, false, records);
  ASSERT_TRUE(used.ok());
  EXPECT_EQ(*used, text.size() - 7);
  used = made->decoder->Frame(std::string_view(text).substr(*used), true, records);
  EXPECT_EQ(*used, 7U);
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_EQ(records[0].value, "{\"x\":1}");
  EXPECT_EQ(records[1].offset, 4);
  EXPECT_TRUE(records[2].truncated);
  EXPECT_EQ(records[3].value, "{\"x\":3}");
  EXPECT_THAT(made->Decode(records).errors, ElementsAre(HasSubstr("2 decode.too_large")));
}

Batch OneOfEach() {
  RowBuilder rows(
      SchemaOf("b bool, i int32, l int64, f float32, d float64, m decimal(10,2), s string, y "
               "bytes, t date, e timestamp, u duration, n string?, _event_time timestamp"));
  rows.column(0).Append<uint8_t>(1);
  rows.column(1).Append<int32_t>(-7);
  rows.column(2).Append<int64_t>(INT64_MIN);
  rows.column(3).Append<float>(0.1F);
  rows.column(4).Append<double>(-0.0);
  rows.column(5).Append<Int128>(-5);
  rows.column(6).AppendString("a\"b\\c\n\x01<\xC3\xA9>, long enough for the arena");
  rows.column(7).AppendString(std::string_view("\0\xFF", 2));
  rows.column(8).Append<int32_t>(19'675);
  rows.column(9).Append<int64_t>(1'700'000'000'120'000);
  rows.column(10).Append<int64_t>(90'000'000);
  rows.column(11).AppendNull();
  rows.column(12).Append<int64_t>(0);
  rows.FinishRow();
  return rows.Build();
}

TEST(JsonEncoder, WritesEachTypeAsDocumented) {
  const std::string common =
      R"("f":0.1,"d":-0.0,"m":"-0.05","s":"a\"b\\c\n\u0001<é>, long enough for the arena","y":"AP8=","t":"2023-11-14","e":"2023-11-14T22:13:20.120Z","u":"PT1M30S")";
  EXPECT_THAT(
      EncodeRows(kJson, "{}", OneOfEach(), nullptr),
      ElementsAre(R"({"b":true,"i":-7,"l":-9223372036854775808,)" + common + R"(,"n":null})"));
  EXPECT_THAT(EncodeRows(R"({"type": "json", "int64_as_string": true, "nulls": "omit"})", "{}",
                         OneOfEach(), nullptr),
              ElementsAre(R"({"b":true,"i":-7,"l":"-9223372036854775808",)" + common + "}"));
}

TEST(JsonEncoder, WritesSpecialNumbersAsStringsAndNothingAsAnEmptyObject) {
  RowBuilder rows(SchemaOf("d float64?"));
  for (const double value : {std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), std::nan(""), 1e300, 5.0}) {
    rows.column(0).Append<double>(value);
    rows.FinishRow();
  }
  EXPECT_THAT(EncodeRows(kJson, "{}", rows.Build(), nullptr),
              ElementsAre(R"({"d":"Infinity"})", R"({"d":"-Infinity"})", R"({"d":"NaN"})",
                          R"({"d":1e+300})", R"({"d":5})"));
  rows.column(0).AppendNull();
  rows.FinishRow();
  EXPECT_THAT(EncodeRows(R"({"type": "json", "nulls": "omit"})", "{}", rows.Build(), nullptr),
              ElementsAre("{}"));
}

TEST(JsonEncoder, WritesTheOperationOfAChangelogOnly) {
  RowBuilder rows(SchemaOf("a int32, _op int32"));
  rows.column(0).Append<int32_t>(1);
  rows.column(1).Append<int32_t>(static_cast<int32_t>(Op::kUpdateBefore));
  rows.FinishRow();
  const Batch batch = rows.Build();
  EXPECT_THAT(EncodeRows(kJson, R"({"write": "changelog"})", batch, nullptr),
              ElementsAre(R"({"a":1,"_op":"update_before"})"));
  EXPECT_THAT(EncodeRows(kJson, R"({"write": "upsert"})", batch, nullptr),
              ElementsAre(R"({"a":1})"));
}

TEST(JsonFormat, ReadsBackWhatItWrote) {
  const Batch batch = OneOfEach();
  const std::vector<std::string> texts = EncodeRows(kJson, "{}", batch, nullptr);
  const Decoded decoded = DecodeTexts(
      kJson,
      R"json({"b": "bool", "i": "int32", "l": "int64", "f": "float32", "d": "float64", "m": "decimal(10,2)", "s": "string", "y": "bytes",
                                                 "t": "date", "e": "timestamp", "u": "duration", "n": "string?"})json",
      texts);
  EXPECT_THAT(decoded.errors, IsEmpty());
  ASSERT_THAT(decoded.rows, SizeIs(1));
  const std::string whole = batch.RowToString(0);
  EXPECT_EQ(decoded.rows.front(), whole.substr(0, whole.find(", _event_time")) + "}");
}

}  // namespace
}  // namespace weir
