#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(AssignEventTime, ReplacesTheEventTime) {
  OperatorCase("assign_event_time", R"({"field": "sent", "max_delay": "1s"})")
      .Input("sent timestamp?, n int64, _event_time timestamp")
      .Rows(R"([{"sent": 70, "n": 1, "_event_time": 5}, {"sent": 80, "n": 2, "_event_time": 6}])")
      .Expect(
          "",
          R"([{"sent": 70, "n": 1, "_event_time": 70}, {"sent": 80, "n": 2, "_event_time": 80}])")
      .Run();
}

TEST(AssignEventTime, RefusesRowsWithoutAUsableTime) {
  OperatorCase("assign_event_time", R"({"field": "sent", "max_delay": "1s"})")
      .Input("sent timestamp?, n int64")
      .Rows(
          R"([{"sent": null, "n": 1}, {"sent": 9223372036854775807, "n": 2}, {"sent": -9223372036854775807, "n": 3}, {"sent": 4, "n": 4}])")
      .Expect("", R"([{"sent": 4, "n": 4, "_event_time": 4}])")
      .ExpectErrors({{"bad_event_time", 3}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
