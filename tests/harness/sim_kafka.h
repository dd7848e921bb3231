#pragma once
// SimKafka: a Kafka cluster in memory, beside the processes of a SimWorld. Its topics survive their
// crashes; its clients answer in virtual time, after delays drawn from the world's seed, so that
// equal seeds give equal runs. kafka_clients_suite.h holds it and a real broker to the same rules.
//
//   SimKafka kafka(world);
//   kafka.CreateTopic("in", 3);
//   std::unique_ptr<Clients> clients = kafka.MakeClients();   // of one process
//   kafka.Append({.topic = "in", .partition = 0, .value = "{}"});
//
// What is simulated: records arrive in small fetches, at their own pace per partition; ends of
// partitions are told once each time they are reached; statistics are up to half a second old;
// queues are short, so producers refuse and consumers pause; records wait in a producer, travel,
// are appended in order per partition and acknowledged later, in any order between partitions. What
// travels when its process dies arrives or is lost within kTravelMax. A batch whose answer was lost
// is sent again and appended once, as by an idempotent producer. Without transactions: the stable
// offset is the high one. Questions of an admin are answered or refused at once, because virtual
// time cannot pass inside of a call.
//
// One thread. The world must outlive it, and it the clients.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/clients.h"
#include "tests/harness/sim_env.h"

namespace weir {

/// A record as the broker holds it.
struct SimRecord {
  std::optional<std::string> key, value;
  int64_t timestamp_ms = 0, offset = 0;
  int32_t partition = 0;
  std::vector<std::pair<std::string, std::optional<std::string>>> header_texts;
  std::vector<Header> headers;  // views of header_texts, once it is in a log
};

/// What a cluster does that no cluster may: checkers must notice.
enum class SimKafkaLie : uint8_t {
  kNone,
  kAcknowledgesUnwritten,  // a batch is acknowledged and gone
  kSkipsAtAssign,  // reading goes on one record behind the position, as if it was saved too early
};

class SimKafka {
 public:
  static constexpr Duration kTravelMax = Milliseconds(20);

  explicit SimKafka(SimWorld& world);
  ~SimKafka();
  SimKafka(const SimKafka&) = delete;
  SimKafka& operator=(const SimKafka&) = delete;

  /// For one process; they and what they make die with it.
  std::unique_ptr<Clients> MakeClients();

  // From outside of all processes: at once, and never refused.
  void CreateTopic(const std::string& topic, int32_t partitions);
  /// REQUIRES: the topic exists and has fewer.
  void AddPartitions(const std::string& topic, int32_t partitions);
  /// REQUIRES: topic and partition exist.
  void Append(const KafkaRecord& record);
  /// Retention: records before `offset` are gone.
  void Trim(const std::string& topic, int32_t partition, int64_t offset);
  /// Deletes it and makes it anew, empty and with another id.
  void RemakeTopic(const std::string& topic);

  bool HasTopic(const std::string& topic) const;
  int32_t partitions(const std::string& topic) const;
  const std::vector<std::shared_ptr<const SimRecord>>& log(const std::string& topic,
                                                           int32_t partition) const;
  /// -1: none.
  int64_t committed(const std::string& group, const std::string& topic, int32_t partition) const;

  // Faults.
  /// Nobody reaches the cluster.
  void Down(Duration time);
  /// The partition has no leader, then another one.
  void MoveLeader(const std::string& topic, int32_t partition, Duration time);
  /// The next batch that arrives is reported as timed out; whether it was appended is chance.
  void FailNextBatch();
  /// None of those that are still to come.
  void FailNoBatch();
  /// Of so many batches one is appended and its answer is lost.
  void LoseAnswers(uint32_t one_in);
  void Lie(SimKafkaLie lie);
  bool lied() const;

 private:
  struct Cluster;
  struct ConsumerState;
  struct ProducerState;
  class SimConsumer;
  class SimProducer;
  class SimAdmin;
  class SimClients;

  const std::shared_ptr<Cluster> cluster_;
};

}  // namespace weir
