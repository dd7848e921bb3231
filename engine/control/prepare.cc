#include "engine/control/prepare.h"

#include <algorithm>

#include "engine/base/random_hex.h"

namespace weir::control {
namespace {

/// With RocksDB's log off a working directory stands at no barrier: what a dead
/// attempt left is of no use.
Status RemoveDeadAttempts(Env& env, const Path& state_directory) {
  WEIR_ASSIGN(const std::vector<DirectoryEntry> entries, env.List(state_directory));
  for (const DirectoryEntry& entry : entries) {
    if (entry.directory) WEIR_TRY(env.RemoveTree(state_directory + "/" + entry.name));
  }
  return Status::Ok();
}

bool IsDamage(const Status& status) {
  return status.code() == Code::kCorruption || status.code() == Code::kNotFound;
}

/// Of a sink that is exactly once, results behind the restored checkpoint may
/// be visible already.
bool MayHavePublishedPast(const RestoredJob& job) {
  for (const auto& [key, task] : job.tasks) {
    for (const runtime::NodeLane& lane : task.lanes) {
      if (lane.guarantee == Guarantee::kExactlyOnce) return true;
    }
  }
  return false;
}

class Preparation {
 public:
  Preparation(const CoordinatorOptions& options, BoundedClients& clients, JobStorage& storage,
              Retention& retention)
      : options_(options),
        clients_(clients),
        plan_(*options.plan),
        storage_(storage),
        retention_(retention) {}

  /// `prepared` is filled step by step: after an error it says how far they
  /// came.
  Status Run(const std::optional<Head>& last_head, PreparedAttempt& prepared) {
    WEIR_ASSIGN(const std::optional<Head> current, ReadCurrent(last_head, prepared));
    WEIR_ASSIGN(const Head next, ChooseNext(current, /*first=*/!last_head));
    WEIR_TRY(CheckCheckpoint(next, /*first=*/!last_head, prepared));
    if (prepared.finished_before) return Status::Ok();
    WEIR_TRY(TakeAttempt(current, next, prepared));
    if (!next.manifest.empty()) WEIR_TRY(Restore(prepared));
    WEIR_ASSIGN(prepared.highest_stored, retention_.Rebuild(prepared.head));
    return OpenSources(prepared);
  }

 private:
  static std::string CheckpointName(const Head& head) {
    return "checkpoint " + std::to_string(head.checkpoint.value);
  }

  /// Damage is gone back from, unless somebody has asked for this very
  /// checkpoint.
  bool CanGoBackFrom(const Status& status) const { return IsDamage(status) && !named_by_hand_; }

  Result<std::optional<Head>> ReadCurrent(const std::optional<Head>& last_head,
                                          PreparedAttempt& prepared) {
    if (prepared.cluster.empty()) {
      WEIR_ASSIGN(prepared.cluster, storage_.ClusterId());
    }
    if (!last_head) return storage_.ReadHead();
    WEIR_ASSIGN(Head learned, storage_.Learn(*last_head));
    return std::optional<Head>(std::move(learned));
  }

  /// HEAD of the attempt to take. What the start asks for (--from) counts once:
  /// not for a later attempt of the process, nor for a start whose nonce HEAD
  /// knows.
  Result<Head> ChooseNext(const std::optional<Head>& current, bool first) {
    const bool obeyed = current && !options_.nonce.empty() && current->nonce == options_.nonce;
    const bool asked = first && !obeyed;
    Head next;
    if (!current || (asked && options_.from_none)) {
      next.incarnation = RandomUuid(*options_.env);
    } else if (asked && options_.from_checkpoint) {
      named_by_hand_ = true;
      WEIR_ASSIGN(next, storage_.PointAt(*current, CheckpointId{*options_.from_checkpoint}));
    } else {
      next = *current;
    }
    next.attempt.value = current ? current->attempt.value + 1 : 1;
    if (!options_.nonce.empty()) next.nonce = options_.nonce;
    return next;
  }

  /// All that can refuse the checkpoint before HEAD moves; `damage_` if it has
  /// to be gone back from.
  Status CheckCheckpoint(const Head& next, bool first, PreparedAttempt& prepared) {
    if (next.manifest.empty()) return Status::Ok();
    const Result<Manifest> manifest = storage_.ReadManifest(next);
    if (!manifest.ok()) {
      damage_ = manifest.status();
      return CanGoBackFrom(damage_) ? Status::Ok() : damage_;
    }
    WEIR_TRY(options_.check_upgrade(*manifest));
    // Without the note its sinks may still owe results: the end is repeated
    // from the checkpoint, which makes them publish.
    if (first && manifest->kind == CheckpointKind::kFinished &&
        storage_.store().Size(PublishedNote(plan_.job, next.manifest)).ok()) {
      prepared.finished_before = true;
      prepared.head = next;
    }
    return Status::Ok();
  }

  /// By moving HEAD, so whatever was paused has lost from here on.
  Status TakeAttempt(const std::optional<Head>& current, const Head& next,
                     PreparedAttempt& prepared) {
    WEIR_ASSIGN(prepared.head, storage_.Advance(current, next));
    prepared.head_moved = true;
    WEIR_TRY(RemoveDeadAttempts(*options_.env, options_.state_directory));
    prepared.restore_directory =
        options_.state_directory + "/restore-" + std::to_string(next.attempt.value);
    return Status::Ok();
  }

  Status Restore(PreparedAttempt& prepared) {
    const Duration begin = options_.env->Steady();
    if (damage_.ok()) {
      Result<RestoredJob> restored = Load(prepared, prepared.head);
      if (restored.ok()) {
        prepared.restored = std::move(restored).value();
      } else {
        damage_ = restored.status().At(CheckpointName(prepared.head));
        if (!CanGoBackFrom(damage_)) return damage_;
      }
    } else {
      damage_ = damage_.At(CheckpointName(prepared.head));
    }
    if (!damage_.ok()) WEIR_TRY(GoBack(damage_, prepared));
    prepared.restore_time = options_.env->Steady() - begin;
    clients_.Extend(prepared.restore_time);
    return Status::Ok();
  }

  Status OpenSources(PreparedAttempt& prepared) {
    WEIR_ASSIGN(
        prepared.discovery,
        SplitDiscovery::Open(plan_,
                             {options_.env, &clients_, options_.memory, prepared.cluster,
                              prepared.head.incarnation, prepared.head.attempt},
                             prepared.restored ? prepared.restored->splits
                                               : std::map<std::string, std::vector<SplitState>>()));
    return Status::Ok();
  }

  Result<RestoredJob> Load(const PreparedAttempt& prepared, const Head& head) {
    return LoadCheckpoint(*options_.env, storage_, head, plan_, prepared.restore_directory,
                          options_.connect_timeout);
  }

  /// HEAD's checkpoint cannot be used for `damage`: the newest whole one before
  /// it, if no result is doubled by that.
  Status GoBack(const Status& damage, PreparedAttempt& prepared) {
    std::string tried = prepared.head.manifest;
    for (uint64_t sequence = prepared.head.sequence - 1; sequence > 0; --sequence) {
      Result<Head> old = storage_.ReadHeadAt(sequence);
      if (!old.ok() && !IsDamage(old.status())) return old.status();
      if (!old.ok() || old->incarnation != prepared.head.incarnation) break;
      // One behind HEAD's was given up by hand (--from), so it is not gone back
      // to.
      if (old->manifest.empty() || old->manifest == tried ||
          old->checkpoint >= prepared.head.checkpoint)
        continue;
      tried = old->manifest;
      const Result<Manifest> manifest = storage_.ReadManifest(*old);
      if (!manifest.ok() && !IsDamage(manifest.status()))
        return manifest.status().At(CheckpointName(*old));
      if (!manifest.ok() || !options_.check_upgrade(*manifest).ok()) continue;
      Result<RestoredJob> restored = Load(prepared, *old);
      if (!restored.ok()) {
        if (IsDamage(restored.status())) continue;
        return restored.status().At(CheckpointName(*old));
      }
      if (MayHavePublishedPast(*restored)) {
        return Status(Code::kCorruption, damage.message() + "; " + CheckpointName(*old) +
                                             " is whole, but an exactly-once sink may have "
                                             "published results past it, "
                                             "which would come a second time. Bring the file back "
                                             "from a copy of the "
                                             "storage and start again, or start empty with --from "
                                             "none and another "
                                             "place for the results (--from " +
                                             std::to_string(old->checkpoint.value) +
                                             " is refused, and nothing lost by it, if a sink has "
                                             "published past it)");
      }
      Head next = prepared.head;
      next.next = std::max(next.next, next.checkpoint);
      next.checkpoint = old->checkpoint;
      next.manifest = old->manifest;
      next.manifest_sha256 = old->manifest_sha256;
      WEIR_ASSIGN(prepared.head, storage_.Advance(prepared.head, next));
      prepared.restored = std::move(restored).value();
      prepared.damage = damage;
      return Status::Ok();
    }
    return Status(Code::kCorruption, damage.message() + "; no checkpoint before it can be used");
  }

  const CoordinatorOptions& options_;
  BoundedClients& clients_;
  const PhysicalPlan& plan_;
  JobStorage& storage_;
  Retention& retention_;
  bool named_by_hand_ = false;
  Status damage_;  // of the checkpoint that HEAD names
};

}  // namespace

PreparedAttempt PrepareAttempt(const CoordinatorOptions& options, BoundedClients& clients,
                               JobStorage& storage, Retention& retention,
                               const std::optional<Head>& last_head, const std::string& cluster) {
  PreparedAttempt prepared;
  prepared.cluster = !cluster.empty() ? cluster : options.cluster;
  prepared.status = Preparation(options, clients, storage, retention).Run(last_head, prepared);
  return prepared;
}

std::string PublishedNote(const std::string& job, const std::string& manifest) {
  return job + "/" + ParentDirectory(manifest) + "/PUBLISHED";
}

}  // namespace weir::control
