#pragma once
// Registry: the one source of node types and formats. An entry carries options, ports, schema
// inference, keys, states and factory; the validator, the JSON Schema, the reference pages, `weir
// explain` and the planner all read it, so adding a type touches nothing else. Filled
// once at start by the generated RegisterOperators / RegisterConnectors, then immutable; any
// thread.

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/api/clients.h"
#include "engine/api/format.h"
#include "engine/api/operator.h"
#include "engine/api/problems.h"
#include "engine/api/sink.h"
#include "engine/api/source.h"
#include "engine/api/state_backend.h"
#include "engine/base/json_fwd.h"
#include "engine/data/schema.h"
#include "engine/expr/expression.h"

namespace weir {

enum class OptionType : uint8_t {
  kBool,
  kInt,  // `allowed`: "1..32768"
  kFloat,
  kString,
  kName,           // [a-z][a-z0-9_]{0,62}
  kEnum,           // `allowed`: "a|b"; "x|planned:y" marks y as planned
  kDuration,       // `allowed`: "1ms..36500d"; a leading '-' only if `allowed` starts with "-"
  kDurationOrOff,  // "off" too
  kSize,
  kRate,
  kTimestamp,
  kExpression,
  kBoolExpression,
  kExpressionMap,  // ordered: column name -> expression
  kKeyList,        // key expressions
  kColumns,        // names of input columns
  kStringList,
  kStringMap,
  kSchema,      // name -> type text, or long form {type, from, description}
  kFormat,      // {type, ...}: checked against the format's own options
  kConnection,  // name of a connection; `allowed`: its type
  kObject,      // `fields`
  kVariant,     // object told apart by `type`: one of `variants`
  kJson,        // anything: checked by `infer`
};

struct Option {
  std::string_view name;
  OptionType type = OptionType::kString;
  std::string_view doc, unit = "";
  std::string_view fallback = "", allowed = "",
                   since = "1";  // fallback: as in a job file; since "planned": not in this version
  bool required = false, secret = false, substitute = false;
  std::vector<Option> fields = {};  // of kObject
  struct Variant {
    std::string_view name, doc;
    std::vector<Option> fields;
    bool planned = false;
  };
  std::vector<Variant> variants = {};  // of kVariant
};

enum StreamKind : uint8_t { kAppend = 1, kChangelog = 2, kUpsert = 4 };

/// One stream: schema with metadata columns, kind, unique key, time.
struct PortShape {
  SchemaRef schema;  // null: unknown, because the producer has an error: stay silent
  StreamKind kind = kAppend;
  std::vector<std::string> unique_key;  // of an updating stream; empty: none
  bool has_event_time = false;
  std::optional<std::vector<std::string>>
      partitioned_by;  // rows equal in these columns are made by one task; empty list: all by one
                       // task

  /// Columns of top-level `x IS NOT NULL` conjuncts become not null.
  PortShape NarrowedBy(const Expression& condition) const;
};

enum class WhenIdle : uint8_t { kExclude, kAdvance };
enum class OnFuture : uint8_t { kDrop, kFail, kSideOutput };
enum class OnError : uint8_t { kFail, kDrop, kSideOutput };

/// Sources and assign_event_time: the task makes watermarks of the output. An operator with it
/// declares as its first state the list in which the task saves how far its time had come
/// (`kMaxTsState`, `Spread::kUnion`): one item a task, and each restored task takes the least.
struct EventTimeSpec {
  Expression field;  // over the node's planned columns; empty: the record's own timestamp
  Duration max_delay{};
  Duration idle_timeout = Seconds(30);
  WhenIdle when_idle = WhenIdle::kExclude;
  std::optional<Duration> max_future_drift = Seconds(3600);
  OnFuture on_future = OnFuture::kDrop;
};

inline constexpr StateIndex kMaxTsState{0};

class NodeConfig;
struct NodeShape;
template <class T>
using Factory = Result<T> (*)(const NodeConfig&, const NodeShape&);

/// Combiner factory: the combiner runs in the producer's task, as part of the consuming node;
/// `context` offers node(), watermark(group), counters only.
struct CombineSpec {
  Schema partial;  // key columns, slice, accumulators, and last, int64, the number of rows that a
                   // partial row stands for
  Result<std::unique_ptr<Combiner>> (*create)(const NodeConfig&, const NodeShape&,
                                              OperatorContext& context) = nullptr;
};

/// What a source reads, beside NodeShape: for the task's decode step.
struct SourceShape {
  std::vector<SourceColumn>
      columns;  // the planned ones, in the order of the first columns of the output schema
  std::vector<std::string>
      metadata;  // metadata columns behind them, as planned: _event_time first if there is one
  std::optional<double> rate_per_second;
  bool bounded = false;
};

/// All that planner, validator and docs know of a configured node.
struct NodeShape {
  std::vector<PortShape> outputs;  // by Port number: main, late, errors, routes; a port without
                                   // schema does not exist. Sinks: none
  std::vector<std::string> port_names;  // "" main, "late", "errors", route names
  std::vector<std::optional<std::vector<Expression>>>
      keys;  // per input port, if keyed: hash exchange, Batch::keys(); empty list: a single key,
             // one task
  std::vector<std::string> key_names;  // of keys[0]
  std::vector<StateSpec> states;       // position = StateIndex
  std::optional<CombineSpec> combine;  // set: OnBatch sees partial rows only
  std::optional<EventTimeSpec> event_time;
  std::optional<SourceShape> source;
  std::set<std::string> uses;   // input columns that the node itself reads
  bool passes_through = false;  // its outputs carry the input's columns: what followers need is
                                // needed of the input too
  bool passes_metadata =
      false;  // its outputs carry the input's metadata columns only (project): likewise for those
  std::optional<uint32_t> parallelism_max;  // 1: a single task (print, aggregate without key)
  bool exact_conservation = true;           // classes of outcomes add up to the input
  Guarantee guarantee = Guarantee::kNone;   // sinks
  std::string visibility;  // sinks: "visible in milliseconds", "visible once per checkpoint"
  uint64_t client_queue_bytes = 0;  // what a task's client outside of the engine wants to queue

  /// Whether it keeps rows or timers by key. Lists do not count: a task's own few items.
  bool has_keyed_state() const;
};

struct InputRule {
  uint16_t least = 0, most = 0;
  uint8_t accepts = kAppend;  // StreamKind bits
  bool named = false;         // joins: {alias: port}
};
inline constexpr uint16_t kInputsMax = 1024;

struct NodeType {
  std::string_view name, doc;
  std::vector<Option> options = {};  // its own; `inputs`, `on_error`, `parallelism`, ... are added
  InputRule inputs = {};
  std::vector<std::string_view> ports = {};  // besides main: "late", "errors"; routes: by `infer`
  bool waits = false;                        // waits for an outside system: heads its chain
  bool planned = false;                      // known, not in this version
  void (*infer)(NodeConfig&, NodeShape&) =
      nullptr;  // pure, total: schemas, keys, states; reports every problem with its JSON pointer
  void (*probe)(const NodeConfig&, const NodeShape&, Clients&, Env&,
                Problems&) = nullptr;  // P  environment layer: topics, permissions, paths
  std::variant<std::monostate, Factory<std::unique_ptr<Operator>>, Factory<SourceParts>,
               Factory<SinkParts>>
      create = {};
  std::string_view example = "";  // a JSON node, for the reference page
  bool is_source() const { return std::holds_alternative<Factory<SourceParts>>(create); }
  bool is_sink() const { return std::holds_alternative<Factory<SinkParts>>(create); }
};

/// A format of sources and sinks.
struct FormatType {
  std::string_view name, doc;
  std::vector<Option> options = {};  // `max_record` is added to decoders
  bool planned = false;
  /// Empty: the format does not decode (encode).
  Result<std::unique_ptr<Decoder>> (*decoder)(const NodeConfig& node,
                                              const std::vector<SourceColumn>& columns) = nullptr;
  Result<std::unique_ptr<Encoder>> (*encoder)(const NodeConfig& node,
                                              const SchemaRef& schema) = nullptr;
  void (*check)(NodeConfig& node, const Schema& schema,
                bool decodes) = nullptr;  // shape rules of its own, at validation
};

class Registry {
 public:
  void Add(NodeType type);  // REQUIRES: a new name
  void AddFormat(FormatType type);
  const NodeType* Find(std::string_view name) const;
  const FormatType* FindFormat(std::string_view name) const;
  const std::vector<std::unique_ptr<NodeType>>& types() const { return types_; }
  const std::vector<std::unique_ptr<FormatType>>& formats() const { return formats_; }

 private:
  std::vector<std::unique_ptr<NodeType>> types_;
  std::vector<std::unique_ptr<FormatType>> formats_;
};

/// What all nodes of a job share while it is checked and run.
struct JobSettings {
  std::string name;
  std::vector<Scope::Parameter> parameters;
  std::shared_ptr<Json> connections;  // object: name -> options, substituted; secrets as
                                      // "${secret:...}" until Resolve
  std::string state_ttl_default;      // execution.state.default_ttl
  bool checkpoints = true;
  bool exactly_once = true;  // checkpoint.mode
  Duration checkpoint_interval = Seconds(10);
  size_t record_bytes_max = size_t{1} << 20;  // the job's largest max_record
  /// Of a row on its way: a node that makes a larger one makes a bad record, `expression.limit`.
  uint64_t row_bytes_max() const { return uint64_t{4} * record_bytes_max; }
  std::vector<std::string> allowed_paths;  // file connectors only below these; empty: none
  /// `${secret:name/key}` -> text, on the worker only. kNotFound names the reference, never a
  /// value.
  Result<std::string> (*resolve_secret)(std::string_view reference, const void* context) = nullptr;
  const void* secret_context = nullptr;
};

/// One node of a job as its entry's functions see it: options by name (substituted, defaults filled
/// in, shapes checked), inputs, expressions on demand. infer gets it mutable and may report
/// problems; create and probe get it const, after validation, from any thread.
class NodeConfig {
 public:
  struct Input {
    std::string alias;  // node id, or alias of a join
    PortShape shape;
  };
  NodeConfig(const Registry& registry, const NodeType& type, std::string id, Json options,
             std::vector<Input> inputs, std::shared_ptr<const JobSettings> job, Problems* problems);

  const std::string& id() const { return id_; }
  const NodeType& type() const { return *type_; }
  const JobSettings& job() const { return *job_; }
  const Registry& registry() const { return *registry_; }
  std::string pointer(std::string_view below = "") const;  // "/nodes/<id>/<below>"

  /// Input ports. All entries of an `inputs` array are one port (a union of equal columns); only
  /// joins ({alias: port}) have more.
  size_t inputs() const { return inputs_.size(); }
  const PortShape& input(Port port) const { return inputs_[port.value].shape; }
  const std::string& alias(Port port) const { return inputs_[port.value].alias; }
  bool inputs_known() const;  // every input has a schema

  // Options by name, or by path "window/size", "routes/" + PointerToken(name). REQUIRES: declared
  // with that type (own or common: engine/api/options.h). Without a value and a fallback: Has is
  // false. Several `inputs` of a type without named ones are one port: a union, already checked and
  // merged.
  bool Has(std::string_view path) const;
  const Json& json(std::string_view path) const;  // null if absent
  bool Bool(std::string_view path) const;
  int64_t Int(std::string_view path) const;
  double Float(std::string_view path) const;
  std::string Text(std::string_view path) const;
  Duration DurationOf(std::string_view path) const;
  std::optional<Duration> DurationUnlessOff(std::string_view path) const;
  uint64_t SizeOf(std::string_view path) const;  // bytes
  double RateOf(std::string_view path) const;    // per second
  std::vector<std::string> Strings(std::string_view path) const;

  OnError on_error() const;
  Scope scope() const;  // inputs and parameters
  /// The expression at `path`, bound against scope(). Empty after a problem (already reported).
  Expression expression(std::string_view path) const;
  Expression Bind(std::string_view path, const Scope& scope, const BindOptions& options) const;
  std::optional<BoundKey> Key(std::string_view path, const Scope& scope) const;
  AggregateResult Aggregate(std::string_view path, const AggregateScope& scope,
                            const BindOptions& options, std::vector<AggregateCall>& calls) const;
  void Report(std::string_view path, const std::vector<ExpressionProblem>& problems) const;

  void Error(std::string_view path, std::string code, std::string message,
             std::string help = "") const;
  void Warn(std::string_view path, std::string code, std::string message,
            std::string help = "") const;
  void Add(Problem problem) const;
  bool failed() const { return failed_; }

  // Sources.
  /// Second pass: whether a column of the output is read by anybody. First pass: always true.
  bool wanted(std::string_view column) const {
    return wanted_ == nullptr || wanted_->contains(std::string(column));
  }
  void SetWanted(std::shared_ptr<const std::set<std::string>> columns) {
    wanted_ = std::move(columns);
  }
  /// Columns of the option `schema`, problems reported.
  std::vector<SourceColumn> DeclaredColumns(std::string_view path) const;
  /// Schema, metadata columns, event time of a source from `schema`, `event_time`, `on_future`;
  /// `metadata`: those the source can fill.
  void InferSource(NodeShape& shape, const std::vector<std::string>& metadata) const;
  /// The port `errors` with the columns of an error row, if on_error or on_future asks for it.
  /// Called by the engine for every node after infer.
  static SchemaRef ErrorsSchema();

  Result<std::unique_ptr<Decoder>> MakeDecoder(
      const std::vector<SourceColumn>& columns) const;  // by the option `format`
  Result<std::unique_ptr<Encoder>> MakeEncoder(const SchemaRef& schema) const;
  /// The connection named by option `path`, secrets resolved. Properties are checked at validation.
  Result<KafkaConnection> Kafka(std::string_view path) const;

 private:
  const Registry* registry_;
  const NodeType* type_;
  std::string id_;
  std::shared_ptr<const Json> options_;
  std::vector<Input> inputs_;
  std::shared_ptr<const JobSettings> job_;
  Problems* problems_;  // null after validation
  std::shared_ptr<const std::set<std::string>> wanted_;
  mutable bool failed_ = false;
};

}  // namespace weir
