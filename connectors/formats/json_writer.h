#pragma once
// JsonRowWriter: rows of a batch as JSON objects, one after another into one string.
// Used by the json encoder, by keys of several columns and by the dead letter
// format. Bound to a batch once, then a plain loop over rows. One thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/batch.h"

namespace weir {

struct JsonWriterOptions {
  bool int64_as_string = false;
  bool omit_nulls = false;
};

/// One column of a bound batch, with its kind resolved.
struct BoundColumn {
  TypeKind kind = TypeKind::kNull;
  uint8_t scale = 0;
  bool is_op = false;
  const char* values = nullptr;
  Validity valid;

  BoundColumn() = default;
  BoundColumn(const Batch& batch, ColumnIndex column);
  template <class T>
  const T& at(uint32_t row) const {
    return reinterpret_cast<const T*>(values)[row];
  }
};

/// The value as the formats write it, without quotes: numbers, "2026-01-31", base64, a string
/// itself. REQUIRES: not null.
void AppendValueText(const BoundColumn& column, uint32_t row, std::string& out);
/// As a JSON value, null included.
void AppendJsonValue(const BoundColumn& column, uint32_t row, const JsonWriterOptions& options,
                     std::string& out);
/// `text`, valid UTF-8, as a JSON string with quotes.
void AppendJsonText(std::string_view text, std::string& out);

class JsonRowWriter {
 public:
  JsonRowWriter(const Schema& schema, std::vector<ColumnIndex> columns, JsonWriterOptions options);
  /// Values are read from `batch`, which must live until the last AppendRow.
  void Bind(const Batch& batch);
  void AppendRow(uint32_t row, std::string& out) const;

 private:
  struct Member {
    ColumnIndex column;
    std::string name;  // quoted, with the colon
    BoundColumn bound;
  };
  const JsonWriterOptions options_;
  std::vector<Member> members_;
};

/// Columns that a sink writes: all but metadata; `_op` if `with_op`.
std::vector<ColumnIndex> WrittenColumns(const Schema& schema, bool with_op);

}  // namespace weir
