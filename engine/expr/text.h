#pragma once
// Code points in UTF-8, and what text functions share. Texts are valid UTF-8 (columns of type
// string are). Pure; any thread.

#include <cstdint>
#include <string_view>

#include "engine/expr/node.h"

namespace weir {

/// The code point at `at`, which moves behind it. REQUIRES: at < text.size().
inline char32_t NextCodePoint(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<char32_t>(static_cast<unsigned char>(text[i]))
                           : char32_t{0};
  };
  const char32_t first = byte(at);
  if (first < 0x80) {
    at += 1;
    return first;
  }
  if (first < 0xE0) {
    const char32_t c = ((first & 0x1F) << 6) | (byte(at + 1) & 0x3F);
    at += 2;
    return c;
  }
  if (first < 0xF0) {
    const char32_t c =
        ((first & 0x0F) << 12) | ((byte(at + 1) & 0x3F) << 6) | (byte(at + 2) & 0x3F);
    at += 3;
    return c;
  }
  const char32_t c = ((first & 0x07) << 18) | ((byte(at + 1) & 0x3F) << 12) |
                     ((byte(at + 2) & 0x3F) << 6) | (byte(at + 3) & 0x3F);
  at += 4;
  return c;
}
inline bool StartsCodePoint(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }
/// Code points of a text.
inline int64_t CodePoints(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += StartsCodePoint(c) ? 1 : 0;
  return count;
}
/// Byte offset of code point `index`, at most the size.
inline size_t OffsetOf(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (StartsCodePoint(text[at]) && index-- == 0) break;
  }
  return at;
}

char32_t LowerCodePoint(char32_t c);
char32_t UpperCodePoint(char32_t c);

/// expression.limit: the text would pass kExpressionStringBytesMax.
void FailTextLimit(const KernelCall& call, uint32_t row);

}  // namespace weir
