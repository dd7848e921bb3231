#pragma once
// Schema: names, types and nullability of a batch's columns, in order. Immutable, shared by all
// batches of a stream (std::shared_ptr<const Schema>). Metadata columns are ordinary columns with
// reserved names. Any thread.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/data/types.h"

namespace weir {

inline constexpr std::string_view kEventTimeColumn = "_event_time";  // timestamp, not null
inline constexpr std::string_view kProcessingTimeColumn =
    "_processing_time";                                             // timestamp, not null
inline constexpr std::string_view kTopicColumn = "_topic";          // string
inline constexpr std::string_view kPartitionColumn = "_partition";  // int32
inline constexpr std::string_view kOffsetColumn = "_offset";        // int64
inline constexpr std::string_view kKeyColumn = "_key";              // bytes?
inline constexpr std::string_view kOpColumn =
    "_op";  // bool-width: see Op; declared as int32 in memory, text in files
inline constexpr std::string_view kWindowStartColumn = "window_start";
inline constexpr std::string_view kWindowEndColumn = "window_end";
inline constexpr std::string_view kWindowTimeColumn = "window_time";

/// Values of `_op` (kInt32 in memory).
enum class Op : int32_t { kInsert = 0, kUpdateBefore = 1, kUpdateAfter = 2, kDelete = 3 };
std::string_view OpName(Op op);

struct Field {
  std::string name;
  Type type;
  bool nullable = false;
  friend bool operator==(const Field&, const Field&) = default;
  /// "page string?"
  std::string ToString() const;
};

class Schema {
 public:
  Schema() = default;
  explicit Schema(std::vector<Field> fields) : fields_(std::move(fields)) {}

  size_t size() const { return fields_.size(); }
  const Field& field(ColumnIndex column) const { return fields_[column.value]; }
  const std::vector<Field>& fields() const { return fields_; }
  std::optional<ColumnIndex> Find(std::string_view name) const;
  /// "a int64, b string?": in messages.
  std::string ToString() const;
  friend bool operator==(const Schema&, const Schema&) = default;

 private:
  std::vector<Field> fields_;
};
using SchemaRef = std::shared_ptr<const Schema>;

/// True for the names of metadata that a schema may not declare; they are not written by
/// sinks.
bool IsMetadataColumn(std::string_view name);

}  // namespace weir
