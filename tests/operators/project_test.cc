#include <gtest/gtest.h>

#include <string>

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

TEST(Project, MakesNoRowOfMoreThanFourTimesTheLargestRecord) {
  // Five texts of 840,000 bytes pass 4 MiB, of 838,000 they do not. The column that is carried five
  // times lies in memory once, but a reader gets it five times.
  OperatorCase(
      "project",
      R"json({"fields": {"a": "repeat(s, n)", "b": "repeat(s, n)", "c": "repeat(s, n)", "d": "repeat(s, n)", "e": "repeat(s, n)", "n": "n"}})json")
      .Input("s string, n int64")
      .Rows(R"json([{"s": "", "n": 840000}, {"s": "x", "n": 840000}, {"s": "", "n": 1}])json")
      .Expect("", R"json([{"a": "", "b": "", "c": "", "d": "", "e": "", "n": 840000},
                          {"a": "", "b": "", "c": "", "d": "", "e": "", "n": 1}])json")
      .ExpectErrors({{"expression.limit", 1}})
      .ExpectOutcomes({{"passed", 2}, {"error", 1}})
      .Run();
  const std::string text(900'000, 'x');
  OperatorCase(
      "project",
      R"json({"fields": {"a": "s", "b": "s", "c": "s", "d": "s", "e": "s", "n": "n"}})json")
      .Input("s string, n int64")
      .Rows(R"json([{"s": ")json" + text + R"json(", "n": 1}, {"s": "y", "n": 2}])json")
      .Expect("", R"json([{"a": "y", "b": "y", "c": "y", "d": "y", "e": "y", "n": 2}])json")
      .ExpectErrors({{"expression.limit", 1}})
      .Run();
  const std::string fits(838'000, 'x');
  OperatorCase("project",
               R"json({"fields": {"a": "s", "b": "s", "c": "s", "d": "s", "e": "s"}})json")
      .Input("s string")
      .Rows(R"json([{"s": ")json" + fits + R"json("}])json")
      .ExpectOutcomes({{"passed", 1}})
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
