// Format raw: the record as it is, one column `value`, bytes or string. A line each in files.

#include "connectors/formats/line_framer.h"
#include "connectors/formats/options.h"
#include "engine/api/registry.h"
#include "engine/base/escape.h"

namespace weir {
namespace {

constexpr std::string_view kValueColumn = "value";

class RawDecoder final : public Decoder {
 public:
  RawDecoder(const std::vector<SourceColumn>& columns, size_t record_bytes_max)
      : framer_(record_bytes_max, /*keep_blank=*/true), record_bytes_max_(record_bytes_max) {
    planned_ = !columns.empty();
    if (!planned_) return;
    text_ = columns.front().field.type.kind == TypeKind::kString;
    nullable_ = columns.front().field.nullable;
  }
  Result<size_t> Frame(std::string_view bytes, bool at_end, std::vector<Record>& records) override {
    return framer_.Frame(bytes, at_end, records);
  }
  void BeginFile(std::string_view) override { framer_.BeginFile(); }
  FramingState framing() const override { return framer_.state(); }
  void ResumeFile(const FramingState& state) override { framer_.Resume(state); }

  Result<Step> Decode(std::span<const Record> records, RowBuilder& rows,
                      RowErrors& errors) override {
    for (uint32_t i = 0; i < records.size(); ++i) {
      const Record& record = records[i];
      if (record.value.size() > record_bytes_max_) {
        errors.Add(i, RecordCode::kDecodeTooLarge,
                   "the record is larger than max_record, " + std::to_string(record_bytes_max_) +
                       " bytes; raise max_record of the format");
      } else if (record.truncated) {
        errors.Add(i, RecordCode::kDecodeTruncated, "the file ends inside of the record");
      } else if (record.null_value && planned_ && !nullable_) {
        errors.Add(i, RecordCode::kDecodeNullValue,
                   "the record has no value, and the column 'value' is not nullable");
      } else if (text_ && !IsUtf8(record.value)) {
        errors.Add(i, RecordCode::kDecodeJson, "not UTF-8; declare the column as bytes");
      } else {
        if (planned_ && record.null_value) {
          rows.column(0).AppendNull();
        } else if (planned_) {
          rows.column(0).AppendString(record.value);
        }
        rows.FinishRow();
      }
    }
    return Step::Done();
  }

 private:
  LineFramer framer_;
  const size_t record_bytes_max_;
  bool planned_ = false, text_ = false, nullable_ = false;
};

class RawEncoder final : public Encoder {
 public:
  explicit RawEncoder(ColumnIndex column) : column_(column) {}
  void Encode(const Batch& batch, EncodedRows& out, RowErrors&) override {
    const std::span<const Utf8View> values = batch.Values<Utf8View>(column_);
    const Validity valid = batch.Valid(column_);
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (valid[row]) out.bytes.append(values[row].view());
      out.ends.push_back(static_cast<uint32_t>(out.bytes.size()));
    }
  }

 private:
  const ColumnIndex column_;
};

void Check(NodeConfig& node, const Schema& schema, bool decodes) {
  size_t columns = 0;
  bool good = true;
  for (const Field& field : schema.fields()) {
    if (IsMetadataColumn(field.name)) continue;
    ++columns;
    good = good && field.name == kValueColumn && field.type.is_text();
  }
  if (columns == 1 && good) return;
  if (decodes && columns == 0) return;
  node.Error("format", "W0205", "the format 'raw' has one column, 'value', string or bytes",
             decodes ? "\"schema\": {\"value\": \"bytes\"}" : "project to one column 'value'");
}

}  // namespace

void RegisterRaw(Registry& registry) {
  registry.AddFormat(
      {.name = "raw",
       .doc = "The record as it is, in one column `value`; one line for each in files.",
       .decoder = [](const NodeConfig& node,
                     const std::vector<SourceColumn>& columns) -> Result<std::unique_ptr<Decoder>> {
         return std::make_unique<RawDecoder>(columns, FormatOptions::Of(node).record_bytes_max);
       },
       .encoder = [](const NodeConfig&,
                     const SchemaRef& schema) -> Result<std::unique_ptr<Encoder>> {
         const std::optional<ColumnIndex> column = schema->Find(kValueColumn);
         if (!column)
           return Status(Code::kInvalidArgument, "the format 'raw' needs a column 'value'");
         return std::make_unique<RawEncoder>(*column);
       },
       .check = Check});
}

}  // namespace weir
