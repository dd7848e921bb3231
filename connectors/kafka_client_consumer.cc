// KafkaConsumer over librdkafka: assigned partitions, one queue each that nothing is forwarded
// from, so that the source decides which one to drain; messages are lent until Release. Statistics
// (twice a second) tell ends, leaders and the age of the last answer.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <deque>
#include <map>

#include "connectors/kafka_client.h"
#include "engine/base/json.h"

namespace weir {
namespace {

constexpr size_t kBatchMessagesMax = 4096;
constexpr ssize_t kPrefetchAhead = 4;  // messages, made by the library's thread and cold here
constexpr int kStatisticsIntervalMs = 500;
// The consumer joins no group. What the session's length still bounds is how long a commit waits
// for a coordinator, and closing waits for commits.
constexpr int kCommitWaitMs = 3000;
// What waits in a queue was written by the library's thread and is read by ours: beyond the
// processor's caches each message is paid for twice. With 6 MiB for all queues instead of 16, and
// fetches of a third of a queue, a job over 4 partitions took a fifth less CPU time.
constexpr size_t kPartitionQueueBytesLeast = size_t{192} << 10;
constexpr size_t kPartitionQueueBytesMost = size_t{1536} << 10;
constexpr size_t kFetchesPerQueue = 3;
// How long a broker holds a request for partitions without new records. A partition whose queue is
// full is not in the request, and there is one request at a time for each broker: so when it has
// been drained it waits for the quiet ones. With the library's 500 ms one partition that lags
// beside others at their end came down to a queue's bytes twice a second. Each request of a quiet
// job costs about 0.25 ms of CPU time, so much shorter would show in an idle job.
constexpr int kFetchWaitMs = 100;
constexpr int kQueuedMessagesLeast =
    20'000;  // below it the library asks for more at once; then every fetch.queue.backoff.ms

struct Partition {
  KafkaPosition position;
  rd_kafka_queue_t* queue = nullptr;
  KafkaQueueSignal* signal = nullptr;
  bool more = true;  // the last call did not empty the queue
  bool finished = false;
  bool end_reached = false;
  int64_t end_offset = -1;  // of the end that was told last
  KafkaPartition statistics;
  int64_t statistics_at_us = 0;
  Status error;
};

class RealKafkaConsumer final : public KafkaConsumer, private HeaderReader {
 public:
  RealKafkaConsumer(const KafkaConsumerConfig& config, Waker waker,
                    std::shared_ptr<KafkaReaper> reaper)
      : config_(config), waker_(std::move(waker)), reaper_(std::move(reaper)) {}
  ~RealKafkaConsumer() override { Release(); }

  Status Assign(std::span<const KafkaPosition> partitions) override {
    if (partitions.empty()) return Status::Ok();
    // Made at the first call: how much each queue may hold depends on how many there are.
    if (handle_ == nullptr) WEIR_TRY(Start(partitions.size()));
    rd_kafka_topic_partition_list_t* list =
        rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size()));
    for (const KafkaPosition& position : partitions) {
      auto partition = std::make_unique<Partition>();
      partition->position = position;
      partition->queue =
          rd_kafka_queue_get_partition(handle_->get(), position.topic.c_str(), position.partition);
      if (partition->queue == nullptr) {
        rd_kafka_topic_partition_list_destroy(list);
        return Status(Code::kInternal, "the Kafka client has no queue for " + position.topic + "-" +
                                           std::to_string(position.partition));
      }
      handle_->Keep(partition->queue);
      rd_kafka_queue_forward(partition->queue, nullptr);
      partition->signal =
          handle_->shared().queues.emplace_back(std::make_unique<KafkaQueueSignal>()).get();
      partition->signal->shared = &handle_->shared();
      rd_kafka_queue_cb_event_enable(partition->queue, OnPartitionQueue, partition->signal);
      rd_kafka_topic_partition_list_add(list, position.topic.c_str(), position.partition)->offset =
          position.offset;
      numbers_[{position.topic, position.partition}] = partitions_.size();
      partitions_.push_back(std::move(partition));
    }
    rd_kafka_error_t* error = rd_kafka_incremental_assign(handle_->get(), list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error == nullptr) return Status::Ok();
    Status status = KafkaStatus(rd_kafka_error_code(error),
                                "partitions cannot be assigned: " +
                                    handle_->redactor().Clean(rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
    return status;
  }

  size_t Poll(PartitionIndex index, std::span<KafkaMessage> out) override {
    Partition& partition = *partitions_[index.value];
    if (!partition.more && !partition.signal->ready.exchange(false, std::memory_order_acquire))
      return 0;
    const size_t wanted = std::min(out.size(), kBatchMessagesMax);
    const ssize_t got =
        rd_kafka_consume_batch_queue(partition.queue, /*timeout_ms=*/0, raw_.data(), wanted);
    partition.more = got == static_cast<ssize_t>(wanted);
    size_t count = 0;
    for (ssize_t i = 0; i < got; ++i) {
      rd_kafka_message_t* message = raw_[static_cast<size_t>(i)];
      if (i + kPrefetchAhead < got)
        __builtin_prefetch(raw_[static_cast<size_t>(i) + kPrefetchAhead]);
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        OnMessageError(partition, *message);
        rd_kafka_message_destroy(message);
        continue;
      }
      partition.end_reached = false;
      Fill(partition, *message, out[count++].record);
      held_.push_back(message);
    }
    return count;
  }

  void Finish(PartitionIndex index) override {
    Partition& partition = *partitions_[index.value];
    if (partition.finished) return;
    partition.finished = true;
    ++finished_;
    const KafkaPosition& position = partition.position;
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, position.topic.c_str(), position.partition);
    // Its failure would leave a partition that is fetched for nothing.
    rd_kafka_pause_partitions(handle_->get(), list);
    rd_kafka_topic_partition_list_destroy(list);
    // What has been fetched beyond the wanted would stay in memory until the client is closed.
    for (ssize_t got = 1; got > 0;) {
      got =
          rd_kafka_consume_batch_queue(partition.queue, /*timeout_ms=*/0, raw_.data(), raw_.size());
      for (ssize_t i = 0; i < got; ++i) rd_kafka_message_destroy(raw_[static_cast<size_t>(i)]);
    }
  }

  void Release() override {
    for (rd_kafka_message_t* message : held_) rd_kafka_message_destroy(message);
    held_.clear();
    headers_.clear();
    if (handle_ != nullptr && handle_->TakeSignal()) Serve();
  }

  KafkaPartition status(PartitionIndex index) const override {
    const Partition& partition = *partitions_[index.value];
    KafkaPartition status = partition.statistics;
    status.end_reached = partition.end_reached && !partition.more &&
                         !partition.signal->ready.load(std::memory_order_acquire);
    // Statistics are older than the messages, or newer. At the end it counts which end that is: all
    // records below it have been taken, whatever markers of transactions lie behind the last one.
    if (status.end_reached) {
      (config_.read_committed ? status.stable_offset : status.high_offset) = partition.end_offset;
      status.high_offset = std::max(status.high_offset, partition.end_offset);
    }
    status.error = partition.error;
    if (partition.statistics_at_us != 0 && status.last_fetch_age.us != INT64_MAX) {
      status.last_fetch_age =
          status.last_fetch_age + Microseconds(SteadyUs() - partition.statistics_at_us);
    }
    return status;
  }

  uint64_t queue_bytes_max() const override {
    return (partitions_.size() - finished_) * partition_queue_bytes_max_;
  }

  void Commit(std::span<const KafkaPosition> positions) override {
    if (handle_ == nullptr || positions.empty()) return;
    rd_kafka_topic_partition_list_t* list =
        rd_kafka_topic_partition_list_new(static_cast<int>(positions.size()));
    for (const KafkaPosition& position : positions) {
      rd_kafka_topic_partition_list_add(list, position.topic.c_str(), position.partition)->offset =
          position.offset;
    }
    const rd_kafka_resp_err_t error = rd_kafka_commit(handle_->get(), list, /*async=*/1);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) ++commit_failures_;
  }
  uint64_t commit_failures() const override { return commit_failures_; }
  Status status() const override { return handle_ == nullptr ? Status::Ok() : handle_->status(); }
  std::string last_error() const override {
    return handle_ == nullptr ? std::string() : handle_->last_error();
  }

 private:
  static void OnPartitionQueue(rd_kafka_t*, void* opaque) {
    auto* signal = static_cast<KafkaQueueSignal*>(opaque);
    signal->ready.store(true, std::memory_order_release);
    signal->shared->waker.Wake();
  }

  static int64_t SteadyUs() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  Status Start(size_t partitions) {
    const size_t queue_bytes = std::clamp(config_.queue_bytes / partitions,
                                          kPartitionQueueBytesLeast, kPartitionQueueBytesMost);
    KafkaHandle::Settings owned = {
        {"group.id", config_.group_id},
        {"session.timeout.ms", std::to_string(kCommitWaitMs)},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"enable.partition.eof", "true"},
        {"isolation.level", config_.read_committed ? "read_committed" : "read_uncommitted"},
        {"check.crcs", "true"},
        {"fetch.queue.backoff.ms", "2"},
        {"queued.max.messages.kbytes", std::to_string(queue_bytes >> 10)},
        {"queued.min.messages", std::to_string(kQueuedMessagesLeast)},
        {"statistics.interval.ms", std::to_string(kStatisticsIntervalMs)},
    };
    // A job may ask for more at once, say over a line with a long way.
    const auto& asked = config_.connection.settings;
    if (!asked.contains("fetch.wait.max.ms"))
      owned["fetch.wait.max.ms"] = std::to_string(kFetchWaitMs);
    size_t fetch_bytes = queue_bytes / kFetchesPerQueue;
    bool fetch_asked = false;
    for (const char* name : {"fetch.message.max.bytes", "max.partition.fetch.bytes"}) {
      const auto found = asked.find(name);
      if (found == asked.end()) continue;
      fetch_asked = true;
      const std::string& text = found->second.Reveal();
      // What is no number the library refuses below.
      std::from_chars(text.data(), text.data() + text.size(), fetch_bytes);
    }
    if (!fetch_asked) owned["fetch.message.max.bytes"] = std::to_string(fetch_bytes);
    // A queue that is not full yet takes the answer that fills it.
    partition_queue_bytes_max_ = queue_bytes + fetch_bytes;
    WEIR_ASSIGN(handle_, KafkaHandle::Make(RD_KAFKA_CONSUMER, config_.connection, owned,
                                           RD_KAFKA_EVENT_STATS | RD_KAFKA_EVENT_OFFSET_COMMIT,
                                           waker_, reaper_));
    return Status::Ok();
  }

  void Fill(const Partition& partition, const rd_kafka_message_t& message, Record& record) {
    record = Record{};
    record.null_value = message.payload == nullptr;
    record.value = {static_cast<const char*>(message.payload), message.len};
    if (message.key != nullptr)
      record.key = std::string_view(static_cast<const char*>(message.key), message.key_len);
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t timestamp_ms = rd_kafka_message_timestamp(&message, &type);
    record.timestamp = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ||
                               timestamp_ms < INT64_MIN / 1000 || timestamp_ms > INT64_MAX / 1000
                           ? EventTime::Min()
                           : EventTime{timestamp_ms * 1000};
    record.topic = partition.position.topic;
    record.partition = message.partition;
    record.offset = message.offset;
    record.header_reader = this;
    record.header_source = &message;
  }

  std::span<const Header> Read(const void* record) override {
    const auto* message = static_cast<const rd_kafka_message_t*>(record);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    std::vector<Header>& list = headers_.emplace_back();
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      list.push_back({name, value == nullptr ? std::nullopt
                                             : std::optional(std::string_view(
                                                   static_cast<const char*>(value), size))});
    }
    return list;
  }

  void OnMessageError(Partition& partition, const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      partition.end_reached = true;
      partition.end_offset = message.offset;
      return;
    }
    const std::string text = partition.position.topic + "-" +
                             std::to_string(partition.position.partition) + ": " +
                             handle_->redactor().Clean(rd_kafka_message_errstr(&message));
    const Status status = KafkaStatus(message.err, text);
    if (status.retry() == Retry::kNever) {
      partition.error = status;
    } else {
      handle_->NoteError(message.err, text);
    }
  }

  void Serve() {
    while (rd_kafka_event_t* event = handle_->NextEvent(Duration{0})) {
      switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_STATS:
          OnStatistics(rd_kafka_event_stats(event));
          break;
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
          if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) ++commit_failures_;
          break;
        default:
          break;
      }
      rd_kafka_event_destroy(event);
    }
  }

  struct Broker {
    bool up = false;
    Duration last_answer{INT64_MAX};
  };

  void OnStatistics(const char* text) {
    const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!root.is_object() || !root.contains("brokers") || !root.contains("topics")) return;
    const auto number = [](const Json& object, const char* name) {
      const auto found = object.find(name);
      return found != object.end() && found->is_number_integer() ? found->get<int64_t>()
                                                                 : int64_t{-1};
    };
    std::map<int64_t, Broker> brokers;
    for (const Json& broker : root["brokers"]) {
      const int64_t idle_us = number(broker, "rxidle");
      Broker& entry = brokers[number(broker, "nodeid")];
      entry.up = entry.up || broker.value("state", "") == "UP";
      if (idle_us >= 0) entry.last_answer = std::min(entry.last_answer, Microseconds(idle_us));
    }
    for (const auto& [name, topic] : root["topics"].items()) {
      if (!topic.contains("partitions")) continue;
      for (const Json& partition : topic["partitions"]) {
        const auto found =
            numbers_.find({name, static_cast<int32_t>(number(partition, "partition"))});
        if (found == numbers_.end()) continue;
        Partition& mine = *partitions_[found->second];
        const Broker leader = brokers[number(partition, "leader")];
        mine.statistics.leader_up = leader.up;
        mine.statistics.last_fetch_age = leader.last_answer;
        mine.statistics.high_offset = std::max<int64_t>(-1, number(partition, "hi_offset"));
        mine.statistics.stable_offset = std::max<int64_t>(-1, number(partition, "ls_offset"));
        mine.statistics.queued_messages =
            static_cast<uint64_t>(std::max<int64_t>(0, number(partition, "fetchq_cnt")));
        mine.statistics.queued_bytes =
            static_cast<uint64_t>(std::max<int64_t>(0, number(partition, "fetchq_size")));
        mine.statistics_at_us = SteadyUs();
      }
    }
  }

  const KafkaConsumerConfig config_;
  const Waker waker_;
  const std::shared_ptr<KafkaReaper> reaper_;
  std::unique_ptr<KafkaHandle> handle_;  // from the first Assign on
  std::vector<std::unique_ptr<Partition>> partitions_;
  size_t finished_ = 0;  // of the partitions
  std::map<std::pair<std::string, int32_t>, size_t> numbers_;
  std::array<rd_kafka_message_t*, kBatchMessagesMax> raw_{};
  std::vector<rd_kafka_message_t*> held_;
  std::deque<std::vector<Header>> headers_;
  uint64_t commit_failures_ = 0;
  uint64_t partition_queue_bytes_max_ = 0;  // from the first Assign on
};

}  // namespace

Result<std::unique_ptr<KafkaConsumer>> MakeRealKafkaConsumer(const KafkaConsumerConfig& config,
                                                             Waker waker,
                                                             std::shared_ptr<KafkaReaper> reaper) {
  return std::make_unique<RealKafkaConsumer>(config, std::move(waker), std::move(reaper));
}

}  // namespace weir
