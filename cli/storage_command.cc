#include "cli/storage_command.h"

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
  const std::string prefix = storage.InIncarnation(head->incarnation, "chk/" + which + "-");
  WEIR_ASSIGN(const std::vector<StoredFile> files, storage.store().List(prefix));
  for (const StoredFile& file : files) {
    if (!file.name.ends_with("/MANIFEST")) continue;
    WEIR_ASSIGN(const std::string text, storage.store().Read(file.name, 0, file.bytes));
    Result<control::Manifest> manifest = control::DecodeManifest(text);
    if (!manifest.ok()) return manifest.status().At(file.name);
    return manifest;
  }
  return Status(Code::kNotFound, "there is no checkpoint " + which + " of job '" + storage.job() +
                                     "'; `weir ckpt ls` shows what there is");
}

}  // namespace weir::cli
