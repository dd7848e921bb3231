#pragma once
// Windows and slices of event time: tumbling and sliding windows over int64
// microseconds, and the slices that overlapping windows share (Cutty; Flink's SliceAssigners). Pure
// arithmetic, header only, for the windowed operators of this folder. Any thread.

#include <cstdint>

#include "engine/base/check.h"
#include "engine/base/time.h"

namespace weir {

inline int64_t FloorMod(int64_t a, int64_t m) {
  const int64_t r = a % m;
  return r < 0 ? r + m : r;
}

/// A window [start, start + size).
struct Windows {
  int64_t size = 0, every = 0, offset = 0;  // microseconds; tumbling: every = size

  int64_t StartAt(int64_t ts, int64_t shift) const { return ts - FloorMod(ts - shift, every); }
  /// Start of the last window that could hold `ts`: it holds it iff it is above ts - size.
  int64_t LastStart(int64_t ts) const { return StartAt(ts, offset); }
  int64_t MaxTime(int64_t window_start) const { return SatAdd(window_start, size - 1); }

  struct Slice {
    int64_t start, end;
    bool Contains(int64_t ts) const { return ts >= start && ts < end; }
  };
  /// All rows of a slice are in the same windows. Borders are the union of all window starts and
  /// ends.
  Slice SliceOf(int64_t ts) const {
    const int64_t a = StartAt(ts, offset), b = StartAt(ts, offset + size % every);
    return {a > b ? a : b, (a < b ? a : b) + every};
  }
  /// Calls `body(window_start)` for the windows that hold `ts`, the last one first.
  template <class Body>
  void ForEachWindow(int64_t ts, Body&& body) const {
    for (int64_t start = LastStart(ts); start > ts - size; start -= every) body(start);
  }
  uint64_t CountAt(int64_t ts) const {
    uint64_t count = 0;
    ForEachWindow(ts, [&](int64_t) { ++count; });
    return count;
  }
  /// Calls `body(slice_start)` for the slices of a window, in order.
  template <class Body>
  void ForEachSlice(int64_t window_start, Body&& body) const {
    for (int64_t at = window_start; at < window_start + size;) {
      const Slice slice = SliceOf(at);
      body(slice.start);
      at = slice.end;
    }
  }
  /// True if some window ends so that its last instant is `time`; then it starts at time + 1 -
  /// size.
  bool IsMaxTime(int64_t time) const { return FloorMod(time + 1 - size - offset, every) == 0; }
  /// Slices that stay open at most at one time, for their bound.
  int64_t SlicesOpen(int64_t lateness) const {
    const int64_t per_window = size % every == 0 ? size / every : 2 * (size / every) + 1;
    return SatAdd(per_window, lateness / every * (size % every == 0 ? 1 : 2));
  }
};

}  // namespace weir
