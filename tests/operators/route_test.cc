#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Route, SendsEachRowToTheFirstPortThatMatches) {
  OperatorCase(
      "route",
      R"json({"routes": {"broken": "c < 0 OR c > 60", "hot": "c > 30"}, "default": "normal"})json")
      .Input("c float64")
      .Rows(R"json([{"c": -1.0}, {"c": 70.0}, {"c": 31.0}, {"c": 20.0}])json")
      .Expect("broken", R"json([{"c": -1.0}, {"c": 70.0}])json")
      .Expect("hot", R"json([{"c": 31.0}])json")
      .Expect("normal", R"json([{"c": 20.0}])json")
      .ExpectOutcomes({{"passed", 4}, {"filtered", 0}})
      .Run();
}

TEST(Route, SendsRowsToAllPortsThatMatchAndCountsTheRest) {
  OperatorCase("route",
               R"json({"mode": "all", "routes": {"even": "n % 2 = 0", "big": "n > 5"}})json")
      .Input("n int64")
      .Rows(R"json([{"n": 1}, {"n": 2}, {"n": 7}, {"n": 8}])json")
      .Expect("even", R"json([{"n": 2}, {"n": 8}])json")
      .Expect("big", R"json([{"n": 7}, {"n": 8}])json")
      .ExpectOutcomes({{"passed", 3}, {"filtered", 1}})
      .Run();
}

TEST(Route, AsksALaterConditionOnlyOfRowsThatAreStillUndecided) {
  OperatorCase("route", R"json({"routes": {"zero": "n = 0", "small": "10 / n > 1"}})json")
      .Input("n int64")
      .Rows(R"json([{"n": 0}, {"n": 3}, {"n": 0}, {"n": 50}])json")
      .Expect("zero", R"json([{"n": 0}, {"n": 0}])json")
      .Expect("small", R"json([{"n": 3}])json")
      .ExpectOutcomes({{"passed", 3}, {"filtered", 1}})
      .Run();
}

TEST(Route, GivesARowWhoseConditionFailsToTheErrorsAlone) {
  OperatorCase("route",
               R"json({"mode": "all", "routes": {"any": "n >= 0", "small": "10 / n > 1"}})json")
      .Input("n int64")
      .Rows(R"json([{"n": 0}, {"n": 3}])json")
      .Expect("any", R"json([{"n": 3}])json")
      .Expect("small", R"json([{"n": 3}])json")
      .ExpectErrors({{"expression.division_by_zero", 1}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
