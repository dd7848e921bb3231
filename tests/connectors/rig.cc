#include "tests/connectors/rig.h"

#include "connectors/register.h"
#include "engine/base/check.h"
#include "engine/base/json.h"

namespace weir {

const Registry& TestRegistry() {
  static const Registry* registry = [] {
    auto* filled = new Registry();
    RegisterConnectors(*filled);
    return filled;
  }();
  return *registry;
}

std::vector<std::string> TestNode::Codes() const {
  std::vector<std::string> codes;
  for (const Problem& problem : problems.list()) codes.push_back(problem.code);
  return codes;
}

std::string TestNode::Messages() const {
  std::string text;
  for (const Problem& problem : problems.list())
    text +=
        problem.code + " " + problem.pointer + ": " + problem.message + " (" + problem.help + ")\n";
  return text;
}

std::unique_ptr<TestNode> MakeNode(std::string_view type, const std::string& options,
                                   const TestNodeOptions& more) {
  auto node = std::make_unique<TestNode>();
  node->job->name = "job";
  node->job->connections = std::make_shared<Json>(Json::parse(more.connections));
  const NodeType* entry = TestRegistry().Find(type);
  WEIR_CHECK(entry != nullptr);
  std::vector<NodeConfig::Input> inputs;
  if (more.input != nullptr) {
    NodeConfig::Input input;
    input.alias = "input";
    input.shape.schema = more.input;
    input.shape.kind = more.kind;
    input.shape.unique_key = more.unique_key;
    input.shape.has_event_time = more.input->Find(kEventTimeColumn).has_value();
    inputs.push_back(std::move(input));
  }
  node->config = std::make_unique<NodeConfig>(TestRegistry(), *entry, "node", Json::parse(options),
                                              std::move(inputs), node->job, &node->problems);
  entry->infer(*node->config, node->shape);
  return node;
}

SchemaRef SchemaOf(std::string_view text) {
  std::vector<Field> fields;
  while (!text.empty()) {
    // A comma inside of decimal(p,s) separates nothing.
    size_t end = 0;
    for (int open = 0; end < text.size() && (text[end] != ',' || open != 0); ++end)
      open += text[end] == '(' ? 1 : text[end] == ')' ? -1 : 0;
    std::string_view column = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    column.remove_prefix(column.find_first_not_of(' '));
    const size_t blank = column.find(' ');
    std::string_view type = column.substr(blank + 1);
    const bool nullable = type.ends_with('?');
    if (nullable) type.remove_suffix(1);
    const std::optional<Type> parsed = ParseType(type);
    WEIR_CHECK(parsed.has_value());
    fields.push_back({std::string(column.substr(0, blank)), *parsed, nullable});
  }
  return std::make_shared<const Schema>(std::move(fields));
}

CheckpointStore& TestSinkContext::store() {
  WEIR_CHECK(false);
  std::abort();
}

SegmentLog& TestSinkContext::segments() {
  WEIR_CHECK(segments_ != nullptr);
  return *segments_;
}

void TestSourceOutput::Append(SplitIndex split, const Record& record) {
  Copied copy;
  copy.split = split.value;
  copy.value = record.value;
  copy.null_value = record.null_value;
  copy.truncated = record.truncated;
  copy.has_key = record.key.has_value();
  copy.key = record.key.value_or("");
  copy.topic = record.topic;
  copy.timestamp = record.timestamp;
  copy.partition = record.partition;
  copy.offset = record.offset;
  for (const Header& header : record.headers())
    copy.headers.emplace_back(header.name, header.value.value_or("<null>"));
  records.push_back(std::move(copy));
}

RowBuilder& TestSourceOutput::Rows(SplitIndex split) {
  auto& builder = rows[split.value];
  if (builder == nullptr) builder = std::make_unique<RowBuilder>(schema, kBatchRowsMax);
  return *builder;
}

std::unique_ptr<TestDecoder> MakeTestDecoder(const std::string& format, const std::string& schema) {
  static const NodeType* type = new NodeType{
      .name = "test_source",
      .doc = "A source whose records the test makes.",
      .options = {{.name = "format", .type = OptionType::kFormat, .doc = "Format of the records."}},
      .create = Factory<SourceParts>(nullptr)};
  auto made = std::make_unique<TestDecoder>();
  const NodeConfig config(TestRegistry(), *type, "node",
                          Json::parse(R"({"format": )" + format + R"(, "schema": )" + schema + "}"),
                          {}, std::make_shared<const JobSettings>(), &made->problems);
  std::vector<SourceColumn> columns = config.DeclaredColumns("schema");
  std::vector<Field> fields;
  for (SourceColumn& column : columns) {
    column.event_time = column.field.name == "event_at";
    fields.push_back(column.field);
  }
  made->schema = std::make_shared<const Schema>(std::move(fields));
  Result<std::unique_ptr<Decoder>> decoder = config.MakeDecoder(columns);
  WEIR_CHECK(decoder.ok());
  made->decoder = std::move(decoder).value();
  return made;
}

Decoded TestDecoder::Decode(std::span<const Record> input) {
  RowBuilder rows(schema, kBatchRowsMax);
  RowErrors errors;
  const Result<Step> step = decoder->Decode(input, rows, errors);
  Decoded decoded;
  decoded.status = step.status();
  const Batch batch = rows.Build();
  for (uint32_t row = 0; row < batch.rows(); ++row) decoded.rows.push_back(batch.RowToString(row));
  for (const RowError& error : errors.errors())
    decoded.errors.push_back(std::to_string(error.row) + " " +
                             std::string(RecordCodeName(error.code)) + ": " + error.message);
  return decoded;
}

Decoded DecodeTexts(const std::string& format, const std::string& schema,
                    const std::vector<std::string>& texts) {
  const auto decoder = MakeTestDecoder(format, schema);
  std::vector<Record> records;
  for (const std::string& text : texts) {
    Record record;
    record.value = text;
    records.push_back(record);
  }
  return decoder->Decode(records);
}

std::vector<std::string> EncodeRows(const std::string& format, const std::string& sink_options,
                                    const Batch& batch, std::string* header) {
  static const NodeType* type = new NodeType{
      .name = "test_sink",
      .doc = "A sink whose bytes the test reads.",
      .options = {{.name = "format", .type = OptionType::kFormat, .doc = "Format of the records."}},
      .create = Factory<SinkParts>(nullptr)};
  Json options = Json::parse(sink_options);
  options["format"] = Json::parse(format);
  Problems problems;
  const NodeConfig config(TestRegistry(), *type, "node", std::move(options), {},
                          std::make_shared<const JobSettings>(), &problems);
  const Result<std::unique_ptr<Encoder>> encoder = config.MakeEncoder(batch.schema_ref());
  WEIR_CHECK(encoder.ok());
  EncodedRows rows;
  RowErrors errors;
  (*encoder)->Encode(batch, rows, errors);
  WEIR_CHECK_EQ(rows.ends.size(), batch.rows());
  std::vector<std::string> texts;
  for (uint32_t row = 0; row < batch.rows(); ++row) texts.emplace_back(rows.row(row));
  if (header != nullptr) *header = (*encoder)->FileHeader();
  return texts;
}

}  // namespace weir
