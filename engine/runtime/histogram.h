#pragma once
// Histogram: counts of samples in fixed buckets, as HistogramValues has them. One writer; copied
// out by it.

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "engine/runtime/task_metrics.h"

namespace weir::runtime {

inline constexpr std::array<double, 13> kLatencyBounds = {
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};
/// What a task's thread waits for: the aim is a millisecond.
inline constexpr std::array<double, 14> kPauseBounds = {
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1};
inline constexpr std::array<double, 14> kCheckpointBounds = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,
                                                             2,    5,    10,   30,  60,  300, 600};

class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}
  void Observe(Duration value) {
    const double seconds = static_cast<double>(value.us) / 1e6;
    ++counts_[static_cast<size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), seconds) -
                                  bounds_.begin())];
    sum_ += seconds;
  }
  HistogramValues Values() const { return {{bounds_.begin(), bounds_.end()}, counts_, sum_}; }

 private:
  std::span<const double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

}  // namespace weir::runtime
