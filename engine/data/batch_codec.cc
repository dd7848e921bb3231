#include "engine/data/batch_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "engine/base/bytes.h"
#include "engine/base/escape.h"

namespace weir {
namespace {

static_assert(std::endian::native == std::endian::little,
              "columns are written as they lie in memory");

constexpr std::string_view kMagic = "WB\x01";  // the last byte is the version
constexpr uint8_t kNullable = 1;
constexpr uint8_t kHasValidity = 1;
constexpr uint64_t kColumnsMax = 65535;

/// Number of a kind in the format, which outlives the order of the enum.
constexpr std::array<TypeKind, 11> kKindOfNumber = {
    TypeKind::kBool,    TypeKind::kInt32,     TypeKind::kInt64,    TypeKind::kFloat32,
    TypeKind::kFloat64, TypeKind::kDecimal,   TypeKind::kString,   TypeKind::kBytes,
    TypeKind::kDate,    TypeKind::kTimestamp, TypeKind::kDuration,
};

uint8_t NumberOfKind(TypeKind kind) {
  const auto* const found = std::find(kKindOfNumber.begin(), kKindOfNumber.end(), kind);
  WEIR_CHECK(found != kKindOfNumber.end());
  return static_cast<uint8_t>(found - kKindOfNumber.begin());
}

Status Damaged(std::string_view what) {
  return Status(Code::kCorruption, "not a batch: " + std::string(what));
}

void WriteValidity(Validity valid, uint32_t rows, ByteWriter& writer) {
  for (uint32_t row = 0; row < rows; row += 8) {
    uint8_t byte = 0;
    for (uint32_t bit = 0; bit < 8 && row + bit < rows; ++bit)
      byte = static_cast<uint8_t>(byte | (valid[row + bit] ? 1U << bit : 0U));
    writer.Fixed(byte);
  }
}

void WriteText(std::span<const Utf8View> views, Validity valid, ByteWriter& writer) {
  uint64_t total = 0;
  for (uint32_t row = 0; row < views.size(); ++row) {
    const uint32_t size = valid[row] ? views[row].size() : 0;
    writer.Fixed(size);
    total += size;
  }
  writer.Fixed(total);
  for (uint32_t row = 0; row < views.size(); ++row) {
    if (valid[row]) writer.Raw(views[row].view());
  }
}

/// Values of NULL rows are written as zeros, so that equal batches have equal bytes.
template <class T>
void WriteFixed(std::span<const T> values, Validity valid, ByteWriter& writer) {
  const std::string_view raw(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  if (valid.all()) {
    writer.Raw(raw);
    return;
  }
  constexpr std::array<char, sizeof(T)> kZeros{};
  for (uint32_t row = 0; row < values.size(); ++row) {
    writer.Raw(valid[row] ? raw.substr(row * sizeof(T), sizeof(T))
                          : std::string_view(kZeros.data(), sizeof(T)));
  }
}

void WriteColumn(const Column& column, ByteWriter& writer) {
  const Validity valid = column.Valid();
  writer.Fixed(valid.all() ? uint8_t{0} : kHasValidity);
  if (!valid.all()) WriteValidity(valid, column.rows(), writer);
  VisitKind(column.type().kind, [&]<TypeKind kKind>() {
    const auto values = column.Values<Physical<kKind>>();
    if constexpr (std::is_same_v<Physical<kKind>, Utf8View>) {
      WriteText(values, valid, writer);
    } else {
      WriteFixed<Physical<kKind>>(values, valid, writer);
    }
  });
}

Result<BufferRef> ReadValidity(ByteReader& reader, uint32_t rows) {
  const std::string_view bits = reader.Raw((uint64_t{rows} + 7) / 8);
  if (!reader.ok()) return Damaged("the validity is cut off");
  const unsigned tail = rows % 8;
  if (tail != 0 && static_cast<uint8_t>(bits.back()) >> tail != 0)
    return Damaged("validity of rows that do not exist");
  auto buffer = std::make_shared<Buffer>((uint64_t{rows} + 63) / 64 * sizeof(uint64_t));
  if (buffer->size() != 0) std::memset(buffer->data(), 0, buffer->size());
  if (!bits.empty()) std::memcpy(buffer->data(), bits.data(), bits.size());
  return BufferRef(std::move(buffer));
}

Result<Column> ReadText(ByteReader& reader, const Type& type, uint32_t rows, BufferRef validity) {
  const std::string_view sizes = reader.Raw(uint64_t{rows} * sizeof(uint32_t));
  const auto total = reader.Fixed<uint64_t>();
  const std::string_view bytes = reader.Raw(total);
  if (!reader.ok()) return Damaged("a text column is cut off");
  if (type.kind == TypeKind::kString && !IsUtf8(bytes)) return Damaged("a string is not UTF-8");
  auto arena = std::make_shared<Buffer>(bytes.size());
  if (!bytes.empty()) std::memcpy(arena->data(), bytes.data(), bytes.size());
  auto values = std::make_shared<Buffer>(rows * sizeof(Utf8View));
  auto* const views = values->as<Utf8View>();
  uint64_t at = 0;
  bool any_long = false;
  for (uint32_t row = 0; row < rows; ++row) {
    uint32_t size = 0;
    std::memcpy(&size, sizes.data() + row * sizeof(uint32_t), sizeof(size));
    if (size > total - at) return Damaged("a string is longer than its column");
    // The column is UTF-8 as a whole: so is each string that starts between two characters.
    const bool inside_character = size != 0 && (static_cast<uint8_t>(bytes[at]) & 0xc0) == 0x80;
    if (inside_character && type.kind == TypeKind::kString) return Damaged("a string is not UTF-8");
    views[row] = Utf8View(std::string_view(arena->data() + at, size));
    any_long |= !views[row].is_inline();
    at += size;
  }
  if (at != total) return Damaged("a text column has bytes of no string");
  std::shared_ptr<const Arenas> arenas;
  if (any_long) arenas = std::make_shared<const Arenas>(Arenas{std::move(arena)});
  return Column(type, rows, std::move(values), std::move(validity), std::move(arenas));
}

Result<Column> ReadColumn(ByteReader& reader, const Type& type, uint32_t rows) {
  const auto flags = reader.Fixed<uint8_t>();
  if (!reader.ok() || flags > kHasValidity) return Damaged("a column's flags");
  BufferRef validity;
  if (flags == kHasValidity) {
    WEIR_ASSIGN(validity, ReadValidity(reader, rows));
  }
  if (type.is_text()) return ReadText(reader, type, rows, std::move(validity));
  const std::string_view raw = reader.Raw(uint64_t{rows} * type.width());
  if (!reader.ok()) return Damaged("a column is cut off");
  if (type.kind == TypeKind::kBool &&
      std::any_of(raw.begin(), raw.end(), [](char c) { return c != 0 && c != 1; }))
    return Damaged("a bool that is neither true nor false");
  auto values = std::make_shared<Buffer>(raw.size());
  if (!raw.empty()) std::memcpy(values->data(), raw.data(), raw.size());
  return Column(type, rows, std::move(values), std::move(validity), nullptr);
}

Result<Schema> ReadSchema(ByteReader& reader) {
  const uint64_t columns = reader.Varint();
  if (!reader.ok() || columns > kColumnsMax) return Damaged("the number of columns");
  std::vector<Field> fields;
  for (uint64_t i = 0; i < columns; ++i) {
    Field field;
    field.name = reader.String();
    const auto kind = reader.Fixed<uint8_t>();
    const auto flags = reader.Fixed<uint8_t>();
    if (!reader.ok() || kind >= kKindOfNumber.size() || flags > kNullable || !IsUtf8(field.name))
      return Damaged("a column's description");
    field.type.kind = kKindOfNumber[kind];
    field.nullable = flags == kNullable;
    if (field.type.kind == TypeKind::kDecimal) {
      field.type.precision = reader.Fixed<uint8_t>();
      field.type.scale = reader.Fixed<uint8_t>();
      const bool fits = field.type.precision >= 1 && field.type.precision <= kDecimalPrecisionMax &&
                        field.type.scale <= field.type.precision;
      if (!reader.ok() || !fits) return Damaged("a decimal's precision");
    }
    fields.push_back(std::move(field));
  }
  return Schema(std::move(fields));
}

}  // namespace

void EncodeSchema(const Schema& schema, std::string& out) {
  ByteWriter writer(out);
  writer.Varint(schema.size());
  for (const Field& field : schema.fields()) {
    writer.String(field.name);
    writer.Fixed(NumberOfKind(field.type.kind));
    writer.Fixed(field.nullable ? kNullable : uint8_t{0});
    if (field.type.kind != TypeKind::kDecimal) continue;
    writer.Fixed(field.type.precision);
    writer.Fixed(field.type.scale);
  }
}

Result<Schema> DecodeSchema(std::string_view bytes) {
  ByteReader reader(bytes);
  WEIR_ASSIGN(Schema schema, ReadSchema(reader));
  if (reader.left() != 0) return Damaged("bytes behind the schema");
  return schema;
}

void EncodeBatch(const Batch& batch, std::string& out) {
  WEIR_CHECK(static_cast<bool>(batch));
  out.reserve(out.size() + batch.bytes() + 64);
  ByteWriter writer(out);
  writer.Raw(kMagic);
  EncodeSchema(batch.schema(), out);
  writer.Varint(batch.rows());
  for (size_t i = 0; i < batch.schema().size(); ++i)
    WriteColumn(batch.column(ColumnIndex{static_cast<uint16_t>(i)}), writer);
}

Result<Batch> DecodeBatch(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.Raw(kMagic.size()) != kMagic)
    return Damaged("it does not start with the mark of version 1");
  WEIR_ASSIGN(Schema schema, ReadSchema(reader));
  const uint64_t rows = reader.Varint();
  if (!reader.ok() || rows > UINT32_MAX) return Damaged("the number of rows");
  std::vector<Column> columns;
  for (const Field& field : schema.fields()) {
    WEIR_ASSIGN(Column column, ReadColumn(reader, field.type, static_cast<uint32_t>(rows)));
    columns.push_back(std::move(column));
  }
  if (reader.left() != 0) return Damaged("bytes behind its end");
  return Batch::Make(std::make_shared<const Schema>(std::move(schema)), static_cast<uint32_t>(rows),
                     std::move(columns));
}

}  // namespace weir
