// Time that a node inside the job assigns (assign_event_time): watermarks, idleness and the clock's
// limit in its tasks, and what of it a checkpoint keeps.

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "engine/runtime/task.h"
#include "tests/runtime/test_job.h"

namespace weir::runtime {
namespace {

constexpr int64_t kFarFuture = 9'214'646'400'000'000;  // 2262

EventTimeSpec Assigned(int64_t max_delay_us, Duration idle_timeout = Seconds(3600)) {
  EventTimeSpec time = TestJob::Time(max_delay_us);
  time.idle_timeout = idle_timeout;
  return time;
}

/// A source that lets every time pass: the node behind it judges.
EventTimeSpec Unchecked() {
  EventTimeSpec time = TestJob::Time(0);
  time.max_future_drift.reset();
  return time;
}

/// The name of a split that goes to `task` of `parallelism`.
std::string SplitOf(uint16_t task, uint32_t parallelism) {
  for (int i = 0;; ++i) {
    std::string id = "split" + std::to_string(i);
    if (TaskOfSplit(id, parallelism).value == task) return id;
  }
}

/// Whether `until` comes to hold, long before which a test that passes is done.
bool Comes(const std::function<bool()>& until) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!until()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

/// What the tasks of a node have announced, in order of tasks; empty while one has not.
std::vector<int64_t> Announced(TestRun& run, const std::string& node) {
  std::vector<int64_t> times;
  for (const NodeValues& values : run.attempt().Values()) {
    if (values.node_id != node) continue;
    if (!values.watermark) return {};
    times.push_back(values.watermark->us);
  }
  return times;
}

int64_t Total(JobAttempt& attempt, const std::string& node, Outcome outcome) {
  int64_t sum = 0;
  for (const NodeValues& values : attempt.Values()) {
    if (values.node_id == node) sum += values.outcomes[static_cast<size_t>(outcome)];
  }
  return sum;
}

PhysicalPlan At(PhysicalPlan plan, uint32_t parallelism) {
  for (PlanNode& node : plan.nodes) node.parallelism = parallelism;
  for (PlanChain& chain : plan.chains) chain.parallelism = parallelism;
  return plan;
}

/// source -> times -> sums -> sink
struct TimedJob {
  TimedJob(const std::string& name, uint32_t parallelism, EventTimeSpec time,
           EdgeKind into_sums = EdgeKind::kHash)
      : job(name) {
    const NodeIndex source = job.AddSource("source", parallelism, Unchecked());
    const NodeIndex times =
        job.AddTimes("times", parallelism, {source}, EdgeKind::kForward, std::move(time));
    const NodeIndex sums = job.AddWindowSum("sums", parallelism, {times}, 100);
    job.plan.edges.back().kind = into_sums;
    job.AddSink("sink", parallelism, {sums}, EdgeKind::kForward);
    job.Finish();
    job.node("source").bounded = false;
  }
  TestJob job;
};

TEST(AssignedTime, FiresDueWindowsOfQuietInputAfterARestore) {
  TimedJob timed("assignedquiet", 1, Assigned(0), EdgeKind::kDirect);
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 5'000; ++i) rows.push_back({i, 1, 10});
  rows.push_back({0, 1, 250});
  timed.job.node("source").splits["a"] = rows;
  timed.job.node("sink").kept->us_per_row = 200;  // the firing takes about a second
  TestRun run(timed.job.plan, {.batch_rows = 64});
  run.Start();
  ASSERT_TRUE(Comes([&] { return !timed.job.Kept("sink").empty(); }));
  ASSERT_TRUE(run.Checkpoint());
  ASSERT_LT(timed.job.Kept("sink").size(), 5'000U) << "the checkpoint has to cut the firing";
  run.Kill();
  timed.job.node("sink").kept->us_per_row = 0;
  run.Start();
  EXPECT_TRUE(Comes([&] { return timed.job.Kept("sink").size() == 5'000; }));
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(timed.job.Kept("sink").size(), 5'001U);
}

class AssignedTimeAt : public ::testing::TestWithParam<uint32_t> {};

TEST_P(AssignedTimeAt, TakesTheLeastOfAllTasksAfterARestore) {
  const std::string suffix = std::to_string(GetParam());
  TimedJob timed("assignedleast" + suffix, 2, Assigned(0));
  const std::string ahead = SplitOf(0, 2), behind = SplitOf(1, 2);
  auto& splits = timed.job.node("source").splits;
  splits[ahead] = {{1, 1, 10}, {1, 1, 250}, {1, 1, 270}};
  splits[behind] = {{1, 1, 20}, {1, 1, 60}, {1, 1, 280}};
  *timed.job.node("source").released = 2;
  const PhysicalPlan plan = At(timed.job.plan, GetParam());
  TestRun run(timed.job.plan, {});
  run.Start();
  const std::string times = timed.job.plan.nodes[1].id;
  ASSERT_TRUE(Comes([&] { return Announced(run, times) == std::vector<int64_t>{249, 59}; }));
  for (int restore = 0; restore < 2; ++restore) {  // also of what a restored task has saved
    ASSERT_TRUE(run.Checkpoint());
    run.Kill();
    run.Start(&plan);
    EXPECT_TRUE(
        Comes([&] { return Announced(run, times) == std::vector<int64_t>(GetParam(), 59); }));
    EXPECT_TRUE(timed.job.Kept("sink").empty()) << "nothing was due";
    if (restore == 0) continue;
    *timed.job.node("source").released = SIZE_MAX;
    run.attempt().Drain();
    ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  }
}
INSTANTIATE_TEST_SUITE_P(Parallelism, AssignedTimeAt, ::testing::Values(1U, 2U, 3U));

TEST(AssignedTime, DoesNotGoBackAfterARestore) {
  TimedJob timed("assignedback", 1, Assigned(100));
  timed.job.node("source").splits["a"] = {{1, 1, 250}, {1, 1, 200}};
  *timed.job.node("source").released = 1;
  TestRun run(timed.job.plan, {});
  run.Start();
  const std::string times = timed.job.plan.nodes[1].id, sums = timed.job.plan.nodes[2].id;
  ASSERT_TRUE(Comes([&] { return Announced(run, times) == std::vector<int64_t>{149}; }));
  ASSERT_TRUE(run.Checkpoint());
  run.Kill();
  *timed.job.node("source").released = SIZE_MAX;
  run.Start();
  ASSERT_TRUE(Comes([&] { return Total(run.attempt(), sums, Outcome::kBuffered) == 2; }));
  EXPECT_EQ(Announced(run, times), std::vector<int64_t>{149});
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  for (const NodeValues& values : run.attempt().Values()) {
    const auto back = values.anomalies.find("watermark_back");
    EXPECT_TRUE(back == values.anomalies.end() || back->second == 0) << values.node_id;
  }
  EXPECT_EQ(timed.job.Kept("sink"), (TestRows{{1, 2, 299}}));
}

TEST(AssignedTime, LeavesOutATaskWithoutRowsUntilItHasSomeAgain) {
  TimedJob timed("assignedidle", 2, Assigned(0, Milliseconds(200)));
  const std::string ahead = SplitOf(0, 2), behind = SplitOf(1, 2);
  auto& splits = timed.job.node("source").splits;
  splits[ahead] = {{1, 1, 10}, {1, 1, 250}};
  splits[behind] = {{1, 1, 20}, {1, 1, 60}, {1, 1, 150}, {1, 1, 260}};
  *timed.job.node("source").released = 2;
  TestRun run(timed.job.plan, {});
  run.Start();
  EXPECT_TRUE(Comes([&] { return timed.job.Kept("sink") == TestRows{{1, 3, 99}}; }));
  *timed.job.node("source").released = SIZE_MAX;
  const std::string sums = timed.job.plan.nodes[2].id;
  EXPECT_TRUE(Comes([&] { return Total(run.attempt(), sums, Outcome::kLateDropped) == 1; }))
      << "the row of 150 comes behind the time of the others";
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(timed.job.Kept("sink"), (TestRows{{1, 3, 99}, {1, 2, 299}}));
}

TEST(AssignedTime, PassesTheEndAndEndsItsOwnWindowsBefore) {
  TimedJob timed("assignedend", 2, Assigned(1'000));
  timed.job.node("source").bounded = true;
  timed.job.node("source").splits["a"] = {{1, 1, 10}, {2, 1, 250}, {1, 1, 20}};
  TestRun run(timed.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(timed.job.Kept("sink"), (TestRows{{1, 2, 99}, {2, 1, 299}}));
}

/// source -> times -> sink, and the rows of the port `errors` of `times`.
struct FutureJob {
  FutureJob(const std::string& name, OnFuture on_future) : job(name) {
    const NodeIndex source = job.AddSource("source", 1, Unchecked());
    EventTimeSpec time = Assigned(0);
    time.on_future = on_future;
    times = job.AddTimes("times", 1, {source}, EdgeKind::kDirect, time);
    job.AddSink("sink", 1, {times}, EdgeKind::kForward);
    if (on_future == OnFuture::kSideOutput)
      job.AddSink("letters", 1, {times}, EdgeKind::kRoundRobin, kErrors);
    job.Finish();
    job.node("source").splits["a"] = {{1, 0, 10}, {1, 1, kFarFuture}, {1, 2, 20}};
    job.node("source").bounded = false;
  }
  const std::string& id() { return job.plan_node(times).id; }
  TestJob job;
  NodeIndex times;
};

/// The row is out, counted once, and has moved no watermark.
void ExpectOneOut(FutureJob& future, TestRun& run, Outcome outcome) {
  ASSERT_TRUE(Comes([&] { return future.job.Kept("sink").size() == 2; }));
  ASSERT_TRUE(Comes([&] { return Announced(run, future.id()) == std::vector<int64_t>{19}; }));
  run.attempt().Drain();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_EQ(future.job.Kept("sink"), (TestRows{{1, 0, 10}, {1, 2, 20}}));
  EXPECT_EQ(Total(run.attempt(), future.id(), outcome), 1);
  EXPECT_EQ(Total(run.attempt(), future.id(), Outcome::kPassed), 2);
  for (const NodeValues& values : run.attempt().Values()) {
    if (values.node_id != future.id()) continue;
    EXPECT_EQ(values.errors[static_cast<size_t>(RecordCode::kEventTimeInFuture)], 1U);
    EXPECT_EQ(values.unaccounted, 0);
  }
}

TEST(AssignedTime, DropsARowFromTheFuture) {
  FutureJob future("futuredrop", OnFuture::kDrop);
  TestRun run(future.job.plan, {});
  run.Start();
  ExpectOneOut(future, run, Outcome::kErrorDropped);
}

TEST(AssignedTime, SendsARowFromTheFutureAside) {
  FutureJob future("futureaside", OnFuture::kSideOutput);
  TestRun run(future.job.plan, {});
  run.Start();
  ExpectOneOut(future, run, Outcome::kErrorSide);
  const auto& letters = future.job.node("letters").kept->errors;
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_NE(letters.front().find("event_time_in_future"), std::string::npos) << letters.front();
}

TEST(AssignedTime, FailsOnARowFromTheFutureIfToldTo) {
  FutureJob future("futurefail", OnFuture::kFail);
  future.job.plan_node(future.times).on_error = OnError::kDrop;  // it is on_future that counts
  TestRun run(future.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFailed());
  EXPECT_EQ(run.failure().code(), Code::kBadRecord);
  EXPECT_NE(run.failure().message().find("event_time_in_future"), std::string::npos)
      << run.failure().message();
}

}  // namespace
}  // namespace weir::runtime
