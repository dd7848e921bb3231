// generator_source: rows from expressions over nothing but chance, the clock and the row's number:
// examples, tests, load. Equal settings give equal rows, however they are cut into batches and
// tasks: rows are made in blocks of a fixed size, each with draws seeded by (seed, first row,
// column).

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/api/registry.h"
#include "engine/base/bytes.h"
#include "engine/base/json.h"
#include "engine/data/key_encoding.h"

namespace weir {
namespace {

constexpr int64_t kBlockRowsMax = 1024;
constexpr double kBlockSeconds = 0.01;  // of the rate: a block is made at one instant of the clock
constexpr double kRateDefault = 1000;
constexpr std::string_view kRateDefaultText = "1000/s";

struct GeneratorColumn {
  Field field;
  Expression expression;
  uint64_t number =
      0;  // position in the declared schema: dropping a column does not change the draws of others
};

struct GeneratorSettings {
  std::vector<GeneratorColumn> columns;
  uint64_t seed = 1;
  std::optional<int64_t> rows;
  int64_t block_rows = 1;
};

SchemaRef ScopeSchema() {
  static const SchemaRef kSchema = std::make_shared<const Schema>(std::vector<Field>{
      {std::string(kProcessingTimeColumn), Type::Of(TypeKind::kTimestamp), false},
      {std::string(kOffsetColumn), Type::Of(TypeKind::kInt64), false},
  });
  return kSchema;
}

bool Widens(const Type& from, const Type& to) {
  switch (to.kind) {
    case TypeKind::kInt64:
      return from.kind == TypeKind::kInt32;
    case TypeKind::kFloat32:
      return from.kind == TypeKind::kInt32;
    case TypeKind::kFloat64:
      return from.is_integer() || from.kind == TypeKind::kFloat32 ||
             from.kind == TypeKind::kDecimal;
    case TypeKind::kDecimal:
      return from.is_integer() || from.kind == TypeKind::kDecimal;
    default:
      return from.kind == TypeKind::kNull;
  }
}

/// The expression of a column, cast to the column's type where that only widens. Empty after a
/// problem, which is reported if `report`.
Expression BindField(const NodeConfig& config, const Field& field) {
  const std::string path = "fields/" + PointerToken(field.name);
  Scope scope;
  scope.inputs.push_back({"", ScopeSchema()});
  scope.parameters = config.job().parameters;
  scope.random_allowed = true;
  Expression plain = config.Bind(path, scope, {});
  if (!plain || plain.type() == field.type) return plain;
  if (Widens(plain.type(), field.type)) {
    BindResult cast = BindExpression(
        "CAST((" + config.Text(path) + ") AS " + field.type.ToString() + ")", scope, {});
    if (cast.expression) return cast.expression;
  }
  config.Error(path, "W0424",
               "the column is " + field.type.ToString() + ", the expression gives " +
                   plain.type().ToString(),
               "write CAST(... AS " + field.type.ToString() + "), or declare the column as " +
                   plain.type().ToString());
  return {};
}

int64_t BlockRows(double rows_per_second) {
  return std::clamp<int64_t>(std::llround(rows_per_second * kBlockSeconds), 1, kBlockRowsMax);
}

/// Where a stripe goes on: it makes the blocks stripe, stripe + stripes, ... of block_rows rows
/// each.
struct StripePosition {
  int64_t next = 0;  // the next row
  int64_t stripe = 0, stripes = 1, block_rows = 1;

  std::string ToText() const {
    return std::to_string(next) + "/" + std::to_string(stripe) + "/" + std::to_string(stripes) +
           "/" + std::to_string(block_rows);
  }
  static Result<StripePosition> Parse(std::string_view text) {
    StripePosition position;
    for (int64_t* part :
         {&position.next, &position.stripe, &position.stripes, &position.block_rows}) {
      const size_t end = std::min(text.find('/'), text.size());
      const auto [stop, error] = std::from_chars(text.data(), text.data() + end, *part);
      if (error != std::errc() || stop != text.data() + end || *part < 0) {
        return Status(Code::kCorruption,
                      "not a position of a generator: four numbers with slashes are expected");
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (position.stripes == 0 || position.block_rows == 0 || position.block_rows > kBlockRowsMax)
      return Status(Code::kCorruption, "not a position of a generator: out of range");
    return position;
  }
  /// Rows left of the block that `next` lies in.
  int64_t BlockLeft() const { return block_rows - next % block_rows; }
  void Advance(int64_t rows) {
    next += rows;
    if (next % block_rows == 0) next += (stripes - 1) * block_rows;
  }
};

class GeneratorEnumerator final : public SplitEnumerator {
 public:
  explicit GeneratorEnumerator(std::shared_ptr<const GeneratorSettings> settings)
      : settings_(std::move(settings)) {}

  Status Open(NodeContext& context, std::span<const SplitState> restored) override {
    restored_ = !restored.empty();
    parallelism_ = context.node().parallelism;
    for (const SplitState& split : restored)
      WEIR_TRY(StripePosition::Parse(split.position).status().At(split.id));
    return Status::Ok();
  }
  /// One stripe for each task, named so that each task gets one. A restored generator keeps its
  /// stripes: they divide the rows.
  Result<std::vector<SplitState>> Discover() override {
    std::vector<SplitState> splits;
    discovered_ = true;
    if (restored_) return splits;
    for (uint32_t task = 0; task < parallelism_; ++task) {
      const StripePosition position{.next = task * settings_->block_rows,
                                    .stripe = task,
                                    .stripes = parallelism_,
                                    .block_rows = settings_->block_rows};
      std::string id;
      for (int salt = 0;; ++salt) {
        id = "stripe-" + std::to_string(task) + "-" + std::to_string(salt);
        if (TaskOfSplit(id, parallelism_).value == task) break;
      }
      splits.push_back({.id = std::move(id), .position = position.ToText()});
    }
    return splits;
  }
  bool complete() const override { return discovered_; }

 private:
  const std::shared_ptr<const GeneratorSettings> settings_;
  bool restored_ = false;
  bool discovered_ = false;
  uint32_t parallelism_ = 1;
};

class GeneratorSource final : public Source {
 public:
  explicit GeneratorSource(std::shared_ptr<const GeneratorSettings> settings)
      : settings_(std::move(settings)), scope_(ScopeSchema(), kBlockRowsMax) {}

  Status Open(NodeContext& context) override {
    context_ = &context;
    return Status::Ok();
  }
  Status Add(std::span<const SplitState> splits) override {
    for (const SplitState& split : splits) {
      WEIR_ASSIGN(const StripePosition position, StripePosition::Parse(split.position));
      stripes_.push_back(position);
    }
    return Status::Ok();
  }
  Result<Step> Poll(SourceOutput& out) override {
    int64_t wanted = out.rows_wanted();
    bool any = false;
    for (size_t turn = 0; turn < stripes_.size() && wanted > 0; ++turn) {
      const size_t stripe = next_stripe_++ % stripes_.size();
      const SplitIndex split{static_cast<uint32_t>(stripe)};
      if (out.paused(split)) continue;
      WEIR_ASSIGN(const int64_t made, Generate(stripes_[stripe], split, wanted, out));
      wanted -= made;
      any = any || made > 0;
    }
    return any ? Step::Done() : Step::Wait(0);
  }

 private:
  bool AtEnd(const StripePosition& stripe) const {
    return settings_->rows && stripe.next >= *settings_->rows;
  }

  Result<int64_t> Generate(StripePosition& stripe, SplitIndex split, int64_t wanted,
                           SourceOutput& out) {
    int64_t made = 0;
    RowBuilder& rows = out.Rows(split);
    while (made < wanted && !AtEnd(stripe) && !rows.full()) {
      int64_t count = std::min(stripe.BlockLeft(), wanted - made);
      if (settings_->rows) count = std::min(count, *settings_->rows - stripe.next);
      WEIR_TRY(GenerateRows(stripe, count, rows));
      stripe.Advance(count);
      made += count;
    }
    out.Report(split, stripe.ToText(), AtEnd(stripe) ? SplitStatus::kEnded : SplitStatus::kBehind);
    return made;
  }

  /// Rows [next, next + count) of one block. The whole block is computed, so that a row does not
  /// depend on where a batch was cut.
  Status GenerateRows(const StripePosition& stripe, int64_t count, RowBuilder& rows) {
    const int64_t first = stripe.next - stripe.next % stripe.block_rows;
    const auto skipped = static_cast<uint32_t>(stripe.next - first);
    const int64_t now = context_->processing_time().us;
    for (int64_t row = 0; row < stripe.block_rows; ++row) {
      scope_.column(0).Append<int64_t>(now);
      scope_.column(1).Append<int64_t>(first + row);
      scope_.FinishRow();
    }
    const Batch batch = scope_.Build();
    for (size_t i = 0; i < settings_->columns.size(); ++i) {
      const GeneratorColumn& column = settings_->columns[i];
      std::string seed;
      ByteWriter writer(seed);
      writer.Fixed(settings_->seed);
      writer.Fixed(first);
      writer.Fixed(column.number);
      RandomStream random(Hash64(seed));
      RowErrors errors;
      const Column values = column.expression.Evaluate(batch, errors, &random);
      const Validity valid = values.Valid();
      for (uint32_t row = skipped; row < skipped + count; ++row) {
        if (errors.Has(row) || (!column.field.nullable && !valid[row])) {
          return Status(
              Code::kBadRecord,
              "field '" + column.field.name + "' of row " + std::to_string(first + row) +
                  (errors.Has(row) ? " cannot be computed: " + errors.errors().front().message
                                   : " is NULL, but its column is not nullable"));
        }
        rows.column(i).AppendFrom(values, row);
      }
    }
    rows.FinishRows(static_cast<uint32_t>(count));
    return Status::Ok();
  }

  const std::shared_ptr<const GeneratorSettings> settings_;
  NodeContext* context_ = nullptr;
  std::vector<StripePosition> stripes_;  // by SplitIndex
  size_t next_stripe_ = 0;
  RowBuilder scope_;
};

void Infer(NodeConfig& config, NodeShape& shape) {
  config.InferSource(shape, {});
  const std::vector<SourceColumn> declared = config.DeclaredColumns("schema");
  const Json& fields = config.json("fields");
  if (config.failed() || !fields.is_object()) return;
  for (const SourceColumn& column : declared) {
    if (column.wire != WireType::kDefault)
      config.Error("schema/" + PointerToken(column.field.name), "W0204",
                   "a generator makes timestamps as such: write 'timestamp'");
    if (fields.contains(column.field.name)) {
      BindField(config, column.field);
    } else {
      config.Error("fields", "W0202", "column '" + column.field.name + "' has no expression");
    }
  }
  for (const auto& [name, text] : fields.items()) {
    const bool known =
        std::any_of(declared.begin(), declared.end(),
                    [&](const SourceColumn& column) { return column.field.name == name; });
    if (!known)
      config.Error("fields/" + PointerToken(name), "W0201",
                   "'" + name + "' is no column of 'schema'");
  }
  if (shape.source) {
    shape.source->bounded = config.Has("rows");
    if (!shape.source->rate_per_second) shape.source->rate_per_second = kRateDefault;
  }
}

Result<SourceParts> Create(const NodeConfig& config, const NodeShape& shape) {
  auto settings = std::make_shared<GeneratorSettings>();
  const std::vector<SourceColumn> declared = config.DeclaredColumns("schema");
  for (const SourceColumn& column : shape.source->columns) {
    const auto place = std::find_if(declared.begin(), declared.end(), [&](const SourceColumn& one) {
      return one.field.name == column.field.name;
    });
    settings->columns.push_back({.field = column.field,
                                 .expression = BindField(config, column.field),
                                 .number = static_cast<uint64_t>(place - declared.begin())});
    if (!settings->columns.back().expression)
      return Status(Code::kInvalidArgument,
                    "field '" + column.field.name + "' has no sound expression");
  }
  settings->seed = static_cast<uint64_t>(config.Int("seed"));
  if (config.Has("rows")) settings->rows = config.Int("rows");
  settings->block_rows = BlockRows(shape.source->rate_per_second.value_or(kRateDefault));
  const std::shared_ptr<const GeneratorSettings> shared = std::move(settings);
  return SourceParts{
      .source = [shared] { return std::make_unique<GeneratorSource>(shared); },
      .enumerator = [shared] { return std::make_unique<GeneratorEnumerator>(shared); }};
}

}  // namespace

void RegisterGeneratorSource(Registry& registry) {
  registry.Add(
      {.name = "generator_source",
       .doc = "Makes rows from expressions: examples, tests, load.",
       .options =
           {
               {.name = "fields",
                .type = OptionType::kExpressionMap,
                .doc = "An expression for each column, over random_* functions, `_processing_time` "
                       "and `_offset`, the number of the row.",
                .required = true},
               {.name = "rate",
                .type = OptionType::kRate,
                .doc = "Rows a second, all tasks together.",
                .fallback = kRateDefaultText},
               {.name = "rows",
                .type = OptionType::kInt,
                .doc = "Ends after this many rows.",
                .unit = "rows",
                .allowed = "0..9223372036854775807",
                .substitute = true},
               {.name = "seed",
                .type = OptionType::kInt,
                .doc = "Equal seeds make equal rows.",
                .fallback = "1",
                .allowed = "0..9223372036854775807",
                .substitute = true},
           },
       .inputs = {.least = 0, .most = 0},
       .infer = Infer,
       .create = Create,
       .example =
           R"json({"type": "generator_source", "rate": "200/s", "schema": {"device": "string", "celsius": "float64"},
 "fields": {"device": "'d' || random_int(1, 5)::string", "celsius": "random_normal(20, 8)"}})json"});
}

}  // namespace weir
