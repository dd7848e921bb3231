#include "engine/api/operator.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"

namespace weir {
namespace {

class Route final : public Operator {
 public:
  Route(std::vector<Expression> conditions, bool first, std::optional<Port> otherwise)
      : conditions_(std::move(conditions)), first_(first), otherwise_(otherwise) {}

  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    std::vector<Selection> chosen(conditions_.size());
    std::vector<uint8_t> taken(batch.rows(), 0);
    // With `first` a condition is asked only of the rows that no earlier one took, so that its
    // errors on the others do not count.
    Batch rest = batch;
    std::vector<uint32_t>
        rest_rows;  // position in `batch` of each row of `rest`; unused while rest is the batch
    for (size_t i = 0; i < conditions_.size() && rest.rows() != 0; ++i) {
      RowErrors errors;
      const Selection passed = conditions_[i].SelectTrue(rest, errors);
      const auto position = [&](uint32_t row) { return rest_rows.empty() ? row : rest_rows[row]; };
      for (const RowError& error : errors.errors()) {
        out.errors().Add(position(error.row), error.code, error.message);
        taken[position(error.row)] = 1;
      }
      for (const uint32_t row : passed) {
        chosen[i].mutable_rows().push_back(position(row));
        taken[position(row)] = 1;
      }
      if (first_ && (!passed.empty() || !errors.empty())) {
        Selection left;
        std::vector<uint32_t> left_rows;
        for (uint32_t row = 0; row < rest.rows(); ++row) {
          if (taken[position(row)] != 0) continue;
          left.mutable_rows().push_back(row);
          left_rows.push_back(position(row));
        }
        rest = left.empty() ? Batch() : rest.Take(left);
        if (!rest) break;
        rest_rows = std::move(left_rows);
      }
    }
    for (size_t i = 0; i < chosen.size(); ++i)
      Send(Port{static_cast<uint16_t>(kFirstRoute.value + i)}, batch, chosen[i], out);
    Selection unmatched;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (taken[row] == 0) unmatched.mutable_rows().push_back(row);
    }
    if (otherwise_) Send(*otherwise_, batch, unmatched, out);
    const int64_t filtered = otherwise_ ? 0 : unmatched.size();
    out.Count(Outcome::kFiltered, filtered);
    out.Count(Outcome::kPassed, int64_t{batch.rows()} - filtered - out.errors().rows());
    return Step::Done();
  }

 private:
  static void Send(Port port, const Batch& batch, const Selection& all, Output& out) {
    if (!out.wanted(port)) return;
    if (out.errors().empty()) {
      out.Emit(port, TakeChanges(batch, all));
      return;
    }
    Selection good;  // with `mode: all` a later condition may have failed on a row that an earlier
                     // one chose
    for (const uint32_t row : all) {
      if (!out.errors().Has(row)) good.mutable_rows().push_back(row);
    }
    out.Emit(port, TakeChanges(batch, good));
  }

  const std::vector<Expression> conditions_;
  const bool first_;
  const std::optional<Port> otherwise_;
};

std::vector<Expression> Conditions(const NodeConfig& config) {
  std::vector<Expression> conditions;
  for (const auto& [name, text] : config.json("routes").items()) {
    conditions.push_back(config.Bind("routes/" + PointerToken(name), config.scope(),
                                     {.expected = Type::Of(TypeKind::kBool)}));
  }
  return conditions;
}

void Infer(NodeConfig& config, NodeShape& shape) {
  const PortShape& input = config.input(kMain);
  // Main, late and errors do not exist as outputs of the operator itself; the engine adds errors
  // where it is asked for.
  shape.outputs = {PortShape{}, PortShape{}, PortShape{}};
  shape.port_names = {"", "late", "errors"};
  shape.passes_through = true;
  const auto add = [&](const std::string& name, const std::string& path, PortShape port) {
    if (name == "late" || name == "errors") {
      config.Error(path, "W0207", "a route cannot be named '" + name + "'",
                   "the engine uses this port name itself");
    }
    shape.outputs.push_back(std::move(port));
    shape.port_names.push_back(name);
  };
  const std::vector<Expression> conditions = Conditions(config);
  for (size_t i = 0; const auto& [name, text] : config.json("routes").items()) {
    const Expression& condition = conditions[i++];
    add(name, "routes/" + PointerToken(name), condition ? input.NarrowedBy(condition) : input);
    // Rows are emitted under the input's schema, so a narrowed port must not promise more than they
    // carry.
    shape.outputs.back().schema = input.schema;
    if (!condition) continue;
    for (const ColumnIndex column : condition.columns())
      shape.uses.insert(input.schema->field(column).name);
  }
  if (conditions.empty())
    config.Error("routes", "W0206", "a route needs at least one port",
                 "\"routes\": {\"hot\": \"celsius > 30\"}");
  if (config.Has("default")) add(config.Text("default"), "default", input);
}

}  // namespace

void RegisterRoute(Registry& registry) {
  registry.Add({
      .name = "route",
      .doc = "Sends rows to named ports by conditions. Without `default`, rows that match none are "
             "counted as filtered.",
      .options =
          {
              {.name = "routes",
               .type = OptionType::kExpressionMap,
               .doc = "Port name to condition, asked in this order.",
               .required = true},
              {.name = "mode",
               .type = OptionType::kEnum,
               .doc = "To the first port that matches, or to all of them.",
               .fallback = "first",
               .allowed = "first|all"},
              {.name = "default",
               .type = OptionType::kName,
               .doc = "Port of the rows that match no condition."},
          },
      .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog},
      .infer = Infer,
      .create = [](const NodeConfig& config,
                   const NodeShape& shape) -> Result<std::unique_ptr<Operator>> {
        std::optional<Port> otherwise;
        if (config.Has("default"))
          otherwise = Port{static_cast<uint16_t>(shape.outputs.size() - 1)};
        return std::make_unique<Route>(Conditions(config), config.Text("mode") == "first",
                                       otherwise);
      },
      .example =
          R"({"type": "route", "inputs": ["sensors"], "routes": {"hot": "celsius > 30"}, "default": "normal"})",
  });
}

}  // namespace weir
