#pragma once
// ParsedText: the only user of libpg_query. Checks the bounds of an expression's text, wraps it
// into a statement, parses it and keeps what positions need: tokens and offsets. A tree that it
// hands out is exactly one expression without any other clause. Used while binding; one thread; not
// kept.

#include <pg_query/pg_query.pb-c.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/expr/expression.h"

namespace weir {

struct TextSpan {
  size_t start = 0, end = 0;  // bytes of the user's text
};

class ParsedText {
 public:
  /// The last value is set only if `problems` got no error.
  ParsedText(std::string_view text, ExpressionForm form, std::vector<ExpressionProblem>& problems);

  /// The expression; null after an error.
  const PgQuery__Node* root() const { return root_; }
  /// kKey: the name behind AS; empty without one.
  const std::string& alias() const { return alias_; }
  bool descending() const { return descending_; }
  /// kOrderBy: empty unless the text says FIRST or LAST.
  std::optional<bool> nulls_first() const { return nulls_first_; }

  /// The bytes of the text that belong to a node, brackets around its parts included.
  TextSpan SpanOf(const PgQuery__Node* node) const;
  /// The token at a location of the tree.
  TextSpan TokenAt(int location) const;
  size_t size() const { return text_.size(); }
  /// The user's text from there.
  std::string_view TextOf(TextSpan span) const {
    return text_.substr(span.start, span.end - span.start);
  }
  /// Parts of a dotted name at `location`: whether each was quoted.
  std::vector<bool> QuotedParts(int location, size_t parts) const;

 private:
  struct Token {
    uint32_t start, end;
    int kind;
    bool reserved;
  };
  struct FreeTree {
    void operator()(PgQuery__ParseResult* result) const {
      pg_query__parse_result__free_unpacked(result, nullptr);
    }
  };

  bool CheckText(std::vector<ExpressionProblem>& problems) const;
  bool Scan(std::vector<ExpressionProblem>& problems);
  bool CheckTokens(ExpressionForm form, std::vector<ExpressionProblem>& problems) const;
  bool Parse(ExpressionForm form, std::vector<ExpressionProblem>& problems);
  bool TakeTarget(const PgQuery__SelectStmt& select, ExpressionForm form,
                  std::vector<ExpressionProblem>& problems);
  bool TakeOrder(const PgQuery__SelectStmt& select, std::vector<ExpressionProblem>& problems);
  void SyntaxProblem(std::string_view message, int cursor, std::string_view wrapped,
                     std::vector<ExpressionProblem>& problems) const;

  size_t TokenIndexAt(size_t offset) const;
  size_t MatchingBracket(size_t open) const;
  void Widen(const PgQuery__Node* node, size_t& first, size_t& last) const;

  std::string_view text_;
  size_t prefix_ = 0;  // bytes before the user's text in what was parsed
  std::vector<Token> tokens_;
  std::unique_ptr<PgQuery__ParseResult, FreeTree> tree_;
  const PgQuery__Node* root_ = nullptr;
  std::string alias_;
  bool descending_ = false;
  std::optional<bool> nulls_first_;
};

/// Adds an error and answers false.
bool Report(std::vector<ExpressionProblem>& problems, TextSpan span, std::string code,
            std::string message, std::string help = {});

}  // namespace weir
