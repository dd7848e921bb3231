#pragma once
// What a Kafka cluster promises to its clients, as tests that run against any: a *_test.cc includes
// this and instantiates KafkaClients with a real broker and with the simulated one, so that the
// latter is no fantasy. Topics are created through the clients and named uniquely.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/api/clients.h"

namespace weir {

/// One cluster as a test sees it.
class KafkaSite {
 public:
  virtual ~KafkaSite() = default;
  virtual Clients& clients() = 0;
  virtual KafkaConnection connection() = 0;
  /// Lets time pass until `done`; false: it was not within a minute.
  virtual bool Until(const std::function<bool()>& done) = 0;
  virtual std::string Topic(const std::string& prefix) = 0;
};
struct KafkaSiteCase {
  std::string name;
  std::function<std::unique_ptr<KafkaSite>()> make;
};
inline void PrintTo(const KafkaSiteCase& value, std::ostream* out) { *out << value.name; }

class KafkaClients : public ::testing::TestWithParam<KafkaSiteCase> {
 protected:
  using Partitions = std::vector<std::pair<std::string, int32_t>>;
  static constexpr Duration kDeadline = Seconds(20);
  struct Read {
    int32_t partition = 0;
    int64_t offset = 0, time_us = 0;
    std::optional<std::string> key, value;
    std::string headers;  // name=value; a value that is absent: name
  };

  KafkaClients()
      : site_(GetParam().make()),
        admin_(site_->clients().MakeKafkaAdmin(site_->connection()).value()) {}

  std::string Create(const std::string& prefix, int32_t partitions) {
    std::string topic = site_->Topic(prefix);
    EXPECT_TRUE(admin_->CreateTopic(topic, partitions, 1, kDeadline).ok());
    EXPECT_TRUE(site_->Until([&] {
      return admin_->Offsets(All(topic, partitions), KafkaAdmin::When::kLatest, {}, kDeadline).ok();
    }));
    return topic;
  }
  static Partitions All(const std::string& topic, int32_t partitions) {
    Partitions all;
    for (int32_t i = 0; i < partitions; ++i) all.emplace_back(topic, i);
    return all;
  }
  std::vector<int64_t> Offsets(const Partitions& partitions, KafkaAdmin::When when,
                               EventTime time = {}) {
    const Result<std::vector<int64_t>> offsets = admin_->Offsets(partitions, when, time, kDeadline);
    EXPECT_TRUE(offsets.ok()) << offsets.status().ToString();
    return offsets.ok() ? *offsets : std::vector<int64_t>();
  }
  std::unique_ptr<KafkaProducer> Producer() {
    return site_->clients()
        .MakeKafkaProducer({.connection = site_->connection(), .transactional_id = {}}, Waker())
        .value();
  }
  std::unique_ptr<KafkaConsumer> Consumer(const std::string& group = "suite") {
    return site_->clients()
        .MakeKafkaConsumer({.connection = site_->connection(), .group_id = group}, Waker())
        .value();
  }
  void Produce(KafkaProducer& producer, const KafkaRecord& record) {
    Status status;
    EXPECT_TRUE(site_->Until([&] {
      status = producer.Produce(record);
      return status.code() != Code::kQueueFull;
    }));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  void AwaitDeliveries(KafkaProducer& producer) {
    producer.Flush();
    EXPECT_TRUE(site_->Until([&] {
      const KafkaDeliveries now = producer.deliveries();
      return now.delivered + now.failed == now.sent;
    }));
    EXPECT_EQ(producer.deliveries().failed, 0U);
    EXPECT_EQ(producer.bytes_queued(), 0U);
  }
  /// Values "0", "1" ... to one partition, a millisecond apart from 1'700'000'000'000 on.
  void Fill(const std::string& topic, int32_t partition, int first, int count) {
    const std::unique_ptr<KafkaProducer> producer = Producer();
    for (int i = first; i < first + count; ++i) {
      const std::string value = std::to_string(i);
      KafkaRecord record;
      record.topic = topic;
      record.partition = partition;
      record.value = value;
      record.timestamp_ms = 1'700'000'000'000 + i;
      Produce(*producer, record);
    }
    AwaitDeliveries(*producer);
  }
  static void Take(KafkaConsumer& consumer, uint32_t index, std::vector<Read>& into,
                   size_t most = 64) {
    consumer.Release();
    std::vector<KafkaMessage> messages(most);
    const size_t got = consumer.Poll(PartitionIndex{index}, messages);
    ASSERT_LE(got, most);
    for (size_t i = 0; i < got; ++i) {
      const Record& record = messages[i].record;
      Read read{.partition = record.partition,
                .offset = record.offset,
                .time_us = record.timestamp.us,
                .key = {},
                .value = {},
                .headers = {}};
      if (record.key) read.key = std::string(*record.key);
      if (!record.null_value) read.value = std::string(record.value);
      for (const Header& header : record.headers()) {
        read.headers +=
            std::string(header.name) + (header.value ? "=" + std::string(*header.value) : "") + ";";
      }
      into.push_back(std::move(read));
    }
  }
  /// All of a partition from an offset to its end.
  std::vector<Read> ReadAll(const std::string& topic, int32_t partition, int64_t offset = 0) {
    const std::unique_ptr<KafkaConsumer> consumer = Consumer();
    const std::vector<KafkaPosition> positions = {{topic, partition, offset}};
    EXPECT_TRUE(consumer->Assign(positions).ok());
    std::vector<Read> all;
    EXPECT_TRUE(site_->Until([&] {
      Take(*consumer, 0, all);
      return consumer->status(PartitionIndex{0}).end_reached;
    }));
    return all;
  }

  const std::unique_ptr<KafkaSite> site_;
  const std::unique_ptr<KafkaAdmin> admin_;
};

TEST_P(KafkaClients, ATopicIsCreatedOnceAndDescribed) {
  const std::string topic = Create("described", 3), other = Create("described", 1);
  EXPECT_TRUE(admin_->CreateTopic(topic, 5, 1, kDeadline).ok()) << "it exists: that is fine";
  const std::vector<std::string> names = {topic, site_->Topic("missing"), other};
  const Result<std::vector<KafkaTopic>> found = admin_->Topics(names, kDeadline);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  ASSERT_EQ(found->size(), 2U);
  std::set<std::string> ids;
  for (const KafkaTopic& one : *found) {
    EXPECT_EQ(one.partitions,
              one.name == topic ? (std::vector<int32_t>{0, 1, 2}) : (std::vector<int32_t>{0}));
    EXPECT_NE(one.id, "");
    ids.insert(one.id);
  }
  EXPECT_EQ(ids.size(), 2U);
  const Result<std::vector<KafkaTopic>> all = admin_->AllTopics(kDeadline);
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(std::ranges::any_of(*all, [&](const KafkaTopic& one) { return one.name == topic; }));
  EXPECT_EQ(admin_->MessageBytesMax(topic, kDeadline).value(), 1'048'588U);
}

TEST_P(KafkaClients, OffsetsAreTheFirstTheEndAndTheFirstOfATime) {
  const std::string topic = Create("offsets", 2);
  Fill(topic, 0, 0, 40);
  const Partitions both = All(topic, 2);
  EXPECT_THAT(Offsets(both, KafkaAdmin::When::kEarliest), testing::ElementsAre(0, 0));
  EXPECT_THAT(Offsets(both, KafkaAdmin::When::kLatest), testing::ElementsAre(40, 0));
  EXPECT_THAT(Offsets(both, KafkaAdmin::When::kLatestStable), testing::ElementsAre(40, 0));
  const auto at = [](int64_t ms) { return EventTime{(1'700'000'000'000 + ms) * 1000}; };
  EXPECT_THAT(Offsets(both, KafkaAdmin::When::kAtTime, at(25)), testing::ElementsAre(25, 0));
  EXPECT_THAT(Offsets(both, KafkaAdmin::When::kAtTime, at(-9)), testing::ElementsAre(0, 0));
  EXPECT_THAT(Offsets(both, KafkaAdmin::When::kAtTime, at(99)), testing::ElementsAre(40, 0));
}

TEST_P(KafkaClients, OffsetsOfAnUnknownPartitionAreAnError) {
  const std::string topic = Create("unknown", 1);
  const Result<std::vector<int64_t>> offsets =
      admin_->Offsets(All(topic, 2), KafkaAdmin::When::kLatest, {}, Seconds(5));
  EXPECT_FALSE(offsets.ok());
}

TEST_P(KafkaClients, RecordsComeAsTheyWentInOrder) {
  const std::string topic = Create("records", 1);
  const std::unique_ptr<KafkaProducer> producer = Producer();
  const std::vector<Header> headers = {{"a", "1"}, {"none", std::nullopt}, {"a", ""}};
  KafkaRecord record;
  record.topic = topic;
  record.partition = 0;
  record.timestamp_ms = 1'700'000'000'123;
  record.key = "key";
  record.value = "value";
  record.headers = headers;
  Produce(*producer, record);
  record.headers = {};
  record.key = std::nullopt;
  record.value = "";
  Produce(*producer, record);
  record.key = "";
  record.value = std::nullopt;
  Produce(*producer, record);
  AwaitDeliveries(*producer);
  Fill(topic, 0, 3, 2000);
  const std::vector<Read> all = ReadAll(topic, 0);
  ASSERT_EQ(all.size(), 2003U);
  EXPECT_EQ(all[0].key, "key");
  EXPECT_EQ(all[0].value, "value");
  EXPECT_EQ(all[0].headers, "a=1;none;a=;");
  EXPECT_EQ(all[0].time_us, 1'700'000'000'123'000);
  EXPECT_EQ(all[1].key, std::nullopt);
  EXPECT_EQ(all[1].value, "");
  EXPECT_EQ(all[2].key, "");
  EXPECT_EQ(all[2].value, std::nullopt);
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i].offset, static_cast<int64_t>(i));
    ASSERT_EQ(all[i].partition, 0);
    if (i >= 3) {
      ASSERT_EQ(all[i].value, std::to_string(i));
    }
  }
}

TEST_P(KafkaClients, AFlushCountsWhatWasSentBeforeIt) {
  const std::string topic = Create("flush", 2);
  const std::unique_ptr<KafkaProducer> producer = Producer();
  uint64_t sent = 0;
  const auto produce = [&](int32_t partition, int count) {
    for (int i = 0; i < count; ++i, ++sent) {
      KafkaRecord record;
      record.topic = topic;
      record.partition = partition;
      record.value = "v";
      record.timestamp_ms = 1'700'000'000'000;
      Produce(*producer, record);
    }
  };
  EXPECT_EQ(producer->deliveries().flushing, 0U);
  produce(0, 10);
  EXPECT_EQ(producer->deliveries().flushing, 0U) << "nothing was flushed yet";
  producer->Flush();
  const KafkaDeliveries at_flush = producer->deliveries();
  EXPECT_LE(at_flush.flushing, 10U);
  EXPECT_EQ(at_flush.flushing, at_flush.sent - at_flush.delivered);
  produce(1, 200);
  ASSERT_TRUE(site_->Until([&] { return producer->deliveries().flushing == 0; }));
  EXPECT_GE(producer->deliveries().delivered, 10U);
  EXPECT_EQ(Offsets({{topic, 0}}, KafkaAdmin::When::kLatest), std::vector<int64_t>{10});
  produce(0, 5);
  producer->Flush();
  ASSERT_TRUE(site_->Until([&] { return producer->deliveries().flushing == 0; }));
  EXPECT_EQ(producer->deliveries().delivered, sent) << "all of them came before the second flush";
}

TEST_P(KafkaClients, AKeyGoesToThePartitionOfJavasPartitioner) {
  const std::string topic = Create("keys", 7);
  const std::unique_ptr<KafkaProducer> producer = Producer();
  // Of org.apache.kafka.common.utils.Utils.murmur2, modulo 7, for keys of each length modulo 4.
  const std::vector<std::string> keys = {"", "a", "ab", "abc", "abcd", "abcde", "page-\xc3\xa9"};
  for (const std::string& key : keys) {
    KafkaRecord record;
    record.topic = topic;
    record.key = key;
    record.value = key;
    record.timestamp_ms = 1'700'000'000'000;
    Produce(*producer, record);
  }
  AwaitDeliveries(*producer);
  std::map<std::string, int32_t> partitions;
  for (int32_t partition = 0; partition < 7; ++partition) {
    for (const Read& read : ReadAll(topic, partition)) partitions[*read.key] = read.partition;
  }
  EXPECT_EQ(partitions, (std::map<std::string, int32_t>{{"", 2},
                                                        {"a", 5},
                                                        {"ab", 0},
                                                        {"abc", 4},
                                                        {"abcd", 5},
                                                        {"abcde", 4},
                                                        {"page-\xc3\xa9", 5}}));
}

TEST_P(KafkaClients, ReadingStartsAtTheOffsetAndTheEndIsToldEachTimeItIsReached) {
  const std::string topic = Create("end", 1);
  Fill(topic, 0, 0, 50);
  const std::unique_ptr<KafkaConsumer> consumer = Consumer();
  const std::vector<KafkaPosition> positions = {{topic, 0, 20}};
  ASSERT_TRUE(consumer->Assign(positions).ok());
  std::vector<Read> all;
  const auto at_end = [&] {
    Take(*consumer, 0, all, 7);
    return consumer->status(PartitionIndex{0}).end_reached;
  };
  ASSERT_TRUE(site_->Until(at_end));
  ASSERT_EQ(all.size(), 30U);
  EXPECT_EQ(all.front().offset, 20);
  EXPECT_EQ(consumer->status(PartitionIndex{0}).stable_offset, 50) << "whatever is known besides";
  ASSERT_TRUE(site_->Until([&] {
    consumer->Release();
    const KafkaPartition status = consumer->status(PartitionIndex{0});
    return status.leader_up && status.high_offset == 50 && status.stable_offset == 50 &&
           status.last_fetch_age < Seconds(2);
  }));
  Fill(topic, 0, 50, 500);
  ASSERT_TRUE(site_->Until([&] {
    Take(*consumer, 0, all, 1);
    return all.size() > 30;
  }));
  EXPECT_FALSE(consumer->status(PartitionIndex{0}).end_reached) << "more are waiting";
  ASSERT_TRUE(site_->Until(at_end));
  EXPECT_EQ(consumer->status(PartitionIndex{0}).stable_offset, all.back().offset + 1);
  EXPECT_EQ(all.size(), 530U) << "an end between two fetches";
}

TEST_P(KafkaClients, PartitionsAreAddedToAConsumerThatReads) {
  const std::string topic = Create("added", 2);
  Fill(topic, 0, 0, 10);
  Fill(topic, 1, 100, 10);
  const std::unique_ptr<KafkaConsumer> consumer = Consumer();
  const std::vector<KafkaPosition> first = {{topic, 1, 0}}, second = {{topic, 0, 5}};
  ASSERT_TRUE(consumer->Assign(first).ok());
  std::vector<Read> of_one, of_zero;
  ASSERT_TRUE(site_->Until([&] {
    Take(*consumer, 0, of_one);
    return of_one.size() == 10;
  }));
  ASSERT_TRUE(consumer->Assign(second).ok());
  ASSERT_TRUE(site_->Until([&] {
    Take(*consumer, 1, of_zero);
    return of_zero.size() == 5;
  }));
  EXPECT_EQ(of_one.front().value, "100");
  EXPECT_EQ(of_zero.front().value, "5");
}

TEST_P(KafkaClients, AnOffsetOutsideOfTheLogEndsThePartition) {
  const std::string topic = Create("range", 1);
  Fill(topic, 0, 0, 5);
  const std::unique_ptr<KafkaConsumer> consumer = Consumer();
  const std::vector<KafkaPosition> positions = {{topic, 0, 77}};
  ASSERT_TRUE(consumer->Assign(positions).ok());
  std::vector<Read> none;
  ASSERT_TRUE(site_->Until([&] {
    Take(*consumer, 0, none);
    return !consumer->status(PartitionIndex{0}).error.ok();
  }));
  EXPECT_EQ(consumer->status(PartitionIndex{0}).error.code(), Code::kNotFound);
  EXPECT_EQ(none.size(), 0U);
  EXPECT_TRUE(consumer->status().ok()) << "the other partitions go on";
}

TEST_P(KafkaClients, CommittedOffsetsAreFoundByTheGroup) {
  const std::string topic = Create("commit", 2), group = site_->Topic("group");
  Fill(topic, 0, 0, 10);
  EXPECT_THAT(admin_->Committed(group, All(topic, 2), kDeadline).value(),
              testing::ElementsAre(-1, -1));
  const std::unique_ptr<KafkaConsumer> consumer = Consumer(group);
  const std::vector<KafkaPosition> start = {{topic, 0, 0}}, position = {{topic, 0, 7}};
  ASSERT_TRUE(consumer->Assign(start).ok());
  consumer->Commit(position);
  EXPECT_TRUE(site_->Until([&] {
    consumer->Release();
    return admin_->Committed(group, All(topic, 2), kDeadline).value() ==
           std::vector<int64_t>{7, -1};
  }));
}

TEST_P(KafkaClients, ARecordLargerThanTheTopicTakesIsRefused) {
  const std::string topic = Create("large", 1);
  const std::unique_ptr<KafkaProducer> producer = Producer();
  const std::string value(size_t{2} << 20, 'x');
  KafkaRecord record;
  record.topic = topic;
  record.partition = 0;
  record.value = value;
  record.timestamp_ms = 1'700'000'000'000;
  EXPECT_EQ(producer->Produce(record).code(), Code::kLimit);
  EXPECT_EQ(producer->deliveries().sent, 0U);
}

}  // namespace weir
