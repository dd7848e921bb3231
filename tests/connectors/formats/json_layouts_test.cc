#include "connectors/formats/json_layouts.h"

#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/data/civil_time.h"

namespace weir {
namespace {

SourceColumn Wanted(std::string name, TypeKind kind, std::string from, bool nullable = true,
                    WireType wire = WireType::kDefault) {
  SourceColumn column;
  column.field = {std::move(name), Type::Of(kind), nullable};
  column.from = std::move(from);
  column.wire = wire;
  return column;
}

/// Each case runs on every instruction set of the machine.
class JsonLayoutsTest : public testing::TestWithParam<JsonLayouts::InstructionSet> {
 protected:
  void Use(std::vector<SourceColumn> columns) {
    columns_ = std::move(columns);
    std::vector<Field> fields;
    fields.reserve(columns_.size());
    for (const SourceColumn& column : columns_) fields.push_back(column.field);
    rows_.emplace(std::make_shared<const Schema>(std::move(fields)));
    layouts_.emplace(columns_, GetParam());
  }

  // The values as text, or nothing if the record does not fit. The record lies in memory of exactly
  // its size, so that a sanitizer sees every read beyond it.
  std::optional<std::string> Read(std::string_view text) {
    const auto exact = std::make_unique<char[]>(text.size());
    std::memcpy(exact.get(), text.data(), text.size());
    Record record;
    record.value = {exact.get(), text.size()};
    if (!layouts_->Tries() || !layouts_->Append(record, *rows_)) {
      EXPECT_EQ(rows_->rows(), 0U);
      EXPECT_EQ(rows_->column(0).rows(), 0U) << "a value was left behind by: " << text;
      return std::nullopt;
    }
    rows_->FinishRow();
    const Batch batch = rows_->Build();
    EXPECT_EQ(batch.rows(), 1U);
    return batch.RowToString(0);
  }

  std::vector<SourceColumn> columns_;
  std::optional<RowBuilder> rows_;
  std::optional<JsonLayouts> layouts_;
};

std::string SetName(const testing::TestParamInfo<JsonLayouts::InstructionSet>& set) {
  switch (set.param) {
    case JsonLayouts::InstructionSet::kAvx2:
      return "Avx2";
    case JsonLayouts::InstructionSet::kAvx512:
      return "Avx512";
    default:
      return "Baseline";
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, JsonLayoutsTest, testing::ValuesIn(JsonLayouts::Usable()), SetName);

TEST_P(JsonLayoutsTest, ReadsRecordsThatLookLikeAnEarlierOne) {
  Use({Wanted("a", TypeKind::kInt64, "a", false), Wanted("s", TypeKind::kString, "/in/s"),
       Wanted("t", TypeKind::kTimestamp, "t"), Wanted("absent", TypeKind::kInt32, "absent"),
       Wanted("b", TypeKind::kBool, "b"), Wanted("f", TypeKind::kFloat64, "f")});
  const char* first =
      R"({"a":1,"x":"skipped","in":{"n":null,"s":"one"},"t":"2026-01-31 10:20:30.5","b":true,"f":1.5,"y":7})";
  EXPECT_EQ(Read(first), std::nullopt);
  layouts_->Learn(first);
  EXPECT_EQ(layouts_->layouts(), 1U);
  EXPECT_EQ(Read(first),
            "{a: 1, s: 'one', t: 2026-01-31T10:20:30.500Z, absent: NULL, b: true, f: 1.5}");
  EXPECT_EQ(
      Read(
          R"({"a":-123456789012345678,"x":"","in":{"n":null,"s":"a longer string with \"quotes\" and a \\ in it, and a bit more"},"t":"2026-01-31 10:20:31","b":false,"f":-2e-3,"y":0})"),
      "{a: -123456789012345678, s: 'a longer string with \"quotes\" and a \\\\ in it, and a bit "
      "more', t: 2026-01-31T10:20:31Z, absent: NULL, b: false, f: -0.002}");
}

TEST_P(JsonLayoutsTest, KeepsALayoutForEachShape) {
  Use({Wanted("kind", TypeKind::kInt32, "kind", false), Wanted("x", TypeKind::kInt64, "/p/x"),
       Wanted("y", TypeKind::kInt64, "/q/y")});
  const char* p = R"({"kind":0,"p":{"x":5},"q":null})";
  const char* q = R"({"kind":1,"p":null,"q":{"y":6}})";
  layouts_->Learn(p);
  layouts_->Learn(q);
  layouts_->Learn(q);
  EXPECT_EQ(layouts_->layouts(), 2U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Read(p), "{kind: 0, x: 5, y: NULL}");
    EXPECT_EQ(Read(q), "{kind: 1, x: NULL, y: 6}");
    EXPECT_EQ(Read(q), "{kind: 1, x: NULL, y: 6}");
  }
}

TEST_P(JsonLayoutsTest, LeavesEveryOtherRecordToTheWholeDecoder) {
  Use({Wanted("a", TypeKind::kInt32, "a", false), Wanted("s", TypeKind::kString, "s"),
       Wanted("t", TypeKind::kTimestamp, "t")});
  layouts_->Learn(R"({"a":1,"s":"x","t":"2026-01-31T00:00:00Z"})");
  ASSERT_NE(Read(R"({"a":1,"s":"x","t":"2026-01-31T00:00:00Z"})"), std::nullopt);
  for (const char* other : {
           R"({"a":01,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":1.0,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":1e3,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":-0,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":2147483648,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":1234567890123456789,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":null,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":"1","s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a": 1,"s":"x","t":"2026-01-31T00:00:00Z"})",
           R"({"a":1,"s":null,"t":"2026-01-31T00:00:00Z"})",
           R"({"a":1,"s":"x\u0041","t":"2026-01-31T00:00:00Z"})",
           R"({"a":1,"s":"x\q","t":"2026-01-31T00:00:00Z"})",
           "{\"a\":1,\"s\":\"x\ny\",\"t\":\"2026-01-31T00:00:00Z\"}",
           "{\"a\":1,\"s\":\"x\x80\",\"t\":\"2026-01-31T00:00:00Z\"}",
           "{\"a\":1,\"s\":\"\xED\xA0\x80\",\"t\":\"2026-01-31T00:00:00Z\"}",
           R"({"a":1,"s":"x","t":"2026-02-30T00:00:00Z"})",
           R"({"a":1,"s":"x","t":"2026-01-31T24:00:00Z"})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:60Z"})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00+01:00"})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00.1234567Z"})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00."})",
           R"({"a":1,"s":"x","t":"2026-01-31"})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00Z"}x)",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00Z"}})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00Z","u":1})",
           R"({"s":"x","a":1,"t":"2026-01-31T00:00:00Z"})",
           R"({"a":1,"s":"x","t":"2026-01-31T00:00:00Z)",
           "",
           "{",
           "}",
           "{}",
       }) {
    EXPECT_EQ(Read(other), std::nullopt) << other;
  }
}

TEST_P(JsonLayoutsTest, MakesNoLayoutOfWhatItCannotRead) {
  Use({Wanted("a", TypeKind::kInt64, "a", false), Wanted("s", TypeKind::kString, "s")});
  for (const char* text : {R"({"a":1,"a":2})", R"({"s":"x"})", R"({"a":1,"s":5})",
                           R"({"a":1,"l":[1]})", R"({"\u0061":1})", R"([1])", R"({"a":1} )",
                           R"({"a":1)", R"({"a":1,})", R"({"a":"1"})", R"({"a":1,"s":{"x":1}})"}) {
    layouts_->Learn(text);
    EXPECT_EQ(layouts_->layouts(), 0U) << text;
  }
  layouts_->Learn(R"({"a":1,"big":")" + std::string(JsonLayouts::kRecordBytesMax, 'x') + R"("})");
  EXPECT_EQ(layouts_->layouts(), 0U);
}

TEST_P(JsonLayoutsTest, HasNoLayoutsForTypesThatNeedThought) {
  SourceColumn amount = Wanted("amount", TypeKind::kDecimal, "amount", false);
  amount.field.type = Type::Decimal(10, 2);
  Use({amount});
  layouts_->Learn(R"({"amount":1.25})");
  EXPECT_EQ(layouts_->layouts(), 0U);
  Use({Wanted("a", TypeKind::kInt64, "x", false), Wanted("b", TypeKind::kInt32, "x", false)});
  layouts_->Learn(R"({"x":1})");
  EXPECT_EQ(layouts_->layouts(), 0U) << "two columns of one value";
}

TEST_P(JsonLayoutsTest, ReadsEpochNumbersInTheirUnit) {
  Use({Wanted("s", TypeKind::kTimestamp, "s", false, WireType::kTimestampSeconds),
       Wanted("m", TypeKind::kTimestamp, "m", false, WireType::kTimestampMillis),
       Wanted("u", TypeKind::kTimestamp, "u", false, WireType::kTimestampMicros)});
  layouts_->Learn(R"({"s":0,"m":0,"u":0})");
  EXPECT_EQ(
      Read(R"({"s":1700000000,"m":1700000000123,"u":1700000000123456})"),
      "{s: 2023-11-14T22:13:20Z, m: 2023-11-14T22:13:20.123Z, u: 2023-11-14T22:13:20.123456Z}");
  EXPECT_EQ(Read(R"({"s":253402300800,"m":0,"u":0})"), std::nullopt);
  EXPECT_EQ(Read(R"({"s":-1,"m":0,"u":0})"), std::nullopt);
}

TEST_P(JsonLayoutsTest, FindsColumnsByPointer) {
  Use({Wanted("slash", TypeKind::kInt64, "/a~1b", false),
       Wanted("tilde", TypeKind::kInt64, "/c~0d/e", false),
       Wanted("plain", TypeKind::kInt64, "f.g", false)});
  layouts_->Learn(R"({"a/b":1,"c~d":{"e":2},"f.g":3})");
  EXPECT_EQ(Read(R"({"a/b":4,"c~d":{"e":5},"f.g":6})"), "{slash: 4, tilde: 5, plain: 6}");
}

TEST_P(JsonLayoutsTest, RestsWhereRecordsNeverRepeatAndComesBack) {
  Use({Wanted("a", TypeKind::kInt64, "a", false)});
  const char* usual = R"({"a":1})";
  layouts_->Learn(usual);
  const std::string odd = R"({"a":1,"b":)";
  for (uint32_t i = 0; i < JsonLayouts::kWindowRecords; ++i)
    EXPECT_EQ(Read(odd + std::to_string(i) + "]}"), std::nullopt);
  EXPECT_EQ(layouts_->layouts(), 0U);
  layouts_->Learn(usual);
  EXPECT_EQ(layouts_->layouts(), 0U) << "it rests";
  for (uint32_t i = 0; i < JsonLayouts::kPauseWindows * JsonLayouts::kWindowRecords; ++i)
    Read("{}");
  layouts_->Learn(usual);
  EXPECT_EQ(Read(usual), "{a: 1}");
}

TEST_P(JsonLayoutsTest, ForgetsLayoutsThatNoRecordHasAnyMore) {
  Use({Wanted("a", TypeKind::kInt64, "a", false)});
  for (size_t i = 0; i < JsonLayouts::kLayoutsMax; ++i)
    layouts_->Learn(R"({"a":1,"old)" + std::to_string(i) + R"(":1})");
  const char* usual = R"({"a":2})";
  layouts_->Learn(usual);
  EXPECT_EQ(layouts_->layouts(), JsonLayouts::kLayoutsMax);
  EXPECT_EQ(Read(usual), std::nullopt);
  for (uint32_t i = 0; i < JsonLayouts::kWindowRecords; ++i) Read(R"({"a":1,"old0":1})");
  layouts_->Learn(usual);
  EXPECT_EQ(Read(usual), "{a: 2}");
}

// Whatever is done to a record: if it still fits, an independent parser finds the same values in
// it.
TEST_P(JsonLayoutsTest, AgreesWithAnotherParserOnDamagedRecords) {
  Use({Wanted("i", TypeKind::kInt32, "i", false), Wanted("l", TypeKind::kInt64, "/o/l"),
       Wanted("s", TypeKind::kString, "/o/s"), Wanted("t", TypeKind::kTimestamp, "t"),
       Wanted("f", TypeKind::kFloat64, "f"), Wanted("b", TypeKind::kBool, "b"),
       Wanted("e", TypeKind::kString, "e")});
  const std::vector<std::string> good = {
      R"({"i":12,"o":{"l":-34567890123,"s":"some text of middling length, and then some more of it to pass a block","z":null},"t":"2026-01-31 10:20:30.123","f":12.5e3,"b":true,"skip":"abc\\\"d","e":"end"})",
      "{\"i\":0,\"o\":null,\"t\":\"2025-12-01T00:00:00Z\",\"f\":0.25,\"b\":false,\"skip\":\"\","
      "\"e\":\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 and more text behind these\"}",
      // Runs of escapes across the borders of blocks, skipped and copied.
      R"({"i":7,"o":null,"t":"2025-12-01T00:00:00Z","f":0.5,"b":true,"skip":"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\","e":"a\\b\"c\\\\\"d\/e\n0123456789012345678901234567890123456789\\\\\\\\\"\"end"})"};
  for (const std::string& text : good) layouts_->Learn(text);
  ASSERT_EQ(layouts_->layouts(), 2U);  // the last two differ in their values alone
  std::mt19937_64 random(7);
  constexpr std::string_view kInteresting =
      "0123456789\"\\{}[],:.-+eEntfu TZ/\x00\x1f\x7f\x80\xc3\xa4\xff";
  int fits = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::string text = good[random() % good.size()];
    const uint64_t damage = random() % 4;
    for (uint64_t i = 0; i < damage; ++i) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, 1 + random() % 3);
          break;
        case 1:
          text.insert(at, 1, kInteresting[random() % kInteresting.size()]);
          break;
        case 2:
          text.insert(at, random() % 80, static_cast<char>('0' + random() % 10));
          break;
        default:
          text[at] = kInteresting[random() % kInteresting.size()];
      }
      if (text.empty()) break;
    }
    const auto row = Read(text);
    if (!row) continue;
    ++fits;
    const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    ASSERT_FALSE(json.is_discarded()) << text;
    const auto quoted = [](const nlohmann::json& value) {
      RowBuilder one(std::make_shared<const Schema>(
          std::vector<Field>{{"v", Type::Of(TypeKind::kString), true}}));
      one.column(size_t{0}).AppendString(value.get<std::string>());
      one.FinishRow();
      const std::string shown = one.Build().RowToString(0);
      return shown.substr(4, shown.size() - 5);
    };
    ASSERT_TRUE(json["i"].is_number_integer()) << text;
    const bool has_o = !json["o"].is_null();
    RowBuilder number(std::make_shared<const Schema>(
        std::vector<Field>{{"v", Type::Of(TypeKind::kFloat64), true}}));
    number.column(size_t{0}).Append(json["f"].get<double>());
    number.FinishRow();
    const std::string f = number.Build().RowToString(0);
    std::string expected = "{i: " + std::to_string(json["i"].get<int64_t>());
    expected += ", l: " + (has_o ? std::to_string(json["o"]["l"].get<int64_t>()) : "NULL");
    expected += ", s: " + (has_o ? quoted(json["o"]["s"]) : "NULL");
    const auto t = ParseTimestamp(json["t"].get<std::string>());
    ASSERT_TRUE(t.has_value()) << text;
    expected += ", t: " + TimestampToString(*t);
    expected += ", f: " + f.substr(4, f.size() - 5);
    expected += std::string(", b: ") + (json["b"].get<bool>() ? "true" : "false");
    expected += ", e: " + quoted(json["e"]) + "}";
    ASSERT_EQ(*row, expected) << text;
  }
  EXPECT_GT(fits, 5000);
}

}  // namespace
}  // namespace weir
