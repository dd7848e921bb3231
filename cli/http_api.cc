#include "cli/http_api.h"

#include <arpa/inet.h>
#include <httplib.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <thread>

#include "cli/version.h"
#include "engine/base/json.h"

namespace weir::cli {
namespace {

constexpr size_t kThreads = 4;
constexpr size_t kBodyBytesMax = size_t{1} << 20;
constexpr int kPortsTried = 100;
constexpr auto kBeginPoll = std::chrono::milliseconds(1);
constexpr time_t kReadSecondsMax = 5, kWriteSecondsMax = 10, kIdleSecondsMax = 5;

struct Place {
  std::string host;
  int port = 0;
};

Result<Place> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  Place place;
  if (colon != std::string::npos && colon != 0) {
    place.host = address.substr(0, colon);
    const std::string_view digits = std::string_view(address).substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
    if (error == std::errc() && end == digits.data() + digits.size() && place.port >= 0 &&
        place.port <= 65535)
      return place;
  }
  return Status(Code::kInvalidArgument,
                "'" + address + "' is no address to listen on; write HOST:PORT, as 127.0.0.1:8080");
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

class Server final : public HttpApi {
 public:
  explicit Server(HttpRoutes routes) : routes_(std::move(routes)) {
    server_.new_task_queue = [] {
      return new httplib::ThreadPool(kThreads);
    };  // the library deletes it
    server_.set_payload_max_length(kBodyBytesMax);
    server_.set_read_timeout(kReadSecondsMax);
    server_.set_write_timeout(kWriteSecondsMax);
    server_.set_keep_alive_timeout(kIdleSecondsMax);
    server_.set_default_headers(
        {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}});
    // A page of another origin must not read answers through the browser of somebody on this host:
    // only plain requests by address or localhost.
    server_.set_pre_routing_handler([](const httplib::Request& request,
                                       httplib::Response& response) {
      if (!request.has_header("Origin")) return httplib::Server::HandlerResponse::Unhandled;
      response.status = 403;
      response.set_content("requests of web pages are not answered\n", "text/plain; charset=utf-8");
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

  ~Server() override {
    if (!thread_.joinable()) return;
    // The library forgets a stop that comes before its thread has begun, and would then listen for
    // ever: a process that ends with its first look at the job did not end.
    while (!server_.is_running() && !ended_.load(std::memory_order_acquire))
      std::this_thread::sleep_for(kBeginPoll);
    server_.stop();
    thread_.join();
  }

  bool Bind(const Place& place) {
    const int port = place.port == 0 ? server_.bind_to_any_port(place.host.c_str())
                     : server_.bind_to_port(place.host.c_str(), place.port) ? place.port
                                                                            : -1;
    if (port < 0) return false;
    address_ = place.host + ":" + std::to_string(port);
    return true;
  }
  void Listen() {
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_.store(true, std::memory_order_release);
    });
  }
  const std::string& address() const override { return address_; }

 private:
  static void Answer(bool well, const std::string& text, httplib::Response& response) {
    response.status = well ? 200 : 503;
    response.set_content((text.empty() ? "ok" : text) + "\n", "text/plain; charset=utf-8");
  }
  const HttpRoutes routes_;
  httplib::Server server_;
  std::string address_;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpApi>> HttpApi::Start(const std::string& address, HttpRoutes routes,
                                                bool loopback_only, bool next_free) {
  WEIR_ASSIGN(Place place, ParseAddress(address));
  if (loopback_only && !IsLoopback(place.host)) {
    return Status(
        Code::kPermissionDenied,
        "listening on " + address +
            " would show the API to others without authentication: use a loopback address, " +
            "--health-listen for probes and metrics alone, or --insecure if the network is "
            "trusted");
  }
  for (int tried = 0; tried < (next_free ? kPortsTried : 1) && place.port + tried <= 65535;
       ++tried) {
    auto server = std::make_unique<Server>(routes);
    if (!server->Bind({place.host, place.port == 0 ? 0 : place.port + tried})) continue;
    server->Listen();
    return std::unique_ptr<HttpApi>(std::move(server));
  }
  return Status(
      Code::kAlreadyExists,
      "cannot listen on " + address + ": the port is taken, or the address is not this host's",
      Fault::kExternal, Retry::kNever);
}

}  // namespace weir::cli
