#include "tests/expr/rows.h"

#include "engine/base/check.h"
#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"
#include "engine/data/row_builder.h"

namespace weir::testing {
namespace {

std::string Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return std::string(text);
}

std::string ShortestFloat(double value) {
  std::string text = std::to_string(value);
  for (int digits = 1; digits <= 17; ++digits) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
    text = buffer;
    if (std::stod(text) == value) break;
  }
  return text;
}

/// Text of a value, by means of its own: the engine's casts are what is tested.
std::string TextOf(const Column& column, uint32_t row) {
  switch (column.type().kind) {
    case TypeKind::kBool:
      return column.Values<uint8_t>()[row] != 0 ? "true" : "false";
    case TypeKind::kInt32:
      return std::to_string(column.Values<int32_t>()[row]);
    case TypeKind::kInt64:
      return std::to_string(column.Values<int64_t>()[row]);
    case TypeKind::kFloat32:
      return ShortestFloat(static_cast<double>(column.Values<float>()[row]));
    case TypeKind::kFloat64:
      return ShortestFloat(column.Values<double>()[row]);
    case TypeKind::kDecimal:
      return DecimalToString(column.Values<Int128>()[row], column.type().scale);
    case TypeKind::kDate:
      return DateToString(column.Values<int32_t>()[row]);
    case TypeKind::kTimestamp:
      return TimestampToString(column.Values<int64_t>()[row]);
    case TypeKind::kDuration:
      return IsoDurationToString(column.Values<int64_t>()[row]);
    default:
      return std::string(column.Values<Utf8View>()[row].view());
  }
}

}  // namespace

std::vector<std::string> SplitOutsideQuotes(std::string_view text, char separator) {
  std::vector<std::string> parts;
  bool quoted = false;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == separator && !quoted && depth == 0)) {
      parts.push_back(Trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '\'') {
      quoted = !quoted;
    } else if (!quoted && text[i] == '(') {
      ++depth;
    } else if (!quoted && text[i] == ')') {
      --depth;
    }
  }
  return parts;
}

SchemaRef MakeSchema(std::string_view columns) {
  std::vector<Field> fields;
  for (const std::string& column : SplitOutsideQuotes(columns, ',')) {
    const size_t blank = column.find(' ');
    WEIR_CHECK(blank != std::string::npos);
    std::string type = Trim(column.substr(blank + 1));
    const bool nullable = type.ends_with('?');
    if (nullable) type.pop_back();
    const std::optional<Type> parsed = ParseType(type);
    WEIR_CHECK(parsed.has_value());
    fields.push_back({column.substr(0, blank), *parsed, nullable});
  }
  return std::make_shared<const Schema>(std::move(fields));
}

Batch MakeBatch(const SchemaRef& schema, std::string_view rows) {
  RowBuilder builder(schema, 1U << 20, size_t{1} << 30);
  for (const std::string& row : SplitOutsideQuotes(rows, ';')) {
    const std::vector<std::string> values = SplitOutsideQuotes(row, ',');
    WEIR_CHECK_EQ(values.size(), schema->size());
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string& text = values[i];
      if (text == "NULL") {
        builder.column(i).AppendNull();
        continue;
      }
      const bool quoted = text.size() >= 2 && text.front() == '\'';
      const std::optional<Column> value = ConstantFromText(
          schema->fields()[i].type, quoted ? text.substr(1, text.size() - 2) : text);
      WEIR_CHECK(value.has_value());
      builder.column(i).AppendFrom(*value, 0);
    }
    builder.FinishRow();
  }
  return builder.Build();
}

Scope MakeScope(const SchemaRef& schema) {
  Scope scope;
  scope.inputs.push_back({"t", schema});
  return scope;
}

std::vector<std::string> Values(const Column& column, const RowErrors& errors) {
  std::vector<std::string> values;
  for (uint32_t row = 0; row < column.rows(); ++row) {
    if (errors.Has(row)) {
      for (const RowError& error : errors.errors()) {
        if (error.row == row) values.push_back("!" + std::string(RecordCodeName(error.code)));
      }
    } else {
      values.push_back(column.Valid()[row] ? TextOf(column, row) : "NULL");
    }
  }
  return values;
}

}  // namespace weir::testing
