#pragma once
// JobStorage: one job's place in a storage: which HEAD counts, how it moves, who owns the job, and
// the cluster's id. HEAD moves only by creating the next HEAD.<sequence>
// exclusively, so whoever was paused loses, whatever it believes. OWNER and LOST are courtesies,
// never the proof. All calls block (pool threads); one caller at a time, RenewOwner beside it.
// Errors: kFenced when somebody else has moved HEAD, kLocked when another process runs the job,
// kCorruption naming the file when HEAD cannot be read (an older one is never taken silently).

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/checkpoint_store.h"
#include "engine/base/env.h"
#include "engine/control/manifest.h"

namespace weir::control {

inline constexpr uint64_t kHeadsKept = 100;
inline constexpr Duration kOwnerRenewInterval = Seconds(5);
inline constexpr Duration kOwnerWatchTime = Seconds(15);

/// A checkpoint whose manifest lies in the storage, as the name of its folder says: "chk/<N>-<A>".
struct StoredCheckpoint {
  CheckpointId id;
  Attempt attempt;
  std::string manifest;  // name relative to the job's folder, as in a Head
  uint64_t bytes = 0;
};

struct StoredCheckpoints {
  std::vector<StoredCheckpoint> complete;  // by rising id
  CheckpointId highest;  // of all folders of the incarnation, those of no HEAD included
};

class JobStorage {
 public:
  JobStorage(Env& env, CheckpointStore& store, std::string job, std::string state_directory)
      : env_(env),
        store_(store),
        job_(std::move(job)),
        state_directory_(std::move(state_directory)) {}

  CheckpointStore& store() { return store_; }
  const std::string& job() const { return job_; }
  /// "<job>/HEAD.000000000012".
  std::string HeadName(uint64_t sequence) const;
  /// Name in the storage of a name of the incarnation's folder.
  std::string InIncarnation(const std::string& incarnation, std::string_view name) const {
    return job_ + "/" + incarnation + "/" + std::string(name);
  }

  /// The highest one; empty: the job has never run here.
  Result<std::optional<Head>> ReadHead();
  /// An older one, for whoever looks for the checkpoint before; kNotFound: it is kept no longer.
  Result<Head> ReadHeadAt(uint64_t sequence);
  /// Creates the HEAD after `current` with the contents of `next` (sequence and token are set
  /// here). Durable on return. After an error other than kFenced the HEAD may stand all the same,
  /// or come to stand later: the next Advance goes on from it, Learn reads it, and until one of
  /// them has succeeded nothing that it names may be removed.
  Result<Head> Advance(const std::optional<Head>& current, Head next);
  /// The newest HEAD that this JobStorage itself has created after `current`, else `current`;
  /// kFenced if somebody else has moved it.
  Result<Head> Learn(const Head& current);
  Result<Manifest> ReadManifest(const Head& head);

  /// What of `head`'s incarnation can be gone on from, by a listing. A manifest alone says nothing:
  /// one above every number that HEAD has named does not count, nor one with HEAD's number that
  /// HEAD does not name. Those above `head.checkpoint` were complete before HEAD went back to it.
  Result<StoredCheckpoints> ListCheckpoints(const Head& head);
  /// kCorruption if the file is not the manifest that its name promises.
  Result<Manifest> ReadManifest(const Head& head, const StoredCheckpoint& stored);
  /// `head` gone back (or forward again) to checkpoint `id`: as an older HEAD has named it or, for
  /// one older than the HEADs that are kept, by ListCheckpoints. kNotFound if it does not count.
  Result<Head> PointAt(const Head& head, CheckpointId id);

  /// 8 hex digits, made at first use by create-exclusive.
  Result<std::string> ClusterId();

  // Whose OWNER it is: that of the place whose id lies in PLACE of the state directory. No name
  // will do, since a release of the same name in another namespace has the same host and paths.
  // REQUIRES: the lock on the state directory is held, so that of two processes of one place the
  // other is dead.

  /// Text of an OWNER that may belong to another living process and has to be watched for
  /// kOwnerWatchTime; empty: the job is free. Makes PLACE where there is none, or none that can be
  /// used: then an OWNER that was one's own is watched too.
  Result<std::optional<std::string>> ForeignOwner();
  /// kLocked, naming host, state directory and place, if OWNER is no longer `text`: its writer
  /// lives.
  Status CheckUnchanged(const std::string& text);
  /// Writes OWNER under a token of our own and removes LOST.
  Status TakeOwner();
  /// So that whoever watches OWNER sees a living process, also while that restores or waits.
  Status RenewOwner();
  /// Clean stop.
  void ReleaseOwner();
  /// This process has lost HEAD: a restart in place must stay out while the other one lives.
  void MarkLost();

 private:
  Result<std::string> ReadManifestText(const std::string& manifest);
  Result<Manifest> CheckedManifest(const std::string& name, std::string_view text,
                                   const std::string& incarnation, CheckpointId id) const;
  Result<std::optional<uint64_t>> HighestSequence();
  /// In every HEAD of this JobStorage and in nobody else's.
  const std::string& Token();
  Status Overtaken(const std::string& what) const;
  Status NoCheckpoint(CheckpointId id) const;
  Result<std::optional<std::string>> ReadOptional(const std::string& name, size_t bytes_max);
  Result<std::string> ReadOrMakePlace();
  std::string OwnerText();

  Env& env_;
  CheckpointStore& store_;
  const std::string job_, state_directory_;
  std::string head_token_, owner_token_, place_;
  uint64_t renewals_ = 0;
};

}  // namespace weir::control
