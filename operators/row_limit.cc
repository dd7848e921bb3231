#include "operators/row_limit.h"

namespace weir {

RowLimit::RowLimit(const JobSettings& job, const Schema& schema) : bytes_max_(job.row_bytes_max()) {
  for (size_t i = 0; i < schema.size(); ++i) {
    const Type& type = schema.fields()[i].type;
    width_ += type.width();
    if (type.is_text()) text_columns_.push_back(ColumnIndex{static_cast<uint16_t>(i)});
  }
}

std::vector<uint32_t> RowLimit::Beyond(const Batch& batch) const {
  // No row has more text than every column could take of all arenas.
  if (width_ + text_columns_.size() * batch.bytes() <= bytes_max_) return {};
  uint64_t most = width_;
  for (const ColumnIndex index : text_columns_) {
    const Column column = batch.column(index);
    if (column.arenas() == nullptr) continue;
    for (const BufferRef& arena : *column.arenas()) most += arena->size();
  }
  if (most <= bytes_max_) return {};

  // Columns may show one text many times over, so each row is asked what it shows.
  std::vector<uint64_t> bytes(batch.rows(), width_);
  for (const ColumnIndex index : text_columns_) {
    const std::span<const Utf8View> texts = batch.Values<Utf8View>(index);
    const Validity valid = batch.Valid(index);
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (valid[row] && !texts[row].is_inline()) bytes[row] += texts[row].size();
    }
  }
  std::vector<uint32_t> beyond;
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    if (bytes[row] > bytes_max_) beyond.push_back(row);
  }
  return beyond;
}

std::string RowLimit::message() const {
  return "a row of more than " + std::to_string(bytes_max_) +
         " bytes, four times the job's largest max_record: keep fewer or shorter texts in it, or "
         "raise format.max_record of a source";
}

}  // namespace weir
