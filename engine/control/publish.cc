#include "engine/control/publish.h"

#include <algorithm>
#include <set>

#include "engine/base/bytes.h"

namespace weir::control {
namespace {

using runtime::TaskSnapshot;

std::string FolderOf(const AckedCheckpoint& checkpoint) {
  return "chk/" + std::to_string(checkpoint.id.value) + "-" +
         std::to_string(checkpoint.attempt.value);
}

ManifestTask DescribeTask(const PhysicalPlan& plan, const std::string& folder,
                          const TaskSnapshot& snapshot) {
  ManifestTask task;
  task.chain = snapshot.task.chain;
  task.task = snapshot.task.task;
  task.groups = snapshot.groups;
  task.finished = snapshot.finished;
  for (const NodeIndex node : plan.chains[task.chain].nodes)
    task.nodes.push_back(plan.nodes[node.value].id);
  task.part =
      folder + "/" + std::to_string(task.chain) + "-" + std::to_string(task.task.value) + ".task";
  return task;
}

/// Writes the parts of the tasks, and lists them with the files of their state, which the tasks
/// have brought into the storage themselves.
Status WriteParts(JobStorage& storage, const PhysicalPlan& plan, const std::string& folder,
                  const std::vector<TaskSnapshot>& snapshots, PublishedCheckpoint& published) {
  Manifest& manifest = published.manifest;
  std::set<std::string> listed;
  for (const TaskSnapshot& snapshot : snapshots) {
    ManifestTask task = DescribeTask(plan, folder, snapshot);
    std::string part;
    runtime::EncodeTaskSnapshot(snapshot, part);
    WEIR_TRY(storage.store().Put(storage.InIncarnation(manifest.incarnation, task.part), part));
    manifest.files.push_back({task.part, part.size(), HashContent(part).Hex(), false});
    published.uploaded_bytes += part.size();
    manifest.tasks.push_back(std::move(task));
    if (!snapshot.image) continue;
    for (const ImageFile& file : snapshot.image->files) {
      if (!listed.insert(file.name).second) continue;
      manifest.files.push_back({file.name, file.bytes, file.hash, file.shared});
      if (!file.local.empty()) published.uploaded_bytes += file.bytes;
    }
  }
  return Status::Ok();
}

/// As a restore would find it: what was just written, and every file that it names in full length.
Status LookAtWhatWasWritten(JobStorage& storage, const Head& next) {
  WEIR_ASSIGN(const Manifest manifest, storage.ReadManifest(next));
  for (const ManifestFile& file : manifest.files) {
    WEIR_ASSIGN(const uint64_t bytes,
                storage.store().Size(storage.InIncarnation(manifest.incarnation, file.name)));
    if (bytes != file.bytes) {
      return Status(Code::kCorruption, file.name + ": written with " + std::to_string(file.bytes) +
                                           " bytes, found " + std::to_string(bytes));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<PublishedCheckpoint> PublishCheckpoint(JobStorage& storage, const PhysicalPlan& plan,
                                              const Json& description, const Head& head,
                                              AckedCheckpoint checkpoint) {
  PublishedCheckpoint published;
  Manifest& manifest = published.manifest;
  manifest.cluster = std::move(checkpoint.cluster);
  manifest.job = plan.job;
  manifest.incarnation = head.incarnation;
  manifest.job_hash = plan.job_hash;
  manifest.attempt = checkpoint.attempt;
  manifest.checkpoint = checkpoint.id;
  manifest.kind = checkpoint.kind;
  manifest.time = checkpoint.time;
  manifest.key_groups = plan.key_groups;
  manifest.description = description;
  std::sort(checkpoint.snapshots.begin(), checkpoint.snapshots.end(),
            [](const TaskSnapshot& a, const TaskSnapshot& b) { return a.task < b.task; });
  const std::string folder = FolderOf(checkpoint);
  WEIR_TRY(WriteParts(storage, plan, folder, checkpoint.snapshots, published));

  const std::string text = EncodeManifest(manifest);
  Head next = head;
  next.attempt = checkpoint.attempt;
  next.checkpoint = checkpoint.id;
  next.next = checkpoint.id;
  next.manifest = head.incarnation + "/" + folder + "/MANIFEST";
  next.manifest_sha256 = Sha256Hex(text);
  WEIR_TRY(storage.store().Put(plan.job + "/" + next.manifest, text));
  WEIR_TRY(LookAtWhatWasWritten(storage, next));
  WEIR_ASSIGN(published.head, storage.Advance(head, next));
  return published;
}

}  // namespace weir::control
