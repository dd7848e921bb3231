#pragma once
// HttpApi: /metrics, /healthz, /readyz, /api/v1/version and /api/v1/jobs of a running job, one
// request for each connection of an HttpConnections, which bounds connections, headers and times.
// Answers are text or JSON with nosniff. Requests of web pages are refused, and where there is an
// API also those under a name that is not this machine's. Started and stopped by the main thread;
// the functions it is given are called on its threads and must be thread-safe. Errors: those of
// HttpConnections::Start.

#include <functional>
#include <memory>
#include <string>

#include "engine/base/status.h"

namespace weir::cli {

/// Answer of /readyz. `reason`: why it is not ready, or what it is ready in spite of.
struct Readiness {
  bool ready = true;
  std::string reason = {};
};

struct HttpRoutes {
  std::function<std::string()> metrics;
  std::function<bool()> healthy;
  std::function<Readiness()> readiness;
  std::function<std::string()> status;  // JSON of the job; empty: no API, probes and metrics alone
};

class HttpApi {
 public:
  virtual ~HttpApi() = default;  // stops
  /// "127.0.0.1:8080", "[::1]:8080".
  virtual const std::string& address() const = 0;

  /// `loopback_only`: refuse other addresses. `next_free`: if the port is taken try the next ones.
  static Result<std::unique_ptr<HttpApi>> Start(const std::string& address, HttpRoutes routes,
                                                bool loopback_only, bool next_free);
};

}  // namespace weir::cli
