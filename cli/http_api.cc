#include "cli/http_api.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/http_connections.h"
#include "cli/version.h"
#include "engine/base/json.h"

namespace weir::cli {
namespace {

constexpr size_t kBodyBytesMax = size_t{1} << 20;
constexpr int kPortsTried = 100;
constexpr size_t kHostNameBytesMax = 256;

/// A request that has been read as the library's stream, which collects the answer. Nothing waits.
class Exchange final : public httplib::Stream {
 public:
  explicit Exchange(std::string_view request) : request_(request) {}

  bool is_readable() const override { return !request_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* bytes, size_t size) override {
    const size_t taken = request_.copy(bytes, size);
    request_.remove_prefix(taken);
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* bytes, size_t size) override {
    answer_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    get_remote_ip_and_port(ip, port);
  }
  socket_t socket() const override { return -1; }
  std::string TakeAnswer() { return std::move(answer_); }

 private:
  std::string_view request_;
  std::string answer_;
};

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return text;
}

std::string NameOfThisMachine() {
  std::array<char, kHostNameBytesMax> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? LowerCase(name.data()) : std::string();
}

/// A header Host without its port; an address of IPv6 without its brackets.
std::string NameInHost(const std::string& header) {
  if (header.starts_with("[")) return header.substr(1, header.find(']') - 1);
  return LowerCase(header.substr(0, header.rfind(':')));
}

bool IsNumber(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

class Server final : public HttpApi {
 public:
  /// `host`: what it listens on, by which it may be asked.
  Server(HttpRoutes routes, const std::string& host)
      : routes_(std::move(routes)), names_{"localhost", LowerCase(host), NameOfThisMachine()} {
    server_.set_payload_max_length(kBodyBytesMax);
    server_.set_default_headers(
        {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}});
    // A page of another origin must not read answers through the browser of somebody on this host,
    // neither openly nor by a name of its own that it lets point here.
    server_.set_pre_routing_handler([this](const httplib::Request& request,
                                           httplib::Response& response) {
      std::string why;
      if (request.has_header("Origin"))
        why = "requests of web pages are not answered";
      else if (routes_.status && !MayAsk(request))
        why =
            "not answered under this name: ask by an address, by localhost or by this machine's "
            "name";
      if (why.empty()) return httplib::Server::HandlerResponse::Unhandled;
      response.status = 403;
      response.set_content(why + "\n", "text/plain; charset=utf-8");
      return httplib::Server::HandlerResponse::Handled;
    });
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(routes_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
    });
    server_.Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
      const bool healthy = routes_.healthy();
      Answer(healthy, healthy ? "" : "the coordinator does not turn", response);
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const Readiness readiness = routes_.readiness();
      Answer(readiness.ready, readiness.reason, response);
    });
    if (!routes_.status) return;
    server_.Get("/api/v1/version", [](const httplib::Request&, httplib::Response& response) {
      Json version;
      version["version"] = Version();
      version["revision"] = Revision();
      response.set_content(version.dump() + "\n", "application/json");
    });
    server_.Get("/api/v1/jobs", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(routes_.status() + "\n", "application/json");
    });
  }

  Status Listen(const ListenAddress& where, bool loopback_only, bool next_free) {
    WEIR_ASSIGN(connections_,
                HttpConnections::Start(
                    where, [this](const std::string& request) { return Serve(request); },
                    loopback_only, next_free ? kPortsTried : 1));
    return Status::Ok();
  }
  const std::string& address() const override { return connections_->address(); }

 private:
  static void Answer(bool well, const std::string& text, httplib::Response& response) {
    response.status = well ? 200 : 503;
    response.set_content((text.empty() ? "ok" : text) + "\n", "text/plain; charset=utf-8");
  }
  /// The library's part of a server that has no sockets: requests are understood and routed.
  class Router final : public httplib::Server {
   public:
    std::string Serve(const std::string& request) {
      Exchange exchange(request);
      bool closed = false;
      process_request(exchange, /*close_connection=*/true, closed, nullptr);
      return exchange.TakeAnswer();
    }
  };

  std::string Serve(const std::string& request) { return server_.Serve(request); }

  /// A name can be made to point anywhere by whoever owns it; an address, and a name that is only
  /// known here, cannot. Without a name it is no browser.
  bool MayAsk(const httplib::Request& request) const {
    if (!request.has_header("Host")) return true;
    if (request.get_header_value_count("Host") != 1) return false;
    const std::string name = NameInHost(request.get_header_value("Host"));
    return name.ends_with(".localhost") || IsNumber(name) ||
           (!name.empty() && std::find(names_.begin(), names_.end(), name) != names_.end());
  }

  const HttpRoutes routes_;
  const std::array<std::string, 3> names_;  // in small letters
  Router server_;
  std::unique_ptr<HttpConnections> connections_;  // last: it ends before what it asks
};

}  // namespace

Result<std::unique_ptr<HttpApi>> HttpApi::Start(const std::string& address, HttpRoutes routes,
                                                bool loopback_only, bool next_free) {
  WEIR_ASSIGN(ListenAddress where, ListenAddress::Parse(address));
  auto server = std::make_unique<Server>(std::move(routes), where.host);
  WEIR_TRY(server->Listen(where, loopback_only, next_free));
  return std::unique_ptr<HttpApi>(std::move(server));
}

}  // namespace weir::cli
