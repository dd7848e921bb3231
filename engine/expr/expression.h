#pragma once
// Expression: one SQL scalar expression, parsed by libpg_query, bound and typed
// against a Scope, evaluated a batch at a time over columns. Total and deterministic: no clock, no
// I/O, no unbounded work. A row that cannot be computed goes into RowErrors and its value is NULL.
// Immutable after binding and cheap to copy (shared tree), so one compiled expression serves all
// tasks: Evaluate may be called from several threads. Generator expressions (random_*) are the
// exception: they draw from the RandomStream given to Evaluate and are bound only where the scope
// allows them.
//
//   BindResult bound = BindExpression("price * 2 > 10", scope, {});
//   if (bound.problems.empty()) { Selection passed = bound.expression.SelectTrue(batch, errors); }

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/batch.h"
#include "engine/data/row_errors.h"

namespace weir {

inline constexpr size_t kExpressionBytesMax = size_t{16} << 10;
inline constexpr int kExpressionDepthMax = 64;
inline constexpr int kExpressionNodesMax = 4096;
inline constexpr size_t kExpressionStringBytesMax = size_t{1} << 20;
inline constexpr size_t kPatternBytesMax = size_t{1} << 10;

/// Seeded draws of generator sources: splitmix64, one stream per stripe.
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  uint64_t state() const { return state_; }

 private:
  uint64_t state_;
};

struct ExpressionNode;  // engine/expr/node.h, the folder's own

class Expression {
 public:
  Expression() = default;
  explicit Expression(std::shared_ptr<const ExpressionNode> root);

  explicit operator bool() const { return root_ != nullptr; }
  const Type& type() const;
  bool nullable() const;
  /// Values for all rows of the batch.
  Column Evaluate(const Batch& batch, RowErrors& errors, RandomStream* random = nullptr) const;
  /// Rows for which a bool expression is true; false, NULL and errors do not pass.
  Selection SelectTrue(const Batch& batch, RowErrors& errors) const;
  /// Columns of the scope that it reads, rising, without repeats.
  std::vector<ColumnIndex> columns() const;
  /// If it is nothing but a column: which.
  std::optional<ColumnIndex> as_column() const;
  /// Columns that are not null on every row for which the expression is true (top-level `x IS NOT
  /// NULL` conjuncts).
  std::vector<ColumnIndex> not_null_when_true() const;
  /// Normalised text, the same for equal trees: the `meaning` of state, plans.
  std::string ToString() const;
  const ExpressionNode* root() const { return root_.get(); }
  const std::shared_ptr<const ExpressionNode>& shared_root() const { return root_; }

 private:
  std::shared_ptr<const ExpressionNode> root_;
};

/// A problem inside an expression's text; the caller maps `start`, `end` (bytes of the text) into
/// the job file.
struct ExpressionProblem {
  std::string code;  // W0401, W0412 ...
  bool warning = false;
  std::string message, note, help;
  std::string fix;  // a replacement of [start, end) that is right if it is unambiguous; empty: none
  size_t start = 0, end = 0;
};

/// What names mean. Column i of the scope is column i of the batch that Evaluate gets: inputs one
/// after another.
struct Scope {
  struct Input {
    std::string alias;  // node id, or alias of a join; empty: only unqualified names
    SchemaRef schema;
  };
  std::vector<Input> inputs;
  /// Parameters of the job, as constants: name -> (type, value as text, null).
  struct Parameter {
    std::string name;
    Type type;
    std::optional<std::string> value;
  };
  std::vector<Parameter> parameters;
  bool random_allowed = false;  // generator_source
  std::string clock_warning =
      "";  // set: `_processing_time` draws this warning (keys, joins, windows)
};

struct BindResult {
  Expression expression;                    // set if no problem is an error
  std::vector<ExpressionProblem> problems;  // warnings too
  bool descending = false;                  // kOrderBy
  bool nulls_first =
      false;  // kOrderBy: as written, else as PostgreSQL: NULL is larger than all values
};

enum class ExpressionForm : uint8_t {
  kValue,    // exactly one target, no alias
  kKey,      // a column, or any expression with a name ("... AS hour")
  kOrderBy,  // expression, ASC or DESC, NULLS FIRST or LAST
};
struct BindOptions {
  ExpressionForm form = ExpressionForm::kValue;
  std::optional<Type> expected = {};  // kBool for conditions: another type is a problem
};
BindResult BindExpression(std::string_view text, const Scope& scope, const BindOptions& options);

/// kKey: also the column's name.
struct BoundKey {
  std::string name;
  Expression expression;
};
struct KeyResult {
  std::optional<BoundKey> key;
  std::vector<ExpressionProblem> problems;
};
KeyResult BindKey(std::string_view text, const Scope& scope);

/// One aggregate call inside an aggregate expression.
struct AggregateCall {
  std::string function;  // "count", "sum" ...; count(*) has no arguments
  std::vector<Expression>
      arguments;  // over the input; constants such as a percentile's q are constants in the tree
  bool distinct = false;
  std::optional<Expression> filter;
  Type result;
  bool nullable = false;
  std::string text;  // normalised, with types: equal texts share one accumulator; part of the
                     // state's meaning
};
/// `result` reads the columns [keys ..., window columns ..., one per call] in the order given to
/// BindAggregates.
struct AggregateResult {
  Expression result;
  std::vector<ExpressionProblem> problems;
};
/// Binds `text` of `aggregates` or `having`. Calls are appended to `calls` unless an equal one is
/// there (so several texts share them). Names outside of a call may be `groups` columns and
/// (having) `named` results, which are inlined.
struct AggregateScope {
  Scope input;                                            // inside calls
  SchemaRef groups;                                       // keys and window columns
  std::vector<std::pair<std::string, Expression>> named;  // earlier aggregates by name
};
AggregateResult BindAggregates(std::string_view text, const AggregateScope& scope,
                               const BindOptions& options, std::vector<AggregateCall>& calls);

/// `weir explain fn NAME`, the reference page, completions.
struct FunctionDoc {
  std::string_view name = {}, group = {}, signature = {}, doc = {}, null_rule = {}, example = {};
  bool aggregate = false;
  bool planned = false;
};
std::span<const FunctionDoc> Functions();

/// Damerau-Levenshtein <= 2 or a common prefix, best first, at most three.
std::vector<std::string> Suggest(std::string_view word, std::span<const std::string> known);

/// Constants and casts for tools: parses `text` as a literal of `type` by the rules of CAST. Empty:
/// it is none.
std::optional<Column> ConstantFromText(const Type& type, std::string_view text);

}  // namespace weir
