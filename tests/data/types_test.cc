#include "engine/data/types.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Type, NamesReadBackAsThemselves) {
  for (const char* name :
       {"bool", "int32", "int64", "float32", "float64", "string", "bytes", "date", "timestamp",
        "duration", "json", "decimal(1,0)", "decimal(38,38)"}) {
    const std::optional<Type> type = ParseType(name);
    ASSERT_TRUE(type) << name;
    EXPECT_EQ(type->ToString(), name);
  }
  EXPECT_EQ(ParseType("decimal( 18 , 2 )")->ToString(), "decimal(18,2)");
}

TEST(Type, NestedKindsAreKnownByName) {
  EXPECT_EQ(ParseType("array<int64?>")->kind, TypeKind::kArray);
  EXPECT_EQ(ParseType("map<string,decimal(9,2)>")->kind, TypeKind::kMap);
  const std::optional<Type> row = ParseType("row<a int32, b array<string>?>");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->kind, TypeKind::kRow);
  ASSERT_EQ(row->children->size(), 2U);
  EXPECT_EQ((*row->children)[1].kind, TypeKind::kArray);
}

TEST(Type, WhatIsNoTypeIsRefused) {
  for (const char* text : {"",
                           " int64",
                           "int64 ",
                           "int",
                           "INT64",
                           "int64?",
                           "decimal",
                           "decimal(0,0)",
                           "decimal(39,0)",
                           "decimal(5,6)",
                           "decimal(5)",
                           "decimal(5,-1)",
                           "decimal(5,2",
                           "decimal(5,2))",
                           "decimal(99999999999,1)",
                           "array",
                           "array<>",
                           "array<int32",
                           "array<int32,int32>",
                           "map<int32,string>",
                           "map<string>",
                           "row<>",
                           "row<int32>",
                           "timestamp_ms",
                           "null"}) {
    EXPECT_FALSE(ParseType(text)) << text;
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "array<";
  EXPECT_FALSE(ParseType(deep));
}

TEST(Type, EqualityLooksAtPrecisionAndScale) {
  EXPECT_EQ(Type::Decimal(18, 2), Type::Decimal(18, 2));
  EXPECT_FALSE(Type::Decimal(18, 2) == Type::Decimal(18, 3));
  EXPECT_FALSE(Type::Decimal(18, 2) == Type::Decimal(17, 2));
  EXPECT_FALSE(Type::Of(TypeKind::kDate) == Type::Of(TypeKind::kInt32));
}

TEST(Type, WidthIsThatOfTheValues) {
  EXPECT_EQ(Type::Of(TypeKind::kBool).width(), 1U);
  EXPECT_EQ(Type::Of(TypeKind::kDate).width(), 4U);
  EXPECT_EQ(Type::Of(TypeKind::kTimestamp).width(), 8U);
  EXPECT_EQ(Type::Decimal(5, 1).width(), 16U);
  EXPECT_EQ(Type::Of(TypeKind::kString).width(), 16U);
}

TEST(Utf8View, HoldsTwelveBytesInlineAndBorrowsLongerOnes) {
  const std::string longest_inline(12, 'x');
  const std::string borrowed(13, 'x');
  EXPECT_TRUE(Utf8View(longest_inline).is_inline());
  EXPECT_NE(Utf8View(longest_inline).data(), longest_inline.data());
  EXPECT_FALSE(Utf8View(borrowed).is_inline());
  EXPECT_EQ(Utf8View(borrowed).data(), borrowed.data());
  EXPECT_EQ(Utf8View(longest_inline).view(), longest_inline);
  EXPECT_EQ(Utf8View(borrowed).view(), borrowed);
  EXPECT_EQ(Utf8View().view(), "");
}

TEST(Utf8View, ComparesBytesWhereverTheyLie) {
  for (size_t size :
       {size_t{0}, size_t{1}, size_t{4}, size_t{5}, size_t{12}, size_t{13}, size_t{100}}) {
    const std::string a(size, 'q');
    std::string b(size, 'q');
    EXPECT_TRUE(Utf8View(a) == Utf8View(b)) << size;
    if (size == 0) continue;
    b.back() = 'r';
    EXPECT_FALSE(Utf8View(a) == Utf8View(b)) << size;
    EXPECT_FALSE(Utf8View(a) == Utf8View(std::string_view(a).substr(1))) << size;
  }
  EXPECT_FALSE(Utf8View(std::string_view("a\0", 2)) == Utf8View("a"));
}

}  // namespace
}  // namespace weir
