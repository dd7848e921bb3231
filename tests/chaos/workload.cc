// weir_workload: the Kafka side of the self-checking workload. Records are a pure function of their
// number, so that what a run must give is known from the count alone, whatever was killed on the
// way.
//
//   weir_workload create BROKERS TOPIC PARTITIONS
//   weir_workload feed BROKERS TOPIC PARTITIONS FIRST COUNT RATE   records FIRST ... FIRST + COUNT
//   - 1, RATE a second (0: as fast as it goes) weir_workload close BROKERS TOPIC PARTITIONS TIME_MS
//   one record per partition whose event time closes all windows before it weir_workload dump
//   BROKERS TOPIC                               every record of the topic as a line: its value
//
// Record i goes to partition i % PARTITIONS: {"k": key, "seq": i, "v": i % 97, "at": event time in
// ms}.

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>

namespace {

constexpr int64_t kBaseMs = 1'700'000'000'000;
constexpr uint64_t kKeys = 50;
constexpr int kTimeoutMs = 30'000;

[[noreturn]] void Die(const std::string& message) {
  std::fprintf(stderr, "weir_workload: %s\n", message.c_str());
  std::exit(1);
}

rd_kafka_t* MakeClient(rd_kafka_type_t type, const std::map<std::string, std::string>& settings) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof(error)) !=
        RD_KAFKA_CONF_OK)
      Die(error);
  }
  if (type == RD_KAFKA_PRODUCER) {
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        Die(std::string("a record was not delivered: ") + rd_kafka_err2str(message->err));
    });
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, error, sizeof(error));
  if (client == nullptr) Die(error);
  return client;
}

void Send(rd_kafka_t* producer, const char* topic, int32_t partition, const std::string& value,
          int64_t time_ms) {
  for (;;) {
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
        RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) Die(rd_kafka_err2str(error));
    rd_kafka_poll(producer, 10);
  }
  rd_kafka_poll(producer, 0);
}

std::string Record(uint64_t i) {
  char text[160];
  // One record a millisecond, up to 40 ms out of order.
  const int64_t at = kBaseMs + static_cast<int64_t>(i) - static_cast<int64_t>(i * 7919 % 41);
  std::snprintf(text, sizeof(text), R"({"k":"key-%llu","seq":%llu,"v":%llu,"at":%lld})",
                static_cast<unsigned long long>(i * 31 % kKeys), static_cast<unsigned long long>(i),
                static_cast<unsigned long long>(i % 97), static_cast<long long>(at));
  return text;
}

void Flush(rd_kafka_t* producer) {
  if (rd_kafka_flush(producer, kTimeoutMs) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      rd_kafka_outq_len(producer) != 0)
    Die("records are not delivered");
}

int Create(const char* brokers, const char* topic, int partitions) {
  rd_kafka_t* client = MakeClient(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers}});
  char error[512];
  rd_kafka_NewTopic_t* wanted = rd_kafka_NewTopic_new(topic, partitions, 1, error, sizeof(error));
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_AdminOptions_t* options =
      rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kTimeoutMs);
  if (event == nullptr || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
    Die("cannot create the topic");
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  const rd_kafka_resp_err_t result = rd_kafka_topic_result_error(results[0]);
  if (result != RD_KAFKA_RESP_ERR_NO_ERROR && result != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
    Die(rd_kafka_err2str(result));
  rd_kafka_event_destroy(event);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(wanted);
  rd_kafka_destroy(client);
  return 0;
}

int Feed(const char* brokers, const char* topic, int partitions, uint64_t first, uint64_t count,
         uint64_t rate) {
  rd_kafka_t* producer = MakeClient(
      RD_KAFKA_PRODUCER,
      {{"bootstrap.servers", brokers}, {"linger.ms", "5"}, {"enable.idempotence", "true"}});
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < count; ++i) {
    if (rate != 0)
      std::this_thread::sleep_until(start + std::chrono::microseconds(i * 1'000'000 / rate));
    const uint64_t number = first + i;
    Send(producer, topic, static_cast<int32_t>(number % static_cast<uint64_t>(partitions)),
         Record(number), kBaseMs + static_cast<int64_t>(number));
  }
  Flush(producer);
  rd_kafka_destroy(producer);
  return 0;
}

int Close(const char* brokers, const char* topic, int partitions, int64_t time_ms) {
  rd_kafka_t* producer = MakeClient(
      RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers}, {"enable.idempotence", "true"}});
  for (int32_t partition = 0; partition < partitions; ++partition) {
    Send(producer, topic, partition,
         R"({"k":"closing","seq":-1,"v":0,"at":)" + std::to_string(time_ms) + "}", time_ms);
  }
  Flush(producer);
  rd_kafka_destroy(producer);
  return 0;
}

int Dump(const char* brokers, const char* topic) {
  rd_kafka_t* consumer = MakeClient(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers},
                                                        {"group.id", "weir-workload"},
                                                        {"enable.auto.commit", "false"},
                                                        {"enable.partition.eof", "true"},
                                                        {"auto.offset.reset", "earliest"},
                                                        {"isolation.level", "read_committed"}});
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_topic_t* handle = rd_kafka_topic_new(consumer, topic, nullptr);
  if (rd_kafka_metadata(consumer, 0, handle, &metadata, kTimeoutMs) != RD_KAFKA_RESP_ERR_NO_ERROR)
    Die("no metadata");
  const int partitions = metadata->topics[0].partition_cnt;
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; ++i)
    rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(handle);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_assign(consumer, list);
  for (int ended = 0; ended < partitions;) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, kTimeoutMs);
    if (message == nullptr) Die("the topic cannot be read to its end");
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ++ended;
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      Die(rd_kafka_message_errstr(message));
    } else {
      std::fwrite(message->payload, 1, message->len, stdout);
      std::fputc('\n', stdout);
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "create" && argc == 5) return Create(argv[2], argv[3], static_cast<int>(number(4)));
  if (verb == "feed" && argc == 8)
    return Feed(argv[2], argv[3], static_cast<int>(number(4)), number(5), number(6), number(7));
  if (verb == "close" && argc == 6)
    return Close(argv[2], argv[3], static_cast<int>(number(4)), static_cast<int64_t>(number(5)));
  if (verb == "dump" && argc == 4) return Dump(argv[2], argv[3]);
  Die("usage: create|feed|close|dump ...");
}
