// Random graphs: whatever the shape, the parallelism, the size of batches, checkpoints and kills,
// the sink holds what a direct evaluation says.

#include <gtest/gtest.h>

#include <random>

#include "tests/runtime/test_job.h"

namespace weir::runtime {
namespace {

constexpr int64_t kWindow = 500;

class RandomGraph : public ::testing::TestWithParam<uint64_t> {};

TEST_P(RandomGraph, GivesWhatADirectEvaluationGives) {
  std::mt19937_64 random(GetParam());
  const auto pick = [&](uint64_t below) { return random() % below; };
  const auto parallelism = [&] { return static_cast<uint32_t>(1 + pick(4)); };
  TestJob job("graph" + std::to_string(GetParam()));

  // Sources, layers of steps that keep, double or drop rows, a union into windows, a sink.
  struct Stream {
    NodeIndex node;
    uint32_t parallelism;
    std::vector<TestRow> rows;
  };
  std::vector<Stream> streams;
  const size_t sources = 1 + pick(2);
  for (size_t i = 0; i < sources; ++i) {
    const std::string id = "source" + std::to_string(i);
    const uint32_t wide = parallelism();
    Stream stream{job.AddSource(id, wide, TestJob::Time(200)), wide, {}};
    const size_t splits = 1 + pick(4);
    for (size_t split = 0; split < splits; ++split) {
      std::vector<TestRow> rows;
      const size_t count = pick(3000);
      for (size_t row = 0; row < count; ++row) {
        rows.push_back({static_cast<int64_t>(pick(50)), static_cast<int64_t>(pick(1000)),
                        static_cast<int64_t>(row + pick(100))});
      }
      stream.rows.insert(stream.rows.end(), rows.begin(), rows.end());
      job.node(id).splits["p" + std::to_string(split)] = std::move(rows);
    }
    streams.push_back(std::move(stream));
  }
  const size_t steps = pick(4);
  for (size_t i = 0; i < steps; ++i) {
    Stream& stream = streams[pick(streams.size())];
    const std::string id = "step" + std::to_string(i);
    const bool same = pick(2) == 0;
    const uint32_t wide = same ? stream.parallelism : parallelism();
    const EdgeKind kind = same           ? (pick(2) == 0 ? EdgeKind::kDirect : EdgeKind::kForward)
                          : pick(2) == 0 ? EdgeKind::kRoundRobin
                                         : EdgeKind::kHash;
    stream.node = job.AddStep(id, wide, {stream.node}, kind);
    stream.parallelism = wide;
    if (pick(2) == 0) continue;
    const int64_t modulus = static_cast<int64_t>(2 + pick(3));
    job.node(id).on_batch = [modulus](const Batch& batch, Output& out) -> Result<Step> {
      Selection kept;
      for (uint32_t row = 0; row < batch.rows(); ++row) {
        if (batch.Values<int64_t>({1})[row] % modulus != 0) kept.mutable_rows().push_back(row);
      }
      out.Count(Outcome::kPassed, kept.size());
      out.Count(Outcome::kFiltered, batch.rows() - kept.size());
      out.Emit(kMain, batch.Take(kept));
      return Step::Done();
    };
    std::erase_if(stream.rows, [&](const TestRow& row) { return row.value % modulus == 0; });
  }
  std::vector<NodeIndex> inputs;
  std::map<std::pair<int64_t, int64_t>, int64_t> sums;
  for (const Stream& stream : streams) {
    inputs.push_back(stream.node);
    for (const TestRow& row : stream.rows)
      sums[{row.key, row.time / kWindow * kWindow + kWindow - 1}] += row.value;
  }
  TestRows expected;
  for (const auto& [at, sum] : sums) expected.emplace(at.first, sum, at.second);
  const uint32_t wide = parallelism();
  const NodeIndex windows = job.AddWindowSum("windows", wide, inputs, kWindow, pick(2) == 0);
  job.AddSink("sink", wide, {windows}, pick(2) == 0 ? EdgeKind::kDirect : EdgeKind::kForward);
  job.Finish();

  const TestRun::Options options{.threads = static_cast<int>(1 + pick(3)),
                                 .batch_rows = pick(3) == 0   ? 1U
                                               : pick(2) == 0 ? 16U
                                                              : 1024U,
                                 .queue_items = pick(3) == 0 ? 1U : 0U};
  TestRun run(job.plan, options);
  run.Start();
  const size_t checkpoints = pick(5);
  for (size_t i = 0; i < checkpoints; ++i) {
    EXPECT_TRUE(run.Checkpoint()) << run.failure().ToString();
    if (pick(2) == 0) {
      run.Kill();
      run.Start();
    }
  }
  ASSERT_TRUE(run.WaitFinished()) << run.failure().ToString();
  EXPECT_TRUE(run.Checkpoint());
  EXPECT_TRUE(run.attempt().Cancel(Seconds(30)));
  EXPECT_EQ(job.Kept("sink"), expected);
  std::map<std::string, int64_t> unaccounted;
  for (const NodeValues& values : run.attempt().Values())
    unaccounted[values.node_id] += values.unaccounted;
  for (const auto& [node, rows] : unaccounted) EXPECT_EQ(rows, 0) << node;
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraph, ::testing::Range<uint64_t>(1, 41));

}  // namespace
}  // namespace weir::runtime
