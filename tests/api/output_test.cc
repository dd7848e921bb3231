#include "engine/api/output.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace weir {
namespace {

constexpr Port kUnread{1};
constexpr Port kMissing{2};

SchemaRef Numbers() {
  static const SchemaRef kSchema =
      std::make_shared<const Schema>(std::vector<Field>{{"n", Type::Of(TypeKind::kInt64), false}});
  return kSchema;
}

Batch BatchOfRows(int64_t rows) {
  RowBuilder builder(Numbers());
  for (int64_t row = 0; row < rows; ++row) {
    builder.column(size_t{0}).Append<int64_t>(row);
    builder.FinishRow();
  }
  return builder.Build();
}

/// Main, a port that nobody reads, and one that does not exist.
Output ThreePorts() {
  std::vector<Output::PortSlot> ports(3);
  ports[kMain.value].schema = Numbers();
  ports[kUnread.value].schema = Numbers();
  ports[kUnread.value].wanted = false;
  return Output(std::move(ports));
}

TEST(Output, GivesBackTheEmittedBatchOnce) {
  Output out = ThreePorts();
  EXPECT_FALSE(out.HasOutput(kMain));
  out.Emit(kMain, BatchOfRows(0));
  EXPECT_FALSE(out.HasOutput(kMain)) << "empty batches are ignored";
  out.Emit(kMain, BatchOfRows(3));
  EXPECT_TRUE(out.HasOutput(kMain));
  EXPECT_EQ(out.Take(kMain).rows(), 3U);
  EXPECT_FALSE(out.HasOutput(kMain));
  out.Emit(kMain, BatchOfRows(1));
  EXPECT_EQ(out.Take(kMain).rows(), 1U) << "the slot is free again";
}

TEST(Output, BuildsRowsUpToTheLimitsOfTheEdge) {
  Output out = ThreePorts();
  out.SetLimits(kMain, /*rows_max=*/2, /*bytes_max=*/1 << 20);
  RowBuilder& rows = out.Rows(kMain);
  for (int64_t row = 0; row < 2; ++row) {
    EXPECT_FALSE(rows.full());
    rows.column(size_t{0}).Append<int64_t>(row);
    rows.FinishRow();
  }
  EXPECT_TRUE(rows.full());
  EXPECT_EQ(out.Take(kMain).rows(), 2U);
  EXPECT_TRUE(out.Rows(kMain).empty());
}

TEST(Output, KnowsWhichPortsAreRead) {
  Output out = ThreePorts();
  EXPECT_TRUE(out.wanted(kMain));
  EXPECT_FALSE(out.wanted(kUnread));
  EXPECT_FALSE(out.wanted(kMissing));
  out.SetWanted(kUnread, true);
  EXPECT_TRUE(out.wanted(kUnread));
}

TEST(Output, AddsUpOutcomes) {
  Output out = ThreePorts();
  out.Count(Outcome::kBuffered, 5);
  out.Count(Outcome::kBuffered, -2);
  out.Count(Outcome::kPassed, 1);
  EXPECT_EQ(out.outcomes()[static_cast<size_t>(Outcome::kBuffered)], 3);
  EXPECT_EQ(out.outcomes()[static_cast<size_t>(Outcome::kPassed)], 1);
}

TEST(Outcome, HasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kOutcomes; ++i) names.insert(OutcomeName(static_cast<Outcome>(i)));
  EXPECT_EQ(names.size(), kOutcomes);
  EXPECT_EQ(OutcomeName(Outcome::kLateSide), "late_side");
}

TEST(OutputDeathTest, RefusesASecondBatchInOneCall) {
  Output out = ThreePorts();
  out.Emit(kMain, BatchOfRows(1));
  EXPECT_DEATH(out.Emit(kMain, BatchOfRows(1)), "check failed");
  EXPECT_DEATH(out.Rows(kMissing), "check failed");
}

}  // namespace
}  // namespace weir
