#include "tests/sim/crash_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "engine/base/log.h"

namespace weir {
namespace {

constexpr uint64_t kFirstSeed = 1, kRuns = 40;  // in the suite; `./dev sim` asks for others
constexpr uint64_t kReplayEvery = 10;

uint64_t FromEnvironment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

TEST(CrashRun, EveryRowIsThereExactlyOnceHoweverOftenProcessesDie) {
  if (std::getenv("WEIR_SIM_LOG") == nullptr) ConfigureLog(LogLevel::kError, LogFormat::kText);
  const uint64_t first = FromEnvironment("WEIR_SIM_SEED", kFirstSeed),
                 runs = FromEnvironment("WEIR_SIM_RUNS", kRuns);
  uint64_t processes = 0, kills = 0, losses = 0, faults = 0, checkpoints = 0, failed = 0;
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    const CrashRunReport report = RunWithCrashes(seed);
    EXPECT_EQ(report.failure, "") << "seed " << seed << ": ./dev sim --job files --seed " << seed
                                  << " --seeds 1";
    failed += report.failure.empty() ? 0 : 1;
    processes += report.processes;
    kills += report.kills;
    losses += report.power_losses;
    faults += report.file_faults;
    checkpoints += report.checkpoints;
    if (runs == 1 || seed % kReplayEvery == 0) {
      const CrashRunReport again = RunWithCrashes(seed);
      EXPECT_EQ(again.trace, report.trace) << "seed " << seed << " does not run the same way twice";
      EXPECT_EQ(again.steps, report.steps);
    }
    if (runs == 1)
      std::printf("seed %llu: trace %016llx, %llu steps\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(report.trace),
                  static_cast<unsigned long long>(report.steps));
  }
  std::printf(
      "seeds %llu-%llu: %llu failed; %llu processes, %llu kills, %llu power losses, %llu file "
      "faults, %llu checkpoints\n",
      static_cast<unsigned long long>(first), static_cast<unsigned long long>(first + runs - 1),
      static_cast<unsigned long long>(failed), static_cast<unsigned long long>(processes),
      static_cast<unsigned long long>(kills), static_cast<unsigned long long>(losses),
      static_cast<unsigned long long>(faults), static_cast<unsigned long long>(checkpoints));
  EXPECT_GT(checkpoints + runs, runs);
}

// Each of the first hundred file calls of a process, most of them of its start, then some of every
// later part of its life.
TEST(CrashRun, NoFileCallThatFailsMakesAResultWrong) {
  if (std::getenv("WEIR_SIM_LOG") == nullptr) ConfigureLog(LogLevel::kError, LogFormat::kText);
  constexpr uint64_t kSeed = 5, kEach = 100, kLaterStep = 17, kFullStep = 3;
  uint64_t faults = 0, calls = 0;
  const auto run = [&](uint64_t n, bool from_there) {
    const CrashRunReport report = RunWithFaultAt(kSeed, n, from_there);
    EXPECT_EQ(report.failure, "") << "file call " << n
                                  << (from_there ? " and all after it fail" : " fails");
    faults += report.file_faults;
    calls = std::max(calls, report.file_calls);
  };
  for (uint64_t n = 1; n <= kEach; ++n) run(n, false);
  EXPECT_EQ(faults, kEach) << "the run has fewer file calls than are to fail";
  for (uint64_t n = kEach + 1; n <= calls; n += kLaterStep) run(n, false);
  for (uint64_t n = 1; n <= kEach; n += kFullStep) run(n, true);
  std::printf("%llu faults in a run of %llu file calls\n", static_cast<unsigned long long>(faults),
              static_cast<unsigned long long>(calls));
}

}  // namespace
}  // namespace weir
