#pragma once
// HttpConnections: the connections of an HTTP server, one request each. One thread takes, reads and
// writes all of them without ever waiting for a single one; a few others make the answers. So a
// client that sends nothing, or reads nothing, costs one of a bounded number of places and no
// thread: probes are answered beside it. When all places are taken, the oldest connection whose
// client is waited for makes room.
//
// Started and stopped by the main thread. `answer` is called on several threads at once, with all
// bytes of a request up to the empty line; bodies are not read, since no route takes one. Errors of
// Start: kInvalidArgument for a malformed address, kPermissionDenied for another than a loopback
// address where only those are allowed, kAlreadyExists when it cannot be had.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/status.h"

namespace weir::cli {

/// Where to listen: "127.0.0.1:8080", "localhost:0", "[::1]:8080". "[::]:8080" is every address of
/// the machine, of IPv4 too; where the kernel has no IPv6, those of IPv4 alone.
struct ListenAddress {
  std::string host;  // without brackets
  int port = 0;      // 0: any free one

  static Result<ListenAddress> Parse(const std::string& text);
};

/// Bounds of a server; tests make them small.
struct HttpLimits {
  size_t connections_max = 64, threads = 4;
  size_t request_bytes_max = size_t{16} << 10;
  // From the connection to the end of the request; from the answer to its last byte; for the client
  // to close.
  std::chrono::milliseconds request_max{5000}, answer_max{10000}, close_max{1000};
};

class HttpConnections {
 public:
  using Answer = std::function<std::string(const std::string& request)>;

  virtual ~HttpConnections() = default;  // stops
  /// "127.0.0.1:8080", "[::1]:8080".
  virtual const std::string& address() const = 0;

  /// `loopback_only`: refuse other addresses. `ports`: how many to try, from the given one upwards.
  static Result<std::unique_ptr<HttpConnections>> Start(const ListenAddress& where, Answer answer,
                                                        bool loopback_only, int ports,
                                                        const HttpLimits& limits = {});
};

}  // namespace weir::cli
