#pragma once
// RunJob: the life of `weir run`: check, restore, say what holds, run with the
// live line, stop with a final checkpoint. Main thread; blocks until the job has ended. Answers the
// exit code.

#include <functional>
#include <string>

#include "cli/job_command.h"
#include "cli/process_config.h"

namespace weir::cli {

struct RunOptions {
  JobCommand job;
  ProcessConfig config;
  std::string from = "latest", nonce, report;
  bool dry_run = false, no_environment = false;
  bool quiet = false;  // no live line and no lines for people (the demo's helpers)
};

/// `stop`: asked about ten times a second; once true the job stops with a final checkpoint.
int RunJob(const RunOptions& options, const std::function<bool()>& stop);

}  // namespace weir::cli
