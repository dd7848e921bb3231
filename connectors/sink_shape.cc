#include "connectors/sink_shape.h"

#include <algorithm>

#include "engine/base/json.h"

namespace weir {
namespace {

std::string Listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::string TextOr(const NodeConfig& config, std::string_view option, const char* fallback) {
  return config.json(option).is_string() ? config.Text(option) : std::string(fallback);
}

void CheckUpsert(NodeConfig& config, const PortShape& input) {
  const std::vector<std::string> key = config.Strings("key");
  if (key.empty()) {
    config.Error("write", "W0603", "'write: upsert' needs 'key'",
                 "name the columns that tell rows apart: \"key\": [\"id\"]");
    return;
  }
  if (input.kind == kAppend || input.unique_key.empty()) return;
  std::vector<std::string> sorted = key;
  std::vector<std::string> unique = input.unique_key;
  std::ranges::sort(sorted);
  std::ranges::sort(unique);
  if (sorted != unique) {
    config.Error("key", "W0604",
                 "the key of an upsert sink must be the unique key of its input, or two rows would "
                 "replace each other",
                 "unique key of the input: " + Listed(input.unique_key));
  }
}

void CheckWrite(NodeConfig& config, const PortShape& input, const SinkAbility& ability) {
  const std::string write = TextOr(config, "write", "append");
  const std::string_view name = config.type().name;
  if (write == "upsert" && !ability.upsert) {
    config.Error("write", "W0603",
                 "a " + std::string(name) + " cannot replace rows: 'write: upsert' is for Kafka");
  } else if (write == "changelog" && !ability.changelog) {
    config.Error("write", "W0603", "a " + std::string(name) + " writes no changelog");
  } else if (write == "upsert") {
    CheckUpsert(config, input);
  } else if (write == "append" && input.kind != kAppend) {
    config.Error(
        "write", "W0602", "the input takes rows back (it is updating), and 'write: append' cannot",
        ability.upsert ? "use \"write\": \"upsert\" with a key, or \"write\": \"changelog\""
                       : "use \"write\": \"changelog\"");
  } else if (write == "changelog" && input.kind == kUpsert) {
    config.Error(
        "write", "W0602", "the input does not know the old values that a changelog takes back",
        "use \"write\": \"upsert\", or \"emit\": {\"mode\": \"changelog\"} in the producer");
  }
}

void CheckSchema(NodeConfig& config, const Schema& actual) {
  if (!config.json("schema").is_object()) return;
  const std::vector<SourceColumn> declared = config.DeclaredColumns("schema");
  if (config.failed()) return;
  std::vector<Field> wanted;
  wanted.reserve(declared.size());
  for (const SourceColumn& column : declared) wanted.push_back(column.field);
  std::vector<Field> found;
  for (const Field& field : actual.fields()) {
    if (!IsMetadataColumn(field.name)) found.push_back(field);
  }
  if (wanted != found) {
    config.Error("schema", "W0605", "the input has other columns than asserted here",
                 "columns of the input: " + Schema(std::move(found)).ToString());
  }
}

}  // namespace

void InferSink(NodeConfig& config, NodeShape& shape, const SinkAbility& ability) {
  const std::string delivery = TextOr(config, "delivery", "auto");
  const bool upsert = TextOr(config, "write", "append") == "upsert";
  shape.guarantee = upsert ? Guarantee::kEffectivelyOnce : Guarantee::kAtLeastOnce;
  shape.visibility = ability.visibility;
  if (ability.exactly_once && delivery != "at_least_once" && delivery != "effectively_once") {
    if (config.job().checkpoints && config.job().exactly_once) {
      shape.guarantee = Guarantee::kExactlyOnce;
      shape.visibility = "visible once per checkpoint";
    } else if (delivery == "exactly_once") {
      config.Error(
          "delivery", "W0601", "exactly-once results need exactly-once checkpoints",
          "set execution.checkpoint with \"mode\": \"exactly_once\", or \"delivery\": \"auto\"");
    }
  } else if (delivery == "exactly_once" && ability.exactly_once_planned) {
    config.Error("delivery", "W0210",
                 "'delivery: exactly_once' of a " + std::string(config.type().name) +
                     " is planned, not in this version",
                 "use \"auto\" or \"at_least_once\"; with \"write\": \"upsert\" a repeated result "
                 "replaces itself");
  } else if (delivery == "exactly_once") {
    config.Error("delivery", "W0601",
                 "a " + std::string(config.type().name) + " cannot promise exactly once",
                 "use \"delivery\": \"auto\"");
  } else if (delivery == "effectively_once" && !upsert) {
    config.Error("delivery", "W0606",
                 "'effectively_once' means that a repeated result replaces itself: it needs "
                 "'write: upsert'");
  }
  if (!config.inputs_known() || config.inputs() == 0) return;
  const PortShape& input = config.input(Port{0});
  if (!ability.any_stream) CheckWrite(config, input, ability);
  CheckSchema(config, *input.schema);
  for (const Field& field : input.schema->fields()) {
    if (!IsMetadataColumn(field.name) || field.name == kOpColumn) shape.uses.insert(field.name);
  }
}

}  // namespace weir
