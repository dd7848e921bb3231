#pragma once
// RawClient: a TCP connection to a server on this machine, for tests that send what no HTTP library
// would send, or nothing.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

class RawClient {
 public:
  /// `address`: "127.0.0.1:8080" or "[::1]:8080".
  explicit RawClient(const std::string& address) {
    const size_t colon = address.rfind(':');
    const int port = std::stoi(address.substr(colon + 1));
    sockaddr_storage to{};
    socklen_t size = sizeof(sockaddr_in);
    if (address.front() == '[') {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
      size = sizeof *v6;
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(static_cast<uint16_t>(port));
      inet_pton(AF_INET6, address.substr(1, colon - 2).c_str(), &v6->sin6_addr);
    } else {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(static_cast<uint16_t>(port));
      inet_pton(AF_INET, address.substr(0, colon).c_str(), &v4->sin_addr);
    }
    socket_ = ::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // A test that waits for an answer that never comes ends, and fails.
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), size) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() {
    if (socket_ >= 0) ::close(socket_);
  }

  bool connected() const { return connected_; }

  bool Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// Everything until the server closes; what came so far if it does not.
  std::string ReceiveAll() {
    std::string all;
    char bytes[4096];
    for (ssize_t size = 0; (size = ::recv(socket_, bytes, sizeof bytes, 0)) > 0;)
      all.append(bytes, static_cast<size_t>(size));
    return all;
  }
  /// The server closes within the patience of a test, having said nothing.
  bool IsClosed() {
    char byte = 0;
    const ssize_t size = ::recv(socket_, &byte, 1, 0);
    return size == 0 || (size < 0 && errno == ECONNRESET);
  }
  /// The first byte of an answer has come, which is left where it is.
  bool HasBegun() {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_PEEK) == 1;
  }
  /// Neither an answer nor an end has come.
  bool IsSilent() {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
  }

  /// GET of `path` under the name `host`; the whole answer.
  static std::string Get(const std::string& address, const std::string& path,
                         const std::string& headers = "Host: 127.0.0.1\r\n") {
    RawClient client(address);
    if (!client.Send("GET " + path + " HTTP/1.1\r\n" + headers + "\r\n")) return "";
    return client.ReceiveAll();
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
};

/// The kernel has IPv6, and it is not switched off.
inline bool HasIpv6() {
  const int made = ::socket(AF_INET6, SOCK_STREAM, 0);
  if (made < 0) return false;
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const bool has = ::bind(made, reinterpret_cast<const sockaddr*>(&loopback), sizeof loopback) == 0;
  ::close(made);
  return has;
}

}  // namespace weir
