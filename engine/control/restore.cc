#include "engine/control/restore.h"

#include <algorithm>
#include <set>

#include "engine/base/bytes.h"
#include "engine/base/content_hash.h"
#include "engine/data/key_encoding.h"

namespace weir::control {
namespace {

using runtime::TaskKey;
using runtime::TaskRestore;
using runtime::TaskSnapshot;

constexpr size_t kVerifyPieceBytes = size_t{8} << 20;

const ManifestFile* FindFile(const Manifest& manifest, std::string_view name) {
  const auto place = std::find_if(manifest.files.begin(), manifest.files.end(),
                                  [&](const ManifestFile& file) { return file.name == name; });
  return place == manifest.files.end() ? nullptr : &*place;
}

Status CheckLength(const ManifestFile& file, uint64_t found) {
  if (found == file.bytes) return Status::Ok();
  return Status(Code::kCorruption, file.name + ": expected " + std::to_string(file.bytes) +
                                       " bytes, found " + std::to_string(found));
}

Status CheckHash(const ManifestFile& file, const Hash128& hash) {
  const std::string found = hash.Hex();
  if (found == file.hash) return Status::Ok();
  return Status(Code::kCorruption, file.name + ": expected hash " + file.hash + ", found " + found);
}

Status MissingIsDamage(const ManifestFile& file, const Status& status) {
  return status.code() == Code::kNotFound
             ? Status(Code::kCorruption, file.name + ": missing, although the manifest lists it")
             : status;
}

/// Of a task part, which is read into memory.
Result<TaskSnapshot> ReadPart(JobStorage& storage, const Manifest& manifest,
                              const ManifestFile& file) {
  Result<std::string> bytes = storage.store().Read(
      storage.InIncarnation(manifest.incarnation, file.name), 0, file.bytes + 1);
  if (!bytes.ok()) return MissingIsDamage(file, bytes.status());
  WEIR_TRY(CheckLength(file, bytes->size()));
  WEIR_TRY(CheckHash(file, HashContent(*bytes)));
  Result<TaskSnapshot> snapshot = runtime::DecodeTaskSnapshot(*bytes);
  if (!snapshot.ok()) return snapshot.status().At(file.name);
  return snapshot;
}

/// Fetches a file of any length; each byte is read once, where the storage reads them itself.
Status FetchVerified(Env& env, JobStorage& storage, const Manifest& manifest,
                     const ManifestFile& file, const Path& local) {
  const Result<std::optional<Hash128>> fetched = storage.store().Fetch(
      storage.InIncarnation(manifest.incarnation, file.name), file.bytes, local);
  if (!fetched.ok()) return MissingIsDamage(file, fetched.status());
  if (*fetched) return CheckHash(file, **fetched);
  WEIR_ASSIGN(const HashedFile content, HashFile(env, local));
  WEIR_TRY(CheckLength(file, content.bytes));
  return CheckHash(file, content.hash);
}

/// As FetchVerified, without a copy.
Status CheckStored(JobStorage& storage, const Manifest& manifest, const ManifestFile& file) {
  const std::string name = storage.InIncarnation(manifest.incarnation, file.name);
  const Result<uint64_t> found = storage.store().Size(name);
  if (!found.ok()) return MissingIsDamage(file, found.status());
  WEIR_TRY(CheckLength(file, *found));
  ContentHasher hasher;
  for (uint64_t offset = 0; offset < file.bytes;) {
    const size_t wanted = std::min<uint64_t>(kVerifyPieceBytes, file.bytes - offset);
    const Result<std::string> piece = storage.store().Read(name, offset, wanted);
    if (!piece.ok()) return MissingIsDamage(file, piece.status());
    if (piece->size() != wanted) return CheckLength(file, offset + piece->size());
    hasher.Update(*piece);
    offset += wanted;
  }
  return CheckHash(file, hasher.Digest());
}

std::set<std::string_view> PartsOf(const Manifest& manifest) {
  std::set<std::string_view> parts;
  for (const ManifestTask& task : manifest.tasks) parts.insert(task.part);
  return parts;
}

Status NotListed(const std::string& part) {
  return Status(Code::kCorruption, part + ": not among the files of its manifest");
}

/// Where the nodes of the new plan run.
struct Placement {
  explicit Placement(const PhysicalPlan& plan) {
    for (const PlanNode& node : plan.nodes) {
      by_id[node.id] = &node;
      if (!node.renamed_from.empty()) renamed[node.renamed_from] = node.id;
    }
  }
  const PlanNode* Find(const std::string& old_id) const {
    const auto new_name = renamed.find(old_id);
    const auto place = by_id.find(new_name == renamed.end() ? old_id : new_name->second);
    return place == by_id.end() ? nullptr : place->second;
  }
  std::map<std::string, const PlanNode*> by_id;
  std::map<std::string, std::string> renamed;
};

bool IsKeyed(const PlanNode& node) {
  return !node.shape.keys.empty() && node.shape.keys[0].has_value();
}

bool Overlap(GroupRange a, GroupRange b) { return a.first <= b.last && b.first <= a.last; }

/// Key columns of an in-flight batch: partial rows carry them first, other rows are asked by the
/// node's key expressions.
std::vector<Column> KeyColumns(const PlanNode& node, Port port, const Batch& batch) {
  std::vector<Column> columns;
  const std::vector<Expression>& keys = *node.shape.keys[port.value];
  RowErrors errors;  // a row whose key cannot be computed has a NULL key here; the task evaluates
                     // again and reports it
  for (size_t i = 0; i < keys.size(); ++i) {
    columns.push_back(node.shape.combine ? batch.column(ColumnIndex{static_cast<uint16_t>(i)})
                                         : keys[i].Evaluate(batch, errors));
  }
  return columns;
}

class Dealer {
 public:
  Dealer(const PhysicalPlan& plan, RestoredJob& job) : plan_(plan), placement_(plan), job_(job) {
    for (const PlanChain& chain : plan.chains) {
      for (uint32_t task = 0; task < chain.parallelism; ++task) job_.tasks[Key(chain.index, task)];
    }
  }

  Status Deal(const TaskSnapshot& old, const ManifestTask& listed) {
    DealWatermarks(old);
    DealBuffered(old);
    DealLists(old);
    for (const auto& [node, splits] : old.splits) {
      if (const PlanNode* target = placement_.Find(node)) {
        std::vector<SplitState>& all = job_.splits[target->id];
        all.insert(all.end(), splits.begin(), splits.end());
      }
    }
    for (const runtime::InFlightRows& rows : old.in_flight) DealRows(rows);
    for (const runtime::NodeLane& lane : old.lanes) {
      const PlanNode* target = placement_.Find(lane.node_id);
      if (target == nullptr) continue;  // the upgrade check has allowed it
      runtime::NodeLane moved = lane;
      moved.node_id = target->id;
      job_.tasks[Key(target->chain, lane.lane.lane.value % target->parallelism)].lanes.push_back(
          std::move(moved));
    }
    if (old.image) DealImage(old, listed);
    return Status::Ok();
  }

  /// A chain counts as finished only if all its old tasks were.
  void SetFinished(const std::vector<ManifestTask>& tasks) {
    for (const PlanChain& chain : plan_.chains) {
      bool finished = false, running = false;
      for (const ManifestTask& task : tasks) {
        const bool same =
            std::any_of(task.nodes.begin(), task.nodes.end(), [&](const std::string& id) {
              const PlanNode* node = placement_.Find(id);
              return node != nullptr && node->chain == chain.index;
            });
        if (same) (task.finished ? finished : running) = true;
      }
      if (!finished || running) continue;
      for (uint32_t task = 0; task < chain.parallelism; ++task)
        job_.tasks[Key(chain.index, task)].finished = true;
    }
  }

 private:
  static TaskKey Key(uint32_t chain, uint32_t task) {
    return {chain, TaskIndex{static_cast<uint16_t>(task)}};
  }
  GroupRange Groups(const PlanNode& node, uint32_t task) const {
    return GroupsOf(TaskIndex{static_cast<uint16_t>(task)}, plan_.key_groups, node.parallelism);
  }

  void DealWatermarks(const TaskSnapshot& old) {
    for (const auto& [id, watermark] : old.watermarks) {
      const PlanNode* node = placement_.Find(id);
      if (node == nullptr) continue;
      for (uint32_t task = 0; task < node->parallelism; ++task) {
        TaskRestore& restore = job_.tasks[Key(node->chain, task)];
        const GroupRange groups = Groups(*node, task);
        if (!IsKeyed(*node)) {
          const auto [place, fresh] = restore.watermarks.emplace(node->id, watermark);
          if (!fresh) place->second = std::min(place->second, watermark);
        } else if (Overlap(old.groups, groups)) {
          auto& by_group = restore.group_watermarks[node->id];
          for (uint32_t group = std::max(old.groups.first.value, groups.first.value);
               group <= std::min(old.groups.last.value, groups.last.value); ++group) {
            by_group[static_cast<uint16_t>(group)] = watermark;
          }
        }
      }
    }
  }

  void DealBuffered(const TaskSnapshot& old) {
    for (const auto& [id, by_group] : old.buffered) {
      const PlanNode* node = placement_.Find(id);
      if (node == nullptr) continue;
      for (const auto& [group, rows] : by_group) {
        const uint32_t task =
            IsKeyed(*node) ? TaskOf(KeyGroup{group}, plan_.key_groups, node->parallelism).value : 0;
        job_.tasks[Key(node->chain, task)].buffered[node->id] += rows;
      }
    }
  }

  void DealLists(const TaskSnapshot& old) {
    for (const runtime::ListItems& list : old.lists) {
      const PlanNode* node = placement_.Find(list.node_id);
      if (node == nullptr || list.state.value >= node->shape.states.size()) continue;
      const Spread spread = node->shape.states[list.state.value].spread;
      for (uint32_t task = 0; task < node->parallelism; ++task) {
        runtime::ListItems part{node->id, list.state, {}};
        if (spread == Spread::kUnion ||
            (spread == Spread::kBroadcast && old.task.task.value == 0)) {
          part.items = list.items;
        } else if (spread == Spread::kSplit) {
          for (size_t i = task; i < list.items.size(); i += node->parallelism)
            part.items.push_back(list.items[i]);
        }
        if (!part.items.empty())
          job_.tasks[Key(node->chain, task)].lists.push_back(std::move(part));
      }
    }
  }

  void DealRows(const runtime::InFlightRows& rows) {
    const PlanNode* node = placement_.Find(rows.node_id);
    if (node == nullptr || rows.batch.rows() == 0) return;
    const auto give = [&](uint32_t task, Batch batch) {
      job_.tasks[Key(node->chain, task)].in_flight.push_back(
          {node->id, rows.port, std::move(batch)});
    };
    if (!IsKeyed(*node) || node->parallelism == 1) {
      give(next_task_++ % node->parallelism, rows.batch);
      return;
    }
    const std::vector<Column> columns = KeyColumns(*node, rows.port, rows.batch);
    const auto keys = EncodeKeys(columns, rows.batch.rows(), nullptr);
    std::vector<Selection> by_task(node->parallelism);
    for (uint32_t row = 0; row < rows.batch.rows(); ++row) {
      by_task[TaskOf(KeyGroupOf(keys->hash[row], plan_.key_groups), plan_.key_groups,
                     node->parallelism)
                  .value]
          .mutable_rows()
          .push_back(row);
    }
    for (uint32_t task = 0; task < node->parallelism; ++task) {
      if (!by_task[task].empty()) give(task, rows.batch.Take(by_task[task]));
    }
  }

  void DealImage(const TaskSnapshot& old, const ManifestTask& listed) {
    std::set<uint32_t> chains;
    for (const std::string& id : listed.nodes) {
      if (const PlanNode* node = placement_.Find(id);
          node != nullptr && !node->shape.states.empty())
        chains.insert(node->chain);
    }
    for (const uint32_t chain : chains) {
      for (uint32_t task = 0; task < plan_.chains[chain].parallelism; ++task) {
        const GroupRange groups = GroupsOf(TaskIndex{static_cast<uint16_t>(task)}, plan_.key_groups,
                                           plan_.chains[chain].parallelism);
        if (Overlap(old.image->groups, groups))
          job_.tasks[Key(chain, task)].images.push_back(*old.image);
      }
    }
  }

  const PhysicalPlan& plan_;
  const Placement placement_;
  RestoredJob& job_;
  uint32_t next_task_ = 0;
};

}  // namespace

Result<TaskSnapshot> ReadTaskPart(JobStorage& storage, const Manifest& manifest,
                                  const ManifestTask& task) {
  const ManifestFile* file = FindFile(manifest, task.part);
  if (file == nullptr) return NotListed(task.part);
  return ReadPart(storage, manifest, *file);
}

Result<RestoredJob> LoadCheckpoint(Env& env, JobStorage& storage, const Head& head,
                                   const PhysicalPlan& plan, const Path& directory,
                                   Duration patience) {
  RestoredJob job;
  const auto renew = [&] { storage.store().RetryUntil(env.Steady() + patience); };
  renew();
  WEIR_ASSIGN(job.manifest, storage.ReadManifest(head));
  WEIR_TRY(env.RemoveTree(directory));
  WEIR_TRY(env.MakeDirectory(directory));
  // Every byte that the manifest lists is checked first, also of files that the new plan will not
  // read: corruption is found now or never noticed.
  const std::set<std::string_view> parts = PartsOf(job.manifest);
  std::map<std::string, TaskSnapshot> snapshots;
  std::map<std::string, Path> fetched;
  for (const ManifestFile& file : job.manifest.files) {
    renew();
    if (parts.contains(file.name)) {
      WEIR_ASSIGN(snapshots[file.name], ReadPart(storage, job.manifest, file));
      continue;
    }
    if (fetched.contains(file.name))
      return Status(Code::kCorruption, file.name + ": listed twice by its manifest");
    Path local = directory + "/" + std::to_string(fetched.size());
    WEIR_TRY(FetchVerified(env, storage, job.manifest, file, local));
    fetched[file.name] = std::move(local);
  }
  Dealer dealer(plan, job);
  for (const ManifestTask& listed : job.manifest.tasks) {
    const auto read = snapshots.extract(listed.part);
    if (read.empty()) return NotListed(listed.part);
    TaskSnapshot& snapshot = read.mapped();
    if (snapshot.image) {
      for (ImageFile& file : snapshot.image->files) {
        const auto place = fetched.find(file.name);
        if (place == fetched.end())
          return Status(Code::kCorruption,
                        file.name + ": named by " + listed.part + ", but not by the manifest");
        file.local = place->second;
      }
    }
    WEIR_TRY(dealer.Deal(snapshot, listed));
  }
  dealer.SetFinished(job.manifest.tasks);
  renew();  // for what follows at a start
  return job;
}

std::vector<VerifiedFile> VerifyCheckpoint(JobStorage& storage, const Manifest& manifest) {
  std::set<std::string_view> parts = PartsOf(manifest);
  std::vector<VerifiedFile> found;
  found.reserve(manifest.files.size());
  for (const ManifestFile& file : manifest.files) {
    const bool part = parts.erase(file.name) != 0;
    found.push_back(
        {file.name, file.bytes,
         part ? ReadPart(storage, manifest, file).status() : CheckStored(storage, manifest, file)});
  }
  for (const std::string_view part : parts)
    found.push_back({std::string(part), 0, NotListed(std::string(part))});
  return found;
}

}  // namespace weir::control
