#include "engine/data/row_builder.h"

#include <gtest/gtest.h>

#include "tests/data/rows.h"

namespace weir {
namespace {

const Type kInt64 = Type::Of(TypeKind::kInt64);
const Type kString = Type::Of(TypeKind::kString);

SchemaRef NumberAndText() {
  return std::make_shared<const Schema>(
      std::vector<Field>{{"n", kInt64, true}, {"s", kString, true}});
}

TEST(RowBuilder, BuildsBatchesOneAfterTheOther) {
  RowBuilder builder(NumberAndText(), 4);
  for (int batch = 0; batch < 3; ++batch) {
    for (int row = 0; row < 1000; ++row) {
      builder.column(size_t{0}).Append<int64_t>(row);
      if (row % 7 == batch) {
        builder.column(size_t{1}).AppendNull();
      } else {
        builder.column(size_t{1}).AppendString(std::string(static_cast<size_t>(row % 40), 'x'));
      }
      builder.FinishRow();
    }
    EXPECT_EQ(builder.rows(), 1000U);
    const Batch built = builder.Build();
    EXPECT_TRUE(builder.empty());
    EXPECT_EQ(builder.bytes(), 0U);
    ASSERT_EQ(built.rows(), 1000U);
    for (uint32_t row = 0; row < 1000; ++row) {
      ASSERT_EQ(built.Values<int64_t>(ColumnIndex{0})[row], row);
      ASSERT_EQ(built.Valid(ColumnIndex{1})[row], static_cast<int>(row % 7) != batch);
      if (static_cast<int>(row % 7) == batch) continue;
      ASSERT_EQ(built.Values<Utf8View>(ColumnIndex{1})[row].view(), std::string(row % 40, 'x'));
    }
  }
}

TEST(RowBuilder, EarlierBatchesAreUntouchedByLaterOnes) {
  RowBuilder builder(NumberAndText(), 8);
  std::vector<Batch> batches;
  for (int batch = 0; batch < 50; ++batch) {
    const int rows = 1 + batch * 13 % 30;
    for (int row = 0; row < rows; ++row) {
      builder.column(size_t{0}).Append<int64_t>(batch);
      builder.column(size_t{1}).AppendString("a rather long string of batch " +
                                             std::to_string(batch));
      builder.FinishRow();
    }
    batches.push_back(builder.Build());
  }
  for (int batch = 0; batch < 50; ++batch) {
    for (const std::string& row : RowsOf(batches[static_cast<size_t>(batch)])) {
      EXPECT_EQ(row, "{n: " + std::to_string(batch) + ", s: 'a rather long string of batch " +
                         std::to_string(batch) + "'}");
    }
  }
}

TEST(RowBuilder, CancelTakesAnUnfinishedRowBack) {
  RowBuilder builder(NumberAndText(), 4);
  builder.column(size_t{0}).Append<int64_t>(1);
  builder.column(size_t{1}).AppendString("kept");
  builder.FinishRow();
  builder.column(size_t{0}).AppendNull();
  builder.CancelRow();
  builder.column(size_t{0}).AppendNull();
  builder.column(size_t{1}).AppendString("dropped");
  builder.CancelRow();
  builder.CancelRow();
  builder.column(size_t{0}).AppendNull();
  builder.column(size_t{1}).AppendNull();
  builder.FinishRow();
  builder.column(size_t{0}).Append<int64_t>(3);
  builder.column(size_t{1}).AppendString("also kept");
  builder.FinishRow();
  EXPECT_EQ(RowsOf(builder.Build()),
            (std::vector<std::string>{"{n: 1, s: 'kept'}", "{n: NULL, s: NULL}",
                                      "{n: 3, s: 'also kept'}"}));
}

TEST(RowBuilder, ValidityOfTruncatedRowsIsForgotten) {
  ColumnBuilder builder(kInt64, 64);
  for (int i = 0; i < 200; ++i) builder.Append<int64_t>(i);
  builder.AppendNull();
  builder.Append<int64_t>(201);
  builder.Truncate(100);
  builder.AppendNull();
  for (int i = 0; i < 130; ++i) builder.AppendNull();
  const Column column = builder.Build();
  for (uint32_t row = 0; row < column.rows(); ++row)
    ASSERT_EQ(column.Valid()[row], row < 100) << row;
}

TEST(RowBuilder, IsFullByRowsOrByBytes) {
  RowBuilder builder(NumberAndText(), 3, 1000);
  const auto add = [&](size_t bytes) {
    builder.column(size_t{0}).Append<int64_t>(1);
    builder.column(size_t{1}).AppendString(std::string(bytes, 'x'));
    builder.FinishRow();
  };
  add(1);
  add(1);
  EXPECT_FALSE(builder.full());
  add(1);
  EXPECT_TRUE(builder.full());
  EXPECT_EQ(builder.Build().rows(), 3U);
  EXPECT_FALSE(builder.full());
  add(5000);  // passes the limit alone and is kept
  EXPECT_TRUE(builder.full());
  EXPECT_EQ(builder.Build().Values<Utf8View>(ColumnIndex{1})[0].size(), 5000U);
  builder.SetLimits(100, 100);
  add(20);
  EXPECT_FALSE(builder.full());
  EXPECT_EQ(builder.bytes(), 44U);
  add(40);
  EXPECT_TRUE(builder.full());
}

TEST(RowBuilder, ColumnsMayBeFilledOneByOne) {
  RowBuilder builder(NumberAndText(), 16);
  for (int i = 0; i < 5; ++i) builder.column(size_t{0}).Append<int64_t>(i);
  for (int i = 0; i < 5; ++i) builder.column(size_t{1}).AppendString("s");
  builder.FinishRows(5);
  EXPECT_EQ(builder.Build().rows(), 5U);
}

TEST(RowBuilder, ReservedStringsAreTakenWithoutACopy) {
  ColumnBuilder builder(kString, 16);
  for (const size_t used :
       {size_t{0}, size_t{3}, size_t{12}, size_t{13}, size_t{500}, size_t{70'000}}) {
    char* const room = builder.ReserveString(80'000);
    std::fill(room, room + used, 'y');
    builder.AppendStored(room, used);
  }
  char* const given_up = builder.ReserveString(10);
  given_up[0] = 'z';
  builder.AppendString("a string after a room that was given up");
  const Column column = builder.Build();
  EXPECT_EQ(column.Values<Utf8View>()[0].view(), "");
  EXPECT_EQ(column.Values<Utf8View>()[2].view(), std::string(12, 'y'));
  EXPECT_EQ(column.Values<Utf8View>()[3].view(), std::string(13, 'y'));
  EXPECT_EQ(column.Values<Utf8View>()[5].view(), std::string(70'000, 'y'));
  EXPECT_EQ(column.Values<Utf8View>()[6].view(), "a string after a room that was given up");
}

TEST(ColumnBuilder, BuildsWithoutRowsAfterAReservedStringWasGivenUp) {
  ColumnBuilder builder(Type::Of(TypeKind::kString), 10);
  ASSERT_NE(builder.ReserveString(100), nullptr);
  EXPECT_EQ(builder.Build().rows(), 0U);
}

TEST(RowBuilder, SmallBatchesHoldLittleMemory) {
  RowBuilder builder(NumberAndText(), kBatchRowsMax);
  for (int batch = 0; batch < 3; ++batch) {
    builder.column(size_t{0}).Append<int64_t>(1);
    builder.column(size_t{1}).AppendString("a string of twenty-six letters");
    builder.FinishRow();
    EXPECT_LE(builder.Build().bytes(), 100U);
  }
}

TEST(RowBuilder, ArenasFollowWhatBatchesNeed) {
  RowBuilder builder(NumberAndText(), 4096);
  for (int batch = 0; batch < 4; ++batch) {
    size_t used = 0;
    for (int row = 0; row < 1000; ++row) {
      const std::string text(static_cast<size_t>(20 + row % 60), 'x');
      builder.column(size_t{0}).Append<int64_t>(1);
      builder.column(size_t{1}).AppendString(text);
      builder.FinishRow();
      used += text.size();
    }
    const Batch built = builder.Build();
    EXPECT_LE(built.bytes(), 1000 * 24 + 3 * used) << "batch " << batch;
    EXPECT_LE(built.column(ColumnIndex{1}).arenas()->size(), 8U);
  }
}

TEST(ColumnBuilder, CopiesValuesOfEveryKindFromColumns) {
  std::mt19937_64 random(1);
  for (const Type& type : AllTypes()) {
    const Column from = RandomColumn(type, 100, 20, random).Slice(7, 90);
    ColumnBuilder builder(type, 10);
    for (uint32_t row = 0; row < from.rows(); ++row)
      builder.AppendFrom(from, from.rows() - 1 - row);
    const Column to = builder.Build();
    for (uint32_t row = 0; row < from.rows(); ++row)
      ASSERT_EQ(ValueToString(to, row), ValueToString(from, from.rows() - 1 - row))
          << type.ToString();
  }
}

TEST(ColumnBuilder, BuildsAnEmptyColumn) {
  ColumnBuilder builder(kString, 0);
  const Column column = builder.Build();
  EXPECT_EQ(column.rows(), 0U);
  EXPECT_TRUE(column.Values<Utf8View>().empty());
}

}  // namespace
}  // namespace weir
