#include "tests/harness/http_fault_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weir {
namespace {

constexpr auto kLateBy = std::chrono::milliseconds(40);  // about where the client tries again
constexpr int kPollMs = 50;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

/// Appends what there is; false at the end or when `stop` is set.
bool Receive(int socket, std::string& into, const std::atomic<bool>& stop) {
  pollfd waiting{socket, POLLIN, 0};
  while (poll(&waiting, 1, kPollMs) == 0) {
    if (stop) return false;
  }
  char block[64 << 10];
  const ssize_t got = recv(socket, block, sizeof(block), 0);
  if (got <= 0) return false;
  into.append(block, static_cast<size_t>(got));
  return true;
}

/// The value of a header in "HTTP/1.1 200 OK\r\nName: value\r\n...".
std::string HeaderOf(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();
       at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        std::equal(name.begin(), name.end(), line.begin(),
                   [](char a, char b) { return tolower(a) == tolower(b); })) {
      std::string_view value = line.substr(name.size() + 1);
      value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
      return std::string(value);
    }
  }
  return {};
}

uint64_t LengthOf(std::string_view head) {
  const std::string text = HeaderOf(head, "content-length");
  uint64_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

std::string ErrorAnswer(int status, std::string_view reason, std::string_view code) {
  const std::string body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>" +
                           std::string(code) + "</Code><Message>injected</Message></Error>";
  return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) +
         "\r\nContent-Type: application/xml\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace

std::string_view HttpFaultName(HttpFault fault) {
  constexpr std::string_view kNames[] = {"none",           "cut before", "cut after",
                                         "cut mid answer", "slow down",  "error before",
                                         "error after",    "late"};
  return kNames[static_cast<size_t>(fault)];
}

class HttpFaultProxy::Proxy {
 public:
  Proxy(int listener, int port, int server_port)
      : listener_(listener),
        port_(port),
        server_port_(server_port),
        acceptor_([this] { Accept(); }) {}
  ~Proxy() {
    stop_ = true;
    acceptor_.join();
    close(listener_);
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return connections_ == 0 && late_ == 0; });
  }

  void SetPlan(Plan plan) {
    Settle();
    const std::lock_guard lock(mutex_);
    plan_ = std::move(plan);
    requests_ = faults_ = 0;
  }
  void Settle() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return late_ == 0; });
  }
  uint64_t requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  uint64_t faults() const {
    const std::lock_guard lock(mutex_);
    return faults_;
  }
  int port() const { return port_; }

 private:
  void Accept() {
    while (!stop_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, kPollMs) <= 0) continue;
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      {
        const std::lock_guard lock(mutex_);
        ++connections_;
      }
      std::thread([this, client] {
        Serve(client);
        close(client);
        const std::lock_guard lock(mutex_);
        --connections_;
        ended_.notify_all();
      }).detach();
    }
  }

  void Serve(int client) {
    std::string bytes;
    while (!stop_) {
      size_t head = std::string::npos;
      while ((head = bytes.find("\r\n\r\n")) == std::string::npos) {
        if (!Receive(client, bytes, stop_)) return;
      }
      const size_t whole = head + 4 + LengthOf(std::string_view(bytes).substr(0, head + 2));
      while (bytes.size() < whole) {
        if (!Receive(client, bytes, stop_)) return;
      }
      std::string request = bytes.substr(0, whole);
      bytes.erase(0, whole);
      if (!Handle(client, std::move(request))) return;
    }
  }

  /// False: the client's connection is to be cut.
  bool Handle(int client, std::string request) {
    ProxiedRequest seen;
    seen.method = request.substr(0, request.find(' '));
    const size_t target = seen.method.size() + 1;
    seen.target = request.substr(target, request.find(' ', target) - target);
    HttpFault fault = HttpFault::kNone;
    {
      const std::lock_guard lock(mutex_);
      seen.number = ++requests_;
      if (plan_) fault = plan_(seen);
      if (fault != HttpFault::kNone) ++faults_;
      if (fault == HttpFault::kDelayed) ++late_;
    }
    switch (fault) {
      case HttpFault::kCutBefore:
        return false;
      case HttpFault::kSlowDown:
        return SendAll(client, ErrorAnswer(503, "Slow Down", "SlowDown"));
      case HttpFault::kErrorBefore:
        return SendAll(client, ErrorAnswer(500, "Internal Server Error", "InternalError"));
      case HttpFault::kDelayed: {
        std::thread([this, late = std::move(request)] {
          std::this_thread::sleep_for(kLateBy);
          Ask(late);
          const std::lock_guard lock(mutex_);
          --late_;
          ended_.notify_all();
        }).detach();
        return false;
      }
      default:
        break;
    }
    const std::string answer = Ask(request);
    if (fault == HttpFault::kErrorAfter)
      return SendAll(client, ErrorAnswer(500, "Internal Server Error", "InternalError"));
    if (fault == HttpFault::kCutMidAnswer) SendAll(client, answer.substr(0, answer.size() / 2));
    if (fault == HttpFault::kCutMidAnswer || fault == HttpFault::kCutAfter || answer.empty())
      return false;
    return SendAll(client, answer);
  }

  /// The server's whole answer, without its wish to close the connection; empty: none.
  std::string Ask(const std::string& request) {
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(server_port_);
    std::string answer;
    const size_t line = request.find("\r\n");
    const std::string closing =
        request.substr(0, line) + "\r\nConnection: close" + request.substr(line);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        SendAll(server, closing)) {
      while (Receive(server, answer, never_)) {
      }
    }
    close(server);
    const size_t head = answer.find("\r\n\r\n");
    const size_t wish = answer.find("\r\nConnection: close");
    if (wish < head) answer.erase(wish, std::strlen("\r\nConnection: close"));
    return answer;
  }

  const int listener_, port_, server_port_;
  std::atomic<bool> stop_{false};
  const std::atomic<bool> never_{false};
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  // Guarded by mutex_.
  Plan plan_;
  uint64_t requests_ = 0, faults_ = 0;
  int connections_ = 0, late_ = 0;
  std::thread acceptor_;  // last: it uses all above
};

HttpFaultProxy::HttpFaultProxy(std::unique_ptr<Proxy> proxy) : proxy_(std::move(proxy)) {}
HttpFaultProxy::~HttpFaultProxy() = default;

Result<std::unique_ptr<HttpFaultProxy>> HttpFaultProxy::Start(int server_port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener, SOMAXCONN) != 0)
    return Status(Code::kIo, std::string("cannot listen on loopback: ") + std::strerror(errno));
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  return std::unique_ptr<HttpFaultProxy>(
      new HttpFaultProxy(std::make_unique<Proxy>(listener, ntohs(address.sin_port), server_port)));
}

void HttpFaultProxy::SetPlan(Plan plan) { proxy_->SetPlan(std::move(plan)); }
uint64_t HttpFaultProxy::requests() const { return proxy_->requests(); }
uint64_t HttpFaultProxy::faults() const { return proxy_->faults(); }
void HttpFaultProxy::Settle() { proxy_->Settle(); }
std::string HttpFaultProxy::endpoint() const {
  return "http://127.0.0.1:" + std::to_string(proxy_->port());
}

}  // namespace weir
