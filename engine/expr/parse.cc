#include "engine/expr/parse.h"

#include <pg_query.h>

#include <algorithm>
#include <array>

#include "engine/expr/cast.h"
#include "engine/expr/problem_codes.h"

namespace weir {
namespace {

constexpr size_t kIdentifierBytesMax = 63;  // PostgreSQL cuts longer ones without a word
constexpr std::string_view kValuePrefix = "SELECT ";
constexpr std::string_view kOrderPrefix = "SELECT 1 ORDER BY ";

bool IsOpening(int kind) {
  return kind == PG_QUERY__TOKEN__ASCII_40 || kind == PG_QUERY__TOKEN__ASCII_91;
}
bool IsClosing(int kind) {
  return kind == PG_QUERY__TOKEN__ASCII_41 || kind == PG_QUERY__TOKEN__ASCII_93;
}

/// Operators that may stand before an operand: nesting that no bracket shows.
bool IsPrefix(int kind) {
  return kind == PG_QUERY__TOKEN__ASCII_43 || kind == PG_QUERY__TOKEN__ASCII_45 ||
         kind == PG_QUERY__TOKEN__NOT || kind == PG_QUERY__TOKEN__Op;
}
/// Tokens of which each makes at least one node of the tree.
bool MakesNode(int kind) {
  switch (kind) {
    case PG_QUERY__TOKEN__ASCII_40:
    case PG_QUERY__TOKEN__ASCII_41:
    case PG_QUERY__TOKEN__ASCII_44:
    case PG_QUERY__TOKEN__ASCII_46:
    case PG_QUERY__TOKEN__ASCII_91:
    case PG_QUERY__TOKEN__ASCII_93:
      return false;
    default:
      return true;
  }
}

/// Byte offset of the `characters`-th character (0-based).
size_t ByteOffset(std::string_view text, size_t characters) {
  size_t at = 0;
  while (at < text.size() && characters > 0) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    --characters;
  }
  return at;
}

std::string LowerAscii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

/// Reserved words that are not the syntax of expressions themselves, so that a column may well be
/// meant.
bool MayBeColumn(std::string_view word) {
  static constexpr std::array<std::string_view, 15> kSyntax = {
      "and",  "or",   "not",  "in",   "is",    "as",   "case",    "when",
      "then", "else", "null", "true", "false", "cast", "distinct"};
  return std::find(kSyntax.begin(), kSyntax.end(), LowerAscii(word)) == kSyntax.end();
}

}  // namespace

bool Report(std::vector<ExpressionProblem>& problems, TextSpan span, std::string code,
            std::string message, std::string help) {
  ExpressionProblem problem;
  problem.code = std::move(code);
  problem.message = std::move(message);
  problem.help = std::move(help);
  problem.start = span.start;
  problem.end = span.end;
  problems.push_back(std::move(problem));
  return false;
}

ParsedText::ParsedText(std::string_view text, ExpressionForm form,
                       std::vector<ExpressionProblem>& problems)
    : text_(text) {
  if (CheckText(problems) && Scan(problems) && CheckTokens(form, problems) && Parse(form, problems))
    return;
  root_ = nullptr;
}

bool ParsedText::CheckText(std::vector<ExpressionProblem>& problems) const {
  const TextSpan whole{0, text_.size()};
  if (text_.size() > kExpressionBytesMax) {
    return Report(problems, {0, 0}, kProblemTooLarge,
                  "expression of " + std::to_string(text_.size()) + " bytes; at most " +
                      std::to_string(kExpressionBytesMax) + " are allowed",
                  "compute parts of it in a project node before");
  }
  if (!IsValidUtf8(text_))
    return Report(problems, whole, kProblemSyntax, "the expression is not valid UTF-8");
  const size_t nul = text_.find('\0');
  if (nul != std::string_view::npos)
    return Report(problems, {nul, nul + 1}, kProblemSyntax,
                  "the expression contains a NUL character");
  if (text_.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos)
    return Report(problems, whole, kProblemSyntax, "the expression is empty");
  return true;
}

bool ParsedText::Scan(std::vector<ExpressionProblem>& problems) {
  const std::string text(text_);
  const PgQueryScanResult scanned = pg_query_scan(text.c_str());
  bool ok = scanned.error == nullptr;
  if (!ok) {
    SyntaxProblem(scanned.error->message, scanned.error->cursorpos, text, problems);
  } else {
    PgQuery__ScanResult* result = pg_query__scan_result__unpack(
        nullptr, scanned.pbuf.len, reinterpret_cast<const uint8_t*>(scanned.pbuf.data));
    ok = result != nullptr;
    if (ok) {
      tokens_.reserve(result->n_tokens);
      for (size_t i = 0; i < result->n_tokens; ++i) {
        const PgQuery__ScanToken& token = *result->tokens[i];
        tokens_.push_back({static_cast<uint32_t>(token.start), static_cast<uint32_t>(token.end),
                           static_cast<int>(token.token),
                           token.keyword_kind == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD});
      }
      pg_query__scan_result__free_unpacked(result, nullptr);
    } else {
      Report(problems, {0, text_.size()}, kProblemSyntax, "the expression cannot be read");
    }
  }
  pg_query_free_scan_result(scanned);
  return ok;
}

bool ParsedText::CheckTokens(ExpressionForm form, std::vector<ExpressionProblem>& problems) const {
  int depth = 0;
  int prefixes = 0;
  size_t nodes = 0;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const Token& token = tokens_[i];
    const TextSpan span{token.start, token.end};
    const std::string_view text = TextOf(span);
    switch (token.kind) {
      case PG_QUERY__TOKEN__SQL_COMMENT:
      case PG_QUERY__TOKEN__C_COMMENT:
        return Report(problems, span, kProblemSyntax,
                      "comments are not allowed inside an expression",
                      "write it as a // comment of the job file");
      case PG_QUERY__TOKEN__ASCII_59:
        return Report(problems, span, kProblemSyntax,
                      "exactly one expression is expected, without ';'");
      case PG_QUERY__TOKEN__PARAM:
        return Report(problems, span, kProblemSyntax, "'" + std::string(text) + "' is not allowed",
                      "a parameter of the job is param('name')");
      case PG_QUERY__TOKEN__UIDENT:
      case PG_QUERY__TOKEN__USCONST:
        // The scanner looks ahead for UESCAPE and gives no range of its own.
        return Report(problems, {0, text_.size()}, kProblemSyntax, "U& escapes are not allowed",
                      "write the characters themselves");
      case PG_QUERY__TOKEN__BCONST:
      case PG_QUERY__TOKEN__XCONST:
        return Report(problems, span, kProblemSyntax, "bit strings are not allowed",
                      "bytes are from_hex('...')");
      case PG_QUERY__TOKEN__ALL:
      case PG_QUERY__TOKEN__DISTINCT:
        if (i == 0 && form != ExpressionForm::kOrderBy) {
          return Report(
              problems, span, kProblemSyntax,
              "an expression cannot begin with " + std::string(text),
              token.kind == PG_QUERY__TOKEN__DISTINCT
                  ? "distinct values are counted by count(DISTINCT x); rows by a dedup node"
                  : "");
        }
        break;
      case PG_QUERY__TOKEN__IDENT: {
        const bool quoted = text.starts_with('"');
        if (text.size() - (quoted ? 2 : 0) > kIdentifierBytesMax) {
          return Report(problems, span, kProblemSyntax,
                        "a name has at most " + std::to_string(kIdentifierBytesMax) + " bytes");
        }
        if (i + 1 < tokens_.size() && tokens_[i + 1].kind == PG_QUERY__TOKEN__ASCII_46) {
          const std::string name = LowerAscii(quoted ? text.substr(1, text.size() - 2) : text);
          if (name == "pg_catalog" || name == "information_schema") {
            return Report(problems, span, kProblemSyntax,
                          "names qualified by a schema are not allowed");
          }
        }
        break;
      }
      default:
        break;
    }
    if (IsOpening(token.kind)) ++depth;
    if (IsClosing(token.kind)) --depth;
    prefixes = IsPrefix(token.kind) ? prefixes + 1 : 0;
    if (depth > kExpressionDepthMax || prefixes > kExpressionDepthMax) {
      return Report(problems, span, kProblemTooLarge,
                    "nested deeper than " + std::to_string(kExpressionDepthMax) + " levels",
                    "compute parts of it in a project node before");
    }
    nodes += MakesNode(token.kind) ? 1 : 0;
    if (nodes > static_cast<size_t>(kExpressionNodesMax)) {
      return Report(problems, span, kProblemTooLarge,
                    "more than " + std::to_string(kExpressionNodesMax) + " operands and operators",
                    "compute parts of it in a project node before");
    }
  }
  return true;
}

void ParsedText::SyntaxProblem(std::string_view message, int cursor, std::string_view wrapped,
                               std::vector<ExpressionProblem>& problems) const {
  const size_t prefix = wrapped.size() - text_.size();
  size_t at = cursor > 0 ? ByteOffset(wrapped, static_cast<size_t>(cursor) - 1) : wrapped.size();
  at = std::clamp(at, prefix, wrapped.size()) - prefix;
  TextSpan span{at, text_.size()};
  std::string help;
  std::string text(message);
  if (!tokens_.empty()) {
    const auto token = std::find_if(tokens_.begin(), tokens_.end(), [&](const Token& some) {
      return some.start <= at && at < some.end;
    });
    if (token != tokens_.end()) {
      span = {token->start, token->end};
      const std::string word(TextOf(span));
      if (token->reserved && MayBeColumn(word)) {
        help = "'" + word + "' is a word of SQL; if it is a column, quote it: \\\"" +
               LowerAscii(word) + "\\\" in the JSON file";
      }
    } else {
      span = {text_.size(), text_.size()};
    }
    // Words like OFFSET, LIMIT, TO and FROM end the expression early: the fault is seen one token
    // later.
    if (help.empty() && token != tokens_.begin()) {
      const Token& before = *(token - 1);
      const std::string word(TextOf({before.start, before.end}));
      if (before.reserved && MayBeColumn(word)) {
        span = {before.start, before.end};
        help = "'" + word + "' is a word of SQL; if it is a column, quote it: \\\"" +
               LowerAscii(word) + "\\\" in the JSON file";
      }
    }
  }
  Report(problems, span, kProblemSyntax, std::move(text), std::move(help));
}

bool ParsedText::Parse(ExpressionForm form, std::vector<ExpressionProblem>& problems) {
  const std::string_view prefix = form == ExpressionForm::kOrderBy ? kOrderPrefix : kValuePrefix;
  prefix_ = prefix.size();
  const std::string wrapped = std::string(prefix) + std::string(text_);
  const PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(wrapped.c_str());
  if (parsed.error != nullptr) {
    SyntaxProblem(parsed.error->message, parsed.error->cursorpos, wrapped, problems);
  } else {
    tree_.reset(pg_query__parse_result__unpack(
        nullptr, parsed.parse_tree.len, reinterpret_cast<const uint8_t*>(parsed.parse_tree.data)));
    if (tree_ == nullptr)
      Report(problems, {0, text_.size()}, kProblemSyntax, "the expression cannot be read");
  }
  pg_query_free_protobuf_parse_result(parsed);
  if (tree_ == nullptr) return false;
  const TextSpan whole{0, text_.size()};
  if (tree_->n_stmts != 1 || tree_->stmts[0]->stmt == nullptr ||
      tree_->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
    return Report(problems, whole, kProblemSyntax, "exactly one expression is expected");
  }
  const PgQuery__SelectStmt& select = *tree_->stmts[0]->stmt->select_stmt;
  const bool ordered = form == ExpressionForm::kOrderBy;
  if (select.n_from_clause != 0) {
    return Report(problems, whole, kProblemSyntax,
                  "exactly one expression is expected, without FROM", "rows come from `inputs`");
  }
  if (select.n_distinct_clause != 0 || select.into_clause != nullptr ||
      select.where_clause != nullptr || select.n_group_clause != 0 ||
      select.having_clause != nullptr || select.n_window_clause != 0 ||
      select.n_values_lists != 0 || (!ordered && select.n_sort_clause != 0) ||
      select.limit_offset != nullptr || select.limit_count != nullptr ||
      select.n_locking_clause != 0 || select.with_clause != nullptr ||
      select.op != PG_QUERY__SET_OPERATION__SETOP_NONE) {
    return Report(problems, whole, kProblemSyntax,
                  "exactly one expression is expected, without further clauses");
  }
  return ordered ? TakeOrder(select, problems) : TakeTarget(select, form, problems);
}

bool ParsedText::TakeTarget(const PgQuery__SelectStmt& select, ExpressionForm form,
                            std::vector<ExpressionProblem>& problems) {
  const TextSpan whole{0, text_.size()};
  if (select.n_target_list != 1 ||
      select.target_list[0]->node_case != PG_QUERY__NODE__NODE_RES_TARGET) {
    return Report(
        problems, whole, kProblemSyntax,
        "exactly one expression is expected, not " + std::to_string(select.n_target_list));
  }
  const PgQuery__ResTarget& target = *select.target_list[0]->res_target;
  if (target.val == nullptr)
    return Report(problems, whole, kProblemSyntax, "exactly one expression is expected");
  root_ = target.val;
  if (target.name != nullptr && *target.name != '\0') {
    if (form != ExpressionForm::kKey) {
      return Report(problems, whole, kProblemSyntax,
                    "a name is not allowed here: '" + std::string(target.name) + "'",
                    "the name of the column is the key in the JSON object");
    }
    alias_ = target.name;
  }
  return true;
}

bool ParsedText::TakeOrder(const PgQuery__SelectStmt& select,
                           std::vector<ExpressionProblem>& problems) {
  const TextSpan whole{0, text_.size()};
  if (select.n_sort_clause != 1 ||
      select.sort_clause[0]->node_case != PG_QUERY__NODE__NODE_SORT_BY) {
    return Report(problems, whole, kProblemSyntax, "exactly one expression is expected",
                  "give several as items of the JSON array");
  }
  const PgQuery__SortBy& sort = *select.sort_clause[0]->sort_by;
  if (sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
    return Report(problems, whole, kProblemSyntax, "USING is not allowed; write ASC or DESC");
  if (sort.node == nullptr || sort.node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
    return Report(problems, whole, kProblemSyntax, "a constant gives no order",
                  "name the column: positions have no meaning here");
  }
  root_ = sort.node;
  descending_ = sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
  if (sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST) nulls_first_ = true;
  if (sort.sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST) nulls_first_ = false;
  return true;
}

size_t ParsedText::TokenIndexAt(size_t offset) const {
  const auto after =
      std::upper_bound(tokens_.begin(), tokens_.end(), offset,
                       [](size_t at, const Token& token) { return at < token.start; });
  return after == tokens_.begin() ? 0 : static_cast<size_t>(after - tokens_.begin()) - 1;
}

TextSpan ParsedText::TokenAt(int location) const {
  if (location < static_cast<int>(prefix_) || tokens_.empty()) return {0, text_.size()};
  const Token& token = tokens_[TokenIndexAt(static_cast<size_t>(location) - prefix_)];
  return {token.start, token.end};
}

size_t ParsedText::MatchingBracket(size_t open) const {
  int depth = 0;
  for (size_t i = open; i < tokens_.size(); ++i) {
    if (IsOpening(tokens_[i].kind)) ++depth;
    if (IsClosing(tokens_[i].kind) && --depth == 0) return i;
  }
  return tokens_.size() - 1;
}

std::vector<bool> ParsedText::QuotedParts(int location, size_t parts) const {
  std::vector<bool> quoted(parts, false);
  if (location < static_cast<int>(prefix_) || tokens_.empty()) return quoted;
  const size_t first = TokenIndexAt(static_cast<size_t>(location) - prefix_);
  for (size_t i = 0; i < parts && first + 2 * i < tokens_.size(); ++i)
    quoted[i] = text_[tokens_[first + 2 * i].start] == '"';
  return quoted;
}

TextSpan ParsedText::SpanOf(const PgQuery__Node* node) const {
  if (tokens_.empty()) return {0, text_.size()};
  size_t first = tokens_.size();
  size_t last = 0;
  Widen(node, first, last);
  if (first > last || first >= tokens_.size()) return {0, text_.size()};
  // Brackets cut in half belong to it as well.
  int depth = 0;
  for (size_t i = first; i <= last; ++i) {
    if (IsOpening(tokens_[i].kind)) ++depth;
    if (IsClosing(tokens_[i].kind) && --depth < 0) {
      while (first > 0 && depth < 0) {
        --first;
        if (IsOpening(tokens_[first].kind)) ++depth;
      }
      depth = 0;
    }
  }
  while (depth > 0 && last + 1 < tokens_.size()) {
    ++last;
    if (IsOpening(tokens_[last].kind)) ++depth;
    if (IsClosing(tokens_[last].kind)) --depth;
  }
  return {tokens_[first].start, tokens_[last].end};
}

void ParsedText::Widen(const PgQuery__Node* node, size_t& first, size_t& last) const {
  if (node == nullptr) return;
  const auto add = [&](size_t token) {
    first = std::min(first, token);
    last = std::max(last, std::min(token, tokens_.size() - 1));
  };
  const auto add_location = [&](int location) -> std::optional<size_t> {
    if (location < static_cast<int>(prefix_)) return std::nullopt;
    const size_t token = TokenIndexAt(static_cast<size_t>(location) - prefix_);
    add(token);
    return token;
  };
  // A word and, if brackets follow, all up to their end.
  const auto add_call = [&](int location) {
    const std::optional<size_t> token = add_location(location);
    if (token && *token + 1 < tokens_.size() && IsOpening(tokens_[*token + 1].kind))
      add(MatchingBracket(*token + 1));
  };
  const auto each = [&](PgQuery__Node** nodes, size_t count) {
    for (size_t i = 0; i < count; ++i) Widen(nodes[i], first, last);
  };
  switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
      const std::optional<size_t> token = add_location(node->column_ref->location);
      if (token) add(*token + 2 * (node->column_ref->n_fields - 1));
      break;
    }
    case PG_QUERY__NODE__NODE_A_CONST: {
      const std::optional<size_t> token = add_location(node->a_const->location);
      // A sign is part of the constant.
      if (token && tokens_[*token].kind == PG_QUERY__TOKEN__ASCII_45) add(*token + 1);
      break;
    }
    case PG_QUERY__NODE__NODE_A_EXPR:
      if (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) {
        add_call(node->a_expr->location);
      } else {
        add_location(node->a_expr->location);
      }
      Widen(node->a_expr->lexpr, first, last);
      Widen(node->a_expr->rexpr, first, last);
      break;
    case PG_QUERY__NODE__NODE_LIST:
      each(node->list->items, node->list->n_items);
      break;
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
      add_location(node->bool_expr->location);
      each(node->bool_expr->args, node->bool_expr->n_args);
      break;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
      add_call(node->func_call->location);
      each(node->func_call->args, node->func_call->n_args);
      break;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
      add_call(node->coalesce_expr->location);
      break;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
      add_call(node->min_max_expr->location);
      break;
    case PG_QUERY__NODE__NODE_ROW_EXPR:
      add_call(node->row_expr->location);
      each(node->row_expr->args, node->row_expr->n_args);
      break;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
      add_call(node->a_array_expr->location);
      break;
    case PG_QUERY__NODE__NODE_SUB_LINK:
      add_call(node->sub_link->location);
      break;
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
      add_call(node->grouping_func->location);
      break;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
      add_call(node->sqlvalue_function->location);
      break;
    case PG_QUERY__NODE__NODE_PARAM_REF:
      add_location(node->param_ref->location);
      break;
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
      add_location(node->named_arg_expr->location);
      Widen(node->named_arg_expr->arg, first, last);
      break;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
      add_call(node->collate_clause->location);
      Widen(node->collate_clause->arg, first, last);
      break;
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
      Widen(node->a_indirection->arg, first, last);
      break;
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
      const std::optional<size_t> token = add_location(node->case_expr->location);
      if (!token) break;
      int depth = 0;
      for (size_t i = *token; i < tokens_.size(); ++i) {
        if (tokens_[i].kind == PG_QUERY__TOKEN__CASE) ++depth;
        if (tokens_[i].kind == PG_QUERY__TOKEN__END_P && --depth == 0) {
          add(i);
          break;
        }
      }
      break;
    }
    case PG_QUERY__NODE__NODE_NULL_TEST: {
      const std::optional<size_t> token = add_location(node->null_test->location);
      if (token)
        add(*token + (node->null_test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL ? 1 : 2));
      Widen(node->null_test->arg, first, last);
      break;
    }
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: {
      const std::optional<size_t> token = add_location(node->boolean_test->location);
      if (token) add(*token + 1);
      Widen(node->boolean_test->arg, first, last);
      break;
    }
    case PG_QUERY__NODE__NODE_TYPE_CAST:
      add_call(node->type_cast->location);
      Widen(node->type_cast->arg, first, last);
      if (node->type_cast->type_name != nullptr) add_call(node->type_cast->type_name->location);
      break;
    default:
      break;
  }
}

}  // namespace weir
