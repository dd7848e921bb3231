#include <algorithm>

#include "engine/api/kafka_properties.h"
#include "engine/api/options.h"
#include "jobs/job_spec.h"
#include "jobs/jobs.h"

namespace weir::jobs {
namespace {

constexpr const char* kNamePattern = "^[a-z][a-z0-9_]{0,62}$";
constexpr const char* kReferencePattern = "\\$\\{.+\\}";

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = text.find('|');
    words.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return words;
}

Json Ref(const char* name) { return {{"$ref", std::string("#/definitions/") + name}}; }

/// `schema`, or a text that holds a reference.
Json OrReference(Json schema) {
  Json either = Json::object();
  either["anyOf"] =
      Json::array({std::move(schema), {{"type", "string"}, {"pattern", kReferencePattern}}});
  either["x-weir-subst"] = true;
  return either;
}

/// `schema`, or one of the words of `allowed` that are no range.
Json OrWords(Json schema, std::string_view allowed) {
  Json words = Json::array();
  for (const std::string& word : Words(allowed)) {
    if (word.find("..") == std::string::npos) words.push_back(word);
  }
  if (words.empty()) return schema;
  return {{"anyOf", Json::array({std::move(schema), {{"enum", std::move(words)}}})}};
}

Json NumberSchema(const Option& option) {
  const bool whole = option.type == OptionType::kInt;
  Json schema = {{"type", whole ? "integer" : "number"}};
  for (const std::string& part : Words(option.allowed)) {
    const size_t dots = part.find("..");
    if (dots == std::string::npos) continue;
    const std::string least = part.substr(0, dots), most = part.substr(dots + 2);
    const Result<Json> low = ParseJson(least), high = ParseJson(most);
    if (low.ok()) schema["minimum"] = *low;
    if (high.ok()) schema["maximum"] = *high;
  }
  return OrReference(OrWords(std::move(schema), option.allowed));
}

class SchemaWriter {
 public:
  explicit SchemaWriter(const Registry& registry) : registry_(registry) {}

  Json ObjectSchema(std::span<const Option> options, Json properties, Json required) const {
    for (const Option& option : options) {
      if (option.since == "planned") continue;
      properties[std::string(option.name)] = Described(option);
      if (option.required) required.push_back(option.name);
    }
    Json schema = {{"type", "object"}, {"additionalProperties", false}};
    if (!required.empty()) schema["required"] = std::move(required);
    schema["properties"] = std::move(properties);
    return schema;
  }

  /// By `type`: a chain of if and then, so that an editor says what is wrong with this type and not
  /// that no type fits.
  Json KindSchema(const std::vector<std::pair<std::string, Json>>& kinds) const {
    Json names = Json::array(), chain = Json::array();
    for (const auto& [name, schema] : kinds) {
      names.push_back(name);
      chain.push_back({{"if", {{"properties", {{"type", {{"const", name}}}}}}}, {"then", schema}});
    }
    return {{"type", "object"},
            {"required", Json::array({"type"})},
            {"properties", {{"type", {{"enum", std::move(names)}}}}},
            {"allOf", std::move(chain)}};
  }

  Json FormatSchema() const {
    std::vector<std::pair<std::string, Json>> kinds;
    for (const auto& format : registry_.formats()) {
      if (format->planned) continue;
      kinds.emplace_back(format->name, ObjectSchema(OptionsOf(*format), {{"type", Json::object()}},
                                                    Json::array()));
    }
    return KindSchema(kinds);
  }

  Json NodeSchema() const {
    std::vector<std::pair<std::string, Json>> kinds;
    Json snippets = Json::array();
    for (const auto& type : registry_.types()) {
      if (type->planned) continue;
      Json properties = {{"type", {{"description", std::string(type->doc)}}}};
      Json required = Json::array();
      if (type->inputs.most > 0) {
        properties["inputs"] = InputsSchema(type->inputs);
        required.push_back("inputs");
      }
      kinds.emplace_back(
          type->name, ObjectSchema(OptionsOf(*type), std::move(properties), std::move(required)));
      const Result<Json> example = ParseJson(type->example);
      if (example.ok())
        snippets.push_back({{"label", type->name}, {"description", type->doc}, {"body", *example}});
    }
    Json schema = KindSchema(kinds);
    schema["defaultSnippets"] = std::move(snippets);
    return schema;
  }

  Json ConnectionSchema() const {
    std::vector<std::pair<std::string, Json>> kinds;
    for (const ConnectionType& type : ConnectionTypes()) {
      if (type.planned) continue;
      Json schema = ObjectSchema(type.options, {{"type", Json::object()}}, Json::array());
      if (type.name == "kafka") {
        Json properties = Json::object();
        for (const KafkaProperty& property : KafkaProperties()) {
          if (property.use == KafkaPropertyUse::kAllowed)
            properties[std::string(property.name)] = {
                {"type", Json::array({"string", "number", "boolean"})}, {"x-weir-subst", true}};
        }
        schema["properties"]["properties"] = {{"type", "object"},
                                              {"additionalProperties", false},
                                              {"properties", std::move(properties)}};
      }
      kinds.emplace_back(type.name, std::move(schema));
    }
    return KindSchema(kinds);
  }

  static Json InputsSchema(const InputRule& rule) {
    Json list = {{"type", "array"}, {"minItems", 1}, {"items", Ref("port")}};
    if (rule.least > 1) list["minItems"] = rule.least;
    if (!rule.named) return list;
    const Json ports = {
        {"anyOf",
         Json::array({Ref("port"), {{"type", "array"}, {"minItems", 1}, {"items", Ref("port")}}})}};
    return {{"anyOf", Json::array({std::move(list),
                                   {{"type", "object"},
                                    {"minProperties", rule.least},
                                    {"maxProperties", rule.most},
                                    {"additionalProperties", ports}}})}};
  }

  Json Described(const Option& option) const {
    Json schema = OptionSchema(option);
    // Siblings of $ref are ignored in draft-07.
    if (schema.contains("$ref")) schema = {{"allOf", Json::array({std::move(schema)})}};
    std::string doc(option.doc);
    if (!option.unit.empty()) doc += " (" + std::string(option.unit) + ")";
    schema["description"] = doc;
    schema["markdownDescription"] = doc;
    const Json fallback = FallbackOf(option);
    if (!fallback.is_null()) schema["default"] = fallback;
    if (option.since != "1") schema["x-weir-since"] = option.since;
    if (option.secret) schema["x-weir-secret"] = true;
    if (IsSubstitutable(option)) schema["x-weir-subst"] = true;
    return schema;
  }

 private:
  Json OptionSchema(const Option& option) const {
    switch (option.type) {
      case OptionType::kBool:
        return OrReference({{"type", "boolean"}});
      case OptionType::kInt:
      case OptionType::kFloat:
        return NumberSchema(option);
      case OptionType::kName:
        return {{"type", "string"}, {"pattern", kNamePattern}};
      case OptionType::kEnum:
        return OrReference({{"enum", EnumValues(option)}});
      case OptionType::kDuration:
        return OrWords(Ref(option.allowed.starts_with("-") ? "signed_duration" : "duration"),
                       option.allowed);
      case OptionType::kDurationOrOff:
        return {{"anyOf", Json::array({Ref("duration"), {{"const", "off"}}})}};
      case OptionType::kSize:
        return OrWords(Ref("size"), option.allowed);
      case OptionType::kRate:
        return Ref("rate");
      case OptionType::kTimestamp:
        return {{"type", "string"},
                {"minLength", 10},
                {"examples", Json::array({"2026-01-01T00:00:00Z"})}};
      case OptionType::kExpression:
      case OptionType::kBoolExpression:
        return Ref("expr");
      case OptionType::kExpressionMap:
        return {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", Ref("expr")}};
      case OptionType::kKeyList:
        return {{"type", "array"}, {"items", Ref("expr")}};
      case OptionType::kColumns:
      case OptionType::kStringList: {
        Json list = {{"type", "array"}, {"items", {{"type", "string"}}}};
        if (option.required) list["minItems"] = 1;
        return list;
      }
      case OptionType::kStringMap:
        return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
      case OptionType::kSchema:
        return Ref("columns");
      case OptionType::kFormat:
        return Ref("format");
      case OptionType::kConnection:
        return {{"type", "string"}, {"pattern", kNamePattern}};
      case OptionType::kObject: {
        Json object = ObjectSchema(option.fields, Json::object(), Json::array());
        if (option.allowed.empty()) return object;
        return {{"anyOf", Json::array({std::move(object), {{"const", option.allowed}}})}};
      }
      case OptionType::kVariant: {
        std::vector<std::pair<std::string, Json>> kinds;
        for (const Option::Variant& variant : option.variants) {
          if (!variant.planned)
            kinds.emplace_back(variant.name,
                               ObjectSchema(variant.fields,
                                            {{"type", {{"description", std::string(variant.doc)}}}},
                                            Json::array()));
        }
        return KindSchema(kinds);
      }
      case OptionType::kJson:
        return Json::object();
      case OptionType::kString:
        break;
    }
    Json text = {{"type", "string"}};
    if (option.required) text["minLength"] = 1;
    return text;
  }

  static Json EnumValues(const Option& option) {
    Json values = Json::array();
    for (const std::string& word : Words(option.allowed)) {
      if (!word.starts_with("planned:")) values.push_back(word);
    }
    return values;
  }

  const Registry& registry_;
};

Json TestSchema() {
  const Json rows = {{"type", "array"}, {"items", {{"type", "object"}}}};
  const Json step = {{"type", "object"},
                     {"additionalProperties", false},
                     {"properties",
                      {{"to", {{"type", "string"}, {"pattern", kNamePattern}}},
                       {"rows", rows},
                       {"raw", {{"type", "array"}, {"items", {{"type", "string"}}}}},
                       {"watermark", {{"type", "string"}}},
                       {"advance_clock", Ref("duration")},
                       {"checkpoint", {{"const", true}}},
                       {"restore", {{"const", true}}},
                       {"drain", {{"const", true}}},
                       {"expect", {{"type", "object"}, {"additionalProperties", rows}}},
                       {"expect_none", {{"type", "array"}, {"items", {{"type", "string"}}}}},
                       {"ordered", {{"type", "boolean"}}}}}};
  const Json texts = {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  return {{"type", "object"},
          {"required", Json::array({"name", "steps"})},
          {"additionalProperties", false},
          {"properties",
           {{"name", {{"type", "string"}, {"minLength", 1}}},
            {"params", Json::object()},
            {"env", texts},
            {"secrets", texts},
            {"clock", {{"type", "string"}}},
            {"watermarks", {{"enum", Json::array({"auto", "manual"})}}},
            {"steps", {{"type", "array"}, {"items", step}}}}}};
}

Json Definitions(const SchemaWriter& writer) {
  const auto duration = [](const char* sign) {
    return Json{{"type", "string"},
                {"pattern", std::string("^(") + sign + "([0-9]+(ms|s|m|h|d))+|.*\\$\\{.+\\}.*)$"},
                {"examples", Json::array({"5s", "1h30m"})},
                {"x-weir-subst", true}};
  };
  const Json column_type = {
      {"type", "string"},
      {"minLength", 3},
      {"examples", Json::array({"string", "int64?", "decimal(18,2)", "timestamp_ms"})}};
  Json definitions = Json::object();
  definitions["port"] = {{"type", "string"},
                         {"pattern", "^[a-z][a-z0-9_]{0,62}(\\.[a-z][a-z0-9_]{0,62})?$"}};
  definitions["duration"] = duration("");
  definitions["signed_duration"] = duration("-?");
  definitions["size"] = {{"type", "string"},
                         {"pattern", "^([0-9]+(B|KiB|MiB|GiB)|.*\\$\\{.+\\}.*)$"},
                         {"examples", Json::array({"64MiB"})},
                         {"x-weir-subst", true}};
  definitions["rate"] = {{"type", "string"},
                         {"pattern", "^([0-9]+/s|.*\\$\\{.+\\}.*)$"},
                         {"examples", Json::array({"500/s"})},
                         {"x-weir-subst", true}};
  definitions["expr"] = {{"type", "string"}, {"minLength", 1}, {"x-weir-expr", true}};
  definitions["columns"] = {
      {"type", "object"},
      {"minProperties", 1},
      {"additionalProperties",
       {{"anyOf", Json::array({column_type,
                               {{"type", "object"},
                                {"required", Json::array({"type"})},
                                {"additionalProperties", false},
                                {"properties",
                                 {{"type", column_type},
                                  {"from", {{"type", "string"}, {"minLength", 1}}},
                                  {"description", {{"type", "string"}}}}}}})}}}};
  definitions["format"] = writer.FormatSchema();
  definitions["connection"] = writer.ConnectionSchema();
  definitions["parameter"] = {{"type", "object"},
                              {"required", Json::array({"type"})},
                              {"additionalProperties", false},
                              {"properties",
                               {{"type", column_type},
                                {"default", Json::object()},
                                {"description", {{"type", "string"}}}}}};
  definitions["test"] = TestSchema();
  definitions["node"] = writer.NodeSchema();
  return definitions;
}

}  // namespace

Json JobSchema(const Registry& registry) {
  const SchemaWriter writer(registry);
  const Json names = {{"pattern", kNamePattern}};
  Json properties = Json::object();
  properties["$schema"] = {{"type", "string"}};
  properties["weir"] = {{"const", 1}, {"description", "Level of the format and its meaning."}};
  properties["name"] = {{"type", "string"},
                        {"pattern", kNamePattern},
                        {"not", {{"enum", Json::array({"cluster", "meta", "storage"})}}},
                        {"description", "Identity of the job and of its state."}};
  properties["description"] = {{"type", "string"}};
  properties["labels"] = {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  properties["params"] = {
      {"type", "object"}, {"propertyNames", names}, {"additionalProperties", Ref("parameter")}};
  properties["connections"] = {
      {"type", "object"}, {"propertyNames", names}, {"additionalProperties", Ref("connection")}};
  properties["execution"] = writer.ObjectSchema(ExecutionOptions(), Json::object(), Json::array());
  properties["nodes"] = {{"type", "object"},
                         {"minProperties", 1},
                         {"propertyNames", names},
                         {"additionalProperties", Ref("node")}};
  properties["tests"] = {{"type", "array"}, {"items", Ref("test")}};
  return {{"$schema", "http://json-schema.org/draft-07/schema#"},
          {"title", "Weir job, version 1"},
          {"type", "object"},
          {"required", Json::array({"weir", "name", "nodes"})},
          {"additionalProperties", false},
          {"properties", std::move(properties)},
          {"definitions", Definitions(writer)}};
}

}  // namespace weir::jobs
