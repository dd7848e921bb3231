#pragma once
// PublishCheckpoint: from what all tasks have handed in to HEAD. Writes the task parts and the
// manifest, reads the manifest back, looks that every file it names is there in full length, and
// moves HEAD: only then is the checkpoint complete.
// Blocks: pool thread. Errors: kFenced if somebody else has moved HEAD, kCorruption naming the file
// that is not as it should be, else the storage's. HEAD may have moved all the same after an error
// (JobStorage::Advance says how that is learned of).

#include <string>
#include <vector>

#include "engine/control/job_storage.h"
#include "engine/plan/physical_plan.h"
#include "engine/runtime/snapshot.h"

namespace weir::control {

/// A checkpoint between its trigger and its end, of which every task has handed in its part.
struct AckedCheckpoint {
  CheckpointId id;
  CheckpointKind kind = CheckpointKind::kCheckpoint;
  Attempt attempt;
  std::string cluster;
  EventTime time;  // wall clock
  std::vector<runtime::TaskSnapshot> snapshots;
};

struct PublishedCheckpoint {
  Head head;  // names it
  Manifest manifest;
  uint64_t uploaded_bytes = 0;
};

/// `description`: of the plan, for later upgrade checks. `head`: the newest one, of this
/// incarnation.
Result<PublishedCheckpoint> PublishCheckpoint(JobStorage& storage, const PhysicalPlan& plan,
                                              const Json& description, const Head& head,
                                              AckedCheckpoint checkpoint);

}  // namespace weir::control
