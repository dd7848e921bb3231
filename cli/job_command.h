#pragma once
// What commands that take a job file share: the flags -p, --strict and so on, and compiling the
// file into problems or a plan. Main thread.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/process_config.h"
#include "engine/api/secrets.h"
#include "jobs/jobs.h"

namespace weir::cli {

struct JobCommand {
  std::string file;
  std::vector<std::string> params;  // name=value
  uint32_t parallelism = 0;         // 0: as the job says
  bool strict = false, allow_literal_secrets = false;
  bool semantic = true;

  void AddFlags(CLI::App& command);
};

/// The compiled job and what its plan refers to.
struct LoadedJob {
  std::unique_ptr<SecretStore> secrets;
  jobs::CompiledJob job;
};

/// Reads and compiles. A Status only for a file that cannot be read or a -p that is none; problems
/// are in the job.
Result<LoadedJob> LoadJob(const JobCommand& command, const ProcessConfig& config, Env& env);

/// Prints `error: ...` on standard error and answers the exit code of the status (usage 2,
/// environment 4 ...).
int Fail(const Status& status);

}  // namespace weir::cli
