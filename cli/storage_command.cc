#include "cli/storage_command.h"

#include <charconv>
#include <cstdlib>

namespace weir::cli {

std::string StorageUri(const ProcessConfig& config, const std::string& of_job) {
  if (!config.storage.empty()) return config.storage;
  if (!of_job.empty()) return of_job;
  if (const char* environment = std::getenv("WEIR_STORAGE");
      environment != nullptr && *environment != '\0')
    return environment;
  return "file://" + config.state_dir + "/storage";
}

Result<control::Manifest> ReadCheckpoint(control::JobStorage& storage, const std::string& which) {
  WEIR_ASSIGN(const std::optional<control::Head> head, storage.ReadHead());
  if (!head)
    return Status(Code::kNotFound,
                  "job '" + storage.job() + "' has never run on " + storage.store().Describe());
  if (which == "latest" || which == std::to_string(head->checkpoint.value)) {
    if (head->manifest.empty())
      return Status(Code::kNotFound,
                    "job '" + storage.job() + "' has not completed a checkpoint yet");
    return storage.ReadManifest(*head);
  }
  CheckpointId id;
  const char* end = which.data() + which.size();
  if (const auto [read_to, error] = std::from_chars(which.data(), end, id.value);
      error != std::errc() || read_to != end) {
    return Status(Code::kInvalidArgument,
                  "checkpoint '" + which + "': expected `latest` or a number");
  }
  WEIR_ASSIGN(const control::Head pointed, storage.PointAt(*head, id));
  return storage.ReadManifest(pointed);
}

}  // namespace weir::cli
