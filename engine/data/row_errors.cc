#include "engine/data/row_errors.h"

#include "engine/base/escape.h"

namespace weir {

bool RowErrors::Has(uint32_t row) const {
  const size_t word = row >> 6;
  return word < seen_.size() && ((seen_[word] >> (row & 63)) & 1) != 0;
}

void RowErrors::Add(uint32_t row, RecordCode code, std::string_view message) {
  if (Has(row)) return;
  const size_t word = row >> 6;
  if (word >= seen_.size()) seen_.resize(word + 1);
  seen_[word] |= uint64_t{1} << (row & 63);
  ++input_rows_;
  errors_.push_back({.row = row,
                     .code = code,
                     .message = OneLine(message, kRowErrorMessageBytesMax),
                     .detached = false,
                     .raw = {}});
}

void RowErrors::AddResult(RecordCode code, std::string_view message, std::string raw) {
  errors_.push_back({.row = 0,
                     .code = code,
                     .message = OneLine(message, kRowErrorMessageBytesMax),
                     .detached = true,
                     .raw = std::move(raw)});
}

void RowErrors::Clear() {
  errors_.clear();
  seen_.clear();
  input_rows_ = 0;
}

void RowErrors::Rewind(size_t mark) {
  while (errors_.size() > mark) {
    const RowError& last = errors_.back();
    if (!last.detached) {
      seen_[last.row >> 6] &= ~(uint64_t{1} << (last.row & 63));
      --input_rows_;
    }
    errors_.pop_back();
  }
}

}  // namespace weir
