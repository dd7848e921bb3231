#pragma once
// Patterns: LIKE, and regular expressions by RE2 (linear in the text whatever the pattern).
// Constant patterns are compiled when bound and shared by all tasks; compiled patterns are
// immutable and used from any thread.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/expr/node.h"

namespace re2 {
class RE2;
}

namespace weir {

/// Null with `error` set: not a pattern, or larger than kPatternBytesMax or what RE2's own bound on
/// memory takes.
std::shared_ptr<const re2::RE2> CompileRegex(std::string_view pattern, bool ignore_case,
                                             std::string* error);
/// Argument 0 is searched for the pattern in the node's data (RE2).
ExpressionNode::KernelFunction RegexMatchKernel();

struct LikePattern;
/// `escape` 0: none. Null with `error` set.
std::shared_ptr<const LikePattern> CompileLike(std::string_view pattern, char32_t escape,
                                               bool ignore_case, std::string* error);
/// For a pattern that comes with each row as argument 1.
std::shared_ptr<const LikePattern> DynamicLike(char32_t escape, bool ignore_case);
ExpressionNode::KernelFunction LikeKernel(const LikePattern& pattern);
/// The one character of an ESCAPE clause; 0 for ''. Empty: more than one.
std::optional<char32_t> EscapeCharacter(std::string_view text);

/// `a || b` of two strings or two bytes.
ExpressionNode::KernelFunction ConcatKernel();

}  // namespace weir
