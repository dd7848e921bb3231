// KafkaProducer over librdkafka: records are copied into its queue, delivery reports are counted
// when the main queue signals. Idempotent, acks from all replicas, no time limit of the library's
// own: what a record may wait is the checkpoint's affair.

#include <algorithm>
#include <cstring>
#include <map>

#include "connectors/kafka_client.h"

namespace weir {
namespace {

constexpr int kMessagesMax = 1'000'000;
constexpr int kLingerMs = 5;
constexpr size_t kQueueBytesLeast = size_t{1} << 20;

/// Counted by the library's list before and after the delivery: what is added is taken off again.
uint64_t HeaderBytes(const rd_kafka_headers_t* headers) {
  if (headers == nullptr) return 0;
  uint64_t bytes = 0;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
    bytes += std::strlen(name) + size;
  return bytes;
}

class RealKafkaProducer final : public KafkaProducer {
 public:
  explicit RealKafkaProducer(std::unique_ptr<KafkaHandle> handle) : handle_(std::move(handle)) {}

  Status Produce(const KafkaRecord& record) override {
    if (handle_->TakeSignal()) Serve();
    WEIR_TRY(handle_->status());
    rd_kafka_topic_t* topic = TopicOf(record.topic);
    rd_kafka_headers_t* headers = nullptr;
    if (!record.headers.empty()) {
      headers = rd_kafka_headers_new(record.headers.size());
      for (const Header& header : record.headers) {
        rd_kafka_header_add(headers, header.name.data(), static_cast<ssize_t>(header.name.size()),
                            header.value ? header.value->data() : nullptr,
                            header.value ? static_cast<ssize_t>(header.value->size()) : 0);
      }
    }
    const uint64_t header_bytes = HeaderBytes(headers);
    // The library copies what MSG_F_COPY covers and never writes to it. An empty value or key must
    // not look absent, so it gets an address.
    const auto bytes = [](const std::optional<std::string_view>& text) {
      static char empty = 0;
      return !text           ? nullptr
             : text->empty() ? &empty
                             : const_cast<char*>(text->data());  // NOLINT: C interface
    };
    const auto size = [](const std::optional<std::string_view>& text) {
      return text ? text->size() : size_t{0};
    };
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        handle_->get(), RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(bytes(record.key), size(record.key)),
        RD_KAFKA_V_VALUE(bytes(record.value), size(record.value)),
        RD_KAFKA_V_TIMESTAMP(record.timestamp_ms), RD_KAFKA_V_HEADERS(headers),
        // How many flushes it came after: a number that travels as the library's opaque pointer.
        RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(flushes_)), RD_KAFKA_V_END);  // NOLINT
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++deliveries_.sent;
      bytes_queued_ += size(record.key) + size(record.value) + header_bytes;
      return Status::Ok();
    }
    if (headers != nullptr) rd_kafka_headers_destroy(headers);
    return KafkaStatus(error,
                       "topic '" + std::string(record.topic) + "': " + rd_kafka_err2str(error));
  }

  KafkaDeliveries deliveries() const override {
    if (handle_->TakeSignal()) Serve();
    return deliveries_;
  }
  Status status() const override { return handle_->status(); }
  std::string last_error() const override { return handle_->last_error(); }

  // The library only waits here for what a time-out of zero cuts short; its threads are told not to
  // linger.
  void Flush() override {
    deliveries_.flushing = deliveries_.sent - deliveries_.delivered - deliveries_.failed;
    ++flushes_;
    rd_kafka_flush(handle_->get(), /*timeout_ms=*/0);
  }
  uint64_t bytes_queued() const override { return bytes_queued_; }

  void Start(const KafkaTransactionCall&) override {
    outcome_ =
        Status(Code::kPlanned, "transactions of the Kafka sink are planned, not in this version");
  }
  std::optional<Status> Outcome() override { return outcome_; }

 private:
  rd_kafka_topic_t* TopicOf(std::string_view name) {
    const auto found = topics_.find(name);
    if (found != topics_.end()) return found->second;
    rd_kafka_topic_t* topic =
        rd_kafka_topic_new(handle_->get(), std::string(name).c_str(), nullptr);
    handle_->Keep(topic);
    topics_.emplace(name, topic);
    return topic;
  }

  void Serve() const {
    while (rd_kafka_event_t* event = handle_->NextEvent(Duration{0})) {
      if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
        while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
          rd_kafka_headers_t* headers = nullptr;
          rd_kafka_message_headers(message, &headers);
          bytes_queued_ -= std::min<uint64_t>(
              bytes_queued_, message->len + message->key_len + HeaderBytes(headers));
          if (reinterpret_cast<uintptr_t>(message->_private) < flushes_)  // NOLINT: see Produce
            --deliveries_.flushing;
          if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            ++deliveries_.delivered;
            continue;
          }
          ++deliveries_.failed;
          if (!deliveries_.first_error.ok()) continue;
          deliveries_.first_error = KafkaStatus(
              message->err, std::string("topic '") + rd_kafka_topic_name(message->rkt) + "': " +
                                handle_->redactor().Clean(rd_kafka_message_errstr(message)));
        }
      }
      rd_kafka_event_destroy(event);
    }
  }

  const std::unique_ptr<KafkaHandle> handle_;
  std::map<std::string, rd_kafka_topic_t*, std::less<>> topics_;
  mutable KafkaDeliveries deliveries_;  // brought up to date when asked
  mutable uint64_t bytes_queued_ = 0;   // of records that no report has come for
  uintptr_t flushes_ = 0;
  std::optional<Status> outcome_;
};

}  // namespace

Result<std::unique_ptr<KafkaProducer>> MakeRealKafkaProducer(const KafkaProducerConfig& config,
                                                             Waker waker,
                                                             std::shared_ptr<KafkaReaper> reaper) {
  if (!config.transactional_id.empty())
    return Status(Code::kPlanned,
                  "transactions of the Kafka sink are planned, not in this version");
  KafkaHandle::Settings owned = {
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"message.timeout.ms", std::to_string(config.delivery_timeout.us / 1000)},
      // Rounded up: a record between the two sizes would wait for room in an empty queue.
      {"queue.buffering.max.kbytes",
       std::to_string((std::max(config.queue_bytes, kQueueBytesLeast) + 1023) / 1024)},
      {"queue.buffering.max.messages", std::to_string(kMessagesMax)},
      {"partitioner", "murmur2_random"},
      {"statistics.interval.ms", "0"},
  };
  if (!config.connection.settings.contains("linger.ms") &&
      !config.connection.settings.contains("queue.buffering.max.ms"))
    owned["linger.ms"] = std::to_string(kLingerMs);
  WEIR_ASSIGN(std::unique_ptr<KafkaHandle> handle,
              KafkaHandle::Make(RD_KAFKA_PRODUCER, config.connection, owned, RD_KAFKA_EVENT_DR,
                                std::move(waker), std::move(reaper)));
  return std::make_unique<RealKafkaProducer>(std::move(handle));
}

}  // namespace weir
