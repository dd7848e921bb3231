// Format csv (RFC 4180). In files with a header every record carries its header line as the key, so
// that columns are found by name whichever file a record is from and wherever reading was resumed;
// records of Kafka have none and are read by position.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "connectors/formats/json_writer.h"
#include "connectors/formats/options.h"
#include "connectors/formats/value_text.h"
#include "engine/api/registry.h"
#include "engine/base/escape.h"
#include "engine/base/json.h"

namespace weir {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kFoundTextBytesMax = 64;
constexpr uint32_t kAbsent = UINT32_MAX;

/// Cuts records at line ends outside of quotes.
class CsvFramer {
 public:
  CsvFramer(size_t record_bytes_max, bool header)
      : record_bytes_max_(record_bytes_max), header_wanted_(header) {}

  void BeginFile() {
    at_start_ = true;
    skipping_ = false;
    header_.reset();
    line_ = 0;
  }
  FramingState state() const { return {.lines = line_, .cut_short = skipping_}; }
  /// The header line stays.
  void Resume(const FramingState& state) {
    at_start_ = false;
    skipping_ = state.cut_short;
    line_ = state.lines;
  }

  size_t Frame(std::string_view bytes, bool at_end, std::vector<Record>& records) {
    size_t used = 0;
    if (at_start_) {
      // What may become one waits; a short first line does not, or a followed file would hold it.
      if (!at_end && bytes.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(bytes))
        return 0;
      if (bytes.starts_with(kByteOrderMark)) used = kByteOrderMark.size();
      at_start_ = false;
    }
    while (used < bytes.size()) {
      const std::string_view rest = bytes.substr(used);
      if (skipping_) {
        const size_t end = rest.find('\n');
        if (end == std::string_view::npos) return bytes.size();
        skipping_ = false;
        ++line_;
        used += end + 1;
        continue;
      }
      // Only as far as a record may go: what is behind must not change what it is, or it would hang
      // on how much of the file has been read so far.
      const size_t length_most = record_bytes_max_ + 1;
      int64_t lines = 0;
      const size_t end = RecordEnd(rest.substr(0, length_most + 1), &lines);
      const bool whole = end != std::string_view::npos;
      const bool too_long = !whole && rest.size() > length_most;
      if (!whole && !too_long && !at_end) return used;
      const size_t length = whole ? end : std::min(rest.size(), length_most);
      std::string_view text = rest.substr(0, length);
      if (!too_long && text.ends_with('\r')) text.remove_suffix(1);
      Emit(text, records);
      line_ += too_long ? std::count(text.begin(), text.end(), '\n') : lines;
      // After an open quote has swallowed the limit, the next line is taken for a new beginning.
      skipping_ = too_long;
      used += whole ? end + 1 : length;
    }
    return used;
  }

 private:
  static size_t RecordEnd(std::string_view text, int64_t* lines) {
    bool quoted = false;
    for (size_t at = 0; at < text.size();) {
      const size_t line = text.find('\n', at);
      const std::string_view part =
          text.substr(at, line == std::string_view::npos ? std::string_view::npos : line - at);
      quoted ^= std::count(part.begin(), part.end(), '"') % 2 != 0;
      if (line == std::string_view::npos) break;
      ++*lines;
      if (!quoted) return line;
      at = line + 1;
    }
    return std::string_view::npos;
  }

  void Emit(std::string_view text, std::vector<Record>& records) {
    if (text.empty()) return;  // a blank line is no record
    if (header_wanted_ && !header_) {
      header_ = std::make_shared<const std::string>(text);
      return;
    }
    Record record;
    record.value = text;
    record.truncated = text.size() > record_bytes_max_;
    record.offset = line_ + 1;
    if (header_) record.key = *header_;
    records.push_back(record);
  }

  const size_t record_bytes_max_;
  const bool header_wanted_;
  bool at_start_ = true;
  bool skipping_ = false;
  std::shared_ptr<const std::string> header_;
  int64_t line_ = 0;
};

struct CsvField {
  std::string_view text;
  bool quoted = false;
};

/// Splits one record; answers why it cannot, or null. Fields with doubled quotes are unescaped into
/// `scratch`, which is reserved for the whole record.
ReadFault SplitFields(std::string_view record, char delimiter, size_t fields_max,
                      std::vector<CsvField>& fields, std::string& scratch) {
  fields.clear();
  scratch.clear();
  scratch.reserve(record.size());
  size_t at = 0;
  for (;;) {
    if (fields.size() > fields_max) return "too many fields";
    if (at < record.size() && record[at] == '"') {
      const size_t begin = scratch.size();
      for (++at;;) {
        const size_t quote = record.find('"', at);
        if (quote == std::string_view::npos) return "a quote is not closed";
        scratch.append(record.substr(at, quote - at));
        at = quote + 1;
        if (at >= record.size() || record[at] != '"') break;
        scratch.push_back('"');
        ++at;
      }
      fields.push_back({std::string_view(scratch.data() + begin, scratch.size() - begin), true});
      if (at < record.size() && record[at] != delimiter) return "text behind a closing quote";
    } else {
      const size_t end = std::min(record.find(delimiter, at), record.size());
      const std::string_view text = record.substr(at, end - at);
      if (text.find('"') != std::string_view::npos) return "a quote inside of an unquoted field";
      fields.push_back({text, false});
      at = end;
    }
    if (at >= record.size()) return kNoFault;
    ++at;  // the delimiter; a field follows, if only an empty one
  }
}

class CsvDecoder final : public Decoder {
 public:
  CsvDecoder(const std::vector<SourceColumn>& columns, const std::vector<SourceColumn>& declared,
             const FormatOptions& options)
      : options_(options), framer_(options.record_bytes_max, options.header), columns_(columns) {
    for (const SourceColumn& column : declared)
      declared_.push_back(column.from.empty() ? column.field.name : column.from);
    for (const SourceColumn& column : columns_)
      names_.push_back(column.from.empty() ? column.field.name : column.from);
  }

  bool needs_file_start() const override { return options_.header; }
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
      const bool by_name = options_.header && record.partition < 0 && record.key.has_value();
      if (!placed_ || by_name != by_name_ || (by_name && *record.key != header_))
        WEIR_TRY(Place(by_name ? record.key : std::nullopt, record.topic));
      if (DecodeOne(record, rows)) {
        rows.FinishRow();
      } else {
        rows.CancelRow();
        errors.Add(i, code_, fault_);
      }
    }
    return Step::Done();
  }

 private:
  /// Which field each column is.
  Status Place(std::optional<std::string_view> header, std::string_view file) {
    std::vector<std::string> present = declared_;
    by_name_ = header.has_value();
    if (header) {
      header_ = *header;
      std::vector<CsvField> fields;
      const ReadFault fault =
          SplitFields(header_, options_.delimiter, header_.size(), fields, scratch_);
      if (fault != kNoFault)
        return Status(Code::kBadRecord, "header line of '" + std::string(file) + "': " + fault,
                      Fault::kExternal, Retry::kNever);
      present.clear();
      for (const CsvField& field : fields) present.emplace_back(field.text);
    }
    fields_expected_ = present.size();
    places_.clear();
    for (size_t i = 0; i < columns_.size(); ++i) {
      const auto found = std::find(present.begin(), present.end(), names_[i]);
      if (found == present.end() && !columns_[i].field.nullable) {
        return Status(Code::kBadRecord,
                      "'" + std::string(file) + "' has no column '" + names_[i] +
                          "' in its header line; make the column nullable (" +
                          columns_[i].field.type.ToString() + "?), or correct the file",
                      Fault::kExternal, Retry::kNever);
      }
      places_.push_back(found == present.end() ? kAbsent
                                               : static_cast<uint32_t>(found - present.begin()));
    }
    placed_ = true;
    return Status::Ok();
  }

  bool Fail(RecordCode code, std::string message) {
    code_ = code;
    fault_ = std::move(message);
    return false;
  }

  bool DecodeOne(const Record& record, RowBuilder& rows) {
    if (record.null_value) return Fail(RecordCode::kDecodeNullValue, "the record has no value");
    if (record.value.size() > options_.record_bytes_max) {
      return Fail(RecordCode::kDecodeTooLarge,
                  "the record is larger than max_record, " +
                      std::to_string(options_.record_bytes_max) +
                      " bytes; raise max_record of the format, or close a quote");
    }
    if (record.truncated)
      return Fail(RecordCode::kDecodeTruncated, "the file ends inside of the record");
    if (!IsUtf8(record.value)) return Fail(RecordCode::kDecodeCsv, "not UTF-8");
    std::string_view text = record.value;
    if (record.partition >= 0 && text.ends_with('\n'))
      text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
    if (const ReadFault fault =
            SplitFields(text, options_.delimiter, fields_expected_, fields_, scratch_))
      return Fail(RecordCode::kDecodeCsv, fault);
    if (fields_.size() != fields_expected_) {
      return Fail(RecordCode::kDecodeCsv, std::to_string(fields_.size()) + " fields instead of " +
                                              std::to_string(fields_expected_));
    }
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!ReadColumn(i, rows.column(i))) return false;
    }
    return true;
  }

  bool ReadColumn(size_t i, ColumnBuilder& column) {
    const SourceColumn& source = columns_[i];
    const CsvField field =
        places_[i] == kAbsent ? CsvField{options_.null, false} : fields_[places_[i]];
    if (!field.quoted && field.text == options_.null) {
      if (source.field.nullable) {
        column.AppendNull();
        return true;
      }
      return Fail(source.event_time ? RecordCode::kBadEventTime : RecordCode::kDecodeCsv,
                  names_[i] + ": NULL, but the column is not nullable");
    }
    const ReadFault fault = ReadValue(source, field.text, column);
    if (fault == kNoFault) return true;
    return Fail(source.event_time ? RecordCode::kBadEventTime : RecordCode::kDecodeCsv,
                names_[i] + ": expected " + source.field.type.ToString() + ": " + fault + ": " +
                    OneLine(field.text, kFoundTextBytesMax));
  }

  template <class T>
  static ReadFault Appended(ColumnBuilder& column, ReadFault fault, const T& value) {
    if (fault == kNoFault) column.Append<T>(value);
    return fault;
  }

  ReadFault ReadValue(const SourceColumn& source, std::string_view text, ColumnBuilder& column) {
    switch (source.field.type.kind) {
      case TypeKind::kBool: {
        uint8_t value = 0;
        const ReadFault fault = ReadBool(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kInt32: {
        int32_t value = 0;
        const ReadFault fault = ReadInt32(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kInt64: {
        int64_t value = 0;
        const ReadFault fault = ReadInt64(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kFloat32: {
        float value = 0;
        const ReadFault fault = ReadFloat32(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kFloat64: {
        double value = 0;
        const ReadFault fault = ReadFloat64(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kDecimal: {
        Int128 value = 0;
        const ReadFault fault =
            ReadDecimal(text, source.field.type.precision, source.field.type.scale, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kBytes: {
        bytes_.clear();
        const ReadFault fault = ReadBase64(text, &bytes_);
        if (fault == kNoFault) column.AppendString(bytes_);
        return fault;
      }
      case TypeKind::kDate: {
        int32_t value = 0;
        const ReadFault fault = ReadDate(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kTimestamp: {
        int64_t value = 0;
        const ReadFault fault = source.wire == WireType::kDefault
                                    ? timestamps_.Read(text, &value)
                                    : ReadEpoch(text, source.wire, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kDuration: {
        int64_t value = 0;
        ReadFault fault = ReadInt64(text, &value);
        if (fault != kNoFault) fault = ReadDuration(text, &value);
        return Appended(column, fault, value);
      }
      default:
        column.AppendString(text);
        return kNoFault;
    }
  }

  const FormatOptions options_;
  CsvFramer framer_;
  const std::vector<SourceColumn> columns_;
  std::vector<std::string> names_;     // of the planned columns
  std::vector<std::string> declared_;  // of all, by position
  bool placed_ = false, by_name_ = false;
  std::string header_;
  size_t fields_expected_ = 0;
  std::vector<uint32_t> places_;  // field of each column, kAbsent: none
  std::vector<CsvField> fields_;
  std::string scratch_, bytes_, fault_;
  RecordCode code_ = RecordCode::kDecodeCsv;
  TimestampReader timestamps_;
};

class CsvEncoder final : public Encoder {
 public:
  CsvEncoder(const Schema& schema, std::vector<ColumnIndex> columns, const FormatOptions& options)
      : columns_(std::move(columns)), options_(options) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i != 0) header_.push_back(options_.delimiter);
      AppendField(schema.field(columns_[i]).name, header_);
    }
    header_.push_back('\n');
  }

  void Encode(const Batch& batch, EncodedRows& out, RowErrors&) override {
    std::vector<BoundColumn> bound;
    bound.reserve(columns_.size());
    for (const ColumnIndex column : columns_) bound.emplace_back(batch, column);
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      for (size_t i = 0; i < bound.size(); ++i) {
        if (i != 0) out.bytes.push_back(options_.delimiter);
        if (!bound[i].valid[row]) {
          out.bytes.append(options_.null);
          continue;
        }
        text_.clear();
        AppendValueText(bound[i], row, text_);
        AppendField(text_, out.bytes);
      }
      out.ends.push_back(static_cast<uint32_t>(out.bytes.size()));
    }
  }
  std::string FileHeader() const override { return options_.header ? header_ : std::string(); }

 private:
  void AppendField(std::string_view text, std::string& out) const {
    const char special[] = {options_.delimiter, '"', '\n', '\r'};
    const bool quotes =
        text == options_.null ||
        text.find_first_of(std::string_view(special, sizeof(special))) != std::string_view::npos;
    if (!quotes) {
      out.append(text);
      return;
    }
    out.push_back('"');
    for (const char c : text) out.append(c == '"' ? 2 : 1, c);
    out.push_back('"');
  }

  const std::vector<ColumnIndex> columns_;
  const FormatOptions options_;
  std::string header_, text_;
};

void Check(NodeConfig& node, const Schema&, bool) {
  const Json& delimiter = node.json("format/delimiter");
  if (delimiter.is_string()) {
    const std::string& text = delimiter.get_ref<const std::string&>();
    if (text.size() != 1 || text == "\"" || text == "\n" || text == "\r" ||
        static_cast<uint8_t>(text.front()) >= 0x80) {
      node.Error("format/delimiter", "W0203",
                 "a delimiter is one ASCII character, no quote and no line end");
    }
  }
  const Json& null = node.json("format/null");
  if (!null.is_string()) return;
  const char special[] = {FormatOptions::Of(node).delimiter, '"', '\n', '\r'};
  if (null.get_ref<const std::string&>().find_first_of(
          std::string_view(special, sizeof(special))) != std::string::npos) {
    node.Error("format/null", "W0203",
               "it stands unquoted, so it may hold no delimiter, quote or line end");
  }
}

}  // namespace

void RegisterCsv(Registry& registry) {
  registry.AddFormat(
      {.name = "csv",
       .doc = "Comma-separated values (RFC 4180).",
       .options =
           {
               {.name = "delimiter", .doc = "The character between fields.", .fallback = ","},
               {.name = "header",
                .type = OptionType::kBool,
                .doc = "Files begin with a line of names: columns are found by name; else by "
                       "position.",
                .fallback = "true"},
               {.name = "null", .doc = "Text of NULL, unquoted. Without it: the empty field."},
           },
       .decoder = [](const NodeConfig& node,
                     const std::vector<SourceColumn>& columns) -> Result<std::unique_ptr<Decoder>> {
         return std::make_unique<CsvDecoder>(columns, node.DeclaredColumns("schema"),
                                             FormatOptions::Of(node));
       },
       .encoder = [](const NodeConfig& node,
                     const SchemaRef& schema) -> Result<std::unique_ptr<Encoder>> {
         return std::make_unique<CsvEncoder>(*schema, WrittenColumns(*schema, WritesOp(node)),
                                             FormatOptions::Of(node));
       },
       .check = Check});
}

}  // namespace weir
