#pragma once
// Retention: which checkpoints are kept and which files may go. References are
// rebuilt from the manifests at start; a shared file stays as long as a retained manifest names it.
// Manifests go first, files after. Calls block (pool); the coordinator runs them only while no
// checkpoint is pending, so a file that a task is just about to name again is never deleted.
//
// A process that has been taken over must not judge its successor's files. Before the first removal
// of a call HEAD is asked for, after whatever the call has listed: a successor writes into the
// incarnation only once it has moved HEAD, so nothing in the list is its own if HEAD still stands.
// Errors: kFenced, and nothing was removed; the first removal that fails otherwise ends the call,
// is counted, and what is left is found by the collection that the next completed checkpoint makes.

#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "engine/control/job_storage.h"

namespace weir::control {

class Retention {
 public:
  Retention(JobStorage& storage, uint32_t retain) : storage_(storage), retain_(retain) {}

  /// After HEAD has been read and the attempt taken: keeps the newest complete checkpoints of the
  /// incarnation up to HEAD's, removes all else in it, unless HEAD has been gone back
  /// (next > checkpoint): then what lies past it stays until the next collection. Answers the
  /// highest checkpoint id that any folder of the incarnation had. A manifest that cannot be read
  /// now is an error, for its files would look like orphans.
  Result<CheckpointId> Rebuild(const Head& head);
  /// `manifest` is complete and `head` names it: registers it, drops the oldest beyond `retain` and
  /// what only they referred to. `orphans`: files of checkpoints that were given up go too.
  Status Completed(const Head& head, const Manifest& manifest, bool orphans);
  /// Folders that no kept manifest names go, shared files that nobody refers to, and uploads in
  /// parts that nobody will finish. Needs a listing.
  Status CollectOrphans(const Head& head);
  uint64_t failed_removals() const { return failed_removals_; }

 private:
  struct Kept {
    std::string manifest_name;  // relative to the job's folder
    std::set<std::string> files;
  };
  Status Remove(const std::string& name_in_store);
  Status Failed(const std::string& what, const Status& status);
  bool Referenced(const std::string& file) const;

  JobStorage& storage_;
  const uint32_t retain_;
  std::string incarnation_;
  std::deque<Kept> kept_;  // oldest first
  uint64_t failed_removals_ = 0;
  bool unfinished_ = false;  // orphans are owed a collection
};

}  // namespace weir::control
