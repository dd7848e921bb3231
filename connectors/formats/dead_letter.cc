// Format dead_letter: a row of an `errors` port as the record that it was; kafka_sink writes key
// and headers beside it, so that the record can be fed back.

#include "engine/api/registry.h"

namespace weir {
namespace {

class DeadLetterEncoder final : public Encoder {
 public:
  explicit DeadLetterEncoder(ColumnIndex raw) : raw_(raw) {}
  void Encode(const Batch& batch, EncodedRows& out, RowErrors&) override {
    const std::span<const Utf8View> values = batch.Values<Utf8View>(raw_);
    const Validity valid = batch.Valid(raw_);
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (valid[row]) out.bytes.append(values[row].view());
      out.ends.push_back(static_cast<uint32_t>(out.bytes.size()));
    }
  }

 private:
  const ColumnIndex raw_;
};

void Check(NodeConfig& node, const Schema& schema, bool) {
  if (node.type().name != "kafka_sink") {
    node.Error("format/type", "W0205", "the format 'dead_letter' is for kafka_sink only",
               "use json: a dead letter is an ordinary row there");
    return;
  }
  for (const Field& field : NodeConfig::ErrorsSchema()->fields()) {
    const std::optional<ColumnIndex> column = schema.Find(field.name);
    if (column && schema.field(*column).type == field.type) continue;
    node.Error("inputs", "W0205",
               "the format 'dead_letter' needs the rows of an `errors` port: column '" +
                   field.ToString() + "' is missing",
               "\"inputs\": [\"<node>.errors\"]");
    return;
  }
}

}  // namespace

void RegisterDeadLetter(Registry& registry) {
  registry.AddFormat({.name = "dead_letter",
                      .doc = "Rows of an `errors` port as the records that they were, the reason "
                             "in headers; kafka_sink only.",
                      .encoder = [](const NodeConfig&,
                                    const SchemaRef& schema) -> Result<std::unique_ptr<Encoder>> {
                        const std::optional<ColumnIndex> raw = schema->Find("raw");
                        if (!raw)
                          return Status(Code::kInvalidArgument,
                                        "the format 'dead_letter' needs a column 'raw'");
                        return std::make_unique<DeadLetterEncoder>(*raw);
                      },
                      .check = Check});
}

}  // namespace weir
