#pragma once
// Operator: a node that transforms. One object per task; the task drives it, so it never sees
// barriers, checkpoints, credits, channels or positions.
//
// How the methods are called: Open on a pool thread (P); then everything on the worker thread (W)
// that owns the task, one call at a time: OnBatch for each batch of a port, OnTimers for due timers
// of its states, OnWatermark after the timers <= watermark (may repeat after a restore), OnWake
// after a wake while no call of this node waits, OnEnd once after all inputs and timers. The task
// calls only when every output port can take one full batch, and takes at most one batch per port
// and call.
//
//   class Doubler final : public Operator {
//     Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
//       out.Count(Outcome::kPassed, batch.rows());
//       out.Emit(kMain, Double(batch));
//       return Step::Done();
//     }
//   };
//
// Errors: a returned Status ends the attempt. A bad row is none: it goes to out.errors(). Any cut
// of the input into batches gives the same final result. After Hazelcast Jet's Processor and
// DuckDB's operator results.

#include <cstdint>
#include <span>

#include "engine/api/context.h"
#include "engine/api/keyed_state.h"
#include "engine/api/output.h"
#include "engine/base/status.h"
#include "engine/data/batch.h"

namespace weir {

/// The answer of every call that works on rows or timers.
struct Step {
  enum Kind : uint8_t { kDone, kMoreOutput, kWait } kind = kDone;
  uint32_t rows_done = 0;  // leading rows (timers) of the argument that are finished, in state or
                           // in the output; never shown again. kDone: all
  bool mid_row = false;  // results are still in the operator's hands: no other call and no barrier
                         // until they are out
  static Step Done() { return {kDone, 0, false}; }
  static Step More(uint32_t rows_done, bool mid_row = false) {
    return {kMoreOutput, rows_done, mid_row};
  }
  static Step Wait(uint32_t rows_done, bool mid_row = false) { return {kWait, rows_done, mid_row}; }
};

class Operator {
 public:
  virtual ~Operator() = default;
  virtual Status Open(OperatorContext& context) {
    static_cast<void>(context);
    return Status::Ok();
  }
  virtual Result<Step> OnBatch(Port port, const Batch& batch, Output& out) = 0;
  virtual Result<Step> OnTimers(std::span<Timer> due,
                                Output& out);  // by time, then key group; at most kTimersPerCallMax
  virtual Result<Step> OnWatermark(EventTime watermark, Output& out) {
    static_cast<void>(watermark), static_cast<void>(out);
    return Step::Done();
  }
  virtual Result<Step> OnWake(Output& out) {
    static_cast<void>(out);
    return Step::Done();
  }
  virtual Result<Step> OnEnd(Output& out) {
    static_cast<void>(out);
    return Step::Done();
  }
};

inline constexpr size_t kTimersPerCallMax = 1024;

/// Pre-aggregation of one input batch before the exchange, as part of the consuming node (contracts
/// 7). One per producer task, W. Keeps nothing between calls, never makes more rows than came in,
/// so it needs no Step. It reads `batch.keys()`, judges lateness by the context's watermark(group),
/// and counts outcomes by the rows that each partial row stands for.
class Combiner {
 public:
  virtual ~Combiner() = default;
  virtual void Combine(const Batch& batch, Output& out) = 0;
};

}  // namespace weir
