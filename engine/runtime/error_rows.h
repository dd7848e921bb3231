#pragma once
// Rows of the port `errors`, built by the task: dead letters of bad records and
// rows. Messages and raw bytes are cut to their bounds. W.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/api/format.h"
#include "engine/data/batch.h"
#include "engine/data/row_builder.h"
#include "engine/data/row_errors.h"

namespace weir::runtime {

inline constexpr size_t kErrorRawBytesMax = size_t{1} << 20;

/// One row of NodeConfig::ErrorsSchema().
struct ErrorRow {
  std::string_view node_id, code, message;
  std::optional<EventTime> event_time = {};
  std::optional<std::string_view> topic = {}, key = {}, headers = {}, raw = {};
  std::optional<int32_t> partition = {};
  std::optional<int64_t> offset = {};
  bool truncated = false;
  EventTime at = {};
};
void AppendErrorRow(const ErrorRow& row, RowBuilder& into);

/// The row of a source's record.
void AppendRecordError(std::string_view node_id, const Record& record, const RowError& error,
                       EventTime at, RowBuilder& into);
/// The row of an operator's or a sink's input row.
void AppendRowError(std::string_view node_id, const Batch& batch, const RowError& error,
                    EventTime at, RowBuilder& into);

/// Row `row` as JSON, metadata columns left out.
std::string RowToJson(const Batch& batch, uint32_t row);

}  // namespace weir::runtime
