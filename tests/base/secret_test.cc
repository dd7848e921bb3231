#include "engine/base/secret.h"

#include <gtest/gtest.h>

#include <sstream>
#include <type_traits>

#include "engine/base/check.h"

namespace weir {
namespace {

TEST(Secret, PrintsStarsAndOnlyRevealsOnRequest) {
  const Secret secret(std::string("hunter2"));
  std::ostringstream out;
  out << secret;
  EXPECT_EQ(out.str(), "***");
  EXPECT_EQ(testing::PrintToString(secret), "***");
  EXPECT_EQ(secret.Reveal(), "hunter2");
  EXPECT_FALSE((std::is_convertible_v<Secret, std::string>));
  EXPECT_FALSE((std::is_convertible_v<Secret, std::string_view>)) << "no log field takes it";
}

TEST(Secret, MovesLeaveNothingBehind) {
  Secret from(std::string("a secret too long to lie inside the string itself"));
  const Secret to = std::move(from);
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): the promise under test
  EXPECT_EQ(to.Reveal().size(), 49U);
  Secret assigned(std::string("short"));
  assigned = to;
  EXPECT_EQ(assigned.Reveal(), to.Reveal());
}

}  // namespace
}  // namespace weir
