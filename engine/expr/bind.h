#pragma once
// Binder: from a syntax tree to typed nodes against a scope: names, the common types of
// operands, the allow-list of functions, folding of constants. One binder per text; one
// thread. Every method that makes a node answers null after it has reported a problem, and null
// operands make null results, so all problems of a text come out at once and none of them twice.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/expr/arithmetic.h"
#include "engine/expr/compare.h"
#include "engine/expr/node.h"
#include "engine/expr/parse.h"

namespace weir {

struct Function;
class Binder;

/// One call of a function of the table, its arguments bound.
struct FunctionCall {
  const Function& function;
  const PgQuery__Node* node;
  std::vector<const PgQuery__Node*> raw;
  std::vector<NodeRef> arguments;
};

/// An entry of the table of functions. Most are strict with fixed parameter kinds and one kernel;
/// the others bind themselves.
struct Function {
  FunctionDoc doc;
  /// One letter per parameter: s string, y bytes, i integer (int64), n number (float64), t
  /// timestamp, u duration, b bool; `?` before the optional ones.
  const char* parameters = nullptr;
  TypeKind result = TypeKind::kNull;
  ExpressionNode::KernelFunction kernel = nullptr;
  bool may_be_null = false;  // also without a NULL argument
  int least = 0, most = 0;   // number of arguments, if `bind` is set
  NodeRef (*bind)(Binder& binder, FunctionCall& call) = nullptr;
  bool binds_arguments = false;  // `bind` gets the raw arguments only
};
/// Null: no such function.
const Function* FindFunction(std::string_view name);
std::span<const Function> FunctionTable();

/// The common type of two operands; kNull takes the other. Empty: none.
std::optional<Type> CommonType(const Type& a, const Type& b);
/// A type name as casts spell it, Weir's or SQL's, without parameters: "bigint". Decimal comes
/// without precision.
std::optional<TypeKind> TypeByName(std::string_view name);

class Binder {
 public:
  Binder(const Scope& scope, const ParsedText& text, std::vector<ExpressionProblem>& problems)
      : scope_(scope), text_(text), problems_(problems) {}
  /// For aggregate expressions: names outside of calls are groups or named results; calls are
  /// collected.
  void SetAggregates(const AggregateScope* aggregates, std::vector<AggregateCall>* calls) {
    aggregates_ = aggregates;
    calls_ = calls;
  }

  NodeRef Bind(const PgQuery__Node* node);
  /// As Bind, and brings the result to `type` if it is a bare NULL; another type is a problem.
  NodeRef BindCondition(const PgQuery__Node* node, std::string_view place);

  // For functions that bind themselves.
  NodeRef Problem(const PgQuery__Node* at, const char* code, std::string message,
                  std::string help = {});
  /// A strict node; folded if all arguments are constant.
  NodeRef Strict(const Type& type, std::string text, ExpressionNode::KernelFunction kernel,
                 std::vector<NodeRef> arguments, std::shared_ptr<const void> data = nullptr,
                 bool may_be_null = false);
  NodeRef Node(ExpressionNode node);
  /// An implicit conversion that exists (number to wider number, date to timestamp, bare NULL to
  /// anything).
  NodeRef Coerce(const NodeRef& node, const Type& type);
  NodeRef Cast(const NodeRef& node, const Type& type, const PgQuery__Node* at);
  NodeRef Compare(std::string_view op, NodeRef a, NodeRef b, const PgQuery__Node* at);
  NodeRef Arithmetic(char op, NodeRef a, NodeRef b, const PgQuery__Node* at);
  NodeRef Case(std::vector<NodeRef> conditions_and_results, NodeRef otherwise,
               const PgQuery__Node* at);
  /// All to their common type, or a problem.
  bool Unify(std::vector<NodeRef>& nodes, const PgQuery__Node* at, std::string_view what);
  /// The value of a constant string argument; `what` names it in the problem.
  std::optional<std::string> ConstantText(const FunctionCall& call, size_t argument,
                                          std::string_view what);
  std::optional<double> ConstantNumber(const FunctionCall& call, size_t argument,
                                       std::string_view what);
  NodeRef WrongArguments(const FunctionCall& call);
  /// Binds the raw arguments; false if one failed.
  bool BindArguments(FunctionCall& call);
  const Scope& scope() const { return scope_; }
  const ParsedText& text() const { return text_; }
  /// While the result lives, constants that fail draw no warning (try).
  void EnterTry() { ++try_depth_; }
  void LeaveTry() { --try_depth_; }
  uint32_t NextRandom() { return randoms_++; }
  std::optional<Type> TypeOf(const PgQuery__TypeName& name, const PgQuery__Node* at);
  std::optional<Type> TypeFromText(std::string_view text) const;

 private:
  NodeRef BindNode(const PgQuery__Node* node);
  NodeRef BindColumn(const PgQuery__Node* node);
  NodeRef BindGroup(const PgQuery__Node* node, const std::string& name, bool quoted);
  NodeRef BindLiteral(const PgQuery__Node* node);
  NodeRef BindOperator(const PgQuery__Node* node);
  NodeRef BindNamedOperator(const PgQuery__Node* node, const std::string& op);
  NodeRef BindUnary(const PgQuery__Node* node, const std::string& op);
  NodeRef BindLike(const PgQuery__Node* node, bool ignore_case);
  NodeRef BindIn(const PgQuery__Node* node);
  NodeRef BindBetween(const PgQuery__Node* node, bool negated);
  NodeRef BindDistinct(const PgQuery__Node* node, bool equal);
  NodeRef BindLogic(const PgQuery__Node* node);
  NodeRef BindCase(const PgQuery__Node* node);
  NodeRef BindCoalesce(const PgQuery__Node* node);
  NodeRef BindExtreme(const PgQuery__Node* node);
  NodeRef BindNullIf(const PgQuery__Node* node);
  NodeRef BindIsNull(const PgQuery__Node* node);
  NodeRef BindIsBool(const PgQuery__Node* node);
  NodeRef BindCast(const PgQuery__Node* node);
  NodeRef BindCall(const PgQuery__Node* node);
  NodeRef BindKnownCall(const Function& function, const PgQuery__Node* node,
                        std::vector<const PgQuery__Node*> raw);
  NodeRef BindSimple(FunctionCall& call);
  NodeRef BindAggregate(const Function& function, const PgQuery__Node* node);
  NodeRef Combine(NodeKind kind, std::vector<NodeRef> arguments);
  NodeRef Not(NodeRef node);
  /// The operand as something that can be used twice: itself, or a slot to be wrapped by Let.
  NodeRef Share(const NodeRef& operand, bool* let);
  NodeRef Let(NodeRef operand, NodeRef body);
  NodeRef Fold(NodeRef node);

  const Scope& scope_;
  const ParsedText& text_;
  std::vector<ExpressionProblem>& problems_;
  const AggregateScope* aggregates_ = nullptr;
  std::vector<AggregateCall>* calls_ = nullptr;
  bool inside_aggregate_ = false;
  const PgQuery__Node* current_ = nullptr;
  int depth_ = 0, nodes_ = 0, try_depth_ = 0;
  uint32_t slots_ = 0, randoms_ = 0;
};

}  // namespace weir
