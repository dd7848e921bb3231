// KafkaAdmin over librdkafka: questions to the cluster that block, on the pool: topics with their
// ids, offsets, creation. A refused login ends a question at once, else a dead address would look
// like a slow one; the message names the last thing that went wrong.

#include <algorithm>
#include <array>
#include <map>

#include "connectors/kafka_client.h"

namespace weir {
namespace {

constexpr size_t kErrorBytes = 512;
constexpr Duration kSlice =
    Milliseconds(50);  // how often events are looked at while an answer is awaited

constexpr Duration kMetadataSlice = Seconds(1);
constexpr Duration kCoordinatorRetry = Milliseconds(100);

template <class T, void (*kDestroy)(T*)>
struct Deleter {
  void operator()(T* object) const { kDestroy(object); }
};
template <class T, void (*kDestroy)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, kDestroy>>;

using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Queue = Owned<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using Options = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using PartitionList = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

class RealKafkaAdmin final : public KafkaAdmin {
 public:
  RealKafkaAdmin(std::unique_ptr<KafkaHandle> handle, const KafkaConnection& connection,
                 std::shared_ptr<KafkaReaper> reaper, Env& env)
      : handle_(std::move(handle)),
        connection_(connection),
        reaper_(std::move(reaper)),
        env_(env) {}

  Result<std::vector<KafkaTopic>> Topics(std::span<const std::string> names,
                                         Duration deadline) override {
    std::vector<KafkaTopic> topics;
    if (names.empty()) return topics;
    const Duration until = env_.Steady() + deadline;
    WEIR_ASSIGN(const bool mock, IsInProcessBroker(deadline));
    if (mock) return TopicsOfMetadata(names, Left(until));
    std::vector<const char*> texts;
    for (const std::string& name : names) texts.push_back(name.c_str());
    const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> collection(
        rd_kafka_TopicCollection_of_topic_names(texts.data(), texts.size()));
    const Options options = MakeOptions(RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, Left(until));
    const Queue queue(rd_kafka_queue_new(handle_->get()));
    rd_kafka_DescribeTopics(handle_->get(), collection.get(), options.get(), queue.get());
    WEIR_ASSIGN(const Event event, Await(queue.get(), Left(until), "topics"));
    size_t count = 0;
    const rd_kafka_TopicDescription_t** found = rd_kafka_DescribeTopics_result_topics(
        rd_kafka_event_DescribeTopics_result(event.get()), &count);
    for (size_t i = 0; i < count; ++i) {
      const rd_kafka_error_t* error = rd_kafka_TopicDescription_error(found[i]);
      const std::string name = rd_kafka_TopicDescription_name(found[i]);
      const rd_kafka_resp_err_t code =
          error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
      if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) continue;
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return KafkaStatus(code, "topic '" + name + "': " + rd_kafka_error_string(error));
      KafkaTopic topic{.name = name, .id = {}, .partitions = {}};
      if (const rd_kafka_Uuid_t* id = rd_kafka_TopicDescription_topic_id(found[i]))
        topic.id = IdText(id);
      size_t partitions = 0;
      const rd_kafka_TopicPartitionInfo_t** infos =
          rd_kafka_TopicDescription_partitions(found[i], &partitions);
      for (size_t p = 0; p < partitions; ++p)
        topic.partitions.push_back(rd_kafka_TopicPartitionInfo_partition(infos[p]));
      std::ranges::sort(topic.partitions);
      topics.push_back(std::move(topic));
    }
    return topics;
  }

  Result<std::vector<KafkaTopic>> AllTopics(Duration deadline) override {
    const Duration until = env_.Steady() + deadline;
    const rd_kafka_metadata_t* metadata = nullptr;
    WEIR_TRY(Metadata(deadline, &metadata));
    std::vector<std::string> names;
    names.reserve(static_cast<size_t>(metadata->topic_cnt));
    for (int i = 0; i < metadata->topic_cnt; ++i) names.emplace_back(metadata->topics[i].topic);
    rd_kafka_metadata_destroy(metadata);
    return Topics(names, Left(until));
  }

  Status CreateTopic(const std::string& name, int32_t partitions, int32_t replication,
                     Duration deadline) override {
    std::array<char, kErrorBytes> text{};
    const Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy> topic(rd_kafka_NewTopic_new(
        name.c_str(), partitions, replication == 0 ? -1 : replication, text.data(), text.size()));
    if (topic == nullptr)
      return Status(Code::kInvalidArgument,
                    "topic '" + name + "' cannot be created: " + text.data(), Fault::kUser,
                    Retry::kNever);
    const Options options = MakeOptions(RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline);
    const Queue queue(rd_kafka_queue_new(handle_->get()));
    rd_kafka_NewTopic_t* topics = topic.get();
    rd_kafka_CreateTopics(handle_->get(), &topics, 1, options.get(), queue.get());
    WEIR_ASSIGN(const Event event,
                Await(queue.get(), deadline, "creation of topic '" + name + "'"));
    size_t count = 0;
    const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event.get()), &count);
    for (size_t i = 0; i < count; ++i) {
      const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        continue;
      const char* reason = rd_kafka_topic_result_error_string(results[i]);
      return KafkaStatus(error, "topic '" + name + "' cannot be created: " +
                                    handle_->redactor().Clean(
                                        reason == nullptr ? rd_kafka_err2str(error) : reason));
    }
    return Status::Ok();
  }

  Result<std::vector<int64_t>> Offsets(std::span<const std::pair<std::string, int32_t>> partitions,
                                       When when, EventTime time, Duration deadline) override {
    int64_t spec = RD_KAFKA_OFFSET_SPEC_LATEST;
    if (when == When::kEarliest) spec = RD_KAFKA_OFFSET_SPEC_EARLIEST;
    if (when == When::kAtTime) spec = std::max<int64_t>(0, time.us / 1000);
    const Duration until = env_.Steady() + deadline;
    // The answer where no record is that young. Asked for first: what comes between the two
    // questions lies behind this end, and is found or read.
    std::vector<int64_t> ends;
    if (when == When::kAtTime) {
      WEIR_ASSIGN(ends, ListOffsets(partitions, RD_KAFKA_OFFSET_SPEC_LATEST, /*stable=*/false,
                                    Left(until)));
    }
    WEIR_ASSIGN(std::vector<int64_t> offsets,
                ListOffsets(partitions, spec, when == When::kLatestStable, Left(until)));
    for (size_t i = 0; i < ends.size(); ++i) {
      if (offsets[i] < 0) offsets[i] = ends[i];
    }
    return offsets;
  }

  /// By a consumer of the group, made for the question: the admin call of librdkafka 2.8 crashes on
  /// a coordinator that has just moved, since its own handle has no group.
  Result<std::vector<int64_t>> Committed(
      const std::string& group, std::span<const std::pair<std::string, int32_t>> partitions,
      Duration deadline) override {
    const Duration until = env_.Steady() + deadline;
    WEIR_ASSIGN(
        const std::unique_ptr<KafkaHandle> member,
        KafkaHandle::Make(
            RD_KAFKA_CONSUMER, connection_,
            {{"group.id", group}, {"enable.auto.commit", "false"}, {"statistics.interval.ms", "0"}},
            /*events=*/0, Waker(), reaper_));
    while (true) {
      const PartitionList list = MakeList(partitions, RD_KAFKA_OFFSET_INVALID);
      const Duration left = Left(until);
      const rd_kafka_resp_err_t error =
          rd_kafka_committed(member->get(), list.get(), static_cast<int>(left.us / 1000));
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return InOrder(partitions, list.get());
      const Status status = KafkaStatus(
          error, "committed offsets of group '" + group + "': " + rd_kafka_err2str(error));
      // A broker that has just started, or just taken the group over, still reads its offsets.
      if (status.retry() != Retry::kBackoff || env_.Steady() + kCoordinatorRetry >= until)
        return status;
      const Queue nothing(rd_kafka_queue_new(member->get()));
      rd_kafka_queue_poll(nothing.get(), static_cast<int>(kCoordinatorRetry.us / 1000));
    }
  }

  Result<uint64_t> MessageBytesMax(const std::string& topic, Duration deadline) override {
    const Duration until = env_.Steady() + deadline;
    WEIR_ASSIGN(const bool mock, IsInProcessBroker(deadline));
    if (mock) return uint64_t{0};
    rd_kafka_ConfigResource_t* resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
    const Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy> owner(resource);
    const Options options = MakeOptions(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, Left(until));
    const Queue queue(rd_kafka_queue_new(handle_->get()));
    rd_kafka_DescribeConfigs(handle_->get(), &resource, 1, options.get(), queue.get());
    WEIR_ASSIGN(const Event event,
                Await(queue.get(), Left(until), "settings of topic '" + topic + "'"));
    size_t count = 0;
    const rd_kafka_ConfigResource_t** resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event.get()), &count);
    // Whoever may write need not be allowed to read settings: then the limit is unknown.
    if (count != 1 || rd_kafka_ConfigResource_error(resources[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
      return uint64_t{0};
    size_t entries = 0;
    const rd_kafka_ConfigEntry_t** settings =
        rd_kafka_ConfigResource_configs(resources[0], &entries);
    for (size_t i = 0; i < entries; ++i) {
      if (std::string_view(rd_kafka_ConfigEntry_name(settings[i])) != "max.message.bytes") continue;
      const char* value = rd_kafka_ConfigEntry_value(settings[i]);
      return value == nullptr ? uint64_t{0}
                              : static_cast<uint64_t>(std::strtoull(value, nullptr, 10));
    }
    return uint64_t{0};
  }

 private:
  /// librdkafka's in-process broker, which the demo uses: it answers neither descriptions of topics
  /// nor settings.
  Result<bool> IsInProcessBroker(Duration deadline) {
    const rd_kafka_metadata_t* metadata = nullptr;
    WEIR_TRY(Metadata(deadline, &metadata));
    rd_kafka_metadata_destroy(metadata);
    char* id = rd_kafka_clusterid(handle_->get(), /*timeout_ms=*/0);
    const bool mock = id != nullptr && std::string_view(id).starts_with("mockCluster");
    if (id != nullptr) rd_kafka_mem_free(handle_->get(), id);
    return mock;
  }

  Result<std::vector<KafkaTopic>> TopicsOfMetadata(std::span<const std::string> names,
                                                   Duration deadline) {
    const rd_kafka_metadata_t* metadata = nullptr;
    WEIR_TRY(Metadata(deadline, &metadata));
    std::vector<KafkaTopic> topics;
    for (int i = 0; i < metadata->topic_cnt; ++i) {
      const rd_kafka_metadata_topic_t& found = metadata->topics[i];
      if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR ||
          std::ranges::find(names, std::string_view(found.topic)) == names.end())
        continue;
      KafkaTopic topic{.name = found.topic, .id = {}, .partitions = {}};
      for (int p = 0; p < found.partition_cnt; ++p)
        topic.partitions.push_back(found.partitions[p].id);
      std::ranges::sort(topic.partitions);
      topics.push_back(std::move(topic));
    }
    rd_kafka_metadata_destroy(metadata);
    return topics;
  }

  static std::string IdText(const rd_kafka_Uuid_t* id) {
    const int64_t most = rd_kafka_Uuid_most_significant_bits(id);
    const int64_t least = rd_kafka_Uuid_least_significant_bits(id);
    if (most == 0 && least == 0) return {};
    const char* text = rd_kafka_Uuid_base64str(id);
    return text == nullptr ? std::string() : std::string(text);
  }

  /// Of a question in several parts, for the next one; at least what the library takes.
  Duration Left(Duration until) { return std::max(until - env_.Steady(), Milliseconds(1)); }

  Options MakeOptions(rd_kafka_admin_op_t operation, Duration deadline) {
    Options options(rd_kafka_AdminOptions_new(handle_->get(), operation));
    std::array<char, kErrorBytes> error{};
    rd_kafka_AdminOptions_set_request_timeout(
        options.get(), static_cast<int>(std::max<int64_t>(1, deadline.us / 1000)), error.data(),
        error.size());
    return options;
  }

  static PartitionList MakeList(std::span<const std::pair<std::string, int32_t>> partitions,
                                int64_t offset) {
    PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const auto& [topic, partition] : partitions)
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
    return list;
  }

  /// Offsets of the answer in the order of the question; -1: none.
  static Result<std::vector<int64_t>> InOrder(
      std::span<const std::pair<std::string, int32_t>> partitions,
      const rd_kafka_topic_partition_list_t* answer) {
    std::map<std::pair<std::string, int32_t>, int64_t> by_partition;
    for (int i = 0; answer != nullptr && i < answer->cnt; ++i) {
      const rd_kafka_topic_partition_t& one = answer->elems[i];
      if (one.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return KafkaStatus(one.err, std::string("offset of ") + one.topic + "-" +
                                        std::to_string(one.partition) + ": " +
                                        rd_kafka_err2str(one.err));
      }
      by_partition[{one.topic, one.partition}] = one.offset;
    }
    std::vector<int64_t> offsets;
    for (const auto& partition : partitions) {
      const auto found = by_partition.find(partition);
      offsets.push_back(found == by_partition.end() || found->second < 0 ? -1 : found->second);
    }
    return offsets;
  }

  Result<std::vector<int64_t>> ListOffsets(
      std::span<const std::pair<std::string, int32_t>> partitions, int64_t spec, bool stable,
      Duration deadline) {
    if (partitions.empty()) return std::vector<int64_t>();
    const PartitionList list = MakeList(partitions, spec);
    const Options options = MakeOptions(RD_KAFKA_ADMIN_OP_LISTOFFSETS, deadline);
    if (rd_kafka_error_t* error = rd_kafka_AdminOptions_set_isolation_level(
            options.get(), stable ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                  : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED)) {
      rd_kafka_error_destroy(error);
    }
    const Queue queue(rd_kafka_queue_new(handle_->get()));
    rd_kafka_ListOffsets(handle_->get(), list.get(), options.get(), queue.get());
    WEIR_ASSIGN(const Event event, Await(queue.get(), deadline, "offsets"));
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t** infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
    const PartitionList answer(rd_kafka_topic_partition_list_new(static_cast<int>(count)));
    for (size_t i = 0; i < count; ++i) {
      const rd_kafka_topic_partition_t* one =
          rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
      rd_kafka_topic_partition_t* copy =
          rd_kafka_topic_partition_list_add(answer.get(), one->topic, one->partition);
      copy->offset = one->offset;
      copy->err = one->err;
    }
    return InOrder(partitions, answer.get());
  }

  Status Metadata(Duration deadline, const rd_kafka_metadata_t** metadata) {
    const Duration end = env_.Steady() + deadline;
    // In slices, so that a refused login is seen; the library asks again from where it stands.
    for (;;) {
      const Duration slice = std::min(Left(end), kMetadataSlice);
      const rd_kafka_resp_err_t error = rd_kafka_metadata(
          handle_->get(), /*all_topics=*/1, nullptr, metadata, static_cast<int>(slice.us / 1000));
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return Status::Ok();
      while (rd_kafka_event_t* event = handle_->NextEvent(Duration{0}))
        rd_kafka_event_destroy(event);
      WEIR_TRY(handle_->status());
      if (env_.Steady() >= end) return Silence("topics", deadline, rd_kafka_err2str(error));
    }
  }

  Status Silence(std::string_view what, Duration deadline, std::string_view reason) {
    return Status(
        Code::kUnavailable,
        "no answer from " + connection_.brokers + " within " + std::to_string(deadline.us / 1000) +
            " ms (" + std::string(what) +
            "): " + (handle_->last_error().empty() ? std::string(reason) : handle_->last_error()) +
            "; check the brokers' addresses, and that they run",
        Fault::kExternal, Retry::kBackoff);
  }

  Result<Event> Await(rd_kafka_queue_t* queue, Duration deadline, const std::string& what) {
    const Duration end = env_.Steady() + deadline;
    for (;;) {
      Event event(rd_kafka_queue_poll(queue, static_cast<int>(kSlice.us / 1000)));
      while (rd_kafka_event_t* note = handle_->NextEvent(Duration{0})) rd_kafka_event_destroy(note);
      WEIR_TRY(handle_->status());
      if (event == nullptr) {
        if (env_.Steady() < end) continue;
        return Silence(what, deadline, "timed out");
      }
      const rd_kafka_resp_err_t error = rd_kafka_event_error(event.get());
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
      if (error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT)
        return Silence(what, deadline, rd_kafka_event_error_string(event.get()));
      return KafkaStatus(
          error, what + ": " + handle_->redactor().Clean(rd_kafka_event_error_string(event.get())));
    }
  }

  const std::unique_ptr<KafkaHandle> handle_;
  const KafkaConnection connection_;
  const std::shared_ptr<KafkaReaper> reaper_;
  Env& env_;
};

}  // namespace

Result<std::unique_ptr<KafkaAdmin>> MakeRealKafkaAdmin(const KafkaConnection& connection,
                                                       std::shared_ptr<KafkaReaper> reaper,
                                                       Env& env) {
  WEIR_ASSIGN(std::unique_ptr<KafkaHandle> handle,
              KafkaHandle::Make(RD_KAFKA_PRODUCER, connection, {{"statistics.interval.ms", "0"}},
                                /*events=*/0, Waker(), reaper));
  return std::make_unique<RealKafkaAdmin>(std::move(handle), connection, std::move(reaper), env);
}

}  // namespace weir
