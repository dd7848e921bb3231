#include "engine/control/prepare.h"

#include <algorithm>

#include "engine/base/bytes.h"
#include "engine/base/log.h"

namespace weir::control {
namespace {

std::string Uuid(Env& env) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  uint64_t bits = 0;
  for (int i = 0; i < 32; ++i) {
    if (i % 16 == 0) bits = env.Random();
    if (i == 8 || i == 12 || i == 16 || i == 20) text += '-';
    text += kHex[bits & 15];
    bits >>= 4;
  }
  return text;
}

/// With RocksDB's log off a working directory stands at no barrier: what a dead attempt left is
/// of no use.
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

/// Of a sink that is exactly once, results behind the restored checkpoint may be visible already.
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

  Status Run(const std::optional<Head>& last_head, PreparedAttempt& prepared) {
    const bool first = !last_head;
    if (prepared.cluster.empty()) {
      WEIR_ASSIGN(prepared.cluster, storage_.ClusterId());
    }
    std::optional<Head> current;
    if (first) {
      WEIR_ASSIGN(current, storage_.ReadHead());
    } else {
      WEIR_ASSIGN(current, storage_.Learn(*last_head));
    }
    Head next;
    const bool obeyed = current && !options_.nonce.empty() && current->nonce == options_.nonce;
    bool named_by_hand = false;
    if (!current || (first && options_.from_none && !obeyed)) {
      next.incarnation = Uuid(*options_.env);
      next.attempt.value = current ? current->attempt.value + 1 : 1;
    } else {
      next = *current;
      next.attempt.value = current->attempt.value + 1;
      if (first && options_.from_checkpoint && !obeyed) {
        named_by_hand = true;
        WEIR_ASSIGN(next, storage_.PointAt(next, CheckpointId{*options_.from_checkpoint}));
      }
    }
    if (!options_.nonce.empty()) next.nonce = options_.nonce;

    Status damage;
    if (!next.manifest.empty()) {
      const Result<Manifest> manifest = storage_.ReadManifest(next);
      if (manifest.ok()) {
        WEIR_TRY(options_.check_upgrade(*manifest));
        // Without the note its sinks may still owe results: the end is repeated from the
        // checkpoint, which makes them publish.
        if (first && manifest->kind == CheckpointKind::kFinished &&
            storage_.store().Size(PublishedNote(plan_.job, next.manifest)).ok()) {
          prepared.finished_before = true;
          prepared.head = next;
          return Status::Ok();
        }
      } else if (IsDamage(manifest.status()) && !named_by_hand) {
        damage = manifest.status();
      } else {
        return manifest.status();
      }
    }
    // The attempt is taken by moving HEAD, so whatever was paused has lost from here on.
    WEIR_ASSIGN(prepared.head, storage_.Advance(current, next));
    prepared.head_moved = true;

    WEIR_TRY(RemoveDeadAttempts(*options_.env, options_.state_directory));
    prepared.restore_directory =
        options_.state_directory + "/restore-" + std::to_string(next.attempt.value);
    if (!next.manifest.empty()) {
      const Duration restore_begin = options_.env->Steady();
      if (damage.ok()) {
        Result<RestoredJob> restored = Load(prepared, prepared.head);
        if (restored.ok()) {
          prepared.restored = std::move(restored).value();
        } else if (IsDamage(restored.status()) && !named_by_hand) {
          damage = restored.status();
        } else {
          return restored.status().At(CheckpointName(next));
        }
      }
      if (!damage.ok()) WEIR_TRY(GoBack(damage.At(CheckpointName(next)), prepared));
      prepared.restore_time = options_.env->Steady() - restore_begin;
      clients_.Extend(prepared.restore_time);
    }
    WEIR_ASSIGN(prepared.highest_stored, retention_.Rebuild(prepared.head));
    WEIR_ASSIGN(
        prepared.discovery,
        SplitDiscovery::Open(plan_,
                             {options_.env, &clients_, options_.memory, prepared.cluster,
                              prepared.head.incarnation, prepared.head.attempt},
                             prepared.restored ? prepared.restored->splits
                                               : std::map<std::string, std::vector<SplitState>>()));
    return Status::Ok();
  }

 private:
  static std::string CheckpointName(const Head& head) {
    return "checkpoint " + std::to_string(head.checkpoint.value);
  }

  Result<RestoredJob> Load(const PreparedAttempt& prepared, const Head& head) {
    return LoadCheckpoint(*options_.env, storage_, head, plan_, prepared.restore_directory,
                          options_.connect_timeout);
  }

  /// HEAD's checkpoint cannot be used for `damage`: the newest whole one before it, if no result
  /// is doubled by that.
  Status GoBack(const Status& damage, PreparedAttempt& prepared) {
    std::string tried = prepared.head.manifest;
    for (uint64_t sequence = prepared.head.sequence - 1; sequence > 0; --sequence) {
      Result<Head> old = storage_.ReadHeadAt(sequence);
      if (!old.ok() && !IsDamage(old.status())) return old.status();
      if (!old.ok() || old->incarnation != prepared.head.incarnation) break;
      // One behind HEAD's was given up by hand (--from), so it is not gone back to.
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
        return Status(Code::kCorruption,
                      damage.message() + "; " + CheckpointName(*old) +
                          " is whole, but an exactly-once sink may have published results past it, "
                          "which would come a second time. Bring the file back from a copy of the "
                          "storage and start again, or start empty with --from none and another "
                          "place for the results (--from " +
                          std::to_string(old->checkpoint.value) +
                          " is refused, and nothing lost by it, if a sink has published past it)");
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
