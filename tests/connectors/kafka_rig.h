#pragma once
// What tests of the Kafka connectors share: topics filled through the clients, a source driven
// until it has what the test wants, a sink driven through checkpoints. Against the suite's broker;
// one thread.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/env_posix.h"
#include "tests/connectors/rig.h"
#include "tests/harness/kafka_broker.h"

struct rd_kafka_s;  // librdkafka's handle

namespace weir {

/// Env and clients of one test, and the context that goes with them.
struct KafkaRig {
  explicit KafkaRig(std::string brokers);
  std::unique_ptr<Env> env = MakePosixEnv(2);
  std::unique_ptr<Clients> clients;
  KafkaConnection connection;
  std::string connections;  // as in a job: "main"

  void CreateTopic(const std::string& topic, int partitions);
  /// Record i to partition i % partitions, value "<prefix><i>", key "k<i>", time 1'700'000'000'000
  /// ms + i.
  void Fill(const std::string& topic, int partitions, int first, int count,
            const std::string& prefix);
  void Produce(const KafkaRecord& record);
  void FlushAll();
  std::unique_ptr<KafkaAdmin> Admin();
  /// A setting of the topic, from when this returns on.
  void SetMessageBytesMax(const std::string& topic, uint64_t bytes);
  /// As retention does: records below `offset` are gone.
  void DeleteRecordsBefore(const std::string& topic, int32_t partition, int64_t offset);

 private:
  std::unique_ptr<KafkaProducer> producer_;
};

/// A producer with transactions, by librdkafka itself, as those that write a job's input are. One
/// transaction at a time; its records are in the topic's log when Put returns.
class KafkaTransactions {
 public:
  KafkaTransactions(const KafkaRig& rig, const std::string& transactional_id);
  ~KafkaTransactions();
  KafkaTransactions(const KafkaTransactions&) = delete;
  KafkaTransactions& operator=(const KafkaTransactions&) = delete;

  void Begin();
  void Put(const std::string& topic, int32_t partition, const std::vector<std::string>& values);
  void Commit();
  void Abort();

 private:
  rd_kafka_s* const client_;
};

/// A source with its enumerator.
struct SourceRun {
  SourceRun(KafkaRig& rig, const std::string& options);
  Status Start(const std::vector<SplitState>& restored);
  /// New splits of the enumerator go to the source.
  Status Discover();
  /// Polls until `done` answers true; a Status of the source ends it, so does a minute.
  Status PollUntil(const std::function<bool()>& done);
  std::vector<std::string> Values() const;
  std::vector<SplitState> Positions() const;
  bool AllEnded() const;

  KafkaRig& rig;
  std::unique_ptr<TestNode> node;
  TestNodeContext context;
  std::unique_ptr<SplitEnumerator> enumerator;
  std::unique_ptr<Source> source;
  std::vector<SplitState> splits;
  TestSourceOutput out;
};

bool WaitFor(const std::function<bool()>& done);

}  // namespace weir
