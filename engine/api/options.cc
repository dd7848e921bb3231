#include "engine/api/options.h"

#include <array>
#include <limits>

#include "engine/base/check.h"
#include "engine/base/json.h"

namespace weir {
namespace {

const std::vector<Option>& EventTimeFields() {
  static const std::vector<Option> kFields = {
      {.name = "field",
       .type = OptionType::kExpression,
       .doc = "Column or expression over the declared columns, a timestamp. Kafka: without it the "
              "record's own time."},
      {.name = "max_delay",
       .type = OptionType::kDuration,
       .doc = "How much later than its neighbours a row may come.",
       .allowed = "0ms..36500d",
       .required = true},
      {.name = "idle_timeout",
       .type = OptionType::kDuration,
       .doc = "Time without a row after which a partition no longer holds event time back.",
       .fallback = "30s",
       .allowed = "1ms..36500d"},
      {.name = "when_idle",
       .type = OptionType::kEnum,
       .doc = "Leave an idle partition out, or advance its time by the clock.",
       .fallback = "exclude",
       .allowed = "exclude|advance"},
      {.name = "max_future_drift",
       .type = OptionType::kDurationOrOff,
       .doc = "How far ahead of the clock a row may be.",
       .fallback = "1h",
       .allowed = "0ms..36500d"},
      {.name = "on_future",
       .type = OptionType::kEnum,
       .doc = "What happens to a row further ahead.",
       .fallback = "drop",
       .allowed = "drop|fail|side_output"},
      {.name = "alignment",
       .type = OptionType::kJson,
       .doc = "Keeps sources together in event time.",
       .since = "planned"},
  };
  return kFields;
}

std::vector<Option> CommonOptions(const NodeType& type) {
  std::vector<Option> options = {
      {.name = "description", .doc = "What the node is for."},
      {.name = "labels", .type = OptionType::kStringMap, .doc = "Free texts by name."},
      {.name = "parallelism",
       .type = OptionType::kInt,
       .doc = "Number of parallel tasks. Without it: that of the job for sources and keyed nodes, "
              "else that of the input.",
       .unit = "tasks",
       .allowed = "1..32768",
       .substitute = true},
      {.name = "on_error",
       .type = OptionType::kEnum,
       .doc = "What happens to a row that cannot be processed.",
       .fallback = "fail",
       .allowed = "fail|drop|side_output"},
      {.name = "error_threshold",
       .type = OptionType::kObject,
       .doc =
           "Share of bad rows beyond which the job fails although they are dropped or sent aside.",
       .allowed = "off",
       .fields = {{.name = "ratio",
                   .type = OptionType::kFloat,
                   .doc = "Share of the node's rows.",
                   .fallback = "0.5",
                   .allowed = "0..1"},
                  {.name = "over",
                   .type = OptionType::kDuration,
                   .doc = "Span of time that is looked at.",
                   .fallback = "1m",
                   .allowed = "1s..1d"},
                  {.name = "min_rows",
                   .type = OptionType::kInt,
                   .doc = "Fewer rows are not judged.",
                   .unit = "rows",
                   .fallback = "1000",
                   .allowed = "1..9223372036854775807"}}},
      {.name = "renamed_from",
       .type = OptionType::kName,
       .doc = "The id under which the node's state was saved."},
  };
  if (type.is_source()) {
    options.push_back({.name = "schema",
                       .type = OptionType::kSchema,
                       .doc = "Columns of the records, by name, in order."});
    options.push_back({.name = "event_time",
                       .type = OptionType::kObject,
                       .doc = "Where event time comes from.",
                       .fields = EventTimeFields()});
    options.push_back({.name = "rate",
                       .type = OptionType::kRate,
                       .doc = "Upper limit of the source, all tasks together."});
  } else if (type.is_sink()) {
    options.push_back({.name = "delivery",
                       .type = OptionType::kEnum,
                       .doc = "auto: the strongest that the sink supports.",
                       .fallback = "auto",
                       .allowed = "auto|at_least_once|effectively_once|exactly_once",
                       .substitute = true});
    options.push_back({.name = "schema",
                       .type = OptionType::kSchema,
                       .doc = "Assertion: the columns that arrive must equal these."});
    options.push_back({.name = "schema_union",
                       .type = OptionType::kBool,
                       .doc = "All columns of all inputs, missing ones NULL.",
                       .since = "planned"});
  } else {
    options.push_back(
        {.name = "state",
         .type = OptionType::kObject,
         .doc = "How long the node's state is kept.",
         .fields = {{.name = "ttl",
                     .type = OptionType::kDuration,
                     .doc = "Event time after the last row of a key at which its state ends.",
                     .allowed = "1ms..36500d"},
                    {.name = "unbounded_ok",
                     .type = OptionType::kBool,
                     .doc = "The state may grow with the number of keys.",
                     .fallback = "false"}}});
  }
  return options;
}

const Option kMaxRecord = {.name = "max_record",
                           .type = OptionType::kSize,
                           .doc = "A larger record is bad.",
                           .fallback = "1MiB",
                           .allowed = "1B..64MiB",
                           .substitute = true};

constexpr std::array<std::string_view, 21> kPlannedNodes = {
    "explode",        "top_n",       "dedup",       "interval_join", "window_join", "regular_join",
    "temporal_join",  "lookup_join", "http_source", "mqtt_source",   "http_sink",   "postgres_sink",
    "redis_sink",     "view_sink",   "over",        "pattern",       "kafka_table", "file_table",
    "postgres_table", "redis_table", "http_table",
};
constexpr std::array<std::string_view, 3> kPlannedFormats = {"avro", "protobuf", "debezium_json"};

}  // namespace

std::vector<Option> OptionsOf(const NodeType& type) {
  std::vector<Option> options = type.options;
  for (Option& common : CommonOptions(type)) {
    if (FindOption(type.options, common.name) == nullptr) options.push_back(std::move(common));
  }
  return options;
}

std::vector<Option> OptionsOf(const FormatType& format) {
  std::vector<Option> options = format.options;
  if (format.decoder != nullptr && FindOption(format.options, kMaxRecord.name) == nullptr)
    options.push_back(kMaxRecord);
  return options;
}

std::span<const ConnectionType> ConnectionTypes() {
  static const std::vector<ConnectionType> kTypes = {
      {.name = "kafka",
       .doc = "Brokers of one Kafka cluster.",
       .options =
           {
               {.name = "brokers",
                .doc = "First brokers to ask, host:port separated by commas.",
                .required = true,
                .substitute = true},
               {.name = "security",
                .type = OptionType::kObject,
                .doc = "Encryption and login. What the protocol does not use is ignored.",
                .fields =
                    {
                        {.name = "protocol",
                         .type = OptionType::kEnum,
                         .doc = "How to speak to the brokers.",
                         .fallback = "plaintext",
                         .allowed = "plaintext|ssl|sasl_plaintext|sasl_ssl",
                         .substitute = true},
                        {.name = "mechanism",
                         .type = OptionType::kEnum,
                         .doc = "How to log in.",
                         .allowed = "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|planned:OAUTHBEARER",
                         .substitute = true},
                        {.name = "username", .doc = "Name to log in with.", .substitute = true},
                        {.name = "password",
                         .doc = "Password to log in with.",
                         .secret = true,
                         .substitute = true},
                        {.name = "ca",
                         .doc = "Certificates of the authorities that are trusted, PEM text.",
                         .secret = true,
                         .substitute = true},
                        {.name = "cert",
                         .doc = "The client's certificate, PEM text.",
                         .secret = true,
                         .substitute = true},
                        {.name = "key",
                         .doc = "The client's private key, PEM text.",
                         .secret = true,
                         .substitute = true},
                        {.name = "ca_file",
                         .doc = "File with certificates of the authorities that are trusted.",
                         .substitute = true},
                    }},
               {.name = "properties",
                .type = OptionType::kStringMap,
                .doc = "Client properties, from an allow-list.",
                .substitute = true},
           }},
      {.name = "postgres", .doc = "A PostgreSQL database.", .options = {}, .planned = true},
      {.name = "redis", .doc = "A Redis server.", .options = {}, .planned = true},
      {.name = "mqtt", .doc = "An MQTT broker.", .options = {}, .planned = true},
  };
  return kTypes;
}

const ConnectionType* FindConnectionType(std::string_view name) {
  for (const ConnectionType& type : ConnectionTypes()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::span<const std::string_view> PlannedNodeTypes() { return kPlannedNodes; }
std::span<const std::string_view> PlannedFormats() { return kPlannedFormats; }

bool IsSubstitutable(const Option& option) {
  if (option.substitute) return true;
  switch (option.type) {
    case OptionType::kBool:
    case OptionType::kInt:
    case OptionType::kFloat:
    case OptionType::kEnum:
    case OptionType::kDuration:
    case OptionType::kDurationOrOff:
    case OptionType::kSize:
    case OptionType::kRate:
    case OptionType::kTimestamp:
      return true;
    default:
      return false;
  }
}

Json FallbackOf(const Option& option) {
  if (option.fallback.empty()) return nullptr;
  const std::string text(option.fallback);
  switch (option.type) {
    case OptionType::kBool:
    case OptionType::kInt:
    case OptionType::kFloat:
    case OptionType::kExpressionMap:
    case OptionType::kKeyList:
    case OptionType::kColumns:
    case OptionType::kStringList:
    case OptionType::kStringMap:
    case OptionType::kSchema:
    case OptionType::kFormat:
    case OptionType::kObject:
    case OptionType::kVariant: {
      Result<Json> value = ParseJson(text);
      WEIR_CHECK(value.ok());
      return std::move(value).value();
    }
    case OptionType::kJson: {
      Result<Json> value = ParseJson(text);
      return value.ok() ? std::move(value).value() : Json(text);
    }
    default:
      return text;
  }
}

const Option* FindOption(std::span<const Option> options, std::string_view name) {
  for (const Option& option : options) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

void FillFallbacks(const Registry& registry, std::span<const Option> options, Json& value) {
  for (const Option& option : options) {
    const std::string name(option.name);
    if (!value.contains(name)) {
      Json fallback = FallbackOf(option);
      if (fallback.is_null()) continue;
      value[name] = std::move(fallback);
    }
    Json& member = value[name];
    if (!member.is_object()) continue;
    if (option.type == OptionType::kObject) {
      FillFallbacks(registry, option.fields, member);
    } else if (option.type == OptionType::kVariant || option.type == OptionType::kFormat) {
      const auto kind = member.find("type");
      if (kind == member.end() || !kind->is_string()) continue;
      const std::string kind_name = kind->get<std::string>();
      if (option.type == OptionType::kFormat) {
        const FormatType* format = registry.FindFormat(kind_name);
        if (format != nullptr) FillFallbacks(registry, OptionsOf(*format), member);
        continue;
      }
      for (const Option::Variant& variant : option.variants) {
        if (variant.name == kind_name) FillFallbacks(registry, variant.fields, member);
      }
    }
  }
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  size_t digits = 0;
  uint64_t number = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (__builtin_mul_overflow(number, uint64_t{10}, &number)) return std::nullopt;
    if (__builtin_add_overflow(number, static_cast<uint64_t>(text[digits] - '0'), &number))
      return std::nullopt;
    ++digits;
  }
  const std::string_view unit = text.substr(digits);
  const int shift = unit == "B"     ? 0
                    : unit == "KiB" ? 10
                    : unit == "MiB" ? 20
                    : unit == "GiB" ? 30
                                    : -1;
  if (digits == 0 || shift < 0) return std::nullopt;
  if (number > (static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) >> shift))
    return std::nullopt;
  return number << shift;
}

std::optional<double> ParseRate(std::string_view text) {
  size_t digits = 0;
  uint64_t number = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits > 15) return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(text[digits] - '0');
    ++digits;
  }
  if (digits == 0 || number == 0 || text.substr(digits) != "/s") return std::nullopt;
  return static_cast<double>(number);
}

}  // namespace weir
