#include "engine/data/key_encoding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/rows.h"

namespace weir {
namespace {

std::string KeyOf(const Column& column, uint32_t row) {
  std::string bytes;
  AppendKeyBytes(column, row, bytes);
  return bytes;
}

/// Order of two values as SQL has it: NULL first (as the bytes do), NaN last and equal to itself,
/// -0.0 equal to 0.0, text byte-wise.
int CompareValues(const Column& a, uint32_t row_a, const Column& b, uint32_t row_b) {
  const bool valid_a = a.Valid()[row_a];
  const bool valid_b = b.Valid()[row_b];
  if (!valid_a || !valid_b) return static_cast<int>(valid_a) - static_cast<int>(valid_b);
  return VisitKind(a.type().kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    const T& x = a.Values<T>()[row_a];
    const T& y = b.Values<T>()[row_b];
    if constexpr (std::is_same_v<T, Utf8View>) {
      const int order = x.view().compare(y.view());
      return (order > 0) - (order < 0);
    } else {
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(x) || std::isnan(y))
          return static_cast<int>(std::isnan(x)) - static_cast<int>(std::isnan(y));
      }
      return (x > y) - (x < y);
    }
  });
}

int Sign(int order) { return (order > 0) - (order < 0); }

TEST(KeyBytes, SortLikeTheValuesOfEveryType) {
  std::mt19937_64 random(1);
  for (const Type& type : AllTypes()) {
    const Column column = RandomColumn(type, 700, 5, random);
    std::vector<std::string> keys;
    for (uint32_t row = 0; row < column.rows(); ++row) keys.push_back(KeyOf(column, row));
    for (uint32_t a = 0; a < column.rows(); ++a) {
      for (uint32_t b = 0; b < a; ++b) {
        ASSERT_EQ(Sign(keys[a].compare(keys[b])), CompareValues(column, a, column, b))
            << type.ToString() << ": " << ValueToString(column, a) << " and "
            << ValueToString(column, b);
      }
    }
  }
}

TEST(KeyBytes, OfSeveralColumnsSortColumnByColumn) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 60; ++round) {
    std::vector<Column> columns;
    columns.reserve(3);
    for (int i = 0; i < 3; ++i)
      columns.push_back(RandomColumn(AllTypes()[random() % AllTypes().size()], 80, 20, random));
    const auto keys = EncodeKeys(columns, 80, nullptr);
    for (uint32_t a = 0; a < 80; ++a) {
      for (uint32_t b = 0; b < a; ++b) {
        int expected = 0;
        for (const Column& column : columns) {
          if (expected == 0) expected = CompareValues(column, a, column, b);
        }
        ASSERT_EQ(Sign(keys->bytes[a].view().compare(keys->bytes[b].view())), expected);
      }
    }
  }
}

TEST(KeyBytes, AreThoseOfTheFormat) {
  using std::string_literals::operator""s;
  EXPECT_EQ(KeyOf(Values<int64_t>(Type::Of(TypeKind::kInt64), {1}), 0),
            "\x01\x80\x00\x00\x00\x00\x00\x00\x01"s);
  EXPECT_EQ(KeyOf(Values<int64_t>(Type::Of(TypeKind::kTimestamp), {-1}), 0),
            "\x01\x7f\xff\xff\xff\xff\xff\xff\xff"s);
  EXPECT_EQ(KeyOf(Values<uint8_t>(Type::Of(TypeKind::kBool), {1}), 0), "\x01\x01"s);
  EXPECT_EQ(KeyOf(Values<double>(Type::Of(TypeKind::kFloat64), {0.0}), 0),
            "\x01\x80\x00\x00\x00\x00\x00\x00\x00"s);
  EXPECT_EQ(KeyOf(Values<double>(Type::Of(TypeKind::kFloat64), {1.0}), 0),
            "\x01\xbf\xf0\x00\x00\x00\x00\x00\x00"s);
  EXPECT_EQ(KeyOf(Values<double>(Type::Of(TypeKind::kFloat64), {-1.0}), 0),
            "\x01\x40\x0f\xff\xff\xff\xff\xff\xff"s);
  EXPECT_EQ(KeyOf(Values<Int128>(Type::Decimal(9, 2), {-1}), 0),
            "\x01\x7f"s + std::string(15, '\xff'));
  EXPECT_EQ(KeyOf(Strings({std::string("a\0b", 3)}), 0), "\x01"s + "a\x00\xff"s + "b\x00"s);
  EXPECT_EQ(KeyOf(Strings({""}), 0), "\x01\x00"s);
  EXPECT_EQ(KeyOf(Strings({std::nullopt}), 0), "\x00"s);
}

TEST(KeyBytes, WideningIntegersAndDatesKeepsThem) {
  for (const int32_t n : {0, 1, -1, 255, INT32_MIN, INT32_MAX}) {
    const std::string wide = KeyOf(Values<int64_t>(Type::Of(TypeKind::kInt64), {n}), 0);
    EXPECT_EQ(KeyOf(Values<int32_t>(Type::Of(TypeKind::kInt32), {n}), 0), wide);
    EXPECT_EQ(KeyOf(Values<int32_t>(Type::Of(TypeKind::kDate), {n}), 0), wide);
    EXPECT_EQ(KeyOf(Values<int64_t>(Type::Of(TypeKind::kDuration), {n}), 0), wide);
  }
  EXPECT_EQ(KeyOf(Values<float>(Type::Of(TypeKind::kFloat32), {0.5F}), 0),
            KeyOf(Values<double>(Type::Of(TypeKind::kFloat64), {0.5}), 0));
}

TEST(KeyBytes, OneZeroAndOneNaN) {
  const Column zeros = Values<double>(Type::Of(TypeKind::kFloat64), {0.0, -0.0});
  EXPECT_EQ(KeyOf(zeros, 0), KeyOf(zeros, 1));
  const Column nans = Values<double>(
      Type::Of(TypeKind::kFloat64),
      {std::nan("1"), -std::nan("2"), std::numeric_limits<double>::signaling_NaN(), INFINITY});
  EXPECT_EQ(KeyOf(nans, 0), KeyOf(nans, 1));
  EXPECT_EQ(KeyOf(nans, 0), KeyOf(nans, 2));
  EXPECT_GT(KeyOf(nans, 0), KeyOf(nans, 3));
}

TEST(EncodeKeys, AgreesWithTheBytesOfEachRow) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<Column> columns;
    const auto count = 1 + random() % 3;
    const int null_percent = static_cast<int>(random() % 2) * 15;
    for (uint64_t i = 0; i < count; ++i)
      columns.push_back(
          RandomColumn(AllTypes()[random() % AllTypes().size()], 150, null_percent, random)
              .Slice(3, 140));
    const auto storage = EncodeKeys(columns, 140, nullptr);
    const KeyBatch keys = storage->View();
    ASSERT_EQ(keys.rows(), 140U);
    ASSERT_TRUE(keys.time.empty());
    for (uint32_t row = 0; row < 140; ++row) {
      std::string bytes;
      bool valid = true;
      for (const Column& column : columns) {
        AppendKeyBytes(column, row, bytes);
        valid = valid && column.Valid()[row];
      }
      ASSERT_EQ(keys.bytes[row].view(), bytes);
      ASSERT_EQ(keys.hash[row], HashKey(bytes));
      ASSERT_EQ(keys.valid[row], valid);
    }
  }
}

TEST(EncodeKeys, TakesEventTimeAlong) {
  const Column time = Values<int64_t>(Type::Of(TypeKind::kTimestamp), {5, 6, 7}).Slice(1, 2);
  const std::vector<Column> key = {Strings({"a", "b"})};
  const auto storage = EncodeKeys(key, 2, &time);
  ASSERT_EQ(storage->View().time.size(), 2U);
  EXPECT_EQ(storage->View().time[0], EventTime{6});
  EXPECT_EQ(storage->View().time[1], EventTime{7});
}

TEST(EncodeKeys, OfNoRowsAndOfNoColumns) {
  const std::vector<Column> empty = {Strings({})};
  EXPECT_EQ(EncodeKeys(empty, 0, nullptr)->View().rows(), 0U);
  const auto global = EncodeKeys({}, 2, nullptr);
  EXPECT_EQ(global->bytes[0].view(), "");
  EXPECT_EQ(global->hash[1], HashKey(""));
}

TEST(EncodeKeys, KeysOutliveTheirColumns) {
  std::shared_ptr<const KeyStorage> storage;
  {
    const std::vector<Column> key = {Strings({"a key that does not fit inline", "short"})};
    storage = EncodeKeys(key, 2, nullptr);
  }
  EXPECT_EQ(storage->View().bytes[0].view().substr(1, 5), "a key");
  EXPECT_EQ(storage->View().bytes[1].view().substr(1, 5), "short");
}

TEST(HashKey, IsTheDocumentedHash) {
  // XXH3_64bits with seed 0, as its authors publish it: part of the state format.
  EXPECT_EQ(HashKey(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(HashKey("a"), 0xe6c632b61e964e1fULL);
  EXPECT_EQ(HashKey("abc"), 0x78af5f94892f3950ULL);
}

TEST(KeyGroups, RangesOfAllTasksCoverAllGroupsOnceForAllParallelismsUpTo256) {
  for (uint32_t groups = 1; groups <= 256; ++groups) {
    for (uint32_t parallelism = 1; parallelism <= groups; ++parallelism) {
      uint32_t next = 0;
      for (uint32_t task = 0; task < parallelism; ++task) {
        const GroupRange range = GroupsOf({static_cast<uint16_t>(task)}, groups, parallelism);
        ASSERT_EQ(range.first.value, next);
        ASSERT_LE(range.first, range.last) << "every task owns a group";
        for (uint32_t group = range.first.value; group <= range.last.value; ++group) {
          ASSERT_EQ(TaskOf({static_cast<uint16_t>(group)}, groups, parallelism).value, task);
        }
        next = range.last.value + 1U;
      }
      ASSERT_EQ(next, groups) << parallelism;
    }
  }
}

TEST(KeyGroups, LargestNumbersDoNotOverflow) {
  EXPECT_EQ(KeyGroupOf(UINT64_MAX, kKeyGroupsMax).value, kKeyGroupsMax - 1);
  EXPECT_EQ(KeyGroupOf(0, kKeyGroupsMax).value, 0);
  EXPECT_EQ(KeyGroupOf(UINT64_MAX, 1).value, 0);
  EXPECT_EQ(
      GroupsOf({static_cast<uint16_t>(kKeyGroupsMax - 1)}, kKeyGroupsMax, kKeyGroupsMax).last.value,
      kKeyGroupsMax - 1);
  EXPECT_EQ(TaskOf({static_cast<uint16_t>(kKeyGroupsMax - 1)}, kKeyGroupsMax, kKeyGroupsMax).value,
            kKeyGroupsMax - 1);
}

TEST(KeyGroups, FollowTheHighBitsOfTheHash) {
  for (uint32_t groups : {1U, 7U, 128U, 32768U}) {
    for (uint32_t group = 0; group < groups; group += std::max(1U, groups / 50)) {
      // The least hash of a group by exact division.
      const auto least =
          static_cast<uint64_t>((((static_cast<Uint128>(group) << 64) + groups - 1) / groups));
      ASSERT_EQ(KeyGroupOf(least, groups).value, group);
      if (group == 0) continue;
      ASSERT_EQ(KeyGroupOf(least - 1, groups).value, group - 1);
    }
  }
}

TEST(Splits, GoToTasksByTheirFormulas) {
  EXPECT_EQ(TaskOfPartition("clicks", 0, 1).value, 0);
  for (uint32_t parallelism : {2U, 3U, 7U}) {
    for (int32_t partition = 0; partition < 20; ++partition) {
      const uint64_t expected =
          (HashKey("clicks") + static_cast<uint64_t>(partition)) % parallelism;
      ASSERT_EQ(TaskOfPartition("clicks", partition, parallelism).value, expected);
    }
    ASSERT_EQ(TaskOfSplit("file-7", parallelism).value, HashKey("file-7") % parallelism);
  }
}

TEST(DecodeKeyBytes, GivesTheValuesBack) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 100; ++round) {
    std::vector<Column> columns;
    std::vector<Type> types;
    for (int i = 0; i < 3; ++i) {
      types.push_back(AllTypes()[random() % AllTypes().size()]);
      columns.push_back(RandomColumn(types.back(), 50, 15, random));
    }
    const auto storage = EncodeKeys(columns, 50, nullptr);
    std::vector<ColumnBuilder> builders;
    builders.reserve(types.size());
    for (const Type& type : types) builders.emplace_back(type, 50);
    std::vector<ColumnBuilder*> into;
    into.reserve(builders.size());
    for (ColumnBuilder& builder : builders) into.push_back(&builder);
    for (uint32_t row = 0; row < 50; ++row)
      ASSERT_TRUE(DecodeKeyBytes(storage->bytes[row].view(), types, into));
    for (size_t i = 0; i < 3; ++i) {
      const Column decoded = builders[i].Build();
      for (uint32_t row = 0; row < 50; ++row)
        ASSERT_EQ(CompareValues(decoded, row, columns[i], row), 0) << types[i].ToString();
    }
  }
}

TEST(DecodeKeyBytes, RefusesWhatIsNoKeyAndLeavesNothingBehind) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 300; ++round) {
    std::vector<Column> columns;
    std::vector<Type> types;
    for (int i = 0; i < 2; ++i) {
      types.push_back(AllTypes()[random() % AllTypes().size()]);
      columns.push_back(RandomColumn(types.back(), 1, 10, random));
    }
    std::string bytes(EncodeKeys(columns, 1, nullptr)->bytes[0].view());
    std::vector<ColumnBuilder> builders;
    builders.reserve(types.size());
    for (const Type& type : types) builders.emplace_back(type, 1);
    const std::vector<ColumnBuilder*> into = {&builders[0], &builders[1]};
    for (size_t size = 0; size < bytes.size(); ++size) {
      if (DecodeKeyBytes(std::string_view(bytes).substr(0, size), types, into)) {
        // Cut behind a zero that was part of a text, the rest is another key.
        const std::vector<Column> other = {builders[0].Build(), builders[1].Build()};
        ASSERT_EQ(EncodeKeys(other, 1, nullptr)->bytes[0].view(),
                  std::string_view(bytes).substr(0, size));
      }
      ASSERT_EQ(builders[0].rows() + builders[1].rows(), 0U);
    }
    ASSERT_FALSE(DecodeKeyBytes(bytes + '\x02', types, into));
    bytes[0] = '\x02';
    ASSERT_FALSE(DecodeKeyBytes(bytes, types, into));
    ASSERT_EQ(builders[0].rows() + builders[1].rows(), 0U);
  }
}

TEST(DecodeKeyBytes, RefusesAnInt32OutOfRange) {
  const std::string bytes =
      KeyOf(Values<int64_t>(Type::Of(TypeKind::kInt64), {int64_t{1} << 40}), 0);
  const std::vector<Type> types = {Type::Of(TypeKind::kInt32)};
  ColumnBuilder builder(types[0], 1);
  const std::vector<ColumnBuilder*> into = {&builder};
  EXPECT_FALSE(DecodeKeyBytes(bytes, types, into));
}

TEST(SameKey, ComparesEachByteOfEachSize) {
  for (size_t size = 0; size <= 40; ++size) {
    std::string key(size, '\0');
    for (size_t i = 0; i < size; ++i) key[i] = static_cast<char>(i * 7);
    EXPECT_TRUE(SameKey(key, std::string(key))) << size;
    EXPECT_FALSE(SameKey(key, key + 'x')) << size;
    for (size_t i = 0; i < size; ++i) {
      std::string other = key;
      other[i] = static_cast<char>(other[i] ^ 0x80);
      EXPECT_FALSE(SameKey(key, other)) << size << " at " << i;
    }
  }
}

}  // namespace
}  // namespace weir
