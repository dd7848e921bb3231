#include "engine/runtime/attempt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "engine/plan/memory_split.h"
#include "tests/runtime/test_job.h"

namespace weir::runtime {
namespace {

constexpr int64_t kWindow = 1000;

std::vector<TestRow> SomeRows(size_t count, uint64_t seed, int64_t keys) {
  std::mt19937_64 random(seed);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < count; ++i) {
    rows.push_back({static_cast<int64_t>(random() % static_cast<uint64_t>(keys)),
                    static_cast<int64_t>(random() % 100),
                    static_cast<int64_t>(i) * 2 + static_cast<int64_t>(random() % 50)});
  }
  return rows;
}

/// What the windows must hold, when nothing is late.
TestRows WindowSums(const std::vector<TestRow>& rows, int64_t window) {
  std::map<std::pair<int64_t, int64_t>, int64_t> sums;
  for (const TestRow& row : rows)
    sums[{row.key, row.time / window * window + window - 1}] += row.value;
  TestRows expected;
  for (const auto& [at, sum] : sums) expected.emplace(at.first, sum, at.second);
  return expected;
}

void ExpectConserved(JobAttempt& attempt) {
  std::map<std::string, int64_t> unaccounted;
  for (const NodeValues& values : attempt.Values())
    unaccounted[values.node_id] += values.unaccounted;
  for (const auto& [node, rows] : unaccounted) EXPECT_EQ(rows, 0) << node;
}

/// source -> step -> window sum by key -> sink
struct WindowJob {
  WindowJob(const std::string& name, uint32_t parallelism, size_t rows, bool combine = false)
      : job(name) {
    Build(parallelism, rows, combine);
  }
  void Build(uint32_t parallelism, size_t rows, bool combine) {
    const NodeIndex source = job.AddSource("source", parallelism, TestJob::Time(100));
    const NodeIndex step = job.AddStep("step", parallelism, {source}, EdgeKind::kDirect);
    const NodeIndex sums = job.AddWindowSum("sums", parallelism, {step}, kWindow, combine);
    job.AddSink("sink", parallelism, {sums}, EdgeKind::kDirect);
    job.Finish();
    for (int split = 0; split < 4; ++split) {
      std::vector<TestRow> of_split = SomeRows(rows, static_cast<uint64_t>(split) + 1, 37);
      all.insert(all.end(), of_split.begin(), of_split.end());
      job.node("source").splits["split" + std::to_string(split)] = std::move(of_split);
    }
  }
  TestJob job;
  std::vector<TestRow> all;
};

/// Comes true by itself, or the test fails.
bool Becomes(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(Attempt, BooksWhatItsTasksHoldAndGivesAllOfItBack) {
  WindowJob window("accounts", 2, 20'000);
  window.job.plan.state_backend = "memory";  // RocksDB's part is reserved with the backend
  window.job.node("sink").kept->open = false;
  TestRun run(window.job.plan, {.batch_rows = 64});
  const ProcessMemoryGovernor& memory = run.memory();
  const MemorySplit split = SplitMemory(window.job.plan, memory.limit());
  EXPECT_EQ(split.handed_out, memory.handed_out());

  run.Start();
  ASSERT_TRUE(run.WaitRunning());
  EXPECT_EQ(memory.reserved(), split.reserved());
  // The sink takes nothing, so the rows of the first window stay in its tasks' hands, and what
  // follows in the channels before them and in the hands of the sources.
  EXPECT_TRUE(Becomes([&] {
    return memory.used(MemoryKind::kBatches) > 0 && memory.used(MemoryKind::kQueues) > 0 &&
           memory.used(MemoryKind::kHotState) > 0;
  }));
  size_t sum = 0;
  for (size_t kind = 0; kind < kMemoryKinds; ++kind)
    sum += memory.used(static_cast<MemoryKind>(kind));
  EXPECT_LT(sum, memory.handed_out());
  EXPECT_GE(memory.used(MemoryKind::kQueues), split.channels * split.channel_share / 2);
  EXPECT_EQ(memory.used(MemoryKind::kRocksdb), 0U);

  window.job.node("sink").kept->open = true;
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(Becomes([&] { return memory.used(MemoryKind::kBatches) == 0; }));
  run.Kill();
  run.Discard();
  for (size_t kind = 0; kind < kMemoryKinds; ++kind)
    EXPECT_EQ(memory.used(static_cast<MemoryKind>(kind)), 0U) << kind;
  EXPECT_EQ(memory.reserved(), 0U);
}

class AttemptAt : public ::testing::TestWithParam<uint32_t> {};

TEST_P(AttemptAt, RunsAStatelessChainToItsEnd) {
  TestJob job("stateless" + std::to_string(GetParam()));
  const NodeIndex source = job.AddSource("source", GetParam(), TestJob::Time(0));
  const NodeIndex step = job.AddStep("step", GetParam(), {source}, EdgeKind::kDirect);
  job.AddSink("sink", GetParam(), {step}, EdgeKind::kDirect);
  job.Finish();
  TestRows expected;
  for (int split = 0; split < 3; ++split) {
    const std::vector<TestRow> rows = SomeRows(5000, static_cast<uint64_t>(split), 100);
    for (const TestRow& row : rows) expected.emplace(row.key, row.value, row.time);
    job.node("source").splits["s" + std::to_string(split)] = rows;
  }
  TestRun run(job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(job.Kept("sink"), expected);
  ExpectConserved(run.attempt());
}

TEST_P(AttemptAt, SumsWindowsOverAHashExchange) {
  WindowJob window("windows" + std::to_string(GetParam()), GetParam(), 5000);
  TestRun run(window.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(window.job.Kept("sink"), WindowSums(window.all, kWindow));
  ExpectConserved(run.attempt());
}

TEST_P(AttemptAt, CombinesBeforeTheExchange) {
  WindowJob window("combined" + std::to_string(GetParam()), GetParam(), 5000, true);
  TestRun run(window.job.plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(window.job.Kept("sink"), WindowSums(window.all, kWindow));
  ExpectConserved(run.attempt());
}

TEST_P(AttemptAt, GivesTheSameResultWithBatchesOfOneRowAndQueuesOfOneItem) {
  WindowJob window("tiny" + std::to_string(GetParam()), GetParam(), 300);
  TestRun run(window.job.plan, {.batch_rows = 1, .queue_items = 1});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(window.job.Kept("sink"), WindowSums(window.all, kWindow));
}

TEST_P(AttemptAt, RunsWithoutChains) {
  WindowJob window("unchained" + std::to_string(GetParam()), GetParam(), 3000);
  const PhysicalPlan plan = Unchained(window.job.plan);
  TestRun run(plan, {});
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(window.job.Kept("sink"), WindowSums(window.all, kWindow));
}

TEST_P(AttemptAt, TakesCheckpointsWhileItRunsAndOneAfterTheEnd) {
  WindowJob window("checkpoints" + std::to_string(GetParam()), GetParam(), 20000);
  TestRun run(window.job.plan, {});
  run.Start();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(run.Checkpoint());
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.Checkpoint());
  for (const auto& [task, snapshot] : run.acks(run.last_complete())) EXPECT_TRUE(snapshot.finished);
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(window.job.Kept("sink"), WindowSums(window.all, kWindow));
}

TEST_P(AttemptAt, GoesOnFromACheckpointAfterAKill) {
  WindowJob window("kills" + std::to_string(GetParam()), GetParam(), 20000);
  TestRun run(window.job.plan, {});
  auto& released = *window.job.node("source").released;
  for (int kill = 0; kill < 4; ++kill) {
    released = static_cast<size_t>(kill + 1) * 4000;
    run.Start();
    EXPECT_TRUE(run.Checkpoint());
    released = static_cast<size_t>(kill + 1) * 4000 + 1500;
    if (kill % 2 == 1) {
      EXPECT_TRUE(run.Checkpoint());
    }
    run.Kill();
  }
  released = SIZE_MAX;
  run.Start();
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(window.job.Kept("sink"), WindowSums(window.all, kWindow));
}

TEST(Attempt, GoesOnAtAnotherParallelism) {
  WindowJob two("rescale", 2, 9000);
  WindowJob three("rescale", 3, 9000);
  WindowJob one("rescale", 1, 9000);
  auto& released = *one.job.node("source").released;
  released = 3000;
  TestRun run(two.job.plan, {});
  run.Start();
  EXPECT_TRUE(run.Checkpoint());
  run.Kill();
  released = 6000;
  run.Start(&three.job.plan);
  EXPECT_TRUE(run.Checkpoint());
  run.Kill();
  released = SIZE_MAX;
  run.Start(&one.job.plan);
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(one.job.Kept("sink"), WindowSums(one.all, kWindow));
}

INSTANTIATE_TEST_SUITE_P(Parallelism, AttemptAt, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace weir::runtime
