#include "tests/sim/sim_job.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "engine/base/log.h"
#include "tests/harness/sim_kafka.h"

namespace weir {
namespace {

constexpr int kRecords = 50;

constexpr std::string_view kCopyJob = R"json({
  "weir": 1, "name": "sim",
  "connections": { "main": { "type": "kafka", "brokers": "sim-kafka:9092" } },
  "nodes": {
    "in": { "type": "kafka_source", "connection": "main", "topics": ["in"], "format": { "type": "json" }, "schema": { "id": "int64" } },
    "copied": { "type": "kafka_sink", "inputs": ["in"], "connection": "main", "topic": "out", "format": { "type": "json" } }
  }
})json";

std::set<std::string> Distinct(const SimKafka& kafka, const std::string& topic) {
  std::set<std::string> values;
  for (const auto& record : kafka.log(topic, 0)) values.insert(record->value.value());
  return values;
}

// The attempt moves HEAD, then cannot ask Kafka for its partitions: the next one must go on from
// that HEAD instead of taking it for another process's.
TEST(SimJob, ARestartThatFindsNoKafkaIsTriedAgain) {
  ConfigureLog(LogLevel::kError, LogFormat::kText);
  SimWorld world(1);
  SimKafka kafka(world);
  kafka.CreateTopic("in", 1);
  kafka.CreateTopic("out", 1);
  JobProcess process(world, "process", kafka.MakeClients());
  JobRun run;
  run.text = kCopyJob;
  run.checkpoint_interval = Milliseconds(100);
  ASSERT_TRUE(process.Start(run).ok());
  ASSERT_TRUE(world.RunUntil([&] { return process.status().state == control::JobState::kRunning; },
                             Seconds(60)));
  kafka.FailNextBatch();
  for (int i = 0; i < kRecords; ++i) {
    const std::string value = "{\"id\":" + std::to_string(i) + "}";
    KafkaRecord record;
    record.topic = "in";
    record.partition = 0;
    record.value = value;
    record.timestamp_ms = 1;
    kafka.Append(record);
  }
  ASSERT_TRUE(world.RunUntil([&] { return !process.status().restarts.empty(); }, Seconds(60)));
  kafka.Down(Seconds(20));
  world.RunFor(Seconds(15));
  EXPECT_FALSE(process.ended()) << process.status().failure.ToString();
  EXPECT_NE(process.status().state, control::JobState::kRunning);
  ASSERT_TRUE(world.RunUntil(
      [&] { return process.ended() || Distinct(kafka, "out").size() == kRecords; }, Seconds(600)));
  EXPECT_FALSE(process.ended()) << process.status().failure.ToString();
  EXPECT_EQ(Distinct(kafka, "out"), Distinct(kafka, "in"));
}

}  // namespace
}  // namespace weir
