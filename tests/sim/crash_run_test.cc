#include "tests/sim/crash_run.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace weir
