#include "tests/harness/kafka_broker.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace weir {
namespace {

constexpr int kWaitMsMax = 30'000;
constexpr int kPollMs = 100;

using Properties = std::map<std::string, std::string>;
using Client = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

Client MakeClient(rd_kafka_type_t type, const Properties& properties) {
  rd_kafka_conf_t* configuration = rd_kafka_conf_new();
  char error[512];
  for (const auto& [name, value] : properties) {
    EXPECT_EQ(rd_kafka_conf_set(configuration, name.c_str(), value.c_str(), error, sizeof(error)),
              RD_KAFKA_CONF_OK)
        << error;
  }
  if (type == RD_KAFKA_PRODUCER) {
    rd_kafka_conf_set_dr_msg_cb(
        configuration, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
          EXPECT_EQ(message->err, RD_KAFKA_RESP_ERR_NO_ERROR) << rd_kafka_err2str(message->err);
        });
  }
  rd_kafka_t* client = rd_kafka_new(type, configuration, error, sizeof(error));
  EXPECT_NE(client, nullptr) << error;
  return Client(client, &rd_kafka_destroy);
}

void CreateTopic(rd_kafka_t* client, const std::string& topic) {
  char error[512];
  rd_kafka_NewTopic_t* request =
      rd_kafka_NewTopic_new(topic.c_str(), /*num_partitions=*/2,
                            /*replication_factor=*/1, error, sizeof(error));
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client);
  rd_kafka_CreateTopics(client, &request, 1, /*options=*/nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kWaitMsMax);
  ASSERT_NE(event, nullptr) << "no answer to the creation of " << topic;
  EXPECT_EQ(rd_kafka_event_error(event), RD_KAFKA_RESP_ERR_NO_ERROR)
      << rd_kafka_event_error_string(event);
  rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(request);
}

void Produce(const Properties& properties, const std::string& topic,
             const std::vector<std::string>& values) {
  const Client producer = MakeClient(RD_KAFKA_PRODUCER, properties);
  CreateTopic(producer.get(), topic);
  for (const std::string& value : values) {
    const rd_kafka_resp_err_t error =
        rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    ASSERT_EQ(error, RD_KAFKA_RESP_ERR_NO_ERROR) << rd_kafka_err2str(error);
  }
  ASSERT_EQ(rd_kafka_flush(producer.get(), kWaitMsMax), RD_KAFKA_RESP_ERR_NO_ERROR);
}

std::multiset<std::string> Consume(Properties properties, const std::string& topic, size_t count) {
  properties["group.id"] = UniqueTopic("group");
  properties["auto.offset.reset"] = "earliest";
  const Client consumer = MakeClient(RD_KAFKA_CONSUMER, properties);
  rd_kafka_poll_set_consumer(consumer.get());
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic.c_str(), RD_KAFKA_PARTITION_UA);
  EXPECT_EQ(rd_kafka_subscribe(consumer.get(), topics), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_destroy(topics);
  std::multiset<std::string> values;
  for (int waited_ms = 0; values.size() < count && waited_ms < kWaitMsMax;) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer.get(), kPollMs);
    if (message == nullptr) {
      waited_ms += kPollMs;
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      values.emplace(static_cast<const char*>(message->payload), message->len);
    } else {
      waited_ms += kPollMs;
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer.get());
  return values;
}

TEST(KafkaBroker, ServesProducersAndConsumers) {
  const auto addresses = SharedKafka();
  ASSERT_TRUE(addresses.ok()) << addresses.status().ToString();
  const Properties properties = {{"bootstrap.servers", addresses->plaintext}};
  const std::string topic = UniqueTopic("plain");
  Produce(properties, topic, {"a", "b", "c"});
  EXPECT_EQ(Consume(properties, topic, 3), (std::multiset<std::string>{"a", "b", "c"}));
}

TEST(KafkaBroker, ServesTlsAndScramClients) {
  const auto addresses = SharedKafka();
  ASSERT_TRUE(addresses.ok()) << addresses.status().ToString();
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    const Properties properties = {{"bootstrap.servers", addresses->sasl_ssl},
                                   {"security.protocol", "sasl_ssl"},
                                   {"sasl.mechanism", mechanism},
                                   {"sasl.username", "alice"},
                                   {"sasl.password", "alice-secret"},
                                   {"ssl.ca.location", addresses->ca_path}};
    const std::string topic = UniqueTopic("sasl-ssl");
    Produce(properties, topic, {mechanism});
    EXPECT_EQ(Consume(properties, topic, 1), std::multiset<std::string>{mechanism});
  }
  const Properties mutual = {{"bootstrap.servers", addresses->ssl},
                             {"security.protocol", "ssl"},
                             {"ssl.ca.location", addresses->ca_path},
                             {"ssl.certificate.location", addresses->client_certificate_path},
                             {"ssl.key.location", addresses->client_key_path}};
  const std::string topic = UniqueTopic("mutual-tls");
  Produce(mutual, topic, {"m"});
  EXPECT_EQ(Consume(mutual, topic, 1), std::multiset<std::string>{"m"});
}

TEST(KafkaBroker, KeepsAddressAndDataOverKillAndStop) {
  auto broker = KafkaBroker::Start({});
  ASSERT_TRUE(broker.ok()) << broker.status().ToString();
  const Properties properties = {{"bootstrap.servers", (*broker)->bootstrap()}};
  Produce(properties, "kept", {"before"});

  ASSERT_TRUE((*broker)->Kill().ok());
  EXPECT_EQ((*broker)->process_id(), 0);
  Status status = (*broker)->Restart();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ((*broker)->bootstrap(), properties.at("bootstrap.servers"));
  EXPECT_EQ(Consume(properties, "kept", 1), std::multiset<std::string>{"before"});

  ASSERT_TRUE((*broker)->Stop().ok());
  status = (*broker)->Restart();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Consume(properties, "kept", 1), std::multiset<std::string>{"before"});
}

TEST(UniqueTopic, NeverRepeats) { EXPECT_NE(UniqueTopic("t"), UniqueTopic("t")); }

}  // namespace
}  // namespace weir
