#include "engine/base/random_hex.h"

namespace weir {

std::string RandomHex(Env& env, int digits) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  uint64_t bits = 0;
  for (int i = 0; i < digits; ++i) {
    if (i % 16 == 0) bits = env.Random();
    text += kHex[bits & 15];
    bits >>= 4;
  }
  return text;
}

std::string RandomUuid(Env& env) {
  std::string text = RandomHex(env, 32);
  for (const size_t place : {size_t{8}, size_t{13}, size_t{18}, size_t{23}})
    text.insert(place, 1, '-');
  return text;
}

}  // namespace weir
