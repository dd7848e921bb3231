#pragma once
// InputFlow: how much may be in flight towards one task (after Flink's
// BufferDebloater). Every 200 ms it measures what the task consumed in its non-idle time, and sizes
// the sum of its channels' windows to one second of that rate. Pure but for the clock readings
// given; W.

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/time.h"

namespace weir::runtime {

inline constexpr Duration kFlowPeriod = Milliseconds(200);
inline constexpr Duration kFlowTarget = Seconds(1);
inline constexpr Duration kBatchOfRate = Milliseconds(100);
inline constexpr int kFlowSamples = 20;  // smoothing: 2 / (samples + 1)
inline constexpr double kFlowHysteresis = 0.25;
inline constexpr uint64_t kWindowBytesMax = uint64_t{8} << 20;

struct ChannelWindow {
  uint64_t rows = 0, bytes = 0;
};

class InputFlow {
 public:
  /// `batch_rows`: until something is measured, and the most if it is below 64 (tiny test
  /// configurations). `pool_bytes`: what the exchange budget leaves for this task's floating
  /// windows.
  InputFlow(size_t channels, uint32_t batch_rows, size_t share_bytes, uint64_t pool_bytes);

  void OnConsumed(uint32_t rows, size_t bytes) {
    rows_ += rows;
    bytes_ += bytes;
  }
  /// `non_idle`: total busy and backpressured time of the task so far. True: windows have changed.
  bool Tick(Duration steady, Duration non_idle);

  uint32_t batch_rows() const { return batch_rows_; }
  double rows_per_second() const { return rows_rate_; }
  uint64_t size_rows() const { return static_cast<uint64_t>(size_rows_); }
  /// The sum of the windows, dealt by backlog: one batch each, exclusive, and the rest where rows
  /// wait.
  std::vector<ChannelWindow> Deal(std::span<const uint64_t> backlog_rows) const;

 private:
  const size_t channels_;
  const uint32_t batch_rows_initial_;
  const size_t share_bytes_;
  const uint64_t pool_bytes_;
  uint64_t rows_ = 0, bytes_ = 0;
  uint64_t rows_before_ = 0, bytes_before_ = 0;
  Duration last_{}, non_idle_before_{};
  bool started_ = false, measured_ = false;
  double rows_rate_ = 0, bytes_rate_ = 0;
  double size_rows_, size_bytes_;
  double announced_rows_, announced_bytes_;
  uint32_t batch_rows_;
};

}  // namespace weir::runtime
