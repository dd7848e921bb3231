#include "tests/connectors/kafka_rig.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <thread>

#include "connectors/connectors.h"
#include "engine/base/check.h"

namespace weir {
namespace {

constexpr std::chrono::seconds kWaitMax(60);
constexpr Duration kDeadline = Seconds(20);
constexpr int kTransactionMs = 30'000;

rd_kafka_t* MakePlain(const std::string& brokers) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 256> error{};
  WEIR_CHECK(rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), error.data(),
                               error.size()) == RD_KAFKA_CONF_OK);
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  WEIR_CHECK(client != nullptr);
  return client;
}

rd_kafka_t* MakeTransactional(const std::string& brokers, const std::string& transactional_id) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 256> error{};
  for (const auto& [name, value] :
       {std::pair("bootstrap.servers", brokers), {"transactional.id", transactional_id}}) {
    WEIR_CHECK(rd_kafka_conf_set(conf, name, value.c_str(), error.data(), error.size()) ==
               RD_KAFKA_CONF_OK);
  }
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error.data(), error.size());
  WEIR_CHECK(client != nullptr);
  return client;
}

void CheckTransaction(rd_kafka_error_t* error) {
  if (error == nullptr) return;
  CheckFailed(__FILE__, __LINE__, "transaction", rd_kafka_error_string(error));
}

}  // namespace

bool WaitFor(const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kWaitMax;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

KafkaRig::KafkaRig(std::string brokers) : clients(MakeClients(*env)) {
  connection.brokers = std::move(brokers);
  connections = R"({"main": {"type": "kafka", "brokers": ")" + connection.brokers + R"("}})";
}

std::unique_ptr<KafkaAdmin> KafkaRig::Admin() {
  Result<std::unique_ptr<KafkaAdmin>> admin = clients->MakeKafkaAdmin(connection);
  WEIR_CHECK(admin.ok());
  return std::move(admin).value();
}

void KafkaRig::CreateTopic(const std::string& topic, int partitions) {
  const Status status = Admin()->CreateTopic(topic, partitions, 1, kDeadline);
  if (!status.ok()) CheckFailed(__FILE__, __LINE__, "topic created", status.ToString());
  // The broker answers before every partition has its leader: wait until all can be asked for
  // offsets.
  std::vector<std::pair<std::string, int32_t>> all;
  all.reserve(static_cast<size_t>(partitions));
  for (int32_t partition = 0; partition < partitions; ++partition)
    all.emplace_back(topic, partition);
  WEIR_CHECK(WaitFor(
      [&] { return Admin()->Offsets(all, KafkaAdmin::When::kEarliest, {}, kDeadline).ok(); }));
}

void KafkaRig::SetMessageBytesMax(const std::string& topic, uint64_t bytes) {
  rd_kafka_t* client = MakePlain(connection.brokers);
  rd_kafka_ConfigResource_t* resource =
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
  WEIR_CHECK(rd_kafka_ConfigResource_add_incremental_config(
                 resource, "max.message.bytes", RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
                 std::to_string(bytes).c_str()) == nullptr);
  rd_kafka_queue_t* answers = rd_kafka_queue_new(client);
  rd_kafka_IncrementalAlterConfigs(client, &resource, 1, nullptr, answers);
  rd_kafka_event_t* answer = rd_kafka_queue_poll(answers, static_cast<int>(kDeadline.us / 1000));
  WEIR_CHECK(answer != nullptr && rd_kafka_event_error(answer) == RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_event_destroy(answer);
  rd_kafka_queue_destroy(answers);
  rd_kafka_ConfigResource_destroy(resource);
  rd_kafka_destroy(client);
  const std::unique_ptr<KafkaAdmin> admin = Admin();
  WEIR_CHECK(WaitFor([&] { return admin->MessageBytesMax(topic, kDeadline).value() == bytes; }));
}

void KafkaRig::DeleteRecordsBefore(const std::string& topic, int32_t partition, int64_t offset) {
  rd_kafka_t* client = MakePlain(connection.brokers);
  rd_kafka_topic_partition_list_t* offsets = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(offsets, topic.c_str(), partition)->offset = offset;
  rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(offsets);
  rd_kafka_queue_t* answers = rd_kafka_queue_new(client);
  rd_kafka_DeleteRecords(client, &request, 1, nullptr, answers);
  rd_kafka_event_t* answer = rd_kafka_queue_poll(answers, static_cast<int>(kDeadline.us / 1000));
  WEIR_CHECK(answer != nullptr && rd_kafka_event_error(answer) == RD_KAFKA_RESP_ERR_NO_ERROR);
  const rd_kafka_topic_partition_list_t* low =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(answer));
  WEIR_CHECK(low->cnt == 1 && low->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_event_destroy(answer);
  rd_kafka_queue_destroy(answers);
  rd_kafka_DeleteRecords_destroy(request);
  rd_kafka_topic_partition_list_destroy(offsets);
  rd_kafka_destroy(client);
}

void KafkaRig::Produce(const KafkaRecord& record) {
  if (producer_ == nullptr)
    producer_ =
        clients->MakeKafkaProducer({.connection = connection, .transactional_id = {}}, Waker())
            .value();
  Status status;
  WEIR_CHECK(WaitFor([&] {
    status = producer_->Produce(record);
    return status.code() != Code::kQueueFull;
  }));
  if (!status.ok()) CheckFailed(__FILE__, __LINE__, "produced", status.ToString());
}

void KafkaRig::FlushAll() {
  if (producer_ == nullptr) return;
  WEIR_CHECK(WaitFor([&] {
    return producer_->deliveries().delivered + producer_->deliveries().failed ==
           producer_->deliveries().sent;
  }));
  WEIR_CHECK_EQ(producer_->deliveries().failed, 0U);
}

void KafkaRig::Fill(const std::string& topic, int partitions, int first, int count,
                    const std::string& prefix) {
  for (int i = first; i < first + count; ++i) {
    const std::string value = prefix + std::to_string(i);
    const std::string key = "k" + std::to_string(i);
    KafkaRecord record;
    record.topic = topic;
    record.partition = i % partitions;
    record.key = key;
    record.value = value;
    record.timestamp_ms = 1'700'000'000'000 + i;
    Produce(record);
  }
  FlushAll();
}

KafkaTransactions::KafkaTransactions(const KafkaRig& rig, const std::string& transactional_id)
    : client_(MakeTransactional(rig.connection.brokers, transactional_id)) {
  CheckTransaction(rd_kafka_init_transactions(client_, kTransactionMs));
}

KafkaTransactions::~KafkaTransactions() { rd_kafka_destroy(client_); }

void KafkaTransactions::Begin() { CheckTransaction(rd_kafka_begin_transaction(client_)); }

void KafkaTransactions::Put(const std::string& topic, int32_t partition,
                            const std::vector<std::string>& values) {
  for (const std::string& value : values) {
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        client_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        // The library copies it and never writes to it.
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),  // NOLINT
        RD_KAFKA_V_END);
    WEIR_CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  WEIR_CHECK(rd_kafka_flush(client_, kTransactionMs) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

void KafkaTransactions::Commit() {
  CheckTransaction(rd_kafka_commit_transaction(client_, kTransactionMs));
}

void KafkaTransactions::Abort() {
  CheckTransaction(rd_kafka_abort_transaction(client_, kTransactionMs));
}

SourceRun::SourceRun(KafkaRig& with, const std::string& options)
    : rig(with),
      node(MakeNode("kafka_source", options, {.connections = with.connections})),
      context(*with.env, with.clients.get()) {
  if (node->problems.has_errors()) return;
  const auto& create = std::get<Factory<SourceParts>>(node->config->type().create);
  const Result<SourceParts> parts = create(*node->config, node->shape);
  WEIR_CHECK(parts.ok());
  source = parts->source();
  enumerator = parts->enumerator();
}

Status SourceRun::Start(const std::vector<SplitState>& restored) {
  WEIR_TRY(enumerator->Open(context, restored));
  WEIR_TRY(source->Open(context));
  splits = restored;
  WEIR_TRY(source->Add(restored));
  return Discover();
}

Status SourceRun::Discover() {
  WEIR_ASSIGN(const std::vector<SplitState> fresh, enumerator->Discover());
  splits.insert(splits.end(), fresh.begin(), fresh.end());
  return source->Add(fresh);
}

Status SourceRun::PollUntil(const std::function<bool()>& done) {
  Status status;
  const bool in_time = WaitFor([&] {
    const Result<Step> step = source->Poll(out);
    status = step.status();
    return !status.ok() || done();
  });
  if (status.ok() && !in_time)
    return Status(Code::kTimedOut, "the source did not come that far: " +
                                       std::to_string(out.records.size()) + " records");
  return status;
}

std::vector<std::string> SourceRun::Values() const {
  std::vector<std::string> values;
  values.reserve(out.records.size());
  for (const TestSourceOutput::Copied& record : out.records) values.push_back(record.value);
  return values;
}

std::vector<SplitState> SourceRun::Positions() const {
  std::vector<SplitState> states = splits;
  for (const auto& [split, reported] : out.reports) states[split].position = reported.position;
  return states;
}

bool SourceRun::AllEnded() const {
  if (out.reports.size() < splits.size()) return false;
  for (const auto& [split, reported] : out.reports) {
    if (reported.status != SplitStatus::kEnded) return false;
  }
  return true;
}

}  // namespace weir
