#include "engine/base/random_hex.h"

#include <gtest/gtest.h>

#include "engine/base/env_posix.h"

namespace weir {
namespace {

TEST(RandomHex, HasSoManyDigitsAndEachTimeOthers) {
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  for (const int digits : {0, 1, 8, 16, 17, 32, 40}) {
    const std::string text = RandomHex(*env, digits);
    EXPECT_EQ(text.size(), static_cast<size_t>(digits));
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos) << text;
  }
  const std::string text = RandomHex(*env, 32);
  EXPECT_NE(text.substr(0, 16), text.substr(16));
  EXPECT_NE(text, RandomHex(*env, 32));
}

TEST(RandomUuid, HasItsGroupsAndEachTimeOthers) {
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  std::string text = RandomUuid(*env);
  EXPECT_NE(text, RandomUuid(*env));
  for (char& c : text) {
    if (c != '-') c = std::string_view("0123456789abcdef").find(c) < 16 ? 'x' : '?';
  }
  EXPECT_EQ(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

}  // namespace
}  // namespace weir
