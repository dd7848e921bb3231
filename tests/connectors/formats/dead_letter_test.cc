#include <gmock/gmock.h>

#include "engine/data/row_builder.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

TEST(DeadLetterEncoder, WritesTheRecordAsItWas) {
  RowBuilder builder(SchemaOf("code string, raw bytes?"));
  for (const char* raw : {"{broken", ""}) {
    builder.column(size_t{0}).AppendString("decode.json");
    builder.column(size_t{1}).AppendString(raw);
    builder.FinishRow();
  }
  builder.column(size_t{0}).AppendString("decode.too_large");
  builder.column(size_t{1}).AppendNull();
  builder.FinishRow();
  EXPECT_THAT(EncodeRows(R"({"type": "dead_letter"})", "{}", builder.Build(), nullptr),
              ::testing::ElementsAre("{broken", "", ""));
}

}  // namespace
}  // namespace weir
