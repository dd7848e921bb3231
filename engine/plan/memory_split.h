#pragma once
// MemorySplit: how the memory of a process is dealt out to the parts of one job: by kind what is
// reserved before a task starts, and what is left for hot state. One place for the numbers, so that
// what `weir plan` prints is what an attempt reserves. Pure; any thread.

#include <cstdint>

#include "engine/plan/physical_plan.h"

namespace weir {

inline constexpr uint64_t kMemoryFreeLeast = uint64_t{64} << 20;  // stays with the process
inline constexpr uint64_t kChannelShareMost = uint64_t{256} << 10;
inline constexpr uint64_t kChannelShareLeast = uint64_t{4} << 10;  // less carries no batch
inline constexpr uint64_t kHotStateReserveBytes = uint64_t{4} << 20;

/// What of `limit` accounts may hold: four fifths, and kMemoryFreeLeast less than all at most. The
/// rest is code, stacks, the allocator and the insides of libraries.
uint64_t HandedOut(uint64_t limit);

/// RocksDB's part of what is handed out, for all tasks of the process.
struct RocksdbSplit {
  uint64_t cache = 0;          // write buffers are charged to it
  uint64_t write_buffers = 0;  // of the cache at most
  uint64_t background = 0;     // beside it: what flushes and compactions work with
  uint64_t bytes() const { return cache + background; }
};
RocksdbSplit SplitRocksdb(uint64_t handed_out);

struct MemorySplit {
  uint64_t limit = 0;       // of the process
  uint64_t handed_out = 0;  // of it
  uint64_t job = 0;         // of it: execution.memory, or all

  RocksdbSplit rocksdb;  // empty with the memory backend

  // Channels: each has an exclusive window of a batch and as much overdraft; a task that reads some
  // keeps a reserve for one large row.
  uint64_t channels = 0, channel_tasks = 0;
  uint64_t exchange_budget = 0;  // a quarter of `job`: windows and overdraft, and floating windows
  uint64_t channel_share = 0;    // a batch's bytes; below kChannelShareLeast the job is refused
  uint64_t row_reserve = 0;      // of each of channel_tasks
  uint64_t floating = 0;         // windows beyond the exclusive ones, by need
  uint64_t queues() const { return 2 * channel_share * channels + row_reserve * channel_tasks; }

  // Batches in the hands of tasks: one for each port of a node that somebody reads.
  uint64_t ports = 0;
  uint64_t port_bytes = 0;  // of each
  uint64_t batches() const { return ports * port_bytes; }

  // Queues of clients; where memory is short each gets the same part of what it wants.
  uint64_t clients_wanted = 0;
  uint64_t clients_budget = 0;
  /// For a task of a node that wants so much (NodeShape::client_queue_bytes).
  uint64_t client_bytes(uint64_t wanted) const;
  uint64_t clients = 0;  // all tasks together

  uint64_t stateful_tasks = 0;
  uint64_t hot_state() const { return stateful_tasks * kHotStateReserveBytes; }  // at least

  uint64_t reserved() const {
    return rocksdb.bytes() + queues() + batches() + clients + hot_state();
  }
};

/// For `plan` in a process with `limit` bytes and no other job.
MemorySplit SplitMemory(const PhysicalPlan& plan, uint64_t limit);

/// Channels of an edge, over all its tasks; none for a direct call.
uint64_t ChannelsOf(const PhysicalPlan& plan, const PlanEdge& edge);

/// Ports of a node that somebody reads.
uint64_t PortsRead(const PhysicalPlan& plan, const PlanNode& node);

}  // namespace weir
