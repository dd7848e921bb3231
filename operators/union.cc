#include "engine/api/operator.h"
#include "engine/api/registry.h"

namespace weir {
namespace {

/// The merge itself is the engine's: all inputs of a node are one port. The node gives the merged
/// stream a name, an id and counters.
class Union final : public Operator {
 public:
  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    out.Count(Outcome::kPassed, batch.rows());
    out.Emit(kMain, batch);
    return Step::Done();
  }
};

}  // namespace

void RegisterUnion(Registry& registry) {
  registry.Add({
      .name = "union",
      .doc = "Merges two or more streams of equal columns into one.",
      .options = {{.name = "schema_union",
                   .type = OptionType::kBool,
                   .doc = "All columns of all inputs, missing ones NULL, instead of equal columns.",
                   .fallback = "false",
                   .since = "planned"}},
      .inputs = {.least = 2, .most = kInputsMax, .accepts = kAppend | kChangelog},
      .infer =
          [](NodeConfig& config, NodeShape& shape) {
            PortShape merged = config.input(kMain);
            merged.unique_key.clear();  // rows of different inputs may share it
            merged.partitioned_by.reset();
            shape.outputs = {std::move(merged)};
            shape.port_names = {""};
            shape.passes_through = true;
          },
      .create = [](const NodeConfig&, const NodeShape&) -> Result<std::unique_ptr<Operator>> {
        return std::make_unique<Union>();
      },
      .example = R"({"type": "union", "inputs": ["web", "mobile"]})",
  });
}

}  // namespace weir
