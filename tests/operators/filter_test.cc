#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Filter, KeepsRowsForWhichTheConditionIsTrue) {
  OperatorCase("filter", R"json({"where": "n > 1"})json")
      .Input("n int64?, name string")
      .Rows(
          R"json([{"n": 1, "name": "a"}, {"n": 2, "name": "a name that is longer than twelve bytes"}, {"n": null, "name": "c"}, {"n": 3, "name": ""}])json")
      .Expect(
          "",
          R"json([{"n": 2, "name": "a name that is longer than twelve bytes"}, {"n": 3, "name": ""}])json")
      .ExpectOutcomes({{"passed", 2}, {"filtered", 2}})
      .Run();
}

TEST(Filter, SendsRowsThatCannotBeComputedToTheErrors) {
  OperatorCase("filter", R"json({"where": "10 / n > 1"})json")
      .Input("n int64")
      .Rows(R"json([{"n": 0}, {"n": 5}, {"n": 100}, {"n": 0}])json")
      .Expect("", R"json([{"n": 5}])json")
      .ExpectErrors({{"expression.division_by_zero", 2}})
      .ExpectOutcomes({{"passed", 1}, {"filtered", 1}, {"error", 2}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
