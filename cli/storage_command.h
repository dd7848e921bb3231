#pragma once
// Finding checkpoints on a bare storage, for commands that read them without a running job. Main
// thread; blocks.

#include <string>

#include "cli/process_config.h"
#include "engine/control/job_storage.h"

namespace weir::cli {

/// The flag wins over the job's, that over WEIR_STORAGE, that over <state_dir>/storage.
std::string StorageUri(const ProcessConfig& config, const std::string& of_job);

/// `latest`, or the number of a checkpoint of HEAD's incarnation.
Result<control::Manifest> ReadCheckpoint(control::JobStorage& storage, const std::string& which);

}  // namespace weir::cli
