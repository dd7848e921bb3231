#include "engine/api/operator.h"
#include "engine/api/registry.h"

namespace weir {
namespace {

/// Replaces `_event_time` by the value of an expression. Range check, watermarks, idleness and
/// `on_future` are the task's work on the output.
class AssignEventTime final : public Operator {
 public:
  AssignEventTime(Expression field, SchemaRef schema)
      : field_(std::move(field)), schema_(std::move(schema)) {}

  Result<Step> OnBatch(Port, const Batch& batch, Output& out) override {
    const Column times = field_.Evaluate(batch, out.errors());
    const std::span<const int64_t> values = times.Values<int64_t>();
    const Validity valid = times.Valid();
    Selection good;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (out.errors().Has(row)) continue;
      if (!valid[row]) {
        out.errors().Add(row, RecordCode::kBadEventTime, "the event time is NULL");
      } else if (!IsUsable(EventTime{values[row]})) {
        out.errors().Add(row, RecordCode::kBadEventTime,
                         "the event time lies outside of the years 1 to 9999");
      } else {
        good.mutable_rows().push_back(row);
      }
    }
    std::vector<Column> columns;
    for (size_t i = 0; i < batch.schema().size(); ++i) {
      const ColumnIndex column{static_cast<uint16_t>(i)};
      if (batch.schema().field(column).name != kEventTimeColumn)
        columns.push_back(batch.column(column));
    }
    columns.push_back(times);  // no row that stays has a NULL here
    Batch result = Batch::Make(schema_, batch.rows(), std::move(columns));
    if (good.size() != batch.rows()) result = result.Take(good);
    out.Count(Outcome::kPassed, good.size());
    out.Emit(kMain, std::move(result));
    return Step::Done();
  }

 private:
  const Expression field_;
  const SchemaRef schema_;
};

void Infer(NodeConfig& config, NodeShape& shape) {
  const PortShape& input = config.input(kMain);
  shape.port_names = {""};
  shape.passes_through = true;
  PortShape output = input;
  std::vector<Field> fields;
  for (const Field& field : input.schema->fields()) {
    if (field.name != kEventTimeColumn) fields.push_back(field);
  }
  fields.push_back({std::string(kEventTimeColumn), Type::Of(TypeKind::kTimestamp), false});
  output.schema = std::make_shared<const Schema>(std::move(fields));
  output.has_event_time = true;
  shape.outputs = {std::move(output)};

  shape.states = {
      {.name = "max_ts", .kind = StateKind::kList, .row = {}, .spread = Spread::kUnion}};

  const Expression field =
      config.Bind("field", config.scope(), {.expected = Type::Of(TypeKind::kTimestamp)});
  if (!field) return;
  for (const ColumnIndex column : field.columns())
    shape.uses.insert(input.schema->field(column).name);
  const std::string on_future = config.Text("on_future");
  shape.event_time = EventTimeSpec{
      .field = field,
      .max_delay = config.DurationOf("max_delay"),
      .idle_timeout = config.DurationOf("idle_timeout"),
      .when_idle = config.Text("when_idle") == "advance" ? WhenIdle::kAdvance : WhenIdle::kExclude,
      .max_future_drift = config.DurationUnlessOff("max_future_drift"),
      .on_future = on_future == "fail"          ? OnFuture::kFail
                   : on_future == "side_output" ? OnFuture::kSideOutput
                                                : OnFuture::kDrop,
  };
}

}  // namespace

void RegisterAssignEventTime(Registry& registry) {
  registry.Add({
      .name = "assign_event_time",
      .doc = "Gives rows a new event time and makes watermarks per task. Declare event time on the "
             "source where you can: there it is per partition.",
      .options =
          {
              {.name = "field",
               .type = OptionType::kExpression,
               .doc = "The new event time, a timestamp.",
               .required = true},
              {.name = "max_delay",
               .type = OptionType::kDuration,
               .doc = "How much later than its neighbours a row may come.",
               .required = true},
              {.name = "idle_timeout",
               .type = OptionType::kDuration,
               .doc = "Time without a row after which the task no longer holds event time back.",
               .fallback = "30s"},
              {.name = "when_idle",
               .type = OptionType::kEnum,
               .doc = "Leave an idle task out, or advance its time by the clock.",
               .fallback = "exclude",
               .allowed = "exclude|advance"},
              {.name = "max_future_drift",
               .type = OptionType::kDurationOrOff,
               .doc = "How far ahead of the clock a row may be.",
               .fallback = "1h"},
              {.name = "on_future",
               .type = OptionType::kEnum,
               .doc = "What happens to a row further ahead.",
               .fallback = "drop",
               .allowed = "drop|fail|side_output"},
          },
      .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend},
      .infer = Infer,
      .create = [](const NodeConfig& config,
                   const NodeShape& shape) -> Result<std::unique_ptr<Operator>> {
        return std::make_unique<AssignEventTime>(
            config.Bind("field", config.scope(), {.expected = Type::Of(TypeKind::kTimestamp)}),
            shape.outputs[0].schema);
      },
      .example =
          R"({"type": "assign_event_time", "inputs": ["parsed"], "field": "sent_at", "max_delay": "5s"})",
  });
}

}  // namespace weir
