#include "engine/data/batch.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/data/rows.h"

namespace weir {
namespace {

const Type kInt64 = Type::Of(TypeKind::kInt64);
const Type kString = Type::Of(TypeKind::kString);

std::vector<std::string> Pick(const std::vector<std::string>& rows,
                              std::span<const uint32_t> picked) {
  std::vector<std::string> result;
  for (const uint32_t row : picked) result.push_back(rows[row]);
  return result;
}

Selection RandomSelection(uint32_t rows, uint64_t percent, std::mt19937_64& random) {
  std::vector<uint32_t> selected;
  for (uint32_t row = 0; row < rows; ++row) {
    if (random() % 100 < percent) selected.push_back(row);
  }
  return Selection(std::move(selected));
}

TEST(Batch, SlicesShowTheirRowsWithValidityAtAnyOffset) {
  std::mt19937_64 random(1);
  const Batch batch = RandomBatch(300, 40, random);
  const std::vector<std::string> rows = RowsOf(batch);
  for (const uint32_t first : {0U, 1U, 63U, 64U, 65U, 127U, 128U, 299U, 300U}) {
    for (const uint32_t count : {0U, 1U, 2U, 64U, 65U, 150U}) {
      if (first + count > 300) continue;
      const Batch slice = batch.Slice(first, count);
      ASSERT_EQ(RowsOf(slice),
                std::vector<std::string>(rows.begin() + first, rows.begin() + first + count));
      if (count < 2) continue;
      ASSERT_EQ(RowsOf(slice.Slice(1, count - 1)),
                std::vector<std::string>(rows.begin() + first + 1, rows.begin() + first + count));
    }
  }
}

TEST(Batch, SlicesTakesAndConcatsTogetherKeepTheRows) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const auto count = static_cast<uint32_t>(1 + random() % 200);
    const int null_percent = static_cast<int>(random() % 3) * 30;
    Batch batch = RandomBatch(count, null_percent, random);
    std::vector<std::string> rows = RowsOf(batch);
    for (int step = 0; step < 4 && batch.rows() > 0; ++step) {
      switch (random() % 3) {
        case 0: {
          const auto first = static_cast<uint32_t>(random() % batch.rows());
          const auto some = static_cast<uint32_t>(random() % (batch.rows() - first + 1));
          batch = batch.Slice(first, some);
          rows = std::vector<std::string>(rows.begin() + first, rows.begin() + first + some);
          break;
        }
        case 1: {
          const Selection selection = RandomSelection(batch.rows(), random() % 101, random);
          batch = batch.Take(selection);
          rows = Pick(rows, selection.rows());
          break;
        }
        default: {
          const auto cut = static_cast<uint32_t>(random() % (batch.rows() + 1));
          const Batch more =
              RandomBatch(static_cast<uint32_t>(random() % 70), null_percent, random);
          const std::vector<Batch> parts = {batch.Slice(cut, batch.rows() - cut), more,
                                            batch.Slice(0, cut)};
          std::vector<std::string> joined(rows.begin() + cut, rows.end());
          for (const std::string& row : RowsOf(more)) joined.push_back(row);
          joined.insert(joined.end(), rows.begin(), rows.begin() + cut);
          batch = Concat(parts);
          rows = std::move(joined);
        }
      }
      ASSERT_EQ(RowsOf(batch), rows) << "round " << round << ", step " << step;
    }
  }
}

TEST(Batch, TakingAllRowsCopiesNothing) {
  std::mt19937_64 random(3);
  const Batch batch = RandomBatch(10, 20, random);
  const Batch all = batch.Take(Selection::All(10));
  EXPECT_EQ(all.column(ColumnIndex{1}).values_buffer(),
            batch.column(ColumnIndex{1}).values_buffer());
  EXPECT_EQ(batch.Take(Selection()).rows(), 0U);
}

TEST(Batch, OutlivesWhatItWasTakenFrom) {
  Batch kept;
  {
    ColumnBuilder builder(kString, 100);
    for (int i = 0; i < 100; ++i)
      builder.AppendString("a string longer than twelve bytes " + std::to_string(i));
    const Batch whole = BatchOf({{"s", kString, false}}, {builder.Build()});
    kept = whole.Slice(10, 80).Take(Selection({3, 7}));
  }
  EXPECT_EQ(RowsOf(kept),
            (std::vector<std::string>{"{s: 'a string longer than twelve bytes 13'}",
                                      "{s: 'a string longer than twelve bytes 17'}"}));
}

TEST(Batch, TakeCopiesLongStringsOnlyWhenMostOfTheArenaWouldBeWaste) {
  ColumnBuilder builder(kString, 100);
  for (int i = 0; i < 100; ++i) builder.AppendString(std::string(1000, 'x'));
  const Batch batch = BatchOf({{"s", kString, false}}, {builder.Build()});
  std::vector<uint32_t> most;
  for (uint32_t row = 0; row < 90; ++row) most.push_back(row);
  const Batch shared = batch.Take(Selection(most));
  const Batch copied = batch.Take(Selection({5, 6}));
  EXPECT_EQ(shared.column(ColumnIndex{0}).arenas(), batch.column(ColumnIndex{0}).arenas());
  EXPECT_EQ(copied.bytes(), 2 * 16U + 2000U);
  EXPECT_GE(batch.bytes(), 100 * 16U + 100'000U);
  const Batch none = batch.Take(Selection());
  EXPECT_EQ(none.bytes(), 0U);
}

TEST(Batch, BytesCountTheShareOfASliceAndSharedArenasOnce) {
  ColumnBuilder builder(kString, 4);
  for (int i = 0; i < 4; ++i) builder.AppendString(std::string(500, 'x'));
  const Column column = builder.Build();
  size_t arena_bytes = 0;
  for (const BufferRef& arena : *column.arenas()) arena_bytes += arena->size();
  const Batch batch = BatchOf({{"a", kString, false}, {"b", kString, false}}, {column, column});
  EXPECT_EQ(batch.bytes(), 4 * 32 + arena_bytes);
  EXPECT_EQ(batch.Slice(0, 1).bytes(), 32 + arena_bytes);
  EXPECT_EQ(Batch().bytes(), 0U);
}

TEST(Batch, RenamingSharesTheColumns) {
  const Batch batch = BatchOf({{"a", kInt64, false}}, {Values<int64_t>(kInt64, {4, 5})});
  const Batch renamed = batch.Slice(1, 1).WithSchema(
      std::make_shared<const Schema>(std::vector<Field>{{"b", kInt64, true}}));
  EXPECT_EQ(renamed.RowToString(0), "{b: 5}");
  EXPECT_EQ(batch.RowToString(0), "{a: 4}");
}

TEST(Batch, KeysAreSlicedAlongButNotTakenAlong) {
  const Batch plain = BatchOf({{"a", kInt64, false}}, {Values<int64_t>(kInt64, {4, 5, 6})});
  auto keys = std::make_shared<KeyStorage>();
  keys->hash = {40, 50, 60};
  keys->bytes = {Utf8View("k4"), Utf8View("k5"), Utf8View("k6")};
  keys->time = {EventTime{1}, EventTime{2}, EventTime{3}};
  keys->valid_words = {0b101};
  const Batch batch = plain.WithKeys(keys);
  ASSERT_TRUE(batch.has_keys());
  const Batch slice = batch.Slice(1, 2).Slice(0, 2);
  EXPECT_EQ(slice.keys().rows(), 2U);
  EXPECT_EQ(slice.keys().hash[0], 50U);
  EXPECT_EQ(slice.keys().bytes[1].view(), "k6");
  EXPECT_EQ(slice.keys().time[0], EventTime{2});
  EXPECT_FALSE(slice.keys().valid[0]);
  EXPECT_TRUE(slice.keys().valid[1]);
  EXPECT_FALSE(batch.Take(Selection({0})).has_keys());
  EXPECT_FALSE(batch.Take(Selection::All(3)).has_keys());
  EXPECT_FALSE(Concat(std::vector<Batch>{batch}).has_keys());
  EXPECT_FALSE(plain.has_keys());
}

TEST(Batch, PrintsAValueOfEachKind) {
  const Column numbers = Values<double>(Type::Of(TypeKind::kFloat64), {1.5, 1e300, -0.0});
  EXPECT_EQ(ValueToString(numbers, 0), "1.5");
  EXPECT_EQ(ValueToString(numbers, 1), "1e+300");
  EXPECT_EQ(ValueToString(numbers, 2), "-0");
  EXPECT_EQ(ValueToString(Values<float>(Type::Of(TypeKind::kFloat32), {0.1F}), 0), "0.1");
  EXPECT_EQ(ValueToString(Values<uint8_t>(Type::Of(TypeKind::kBool), {1}), 0), "true");
  EXPECT_EQ(ValueToString(Values<int32_t>(Type::Of(TypeKind::kDate), {1}), 0), "1970-01-02");
  EXPECT_EQ(ValueToString(Values<int64_t>(Type::Of(TypeKind::kTimestamp), {0}), 0),
            "1970-01-01T00:00:00Z");
  EXPECT_EQ(ValueToString(Values<int64_t>(Type::Of(TypeKind::kDuration), {1'000'000}), 0), "PT1S");
  EXPECT_EQ(ValueToString(Values<Int128>(Type::Decimal(5, 2), {-150}), 0), "-1.50");
  EXPECT_EQ(ValueToString(Strings({"a\nb", std::nullopt}), 0), "'a\\nb'");
  EXPECT_EQ(ValueToString(Strings({"a\nb", std::nullopt}), 1), "NULL");
}

TEST(BatchDeath, BrokenPreconditionsEndTheProcess) {
  const Batch batch = BatchOf({{"a", kInt64, false}}, {Values<int64_t>(kInt64, {4, 5})});
  EXPECT_DEATH(batch.Slice(1, 2), "check failed");
  EXPECT_DEATH(batch.Slice(UINT32_MAX, 2), "check failed");
  EXPECT_DEATH(batch.Take(Selection({2})), "check failed");
  EXPECT_DEATH(Batch::Make(batch.schema_ref(), 3, {batch.column(ColumnIndex{0})}), "check failed");
  EXPECT_DEATH(Batch::Make(batch.schema_ref(), 1, {Strings({"x"})}), "check failed");
  EXPECT_DEATH(Batch::Make(batch.schema_ref(), 0, {}), "check failed");
}

/// A changelog with ops and, as values, their row numbers.
Batch Changes(const std::vector<int32_t>& ops) {
  std::vector<int64_t> numbers(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) numbers[i] = static_cast<int64_t>(i);
  const Type op = Type::Of(TypeKind::kInt32);
  return BatchOf({{"n", kInt64, false}, {std::string(kOpColumn), op, false}},
                 {Values<int64_t>(kInt64, numbers), Values<int32_t>(op, ops)});
}

TEST(TakeChanges, HalvesOfAnUpdateBecomeDeleteAndInsert) {
  const Batch batch = Changes({0, 1, 2, 1, 2, 3, 1, 2});
  const auto ops_of = [](const Batch& taken) {
    const auto ops = taken.Values<int32_t>(ColumnIndex{1});
    return std::vector<int32_t>(ops.begin(), ops.end());
  };
  EXPECT_EQ(ops_of(TakeChanges(batch, Selection({0, 1, 2, 5}))),
            (std::vector<int32_t>{0, 1, 2, 3}));  // a whole pair stays
  EXPECT_EQ(ops_of(TakeChanges(batch, Selection({1, 4, 5}))),
            (std::vector<int32_t>{3, 0, 3}));  // halves of two pairs
  EXPECT_EQ(ops_of(TakeChanges(batch, Selection({2, 3}))),
            (std::vector<int32_t>{0, 3}));  // after and before side by side are no pair
  EXPECT_EQ(ops_of(TakeChanges(batch, Selection({1, 3, 4, 7}))),
            (std::vector<int32_t>{3, 1, 2, 0}));
  EXPECT_EQ(ops_of(TakeChanges(batch, Selection::All(8))),
            (std::vector<int32_t>{0, 1, 2, 1, 2, 3, 1, 2}));
  EXPECT_EQ(ops_of(TakeChanges(batch.Slice(2, 2), Selection::All(2))),
            (std::vector<int32_t>{0, 3}));  // the borders cut two pairs
  EXPECT_EQ(TakeChanges(batch, Selection({1, 4})).Values<int64_t>(ColumnIndex{0})[1], 4);
  EXPECT_EQ(ops_of(batch),
            (std::vector<int32_t>{0, 1, 2, 1, 2, 3, 1, 2}));  // the source is as it was
}

TEST(TakeChanges, APairCutByTheBatchIsTwoHalves) {
  const Batch batch = Changes({2, 0, 1});
  const Batch taken = TakeChanges(batch, Selection({0, 2}));
  EXPECT_EQ(taken.Values<int32_t>(ColumnIndex{1})[0], static_cast<int32_t>(Op::kInsert));
  EXPECT_EQ(taken.Values<int32_t>(ColumnIndex{1})[1], static_cast<int32_t>(Op::kDelete));
}

TEST(TakeChanges, ReplayOfTheResultEqualsReplayOfTheChosenValues) {
  // A table of rows by key under a changelog; the filter keeps even values. Applying the filtered
  // changelog must give the filtered table.
  std::mt19937_64 random(4);
  for (int round = 0; round < 200; ++round) {
    std::map<int64_t, int64_t> table;
    std::vector<int64_t> keys;
    std::vector<int64_t> values;
    std::vector<int32_t> ops;
    const auto put = [&](int64_t key, int64_t value, Op op) {
      keys.push_back(key);
      values.push_back(value);
      ops.push_back(static_cast<int32_t>(op));
    };
    for (int i = 0; i < 60; ++i) {
      const auto key = static_cast<int64_t>(random() % 5);
      const auto value = static_cast<int64_t>(random() % 4);
      const auto found = table.find(key);
      if (found == table.end()) {
        put(key, value, Op::kInsert);
        table[key] = value;
      } else if (random() % 4 == 0) {
        put(key, found->second, Op::kDelete);
        table.erase(found);
      } else {
        put(key, found->second, Op::kUpdateBefore);
        put(key, value, Op::kUpdateAfter);
        found->second = value;
      }
    }
    const Type op = Type::Of(TypeKind::kInt32);
    const Batch whole = BatchOf(
        {{"k", kInt64, false}, {"v", kInt64, false}, {std::string(kOpColumn), op, false}},
        {Values<int64_t>(kInt64, keys), Values<int64_t>(kInt64, values), Values<int32_t>(op, ops)});
    std::map<int64_t, int64_t> replayed;
    uint32_t done = 0;
    while (done < whole.rows()) {  // in batches cut anywhere
      const auto count = std::min(whole.rows() - done, static_cast<uint32_t>(1 + random() % 7));
      const Batch batch = whole.Slice(done, count);
      std::vector<uint32_t> even;
      for (uint32_t row = 0; row < count; ++row) {
        if (batch.Values<int64_t>(ColumnIndex{1})[row] % 2 == 0) even.push_back(row);
      }
      const Batch taken = TakeChanges(batch, Selection(even));
      for (uint32_t row = 0; row < taken.rows(); ++row) {
        const int64_t key = taken.Values<int64_t>(ColumnIndex{0})[row];
        const int64_t value = taken.Values<int64_t>(ColumnIndex{1})[row];
        switch (static_cast<Op>(taken.Values<int32_t>(ColumnIndex{2})[row])) {
          case Op::kInsert:
            ASSERT_TRUE(replayed.emplace(key, value).second);
            break;
          case Op::kUpdateAfter:
            ASSERT_EQ(replayed.count(key), 1U);
            replayed[key] = value;
            break;
          case Op::kUpdateBefore:
            ASSERT_EQ(replayed.at(key), value);
            break;
          case Op::kDelete:
            ASSERT_EQ(replayed.erase(key), 1U);
            break;
        }
      }
      done += count;
    }
    std::map<int64_t, int64_t> expected;
    for (const auto& [key, value] : table) {
      if (value % 2 == 0) expected[key] = value;
    }
    ASSERT_EQ(replayed, expected) << "round " << round;
  }
}

}  // namespace
}  // namespace weir
