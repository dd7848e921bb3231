#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Project, ComputesTheListedColumnsAndKeepsMetadata) {
  OperatorCase("project", R"json({"fields": {"twice": "n * 2", "name": "upper(name)"}})json")
      .Input("n int64, name string?, _event_time timestamp")
      .Rows(
          R"json([{"n": 1, "name": "a", "_event_time": 5}, {"n": 2, "name": null, "_event_time": 6}])json")
      .Expect(
          "",
          R"json([{"twice": 2, "name": "A", "_event_time": 5}, {"twice": 4, "name": null, "_event_time": 6}])json")
      .ExpectOutcomes({{"passed", 2}})
      .Run();
}

TEST(Project, KeepsAllColumnsButTheDroppedOnes) {
  OperatorCase("project",
               R"json({"keep": "all", "drop": ["b"], "fields": {"a": "a + 1", "c": "b"}})json")
      .Input("a int64, b string, d bool")
      .Rows(R"json([{"a": 1, "b": "x", "d": true}])json")
      .Expect("", R"json([{"a": 2, "d": true, "c": "x"}])json")
      .Run();
}

TEST(Project, GivesUpRowsThatCannotBeComputedAndNoOthers) {
  OperatorCase("project", R"json({"fields": {"q": "100 / n", "n": "n"}})json")
      .Input("n int64")
      .Rows(R"json([{"n": 1}, {"n": 0}, {"n": 4}])json")
      .Expect("", R"json([{"q": 100, "n": 1}, {"q": 25, "n": 4}])json")
      .ExpectErrors({{"expression.division_by_zero", 1}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
