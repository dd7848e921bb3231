#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Project, ComputesTheListedColumnsAndKeepsMetadata) {
  OperatorCase("project", R"({"fields": {"twice": "n * 2", "name": "upper(name)"}})")
      .Input("n int64, name string?, _event_time timestamp")
      .Rows(R"([{"n": 1, "name": "a", "_event_time": 5}, {"n": 2, "name": null, "_event_time": 6}])")
      .Expect("", R"([{"twice": 2, "name": "A", "_event_time": 5}, {"twice": 4, "name": null, "_event_time": 6}])")
      .ExpectOutcomes({{"passed", 2}})
      .Run();
}

TEST(Project, KeepsAllColumnsButTheDroppedOnes) {
  OperatorCase("project", R"({"keep": "all", "drop": ["b"], "fields": {"a": "a + 1", "c": "b"}})")
      .Input("a int64, b string, d bool")
      .Rows(R"([{"a": 1, "b": "x", "d": true}])")
      .Expect("", R"([{"a": 2, "d": true, "c": "x"}])")
      .Run();
}

TEST(Project, GivesUpRowsThatCannotBeComputedAndNoOthers) {
  OperatorCase("project", R"({"fields": {"q": "100 / n", "n": "n"}})")
      .Input("n int64")
      .Rows(R"([{"n": 1}, {"n": 0}, {"n": 4}])")
      .Expect("", R"([{"q": 100, "n": 1}, {"q": 25, "n": 4}])")
      .ExpectErrors({{"expression.division_by_zero", 1}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
