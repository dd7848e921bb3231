#pragma once
// What the fuzz targets of formats share: a decoder made as a source makes it, and what it says to
// records, as text, so that two ways of reading the same bytes can be compared. Included once by
// each target.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/register.h"
#include "engine/api/registry.h"
#include "engine/base/check.h"
#include "engine/base/json.h"
#include "engine/data/row_builder.h"

namespace weir {

struct FuzzDecoder {
  std::unique_ptr<Decoder> decoder;
  SchemaRef schema;
};

/// The formats, and all else that connectors bring.
inline const Registry& FuzzRegistry() {
  static const Registry* registry = [] {
    auto* filled = new Registry();
    RegisterConnectors(*filled);
    return filled;
  }();
  return *registry;
}

/// All columns of `schema` (JSON) by `format` (JSON).
inline FuzzDecoder MakeFuzzDecoder(const std::string& format, const std::string& schema) {
  static const NodeType* type = new NodeType{
      .name = "fuzz_source",
      .doc = "A source whose records the fuzzer makes.",
      .options = {{.name = "format", .type = OptionType::kFormat, .doc = "Format of the records."}},
      .create = Factory<SourceParts>(nullptr)};
  Problems problems;
  const NodeConfig config(FuzzRegistry(), *type, "node",
                          Json::parse(R"({"format": )" + format + R"(, "schema": )" + schema + "}"),
                          {}, std::make_shared<const JobSettings>(), &problems);
  const std::vector<SourceColumn> columns = config.DeclaredColumns("schema");
  std::vector<Field> fields;
  fields.reserve(columns.size());
  for (const SourceColumn& column : columns) fields.push_back(column.field);
  Result<std::unique_ptr<Decoder>> decoder = config.MakeDecoder(columns);
  if (!decoder.ok() || problems.has_errors())
    CheckFailed(__FILE__, __LINE__, schema.c_str(),
                problems.has_errors() ? problems.list()[0].message : decoder.status().ToString());
  return {std::move(decoder).value(), std::make_shared<const Schema>(std::move(fields))};
}

/// One line for each record: its row, or its error. A Status of the call is the only line.
inline std::vector<std::string> Decoded(const FuzzDecoder& with, std::span<const Record> records) {
  RowBuilder rows(with.schema, kBatchRowsMax);
  RowErrors errors;
  const Result<Step> step = with.decoder->Decode(records, rows, errors);
  if (!step.ok()) return {step.status().ToString()};
  const Batch batch = rows.Build();
  WEIR_CHECK_EQ(batch.rows() + errors.rows(), records.size());
  std::vector<std::string> lines(records.size());
  for (const RowError& error : errors.errors()) {
    WEIR_CHECK_LT(error.row, records.size());
    WEIR_CHECK(!error.message.empty());
    lines[error.row] = std::string(RecordCodeName(error.code)) + ": " + error.message;
  }
  uint32_t row = 0;
  for (std::string& line : lines) {
    if (line.empty()) line = batch.RowToString(row++);
  }
  return lines;
}

/// `text` as a file, framed whole or in pieces of `piece` bytes as they come from a disk; the bytes
/// of records are copied into `kept`.
inline std::vector<Record> FramedAsFile(const FuzzDecoder& with, std::string_view text,
                                        size_t piece, std::vector<std::string>& kept) {
  with.decoder->BeginFile("fuzz");
  kept.clear();
  std::vector<Record> records;
  std::string buffer;
  size_t taken = 0;
  do {
    const std::string_view next = text.substr(taken, piece);
    taken += next.size();
    buffer.append(next);
    std::vector<Record> framed;
    const Result<size_t> used = with.decoder->Frame(buffer, taken == text.size(), framed);
    WEIR_CHECK(used.ok());
    WEIR_CHECK_LE(*used, buffer.size());
    for (Record& record : framed) {
      kept.emplace_back(record.value);
      records.push_back(record);
    }
    buffer.erase(0, *used);
  } while (taken < text.size());
  for (size_t i = 0; i < records.size(); ++i) records[i].value = kept[i];
  return records;
}

}  // namespace weir
