#include "engine/runtime/error_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/base/escape.h"
#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"

namespace weir::runtime {
namespace {

enum Field : size_t {
  kNodeId,
  kCode,
  kMessage,
  kEventTimeField,
  kTopic,
  kPartition,
  kOffset,
  kKey,
  kHeaders,
  kRaw,
  kTruncated,
  kAt
};

void AppendBase64(std::string_view bytes, std::string& out) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t three = 0;
    for (size_t j = 0; j < 3; ++j)
      three = three << 8 | (j < left ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    for (size_t j = 0; j < 4; ++j)
      out.push_back(j <= left ? kDigits[three >> (18 - 6 * j) & 63] : '=');
  }
}

template <class T>
void AppendNumber(T value, std::string& out) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
  static_cast<void>(error);
  out.append(text, end);
}

template <class T>
void AppendFloat(T value, std::string& out) {
  if (std::isfinite(value)) return AppendNumber(value, out);
  out += std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

void AppendJsonValue(const Column& column, uint32_t row, std::string& out) {
  if (!column.Valid()[row]) {
    out += "null";
    return;
  }
  switch (column.type().kind) {
    case TypeKind::kBool:
      out += column.Values<uint8_t>()[row] != 0 ? "true" : "false";
      return;
    case TypeKind::kInt32:
      return AppendNumber(column.Values<int32_t>()[row], out);
    case TypeKind::kInt64:
      return AppendNumber(column.Values<int64_t>()[row], out);
    case TypeKind::kFloat32:
      return AppendFloat(column.Values<float>()[row], out);
    case TypeKind::kFloat64:
      return AppendFloat(column.Values<double>()[row], out);
    case TypeKind::kDecimal:
      out += DecimalToString(column.Values<Int128>()[row], column.type().scale);
      return;
    case TypeKind::kDate:
      return AppendJsonString(DateToString(column.Values<int32_t>()[row]), out);
    case TypeKind::kTimestamp:
      return AppendJsonString(TimestampToString(column.Values<int64_t>()[row]), out);
    case TypeKind::kDuration:
      return AppendJsonString(IsoDurationToString(column.Values<int64_t>()[row]), out);
    case TypeKind::kBytes:
      out.push_back('"');
      AppendBase64(column.Values<Utf8View>()[row].view(), out);
      out.push_back('"');
      return;
    default:
      AppendJsonString(column.Values<Utf8View>()[row].view(), out);
  }
}

void AppendOptional(ColumnBuilder& column, const std::optional<std::string_view>& value) {
  if (value) {
    column.AppendString(*value);
  } else {
    column.AppendNull();
  }
}

std::string HeadersAsJson(std::span<const Header> headers) {
  std::string text = "[";
  for (const Header& header : headers) {
    if (text.size() > 1) text += ",";
    text += "[";
    AppendJsonString(header.name, text);
    text += ",";
    if (header.value) {
      text += "\"";
      AppendBase64(*header.value, text);
      text += "\"";
    } else {
      text += "null";
    }
    text += "]";
  }
  return text + "]";
}

}  // namespace

void AppendErrorRow(const ErrorRow& row, RowBuilder& into) {
  into.column(kNodeId).AppendString(row.node_id);
  into.column(kCode).AppendString(row.code);
  into.column(kMessage).AppendString(row.message.substr(0, kRowErrorMessageBytesMax));
  if (row.event_time) {
    into.column(kEventTimeField).Append<int64_t>(row.event_time->us);
  } else {
    into.column(kEventTimeField).AppendNull();
  }
  AppendOptional(into.column(kTopic), row.topic);
  if (row.partition) {
    into.column(kPartition).Append<int32_t>(*row.partition);
  } else {
    into.column(kPartition).AppendNull();
  }
  if (row.offset) {
    into.column(kOffset).Append<int64_t>(*row.offset);
  } else {
    into.column(kOffset).AppendNull();
  }
  AppendOptional(into.column(kKey), row.key);
  AppendOptional(into.column(kHeaders), row.headers);
  const bool cut = row.raw && row.raw->size() > kErrorRawBytesMax;
  AppendOptional(into.column(kRaw), cut ? row.raw->substr(0, kErrorRawBytesMax) : row.raw);
  into.column(kTruncated).Append<uint8_t>(row.truncated || cut ? 1 : 0);
  into.column(kAt).Append<int64_t>(row.at.us);
  into.FinishRow();
}

void AppendRecordError(std::string_view node_id, const Record& record, const RowError& error,
                       EventTime at, RowBuilder& into) {
  const std::span<const Header> list = record.headers();
  const std::string headers = list.empty() ? std::string() : HeadersAsJson(list);
  ErrorRow row{.node_id = node_id,
               .code = RecordCodeName(error.code),
               .message = error.message,
               .truncated = record.truncated,
               .at = at};
  if (record.timestamp != EventTime::Min()) row.event_time = record.timestamp;
  if (!record.topic.empty()) row.topic = record.topic;
  if (record.partition >= 0) row.partition = record.partition;
  if (record.offset >= 0) row.offset = record.offset;
  row.key = record.key;
  if (!headers.empty()) row.headers = headers;
  if (!record.null_value) row.raw = record.value;
  AppendErrorRow(row, into);
}

void AppendRowError(std::string_view node_id, const Batch& batch, const RowError& error,
                    EventTime at, RowBuilder& into) {
  ErrorRow row{
      .node_id = node_id, .code = RecordCodeName(error.code), .message = error.message, .at = at};
  if (error.detached) {
    row.raw = error.raw;
    return AppendErrorRow(row, into);
  }
  const std::string raw = RowToJson(batch, error.row);
  row.raw = raw;
  const auto find = [&](std::string_view name, TypeKind kind) -> std::optional<ColumnIndex> {
    const std::optional<ColumnIndex> column = batch.schema().Find(name);
    if (!column || batch.schema().field(*column).type.kind != kind ||
        !batch.Valid(*column)[error.row])
      return std::nullopt;
    return column;
  };
  if (const auto column = find(kEventTimeColumn, TypeKind::kTimestamp))
    row.event_time = EventTime{batch.Values<int64_t>(*column)[error.row]};
  const auto topic = find(kTopicColumn, TypeKind::kString);
  if (topic) row.topic = batch.Values<Utf8View>(*topic)[error.row].view();
  if (const auto column = find(kPartitionColumn, TypeKind::kInt32))
    row.partition = batch.Values<int32_t>(*column)[error.row];
  if (const auto column = find(kOffsetColumn, TypeKind::kInt64))
    row.offset = batch.Values<int64_t>(*column)[error.row];
  const auto key = find(kKeyColumn, TypeKind::kBytes);
  if (key) row.key = batch.Values<Utf8View>(*key)[error.row].view();
  AppendErrorRow(row, into);
}

std::string RowToJson(const Batch& batch, uint32_t row) {
  std::string text = "{";
  for (size_t i = 0; i < batch.schema().size(); ++i) {
    const ColumnIndex index{static_cast<uint16_t>(i)};
    const weir::Field& field = batch.schema().field(index);
    if (IsMetadataColumn(field.name)) continue;
    if (text.size() > 1) text += ",";
    AppendJsonString(field.name, text);
    text += ":";
    AppendJsonValue(batch.column(index), row, text);
  }
  return text + "}";
}

}  // namespace weir::runtime
