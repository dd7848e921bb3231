#include "engine/data/row_errors.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(RowErrors, KeepsTheFirstErrorOfARow) {
  RowErrors errors;
  errors.Add(70, RecordCode::kExpressionOverflow, "first");
  errors.Add(70, RecordCode::kExpressionCast, "second");
  errors.Add(0, RecordCode::kDecodeJson, "other");
  ASSERT_EQ(errors.errors().size(), 2U);
  EXPECT_EQ(errors.rows(), 2U);
  EXPECT_EQ(errors.errors()[0].message, "first");
  EXPECT_EQ(errors.errors()[0].code, RecordCode::kExpressionOverflow);
  EXPECT_TRUE(errors.Has(70));
  EXPECT_TRUE(errors.Has(0));
  EXPECT_FALSE(errors.Has(69));
  EXPECT_FALSE(errors.Has(1'000'000));
}

TEST(RowErrors, ResultErrorsAreNoInputRows) {
  RowErrors errors;
  errors.AddResult(RecordCode::kExpressionOverflow, "sum", "{\"n\":1}");
  EXPECT_EQ(errors.rows(), 0U);
  EXPECT_FALSE(errors.empty());
  EXPECT_TRUE(errors.errors()[0].detached);
  EXPECT_EQ(errors.errors()[0].raw, "{\"n\":1}");
  EXPECT_FALSE(errors.Has(0));
}

TEST(RowErrors, RewindForgetsWhatCameSinceTheMark) {
  RowErrors errors;
  errors.Add(1, RecordCode::kExpressionCast, "kept");
  const size_t mark = errors.Mark();
  errors.Add(1, RecordCode::kExpressionCast, "ignored");
  errors.Add(2, RecordCode::kExpressionCast, "taken back");
  errors.AddResult(RecordCode::kExpressionCast, "taken back", "");
  errors.Rewind(mark);
  EXPECT_EQ(errors.rows(), 1U);
  EXPECT_TRUE(errors.Has(1));
  EXPECT_FALSE(errors.Has(2));
  errors.Add(2, RecordCode::kExpressionCast, "again");
  EXPECT_EQ(errors.rows(), 2U);
}

TEST(RowErrors, ClearLeavesNothing) {
  RowErrors errors;
  errors.Add(100, RecordCode::kExpressionCast, "x");
  errors.Clear();
  EXPECT_TRUE(errors.empty());
  EXPECT_EQ(errors.rows(), 0U);
  EXPECT_FALSE(errors.Has(100));
}

TEST(RowErrors, MessagesAreOneBoundedLine) {
  RowErrors errors;
  errors.Add(0, RecordCode::kDecodeJson, "a\nb\x1b[31m" + std::string(5000, 'x'));
  const std::string& message = errors.errors()[0].message;
  EXPECT_LE(message.size(), kRowErrorMessageBytesMax);
  EXPECT_EQ(message.substr(0, 12), "a\\nb\\x1b[31m");
  EXPECT_TRUE(message.ends_with("..."));
}

}  // namespace
}  // namespace weir
