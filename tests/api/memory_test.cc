#include "engine/api/memory.h"

#include <gtest/gtest.h>

#include <set>

namespace weir {
namespace {

TEST(MemoryKind, HasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kMemoryKinds; ++i)
    names.insert(MemoryKindName(static_cast<MemoryKind>(i)));
  EXPECT_EQ(names.size(), kMemoryKinds);
  EXPECT_EQ(MemoryKindName(MemoryKind::kHotState), "hot_state");
  EXPECT_EQ(MemoryKindName(MemoryKind::kOther), "other");
}

}  // namespace
}  // namespace weir
