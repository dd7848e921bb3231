#pragma once
// What binding a text reports: codes, the bytes they point at, messages and help.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "engine/expr/expression.h"
#include "tests/expr/rows.h"

namespace weir::testing {

/// GCC 12 warns wrongly of the standard constructor followed by `+`.
inline std::string Repeated(char c, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text.push_back(c);
  return text;
}

/// Errors and warnings of `text` over columns "a int32, b string?, ...".
inline std::vector<ExpressionProblem> ProblemsOf(std::string_view text,
                                                 std::string_view columns = "a int32, b string?",
                                                 const BindOptions& options = {}) {
  return BindExpression(text, MakeScope(MakeSchema(columns)), options).problems;
}

/// The first problem has this code, points at this part of the text, and its message or help holds
/// these words.
inline void ExpectProblem(std::string_view text, std::string_view code, std::string_view part,
                          std::string_view words = "",
                          std::string_view columns = "a int32, b string?",
                          const BindOptions& options = {}) {
  const std::vector<ExpressionProblem> problems = ProblemsOf(text, columns, options);
  ASSERT_FALSE(problems.empty()) << text;
  const ExpressionProblem& first = problems.front();
  EXPECT_EQ(first.code, code) << text << ": " << first.message;
  ASSERT_LE(first.start, first.end) << text;
  ASSERT_LE(first.end, text.size()) << text;
  EXPECT_EQ(text.substr(first.start, first.end - first.start), part)
      << text << ": " << first.message;
  EXPECT_NE((first.message + " | " + first.help).find(words), std::string::npos)
      << text << ": " << first.message << " | " << first.help;
}

}  // namespace weir::testing
