#include <gmock/gmock.h>

#include <memory>

#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;

Batch Rows(const std::vector<std::pair<int64_t, std::string>>& rows) {
  RowBuilder builder(SchemaOf("n int64, s string?"));
  for (const auto& [number, text] : rows) {
    builder.column(size_t{0}).Append<int64_t>(number);
    if (text.empty()) {
      builder.column(size_t{1}).AppendNull();
    } else {
      builder.column(size_t{1}).AppendString(text);
    }
    builder.FinishRow();
  }
  return builder.Build();
}

TEST(TableEncoder, AlignsColumnsBelowTheirNames) {
  EXPECT_THAT(EncodeRows(R"({"type": "table"})", "{}", Rows({{7, "a"}, {123, "bc"}}), nullptr),
              ElementsAre("  n  s\n  7  a", "123  bc"));
}

TEST(TableEncoder, ShowsNullAndKeepsARowOnOneLine) {
  EXPECT_THAT(EncodeRows(R"({"type": "table"})", "{}", Rows({{1, ""}}), nullptr),
              ElementsAre("n  s\n1  NULL"));
  const std::vector<std::string> texts =
      EncodeRows(R"({"type": "table"})", "{}", Rows({{1, "a\nb\x1b[2J"}}), nullptr);
  ASSERT_EQ(texts.size(), 1U);
  const std::string row = texts[0].substr(texts[0].find('\n') + 1);
  EXPECT_EQ(row.find('\n'), std::string::npos);
  EXPECT_EQ(row.find('\x1b'), std::string::npos) << "no control character reaches the terminal";
}

}  // namespace
}  // namespace weir
