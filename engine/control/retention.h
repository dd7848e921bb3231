#pragma once
// Retention: which checkpoints are kept and which files may go. References are
// rebuilt from the manifests at start; a shared file stays as long as a retained manifest names it.
// Manifests go first, files after. Calls block (pool); the coordinator runs them only while no
// checkpoint is pending, so a file that a task is just about to name again is never deleted.
// Failures are counted and tried again with the next collection.

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
  /// highest checkpoint id that any folder of the incarnation had.
  Result<CheckpointId> Rebuild(const Head& head);
  /// `manifest` is complete and HEAD names it: registers it, drops the oldest beyond `retain` and
  /// what only they referred to.
  void Completed(const Manifest& manifest, const std::string& manifest_name);
  /// Checkpoint (n, attempt) was given up: its folder goes, shared files that nobody refers to, and
  /// uploads in parts that nobody will finish. Needs a listing.
  void CollectOrphans();
  uint64_t failed_removals() const { return failed_removals_; }

 private:
  struct Kept {
    std::string manifest_name;  // relative to the job's folder
    std::string folder;         // chk/<N>-<A>
    std::set<std::string> files;
  };
  void Remove(const std::string& name_in_store);
  bool Referenced(const std::string& file) const;

  JobStorage& storage_;
  const uint32_t retain_;
  std::string incarnation_;
  std::deque<Kept> kept_;  // oldest first
  uint64_t failed_removals_ = 0;
};

}  // namespace weir::control
