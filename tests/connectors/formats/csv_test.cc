#include <gmock/gmock.h>

#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kByPosition = R"({"type": "csv", "header": false})";

/// A whole file through Frame and Decode.
Decoded DecodeFile(const std::string& format, const std::string& schema, const std::string& text) {
  const auto made = MakeTestDecoder(format, schema);
  std::vector<Record> records;
  const Result<size_t> used = made->decoder->Frame(text, true, records);
  EXPECT_TRUE(used.ok());
  EXPECT_EQ(*used, text.size());
  return made->Decode(records);
}

TEST(CsvDecoder, FindsColumnsByNameInAnyOrder) {
  const Decoded decoded =
      DecodeFile(R"({"type": "csv"})", R"({"a": "int32", "b": "string?", "absent": "int32?"})",
                 "\xEF\xBB\xBF"
                 "b,x,a\r\nhello,0,1\n\"q \"\"x\"\", y\",0,2\r\n,0,3\n\"\",0,4");
  EXPECT_THAT(decoded.errors, IsEmpty());
  EXPECT_THAT(
      decoded.rows,
      ElementsAre("{a: 1, b: 'hello', absent: NULL}", "{a: 2, b: 'q \"x\", y', absent: NULL}",
                  "{a: 3, b: NULL, absent: NULL}", "{a: 4, b: '', absent: NULL}"));
}

TEST(CsvDecoder, StopsAtAFileWithoutANeededColumn) {
  const Decoded decoded = DecodeFile(R"({"type": "csv"})", R"({"a": "int32"})", "b\n1\n");
  EXPECT_EQ(decoded.status.code(), Code::kBadRecord);
  EXPECT_THAT(decoded.status.message(), HasSubstr("no column 'a' in its header line"));
}

TEST(CsvDecoder, ReadsByPositionEachTypeExactlyOrNotAtAll) {
  const std::string schema =
      R"j({"i": "int32", "d": "decimal(6,2)", "t": "timestamp", "b": "bool", "f": "float64"})j";
  const Decoded decoded =
      DecodeTexts(kByPosition, schema,
                  {"1,1.50,2023-11-14 22:13:20,true,0.1", "2147483648,1,2023-11-14,true,1",
                   "1,1.005,2023-11-14,true,1", "1,1,soon,true,1", "1,1,2023-11-14,yes,1",
                   "1,1,2023-11-14,true", "1,1,2023-11-14,true,1,2",
                   "\"1\",\"1\",\"2023-11-14\",\"false\",\"NaN\"", ",1,2023-11-14,true,1"});
  EXPECT_THAT(decoded.rows,
              ElementsAre("{i: 1, d: 1.50, t: 2023-11-14T22:13:20Z, b: true, f: 0.1}",
                          "{i: 1, d: 1.00, t: 2023-11-14T00:00:00Z, b: false, f: nan}"));
  ASSERT_THAT(decoded.errors, SizeIs(7));
  EXPECT_THAT(decoded.errors[4], HasSubstr("5 decode.csv: 4 fields instead of 5"));
  EXPECT_THAT(decoded.errors[6], HasSubstr("i: NULL, but the column is not nullable"));
}

TEST(CsvDecoder, RefusesBrokenQuotes) {
  const Decoded decoded =
      DecodeTexts(kByPosition, R"({"a": "string?"})",
                  {"a\"b", "\"a", "\"a\"b", "\"a\"\"\"", "\xFF", std::string("\0", 1)});
  EXPECT_THAT(decoded.errors, ElementsAre(HasSubstr("0 decode.csv: a quote inside"),
                                          HasSubstr("1 decode.csv: a quote is not closed"),
                                          HasSubstr("2 decode.csv: text behind"),
                                          HasSubstr("4 decode.csv: not UTF-8")));
  EXPECT_THAT(decoded.rows, ElementsAre("{a: 'a\"'}", "{a: '\\x00'}"));
}

TEST(CsvDecoder, KeepsAnOpenQuoteWithinTheLimit) {
  std::string text = "a\n1\n\"open";
  for (int i = 0; i < 1000; ++i) text += "\nline " + std::to_string(i);
  const Decoded decoded =
      DecodeFile(R"({"type": "csv", "max_record": "100B"})", R"({"a": "string"})", text);
  EXPECT_THAT(decoded.errors, ElementsAre(HasSubstr("1 decode.too_large")));
  EXPECT_EQ(decoded.rows.front(), "{a: '1'}");
  EXPECT_GT(decoded.rows.size(), 900U);
}

TEST(CsvEncoder, QuotesWhatNeedsItAndTellsNullFromEmpty) {
  RowBuilder rows(SchemaOf("a string?, b int64, _event_time timestamp"));
  for (const char* text : {"plain", "x,y", "say \"hi\"", "line\nbreak", ""}) {
    rows.column(0).AppendString(text);
    rows.column(1).Append<int64_t>(-1);
    rows.column(2).Append<int64_t>(0);
    rows.FinishRow();
  }
  rows.column(0).AppendNull();
  rows.column(1).Append<int64_t>(2);
  rows.column(2).Append<int64_t>(0);
  rows.FinishRow();
  std::string header;
  const std::vector<std::string> texts =
      EncodeRows(R"({"type": "csv"})", "{}", rows.Build(), &header);
  EXPECT_EQ(header, "a,b\n");
  EXPECT_THAT(texts, ElementsAre("plain,-1", "\"x,y\",-1", "\"say \"\"hi\"\"\",-1",
                                 "\"line\nbreak\",-1", "\"\",-1", ",2"));
  const Decoded decoded = DecodeTexts(kByPosition, R"({"a": "string?", "b": "int64"})", texts);
  EXPECT_THAT(decoded.errors, IsEmpty());
  EXPECT_EQ(decoded.rows[4], "{a: '', b: -1}");
  EXPECT_EQ(decoded.rows[5], "{a: NULL, b: 2}");
}

TEST(CsvFormat, TakesItsDelimiterAndItsTextForNull) {
  const std::string schema = R"({"a": "string?", "b": "int32?"})";
  struct Given {
    std::string options, text;
    std::vector<std::string> rows;
    size_t errors;
  };
  const std::vector<Given> all = {
      {R"("delimiter": ";")", "x,y;1", {"{a: 'x,y', b: 1}"}, 0},
      {R"("delimiter": ";")", "\"x;y\";1", {"{a: 'x;y', b: 1}"}, 0},
      {R"("delimiter": ";")", "x,1", {}, 1},
      {R"("delimiter": "\t")", "x\t", {"{a: 'x', b: NULL}"}, 0},
      {R"("delimiter": " ")", "\"a b\" 2", {"{a: 'a b', b: 2}"}, 0},
      {R"("null": "\\N")", "\\N,\\N", {"{a: NULL, b: NULL}"}, 0},
      // In quotes it is a text, and without a text for NULL an empty field is none either.
      {R"("null": "\\N")", "\"\\N\",1", {"{a: '\\\\N', b: 1}"}, 0},
      {R"("null": "\\N")", ",1", {"{a: '', b: 1}"}, 0},
      {R"("null": "\\N")", "x,", {}, 1},
      {R"("null": "NULL", "delimiter": "|")", "NULL|7", {"{a: NULL, b: 7}"}, 0},
      {R"("null": "NULL", "delimiter": "|")", "null|7", {"{a: 'null', b: 7}"}, 0},
      {R"("null": "0")", "0,0", {"{a: NULL, b: NULL}"}, 0},
      {R"("null": "0")", "\"0\",\"0\"", {"{a: '0', b: 0}"}, 0},
  };
  for (const Given& given : all) {
    const std::string format = R"({"type": "csv", "header": false, )" + given.options + "}";
    const Decoded decoded = DecodeTexts(format, schema, {given.text});
    EXPECT_EQ(decoded.rows, given.rows) << given.options << " " << given.text;
    EXPECT_THAT(decoded.errors, SizeIs(given.errors)) << given.options << " " << given.text;
  }
  EXPECT_THAT(DecodeFile(R"({"type": "csv", "delimiter": "|"})", schema, "b|a\n1|x,\n").rows,
              ElementsAre("{a: 'x,', b: 1}"))
      << "the header line has it too";
}

TEST(CsvFormat, ReadsBackWhatItWroteWithAnyDelimiterAndTextForNull) {
  RowBuilder rows(SchemaOf("a string?, b int64?"));
  const std::vector<std::string> texts = {"",   ",",    ";",      "\t",  "|", "\"", "\r",
                                          "\n", "NULL", "\"NULL", "\\N", "0", " x "};
  for (const std::string& text : texts) {
    rows.column(0).AppendString(text);
    rows.column(1).Append<int64_t>(0);
    rows.FinishRow();
  }
  for (int i = 0; i < 2; ++i) {
    i == 0 ? rows.column(0).AppendNull() : rows.column(0).AppendString("x");
    rows.column(1).AppendNull();
    rows.FinishRow();
  }
  const Batch batch = rows.Build();
  for (const char* delimiter : {",", ";", "\\t", "|", " "}) {
    for (const char* null : {"", "NULL", "\\\\N", "0", "-"}) {
      const std::string format = std::string(R"({"type": "csv", "delimiter": ")") + delimiter +
                                 R"(", "null": ")" + null + "\"}";
      std::string file;
      const std::vector<std::string> lines = EncodeRows(format, "{}", batch, &file);
      for (const std::string& line : lines) file += line + "\n";
      const Decoded decoded = DecodeFile(format, R"({"a": "string?", "b": "int64?"})", file);
      EXPECT_THAT(decoded.errors, IsEmpty()) << format;
      ASSERT_THAT(decoded.rows, SizeIs(batch.rows())) << format << "\n" << file;
      for (uint32_t row = 0; row < batch.rows(); ++row)
        EXPECT_EQ(decoded.rows[row], batch.RowToString(row)) << format;
    }
  }
}

TEST(CsvFormat, RefusesADelimiterOrATextForNullThatCannotBeReadBack) {
  // What the compiler of jobs asks of the format.
  const auto codes = [](const std::string& options) {
    const auto node = MakeNode("file_source", R"({"path": "a.csv", "schema": {"a": "string?"}, )"
                                              R"("format": {"type": "csv", )" +
                                                  options + "}}");
    TestRegistry().FindFormat("csv")->check(*node->config, *SchemaOf("a string?"), true);
    return node->Codes();
  };
  EXPECT_THAT(codes(R"("delimiter": "\t")"), IsEmpty());
  EXPECT_THAT(codes(R"("null": "NULL")"), IsEmpty());
  for (const char* delimiter : {"", ";;", "\\\"", "\\n", "\\r", "ö"})
    EXPECT_THAT(codes(std::string(R"("delimiter": ")") + delimiter + "\""), ElementsAre("W0203"))
        << delimiter;
  for (const char* null : {"a,b", "\\\"", "a\\nb", "\\r"})
    EXPECT_THAT(codes(std::string(R"("null": ")") + null + "\""), ElementsAre("W0203")) << null;
  EXPECT_THAT(codes(R"("delimiter": ";", "null": "a;b")"), ElementsAre("W0203"));
  EXPECT_THAT(codes(R"("delimiter": ";", "null": "a,b")"), IsEmpty());
}

TEST(RawFormat, PassesRecordsThrough) {
  const Decoded decoded =
      DecodeTexts(R"({"type": "raw"})", R"({"value": "bytes"})", {"a", "", "\xFF"});
  EXPECT_THAT(decoded.rows, ElementsAre("{value: 'a'}", "{value: ''}", "{value: '\\xff'}"));
  EXPECT_THAT(DecodeTexts(R"({"type": "raw"})", R"({"value": "string"})", {"\xFF"}).errors,
              SizeIs(1));
}

}  // namespace
}  // namespace weir
