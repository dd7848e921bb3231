#pragma once
// StateBackend and TaskState: all keyed state of one task, its snapshot and its restore (contracts
// 8). One backend per process (`rocksdb`: cache, write buffers, background threads shared; or
// `memory`), one TaskState per stateful task, in a directory of its own. Both use the same hot
// tables.
//
// Life: Open (P); W calls; for each checkpoint Freeze (W, <= 1 ms), Write (P, beside W calls),
// Completed or Aborted (W). The destructor runs on P, after the task's last pool job.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/api/keyed_state.h"
#include "engine/api/memory.h"
#include "engine/base/env.h"
#include "engine/base/ids.h"
#include "engine/base/status.h"
#include "engine/data/schema.h"

namespace weir {

enum class StateKind : uint8_t { kValue, kMap, kLog, kEventTimers, kProcessingTimers, kList };
enum class Spread : uint8_t {
  kByKey,
  kBroadcast,
  kSplit,
  kUnion
};  // keyed: kByKey, broadcast tables whole in every task; lists: the last three

/// Declared by a node type; kept in the snapshot, compared at an upgrade.
struct StateSpec {
  std::string name;
  StateKind kind = StateKind::kValue;
  Schema row;  // fields; timers and lists: empty
  bool namespaced = false;
  std::optional<Duration> ttl = {};
  Spread spread = Spread::kByKey;
  std::string meaning =
      "";  // canonical text of what gives rows their sense: another text is verdict `reset`
};

/// One declared state of one node of the task, with the key types of the node's port.
struct TaskStateEntry {
  NodeIndex node;
  std::string node_id;
  StateIndex state;
  StateSpec spec;
  std::vector<Type> key_types;
};

/// Hot rows are evicted towards `hot->target()`; `rocksdb` for the rest. Tiny values in tests make
/// every row cold.
struct TaskStateSpec {
  std::string job, incarnation;
  Attempt attempt;
  std::string task_name;  // unique within the job: names the directory
  GroupRange groups;
  uint32_t key_groups = 128;
  std::vector<TaskStateEntry> states;
  Path directory;                   // (U, A, task); made and removed by the state
  std::string compression = "lz4";  // none, lz4, zstd
  MemoryAccount* hot = nullptr;     // must outlive the state
  std::function<void()> wake;       // A  cold rows have arrived, the eviction buffer has room
};

/// A file of an image, by its content. New ones lie at `local` until uploaded; those the storage
/// has already only named.
struct ImageFile {
  std::string
      name;  // storage-relative: shared/<xx>/<hash>-<length>.sst, or chk/<N>-<A>/<task>.state
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128, hex
  Path local;        // empty: in the storage already
  bool shared = false;
  std::string original;  // its name inside the database, to restore it
};

/// What a snapshot holds of one task's keyed state. Self-describing, so it can be read without the
/// job.
struct StateImage {
  uint32_t format = 1;
  GroupRange groups;
  std::vector<ImageFile> files;
  /// Encoded tables of what is no file: per state its StateSpec and key types, live namespaces,
  /// horizon per key group, row counts.
  std::string metadata;
};

class SavepointWriter;

using StatePointer = std::variant<std::monostate, ValueState*, MapState*, LogState*, TimerState*>;

struct StateUsage {
  uint64_t hot_rows = 0, hot_bytes = 0, cold_bytes = 0, rows = 0;
  uint64_t evictions = 0, cold_reads = 0, rocksdb_calls = 0;
  uint64_t memtable_bytes = 0, block_cache_bytes = 0, table_reader_bytes = 0, pinned_bytes = 0,
           compaction_pending_bytes = 0;
  uint64_t write_stall_us = 0;
};

class TaskState {
 public:
  virtual ~TaskState() = default;
  virtual StatePointer state(NodeIndex node, StateIndex state) = 0;
  virtual void Advance(EventTime watermark) = 0;  // W  reads judge `ttl` by it (processing time
                                                  // without event time); never falls
  virtual void Freeze(CheckpointId n,
                      EventTime watermark) = 0;  // W, <= 1 ms; O(1) hand-over of the dirty set
  virtual Result<StateImage> Write(CheckpointId n) = 0;  // P, beside W calls: frozen rows only
  virtual void Completed(CheckpointId n) = 0;            // W  its files may be named again
  virtual void Aborted(CheckpointId n) = 0;              // W  unwritten rows are dirty again
  virtual size_t excess() const = 0;       // W  bytes of hot rows beyond what the account's target
                                           // leaves them beside the eviction buffer
  virtual size_t Evict(size_t bytes) = 0;  // W, <= 0.2 ms; between calls, while there is an excess
  /// W, <= 1 ms. Evicts what is in excess; false: the rows of one more batch have no room before
  /// the pool has written, `wake` says when.
  virtual bool CanTakeBatch(uint32_t rows) const = 0;
  virtual Status status() const = 0;     // W  a background error (disk full, EIO): ends the attempt
  virtual StateUsage usage() const = 0;  // A  for the metrics
};

class StateBackend {
 public:
  virtual ~StateBackend() = default;
  /// P. `restored`: images (files fetched to their `local` paths and verified) that overlap the
  /// task's key groups; rows outside of them are dropped.
  virtual Result<std::unique_ptr<TaskState>> Open(const TaskStateSpec& spec,
                                                  std::span<const StateImage> restored) = 0;
  virtual std::string_view name() const = 0;
};

}  // namespace weir
