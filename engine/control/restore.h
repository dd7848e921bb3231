#pragma once
// LoadCheckpoint: from HEAD's manifest to what the tasks of a new attempt are given:
// every file is fetched and verified, length and XXH3-128 of all bytes, before
// any task starts; then state moves by key group, lists as declared, in-flight rows by key, lanes
// by number, so the parallelism may differ. Blocks: pool thread. Errors: kCorruption
// names the file with expected and found hash; nothing is skipped.

#include <map>
#include <string>
#include <vector>

#include "engine/api/checkpoint_store.h"
#include "engine/base/env.h"
#include "engine/control/job_storage.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/snapshot.h"

namespace weir::control {

struct RestoredJob {
  Manifest manifest;
  std::map<runtime::TaskKey, runtime::TaskRestore> tasks;
  std::map<std::string, std::vector<SplitState>>
      splits;  // source node -> all its splits; the coordinator deals them by its enumerator
};

/// Files go to `directory`, which the caller removes once the attempt is open. The storage may fail
/// to answer for `patience` at any file: each one that has arrived renews the time, so that a large
/// state is not lost to a hiccup at its end.
Result<RestoredJob> LoadCheckpoint(Env& env, JobStorage& storage, const Head& head,
                                   const PhysicalPlan& plan, const Path& directory,
                                   Duration patience);

/// One finding of a check of every byte.
struct VerifiedFile {
  std::string name;
  uint64_t bytes = 0;
  Status status;
};
/// `weir ckpt verify`: reads every file of the manifest from the store; the answer holds one entry
/// per file, good ones too.
std::vector<VerifiedFile> VerifyCheckpoint(JobStorage& storage, const Manifest& manifest);

/// Reads and decodes a task part, verified against the manifest.
Result<runtime::TaskSnapshot> ReadTaskPart(JobStorage& storage, const Manifest& manifest,
                                           const ManifestTask& task);

}  // namespace weir::control
