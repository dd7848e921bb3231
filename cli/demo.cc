// `weir demo`: the clickstream example without an installation. An in-process Kafka (or the one of
// KAFKA_BROKERS), a feeder whose event time runs ahead of the clock, the job itself reading and
// writing Kafka through the real connector, and a second job that prints its results.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "cli/builtins.h"
#include "cli/command.h"
#include "cli/job_runner.h"
#include "connectors/in_process_kafka.h"
#include "engine/api/memory.h"
#include "engine/base/env_posix.h"
#include "engine/data/civil_time.h"
#include "engine/expr/expression.h"

namespace weir::cli {
namespace {

using std::chrono::steady_clock;

constexpr int kPartitions = 2;
constexpr uint64_t kClicksPerSecond = 1000;
constexpr int64_t kEventTimeSpeed = 60;  // one minute of clicks passes each second
constexpr auto kStopGrace = std::chrono::seconds(2);
const char* const kTopics[] = {"clicks", "page_stats", "clicks_late", "clicks_dead_letters"};
const char* const kPages[] = {"/", "/home", "/cart", "/checkout", "/search", "/help"};

constexpr std::string_view kScreenJob = R"json({
  "weir": 1, "name": "demo_screen",
  "connections": { "main": { "type": "kafka", "brokers": "${KAFKA_BROKERS}" } },
  "execution": { "parallelism": 1, "checkpoint": { "interval": "off" }, "state": { "backend": "memory" } },
  "nodes": {
    "stats": { "type": "kafka_source", "connection": "main", "topics": ["page_stats"], "start_from": "latest",
      "format": { "type": "json" },
      "schema": { "page": "string", "start": { "type": "timestamp", "from": "window_start" }, "views": "int64", "users": "int64", "slow": "int64", "p99_ms": "float64?" },
      "on_error": "drop" },
    "screen": { "type": "print_sink", "inputs": ["stats"], "format": { "type": "table" } }
  }
})json";

struct Options {
  std::string job, directory = "./.weir/demo";
  int seconds = 12;
};

/// One click; now and then a late one, one too late, one that cannot be read.
std::string Click(uint64_t k, RandomStream& random, int64_t event_us) {
  const uint64_t draw = random.Next() % 1000;
  if (draw == 0) return "{not json";
  int64_t ts = event_us - static_cast<int64_t>(random.Next() % 3'000'000);
  if (draw < 4) ts -= 20'000'000;
  if (draw == 4) ts -= 200'000'000;
  const uint64_t user = random.Next() % 500;
  const char* page =
      kPages[std::min(random.Next() % std::size(kPages), random.Next() % std::size(kPages))];
  const uint64_t latency = 5 + random.Next() % 40 + (random.Next() % 20 == 0 ? 480 : 0);
  const bool bot = k % 17 == 0;
  return "{\"user_id\":\"" + std::string(bot ? "bot-" : "u") + std::to_string(user) +
         "\",\"page\":\"" + page + "\",\"ts\":\"" + TimestampToString(ts) +
         "\",\"latency_ms\":" + std::to_string(latency) + "}";
}

/// Fills `clicks` until `stop`.
Status Feed(KafkaProducer& producer, EventTime now, const std::atomic<bool>& stop,
            std::atomic<uint64_t>& sent) {
  RandomStream random(1);
  const auto start = steady_clock::now();
  // The event time starts in the past, so that it stays behind the clock while it runs ahead of it.
  const int64_t first_us = now.us - int64_t{3600} * 1'000'000;
  for (uint64_t k = 0; !stop;) {
    const auto passed =
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - start).count();
    const uint64_t due = static_cast<uint64_t>(passed) * kClicksPerSecond / 1'000'000;
    for (; k < due && !stop; ++k) {
      const std::string value = Click(k, random, first_us + passed * kEventTimeSpeed);
      KafkaRecord record;
      record.topic = "clicks";
      record.partition = static_cast<int32_t>(k % kPartitions);
      record.value = value;
      record.timestamp_ms = now.us / 1000 + passed / 1000;
      const Status status = producer.Produce(record);
      if (status.code() == Code::kQueueFull) break;
      WEIR_TRY(status);
    }
    sent = k;
    WEIR_TRY(producer.status());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  producer.Flush();
  return Status::Ok();
}

int Demo(const Options& options) {
  const std::unique_ptr<Env> env = MakePosixEnv(2);
  const char* given = std::getenv("KAFKA_BROKERS");
  std::unique_ptr<InProcessKafka> broker;
  std::string brokers = given == nullptr ? "" : given;
  const std::unique_ptr<Clients> clients = MakeRealClients(*env);
  KafkaConnection connection;
  if (brokers.empty()) {
    Result<std::unique_ptr<InProcessKafka>> started = InProcessKafka::Start();
    if (!started.ok()) return Fail(started.status());
    broker = std::move(started).value();
    brokers = broker->brokers();
    for (const char* topic : kTopics) {
      if (Status status = broker->CreateTopic(topic, kPartitions); !status.ok())
        return Fail(status);
    }
    std::printf("No Kafka to install: an in-process broker runs on %s for the time of the demo.\n",
                brokers.c_str());
  }
  connection.brokers = brokers;
  if (broker == nullptr) {
    Result<std::unique_ptr<KafkaAdmin>> admin = clients->MakeKafkaAdmin(connection);
    if (!admin.ok()) return Fail(admin.status());
    for (const char* topic : kTopics) {
      if (Status status = (*admin)->CreateTopic(topic, kPartitions, 0, Seconds(10)); !status.ok())
        return Fail(status.At(std::string("topic '") + topic + "'"));
    }
    std::printf("Kafka on %s: topics clicks, page_stats, clicks_late, clicks_dead_letters.\n",
                brokers.c_str());
  }
  if (Status status = env->MakeDirectory(options.directory); !status.ok()) return Fail(status);
  const std::string screen_file = options.directory + "/screen.weir.json";
  if (Status status = WriteFileDurably(*env, screen_file, kScreenJob); !status.ok())
    return Fail(status);

  setenv("KAFKA_BROKERS", brokers.c_str(), 1);
  setenv("KAFKA_PROTOCOL", "plaintext", 1);
  RunOptions clicks, screen;
  clicks.quiet = screen.quiet = true;
  clicks.from = screen.from = "none";
  clicks.no_environment = screen.no_environment = true;
  clicks.job.file = options.job;
  clicks.job.params = {"delivery=at_least_once"};
  screen.job.file = screen_file;
  for (RunOptions* run : {&clicks, &screen}) {
    run->config.state_dir = options.directory;
    run->config.storage = "file://" + options.directory + "/storage";
    run->config.threads = 1;
    run->config.log_level = "error";
    if (Status status = run->config.Resolve(); !status.ok()) return Fail(status);
    run->config.storage = "file://" + run->config.state_dir + "/storage";
  }
  if (Status status = clicks.config.ConfigureLogging(); !status.ok()) return Fail(status);

  std::printf(
      "\nJob %s: clicks -> bots out -> views, users, slow ones and p99 per page and minute -> "
      "page_stats\n",
      options.job.c_str());
  std::printf(
      "Event time runs %lld times as fast as the clock. Results as they arrive in page_stats:\n\n",
      static_cast<long long>(kEventTimeSpeed));
  std::fflush(stdout);
  Result<std::unique_ptr<KafkaProducer>> producer =
      clients->MakeKafkaProducer({.connection = connection, .transactional_id = ""}, Waker());
  if (!producer.ok()) return Fail(producer.status());

  std::atomic<bool> stop_feed = false, stop_jobs = false;
  std::atomic<uint64_t> sent = 0;
  std::atomic<int> clicks_code = -1, screen_code = -1;
  Status fed;
  std::thread screen_thread(
      [&] { screen_code = RunJob(screen, [&] { return stop_jobs.load(); }); });
  std::thread clicks_thread(
      [&] { clicks_code = RunJob(clicks, [&] { return stop_jobs.load(); }); });
  std::thread feed_thread([&] { fed = Feed(**producer, env->Now(), stop_feed, sent); });
  const auto end = steady_clock::now() + std::chrono::seconds(options.seconds);
  while (steady_clock::now() < end && clicks_code < 0 && screen_code < 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stop_feed = true;
  feed_thread.join();
  std::this_thread::sleep_for(kStopGrace);
  stop_jobs = true;
  clicks_thread.join();
  screen_thread.join();
  if (!fed.ok()) return Fail(fed);
  if (clicks_code != 0) return clicks_code;
  if (screen_code != 0) return screen_code;
  std::printf("\n%llu clicks went in; the job stopped with a final checkpoint in %s/storage.\n",
              static_cast<unsigned long long>(sent.load()), options.directory.c_str());
  std::printf(
      "\nTry next:\n"
      "  build/release/weir run jobs/examples/hello.weir.json     a job of your own needs no "
      "broker: edit this one\n"
      "  build/release/weir plan %s -p delivery=at_least_once     how a job runs: chains, "
      "exchanges, state\n"
      "  build/release/weir explain node aggregate                the manual is built in\n"
      "  ./dev kafka up; KAFKA_BROKERS=127.0.0.1:9092 ./dev demo  the same on a real Apache "
      "Kafka\n",
      options.job.c_str());
  return 0;
}

}  // namespace

void AddDemo(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "demo", "Run the clickstream example without an installation (./dev demo).");
  command->add_option("JOB", options->job, "The clickstream job: jobs/examples/clicks.weir.json.")
      ->required();
  command->add_option("--directory", options->directory, "For storage and state.")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "How long clicks are fed.")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  command->footer(
      "Examples:\n  weir demo jobs/examples/clicks.weir.json\n  KAFKA_BROKERS=localhost:9092 weir "
      "demo jobs/examples/clicks.weir.json --seconds 60");
  command->callback(
      [options, &invocation] { invocation.run = [options] { return Demo(*options); }; });
}

}  // namespace weir::cli
