#include "engine/base/status.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace weir {
namespace {

TEST(Status, SaysWhatHappenedAndWhetherARetryHelps) {
  const Status status(Code::kUnavailable, "broker 'b:9092' does not answer");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.fault(), Fault::kExternal);
  EXPECT_EQ(status.retry(), Retry::kBackoff);
  EXPECT_EQ(status.ToString(), "Unavailable: broker 'b:9092' does not answer");
  EXPECT_EQ(Status().ToString(), "Ok");
  EXPECT_TRUE(Status::Ok().ok());
}

TEST(Status, ContextIsAddedInFront) {
  const Status status = Status(Code::kNotFound, "no such topic").At("nodes.in").At("job");
  EXPECT_EQ(status.message(), "job: nodes.in: no such topic");
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_TRUE(Status::Ok().At("anywhere").ok());
}

TEST(Status, EveryCodeHasItsOwnName) {
  std::vector<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code)
    names.push_back(CodeName(static_cast<Code>(code)));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(CodeName(Code::kOutputChanged), "OutputChanged");
}

struct Base {
  virtual ~Base() = default;
};
struct Derived : Base {};

Result<int> Half(int n) {
  if (n % 2 != 0) return Status(Code::kInvalidArgument, "odd");
  return n / 2;
}
Result<int> Quarter(int n) {
  WEIR_ASSIGN(const int half, Half(n));
  return Half(half);
}
Status Check(int n) {
  WEIR_TRY(Half(n).status());
  return Status::Ok();
}
Result<std::unique_ptr<Base>> MakeDerived() { return std::make_unique<Derived>(); }

TEST(Result, HoldsAValueOrAStatus) {
  EXPECT_EQ(*Half(8), 4);
  EXPECT_EQ(Half(7).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
  EXPECT_TRUE(Check(2).ok());
  EXPECT_FALSE(Check(3).ok());
  EXPECT_TRUE(MakeDerived().ok());
  EXPECT_TRUE(Half(8).status().ok());
}

TEST(ResultDeath, ReadingTheWrongSideIsABug) {
  EXPECT_DEATH(Half(7).value(), "check failed");
  EXPECT_DEATH(static_cast<void>(Result<int>(Status::Ok())), "check failed");
}

TEST(CheckDeath, PrintsPlaceConditionAndBothValues) {
  const int a = 3;
  EXPECT_DEATH(WEIR_CHECK_EQ(a, 4), "status_test.cc:[0-9]+: check failed: a == 4 \\(3 vs 4\\)");
  EXPECT_DEATH(WEIR_CHECK(a > 4), "check failed: a > 4");
  WEIR_CHECK_EQ(a, 3);
}

}  // namespace
}  // namespace weir
