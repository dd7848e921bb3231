#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Route, SendsEachRowToTheFirstPortThatMatches) {
  OperatorCase("route", R"({"routes": {"broken": "c < 0 OR c > 60", "hot": "c > 30"}, "default": "normal"})")
      .Input("c float64")
      .Rows(R"([{"c": -1.0}, {"c": 70.0}, {"c": 31.0}, {"c": 20.0}])")
      .Expect("broken", R"([{"c": -1.0}, {"c": 70.0}])")
      .Expect("hot", R"([{"c": 31.0}])")
      .Expect("normal", R"([{"c": 20.0}])")
      .ExpectOutcomes({{"passed", 4}, {"filtered", 0}})
      .Run();
}

TEST(Route, SendsRowsToAllPortsThatMatchAndCountsTheRest) {
  OperatorCase("route", R"({"mode": "all", "routes": {"even": "n % 2 = 0", "big": "n > 5"}})")
      .Input("n int64")
      .Rows(R"([{"n": 1}, {"n": 2}, {"n": 7}, {"n": 8}])")
      .Expect("even", R"([{"n": 2}, {"n": 8}])")
      .Expect("big", R"([{"n": 7}, {"n": 8}])")
      .ExpectOutcomes({{"passed", 3}, {"filtered", 1}})
      .Run();
}

TEST(Route, AsksALaterConditionOnlyOfRowsThatAreStillUndecided) {
  OperatorCase("route", R"({"routes": {"zero": "n = 0", "small": "10 / n > 1"}})")
      .Input("n int64")
      .Rows(R"([{"n": 0}, {"n": 3}, {"n": 0}, {"n": 50}])")
      .Expect("zero", R"([{"n": 0}, {"n": 0}])")
      .Expect("small", R"([{"n": 3}])")
      .ExpectOutcomes({{"passed", 3}, {"filtered", 1}})
      .Run();
}

TEST(Route, GivesARowWhoseConditionFailsToTheErrorsAlone) {
  OperatorCase("route", R"({"mode": "all", "routes": {"any": "n >= 0", "small": "10 / n > 1"}})")
      .Input("n int64")
      .Rows(R"([{"n": 0}, {"n": 3}])")
      .Expect("any", R"([{"n": 3}])")
      .Expect("small", R"([{"n": 3}])")
      .ExpectErrors({{"expression.division_by_zero", 1}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
