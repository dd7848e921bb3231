#include "engine/base/record_code.h"

#include <gtest/gtest.h>

#include <set>

namespace weir {
namespace {

TEST(RecordCode, NamesAreDistinctAndTheirClassIsTheMetricLabel) {
  std::set<std::string_view> names;
  std::set<std::string_view> kinds;
  for (int code = 0; code < kRecordCodes; ++code) {
    EXPECT_TRUE(names.insert(RecordCodeName(static_cast<RecordCode>(code))).second);
    kinds.insert(RecordCodeKind(static_cast<RecordCode>(code)));
  }
  EXPECT_EQ(kinds, (std::set<std::string_view>{"decode", "event_time", "expression", "sink"}));
  EXPECT_EQ(RecordCodeName(RecordCode::kDecodeJson), "decode.json");
  EXPECT_EQ(RecordCodeName(RecordCode::kSinkTooLarge), "sink.too_large");
  EXPECT_EQ(RecordCodeKind(RecordCode::kBadEventTime), "event_time");
  EXPECT_EQ(RecordCodeKind(RecordCode::kExpressionDivisionByZero), "expression");
}

}  // namespace
}  // namespace weir
