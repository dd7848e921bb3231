#include "cli/http_api.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "tests/cli/raw_client.h"

namespace weir::cli {
namespace {

HttpRoutes ProbesAlone() {
  HttpRoutes routes;
  routes.metrics = [] { return std::string("weir_build_info 1\n"); };
  routes.healthy = [] { return true; };
  routes.readiness = [] { return Readiness{.ready = false, .reason = "waits for kafka:9092"}; };
  return routes;
}

HttpRoutes WithApi() {
  HttpRoutes routes = ProbesAlone();
  routes.status = [] { return std::string(R"({"name":"clicks"})"); };
  return routes;
}

std::unique_ptr<HttpApi> Served(HttpRoutes routes, const std::string& address = "127.0.0.1:0") {
  Result<std::unique_ptr<HttpApi>> server =
      HttpApi::Start(address, std::move(routes), /*loopback_only=*/true, /*next_free=*/false);
  EXPECT_TRUE(server.ok()) << server.status().ToString();
  return std::move(server).value();
}

/// The number behind "HTTP/1.1 ".
std::string CodeOf(const std::string& answer) { return answer.substr(0, 12).substr(9); }

TEST(HttpApi, AnswersItsRoutes) {
  const auto server = Served(WithApi());
  const auto get = [&server](const std::string& path) {
    return RawClient::Get(server->address(), path);
  };
  const std::string metrics = get("/metrics");
  EXPECT_TRUE(metrics.starts_with("HTTP/1.1 200 OK\r\n")) << metrics;
  for (const char* part : {"text/plain; version=0.0.4", "X-Content-Type-Options: nosniff",
                           "Connection: close", "weir_build_info 1\n"})
    EXPECT_NE(metrics.find(part), std::string::npos) << part << " in\n" << metrics;
  EXPECT_EQ(CodeOf(get("/healthz")), "200");
  const std::string ready = get("/readyz");
  EXPECT_EQ(CodeOf(ready), "503");
  EXPECT_TRUE(ready.ends_with("waits for kafka:9092\n")) << ready;
  EXPECT_TRUE(get("/api/v1/jobs").ends_with("{\"name\":\"clicks\"}\n"));
  EXPECT_EQ(CodeOf(get("/api/v1/version")), "200");
  EXPECT_EQ(CodeOf(get("/")), "404");
}

TEST(HttpApi, WhatIsNoRequestGetsAnError) {
  const auto server = Served(WithApi());
  for (const char* text : {"x\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n"}) {
    RawClient client(server->address());
    ASSERT_TRUE(client.Send(text));
    EXPECT_EQ(client.ReceiveAll().find("HTTP/1.1 200"), std::string::npos) << text;
  }
  RawClient client(server->address());
  ASSERT_TRUE(
      client.Send("POST /api/v1/jobs HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 2\r\n\r\n{}"));
  EXPECT_EQ(CodeOf(client.ReceiveAll()).front(), '4');
}

TEST(HttpApi, HasNoPathsButItsOwnHoweverTheyAreWritten) {
  const auto server = Served(WithApi());
  for (const char* path :
       {"/../../etc/passwd", "/api/v1/jobs/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "/..%252f..%252fetc%252fpasswd", "/..\\..\\etc\\passwd", "//etc/passwd", "/etc/passwd",
        "/metrics/../healthz", "/healthz/", "/HEALTHZ", "/healthz%00", "/.", "/debug",
        "/debug/pprof/", "/debug/vars", "/core", "/api", "/api/v1",
        "/api/v1/jobs/clicks/secrets"}) {
    const std::string answer = RawClient::Get(server->address(), path);
    EXPECT_EQ(CodeOf(answer).front(), '4') << path << "\n" << answer;
    EXPECT_EQ(answer.find("root:"), std::string::npos) << path;
  }
}

// What two servers in a row could read differently gets no second answer, and the connection ends.
TEST(HttpApi, TakesOneRequestForOne) {
  const auto server = Served(WithApi());
  const std::string second = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (const char* first :
       {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: "
        "0\r\n\r\n",
        "GET /healthz HTTP/1.1\nHost: localhost\n\n", "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n"}) {
    RawClient client(server->address());
    ASSERT_TRUE(client.Send(first + second));
    const std::string answers = client.ReceiveAll();
    EXPECT_EQ(answers.find("weir_build_info"), std::string::npos) << first << "\n" << answers;
  }
}

TEST(HttpApi, ProbesAnswerBesideIdleConnections) {
  const auto server = Served(ProbesAlone());
  std::vector<RawClient> idle;
  idle.reserve(8);
  for (int i = 0; i < 8; ++i) idle.emplace_back(server->address());
  EXPECT_EQ(CodeOf(RawClient::Get(server->address(), "/readyz")), "503");
  EXPECT_EQ(CodeOf(RawClient::Get(server->address(), "/healthz")), "200");
}

TEST(HttpApi, PagesOfOthersAreNotAnswered) {
  const auto server = Served(WithApi());
  char machine[256] = {};
  ASSERT_EQ(gethostname(machine, sizeof machine - 1), 0);
  const auto code = [&server](const std::string& headers) {
    return CodeOf(RawClient::Get(server->address(), "/api/v1/jobs", headers));
  };
  for (const std::string& host :
       {std::string("127.0.0.1:8080"), std::string("localhost"), std::string("LocalHost:1"),
        std::string("weir.localhost"), std::string("10.1.2.3"), std::string("[::1]:8080"),
        std::string(machine)}) {
    EXPECT_EQ(code("Host: " + host + "\r\n"), "200") << host;
  }
  EXPECT_EQ(code(""), "200");
  // A name that its owner lets point at 127.0.0.1.
  for (const char* host : {"evil", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil",
                           "[evil]:8080", "xlocalhost", "["}) {
    EXPECT_EQ(code("Host: " + std::string(host) + "\r\n"), "403") << host;
  }
  EXPECT_EQ(code("Host: 127.0.0.1\r\nHost: evil\r\n"), "403");
  EXPECT_EQ(code("Host: 127.0.0.1\r\nOrigin: http://evil.example\r\n"), "403");
}

TEST(HttpApi, ProbesAnswerUnderTheNameOfAService) {
  const auto server = Served(ProbesAlone());
  EXPECT_EQ(CodeOf(RawClient::Get(server->address(), "/metrics", "Host: clicks-weir:8081\r\n")),
            "200");
  EXPECT_EQ(CodeOf(RawClient::Get(server->address(), "/metrics",
                                  "Host: clicks-weir:8081\r\nOrigin: http://evil.example\r\n")),
            "403");
}

TEST(HttpApi, RefusesToShowTheApiToOthers) {
  for (const char* address : {"0.0.0.0:0", "[::]:0"}) {
    const Result<std::unique_ptr<HttpApi>> server =
        HttpApi::Start(address, WithApi(), /*loopback_only=*/true, /*next_free=*/false);
    ASSERT_FALSE(server.ok());
    EXPECT_EQ(server.status().code(), Code::kPermissionDenied);
    EXPECT_NE(server.status().message().find("--health-listen"), std::string::npos);
  }
}

TEST(HttpApi, EndsAlsoWhenItIsStoppedBeforeItHasBegun) {
  HttpRoutes routes;
  routes.metrics = [] { return std::string(); };
  routes.healthy = [] { return true; };
  routes.readiness = [] { return Readiness(); };
  constexpr int kTimes = 200;
  for (int i = 0; i < kTimes; ++i) {
    const Result<std::unique_ptr<HttpApi>> server =
        HttpApi::Start("127.0.0.1:0", routes, /*loopback_only=*/true, /*next_free=*/false);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
  }
}

}  // namespace
}  // namespace weir::cli
