#include "engine/base/escape.h"

#include <cstdint>
#include <cstring>

namespace weir {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

/// Bytes of the valid UTF-8 character at the front of `text`, 0 if there is none. REQUIRES: not
/// empty.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return continues(1) ? 2 : 0;
  if (first < 0xf0) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;  // overlong
    if (first == 0xed && byte(1) > 0x9f) return 0;  // surrogate
    return 3;
  }
  if (first > 0xf4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return 4;
}

void AppendHexByte(uint8_t byte, std::string& out) {
  out.push_back(kHexDigits[byte >> 4]);
  out.push_back(kHexDigits[byte & 15]);
}

}  // namespace

size_t Utf8PrefixLength(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      uint64_t word = 0;
      std::memcpy(&word, text.data() + at, 8);
      if ((word & 0x8080808080808080U) == 0) {
        at += 8;
        continue;
      }
    }
    const size_t length = CharacterLength(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return at;
}

void AppendOneLine(std::string_view text, size_t bytes_max, std::string& out) {
  constexpr std::string_view kCut = "...";
  const size_t start = out.size();
  // The output never shrinks below what has been written, so remember where a cut would still leave
  // room for the mark.
  size_t cut_at = start;
  while (!text.empty()) {
    if (out.size() - start + kCut.size() <= bytes_max) cut_at = out.size();
    const auto first = static_cast<uint8_t>(text.front());
    size_t length = CharacterLength(text);
    const bool c1_control = length == 2 && first == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0;
    const bool line_break =
        length == 3 && (text.substr(0, 3) == "\xe2\x80\xa8" || text.substr(0, 3) == "\xe2\x80\xa9");
    if (first == '\n') {
      out += "\\n";
    } else if (first == '\r') {
      out += "\\r";
    } else if (first == '\t') {
      out += "\\t";
    } else if (first == '\\') {
      out += "\\\\";
    } else if (length == 0 || first < 0x20 || first == 0x7f || c1_control || line_break) {
      if (length == 0) length = 1;
      for (size_t i = 0; i < length; ++i) {
        out += "\\x";
        AppendHexByte(static_cast<uint8_t>(text[i]), out);
      }
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
    if (out.size() - start > bytes_max) {
      out.resize(cut_at);
      out.append(kCut.substr(0, bytes_max));
      return;
    }
  }
}

std::string OneLine(std::string_view text, size_t bytes_max) {
  std::string line;
  AppendOneLine(text, bytes_max, line);
  return line;
}

void AppendJsonString(std::string_view text, std::string& out) {
  out.push_back('"');
  size_t plain = 0;  // characters at the front that need no escape
  const auto flush = [&] {
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    plain = 0;
  };
  while (plain < text.size()) {
    const auto byte = static_cast<uint8_t>(text[plain]);
    if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != 0x7f) {
      ++plain;
      continue;
    }
    if (byte >= 0x80) {
      const size_t length = CharacterLength(text.substr(plain));
      if (length != 0) {
        plain += length;
        continue;
      }
    }
    flush();
    switch (byte) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (byte >= 0x80) {
          out += "\xef\xbf\xbd";
        } else {
          out += "\\u00";
          AppendHexByte(byte, out);
        }
    }
    text.remove_prefix(1);
  }
  flush();
  out.push_back('"');
}

}  // namespace weir
