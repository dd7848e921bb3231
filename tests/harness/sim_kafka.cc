#include "tests/harness/sim_kafka.h"

#include <algorithm>
#include <deque>
#include <map>

#include "engine/base/bytes.h"
#include "engine/base/check.h"

namespace weir {
namespace {

constexpr std::string_view kAddress = "sim-kafka:9092";
constexpr uint64_t kFetchRecordsMax = 100;
constexpr uint64_t kQueuedRecordsLeast = 5, kQueuedRecordsMost = 500;  // of a consumer's partition
constexpr uint64_t kSimRecordBytes = 1024;  // as much as a record of a test may have, about
constexpr size_t kProducerBytesLeast = 2'000, kProducerBytesMost = 60'000;
constexpr uint64_t kBatchRecordsMax = 50;
constexpr Duration kStatisticsInterval = Milliseconds(500);
constexpr int64_t kLingerUsMax = 5'000;
constexpr int64_t kRetryUsLeast = 10'000, kRetryUsMost = 150'000;
constexpr uint64_t kMessageBytesMax = 1'048'588;  // the broker's default
constexpr uint64_t kSpuriousWakeOneIn = 8;

using TopicPartition = std::pair<std::string, int32_t>;

std::string NameOf(const TopicPartition& partition) {
  return partition.first + "-" + std::to_string(partition.second);
}

/// Hash of Java's default partitioner.
uint32_t Murmur2(std::string_view bytes) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  constexpr uint32_t kSeed = 0x9747b28c;
  uint32_t hash = kSeed ^ static_cast<uint32_t>(bytes.size());
  const auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])); };
  size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    uint32_t word = at(i) | at(i + 1) << 8 | at(i + 2) << 16 | at(i + 3) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = hash * kMultiplier ^ word;
  }
  const size_t rest = bytes.size() - i;
  if (rest >= 3) hash ^= at(i + 2) << 16;
  if (rest >= 2) hash ^= at(i + 1) << 8;
  if (rest >= 1) hash = (hash ^ at(i)) * kMultiplier;
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

std::shared_ptr<SimRecord> Copy(const KafkaRecord& record) {
  auto copy = std::make_shared<SimRecord>();
  if (record.key) copy->key = std::string(*record.key);
  if (record.value) copy->value = std::string(*record.value);
  copy->timestamp_ms = record.timestamp_ms;
  copy->partition = record.partition;
  for (const Header& header : record.headers)
    copy->header_texts.emplace_back(
        header.name, header.value ? std::optional(std::string(*header.value)) : std::nullopt);
  return copy;
}

size_t BytesOf(const SimRecord& record) {
  return record.key.value_or("").size() + record.value.value_or("").size();
}

}  // namespace

struct SimKafka::Cluster {
  explicit Cluster(SimWorld& with) : world(with) {}

  struct Partition {
    std::vector<std::shared_ptr<const SimRecord>> records;  // record i has offset i
    int64_t start = 0;
    Duration leaderless_until{};
    std::map<uint64_t, uint64_t> sequences;      // newest batch per producer
    std::vector<std::function<void()>> waiting;  // fetches, until the next record
    int64_t end() const { return static_cast<int64_t>(records.size()); }
  };
  struct Topic {
    std::string id;
    std::vector<std::unique_ptr<Partition>> partitions;
  };

  uint64_t Below(uint64_t bound) { return world.Random() % bound; }
  uint64_t Between(uint64_t least, uint64_t most) { return least + Below(most - least + 1); }
  Duration Travel() {
    return Microseconds(static_cast<int64_t>(Below(static_cast<uint64_t>(kTravelMax.us / 2))));
  }
  Duration RetryDelay() {
    return Microseconds(static_cast<int64_t>(Between(kRetryUsLeast, kRetryUsMost)));
  }

  Topic* FindTopic(const std::string& name) {
    const auto found = topics.find(name);
    return found == topics.end() ? nullptr : &found->second;
  }
  Partition* Find(const TopicPartition& name) {
    Topic* topic = FindTopic(name.first);
    if (topic == nullptr || name.second < 0 ||
        static_cast<size_t>(name.second) >= topic->partitions.size())
      return nullptr;
    return topic->partitions[static_cast<size_t>(name.second)].get();
  }
  bool Reachable() const { return world.Steady() >= down_until; }
  bool Led(const Partition& partition) const {
    return Reachable() && world.Steady() >= partition.leaderless_until;
  }
  Status Answers() const {
    if (Reachable()) return Status::Ok();
    return Status(Code::kUnavailable,
                  "no answer from " + std::string(kAddress) + ": connection refused",
                  Fault::kExternal, Retry::kBackoff);
  }

  void MakeTopic(const std::string& name, int32_t partitions) {
    Topic& topic = topics[name];
    topic.id = "id-" + std::to_string(++topics_made);
    Grow(topic, partitions);
    world.Note("topic " + name);
  }
  static void Grow(Topic& topic, int32_t partitions) {
    while (topic.partitions.size() < static_cast<size_t>(partitions))
      topic.partitions.push_back(std::make_unique<Partition>());
  }
  void Append(const TopicPartition& name, const SimRecord& record) {
    Partition& partition = *Find(name);
    world.Note(NameOf(name) + " " + record.value.value_or("null"));
    auto kept = std::make_shared<SimRecord>(record);
    kept->offset = partition.end();
    for (const auto& [header, value] : kept->header_texts)
      kept->headers.push_back(
          {header, value ? std::optional<std::string_view>(*value) : std::nullopt});
    partition.records.push_back(std::move(kept));
    const std::vector<std::function<void()>> waiting = std::move(partition.waiting);
    partition.waiting.clear();
    for (const std::function<void()>& fetch : waiting) fetch();
  }

  SimWorld& world;
  std::map<std::string, Topic> topics;
  std::map<std::string, std::map<TopicPartition, int64_t>> groups;
  uint64_t topics_made = 0, producers_made = 0;
  Duration down_until{};
  uint32_t batches_to_fail = 0, lose_one_in = 0;
  SimKafkaLie lie = SimKafkaLie::kNone;
  bool lied = false;
};

/// What fetches under way share with the consumer, which may be gone when they come back.
struct SimKafka::ConsumerState : std::enable_shared_from_this<ConsumerState> {
  struct Assigned {
    KafkaPosition position;
    int64_t next = 0;                                    // of the next fetch
    std::deque<std::shared_ptr<const SimRecord>> queue;  // null: the end
    std::deque<int64_t> ends;                            // offsets of those in the queue
    int64_t end_offset = -1;                             // of the end that was taken last
    uint64_t queue_most = 0;
    bool end_told = false, end_reached = false, paused = false, finished = false;
    KafkaPartition statistics;
    Duration heard_at{-1}, statistics_at{};
    int64_t high = -1;
    Status error;
    TopicPartition name() const { return {position.topic, position.partition}; }
  };

  ConsumerState(std::shared_ptr<Cluster> with, KafkaConsumerConfig settings, Waker wake)
      : cluster(std::move(with)), config(std::move(settings)), waker(std::move(wake)) {}

  void Close() {
    closed = true;
    waker = Waker();
  }

  void FetchLater(size_t index, Duration delay) {
    cluster->world.After(delay, [self = shared_from_this(), index] {
      if (!self->closed) self->Fetch(index);
    });
  }

  /// The request is at the broker.
  void Fetch(size_t index) {
    Assigned& assigned = *partitions[index];
    if (assigned.finished) return;
    Cluster::Partition* partition = cluster->Find(assigned.name());
    if (!cluster->Reachable() || (partition != nullptr && !cluster->Led(*partition))) {
      last_error = cluster->Reachable() ? NameOf(assigned.name()) + ": leader not available"
                                        : std::string(kAddress) + ": connection refused";
      return FetchLater(index, cluster->RetryDelay());
    }
    if (partition == nullptr) {
      return Fail(index, Status(Code::kIncompatible,
                                NameOf(assigned.name()) + ": unknown topic or partition",
                                Fault::kExternal, Retry::kNever));
    }
    if (assigned.next < partition->start || assigned.next > partition->end()) {
      return Fail(index, Status(Code::kNotFound, NameOf(assigned.name()) + ": offset out of range",
                                Fault::kExternal, Retry::kNever));
    }
    std::vector<std::shared_ptr<const SimRecord>> records;
    const auto count = std::min<uint64_t>(cluster->Between(1, kFetchRecordsMax),
                                          static_cast<uint64_t>(partition->end() - assigned.next));
    for (uint64_t i = 0; i < count; ++i)
      records.push_back(partition->records[static_cast<size_t>(assigned.next) + i]);
    if (records.empty() && assigned.end_told) {
      partition->waiting.emplace_back([self = shared_from_this(), index] {
        if (!self->closed) self->FetchLater(index, self->cluster->Travel());
      });
      return;
    }
    cluster->world.After(
        cluster->Travel(),
        [self = shared_from_this(), index, records = std::move(records), high = partition->end()] {
          if (!self->closed) self->Answer(index, records, high);
        });
  }

  void Answer(size_t index, const std::vector<std::shared_ptr<const SimRecord>>& records,
              int64_t high) {
    Assigned& assigned = *partitions[index];
    assigned.high = high;
    assigned.heard_at = cluster->world.Steady();
    for (const auto& record : records) assigned.queue.push_back(record);
    assigned.next += static_cast<int64_t>(records.size());
    assigned.end_told = assigned.next == high;
    if (assigned.end_told) {
      assigned.queue.push_back(nullptr);
      assigned.ends.push_back(high);
    }
    waker.Wake();
    if (assigned.queue.size() >= assigned.queue_most) {
      assigned.paused = true;
      return;
    }
    FetchLater(index, cluster->Travel());
  }

  void Fail(size_t index, Status error) {
    partitions[index]->error = std::move(error);
    waker.Wake();
  }

  void TakeStatistics() {
    const Duration now = cluster->world.Steady();
    for (const auto& assigned : partitions) {
      const Cluster::Partition* partition = cluster->Find(assigned->name());
      KafkaPartition& statistics = assigned->statistics;
      statistics.leader_up = partition != nullptr && cluster->Led(*partition);
      // A fetch that waits for records is answered twice a second, empty.
      if (statistics.leader_up && assigned->heard_at.us >= 0)
        assigned->heard_at = std::max(assigned->heard_at, now - cluster->Travel());
      statistics.last_fetch_age =
          assigned->heard_at.us < 0 ? Duration{INT64_MAX} : now - assigned->heard_at;
      statistics.high_offset = statistics.stable_offset = assigned->high;
      statistics.queued_messages = assigned->queue.size();
      assigned->statistics_at = now;
    }
    waker.Wake();
    cluster->world.After(kStatisticsInterval, [self = shared_from_this()] {
      if (!self->closed) self->TakeStatistics();
    });
  }

  const std::shared_ptr<Cluster> cluster;
  const KafkaConsumerConfig config;
  Waker waker;  // none once it is closed
  std::vector<std::unique_ptr<Assigned>> partitions;
  uint64_t commit_failures = 0;
  std::string last_error;
  bool closed = false;
};

class SimKafka::SimConsumer final : public KafkaConsumer, private HeaderReader {
 public:
  explicit SimConsumer(std::shared_ptr<ConsumerState> state) : state_(std::move(state)) {}
  ~SimConsumer() override { state_->Close(); }

  Status Assign(std::span<const KafkaPosition> positions) override {
    Cluster& cluster = *state_->cluster;
    const bool first = state_->partitions.empty() && !positions.empty();
    for (const KafkaPosition& position : positions) {
      auto assigned = std::make_unique<ConsumerState::Assigned>();
      assigned->position = position;
      assigned->next = position.offset;
      const Cluster::Partition* partition = cluster.Find(assigned->name());
      if (cluster.lie == SimKafkaLie::kSkipsAtAssign && position.offset > 0 &&
          partition != nullptr && position.offset < partition->end()) {
        ++assigned->next;
        cluster.lied = true;
      }
      assigned->queue_most = cluster.Between(kQueuedRecordsLeast, kQueuedRecordsMost);
      state_->partitions.push_back(std::move(assigned));
      state_->FetchLater(state_->partitions.size() - 1, cluster.Travel());
    }
    if (first) {
      cluster.world.After(kStatisticsInterval, [state = state_] {
        if (!state->closed) state->TakeStatistics();
      });
    }
    return Status::Ok();
  }

  uint64_t queue_bytes_max() const override {
    uint64_t records = 0;
    for (const auto& assigned : state_->partitions)
      records += assigned->finished ? 0 : assigned->queue_most;
    return records * kSimRecordBytes;
  }

  size_t Poll(PartitionIndex index, std::span<KafkaMessage> out) override {
    ConsumerState::Assigned& assigned = *state_->partitions[index.value];
    size_t count = 0;
    for (size_t taken = 0; taken < out.size() && !assigned.queue.empty(); ++taken) {
      std::shared_ptr<const SimRecord> record = std::move(assigned.queue.front());
      assigned.queue.pop_front();
      assigned.end_reached = record == nullptr;
      if (record == nullptr) {
        assigned.end_offset = assigned.ends.front();
        assigned.ends.pop_front();
        continue;
      }
      Fill(assigned, *record, out[count++].record);
      held_.push_back(std::move(record));
    }
    if (assigned.paused && assigned.queue.size() < assigned.queue_most) {
      assigned.paused = false;
      state_->FetchLater(index.value, state_->cluster->Travel());
    }
    return count;
  }

  void Finish(PartitionIndex index) override { state_->partitions[index.value]->finished = true; }

  void Release() override { held_.clear(); }

  KafkaPartition status(PartitionIndex index) const override {
    const ConsumerState::Assigned& assigned = *state_->partitions[index.value];
    KafkaPartition status = assigned.statistics;
    status.end_reached = assigned.end_reached && assigned.queue.empty();
    if (status.end_reached) {
      status.stable_offset = assigned.end_offset;
      status.high_offset = std::max(status.high_offset, assigned.end_offset);
    }
    status.error = assigned.error;
    if (status.last_fetch_age.us != INT64_MAX) {
      status.last_fetch_age =
          status.last_fetch_age + (state_->cluster->world.Steady() - assigned.statistics_at);
    }
    return status;
  }

  void Commit(std::span<const KafkaPosition> positions) override {
    if (positions.empty()) return;
    Cluster& cluster = *state_->cluster;
    cluster.world.After(
        cluster.Travel(), [state = state_, positions = std::vector<KafkaPosition>(
                                               positions.begin(), positions.end())] {
          if (!state->cluster->Reachable()) {
            ++state->commit_failures;
            return;
          }
          for (const KafkaPosition& position : positions)
            state->cluster->groups[state->config.group_id][{position.topic, position.partition}] =
                position.offset;
        });
  }
  uint64_t commit_failures() const override { return state_->commit_failures; }
  Status status() const override { return Status::Ok(); }
  std::string last_error() const override { return state_->last_error; }

 private:
  void Fill(const ConsumerState::Assigned& assigned, const SimRecord& from, Record& record) {
    record = Record{};
    record.null_value = !from.value;
    if (from.value) record.value = *from.value;
    if (from.key) record.key = *from.key;
    record.timestamp = EventTime{from.timestamp_ms * 1000};
    record.topic = assigned.position.topic;
    record.partition = from.partition;
    record.offset = from.offset;
    record.header_reader = this;
    record.header_source = &from;
  }
  std::span<const Header> Read(const void* record) override {
    return static_cast<const SimRecord*>(record)->headers;
  }

  const std::shared_ptr<ConsumerState> state_;
  std::vector<std::shared_ptr<const SimRecord>> held_;
};

/// What batches under way share with the producer. Per partition one batch travels at a time.
struct SimKafka::ProducerState : std::enable_shared_from_this<ProducerState> {
  struct Queued {
    std::shared_ptr<SimRecord> record;
    uint64_t flushes = 0;  // that it came after
  };
  using Batch = std::vector<Queued>;
  struct Lane {
    TopicPartition name;
    std::deque<Queued> queue;
    bool sending = false;
    uint64_t sequence = 0;
  };

  ProducerState(std::shared_ptr<Cluster> with, Waker wake)
      : cluster(std::move(with)), waker(std::move(wake)), id(++cluster->producers_made) {
    bytes_most = cluster->Between(kProducerBytesLeast, kProducerBytesMost);
  }

  void Close() {
    closed = true;
    waker = Waker();
  }

  void SendLater(Lane& lane, Duration delay) {
    lane.sending = true;
    cluster->world.After(delay, [self = shared_from_this(), &lane] {
      if (!self->closed) self->Send(lane);
    });
  }

  void Send(Lane& lane) {
    auto batch = std::make_shared<Batch>();
    const uint64_t most = cluster->Between(1, kBatchRecordsMax);
    while (!lane.queue.empty() && batch->size() < most) {
      batch->push_back(std::move(lane.queue.front()));
      lane.queue.pop_front();
    }
    ++lane.sequence;
    ArriveLater(lane, batch, cluster->Travel());
  }

  /// Also after the process has died: it is on the wire.
  void ArriveLater(Lane& lane, const std::shared_ptr<Batch>& batch, Duration delay) {
    cluster->world.After(delay,
                         [self = shared_from_this(), &lane, batch] { self->Arrive(lane, batch); });
  }

  void Arrive(Lane& lane, const std::shared_ptr<Batch>& batch) {
    if (closed && cluster->Below(2) == 0) return;  // its connection has died with it
    Cluster::Partition* partition = cluster->Find(lane.name);
    if (!cluster->Reachable() || (partition != nullptr && !cluster->Led(*partition))) {
      if (closed) return;
      last_error = std::string(kAddress) + ": connection refused";
      return ArriveLater(lane, batch, cluster->RetryDelay());
    }
    Status failure;
    if (partition == nullptr) {
      failure = Status(Code::kIncompatible, "topic '" + lane.name.first + "': unknown topic",
                       Fault::kExternal, Retry::kNever);
    } else {
      bool append = true;
      if (cluster->batches_to_fail > 0 && !closed) {
        --cluster->batches_to_fail;
        append = cluster->Below(2) == 0;
        failure = Status(Code::kTimedOut, "topic '" + lane.name.first + "': message timed out",
                         Fault::kExternal, Retry::kBackoff);
      } else if (cluster->lie == SimKafkaLie::kAcknowledgesUnwritten && !cluster->lied &&
                 cluster->Below(10) == 0) {
        append = false;
        cluster->lied = true;
      }
      uint64_t& newest = partition->sequences[id];
      if (append && newest < lane.sequence) {
        for (const Queued& queued : *batch) cluster->Append(lane.name, *queued.record);
        newest = lane.sequence;
      }
      if (failure.ok() && cluster->lose_one_in > 0 && !closed &&
          cluster->Below(cluster->lose_one_in) == 0) {
        return ArriveLater(lane, batch, cluster->RetryDelay());
      }
    }
    if (closed) return;
    cluster->world.After(cluster->Travel(), [self = shared_from_this(), &lane, batch, failure] {
      if (!self->closed) self->Report(lane, *batch, failure);
    });
  }

  void Report(Lane& lane, const Batch& batch, const Status& failure) {
    for (const Queued& queued : batch) {
      bytes_queued -= BytesOf(*queued.record);
      if (queued.flushes < flushes) --deliveries.flushing;
    }
    (failure.ok() ? deliveries.delivered : deliveries.failed) += batch.size();
    if (deliveries.first_error.ok()) deliveries.first_error = failure;
    lane.sending = false;
    if (!lane.queue.empty()) SendLater(lane, Duration{0});
    waker.Wake();
  }

  const std::shared_ptr<Cluster> cluster;
  Waker waker;  // none once it is closed
  const uint64_t id;
  std::map<TopicPartition, Lane> lanes;  // their places stay
  KafkaDeliveries deliveries;
  uint64_t bytes_queued = 0, bytes_most = 0, flushes = 0;
  std::string last_error;
  bool closed = false;
};

class SimKafka::SimProducer final : public KafkaProducer {
 public:
  explicit SimProducer(std::shared_ptr<ProducerState> state) : state_(std::move(state)) {}
  ~SimProducer() override { state_->Close(); }

  Status Produce(const KafkaRecord& record) override {
    Cluster& cluster = *state_->cluster;
    std::shared_ptr<SimRecord> copy = Copy(record);
    const size_t bytes = BytesOf(*copy);
    if (bytes > kMessageBytesMax)
      return Status(Code::kLimit, "topic '" + std::string(record.topic) + "': message too large",
                    Fault::kUser, Retry::kNever);
    if (state_->bytes_queued > 0 && state_->bytes_queued + bytes > state_->bytes_most)
      return Status(Code::kQueueFull, "the queue is full");
    const Cluster::Topic* topic = cluster.FindTopic(std::string(record.topic));
    const auto partitions = static_cast<uint32_t>(topic == nullptr ? 1 : topic->partitions.size());
    if (copy->partition < 0) {
      constexpr uint32_t kPositive = 0x7fffffff;
      const uint32_t chosen = record.key ? (Murmur2(*record.key) & kPositive) % partitions
                                         : static_cast<uint32_t>(cluster.Below(partitions));
      copy->partition = static_cast<int32_t>(chosen);
    }
    const TopicPartition name{std::string(record.topic), copy->partition};
    ProducerState::Lane& lane = state_->lanes[name];
    lane.name = name;
    lane.queue.push_back({std::move(copy), state_->flushes});
    state_->bytes_queued += bytes;
    ++state_->deliveries.sent;
    if (!lane.sending)
      state_->SendLater(lane, Microseconds(static_cast<int64_t>(cluster.Below(kLingerUsMax))));
    // Clients also wake for things that concern nobody.
    if (cluster.Below(kSpuriousWakeOneIn) == 0) state_->waker.Wake();
    return Status::Ok();
  }

  KafkaDeliveries deliveries() const override { return state_->deliveries; }
  Status status() const override { return Status::Ok(); }
  std::string last_error() const override { return state_->last_error; }
  void Flush() override {  // nothing lingers long
    KafkaDeliveries& deliveries = state_->deliveries;
    deliveries.flushing = deliveries.sent - deliveries.delivered - deliveries.failed;
    ++state_->flushes;
  }
  void Start(const KafkaTransactionCall&) override {
    outcome_ = Status(Code::kPlanned, "the simulated Kafka has no transactions");
  }
  std::optional<Status> Outcome() override { return outcome_; }
  uint64_t bytes_queued() const override { return state_->bytes_queued; }

 private:
  const std::shared_ptr<ProducerState> state_;
  std::optional<Status> outcome_;
};

class SimKafka::SimAdmin final : public KafkaAdmin {
 public:
  explicit SimAdmin(std::shared_ptr<Cluster> cluster) : cluster_(std::move(cluster)) {}

  Result<std::vector<KafkaTopic>> Topics(std::span<const std::string> names, Duration) override {
    WEIR_TRY(cluster_->Answers());
    std::vector<KafkaTopic> topics;
    for (const std::string& name : names) {
      if (const Cluster::Topic* topic = cluster_->FindTopic(name))
        topics.push_back(Describe(name, *topic));
    }
    return topics;
  }
  Result<std::vector<KafkaTopic>> AllTopics(Duration) override {
    WEIR_TRY(cluster_->Answers());
    std::vector<KafkaTopic> topics;
    for (const auto& [name, topic] : cluster_->topics) topics.push_back(Describe(name, topic));
    return topics;
  }
  Status CreateTopic(const std::string& name, int32_t partitions, int32_t, Duration) override {
    WEIR_TRY(cluster_->Answers());
    if (cluster_->FindTopic(name) != nullptr) return Status::Ok();
    cluster_->MakeTopic(name, partitions);
    // The answer comes before every partition has its leader.
    for (const auto& partition : cluster_->FindTopic(name)->partitions)
      partition->leaderless_until = cluster_->world.Steady() + cluster_->RetryDelay();
    return Status::Ok();
  }
  Result<std::vector<int64_t>> Offsets(std::span<const TopicPartition> partitions, When when,
                                       EventTime time, Duration) override {
    WEIR_TRY(cluster_->Answers());
    std::vector<int64_t> offsets;
    for (const TopicPartition& name : partitions) {
      const Cluster::Partition* partition = cluster_->Find(name);
      if (partition == nullptr)
        return Status(Code::kIncompatible,
                      "offset of " + NameOf(name) + ": unknown topic or partition",
                      Fault::kExternal, Retry::kNever);
      if (!cluster_->Led(*partition))
        return Status(Code::kUnavailable, "offset of " + NameOf(name) + ": leader not available",
                      Fault::kExternal, Retry::kBackoff);
      int64_t offset = when == When::kEarliest ? partition->start : partition->end();
      if (when == When::kAtTime) {
        for (int64_t i = partition->end() - 1; i >= partition->start; --i) {
          if (partition->records[static_cast<size_t>(i)]->timestamp_ms >= time.us / 1000)
            offset = i;
        }
      }
      offsets.push_back(offset);
    }
    return offsets;
  }
  Result<uint64_t> MessageBytesMax(const std::string&, Duration) override {
    WEIR_TRY(cluster_->Answers());
    return kMessageBytesMax;
  }
  Result<std::vector<int64_t>> Committed(const std::string& group,
                                         std::span<const TopicPartition> partitions,
                                         Duration) override {
    WEIR_TRY(cluster_->Answers());
    std::vector<int64_t> offsets;
    for (const TopicPartition& name : partitions) {
      const auto& known = cluster_->groups[group];
      const auto found = known.find(name);
      offsets.push_back(found == known.end() ? -1 : found->second);
    }
    return offsets;
  }

 private:
  static KafkaTopic Describe(const std::string& name, const Cluster::Topic& topic) {
    KafkaTopic described{.name = name, .id = topic.id, .partitions = {}};
    for (size_t i = 0; i < topic.partitions.size(); ++i)
      described.partitions.push_back(static_cast<int32_t>(i));
    return described;
  }
  const std::shared_ptr<Cluster> cluster_;
};

class SimKafka::SimClients final : public Clients {
 public:
  explicit SimClients(std::shared_ptr<Cluster> cluster) : cluster_(std::move(cluster)) {}
  Result<std::unique_ptr<KafkaConsumer>> MakeKafkaConsumer(const KafkaConsumerConfig& config,
                                                           Waker waker) override {
    return std::make_unique<SimConsumer>(
        std::make_shared<ConsumerState>(cluster_, config, std::move(waker)));
  }
  Result<std::unique_ptr<KafkaProducer>> MakeKafkaProducer(const KafkaProducerConfig& config,
                                                           Waker waker) override {
    if (!config.transactional_id.empty())
      return Status(Code::kPlanned, "the simulated Kafka has no transactions");
    return std::make_unique<SimProducer>(
        std::make_shared<ProducerState>(cluster_, std::move(waker)));
  }
  Result<std::unique_ptr<KafkaAdmin>> MakeKafkaAdmin(const KafkaConnection&) override {
    return std::make_unique<SimAdmin>(cluster_);
  }

 private:
  const std::shared_ptr<Cluster> cluster_;
};

SimKafka::SimKafka(SimWorld& world) : cluster_(std::make_shared<Cluster>(world)) {}
SimKafka::~SimKafka() {
  // What waits holds clients, which hold the cluster.
  for (auto& [name, topic] : cluster_->topics) {
    for (auto& partition : topic.partitions) partition->waiting.clear();
  }
}

std::unique_ptr<Clients> SimKafka::MakeClients() { return std::make_unique<SimClients>(cluster_); }

void SimKafka::CreateTopic(const std::string& topic, int32_t partitions) {
  WEIR_CHECK(!HasTopic(topic));
  cluster_->MakeTopic(topic, partitions);
}
void SimKafka::AddPartitions(const std::string& topic, int32_t partitions) {
  WEIR_CHECK(HasTopic(topic) && partitions > this->partitions(topic));
  Cluster::Grow(cluster_->topics[topic], partitions);
}
void SimKafka::Append(const KafkaRecord& record) {
  const TopicPartition name{std::string(record.topic), record.partition};
  WEIR_CHECK(cluster_->Find(name) != nullptr);
  cluster_->Append(name, *Copy(record));
}
void SimKafka::Trim(const std::string& topic, int32_t partition, int64_t offset) {
  Cluster::Partition* found = cluster_->Find({topic, partition});
  WEIR_CHECK(found != nullptr && offset <= found->end());
  found->start = std::max(found->start, offset);
}
void SimKafka::RemakeTopic(const std::string& topic) {
  const int32_t count = partitions(topic);
  cluster_->topics.erase(topic);
  cluster_->MakeTopic(topic, count);
}

bool SimKafka::HasTopic(const std::string& topic) const { return cluster_->topics.contains(topic); }
int32_t SimKafka::partitions(const std::string& topic) const {
  return static_cast<int32_t>(cluster_->topics.at(topic).partitions.size());
}
const std::vector<std::shared_ptr<const SimRecord>>& SimKafka::log(const std::string& topic,
                                                                   int32_t partition) const {
  return cluster_->Find({topic, partition})->records;
}
int64_t SimKafka::committed(const std::string& group, const std::string& topic,
                            int32_t partition) const {
  const auto found = cluster_->groups.find(group);
  if (found == cluster_->groups.end()) return -1;
  const auto offset = found->second.find({topic, partition});
  return offset == found->second.end() ? -1 : offset->second;
}

void SimKafka::Down(Duration time) {
  cluster_->down_until = std::max(cluster_->down_until, cluster_->world.Steady() + time);
  cluster_->world.Note("cluster down");
}
void SimKafka::MoveLeader(const std::string& topic, int32_t partition, Duration time) {
  Cluster::Partition* found = cluster_->Find({topic, partition});
  WEIR_CHECK(found != nullptr);
  found->leaderless_until = std::max(found->leaderless_until, cluster_->world.Steady() + time);
  cluster_->world.Note("leader of " + NameOf({topic, partition}));
}
void SimKafka::FailNextBatch() { ++cluster_->batches_to_fail; }
void SimKafka::FailNoBatch() { cluster_->batches_to_fail = 0; }
void SimKafka::LoseAnswers(uint32_t one_in) { cluster_->lose_one_in = one_in; }
void SimKafka::Lie(SimKafkaLie lie) { cluster_->lie = lie; }
bool SimKafka::lied() const { return cluster_->lied; }

}  // namespace weir
