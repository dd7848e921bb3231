#include "engine/runtime/task.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/runtime/test_job.h"

namespace weir::runtime {
namespace {

std::vector<TestRow> Numbered(size_t count) {
  std::vector<TestRow> rows;
  for (size_t i = 0; i < count; ++i)
    rows.push_back({static_cast<int64_t>(i % 7), static_cast<int64_t>(i), static_cast<int64_t>(i)});
  return rows;
}

int64_t Total(JobAttempt& attempt, const std::string& node, Outcome outcome) {
  int64_t sum = 0;
  for (const NodeValues& values : attempt.Values()) {
    if (values.node_id == node) sum += values.outcomes[static_cast<size_t>(outcome)];
  }
  return sum;
}

/// source -> step -> sink, in one chain or over channels.
struct LineJob {
  LineJob(const std::string& name, EdgeKind kind, uint32_t parallelism = 1) : job(name) {
    const NodeIndex source = job.AddSource("source", parallelism, TestJob::Time(0));
    step = job.AddStep("step", parallelism, {source}, kind);
    sink = job.AddSink("sink", parallelism, {step}, kind);
  }
  TestJob job;
  NodeIndex step, sink;
};

Result<Step> RejectOdd(const Batch& batch, Output& out) {
  Selection even;
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    if (batch.Values<int64_t>({1})[row] % 2 == 0) {
      even.mutable_rows().push_back(row);
    } else {
      out.errors().Add(row, RecordCode::kExpressionOverflow, "odd");
    }
  }
  out.Count(Outcome::kPassed, even.size());
  out.Emit(kMain, batch.Take(even));
  return Step::Done();
}

TEST(Task, DropsBadRowsAndCountsThem) {
  LineJob line("drop", EdgeKind::kDirect);
  line.job.plan_node(line.step).on_error = OnError::kDrop;
  line.job.Finish();
  line.job.node("source").splits["a"] = Numbered(1000);
  line.job.node("step").on_batch = RejectOdd;
  TestRun run(line.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(line.job.Kept("sink").size(), 500U);
  EXPECT_EQ(Total(run.attempt(), "drop.step", Outcome::kErrorDropped), 500);
}

TEST(Task, FailsOnABadRowWithItsPlaceAndText) {
  LineJob line("fail", EdgeKind::kDirect);
  line.job.Finish();
  line.job.node("source").splits["a"] = Numbered(10);
  line.job.node("step").on_batch = RejectOdd;
  TestRun run(line.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFailed());
  EXPECT_EQ(run.failure().code(), Code::kBadRecord);
  EXPECT_NE(run.failure().message().find("expression.overflow"), std::string::npos);
  EXPECT_NE(run.failure().message().find("\"value\":1"), std::string::npos);
}

TEST(Task, SendsBadRowsToThePortErrors) {
  LineJob line("aside", EdgeKind::kDirect);
  line.job.plan_node(line.step).on_error = OnError::kSideOutput;
  line.job.AddSink("letters", 1, {line.step}, EdgeKind::kRoundRobin, kErrors);
  line.job.Finish();
  line.job.node("source").splits["a"] = Numbered(100);
  line.job.node("step").on_batch = RejectOdd;
  TestRun run(line.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(line.job.Kept("sink").size(), 50U);
  const auto& letters = line.job.node("letters").kept->errors;
  ASSERT_EQ(letters.size(), 50U);
  EXPECT_NE(letters.front().find("aside.step"), std::string::npos);
  EXPECT_NE(letters.front().find("expression.overflow"), std::string::npos);
  EXPECT_EQ(Total(run.attempt(), "aside.step", Outcome::kErrorSide), 50);
}

TEST(Task, LetsARowFromTheFarFutureCloseAndFailNothing) {
  LineJob line("future", EdgeKind::kDirect);
  line.job.Finish();
  std::vector<TestRow> rows = Numbered(100);
  rows[50].time = int64_t{9'214'646'400'000'000};  // 2262
  line.job.node("source").splits["a"] = rows;
  TestRun run(line.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(line.job.Kept("sink").size(), 99U);
}

TEST(Task, FailsOnAnEventTimeOutsideOfTheCalendar) {
  LineJob line("calendar", EdgeKind::kDirect);
  line.job.Finish();
  line.job.node("source").splits["a"] = {{1, 1, INT64_MIN}};
  TestRun run(line.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFailed());
  EXPECT_NE(run.failure().message().find("bad_event_time"), std::string::npos);
}

TEST(Task, StopsTheMainPathWhenItsErrorsPortIsFull) {  // one output of many without credit
  LineJob line("fullport", EdgeKind::kDirect);
  line.job.plan_node(line.step).on_error = OnError::kSideOutput;
  line.job.AddSink("letters", 1, {line.step}, EdgeKind::kRoundRobin, kErrors);
  line.job.Finish();
  line.job.node("source").splits["a"] = Numbered(20'000);
  line.job.node("step").on_batch = RejectOdd;
  line.job.node("letters").kept->open = false;
  TestRun run(line.job.plan, {.batch_rows = 64});
  run.Start();
  ASSERT_TRUE(run.WaitRunning());
  size_t before = 0;
  do {  // until nothing moves any more
    before = line.job.Kept("sink").size();
    EXPECT_FALSE(run.WaitFinished(1));
  } while (line.job.Kept("sink").size() != before);
  EXPECT_LT(before, 5'000U);
  EXPECT_TRUE(run.failure().ok());
  line.job.node("letters").kept->open = true;
  ASSERT_TRUE(run.WaitFinished());
  EXPECT_EQ(line.job.Kept("sink").size(), 10'000U);
}

TEST(Task, AccountsForAllOfItsTime) {
  LineJob line("time", EdgeKind::kForward, 2);
  line.job.Finish();
  for (const char* split : {"a", "b", "c"})
    line.job.node("source").splits[split] = Numbered(30'000);
  line.job.node("sink").kept->us_per_row = 100;
  TestRun run(line.job.plan, {.batch_rows = 256});
  const auto sum_of = [](const NodeValues& node) {
    return std::accumulate(node.time_us.begin(), node.time_us.end(), int64_t{0});
  };
  // The clock is read on both sides of a reading: what a task books between two of them lies
  // between the shortest and the longest time that may have passed, however slow the machine is.
  struct Reading {
    Duration before, after;
    std::vector<NodeValues> values;
  };
  const auto read = [&] {
    Reading reading;
    reading.before = run.env().Steady();
    reading.values = run.attempt().Values();
    reading.after = run.env().Steady();
    return reading;
  };
  const Duration begin = run.env().Steady();
  run.Start();
  Reading first;
  do {
    ASSERT_FALSE(run.WaitFinished(0)) << run.failure().ToString();
    first = read();
  } while (first.values.size() < 6);  // every task has begun
  EXPECT_FALSE(run.WaitFinished(1));
  const Reading second = read();
  ASSERT_EQ(second.values.size(), 6U);
  bool backpressured = false;
  for (size_t i = 0; i < second.values.size(); ++i) {
    const NodeValues& node = second.values[i];
    ASSERT_EQ(node.node_id, first.values[i].node_id);
    const int64_t sum = sum_of(node), between = sum - sum_of(first.values[i]);
    EXPECT_LE(sum, (second.after - begin).us) << node.node_id;
    EXPECT_LE(between, (second.after - first.before).us) << node.node_id;
    EXPECT_GE(between, (second.before - first.after).us) << node.node_id << " loses time";
    const uint64_t busy = std::accumulate(node.busy_us.begin(), node.busy_us.end(), uint64_t{0});
    // Parts are copied with the state; only what went on since the copy is added to the state
    // alone.
    EXPECT_LE(busy, node.time_us[static_cast<size_t>(TimeState::kBusy)]) << node.node_id;
    backpressured |=
        node.source && static_cast<int64_t>(
                           node.time_us[static_cast<size_t>(TimeState::kBackpressured)]) > sum / 2;
  }
  EXPECT_TRUE(backpressured);
}

TEST(Task, DeclinesACheckpointThatItsSinkCannotPrepareAndRunsOn) {
  LineJob line("decline", EdgeKind::kForward);
  line.job.Finish();
  line.job.node("source").splits["a"] = Numbered(10'000);
  *line.job.node("source").released = 5'000;
  line.job.node("sink").kept->decline = true;
  TestRun run(line.job.plan, {});
  run.Start();
  EXPECT_FALSE(run.Checkpoint());
  line.job.node("sink").kept->decline = false;
  EXPECT_TRUE(run.Checkpoint());
  *line.job.node("source").released = SIZE_MAX;
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(line.job.Kept("sink").size(), 10'000U);
}

TEST(Task, DropsTheBarriersOfACheckpointThatWasAborted) {
  LineJob line("aborted", EdgeKind::kHash, 2);
  line.job.Finish();
  for (const char* split : {"a", "b", "c", "d"})
    line.job.node("source").splits[split] = Numbered(5'000);
  TestRun run(line.job.plan, {});
  run.Start();
  for (int i = 0; i < 20; ++i) {
    const CheckpointId n = run.next();
    run.Trigger(n);
    run.attempt().Abort(n);
  }
  EXPECT_TRUE(run.Checkpoint());
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(line.job.Kept("sink").size(), 20'000U);
}

TEST(Task, EndsItsSourcesOnDrainAndFiresEverything) {
  TestJob job("drain");
  const NodeIndex source = job.AddSource("source", 2, TestJob::Time(0));
  const NodeIndex sums = job.AddWindowSum("sums", 2, {source}, 100'000);
  job.AddSink("sink", 2, {sums}, EdgeKind::kDirect);
  job.Finish();
  job.node("source").bounded = false;
  for (const char* split : {"a", "b"}) job.node("source").splits[split] = Numbered(700);
  TestRun run(job.plan, {});
  run.Start();
  while (run.attempt().changes() < 1'400) EXPECT_FALSE(run.WaitFinished(0));
  EXPECT_FALSE(run.WaitFinished(1));
  EXPECT_TRUE(job.Kept("sink").empty());  // the window stays open as long as rows may come
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished());
  EXPECT_EQ(job.Kept("sink").size(), 7U);
}

TEST(Task, KeepsWindowsOverAStopWithoutDrainAndFiresThemLater) {
  TestJob job("stop");
  const NodeIndex source = job.AddSource("source", 2, TestJob::Time(0));
  const NodeIndex sums = job.AddWindowSum("sums", 2, {source}, 100'000);
  job.AddSink("sink", 2, {sums}, EdgeKind::kDirect);
  job.Finish();
  for (const char* split : {"a", "b"}) job.node("source").splits[split] = Numbered(700);
  *job.node("source").released = 300;
  TestRun run(job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitRunning());
  run.attempt().StopSources();
  EXPECT_TRUE(run.Checkpoint());
  EXPECT_TRUE(job.Kept("sink").empty());
  run.Kill();
  *job.node("source").released = SIZE_MAX;
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(job.Kept("sink").size(), 7U);
  int64_t sum = 0;
  for (const auto& [key, value, time] : job.Kept("sink")) sum += value;
  EXPECT_EQ(sum, 2 * (699 * 700 / 2));
}

TEST(Task, TakesCheckpointsInsideOfALargeFiring) {
  TestJob job("largefire");
  const NodeIndex source = job.AddSource("source", 1, TestJob::Time(0));
  const NodeIndex sums = job.AddWindowSum("sums", 2, {source}, 1'000'000);
  job.AddSink("sink", 1, {sums}, EdgeKind::kRoundRobin);
  job.Finish();
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 5'000; ++i) rows.push_back({i, 1, i});
  rows.push_back({0, 1, 1'500'000});
  job.node("source").splits["a"] = rows;
  job.node("source").bounded = false;
  job.node("sink").kept->us_per_row = 200;  // the firing takes about a second
  TestRun run(job.plan, {.batch_rows = 64});
  run.Start();
  while (job.Kept("sink").empty()) EXPECT_FALSE(run.WaitFinished(0)) << "nothing ends here";
  EXPECT_TRUE(run.Checkpoint());
  const size_t at_checkpoint = job.Kept("sink").size();
  EXPECT_LT(at_checkpoint, 5'000U);
  run.Kill();
  job.node("sink").kept->us_per_row = 0;
  run.Start();
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished());
  EXPECT_EQ(job.Kept("sink").size(), 5'001U);  // every key once, and the window of the last row
}

TEST(Task, FiresTheLastWindowOfQuietInputAfterARestore) {
  TestJob job("quiet");
  const NodeIndex source = job.AddSource("source", 2, TestJob::Time(0));
  const NodeIndex sums = job.AddWindowSum("sums", 2, {source}, 100);
  job.AddSink("sink", 2, {sums}, EdgeKind::kDirect);
  job.Finish();
  job.node("source").bounded = false;
  for (const char* split : {"a", "b", "c"})
    job.node("source").splits[split] = {{1, 1, 10}, {2, 1, 250}};
  TestRun run(job.plan, {});
  run.Start();
  while (job.Kept("sink").size() < 1) EXPECT_FALSE(run.WaitFinished(0));
  EXPECT_TRUE(run.Checkpoint());
  run.Kill();
  run.Start();
  EXPECT_TRUE(run.Checkpoint());
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished());
  EXPECT_EQ(job.Kept("sink"), (TestRows{{1, 3, 99}, {2, 3, 299}}));
}

}  // namespace
}  // namespace weir::runtime
