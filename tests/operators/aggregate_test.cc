#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

// Times in rows are microseconds; windows are of milliseconds, so 10ms is [0, 10000).
namespace weir::testing {
namespace {

TEST(Aggregate, CountsPerKeyAndTumblingWindow) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["page"], "window": {"type": "tumbling", "size": "10ms"}, "aggregates": {"n": "count(*)", "ms": "sum(ms)"}})json")
      .Input("page string, ms int64?, _event_time timestamp")
      .Rows(
          R"json([{"page": "a", "ms": 1, "_event_time": 0}, {"page": "b", "ms": null, "_event_time": 9999}, {"page": "a", "ms": 5, "_event_time": 9999},
                {"page": "a", "ms": 7, "_event_time": 10000}, {"page": "a page with a long name", "ms": 2, "_event_time": -1}])json")
      .Watermark(9999)
      .Rows(R"json([{"page": "a", "ms": 3, "_event_time": 10001}])json")
      .End()
      .Expect(
          "",
          R"json([{"page": "a page with a long name", "window_start": -10000, "window_end": 0, "n": 1, "ms": 2, "_event_time": -1},
                      {"page": "a", "window_start": 0, "window_end": 10000, "n": 2, "ms": 6, "_event_time": 9999},
                      {"page": "b", "window_start": 0, "window_end": 10000, "n": 1, "ms": null, "_event_time": 9999},
                      {"page": "a", "window_start": 10000, "window_end": 20000, "n": 2, "ms": 10, "_event_time": 19999}])json")
      .ExpectOutcomes({{"buffered", 0}, {"absorbed", 6}})
      .Run();
}

TEST(Aggregate, SharesSlicesBetweenSlidingWindows) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "sliding", "size": "10ms", "every": "4ms"}, "aggregates": {"n": "count(*)", "last": "last(v)", "first": "first(v)"}})json")
      .Input("k int32, v string, _event_time timestamp")
      .Rows(
          R"json([{"k": 1, "v": "x", "_event_time": 9000}, {"k": 1, "v": "a value that does not fit inline", "_event_time": 3000}])json")
      .End()
      // 3 ms lies in the windows that start at 0 and -4 ms, 9 ms in those at 8, 4 and 0 ms.
      .Expect(
          "",
          R"json([{"k": 1, "window_start": -4000, "window_end": 6000, "n": 1, "last": "a value that does not fit inline", "first": "a value that does not fit inline"},
                      {"k": 1, "window_start": 0, "window_end": 10000, "n": 2, "last": "x", "first": "a value that does not fit inline"},
                      {"k": 1, "window_start": 4000, "window_end": 14000, "n": 1, "last": "x", "first": "x"},
                      {"k": 1, "window_start": 8000, "window_end": 18000, "n": 1, "last": "x", "first": "x"}])json")
      .ExpectOutcomes({{"buffered", 0}, {"absorbed", 2}})
      .Run();
}

TEST(Aggregate, MakesNoResultOfMoreThanFourTimesTheLargestRecord) {
  for (const char* lateness : {"0s", "10ms"}) {
    OperatorCase(
        "aggregate",
        R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "allowed_lateness": ")json" +
            std::string(lateness) +
            R"json(", "aggregates": {"a": "repeat(max(s), 840000)", "b": "repeat(max(s), 840000)", "c": "repeat(max(s), 840000)", "d": "repeat(max(s), 840000)", "e": "repeat(max(s), 840000)"}})json")
        .Input("k int64, s string, _event_time timestamp")
        .Rows(
            R"json([{"k": 1, "s": "", "_event_time": 1}, {"k": 2, "s": "x", "_event_time": 2}, {"k": 3, "s": "", "_event_time": 3}])json")
        .End()
        .Expect(
            "",
            R"json([{"k": 1, "window_start": 0, "window_end": 10000, "a": "", "b": "", "c": "", "d": "", "e": ""},
                        {"k": 3, "window_start": 0, "window_end": 10000, "a": "", "b": "", "c": "", "d": "", "e": ""}])json")
        .ExpectErrors({{"expression.limit", 1}})
        .ExpectOutcomes({{"absorbed", 3}, {"error", 0}})
        .Run();
  }
}

TEST(Aggregate, CountsRowsInGapsApart) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "sliding", "size": "4ms", "every": "10ms"}, "aggregates": {"n": "count(*)"}})json")
      .Input("k int64, _event_time timestamp")
      .Rows(
          R"json([{"k": 1, "_event_time": 3999}, {"k": 1, "_event_time": 4000}, {"k": 1, "_event_time": 9999}, {"k": 1, "_event_time": -6000}])json")
      .End()
      .Expect("", R"json([{"k": 1, "window_start": 0, "window_end": 4000, "n": 1}])json")
      .ExpectOutcomes({{"gap", 3}, {"absorbed", 1}})
      .Run();
}

TEST(Aggregate, JudgesLatenessAtTheBorderOfTheWindow) {
  // [0, 10 ms) takes rows at W = 9998 us and none at W = 9999 us.
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "aggregates": {"n": "count(*)"}})json")
      .Input("k int64, _event_time timestamp")
      .Rows(R"json([{"k": 1, "_event_time": 1}])json")
      .Watermark(9998)
      .Rows(R"json([{"k": 1, "_event_time": 2}])json")
      .Watermark(9999)
      .Rows(R"json([{"k": 1, "_event_time": 3}])json")
      .End()
      .Expect("", R"json([{"k": 1, "window_start": 0, "window_end": 10000, "n": 2}])json")
      .ExpectOutcomes({{"late_dropped", 1}, {"absorbed", 2}})
      .Run();
}

TEST(Aggregate, SendsLateRowsAsideUnchanged) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "late": "side_output", "aggregates": {"n": "count(*)"}})json")
      .Input("k int64, extra string?, _event_time timestamp")
      .Watermark(20000)
      .Rows(
          R"json([{"k": 1, "extra": "late", "_event_time": 3}, {"k": 2, "extra": null, "_event_time": 20001}])json")
      .End()
      .Expect("", R"json([{"k": 2, "window_start": 20000, "window_end": 30000, "n": 1}])json")
      .Expect("late", R"json([{"k": 1, "extra": "late", "_event_time": 3}])json")
      .ExpectOutcomes({{"late_side", 1}})
      .Run();
}

TEST(Aggregate, UsesARowThatIsLateForSomeWindowsInTheOthers) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "sliding", "size": "10ms", "every": "5ms"}, "aggregates": {"n": "count(*)"}})json")
      .Input("k int64, _event_time timestamp")
      .Watermark(5000)  // [-5 ms, 5 ms) has passed
      .Rows(R"json([{"k": 1, "_event_time": 4000}])json")
      .End()
      .Expect("", R"json([{"k": 1, "window_start": 0, "window_end": 10000, "n": 1}])json")
      .ExpectOutcomes({{"absorbed", 1}, {"late_dropped", 0}})
      .Run();
}

TEST(Aggregate, RevisesAWindowWithinTheAllowedLateness) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "allowed_lateness": "10ms", "aggregates": {"n": "count(*)", "last": "last(s)"}})json")
      .Input("k int64, s string, _event_time timestamp")
      .Rows(R"json([{"k": 1, "s": "a", "_event_time": 1}])json")
      .Watermark(9999)
      .Rows(
          R"json([{"k": 1, "s": "a string beyond the inline bytes", "_event_time": 2}, {"k": 2, "s": "b", "_event_time": 3}])json")
      .Watermark(19999)
      .Rows(R"json([{"k": 1, "s": "too late", "_event_time": 4}])json")
      .End()
      .ExpectFinal(
          R"json([{"k": 1, "window_start": 0, "window_end": 10000, "n": 2, "last": "a string beyond the inline bytes"},
                       {"k": 2, "window_start": 0, "window_end": 10000, "n": 1, "last": "b"}])json")
      .ExpectOutcomes({{"late_dropped", 1}, {"absorbed", 3}, {"buffered", 0}})
      .Run();
}

TEST(Aggregate, EmitsAChangelogWithTheOldRow) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "allowed_lateness": "1s", "aggregates": {"n": "count(*)"}})json")
      .Input("k int64, _event_time timestamp")
      .Rows(R"json([{"k": 1, "_event_time": 1}])json")
      .Watermark(9999)
      .Rows(R"json([{"k": 1, "_event_time": 2}])json")
      .Rows(R"json([{"k": 3, "_event_time": 2}])json")
      .Expect("", R"json([{"_op": "insert", "k": 1, "window_start": 0, "window_end": 10000, "n": 1},
                      {"_op": "update_before", "k": 1, "window_start": 0, "window_end": 10000, "n": 1},
                      {"_op": "update_after", "k": 1, "window_start": 0, "window_end": 10000, "n": 2},
                      {"_op": "insert", "k": 3, "window_start": 0, "window_end": 10000, "n": 1}])json")
      .ExpectOutcomes({{"buffered", 3}})
      .Run();
}

TEST(Aggregate, TakesBackAResultForWhichHavingTurnsFalse) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "allowed_lateness": "1s", "aggregates": {"m": "max(v)"}, "having": "m < 10"})json")
      .Input("k int64, v int64, _event_time timestamp")
      .Rows(R"json([{"k": 1, "v": 3, "_event_time": 1}, {"k": 2, "v": 30, "_event_time": 1}])json")
      .Watermark(9999)
      .Rows(R"json([{"k": 1, "v": 30, "_event_time": 2}])json")
      .Expect("", R"json([{"_op": "insert", "k": 1, "window_start": 0, "window_end": 10000, "m": 3},
                      {"_op": "delete", "k": 1, "window_start": 0, "window_end": 10000, "m": 3}])json")
      .Run();
}

TEST(Aggregate, UpsertModeSendsTheNewRowAlone) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "10ms"}, "allowed_lateness": "1s", "emit": {"mode": "upsert"}, "aggregates": {"n": "count(*)"}})json")
      .Input("k int64, _event_time timestamp")
      .Rows(R"json([{"k": 1, "_event_time": 1}])json")
      .Watermark(9999)
      .Rows(R"json([{"k": 1, "_event_time": 2}])json")
      .Expect(
          "",
          R"json([{"_op": "update_after", "k": 1, "window_start": 0, "window_end": 10000, "n": 1},
                      {"_op": "update_after", "k": 1, "window_start": 0, "window_end": 10000, "n": 2}])json")
      .Run();
}

TEST(Aggregate, ComputesEveryFunction) {
  OperatorCase("aggregate",
               R"json({"key_by": [], "window": {"type": "tumbling", "size": "1s"}, "aggregates": {
      "n": "count(*)", "nx": "count(x)", "s": "sum(x)", "a": "avg(x)", "lo": "min(x)", "hi": "max(x)", "f": "first(x)", "l": "last(x)",
      "all": "bool_and(b)", "any": "bool_or(b)", "d": "stddev_samp(x)", "u": "approx_count_distinct(x)", "p": "percentile(x, 0.5)",
      "cd": "count(DISTINCT x)", "pos": "count(*) FILTER (WHERE x > 1)", "none": "sum(x) FILTER (WHERE x > 1000)",
      "money": "sum(m)", "mean": "avg(m)", "words": "max(w)", "ratio": "CAST(count(x) AS float64) / count(*)"}})json")
      .Input("x int64?, b bool?, m decimal(10,2), w string, _event_time timestamp")
      .Rows(
          R"json([{"x": 1, "b": true, "m": "0.10", "w": "a", "_event_time": 5}, {"x": 2, "b": false, "m": "0.20", "w": "zz and more than twelve", "_event_time": 3},
                {"x": null, "b": null, "m": "0.03", "w": "b", "_event_time": 9}, {"x": 2, "b": true, "m": "100.00", "w": "c", "_event_time": 7}])json")
      .End()
      .Expect(
          "",
          R"json([{"window_start": 0, "window_end": 1000000, "n": 4, "nx": 3, "s": 5, "a": 1.6666666666666667, "lo": 1, "hi": 2, "f": 2, "l": 2,
                       "all": false, "any": true, "d": 0.5773502691896257, "u": 2, "p": 2.0, "cd": 2, "pos": 2, "none": null,
                       "money": "100.33", "mean": "25.082500", "words": "zz and more than twelve", "ratio": 0.75}])json")
      .Run();
}

/// `count` rows of one key at `time`, x from `first` on, in an order that is none of theirs.
std::string ManyRows(int64_t first, int64_t count, int64_t time) {
  constexpr int64_t kStride = 7919;  // prime to every count here: each x comes once
  std::string rows = "[";
  for (int64_t i = 0; i < count; ++i) {
    rows += (i == 0 ? "" : ",") + std::string(R"({"k":1,"x":)") +
            std::to_string(first + i * kStride % count) + R"(,"_event_time":)" +
            std::to_string(time) + "}";
  }
  return rows + "]";
}

// Slices with few values (kept one by one) and with many (registers), merged in every order.
TEST(Aggregate, EstimatesDistinctValuesOverSmallAndLargeSlices) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "sliding", "size": "3ms", "every": "1ms"}, "aggregates": {
      "n": "count(DISTINCT x)", "near": "abs(approx_count_distinct(x) - count(DISTINCT x)) * 100 <= 3 * count(DISTINCT x)"}})json")
      .Input("k int64, x int64, _event_time timestamp")
      .RowsPerUnit(500)
      .Rows(ManyRows(0, 200, 0))
      .Rows(ManyRows(100, 5'000, 1'000))
      .Rows(ManyRows(9'000, 100, 2'000))
      .Rows(ManyRows(2'600, 5'000, 3'000))
      .Rows(ManyRows(2'600, 5'000, 4'000))
      .Rows(ManyRows(9'500, 800, 5'000))
      .End()
      .Expect("", R"json([
          {"k": 1, "window_start": -2000, "window_end": 1000, "n": 200, "near": true},
          {"k": 1, "window_start": -1000, "window_end": 2000, "n": 5100, "near": true},
          {"k": 1, "window_start": 0, "window_end": 3000, "n": 5200, "near": true},
          {"k": 1, "window_start": 1000, "window_end": 4000, "n": 7600, "near": true},
          {"k": 1, "window_start": 2000, "window_end": 5000, "n": 5100, "near": true},
          {"k": 1, "window_start": 3000, "window_end": 6000, "n": 5800, "near": true},
          {"k": 1, "window_start": 4000, "window_end": 7000, "n": 5800, "near": true},
          {"k": 1, "window_start": 5000, "window_end": 8000, "n": 800, "near": true}])json")
      .Run();
}

TEST(Aggregate, KeepsLargeSketchesThroughBatchesColdStateAndRestores) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "1s"}, "aggregates": {
      "n": "count(*)", "distinct": "abs(approx_count_distinct(x) - 100000) <= 3000", "least": "percentile(x, 0.0)",
      "low": "abs(percentile(x, 0.01) - 1000) <= 200", "median": "abs(percentile(x, 0.5) - 50000) <= 1000",
      "high": "abs(percentile(x, 0.99) - 99000) <= 200", "most": "percentile(x, 1.0)"}})json")
      .Input("k int64, x int64, _event_time timestamp")
      .RowsPerUnit(10'000)
      .Rows(ManyRows(0, 100'000, 5))
      .End()
      .Expect(
          "",
          R"json([{"k": 1, "window_start": 0, "window_end": 1000000, "n": 100000, "distinct": true, "least": 0.0,
          "low": true, "median": true, "high": true, "most": 99999.0}])json")
      .Run();
}

TEST(Aggregate, CountsAValueOnceOverOverlappingSlices) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "sliding", "size": "10ms", "every": "5ms"}, "aggregates": {"u": "count(DISTINCT v)"}})json")
      .Input("k string, v string, _event_time timestamp")
      .Rows(
          R"json([{"k": "a", "v": "x", "_event_time": 1000}, {"k": "a", "v": "x", "_event_time": 6000}, {"k": "a", "v": "y", "_event_time": 7000}])json")
      .End()
      .Expect(
          "",
          R"json([{"k": "a", "window_start": -5000, "window_end": 5000, "u": 1}, {"k": "a", "window_start": 0, "window_end": 10000, "u": 2},
                      {"k": "a", "window_start": 5000, "window_end": 15000, "u": 2}])json")
      .Run();
}

TEST(Aggregate, SumsThroughAnOverflowAndBackExactly) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "1s"}, "aggregates": {"s": "sum(x)"}})json")
      .Input("k int64, x int64, _event_time timestamp")
      .Rows(
          R"json([{"k": 1, "x": 9223372036854775807, "_event_time": 1}, {"k": 1, "x": 9223372036854775807, "_event_time": 2}, {"k": 1, "x": -9223372036854775807, "_event_time": 3},
                {"k": 2, "x": 9223372036854775807, "_event_time": 1}, {"k": 2, "x": 1, "_event_time": 2}])json")
      .End()
      .Expect(
          "",
          R"json([{"k": 1, "window_start": 0, "window_end": 1000000, "s": 9223372036854775807}])json")
      .ExpectErrors({{"expression.overflow", 1}})
      .Run();
}

TEST(Aggregate, PutsNullKeysIntoOneGroup) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k", "v % 2 AS odd"], "window": {"type": "tumbling", "size": "1s"}, "aggregates": {"n": "count(*)"}})json")
      .Input("k string?, v int64, _event_time timestamp")
      .Rows(
          R"json([{"k": null, "v": 1, "_event_time": 1}, {"k": null, "v": 3, "_event_time": 2}, {"k": "", "v": 3, "_event_time": 2}])json")
      .End()
      .Expect(
          "",
          R"json([{"k": null, "odd": 1, "window_start": 0, "window_end": 1000000, "n": 2}, {"k": "", "odd": 1, "window_start": 0, "window_end": 1000000, "n": 1}])json")
      .Run();
}

TEST(Aggregate, LeavesOutRowsWhoseArgumentsCannotBeComputed) {
  OperatorCase(
      "aggregate",
      R"json({"key_by": ["k"], "window": {"type": "tumbling", "size": "1s"}, "aggregates": {"n": "count(*)", "s": "sum(10 / v)"}})json")
      .Input("k int64, v int64, _event_time timestamp")
      .Rows(R"json([{"k": 1, "v": 0, "_event_time": 1}, {"k": 1, "v": 5, "_event_time": 1}])json")
      .End()
      .Expect("", R"json([{"k": 1, "window_start": 0, "window_end": 1000000, "n": 1, "s": 2}])json")
      .ExpectErrors({{"expression.division_by_zero", 1}})
      .ExpectOutcomes({{"absorbed", 1}, {"error", 1}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
