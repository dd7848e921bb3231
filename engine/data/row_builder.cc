#include "engine/data/row_builder.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace weir {
namespace {

constexpr uint32_t kRowsLeast = 64;  // also keeps capacities whole words of validity
constexpr size_t kArenaBlockBytesLeast = size_t{1} << 10;

constexpr size_t ValidityBytes(size_t rows) { return (rows + 63) / 64 * sizeof(uint64_t); }

std::shared_ptr<Buffer> CopyPrefix(const Buffer& from, size_t bytes) {
  auto copy = std::make_shared<Buffer>(bytes);
  if (bytes != 0) std::memcpy(copy->data(), from.data(), bytes);
  return copy;
}

}  // namespace

ColumnBuilder::ColumnBuilder(Type type, uint32_t rows_reserved)
    : type_(std::move(type)),
      width_(type_.width()),
      reserved_(std::max(kRowsLeast, (rows_reserved + 63) / 64 * 64)),
      arena_block_bytes_(kArenaBlockBytesLeast) {}

void ColumnBuilder::Grow() {
  WEIR_CHECK_LT(capacity_, uint32_t{1} << 31);
  const uint32_t capacity = capacity_ == 0 ? reserved_ : capacity_ * 2;
  auto values = std::make_shared<Buffer>(capacity * width_);
  if (rows_ != 0) std::memcpy(values->data(), data_, rows_ * width_);
  values_ = std::move(values);
  data_ = values_->data();
  if (validity_ != nullptr) {
    auto validity = std::make_shared<Buffer>(ValidityBytes(capacity));
    std::memset(validity->data(), 0, validity->size());
    std::memcpy(validity->data(), validity_->data(), ValidityBytes(capacity_));
    validity_ = std::move(validity);
    valid_words_ = validity_->as<uint64_t>();
  }
  capacity_ = capacity;
}

void ColumnBuilder::MakeValidity() {
  validity_ = std::make_shared<Buffer>(ValidityBytes(capacity_));
  std::memset(validity_->data(), 0, validity_->size());
  valid_words_ = validity_->as<uint64_t>();
  for (uint32_t word = 0; word < rows_ / 64; ++word) valid_words_[word] = ~uint64_t{0};
  if (rows_ % 64 != 0) valid_words_[rows_ / 64] = (uint64_t{1} << (rows_ % 64)) - 1;
}

void ColumnBuilder::AppendNull() {
  if (rows_ == capacity_) Grow();
  if (valid_words_ == nullptr) MakeValidity();
  std::memset(data_ + rows_ * width_, 0, width_);
  ++rows_;
}

void ColumnBuilder::AppendFrom(const Column& column, uint32_t row) {
  WEIR_DCHECK(column.type() == type_);
  if (!column.Valid()[row]) return AppendNull();
  VisitKind(type_.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    const T& value = column.Values<T>()[row];
    if constexpr (std::is_same_v<T, Utf8View>) {
      if (value.is_inline()) {
        Append<T>(value);
      } else {
        Append<T>(T(Store(value.view())));
      }
    } else {
      Append<T>(value);
    }
  });
}

void ColumnBuilder::StartArena(size_t bytes_least) {
  if (arena_ != nullptr) arena_block_bytes_ = std::min(kArenaBlockBytes, arena_block_bytes_ * 2);
  if (arenas_ == nullptr) arenas_ = std::make_shared<Arenas>();
  arena_ = std::make_shared<Buffer>(std::max(bytes_least, arena_block_bytes_));
  arenas_->push_back(arena_);
  arena_next_ = arena_->data();
  arena_left_ = arena_->size();
}

std::string_view ColumnBuilder::Store(std::string_view value) {
  if (value.size() > arena_left_) StartArena(value.size());
  char* data = arena_next_;
  std::memcpy(data, value.data(), value.size());
  arena_next_ += value.size();
  arena_left_ -= value.size();
  arena_bytes_ += value.size();
  return {data, value.size()};
}

char* ColumnBuilder::ReserveString(size_t bytes) {
  if (bytes > arena_left_) StartArena(bytes);
  return arena_next_;
}

void ColumnBuilder::AppendStored(const char* data, size_t bytes) {
  const Utf8View view(std::string_view(data, bytes));
  if (!view.is_inline()) {
    WEIR_DCHECK(data == arena_next_ && bytes <= arena_left_);
    arena_next_ += bytes;
    arena_left_ -= bytes;
    arena_bytes_ += bytes;
  }
  Append<Utf8View>(view);
}

void ColumnBuilder::Truncate(uint32_t rows) {
  WEIR_CHECK_LE(rows, rows_);
  if (valid_words_ != nullptr) {
    for (uint32_t row = rows; row < rows_; ++row)
      valid_words_[row >> 6] &= ~(uint64_t{1} << (row & 63));
  }
  rows_ = rows;
}

/// A last block that is mostly empty would be held, and counted, for as long as the batch lives:
/// its strings move to one of their own size.
void ColumnBuilder::TrimLastArena() {
  const size_t used = arena_->size() - arena_left_;
  if (used >= arena_->size() / 2) return;
  auto tight = CopyPrefix(*arena_, used);
  const char* old_begin = arena_->data();
  const char* old_end = old_begin + used;
  for (Utf8View& view : std::span(reinterpret_cast<Utf8View*>(data_), rows_)) {
    const char* data = view.data();
    if (view.is_inline() || data < old_begin || data >= old_end) continue;
    view = Utf8View(std::string_view(tight->data() + (data - old_begin), view.size()));
  }
  arenas_->back() = std::move(tight);
}

Column ColumnBuilder::Build() {
  // A string reserved for a row that was then given up leaves an arena without rows.
  if (arena_ != nullptr && values_ != nullptr) {
    TrimLastArena();
    // The next batch will probably need what this one did, and an eighth more.
    arena_block_bytes_ = std::clamp(std::bit_ceil(arena_bytes_ + arena_bytes_ / 8),
                                    kArenaBlockBytesLeast, kArenaBlockBytes);
  }
  // A batch that fills little of the capacity gets its own size, and the builder keeps the memory.
  const bool copy = values_ == nullptr || rows_ <= capacity_ / 4;
  BufferRef values;
  BufferRef validity;
  if (copy) {
    values =
        values_ == nullptr ? std::make_shared<Buffer>(0) : CopyPrefix(*values_, rows_ * width_);
    if (validity_ != nullptr) validity = CopyPrefix(*validity_, ValidityBytes(rows_));
    validity_ = nullptr;
  } else {
    values = std::move(values_);
    validity = std::move(validity_);
    data_ = nullptr;
    capacity_ = 0;
  }
  valid_words_ = nullptr;
  std::shared_ptr<const Arenas> arenas = std::move(arenas_);
  Column column(type_, rows_, std::move(values), std::move(validity), std::move(arenas));
  rows_ = 0;
  arenas_ = nullptr;
  arena_ = nullptr;
  arena_next_ = nullptr;
  arena_left_ = 0;
  arena_bytes_ = 0;
  return column;
}

RowBuilder::RowBuilder(SchemaRef schema, uint32_t rows_max, size_t bytes_max)
    : schema_(std::move(schema)), rows_max_(rows_max), bytes_max_(bytes_max) {
  WEIR_CHECK(schema_ != nullptr);
  columns_.reserve(schema_->size());
  for (const Field& field : schema_->fields()) {
    if (field.type.is_text()) text_columns_.push_back(static_cast<uint16_t>(columns_.size()));
    row_bytes_ += field.type.width();
    columns_.emplace_back(field.type, rows_max);
  }
}

bool RowBuilder::ColumnsAgree() const {
  return std::all_of(columns_.begin(), columns_.end(),
                     [&](const ColumnBuilder& column) { return column.rows() == rows_; });
}

void RowBuilder::FinishRows(uint32_t rows) {
  rows_ += rows;
  WEIR_CHECK(ColumnsAgree());
}

void RowBuilder::CancelRow() {
  for (ColumnBuilder& column : columns_) column.Truncate(std::min(column.rows(), rows_));
}

Batch RowBuilder::Build() {
  std::vector<Column> columns;
  columns.reserve(columns_.size());
  for (ColumnBuilder& column : columns_) columns.push_back(column.Build());
  const uint32_t rows = rows_;
  rows_ = 0;
  return Batch::Make(schema_, rows, std::move(columns));
}

}  // namespace weir
