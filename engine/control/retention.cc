#include "engine/control/retention.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "engine/base/log.h"

namespace weir::control {
namespace {

std::string FolderOf(std::string_view manifest_name, const std::string& incarnation) {
  // "<U>/chk/<N>-<A>/MANIFEST" -> "chk/<N>-<A>"
  manifest_name.remove_prefix(std::min(manifest_name.size(), incarnation.size() + 1));
  return std::string(manifest_name.substr(0, manifest_name.rfind('/')));
}

/// Of a file in the incarnation's folder, "chk/<N>-<A>/...": N; 0: it belongs to no checkpoint.
CheckpointId CheckpointOf(std::string_view name) {
  constexpr std::string_view kFolder = "chk/";
  CheckpointId id;
  if (!name.starts_with(kFolder)) return id;
  name.remove_prefix(kFolder.size());
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id.value);
  if (error != std::errc() || end == name.data() + name.size() || *end != '-') return {};
  return id;
}

}  // namespace

void Retention::Remove(const std::string& name_in_store) {
  if (Status status = storage_.store().Remove(name_in_store); !status.ok()) {
    ++failed_removals_;
    WEIR_LOG_EVERY_MS(60'000, kWarn, "cannot remove a file that no checkpoint needs",
                      {"file", name_in_store}, {"error", status.message()});
  }
}

bool Retention::Referenced(const std::string& file) const {
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Kept& kept) { return kept.files.contains(file); });
}

Result<CheckpointId> Retention::Rebuild(const Head& head) {
  incarnation_ = head.incarnation;
  kept_.clear();
  const std::string root = storage_.InIncarnation(incarnation_, "");
  WEIR_ASSIGN(const std::vector<StoredFile> files, storage_.store().List(root));
  std::map<uint64_t, Kept> complete;  // by checkpoint id
  CheckpointId highest;
  for (const StoredFile& file : files) {
    highest = std::max(highest, CheckpointOf(std::string_view(file.name).substr(root.size())));
    if (!file.name.ends_with("/MANIFEST") || file.bytes > kManifestBytesMax) continue;
    Result<std::string> text = storage_.store().Read(file.name, 0, file.bytes);
    if (!text.ok()) continue;
    Result<Manifest> manifest = DecodeManifest(*text);
    if (!manifest.ok() || manifest->incarnation != incarnation_ ||
        manifest->checkpoint > head.checkpoint)
      continue;
    const std::string name = file.name.substr(storage_.job().size() + 1);
    if (manifest->checkpoint == head.checkpoint && name != head.manifest)
      continue;  // an orphan with HEAD's number
    Kept kept{name, FolderOf(name, incarnation_), {}};
    for (const ManifestFile& listed : manifest->files) kept.files.insert(listed.name);
    complete[manifest->checkpoint.value] = std::move(kept);
  }
  // The checkpoint has just been loaded; a manifest that cannot be read this time would make its
  // files look like orphans.
  if (!head.manifest.empty() && !complete.contains(head.checkpoint.value)) {
    return Status(Code::kIo,
                  head.manifest + ", which HEAD names, cannot be read: nothing is removed",
                  Fault::kExternal, Retry::kBackoff);
  }
  for (auto& [id, kept] : complete) kept_.push_back(std::move(kept));
  while (kept_.size() > retain_) kept_.pop_front();
  // What lies past a checkpoint that was gone back to stays until the job has gone on from there: a
  // sink that has published past it refuses, and then only the newer one is of use.
  if (head.next <= head.checkpoint) CollectOrphans();
  return highest;
}

void Retention::Completed(const Manifest& manifest, const std::string& manifest_name) {
  Kept kept{manifest_name, FolderOf(manifest_name, incarnation_), {}};
  for (const ManifestFile& file : manifest.files) kept.files.insert(file.name);
  kept_.push_back(std::move(kept));
  while (kept_.size() > retain_) {
    const Kept old = std::move(kept_.front());
    kept_.pop_front();
    Remove(storage_.job() + "/" + old.manifest_name);
    for (const std::string& file : old.files) {
      if (!Referenced(file)) Remove(storage_.InIncarnation(incarnation_, file));
    }
  }
}

void Retention::CollectOrphans() {
  if (const Status status = storage_.store().RemoveUnfinished(storage_.job() + "/"); !status.ok()) {
    ++failed_removals_;
    WEIR_LOG_EVERY_MS(60'000, kWarn, "cannot take back unfinished uploads",
                      {"error", status.message()});
  }
  const std::string root = storage_.InIncarnation(incarnation_, "");
  Result<std::vector<StoredFile>> files = storage_.store().List(root);
  if (!files.ok()) return;
  for (const StoredFile& file : *files) {
    const std::string name = file.name.substr(root.size());
    const bool manifest = std::any_of(kept_.begin(), kept_.end(), [&](const Kept& kept) {
      return file.name == storage_.job() + "/" + kept.manifest_name;
    });
    if (!manifest && !Referenced(name) && !name.starts_with("wal/")) Remove(file.name);
  }
}

}  // namespace weir::control
