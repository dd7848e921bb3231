#pragma once
// HttpFaultProxy: stands between an HTTP client and a server on loopback and does to chosen
// requests what networks and overloaded servers do. Threads of its own; methods from any thread.
// Requests are numbered from 1 since SetPlan, in the order in which they have been read whole.
//
// The worst ones: kCutAfter (the server has done it, the answer is lost), kErrorAfter (the same,
// with an answer that says it failed), and kDelayed (the client sees a cut connection and goes on,
// the server gets the request afterwards).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/status.h"

namespace weir {

enum class HttpFault : uint8_t {
  kNone,
  kCutBefore,     // the connection is cut, the server never sees the request
  kCutAfter,      // the server has answered, then the connection is cut
  kCutMidAnswer,  // half of the answer comes through
  kSlowDown,      // 503 SlowDown, the server never sees it
  kErrorBefore,   // 500 InternalError, the same
  kErrorAfter,    // 500 InternalError after the server has carried it out
  kDelayed,       // cut, and sent on to the server a little later
};
inline constexpr HttpFault kHttpFaults[] = {
    HttpFault::kCutBefore,   HttpFault::kCutAfter,   HttpFault::kCutMidAnswer, HttpFault::kSlowDown,
    HttpFault::kErrorBefore, HttpFault::kErrorAfter, HttpFault::kDelayed};
std::string_view HttpFaultName(HttpFault fault);

struct ProxiedRequest {
  uint64_t number = 0;
  std::string method, target;  // "PUT", "/bucket/key?query"
};

class HttpFaultProxy {
 public:
  /// Decides what happens to a request; called on the proxy's threads.
  using Plan = std::function<HttpFault(const ProxiedRequest&)>;

  static Result<std::unique_ptr<HttpFaultProxy>> Start(int server_port);
  ~HttpFaultProxy();  // waits for what is under way

  /// Waits for late requests of the plan before, then counts from 1.
  void SetPlan(Plan plan);
  uint64_t requests() const;
  uint64_t faults() const;
  /// No late request is on its way any more.
  void Settle();
  std::string endpoint() const;

 private:
  class Proxy;
  explicit HttpFaultProxy(std::unique_ptr<Proxy> proxy);
  std::unique_ptr<Proxy> proxy_;
};

}  // namespace weir
