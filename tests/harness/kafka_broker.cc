#include "tests/harness/kafka_broker.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/harness/paths.h"

namespace weir {
namespace {

constexpr size_t kOutputBytesMax = 64 * 1024;
constexpr auto kKilledWaitMax = std::chrono::seconds(10);
constexpr auto kKilledPoll = std::chrono::milliseconds(5);

struct ScriptResult {
  int exit_code = 0;
  std::string output;
};

/// Runs kafka.sh with `arguments` and returns what it printed.
Result<ScriptResult> RunScript(const std::string& arguments) {
  const std::string command =
      "'" + SourceDirectory() + "/deploy/kafka/kafka.sh' " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return Status(Code::kIo, "cannot run " + command + ": " + std::strerror(errno));
  }
  ScriptResult result;
  std::array<char, 4096> chunk{};
  while (const size_t size = fread(chunk.data(), 1, chunk.size(), pipe)) {
    if (result.output.size() < kOutputBytesMax) {
      result.output.append(chunk.data(), size);
    }
  }
  result.exit_code = pclose(pipe);
  return result;
}

Status RunScriptOk(const std::string& arguments) {
  WEIR_ASSIGN(const ScriptResult result, RunScript(arguments));
  if (result.exit_code != 0) {
    return Status(Code::kUnavailable, "kafka.sh " + arguments + " failed: " + result.output);
  }
  return Status::Ok();
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Reads what kafka.sh left in `directory`: the port block starts at the plaintext port (kafka.sh
/// --help).
Result<KafkaAddresses> ReadAddresses(const std::string& directory, bool secure) {
  KafkaAddresses addresses;
  addresses.plaintext = FirstLine(directory + "/bootstrap");
  const size_t colon = addresses.plaintext.rfind(':');
  int port = 0;
  if (colon != std::string::npos) {
    const char* end = addresses.plaintext.data() + addresses.plaintext.size();
    std::from_chars(addresses.plaintext.data() + colon + 1, end, port);
  }
  if (port == 0) {
    return Status(Code::kUnavailable, "no host:port in " + directory + "/bootstrap");
  }
  if (secure) {
    const std::string host = addresses.plaintext.substr(0, colon + 1);
    addresses.sasl_ssl = host + std::to_string(port + 2);
    addresses.ssl = host + std::to_string(port + 3);
    addresses.sasl_plaintext = host + std::to_string(port + 4);
    addresses.ca_path = directory + "/tls/ca.pem";
    addresses.client_certificate_path = directory + "/tls/client.pem";
    addresses.client_key_path = directory + "/tls/client.key";
  }
  return addresses;
}

std::string Quoted(const std::string& path) { return "'" + path + "'"; }

}  // namespace

KafkaBroker::KafkaBroker(const Options& options, std::string directory)
    : options_(options), directory_(std::move(directory)) {}

KafkaBroker::~KafkaBroker() {
  if (process_id_ != 0) {
    // A paused process would not see the request to end.
    kill(process_id_, SIGCONT);
  }
  IgnoreStatus(RunScriptOk("down --purge --dir " + Quoted(directory_)), "nobody is left to tell");
}

Result<std::unique_ptr<KafkaBroker>> KafkaBroker::Start(const Options& options) {
  const char* temporary = std::getenv("TMPDIR");
  std::string directory =
      std::string(temporary != nullptr ? temporary : "/tmp") + "/weir-kafka-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    return Status(Code::kIo, "cannot make " + directory + ": " + std::strerror(errno));
  }
  std::unique_ptr<KafkaBroker> broker(new KafkaBroker(options, directory));
  WEIR_TRY(broker->Up());
  return broker;
}

Status KafkaBroker::Up() {
  WEIR_TRY(RunScriptOk("up --port 0 --dir " + Quoted(directory_) +
                       (options_.secure ? " --secure" : "") + (options_.load ? " --load" : "")));
  WEIR_ASSIGN(addresses_, ReadAddresses(directory_, options_.secure));
  process_id_ = std::atoi(FirstLine(directory_ + "/kafka.pid").c_str());
  return Status::Ok();
}

Status KafkaBroker::Stop() {
  WEIR_CHECK(process_id_ != 0);
  process_id_ = 0;
  return RunScriptOk("down --dir " + Quoted(directory_));
}

Status KafkaBroker::Signal(int signal) {
  WEIR_CHECK(process_id_ != 0);
  if (kill(process_id_, signal) != 0) {
    return Status(Code::kUnavailable,
                  "broker process " + std::to_string(process_id_) + ": " + std::strerror(errno));
  }
  return Status::Ok();
}

Status KafkaBroker::Kill() {
  WEIR_TRY(Signal(SIGKILL));
  const auto deadline = std::chrono::steady_clock::now() + kKilledWaitMax;
  while (kill(process_id_, 0) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      return Status(Code::kTimedOut,
                    "broker process " + std::to_string(process_id_) + " survives kill -9");
    }
    std::this_thread::sleep_for(kKilledPoll);
  }
  process_id_ = 0;
  return Status::Ok();
}

Status KafkaBroker::Pause() { return Signal(SIGSTOP); }

Status KafkaBroker::Continue() { return Signal(SIGCONT); }

Status KafkaBroker::Restart() {
  WEIR_CHECK(process_id_ == 0);
  return Up();
}

Result<KafkaAddresses> SharedKafka() {
  const std::string directory = BinaryDirectory() + "/kafka";
  WEIR_TRY(RunScriptOk("up --port 0 --secure --dir " + Quoted(directory)));
  return ReadAddresses(directory, /*secure=*/true);
}

std::string UniqueTopic(const std::string& prefix) {
  static std::atomic<int> count{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return prefix + "-" + std::to_string(getpid()) + "-" +
         std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) + "-" +
         std::to_string(count.fetch_add(1));
}

}  // namespace weir
