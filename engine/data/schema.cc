#include "engine/data/schema.h"

#include <algorithm>
#include <array>

namespace weir {
namespace {

constexpr std::array<std::string_view, 4> kOpNames = {"insert", "update_before", "update_after",
                                                      "delete"};
constexpr std::array<std::string_view, 7> kMetadataColumns = {
    kEventTimeColumn, kProcessingTimeColumn, kTopicColumn,
    kPartitionColumn, kOffsetColumn,         kKeyColumn,
    kOpColumn,
};

}  // namespace

std::string_view OpName(Op op) { return kOpNames[static_cast<size_t>(op)]; }

std::string Field::ToString() const { return name + " " + type.ToString() + (nullable ? "?" : ""); }

std::optional<ColumnIndex> Schema::Find(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name == name) return ColumnIndex{static_cast<uint16_t>(i)};
  }
  return std::nullopt;
}

std::string Schema::ToString() const {
  std::string text;
  for (const Field& field : fields_) {
    if (!text.empty()) text += ", ";
    text += field.ToString();
  }
  return text;
}

bool IsMetadataColumn(std::string_view name) {
  return std::find(kMetadataColumns.begin(), kMetadataColumns.end(), name) !=
         kMetadataColumns.end();
}

}  // namespace weir
