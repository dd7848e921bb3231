#pragma once
// TaskSnapshot: what one task holds at barrier n beside its keyed state's files, and
// TaskRestore: what a task of a new attempt is given, merged from the snapshots whose key groups
// overlap its own. Plain data: made by the task (W, by handle), encoded on P, read by control and
// `weir ckpt`.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/sink.h"
#include "engine/api/source.h"
#include "engine/api/state_backend.h"
#include "engine/base/ids.h"
#include "engine/data/batch.h"

namespace weir::runtime {

struct TaskKey {
  uint32_t chain = 0;
  TaskIndex task;
  friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
};

/// Rows that had left their producer but were not done: the first input after a restore.
struct InFlightRows {
  std::string node_id;  // the head of the chain
  Port port;            // its input port
  Batch batch;
};

struct ListItems {
  std::string node_id;
  StateIndex state;
  std::vector<std::string> items;
};

struct NodeLane {
  std::string node_id;
  LaneState lane;
  Guarantee guarantee = Guarantee::kAtLeastOnce;
};

struct TaskSnapshot {
  TaskKey task;
  GroupRange groups;
  bool finished = false;                        // all inputs have ended and everything has fired
  std::map<std::string, EventTime> watermarks;  // W of each node, as F[g] of its key groups
  std::map<std::string, std::map<uint16_t, uint64_t>>
      buffered;  // node -> key group -> rows in its state (conservation)
  std::vector<ListItems> lists;
  std::map<std::string, std::vector<SplitState>> splits;  // source node -> splits of this task
  std::vector<InFlightRows> in_flight;
  std::vector<NodeLane> lanes;
  std::optional<StateImage> image;  // stateful tasks
  uint64_t changes = 0;             // the task's change counter at the barrier
};

struct TaskRestore {
  bool finished = false;
  std::vector<StateImage> images;  // files fetched and verified
  std::map<std::string, std::map<uint16_t, EventTime>>
      group_watermarks;  // node -> key group -> F[g]
  std::map<std::string, EventTime>
      watermarks;  // node -> W of a node without keys (the least of the old tasks)
  std::map<std::string, uint64_t> buffered;  // node -> rows restored in its state
  std::vector<ListItems> lists;
  std::vector<InFlightRows> in_flight;
  std::vector<NodeLane> lanes;  // those this task owns, retired ones included
  std::map<std::string, std::vector<SplitState>> splits;
};

/// File part of a snapshot: everything but the image's files. Format: docs/formats/snapshot.md.
/// Blocks carry CRC-32C.
void EncodeTaskSnapshot(const TaskSnapshot& snapshot, std::string& out);
Result<TaskSnapshot> DecodeTaskSnapshot(std::string_view bytes);

}  // namespace weir::runtime
