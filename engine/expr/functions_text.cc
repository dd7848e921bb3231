// text, regex, encoding, hashes. Lengths and positions count code points; what a function cuts out
// of a text points into the text, without a copy.

#include <re2/re2.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/base/bytes.h"
#include "engine/expr/cast.h"
#include "engine/expr/functions.h"
#include "engine/expr/patterns.h"
#include "engine/expr/problem_codes.h"
#include "engine/expr/text.h"

namespace weir {

char32_t LowerCodePoint(char32_t c) {
  if (c < 0x80) return c >= U'A' && c <= U'Z' ? c + 32 : c;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}
char32_t UpperCodePoint(char32_t c) {
  if (c < 0x80) return c >= U'a' && c <= U'z' ? c - 32 : c;
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
void FailTextLimit(const KernelCall& call, uint32_t row) {
  call.Fail(row, RecordCode::kExpressionLimit,
            "a text of more than " + std::to_string(kExpressionStringBytesMax) +
                " bytes, or too many of them at once");
}

namespace {

bool IsAscii(std::string_view text) {
  uint64_t bits = 0;
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    bits |= word;
  }
  for (; at < text.size(); ++at) bits |= static_cast<unsigned char>(text[at]);
  return (bits & 0x8080808080808080ULL) == 0;
}

/// A part of argument 0 as a value: short ones inline, long ones where they stand.
void Cut(const KernelCall& call, uint32_t row, std::string_view part) {
  call.Out<Utf8View>()[row] = Utf8View(part);
}

size_t PutCodePoint(char32_t c, char* out) {
  return static_cast<size_t>(utf8proc_encode_char(static_cast<utf8proc_int32_t>(c),
                                                  reinterpret_cast<utf8proc_uint8_t*>(out)));
}

template <bool kLower>
void CaseLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  call.out.arenas.clear();  // all is copied
  TextArena arena;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    // Also of one text that many rows share each gets a copy of its own.
    if (!arena.Fits(text.size())) return FailTextLimit(call, row);
    if (IsAscii(text)) {
      char* to = arena.Reserve(text.size());
      for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool changes = kLower ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
        to[i] = static_cast<char>(changes ? c ^ 32 : c);
      }
      out[row] = arena.Commit(text.size());
      return;
    }
    char* to = arena.Reserve(
        text.size() * 2 + 4);  // a simple mapping makes two bytes of one at most, or three of two
    size_t size = 0;
    for (size_t at = 0; at < text.size();) {
      const char32_t c = NextCodePoint(text, at);
      size += PutCodePoint(kLower ? LowerCodePoint(c) : UpperCodePoint(c), to + size);
    }
    if (!arena.Fits(size)) return FailTextLimit(call, row);
    out[row] = arena.Commit(size);
  });
  arena.FinishInto(call.out);
}

void LengthLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) { out[row] = CodePoints(in[row]); });
}
void BytesLengthLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) { out[row] = static_cast<int64_t>(in[row].size()); });
}
NodeRef BindLength(Binder& binder, FunctionCall& call) {
  NodeRef operand = call.arguments[0];
  if (operand->type.kind == TypeKind::kNull) operand = MakeNull(Type::Of(TypeKind::kString));
  if (!operand->type.is_text()) return binder.WrongArguments(call);
  const bool bytes = operand->type.kind == TypeKind::kBytes;
  return binder.Strict(Type::Of(TypeKind::kInt64), "length", bytes ? BytesLengthLoop : LengthLoop,
                       {std::move(operand)});
}

// Trimming: of a blank, or of any character of the second argument.
bool HoldsCodePoint(std::string_view set, std::string_view character) {
  for (size_t at = 0; at < set.size();) {
    const size_t begin = at;
    NextCodePoint(set, at);
    if (set.substr(begin, at - begin) == character) return true;
  }
  return false;
}
template <bool kLeft, bool kRight>
void TrimLoop(const KernelCall& call) {
  const bool with_set = call.arguments.size() == 2;
  const TextReader in(call.arguments[0]);
  const TextReader sets(call.arguments[with_set ? 1 : 0]);
  call.ForEachValid([&](uint32_t row) {
    std::string_view text = in[row];
    const std::string_view set = with_set ? sets[row] : std::string_view(" ");
    if (kLeft) {
      while (!text.empty()) {
        size_t size = 0;
        NextCodePoint(text, size);
        if (!HoldsCodePoint(set, text.substr(0, size))) break;
        text.remove_prefix(size);
      }
    }
    if (kRight) {
      while (!text.empty()) {
        size_t begin = text.size() - 1;
        while (begin > 0 && !StartsCodePoint(text[begin])) --begin;
        if (!HoldsCodePoint(set, text.substr(begin))) break;
        text.remove_suffix(text.size() - begin);
      }
    }
    Cut(call, row, text);
  });
}

/// PostgreSQL's substring: `start` may lie before the text, the length counts from there.
void SubstringLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const Reader<int64_t> starts(call.arguments[1]);
  const bool with_length = call.arguments.size() == 3;
  const Reader<int64_t> lengths(call.arguments[with_length ? 2 : 1]);
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    const int64_t start = starts[row];
    int64_t end = INT64_MAX;
    if (with_length) {
      if (lengths[row] < 0) {
        call.Fail(row, RecordCode::kExpressionCast, "negative substring length");
        return;
      }
      if (__builtin_add_overflow(start, lengths[row], &end)) end = INT64_MAX;
    }
    const int64_t first = std::max<int64_t>(start, 1);
    if (end <= first) return Cut(call, row, {});
    if (IsAscii(text)) {
      const auto size = static_cast<int64_t>(text.size());
      if (first > size) return Cut(call, row, {});
      return Cut(call, row,
                 text.substr(static_cast<size_t>(first - 1),
                             static_cast<size_t>(std::min(end - 1, size) - (first - 1))));
    }
    const size_t from = OffsetOf(text, first - 1);
    const std::string_view rest = text.substr(from);
    Cut(call, row, end == INT64_MAX ? rest : rest.substr(0, OffsetOf(rest, end - first)));
  });
}
/// left(text, n), right(text, n): a negative n leaves out that many at the other end.
template <bool kLeft>
void EndLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const Reader<int64_t> counts(call.arguments[1]);
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    const int64_t size = CodePoints(text);
    const int64_t wanted = counts[row];
    const int64_t kept = wanted >= 0 ? std::min(wanted, size) : wanted < -size ? 0 : size + wanted;
    if (kLeft) {
      Cut(call, row, text.substr(0, OffsetOf(text, kept)));
    } else {
      Cut(call, row, text.substr(OffsetOf(text, size - kept)));
    }
  });
}

void ReplaceLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const TextReader wanted(call.arguments[1]);
  const TextReader replacement(call.arguments[2]);
  auto* out = call.Out<Utf8View>();
  TextArena arena;
  std::string result;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    const std::string_view from = wanted[row];
    const std::string_view to = replacement[row];
    size_t found = from.empty() ? std::string_view::npos : text.find(from);
    if (found == std::string_view::npos) return Cut(call, row, text);
    result.clear();
    size_t at = 0;
    while (found != std::string_view::npos) {
      result.append(text, at, found - at);
      result.append(to);
      if (result.size() > kExpressionStringBytesMax) return FailTextLimit(call, row);
      at = found + from.size();
      found = text.find(from, at);
    }
    result.append(text, at);
    if (!arena.Fits(result.size())) return FailTextLimit(call, row);
    out[row] = arena.Add(result);
  });
  arena.FinishInto(call.out);
}

void SplitPartLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const TextReader separators(call.arguments[1]);
  const Reader<int64_t> numbers(call.arguments[2]);
  call.ForEachValid([&](uint32_t row) {
    std::string_view text = in[row];
    const std::string_view separator = separators[row];
    int64_t number = numbers[row];
    if (number == 0) {
      call.Fail(row, RecordCode::kExpressionCast, "the number of a part must not be 0");
      return;
    }
    if (separator.empty())
      return Cut(call, row, number == 1 || number == -1 ? text : std::string_view());
    if (number > 0) {
      for (; number > 1; --number) {
        const size_t found = text.find(separator);
        if (found == std::string_view::npos) return Cut(call, row, {});
        text.remove_prefix(found + separator.size());
      }
      return Cut(call, row, text.substr(0, text.find(separator)));
    }
    // From the end; parts are still cut from the left, as for positive numbers.
    int64_t parts = 1;
    for (size_t at = text.find(separator); at != std::string_view::npos;
         at = text.find(separator, at + separator.size()))
      ++parts;
    int64_t index = number < -parts ? -1 : parts + number;
    if (index < 0) return Cut(call, row, {});
    for (; index > 0; --index) text.remove_prefix(text.find(separator) + separator.size());
    Cut(call, row, text.substr(0, text.find(separator)));
  });
}

template <class Test>
void TestLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const TextReader wanted(call.arguments[1]);
  auto* out = call.Out<uint8_t>();
  call.ForEachValid([&](uint32_t row) { out[row] = Test::Apply(in[row], wanted[row]) ? 1 : 0; });
}
struct StartsWith {
  static bool Apply(std::string_view text, std::string_view part) { return text.starts_with(part); }
};
struct EndsWith {
  static bool Apply(std::string_view text, std::string_view part) { return text.ends_with(part); }
};
struct Contains {
  static bool Apply(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
  }
};
void PositionLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const TextReader wanted(call.arguments[1]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    const size_t found = in[row].find(wanted[row]);
    out[row] = found == std::string_view::npos ? 0 : CodePoints(in[row].substr(0, found)) + 1;
  });
}

void RepeatLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const Reader<int64_t> counts(call.arguments[1]);
  auto* out = call.Out<Utf8View>();
  call.out.arenas.clear();  // all is copied
  TextArena arena;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    const int64_t count = text.empty() ? 0 : std::max<int64_t>(0, counts[row]);
    if (count > static_cast<int64_t>(kExpressionStringBytesMax / std::max<size_t>(1, text.size())))
      return FailTextLimit(call, row);
    const size_t size = text.size() * static_cast<size_t>(count);
    if (!arena.Fits(size)) return FailTextLimit(call, row);
    char* to = arena.Reserve(size);
    for (size_t at = 0; at < size; at += text.size())
      std::memcpy(to + at, text.data(), text.size());
    out[row] = arena.Commit(size);
  });
  arena.FinishInto(call.out);
}
void ReverseLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  call.out.arenas.clear();  // all is copied
  TextArena arena;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    if (!arena.Fits(text.size())) return FailTextLimit(call, row);
    char* to = arena.Reserve(text.size()) + text.size();
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      NextCodePoint(text, at);
      to -= at - begin;
      std::memcpy(to, text.data() + begin, at - begin);
    }
    out[row] = arena.Commit(text.size());
  });
  arena.FinishInto(call.out);
}
template <bool kLeft>
void PadLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const Reader<int64_t> lengths(call.arguments[1]);
  const bool with_fill = call.arguments.size() == 3;
  const TextReader fills(call.arguments[with_fill ? 2 : 0]);
  auto* out = call.Out<Utf8View>();
  TextArena arena;
  std::string pad;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    const std::string_view fill = with_fill ? fills[row] : std::string_view(" ");
    const int64_t size = CodePoints(text);
    const int64_t wanted = std::max<int64_t>(0, lengths[row]);
    if (wanted <= size || fill.empty())
      return Cut(call, row, text.substr(0, OffsetOf(text, std::min(wanted, size))));
    if (wanted > static_cast<int64_t>(kExpressionStringBytesMax)) return FailTextLimit(call, row);
    pad.clear();
    int64_t missing = wanted - size;
    size_t at = 0;
    for (; missing > 0; --missing) {
      if (at == fill.size()) at = 0;
      const size_t begin = at;
      NextCodePoint(fill, at);
      pad.append(fill, begin, at - begin);
    }
    if (!arena.Fits(pad.size() + text.size())) return FailTextLimit(call, row);
    if (kLeft) {
      pad.append(text);
    } else {
      pad.insert(0, text);
    }
    out[row] = arena.Add(pad);
  });
  arena.FinishInto(call.out);
}

// concat and concat_ws skip NULL; other types than string are refused, as for ||.
template <bool kSeparated>
void JoinLoop(const KernelCall& call) {
  auto* out = call.Out<Utf8View>();
  call.out.arenas.clear();  // all is copied
  TextArena arena;
  std::string result;
  std::vector<TextReader> readers;
  readers.reserve(call.arguments.size());
  for (const Vector& argument : call.arguments) readers.emplace_back(argument);
  call.rows.ForEach([&](uint32_t row) {
    if (kSeparated && !call.arguments[0].IsValid(row)) return call.SetNull(row);
    result.clear();
    bool first = true;
    for (size_t i = kSeparated ? 1 : 0; i < readers.size(); ++i) {
      if (!call.arguments[i].IsValid(row)) continue;
      if (kSeparated && !first) result.append(readers[0][row]);
      first = false;
      result.append(readers[i][row]);
      if (!arena.Fits(result.size())) return FailTextLimit(call, row);
    }
    out[row] = arena.Add(result);
  });
  arena.FinishInto(call.out);
}
template <bool kSeparated>
NodeRef BindJoin(Binder& binder, FunctionCall& call) {
  const Type string = Type::Of(TypeKind::kString);
  ExpressionNode node;
  node.type = string;
  node.text = std::string(call.function.doc.name);
  node.evaluate = EvaluateLenient;
  node.kernel = JoinLoop<kSeparated>;
  for (NodeRef& argument : call.arguments) {
    if (argument->type.kind != TypeKind::kString && argument->type.kind != TypeKind::kNull) {
      return binder.Problem(call.node, kProblemArguments,
                            node.text + " takes only strings, not " + argument->type.ToString(),
                            "cast it: x::string");
    }
    node.arguments.push_back(binder.Coerce(argument, string));
  }
  node.nullable = kSeparated && node.arguments[0]->nullable;
  return binder.Node(std::move(node));
}

// Regular expressions.
struct RegexCall {
  std::shared_ptr<const re2::RE2> regex;
  int group = 0;
  bool all = false;
  std::string replacement;  // in RE2's spelling
};
constexpr int kGroupsMax = 64;
constexpr int kReplacementGroupsMax = 9;  // \0 to \9

std::shared_ptr<RegexCall> BindPattern(Binder& binder, FunctionCall& call, bool ignore_case) {
  const std::optional<std::string> pattern = binder.ConstantText(call, 1, "a regular expression");
  if (!pattern) return nullptr;
  std::string error;
  auto compiled = std::make_shared<RegexCall>();
  compiled->regex = CompileRegex(*pattern, ignore_case, &error);
  if (compiled->regex == nullptr) {
    binder.Problem(call.raw[1], kProblemPattern, "not a regular expression: " + error,
                   "the syntax is RE2's");
    return nullptr;
  }
  return compiled;
}
bool TextFirst(Binder& binder, FunctionCall& call) {
  if (call.arguments[0]->type.kind == TypeKind::kNull)
    call.arguments[0] = MakeNull(Type::Of(TypeKind::kString));
  if (call.arguments[0]->type.kind == TypeKind::kString) return true;
  binder.WrongArguments(call);
  return false;
}
NodeRef BindRegexLike(Binder& binder, FunctionCall& call) {
  if (!TextFirst(binder, call)) return nullptr;
  const std::shared_ptr<RegexCall> compiled = BindPattern(binder, call, false);
  if (compiled == nullptr) return nullptr;
  return binder.Strict(Type::Of(TypeKind::kBool), "~", RegexMatchKernel(),
                       {call.arguments[0], call.arguments[1]}, compiled->regex);
}

void RegexExtractLoop(const KernelCall& call) {
  const auto& compiled = call.Data<RegexCall>();
  const TextReader in(call.arguments[0]);
  const int groups = compiled.group + 1;
  std::array<re2::StringPiece, kGroupsMax + 1> found;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    const bool matches =
        compiled.regex->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                              re2::RE2::UNANCHORED, found.data(), groups);
    const re2::StringPiece& part = found[static_cast<size_t>(compiled.group)];
    if (!matches || part.data() == nullptr) {
      call.SetNull(row);
      return;
    }
    Cut(call, row, std::string_view(part.data(), part.size()));
  });
}
NodeRef BindRegexExtract(Binder& binder, FunctionCall& call) {
  if (!TextFirst(binder, call)) return nullptr;
  const std::shared_ptr<RegexCall> compiled = BindPattern(binder, call, false);
  if (compiled == nullptr) return nullptr;
  const int groups = compiled->regex->NumberOfCapturingGroups();
  compiled->group = std::min(1, groups);
  if (call.arguments.size() == 3) {
    const std::optional<double> number = binder.ConstantNumber(call, 2, "the number of the group");
    if (!number) return nullptr;
    if (!(*number >= 0 && *number <= std::min(groups, kGroupsMax))) {
      return binder.Problem(call.raw[2], kProblemArguments, "the pattern has no such group",
                            "it has " + std::to_string(groups) + "; 0 is the whole match");
    }
    compiled->group = static_cast<int>(*number);
  }
  std::vector<NodeRef> arguments = {call.arguments[0], call.arguments[1]};
  return binder.Strict(Type::Of(TypeKind::kString),
                       "regexp_extract" + std::to_string(compiled->group), RegexExtractLoop,
                       std::move(arguments), compiled, true);
}

/// Appends what stands for one match. False: the text passes its bound.
bool AppendReplacement(const RegexCall& call, std::span<const re2::StringPiece> groups,
                       std::string& out) {
  const std::string& replacement = call.replacement;
  for (size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '\\') {
      out += replacement[i];
    } else if (replacement[++i] == '\\') {
      out += '\\';
    } else {
      const re2::StringPiece& group = groups[static_cast<size_t>(replacement[i] - '0')];
      if (out.size() + group.size() > kExpressionStringBytesMax) return false;
      out.append(group.data(), group.size());
    }
  }
  return out.size() <= kExpressionStringBytesMax;
}

enum class Replaced : uint8_t { kNothing, kSome, kTooLarge };

/// The library's own replacement has no bound: a text of a megabyte may name itself in it a
/// thousand times, or be replaced between all of its characters.
Replaced ReplaceMatches(const RegexCall& call, std::string_view text, std::string& out) {
  std::array<re2::StringPiece, kReplacementGroupsMax + 1> groups;
  const int wanted = 1 + re2::RE2::MaxSubmatch(call.replacement);
  const re2::StringPiece whole(text.data(), text.size());
  out.clear();
  size_t at = 0;
  size_t matched_to = std::string_view::npos;  // end of the last match
  bool found = false;
  while (at <= text.size() &&
         call.regex->Match(whole, at, text.size(), re2::RE2::UNANCHORED, groups.data(), wanted)) {
    const auto begin = static_cast<size_t>(groups[0].data() - text.data());
    out.append(text, at, begin - at);
    at = begin;
    if (groups[0].empty() && begin == matched_to) {  // that place has been replaced already
      if (at == text.size()) break;
      NextCodePoint(text, at);
      out.append(text, begin, at - begin);
      continue;
    }
    found = true;
    if (!AppendReplacement(call, groups, out)) return Replaced::kTooLarge;
    matched_to = at = begin + groups[0].size();
    if (!call.all) break;
  }
  if (!found) return Replaced::kNothing;
  if (at < text.size()) out.append(text, at);
  return Replaced::kSome;
}

void RegexReplaceLoop(const KernelCall& call) {
  const auto& compiled = call.Data<RegexCall>();
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  TextArena arena;
  std::string text;
  call.ForEachValid([&](uint32_t row) {
    const Replaced replaced = ReplaceMatches(compiled, in[row], text);
    if (replaced == Replaced::kNothing) return Cut(call, row, in[row]);
    if (replaced == Replaced::kTooLarge || !arena.Fits(text.size()))
      return FailTextLimit(call, row);
    out[row] = arena.Add(text);
  });
  arena.FinishInto(call.out);
}
NodeRef BindRegexReplace(Binder& binder, FunctionCall& call) {
  if (!TextFirst(binder, call)) return nullptr;
  bool ignore_case = false;
  bool all = false;
  if (call.arguments.size() == 4) {
    const std::optional<std::string> flags = binder.ConstantText(call, 3, "the flags");
    if (!flags) return nullptr;
    if (flags->find_first_not_of("gi") != std::string::npos) {
      return binder.Problem(call.raw[3], kProblemArguments,
                            "flags are g (all matches) and i (ignore case)");
    }
    ignore_case = flags->find('i') != std::string::npos;
    all = flags->find('g') != std::string::npos;
  }
  const std::shared_ptr<RegexCall> compiled = BindPattern(binder, call, ignore_case);
  const std::optional<std::string> replacement = binder.ConstantText(call, 2, "the replacement");
  if (compiled == nullptr || !replacement) return nullptr;
  compiled->all = all;
  // PostgreSQL's \& is RE2's \0; any other escape than of digits and a backslash stands for itself.
  for (size_t i = 0; i < replacement->size(); ++i) {
    const char c = (*replacement)[i];
    if (c != '\\') {
      compiled->replacement += c;
      continue;
    }
    const char next = i + 1 < replacement->size() ? (*replacement)[i + 1] : '\0';
    if (next == '&') {
      compiled->replacement += "\\0";
      ++i;
    } else if ((next >= '1' && next <= '9') || next == '\\') {
      compiled->replacement += {'\\', next};
      ++i;
    } else {
      compiled->replacement += "\\\\";
    }
  }
  std::string error;
  if (!compiled->regex->CheckRewriteString(compiled->replacement, &error)) {
    return binder.Problem(call.raw[2], kProblemArguments,
                          "the replacement does not fit the pattern: " + error);
  }
  std::string name =
      std::string("regexp_replace") + (all ? "_all" : "") + (ignore_case ? "_ignoring_case" : "");
  return binder.Strict(Type::Of(TypeKind::kString), std::move(name), RegexReplaceLoop,
                       {call.arguments[0], call.arguments[1], call.arguments[2]}, compiled);
}

// Encodings.
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kHex = "0123456789abcdef";

template <class Encode>
void EncodeLoop(const KernelCall& call, Encode&& encode) {
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<Utf8View>();
  call.out.arenas.clear();  // all is copied
  TextArena arena;
  std::string result;
  call.ForEachValid([&](uint32_t row) {
    result.clear();
    if (!encode(in[row], result)) {
      call.Fail(row, RecordCode::kExpressionCast, call.node.text + " cannot read this text");
      return;
    }
    if (!arena.Fits(result.size())) return FailTextLimit(call, row);
    out[row] = arena.Add(result);
  });
  arena.FinishInto(call.out);
}
bool ToBase64(std::string_view bytes, std::string& out) {
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t some = std::min<size_t>(3, bytes.size() - at);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (i < some ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i) out += i <= some ? kBase64[bits >> (18 - 6 * i) & 63] : '=';
  }
  return true;
}
bool FromBase64(std::string_view text, std::string& out) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  if (text.size() % 4 == 1) return false;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return false;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return true;
}
bool ToHex(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return true;
}
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 32);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
bool FromHex(std::string_view text, std::string& out) {
  if (text.size() % 2 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
  }
  return true;
}
bool UrlDecode(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return IsValidUtf8(out);
}
void ToBase64Loop(const KernelCall& call) { EncodeLoop(call, ToBase64); }
void FromBase64Loop(const KernelCall& call) { EncodeLoop(call, FromBase64); }
void ToHexLoop(const KernelCall& call) { EncodeLoop(call, ToHex); }
void FromHexLoop(const KernelCall& call) { EncodeLoop(call, FromHex); }
void UrlDecodeLoop(const KernelCall& call) { EncodeLoop(call, UrlDecode); }
void Sha256Loop(const KernelCall& call) {
  EncodeLoop(call, [](std::string_view bytes, std::string& out) {
    out = Sha256Hex(bytes);
    return true;
  });
}
void HashLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) { out[row] = static_cast<int64_t>(Hash64(in[row])); });
}
NodeRef BindOfText(Binder& binder, FunctionCall& call, const Type& result,
                   ExpressionNode::KernelFunction kernel) {
  NodeRef operand = call.arguments[0];
  if (operand->type.kind == TypeKind::kNull) operand = MakeNull(Type::Of(TypeKind::kString));
  if (!operand->type.is_text()) return binder.WrongArguments(call);
  return binder.Strict(result, std::string(call.function.doc.name), kernel, {std::move(operand)});
}
NodeRef BindToBase64(Binder& binder, FunctionCall& call) {
  return BindOfText(binder, call, Type::Of(TypeKind::kString), ToBase64Loop);
}
NodeRef BindToHex(Binder& binder, FunctionCall& call) {
  return BindOfText(binder, call, Type::Of(TypeKind::kString), ToHexLoop);
}
NodeRef BindSha256(Binder& binder, FunctionCall& call) {
  return BindOfText(binder, call, Type::Of(TypeKind::kString), Sha256Loop);
}
NodeRef BindHash(Binder& binder, FunctionCall& call) {
  return BindOfText(binder, call, Type::Of(TypeKind::kInt64), HashLoop);
}

/// Parts of an absolute URL or of what stands behind its host (RFC 3986, without decoding).
std::optional<std::string_view> UrlPart(std::string_view url, std::string_view part) {
  std::string_view fragment, query, scheme, authority;
  bool has_fragment = false, has_query = false, has_authority = false;
  if (const size_t at = url.find('#'); at != std::string_view::npos) {
    fragment = url.substr(at + 1);
    has_fragment = true;
    url = url.substr(0, at);
  }
  if (const size_t at = url.find('?'); at != std::string_view::npos) {
    query = url.substr(at + 1);
    has_query = true;
    url = url.substr(0, at);
  }
  if (const size_t at = url.find(':'); at != std::string_view::npos && url.find('/') > at) {
    scheme = url.substr(0, at);
    url = url.substr(at + 1);
  }
  if (url.starts_with("//")) {
    has_authority = true;
    authority = url.substr(2, url.find('/', 2) == std::string_view::npos ? std::string_view::npos
                                                                         : url.find('/', 2) - 2);
    url.remove_prefix(2 + authority.size());
  }
  const auto if_any = [](std::string_view text, bool there) {
    return there ? std::optional<std::string_view>(text) : std::nullopt;
  };
  if (part == "scheme") return if_any(scheme, !scheme.empty());
  if (part == "path") return if_any(url, !url.empty());
  if (part == "query") return if_any(query, has_query);
  if (part == "fragment") return if_any(fragment, has_fragment);
  std::string_view host = authority.substr(
      authority.rfind('@') == std::string_view::npos ? 0 : authority.rfind('@') + 1);
  const size_t colon = host.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  if (part == "port")
    return if_any(has_port ? host.substr(colon + 1) : std::string_view(),
                  has_port && colon + 1 < host.size());
  if (has_port) host = host.substr(0, colon);
  return if_any(host, has_authority && !host.empty());
}
/// The value of one parameter of the query, as it stands.
std::optional<std::string_view> QueryValue(std::string_view url, std::string_view key) {
  std::optional<std::string_view> query = UrlPart(url, "query");
  while (query && !query->empty()) {
    const std::string_view pair = query->substr(0, query->find('&'));
    if (pair.substr(0, pair.find('=')) == key)
      return pair.find('=') == std::string_view::npos ? std::string_view()
                                                      : pair.substr(pair.find('=') + 1);
    query->remove_prefix(std::min(query->size(), pair.size() + 1));
  }
  return std::nullopt;
}
void UrlPartLoop(const KernelCall& call) {
  const TextReader in(call.arguments[0]);
  const std::string_view part = call.Data<std::string>();
  const bool with_key = call.arguments.size() == 3;
  const TextReader keys(call.arguments[with_key ? 2 : 0]);
  call.ForEachValid([&](uint32_t row) {
    const std::optional<std::string_view> found =
        with_key ? QueryValue(in[row], keys[row]) : UrlPart(in[row], part);
    if (found) {
      Cut(call, row, *found);
    } else {
      call.SetNull(row);
    }
  });
}
NodeRef BindUrlPart(Binder& binder, FunctionCall& call) {
  if (!TextFirst(binder, call)) return nullptr;
  const std::optional<std::string> part = binder.ConstantText(call, 1, "the part of the URL");
  if (!part) return nullptr;
  static constexpr std::array<std::string_view, 6> kParts = {"scheme", "host",  "port",
                                                             "path",   "query", "fragment"};
  if (std::find(kParts.begin(), kParts.end(), *part) == kParts.end()) {
    return binder.Problem(call.raw[1], kProblemArguments, "there is no part '" + *part + "'",
                          "scheme, host, port, path, query or fragment");
  }
  if (call.arguments.size() == 3 &&
      (*part != "query" || call.arguments[2]->type.kind != TypeKind::kString))
    return binder.WrongArguments(call);
  return binder.Strict(Type::Of(TypeKind::kString), "url_part", UrlPartLoop, call.arguments,
                       std::make_shared<std::string>(*part), true);
}

}  // namespace

void AddTexts(std::vector<Function>& table) {
  std::string_view group = "text";
  const auto simple = [&](FunctionDoc doc, const char* parameters, TypeKind result,
                          ExpressionNode::KernelFunction kernel) {
    doc.group = group;
    doc.null_rule = "strict";
    Function function;
    function.doc = doc;
    function.parameters = parameters;
    function.result = result;
    function.kernel = kernel;
    table.push_back(function);
  };
  const auto custom = [&](FunctionDoc doc, int least, int most,
                          NodeRef (*bind)(Binder&, FunctionCall&)) {
    doc.group = group;
    if (doc.null_rule.empty()) doc.null_rule = "strict";
    Function function;
    function.doc = doc;
    function.least = least;
    function.most = most;
    function.bind = bind;
    table.push_back(function);
  };
  constexpr TypeKind kString = TypeKind::kString;
  custom({.name = "length",
          .signature = "length(string) -> int64 | length(bytes) -> int64",
          .doc = "Code points of a string, bytes of bytes.",
          .example = "length('weir')"},
         1, 1, BindLength);
  simple({.name = "lower",
          .signature = "lower(string) -> string",
          .doc = "In lower case, code point by code point.",
          .example = "lower('Apple')"},
         "s", kString, CaseLoop<true>);
  simple({.name = "upper",
          .signature = "upper(string) -> string",
          .doc = "In upper case, code point by code point.",
          .example = "upper('se')"},
         "s", kString, CaseLoop<false>);
  simple({.name = "trim",
          .signature = "trim([BOTH | LEADING | TRAILING] [characters FROM] string) -> string",
          .doc = "Without blanks, or the characters given, at both ends.",
          .example = "trim(both 'x' from 'xxax')"},
         "s?s", kString, TrimLoop<true, true>);
  simple({.name = "btrim",
          .signature = "btrim(string [, characters]) -> string",
          .doc = "Without blanks, or the characters given, at both ends.",
          .example = "btrim('  a ')"},
         "s?s", kString, TrimLoop<true, true>);
  simple({.name = "ltrim",
          .signature = "ltrim(string [, characters]) -> string",
          .doc = "Without blanks, or the characters given, at the start.",
          .example = "ltrim('00042', '0')"},
         "s?s", kString, TrimLoop<true, false>);
  simple({.name = "rtrim",
          .signature = "rtrim(string [, characters]) -> string",
          .doc = "Without blanks, or the characters given, at the end.",
          .example = "rtrim('1.500', '0')"},
         "s?s", kString, TrimLoop<false, true>);
  simple({.name = "substring",
          .signature = "substring(string, start [, length]) -> string | substring(string FROM "
                       "start FOR length)",
          .doc = "Characters from a position on, counted from 1; a length counts from a start "
                 "before the text as well.",
          .example = "substring('stream', 2, 3)"},
         "si?i", kString, SubstringLoop);
  simple({.name = "left",
          .signature = "left(string, n) -> string",
          .doc = "The first n characters; a negative n leaves out the last ones.",
          .example = "left('stream', 3)"},
         "si", kString, EndLoop<true>);
  simple({.name = "right",
          .signature = "right(string, n) -> string",
          .doc = "The last n characters; a negative n leaves out the first ones.",
          .example = "right('stream', 3)"},
         "si", kString, EndLoop<false>);
  simple({.name = "replace",
          .signature = "replace(string, from, to) -> string",
          .doc = "Every occurrence of a text replaced.",
          .example = "replace('a-b-c', '-', '+')"},
         "sss", kString, ReplaceLoop);
  simple({.name = "split_part",
          .signature = "split_part(string, separator, n) -> string",
          .doc = "The n-th part, from 1; from the end if n is negative; '' if there is none.",
          .example = "split_part('a/b/c', '/', 2)"},
         "ssi", kString, SplitPartLoop);
  simple({.name = "starts_with",
          .signature = "starts_with(string, part) -> bool",
          .doc = "Whether a text begins so.",
          .example = "starts_with(url, 'https:')"},
         "ss", TypeKind::kBool, TestLoop<StartsWith>);
  simple({.name = "ends_with",
          .signature = "ends_with(string, part) -> bool",
          .doc = "Whether a text ends so.",
          .example = "ends_with(path, '.png')"},
         "ss", TypeKind::kBool, TestLoop<EndsWith>);
  simple({.name = "contains",
          .signature = "contains(string, part) -> bool",
          .doc = "Whether a text holds another.",
          .example = "contains(url, 'item')"},
         "ss", TypeKind::kBool, TestLoop<Contains>);
  simple({.name = "strpos",
          .signature = "strpos(string, part) -> int64 | position(part IN string)",
          .doc = "Where a text first stands in another, from 1; 0 if nowhere.",
          .example = "strpos('stream', 're')"},
         "ss", TypeKind::kInt64, PositionLoop);
  simple({.name = "repeat",
          .signature = "repeat(string, n) -> string",
          .doc = "n times; at most 1 MiB.",
          .example = "repeat('ab', 3)"},
         "si", kString, RepeatLoop);
  simple({.name = "reverse",
          .signature = "reverse(string) -> string",
          .doc = "The characters backwards.",
          .example = "reverse('abc')"},
         "s", kString, ReverseLoop);
  simple({.name = "lpad",
          .signature = "lpad(string, length [, fill]) -> string",
          .doc = "Filled at the start, or cut, to a length.",
          .example = "lpad('7', 3, '0')"},
         "si?s", kString, PadLoop<true>);
  simple({.name = "rpad",
          .signature = "rpad(string, length [, fill]) -> string",
          .doc = "Filled at the end, or cut, to a length.",
          .example = "rpad('7', 3)"},
         "si?s", kString, PadLoop<false>);
  group = "text, joining";
  custom({.name = "concat",
          .signature = "concat(string, ...) -> string",
          .doc = "All texts as one.",
          .null_rule = "skips NULL",
          .example = "concat(first_name, last_name)"},
         1, 100, BindJoin<false>);
  custom({.name = "concat_ws",
          .signature = "concat_ws(separator, string, ...) -> string",
          .doc = "All texts as one, a separator between them.",
          .null_rule = "skips NULL; NULL if the separator is",
          .example = "concat_ws(' ', first_name, last_name)"},
         2, 100, BindJoin<true>);
  group = "regex (RE2)";
  custom({.name = "regexp_like",
          .signature = "regexp_like(string, 'pattern') -> bool",
          .doc = "Whether a constant pattern matches anywhere.",
          .example = "regexp_like(page, '^/item/[0-9]+$')"},
         2, 2, BindRegexLike);
  custom({.name = "regexp_extract",
          .signature = "regexp_extract(string, 'pattern' [, group]) -> string",
          .doc = "The first match of a constant pattern: one of its groups, 0 for all of it; by "
                 "default the first group if there is one.",
          .null_rule = "strict; NULL without a match",
          .example = "regexp_extract(url, 'channel_id=([^&]*)', 1)"},
         2, 3, BindRegexExtract);
  custom({.name = "regexp_replace",
          .signature = "regexp_replace(string, 'pattern', 'replacement' [, 'flags']) -> string",
          .doc = "The first match of a constant pattern replaced, with the flag g all of them; \\1 "
                 "to \\9 are groups, \\& the match; the flag i ignores case.",
          .example = "regexp_replace(phone, '[^0-9]', '', 'g')"},
         3, 4, BindRegexReplace);
  group = "encoding";
  custom({.name = "to_base64",
          .signature = "to_base64(bytes | string) -> string",
          .doc = "Bytes in base64.",
          .example = "to_base64('weir')"},
         1, 1, BindToBase64);
  simple({.name = "from_base64",
          .signature = "from_base64(string) -> bytes",
          .doc = "The bytes of a text in base64.",
          .example = "from_base64('d2Vpcg==')"},
         "s", TypeKind::kBytes, FromBase64Loop);
  custom({.name = "to_hex",
          .signature = "to_hex(bytes | string) -> string",
          .doc = "Bytes in hex digits, lower case.",
          .example = "to_hex('a')"},
         1, 1, BindToHex);
  simple({.name = "from_hex",
          .signature = "from_hex(string) -> bytes",
          .doc = "The bytes of a text in hex digits.",
          .example = "from_hex('61')"},
         "s", TypeKind::kBytes, FromHexLoop);
  simple({.name = "url_decode",
          .signature = "url_decode(string) -> string",
          .doc = "%XX decoded, + as a blank.",
          .example = "url_decode('a%20b')"},
         "s", kString, UrlDecodeLoop);
  custom({.name = "url_part",
          .signature = "url_part(url, 'scheme' | 'host' | 'port' | 'path' | 'query' | 'fragment' "
                       "[, key]) -> string",
          .doc = "A part of a URL; with 'query' and a key the value of that parameter.",
          .null_rule = "strict; NULL for an absent part",
          .example = "url_part(url, 'host')"},
         2, 3, BindUrlPart);
  group = "hash, id, net";
  custom({.name = "xxhash64",
          .signature = "xxhash64(string | bytes) -> int64",
          .doc = "The 64-bit XXH3 hash.",
          .example = "xxhash64(user_id)"},
         1, 1, BindHash);
  custom({.name = "sha256",
          .signature = "sha256(string | bytes) -> string",
          .doc = "The SHA-256 digest in hex.",
          .example = "sha256(email)"},
         1, 1, BindSha256);
}

}  // namespace weir
