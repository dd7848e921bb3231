#include <gmock/gmock.h>

#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kRaw = R"({"type": "raw"})";

TEST(RawDecoder, PassesRecordsOnAsTheyAre) {
  const Decoded decoded = DecodeTexts(kRaw, R"({"value": "string"})", {"a", "{\"b\": 1}"});
  EXPECT_THAT(decoded.errors, IsEmpty());
  EXPECT_EQ(decoded.rows.size(), 2U);
  EXPECT_THAT(decoded.rows[0], ::testing::HasSubstr("a"));
}

TEST(RawDecoder, RefusesTextThatIsNotUtf8OnlyWhereItMustBeText) {
  const std::vector<std::string> bytes = {"\xff\xfe"};
  EXPECT_EQ(DecodeTexts(kRaw, R"({"value": "string"})", bytes).errors.size(), 1U);
  EXPECT_THAT(DecodeTexts(kRaw, R"({"value": "bytes"})", bytes).errors, IsEmpty());
}

TEST(RawEncoder, WritesTheValueAndNothingElse) {
  RowBuilder builder(SchemaOf("value string"));
  for (const char* text : {"one", "", "a longer value than a view holds"}) {
    builder.column(size_t{0}).AppendString(text);
    builder.FinishRow();
  }
  EXPECT_THAT(EncodeRows(kRaw, "{}", builder.Build(), nullptr),
              ElementsAre("one", "", "a longer value than a view holds"));
}

}  // namespace
}  // namespace weir
