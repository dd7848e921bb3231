#pragma once
// Contexts: what the task offers to the objects of its nodes. Implemented by the runtime and by the
// operator harness; a context outlives its object. W unless marked; "A" any thread.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/env.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace weir {

class Clients;
class MemoryAccount;
class ValueState;
class MapState;
class LogState;
class TimerState;
class ListState;
class CheckpointStore;
class Encoder;
class SegmentLog;

struct NodeInfo {
  std::string cluster, job, incarnation, id, type;
  Attempt attempt;
  TaskIndex task;
  uint32_t parallelism = 1;
  uint32_t key_groups = 128;
  GroupRange groups;  // owned by this task
};

/// Copyable; Wake coalesces, is never lost, and is harmless after the task's end. A.
class Waker {
 public:
  Waker() = default;
  explicit Waker(std::function<void()> wake)
      : wake_(std::make_shared<const std::function<void()>>(std::move(wake))) {}
  void Wake() const {
    if (wake_ != nullptr) (*wake_)();
  }

 private:
  std::shared_ptr<const std::function<void()>> wake_;
};

/// One writer, read by the metrics.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class NodeContext {
 public:
  virtual ~NodeContext() = default;
  virtual const NodeInfo& node() const = 0;
  virtual EventTime processing_time() const = 0;  // wall clock, once per batch
  virtual Waker waker() const = 0;
  virtual void WakeAfter(Duration delay) = 0;  // steady clock, not saved: time-outs, linger
  /// Runs on P, touching only what it captured; then the node is woken.
  virtual void Post(std::function<void()> job) = 0;
  virtual Env& env() = 0;  // files and clocks for jobs on P; operators do not use it
  virtual Clients& clients() = 0;
  virtual MemoryAccount& memory() = 0;  // bytes outside of state, output, batches and clients
  /// Queues of its clients: the target is how much they may hold (NodeShape::client_queue_bytes, or
  /// less where memory is short), the node says how much they do.
  virtual MemoryAccount& client_memory() = 0;
  virtual Counter& counter(
      std::string_view name) = 0;  // own metrics: a `kind` of weir_node_anomalies_total
};

class OperatorContext : public NodeContext {
 public:
  virtual ValueState& value(StateIndex state) = 0;  // as declared in NodeShape::states, by position
  virtual MapState& map(StateIndex state) = 0;
  virtual LogState& log(StateIndex state) = 0;
  virtual TimerState& timers(StateIndex state) = 0;
  virtual ListState& list(StateIndex state) = 0;
  virtual EventTime watermark() const = 0;                // W of this node
  virtual EventTime watermark(KeyGroup group) const = 0;  // judges lateness: max(W, F[group])
  /// Output watermark = min(W, latest) from now on. Not saved: set in Open.
  virtual void HoldWatermark(EventTime latest) = 0;
};

class SinkContext : public NodeContext {
 public:
  virtual Encoder& encoder() = 0;
  virtual CheckpointStore& store() = 0;  // through Post only
  virtual SegmentLog& segments() = 0;
  virtual LaneId lane() const = 0;
};

}  // namespace weir
