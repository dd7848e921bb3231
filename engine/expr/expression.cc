#include "engine/expr/expression.h"

#include <algorithm>

#include "engine/base/escape.h"
#include "engine/data/row_builder.h"
#include "engine/expr/bind.h"
#include "engine/expr/cast.h"
#include "engine/expr/node.h"
#include "engine/expr/parse.h"
#include "engine/expr/problem_codes.h"

namespace weir {
namespace {

void CollectColumns(const ExpressionNode& node, std::vector<ColumnIndex>& columns) {
  if (node.kind == NodeKind::kColumn) columns.push_back(node.column);
  for (const NodeRef& argument : node.arguments) CollectColumns(*argument, columns);
}

std::vector<ColumnIndex> SortedUnique(std::vector<ColumnIndex> columns) {
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  return columns;
}

bool HasErrors(const std::vector<ExpressionProblem>& problems) {
  return std::any_of(problems.begin(), problems.end(),
                     [](const ExpressionProblem& problem) { return !problem.warning; });
}

/// Binds what was parsed and checks the type that the place expects.
Expression Finish(const NodeRef& root, const ParsedText& parsed, const BindOptions& options,
                  std::vector<ExpressionProblem>& problems, Binder& binder) {
  if (root == nullptr) return {};
  NodeRef node = root;
  if (node->type.kind == TypeKind::kNull) {
    if (!options.expected) {
      Report(problems, parsed.SpanOf(parsed.root()), kProblemUntypedNull, "NULL has no type here",
             "write CAST(NULL AS string), say");
      return {};
    }
    node = MakeNull(*options.expected);
  }
  if (options.expected && node->type != *options.expected) {
    const std::optional<Type> common = CommonType(node->type, *options.expected);
    if (!common || *common != *options.expected) {
      Report(problems, parsed.SpanOf(parsed.root()), kProblemWrongType,
             "must be " + options.expected->ToString() + ", not " + node->type.ToString(),
             options.expected->kind == TypeKind::kBool
                 ? "compare it with something"
                 : "write CAST(... AS " + options.expected->ToString() + ")");
      return {};
    }
    node = binder.Coerce(node, *options.expected);
  }
  if (HasErrors(problems)) return {};
  return Expression(node);
}

}  // namespace

uint64_t RandomStream::Next() {
  state_ += 0x9E3779B97F4A7C15ULL;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

Expression::Expression(std::shared_ptr<const ExpressionNode> root) : root_(std::move(root)) {}

const Type& Expression::type() const {
  WEIR_CHECK(root_ != nullptr);
  return root_->type;
}
bool Expression::nullable() const {
  WEIR_CHECK(root_ != nullptr);
  return root_->nullable;
}

Column Expression::Evaluate(const Batch& batch, RowErrors& errors, RandomStream* random) const {
  WEIR_CHECK(root_ != nullptr);
  // One draw per row, whatever the tree asks: so values do not depend on how rows are cut into
  // batches.
  std::vector<uint64_t> draws;
  if (root_->random) {
    WEIR_CHECK(random != nullptr);
    draws.resize(batch.rows());
    for (uint64_t& draw : draws) draw = random->Next();
  }
  Evaluator evaluator(batch.rows(), &batch, errors, draws.data());
  return evaluator.Finish(*root_, evaluator.Evaluate(*root_, Rows::All(batch.rows())));
}

Selection Expression::SelectTrue(const Batch& batch, RowErrors& errors) const {
  WEIR_CHECK(root_ != nullptr);
  WEIR_CHECK(root_->type.kind == TypeKind::kBool);
  Evaluator evaluator(batch.rows(), &batch, errors, nullptr);
  std::vector<uint32_t> rows;
  rows.reserve(batch.rows());
  evaluator.Select(*root_, Rows::All(batch.rows()), rows);
  if (errors.rows() != 0) std::erase_if(rows, [&](uint32_t row) { return errors.Has(row); });
  return Selection(std::move(rows));
}

std::vector<ColumnIndex> Expression::columns() const {
  std::vector<ColumnIndex> columns;
  if (root_ != nullptr) CollectColumns(*root_, columns);
  return SortedUnique(std::move(columns));
}

std::optional<ColumnIndex> Expression::as_column() const {
  if (root_ == nullptr || root_->kind != NodeKind::kColumn) return std::nullopt;
  return root_->column;
}

std::vector<ColumnIndex> Expression::not_null_when_true() const {
  std::vector<ColumnIndex> columns;
  const auto add = [&](const ExpressionNode& node) {
    if (node.kind == NodeKind::kIsNull && node.negated &&
        node.arguments[0]->kind == NodeKind::kColumn)
      columns.push_back(node.arguments[0]->column);
  };
  if (root_ != nullptr) {
    add(*root_);
    if (root_->kind == NodeKind::kAnd) {
      for (const NodeRef& conjunct : root_->arguments) add(*conjunct);
    }
  }
  return SortedUnique(std::move(columns));
}

BindResult BindExpression(std::string_view text, const Scope& scope, const BindOptions& options) {
  BindResult result;
  const ParsedText parsed(text, options.form, result.problems);
  if (parsed.root() == nullptr) return result;
  Binder binder(scope, parsed, result.problems);
  result.expression = Finish(binder.Bind(parsed.root()), parsed, options, result.problems, binder);
  result.descending = parsed.descending();
  result.nulls_first = parsed.nulls_first().value_or(parsed.descending());
  return result;
}

KeyResult BindKey(std::string_view text, const Scope& scope) {
  KeyResult result;
  const ParsedText parsed(text, ExpressionForm::kKey, result.problems);
  if (parsed.root() == nullptr) return result;
  Binder binder(scope, parsed, result.problems);
  Expression expression = Finish(binder.Bind(parsed.root()), parsed, {.form = ExpressionForm::kKey},
                                 result.problems, binder);
  if (!expression) return result;
  std::string name = parsed.alias();
  if (name.empty()) {
    if (expression.root()->kind != NodeKind::kColumn) {
      Report(result.problems, {0, text.size()}, kProblemSyntax, "a computed key needs a name",
             "write " + std::string(text) + " AS name");
      return result;
    }
    const std::string& column = expression.root()->text;
    name = scope.inputs.size() > 1
               ? column.substr(column.find('.') == std::string::npos ? 0 : column.find('.') + 1)
               : column;
  }
  result.key = BoundKey{std::move(name), std::move(expression)};
  return result;
}

AggregateResult BindAggregates(std::string_view text, const AggregateScope& scope,
                               const BindOptions& options, std::vector<AggregateCall>& calls) {
  AggregateResult result;
  const ParsedText parsed(text, options.form, result.problems);
  if (parsed.root() == nullptr) return result;
  Binder binder(scope.input, parsed, result.problems);
  binder.SetAggregates(&scope, &calls);
  result.result = Finish(binder.Bind(parsed.root()), parsed, options, result.problems, binder);
  return result;
}

std::optional<Column> ConstantFromText(const Type& type, std::string_view text) {
  ColumnBuilder builder(Type::Of(TypeKind::kString), 1);
  builder.AppendString(text);
  Column column = builder.Build();
  if (type.kind == TypeKind::kString) return column;
  const ExpressionNode::KernelFunction kernel = CastKernel(Type::Of(TypeKind::kString), type);
  if (kernel == nullptr) return std::nullopt;
  ExpressionNode node;
  node.type = type;
  node.evaluate = EvaluateStrict;
  node.kernel = kernel;
  node.arguments = {MakeConstant(std::move(column))};
  RowErrors errors;
  Evaluator evaluator(1, nullptr, errors, nullptr);
  Column value = evaluator.Finish(node, evaluator.Evaluate(node, Rows::All(1)));
  if (!errors.empty()) return std::nullopt;
  return value;
}

}  // namespace weir
