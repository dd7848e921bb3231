#include "tests/sim/kafka_run.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "engine/base/log.h"

namespace weir {
namespace {

constexpr uint64_t kFirstSeed = 1, kRuns = 40;  // in the suite; `./dev sim` asks for others
constexpr uint64_t kReplayEvery = 10;
constexpr uint64_t kLieSeeds = 12;

uint64_t FromEnvironment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}
void Quiet() {
  if (std::getenv("WEIR_SIM_LOG") == nullptr) ConfigureLog(LogLevel::kError, LogFormat::kText);
}

TEST(KafkaRun, FilesAreRightOnceAndTheTopicAtLeastOnceHoweverOftenProcessesDie) {
  Quiet();
  const uint64_t first = FromEnvironment("WEIR_SIM_SEED", kFirstSeed),
                 runs = FromEnvironment("WEIR_SIM_RUNS", kRuns);
  KafkaRunReport sum;
  uint64_t failed = 0;
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    const KafkaRunReport report = RunWithKafka(seed);
    EXPECT_EQ(report.failure, "") << "seed " << seed << ": ./dev sim --job kafka --seed " << seed
                                  << " --seeds 1";
    failed += report.failure.empty() ? 0 : 1;
    sum.processes += report.processes;
    sum.kills += report.kills;
    sum.power_losses += report.power_losses;
    sum.file_faults += report.file_faults;
    sum.cluster_faults += report.cluster_faults;
    sum.checkpoints += report.checkpoints;
    sum.restarts += report.restarts;
    sum.input_records += report.input_records;
    sum.results += report.results;
    sum.revised_windows += report.revised_windows;
    sum.late_rows += report.late_rows;
    if (runs == 1 || seed % kReplayEvery == 0) {
      const KafkaRunReport again = RunWithKafka(seed);
      EXPECT_EQ(again.trace, report.trace) << "seed " << seed << " does not run the same way twice";
      EXPECT_EQ(again.steps, report.steps);
    }
    if (runs == 1)
      std::printf("seed %llu: trace %016llx, %llu steps\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(report.trace),
                  static_cast<unsigned long long>(report.steps));
  }
  std::printf(
      "seeds %llu-%llu with Kafka: %llu failed; %u processes, %u kills, %u power losses, %u file "
      "faults, %u cluster faults, %llu restarts, %llu checkpoints; %llu records, %llu results, "
      "%llu revisions, %llu late rows\n",
      static_cast<unsigned long long>(first), static_cast<unsigned long long>(first + runs - 1),
      static_cast<unsigned long long>(failed), sum.processes, sum.kills, sum.power_losses,
      sum.file_faults, sum.cluster_faults, static_cast<unsigned long long>(sum.restarts),
      static_cast<unsigned long long>(sum.checkpoints),
      static_cast<unsigned long long>(sum.input_records),
      static_cast<unsigned long long>(sum.results),
      static_cast<unsigned long long>(sum.revised_windows),
      static_cast<unsigned long long>(sum.late_rows));
  EXPECT_GT(sum.results, 0U);
  if (runs < kRuns) return;
  // What the seeds are there for happens.
  EXPECT_GT(sum.checkpoints, runs);
  EXPECT_GT(sum.kills, 0U);
  EXPECT_GT(sum.power_losses, 0U);
  EXPECT_GT(sum.cluster_faults, 0U);
  EXPECT_GT(sum.restarts, 0U);
  EXPECT_GT(sum.revised_windows, 0U);
  EXPECT_GT(sum.late_rows, 0U);
}

TEST(KafkaRun, AnotherSeedIsAnotherRun) {
  Quiet();
  EXPECT_NE(RunWithKafka(1).trace, RunWithKafka(2).trace);
}

/// The checker's own test: wrong outputs that only it can notice.
void ExpectNoticed(SimKafkaLie lie) {
  Quiet();
  uint64_t lied = 0, noticed = 0;
  for (uint64_t seed = 1; seed <= kLieSeeds; ++seed) {
    const KafkaRunReport report = RunWithKafka(seed, lie);
    if (report.lied) ++lied;
    if (!report.failure.empty()) ++noticed;
    EXPECT_TRUE(report.lied || report.failure.empty()) << report.failure;
  }
  std::printf("%llu runs with a lie, %llu noticed\n", static_cast<unsigned long long>(lied),
              static_cast<unsigned long long>(noticed));
  EXPECT_GT(lied, 0U);
  EXPECT_GE(noticed * 2, lied);
}

// A result that was lost may have been replaced or repeated later.
TEST(KafkaRun, ALostResultIsNoticed) { ExpectNoticed(SimKafkaLie::kAcknowledgesUnwritten); }

// A process that died before its first checkpoint left no trace, and records without a row none.
TEST(KafkaRun, APositionSavedOneRecordEarlyIsNoticed) {
  ExpectNoticed(SimKafkaLie::kSkipsAtAssign);
}

}  // namespace
}  // namespace weir
