#pragma once
// EventTime and Duration: int64 microseconds, UTC. EventTime is a point (event time or wall clock),
// Duration a span or a reading of the steady clock. Plain values with the layout of int64_t, so a
// column of timestamps can be read as a span of EventTime.

#include <compare>
#include <cstdint>
#include <limits>

namespace weir {

struct Duration {
  int64_t us = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.us + b.us}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.us - b.us}; }
};

constexpr Duration Microseconds(int64_t n) { return {n}; }
constexpr Duration Milliseconds(int64_t n) { return {n * 1000}; }
constexpr Duration Seconds(int64_t n) { return {n * 1'000'000}; }

/// a + b, held at the ends of int64 instead of wrapping.
constexpr int64_t SatAdd(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}

struct EventTime {
  int64_t us = 0;
  static constexpr EventTime Min() { return {std::numeric_limits<int64_t>::min()}; }
  static constexpr EventTime Max() { return {std::numeric_limits<int64_t>::max()}; }
  friend constexpr auto operator<=>(EventTime, EventTime) = default;
};

constexpr EventTime SatAdd(EventTime time, Duration delta) { return {SatAdd(time.us, delta.us)}; }

/// Usable event times lie in year 1 ... 9999; anything else is `bad_event_time`.
inline constexpr EventTime kEventTimeLeast{-62'135'596'800'000'000};
inline constexpr EventTime kEventTimeMost{253'402'300'799'999'999};
constexpr bool IsUsable(EventTime time) {
  return time >= kEventTimeLeast && time <= kEventTimeMost;
}

}  // namespace weir
