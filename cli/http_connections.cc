#include "cli/http_connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "engine/base/check.h"

namespace weir::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 128;
constexpr int kPortMax = 65535;
constexpr size_t kReadBytes = 4096;
constexpr size_t kAcceptedAtOnce = 16;
/// After an accept that failed for want of descriptors or memory.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::string_view kTooLarge =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: "
    "text/plain; charset=utf-8\r\nContent-Length: 25\r\n\r\nthe request is too large\n";

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&bytes); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  int family() const { return bytes.ss_family; }
  void set_port(int port) {
    const in_port_t number = htons(static_cast<uint16_t>(port));
    if (family() == AF_INET6)
      reinterpret_cast<sockaddr_in6*>(&bytes)->sin6_port = number;
    else
      reinterpret_cast<sockaddr_in*>(&bytes)->sin_port = number;
  }
  int port() const {
    return ntohs(family() == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&bytes)->sin6_port
                                      : reinterpret_cast<const sockaddr_in*>(&bytes)->sin_port);
  }
  bool is_loopback() const {
    if (family() == AF_INET)
      return (ntohl(reinterpret_cast<const sockaddr_in*>(&bytes)->sin_addr.s_addr) >> 24) == 127;
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(&bytes)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&address) ||
           (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
  }
};

/// The addresses that may be meant, the one to try first first.
std::vector<SocketAddress> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    SocketAddress address;
    std::memcpy(&address.bytes, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  // A name with both, as localhost has: who asks by the number means the one of IPv4.
  std::stable_sort(addresses.begin(), addresses.end(),
                   [](const SocketAddress& left, const SocketAddress& right) {
                     return left.family() == AF_INET && right.family() != AF_INET;
                   });
  if (host == "::") {  // a machine without IPv6 has all its addresses in IPv4
    SocketAddress all;
    all.bytes.ss_family = AF_INET;
    all.size = sizeof(sockaddr_in);
    addresses.push_back(all);
  }
  return addresses;
}

/// A listening socket; empty with errno set if it cannot be had.
std::optional<Descriptor> Open(const SocketAddress& address) {
  Descriptor made(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.get() < 0) return std::nullopt;
  const int yes = 1, no = 0;
  // Without SO_REUSEPORT: a second process must learn that the port is taken.
  setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (address.family() == AF_INET6)
    setsockopt(made.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (::bind(made.get(), address.get(), address.size) != 0 || ::listen(made.get(), kBacklog) != 0)
    return std::nullopt;
  return made;
}

class Connections final : public HttpConnections {
 public:
  Connections(Descriptor listener, Descriptor wake, std::string address, Answer answer,
              const HttpLimits& limits)
      : limits_(limits),
        answer_(std::move(answer)),
        address_(std::move(address)),
        listener_(std::move(listener)),
        wake_(std::move(wake)) {
    threads_.reserve(limits_.threads + 1);
    threads_.emplace_back([this] { Attend(); });
    for (size_t i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { MakeAnswers(); });
  }

  ~Connections() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    asked_.notify_all();
    Wake();
    for (std::thread& thread : threads_) thread.join();
  }

  const std::string& address() const override { return address_; }

 private:
  enum class Phase { kReading, kAnswering, kWriting, kClosing };
  struct Connection {
    Descriptor socket;
    uint64_t id = 0;
    Phase phase = Phase::kReading;
    Clock::time_point deadline;
    std::string request = {}, answer = {};
    size_t sent = 0;
  };

  void Wake() const {
    const uint64_t one = 1;
    // Fails only when it has been woken already.
    [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  }

  /// The threads that make answers.
  void MakeAnswers() {
    while (true) {
      std::pair<uint64_t, std::string> asked;
      {
        std::unique_lock lock(mutex_);
        asked_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
        if (stopping_) return;
        asked = std::move(questions_.front());
        questions_.pop_front();
      }
      std::string answer = answer_(asked.second);
      {
        const std::lock_guard lock(mutex_);
        answers_.emplace_back(asked.first, std::move(answer));
      }
      Wake();
    }
  }

  /// The thread that has the connections.
  void Attend() {
    std::vector<pollfd> polled;
    while (true) {
      const Clock::time_point now = Clock::now();
      std::erase_if(connections_, [now](const Connection& connection) {
        return connection.phase != Phase::kAnswering && connection.deadline <= now;
      });
      polled.clear();
      polled.reserve(connections_.size() + 2);
      polled.push_back({wake_.get(), POLLIN, 0});
      polled.push_back({now < accept_after_ ? -1 : listener_.get(), POLLIN, 0});
      Clock::time_point next = now < accept_after_ ? accept_after_ : Clock::time_point::max();
      for (const Connection& connection : connections_) {
        const bool answering = connection.phase == Phase::kAnswering;
        polled.push_back(
            {answering ? -1 : connection.socket.get(),
             static_cast<int16_t>(connection.phase == Phase::kWriting ? POLLOUT : POLLIN), 0});
        if (!answering) next = std::min(next, connection.deadline);
      }
      // One more than the whole milliseconds that remain, lest it turn until they are over.
      const int timeout =
          next == Clock::time_point::max()
              ? -1
              : 1 + static_cast<int>(
                        std::chrono::duration_cast<std::chrono::milliseconds>(next - now).count());
      const int ready = ::poll(polled.data(), polled.size(), timeout);
      // For want of memory, or of descriptors allowed: not at once again.
      if (ready < 0 && errno != EINTR) std::this_thread::sleep_for(kAcceptPause);
      if (ready <= 0) continue;
      size_t number = 2;
      for (auto it = connections_.begin(); it != connections_.end(); ++number) {
        const bool keep = polled[number].revents == 0 || Progress(*it);
        it = keep ? std::next(it) : connections_.erase(it);
      }
      if (polled[0].revents != 0 && !TakeAnswers()) return;
      if (polled[1].revents != 0) Accept();
    }
  }

  /// False when the server ends.
  bool TakeAnswers() {
    uint64_t times = 0;
    [[maybe_unused]] const ssize_t read = ::read(wake_.get(), &times, sizeof times);
    std::deque<std::pair<uint64_t, std::string>> answers;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      answers.swap(answers_);
    }
    for (auto& [id, answer] : answers) {
      const auto it = std::find_if(connections_.begin(), connections_.end(),
                                   [id = id](const Connection& one) { return one.id == id; });
      WEIR_CHECK(it != connections_.end());  // who waits for an answer does not make room
      if (!BeginAnswer(*it, std::move(answer))) connections_.erase(it);
    }
    return true;
  }

  /// A bounded number at once: between two turns those that came before are read, so that a crowd
  /// of new ones does not push out a request that has arrived.
  void Accept() {
    for (size_t taken = 0; taken < kAcceptedAtOnce; ++taken) {
      Descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (socket.get() < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) accept_after_ = Clock::now() + kAcceptPause;
        return;
      }
      const int yes = 1;
      setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      // The oldest whose client is waited for makes room.
      if (connections_.size() >= limits_.connections_max) {
        auto it = std::find_if(connections_.begin(), connections_.end(), [](const Connection& one) {
          return one.phase != Phase::kAnswering;
        });
        if (it == connections_.end()) continue;  // all are being served: the new one is closed
        connections_.erase(it);
      }
      connections_.push_back({.socket = std::move(socket),
                              .id = ++ids_,
                              .deadline = Clock::now() + limits_.request_max});
      if (!Read(connections_.back())) connections_.pop_back();  // most have sent their request
    }
  }

  /// False when the connection has ended.
  bool Progress(Connection& connection) {
    switch (connection.phase) {
      case Phase::kReading:
        return Read(connection);
      case Phase::kWriting:
        return Write(connection);
      case Phase::kClosing:
        return Drain(connection);
      case Phase::kAnswering:
        break;
    }
    return true;
  }

  bool Read(Connection& connection) {
    char bytes[kReadBytes];
    while (true) {
      const ssize_t size = ::recv(connection.socket.get(), bytes, sizeof bytes, 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
      if (size <= 0) return false;
      // Only what is new, and the three bytes that may begin the end.
      const size_t from =
          connection.request.size() - std::min<size_t>(connection.request.size(), 3);
      connection.request.append(bytes, static_cast<size_t>(size));
      const size_t end = connection.request.find(kEndOfHead, from);
      if (end != std::string::npos && end <= limits_.request_bytes_max) {
        connection.request.resize(end + kEndOfHead.size());
        connection.phase = Phase::kAnswering;
        {
          const std::lock_guard lock(mutex_);
          questions_.emplace_back(connection.id, std::move(connection.request));
        }
        asked_.notify_one();
        return true;
      }
      if (connection.request.size() > limits_.request_bytes_max)
        return BeginAnswer(connection, std::string(kTooLarge));
    }
  }

  bool BeginAnswer(Connection& connection, std::string answer) {
    connection.answer = std::move(answer);
    connection.phase = Phase::kWriting;
    connection.deadline = Clock::now() + limits_.answer_max;
    return Write(connection);
  }

  bool Write(Connection& connection) {
    while (connection.sent < connection.answer.size()) {
      const ssize_t size =
          ::send(connection.socket.get(), connection.answer.data() + connection.sent,
                 connection.answer.size() - connection.sent, MSG_NOSIGNAL);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
      if (size <= 0) return false;
      connection.sent += static_cast<size_t>(size);
    }
    // What the client still sends would turn a close into a reset, which takes the answer with it.
    if (::shutdown(connection.socket.get(), SHUT_WR) != 0) return false;
    connection.phase = Phase::kClosing;
    connection.deadline = Clock::now() + limits_.close_max;
    return Drain(connection);
  }

  static bool Drain(const Connection& connection) {
    char bytes[kReadBytes];
    const ssize_t size = ::recv(connection.socket.get(), bytes, sizeof bytes, 0);
    return size > 0 || (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
  }

  const HttpLimits limits_;
  const Answer answer_;
  const std::string address_;
  const Descriptor listener_, wake_;
  // The attending thread's alone. Oldest first; at most connections_max.
  std::list<Connection> connections_;
  uint64_t ids_ = 0;
  Clock::time_point accept_after_;
  std::mutex mutex_;
  std::condition_variable asked_;
  // Guarded by mutex_; one entry at most for each connection.
  bool stopping_ = false;
  std::deque<std::pair<uint64_t, std::string>> questions_, answers_;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<ListenAddress> ListenAddress::Parse(const std::string& text) {
  ListenAddress place;
  size_t colon = text.rfind(':');
  bool well = colon != std::string::npos && colon != 0;
  if (well && text.front() == '[') {
    well = colon > 2 && text[colon - 1] == ']';
    if (well) place.host = text.substr(1, colon - 2);
    in6_addr unused{};
    well = well && inet_pton(AF_INET6, place.host.c_str(), &unused) == 1;
  } else if (well) {
    place.host = text.substr(0, colon);
    if (place.host.find(':') != std::string::npos)
      return Status(Code::kInvalidArgument,
                    "'" + text +
                        "' is no address to listen on; an address of IPv6 stands in "
                        "brackets, as [::1]:8080 or [::]:8081");
  }
  if (well) {
    const std::string_view digits = std::string_view(text).substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
    if (error == std::errc() && end == digits.data() + digits.size() && place.port >= 0 &&
        place.port <= kPortMax)
      return place;
  }
  return Status(Code::kInvalidArgument,
                "'" + text +
                    "' is no address to listen on; write HOST:PORT, as 127.0.0.1:8080, or "
                    "[::]:8081 for every address of the machine");
}

Result<std::unique_ptr<HttpConnections>> HttpConnections::Start(const ListenAddress& where,
                                                                Answer answer, bool loopback_only,
                                                                int ports,
                                                                const HttpLimits& limits) {
  const std::string host =
      where.host.find(':') == std::string::npos ? where.host : "[" + where.host + "]";
  const std::string text = host + ":" + std::to_string(where.port);
  std::vector<SocketAddress> addresses = Resolve(where.host);
  if (addresses.empty())
    return Status(Code::kInvalidArgument, "cannot listen on " + text +
                                              ": nothing is known under '" + where.host +
                                              "'; write an address of this machine");
  if (loopback_only && !std::all_of(addresses.begin(), addresses.end(),
                                    [](const SocketAddress& one) { return one.is_loopback(); })) {
    return Status(
        Code::kPermissionDenied,
        "listening on " + text +
            " would show the API to others without authentication: use a loopback address, " +
            "--health-listen for probes and metrics alone, or --insecure if the network is "
            "trusted");
  }
  Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  int why = wake.get() < 0 ? errno : EADDRINUSE;
  for (int tried = 0; tried < ports && why == EADDRINUSE && where.port + tried <= kPortMax;
       ++tried) {
    for (SocketAddress& address : addresses) {
      address.set_port(where.port == 0 ? 0 : where.port + tried);
      std::optional<Descriptor> listener = Open(address);
      if (!listener) {
        why = errno;
        // Another address instead is only meant where this one cannot exist.
        if (why == EAFNOSUPPORT || why == EADDRNOTAVAIL) continue;
        break;
      }
      SocketAddress bound;
      bound.size = sizeof bound.bytes;
      getsockname(listener->get(), bound.get(), &bound.size);
      return std::unique_ptr<HttpConnections>(std::make_unique<Connections>(
          std::move(*listener), std::move(wake), host + ":" + std::to_string(bound.port()),
          std::move(answer), limits));
    }
  }
  const std::string reason = why == EADDRINUSE ? "the port is taken" : std::strerror(why);
  return Status(Code::kAlreadyExists, "cannot listen on " + text + ": " + reason, Fault::kExternal,
                Retry::kNever);
}

}  // namespace weir::cli
