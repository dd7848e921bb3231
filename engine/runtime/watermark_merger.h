#pragma once
// WatermarkMerger: the watermark valve, one pure class for splits of a source task
// and for channels of any other task. It joins the watermarks, idleness and ends of n inputs to one
// stream of marks that never goes back, leaves idle inputs out, and takes a returning input in
// again only when it has caught up. The task calls it (W) and forwards the marks that it appends.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/time.h"

namespace weir::runtime {

struct Mark {
  enum class Kind : uint8_t { kWatermark, kIdle, kActive, kEnd };
  Kind kind;
  EventTime time{};  // kWatermark
  friend bool operator==(const Mark&, const Mark&) = default;
};
using Marks = std::vector<Mark>;

class WatermarkMerger {
 public:
  enum class Status : uint8_t { kActive, kIdle, kFinished };

  /// `inputs` active inputs whose watermark is `start`: Min(), or the restored W.
  WatermarkMerger(size_t inputs, EventTime start);

  /// One more input, left out (idle, Min()) until Add or OnActive; answers its number.
  size_t NewInput();
  /// One more input that is active from the start: a split known before anything ran.
  size_t NewActiveInput(EventTime start);
  /// False: lower than before, ignored. Never Max(): the end travels as OnEnd.
  bool OnWatermark(size_t input, EventTime time, Marks& out);
  /// OnWatermark of several inputs at once: Set each, then EmitLeast.
  bool Set(size_t input, EventTime time);
  void EmitLeast(Marks& out);
  void OnIdle(size_t input, Marks& out);
  void OnEnd(size_t input, Marks& out);
  void OnActive(size_t input, Marks& out);
  /// A split found while running.
  void Add(size_t input, Marks& out);

  EventTime out() const { return out_; }
  Status out_status() const { return out_status_; }
  size_t inputs() const { return inputs_.size(); }
  Status status(size_t input) const { return inputs_[input].status; }
  EventTime watermark(size_t input) const { return inputs_[input].watermark; }
  bool aligned(size_t input) const { return inputs_[input].aligned; }

 private:
  struct Input {
    Status status = Status::kActive;
    EventTime watermark;
    bool aligned = true;
  };
  void Settle(Marks& out);

  std::vector<Input> inputs_;
  EventTime out_;
  Status out_status_ = Status::kActive;  // kFinished: END has left
};

}  // namespace weir::runtime
