#pragma once
// A whole job in simulated processes that crash: files in, files out, checkpoints in between, all
// of it in one thread and virtual time. Everything is drawn from the seed: the input, the
// parallelism of each process, the checkpoint interval, when and how a process dies. After the last
// crash the job runs to its end; then its files are compared with what the input says, computed
// here without the engine.
//
// The job reads files at a rate, filters, and writes both the rows and sums per key and minute,
// exactly once. Crashes are a kill, a power loss that keeps nothing unsynced or a random part of
// it, each at a moment or at a file call (which fails, as do all after it); beside them one call
// may fail alone.

#include <cstdint>
#include <string>

namespace weir {

struct CrashRunReport {
  std::string
      failure;  // empty: every row is there exactly once and HEAD was readable after each crash
  uint64_t trace = 0;  // equal for equal seeds
  uint64_t steps = 0, checkpoints = 0;
  uint32_t processes = 0, kills = 0, power_losses = 0, file_faults = 0;
  uint64_t input_rows = 0;
  uint64_t file_calls = 0;  // of the process with the fault
};

CrashRunReport RunWithCrashes(uint64_t seed);

/// One process whose `n`-th file call fails, alone or (`from_there`) with all after it, as on a
/// disk that is full for good; then a power loss that keeps nothing unsynced, and a process that
/// runs to the end.
CrashRunReport RunWithFaultAt(uint64_t seed, uint64_t n, bool from_there);

}  // namespace weir
