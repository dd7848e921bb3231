#include "tests/jobs/test_types.h"
#include "engine/base/json.h"

namespace weir::jobs {
namespace {

template <class T>
Result<T> MakesNothing(const NodeConfig&, const NodeShape&) {
  return Status(Code::kInternal, "a type of tests makes no objects");
}

constexpr uint8_t kAnyStream = kAppend | kChangelog | kUpsert;

void InferKeyed(NodeConfig& config, NodeShape& shape) {
  std::vector<Expression> keys;
  std::vector<Field> fields;
  for (size_t i = 0; i < config.json("key_by").size(); ++i) {
    const std::optional<BoundKey> key = config.Key("key_by/" + std::to_string(i), config.scope());
    if (!key) return;
    keys.push_back(key->expression);
    shape.key_names.push_back(key->name);
    fields.push_back({key->name, key->expression.type(), key->expression.nullable()});
  }
  fields.push_back({"n", Type::Of(TypeKind::kInt64), false});
  PortShape output;
  output.partitioned_by = shape.key_names;
  output.has_event_time = true;
  const std::string kind = config.Text("kind");
  output.kind = kind == "changelog" ? kChangelog : kind == "upsert" ? kUpsert : kAppend;
  if (output.kind != kAppend) {
    output.unique_key = shape.key_names;
    fields.push_back({std::string(kOpColumn), Type::Of(TypeKind::kInt32), false});
  }
  fields.push_back({std::string(kEventTimeColumn), Type::Of(TypeKind::kTimestamp), false});
  output.schema = std::make_shared<const Schema>(std::move(fields));
  shape.outputs = {std::move(output)};
  shape.port_names = {""};
  shape.keys = {std::move(keys)};
  shape.states.push_back({.name = "rows",
                          .row = Schema({{"n", Type::Of(TypeKind::kInt64), false}}),
                          .meaning = config.Text("meaning")});
  if (config.Text("late") == "side_output") {
    shape.outputs.push_back(config.input(kMain));
    shape.port_names.emplace_back("late");
  }
}

void InferSameColumns(NodeConfig& config, NodeShape& shape) {
  shape.outputs = {config.input(kMain)};
  shape.port_names = {""};
  shape.passes_through = true;
}

void InferSink(NodeConfig& config, NodeShape& shape, Guarantee guarantee) {
  for (const Field& field : config.input(kMain).schema->fields()) {
    if (!IsMetadataColumn(field.name)) shape.uses.insert(field.name);
  }
  shape.guarantee = guarantee;
  shape.visibility =
      guarantee == Guarantee::kExactlyOnce ? "visible once per checkpoint" : "visible at once";
}

Registry MakeRegistry() {
  Registry registry;
  registry.AddFormat(
      {.name = "t_lines",
       .doc = "Lines.",
       .options = {{.name = "separator", .doc = "Between fields.", .fallback = ","}},
       .decoder = [](const NodeConfig&, const std::vector<SourceColumn>&)
           -> Result<std::unique_ptr<Decoder>> { return Status(Code::kInternal, "test"); }});
  registry.Add(
      {.name = "t_source",
       .doc = "A source.",
       .options = {{.name = "topics",
                    .type = OptionType::kStringList,
                    .doc = "Names.",
                    .substitute = true},
                   {.name = "format", .type = OptionType::kFormat, .doc = "Format."}},
       .infer =
           [](NodeConfig& config, NodeShape& shape) {
             config.InferSource(shape, {std::string(kTopicColumn), std::string(kOffsetColumn)});
           },
       .create = MakesNothing<SourceParts>});
  registry.Add({.name = "t_filter",
                .doc = "A filter.",
                .options = {{.name = "where",
                             .type = OptionType::kBoolExpression,
                             .doc = "Condition.",
                             .required = true}},
                .inputs = {.least = 1, .most = kInputsMax, .accepts = kAnyStream},
                .infer =
                    [](NodeConfig& config, NodeShape& shape) {
                      const Expression where = config.expression("where");
                      if (!where) return;
                      InferSameColumns(config, shape);
                      shape.outputs[0] = config.input(kMain).NarrowedBy(where);
                      for (const ColumnIndex column : where.columns())
                        shape.uses.insert(config.input(kMain).schema->field(column).name);
                    },
                .create = MakesNothing<std::unique_ptr<Operator>>});
  registry.Add({.name = "t_union",
                .doc = "A union.",
                .inputs = {.least = 2, .most = 3, .accepts = kAnyStream},
                .infer = InferSameColumns,
                .create = MakesNothing<std::unique_ptr<Operator>>});
  registry.Add({.name = "t_wait",
                .doc = "Asks outside.",
                .inputs = {.least = 1, .most = 1, .accepts = kAnyStream},
                .waits = true,
                .infer = InferSameColumns,
                .create = MakesNothing<std::unique_ptr<Operator>>});
  registry.Add(
      {.name = "t_keyed",
       .doc = "Counts by key.",
       .options =
           {{.name = "key_by", .type = OptionType::kKeyList, .doc = "Keys.", .fallback = "[]"},
            {.name = "kind",
             .type = OptionType::kEnum,
             .doc = "Kind of the output.",
             .fallback = "append",
             .allowed = "append|changelog|upsert"},
            {.name = "late",
             .type = OptionType::kEnum,
             .doc = "Late rows.",
             .fallback = "drop",
             .allowed = "drop|side_output"},
            {.name = "meaning", .doc = "Of the state.", .fallback = "count"}},
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend},
       .ports = {"late"},
       .infer = InferKeyed,
       .create = MakesNothing<std::unique_ptr<Operator>>});
  registry.Add(
      {.name = "t_sink",
       .doc = "A sink.",
       .options = {{.name = "limit",
                    .type = OptionType::kInt,
                    .doc = "Rows.",
                    .unit = "rows",
                    .allowed = "1..100"}},
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAnyStream},
       .infer = [](NodeConfig& config,
                   NodeShape& shape) { InferSink(config, shape, Guarantee::kAtLeastOnce); },
       .create = MakesNothing<SinkParts>});
  registry.Add({.name = "t_single",
                .doc = "A sink of one task.",
                .inputs = {.least = 1, .most = kInputsMax, .accepts = kAnyStream},
                .infer =
                    [](NodeConfig& config, NodeShape& shape) {
                      InferSink(config, shape, Guarantee::kAtLeastOnce);
                      shape.parallelism_max = 1;
                    },
                .create = MakesNothing<SinkParts>});
  registry.Add(
      {.name = "t_once_sink",
       .doc = "A sink that is exact.",
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAnyStream},
       .infer = [](NodeConfig& config,
                   NodeShape& shape) { InferSink(config, shape, Guarantee::kExactlyOnce); },
       .create = MakesNothing<SinkParts>});
  registry.Add(
      {.name = "t_upsert_sink",
       .doc = "A sink that replaces.",
       .options = {{.name = "key", .type = OptionType::kColumns, .doc = "Key.", .required = true}},
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAnyStream},
       .infer =
           [](NodeConfig& config, NodeShape& shape) {
             InferSink(config, shape, Guarantee::kEffectivelyOnce);
             std::vector<Expression> keys;
             for (const std::string& column : config.Strings("key")) {
               const BindResult bound = BindExpression(column, config.scope(), {});
               if (!bound.expression) return config.Error("key", "W0412", "no column");
               keys.push_back(bound.expression);
             }
             shape.keys = {std::move(keys)};
             shape.key_names = config.Strings("key");
           },
       .create = MakesNothing<SinkParts>});
  registry.Add({.name = "t_later", .doc = "Not yet.", .planned = true});
  registry.Add(
      {.name = "t_options",
       .doc = "One option of each type.",
       .options =
           {{.name = "flag", .type = OptionType::kBool, .doc = "d", .fallback = "true"},
            {.name = "count",
             .type = OptionType::kInt,
             .doc = "d",
             .unit = "rows",
             .allowed = "1..10|all"},
            {.name = "ratio", .type = OptionType::kFloat, .doc = "d", .allowed = "0..1"},
            {.name = "text", .doc = "d", .substitute = true},
            {.name = "plain", .doc = "d"},
            {.name = "mode",
             .type = OptionType::kEnum,
             .doc = "d",
             .allowed = "fast|slow|planned:exact"},
            {.name = "wait", .type = OptionType::kDuration, .doc = "d", .allowed = "1s..1h"},
            {.name = "shift", .type = OptionType::kDuration, .doc = "d", .allowed = "-1h..1h"},
            {.name = "drift", .type = OptionType::kDurationOrOff, .doc = "d"},
            {.name = "size", .type = OptionType::kSize, .doc = "d", .allowed = "1KiB..1GiB"},
            {.name = "rate", .type = OptionType::kRate, .doc = "d"},
            {.name = "when", .type = OptionType::kTimestamp, .doc = "d"},
            {.name = "key", .doc = "d", .secret = true, .substitute = true},
            {.name = "words", .type = OptionType::kStringList, .doc = "d"},
            {.name = "map", .type = OptionType::kStringMap, .doc = "d"},
            {.name = "later", .doc = "d", .since = "planned"},
            {.name = "object",
             .type = OptionType::kObject,
             .doc = "d",
             .fields = {{.name = "inner", .type = OptionType::kInt, .doc = "d", .fallback = "7"},
                        {.name = "must", .doc = "d", .required = true}}},
            {.name = "shape",
             .type = OptionType::kVariant,
             .doc = "d",
             .variants = {{.name = "round",
                           .doc = "d",
                           .fields = {{.name = "radius",
                                       .type = OptionType::kInt,
                                       .doc = "d",
                                       .required = true}}},
                          {.name = "square", .doc = "d", .fields = {}},
                          {.name = "star", .doc = "d", .fields = {}, .planned = true}}}},
       .inputs = {.least = 1, .most = 1, .accepts = kAnyStream},
       .infer = InferSameColumns,
       .create = MakesNothing<std::unique_ptr<Operator>>});
  return registry;
}

}  // namespace

const Registry& TestRegistry() {
  static const Registry kRegistry = MakeRegistry();
  return kRegistry;
}

CompiledJob CompileTest(const std::string& text, CompileOptions options) {
  options.registry = &TestRegistry();
  return CompileJob(text, options);
}

std::string JobOf(const std::string& nodes) {
  return R"({"weir": 1, "name": "test", "nodes": {)" + nodes + "}}";
}

std::string SourceNode(const std::string& id) {
  return '"' + id +
         R"(": {"type": "t_source", "schema": {"id": "int64", "name": "string?", "at": "timestamp"}, "event_time": {"field": "at", "max_delay": "1s"}})";
}

std::string SinkNode(const std::string& id, const std::string& input) {
  return '"' + id + R"(": {"type": "t_sink", "inputs": [")" + input + "\"]}";
}

std::vector<std::string> CodesOf(const CompiledJob& job) {
  std::vector<std::string> codes;
  codes.reserve(job.document.problems.size());
  for (const JsonProblem& problem : job.document.problems) codes.push_back(problem.code);
  for (const Problem& problem : job.problems.list()) codes.push_back(problem.code);
  return codes;
}

}  // namespace weir::jobs
