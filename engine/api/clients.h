#pragma once
// Clients: Kafka and HTTP, real or simulated. Calls on W never block: they start
// something, answers are collected after a wake. The real ones hide their library's threads, die in
// a reaper thread, and account their queues. Addresses and secrets never appear in messages beyond
// host:port.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/api/context.h"
#include "engine/api/format.h"
#include "engine/base/env.h"
#include "engine/base/secret.h"
#include "engine/base/status.h"

namespace weir {

/// Settings of a `kafka` connection, secrets resolved. No value of a setting prints, since any of
/// them may have come from a secret.
struct KafkaConnection {
  std::string brokers;
  std::map<std::string, Secret> settings;  // security.*, sasl.*, ssl.*, allowed properties
  std::string ca_file;  // ssl.ca.location as the job has it, secrets not resolved: for messages
};

using PartitionIndex =
    StrongId<struct PartitionIndexTag, uint32_t>;  // position in the order of Assign

struct KafkaPosition {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;  // absolute: the enumerator has resolved the start
};

struct KafkaMessage {
  Record record;  // views, valid until Release
};

struct KafkaPartition {
  bool end_reached =
      false;  // "end of partition" came and no message after it, queued ones included
  bool leader_up = false;
  int64_t stable_offset = -1, high_offset = -1;  // -1: not known yet; exact while end_reached
  Duration last_fetch_age = Duration{INT64_MAX};
  uint64_t queued_messages = 0, queued_bytes = 0;
  Status error;  // fatal for the split: offset out of range (kNotFound), topic or partition gone
                 // (kIncompatible), kPermissionDenied
};

struct KafkaConsumerConfig {
  KafkaConnection connection;
  std::string group_id;
  bool read_committed = true;
  /// All partitions together, but each has a least size, and a fetch may come on top.
  size_t queue_bytes = size_t{64} << 20;
};

class KafkaConsumer {
 public:
  virtual ~KafkaConsumer() = default;
  virtual Status Assign(
      std::span<const KafkaPosition> partitions) = 0;  // W  adds; one queue per partition
  virtual size_t Poll(PartitionIndex partition, std::span<KafkaMessage> out) = 0;  // W
  /// W. Nothing more of it is wanted, so nothing more is fetched: it is not polled any longer.
  virtual void Finish(PartitionIndex partition) = 0;
  virtual void Release() = 0;  // W  views of all Polls since the last Release die
  virtual KafkaPartition status(PartitionIndex partition) const = 0;  // W
  /// W. What the queues of all partitions that are not finished may hold of messages: more with
  /// each Assign, less with each Finish.
  virtual uint64_t queue_bytes_max() const = 0;
  /// W. Offsets for lag tools, in the background; failures are counted.
  virtual void Commit(std::span<const KafkaPosition> positions) = 0;
  virtual uint64_t commit_failures() const = 0;
  virtual Status status() const = 0;  // W  fatal: authentication failed, library error
  virtual std::string last_error()
      const = 0;  // W  newest non-fatal: "host:port: connection refused"; empty: none
};

struct KafkaRecord {
  std::string_view topic;
  int32_t partition = -1;  // -1: by the key as Java's default partitioner (murmur2_random)
  std::optional<std::string_view> key, value;  // no value: tombstone
  int64_t timestamp_ms = 0;
  std::span<const Header> headers;
};

struct KafkaDeliveries {
  uint64_t sent = 0, delivered = 0, failed = 0;
  /// Of those sent before the last Flush, how many wait for an answer. Partitions answer in any
  /// order, so the counts above do not tell.
  uint64_t flushing = 0;
  Status first_error;  // of a failed delivery
};

struct KafkaProducerConfig {
  KafkaConnection connection;
  std::string transactional_id;  // empty: none
  size_t queue_bytes = size_t{32} << 20;
  Duration delivery_timeout = Duration{0};  // zero: for ever
};

struct KafkaTransactionCall {
  enum Kind : uint8_t { kInit, kReadOffsets, kBegin, kSendOffsets, kCommit, kAbort } kind = kInit;
  std::string group;       // kReadOffsets, kSendOffsets
  KafkaPosition position;  // kReadOffsets: which; kSendOffsets: what
  std::string metadata;
};

class KafkaProducer {
 public:
  virtual ~KafkaProducer() = default;
  virtual Status Produce(const KafkaRecord& record) = 0;  // W  copies; kQueueFull: wait for a wake;
                                                          // kLimit: larger than the broker takes
  virtual KafkaDeliveries deliveries() const = 0;         // W
  virtual Status status() const = 0;                      // W  fatal
  virtual std::string last_error() const = 0;
  virtual void Flush() = 0;  // W  starts: nothing lingers any more; deliveries tell the rest
  virtual void Start(const KafkaTransactionCall& call) = 0;  // W  for the exactly-once sink
  virtual std::optional<Status> Outcome() = 0;  // W  of the one started last; empty while it runs
  /// W. Keys, values and headers of the records that no report has come for.
  virtual uint64_t bytes_queued() const = 0;
};

struct KafkaTopic {
  std::string name, id;  // id: empty where the broker has none
  std::vector<int32_t> partitions;
};

/// P, blocks up to `deadline`.
class KafkaAdmin {
 public:
  virtual ~KafkaAdmin() = default;
  virtual Result<std::vector<KafkaTopic>> Topics(
      std::span<const std::string> names, Duration deadline) = 0;  // missing ones are left out
  virtual Result<std::vector<KafkaTopic>> AllTopics(Duration deadline) = 0;
  /// kAlreadyExists is Ok. replication 0: the broker's default.
  virtual Status CreateTopic(const std::string& name, int32_t partitions, int32_t replication,
                             Duration deadline) = 0;
  enum class When : uint8_t { kEarliest, kLatest, kLatestStable, kAtTime };
  /// Offsets in the order asked. kAtTime beyond the end answers the end.
  virtual Result<std::vector<int64_t>> Offsets(
      std::span<const std::pair<std::string, int32_t>> partitions, When when, EventTime time,
      Duration deadline) = 0;
  /// The largest record batch that the topic takes, in bytes; 0: unknown.
  virtual Result<uint64_t> MessageBytesMax(const std::string& topic, Duration deadline) = 0;
  virtual Result<std::vector<int64_t>> Committed(
      const std::string& group, std::span<const std::pair<std::string, int32_t>> partitions,
      Duration deadline) = 0;  // -1: none
};

/// A part of a file as the body of a request, read while it is sent.
struct HttpFilePart {
  const ReadableFile* file = nullptr;
  uint64_t offset = 0, bytes = 0;
};
struct HttpRequest {
  std::string method = "GET", url;
  std::string_view body;  // must outlive the call, as the file must
  HttpFilePart file;      // instead of `body`
  std::vector<std::pair<std::string, std::string>> headers;
  size_t answer_bytes_max = size_t{1} << 20;  // beyond: kLimit
  uint64_t interrupts = 0;                    // interrupts() when the caller's operation began
};
struct HttpResponse {
  int status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case

  /// Empty if there is none.
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};
/// Keeps connections for the next call. P, several threads at once.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Blocks. Any status is an answer, no answer a Status: kUnavailable (no connection, or it was
  /// cut), kTimedOut (`timeout` covers everything, names included), kCancelled, kLimit. Whether the
  /// server has carried the request out is then unknown. Redirects are answers.
  virtual Result<HttpResponse> Call(const HttpRequest& request, Duration timeout) = 0;
  /// Blocks before another try. False: interrupted.
  virtual bool Pause(Duration time, uint64_t interrupts) = 0;
  virtual uint64_t interrupts() const = 0;  // A
  /// A. Calls and pauses of operations that have begun end soon.
  virtual void Interrupt() = 0;
};

/// Makes clients. A.
class Clients {
 public:
  virtual ~Clients() = default;
  virtual Result<std::unique_ptr<KafkaConsumer>> MakeKafkaConsumer(
      const KafkaConsumerConfig& config, Waker waker) = 0;
  virtual Result<std::unique_ptr<KafkaProducer>> MakeKafkaProducer(
      const KafkaProducerConfig& config, Waker waker) = 0;
  virtual Result<std::unique_ptr<KafkaAdmin>> MakeKafkaAdmin(const KafkaConnection& connection) = 0;
};

}  // namespace weir
