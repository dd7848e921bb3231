#include "engine/net/http_client.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/base/env_posix.h"

namespace weir::net {
namespace {

/// A name server that does not answer: one name is looked up until the test lets it go.
class SilentNames {
 public:
  static constexpr std::string_view kHost = "silent.example";

  /// In place of the answer.
  void Wait() {
    std::unique_lock lock(mutex_);
    state_ = State::kAsked;
    changed_.notify_all();
    // Bounded, so that a call that waits for it fails the test rather than hanging.
    const bool released = changed_.wait_for(lock, std::chrono::seconds(30),
                                            [this] { return state_ == State::kReleased; });
    state_ = released ? State::kIdle : State::kGaveUp;
    changed_.notify_all();
  }
  void WaitUntilAsked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return state_ != State::kIdle; });
  }
  /// Whether somebody was still waiting. Returns when it no longer does.
  bool Release() {
    WaitUntilAsked();
    std::unique_lock lock(mutex_);
    const bool waiting = state_ == State::kAsked;
    state_ = waiting ? State::kReleased : State::kIdle;
    changed_.notify_all();
    changed_.wait(lock, [this] { return state_ == State::kIdle; });
    return waiting;
  }

 private:
  enum class State : uint8_t { kIdle, kAsked, kReleased, kGaveUp };
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kIdle;  // guarded by mutex_
};
SilentNames silent_names;

}  // namespace
}  // namespace weir::net

/// In place of libc's, which libcurl calls.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto kReal = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (host != nullptr && host == weir::net::SilentNames::kHost) {
    weir::net::silent_names.Wait();
    return EAI_AGAIN;
  }
  return kReal(host, service, hints, found);
}

namespace weir::net {
namespace {

/// Answers each request of each connection, one connection after the other, with what `answer`
/// makes of it; an empty answer cuts the connection.
class TinyServer {
 public:
  using Answer = std::function<std::string(const std::string& request)>;

  /// `once`: a connection is cut after its first answer.
  explicit TinyServer(Answer answer, bool once = false) : answer_(std::move(answer)), once_(once) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TinyServer() { Stop(); }

  void Stop() {
    if (!thread_.joinable()) return;
    shutdown(listener_, SHUT_RDWR);
    if (const int client = client_.exchange(-1); client >= 0) shutdown(client, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int connections() const { return connections_; }

 private:
  void Serve() {
    for (int client = 0; (client = accept(listener_, nullptr, nullptr)) >= 0; close(client)) {
      ++connections_;
      client_ = client;
      std::string bytes;
      while (true) {
        const size_t head = bytes.find("\r\n\r\n");
        const size_t length = bytes.find("Content-Length: ");
        size_t body = 0;
        if (head != std::string::npos && length < head)
          std::from_chars(bytes.data() + length + 16, bytes.data() + head, body);
        if (head != std::string::npos && bytes.size() >= head + 4 + body) {
          const std::string answer = answer_(bytes.substr(0, head + 4 + body));
          bytes.erase(0, head + 4 + body);
          if (answer.empty() || send(client, answer.data(), answer.size(), MSG_NOSIGNAL) < 0 ||
              once_)
            break;
          continue;
        }
        char block[4096];
        const ssize_t got = recv(client, block, sizeof(block), 0);
        if (got <= 0) break;
        bytes.append(block, static_cast<size_t>(got));
      }
      client_ = -1;
    }
  }

  const Answer answer_;
  const bool once_;
  int listener_ = -1, port_ = 0;
  std::atomic<int> connections_{0}, client_{-1};
  std::thread thread_;
};

std::string Ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nX-Odd-Name:  a value \r\n\r\n" + body;
}

class HttpClientTest : public ::testing::Test {
 protected:
  Result<HttpResponse> Get(const std::string& url, Duration timeout = Seconds(10)) {
    HttpRequest request;
    request.url = url;
    request.interrupts = client_->interrupts();
    return client_->Call(request, timeout);
  }
  const std::unique_ptr<HttpClient> client_ = MakeHttpClient({});
};

TEST_F(HttpClientTest, KeepsAConnection) {
  TinyServer server([](const std::string& request) { return Ok(request.substr(0, 9)); });
  for (const char* path : {"/one", "/two", "/six"}) {
    const auto answer = Get(server.url(path));
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "GET " + std::string(path) + " ");
    EXPECT_EQ(answer->header("x-odd-name"), "a value ");
    EXPECT_EQ(answer->header("none"), "");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, SendsBodiesFromMemoryAndFromFiles) {
  std::mutex mutex;
  std::string seen;
  TinyServer server([&](const std::string& request) {
    const std::lock_guard lock(mutex);
    seen = request;
    return Ok("");
  });
  std::string bytes(300'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("weir_http_" + std::to_string(getpid()))).string();
  ASSERT_TRUE(WriteFileDurably(*env, path, bytes).ok());
  const auto file = env->Open(path).value();
  for (const char* method : {"PUT", "POST", "DELETE"}) {
    HttpRequest request;
    request.method = method;
    request.url = server.url("/key");
    request.headers = {{"x-a", "1"}};
    request.body = bytes;
    ASSERT_TRUE(client_->Call(request, Seconds(10)).ok());
    EXPECT_TRUE(seen.starts_with(std::string(method) + " /key HTTP/1.1\r\n"));
    EXPECT_NE(seen.find("\r\nx-a: 1\r\n"), std::string::npos);
    EXPECT_EQ(seen.find("Expect:"), std::string::npos);
    EXPECT_TRUE(seen.ends_with("\r\n\r\n" + bytes));
    request.body = {};
    request.file = {file.get(), 1000, 250'000};
    ASSERT_TRUE(client_->Call(request, Seconds(10)).ok());
    EXPECT_TRUE(seen.ends_with("\r\n\r\n" + bytes.substr(1000, 250'000)));
    request.file = {file.get(), 299'000, 2000};
    EXPECT_EQ(client_->Call(request, Seconds(10)).status().code(), Code::kCorruption);
  }
  std::filesystem::remove(path);
}

TEST_F(HttpClientTest, SaysWhatKeptAnAnswerFromComing) {
  std::atomic<int> kind{0};
  TinyServer server([&](const std::string&) -> std::string {
    if (kind == 1) return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    if (kind == 2) return Ok(std::string(size_t{2} << 20, 'x'));
    if (kind == 3)
      return "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    return "";
  });
  EXPECT_EQ(Get(server.url("/secret?token=1")).status().code(), Code::kUnavailable);
  EXPECT_EQ(Get(server.url("/secret?token=1")).status().message().find("token"), std::string::npos);
  kind = 1;
  EXPECT_EQ(Get(server.url(), Milliseconds(200)).status().code(), Code::kTimedOut);
  kind = 2;
  EXPECT_EQ(Get(server.url()).status().code(), Code::kLimit);
  kind = 3;
  EXPECT_EQ(Get(server.url()).value().status, 307) << "no redirect is followed";
  const std::string url = server.url();
  server.Stop();
  const Status refused = Get(url).status();
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_EQ(refused.retry(), Retry::kBackoff);
  EXPECT_NE(refused.message().find(url.substr(7, url.size() - 8)), std::string::npos)
      << refused.message();
  const std::string whole = "HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nContent-Length: 5\r\n\r\nhello";
  for (size_t length = 1; length < whole.size(); ++length) {
    TinyServer cuts([&](const std::string&) { return whole.substr(0, length); }, /*once=*/true);
    EXPECT_EQ(Get(cuts.url()).status().code(), Code::kUnavailable) << length;
  }
  EXPECT_EQ(Get("ftp://127.0.0.1/").status().code(), Code::kInvalidArgument);
}

TEST_F(HttpClientTest, EndsCallsAndPausesThatAreInterrupted) {
  std::atomic<bool> asked{false};
  TinyServer server([&](const std::string&) {
    asked = true;
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnever the rest");
  });
  const uint64_t before = client_->interrupts();
  std::thread other([&] {
    while (!asked) std::this_thread::yield();
    client_->Interrupt();
  });
  EXPECT_EQ(Get(server.url(), Seconds(60)).status().code(), Code::kCancelled);
  other.join();
  EXPECT_FALSE(client_->Pause(Seconds(60), before));
  EXPECT_TRUE(client_->Pause(Milliseconds(1), client_->interrupts()));
  HttpRequest late;
  late.url = server.url();
  late.interrupts = before;
  EXPECT_EQ(client_->Call(late, Seconds(60)).status().code(), Code::kCancelled);
}

TEST_F(HttpClientTest, DoesNotWaitForANameServerThatDoesNotAnswer) {
  const std::string url = "http://" + std::string(SilentNames::kHost) + "/";
  EXPECT_EQ(Get(url, Milliseconds(100)).status().code(), Code::kTimedOut);
  EXPECT_TRUE(silent_names.Release()) << "the call has waited for it";
  std::thread other([&] {
    silent_names.WaitUntilAsked();
    client_->Interrupt();
  });
  EXPECT_EQ(Get(url, Seconds(60)).status().code(), Code::kCancelled);
  other.join();
  EXPECT_TRUE(silent_names.Release()) << "the interrupted call has waited for it";
}

}  // namespace
}  // namespace weir::net
