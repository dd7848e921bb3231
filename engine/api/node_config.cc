#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "engine/api/kafka_properties.h"
#include "engine/api/options.h"
#include "engine/api/registry.h"
#include "engine/api/secrets.h"
#include "engine/base/check.h"
#include "engine/base/json.h"
#include "engine/data/civil_time.h"

namespace weir {
namespace {

constexpr size_t kColumnNameBytesMax = 63;

const Json kNull = nullptr;

std::string UnescapeToken(std::string_view token) {
  std::string key;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1')) {
      key += token[++i] == '0' ? '~' : '/';
    } else {
      key += token[i];
    }
  }
  return key;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + ("'" + word + "'");
  return text;
}

/// What a declared column's type text means; empty after a problem.
struct DeclaredType {
  Type type;
  WireType wire = WireType::kDefault;
  bool nullable = false;
};

constexpr std::array<std::string_view, 15> kTypeNames = {
    "bool",          "int32",        "int64",        "float32",  "float64",
    "decimal(18,2)", "string",       "bytes",        "date",     "timestamp",
    "timestamp_s",   "timestamp_ms", "timestamp_us", "duration", "json",
};

bool IsPlannedType(std::string_view text) {
  return text == "json" || text.starts_with("array<") || text.starts_with("map<") ||
         text.starts_with("row<");
}

}  // namespace

NodeConfig::NodeConfig(const Registry& registry, const NodeType& type, std::string id, Json options,
                       std::vector<Input> inputs, std::shared_ptr<const JobSettings> job,
                       Problems* problems)
    : registry_(&registry),
      type_(&type),
      id_(std::move(id)),
      options_(nullptr),
      inputs_(std::move(inputs)),
      job_(std::move(job)),
      problems_(problems) {
  if (!options.is_object()) options = Json::object();
  FillFallbacks(*registry_, OptionsOf(type), options);
  options_ = std::make_shared<const Json>(std::move(options));
}

std::string NodeConfig::pointer(std::string_view below) const {
  std::string pointer = "/nodes/" + PointerToken(id_);
  if (!below.empty()) pointer.append("/").append(below);
  return pointer;
}

bool NodeConfig::inputs_known() const {
  return std::all_of(inputs_.begin(), inputs_.end(),
                     [](const Input& input) { return input.shape.schema != nullptr; });
}

const Json& NodeConfig::json(std::string_view path) const {
  const Json* value = options_.get();
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string token = UnescapeToken(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (value->is_object()) {
      const auto member = value->find(token);
      if (member == value->end()) return kNull;
      value = &*member;
    } else if (value->is_array()) {
      size_t index = 0;
      const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      if (error != std::errc() || end != token.data() + token.size() || index >= value->size())
        return kNull;
      value = &(*value)[index];
    } else {
      return kNull;
    }
  }
  return *value;
}

bool NodeConfig::Has(std::string_view path) const { return !json(path).is_null(); }

bool NodeConfig::Bool(std::string_view path) const {
  const Json& value = json(path);
  WEIR_CHECK(value.is_boolean());
  return value.get<bool>();
}

int64_t NodeConfig::Int(std::string_view path) const {
  const Json& value = json(path);
  WEIR_CHECK(value.is_number_integer());
  return value.get<int64_t>();
}

double NodeConfig::Float(std::string_view path) const {
  const Json& value = json(path);
  WEIR_CHECK(value.is_number());
  return value.get<double>();
}

std::string NodeConfig::Text(std::string_view path) const {
  const Json& value = json(path);
  WEIR_CHECK(value.is_string());
  return value.get<std::string>();
}

Duration NodeConfig::DurationOf(std::string_view path) const {
  const std::optional<int64_t> parsed = ParseJobDuration(Text(path), /*negative=*/true);
  WEIR_CHECK(parsed.has_value());
  return {*parsed};
}

std::optional<Duration> NodeConfig::DurationUnlessOff(std::string_view path) const {
  if (Text(path) == "off") return std::nullopt;
  return DurationOf(path);
}

uint64_t NodeConfig::SizeOf(std::string_view path) const {
  const std::optional<uint64_t> size = ParseSize(Text(path));
  WEIR_CHECK(size.has_value());
  return *size;
}

double NodeConfig::RateOf(std::string_view path) const {
  const std::optional<double> rate = ParseRate(Text(path));
  WEIR_CHECK(rate.has_value());
  return *rate;
}

std::vector<std::string> NodeConfig::Strings(std::string_view path) const {
  std::vector<std::string> strings;
  const Json& value = json(path);
  if (!value.is_array()) return strings;
  for (const Json& item : value) {
    WEIR_CHECK(item.is_string());
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

OnError NodeConfig::on_error() const {
  const std::string text = Text("on_error");
  return text == "drop"          ? OnError::kDrop
         : text == "side_output" ? OnError::kSideOutput
                                 : OnError::kFail;
}

Scope NodeConfig::scope() const {
  static const SchemaRef kNothing = std::make_shared<const Schema>();
  Scope scope;
  for (const Input& input : inputs_) {
    scope.inputs.push_back(
        {input.alias, input.shape.schema == nullptr ? kNothing : input.shape.schema});
  }
  scope.parameters = job_->parameters;
  return scope;
}

Expression NodeConfig::expression(std::string_view path) const {
  // Without the input's columns every name would be a problem.
  if (!inputs_known()) return {};
  return Bind(path, scope(), {});
}

Expression NodeConfig::Bind(std::string_view path, const Scope& scope,
                            const BindOptions& options) const {
  const Json& text = json(path);
  if (!text.is_string()) return {};
  BindOptions wanted = options;
  if (!wanted.expected) {
    // A condition is bool wherever it stands in the entry.
    const size_t slash = path.find('/');
    for (const Option& option : type_->options) {
      if (option.type == OptionType::kBoolExpression && option.name == path.substr(0, slash))
        wanted.expected = Type::Of(TypeKind::kBool);
    }
  }
  BindResult bound = BindExpression(text.get_ref<const std::string&>(), scope, wanted);
  Report(path, bound.problems);
  return std::move(bound.expression);
}

std::optional<BoundKey> NodeConfig::Key(std::string_view path, const Scope& scope) const {
  const Json& text = json(path);
  if (!text.is_string()) return std::nullopt;
  KeyResult bound = BindKey(text.get_ref<const std::string&>(), scope);
  Report(path, bound.problems);
  return std::move(bound.key);
}

AggregateResult NodeConfig::Aggregate(std::string_view path, const AggregateScope& scope,
                                      const BindOptions& options,
                                      std::vector<AggregateCall>& calls) const {
  const Json& text = json(path);
  if (!text.is_string()) return {};
  AggregateResult bound = BindAggregates(text.get_ref<const std::string&>(), scope, options, calls);
  Report(path, bound.problems);
  return bound;
}

void NodeConfig::Report(std::string_view path,
                        const std::vector<ExpressionProblem>& problems) const {
  for (const ExpressionProblem& found : problems) {
    Problem problem;
    problem.code = found.code;
    problem.warning = found.warning;
    problem.message = found.message;
    problem.pointer = pointer(path);
    problem.inside = {found.start, std::max(found.start, found.end)};
    // Of a missing column the note below says more: the columns of each input, without those of the
    // engine.
    if (!found.note.empty() && found.code != "W0412") problem.notes.push_back(found.note);
    problem.help = found.help;
    problem.fix = found.fix;
    if (found.code == "W0412") {
      for (const Input& input : inputs_) {
        if (input.shape.schema == nullptr) continue;
        std::string columns;
        for (const Field& field : input.shape.schema->fields()) {
          if (!IsMetadataColumn(field.name))
            columns += (columns.empty() ? "" : ", ") + field.ToString();
        }
        std::string note = "columns of '" + input.alias + "': ";
        note += columns;
        problem.notes.push_back(std::move(note));
      }
    }
    Add(std::move(problem));
  }
}

void NodeConfig::Error(std::string_view path, std::string code, std::string message,
                       std::string help) const {
  Problem problem;
  problem.code = std::move(code);
  problem.message = std::move(message);
  problem.pointer = pointer(path);
  problem.help = std::move(help);
  Add(std::move(problem));
}

void NodeConfig::Warn(std::string_view path, std::string code, std::string message,
                      std::string help) const {
  Problem problem;
  problem.code = std::move(code);
  problem.warning = true;
  problem.message = std::move(message);
  problem.pointer = pointer(path);
  problem.help = std::move(help);
  Add(std::move(problem));
}

void NodeConfig::Add(Problem problem) const {
  if (!problem.warning) failed_ = true;
  problem.node_id = id_;
  if (problems_ != nullptr) problems_->Add(std::move(problem));
}

namespace {

/// "string?" -> its meaning, problems to `config`.
std::optional<DeclaredType> ParseDeclaredType(const NodeConfig& config, const std::string& path,
                                              std::string_view text) {
  DeclaredType declared;
  std::string_view name = text;
  if (name.ends_with('?')) {
    declared.nullable = true;
    name.remove_suffix(1);
  }
  declared.wire = name == "timestamp_s"    ? WireType::kTimestampSeconds
                  : name == "timestamp_ms" ? WireType::kTimestampMillis
                  : name == "timestamp_us" ? WireType::kTimestampMicros
                                           : WireType::kDefault;
  if (declared.wire != WireType::kDefault) {
    declared.type = Type::Of(TypeKind::kTimestamp);
    return declared;
  }
  if (IsPlannedType(name)) {
    config.Error(path, "W0210", "type '" + std::string(name) + "' is planned, not in this version");
    return std::nullopt;
  }
  const std::optional<Type> type = ParseType(name);
  if (!type) {
    static const std::vector<std::string> kNames(kTypeNames.begin(), kTypeNames.end());
    const std::vector<std::string> near = Suggest(name, kNames);
    Problem problem;
    problem.code = "W0404";
    problem.message = "'" + std::string(text) + "' is not a type";
    problem.pointer = config.pointer(path);
    problem.notes = {
        "types: bool, int32, int64, float32, float64, decimal(p,s), string, bytes, date, "
        "timestamp, timestamp_s, timestamp_ms, timestamp_us, duration"};
    if (!near.empty()) {
      problem.help = "did you mean " + Joined(near) + "?";
      if (near.size() == 1) problem.fix = near.front() + (declared.nullable ? "?" : "");
    }
    config.Add(std::move(problem));
    return std::nullopt;
  }
  declared.type = *type;
  return declared;
}

/// The columns that a source's event time is made of, and the bound expression over `columns`;
/// empty after a problem.
Expression BindEventTime(const NodeConfig& config, const std::vector<SourceColumn>& columns) {
  std::vector<Field> fields;
  fields.reserve(columns.size());
  for (const SourceColumn& column : columns) fields.push_back(column.field);
  Scope scope;
  scope.inputs.push_back({config.id(), std::make_shared<const Schema>(std::move(fields))});
  scope.parameters = config.job().parameters;
  Expression field = config.Bind("event_time/field", scope, {});
  if (field && field.type().kind != TypeKind::kTimestamp) {
    config.Error("event_time/field", "W0502",
                 "event time must be a timestamp, this is " + field.type().ToString(),
                 "declare the column as timestamp, timestamp_ms, timestamp_s or timestamp_us");
    return {};
  }
  return field;
}

}  // namespace

std::vector<SourceColumn> NodeConfig::DeclaredColumns(std::string_view path) const {
  std::vector<SourceColumn> columns;
  const Json& declared = json(path);
  if (!declared.is_object()) {
    if (json("format/type") == "raw") {
      columns.push_back(
          {{"value", Type::Of(TypeKind::kBytes), false}, WireType::kDefault, "value", false});
    } else {
      Error("", "W0202", "'" + std::string(path) + "' is missing",
            "declare the columns of the records: \"schema\": {\"user_id\": \"string\", \"at\": "
            "\"timestamp\"}");
    }
    return columns;
  }
  if (declared.empty()) Error(path, "W0206", "a schema needs at least one column");
  for (const auto& [name, value] : declared.items()) {
    const std::string below = std::string(path) + "/" + PointerToken(name);
    if (name.empty() || name.size() > kColumnNameBytesMax) {
      Error(below, "W0207", "a column's name has 1 to 63 bytes",
            "give the column a shorter name and say where it comes from: {\"type\": \"string\", "
            "\"from\": \"...\"}");
      continue;
    }
    if (IsMetadataColumn(name) || name == kWindowStartColumn || name == kWindowEndColumn ||
        name == kWindowTimeColumn) {
      Error(
          below, "W0207", "'" + name + "' is the name of a column that the engine makes",
          "give the column another name and say where it comes from: {\"type\": ..., \"from\": \"" +
              name + "\"}");
      continue;
    }
    SourceColumn column;
    column.field.name = name;
    column.from = name.starts_with('/') ? "/" + PointerToken(name) : name;
    std::string type_path = below;
    std::string type_text;
    if (value.is_string()) {
      type_text = value.get<std::string>();
    } else if (value.is_object() && value.contains("type") && value["type"].is_string()) {
      type_path += "/type";
      type_text = value["type"].get<std::string>();
      if (value.contains("from")) {
        const std::string from =
            value["from"].is_string() ? value["from"].get<std::string>() : std::string();
        if (from.empty()) {
          Error(below + "/from", "W0203",
                "'from' must be a field name, or a JSON pointer that starts with '/'");
          continue;
        }
        column.from = from;
      }
    } else {
      Error(below, "W0203", "a column is a type, \"string?\", or an object with 'type'");
      continue;
    }
    const std::optional<DeclaredType> type = ParseDeclaredType(*this, type_path, type_text);
    if (!type) continue;
    column.field.type = type->type;
    column.field.nullable = type->nullable;
    column.wire = type->wire;
    columns.push_back(std::move(column));
  }
  return columns;
}

void NodeConfig::InferSource(NodeShape& shape, const std::vector<std::string>& metadata) const {
  const std::vector<SourceColumn> declared = DeclaredColumns("schema");
  const bool has_event_time = Has("event_time");
  const bool records_have_time =
      std::find(metadata.begin(), metadata.end(), kTopicColumn) != metadata.end();
  shape.port_names = {""};
  if (failed_) {
    shape.outputs = {PortShape{}};
    return;
  }

  std::set<std::string> for_event_time;
  if (has_event_time && Has("event_time/field")) {
    const Expression field = BindEventTime(*this, declared);
    if (field) {
      for (const ColumnIndex column : field.columns())
        for_event_time.insert(declared[column.value].field.name);
    }
  } else if (has_event_time && !records_have_time) {
    Error("event_time", "W0202", "'field' is missing",
          "records of a " + std::string(type_->name) + " have no time of their own: name a column");
  }
  if (failed_) {
    shape.outputs = {PortShape{}};
    return;
  }

  SourceShape source;
  std::vector<Field> fields;
  for (const SourceColumn& column : declared) {
    const bool of_event_time = for_event_time.contains(column.field.name);
    if (!of_event_time && !wanted(column.field.name)) continue;
    source.columns.push_back(column);
    source.columns.back().event_time = of_event_time;
    fields.push_back(column.field);
  }
  PortShape main;
  main.has_event_time = has_event_time;
  const auto add_metadata = [&](std::string_view name, Type type, bool nullable) {
    source.metadata.emplace_back(name);
    fields.push_back({std::string(name), std::move(type), nullable});
  };
  if (has_event_time) add_metadata(kEventTimeColumn, Type::Of(TypeKind::kTimestamp), false);
  if (wanted(kProcessingTimeColumn))
    add_metadata(kProcessingTimeColumn, Type::Of(TypeKind::kTimestamp), false);
  for (const std::string& name : metadata) {
    if (!wanted(name)) continue;
    if (name == kTopicColumn) add_metadata(name, Type::Of(TypeKind::kString), false);
    if (name == kPartitionColumn) add_metadata(name, Type::Of(TypeKind::kInt32), false);
    if (name == kOffsetColumn) add_metadata(name, Type::Of(TypeKind::kInt64), false);
    if (name == kKeyColumn) add_metadata(name, Type::Of(TypeKind::kBytes), true);
  }
  if (has_event_time) {
    EventTimeSpec spec;
    if (Has("event_time/field")) spec.field = BindEventTime(*this, source.columns);
    spec.max_delay = DurationOf("event_time/max_delay");
    spec.idle_timeout = DurationOf("event_time/idle_timeout");
    spec.when_idle =
        Text("event_time/when_idle") == "advance" ? WhenIdle::kAdvance : WhenIdle::kExclude;
    spec.max_future_drift = DurationUnlessOff("event_time/max_future_drift");
    const std::string on_future = Text("event_time/on_future");
    spec.on_future = on_future == "fail"          ? OnFuture::kFail
                     : on_future == "side_output" ? OnFuture::kSideOutput
                                                  : OnFuture::kDrop;
    shape.event_time = std::move(spec);
  }
  if (Has("rate")) source.rate_per_second = RateOf("rate");
  shape.source = std::move(source);
  main.schema = std::make_shared<const Schema>(std::move(fields));
  shape.outputs = {std::move(main)};
}

SchemaRef NodeConfig::ErrorsSchema() {
  static const SchemaRef kSchema = std::make_shared<const Schema>(std::vector<Field>{
      {"node_id", Type::Of(TypeKind::kString), false},
      {"code", Type::Of(TypeKind::kString), false},
      {"message", Type::Of(TypeKind::kString), false},
      {"event_time", Type::Of(TypeKind::kTimestamp), true},
      {"topic", Type::Of(TypeKind::kString), true},
      {"partition", Type::Of(TypeKind::kInt32), true},
      {"offset", Type::Of(TypeKind::kInt64), true},
      {"key", Type::Of(TypeKind::kBytes), true},
      {"headers", Type::Of(TypeKind::kString), true},
      {"raw", Type::Of(TypeKind::kBytes), true},
      {"truncated", Type::Of(TypeKind::kBool), false},
      {"at", Type::Of(TypeKind::kTimestamp), false},
  });
  return kSchema;
}

Result<std::unique_ptr<Decoder>> NodeConfig::MakeDecoder(
    const std::vector<SourceColumn>& columns) const {
  const Json& name = json("format/type");
  const FormatType* format =
      name.is_string() ? registry_->FindFormat(name.get_ref<const std::string&>()) : nullptr;
  if (format == nullptr || format->decoder == nullptr) {
    return Status(Code::kInvalidArgument, "the format of node '" + id_ + "' does not read records");
  }
  return format->decoder(*this, columns);
}

Result<std::unique_ptr<Encoder>> NodeConfig::MakeEncoder(const SchemaRef& schema) const {
  const Json& name = json("format/type");
  const FormatType* format =
      name.is_string() ? registry_->FindFormat(name.get_ref<const std::string&>()) : nullptr;
  if (format == nullptr || format->encoder == nullptr) {
    return Status(Code::kInvalidArgument,
                  "the format of node '" + id_ + "' does not write records");
  }
  return format->encoder(*this, schema);
}

Result<KafkaConnection> NodeConfig::Kafka(std::string_view path) const {
  const std::string name = Text(path);
  static const Json kNone = Json::object();
  const Json& connections = job_->connections == nullptr ? kNone : *job_->connections;
  const auto found = connections.find(name);
  if (found == connections.end() || !found->is_object()) {
    return Status(Code::kNotFound,
                  "connection '" + name + "' of node '" + id_ + "' is not declared");
  }
  const Json& connection = *found;
  KafkaConnection result;
  // Sets `setting` to the text of `value`, secrets resolved; an absent value leaves it unset.
  const auto set = [&](const Json& object, std::string_view option,
                       std::string_view setting) -> Status {
    const auto value = object.find(std::string(option));
    if (value == object.end() || !value->is_string()) return Status::Ok();
    WEIR_ASSIGN(std::string text, ResolveSecrets(*job_, value->get_ref<const std::string&>()));
    result.settings[std::string(setting)] = Secret(std::move(text));
    return Status::Ok();
  };
  const std::string where = "connection '" + name + "'";
  if (connection.contains("brokers") && connection["brokers"].is_string()) {
    WEIR_ASSIGN(result.brokers,
                ResolveSecrets(*job_, connection["brokers"].get_ref<const std::string&>()));
  }
  std::string protocol = "plaintext";
  if (connection.contains("security") && connection["security"].is_object()) {
    const Json& security = connection["security"];
    if (security.contains("protocol") && security["protocol"].is_string())
      protocol = security["protocol"].get<std::string>();
    if (protocol == "sasl_plaintext" || protocol == "sasl_ssl") {
      WEIR_TRY(set(security, "mechanism", "sasl.mechanism").At(where));
      WEIR_TRY(set(security, "username", "sasl.username").At(where));
      WEIR_TRY(set(security, "password", "sasl.password").At(where));
    }
    if (protocol == "ssl" || protocol == "sasl_ssl") {
      WEIR_TRY(set(security, "ca", "ssl.ca.pem").At(where));
      WEIR_TRY(set(security, "ca_file", "ssl.ca.location").At(where));
      if (result.settings.contains("ssl.ca.location"))
        result.ca_file = security["ca_file"].get<std::string>();
      WEIR_TRY(set(security, "cert", "ssl.certificate.pem").At(where));
      WEIR_TRY(set(security, "key", "ssl.key.pem").At(where));
    }
  }
  result.settings["security.protocol"] = Secret(protocol);
  if (connection.contains("properties") && connection["properties"].is_object()) {
    for (const auto& [property, value] : connection["properties"].items()) {
      // The validator has judged them; a connection that did not pass it sets nothing here.
      const KafkaProperty* known = FindKafkaProperty(property);
      if (known == nullptr || known->use != KafkaPropertyUse::kAllowed) {
        return Status(Code::kInvalidArgument,
                      where + ": property '" + property + "' cannot be set by a job");
      }
      if (value.is_string()) WEIR_TRY(set(connection["properties"], property, property).At(where));
    }
  }
  return result;
}

}  // namespace weir
