#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "connectors/in_process_kafka.h"
#include "engine/base/json.h"
#include "engine/data/row_builder.h"
#include "tests/connectors/kafka_rig.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

/// A sink of rows "id int64, name string?, _event_time timestamp" with an op column if the stream
/// is updating.
struct SinkRun {
  SinkRun(KafkaRig& rig, const std::string& options, SchemaRef schema, StreamKind kind,
          std::vector<std::string> key)
      : node(MakeNode("kafka_sink", options,
                      {.connections = rig.connections,
                       .input = schema,
                       .kind = kind,
                       .unique_key = std::move(key)})) {
    if (node->problems.has_errors()) return;
    context = std::make_unique<TestSinkContext>(
        *rig.env, rig.clients.get(), node->config->MakeEncoder(schema).value(), LaneId{0});
    sink = std::get<Factory<SinkParts>>(node->config->type().create)(*node->config, node->shape)
               .value()
               .sink();
  }
  void Write(const Batch& batch, RowErrors& errors) {
    Batch rest = batch;
    ASSERT_TRUE(WaitFor([&] {
      const Result<Step> step = sink->Write(rest, errors);
      EXPECT_TRUE(step.ok()) << step.status().ToString();
      if (!step.ok() || step->kind == Step::kDone) return true;
      rest = rest.Slice(step->rows_done, rest.rows() - step->rows_done);
      return false;
    }));
  }
  Status Checkpoint(uint64_t n) {
    sink->Prepare(CheckpointId{n});
    Status status;
    const bool in_time = WaitFor([&] {
      const Result<std::optional<LaneState>> state = sink->Prepared(CheckpointId{n});
      status = state.status();
      return !state.ok() || state->has_value();
    });
    return in_time ? status : Status(Code::kTimedOut, "never prepared");
  }

  std::unique_ptr<TestNode> node;
  std::unique_ptr<TestSinkContext> context;
  std::unique_ptr<Sink> sink;
};

Batch Rows(const SchemaRef& schema, int first, int count, std::vector<Op> ops) {
  RowBuilder rows(schema, 100'000, size_t{1} << 30);
  for (int i = 0; i < count; ++i) {
    rows.column(0).Append<int64_t>(first + i);
    rows.column(1).AppendString("name " + std::to_string(first + i));
    rows.column(2).Append<int64_t>((1'700'000'000'000 + first + i) * 1000);
    if (schema->size() > 3)
      rows.column(3).Append<int32_t>(
          static_cast<int32_t>(ops[static_cast<size_t>(i) % ops.size()]));
    rows.FinishRow();
  }
  return rows.Build();
}

std::vector<TestSourceOutput::Copied> ReadBack(KafkaRig& rig, const std::string& topic) {
  SourceRun run(
      rig,
      R"({"connection": "main", "topics": [")" + topic +
          R"("], "format": {"type": "raw"}, "schema": {"value": "string"}, "stop_at": "latest", "on_null_value": "error"})");
  EXPECT_TRUE(run.Start({}).ok());
  EXPECT_TRUE(run.PollUntil([&] { return run.AllEnded(); }).ok());
  return run.out.records;
}

std::string Options(const std::string& topic, const std::string& more) {
  return R"({"connection": "main", "topic": ")" + topic + R"(", "format": {"type": "json"})" +
         (more.empty() ? "" : ", " + more) + "}";
}

TEST(KafkaSink, CreatesTheTopicAndDeliversBeforeACheckpointIsPrepared) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("sink");
  const SchemaRef schema = SchemaOf("id int64, name string, _event_time timestamp");
  SinkRun run(rig, Options(topic, R"("key": ["id"], "create": {"partitions": 3})"), schema, kAppend,
              {});
  ASSERT_EQ(run.node->Messages(), "");
  EXPECT_EQ(run.node->shape.guarantee, Guarantee::kAtLeastOnce);
  ASSERT_TRUE(run.sink->Open(*run.context, {}).ok());
  RowErrors errors;
  for (int i = 0; i < 10; ++i) run.Write(Rows(schema, i * 500, 500, {}), errors);
  const Status status = run.Checkpoint(1);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(run.sink->progress().records_committed, 5000U);
  const auto records = ReadBack(rig, topic);
  ASSERT_THAT(records, SizeIs(5000));
  std::map<std::string, std::string> by_key;
  for (const auto& record : records) by_key[record.key] = record.value;
  EXPECT_THAT(by_key, SizeIs(5000));
  EXPECT_EQ(by_key["4711"], R"({"id":4711,"name":"name 4711"})");
  for (const auto& record : records)
    EXPECT_EQ(record.timestamp.us / 1000, 1'700'000'000'000 + std::stoll(record.key));
}

TEST(KafkaSink, WritesUpsertsTombstonesAndChangelogs) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const SchemaRef schema = SchemaOf("id int64, name string, _event_time timestamp, _op int32");
  const std::vector<Op> ops = {Op::kInsert, Op::kUpdateBefore, Op::kUpdateAfter, Op::kDelete};
  RowErrors errors;
  const std::string upserts = UniqueTopic("upserts");
  SinkRun upsert(
      rig, Options(upserts, R"("key": ["id"], "write": "upsert", "create": {"partitions": 1})"),
      schema, kChangelog, {"id"});
  ASSERT_EQ(upsert.node->Messages(), "");
  EXPECT_EQ(upsert.node->shape.guarantee, Guarantee::kEffectivelyOnce);
  ASSERT_TRUE(upsert.sink->Open(*upsert.context, {}).ok());
  upsert.Write(Rows(schema, 0, 4, ops), errors);
  ASSERT_TRUE(upsert.Checkpoint(1).ok());
  auto records = ReadBack(rig, upserts);
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_EQ(records[0].value, R"({"id":0,"name":"name 0"})");
  EXPECT_EQ(records[1].key, "2");
  EXPECT_TRUE(records[2].null_value);
  EXPECT_EQ(records[2].key, "3");

  const std::string changes = UniqueTopic("changes");
  SinkRun changelog(
      rig,
      Options(
          changes,
          R"("key": ["id", "name"], "write": "changelog", "create": {"partitions": 1}, "headers": {"who": "name"})"),
      schema, kChangelog, {"id"});
  ASSERT_EQ(changelog.node->Messages(), "");
  ASSERT_TRUE(changelog.sink->Open(*changelog.context, {}).ok());
  changelog.Write(Rows(schema, 0, 4, ops), errors);
  ASSERT_TRUE(changelog.Checkpoint(1).ok());
  records = ReadBack(rig, changes);
  ASSERT_THAT(records, SizeIs(4));
  EXPECT_EQ(records[1].value, R"({"id":1,"name":"name 1","_op":"update_before"})");
  EXPECT_EQ(records[3].key, R"({"id":3,"name":"name 3"})");
  EXPECT_THAT(records[3].headers,
              ElementsAre(std::pair<std::string, std::string>("who", "name 3")));
}

TEST(KafkaSink, BooksWhatItsClientHoldsAndKeepsWithinItsPart) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("booked");
  const SchemaRef schema = SchemaOf("id int64, name string, _event_time timestamp");
  SinkRun run(rig, Options(topic, R"("create": {"partitions": 1})"), schema, kAppend, {});
  ASSERT_EQ(run.node->Messages(), "");
  EXPECT_GT(run.node->shape.client_queue_bytes, size_t{1} << 20);
  const TestAccount& account = run.context->client_account;
  run.context->client_account.most = size_t{1} << 20;
  ASSERT_TRUE(run.sink->Open(*run.context, {}).ok());
  EXPECT_EQ(account.used(), 0U);
  RowErrors errors;
  size_t most = 0;
  Batch rest = Rows(schema, 0, 20'000, {});
  ASSERT_TRUE(WaitFor([&] {
    const Result<Step> step = run.sink->Write(rest, errors);
    EXPECT_TRUE(step.ok()) << step.status().ToString();
    most = std::max(most, account.used());
    if (!step.ok() || step->kind == Step::kDone) return true;
    rest = rest.Slice(step->rows_done, rest.rows() - step->rows_done);
    return false;
  }));
  EXPECT_GT(most, 0U);
  EXPECT_LE(most, account.target());
  ASSERT_TRUE(run.Checkpoint(1).ok());
  EXPECT_EQ(account.used(), 0U) << "all is delivered";
  EXPECT_EQ(run.sink->progress().records_committed, 20'000U);
}

/// Rows whose names have these sizes.
Batch RowsOfSizes(const SchemaRef& schema, const std::vector<size_t>& sizes) {
  RowBuilder rows(schema, 1000, size_t{1} << 30);
  for (const size_t size : sizes) {
    rows.column(0).Append<int64_t>(static_cast<int64_t>(size));
    rows.column(1).AppendString(std::string(size, 'x'));
    rows.column(2).Append<int64_t>(1'700'000'000'000'000);
    rows.FinishRow();
  }
  return rows.Build();
}

// The client has to take the largest record that the topic does, and would queue as much of small
// ones.
TEST(KafkaSink, QueuesNoMoreThanItsShareHoweverLargeARecordMayBe) {
  constexpr size_t kShare = size_t{1} << 20, kRecord = 100'000, kLarge = 3'000'000;
  const std::unique_ptr<InProcessKafka> in_process = InProcessKafka::Start().value();
  // The second one tells no limit.
  for (const std::string& brokers : {SharedKafka().value().plaintext, in_process->brokers()}) {
    const bool told = brokers != in_process->brokers();
    SCOPED_TRACE(told ? "limit known" : "limit unknown");
    KafkaRig rig(brokers);
    const std::string topic = UniqueTopic("share");
    if (told) {
      rig.CreateTopic(topic, 1);
      rig.SetMessageBytesMax(topic, uint64_t{64} << 20);
    } else {
      ASSERT_TRUE(in_process->CreateTopic(topic, 1).ok());
    }
    const SchemaRef schema = SchemaOf("id int64, name string, _event_time timestamp");
    SinkRun run(rig, Options(topic, ""), schema, kAppend, {});
    ASSERT_EQ(run.node->Messages(), "");
    run.context->client_account.most = kShare;
    ASSERT_TRUE(run.sink->Open(*run.context, {}).ok());
    const auto most_used = [&](Batch rest) {
      size_t most = 0;
      RowErrors errors;
      EXPECT_TRUE(WaitFor([&] {
        const Result<Step> step = run.sink->Write(rest, errors);
        EXPECT_TRUE(step.ok()) << step.status().ToString();
        most = std::max(most, run.context->client_account.used());
        if (!step.ok() || step->kind == Step::kDone) return true;
        rest = rest.Slice(step->rows_done, rest.rows() - step->rows_done);
        return false;
      }));
      EXPECT_TRUE(errors.empty());
      return most;
    };
    const size_t most = most_used(RowsOfSizes(schema, std::vector<size_t>(60, kRecord)));
    EXPECT_GT(most, kRecord);
    EXPECT_LE(most, kShare);
    ASSERT_TRUE(run.Checkpoint(1).ok());
    EXPECT_EQ(run.sink->progress().records_committed, 60U);
    if (!told) continue;
    // One that is larger than the share goes through, alone.
    const size_t with_large = most_used(RowsOfSizes(schema, {kRecord, kLarge, kRecord}));
    EXPECT_GE(with_large, kLarge);
    EXPECT_LT(with_large, kLarge + kRecord);
    ASSERT_TRUE(run.Checkpoint(2).ok());
    EXPECT_EQ(run.sink->progress().records_committed, 63U);
  }
}

TEST(KafkaProducer, CountsAllThatItsQueuedRecordsHold) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("counted");
  rig.CreateTopic(topic, 1);
  const std::unique_ptr<KafkaProducer> producer =
      rig.clients
          ->MakeKafkaProducer({.connection = rig.connection, .transactional_id = {}}, Waker())
          .value();
  const std::vector<Header> headers = {{"trace", "0123456789"}, {"none", std::nullopt}, {"", ""}};
  KafkaRecord record;
  record.topic = topic;
  record.key = "key";
  record.value = "value";
  record.timestamp_ms = 1;
  record.headers = headers;
  ASSERT_TRUE(producer->Produce(record).ok());
  // Reports are collected by the next call that asks for them.
  EXPECT_EQ(producer->bytes_queued(), std::string_view("keyvaluetrace0123456789none").size());
  ASSERT_TRUE(WaitFor([&] { return producer->deliveries().delivered == 1; }));
  EXPECT_EQ(producer->bytes_queued(), 0U);
}

TEST(KafkaProducer, TakesARecordAsLargeAsItsQueue) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("full");
  rig.CreateTopic(topic, 1);
  rig.SetMessageBytesMax(topic, 4'000'000);
  // No multiple of what the client counts its queue in.
  constexpr size_t kQueueBytes = (size_t{1} << 20) + 1000;
  KafkaProducerConfig config{
      .connection = rig.connection, .transactional_id = {}, .queue_bytes = kQueueBytes};
  config.connection.settings["message.max.bytes"] = Secret("4000000");
  const std::unique_ptr<KafkaProducer> producer =
      rig.clients->MakeKafkaProducer(config, Waker()).value();
  const std::string value(kQueueBytes, 'x');
  KafkaRecord record;
  record.topic = topic;
  record.value = value;
  record.timestamp_ms = 1;
  const Status produced = producer->Produce(record);
  ASSERT_TRUE(produced.ok()) << produced.ToString();
  ASSERT_TRUE(WaitFor([&] { return producer->deliveries().delivered == 1; }));
}

TEST(KafkaSink, RefusesSingleRecordsThatTheTopicDoesNotTake) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("large");
  const SchemaRef schema = SchemaOf("id int64, name string, _event_time timestamp");
  SinkRun run(rig, Options(topic, R"("create": {"partitions": 1})"), schema, kAppend, {});
  ASSERT_TRUE(run.sink->Open(*run.context, {}).ok());
  RowErrors errors;
  run.Write(RowsOfSizes(schema, {10, 2'000'000, 20}), errors);
  ASSERT_THAT(errors.errors(), SizeIs(1));
  EXPECT_EQ(errors.errors()[0].row, 1U);
  EXPECT_EQ(errors.errors()[0].code, RecordCode::kSinkTooLarge);
  EXPECT_TRUE(run.Checkpoint(1).ok());
  EXPECT_THAT(ReadBack(rig, topic), SizeIs(2));
}

TEST(KafkaSink, WritesDeadLettersAsTheRecordsThatTheyWere) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("letters");
  const SchemaRef schema = NodeConfig::ErrorsSchema();
  SinkRun run(rig,
              R"({"connection": "main", "topic": ")" + topic +
                  R"(", "format": {"type": "dead_letter"}, "create": {"partitions": 1}})",
              schema, kAppend, {});
  ASSERT_EQ(run.node->Messages(), "");
  ASSERT_TRUE(run.sink->Open(*run.context, {}).ok());
  RowBuilder rows(schema, 16);
  const auto set = [&](std::string_view name) -> ColumnBuilder& {
    return rows.column(*schema->Find(name));
  };
  set("node_id").AppendString("clicks");
  set("code").AppendString("decode.json");
  set("message").AppendString("broken");
  set("event_time").AppendNull();
  set("topic").AppendString("in");
  set("partition").Append<int32_t>(3);
  set("offset").Append<int64_t>(42);
  set("key").AppendString("the key");
  set("headers").AppendString(R"([["trace","AP8="],["weir.err.code","b2xk"],["none",null]])");
  set("raw").AppendString("{broken");
  set("truncated").Append<uint8_t>(0);
  set("at").Append<int64_t>(1'700'000'000'000'000);
  rows.FinishRow();
  RowErrors errors;
  run.Write(rows.Build(), errors);
  ASSERT_TRUE(run.Checkpoint(1).ok());
  const auto records = ReadBack(rig, topic);
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].value, "{broken");
  EXPECT_EQ(records[0].key, "the key");
  std::multimap<std::string, std::string> headers(records[0].headers.begin(),
                                                  records[0].headers.end());
  EXPECT_EQ(headers.find("trace")->second, std::string("\0\xFF", 2));
  EXPECT_EQ(headers.find("none")->second, "<null>");
  EXPECT_EQ(headers.count("weir.err.code"), 1U);
  EXPECT_EQ(headers.find("weir.err.code")->second, "decode.json");
  EXPECT_EQ(headers.find("weir.err.offset")->second, "42");
}

TEST(KafkaSink, TakesTheTimestampOfItsExpression) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const SchemaRef schema = SchemaOf("id int64, name string, _event_time timestamp");
  const auto times = [&](const std::string& timestamp) {
    const std::string topic = UniqueTopic("timestamp");
    SinkRun run(
        rig,
        Options(topic, R"("key": ["id"], "create": {"partitions": 1, "replication": 1})" +
                           (timestamp.empty() ? "" : R"(, "timestamp": ")" + timestamp + "\"")),
        schema, kAppend, {});
    EXPECT_EQ(run.node->Messages(), "");
    EXPECT_TRUE(run.sink->Open(*run.context, {}).ok());
    RowErrors errors;
    run.Write(Rows(schema, 0, 4, {}), errors);
    EXPECT_TRUE(errors.empty());
    EXPECT_TRUE(run.Checkpoint(1).ok());
    std::vector<int64_t> found;
    for (const auto& record : ReadBack(rig, topic)) found.push_back(record.timestamp.us / 1000);
    return found;
  };
  constexpr int64_t kEvent = 1'700'000'000'000;
  // The clock of the context is at the same time, to the millisecond: rows show whose it is.
  EXPECT_THAT(times(""), ElementsAre(kEvent, kEvent + 1, kEvent + 2, kEvent + 3));
  EXPECT_THAT(
      times("_event_time + INTERVAL '1 hour'"),
      ElementsAre(kEvent + 3'600'000, kEvent + 3'600'001, kEvent + 3'600'002, kEvent + 3'600'003));
  // Where it is NULL or cannot be computed: the processing time.
  EXPECT_THAT(times("CASE WHEN id < 3 THEN from_epoch(1000 / (id - 1)) END"),
              ElementsAre(1, kEvent, 1'000'000, kEvent));
  EXPECT_THAT(times("TIMESTAMP '1960-01-01T00:00:00Z'"), ElementsAre(1, 1, 1, 1))
      << "brokers take none before 1970";
  EXPECT_THAT(
      MakeNode("kafka_sink", Options("t", R"("timestamp": "id")"), {.input = schema})->Codes(),
      ElementsAre("W0422"));
  EXPECT_THAT(
      MakeNode("kafka_sink", Options("t", R"("timestamp": "nope")"), {.input = schema})->Codes(),
      ElementsAre("W0412"));
}

TEST(KafkaSink, SaysWhenThereAreTooFewBrokersForItsReplicas) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const std::string topic = UniqueTopic("replicas");
  SinkRun run(rig, Options(topic, R"("create": {"partitions": 2, "replication": 3})"),
              SchemaOf("id int64, name string"), kAppend, {});
  ASSERT_EQ(run.node->Messages(), "");
  const Status status = run.sink->Open(*run.context, {});
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.message(), AllOf(HasSubstr(topic), HasSubstr("eplication factor")));
  const std::vector<std::string> names = {topic};
  EXPECT_THAT(rig.Admin()->Topics(names, Seconds(10)).value(), SizeIs(0));
}

TEST(KafkaSink, NeedsAnExistingTopicOrLeaveToCreateIt) {
  KafkaRig rig(SharedKafka().value().plaintext);
  const SchemaRef schema = SchemaOf("id int64, name string");
  SinkRun run(rig, Options(UniqueTopic("absent"), ""), schema, kAppend, {});
  run.node->config->type().probe(*run.node->config, run.node->shape, *rig.clients, *rig.env,
                                 run.node->problems);
  EXPECT_THAT(run.node->Messages(), HasSubstr("W0701 /nodes/node/topic"));
  const Status status = run.sink->Open(*run.context, {});
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("\"create\""));
}

TEST(KafkaSink, AnswersPlannedToExactlyOnceAndChecksKeys) {
  const SchemaRef schema = SchemaOf("id int64, name string, _op int32");
  const auto codes = [&](const std::string& more, StreamKind kind) {
    return MakeNode("kafka_sink", Options("t", more),
                    {.input = schema, .kind = kind, .unique_key = {"id"}})
        ->Codes();
  };
  EXPECT_THAT(codes(R"("delivery": "exactly_once")", kAppend), ElementsAre("W0210"));
  EXPECT_THAT(codes("", kChangelog), ElementsAre("W0602"));
  EXPECT_THAT(codes(R"("write": "upsert")", kChangelog), ElementsAre("W0603"));
  EXPECT_THAT(codes(R"("write": "upsert", "key": ["name"])", kChangelog), ElementsAre("W0604"));
  EXPECT_THAT(codes(R"("write": "changelog")", kUpsert), ElementsAre("W0602"));
  EXPECT_THAT(codes(R"("key": ["nope"])", kAppend), ElementsAre("W0412"));
}

}  // namespace
}  // namespace weir
