#pragma once
// The Kafka client over librdkafka 2.8, its C API: what consumer, producer and admin share. A
// handle's events (errors, statistics, delivery reports) come through one queue and are served on
// the caller's thread; the library's own threads only wake. Handles are closed by a reaper thread,
// because closing blocks. Nothing here is seen outside of connectors/kafka_client*.
//
// Failure: Status with host:port at most; every text of the library passes the redactor, which
// knows the connection's secrets.

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/api/clients.h"
#include "engine/base/env.h"

namespace weir {

/// Replaces the secrets of a connection by *** in texts that may be shown.
class KafkaRedactor {
 public:
  explicit KafkaRedactor(const KafkaConnection& connection);
  std::string Clean(std::string_view text) const;

 private:
  std::vector<Secret> secrets_;
};

struct KafkaShared;

/// One partition's queue: set by the library when the queue was empty and is not.
struct KafkaQueueSignal {
  KafkaShared* shared = nullptr;
  std::atomic<bool> ready = true;
};

/// What the library's threads may touch of a handle; lives until the reaper has destroyed it.
struct KafkaShared {
  KafkaShared(const KafkaConnection& connection, Waker wake)
      : redactor(connection), waker(std::move(wake)) {}
  const KafkaRedactor redactor;
  const Waker waker;
  std::atomic<bool> events = false;  // the main queue holds something
  std::vector<std::unique_ptr<KafkaQueueSignal>>
      queues;  // one per partition, made before its queue can signal
};

/// A client given up: closed by the reaper.
struct KafkaCorpse {
  rd_kafka_t* handle = nullptr;
  std::vector<rd_kafka_queue_t*> queues;
  std::vector<rd_kafka_topic_t*> topics;
  std::unique_ptr<KafkaShared> shared;
  void Destroy();
};

/// Closes clients on a thread of its own. Owned by the Clients and by every client.
class KafkaReaper {
 public:
  explicit KafkaReaper(Env& env);
  ~KafkaReaper();                 // waits until all are closed
  void Take(KafkaCorpse corpse);  // any thread

 private:
  struct Entry {
    KafkaCorpse corpse;
    Entry* next = nullptr;
  };
  bool CloseAll();

  std::atomic<Entry*> newest_ = nullptr;  // a stack that the thread takes whole
  std::unique_ptr<Loop> loop_;
};

/// A librdkafka instance with its main queue and what it has said of itself. One thread.
class KafkaHandle {
 public:
  using Settings = std::map<std::string, std::string>;

  /// Connection settings of this side, then `owned`, which win. Subscribes to `events`.
  static Result<std::unique_ptr<KafkaHandle>> Make(rd_kafka_type_t type,
                                                   const KafkaConnection& connection,
                                                   const Settings& owned, int events, Waker waker,
                                                   std::shared_ptr<KafkaReaper> reaper);
  ~KafkaHandle();
  KafkaHandle(const KafkaHandle&) = delete;
  KafkaHandle& operator=(const KafkaHandle&) = delete;

  rd_kafka_t* get() const { return corpse_.handle; }
  KafkaShared& shared() { return *corpse_.shared; }
  const KafkaRedactor& redactor() const { return corpse_.shared->redactor; }
  /// Queues and topics that die with the handle.
  void Keep(rd_kafka_queue_t* queue) { corpse_.queues.push_back(queue); }
  void Keep(rd_kafka_topic_t* topic) { corpse_.topics.push_back(topic); }

  /// True if the main queue may hold an event since the last call.
  bool TakeSignal() { return corpse_.shared->events.exchange(false, std::memory_order_acquire); }
  /// Next event of the main queue within `timeout`, null: none. Errors are noted, and answered too.
  rd_kafka_event_t* NextEvent(Duration timeout);
  void NoteError(rd_kafka_resp_err_t error, std::string_view text);

  const Status& status() const { return status_; }
  const std::string& last_error() const { return last_error_; }

 private:
  KafkaHandle(KafkaCorpse corpse, std::shared_ptr<KafkaReaper> reaper)
      : corpse_(std::move(corpse)), reaper_(std::move(reaper)) {}

  KafkaCorpse corpse_;
  rd_kafka_queue_t* main_ = nullptr;
  const std::shared_ptr<KafkaReaper> reaper_;
  Status status_;
  std::string last_error_;
};

/// The library's error as a Status: whose fault, whether a retry helps.
Status KafkaStatus(rd_kafka_resp_err_t error, std::string text);

Result<std::unique_ptr<KafkaConsumer>> MakeRealKafkaConsumer(const KafkaConsumerConfig& config,
                                                             Waker waker,
                                                             std::shared_ptr<KafkaReaper> reaper);
Result<std::unique_ptr<KafkaProducer>> MakeRealKafkaProducer(const KafkaProducerConfig& config,
                                                             Waker waker,
                                                             std::shared_ptr<KafkaReaper> reaper);
Result<std::unique_ptr<KafkaAdmin>> MakeRealKafkaAdmin(const KafkaConnection& connection,
                                                       std::shared_ptr<KafkaReaper> reaper,
                                                       Env& env);

}  // namespace weir
