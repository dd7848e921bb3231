#include "cli/http_api.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

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
