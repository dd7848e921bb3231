#include "bench/nexmark/topic.h"

#include <array>
#include <utility>

#include <librdkafka/rdkafka.h>

namespace weir::bench {
namespace {

constexpr int kRequestTimeoutMs = 30'000;
constexpr int kFlushTimeoutMs = 120'000;

using Properties = std::vector<std::pair<std::string, std::string>>;

rd_kafka_t* MakeClient(rd_kafka_type_t type, const Properties& properties,
                       const std::function<void(rd_kafka_conf_t*)>& adjust, ErrorText& error) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 512> message{};
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), message.data(), message.size()) !=
        RD_KAFKA_CONF_OK) {
      error = message.data();
      rd_kafka_conf_destroy(conf);
      return nullptr;
    }
  }
  adjust(conf);
  rd_kafka_t* client = rd_kafka_new(type, conf, message.data(), message.size());
  if (client == nullptr) {
    error = message.data();
    rd_kafka_conf_destroy(conf);
  }
  return client;
}

ErrorText CreateTopic(rd_kafka_t* client, const std::string& topic, int partitions) {
  std::array<char, 512> message{};
  rd_kafka_NewTopic_t* wanted =
      rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, message.data(), message.size());
  if (wanted == nullptr) return message.data();
  // A benchmark reads its input again and again: it must not expire.
  rd_kafka_NewTopic_set_config(wanted, "retention.ms", "-1");
  rd_kafka_AdminOptions_t* options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_ANY);
  rd_kafka_AdminOptions_set_operation_timeout(options, kRequestTimeoutMs, nullptr, 0);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_CreateTopics(client, &wanted, 1, options, queue);
  ErrorText error;
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kRequestTimeoutMs);
  if (event == nullptr) {
    error = "no answer to the creation of topic " + topic;
  } else if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    error = rd_kafka_event_error_string(event);
  } else {
    std::size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count == 1 && rd_kafka_topic_result_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      error = rd_kafka_topic_result_error_string(results[0]);
    }
  }
  if (event != nullptr) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy(wanted);
  return error;
}

}  // namespace

TopicWriter::~TopicWriter() {
  if (topic_ != nullptr) rd_kafka_topic_destroy(topic_);
  if (client_ != nullptr) rd_kafka_destroy(client_);
}

ErrorText TopicWriter::Open(const std::string& brokers, const std::string& topic, int partitions,
                            const std::string& compression) {
  ErrorText error;
  client_ = MakeClient(
      RD_KAFKA_PRODUCER,
      {{"bootstrap.servers", brokers},
       {"enable.idempotence", "true"},  // so that a retry neither repeats nor reorders
       {"linger.ms", "50"},
       {"batch.size", "1000000"},
       {"batch.num.messages", "10000"},
       {"queue.buffering.max.messages", "200000"},
       {"queue.buffering.max.kbytes", "131072"},
       {"compression.codec", compression}},
      [this](rd_kafka_conf_t* conf) {
        rd_kafka_conf_set_opaque(conf, this);
        rd_kafka_conf_set_dr_msg_cb(
            conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
              auto* writer = static_cast<TopicWriter*>(opaque);
              ++writer->delivered_;
              if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                writer->delivery_error_ = rd_kafka_err2str(message->err);
              }
            });
      },
      error);
  if (client_ == nullptr) return error;
  error = CreateTopic(client_, topic, partitions);
  if (!error.empty()) return error;
  topic_ = rd_kafka_topic_new(client_, topic.c_str(), nullptr);
  return topic_ == nullptr ? rd_kafka_err2str(rd_kafka_last_error()) : "";
}

void TopicWriter::Poll(int timeout_ms) { rd_kafka_poll(client_, timeout_ms); }

ErrorText TopicWriter::Write(int partition, std::int64_t timestamp_ms, std::string_view value) {
  constexpr std::uint64_t kPollEvery = 1024;
  while (true) {
    const rd_kafka_resp_err_t failed = rd_kafka_producev(
        client_, RD_KAFKA_V_RKT(topic_), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(timestamp_ms),
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_END);
    if (failed == RD_KAFKA_RESP_ERR_NO_ERROR) break;
    if (failed != RD_KAFKA_RESP_ERR__QUEUE_FULL) return rd_kafka_err2str(failed);
    Poll(/*timeout_ms=*/10);
  }
  if (++written_ % kPollEvery == 0) Poll(/*timeout_ms=*/0);
  return delivery_error_;
}

ErrorText TopicWriter::Finish() {
  const rd_kafka_resp_err_t failed = rd_kafka_flush(client_, kFlushTimeoutMs);
  if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) return rd_kafka_err2str(failed);
  if (!delivery_error_.empty()) return delivery_error_;
  // A flush may end without an error while reports are missing.
  return delivered_ == written_ ? "" : "not all records were delivered";
}

TopicReader::~TopicReader() {
  Release();
  if (queue_ != nullptr) rd_kafka_queue_destroy(queue_);
  if (client_ != nullptr) {
    rd_kafka_consumer_close(client_);
    rd_kafka_destroy(client_);
  }
}

ErrorText TopicReader::Open(const std::string& brokers, const std::string& topic) {
  ErrorText error;
  client_ = MakeClient(
      RD_KAFKA_CONSUMER,
      {{"bootstrap.servers", brokers},
       {"group.id", "weir-bench"},
       {"enable.auto.commit", "false"},
       {"isolation.level", "read_committed"},
       {"check.crcs", "true"},
       {"fetch.queue.backoff.ms", "2"},
       {"fetch.wait.max.ms", "50"},
       {"fetch.message.max.bytes", "1048576"},
       {"queued.min.messages", "100000"},
       {"queued.max.messages.kbytes", "32768"}},
      [](rd_kafka_conf_t*) {}, error);
  if (client_ == nullptr) return error;
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_topic_t* handle = rd_kafka_topic_new(client_, topic.c_str(), nullptr);
  const rd_kafka_resp_err_t failed =
      rd_kafka_metadata(client_, /*all_topics=*/0, handle, &metadata, kRequestTimeoutMs);
  rd_kafka_topic_destroy(handle);
  if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) return rd_kafka_err2str(failed);
  const int partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
  rd_kafka_metadata_destroy(metadata);
  if (partitions == 0) return "topic " + topic + " does not exist";
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
  for (int p = 0; p < partitions; ++p) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    const rd_kafka_resp_err_t query_failed =
        rd_kafka_query_watermark_offsets(client_, topic.c_str(), p, &low, &high, kRequestTimeoutMs);
    if (query_failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_topic_partition_list_destroy(list);
      return rd_kafka_err2str(query_failed);
    }
    rd_kafka_topic_partition_list_add(list, topic.c_str(), p)->offset = low;
    ends_.push_back(high);
    open_.push_back(high > low);
    if (high > low) ++partitions_open_;
  }
  const rd_kafka_resp_err_t assign_failed = rd_kafka_assign(client_, list);
  rd_kafka_topic_partition_list_destroy(list);
  if (assign_failed != RD_KAFKA_RESP_ERR_NO_ERROR) return rd_kafka_err2str(assign_failed);
  queue_ = rd_kafka_queue_get_consumer(client_);
  batch_.resize(kBatchRecords);
  return "";
}

void TopicReader::Release() {
  for (std::size_t i = 0; i < batch_size_; ++i) rd_kafka_message_destroy(batch_[i]);
  batch_size_ = 0;
}

ErrorText TopicReader::Poll(std::vector<Record>& records) {
  Release();
  records.clear();
  // With a time-out the call would wait all of it unless the batch fills.
  const ssize_t count =
      rd_kafka_consume_batch_queue(queue_, /*timeout_ms=*/0, batch_.data(), batch_.size());
  if (count < 0) return rd_kafka_err2str(rd_kafka_last_error());
  batch_size_ = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < batch_size_; ++i) {
    const rd_kafka_message_t& message = *batch_[i];
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return rd_kafka_message_errstr(batch_[i]);
    const auto partition = static_cast<std::size_t>(message.partition);
    if (message.offset >= ends_[partition]) continue;
    records.push_back({message.partition, message.offset,
                       std::string_view(static_cast<const char*>(message.payload), message.len)});
    if (message.offset + 1 == ends_[partition] && open_[partition]) {
      open_[partition] = false;
      --partitions_open_;
    }
  }
  return "";
}

}  // namespace weir::bench
