#include "engine/data/batch.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

#include "engine/base/escape.h"
#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"

namespace weir {
namespace {

constexpr size_t kBufferAlignment = 64;
constexpr size_t kPrintedStringBytesMax = 256;

constexpr size_t ValidityWords(size_t rows) { return (rows + 63) / 64; }

/// Up to 64 bits from bit `bit` on; bits past the last word of interest are whatever the buffer
/// holds and must be masked off.
uint64_t BitsAt(const uint64_t* words, size_t bit, size_t words_end) {
  const size_t word = bit >> 6;
  const unsigned shift = bit & 63;
  uint64_t bits = words[word] >> shift;
  if (shift != 0 && word + 1 < words_end) bits |= words[word + 1] << (64 - shift);
  return bits;
}

/// Copies `count` bits of `from` to bit `to_bit` of `to`, whose bits from there on are 0.
void AppendBits(Validity from, size_t count, uint64_t* to, size_t to_bit) {
  const size_t from_end = ValidityWords(from.offset() + count);
  for (size_t done = 0; done < count; done += 64) {
    const size_t some = std::min<size_t>(64, count - done);
    uint64_t bits =
        from.all() ? ~uint64_t{0} : BitsAt(from.words(), from.offset() + done, from_end);
    if (some < 64) bits &= (uint64_t{1} << some) - 1;
    const size_t at = to_bit + done;
    to[at >> 6] |= bits << (at & 63);
    if ((at & 63) != 0 && (at & 63) + some > 64) to[(at >> 6) + 1] |= bits >> (64 - (at & 63));
  }
}

std::shared_ptr<Buffer> MakeZeroWords(size_t words) {
  auto buffer = std::make_shared<Buffer>(words * sizeof(uint64_t));
  if (words != 0) std::memset(buffer->data(), 0, words * sizeof(uint64_t));
  return buffer;
}

size_t ArenaBytes(const Arenas& arenas) {
  size_t bytes = 0;
  for (const BufferRef& arena : arenas) bytes += arena->size();
  return bytes;
}

/// What a taken or joined text column keeps alive: `arenas` as they are, or, when less than half of
/// their bytes would stay in use, one new arena into which the long strings of `views` are copied.
/// Views of NULL rows are made empty first: they may point anywhere.
std::shared_ptr<const Arenas> Compact(std::span<Utf8View> views, Validity valid,
                                      std::shared_ptr<const Arenas> arenas) {
  if (arenas == nullptr || arenas->empty()) return nullptr;
  size_t used = 0;
  for (uint32_t row = 0; row < views.size(); ++row) {
    if (!valid[row]) views[row] = Utf8View();
    if (!views[row].is_inline()) used += views[row].size();
  }
  if (used == 0) return nullptr;
  if (used >= ArenaBytes(*arenas) / 2) return arenas;
  auto arena = std::make_shared<Buffer>(used);
  char* next = arena->data();
  for (Utf8View& view : views) {
    if (view.is_inline()) continue;
    std::memcpy(next, view.data(), view.size());
    view = Utf8View(std::string_view(next, view.size()));
    next += view.size();
  }
  return std::make_shared<const Arenas>(Arenas{std::move(arena)});
}

/// The shortest text that reads back equal.
template <class T>
std::string FloatToString(T value) {
  std::array<char, 32> text{};
  const auto result = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), result.ptr};
}

template <class T>
void Gather(const T* from, std::span<const uint32_t> rows, T* to) {
  for (size_t i = 0; i < rows.size(); ++i) to[i] = from[rows[i]];
}

BufferRef GatherValidity(Validity from, std::span<const uint32_t> rows) {
  if (from.all()) return nullptr;
  auto buffer = MakeZeroWords(ValidityWords(rows.size()));
  auto* words = buffer->as<uint64_t>();
  bool all = true;
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t bit = from[rows[i]] ? 1 : 0;
    words[i >> 6] |= bit << (i & 63);
    all &= bit != 0;
  }
  if (all) return nullptr;
  return buffer;
}

}  // namespace

Buffer::Buffer(size_t bytes) : data_(nullptr), size_(bytes) {
  // Aligned by hand, what was allocated noted in front: the allocator's own aligned memory leaves a
  // remainder to be freed with each buffer.
  const size_t rounded = std::max(
      kBufferAlignment, (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment);
  char* const memory = static_cast<char*>(::operator new(rounded + kBufferAlignment));
  static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ >= sizeof(memory));
  const auto address = reinterpret_cast<uintptr_t>(memory);
  data_ = memory + (kBufferAlignment - address % kBufferAlignment);
  std::memcpy(data_ - sizeof(memory), &memory, sizeof(memory));
}
Buffer::~Buffer() {
  char* memory = nullptr;
  std::memcpy(&memory, data_ - sizeof(memory), sizeof(memory));
  ::operator delete(memory);
}

Selection Selection::All(uint32_t rows) {
  std::vector<uint32_t> all(rows);
  std::iota(all.begin(), all.end(), 0U);
  return Selection(std::move(all));
}

Column Column::Slice(uint32_t first, uint32_t rows) const {
  WEIR_CHECK_LE(uint64_t{first} + rows, rows_);
  Column slice = *this;
  slice.offset_ += first;
  slice.rows_ = rows;
  return slice;
}

Column Column::Take(std::span<const uint32_t> rows) const {
  const auto count = static_cast<uint32_t>(rows.size());
  BufferRef validity = GatherValidity(Valid(), rows);
  return VisitKind(type_.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    auto values = std::make_shared<Buffer>(count * sizeof(T));
    Gather(Values<T>().data(), rows, values->template as<T>());
    std::shared_ptr<const Arenas> arenas;
    if constexpr (std::is_same_v<T, Utf8View>) {
      const Validity valid =
          validity == nullptr ? Validity() : Validity(validity->as<uint64_t>(), 0);
      arenas = Compact({values->template as<T>(), count}, valid, arenas_);
    }
    return Column(type_, count, std::move(values), std::move(validity), std::move(arenas));
  });
}

KeyBatch KeyBatch::Slice(uint32_t first, uint32_t count) const {
  KeyBatch slice;
  slice.hash = hash.subspan(first, count);
  slice.bytes = bytes.subspan(first, count);
  if (!time.empty()) slice.time = time.subspan(first, count);
  slice.valid = valid.all() ? valid : Validity(valid.words(), valid.offset() + first);
  return slice;
}

KeyBatch KeyStorage::View() const {
  KeyBatch keys;
  keys.hash = hash;
  keys.bytes = bytes;
  keys.time = time;
  if (!valid_words.empty()) keys.valid = Validity(valid_words.data(), 0);
  return keys;
}

Batch Batch::Make(SchemaRef schema, uint32_t rows, std::vector<Column> columns) {
  WEIR_CHECK(schema != nullptr);
  WEIR_CHECK_EQ(schema->size(), columns.size());
  auto body = std::make_shared<Body>();
  std::vector<const Buffer*> arenas;
  for (size_t i = 0; i < columns.size(); ++i) {
    const Column& column = columns[i];
    WEIR_CHECK_EQ(column.rows(), rows);
    WEIR_CHECK(column.values_buffer() != nullptr);
    WEIR_CHECK(column.type() == schema->fields()[i].type);
    body->row_bits += column.type().width() * 8 + (column.nullable() ? 1 : 0);
    if (column.arenas() == nullptr) continue;
    for (const BufferRef& arena : *column.arenas()) arenas.push_back(arena.get());
  }
  // Columns that an expression made of one another share arenas: each counts once.
  std::sort(arenas.begin(), arenas.end());
  arenas.erase(std::unique(arenas.begin(), arenas.end()), arenas.end());
  for (const Buffer* arena : arenas) body->arena_bytes += arena->size();
  body->schema = std::move(schema);
  body->columns = std::move(columns);
  Batch batch;
  batch.body_ = std::move(body);
  batch.rows_ = rows;
  return batch;
}

Batch Batch::WithKeys(std::shared_ptr<const KeyStorage> keys) const {
  WEIR_CHECK(keys != nullptr);
  WEIR_CHECK_EQ(keys->hash.size(), size_t{rows_});
  Batch batch = *this;
  batch.keys_ = keys->View();
  batch.key_storage_ = std::move(keys);
  return batch;
}

Batch Batch::Slice(uint32_t first, uint32_t rows) const {
  WEIR_CHECK_LE(uint64_t{first} + rows, rows_);
  Batch slice = *this;
  slice.offset_ += first;
  slice.rows_ = rows;
  if (has_keys()) slice.keys_ = keys_.Slice(first, rows);
  return slice;
}

Batch Batch::Take(const Selection& rows) const {
  if (rows.size() == rows_) {  // rising order: all of them
    Batch all = *this;
    all.key_storage_ = nullptr;
    all.keys_ = {};
    return all;
  }
  WEIR_CHECK(rows.empty() || rows.rows().back() < rows_);
  std::vector<Column> columns;
  columns.reserve(body_->columns.size());
  for (size_t i = 0; i < body_->columns.size(); ++i)
    columns.push_back(column(ColumnIndex{static_cast<uint16_t>(i)}).Take(rows.rows()));
  return Make(body_->schema, rows.size(), std::move(columns));
}

Batch Batch::WithSchema(SchemaRef schema) const {
  WEIR_CHECK(schema != nullptr);
  WEIR_CHECK_EQ(schema->size(), body_->schema->size());
  for (size_t i = 0; i < schema->size(); ++i)
    WEIR_CHECK(schema->fields()[i].type == body_->schema->fields()[i].type);
  auto body = std::make_shared<Body>(*body_);
  body->schema = std::move(schema);
  Batch batch = *this;
  batch.body_ = std::move(body);
  return batch;
}

size_t Batch::bytes() const {
  if (body_ == nullptr) return 0;
  return (body_->row_bits * rows_ + 7) / 8 + body_->arena_bytes;
}

std::string Batch::RowToString(uint32_t row) const {
  WEIR_CHECK_LT(row, rows_);
  std::string text = "{";
  for (size_t i = 0; i < body_->columns.size(); ++i) {
    if (i != 0) text += ", ";
    text += body_->schema->fields()[i].name;
    text += ": ";
    text += ValueToString(body_->columns[i], offset_ + row);
  }
  text += "}";
  return text;
}

namespace {

Column ConcatColumn(const Type& type, uint32_t rows, std::span<const Column> parts) {
  std::shared_ptr<Buffer> validity;
  if (std::any_of(parts.begin(), parts.end(), [](const Column& part) { return part.nullable(); }))
    validity = MakeZeroWords(ValidityWords(rows));
  return VisitKind(type.kind, [&]<TypeKind kKind>() {
    using T = Physical<kKind>;
    auto values = std::make_shared<Buffer>(rows * sizeof(T));
    auto all_arenas = std::make_shared<Arenas>();
    size_t at = 0;
    for (const Column& part : parts) {
      const std::span<const T> from = part.Values<T>();
      if (!from.empty()) std::memcpy(values->template as<T>() + at, from.data(), from.size_bytes());
      if (validity != nullptr) AppendBits(part.Valid(), part.rows(), validity->as<uint64_t>(), at);
      if (part.arenas() != nullptr)
        all_arenas->insert(all_arenas->end(), part.arenas()->begin(), part.arenas()->end());
      at += part.rows();
    }
    std::shared_ptr<const Arenas> arenas;
    if constexpr (std::is_same_v<T, Utf8View>) {
      std::sort(all_arenas->begin(), all_arenas->end());
      all_arenas->erase(std::unique(all_arenas->begin(), all_arenas->end()), all_arenas->end());
      const Validity valid =
          validity == nullptr ? Validity() : Validity(validity->as<uint64_t>(), 0);
      arenas = Compact({values->template as<T>(), rows}, valid, std::move(all_arenas));
    }
    return Column(type, rows, std::move(values), std::move(validity), std::move(arenas));
  });
}

}  // namespace

Batch Concat(std::span<const Batch> batches) {
  WEIR_CHECK(!batches.empty());
  const Batch& first = batches.front();
  uint64_t rows = 0;
  for (const Batch& batch : batches) {
    WEIR_CHECK(batch.schema_ref() == first.schema_ref() || batch.schema() == first.schema());
    rows += batch.rows();
  }
  WEIR_CHECK_LE(rows, uint64_t{UINT32_MAX});
  const auto columns_count = first.schema().size();
  std::vector<Column> columns;
  columns.reserve(columns_count);
  std::vector<Column> parts(batches.size());
  for (size_t i = 0; i < columns_count; ++i) {
    const ColumnIndex column{static_cast<uint16_t>(i)};
    for (size_t part = 0; part < batches.size(); ++part) parts[part] = batches[part].column(column);
    const Type& type = first.schema().field(column).type;
    columns.push_back(parts.size() == 1 ? parts.front()
                                        : ConcatColumn(type, static_cast<uint32_t>(rows), parts));
  }
  return Batch::Make(first.schema_ref(), static_cast<uint32_t>(rows), std::move(columns));
}

Batch TakeChanges(const Batch& batch, const Selection& selection) {
  const std::optional<ColumnIndex> op_column = batch.schema().Find(kOpColumn);
  if (!op_column) return batch.Take(selection);
  // Also when all rows are selected: the other half of a pair that the batch's border cuts may not
  // be.
  const std::span<const int32_t> ops = batch.Values<int32_t>(*op_column);
  const auto is = [&](uint32_t row, Op op) {
    return row < ops.size() && ops[row] == static_cast<int32_t>(op);
  };
  const std::span<const uint32_t> rows = selection.rows();
  std::shared_ptr<Buffer> rewritten;
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint32_t row = rows[i];
    Op lone = Op::kInsert;
    if (is(row, Op::kUpdateBefore)) {
      const bool whole =
          is(row + 1, Op::kUpdateAfter) && i + 1 < rows.size() && rows[i + 1] == row + 1;
      if (whole) continue;
      lone = Op::kDelete;
    } else if (is(row, Op::kUpdateAfter)) {
      const bool whole =
          row != 0 && is(row - 1, Op::kUpdateBefore) && i != 0 && rows[i - 1] == row - 1;
      if (whole) continue;
    } else {
      continue;
    }
    if (rewritten == nullptr) {
      rewritten = std::make_shared<Buffer>(rows.size() * sizeof(int32_t));
      Gather(ops.data(), rows, rewritten->as<int32_t>());
    }
    rewritten->as<int32_t>()[i] = static_cast<int32_t>(lone);
  }
  Batch taken = batch.Take(selection);
  if (rewritten == nullptr) return taken;
  std::vector<Column> columns;
  for (size_t i = 0; i < batch.schema().size(); ++i)
    columns.push_back(taken.column(ColumnIndex{static_cast<uint16_t>(i)}));
  columns[op_column->value] =
      Column(Type::Of(TypeKind::kInt32), selection.size(), std::move(rewritten), nullptr, nullptr);
  return Batch::Make(batch.schema_ref(), selection.size(), std::move(columns));
}

std::string ValueToString(const Column& column, uint32_t row) {
  WEIR_CHECK_LT(row, column.rows());
  if (!column.Valid()[row]) return "NULL";
  return VisitKind(column.type().kind, [&]<TypeKind kKind>() -> std::string {
    const auto& value = column.Values<Physical<kKind>>()[row];
    if constexpr (kKind == TypeKind::kBool) return value != 0 ? "true" : "false";
    if constexpr (kKind == TypeKind::kFloat32 || kKind == TypeKind::kFloat64)
      return FloatToString(value);
    if constexpr (kKind == TypeKind::kDecimal) return DecimalToString(value, column.type().scale);
    if constexpr (kKind == TypeKind::kDate) return DateToString(value);
    if constexpr (kKind == TypeKind::kTimestamp) return TimestampToString(value);
    if constexpr (kKind == TypeKind::kDuration) return IsoDurationToString(value);
    if constexpr (kKind == TypeKind::kString || kKind == TypeKind::kBytes)
      return "'" + OneLine(value.view(), kPrintedStringBytesMax) + "'";
    if constexpr (kKind == TypeKind::kInt32 || kKind == TypeKind::kInt64)
      return std::to_string(value);
  });
}

}  // namespace weir
