#include "engine/expr/patterns.h"

#include <re2/re2.h>
#include <utf8proc.h>

#include <cstring>
#include <vector>

#include "engine/expr/text.h"

namespace weir {
namespace {

constexpr int64_t kRegexMemoryBytesMax = int64_t{8} << 20;

void RegexMatchLoop(const KernelCall& call) {
  const auto& regex = call.Data<re2::RE2>();
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<uint8_t>();
  call.ForEachValid([&](uint32_t row) {
    const std::string_view text = in[row];
    out[row] = regex.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                           re2::RE2::UNANCHORED, nullptr, 0)
                   ? 1
                   : 0;
  });
}

}  // namespace

/// A LIKE pattern as literal pieces; between them any text. Pieces hold `_` as wildcard marks.
struct LikePattern {
  enum class Shape : uint8_t { kGeneral, kExact, kPrefix, kSuffix, kContains };
  struct Piece {
    std::u32string characters;  // of the general matcher; kAnyCharacter: `_`
  };
  Shape shape = Shape::kGeneral;
  std::string literal;  // of the simple shapes
  std::vector<Piece> pieces;
  bool open_start = false, open_end = false;
  char32_t escape = U'\\';
  bool ignore_case = false;
  bool dynamic = false;
};

namespace {

constexpr char32_t kAnyCharacter = 0xFFFFFFFF;

/// Splits a pattern; false: it ends with the escape character.
bool SplitLike(std::string_view pattern, LikePattern& like) {
  std::u32string piece;
  bool simple = !like.ignore_case;
  bool any_percent = false;
  like.pieces.clear();
  like.open_start = like.open_end = false;
  std::string literal;
  size_t at = 0;
  const auto finish_piece = [&] {
    if (!piece.empty()) like.pieces.push_back({std::move(piece)});
    piece.clear();
  };
  while (at < pattern.size()) {
    const size_t begin = at;
    char32_t c = NextCodePoint(pattern, at);
    if (like.escape != 0 && c == like.escape) {
      if (at >= pattern.size()) return false;
      const size_t escaped = at;
      c = NextCodePoint(pattern, at);
      piece.push_back(like.ignore_case ? LowerCodePoint(c) : c);
      literal.append(pattern.substr(escaped, at - escaped));
      like.open_end = false;
      continue;
    }
    if (c == U'%') {
      if (like.pieces.empty() && piece.empty()) like.open_start = true;
      finish_piece();
      like.open_end = true;
      any_percent = true;
      continue;
    }
    like.open_end = false;
    if (c == U'_') {
      simple = false;
      piece.push_back(kAnyCharacter);
    } else {
      piece.push_back(like.ignore_case ? LowerCodePoint(c) : c);
      literal.append(pattern.substr(begin, at - begin));
    }
  }
  finish_piece();
  like.shape = LikePattern::Shape::kGeneral;
  if (simple && like.pieces.size() <= 1) {
    like.literal = std::move(literal);
    if (!any_percent)
      like.shape = LikePattern::Shape::kExact;
    else if (like.open_start && like.open_end)
      like.shape = LikePattern::Shape::kContains;
    else if (like.open_start)
      like.shape = LikePattern::Shape::kSuffix;
    else
      like.shape = LikePattern::Shape::kPrefix;
  }
  return true;
}

bool PieceAt(const std::u32string& text, size_t at, const std::u32string& piece) {
  if (piece.size() > text.size() - at) return false;
  for (size_t i = 0; i < piece.size(); ++i) {
    if (piece[i] != kAnyCharacter && piece[i] != text[at + i]) return false;
  }
  return true;
}

bool MatchesGeneral(const LikePattern& like, const std::u32string& text) {
  if (like.pieces.empty()) return text.empty() || like.open_start || like.open_end;
  size_t at = 0;
  for (size_t i = 0; i < like.pieces.size(); ++i) {
    const std::u32string& piece = like.pieces[i].characters;
    const bool first = i == 0;
    const bool last = i + 1 == like.pieces.size();
    if (first && !like.open_start) {
      if (!PieceAt(text, 0, piece)) return false;
      at = piece.size();
      if (last && !like.open_end) return at == text.size();
      continue;
    }
    if (last && !like.open_end) {
      return text.size() >= at + piece.size() && PieceAt(text, text.size() - piece.size(), piece);
    }
    while (at + piece.size() <= text.size() && !PieceAt(text, at, piece)) ++at;
    if (at + piece.size() > text.size()) return false;
    at += piece.size();
  }
  return true;
}

void Decode(std::string_view text, bool lower, std::u32string& out) {
  out.clear();
  for (size_t at = 0; at < text.size();) {
    const char32_t c = NextCodePoint(text, at);
    out.push_back(lower ? LowerCodePoint(c) : c);
  }
}

template <LikePattern::Shape kShape>
bool MatchesSimple(std::string_view text, std::string_view literal) {
  if constexpr (kShape == LikePattern::Shape::kExact) return text == literal;
  if constexpr (kShape == LikePattern::Shape::kPrefix) return text.starts_with(literal);
  if constexpr (kShape == LikePattern::Shape::kSuffix) return text.ends_with(literal);
  if constexpr (kShape == LikePattern::Shape::kContains) {
    return literal.empty() ||
           ::memmem(text.data(), text.size(), literal.data(), literal.size()) != nullptr;
  }
  return false;
}
template <LikePattern::Shape kShape>
void LikeSimpleLoop(const KernelCall& call) {
  const std::string_view literal = call.Data<LikePattern>().literal;
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<uint8_t>();
  call.ForEachValid(
      [&](uint32_t row) { out[row] = MatchesSimple<kShape>(in[row], literal) ? 1 : 0; });
}
void LikeGeneralLoop(const KernelCall& call) {
  const auto& like = call.Data<LikePattern>();
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<uint8_t>();
  std::u32string text;
  call.ForEachValid([&](uint32_t row) {
    Decode(in[row], like.ignore_case, text);
    out[row] = MatchesGeneral(like, text) ? 1 : 0;
  });
}
void LikeDynamicLoop(const KernelCall& call) {
  LikePattern like = call.Data<LikePattern>();
  const TextReader in(call.arguments[0]);
  const TextReader patterns(call.arguments[1]);
  auto* out = call.Out<uint8_t>();
  std::u32string text;
  call.ForEachValid([&](uint32_t row) {
    if (patterns[row].size() > kPatternBytesMax) {
      call.Fail(row, RecordCode::kExpressionLimit,
                "a pattern has at most " + std::to_string(kPatternBytesMax) + " bytes");
      return;
    }
    if (!SplitLike(patterns[row], like)) {
      call.Fail(row, RecordCode::kExpressionCast,
                "a LIKE pattern must not end with its escape character");
      return;
    }
    Decode(in[row], like.ignore_case, text);
    out[row] = MatchesGeneral(like, text) ? 1 : 0;
  });
}

void ConcatLoop(const KernelCall& call) {
  const TextReader left(call.arguments[0]);
  const TextReader right(call.arguments[1]);
  auto* out = call.Out<Utf8View>();
  call.out.arenas.clear();  // all is copied
  TextArena arena;
  call.ForEachValid([&](uint32_t row) {
    const std::string_view a = left[row];
    const std::string_view b = right[row];
    const size_t size = a.size() + b.size();
    if (!arena.Fits(size)) {
      FailTextLimit(call, row);
      return;
    }
    char* to = arena.Reserve(size);
    if (!a.empty()) std::memcpy(to, a.data(), a.size());
    if (!b.empty()) std::memcpy(to + a.size(), b.data(), b.size());
    out[row] = arena.Commit(size);
  });
  arena.FinishInto(call.out);
}

}  // namespace

std::shared_ptr<const re2::RE2> CompileRegex(std::string_view pattern, bool ignore_case,
                                             std::string* error) {
  if (pattern.size() > kPatternBytesMax) {
    *error = "it has more than " + std::to_string(kPatternBytesMax) + " bytes";
    return nullptr;
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryBytesMax);
  options.set_case_sensitive(!ignore_case);
  auto regex =
      std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!regex->ok()) {
    *error = regex->error();
    return nullptr;
  }
  return regex;
}
ExpressionNode::KernelFunction RegexMatchKernel() { return RegexMatchLoop; }

std::shared_ptr<const LikePattern> CompileLike(std::string_view pattern, char32_t escape,
                                               bool ignore_case, std::string* error) {
  auto like = std::make_shared<LikePattern>();
  like->escape = escape;
  like->ignore_case = ignore_case;
  if (pattern.size() > kPatternBytesMax) {
    *error = "a pattern has at most " + std::to_string(kPatternBytesMax) + " bytes";
    return nullptr;
  }
  if (!SplitLike(pattern, *like)) {
    *error = "a LIKE pattern must not end with its escape character";
    return nullptr;
  }
  return like;
}
std::shared_ptr<const LikePattern> DynamicLike(char32_t escape, bool ignore_case) {
  auto like = std::make_shared<LikePattern>();
  like->escape = escape;
  like->ignore_case = ignore_case;
  like->dynamic = true;
  return like;
}
ExpressionNode::KernelFunction LikeKernel(const LikePattern& pattern) {
  if (pattern.dynamic) return LikeDynamicLoop;
  switch (pattern.shape) {
    case LikePattern::Shape::kExact:
      return LikeSimpleLoop<LikePattern::Shape::kExact>;
    case LikePattern::Shape::kPrefix:
      return LikeSimpleLoop<LikePattern::Shape::kPrefix>;
    case LikePattern::Shape::kSuffix:
      return LikeSimpleLoop<LikePattern::Shape::kSuffix>;
    case LikePattern::Shape::kContains:
      return LikeSimpleLoop<LikePattern::Shape::kContains>;
    default:
      return LikeGeneralLoop;
  }
}
std::optional<char32_t> EscapeCharacter(std::string_view text) {
  if (text.empty()) return char32_t{0};
  size_t at = 0;
  const char32_t c = NextCodePoint(text, at);
  if (at != text.size()) return std::nullopt;
  return c;
}
ExpressionNode::KernelFunction ConcatKernel() { return ConcatLoop; }

}  // namespace weir
