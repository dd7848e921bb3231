#include "tests/harness/s3_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "engine/base/check.h"
#include "tests/harness/paths.h"

namespace weir {
namespace {

constexpr auto kStartTimeMax = std::chrono::seconds(20);
constexpr auto kStartPoll = std::chrono::milliseconds(10);

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int FreePort() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  WEIR_CHECK(bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0);
  WEIR_CHECK(getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  close(probe);
  return ntohs(address.sin_port);
}

bool Accepts(int port) {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const bool connected =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(probe);
  return connected;
}

/// Where deploy/third_party/versitygw.sh keeps the program.
std::string Program() {
  const std::string command = "'" + SourceDirectory() + "/deploy/third_party/versitygw.sh' --path";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  char line[4096] = {};
  const bool read = fgets(line, sizeof(line), pipe) != nullptr;
  pclose(pipe);
  std::string path = read ? line : "";
  while (!path.empty() && path.back() == '\n') path.pop_back();
  return path;
}

}  // namespace

Result<std::unique_ptr<S3Server>> S3Server::Start() {
  static std::atomic<int> count{0};
  std::string directory = (std::filesystem::temp_directory_path() /
                           ("weir_s3_" + std::to_string(getpid()) + "_" + std::to_string(++count)))
                              .string();
  std::unique_ptr<S3Server> server(new S3Server(std::move(directory), FreePort()));
  std::error_code error;
  std::filesystem::create_directories(server->bucket_directory(), error);
  std::filesystem::create_directories(server->directory_ + "/iam", error);
  if (error) return Status(Code::kIo, server->directory_ + ": " + error.message());
  WEIR_TRY(server->Restart());
  return server;
}

S3Server::~S3Server() {
  if (process_id_ != 0) Kill();
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Status S3Server::Restart() {
  const std::string program = Program();
  if (access(program.c_str(), X_OK) != 0) {
    return Status(Code::kNotFound,
                  "there is no S3 server: deploy/third_party/versitygw.sh builds it and "
                  "needs Go 1.21 or newer");
  }
  const std::string log = directory_ + "/log", listen = address(), iam = directory_ + "/iam",
                    data = directory_ + "/data";
  process_id_ = fork();
  if (process_id_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    setenv("ROOT_ACCESS_KEY", kKeyId, 1);
    setenv("ROOT_SECRET_KEY", kSecretKey, 1);
    execl(program.c_str(), program.c_str(), "--port", listen.c_str(), "--region", "us-east-1",
          "--iam-dir", iam.c_str(), "posix", data.c_str(), nullptr);
    _exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + kStartTimeMax;
  while (!Accepts(port_)) {
    if (waitpid(process_id_, nullptr, WNOHANG) == process_id_ ||
        std::chrono::steady_clock::now() > end) {
      if (kill(process_id_, 0) == 0) Kill();
      process_id_ = 0;
      return Status(Code::kUnavailable, "versitygw does not start; its words are in " + log);
    }
    std::this_thread::sleep_for(kStartPoll);
  }
  return Status::Ok();
}

void S3Server::Kill() {
  kill(process_id_, SIGKILL);
  waitpid(process_id_, nullptr, 0);
  process_id_ = 0;
}

Result<S3Server*> SharedS3Server() {
  static const auto kShared = S3Server::Start();
  if (!kShared.ok()) return kShared.status();
  return kShared.value().get();
}

}  // namespace weir
