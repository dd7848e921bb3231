#include <algorithm>
#include <set>

#include "engine/api/operator.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"
#include "operators/row_limit.h"

namespace weir {
namespace {

/// One output column: an input column that is carried along, or an expression.
struct Target {
  Field field;
  std::optional<ColumnIndex> carried;
  Expression expression;
};

/// Columns of the output in order: with `keep: all` the input's, then the listed ones (one of an
/// input's name replaces it in place), then metadata.
std::vector<Target> Targets(const NodeConfig& config) {
  const Schema& input = *config.input(kMain).schema;
  std::vector<Target> targets;
  const auto find = [&](std::string_view name) {
    return std::find_if(targets.begin(), targets.end(),
                        [&](const Target& target) { return target.field.name == name; });
  };
  const auto carry = [&](bool metadata) {
    for (size_t i = 0; i < input.size(); ++i) {
      const Field& field = input.fields()[i];
      if (IsMetadataColumn(field.name) == metadata) {
        targets.push_back({field, ColumnIndex{static_cast<uint16_t>(i)}, {}});
      }
    }
  };
  if (config.Text("keep") == "all") {
    carry(/*metadata=*/false);
    const std::vector<std::string> dropped = config.Strings("drop");
    for (size_t i = 0; i < dropped.size(); ++i) {
      const auto place = find(dropped[i]);
      if (place != targets.end()) targets.erase(place);
    }
  }
  for (const auto& [name, text] : config.json("fields").items()) {
    Expression expression = config.expression("fields/" + PointerToken(name));
    if (!expression) continue;
    Target target{
        {name, expression.type(), expression.nullable()}, expression.as_column(), expression};
    const auto place = find(name);
    if (place != targets.end()) {
      *place = std::move(target);
    } else {
      targets.push_back(std::move(target));
    }
  }
  carry(/*metadata=*/true);
  return targets;
}

class Project final : public Operator {
 public:
  Project(std::vector<Target> targets, SchemaRef schema, const JobSettings& job)
      : targets_(std::move(targets)), schema_(std::move(schema)), limit_(job, *schema_) {}

  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    std::vector<Column> columns;
    columns.reserve(targets_.size());
    for (const Target& target : targets_) {
      columns.push_back(target.carried ? batch.column(*target.carried)
                                       : target.expression.Evaluate(batch, out.errors()));
    }
    Batch result = Batch::Make(schema_, batch.rows(), std::move(columns));
    for (const uint32_t row : limit_.Beyond(result))
      out.errors().Add(row, RecordCode::kExpressionLimit, limit_.message());
    const uint32_t failed = out.errors().rows();
    out.Count(Outcome::kPassed, int64_t{batch.rows()} - failed);
    if (failed != 0) {
      Selection good;
      for (uint32_t row = 0; row < batch.rows(); ++row) {
        if (!out.errors().Has(row)) good.mutable_rows().push_back(row);
      }
      result = TakeChanges(result, good);
    }
    out.Emit(kMain, std::move(result));
    return Step::Done();
  }

 private:
  const std::vector<Target> targets_;
  const SchemaRef schema_;
  const RowLimit limit_;
};

void Infer(NodeConfig& config, NodeShape& shape) {
  const PortShape& input = config.input(kMain);
  shape.port_names = {""};
  shape.passes_metadata = true;
  shape.passes_through = config.Text("keep") == "all";
  if (config.Has("drop") && !shape.passes_through) {
    config.Error(
        "drop", "W0205",
        "'drop' takes columns away from all of the input's, so it needs \"keep\": \"all\"");
  }
  for (size_t i = 0; const std::string& name : config.Strings("drop")) {
    const std::string path = "drop/" + std::to_string(i++);
    // In the second pass a dropped column that nobody reads is gone already, so only the first one
    // judges.
    if (config.wanted(name) && !input.schema->Find(name))
      config.Error(path, "W0412", "column '" + name + "' does not exist");
  }
  std::vector<Field> fields;
  std::set<std::string> carried_names;
  for (const Target& target : Targets(config)) {
    fields.push_back(target.field);
    if (!target.carried || target.expression) {
      for (const ColumnIndex column : target.expression.columns())
        shape.uses.insert(input.schema->field(column).name);
    }
    if (target.carried && input.schema->field(*target.carried).name == target.field.name)
      carried_names.insert(target.field.name);
  }
  PortShape output = input;
  output.schema = std::make_shared<const Schema>(std::move(fields));
  const auto carries_all = [&](const std::vector<std::string>& names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const std::string& name) { return carried_names.contains(name); });
  };
  if (!carries_all(output.unique_key)) {
    if (input.kind == kUpsert) {
      config.Error("fields", "W0604", "an upsert stream must keep its key columns unchanged",
                   "keep every column of its unique key under its own name");
    }
    output.unique_key.clear();
  }
  if (output.partitioned_by && !carries_all(*output.partitioned_by)) output.partitioned_by.reset();
  shape.outputs = {std::move(output)};
}

}  // namespace

void RegisterProject(Registry& registry) {
  registry.Add({
      .name = "project",
      .doc = "Computes columns. Output: the listed columns; with `keep: all` the input's columns "
             "first.",
      .options =
          {
              {.name = "fields",
               .type = OptionType::kExpressionMap,
               .doc = "Column name to expression, in output order.",
               .required = true},
              {.name = "keep",
               .type = OptionType::kEnum,
               .doc = "Only the listed columns, or all of the input's as well.",
               .fallback = "listed",
               .allowed = "listed|all"},
              {.name = "drop",
               .type = OptionType::kColumns,
               .doc = "With `keep: all`: columns of the input that are left out."},
          },
      .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog | kUpsert},
      .infer = Infer,
      .create = [](const NodeConfig& config,
                   const NodeShape& shape) -> Result<std::unique_ptr<Operator>> {
        return std::make_unique<Project>(Targets(config), shape.outputs[0].schema, config.job());
      },
      .example =
          R"({"type": "project", "inputs": ["bids"], "fields": {"auction": "auction", "euros": "0.908 * price"}})",
  });
}

}  // namespace weir
