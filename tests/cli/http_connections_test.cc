#include "cli/http_connections.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/cli/raw_client.h"

namespace weir::cli {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// No time ever runs out: who waits for one waits in vain.
HttpLimits WithoutTimes() {
  HttpLimits limits;
  limits.request_max = limits.answer_max = limits.close_max = hours(1);
  return limits;
}

std::unique_ptr<HttpConnections> Listening(
    const std::string& address, const HttpLimits& limits,
    HttpConnections::Answer answer = [](const std::string&) { return kOk; }) {
  Result<ListenAddress> where = ListenAddress::Parse(address);
  EXPECT_TRUE(where.ok()) << where.status().ToString();
  Result<std::unique_ptr<HttpConnections>> server = HttpConnections::Start(
      *where, std::move(answer), /*loopback_only=*/false, /*ports=*/1, limits);
  EXPECT_TRUE(server.ok()) << server.status().ToString();
  return std::move(server).value();
}

int PortOf(const std::string& address) { return std::stoi(address.substr(address.rfind(':') + 1)); }

TEST(ListenAddress, TakesNamesAndBothKindsOfNumbers) {
  const struct {
    std::string text, host;
    int port;
  } kCases[] = {{"127.0.0.1:8080", "127.0.0.1", 8080}, {"localhost:0", "localhost", 0},
                {"[::1]:8080", "::1", 8080},           {"[::]:8081", "::", 8081},
                {"[fd00::2]:65535", "fd00::2", 65535}, {"0.0.0.0:1", "0.0.0.0", 1}};
  for (const auto& [text, host, port] : kCases) {
    const Result<ListenAddress> place = ListenAddress::Parse(text);
    ASSERT_TRUE(place.ok()) << text << ": " << place.status().ToString();
    EXPECT_EQ(place->host, host);
    EXPECT_EQ(place->port, port);
  }
}

TEST(ListenAddress, RefusesWhatIsNone) {
  for (const char* text :
       {"", ":", ":8080", "8080", "host", "host:", "host:x", "host:80x", "host:-1", "host:65536",
        "[::1]", "[::1]8080", "[]:1", "[127.0.0.1]:1", "[::1:8080", "[x]:1"}) {
    const Result<ListenAddress> place = ListenAddress::Parse(text);
    ASSERT_FALSE(place.ok()) << text;
    EXPECT_EQ(place.status().code(), Code::kInvalidArgument);
    EXPECT_NE(place.status().message().find("HOST:PORT"), std::string::npos) << text;
  }
  // It could be an address alone.
  const Result<ListenAddress> place = ListenAddress::Parse("::1:8080");
  ASSERT_FALSE(place.ok());
  EXPECT_NE(place.status().message().find("[::1]:8080"), std::string::npos);
}

TEST(HttpConnections, EndsAlsoWhenItIsStoppedBeforeItHasBegun) {
  for (int i = 0; i < 200; ++i) ASSERT_NE(Listening("127.0.0.1:0", {}), nullptr);
}

TEST(HttpConnections, GivesTheRequestUpToItsEmptyLine) {
  std::promise<std::string> asked;
  const auto server =
      Listening("127.0.0.1:0", WithoutTimes(), [&asked](const std::string& request) {
        asked.set_value(request);
        return kOk;
      });
  RawClient client(server->address());
  // In pieces, with the end between two of them, and with something behind it.
  for (const char* piece : {"GE", "T / HTTP/1.1\r\nHost: x\r", "\n\r", "\nGET /more"}) {
    ASSERT_TRUE(client.Send(piece));
  }
  EXPECT_EQ(client.ReceiveAll(), kOk);
  EXPECT_EQ(asked.get_future().get(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

TEST(HttpConnections, ListensOnIpv6) {
  if (!HasIpv6()) GTEST_SKIP() << "this machine has no IPv6: nothing of it was tested";
  const auto server = Listening("[::1]:0", {});
  EXPECT_TRUE(server->address().starts_with("[::1]:")) << server->address();
  EXPECT_EQ(RawClient::Get(server->address(), "/"), kOk);
  EXPECT_FALSE(RawClient("127.0.0.1:" + std::to_string(PortOf(server->address()))).connected());
}

TEST(HttpConnections, ListensOnEveryAddressOfBothKinds) {
  const auto server = Listening("[::]:0", {});
  const std::string port = std::to_string(PortOf(server->address()));
  EXPECT_EQ(RawClient::Get("127.0.0.1:" + port, "/"), kOk);
  if (HasIpv6()) {
    EXPECT_EQ(RawClient::Get("[::1]:" + port, "/"), kOk);
  }
}

TEST(HttpConnections, TakesTheNextFreePortOnlyWhereThatIsAllowed) {
  const auto first = Listening("127.0.0.1:0", {});
  const Result<ListenAddress> where = ListenAddress::Parse(first->address());
  const auto answer = [](const std::string&) { return kOk; };
  const auto refused = HttpConnections::Start(*where, answer, /*loopback_only=*/true, /*ports=*/1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kAlreadyExists);
  EXPECT_NE(refused.status().message().find("the port is taken"), std::string::npos);
  const auto second = HttpConnections::Start(*where, answer, /*loopback_only=*/true, /*ports=*/100);
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_GT(PortOf((*second)->address()), where->port);
  // 0.0.0.0 and [::] of the same port are the same place.
  EXPECT_FALSE(
      HttpConnections::Start({"::", where->port}, answer, /*loopback_only=*/false, 1).ok());
}

TEST(HttpConnections, RefusesOtherThanLoopbackAddresses) {
  for (const char* host : {"0.0.0.0", "::", "192.0.2.1"}) {
    const auto server = HttpConnections::Start(
        {host, 0}, [](const std::string&) { return kOk; },
        /*loopback_only=*/true, 1);
    ASSERT_FALSE(server.ok()) << host;
    EXPECT_EQ(server.status().code(), Code::kPermissionDenied) << server.status().ToString();
  }
  const auto foreign = HttpConnections::Start(
      {"192.0.2.1", 0}, [](const std::string&) { return kOk; },
      /*loopback_only=*/false, 1);
  ASSERT_FALSE(foreign.ok());
  EXPECT_NE(foreign.status().message().find("Cannot assign"), std::string::npos);
}

TEST(HttpConnections, SilentClientsHoldNobodyUp) {
  const auto server = Listening("127.0.0.1:0", WithoutTimes());
  std::vector<RawClient> silent;
  silent.reserve(16);
  for (int i = 0; i < 16; ++i) {
    silent.emplace_back(server->address());
    if (i % 2 == 1) {
      ASSERT_TRUE(silent.back().Send("GET /readyz HTTP/1.1\r\nHost: "));
    }
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(RawClient::Get(server->address(), "/readyz"), kOk);
  for (RawClient& client : silent) EXPECT_TRUE(client.IsSilent());
}

TEST(HttpConnections, ClientsThatReadNothingHoldNobodyUp) {
  // More than the kernel keeps for a connection.
  const std::string large(size_t{32} << 20, 'x');
  HttpLimits limits = WithoutTimes();
  limits.threads = 1;
  const auto server = Listening("127.0.0.1:0", limits, [&large](const std::string& request) {
    return request.starts_with("GET /large") ? large : kOk;
  });
  std::vector<RawClient> deaf;
  deaf.reserve(4);
  for (int i = 0; i < 4; ++i) {
    deaf.emplace_back(server->address());
    ASSERT_TRUE(deaf.back().Send("GET /large HTTP/1.1\r\n\r\n"));
  }
  EXPECT_EQ(RawClient::Get(server->address(), "/"), kOk);
  EXPECT_EQ(deaf.front().ReceiveAll().size(), large.size());
}

TEST(HttpConnections, TheOldestMakesRoom) {
  HttpLimits limits = WithoutTimes();
  limits.connections_max = 4;
  const auto server = Listening("127.0.0.1:0", limits);
  std::vector<RawClient> silent;
  silent.reserve(4);
  for (int i = 0; i < 4; ++i) silent.emplace_back(server->address());
  EXPECT_EQ(RawClient::Get(server->address(), "/"), kOk);
  EXPECT_TRUE(silent[0].IsClosed());
  for (size_t i = 1; i < silent.size(); ++i) EXPECT_TRUE(silent[i].IsSilent()) << i;
}

TEST(HttpConnections, WhoIsBeingAnsweredKeepsItsPlace) {
  HttpLimits limits = WithoutTimes();
  limits.connections_max = limits.threads = 2;
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  std::promise<void> both;
  std::atomic<int> asked = 0;
  const auto server = Listening("127.0.0.1:0", limits, [&](const std::string&) {
    if (++asked == 2) both.set_value();
    gone.wait();
    return kOk;
  });
  RawClient first(server->address()), second(server->address());
  ASSERT_TRUE(first.Send("GET / HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(second.Send("GET / HTTP/1.1\r\n\r\n"));
  both.get_future().wait();
  RawClient third(server->address());
  EXPECT_TRUE(third.IsClosed());
  go.set_value();
  EXPECT_EQ(first.ReceiveAll(), kOk);
  EXPECT_EQ(second.ReceiveAll(), kOk);
}

TEST(HttpConnections, TimesRunOut) {
  HttpLimits limits;
  limits.request_max = limits.answer_max = milliseconds(20);
  const std::string large(size_t{32} << 20, 'x');
  const auto server =
      Listening("127.0.0.1:0", limits, [&large](const std::string&) { return std::string(large); });
  RawClient silent(server->address());
  EXPECT_TRUE(silent.IsClosed());
  std::optional<RawClient> deaf;
  bool begun = false;
  for (int tries = 0; !begun && tries < 1000; ++tries) {  // a slow machine may not ask in time
    deaf.emplace(server->address());
    begun = deaf->Send("GET / HTTP/1.1\r\n\r\n") && deaf->HasBegun();
  }
  ASSERT_TRUE(begun);
  // Its time is over once a connection that came later has lost its own.
  RawClient later(server->address());
  EXPECT_TRUE(later.IsClosed());
  EXPECT_LT(deaf->ReceiveAll().size(), large.size());
}

TEST(HttpConnections, RequestsHaveABound) {
  const auto server = Listening("127.0.0.1:0", WithoutTimes());
  RawClient client(server->address());
  ASSERT_TRUE(client.Send("GET / HTTP/1.1\r\nX: "));
  const std::string piece(1000, 'x');
  for (int i = 0; i < 20 && client.Send(piece);) ++i;
  EXPECT_TRUE(client.ReceiveAll().starts_with("HTTP/1.1 431 "));
}

TEST(HttpConnections, ABodyThatNobodyReadsCostsNoAnswer) {
  const auto server = Listening("127.0.0.1:0", WithoutTimes());
  RawClient client(server->address());
  const std::string body(100000, 'x');
  ASSERT_TRUE(client.Send("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"));
  client.Send(body);
  EXPECT_EQ(client.ReceiveAll(), kOk);
}

}  // namespace
}  // namespace weir::cli
