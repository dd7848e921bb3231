#pragma once
// The real HttpClient, over libcurl: HTTP/1.1 with or without TLS. A connection that has served a
// call waits for the next one. Made once, in cli, before threads use it; must outlive its callers.
//
// A call ends at its time limit wherever it hangs: in a name server, in a handshake, in a server
// that sends a byte a minute. One that moves nothing for kHttpStallTime ends before that. Proxies
// are those of the environment (https_proxy, no_proxy), never for loopback addresses. Messages name
// host and port and no path, header or body.

#include <memory>
#include <string>

#include "engine/api/clients.h"

namespace weir::net {

inline constexpr Duration kHttpConnectTime = Seconds(10);
inline constexpr Duration kHttpStallTime = Seconds(30);
inline constexpr size_t kHttpConnectionsIdleMax = 16;

struct HttpClientOptions {
  std::string ca_file;  // PEM; empty: the system's
};

std::unique_ptr<HttpClient> MakeHttpClient(HttpClientOptions options);

}  // namespace weir::net
