// kafka_sink, at least once: records go into the client's queue without blocking; a checkpoint is
// prepared when all of them are delivered. With `write: upsert` a repeated result replaces itself.
// Exactly once, by transactions behind a log of its own, is planned.

#include <algorithm>
#include <atomic>

#include "connectors/formats/json_writer.h"
#include "connectors/sink_shape.h"
#include "engine/api/memory.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"
#include "engine/base/log.h"

namespace weir {
namespace {

constexpr Duration kAdminDeadline = Seconds(10);
constexpr Duration kProbeDeadline = Seconds(5);
// Of the client, one half for what records hold, one for what it keeps beside each.
constexpr size_t kQueueBytes = size_t{32} << 20, kQueueBytesLeast = size_t{1} << 20;
constexpr size_t kQueuedRecordBytes = 256;      // of the client, beside the record's own bytes
constexpr uint64_t kRecordOverheadBytes = 128;  // batch and record headers around a single record
constexpr uint64_t kMessageBytesLeast = 1000,
                   kMessageBytesMost = 1'000'000'000;  // what the client accepts as its limit
constexpr int64_t kLogEveryMs = 10'000;
constexpr std::string_view kLetterHeader = "weir.err.";

struct KafkaSinkSettings {
  KafkaConnection connection;
  std::string topic;
  bool create = false;
  int32_t partitions = 0, replication = 0;
  bool upsert = false;
  bool dead_letters = false;  // format dead_letter: raw, key and headers as they were
  std::vector<std::string> key;
  std::vector<std::pair<std::string, Expression>> headers;
  Expression timestamp;  // empty: event time, else the batch's processing time
};
using SettingsRef = std::shared_ptr<const KafkaSinkSettings>;

/// Headers of one record, as text that the views point into.
struct HeaderList {
  std::vector<std::string>
      texts;  // name, value, name, value ...; reserved before use, so that views stay
  std::vector<bool> present;
  std::vector<Header> views;

  void Clear() {
    texts.clear();
    present.clear();
  }
  void Add(std::string name, std::optional<std::string> value) {
    texts.push_back(std::move(name));
    present.push_back(value.has_value());
    texts.push_back(value ? *std::move(value) : std::string());
  }
  std::span<const Header> Views() {
    views.clear();
    for (size_t i = 0; i < present.size(); ++i) {
      views.push_back({texts[2 * i], present[i] ? std::optional<std::string_view>(texts[2 * i + 1])
                                                : std::nullopt});
    }
    return views;
  }
  size_t bytes() const {
    size_t bytes = 0;
    for (const std::string& text : texts) bytes += text.size() + 8;
    return bytes;
  }
};

std::string DecodeBase64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const size_t value = kDigits.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    bytes.push_back(static_cast<char>(bits >> have & 0xFF));
  }
  return bytes;
}

/// How many records may wait for their report: about a second of what the cluster takes, like the
/// credits of the engine's own channels. Else a slow cluster has the client's whole queue before
/// it, and each checkpoint waits until that is empty. It doubles at most once a period and shrinks
/// at once.
class InFlightWindow {
 public:
  /// How many more may be given away; never more than `records_max` are under way.
  uint64_t Room(const KafkaDeliveries& deliveries, Duration now, uint64_t records_max) {
    if (now - since_ >= kWindowPeriod) Adapt(deliveries.delivered, now);
    const uint64_t open = Open(deliveries);
    const uint64_t most = std::min(records_, records_max);
    return open >= most ? 0 : most - open;
  }
  static uint64_t Open(const KafkaDeliveries& deliveries) {
    return deliveries.sent - deliveries.delivered - deliveries.failed;
  }
  /// Records had to wait: only then says the rate what the cluster can take.
  void Hit() { hit_ = true; }

 private:
  static constexpr uint64_t kRecordsLeast = 1024;
  static constexpr Duration kWindowPeriod = Milliseconds(100);

  void Adapt(uint64_t delivered, Duration now) {
    if (hit_ && since_.us != 0) {
      const double seconds = static_cast<double>((now - since_).us) / 1e6;
      const auto a_second =
          static_cast<uint64_t>(static_cast<double>(delivered - delivered_) / seconds);
      records_ = std::max(kRecordsLeast, std::min(a_second, records_ * 2));
    }
    hit_ = false;
    since_ = now;
    delivered_ = delivered;
  }

  uint64_t records_ = kRecordsLeast;
  bool hit_ = false;
  Duration since_{};
  uint64_t delivered_ = 0;  // at since_
};

class KafkaSink final : public Sink {
 public:
  explicit KafkaSink(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(SinkContext& context, std::span<const LaneState>) override {
    context_ = &context;
    WEIR_ASSIGN(const std::unique_ptr<KafkaAdmin> admin,
                context.clients().MakeKafkaAdmin(settings_->connection));
    WEIR_TRY(FindTopic(*admin));
    WEIR_ASSIGN(record_bytes_max_, admin->MessageBytesMax(settings_->topic, kAdminDeadline));
    const size_t half =
        std::clamp(context.client_memory().target(), kQueueBytesLeast, kQueueBytes) / 2;
    queued_records_max_ = half / kQueuedRecordBytes;
    queued_bytes_max_ = half;
    // The client must take the largest record, or that would wait for ever; how much is queued,
    // this sink sees to.
    const uint64_t record_bytes = record_bytes_max_ == 0 ? kMessageBytesMost : record_bytes_max_;
    KafkaProducerConfig config{.connection = settings_->connection,
                               .transactional_id = {},
                               .queue_bytes = std::max<size_t>(half, record_bytes),
                               .delivery_timeout = {}};
    // The client refuses what the topic would, before it is queued and cannot be told apart any
    // more.
    if (record_bytes_max_ != 0) {
      config.connection.settings.try_emplace(
          "message.max.bytes",
          std::to_string(std::clamp(record_bytes_max_, kMessageBytesLeast, kMessageBytesMost)));
    }
    WEIR_ASSIGN(producer_, context.clients().MakeKafkaProducer(config, context.waker()));
    return Status::Ok();
  }

  Result<Step> Write(const Batch& batch, RowErrors& errors) override {
    WEIR_TRY(CheckDeliveries());
    RowErrors
        encoding;  // of rows that may be shown again: passed on only as far as this call comes
    rows_.Clear();
    if (!settings_->dead_letters) context_->encoder().Encode(batch, rows_, encoding);
    WEIR_TRY(Bind(batch));
    uint32_t row = 0;
    uint64_t room =
        window_.Room(producer_->deliveries(), context_->env().Steady(), queued_records_max_);
    for (; row < batch.rows(); ++row) {
      if (encoding.Has(row)) continue;
      if (room == 0) break;
      const Op op = op_ ? static_cast<Op>(op_->at<int32_t>(row)) : Op::kInsert;
      if (settings_->upsert && op == Op::kUpdateBefore) continue;
      Status status = Produce(row, settings_->upsert && op == Op::kDelete);
      if (status.ok()) {
        --room;
        continue;
      }
      if (status.code() == Code::kQueueFull) break;
      if (status.code() != Code::kLimit) return status.At("sink " + context_->node().id);
      errors.Add(row, RecordCode::kSinkTooLarge, status.message());
    }
    for (const RowError& error : encoding.errors()) {
      if (error.row < row) errors.Add(error.row, error.code, error.message);
    }
    AccountQueue(producer_->deliveries());
    if (row == batch.rows()) return Step::Done();
    window_.Hit();
    Degraded();
    return Step::Wait(row);
  }

  Status OnWake() override { return CheckDeliveries(); }

  void Prepare(CheckpointId) override { producer_->Flush(); }

  Result<std::optional<LaneState>> Prepared(CheckpointId) override {
    WEIR_TRY(CheckDeliveries());
    if (producer_->deliveries().flushing > 0) {
      Degraded();
      return std::optional<LaneState>();
    }
    return std::optional(LaneState{context_->lane(), ""});
  }
  void Abort(CheckpointId) override {}

  SinkProgress progress() const override {
    SinkProgress progress;
    const KafkaDeliveries deliveries = producer_->deliveries();
    progress.records_committed = deliveries.delivered;
    progress.records_failed = deliveries.failed;
    progress.bytes = bytes_;
    progress.bytes_waiting = producer_->bytes_queued();
    return progress;
  }

 private:
  Status FindTopic(KafkaAdmin& admin) {
    const std::vector<std::string> names = {settings_->topic};
    WEIR_ASSIGN(const std::vector<KafkaTopic> found, admin.Topics(names, kAdminDeadline));
    if (!found.empty()) return Status::Ok();
    if (!settings_->create) {
      return Status(Code::kNotFound,
                    "topic '" + settings_->topic + "' does not exist on " +
                        settings_->connection.brokers +
                        ": create it, or add \"create\": {\"partitions\": n} to the sink",
                    Fault::kUser, Retry::kNever);
    }
    WEIR_LOG(kInfo, "topic created", {"topic", settings_->topic},
             {"partitions", settings_->partitions});
    return admin.CreateTopic(settings_->topic, settings_->partitions, settings_->replication,
                             kAdminDeadline);
  }

  /// A record that was lost will not come again by itself: the attempt ends and goes back to the
  /// last checkpoint.
  Status CheckDeliveries() {
    WEIR_TRY(producer_->status());
    const KafkaDeliveries deliveries = producer_->deliveries();
    AccountQueue(deliveries);
    if (deliveries.failed == 0) return Status::Ok();
    return deliveries.first_error.At("sink " + context_->node().id +
                                     ": a record could not be delivered");
  }

  void AccountQueue(const KafkaDeliveries& deliveries) {
    MemoryAccount& account = context_->client_memory();
    const uint64_t bytes =
        producer_->bytes_queued() + InFlightWindow::Open(deliveries) * kQueuedRecordBytes;
    account.Use(static_cast<int64_t>(bytes) - static_cast<int64_t>(account.used()));
  }

  void Degraded() {
    const std::string reason = producer_->last_error();
    if (!reason.empty())
      WEIR_LOG_EVERY_MS(kLogEveryMs, kWarn, "sink waits for Kafka",
                        {"node_id", context_->node().id}, {"reason", reason});
  }

  Status Bind(const Batch& batch) {
    const Schema& schema = batch.schema();
    const auto bound = [&](std::string_view name) -> std::optional<BoundColumn> {
      const std::optional<ColumnIndex> column = schema.Find(name);
      return column ? std::optional(BoundColumn(batch, *column)) : std::nullopt;
    };
    op_ = bound(kOpColumn);
    event_time_ = bound(kEventTimeColumn);
    if (settings_->dead_letters) {
      letter_.clear();
      for (const Field& field : schema.fields()) {
        if (!IsMetadataColumn(field.name)) letter_.emplace_back(field.name, *bound(field.name));
      }
      return Status::Ok();
    }
    if (settings_->key.size() == 1) key_ = bound(settings_->key.front());
    if (settings_->key.size() > 1) {
      if (key_writer_ == nullptr) {
        std::vector<ColumnIndex> columns;
        for (const std::string& name : settings_->key) columns.push_back(*schema.Find(name));
        key_writer_ =
            std::make_unique<JsonRowWriter>(schema, std::move(columns), JsonWriterOptions{});
      }
      key_writer_->Bind(batch);
    }
    RowErrors unread;  // a header or time that cannot be computed is NULL
    headers_.clear();
    for (const auto& [name, expression] : settings_->headers)
      headers_.push_back(expression.Evaluate(batch, unread));
    if (settings_->timestamp) times_ = settings_->timestamp.Evaluate(batch, unread);
    return Status::Ok();
  }

  int64_t TimestampMs(uint32_t row) const {
    int64_t us = context_->processing_time().us;
    if (settings_->timestamp) {
      if (times_.Valid()[row]) us = times_.Values<int64_t>()[row];
    } else if (event_time_ && event_time_->valid[row]) {
      us = event_time_->at<int64_t>(row);
    }
    // The client takes 0 for "now", the broker refuses negative times.
    return std::max<int64_t>(1, us / 1000);
  }

  Status Produce(uint32_t row, bool tombstone) {
    KafkaRecord record;
    record.topic = settings_->topic;
    record.timestamp_ms = TimestampMs(row);
    list_.Clear();
    if (settings_->dead_letters) {
      FillLetter(row, record);
    } else {
      if (key_ && key_->valid[row]) {
        key_text_.clear();
        if (key_->kind == TypeKind::kBytes) {
          key_text_.append(key_->at<Utf8View>(row).view());
        } else {
          AppendValueText(*key_, row, key_text_);
        }
        record.key = key_text_;
      } else if (key_writer_ != nullptr) {
        key_text_.clear();
        key_writer_->AppendRow(row, key_text_);
        record.key = key_text_;
      }
      if (!tombstone) record.value = rows_.row(row);
      for (size_t i = 0; i < headers_.size(); ++i) {
        const bool valid = headers_[i].Valid()[row];
        list_.Add(settings_->headers[i].first,
                  valid ? std::optional(std::string(headers_[i].Values<Utf8View>()[row].view()))
                        : std::nullopt);
      }
    }
    record.headers = list_.Views();
    const size_t bytes =
        record.key.value_or("").size() + record.value.value_or("").size() + list_.bytes();
    if (record_bytes_max_ != 0 && bytes + kRecordOverheadBytes > record_bytes_max_) {
      return Status(Code::kLimit, "the record has " + std::to_string(bytes) + " bytes, topic '" +
                                      settings_->topic + "' takes " +
                                      std::to_string(record_bytes_max_) + " (max.message.bytes)");
    }
    // A record larger than the share goes alone: with nothing under way no report would wake it.
    const uint64_t queued = producer_->bytes_queued();
    if (queued > 0 && queued + bytes > queued_bytes_max_)
      return Status(Code::kQueueFull, "the sink's share is queued", Fault::kExternal,
                    Retry::kBackoff);
    WEIR_TRY(producer_->Produce(record));
    bytes_ += bytes;
    return Status::Ok();
  }

  /// The undecoded record as it was, and why it is here.
  void FillLetter(uint32_t row, KafkaRecord& record) {
    for (const auto& [name, column] : letter_) {
      const bool valid = column.valid[row];
      if (name == "raw") {
        if (valid) record.value = column.at<Utf8View>(row).view();
      } else if (name == "key") {
        if (valid) record.key = column.at<Utf8View>(row).view();
      } else if (name == "headers") {
        if (valid) AddOriginalHeaders(column.at<Utf8View>(row).view());
      } else if (valid) {
        std::string text;
        AppendValueText(column, row, text);
        list_.Add(std::string(kLetterHeader) + name, std::move(text));
      }
    }
  }

  void AddOriginalHeaders(std::string_view json) {
    const Result<Json> headers = ParseJson(json);
    if (!headers.ok() || !headers->is_array()) return;
    for (const Json& header : *headers) {
      if (!header.is_array() || header.size() != 2 || !header[0].is_string()) continue;
      std::string name = header[0].get<std::string>();
      // Of an earlier trip: replaced by this one's.
      if (name.starts_with(kLetterHeader)) continue;
      list_.Add(std::move(name),
                header[1].is_string()
                    ? std::optional(DecodeBase64(header[1].get_ref<const std::string&>()))
                    : std::nullopt);
    }
  }

  const SettingsRef settings_;
  SinkContext* context_ = nullptr;
  std::unique_ptr<KafkaProducer> producer_;
  uint64_t record_bytes_max_ = 0;                           // of the topic; 0: unknown
  uint64_t queued_records_max_ = 0, queued_bytes_max_ = 0;  // the sink's share of the memory
  uint64_t bytes_ = 0;
  EncodedRows rows_;
  // Of the batch in hand.
  InFlightWindow window_;
  std::optional<BoundColumn> op_, event_time_, key_;
  std::unique_ptr<JsonRowWriter> key_writer_;
  std::vector<Column> headers_;
  Column times_;
  std::vector<std::pair<std::string, BoundColumn>> letter_;
  std::string key_text_;
  HeaderList list_;
};

void Infer(NodeConfig& config, NodeShape& shape) {
  shape.client_queue_bytes = kQueueBytes;
  InferSink(config, shape,
            {.upsert = true,
             .changelog = true,
             .exactly_once_planned = true,
             .visibility = "visible in milliseconds"});
  if (!config.inputs_known() || config.inputs() == 0) return;
  const PortShape& input = config.input(Port{0});
  for (size_t i = 0; i < config.Strings("key").size(); ++i) {
    const std::string name = config.Strings("key")[i];
    if (!input.schema->Find(name))
      config.Error("key/" + std::to_string(i), "W0412", "column '" + name + "' does not exist",
                   "columns of the input: " + input.schema->ToString());
    shape.uses.insert(name);
  }
  const auto use = [&](const Expression& expression) {
    for (const ColumnIndex column : expression.columns())
      shape.uses.insert(input.schema->field(column).name);
  };
  const Json headers = config.json("headers").is_object() ? config.json("headers") : Json::object();
  for (const auto& [name, text] : headers.items()) {
    const std::string path = "headers/" + PointerToken(name);
    const Expression expression = config.expression(path);
    if (!expression) continue;
    if (!expression.type().is_text())
      config.Error(path, "W0422",
                   "a header is string or bytes, this is " + expression.type().ToString(),
                   "write CAST(... AS string)");
    use(expression);
  }
  if (config.Has("timestamp")) {
    const Expression expression = config.expression("timestamp");
    if (expression && expression.type().kind != TypeKind::kTimestamp)
      config.Error("timestamp", "W0422",
                   "a timestamp is expected, this is " + expression.type().ToString());
    if (expression) use(expression);
  } else if (input.has_event_time) {
    shape.uses.insert(std::string(kEventTimeColumn));
  }
}

Result<SinkParts> Create(const NodeConfig& config, const NodeShape& shape) {
  auto settings = std::make_shared<KafkaSinkSettings>();
  WEIR_ASSIGN(settings->connection, config.Kafka("connection"));
  settings->topic = config.Text("topic");
  settings->create = config.Has("create");
  if (settings->create) {
    settings->partitions = static_cast<int32_t>(config.Int("create/partitions"));
    settings->replication = config.Has("create/replication")
                                ? static_cast<int32_t>(config.Int("create/replication"))
                                : 0;
  }
  settings->upsert = config.Text("write") == "upsert";
  settings->dead_letters = config.json("format/type") == "dead_letter";
  settings->key = config.Strings("key");
  const Json& headers = config.json("headers");
  if (headers.is_object()) {
    for (const auto& [name, text] : headers.items())
      settings->headers.emplace_back(name, config.expression("headers/" + PointerToken(name)));
  }
  if (config.Has("timestamp")) settings->timestamp = config.expression("timestamp");
  const SettingsRef shared = std::move(settings);
  return SinkParts{.sink = [shared] { return std::make_unique<KafkaSink>(shared); },
                   .protocol = {},
                   .guarantee = shape.guarantee};
}

void Probe(const NodeConfig& config, const NodeShape&, Clients& clients, Env&, Problems& problems) {
  const auto report = [&](std::string_view path, std::string code, std::string message,
                          std::string help) {
    Problem problem;
    problem.code = std::move(code);
    problem.message = std::move(message);
    problem.pointer = config.pointer(path);
    problem.help = std::move(help);
    problem.node_id = config.id();
    problems.Add(std::move(problem));
  };
  const Result<KafkaConnection> connection = config.Kafka("connection");
  if (!connection.ok()) return report("connection", "W0704", connection.status().message(), "");
  const Result<std::unique_ptr<KafkaAdmin>> admin = clients.MakeKafkaAdmin(*connection);
  if (!admin.ok()) return report("connection", "W0704", admin.status().message(), "");
  const std::vector<std::string> names = {config.Text("topic")};
  const Result<std::vector<KafkaTopic>> found = (*admin)->Topics(names, kProbeDeadline);
  if (!found.ok())
    return report("connection",
                  found.status().code() == Code::kPermissionDenied ? "W0703" : "W0702",
                  found.status().message(), "");
  if (found->empty() && !config.Has("create")) {
    report("topic", "W0701",
           "topic '" + names.front() + "' does not exist on " + connection->brokers,
           "create it, or add \"create\": {\"partitions\": n}");
  }
}

}  // namespace

void RegisterKafkaSink(Registry& registry) {
  registry.Add(
      {.name = "kafka_sink",
       .doc = "Writes rows as records of a topic of Apache Kafka, at least once.",
       .options =
           {
               {.name = "connection",
                .type = OptionType::kConnection,
                .doc = "Name of a connection.",
                .allowed = "kafka",
                .required = true},
               {.name = "topic", .doc = "The topic.", .required = true, .substitute = true},
               {.name = "format",
                .type = OptionType::kFormat,
                .doc = "Format of the values.",
                .required = true},
               {.name = "key",
                .type = OptionType::kColumns,
                .doc = "Columns of the key: one is written as text, several as a JSON object."},
               {.name = "headers",
                .type = OptionType::kExpressionMap,
                .doc = "Headers by name, string or bytes."},
               {.name = "timestamp",
                .type = OptionType::kExpression,
                .doc =
                    "Time of the record. Without it: the event time, else the time of processing."},
               {.name = "create",
                .type = OptionType::kObject,
                .doc = "Makes a missing topic.",
                .fields = {{.name = "partitions",
                            .type = OptionType::kInt,
                            .doc = "Number of partitions.",
                            .unit = "partitions",
                            .allowed = "1..100000",
                            .required = true},
                           {.name = "replication",
                            .type = OptionType::kInt,
                            .doc = "Copies of each partition. Without it: the broker's default.",
                            .unit = "copies",
                            .allowed = "1..32767"}}},
               {.name = "write",
                .type = OptionType::kEnum,
                .doc = "What a row does: append a record, replace the one of its key (delete: "
                       "tombstone), or be a change with `_op`.",
                .fallback = "append",
                .allowed = "append|upsert|changelog"},
               {.name = "wal",
                .type = OptionType::kObject,
                .doc = "What may wait for Kafka under exactly once.",
                .since = "planned"},
           },
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog | kUpsert},
       .infer = Infer,
       .probe = Probe,
       .create = Create,
       .example =
           R"({"type": "kafka_sink", "inputs": ["stats"], "connection": "main", "topic": "page_stats", "key": ["page"], "format": {"type": "json"},
 "write": "upsert", "create": {"partitions": 4}})"});
}

}  // namespace weir
