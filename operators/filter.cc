#include "engine/api/operator.h"
#include "engine/api/registry.h"

namespace weir {
namespace {

class Filter final : public Operator {
 public:
  explicit Filter(Expression where, SchemaRef schema)
      : where_(std::move(where)), schema_(std::move(schema)) {}

  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    const Selection passed = where_.SelectTrue(batch, out.errors());  // false and NULL do not pass
    out.Count(Outcome::kPassed, passed.size());
    out.Count(Outcome::kFiltered, int64_t{batch.rows()} - passed.size() - out.errors().rows());
    out.Emit(kMain, TakeChanges(batch, passed).WithSchema(schema_));
    return Step::Done();
  }

 private:
  const Expression where_;
  const SchemaRef schema_;  // the input's, narrowed by IS NOT NULL conjuncts
};

}  // namespace

void RegisterFilter(Registry& registry) {
  registry.Add({
      .name = "filter",
      .doc = "Keeps the rows for which a condition is true. False and NULL drop the row, which is "
             "counted as filtered.",
      .options = {{.name = "where",
                   .type = OptionType::kBoolExpression,
                   .doc = "Rows for which it is true stay.",
                   .required = true}},
      .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog | kUpsert},
      .infer =
          [](NodeConfig& config, NodeShape& shape) {
            const Expression where = config.expression("where");
            shape.outputs = {where ? config.input(kMain).NarrowedBy(where) : config.input(kMain)};
            shape.port_names = {""};
            shape.passes_through = true;
            if (!where) return;
            for (const ColumnIndex column : where.columns())
              shape.uses.insert(config.input(kMain).schema->field(column).name);
          },
      .create = [](const NodeConfig& config,
                   const NodeShape& shape) -> Result<std::unique_ptr<Operator>> {
        return std::make_unique<Filter>(config.expression("where"), shape.outputs[0].schema);
      },
      .example =
          R"({"type": "filter", "inputs": ["clicks"], "where": "page IS NOT NULL AND latency_ms > 100"})",
  });
}

}  // namespace weir
