#include "engine/base/check.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

struct NotPrintable {
  int value = 0;
  friend bool operator==(const NotPrintable&, const NotPrintable&) = default;
};

TEST(Check, PassesWithoutEffect) {
  int evaluated = 0;
  WEIR_CHECK(++evaluated == 1);
  WEIR_CHECK_LT(evaluated, 2);
  EXPECT_EQ(evaluated, 1) << "a condition is evaluated once";
}

TEST(CheckDeathTest, EndsTheProcessWithPlaceAndCondition) {
  EXPECT_DEATH(WEIR_CHECK(1 + 1 == 3), "check_test\\.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
}

TEST(CheckDeathTest, PrintsBothValuesOfAComparison) {
  const int queued = 7;
  EXPECT_DEATH(WEIR_CHECK_LE(queued, 5), "queued <= 5 \\(7 vs 5\\)");
  EXPECT_DEATH(WEIR_CHECK_EQ(NotPrintable{1}, NotPrintable{2}), "check failed");
}

}  // namespace
}  // namespace weir
