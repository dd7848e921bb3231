#include "engine/data/schema.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Schema, FindsColumnsByExactName) {
  const Schema schema(
      {{"a", Type::Of(TypeKind::kInt64), false}, {"A", Type::Of(TypeKind::kString), true}});
  EXPECT_EQ(schema.Find("a"), ColumnIndex{0});
  EXPECT_EQ(schema.Find("A"), ColumnIndex{1});
  EXPECT_EQ(schema.Find("b"), std::nullopt);
  EXPECT_EQ(schema.Find(""), std::nullopt);
}

TEST(Schema, PrintsAsInJobFiles) {
  const Schema schema({{"a", Type::Of(TypeKind::kInt64), false}, {"b", Type::Decimal(9, 2), true}});
  EXPECT_EQ(schema.ToString(), "a int64, b decimal(9,2)?");
  EXPECT_EQ(Schema().ToString(), "");
}

TEST(Schema, EqualityLooksAtNamesTypesNullabilityAndOrder) {
  const Field a{"a", Type::Of(TypeKind::kInt64), false};
  const Field b{"b", Type::Of(TypeKind::kInt64), false};
  Field nullable_a = a;
  nullable_a.nullable = true;
  EXPECT_EQ(Schema({a, b}), Schema({a, b}));
  EXPECT_FALSE(Schema({a, b}) == Schema({b, a}));
  EXPECT_FALSE(Schema({a}) == Schema({nullable_a}));
  EXPECT_FALSE(Schema({a}) == Schema({a, b}));
}

TEST(Schema, MetadataColumnsAreTheOnesSinksLeaveOut) {
  for (std::string_view name : {kEventTimeColumn, kProcessingTimeColumn, kTopicColumn,
                                kPartitionColumn, kOffsetColumn, kKeyColumn, kOpColumn})
    EXPECT_TRUE(IsMetadataColumn(name)) << name;
  for (std::string_view name : {kWindowStartColumn, kWindowEndColumn, kWindowTimeColumn,
                                std::string_view("_other"), std::string_view("")})
    EXPECT_FALSE(IsMetadataColumn(name)) << name;
}

TEST(Op, NamesAreThoseOfFiles) {
  EXPECT_EQ(OpName(Op::kInsert), "insert");
  EXPECT_EQ(OpName(Op::kUpdateBefore), "update_before");
  EXPECT_EQ(OpName(Op::kUpdateAfter), "update_after");
  EXPECT_EQ(OpName(Op::kDelete), "delete");
}

}  // namespace
}  // namespace weir
