#include "engine/runtime/input_flow.h"

#include <algorithm>
#include <cmath>

#include "engine/data/row_builder.h"
#include "engine/runtime/channel.h"

namespace weir::runtime {
namespace {

constexpr double kMicros = 1e6;
constexpr uint64_t kNonIdleLeastUs = 1000;  // shorter samples say nothing about a rate

double Smooth(double size, double want) {
  return size + 2.0 / (kFlowSamples + 1) * (std::min(want, 2 * size) - size);
}

bool Differs(double a, double b) { return std::abs(a - b) >= kFlowHysteresis * b; }

}  // namespace

InputFlow::InputFlow(size_t channels, uint32_t batch_rows, size_t share_bytes, uint64_t pool_bytes)
    : channels_(std::max<size_t>(channels, 1)),
      batch_rows_initial_(std::max(batch_rows, uint32_t{1})),
      share_bytes_(share_bytes),
      pool_bytes_(pool_bytes),
      size_rows_(2.0 * static_cast<double>(batch_rows_initial_) * static_cast<double>(channels_)),
      size_bytes_(2.0 * static_cast<double>(share_bytes) * static_cast<double>(channels_)),
      announced_rows_(size_rows_),
      announced_bytes_(size_bytes_),
      batch_rows_(batch_rows_initial_) {}

bool InputFlow::Tick(Duration steady, Duration non_idle) {
  if (!started_) {
    started_ = true;
    last_ = steady;
    non_idle_before_ = non_idle;
    return false;
  }
  if (steady - last_ < kFlowPeriod) return false;
  last_ = steady;
  const double busy_us = static_cast<double>((non_idle - non_idle_before_).us);
  const uint64_t rows = rows_ - rows_before_;
  const uint64_t bytes = bytes_ - bytes_before_;
  if (rows == 0 || busy_us < static_cast<double>(kNonIdleLeastUs)) {
    // Idle, or not a row was done although the task was not idle: the latter is a rate of zero as
    // long as it lasts.
    if (rows != 0 || busy_us < static_cast<double>(kFlowPeriod.us) / 2) {
      rows_before_ = rows_, bytes_before_ = bytes_, non_idle_before_ = non_idle;
      return false;
    }
  }
  rows_before_ = rows_;
  bytes_before_ = bytes_;
  non_idle_before_ = non_idle;
  const double rows_rate = static_cast<double>(rows) / busy_us * kMicros;
  const double bytes_rate = static_cast<double>(bytes) / busy_us * kMicros;
  rows_rate_ = measured_ ? Smooth(std::max(rows_rate_, 1.0), rows_rate) : rows_rate;
  bytes_rate_ = measured_ ? Smooth(std::max(bytes_rate_, 1.0), bytes_rate) : bytes_rate;
  measured_ = true;

  const double channels = static_cast<double>(channels_);
  const double target_s = static_cast<double>(kFlowTarget.us) / kMicros;
  const double batch_s =
      std::min(static_cast<double>(kBatchOfRate.us) / kMicros, target_s / channels);
  if (batch_rows_initial_ >= kBatchRowsLeast) {
    batch_rows_ =
        static_cast<uint32_t>(std::clamp(rows_rate_ * batch_s, static_cast<double>(kBatchRowsLeast),
                                         static_cast<double>(kBatchRowsMax)));
  }
  const double share = static_cast<double>(share_bytes_);
  const double bytes_max = std::min(static_cast<double>(kWindowBytesMax) * channels,
                                    static_cast<double>(pool_bytes_) + 2 * share * channels);
  size_rows_ = Smooth(size_rows_,
                      std::max(rows_rate * target_s, channels * static_cast<double>(batch_rows_)));
  size_bytes_ = std::min(Smooth(size_bytes_, std::max(bytes_rate * target_s, channels * share)),
                         std::max(bytes_max, channels * share));
  if (!Differs(size_rows_, announced_rows_) && !Differs(size_bytes_, announced_bytes_))
    return false;
  announced_rows_ = size_rows_;
  announced_bytes_ = size_bytes_;
  return true;
}

std::vector<ChannelWindow> InputFlow::Deal(std::span<const uint64_t> backlog_rows) const {
  const double exclusive_rows = static_cast<double>(batch_rows_);
  const double exclusive_bytes = static_cast<double>(share_bytes_);
  const double count = static_cast<double>(backlog_rows.size());
  const double floating_rows = std::max(0.0, size_rows_ - exclusive_rows * count);
  const double floating_bytes = std::max(0.0, size_bytes_ - exclusive_bytes * count);
  double weights = 0;
  for (const uint64_t backlog : backlog_rows)
    weights += static_cast<double>(backlog) + exclusive_rows;
  std::vector<ChannelWindow> windows;
  windows.reserve(backlog_rows.size());
  for (const uint64_t backlog : backlog_rows) {
    const double part = (static_cast<double>(backlog) + exclusive_rows) / weights;
    windows.push_back({static_cast<uint64_t>(exclusive_rows + floating_rows * part),
                       static_cast<uint64_t>(exclusive_bytes + floating_bytes * part)});
  }
  return windows;
}

}  // namespace weir::runtime
