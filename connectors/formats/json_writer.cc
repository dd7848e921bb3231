#include "connectors/formats/json_writer.h"

#include <array>
#include <cstring>

#include "connectors/formats/value_text.h"
#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"

namespace weir {
namespace {

/// Bytes that a JSON string escapes: control characters, the quote, the backslash.
constexpr std::array<bool, 256> MakeEscaped() {
  std::array<bool, 256> escaped{};
  for (size_t c = 0; c < 0x20; ++c) escaped[c] = true;
  escaped['"'] = escaped['\\'] = true;
  return escaped;
}
constexpr std::array<bool, 256> kEscaped = MakeEscaped();

void AppendEscape(char c, std::string& out) {
  switch (c) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\b':
      out.append("\\b");
      return;
    case '\f':
      out.append("\\f");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    default:
      break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<uint8_t>(c);
  const std::array<char, 6> text = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
  out.append(text.data(), text.size());
}

/// Index of the first byte to escape, eight at a time: strings mostly have none.
size_t CleanPrefix(const char* text, size_t size) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHigh = 0x8080808080808080;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text + at, sizeof(word));
    const uint64_t control = (word - kOnes * 0x20) & ~word;
    const uint64_t quote = (word ^ kOnes * '"') - kOnes;
    const uint64_t backslash = (word ^ kOnes * '\\') - kOnes;
    const uint64_t found =
        (control | (quote & ~(word ^ kOnes * '"')) | (backslash & ~(word ^ kOnes * '\\'))) & kHigh;
    if (found != 0) break;
  }
  while (at < size && !kEscaped[static_cast<uint8_t>(text[at])]) ++at;
  return at;
}

bool NeedsQuotes(TypeKind kind) {
  switch (kind) {
    case TypeKind::kBool:
    case TypeKind::kInt32:
    case TypeKind::kInt64:
    case TypeKind::kFloat32:
    case TypeKind::kFloat64:
      return false;
    default:
      return true;
  }
}

template <class T>
void AppendJsonFloat(T value, std::string& out) {
  const bool quoted = value != value || value - value != 0;  // NaN, infinities
  if (quoted) out.push_back('"');
  AppendFloat(value, out);
  if (quoted) out.push_back('"');
}

}  // namespace

BoundColumn::BoundColumn(const Batch& batch, ColumnIndex column)
    : kind(batch.schema().field(column).type.kind),
      scale(batch.schema().field(column).type.scale),
      is_op(batch.schema().field(column).name == kOpColumn),
      valid(batch.Valid(column)) {
  VisitKind(kind, [&]<TypeKind kKind>() {
    values = reinterpret_cast<const char*>(batch.Values<Physical<kKind>>(column).data());
  });
}

void AppendValueText(const BoundColumn& column, uint32_t row, std::string& out) {
  if (column.is_op) {
    out.append(OpName(static_cast<Op>(column.at<int32_t>(row))));
    return;
  }
  switch (column.kind) {
    case TypeKind::kBool:
      out.append(column.at<uint8_t>(row) != 0 ? "true" : "false");
      return;
    case TypeKind::kInt32:
      AppendInt(column.at<int32_t>(row), out);
      return;
    case TypeKind::kInt64:
      AppendInt(column.at<int64_t>(row), out);
      return;
    case TypeKind::kFloat32:
      AppendFloat(column.at<float>(row), out);
      return;
    case TypeKind::kFloat64:
      AppendFloat(column.at<double>(row), out);
      return;
    case TypeKind::kDecimal:
      out.append(DecimalToString(column.at<Int128>(row), column.scale));
      return;
    case TypeKind::kBytes:
      AppendBase64(column.at<Utf8View>(row).view(), out);
      return;
    case TypeKind::kDate:
      out.append(DateToString(column.at<int32_t>(row)));
      return;
    case TypeKind::kTimestamp:
      AppendTimestamp(column.at<int64_t>(row), out);
      return;
    case TypeKind::kDuration:
      out.append(IsoDurationToString(column.at<int64_t>(row)));
      return;
    default:
      out.append(column.at<Utf8View>(row).view());
      return;
  }
}

void AppendJsonText(std::string_view text, std::string& out) {
  out.push_back('"');
  while (true) {
    const size_t clean = CleanPrefix(text.data(), text.size());
    out.append(text.data(), clean);
    if (clean == text.size()) break;
    AppendEscape(text[clean], out);
    text.remove_prefix(clean + 1);
  }
  out.push_back('"');
}

void AppendJsonValue(const BoundColumn& column, uint32_t row, const JsonWriterOptions& options,
                     std::string& out) {
  if (!column.valid[row]) {
    out.append("null");
    return;
  }
  switch (column.kind) {
    case TypeKind::kString:
      AppendJsonText(column.at<Utf8View>(row).view(), out);
      return;
    case TypeKind::kFloat32:
      AppendJsonFloat(column.at<float>(row), out);
      return;
    case TypeKind::kFloat64:
      AppendJsonFloat(column.at<double>(row), out);
      return;
    default:
      break;
  }
  const bool quoted = column.is_op || NeedsQuotes(column.kind) ||
                      (options.int64_as_string && column.kind == TypeKind::kInt64);
  if (quoted) out.push_back('"');
  AppendValueText(column, row, out);
  if (quoted) out.push_back('"');
}

JsonRowWriter::JsonRowWriter(const Schema& schema, std::vector<ColumnIndex> columns,
                             JsonWriterOptions options)
    : options_(options) {
  for (const ColumnIndex column : columns) {
    Member member{.column = column, .name = {}, .bound = {}};
    AppendJsonText(schema.field(column).name, member.name);
    member.name.push_back(':');
    members_.push_back(std::move(member));
  }
}

void JsonRowWriter::Bind(const Batch& batch) {
  for (Member& member : members_) member.bound = BoundColumn(batch, member.column);
}

void JsonRowWriter::AppendRow(uint32_t row, std::string& out) const {
  char before = '{';
  for (const Member& member : members_) {
    if (options_.omit_nulls && !member.bound.valid[row]) continue;
    out.push_back(before);
    out.append(member.name);
    AppendJsonValue(member.bound, row, options_, out);
    before = ',';
  }
  if (before == '{') out.push_back('{');
  out.push_back('}');
}

std::vector<ColumnIndex> WrittenColumns(const Schema& schema, bool with_op) {
  std::vector<ColumnIndex> columns;
  for (uint16_t i = 0; i < schema.size(); ++i) {
    const std::string& name = schema.fields()[i].name;
    if (!IsMetadataColumn(name) || (with_op && name == kOpColumn))
      columns.push_back(ColumnIndex{i});
  }
  return columns;
}

}  // namespace weir
