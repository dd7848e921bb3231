#include "tests/harness/sim_kafka.h"

#include "connectors/connectors.h"
#include "engine/base/env_posix.h"
#include "tests/harness/kafka_broker.h"
#include "tests/harness/kafka_clients_suite.h"

#include <chrono>
#include <thread>

namespace weir {
namespace {

class RealSite final : public KafkaSite {
 public:
  Clients& clients() override { return *clients_; }
  KafkaConnection connection() override {
    static const KafkaAddresses kAddresses = SharedKafka().value();
    return {.brokers = kAddresses.plaintext, .settings = {}, .ca_file = {}};
  }
  bool Until(const std::function<bool()>& done) override {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  std::string Topic(const std::string& prefix) override { return UniqueTopic(prefix); }

 private:
  const std::unique_ptr<Env> env_ = MakePosixEnv(2);
  const std::unique_ptr<Clients> clients_ = MakeClients(*env_);
};

class SimSite final : public KafkaSite {
 public:
  Clients& clients() override { return *clients_; }
  KafkaConnection connection() override { return {}; }
  bool Until(const std::function<bool()>& done) override {
    const Duration end = world_.Steady() + Seconds(60);
    while (!done()) {
      if (world_.Steady() > end) return false;
      world_.RunFor(Milliseconds(2));
    }
    return true;
  }
  std::string Topic(const std::string& prefix) override {
    return prefix + "-" + std::to_string(++topics_);
  }

 private:
  SimWorld world_{7};
  SimKafka kafka_{world_};
  const std::unique_ptr<Clients> clients_ = kafka_.MakeClients();
  int topics_ = 0;
};

INSTANTIATE_TEST_SUITE_P(
    Harness, KafkaClients,
    testing::Values(KafkaSiteCase{"real", [] { return std::make_unique<RealSite>(); }},
                    KafkaSiteCase{"simulated", [] { return std::make_unique<SimSite>(); }}),
    [](const testing::TestParamInfo<KafkaSiteCase>& param) { return param.param.name; });

/// A producer of one process, its records "0", "1" ... to partition i % partitions.
struct Writer {
  explicit Writer(SimKafka& kafka)
      : clients(kafka.MakeClients()),
        producer(clients->MakeKafkaProducer({.connection = {}, .transactional_id = {}}, Waker())
                     .value()) {}
  void Write(int i, int32_t partitions) const {
    const std::string value = std::to_string(i);
    KafkaRecord record;
    record.topic = "t";
    record.partition = i % partitions;
    record.value = value;
    record.timestamp_ms = 1;
    ASSERT_TRUE(producer->Produce(record).ok());
  }
  bool Done() const {
    const KafkaDeliveries now = producer->deliveries();
    return now.delivered + now.failed == now.sent;
  }
  std::unique_ptr<Clients> clients;
  std::unique_ptr<KafkaProducer> producer;
};

std::vector<std::string> Values(const SimKafka& kafka, int32_t partition) {
  std::vector<std::string> values;
  for (const auto& record : kafka.log("t", partition)) values.push_back(record->value.value());
  return values;
}

TEST(SimKafka, ALostAnswerAppendsNothingTwice) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimWorld world(seed);
    SimKafka kafka(world);
    kafka.CreateTopic("t", 2);
    kafka.LoseAnswers(/*one_in=*/2);
    const Writer writer(kafka);
    for (int i = 0; i < 100; ++i) writer.Write(i, 2);
    ASSERT_TRUE(world.RunUntil([&] { return writer.Done(); }, Seconds(60)));
    EXPECT_EQ(writer.producer->deliveries().delivered, 100U);
    for (int32_t partition = 0; partition < 2; ++partition) {
      std::vector<std::string> expected;
      for (int i = partition; i < 100; i += 2) expected.push_back(std::to_string(i));
      EXPECT_EQ(Values(kafka, partition), expected);
    }
  }
}

TEST(SimKafka, AClusterThatIsDownTakesRecordsLaterAndRefusesQuestions) {
  SimWorld world(1);
  SimKafka kafka(world);
  kafka.CreateTopic("t", 1);
  kafka.Down(Seconds(5));
  const Writer writer(kafka);
  writer.Write(0, 1);
  const std::unique_ptr<KafkaAdmin> admin = writer.clients->MakeKafkaAdmin({}).value();
  EXPECT_EQ(admin->AllTopics(Seconds(1)).status().code(), Code::kUnavailable);
  world.RunFor(Seconds(4));
  EXPECT_EQ(writer.producer->deliveries().delivered, 0U);
  EXPECT_NE(writer.producer->last_error(), "");
  world.RunFor(Seconds(2));
  EXPECT_EQ(writer.producer->deliveries().delivered, 1U);
  EXPECT_TRUE(admin->AllTopics(Seconds(1)).ok());
}

TEST(SimKafka, AFlushWaitsForASlowPartitionHoweverMuchOthersDeliver) {
  SimWorld world(1);
  SimKafka kafka(world);
  kafka.CreateTopic("t", 2);
  kafka.MoveLeader("t", 0, Seconds(5));
  const Writer writer(kafka);
  writer.Write(0, 2);
  writer.producer->Flush();
  for (int i = 1; i < 20; i += 2) writer.Write(i, 2);
  world.RunFor(Seconds(4));
  EXPECT_EQ(writer.producer->deliveries().delivered, 10U);
  EXPECT_EQ(writer.producer->deliveries().flushing, 1U);
  world.RunFor(Seconds(2));
  EXPECT_EQ(writer.producer->deliveries().flushing, 0U);
}

TEST(SimKafka, AFailedBatchMayOrMayNotBeInTheLog) {
  std::set<size_t> sizes;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimWorld world(seed);
    SimKafka kafka(world);
    kafka.CreateTopic("t", 1);
    kafka.FailNextBatch();
    const Writer writer(kafka);
    writer.Write(0, 1);
    ASSERT_TRUE(world.RunUntil([&] { return writer.Done(); }, Seconds(60)));
    EXPECT_EQ(writer.producer->deliveries().failed, 1U);
    EXPECT_EQ(writer.producer->deliveries().first_error.code(), Code::kTimedOut);
    sizes.insert(kafka.log("t", 0).size());
  }
  EXPECT_EQ(sizes, (std::set<size_t>{0, 1}));
}

TEST(SimKafka, AProducerThatDiesLosesWhatItQueuedAndPerhapsWhatTravels) {
  std::set<size_t> sizes;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SimWorld world(seed);
    SimKafka kafka(world);
    kafka.CreateTopic("t", 1);
    {
      const Writer writer(kafka);
      for (int i = 0; i < 3; ++i) writer.Write(i, 1);
      world.RunFor(Microseconds(static_cast<int64_t>(world.Random() % 12'000)));
    }
    world.RunFor(SimKafka::kTravelMax);
    const size_t size = kafka.log("t", 0).size();
    sizes.insert(size);
    world.RunFor(Seconds(10));
    EXPECT_EQ(kafka.log("t", 0).size(), size) << "something came later, seed " << seed;
  }
  EXPECT_TRUE(sizes.contains(0));
  EXPECT_TRUE(sizes.contains(3));
}

TEST(SimKafka, RetentionAndANewLifeOfATopicAreNoticed) {
  SimWorld world(1);
  SimKafka kafka(world);
  kafka.CreateTopic("t", 1);
  const Writer writer(kafka);
  for (int i = 0; i < 5; ++i) writer.Write(i, 1);
  ASSERT_TRUE(world.RunUntil([&] { return writer.Done(); }, Seconds(60)));
  kafka.Trim("t", 0, 3);
  const std::unique_ptr<KafkaConsumer> consumer =
      writer.clients->MakeKafkaConsumer({.connection = {}, .group_id = "g"}, Waker()).value();
  const std::vector<KafkaPosition> positions = {{"t", 0, 2}};
  ASSERT_TRUE(consumer->Assign(positions).ok());
  ASSERT_TRUE(
      world.RunUntil([&] { return !consumer->status(PartitionIndex{0}).error.ok(); }, Seconds(60)));
  EXPECT_EQ(consumer->status(PartitionIndex{0}).error.code(), Code::kNotFound);
  const std::unique_ptr<KafkaAdmin> admin = writer.clients->MakeKafkaAdmin({}).value();
  const std::vector<std::string> names = {"t"};
  const std::string before = admin->Topics(names, Seconds(1)).value().front().id;
  kafka.RemakeTopic("t");
  EXPECT_NE(admin->Topics(names, Seconds(1)).value().front().id, before);
  EXPECT_EQ(kafka.log("t", 0).size(), 0U);
}

TEST(SimKafka, EqualSeedsGiveEqualRuns) {
  const auto trace = [](uint64_t seed) {
    SimWorld world(seed);
    SimKafka kafka(world);
    kafka.CreateTopic("t", 3);
    kafka.LoseAnswers(/*one_in=*/3);
    const Writer writer(kafka);
    for (int i = 0; i < 100; ++i) writer.Write(i, 3);
    EXPECT_TRUE(world.RunUntil([&] { return writer.Done(); }, Seconds(60)));
    return world.trace();
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_NE(trace(1), trace(2));
}

}  // namespace
}  // namespace weir
