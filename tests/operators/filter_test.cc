#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Filter, KeepsRowsForWhichTheConditionIsTrue) {
  OperatorCase("filter", R"({"where": "n > 1"})")
      .Input("n int64?, name string")
      .Rows(R"([{"n": 1, "name": "a"}, {"n": 2, "name": "a name that is longer than twelve bytes"}, {"n": null, "name": "c"}, {"n": 3, "name": ""}])")
      .Expect("", R"([{"n": 2, "name": "a name that is longer than twelve bytes"}, {"n": 3, "name": ""}])")
      .ExpectOutcomes({{"passed", 2}, {"filtered", 2}})
      .Run();
}

TEST(Filter, SendsRowsThatCannotBeComputedToTheErrors) {
  OperatorCase("filter", R"({"where": "10 / n > 1"})")
      .Input("n int64")
      .Rows(R"([{"n": 0}, {"n": 5}, {"n": 100}, {"n": 0}])")
      .Expect("", R"([{"n": 5}])")
      .ExpectErrors({{"expression.division_by_zero", 2}})
      .ExpectOutcomes({{"passed", 1}, {"filtered", 1}, {"error", 2}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
