#pragma once
// LineFramer: cuts a file's bytes into lines, for formats whose records are lines (json, raw). CR
// before LF, blank lines and a byte order mark at the start are passed over; a line longer than the
// limit is given out cut, its remainder skipped. One per file and decoder; one thread.

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/api/format.h"

namespace weir {

class LineFramer {
 public:
  LineFramer(size_t record_bytes_max, bool keep_blank)
      : record_bytes_max_(record_bytes_max), keep_blank_(keep_blank) {}
  void BeginFile() { *this = LineFramer(record_bytes_max_, keep_blank_); }
  FramingState state() const { return {.lines = line_, .cut_short = skipping_}; }
  void Resume(const FramingState& state) {
    at_start_ = false;
    skipping_ = state.cut_short;
    line_ = state.lines;
  }
  /// As Decoder::Frame; Record::offset is the line's number from 1.
  size_t Frame(std::string_view bytes, bool at_end, std::vector<Record>& records);

 private:
  size_t record_bytes_max_;
  bool keep_blank_;
  bool at_start_ = true;
  bool skipping_ = false;  // the rest of a line that was too long
  int64_t line_ = 0;
};

}  // namespace weir
