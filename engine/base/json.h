#pragma once
// JSON of job files, control messages and reports: nlohmann/json with the order of keys kept, and a
// scanner that adds what it drops: positions and duplicate keys. ParseJob never throws and bounds
// size, depth and UTF-8 before anything is built; records of streams are not parsed here
// (simdjson). Any thread; values.

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/json_fwd.h"
#include "engine/base/status.h"

namespace weir {

inline constexpr size_t kJobBytesMax = size_t{1} << 20;
inline constexpr int kJobDepthMax = 64;
inline constexpr size_t kJobValuesMax = 100'000;
/// All JSON pointers of a job file together: a long key above many values must not become gigabytes
/// of them.
inline constexpr size_t kJobPointerBytesMax = size_t{32} << 20;
inline constexpr size_t kJsonProblemsMax = 100;

struct TextPosition {
  uint32_t line = 1, column = 1;  // 1-based, columns in characters
  uint64_t offset = 0;            // bytes
};
struct TextRange {
  TextPosition start, end;  // end exclusive
};

/// One problem of a JSON text: W0101 syntax, W0102 duplicate key, W0103 too deep, W0104 too large,
/// W0105 encoding, W0106 not an object, W0107 string, W0108 number, W0109 comment where none is
/// accepted.
struct JsonProblem {
  std::string code, message, help;
  std::string pointer;
  TextRange range;
};

struct JsonDocument {
  Json root;  // with problems: what could be read, of a duplicate key the first value
  std::map<std::string, TextRange, std::less<>> values;  // JSON pointer -> where its value stands
  std::map<std::string, TextRange, std::less<>> keys;    // JSON pointer -> where its key stands
  std::vector<JsonProblem> problems;                     // empty: the text is sound

  /// Position of byte `index` of the decoded string value at `pointer`: through the escapes of the
  /// text. At or past its end: its closing quote. Where no string stands: the start of the value.
  TextPosition InsideString(std::string_view text, std::string_view pointer, size_t index) const;
};

/// Comments (// and /* */) are accepted if `comments`. All problems at once as far as the text can
/// be read.
JsonDocument ParseJob(std::string_view text, bool comments);

/// Plain parse of a trusted-format text (manifests, reports): kCorruption with the position on any
/// fault, no comments, depth bounded, integers up to uint64; the caller bounds the size.
Result<Json> ParseJson(std::string_view text);

/// `a/b~c` as one reference token of a JSON pointer.
std::string PointerToken(std::string_view key);

}  // namespace weir
