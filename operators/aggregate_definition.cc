#include "operators/aggregate_definition.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/base/json.h"

namespace weir {
namespace {

std::string CallColumn(size_t i) { return "$" + std::to_string(i); }

}  // namespace

AggregateDefinition DefineAggregate(const NodeConfig& config) {
  AggregateDefinition definition;
  const PortShape& input = config.input(kMain);
  bool sound = true;

  Scope key_scope = config.scope();
  key_scope.clock_warning = "a key by the clock makes replays differ";
  std::vector<Field> group;
  for (size_t i = 0; i < config.json("key_by").size(); ++i) {
    std::optional<BoundKey> key = config.Key("key_by/" + std::to_string(i), key_scope);
    if (!key) {
      sound = false;
      continue;
    }
    const bool repeated = std::any_of(group.begin(), group.end(),
                                      [&](const Field& field) { return field.name == key->name; });
    if (repeated) {
      config.Error("key_by/" + std::to_string(i), "W0418", "two keys are named '" + key->name + "'",
                   "name one of them with AS");
      sound = false;
      continue;
    }
    group.push_back({key->name, key->expression.type(), key->expression.nullable()});
    definition.keys.push_back(std::move(*key));
  }
  group.push_back({std::string(kWindowStartColumn), TimestampType(), false});
  group.push_back({std::string(kWindowEndColumn), TimestampType(), false});
  definition.group_schema = std::make_shared<const Schema>(group);

  definition.windows.size = config.DurationOf("window/size").us;
  definition.windows.every = config.Text("window/type") == "sliding"
                                 ? config.DurationOf("window/every").us
                                 : definition.windows.size;
  if (config.Has("window/offset"))
    definition.windows.offset = config.DurationOf("window/offset").us;
  definition.window_time = config.Has("window/window_time") && config.Bool("window/window_time");
  definition.lateness = config.DurationOf("allowed_lateness").us;
  definition.late_port = config.Text("late") == "side_output";
  definition.revises = definition.lateness > 0;
  definition.upsert = config.Text("emit/mode") == "upsert";

  AggregateScope scope{config.scope(), definition.group_schema, {}};
  std::vector<Field> output = group;
  if (definition.window_time)
    output.push_back({std::string(kWindowTimeColumn), TimestampType(), false});
  for (const auto& [name, text] : config.json("aggregates").items()) {
    const std::string path = "aggregates/" + PointerToken(name);
    if (std::any_of(output.begin(), output.end(),
                    [&, &n = name](const Field& field) { return field.name == n; })) {
      config.Error(path, "W0418", "'" + name + "' is a key or window column already",
                   "give the aggregate another name");
      sound = false;
      continue;
    }
    AggregateResult bound = config.Aggregate(path, scope, {}, definition.calls);
    if (!bound.result) {
      sound = false;
      continue;
    }
    output.push_back({name, bound.result.type(), bound.result.nullable()});
    scope.named.emplace_back(name, bound.result);
    definition.result_names.push_back(name);
    definition.results.push_back(std::move(bound.result));
  }
  if (config.Has("having")) {
    definition.having =
        config.Aggregate("having", scope, {.expected = Type::Of(TypeKind::kBool)}, definition.calls)
            .result;
    sound = sound && static_cast<bool>(definition.having);
  }
  std::vector<Field> call_fields = group;
  for (size_t i = 0; i < definition.calls.size(); ++i)
    call_fields.push_back(
        {CallColumn(i), definition.calls[i].result, definition.calls[i].nullable});
  definition.call_schema = std::make_shared<const Schema>(std::move(call_fields));

  output.push_back({std::string(kEventTimeColumn), TimestampType(), false});
  if (definition.revises)
    output.push_back({std::string(kOpColumn), Type::Of(TypeKind::kInt32), false});
  definition.output = std::make_shared<const Schema>(std::move(output));
  definition.complete = sound && input.schema != nullptr;
  return definition;
}

Schema SliceRow(const AggregateDefinition& definition) {
  std::vector<Field> row = {{"rows", Type::Of(TypeKind::kInt64), true}};
  for (size_t i = 0; i < definition.calls.size(); ++i) {
    const std::unique_ptr<Accumulator> accumulator = MakeAccumulator(definition.calls[i]);
    if (accumulator == nullptr) continue;
    for (Field field : accumulator->Fields()) {
      field.name = std::to_string(i) + "." + field.name;
      row.push_back(std::move(field));
    }
  }
  return Schema(std::move(row));
}

std::vector<std::unique_ptr<Accumulator>> MakeAccumulators(const AggregateDefinition& definition,
                                                           const StateLayout& slice_row) {
  std::vector<std::unique_ptr<Accumulator>> accumulators;
  accumulators.reserve(definition.calls.size());
  size_t field = 1;
  for (const AggregateCall& call : definition.calls) {
    accumulators.push_back(MakeAccumulator(call));
    if (accumulators.back() == nullptr) continue;
    const size_t fields = accumulators.back()->Fields().size();
    accumulators.back()->Place(std::span(slice_row.fields).subspan(field, fields));
    field += fields;
  }
  return accumulators;
}

bool CanCombine(const AggregateDefinition& definition, const NodeConfig& config) {
  if (definition.late_port || config.on_error() == OnError::kSideOutput) return false;
  if (std::ranges::any_of(definition.calls,
                          [](const AggregateCall& call) { return call.distinct; }))
    return false;
  const Schema row = SliceRow(definition);
  return std::ranges::none_of(row.fields(),
                              [](const Field& field) { return field.type.is_text(); });
}

Schema PartialRow(const AggregateDefinition& definition) {
  const Schema row = SliceRow(definition);
  std::vector<Field> fields;
  fields.reserve(definition.keys.size() + row.size() + 1);
  for (const BoundKey& key : definition.keys)
    fields.push_back({key.name, key.expression.type(), key.expression.nullable()});
  fields.push_back({"$slice", Type::Of(TypeKind::kInt64), false});
  fields.insert(fields.end(), row.fields().begin() + 1, row.fields().end());
  fields.push_back({"$rows", Type::Of(TypeKind::kInt64), false});
  return Schema(std::move(fields));
}

void AggregateArguments::Evaluate(const AggregateDefinition& definition, const Batch& batch,
                                  RowErrors& errors) {
  columns.clear();
  filters.clear();
  filtered_.clear();
  for (const AggregateCall& call : definition.calls) {
    std::vector<Column> values;
    const size_t evaluated = call.function == "percentile" ? 1 : call.arguments.size();
    for (size_t i = 0; i < evaluated; ++i)
      values.push_back(call.arguments[i].Evaluate(batch, errors));
    columns.push_back(std::move(values));
    filtered_.push_back(call.filter.has_value());
    filters.emplace_back();
    if (call.filter) filters.back() = call.filter->SelectTrue(batch, errors);
  }
}

std::span<StateRow* const> AggregateArguments::Targets(size_t call,
                                                       std::span<StateRow* const> rows) {
  if (!filtered_[call]) return rows;
  targets_.assign(rows.size(), nullptr);
  for (const uint32_t row : filters[call]) targets_[row] = rows[row];
  return targets_;
}

}  // namespace weir
