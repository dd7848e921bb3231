#include "engine/base/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "engine/base/check.h"
#include "engine/base/escape.h"

namespace weir {
namespace {

constexpr std::string_view kSyntax = "W0101";
constexpr std::string_view kDuplicateKey = "W0102";
constexpr std::string_view kTooDeep = "W0103";
constexpr std::string_view kTooLarge = "W0104";
constexpr std::string_view kEncoding = "W0105";
constexpr std::string_view kNotAnObject = "W0106";
constexpr std::string_view kBadString = "W0107";
constexpr std::string_view kBadNumber = "W0108";
constexpr std::string_view kComment = "W0109";

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr size_t kQuotedBytesMax = 32;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordCharacter(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '+' ||
         c == '-' || c == '.';
}

/// What the parser does beyond plain JSON.
struct Rules {
  bool comments = false;
  bool job = false;  // positions of all values, exact numbers within int64, bounds of job files
};

/// A place in the text that knows its line and column.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool done() const { return position_.offset == text_.size(); }
  char peek() const { return done() ? '\0' : text_[position_.offset]; }
  std::string_view rest() const { return text_.substr(position_.offset); }
  const TextPosition& position() const { return position_; }

  void Step() {
    const auto byte = static_cast<uint8_t>(text_[position_.offset++]);
    if (byte == '\n') {
      ++position_.line;
      position_.column = 1;
    } else if (position_.offset == text_.size() ||
               (static_cast<uint8_t>(text_[position_.offset]) & 0xc0) != 0x80) {
      ++position_.column;  // behind the last byte of a character
    }
  }
  void Skip(size_t bytes) {
    while (bytes-- > 0 && !done()) Step();
  }

 private:
  std::string_view text_;
  TextPosition position_;
};

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The four hex digits at the front of `text`, or -1.
int32_t HexUnit(std::string_view text) {
  if (text.size() < 4) return -1;
  int32_t unit = 0;
  for (size_t i = 0; i < 4; ++i) {
    const int digit = HexValue(text[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

void AppendUtf8(uint32_t point, std::string& out) {
  const auto tail = [&](uint32_t bits) { out.push_back(static_cast<char>(0x80 | (bits & 0x3f))); };
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (point >> 6)));
    tail(point);
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (point >> 12)));
    tail(point >> 6);
    tail(point);
  } else {
    out.push_back(static_cast<char>(0xf0 | (point >> 18)));
    tail(point >> 12);
    tail(point >> 6);
    tail(point);
  }
}

/// One character or escape at the front of a string's inside: bytes of text it takes, and why it is
/// bad if it is.
struct Escape {
  size_t bytes = 1;
  std::string_view fault;
};

/// Decodes what stands at the front of `text` (not empty, no closing quote) and appends it to
/// `out`.
Escape DecodeOne(std::string_view text, std::string& out) {
  const char first = text.front();
  if (static_cast<uint8_t>(first) < 0x20)
    return {1, "a control character must be escaped in a string"};
  if (first != '\\') {
    out.push_back(first);
    return {1, {}};
  }
  if (text.size() < 2) return {1, "the escape is not finished"};
  switch (text[1]) {
    case '"':
      out.push_back('"');
      return {2, {}};
    case '\\':
      out.push_back('\\');
      return {2, {}};
    case '/':
      out.push_back('/');
      return {2, {}};
    case 'b':
      out.push_back('\b');
      return {2, {}};
    case 'f':
      out.push_back('\f');
      return {2, {}};
    case 'n':
      out.push_back('\n');
      return {2, {}};
    case 'r':
      out.push_back('\r');
      return {2, {}};
    case 't':
      out.push_back('\t');
      return {2, {}};
    case 'u':
      break;
    default:
      return {1, "no such escape: JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX"};
  }
  const int32_t unit = HexUnit(text.substr(2));
  if (unit < 0) return {2, "\\u needs four hexadecimal digits"};
  if (unit == 0) return {6, "the character NUL is not accepted"};
  if (unit < 0xd800 || unit > 0xdfff) {
    AppendUtf8(static_cast<uint32_t>(unit), out);
    return {6, {}};
  }
  const int32_t low =
      unit < 0xdc00 && text.substr(6).starts_with("\\u") ? HexUnit(text.substr(8)) : -1;
  if (low < 0xdc00 || low > 0xdfff) return {6, "half of a surrogate pair stands alone"};
  AppendUtf8(
      0x10000 + (static_cast<uint32_t>(unit - 0xd800) << 10) + static_cast<uint32_t>(low - 0xdc00),
      out);
  return {12, {}};
}

/// A decimal text as its significant digits and the power of ten of the last one: equal for texts
/// of equal value.
struct Significant {
  std::string digits;
  int64_t exponent = 0;
  friend bool operator==(const Significant&, const Significant&) = default;
};

Significant SignificantOf(std::string_view number) {
  constexpr int64_t kExponentMax = int64_t{1} << 40;
  Significant result;
  bool fraction = false;
  size_t at = number.starts_with('-') ? 1 : 0;
  for (; at < number.size() && number[at] != 'e' && number[at] != 'E'; ++at) {
    if (number[at] == '.') {
      fraction = true;
      continue;
    }
    if (!result.digits.empty() || number[at] != '0') result.digits.push_back(number[at]);
    if (fraction) --result.exponent;
  }
  int64_t exponent = 0;
  const bool minus = at + 1 < number.size() && number[at + 1] == '-';
  for (; at < number.size(); ++at) {
    if (IsDigit(number[at])) exponent = std::min(kExponentMax, exponent * 10 + (number[at] - '0'));
  }
  result.exponent += minus ? -exponent : exponent;
  while (!result.digits.empty() && result.digits.back() == '0') {
    result.digits.pop_back();
    ++result.exponent;
  }
  if (result.digits.empty()) result.exponent = 0;
  return result;
}

/// `number` is spelled -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?; `integer` says that it has
/// neither fraction nor exponent.
bool IsJsonNumber(std::string_view number, bool* integer) {
  size_t at = number.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const size_t first = at;
    while (at < number.size() && IsDigit(number[at])) ++at;
    return at - first;
  };
  const bool zero = at < number.size() && number[at] == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  *integer = at == number.size();
  if (at < number.size() && number[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < number.size() && (number[at] == 'e' || number[at] == 'E')) {
    ++at;
    if (at < number.size() && (number[at] == '+' || number[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == number.size();
}

/// The number that `text` spells, or why there is none.
std::string_view ReadNumber(std::string_view text, bool job, Json* out) {
  bool integer = false;
  if (!IsJsonNumber(text, &integer)) return "is not a number as JSON spells it";
  const char* const end = text.data() + text.size();
  if (integer) {
    int64_t number = 0;
    if (std::from_chars(text.data(), end, number).ec == std::errc()) {
      *out = number < 0 ? Json(number) : Json(static_cast<uint64_t>(number));
      return {};
    }
    uint64_t large = 0;
    if (job || std::from_chars(text.data(), end, large).ec != std::errc())
      return "does not fit into 64 bits";
    *out = Json(large);
    return {};
  }
  double number = 0;
  if (std::from_chars(text.data(), end, number).ec != std::errc())
    return "is too large or too small for a float64";
  *out = Json(number);
  if (!job) return {};
  std::array<char, 32> shortest{};
  const auto printed = std::to_chars(shortest.data(), shortest.data() + shortest.size(), number);
  const std::string_view read_back(shortest.data(),
                                   static_cast<size_t>(printed.ptr - shortest.data()));
  if (SignificantOf(read_back) == SignificantOf(text)) return {};
  return "has more digits than a float64 can hold";
}

/// Recursive descent, at most kJobDepthMax deep. A method answers false when nothing more can be
/// read; the problem is noted then.
class Parser {
 public:
  Parser(std::string_view text, Rules rules, JsonDocument& document)
      : cursor_(text), text_(text), rules_(rules), document_(document) {}

  void Whole() {
    if (text_.starts_with(kByteOrderMark)) {
      const TextPosition start = cursor_.position();
      cursor_.Skip(kByteOrderMark.size());
      Note(kEncoding, {start, cursor_.position()}, "the text starts with a byte order mark",
           "save it as UTF-8 without a byte order mark");
    }
    if (!Blanks()) return;
    if (cursor_.done()) {
      Note(rules_.job ? kNotAnObject : kSyntax, Here(), "the text is empty",
           rules_.job ? "a job is one JSON object: {\"weir\": 1, ...}" : "");
      return;
    }
    if (!Value(document_.root, 0, true) || !Blanks()) return;
    if (!cursor_.done()) {
      Unexpected("after the end of the document",
                 cursor_.peek() == '{' ? "a file holds one document" : "");
      return;
    }
    if (rules_.job && !document_.root.is_object()) {
      Note(kNotAnObject, document_.values.find("")->second,
           std::string("expected an object, found ") + document_.root.type_name(),
           "a job is one JSON object: {\"weir\": 1, ...}");
    }
  }

 private:
  /// A value; `keep` is false below a duplicate key, whose values are read but not kept.
  bool Value(Json& out, int depth, bool keep) {
    const TextPosition start = cursor_.position();
    bool alive = false;
    switch (cursor_.peek()) {
      case '{':
        alive = Object(out, depth + 1, keep);
        break;
      case '[':
        alive = Array(out, depth + 1, keep);
        break;
      case '"': {
        std::string text;
        alive = String(text);
        out = std::move(text);
        break;
      }
      default:
        alive = Word(out);
        break;
    }
    return alive && (!keep || Record(document_.values, {start, cursor_.position()}));
  }

  bool Object(Json& out, int depth, bool keep) {
    if (!Deep(depth)) return false;
    out = Json::object();
    // Appended behind the map's back, which would search all keys each time; `seen` keeps them
    // unique.
    Json::object_t::Container& members = out.get_ref<Json::object_t&>();
    std::unordered_set<std::string> seen;
    const TextPosition open = cursor_.position();
    cursor_.Step();
    bool first = true;
    while (true) {
      bool end = false;
      if (!Separator('}', open, &first, &end)) return false;
      if (end) return true;
      if (cursor_.peek() != '"')
        return Unexpected("where a key in double quotes is expected", KeyHelp());
      const TextPosition start = cursor_.position();
      std::string key;
      if (!String(key)) return false;
      const TextRange key_range{start, cursor_.position()};
      const size_t pointer_size = pointer_.size();
      pointer_ += '/';
      pointer_ += PointerToken(key);
      const bool fresh = seen.insert(key).second;
      if (!fresh && !Note(kDuplicateKey, key_range,
                          "key '" + OneLine(key, kQuotedBytesMax) + "' stands twice in this object",
                          FirstKeyHelp()))
        return false;
      const bool kept = keep && fresh;
      if (kept && !Record(document_.keys, key_range)) return false;
      if (!Blanks()) return false;
      if (cursor_.peek() != ':') return Unexpected("where ':' is expected after a key", "");
      cursor_.Step();
      Json value;
      if (!Blanks() || !Value(value, depth, kept)) return false;
      if (kept) members.emplace_back(std::move(key), std::move(value));
      pointer_.resize(pointer_size);
    }
  }

  bool Array(Json& out, int depth, bool keep) {
    if (!Deep(depth)) return false;
    out = Json::array();
    const TextPosition open = cursor_.position();
    cursor_.Step();
    bool first = true;
    for (size_t index = 0;; ++index) {
      bool end = false;
      if (!Separator(']', open, &first, &end)) return false;
      if (end) return true;
      const size_t pointer_size = pointer_.size();
      pointer_ += '/';
      pointer_ += std::to_string(index);
      Json value;
      if (!Value(value, depth, keep)) return false;
      if (keep) out.push_back(std::move(value));
      pointer_.resize(pointer_size);
    }
  }

  /// Blanks, and before all members but the first a comma; or the closing bracket. A missing or
  /// trailing comma is noted and passed over.
  bool Separator(char closing, const TextPosition& open, bool* first, bool* end) {
    if (!Blanks()) return false;
    bool comma = false;
    TextRange comma_range;
    if (!*first && cursor_.peek() == ',') {
      comma = true;
      comma_range.start = cursor_.position();
      cursor_.Step();
      comma_range.end = cursor_.position();
      if (!Blanks()) return false;
    }
    if (cursor_.done()) {
      return Note(kSyntax, Here(),
                  std::string("the text ends before '") + closing +
                      "' closes the bracket of line " + std::to_string(open.line) + ", column " +
                      std::to_string(open.column),
                  "");
    }
    if (cursor_.peek() == closing) {
      cursor_.Step();
      *end = true;
      return !comma || Note(kSyntax, comma_range,
                            std::string("a comma must not stand before '") + closing + "'",
                            "remove the comma");
    }
    const bool other_value = cursor_.peek() == '"' || cursor_.peek() == '{' ||
                             cursor_.peek() == '[' ||
                             (closing == ']' && IsWordCharacter(cursor_.peek()));
    if (!*first && !comma) {
      if (!other_value)
        return Unexpected(std::string("where ',' or '") + closing + "' is expected", "");
      if (!Note(kSyntax, Here(), "a comma is missing before this", "")) return false;
    }
    *first = false;
    return true;
  }

  /// A string with its quotes. All of its faults are one problem, at the first.
  bool String(std::string& out) {
    const TextPosition open = cursor_.position();
    cursor_.Step();
    bool noted = false;
    while (true) {
      // A line break is mostly a forgotten quote: what follows would be read inside out.
      if (cursor_.done() || cursor_.peek() == '\n') {
        Note(kSyntax, {open, cursor_.position()}, "the string is not closed on its line",
             "a line break inside a string is written \\n");
        return false;
      }
      if (cursor_.peek() == '"') break;
      const TextPosition start = cursor_.position();
      const Escape one = DecodeOne(cursor_.rest(), out);
      cursor_.Skip(one.bytes);
      if (one.fault.empty() || noted) continue;
      noted = true;
      if (!Note(kBadString, {start, cursor_.position()}, std::string(one.fault), "")) return false;
    }
    cursor_.Step();
    return true;
  }

  /// true, false, null or a number.
  bool Word(Json& out) {
    const TextPosition start = cursor_.position();
    const std::string_view rest = cursor_.rest();
    const auto* const word_end = std::find_if_not(rest.begin(), rest.end(), IsWordCharacter);
    const std::string_view word = rest.substr(0, static_cast<size_t>(word_end - rest.begin()));
    if (word.empty())
      return Unexpected("where a value is expected",
                        cursor_.peek() == '\'' ? "write strings in double quotes" : "");
    const bool numeric =
        IsDigit(word.front()) ||
        ((word.front() == '-' || word.front() == '+' || word.front() == '.') && word.size() > 1);
    cursor_.Skip(word.size());
    const TextRange range{start, cursor_.position()};
    const auto quoted = [&] { return "'" + OneLine(word, kQuotedBytesMax) + "'"; };
    if (word == "true" || word == "false") {
      out = word == "true";
    } else if (word == "null") {
      out = nullptr;
    } else if (numeric || word == "NaN" || word == "Infinity") {
      const std::string_view fault = ReadNumber(word, rules_.job, &out);
      if (!fault.empty()) return Note(kBadNumber, range, quoted() + " " + std::string(fault), "");
    } else {
      return Note(kSyntax, range, quoted() + " is no JSON value", WordHelp(word));
    }
    return true;
  }

  static std::string WordHelp(std::string_view word) {
    if (word == "True" || word == "False") return "write true and false in lower case";
    if (word == "None" || word == "nil" || word == "NULL" || word == "Null") return "write null";
    return "write strings in double quotes";
  }
  std::string KeyHelp() const {
    if (cursor_.peek() == '\'' || IsWordCharacter(cursor_.peek()))
      return "write keys in double quotes";
    return {};
  }
  std::string FirstKeyHelp() const {
    const auto first = document_.keys.find(pointer_);
    if (first == document_.keys.end()) return "remove one of the two";
    return "the first one stands in line " + std::to_string(first->second.start.line) +
           ", column " + std::to_string(first->second.start.column) + "; remove one of the two";
  }

  /// Skips blanks and comments.
  bool Blanks() {
    while (!cursor_.done()) {
      const std::string_view rest = cursor_.rest();
      if (IsBlank(rest.front())) {
        cursor_.Step();
        continue;
      }
      if (!rest.starts_with("//") && !rest.starts_with("/*")) break;
      const TextPosition start = cursor_.position();
      const bool block = rest[1] == '*';
      const size_t end = block ? rest.find("*/", 2) : rest.find('\n');
      cursor_.Skip(end == std::string_view::npos ? rest.size() : block ? end + 2 : end);
      if (block && end == std::string_view::npos) {
        Note(kSyntax, {start, cursor_.position()}, "the comment is not closed", "end it with */");
        return false;
      }
      if (!rules_.comments &&
          !Note(kComment, {start, cursor_.position()}, "comments are not accepted here", ""))
        return false;
    }
    return true;
  }

  bool Deep(int depth) {
    if (depth <= kJobDepthMax) return true;
    Note(kTooDeep, Here(),
         "the text is nested more than " + std::to_string(kJobDepthMax) + " levels deep", "");
    return false;
  }

  /// Keeps the range under the pointer in hand, within the bounds of job files.
  bool Record(std::map<std::string, TextRange, std::less<>>& ranges, const TextRange& range) {
    if (!rules_.job) return true;
    pointer_bytes_ += pointer_.size();
    if (&ranges == &document_.values) ++values_;
    if (values_ > kJobValuesMax || pointer_bytes_ > kJobPointerBytesMax) {
      Note(kTooLarge, range, "the text has too many values, or too long keys above them",
           "at most " + std::to_string(kJobValuesMax) + " values");
      return false;
    }
    ranges.emplace(pointer_, range);
    return true;
  }

  /// The character in hand, or an empty range at the end.
  TextRange Here() const {
    Cursor next = cursor_;
    if (!next.done()) next.Step();
    while (!next.done() && (static_cast<uint8_t>(next.peek()) & 0xc0) == 0x80) next.Step();
    return {cursor_.position(), next.position()};
  }

  bool Unexpected(const std::string& where, std::string help) {
    if (cursor_.done()) {
      Note(kSyntax, Here(), "the text ends " + where, std::move(help));
    } else {
      const TextRange range = Here();
      const std::string_view character =
          text_.substr(range.start.offset, range.end.offset - range.start.offset);
      Note(kSyntax, range, "unexpected '" + OneLine(character, kQuotedBytesMax) + "' " + where,
           std::move(help));
    }
    return false;
  }

  /// Adds a problem; false when there are so many that reading on is of no use.
  bool Note(std::string_view code, const TextRange& range, std::string message, std::string help) {
    document_.problems.push_back(
        {std::string(code), std::move(message), std::move(help), pointer_, range});
    return document_.problems.size() < kJsonProblemsMax &&
           (code != kSyntax || range.start.offset < text_.size());
  }

  Cursor cursor_;
  const std::string_view text_;
  const Rules rules_;
  JsonDocument& document_;
  std::string pointer_;
  size_t values_ = 0, pointer_bytes_ = 0;
};

TextPosition PositionAt(std::string_view text, size_t offset) {
  Cursor cursor(text);
  cursor.Skip(offset);
  return cursor.position();
}

/// Offset of the first bracket deeper than the bound, if there is one: found before anything is
/// built.
std::optional<size_t> TooDeepAt(std::string_view text) {
  int depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    switch (text[at]) {
      case '{':
      case '[':
        if (++depth > kJobDepthMax) return at;
        break;
      case '}':
      case ']':
        --depth;
        break;
      case '"':
        for (++at; at < text.size() && text[at] != '"'; ++at) {
          if (text[at] == '\\') ++at;
        }
        break;
      case '/': {
        const std::string_view rest = text.substr(at);
        if (!rest.starts_with("//") && !rest.starts_with("/*")) break;
        const size_t end = rest[1] == '*' ? rest.find("*/", 2) : rest.find('\n');
        at = end == std::string_view::npos ? text.size() : at + end;
        break;
      }
      default:
        break;
    }
  }
  return std::nullopt;
}

/// Size, encoding and depth: a text that fails here is not read at all.
std::optional<JsonProblem> OutOfBounds(std::string_view text, bool job) {
  const auto at = [&](std::string_view code, size_t offset, std::string message, std::string help) {
    const TextPosition start = PositionAt(text, offset);
    return JsonProblem{std::string(code),
                       std::move(message),
                       std::move(help),
                       "",
                       {start, PositionAt(text, std::min(text.size(), offset + 1))}};
  };
  if (job && text.size() > kJobBytesMax) {
    JsonProblem problem{std::string(kTooLarge), "", "", "", {}};
    problem.message = "the text has " + std::to_string(text.size()) + " bytes, at most " +
                      std::to_string(kJobBytesMax) + " are accepted";
    return problem;
  }
  const size_t valid = Utf8PrefixLength(text);
  if (valid != text.size()) {
    const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
    return at(kEncoding, valid,
              utf16 ? "the text is UTF-16" : "byte " + std::to_string(valid) + " is not UTF-8",
              "save the text as UTF-8");
  }
  const std::optional<size_t> deep = TooDeepAt(text);
  if (deep)
    return at(kTooDeep, *deep,
              "the text is nested more than " + std::to_string(kJobDepthMax) + " levels deep", "");
  return std::nullopt;
}

JsonDocument Parse(std::string_view text, Rules rules) {
  JsonDocument document;
  std::optional<JsonProblem> out_of_bounds = OutOfBounds(text, rules.job);
  if (out_of_bounds) {
    document.problems.push_back(std::move(*out_of_bounds));
    return document;
  }
  Parser(text, rules, document).Whole();
  return document;
}

}  // namespace

TextPosition JsonDocument::InsideString(std::string_view text, std::string_view pointer,
                                        size_t index) const {
  const auto value = values.find(pointer);
  if (value == values.end()) return {};
  size_t at = value->second.start.offset;
  if (at >= text.size() || text[at] != '"') return value->second.start;
  ++at;
  std::string decoded;
  while (at < text.size() && text[at] != '"') {
    const size_t start = at;
    at += DecodeOne(text.substr(at), decoded).bytes;
    if (decoded.size() > index) return PositionAt(text, start);
  }
  return PositionAt(text, at);
}

JsonDocument ParseJob(std::string_view text, bool comments) {
  return Parse(text, {.comments = comments, .job = true});
}

Result<Json> ParseJson(std::string_view text) {
  JsonDocument document = Parse(text, {});
  if (document.problems.empty()) return std::move(document.root);
  const JsonProblem& problem = document.problems.front();
  return Status(Code::kCorruption,
                "no valid JSON: line " + std::to_string(problem.range.start.line) + ", column " +
                    std::to_string(problem.range.start.column) + ": " + problem.message);
}

std::string PointerToken(std::string_view key) {
  std::string token;
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token.push_back(c);
    }
  }
  return token;
}

}  // namespace weir
