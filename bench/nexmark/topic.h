/// The benchmark's topic in Kafka: creates and fills it, reads it from its beginning to the end
/// that it has when the reading begins.
///
/// Both ends use librdkafka directly, without the engine's client. One thread each, beside the
/// client's own. Errors come back as text; a record that could not be delivered is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct rd_kafka_s;
struct rd_kafka_topic_s;
struct rd_kafka_queue_s;
struct rd_kafka_message_s;

namespace weir::bench {

/// Empty: no error.
using ErrorText = std::string;

class TopicWriter {
 public:
  TopicWriter() = default;
  TopicWriter(const TopicWriter&) = delete;
  TopicWriter& operator=(const TopicWriter&) = delete;
  ~TopicWriter();

  /// Creates the topic; one that exists is an error. `compression` as librdkafka spells it.
  ErrorText Open(const std::string& brokers, const std::string& topic, int partitions,
                 const std::string& compression);
  /// Copies `value`. Waits while the client's queue is full.
  ErrorText Write(int partition, std::int64_t timestamp_ms, std::string_view value);
  /// Waits until all is delivered; fails if any record was not.
  ErrorText Finish();

 private:
  void Poll(int timeout_ms);

  rd_kafka_s* client_ = nullptr;
  rd_kafka_topic_s* topic_ = nullptr;
  std::uint64_t written_ = 0;
  // Counted by delivery reports, which Poll serves on the caller's thread.
  std::uint64_t delivered_ = 0;
  ErrorText delivery_error_;
};

class TopicReader {
 public:
  TopicReader() = default;
  TopicReader(const TopicReader&) = delete;
  TopicReader& operator=(const TopicReader&) = delete;
  ~TopicReader();

  /// Begins to fetch all partitions, each from its first offset to its present end.
  ErrorText Open(const std::string& brokers, const std::string& topic);

  struct Record {
    int partition;
    std::int64_t offset;
    std::string_view value;
  };
  /// Gives up to kBatchRecords records, in the order of each partition; an empty vector when none
  /// is there at the moment. The views are valid until the next call.
  ErrorText Poll(std::vector<Record>& records);
  bool AtEnd() const { return partitions_open_ == 0; }
  int partitions() const { return static_cast<int>(ends_.size()); }

  static constexpr std::size_t kBatchRecords = 4096;

 private:
  void Release();

  rd_kafka_s* client_ = nullptr;
  rd_kafka_queue_s* queue_ = nullptr;
  std::vector<rd_kafka_message_s*> batch_;
  std::size_t batch_size_ = 0;
  std::vector<std::int64_t> ends_;
  std::vector<bool> open_;
  int partitions_open_ = 0;
};

}  // namespace weir::bench
