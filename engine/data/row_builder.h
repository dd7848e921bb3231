#pragma once
// RowBuilder: builds one batch row by row, or column by column. Owned by the task (operators meet
// it through Output) or by a decoder's caller; one thread. Every row sets every column once, in any
// order, then FinishRow; CancelRow takes an unfinished row back. Memory is kept between batches.
// `full()` is the edge's limit of rows and bytes: a row that passes it is still
// kept, the next one belongs into another batch.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/data/batch.h"

namespace weir {

inline constexpr uint32_t kBatchRowsMax = 4096;
inline constexpr size_t kBatchBytesMax = size_t{256} << 10;
inline constexpr size_t kArenaBlockBytes = size_t{64} << 10;

class ColumnBuilder {
 public:
  ColumnBuilder(Type type, uint32_t rows_reserved);
  ColumnBuilder(ColumnBuilder&&) = default;
  ColumnBuilder& operator=(ColumnBuilder&&) = default;

  /// REQUIRES: sizeof(T) is the type's width; not for strings.
  template <class T>
  void Append(T value) {
    if (rows_ == capacity_) [[unlikely]]
      Grow();
    reinterpret_cast<T*>(data_)[rows_] = value;
    if (valid_words_ != nullptr) SetValid(rows_);
    ++rows_;
  }
  /// Copies; longer than 12 bytes into the arena.
  void AppendString(std::string_view value) {
    if (value.size() <= Utf8View::kInlineMax) {
      Append<Utf8View>(Utf8View(value));
    } else {
      Append<Utf8View>(Utf8View(Store(value)));
    }
  }
  void AppendNull();
  /// Value `row` of `column` (equal type); long strings are copied.
  void AppendFrom(const Column& column, uint32_t row);
  /// Room for `bytes` in the arena for the caller to write a string into; `AppendStored` then takes
  /// what was used of it.
  char* ReserveString(size_t bytes);
  void AppendStored(const char* data, size_t bytes);

  uint32_t rows() const { return rows_; }
  size_t bytes() const { return size_t{rows_} * width_ + arena_bytes_; }
  size_t arena_bytes() const { return arena_bytes_; }
  /// Back to `rows` rows; arena bytes of dropped rows stay until the batch is built.
  void Truncate(uint32_t rows);
  Column Build();

 private:
  void Grow();
  void SetValid(uint32_t row) { valid_words_[row >> 6] |= uint64_t{1} << (row & 63); }
  void MakeValidity();
  std::string_view Store(std::string_view value);
  void StartArena(size_t bytes_least);
  void TrimLastArena();

  Type type_;
  size_t width_;
  uint32_t rows_ = 0, capacity_ = 0, reserved_;
  char* data_ = nullptr;             // of values_
  uint64_t* valid_words_ = nullptr;  // of validity_, null as long as no row is
  std::shared_ptr<Buffer> values_, validity_;
  std::shared_ptr<Arenas> arenas_;
  std::shared_ptr<Buffer> arena_;  // the last of arenas_, still being filled
  char* arena_next_ = nullptr;
  size_t arena_left_ = 0, arena_bytes_ = 0;
  size_t arena_block_bytes_;  // size of the next block: follows what batches need
};

class RowBuilder {
 public:
  explicit RowBuilder(SchemaRef schema, uint32_t rows_max = 1024,
                      size_t bytes_max = kBatchBytesMax);

  const SchemaRef& schema() const { return schema_; }
  ColumnBuilder& column(ColumnIndex column) { return columns_[column.value]; }
  ColumnBuilder& column(size_t column) { return columns_[column]; }
  /// Every column must have got its value.
  void FinishRow() {
    ++rows_;
    WEIR_DCHECK(ColumnsAgree());
  }
  /// `rows` rows were appended column by column.
  void FinishRows(uint32_t rows);
  void CancelRow();

  uint32_t rows() const { return rows_; }
  bool empty() const { return rows_ == 0; }
  bool full() const { return rows_ >= rows_max_ || bytes() >= bytes_max_; }
  /// Of the finished rows, and of the strings of an unfinished one.
  size_t bytes() const {
    size_t bytes = rows_ * row_bytes_;
    for (const uint16_t column : text_columns_) bytes += columns_[column].arena_bytes();
    return bytes;
  }
  void SetLimits(uint32_t rows_max, size_t bytes_max) {
    rows_max_ = rows_max;
    bytes_max_ = bytes_max;
  }
  uint32_t rows_max() const { return rows_max_; }

  /// The finished rows as a batch; the builder is empty again.
  Batch Build();

 private:
  bool ColumnsAgree() const;

  SchemaRef schema_;
  std::vector<ColumnBuilder> columns_;
  std::vector<uint16_t> text_columns_;
  size_t row_bytes_ = 0;
  uint32_t rows_ = 0, rows_max_;
  size_t bytes_max_;
};

}  // namespace weir
