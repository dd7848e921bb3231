#include "engine/api/registry.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Registry, FindsTypesAndFormatsByName) {
  Registry registry;
  registry.Add({.name = "a", .doc = "d"});
  registry.AddFormat({.name = "f", .doc = "d"});
  EXPECT_NE(registry.Find("a"), nullptr);
  EXPECT_EQ(registry.Find("b"), nullptr);
  EXPECT_NE(registry.FindFormat("f"), nullptr);
  EXPECT_EQ(registry.FindFormat("a"), nullptr);
}

TEST(PortShape, IsNarrowedByConditionsThatExcludeNull) {
  PortShape shape;
  shape.schema = std::make_shared<const Schema>(std::vector<Field>{
      {"a", Type::Of(TypeKind::kInt64), true}, {"b", Type::Of(TypeKind::kInt64), true}});
  Scope scope;
  scope.inputs.push_back({"in", shape.schema});
  const BindResult bound = BindExpression("a IS NOT NULL AND b > 1", scope, {});
  ASSERT_TRUE(bound.expression);
  EXPECT_EQ(shape.NarrowedBy(bound.expression).schema->ToString(), "a int64, b int64?");
}

}  // namespace
}  // namespace weir
