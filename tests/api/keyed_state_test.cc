#include "engine/api/keyed_state.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/data/key_encoding.h"

namespace weir {
namespace {

TEST(StateLayout, PlacesFieldsBehindTheNullBitsWithoutOverlap) {
  const Schema row({{"flag", Type::Of(TypeKind::kBool), true},
                    {"number", Type::Of(TypeKind::kInt64), true},
                    {"text", Type::Of(TypeKind::kString), true},
                    {"small", Type::Of(TypeKind::kInt32), true}});
  const StateLayout layout = StateLayout::Of(row);
  ASSERT_EQ(layout.fields.size(), row.size());
  uint32_t end = 1;  // one byte of null bits
  for (size_t i = 0; i < layout.fields.size(); ++i) {
    const StateLayout::Slot& slot = layout.fields[i];
    EXPECT_GE(slot.offset, end);
    EXPECT_EQ(slot.null_bit, i);
    end = slot.offset + static_cast<uint32_t>(slot.type.width());
  }
  EXPECT_EQ(layout.fields[1].offset % 8, 0U);
  EXPECT_EQ(layout.fields[3].offset % 4, 0U);
  EXPECT_GE(layout.bytes, end);
  EXPECT_EQ(layout.bytes % 16, 0U);
}

TEST(StateRow, KeepsValuesAndNulls) {
  const StateLayout layout = StateLayout::Of(
      Schema({{"a", Type::Of(TypeKind::kInt64), true}, {"b", Type::Of(TypeKind::kInt32), true}}));
  alignas(16) uint8_t payload[64] = {};
  ASSERT_LE(layout.bytes, sizeof(payload));
  auto& row = *reinterpret_cast<StateRow*>(payload);
  EXPECT_TRUE(row.IsNull(layout.fields[0])) << "a fresh row is all NULL";
  row.Set<int64_t>(layout.fields[0], -5);
  EXPECT_FALSE(row.IsNull(layout.fields[0]));
  EXPECT_TRUE(row.IsNull(layout.fields[1]));
  EXPECT_EQ(row.Get<int64_t>(layout.fields[0]), -5);
  row.SetNull(layout.fields[0]);
  EXPECT_TRUE(row.IsNull(layout.fields[0]));
}

TEST(KeysOf, CopiesTheKeysOfTimers) {
  const std::string long_key = "a key that does not fit into a view";
  std::string borrowed = long_key;
  const std::vector<Timer> timers = {{EventTime{7}, KeyGroup{1}, Namespace{0}, "short", ""},
                                     {EventTime{9}, KeyGroup{1}, Namespace{0}, borrowed, ""}};
  const auto keys = KeysOf(timers);
  borrowed.assign(borrowed.size(), 'x');
  ASSERT_EQ(keys->bytes.size(), 2U);
  EXPECT_EQ(keys->bytes[0].view(), "short");
  EXPECT_EQ(keys->bytes[1].view(), long_key);
  EXPECT_EQ(keys->hash[1], HashKey(long_key));
  EXPECT_EQ(keys->time[0], EventTime{7});
}

TEST(ListState, NumbersItemsAndForgetsRemovedOnes) {
  const std::unique_ptr<ListState> list = MakeListState({"restored"});
  const ListId added = list->Add("added");
  ASSERT_EQ(list->Items().size(), 2U);
  EXPECT_EQ(list->Items()[0].second, "restored");
  list->Remove(added);
  ASSERT_EQ(list->Items().size(), 1U);
  const ListId again = list->Add("again");
  EXPECT_NE(again.value, added.value) << "a number is not given twice";
}

}  // namespace
}  // namespace weir
