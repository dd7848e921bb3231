#pragma once
// What simulated jobs share: a process that runs one, what its storage must look like after a
// crash, and the lines that its file sinks have published. The memory backend, checkpoints at
// file:///storage, one thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/builtins.h"
#include "engine/base/json_fwd.h"
#include "engine/control/coordinator.h"
#include "jobs/jobs.h"
#include "tests/harness/sim_env.h"

namespace weir {

inline constexpr Duration kSimRunMax = Seconds(3600);  // virtual; what has not ended by then hangs
inline constexpr std::string_view kSimStorage = "file:///storage";
inline constexpr std::string_view kSimStateDirectory = "/state/sim";

/// How one process runs the job.
struct JobRun {
  std::string text;
  uint32_t parallelism = 1;
  Duration checkpoint_interval{};
  int threads = 1;
};

/// One process that runs the job "sim", from its start to its death or the job's end.
class JobProcess {
 public:
  /// Without `clients` the machines have no network.
  JobProcess(SimWorld& world, const std::string& name, std::unique_ptr<Clients> clients);
  ~JobProcess();
  JobProcess(const JobProcess&) = delete;
  JobProcess& operator=(const JobProcess&) = delete;

  Status Start(const JobRun& run);
  void Drain() { coordinator_->Stop(/*drain=*/true); }

  Env& env() { return *env_; }
  bool ended() const { return coordinator_->ended(); }
  control::JobStatus status() const { return coordinator_->status(); }
  /// Empty: each node's classes add up to its input.
  std::string Unaccounted() const;
  /// What to say of one that does not end.
  std::string Hanging() const;

 private:
  const std::unique_ptr<Env> env_;
  const std::unique_ptr<MemoryGovernor> memory_;
  const std::unique_ptr<Clients> clients_;
  jobs::CompiledJob job_;
  cli::BackendParts backend_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<control::JobCoordinator> coordinator_;
};

/// After a crash: HEAD, if there ever was one, and the manifest it names can be read by whoever
/// comes next. Empty: so it is.
std::string CheckHead(Env& env, bool had_head);

/// The lines of all finished files below `directory`, which need not exist.
Status ReadJsonLines(Env& env, const Path& directory, std::vector<Json>& lines);

/// As a job reads it; within the first day of 2026, where the virtual clock starts.
std::string SimTimestamp(int64_t us_since_start);
/// Minute since the start of a text that SimTimestamp wrote, or the job; -1: it is none.
int64_t SimMinuteOf(const std::string& timestamp);

}  // namespace weir
