#include "jobs/job_spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "engine/api/kafka_properties.h"
#include "engine/api/secrets.h"
#include "engine/base/escape.h"
#include "engine/data/civil_time.h"
#include "jobs/job_tests.h"
#include "jobs/shape.h"
#include "jobs/substitution.h"

namespace weir::jobs {
namespace {

constexpr size_t kParametersMax = 256;
constexpr size_t kConnectionsMax = 256;
constexpr size_t kClientIdBytesMax = 64;
constexpr std::array<std::string_view, 3> kReservedJobNames = {"cluster", "meta", "storage"};

/// Reads one job; one object per call of ReadSpec.
class SpecReader {
 public:
  SpecReader(const Json& root, const CompileOptions& options, Problems& problems)
      : root_(root),
        options_(options),
        problems_(problems),
        substitution_(options.environment, problems),
        shape_(substitution_, problems) {}

  JobSpec Read() {
    spec_.settings = std::make_shared<JobSettings>();
    shape_.SetRules({options_.registry, {}, options_.allow_literal_secrets});
    ReadTop();
    ReadParameters();
    ReadConnections();
    ReadExecution();
    ReadNodes();
    if (const auto tests = root_.find("tests"); tests != root_.end())
      CheckTests(*tests, spec_, shape_);
    FillSettings();
    return std::move(spec_);
  }

 private:
  void ReadTop() {
    static const std::vector<std::string> kKnown = {
        "$schema",     "weir",   "name",      "description", "labels", "params",
        "connections", "tables", "execution", "nodes",       "tests"};
    for (const auto& [name, value] : root_.items()) {
      if (std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end()) continue;
      if (name == "sql") {
        shape_.FailAtKey("W0210", "/sql", "'sql' is planned, not in this version");
        continue;
      }
      std::string help = DidYouMean(name, kKnown);
      if (help.empty())
        help =
            "a job has: weir, name, description, labels, params, connections, execution, nodes, "
            "tests";
      shape_.FailAtKey("W0201", "/" + PointerToken(name),
                       "unknown option " + Quoted(name) + " of the job", std::move(help));
      const std::vector<std::string> near =
          name.size() > kNameBytesMax ? std::vector<std::string>() : Suggest(name, kKnown);
      if (near.size() == 1 && !root_.contains(near.front()))
        problems_.mutable_list().back().fix = near.front();
    }
    if (!root_.contains("weir")) {
      shape_.Fail("W0202", "", "'weir' is missing", "the version of the format: \"weir\": 1");
    } else if (root_["weir"] != 1) {
      shape_.Fail("W0204", "/weir", "this version reads jobs of level 1 only", "\"weir\": 1");
    }
    if (!root_.contains("name")) {
      shape_.Fail("W0202", "", "'name' is missing",
                  "the identity of the job and of its state: \"name\": \"clicks_per_page\"");
    } else {
      const Json name = shape_.Check(
          root_["name"], {.name = "name", .type = OptionType::kName, .doc = "Name of the job."},
          "/name");
      if (name.is_string()) spec_.name = name.get<std::string>();
      if (std::find(kReservedJobNames.begin(), kReservedJobNames.end(), spec_.name) !=
          kReservedJobNames.end()) {
        shape_.Fail("W0207", "/name", "a job cannot be named '" + spec_.name + "'",
                    "the storage uses this name itself");
      }
    }
    if (root_.contains("description")) {
      const Json text =
          shape_.Check(root_["description"], {.name = "description", .doc = "What the job is for."},
                       "/description");
      if (text.is_string()) spec_.description = text.get<std::string>();
    }
    if (root_.contains("labels"))
      shape_.Check(root_["labels"],
                   {.name = "labels", .type = OptionType::kStringMap, .doc = "Free texts."},
                   "/labels");
    if (const auto tables = root_.find("tables"); tables != root_.end()) {
      shape_.FailAtKey("W0210", "/tables", "'tables' is planned, not in this version",
                       "tables come with the joins that use them");
    }
  }

  void ReadParameters() {
    const auto given = root_.find("params");
    std::set<std::string> declared;
    if (given != root_.end() && !given->is_object()) {
      shape_.Fail("W0203", "/params", "'params' must be an object of parameters by name");
    } else if (given != root_.end()) {
      if (given->size() > kParametersMax)
        shape_.Fail("W0217", "/params", "more than 256 parameters");
      for (const auto& [name, value] : given->items()) {
        ReadParameter(name, value);
        declared.insert(name);
      }
    }
    for (const auto& [name, value] : options_.params) {
      if (declared.contains(name)) continue;
      const std::vector<std::string> names(declared.begin(), declared.end());
      shape_.Fail("W0215", "",
                  "the job has no parameter " + Quoted(name) + ", which was set from outside",
                  DidYouMean(name, names));
    }
  }

  void ReadParameter(const std::string& name, const Json& value) {
    static const std::vector<Option> kFields = {
        {.name = "type", .doc = "a type such as \"int64\"", .required = true},
        {.name = "default", .type = OptionType::kJson, .doc = "Value if none is given."},
        {.name = "description", .doc = "What it is for."},
    };
    const std::string pointer = "/params/" + PointerToken(name);
    if (!IsName(name)) {
      shape_.FailAtKey("W0207", pointer, Quoted(name) + " is not a name",
                       "a lower-case letter, then letters, digits and '_', 63 at most");
      return;
    }
    Parameter parameter;
    parameter.type = Type::Of(TypeKind::kString);
    if (!value.is_object()) {
      shape_.Fail("W0203", pointer, "a parameter is an object with 'type'",
                  "{\"type\": \"duration\", \"default\": \"1m\"}");
      return;
    }
    shape_.TakeFailed();
    const Json checked = shape_.CheckObject(value, kFields, pointer, "parameter '" + name + "'");
    if (!shape_.TakeFailed()) {
      std::string type_text = checked["type"].get<std::string>();
      if (type_text.ends_with('?')) {
        parameter.nullable = true;
        type_text.pop_back();
      }
      const std::optional<Type> type = ParseType(type_text);
      if (!type || type->kind >= TypeKind::kNull || type->kind == TypeKind::kBytes) {
        shape_.Fail("W0404", pointer + "/type", Quoted(type_text) + " is not a type of parameters",
                    "bool, int32, int64, float32, float64, decimal(p,s), string, date, timestamp, "
                    "duration");
        return;
      }
      parameter.type = *type;
      SetParameter(name, checked, pointer, parameter);
    }
    if (const std::optional<std::string> text = ParameterText(parameter);
        text || parameter.nullable) {
      // CAST reads durations in ISO form.
      std::optional<std::string> literal = text;
      if (literal && parameter.type.kind == TypeKind::kDuration) {
        if (const std::optional<int64_t> us = ParseJobDuration(*literal, true))
          literal = IsoDurationToString(*us);
      }
      spec_.settings->parameters.push_back({name, parameter.type, std::move(literal)});
    } else {
      // Without a value, so that expressions can be checked all the same; the problem is reported
      // already.
      spec_.settings->parameters.push_back({name, parameter.type, std::nullopt});
    }
    substitution_.Declare(name, std::move(parameter));
  }

  void SetParameter(const std::string& name, const Json& checked, const std::string& pointer,
                    Parameter& parameter) {
    const auto given = std::find_if(options_.params.rbegin(), options_.params.rend(),
                                    [&](const auto& each) { return each.first == name; });
    if (given != options_.params.rend()) {
      const std::optional<Json> value = IsUtf8(given->second)
                                            ? ParameterValue(parameter.type, Json(given->second))
                                            : std::nullopt;
      if (value) {
        parameter.value = *value;
      } else {
        shape_.Fail("W0215", pointer,
                    "parameter '" + name + "' was set to " + Quoted(given->second) +
                        ", which is no " + parameter.type.ToString());
      }
      return;
    }
    if (!checked.contains("default")) {
      shape_.FailAtKey("W0215", pointer, "parameter '" + name + "' has no default and was not set",
                       "set it: -p " + name + "=VALUE");
      return;
    }
    if (checked["default"].is_null()) {
      if (!parameter.nullable)
        shape_.Fail("W0215", pointer + "/default", "parameter '" + name + "' cannot be null",
                    "a type with '?' can");
      return;
    }
    std::optional<Json> value = ParameterValue(parameter.type, checked["default"]);
    if (value) {
      parameter.value = std::move(*value);
    } else {
      shape_.Fail("W0215", pointer + "/default",
                  "the default of '" + name + "' is no " + parameter.type.ToString());
    }
  }

  /// `given` (a JSON value, or text from the command line) as the value of an option; empty: it is
  /// not of that type.
  static std::optional<Json> ParameterValue(const Type& type, const Json& given) {
    const bool is_text = given.is_string();
    const std::string text = is_text ? given.get<std::string>() : given.dump();
    const char* const end = text.data() + text.size();
    switch (type.kind) {
      case TypeKind::kBool:
        if (given.is_boolean()) return given;
        if (text == "true" || text == "false") return Json(text == "true");
        return std::nullopt;
      case TypeKind::kInt32:
      case TypeKind::kInt64: {
        int64_t number = 0;
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        if (error != std::errc() || stop != end || given.is_boolean()) return std::nullopt;
        if (type.kind == TypeKind::kInt32 && number != static_cast<int32_t>(number))
          return std::nullopt;
        return Json(number);
      }
      case TypeKind::kFloat32:
      case TypeKind::kFloat64: {
        double number = 0;
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        if (error != std::errc() || stop != end || !std::isfinite(number)) return std::nullopt;
        return Json(number);
      }
      case TypeKind::kDecimal:
        if (given.is_boolean() || !ConstantFromText(type, text)) return std::nullopt;
        return Json(text);
      case TypeKind::kDate:
        return is_text && ParseDate(text) ? std::optional<Json>(given) : std::nullopt;
      case TypeKind::kTimestamp:
        return is_text && ParseTimestamp(text) ? std::optional<Json>(given) : std::nullopt;
      case TypeKind::kDuration:
        return is_text && ParseJobDuration(text, true) ? std::optional<Json>(given) : std::nullopt;
      default:
        return is_text ? std::optional<Json>(given) : std::nullopt;
    }
  }

  void ReadConnections() {
    const auto given = root_.find("connections");
    spec_.settings->connections = std::make_shared<Json>(Json::object());
    ShapeChecker::Rules rules = {options_.registry, {}, options_.allow_literal_secrets};
    if (given != root_.end() && !given->is_object()) {
      shape_.Fail("W0203", "/connections",
                  "'connections' must be an object of connections by name");
    } else if (given != root_.end()) {
      if (given->size() > kConnectionsMax)
        shape_.Fail("W0217", "/connections", "more than 256 connections");
      for (const auto& [name, value] : given->items()) {
        const std::string type = ReadConnection(name, value);
        rules.connections.emplace_back(name, type);
      }
    }
    shape_.SetRules(std::move(rules));
  }

  /// Answers its type.
  std::string ReadConnection(const std::string& name, const Json& value) {
    const std::string pointer = "/connections/" + PointerToken(name);
    if (!IsName(name))
      shape_.FailAtKey("W0207", pointer, Quoted(name) + " is not a name",
                       "a lower-case letter, then letters, digits and '_', 63 at most");
    if (!value.is_object()) {
      shape_.Fail("W0203", pointer, "a connection is an object with 'type'",
                  "{\"type\": \"kafka\", \"brokers\": \"localhost:9092\"}");
      return "kafka";
    }
    const auto type = value.find("type");
    if (type == value.end()) {
      shape_.FailAtKey("W0202", pointer, "'type' of connection " + Quoted(name) + " is missing",
                       "\"type\": \"kafka\"");
      return "kafka";
    }
    std::vector<std::string> known;
    for (const ConnectionType& each : ConnectionTypes()) {
      if (!each.planned) known.emplace_back(each.name);
    }
    std::string type_name = type->is_string() ? type->get<std::string>() : type->dump();
    const ConnectionType* found = FindConnectionType(type_name);
    if (found == nullptr) {
      shape_.Fail("W0211", pointer + "/type", "unknown connection type " + Quoted(type_name),
                  DidYouMean(type_name, known));
      return type_name;
    }
    if (found->planned) {
      shape_.Fail("W0210", pointer + "/type",
                  "connection type '" + type_name + "' is planned, not in this version");
      return type_name;
    }
    Json checked = shape_.CheckObject(value, found->options, pointer, "connection '" + name + "'",
                                      {"type", "properties"});
    if (const auto properties = value.find("properties"); properties != value.end()) {
      checked["properties"] = ReadProperties(*properties, pointer + "/properties");
    }
    CheckSecurity(checked, pointer);
    FillFallbacks(*options_.registry, found->options, checked);
    checked["type"] = type_name;
    (*spec_.settings->connections)[name] = std::move(checked);
    return type_name;
  }

  Json ReadProperties(const Json& value, const std::string& pointer) {
    Json result = Json::object();
    if (!value.is_object()) {
      shape_.Fail("W0203", pointer, "'properties' must be an object of texts by name");
      return result;
    }
    std::vector<std::string> allowed;
    for (const KafkaProperty& property : KafkaProperties()) {
      if (property.use == KafkaPropertyUse::kAllowed) allowed.emplace_back(property.name);
    }
    for (const auto& [name, member] : value.items()) {
      const std::string below = pointer + "/" + PointerToken(name);
      const KafkaProperty* property = FindKafkaProperty(name);
      if (property == nullptr) {
        shape_.FailAtKey("W0213", below, Quoted(name) + " is no property that a job may set",
                         DidYouMean(name, allowed));
        continue;
      }
      if (property->use != KafkaPropertyUse::kAllowed) {
        std::string help = property->instead.empty()
                               ? ""
                               : "use the option '" + std::string(property->instead) + "'";
        shape_.FailAtKey("W0213", below,
                         "property '" + name + "' cannot be set: " + std::string(property->why),
                         std::move(help));
        continue;
      }
      if (member.is_number() || member.is_boolean()) {
        result[name] = member.dump();
        continue;
      }
      result[name] = shape_.Check(
          member, {.name = property->name, .doc = "A property of the client.", .substitute = true},
          below);
      if (name == "client.id" && result[name].is_string() &&
          result[name].get_ref<const std::string&>().size() > kClientIdBytesMax) {
        shape_.Fail("W0204", below, "'client.id' has at most 64 bytes");
      }
    }
    return result;
  }

  void CheckSecurity(const Json& connection, const std::string& pointer) {
    const auto security = connection.find("security");
    if (security == connection.end() || !security->is_object()) return;
    const auto text = [&](const char* name) {
      const auto value = security->find(name);
      return value != security->end() && value->is_string() ? value->get<std::string>()
                                                            : std::string();
    };
    const std::string protocol = text("protocol");
    if (protocol != "sasl_plaintext" && protocol != "sasl_ssl") return;
    for (const char* const option : {"mechanism", "username", "password"}) {
      if (!security->contains(option)) {
        shape_.FailAtKey(
            "W0202", pointer + "/security",
            "'" + std::string(option) + "' is missing, protocol '" + protocol + "' needs it");
      }
    }
    if (security->contains("ca") && security->contains("ca_file"))
      shape_.Fail("W0205", pointer + "/security", "'ca' and 'ca_file' exclude each other");
  }

  void ReadExecution() {
    Json given = Json::object();
    if (const auto found = root_.find("execution"); found != root_.end()) {
      if (found->is_object()) {
        given = *found;
      } else {
        shape_.Fail("W0203", "/execution", "'execution' must be an object");
      }
    }
    spec_.execution = shape_.CheckObject(given, ExecutionOptions(), "/execution", "'execution'");
    FillFallbacks(*options_.registry, ExecutionOptions(), spec_.execution);
    // A problem leaves a null behind: the fallback stands for it, so that the graph can be checked.
    const Json fallbacks = [&] {
      Json value = Json::object();
      FillFallbacks(*options_.registry, ExecutionOptions(), value);
      return value;
    }();
    ReplaceNulls(spec_.execution, fallbacks);
  }

  static void ReplaceNulls(Json& value, const Json& fallbacks) {
    if (!value.is_object() || !fallbacks.is_object()) return;
    for (auto member = value.begin(); member != value.end(); ++member) {
      const auto fallback = fallbacks.find(member.key());
      if (fallback == fallbacks.end()) continue;
      if (member->is_null()) *member = *fallback;
      ReplaceNulls(*member, *fallback);
    }
  }

  void ReadNodes() {
    const auto given = root_.find("nodes");
    if (given == root_.end()) {
      shape_.Fail("W0202", "", "'nodes' is missing",
                  "the graph: \"nodes\": {\"in\": {\"type\": ...}, \"out\": {\"type\": ...}}");
      return;
    }
    if (!given->is_object()) {
      shape_.Fail("W0203", "/nodes", "'nodes' must be an object of nodes by id");
      return;
    }
    if (given->empty()) shape_.Fail("W0206", "/nodes", "a job needs at least a source and a sink");
    if (given->size() > kNodesMax) {
      shape_.Fail("W0217", "/nodes",
                  "a job has at most " + std::to_string(kNodesMax) + " nodes, this one has " +
                      std::to_string(given->size()));
      return;
    }
    for (const auto& [id, value] : given->items()) ReadNode(id, value);
  }

  void ReadNode(const std::string& id, const Json& value) {
    NodeSpec node;
    node.id = id;
    const std::string pointer = "/nodes/" + PointerToken(id);
    const size_t first_problem = problems_.list().size();
    shape_.TakeFailed();
    if (!IsName(id))
      shape_.FailAtKey("W0207", pointer, Quoted(id) + " is not the id of a node",
                       "a lower-case letter, then letters, digits and '_', 63 at most");
    if (!value.is_object()) {
      shape_.Fail("W0203", pointer, "a node is an object with 'type'");
    } else if (!value.contains("type")) {
      shape_.FailAtKey("W0202", pointer, "'type' of node " + Quoted(id) + " is missing");
    } else if (!value["type"].is_string()) {
      shape_.Fail("W0203", pointer + "/type", "'type' must be a text");
    } else {
      ReadTypedNode(value, pointer, node);
    }
    node.sound = !shape_.TakeFailed();
    for (size_t i = first_problem; i < problems_.list().size(); ++i) {
      if (problems_.list()[i].node_id.empty()) problems_.mutable_list()[i].node_id = id;
    }
    spec_.nodes.push_back(std::move(node));
  }

  void ReadTypedNode(const Json& value, const std::string& pointer, NodeSpec& node) {
    const std::string type_name = value["type"].get<std::string>();
    const NodeType* type = options_.registry->Find(type_name);
    const auto planned = PlannedNodeTypes();
    if ((type != nullptr && type->planned) ||
        (type == nullptr &&
         std::find(planned.begin(), planned.end(), type_name) != planned.end())) {
      shape_.Fail("W0210", pointer + "/type",
                  "node type '" + type_name + "' is planned, not in this version");
    } else if (type == nullptr) {
      const std::vector<std::string> known = NodeTypeNames(*options_.registry);
      shape_.Fail("W0211", pointer + "/type", "unknown node type " + Quoted(type_name),
                  DidYouMean(type_name, known));
      const std::vector<std::string> near =
          type_name.size() > kNameBytesMax ? std::vector<std::string>() : Suggest(type_name, known);
      if (near.size() == 1) problems_.mutable_list().back().fix = near.front();
    } else {
      node.type = type;
      std::set<std::string> passed_over = {"type"};
      if (type->inputs.most > 0) passed_over.insert("inputs");
      node.options = shape_.CheckObject(value, OptionsOf(*type), pointer, type_name, passed_over);
      if (type->inputs.most > 0 && !value.contains("inputs")) {
        shape_.FailAtKey("W0202", pointer, "'inputs' of " + type_name + " is missing",
                         "the nodes that it reads: \"inputs\": [\"clicks\"]");
      }
    }
    if (const auto inputs = value.find("inputs");
        inputs != value.end() && (type == nullptr || type->inputs.most > 0))
      ReadInputs(*inputs, pointer + "/inputs", node);
  }

  void ReadInputs(const Json& value, const std::string& pointer, NodeSpec& node) {
    const bool named = node.type != nullptr && node.type->inputs.named;
    if (value.is_object() && (named || node.type == nullptr)) {
      for (const auto& [alias, ports] : value.items()) {
        InputSpec input;
        input.alias = alias;
        const std::string below = pointer + "/" + PointerToken(alias);
        if (!IsName(alias)) shape_.FailAtKey("W0207", below, Quoted(alias) + " is not a name");
        if (ports.is_array()) {
          for (size_t i = 0; i < ports.size(); ++i)
            ReadPort(ports[i], below + "/" + std::to_string(i), input);
        } else {
          ReadPort(ports, below, input);
        }
        node.inputs.push_back(std::move(input));
      }
      return;
    }
    if (!value.is_array()) {
      shape_.Fail("W0203", pointer,
                  named ? "'inputs' must be an array of nodes or an object of nodes by alias"
                        : "'inputs' must be an array of nodes",
                  value.is_string() ? "put it into brackets" : "");
      return;
    }
    if (value.size() > kInputsMax) {
      shape_.Fail("W0217", pointer, "a node has at most " + std::to_string(kInputsMax) + " inputs");
      return;
    }
    InputSpec all;
    for (size_t i = 0; i < value.size(); ++i) {
      InputSpec one;
      ReadPort(value[i], pointer + "/" + std::to_string(i), named ? one : all);
      if (!named || one.ports.empty()) continue;
      one.alias = one.ports.front().node;
      node.inputs.push_back(std::move(one));
    }
    if (!named && !all.ports.empty()) {
      all.alias = all.ports.front().node;
      node.inputs.push_back(std::move(all));
    }
    if (value.empty()) shape_.Fail("W0206", pointer, "'inputs' is empty");
  }

  void ReadPort(const Json& value, const std::string& pointer, InputSpec& input) {
    if (!value.is_string()) {
      shape_.Fail("W0203", pointer, "an input is the id of a node, or \"id.port\"");
      return;
    }
    const std::string text = value.get<std::string>();
    const size_t dot = text.find('.');
    PortReference reference = {text.substr(0, dot),
                               dot == std::string::npos ? "" : text.substr(dot + 1), pointer};
    if (!IsName(reference.node) || (dot != std::string::npos && !IsName(reference.port))) {
      shape_.Fail("W0207", pointer, Quoted(text) + " is not a port",
                  "the id of a node, or \"id.port\" as \"clicks.errors\"");
      return;
    }
    input.ports.push_back(std::move(reference));
  }

  void FillSettings() {
    JobSettings& settings = *spec_.settings;
    settings.name = spec_.name;
    const Json& checkpoint = spec_.execution["checkpoint"];
    settings.checkpoints = checkpoint["interval"] != "off";
    settings.exactly_once = checkpoint["mode"] == "exactly_once";
    if (settings.checkpoints) {
      if (const std::optional<int64_t> us =
              ParseJobDuration(checkpoint["interval"].get<std::string>(), false))
        settings.checkpoint_interval = {*us};
    }
    const Json& state = spec_.execution["state"];
    if (state.contains("default_ttl") && state["default_ttl"].is_string())
      settings.state_ttl_default = state["default_ttl"].get<std::string>();
    settings.allowed_paths = options_.allowed_paths;
    if (options_.secrets != nullptr) options_.secrets->AttachTo(settings);
    for (NodeSpec& node : spec_.nodes) {
      if (!node.sound || node.type == nullptr || !node.options.contains("format")) continue;
      Json filled = node.options;
      FillFallbacks(*options_.registry, OptionsOf(*node.type), filled);
      const Json& format = filled["format"];
      if (!format.is_object() || !format.contains("max_record") ||
          !format["max_record"].is_string())
        continue;
      const std::optional<uint64_t> bytes = ParseSize(format["max_record"].get<std::string>());
      if (bytes)
        settings.record_bytes_max =
            std::max(settings.record_bytes_max, static_cast<size_t>(*bytes));
    }
  }

  const Json& root_;
  const CompileOptions& options_;
  Problems& problems_;
  Substitution substitution_;
  ShapeChecker shape_;
  JobSpec spec_;
};

}  // namespace

std::span<const Option> ExecutionOptions() {
  static const std::vector<Option> kOptions = {
      {.name = "parallelism",
       .type = OptionType::kInt,
       .doc = "Tasks of each source and keyed node. auto: the worker threads.",
       .unit = "tasks",
       .fallback = "\"auto\"",
       .allowed = "1..32768|auto"},
      {.name = "max_parallelism",
       .type = OptionType::kInt,
       .doc = "Number of key groups, fixed for the life of the state.",
       .unit = "key groups",
       .fallback = "128",
       .allowed = "1..32768"},
      {.name = "memory",
       .type = OptionType::kSize,
       .doc = "Cap of the job's share of memory. auto: equal shares.",
       .fallback = "auto",
       .allowed = "16MiB..1024GiB|auto"},
      {.name = "checkpoint",
       .type = OptionType::kObject,
       .doc = "Checkpoints.",
       .fallback = "{}",
       .fields =
           {
               {.name = "interval",
                .type = OptionType::kDurationOrOff,
                .doc = "Time between two checkpoints.",
                .fallback = "10s",
                .allowed = "100ms..1d"},
               {.name = "mode",
                .type = OptionType::kEnum,
                .doc = "at_least_once: without alignment.",
                .fallback = "exactly_once",
                .allowed = "exactly_once|at_least_once"},
               {.name = "timeout",
                .type = OptionType::kDuration,
                .doc = "A checkpoint that takes longer is given up.",
                .fallback = "5m",
                .allowed = "1s..1d"},
               {.name = "min_pause",
                .type = OptionType::kDuration,
                .doc = "Pause between two checkpoints.",
                .fallback = "0s",
                .allowed = "0s..1d"},
               {.name = "tolerable_failures",
                .type = OptionType::kInt,
                .doc = "Failed checkpoints in a row before the job restarts.",
                .unit = "checkpoints",
                .fallback = "3",
                .allowed = "0..1000000"},
               {.name = "retain",
                .type = OptionType::kInt,
                .doc = "Completed checkpoints that are kept.",
                .unit = "checkpoints",
                .fallback = "3",
                .allowed = "1..1000"},
               {.name = "storage",
                .doc = "Where checkpoints live, file:///... or s3://bucket/prefix. Without it: the "
                       "process's storage.",
                .substitute = true},
               {.name = "unaligned_after",
                .type = OptionType::kDuration,
                .doc = "Barriers overtake rows after this time.",
                .since = "planned"},
           }},
      {.name = "restart",
       .type = OptionType::kObject,
       .doc = "What happens after a failure.",
       .fallback = "{}",
       .fields =
           {
               {.name = "strategy",
                .type = OptionType::kEnum,
                .doc = "How long to wait before the job starts again.",
                .fallback = "exponential",
                .allowed = "exponential|fixed_delay|failure_rate|none"},
               {.name = "initial_delay",
                .type = OptionType::kDuration,
                .doc = "exponential: the first delay.",
                .fallback = "1s",
                .allowed = "1ms..1d"},
               {.name = "multiplier",
                .type = OptionType::kFloat,
                .doc = "exponential: growth of the delay.",
                .fallback = "1.5",
                .allowed = "1..100"},
               {.name = "max_delay",
                .type = OptionType::kDuration,
                .doc = "exponential: the longest delay.",
                .fallback = "1m",
                .allowed = "1ms..1d"},
               {.name = "jitter",
                .type = OptionType::kFloat,
                .doc = "exponential: random share of the delay.",
                .fallback = "0.1",
                .allowed = "0..1"},
               {.name = "reset_after",
                .type = OptionType::kDuration,
                .doc = "exponential: time without a failure after which the delay starts over.",
                .fallback = "10m",
                .allowed = "1s..1d"},
               {.name = "max_attempts",
                .type = OptionType::kInt,
                .doc = "exponential: restarts before the job fails for good.",
                .unit = "restarts",
                .allowed = "0..1000000000"},
               {.name = "attempts",
                .type = OptionType::kInt,
                .doc = "fixed_delay: restarts before the job fails for good.",
                .unit = "restarts",
                .fallback = "3",
                .allowed = "0..1000000000"},
               {.name = "delay",
                .type = OptionType::kDuration,
                .doc = "fixed_delay, failure_rate: the delay.",
                .fallback = "1s",
                .allowed = "0ms..1d"},
               {.name = "failures",
                .type = OptionType::kInt,
                .doc = "failure_rate: failures within `per` before the job fails for good.",
                .unit = "failures",
                .fallback = "3",
                .allowed = "1..1000000000"},
               {.name = "per",
                .type = OptionType::kDuration,
                .doc = "failure_rate: the span of time that is looked at.",
                .fallback = "1m",
                .allowed = "1s..1d"},
           }},
      {.name = "state",
       .type = OptionType::kObject,
       .doc = "Keyed state.",
       .fallback = "{}",
       .fields =
           {
               {.name = "backend",
                .type = OptionType::kEnum,
                .doc = "memory: for tests and small jobs.",
                .fallback = "rocksdb",
                .allowed = "rocksdb|memory"},
               {.name = "compression",
                .type = OptionType::kEnum,
                .doc = "Of state on disk.",
                .fallback = "lz4",
                .allowed = "none|lz4|zstd"},
               {.name = "default_ttl",
                .type = OptionType::kDuration,
                .doc = "Time to live of state without a ttl of its own, in event time.",
                .allowed = "1ms..36500d"},
           }},
      {.name = "upgrade",
       .type = OptionType::kObject,
       .doc = "How a changed job takes over.",
       .fallback = "{}",
       .fields =
           {
               {.name = "mode",
                .type = OptionType::kEnum,
                .doc = "What the new job restores from.",
                .fallback = "savepoint",
                .allowed = "savepoint|checkpoint|stateless"},
               {.name = "allow_dropped_state",
                .type = OptionType::kBool,
                .doc = "State that the new job cannot use may be lost.",
                .fallback = "false"},
           }},
  };
  return kOptions;
}

std::vector<std::string> NodeTypeNames(const Registry& registry) {
  std::vector<std::string> names;
  for (const auto& type : registry.types()) {
    if (!type->planned) names.emplace_back(type->name);
  }
  return names;
}

JobSpec ReadSpec(const Json& root, const CompileOptions& options, Problems& problems) {
  return SpecReader(root, options, problems).Read();
}

}  // namespace weir::jobs
