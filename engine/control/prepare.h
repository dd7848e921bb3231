#pragma once
// PrepareAttempt: all between "this process owns the job" and "the tasks can be made": which
// checkpoint to go on from, the upgrade check, taking HEAD, reading and verifying every byte, the
// sources' splits. Blocks: pool thread, one call at a time.
//
// A checkpoint that is damaged or missing is gone back from by itself only if no sink can have
// published past the one before: with an exactly-once sink the start fails closed.
// Only checkpoints that HEAD has named count: a manifest alone says nothing.

#include <memory>
#include <optional>
#include <string>

#include "engine/api/bounded_clients.h"
#include "engine/control/coordinator.h"
#include "engine/control/job_storage.h"
#include "engine/control/restore.h"
#include "engine/control/retention.h"
#include "engine/control/split_discovery.h"

namespace weir::control {

struct PreparedAttempt {
  Status status;            // why there is nothing to start
  bool head_moved = false;  // `head` is the newest one, whatever failed after that
  Head head;
  CheckpointId highest_stored;   // of all folders of the incarnation, those of no HEAD included
  bool finished_before = false;  // a bounded job that has ended: nothing to run
  std::optional<RestoredJob> restored;
  Status damage;  // of the checkpoint that was gone back from
  std::unique_ptr<SplitDiscovery> discovery;
  Path restore_directory;
  Duration restore_time{};
  std::string cluster;
};

/// `clients`: of the sources; a bound on their questions is moved by what restoring takes, since
/// reading a large state is no waiting for a broker. `last_head`: of this process's attempt before,
/// empty at its first. `cluster`: empty until known.
PreparedAttempt PrepareAttempt(const CoordinatorOptions& options, BoundedClients& clients,
                               JobStorage& storage, Retention& retention,
                               const std::optional<Head>& last_head, const std::string& cluster);

/// Name of the note beside the manifest of a finished job: its sinks have published everything.
std::string PublishedNote(const std::string& job, const std::string& manifest);

}  // namespace weir::control
