#pragma once
// Text made safe to print: one line for logs and messages, a JSON string, and the check for UTF-8
// that both and the decoders rest on. Pure functions; any thread.

#include <cstddef>
#include <string>
#include <string_view>

namespace weir {

/// Bytes of the longest valid UTF-8 prefix of `text`: no overlong forms, surrogates, or points past
/// U+10FFFF.
size_t Utf8PrefixLength(std::string_view text);
inline bool IsUtf8(std::string_view text) { return Utf8PrefixLength(text) == text.size(); }

/// `text` on one line: control characters as \n, \t or \x1b, bytes that are not UTF-8 as \xff, a
/// backslash doubled. What passes `bytes_max` bytes of output is cut between characters and
/// replaced by "...".
void AppendOneLine(std::string_view text, size_t bytes_max, std::string& out);
std::string OneLine(std::string_view text, size_t bytes_max);

/// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace weir
