#pragma once
// Sink and SinkCommitProtocol: where results go. A Sink writes its own lane and takes part in
// checkpoints by Prepare / Prepared / Abort; a sink whose results become visible only when a
// checkpoint is complete has a SinkCommitProtocol per lane, which publishes. Sinks without two
// phases (at least once, upsert, print) have none: their Prepared waits for delivery, a failed
// delivery declines the checkpoint.
//
// Order: Open; Write*, Prepare(n), Prepared(n)*, then Commit(n) or Abort(n); one checkpoint at a
// time; rows of n + 1 may be written meanwhile. Outside effects are named by (incarnation, lane, n,
// number), so each call can be repeated after a crash.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/api/context.h"
#include "engine/api/format.h"
#include "engine/api/operator.h"
#include "engine/base/status.h"
#include "engine/data/batch.h"

namespace weir {

/// In the manifest; `handle` is the sink's own text (JSON): segments, confirmed, open file and
/// length.
struct LaneState {
  LaneId lane;
  std::string handle;
};

/// Totals since Open, for the metrics; written on W.
struct SinkProgress {
  uint64_t records_committed = 0, records_retried = 0,
           records_failed = 0;  // at least once: delivered counts as committed
  uint64_t bytes = 0;           // encoded
  uint64_t bytes_waiting = 0;   // written, not yet published or delivered
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status Open(
      SinkContext& context,
      std::span<const LaneState> restored) = 0;  // P  cuts open files back to what is listed
  virtual Result<Step> Write(
      const Batch& batch,
      RowErrors& errors) = 0;  // W  kWait: "not now", queue or log full; a wake follows
  virtual Status OnWake() { return Status::Ok(); }  // W  answers, linger, back-off
  virtual void Prepare(CheckpointId n) = 0;  // W  an instant cut: rows written so far belong to n
  virtual Result<std::optional<LaneState>> Prepared(
      CheckpointId n) = 0;  // W  after wakes; empty until n is durable (or delivered)
  virtual void Abort(
      CheckpointId n) = 0;  // W  n's rows stay, first in line for the next. Idempotent
  virtual SinkProgress progress() const { return {}; }  // W
};

/// `marked`: highest id in a marker (files: in a final name), empty until it has been read.
struct LaneProgress {
  bool fence_set = false, resolved = false;
  CheckpointId confirmed;
  std::optional<CheckpointId> marked;
  uint64_t bytes_waiting = 0;
  uint64_t records_committed = 0;
};

/// One per lane, old ones included; a tasklet of its own beside task `lane % parallelism`.
class SinkCommitProtocol {
 public:
  virtual ~SinkCommitProtocol() = default;
  virtual Status Open(SinkContext& context) = 0;  // P
  virtual void Recover(
      const LaneState& restored,
      CheckpointId head) = 0;  // W  first in every attempt; an empty handle: a new lane
  virtual void Commit(
      CheckpointId n,
      const LaneState& lane) = 0;  // W  HEAD is n: publish all <= n, in order. May come twice
  virtual Result<Step> Run() = 0;  // W  one poll step; kDone: idle, kWait: a call is under way.
                                   // Fail-closed cases are Status codes
  virtual LaneProgress progress() const = 0;
};

enum class Guarantee : uint8_t { kNone, kAtLeastOnce, kEffectivelyOnce, kExactlyOnce };
std::string_view GuaranteeName(Guarantee guarantee);

struct SinkParts {
  std::function<std::unique_ptr<Sink>()> sink;
  std::function<std::unique_ptr<SinkCommitProtocol>()> protocol;  // empty: none
  Guarantee guarantee = Guarantee::kAtLeastOnce;
};

}  // namespace weir
