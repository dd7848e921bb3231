#pragma once
// Batch: rows of one schema as typed columns. Immutable, a cheap handle on shared buffers, owner of
// every byte it shows: no client buffer is pinned. Any thread may read; made by RowBuilder, by
// expressions (columns) and by the codec. A batch of 0 rows is never sent, a batch of 1 must work.
// After Arrow's record batch and Umbra's strings.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/data/schema.h"
#include "engine/data/types.h"

namespace weir {

/// Bytes on the heap, 64-byte aligned, written once by whoever makes them and then shared as const.
class Buffer {
 public:
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  char* data_;
  size_t size_;
};
using BufferRef = std::shared_ptr<const Buffer>;
using Arenas = std::vector<BufferRef>;  // what long strings of a column point into

/// One bit per row, set = not null, from bit `offset`; without words every row is valid.
class Validity {
 public:
  Validity() = default;
  Validity(const uint64_t* words, uint32_t offset) : words_(words), offset_(offset) {}
  bool all() const { return words_ == nullptr; }
  bool operator[](uint32_t row) const {
    if (words_ == nullptr) return true;
    const uint32_t bit = offset_ + row;
    return ((words_[bit >> 6] >> (bit & 63)) & 1) != 0;
  }
  const uint64_t* words() const { return words_; }
  uint32_t offset() const { return offset_; }

 private:
  const uint64_t* words_ = nullptr;
  uint32_t offset_ = 0;
};

/// Rows of a batch in rising order.
class Selection {
 public:
  Selection() = default;
  explicit Selection(std::vector<uint32_t> rows) : rows_(std::move(rows)) {}
  static Selection All(uint32_t rows);
  uint32_t size() const { return static_cast<uint32_t>(rows_.size()); }
  bool empty() const { return rows_.empty(); }
  uint32_t operator[](uint32_t i) const { return rows_[i]; }
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }
  std::span<const uint32_t> rows() const { return rows_; }
  std::vector<uint32_t>& mutable_rows() { return rows_; }

 private:
  std::vector<uint32_t> rows_;
};

/// One column: values, validity and the arenas of its long strings, shared. A value handle; slicing
/// moves the offset.
class Column {
 public:
  Column() = default;
  /// `validity` may be null: all valid. `arenas` may be null.
  Column(Type type, uint32_t rows, BufferRef values, BufferRef validity,
         std::shared_ptr<const Arenas> arenas)
      : type_(std::move(type)),
        rows_(rows),
        values_(std::move(values)),
        validity_(std::move(validity)),
        arenas_(std::move(arenas)) {}

  const Type& type() const { return type_; }
  uint32_t rows() const { return rows_; }
  template <class T>
  std::span<const T> Values() const {
    WEIR_DCHECK(sizeof(T) == type_.width());
    return {values_->as<T>() + offset_, rows_};
  }
  Validity Valid() const {
    return validity_ == nullptr ? Validity() : Validity(validity_->as<uint64_t>(), offset_);
  }
  bool nullable() const { return validity_ != nullptr; }
  Column Slice(uint32_t first, uint32_t rows) const;
  /// Values of the given rows. Arenas are shared; long strings are copied when less than half of
  /// the arenas' bytes would stay in use.
  Column Take(std::span<const uint32_t> rows) const;

  const BufferRef& values_buffer() const { return values_; }
  const BufferRef& validity_buffer() const { return validity_; }
  const std::shared_ptr<const Arenas>& arenas() const { return arenas_; }
  uint32_t offset() const { return offset_; }

 private:
  Type type_;
  uint32_t rows_ = 0, offset_ = 0;
  BufferRef values_, validity_;
  std::shared_ptr<const Arenas> arenas_;
};

/// Keys of a batch, row by row, as views: hash and canonical bytes (key_encoding.h),
/// event time for TTL, NULL-key rows.
struct KeyBatch {
  std::span<const uint64_t> hash;
  std::span<const Utf8View> bytes;
  std::span<const EventTime> time;  // empty without event time
  Validity valid;                   // unset: a key column is NULL
  uint32_t rows() const { return static_cast<uint32_t>(hash.size()); }
  KeyBatch Slice(uint32_t first, uint32_t count) const;
};

/// What a KeyBatch shows, owned.
struct KeyStorage {
  std::vector<uint64_t> hash;
  std::vector<Utf8View> bytes;
  std::vector<EventTime> time;
  std::vector<uint64_t> valid_words;  // empty: all valid
  Arenas arenas;
  KeyBatch View() const;
};

struct Batch {
 public:
  Batch() = default;
  /// REQUIRES: one column per field, each of the field's type and of `rows` rows.
  static Batch Make(SchemaRef schema, uint32_t rows, std::vector<Column> columns);

  explicit operator bool() const { return body_ != nullptr; }
  uint32_t rows() const { return rows_; }
  const Schema& schema() const { return *body_->schema; }
  const SchemaRef& schema_ref() const { return body_->schema; }
  template <class T>
  std::span<const T> Values(ColumnIndex column) const {
    return body_->columns[column.value].Values<T>().subspan(offset_, rows_);
  }
  Validity Valid(ColumnIndex column) const {
    const Validity whole = body_->columns[column.value].Valid();
    return whole.all() ? whole : Validity(whole.words(), whole.offset() + offset_);
  }
  Column column(ColumnIndex column) const {
    return body_->columns[column.value].Slice(offset_, rows_);
  }

  /// REQUIRES: has_keys(). Made once by the task, on ports for which the node declares a key.
  const KeyBatch& keys() const {
    WEIR_DCHECK(has_keys());
    return keys_;
  }
  bool has_keys() const { return key_storage_ != nullptr; }
  Batch WithKeys(std::shared_ptr<const KeyStorage> keys) const;

  /// Keys are sliced along.
  Batch Slice(uint32_t first, uint32_t rows) const;
  /// Keys are not taken along.
  Batch Take(const Selection& rows) const;
  /// The same rows under another schema of equal types: renaming, nullability.
  Batch WithSchema(SchemaRef schema) const;

  /// What credits and memory accounts count: the rows' share of the fixed-width buffers, plus whole
  /// arenas.
  size_t bytes() const;

  /// Row `row` as text "{a: 1, b: 'x'}": logs at debug, test failures.
  std::string RowToString(uint32_t row) const;

 private:
  struct Body {
    SchemaRef schema;
    std::vector<Column> columns;
    size_t arena_bytes = 0;
    size_t row_bits = 0;
  };
  std::shared_ptr<const Body> body_;
  uint32_t offset_ = 0, rows_ = 0;
  std::shared_ptr<const KeyStorage> key_storage_;
  KeyBatch keys_;
};

/// `batches` of one schema as one batch; keys are dropped.
Batch Concat(std::span<const Batch> batches);

/// A Take that keeps changelogs right: where only one half of an update_before/update_after pair is
/// selected, or the batch's border cuts the pair, a half becomes delete or insert.
/// Without an `_op` column a plain Take.
Batch TakeChanges(const Batch& batch, const Selection& selection);

/// One value as text, strings quoted: messages and tests.
std::string ValueToString(const Column& column, uint32_t row);

}  // namespace weir
