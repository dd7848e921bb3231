#pragma once
// Options of the object `format`, read once when a decoder or encoder is made. Absent ones have
// their fallbacks. Values; any thread.

#include <cstddef>
#include <string>

#include "engine/api/registry.h"

namespace weir {

inline constexpr size_t kRecordBytesMaxDefault = size_t{1} << 20;

struct FormatOptions {
  size_t record_bytes_max = kRecordBytesMaxDefault;
  bool unknown_fields_refused = false;  // json
  bool checked_fully = false;           // json, csv
  bool int64_as_string = false;         // json
  bool omit_nulls = false;              // json
  char delimiter = ',';                 // csv
  bool header = true;                   // csv
  std::string null;                     // csv: text of NULL

  static FormatOptions Of(const NodeConfig& node);
};

/// A sink whose records show `_op`: `write: changelog`, and the terminal.
bool WritesOp(const NodeConfig& node);

}  // namespace weir
