#include "engine/control/retention.h"

#include <algorithm>

#include "engine/base/log.h"

namespace weir::control {

Status Retention::Failed(const std::string& what, const Status& status) {
  ++failed_removals_;
  unfinished_ = true;
  WEIR_LOG_EVERY_MS(60'000, kWarn, "cannot remove what no checkpoint needs", {"what", what},
                    {"error", status.message()});
  return status;
}

Status Retention::Remove(const std::string& name_in_store) {
  const Status status = storage_.store().Remove(name_in_store);
  return status.ok() ? status : Failed(name_in_store, status);
}

bool Retention::Referenced(const std::string& file) const {
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Kept& kept) { return kept.files.contains(file); });
}

Result<CheckpointId> Retention::Rebuild(const Head& head) {
  incarnation_ = head.incarnation;
  kept_.clear();
  WEIR_ASSIGN(const StoredCheckpoints stored, storage_.ListCheckpoints(head));
  for (auto one = stored.complete.rbegin(); one != stored.complete.rend() && kept_.size() < retain_;
       ++one) {
    if (one->id > head.checkpoint) continue;  // gone back from
    const Result<Manifest> manifest = storage_.ReadManifest(head, *one);
    if (manifest.ok()) {
      Kept kept{one->manifest, {}};
      for (const ManifestFile& listed : manifest->files) kept.files.insert(listed.name);
      kept_.push_front(std::move(kept));
    } else if (manifest.status().code() != Code::kNotFound &&
               manifest.status().code() != Code::kCorruption &&
               manifest.status().code() != Code::kIncompatible) {
      return manifest.status();
    }
  }
  // The checkpoint has just been loaded; a manifest that cannot be read this time would make its
  // files look like orphans.
  if (!head.manifest.empty() && (kept_.empty() || kept_.back().manifest_name != head.manifest)) {
    return Status(Code::kIo,
                  head.manifest + ", which HEAD names, cannot be read: nothing is removed",
                  Fault::kExternal, Retry::kBackoff);
  }
  // What lies past a checkpoint that was gone back to stays until the job has gone on from there: a
  // sink that has published past it refuses, and then only the newer one is of use.
  const Status collected = head.next <= head.checkpoint ? CollectOrphans(head) : Status::Ok();
  // What stays is found again; a job does not wait for its rubbish to go.
  if (collected.code() == Code::kFenced) return collected;
  return stored.highest;
}

Status Retention::Completed(const Head& head, const Manifest& manifest, bool orphans) {
  Kept kept{head.manifest, {}};
  for (const ManifestFile& file : manifest.files) kept.files.insert(file.name);
  kept_.push_back(std::move(kept));
  unfinished_ = unfinished_ || orphans;
  if (kept_.size() > retain_) WEIR_TRY(storage_.Learn(head).status());
  while (kept_.size() > retain_) {
    const Kept old = std::move(kept_.front());
    kept_.pop_front();
    // A manifest names nothing that is gone: without its end the files stay.
    WEIR_TRY(Remove(storage_.job() + "/" + old.manifest_name));
    for (const std::string& file : old.files) {
      if (!Referenced(file)) WEIR_TRY(Remove(storage_.InIncarnation(incarnation_, file)));
    }
  }
  return unfinished_ ? CollectOrphans(head) : Status::Ok();
}

Status Retention::CollectOrphans(const Head& head) {
  const std::string root = storage_.InIncarnation(incarnation_, "");
  const Result<std::vector<StoredFile>> files = storage_.store().List(root);
  if (!files.ok()) return Failed(root, files.status());
  WEIR_TRY(storage_.Learn(head).status());
  std::vector<std::string> orphans;
  for (const StoredFile& file : *files) {
    const std::string name = file.name.substr(root.size());
    const bool manifest = std::any_of(kept_.begin(), kept_.end(), [&](const Kept& kept) {
      return file.name == storage_.job() + "/" + kept.manifest_name;
    });
    if (!manifest && !Referenced(name) && !name.starts_with("wal/")) orphans.push_back(file.name);
  }
  std::stable_partition(orphans.begin(), orphans.end(),
                        [](const std::string& name) { return name.ends_with("/MANIFEST"); });
  for (const std::string& name : orphans) WEIR_TRY(Remove(name));
  const Status uploads = storage_.store().RemoveUnfinished(storage_.job() + "/");
  if (!uploads.ok()) return Failed("unfinished uploads", uploads);
  unfinished_ = false;
  return Status::Ok();
}

}  // namespace weir::control
