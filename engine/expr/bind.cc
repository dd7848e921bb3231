#include "engine/expr/bind.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/data/row_builder.h"
#include "engine/expr/cast.h"
#include "engine/expr/loops.h"
#include "engine/expr/patterns.h"
#include "engine/expr/problem_codes.h"

namespace weir {
namespace {

const Type kBoolType = Type::Of(TypeKind::kBool);
const Type kStringType = Type::Of(TypeKind::kString);

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

std::string Quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string_view StringOf(const PgQuery__Node* node) {
  return node != nullptr && node->node_case == PG_QUERY__NODE__NODE_STRING
             ? std::string_view(node->string->sval)
             : std::string_view();
}

Column OneRow(const Type& type, auto&& append) {
  ColumnBuilder builder(type, 1);
  append(builder);
  return builder.Build();
}

/// How a number's digits read: precision and scale of a decimal literal.
std::optional<Type> DecimalTypeOf(std::string_view digits) {
  if (!digits.empty() && (digits.front() == '-' || digits.front() == '+')) digits.remove_prefix(1);
  const size_t point = digits.find('.');
  std::string_view whole = digits.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : digits.substr(point + 1);
  while (!whole.empty() && whole.front() == '0') whole.remove_prefix(1);
  const size_t precision = std::max<size_t>(1, whole.size() + fraction.size());
  if (precision > kDecimalPrecisionMax) return std::nullopt;
  return Type::Decimal(static_cast<int>(precision), static_cast<int>(fraction.size()));
}

/// int32 and int64 beside a decimal.
Type AsDecimal(const Type& type) {
  if (type.kind == TypeKind::kInt32) return Type::Decimal(10, 0);
  if (type.kind == TypeKind::kInt64) return Type::Decimal(19, 0);
  return type;
}

struct NotLoop {
  static uint8_t Apply(uint8_t value) { return static_cast<uint8_t>(value == 0 ? 1 : 0); }
};

struct NameOfType {
  std::string_view name;
  TypeKind kind;
};
constexpr std::array<NameOfType, 31> kTypeNames = {{
    {"bool", TypeKind::kBool},
    {"boolean", TypeKind::kBool},
    {"int32", TypeKind::kInt32},
    {"integer", TypeKind::kInt32},
    {"int", TypeKind::kInt32},
    {"int4", TypeKind::kInt32},
    {"int64", TypeKind::kInt64},
    {"bigint", TypeKind::kInt64},
    {"int8", TypeKind::kInt64},
    {"float32", TypeKind::kFloat32},
    {"real", TypeKind::kFloat32},
    {"float4", TypeKind::kFloat32},
    {"float64", TypeKind::kFloat64},
    {"double precision", TypeKind::kFloat64},
    {"float8", TypeKind::kFloat64},
    {"decimal", TypeKind::kDecimal},
    {"numeric", TypeKind::kDecimal},
    {"string", TypeKind::kString},
    {"text", TypeKind::kString},
    {"varchar", TypeKind::kString},
    {"bytes", TypeKind::kBytes},
    {"bytea", TypeKind::kBytes},
    {"date", TypeKind::kDate},
    {"timestamp", TypeKind::kTimestamp},
    {"timestamptz", TypeKind::kTimestamp},
    {"duration", TypeKind::kDuration},
    {"interval", TypeKind::kDuration},
    {"json", TypeKind::kJson},
    {"jsonb", TypeKind::kJson},
    {"character varying", TypeKind::kString},
    {"double", TypeKind::kFloat64},
}};

}  // namespace

NodeRef MakeConstant(Column column) {
  auto node = std::make_shared<ExpressionNode>();
  node->kind = NodeKind::kConstant;
  node->type = column.type();
  node->nullable = !column.Valid()[0];
  node->evaluate = EvaluateConstant;
  node->constant = std::move(column);
  return node;
}
NodeRef MakeNull(const Type& type) {
  auto validity = std::make_shared<Buffer>(sizeof(uint64_t));
  *validity->as<uint64_t>() = 0;
  auto values = std::make_shared<Buffer>(sizeof(Utf8View));
  std::fill_n(values->data(), sizeof(Utf8View), '\0');
  return MakeConstant(Column(type, 1, std::move(values), std::move(validity), nullptr));
}

std::optional<TypeKind> TypeByName(std::string_view name) {
  for (const NameOfType& entry : kTypeNames) {
    if (EqualIgnoringCase(entry.name, name)) return entry.kind;
  }
  return std::nullopt;
}

std::optional<Type> CommonType(const Type& a, const Type& b) {
  if (a.kind == TypeKind::kNull) return b;
  if (b.kind == TypeKind::kNull || a == b) return a;
  if (a.is_numeric() && b.is_numeric()) {
    if (a.kind == TypeKind::kDecimal || b.kind == TypeKind::kDecimal) {
      if (a.is_float() || b.is_float()) return Type::Of(TypeKind::kFloat64);
      const Type x = AsDecimal(a);
      const Type y = AsDecimal(b);
      const int scale = std::max(x.scale, y.scale);
      return CapDecimal(std::max(x.precision - x.scale, y.precision - y.scale) + scale, scale);
    }
    if (a.is_integer() && b.is_integer()) return Type::Of(TypeKind::kInt64);
    return Type::Of(TypeKind::kFloat64);  // float32 with an integer, float32 with float64
  }
  const auto time = [](const Type& type) {
    return type.kind == TypeKind::kDate || type.kind == TypeKind::kTimestamp;
  };
  if (time(a) && time(b)) return Type::Of(TypeKind::kTimestamp);
  return std::nullopt;
}

NodeRef Binder::Problem(const PgQuery__Node* at, const char* code, std::string message,
                        std::string help) {
  Report(problems_, at == nullptr ? TextSpan{0, text_.size()} : text_.SpanOf(at), code,
         std::move(message), std::move(help));
  return nullptr;
}

NodeRef Binder::Node(ExpressionNode node) {
  for (const NodeRef& argument : node.arguments) {
    node.foldable &= argument->foldable;
    node.random |= argument->random;
  }
  return Fold(std::make_shared<const ExpressionNode>(std::move(node)));
}

NodeRef Binder::Strict(const Type& type, std::string text, ExpressionNode::KernelFunction kernel,
                       std::vector<NodeRef> arguments, std::shared_ptr<const void> data,
                       bool may_be_null) {
  ExpressionNode node;
  node.type = type;
  node.text = std::move(text);
  node.evaluate = EvaluateStrict;
  node.kernel = kernel;
  node.data = std::move(data);
  node.nullable = may_be_null;
  for (const NodeRef& argument : arguments) {
    if (argument == nullptr) return nullptr;
    node.nullable |= argument->nullable;
  }
  node.arguments = std::move(arguments);
  return Node(std::move(node));
}

NodeRef Binder::Fold(NodeRef node) {
  if (!node->foldable || node->arguments.empty()) return node;
  for (const NodeRef& argument : node->arguments) {
    if (argument->kind != NodeKind::kConstant) return node;
  }
  RowErrors errors;
  Evaluator evaluator(1, nullptr, errors, nullptr);
  Column value = evaluator.Finish(*node, evaluator.Evaluate(*node, Rows::All(1)));
  if (errors.empty()) return MakeConstant(std::move(value));
  if (try_depth_ == 0 && current_ != nullptr) {
    ExpressionProblem problem;
    problem.code = kProblemConstantFails;
    problem.warning = true;
    problem.message = "this part fails on every row: " + errors.errors().front().message;
    const TextSpan span = text_.SpanOf(current_);
    problem.start = span.start;
    problem.end = span.end;
    problems_.push_back(std::move(problem));
  }
  return node;
}

NodeRef Binder::Coerce(const NodeRef& node, const Type& type) {
  if (node == nullptr || node->type == type) return node;
  if (node->type.kind == TypeKind::kNull) return MakeNull(type);
  return Strict(type, "cast", CastKernel(node->type, type), {node});
}

NodeRef Binder::Cast(const NodeRef& node, const Type& type, const PgQuery__Node* at) {
  if (node == nullptr || node->type == type) return node;
  if (node->type.kind == TypeKind::kNull) return MakeNull(type);
  const ExpressionNode::KernelFunction kernel = CastKernel(node->type, type);
  if (kernel == nullptr) {
    const bool clock = type.kind == TypeKind::kTimestamp && node->type.is_numeric();
    const bool epoch = type.is_numeric() && (node->type.kind == TypeKind::kTimestamp ||
                                             node->type.kind == TypeKind::kDuration);
    return Problem(at, kProblemCast,
                   "there is no cast from " + node->type.ToString() + " to " + type.ToString(),
                   clock   ? "from_epoch(x, 'ms') makes a timestamp of a number"
                   : epoch ? "to_epoch(x, 'ms') or EXTRACT(epoch FROM x) make a number of it"
                           : "");
  }
  return Strict(type, "cast", kernel, {node});
}

bool Binder::Unify(std::vector<NodeRef>& nodes, const PgQuery__Node* at, std::string_view what) {
  Type type;
  for (const NodeRef& node : nodes) {
    const std::optional<Type> common = CommonType(type, node->type);
    if (!common) {
      const bool text = type.kind == TypeKind::kString || node->type.kind == TypeKind::kString;
      Problem(at, kProblemIncomparable,
              std::string(what) + " have no common type: " + type.ToString() + " and " +
                  node->type.ToString(),
              text ? "write a CAST: text and other types are not converted implicitly" : "");
      return false;
    }
    type = *common;
  }
  if (type.kind == TypeKind::kNull) return true;
  for (NodeRef& node : nodes) {
    node = Coerce(node, type);
    if (node == nullptr) return false;
  }
  return true;
}

NodeRef Binder::Share(const NodeRef& operand, bool* let) {
  *let = operand->kind != NodeKind::kColumn && operand->kind != NodeKind::kConstant &&
         operand->kind != NodeKind::kSlot;
  if (!*let) return operand;
  auto slot = std::make_shared<ExpressionNode>();
  slot->kind = NodeKind::kSlot;
  slot->type = operand->type;
  slot->nullable = operand->nullable;
  slot->evaluate = EvaluateSlot;
  slot->slot = slots_++;
  slot->foldable = false;
  slot->random = operand->random;
  return slot;
}

NodeRef Binder::Let(NodeRef operand, NodeRef body) {
  --slots_;
  if (body == nullptr) return nullptr;
  ExpressionNode node;
  node.kind = NodeKind::kLet;
  node.type = body->type;
  node.nullable = body->nullable;
  node.evaluate = EvaluateLet;
  node.slot = slots_;
  node.arguments = {std::move(operand), std::move(body)};
  return Node(std::move(node));
}

NodeRef Binder::Combine(NodeKind kind, std::vector<NodeRef> arguments) {
  ExpressionNode node;
  node.kind = kind;
  node.type = kBoolType;
  node.evaluate = kind == NodeKind::kAnd ? EvaluateAnd : EvaluateOr;
  node.text = kind == NodeKind::kAnd ? "AND" : "OR";
  for (const NodeRef& argument : arguments) {
    if (argument == nullptr) return nullptr;
    node.nullable |= argument->nullable;
  }
  node.arguments = std::move(arguments);
  return Node(std::move(node));
}

NodeRef Binder::Not(NodeRef operand) {
  if (operand == nullptr) return nullptr;
  ExpressionNode node;
  node.kind = NodeKind::kNot;
  node.type = kBoolType;
  node.nullable = operand->nullable;
  node.evaluate = EvaluateStrict;
  node.kernel = UnaryLoop<uint8_t, uint8_t, NotLoop>;
  node.text = "NOT";
  node.arguments = {std::move(operand)};
  return Node(std::move(node));
}

NodeRef Binder::Case(std::vector<NodeRef> conditions_and_results, NodeRef otherwise,
                     const PgQuery__Node* at) {
  std::vector<NodeRef> results;
  for (size_t i = 1; i < conditions_and_results.size(); i += 2)
    results.push_back(conditions_and_results[i]);
  results.push_back(std::move(otherwise));
  if (!Unify(results, at, "the results of CASE")) return nullptr;
  ExpressionNode node;
  node.kind = NodeKind::kCase;
  node.type = results.front()->type;
  node.evaluate = EvaluateCase;
  node.text = "CASE";
  for (size_t i = 0; i + 1 < results.size(); ++i) {
    node.arguments.push_back(std::move(conditions_and_results[2 * i]));
    node.nullable |= results[i]->nullable;
    node.arguments.push_back(std::move(results[i]));
  }
  node.nullable |= results.back()->nullable;
  node.arguments.push_back(std::move(results.back()));
  if (node.type.kind == TypeKind::kNull)
    return Problem(at, kProblemUntypedNull, "all results are NULL, so the type is unknown",
                   "write CAST(NULL AS string), say");
  return Node(std::move(node));
}

NodeRef Binder::Compare(std::string_view op, NodeRef a, NodeRef b, const PgQuery__Node* at) {
  if (a == nullptr || b == nullptr) return nullptr;
  const std::optional<Type> common = CommonType(a->type, b->type);
  if (!common) {
    std::string help;
    const bool a_text = a->type.kind == TypeKind::kString;
    const bool b_text = b->type.kind == TypeKind::kString;
    if (at != nullptr && a_text != b_text && at->node_case == PG_QUERY__NODE__NODE_A_EXPR &&
        at->a_expr->lexpr != nullptr && at->a_expr->rexpr != nullptr &&
        at->a_expr->rexpr->node_case != PG_QUERY__NODE__NODE_LIST) {
      const std::string left(text_.TextOf(text_.SpanOf(at->a_expr->lexpr)));
      const std::string right(text_.TextOf(text_.SpanOf(at->a_expr->rexpr)));
      const NodeRef& other = a_text ? b : a;
      const std::string& other_text = a_text ? right : left;
      const std::string& text = a_text ? left : right;
      const std::string as_text = other->kind == NodeKind::kConstant
                                      ? Quoted(other_text)
                                      : "CAST(" + other_text + " AS string)";
      const bool literal_text = (a_text ? a : b)->kind == NodeKind::kConstant;
      const std::string as_other = literal_text && other->type.kind == TypeKind::kTimestamp
                                       ? "TIMESTAMP " + text
                                   : literal_text && other->type.kind == TypeKind::kDate
                                       ? "DATE " + text
                                       : "CAST(" + text + " AS " + other->type.ToString() + ")";
      const std::string sign = " " + std::string(op) + " ";
      help = a_text ? "write " + left + sign + as_text + ", or " + as_other + sign + right
                    : "write " + left + sign + as_other + ", or " + as_text + sign + right;
    }
    return Problem(at, kProblemIncomparable,
                   "cannot compare " + a->type.ToString() + " with " + b->type.ToString(),
                   std::move(help));
  }
  if (common->kind == TypeKind::kNull)
    return Problem(at, kProblemUntypedNull, "NULL beside NULL has no type",
                   "write CAST(NULL AS string), say");
  // Decimals may keep their own precision; and their scale where the common type could not hold
  // both.
  if (common->kind == TypeKind::kDecimal && a->type.kind != TypeKind::kNull &&
      b->type.kind != TypeKind::kNull) {
    const int scale = std::max(a->type.scale, b->type.scale);
    const bool exact = common->scale == scale && common->precision <= kDecimalPrecisionMax &&
                       std::max(AsDecimal(a->type).precision - a->type.scale,
                                AsDecimal(b->type).precision - b->type.scale) +
                               scale <=
                           kDecimalPrecisionMax;
    for (NodeRef* side : {&a, &b}) {
      const Type own = AsDecimal((*side)->type);
      *side = Coerce(*side, exact && own.scale != scale ? *common : own);
    }
  } else {
    a = Coerce(a, *common);
    b = Coerce(b, *common);
  }
  if (a == nullptr || b == nullptr) return nullptr;
  if (op == ">" || op == ">=") {
    std::swap(a, b);
    op = op == ">" ? "<" : "<=";
  }
  const Comparison comparison = op == "="    ? Comparison::kEqual
                                : op == "<>" ? Comparison::kNotEqual
                                : op == "<"  ? Comparison::kLess
                                             : Comparison::kLessEqual;
  const ExpressionNode::KernelFunction kernel = CompareKernel(comparison, a->type, b->type);
  if (kernel == nullptr)
    return Problem(at, kProblemPlanned,
                   "comparing " + a->type.ToString() + " is planned, not in this version");
  return Strict(kBoolType, std::string(op), kernel, {std::move(a), std::move(b)});
}

NodeRef Binder::Arithmetic(char op, NodeRef a, NodeRef b, const PgQuery__Node* at) {
  if (a == nullptr || b == nullptr) return nullptr;
  const std::string name(1, op);
  if (a->type.kind == TypeKind::kNull && b->type.kind == TypeKind::kNull) {
    return Problem(at, kProblemUntypedNull, "NULL beside NULL has no type",
                   "write CAST(NULL AS int64), say");
  }
  if (a->type.kind == TypeKind::kNull) a = MakeNull(b->type);
  if (b->type.kind == TypeKind::kNull) b = MakeNull(a->type);
  std::optional<Operation> operation;
  if (a->type.is_numeric() && b->type.is_numeric()) {
    const Type common = *CommonType(a->type, b->type);
    if (common.kind == TypeKind::kDecimal) {
      a = Coerce(a, AsDecimal(a->type));
      b = Coerce(b, AsDecimal(b->type));
    } else {
      a = Coerce(a, common);
      b = Coerce(b, common);
    }
    if (a == nullptr || b == nullptr) return nullptr;
    operation = ArithmeticOf(op, a->type, b->type);
  } else {
    const auto is_time = [](const NodeRef& node) {
      return node->type.kind == TypeKind::kTimestamp || node->type.kind == TypeKind::kDuration ||
             node->type.kind == TypeKind::kDate;
    };
    if ((op == '+' || op == '*') && !(is_time(a) && a->type.kind != TypeKind::kDuration) &&
        is_time(b))
      std::swap(a, b);
    if (a->type.kind == TypeKind::kDate &&
        (b->type.kind == TypeKind::kDuration || b->type.kind == TypeKind::kTimestamp)) {
      a = Coerce(a, Type::Of(TypeKind::kTimestamp));
    }
    if (b->type.kind == TypeKind::kDate && a->type.kind == TypeKind::kTimestamp)
      b = Coerce(b, Type::Of(TypeKind::kTimestamp));
    if (a->type.kind == TypeKind::kDuration && b->type.is_numeric()) {
      b = Coerce(
          b, Type::Of(b->type.is_integer() && op == '*' ? TypeKind::kInt64 : TypeKind::kFloat64));
    }
    if (a == nullptr || b == nullptr) return nullptr;
    operation = TimeArithmeticOf(op, a->type, b->type);
  }
  if (!operation) {
    const bool text = a->type.kind == TypeKind::kString || b->type.kind == TypeKind::kString;
    const bool texts = a->type.kind == TypeKind::kString && b->type.kind == TypeKind::kString;
    const bool days = a->type.kind == TypeKind::kTimestamp && b->type.is_numeric();
    return Problem(at, kProblemOperator,
                   "operator " + name + " is not defined for " + a->type.ToString() + " and " +
                       b->type.ToString(),
                   texts && op == '+' ? "texts are joined by ||"
                   : text      ? "write a CAST: text and other types are not converted implicitly"
                   : days      ? "write a duration, INTERVAL '5 minutes'"
                   : op == '%' ? "a remainder of float64 is not defined; cast to decimal"
                               : "");
  }
  return Strict(operation->result, name, operation->kernel, {std::move(a), std::move(b)},
                operation->data);
}

std::optional<std::string> Binder::ConstantText(const FunctionCall& call, size_t argument,
                                                std::string_view what) {
  const NodeRef& node = call.arguments[argument];
  if (node->kind != NodeKind::kConstant || node->type.kind != TypeKind::kString || node->nullable) {
    Problem(call.raw[argument], kProblemPattern, std::string(what) + " must be a constant text",
            "write it in single quotes");
    return std::nullopt;
  }
  return std::string(node->constant.Values<Utf8View>()[0].view());
}

std::optional<double> Binder::ConstantNumber(const FunctionCall& call, size_t argument,
                                             std::string_view what) {
  const NodeRef node = call.arguments[argument]->type.is_numeric()
                           ? Coerce(call.arguments[argument], Type::Of(TypeKind::kFloat64))
                           : nullptr;
  if (node == nullptr || node->kind != NodeKind::kConstant || node->nullable) {
    Problem(call.raw[argument], kProblemArguments,
            std::string(what) + " must be a constant number");
    return std::nullopt;
  }
  return node->constant.Values<double>()[0];
}

NodeRef Binder::WrongArguments(const FunctionCall& call) {
  std::string types;
  for (const NodeRef& argument : call.arguments)
    types += (types.empty() ? "" : ", ") + argument->type.ToString();
  return Problem(call.node, kProblemArguments,
                 std::string(call.function.doc.name) + "(" + types + ") is not defined",
                 "its form is " + std::string(call.function.doc.signature));
}

NodeRef Binder::Bind(const PgQuery__Node* node) {
  if (node == nullptr) return nullptr;
  if (depth_ >= kExpressionDepthMax) {
    return Problem(node, kProblemTooLarge,
                   "nested deeper than " + std::to_string(kExpressionDepthMax) + " levels",
                   "compute parts of it in a project node before");
  }
  if (++nodes_ > kExpressionNodesMax) {
    if (nodes_ == kExpressionNodesMax + 1)
      Problem(node, kProblemTooLarge,
              "more than " + std::to_string(kExpressionNodesMax) + " operands and operators");
    return nullptr;
  }
  ++depth_;
  const PgQuery__Node* before = current_;
  current_ = node;
  NodeRef bound = BindNode(node);
  current_ = before;
  --depth_;
  return bound;
}

NodeRef Binder::BindCondition(const PgQuery__Node* node, std::string_view place) {
  NodeRef bound = Bind(node);
  if (bound == nullptr) return nullptr;
  if (bound->type.kind == TypeKind::kNull) return MakeNull(kBoolType);
  if (bound->type.kind != TypeKind::kBool) {
    return Problem(node, kProblemWrongType,
                   std::string(place) + " must be bool, not " + bound->type.ToString(),
                   "compare it with something");
  }
  return bound;
}

NodeRef Binder::BindNode(const PgQuery__Node* node) {
  switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
      return BindColumn(node);
    case PG_QUERY__NODE__NODE_A_CONST:
      return BindLiteral(node);
    case PG_QUERY__NODE__NODE_A_EXPR:
      return BindOperator(node);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
      return BindLogic(node);
    case PG_QUERY__NODE__NODE_NULL_TEST:
      return BindIsNull(node);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
      return BindIsBool(node);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
      return BindCase(node);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
      return BindCoalesce(node);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
      return BindExtreme(node);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
      return BindCast(node);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
      return BindCall(node);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
    case PG_QUERY__NODE__NODE_ROW_EXPR:
      return Problem(node, kProblemPlanned,
                     "arrays, maps and rows are planned, not in this version");
    case PG_QUERY__NODE__NODE_SUB_LINK:
      return Problem(node, kProblemSyntax, "subqueries are not allowed in an expression",
                     "rows of another input are reached by a join node");
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: {
      const TextSpan span = text_.TokenAt(node->sqlvalue_function->location);
      const std::string word(text_.TextOf(span));
      const bool user = EqualIgnoringCase(word, "user");
      return Problem(node, kProblemUnknownFunction,
                     Quoted(word) + " is a function of SQL that is not available",
                     user ? "if it is a column, quote it: \\\"user\\\" in the JSON file"
                          : "time comes from columns: _event_time, or _processing_time");
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
      return Problem(node, kProblemSyntax, "COLLATE is not allowed: texts compare byte-wise");
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
      return Problem(node, kProblemSyntax, "GROUPING is not allowed");
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
      return Problem(node, kProblemSyntax, "named arguments are not allowed",
                     "give arguments by position");
    default:
      return Problem(node, kProblemSyntax, "this form of SQL is not allowed in an expression");
  }
}

NodeRef Binder::BindGroup(const PgQuery__Node* node, const std::string& name, bool quoted) {
  const auto same = [&](const std::string& known) {
    return quoted ? known == name : EqualIgnoringCase(known, name);
  };
  for (size_t i = 0; aggregates_->groups != nullptr && i < aggregates_->groups->size(); ++i) {
    const Field& field = aggregates_->groups->fields()[i];
    if (!same(field.name)) continue;
    ExpressionNode column;
    column.kind = NodeKind::kColumn;
    column.type = field.type;
    column.nullable = field.nullable;
    column.evaluate = EvaluateColumn;
    column.text = field.name;
    column.column = ColumnIndex{static_cast<uint16_t>(i)};
    column.foldable = false;
    return std::make_shared<const ExpressionNode>(std::move(column));
  }
  for (const auto& [known, expression] : aggregates_->named) {
    if (same(known) && expression) return expression.shared_root();
  }
  bool in_input = false;
  for (const Scope::Input& input : aggregates_->input.inputs) {
    for (const Field& field : input.schema->fields()) in_input |= same(field.name);
  }
  if (in_input) {
    return Problem(node, kProblemNotGrouped,
                   "column " + Quoted(name) + " is neither a key nor inside an aggregate",
                   "add it to key_by, or write max(" + name + "), say");
  }
  std::vector<std::string> known;
  if (aggregates_->groups != nullptr) {
    for (const Field& field : aggregates_->groups->fields()) known.push_back(field.name);
  }
  for (const auto& entry : aggregates_->named) known.push_back(entry.first);
  const std::vector<std::string> close = Suggest(name, known);
  return Problem(node, kProblemUnknownColumn, "column " + Quoted(name) + " does not exist",
                 close.empty() ? "" : "did you mean " + Quoted(close.front()) + "?");
}

NodeRef Binder::BindColumn(const PgQuery__Node* node) {
  const PgQuery__ColumnRef& reference = *node->column_ref;
  std::vector<std::string> parts;
  for (size_t i = 0; i < reference.n_fields; ++i) {
    if (reference.fields[i]->node_case == PG_QUERY__NODE__NODE_A_STAR)
      return Problem(node, kProblemSyntax, "'*' stands only in count(*)");
    parts.emplace_back(StringOf(reference.fields[i]));
  }
  const std::vector<bool> quoted = text_.QuotedParts(reference.location, parts.size());
  if (aggregates_ != nullptr && !inside_aggregate_) {
    if (parts.size() == 1) return BindGroup(node, parts[0], quoted[0]);
    return Problem(node, kProblemUnknownColumn,
                   "column " + Quoted(parts[0] + "." + parts[1]) + " does not exist");
  }
  if (parts.size() > 2)
    return Problem(node, kProblemPlanned, "fields of rows are planned, not in this version");
  const std::string& name = parts.back();
  const bool name_quoted = quoted.back();
  const auto same = [](std::string_view known, std::string_view wanted, bool exact) {
    return exact ? known == wanted : EqualIgnoringCase(known, wanted);
  };
  const Field* found = nullptr;
  const Scope::Input* found_input = nullptr;
  size_t found_index = 0;
  int matches = 0;
  bool alias_known = parts.size() == 1;
  bool twins = false;  // in one input, differing in case
  size_t base = 0;
  std::vector<std::string> known;
  for (const Scope::Input& input : scope_.inputs) {
    const bool here = parts.size() == 1 || same(input.alias, parts[0], quoted[0]);
    alias_known |= here;
    for (size_t i = 0; i < input.schema->size(); ++i) {
      const Field& field = input.schema->fields()[i];
      if (here) known.push_back(field.name);
      if (!here || !same(field.name, name, name_quoted)) continue;
      twins |= found != nullptr && found_input == &input;
      ++matches;
      if (found == nullptr) {
        found = &field;
        found_input = &input;
        found_index = base + i;
      }
    }
    base += input.schema->size();
  }
  if (!alias_known) {
    std::vector<std::string> aliases;
    for (const Scope::Input& input : scope_.inputs) {
      if (!input.alias.empty()) aliases.push_back(input.alias);
    }
    const std::vector<std::string> close = Suggest(parts[0], aliases);
    std::string list;
    for (const std::string& alias : aliases) list += (list.empty() ? "" : ", ") + alias;
    return Problem(node, kProblemUnknownColumn, "there is no input " + Quoted(parts[0]),
                   !close.empty() ? "did you mean " + Quoted(close.front()) + "?"
                   : list.empty() ? ""
                                  : "inputs: " + list);
  }
  if (found == nullptr) {
    const std::vector<std::string> close = Suggest(name, known);
    ExpressionProblem problem;
    problem.code = kProblemUnknownColumn;
    problem.message =
        "column " + Quoted(parts.size() == 1 ? name : parts[0] + "." + name) + " does not exist";
    std::string list;
    for (const Scope::Input& input : scope_.inputs) {
      if (parts.size() == 2 && !same(input.alias, parts[0], quoted[0])) continue;
      for (const Field& field : input.schema->fields()) {
        if (!IsMetadataColumn(field.name)) list += (list.empty() ? "" : ", ") + field.ToString();
      }
    }
    problem.note = "columns: " + list;
    if (!close.empty()) problem.help = "did you mean " + Quoted(close.front()) + "?";
    const TextSpan span = text_.SpanOf(node);
    problem.start = span.start;
    problem.end = span.end;
    if (close.size() == 1 && parts.size() == 1) problem.fix = close.front();
    problems_.push_back(std::move(problem));
    return nullptr;
  }
  if (matches > 1) {
    return Problem(node, kProblemAmbiguous, "column " + Quoted(name) + " is ambiguous",
                   twins ? "quote the one you mean: \\\"" + found->name + "\\\" in the JSON file"
                         : "qualify it by its input: " + found_input->alias + "." + name);
  }
  if (found->name == kProcessingTimeColumn && !scope_.clock_warning.empty()) {
    ExpressionProblem problem;
    problem.code = kProblemClock;
    problem.warning = true;
    problem.message = scope_.clock_warning;
    const TextSpan span = text_.SpanOf(node);
    problem.start = span.start;
    problem.end = span.end;
    problems_.push_back(std::move(problem));
  }
  ExpressionNode column;
  column.kind = NodeKind::kColumn;
  column.type = found->type;
  column.nullable = found->nullable;
  column.evaluate = EvaluateColumn;
  column.text = scope_.inputs.size() > 1 && !found_input->alias.empty()
                    ? found_input->alias + "." + found->name
                    : found->name;
  column.column = ColumnIndex{static_cast<uint16_t>(found_index)};
  column.foldable = false;
  if (column.type.kind > TypeKind::kDuration) {
    return Problem(node, kProblemPlanned,
                   "type " + column.type.ToString() + " is planned, not in this version");
  }
  return std::make_shared<const ExpressionNode>(std::move(column));
}

NodeRef Binder::BindLiteral(const PgQuery__Node* node) {
  const PgQuery__AConst& constant = *node->a_const;
  if (constant.isnull != 0) return MakeNull(Type::Of(TypeKind::kNull));
  switch (constant.val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
      return MakeConstant(OneRow(Type::Of(TypeKind::kInt32), [&](ColumnBuilder& builder) {
        builder.Append<int32_t>(constant.ival->ival);
      }));
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
      return MakeConstant(OneRow(kBoolType, [&](ColumnBuilder& builder) {
        builder.Append<uint8_t>(constant.boolval->boolval != 0 ? 1 : 0);
      }));
    case PG_QUERY__A__CONST__VAL_SVAL: {
      const std::string_view text(constant.sval->sval);
      return MakeConstant(
          OneRow(kStringType, [&](ColumnBuilder& builder) { builder.AppendString(text); }));
    }
    case PG_QUERY__A__CONST__VAL_FVAL:
      break;
    default:
      return Problem(node, kProblemLiteral, "this literal is not allowed");
  }
  const std::string_view digits(constant.fval->fval);
  if (digits.find_first_of("eE") != std::string_view::npos) {
    const std::optional<double> value = ParseFloat(digits);
    if (!value) return Problem(node, kProblemLiteral, Quoted(digits) + " does not fit float64");
    return MakeConstant(OneRow(Type::Of(TypeKind::kFloat64),
                               [&](ColumnBuilder& builder) { builder.Append<double>(*value); }));
  }
  if (digits.find('.') == std::string_view::npos) {
    if (const std::optional<int64_t> value = ParseInteger(digits)) {
      return MakeConstant(OneRow(Type::Of(TypeKind::kInt64),
                                 [&](ColumnBuilder& builder) { builder.Append<int64_t>(*value); }));
    }
  }
  const std::optional<Type> type = DecimalTypeOf(digits);
  const std::optional<Int128> value =
      type ? ParseDecimal(digits, type->precision, type->scale) : std::nullopt;
  if (!value) {
    return Problem(node, kProblemLiteral,
                   "a number of more than " + std::to_string(kDecimalPrecisionMax) + " digits",
                   "write it as float64: 1.5e0");
  }
  return MakeConstant(
      OneRow(*type, [&](ColumnBuilder& builder) { builder.Append<Int128>(*value); }));
}

NodeRef Binder::BindOperator(const PgQuery__Node* node) {
  const PgQuery__AExpr& expression = *node->a_expr;
  if (expression.n_name != 1)
    return Problem(node, kProblemSyntax, "operators qualified by a schema are not allowed");
  switch (expression.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
      break;
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
      return BindDistinct(node, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
      return BindDistinct(node, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
      return BindNullIf(node);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
      return BindIn(node);
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
      return BindLike(node, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
      return BindLike(node, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
      return BindBetween(node, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
      return BindBetween(node, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
      return Problem(node, kProblemPlanned,
                     "ANY and ALL over arrays are planned, not in this version", "write IN (...)");
    default:
      return Problem(node, kProblemSyntax, "this operator is not allowed",
                     "see the operators of the reference");
  }
  const std::string op(StringOf(expression.name[0]));
  return expression.lexpr == nullptr ? BindUnary(node, op) : BindNamedOperator(node, op);
}

NodeRef Binder::BindUnary(const PgQuery__Node* node, const std::string& op) {
  NodeRef operand = Bind(node->a_expr->rexpr);
  if (operand == nullptr) return nullptr;
  if (op == "+" && operand->type.is_numeric()) return operand;
  if (op == "-") {
    if (operand->type.kind == TypeKind::kNull)
      return Problem(node, kProblemUntypedNull, "-NULL has no type",
                     "write CAST(NULL AS int64), say");
    if (const std::optional<Operation> operation = NegationOf(operand->type)) {
      return Strict(operation->result, "-", operation->kernel, {std::move(operand)});
    }
  }
  return Problem(node, kProblemOperator,
                 "operator " + op + " is not defined for " + operand->type.ToString());
}

NodeRef Binder::BindNamedOperator(const PgQuery__Node* node, const std::string& op) {
  static constexpr std::array<std::string_view, 6> kComparisons = {"=", "<>", "<", "<=", ">", ">="};
  NodeRef a = Bind(node->a_expr->lexpr);
  NodeRef b = Bind(node->a_expr->rexpr);
  if (std::find(kComparisons.begin(), kComparisons.end(), op) != kComparisons.end())
    return Compare(op, std::move(a), std::move(b), node);
  if (op.size() == 1 && std::string_view("+-*/%").find(op[0]) != std::string_view::npos)
    return Arithmetic(op[0], std::move(a), std::move(b), node);
  if (a == nullptr || b == nullptr) return nullptr;
  if (op == "||") {
    if (a->type.kind == TypeKind::kNull && b->type.kind == TypeKind::kNull)
      a = MakeNull(kStringType);
    if (a->type.kind == TypeKind::kNull) a = MakeNull(b->type);
    if (b->type.kind == TypeKind::kNull) b = MakeNull(a->type);
    if (a->type == b->type && a->type.is_text()) {
      const Type type = a->type;
      return Strict(type, "||", ConcatKernel(), {std::move(a), std::move(b)});
    }
    return Problem(
        node, kProblemOperator,
        "operator || is not defined for " + a->type.ToString() + " and " + b->type.ToString(),
        "cast to string: " +
            std::string(text_.TextOf(
                text_.SpanOf(a->type.is_text() ? node->a_expr->rexpr : node->a_expr->lexpr))) +
            "::string");
  }
  if (op == "&" || op == "|" || op == "#" || op == "<<" || op == ">>") {
    const bool shift = op.size() == 2;
    if (a->type.kind == TypeKind::kNull)
      a = MakeNull(b->type.is_integer() && !shift ? b->type : Type::Of(TypeKind::kInt64));
    if (b->type.kind == TypeKind::kNull) b = MakeNull(shift ? Type::Of(TypeKind::kInt32) : a->type);
    if (!shift && a->type.is_integer() && b->type.is_integer()) {
      const Type common = *CommonType(a->type, b->type);
      a = Coerce(a, common);
      b = Coerce(b, common);
    }
    if (const std::optional<Operation> operation = BitOperationOf(op[0], a->type, b->type)) {
      return Strict(operation->result, op, operation->kernel, {std::move(a), std::move(b)});
    }
    return Problem(node, kProblemOperator,
                   "operator " + op + " is not defined for " + a->type.ToString() + " and " +
                       b->type.ToString());
  }
  if (op == "~" || op == "~*" || op == "!~" || op == "!~*") {
    if (a->type.kind == TypeKind::kNull) a = MakeNull(kStringType);
    if (a->type.kind != TypeKind::kString || b->type.kind != TypeKind::kString) {
      return Problem(node, kProblemOperator,
                     "operator " + op + " is not defined for " + a->type.ToString() + " and " +
                         b->type.ToString());
    }
    if (b->kind != NodeKind::kConstant || b->nullable) {
      return Problem(node->a_expr->rexpr, kProblemPattern,
                     "a regular expression must be a constant text", "write it in single quotes");
    }
    std::string error;
    auto regex = CompileRegex(b->constant.Values<Utf8View>()[0].view(), op.back() == '*', &error);
    if (regex == nullptr)
      return Problem(node->a_expr->rexpr, kProblemPattern, "not a regular expression: " + error,
                     "the syntax is RE2's");
    NodeRef matches = Strict(kBoolType, op.front() == '!' ? op.substr(1) : op, RegexMatchKernel(),
                             {std::move(a), std::move(b)}, std::move(regex));
    return op.front() == '!' ? Not(std::move(matches)) : matches;
  }
  if (op == "->" || op == "->>")
    return Problem(node, kProblemPlanned,
                   "operator " + op + " of json is planned, not in this version");
  if (op == "^")
    return Problem(node, kProblemOperator, "operator ^ is not defined", "write power(x, y)");
  if (op == "==")
    return Problem(node, kProblemOperator, "operator == is not defined",
                   "SQL compares with a single =");
  if (op == "&&") return Problem(node, kProblemOperator, "operator && is not defined", "write AND");
  return Problem(node, kProblemOperator, "operator " + op + " is not defined",
                 "see the operators of the reference");
}

NodeRef Binder::BindLike(const PgQuery__Node* node, bool ignore_case) {
  const PgQuery__AExpr& expression = *node->a_expr;
  const bool negated = StringOf(expression.name[0]).starts_with('!');
  NodeRef text = Bind(expression.lexpr);
  const PgQuery__Node* pattern_node = expression.rexpr;
  std::optional<char32_t> escape = U'\\';
  // LIKE ... ESCAPE: the parser wraps the pattern into pg_catalog.like_escape(pattern, escape).
  if (pattern_node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
      pattern_node->func_call->n_funcname == 2 &&
      StringOf(pattern_node->func_call->funcname[1]) == "like_escape" &&
      pattern_node->func_call->n_args == 2) {
    const PgQuery__Node* sign = pattern_node->func_call->args[1];
    pattern_node = pattern_node->func_call->args[0];
    const bool literal = sign->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                         sign->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    escape = literal ? EscapeCharacter(sign->a_const->sval->sval) : std::nullopt;
    if (!escape) return Problem(sign, kProblemPattern, "ESCAPE takes one character, or none: ''");
  }
  NodeRef pattern = Bind(pattern_node);
  if (text == nullptr || pattern == nullptr) return nullptr;
  if (text->type.kind == TypeKind::kNull) text = MakeNull(kStringType);
  if (pattern->type.kind == TypeKind::kNull) pattern = MakeNull(kStringType);
  if (text->type.kind != TypeKind::kString || pattern->type.kind != TypeKind::kString) {
    return Problem(
        node, kProblemOperator,
        "LIKE is not defined for " + text->type.ToString() + " and " + pattern->type.ToString(),
        "both sides must be string");
  }
  std::shared_ptr<const LikePattern> compiled;
  if (pattern->kind == NodeKind::kConstant && !pattern->nullable) {
    std::string error;
    compiled =
        CompileLike(pattern->constant.Values<Utf8View>()[0].view(), *escape, ignore_case, &error);
    if (compiled == nullptr) return Problem(pattern_node, kProblemPattern, error);
  } else {
    compiled = DynamicLike(*escape, ignore_case);
  }
  std::string name = ignore_case ? "ILIKE" : "LIKE";
  if (*escape != U'\\') name += " with escape " + std::to_string(static_cast<uint32_t>(*escape));
  NodeRef matches = Strict(kBoolType, std::move(name), LikeKernel(*compiled),
                           {std::move(text), std::move(pattern)}, compiled);
  return negated ? Not(std::move(matches)) : matches;
}

NodeRef Binder::BindIn(const PgQuery__Node* node) {
  const PgQuery__AExpr& expression = *node->a_expr;
  const bool negated = StringOf(expression.name[0]) == "<>";
  std::vector<NodeRef> nodes = {Bind(expression.lexpr)};
  if (expression.rexpr == nullptr || expression.rexpr->node_case != PG_QUERY__NODE__NODE_LIST)
    return Problem(node, kProblemSyntax, "IN takes a list of values");
  const PgQuery__List& list = *expression.rexpr->list;
  for (size_t i = 0; i < list.n_items; ++i) nodes.push_back(Bind(list.items[i]));
  for (const NodeRef& some : nodes) {
    if (some == nullptr) return nullptr;
  }
  if (list.n_items == 1) {
    return Compare(negated ? "<>" : "=", std::move(nodes[0]), std::move(nodes[1]), node);
  }
  if (!Unify(nodes, node, "the values of IN")) return nullptr;
  const Type type = nodes.front()->type;
  if (type.kind == TypeKind::kNull)
    return Problem(node, kProblemUntypedNull, "all values are NULL, so the type is unknown",
                   "write CAST(NULL AS string), say");
  std::vector<NodeRef> constants;
  bool has_null = false;
  bool constant = true;
  for (size_t i = 1; i < nodes.size(); ++i) {
    constant &= nodes[i]->kind == NodeKind::kConstant;
    if (!constant) break;
    if (nodes[i]->nullable) {
      has_null = true;
    } else {
      constants.push_back(nodes[i]);
    }
  }
  if (constant) {
    ExpressionNode in;
    in.type = kBoolType;
    in.text = std::string(negated ? "NOT IN" : "IN") + (has_null ? " NULL," : "");
    in.evaluate = EvaluateStrict;
    in.kernel = InKernel(negated, type);
    in.data = MakeInList(type, constants, has_null);
    in.nullable = nodes[0]->nullable || has_null;
    // The list stays in the tree for its text; the kernel looks only at the first argument.
    in.arguments = {nodes[0]};
    for (const NodeRef& item : constants) in.arguments.push_back(item);
    return Node(std::move(in));
  }
  bool let = false;
  const NodeRef operand = Share(nodes[0], &let);
  std::vector<NodeRef> equalities;
  for (size_t i = 1; i < nodes.size(); ++i)
    equalities.push_back(Compare("=", operand, nodes[i], node));
  NodeRef any = Combine(NodeKind::kOr, std::move(equalities));
  if (negated) any = Not(std::move(any));
  return let ? Let(nodes[0], std::move(any)) : any;
}

NodeRef Binder::BindBetween(const PgQuery__Node* node, bool negated) {
  const PgQuery__AExpr& expression = *node->a_expr;
  const PgQuery__List& bounds = *expression.rexpr->list;
  NodeRef operand = Bind(expression.lexpr);
  NodeRef low = Bind(bounds.items[0]);
  NodeRef high = Bind(bounds.items[1]);
  if (operand == nullptr || low == nullptr || high == nullptr) return nullptr;
  bool let = false;
  const NodeRef shared = Share(operand, &let);
  NodeRef first = Compare(negated ? "<" : ">=", shared, std::move(low), node);
  NodeRef second =
      first == nullptr ? nullptr : Compare(negated ? ">" : "<=", shared, std::move(high), node);
  NodeRef both = first == nullptr || second == nullptr
                     ? nullptr
                     : Combine(negated ? NodeKind::kOr : NodeKind::kAnd,
                               {std::move(first), std::move(second)});
  return let ? Let(std::move(operand), std::move(both)) : both;
}

NodeRef Binder::BindDistinct(const PgQuery__Node* node, bool equal) {
  std::vector<NodeRef> sides = {Bind(node->a_expr->lexpr), Bind(node->a_expr->rexpr)};
  if (sides[0] == nullptr || sides[1] == nullptr ||
      !Unify(sides, node, "the sides of IS DISTINCT FROM"))
    return nullptr;
  const Type type = sides[0]->type;
  ExpressionNode distinct;
  distinct.type = kBoolType;
  distinct.text = equal ? "IS NOT DISTINCT FROM" : "IS DISTINCT FROM";
  distinct.evaluate = EvaluateLenient;
  distinct.kernel = DistinctKernel(equal, type);
  distinct.arguments = std::move(sides);
  return Node(std::move(distinct));
}

NodeRef Binder::BindLogic(const PgQuery__Node* node) {
  const PgQuery__BoolExpr& expression = *node->bool_expr;
  const bool negation = expression.boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR;
  const bool conjunction = expression.boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
  const NodeKind kind = conjunction ? NodeKind::kAnd : NodeKind::kOr;
  std::vector<NodeRef> arguments;
  bool ok = true;
  for (size_t i = 0; i < expression.n_args; ++i) {
    NodeRef argument = BindCondition(expression.args[i], negation      ? "the operand of NOT"
                                                         : conjunction ? "an operand of AND"
                                                                       : "an operand of OR");
    ok &= argument != nullptr;
    if (!ok) continue;
    if (!negation && argument->kind == kind) {
      arguments.insert(arguments.end(), argument->arguments.begin(), argument->arguments.end());
    } else {
      arguments.push_back(std::move(argument));
    }
  }
  if (!ok) return nullptr;
  return negation ? Not(std::move(arguments[0])) : Combine(kind, std::move(arguments));
}

NodeRef Binder::BindIsNull(const PgQuery__Node* node) {
  NodeRef operand = Bind(node->null_test->arg);
  if (operand == nullptr) return nullptr;
  ExpressionNode test;
  test.kind = NodeKind::kIsNull;
  test.type = kBoolType;
  test.evaluate = EvaluateIsNull;
  test.negated = node->null_test->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
  test.text = test.negated ? "IS NOT NULL" : "IS NULL";
  test.arguments = {std::move(operand)};
  return Node(std::move(test));
}

NodeRef Binder::BindIsBool(const PgQuery__Node* node) {
  NodeRef operand =
      BindCondition(node->boolean_test->arg, "the operand of IS TRUE, FALSE and UNKNOWN");
  if (operand == nullptr) return nullptr;
  const int test = static_cast<int>(node->boolean_test->booltesttype);
  ExpressionNode result;
  result.type = kBoolType;
  if (test == PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN ||
      test == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN) {
    result.kind = NodeKind::kIsNull;
    result.evaluate = EvaluateIsNull;
    result.negated = test == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN;
    result.text = result.negated ? "IS NOT NULL" : "IS NULL";
    result.arguments = {std::move(operand)};
    return Node(std::move(result));
  }
  const bool value =
      test == PG_QUERY__BOOL_TEST_TYPE__IS_TRUE || test == PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE;
  const bool equal =
      test == PG_QUERY__BOOL_TEST_TYPE__IS_TRUE || test == PG_QUERY__BOOL_TEST_TYPE__IS_FALSE;
  result.text = equal ? "IS NOT DISTINCT FROM" : "IS DISTINCT FROM";
  result.evaluate = EvaluateLenient;
  result.kernel = DistinctKernel(equal, kBoolType);
  result.arguments = {std::move(operand),
                      MakeConstant(OneRow(kBoolType, [&](ColumnBuilder& builder) {
                        builder.Append<uint8_t>(value ? 1 : 0);
                      }))};
  return Node(std::move(result));
}

NodeRef Binder::BindCase(const PgQuery__Node* node) {
  const PgQuery__CaseExpr& expression = *node->case_expr;
  NodeRef operand;
  NodeRef shared;
  bool let = false;
  bool ok = true;
  if (expression.arg != nullptr) {
    operand = Bind(expression.arg);
    ok = operand != nullptr;
    if (ok) shared = Share(operand, &let);
  }
  std::vector<NodeRef> parts;
  for (size_t i = 0; i < expression.n_args; ++i) {
    const PgQuery__CaseWhen& when = *expression.args[i]->case_when;
    NodeRef condition;
    if (expression.arg == nullptr) {
      condition = BindCondition(when.expr, "the condition of WHEN");
    } else {
      NodeRef value = Bind(when.expr);
      condition = shared == nullptr ? nullptr : Compare("=", shared, std::move(value), when.expr);
    }
    NodeRef result = Bind(when.result);
    ok &= condition != nullptr && result != nullptr;
    parts.push_back(std::move(condition));
    parts.push_back(std::move(result));
  }
  NodeRef otherwise = expression.defresult == nullptr ? MakeNull(Type::Of(TypeKind::kNull))
                                                      : Bind(expression.defresult);
  ok &= otherwise != nullptr;
  NodeRef body = ok ? Case(std::move(parts), std::move(otherwise), node) : nullptr;
  return let ? Let(std::move(operand), std::move(body)) : body;
}

NodeRef Binder::BindCoalesce(const PgQuery__Node* node) {
  const PgQuery__CoalesceExpr& expression = *node->coalesce_expr;
  std::vector<NodeRef> nodes;
  bool ok = true;
  for (size_t i = 0; i < expression.n_args; ++i) {
    nodes.push_back(Bind(expression.args[i]));
    ok &= nodes.back() != nullptr;
  }
  if (!ok || !Unify(nodes, node, "the arguments of coalesce")) return nullptr;
  ExpressionNode coalesce;
  coalesce.kind = NodeKind::kCoalesce;
  coalesce.type = nodes.front()->type;
  coalesce.evaluate = EvaluateCoalesce;
  coalesce.text = "coalesce";
  coalesce.nullable = true;
  for (const NodeRef& some : nodes) coalesce.nullable &= some->nullable;
  coalesce.arguments = std::move(nodes);
  if (coalesce.type.kind == TypeKind::kNull)
    return Problem(node, kProblemUntypedNull, "all arguments are NULL, so the type is unknown");
  return Node(std::move(coalesce));
}

NodeRef Binder::BindExtreme(const PgQuery__Node* node) {
  const PgQuery__MinMaxExpr& expression = *node->min_max_expr;
  const bool greatest = expression.op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
  std::vector<NodeRef> nodes;
  bool ok = true;
  for (size_t i = 0; i < expression.n_args; ++i) {
    nodes.push_back(Bind(expression.args[i]));
    ok &= nodes.back() != nullptr;
  }
  if (!ok || !Unify(nodes, node, greatest ? "the arguments of greatest" : "the arguments of least"))
    return nullptr;
  ExpressionNode extreme;
  extreme.type = nodes.front()->type;
  extreme.evaluate = EvaluateLenient;
  extreme.text = greatest ? "greatest" : "least";
  extreme.nullable = true;
  for (const NodeRef& some : nodes) extreme.nullable &= some->nullable;
  if (extreme.type.kind == TypeKind::kNull)
    return Problem(node, kProblemUntypedNull, "all arguments are NULL, so the type is unknown");
  extreme.kernel = ExtremeKernel(greatest, extreme.type);
  extreme.arguments = std::move(nodes);
  return Node(std::move(extreme));
}

NodeRef Binder::BindNullIf(const PgQuery__Node* node) {
  NodeRef a = Bind(node->a_expr->lexpr);
  NodeRef b = Bind(node->a_expr->rexpr);
  if (a == nullptr || b == nullptr) return nullptr;
  if (a->type.kind == TypeKind::kNull)
    return Problem(node, kProblemUntypedNull, "the first argument of nullif is a bare NULL");
  bool let = false;
  const NodeRef shared = Share(a, &let);
  NodeRef equal = Compare("=", shared, std::move(b), node);
  NodeRef body =
      equal == nullptr ? nullptr : Case({std::move(equal), MakeNull(a->type)}, shared, node);
  return let ? Let(std::move(a), std::move(body)) : body;
}

std::optional<Type> Binder::TypeFromText(std::string_view text) const {
  if (std::optional<Type> type = ParseType(text)) return type;
  const std::optional<TypeKind> kind = TypeByName(text.substr(0, text.find('(')));
  if (!kind) return std::nullopt;
  if (*kind != TypeKind::kDecimal)
    return text.find('(') == std::string_view::npos ? std::optional<Type>(Type::Of(*kind))
                                                    : std::nullopt;
  const size_t open = text.find('(');
  if (open == std::string_view::npos) return std::nullopt;
  std::string spelled = "decimal" + std::string(text.substr(open));
  if (spelled.find(',') == std::string::npos && spelled.back() == ')')
    spelled.insert(spelled.size() - 1, ",0");
  return ParseType(spelled);
}

std::optional<Type> Binder::TypeOf(const PgQuery__TypeName& name, const PgQuery__Node* at) {
  const std::string spelled(name.n_names == 0 ? std::string_view()
                                              : StringOf(name.names[name.n_names - 1]));
  const std::optional<TypeKind> kind = TypeByName(spelled);
  if (!kind || name.setof != 0) {
    std::vector<std::string> known;
    known.reserve(kTypeNames.size());
    for (const NameOfType& entry : kTypeNames) known.emplace_back(entry.name);
    const std::vector<std::string> close = Suggest(spelled, known);
    Problem(at, kProblemCast, "there is no type " + Quoted(spelled),
            close.empty() ? "" : "did you mean " + Quoted(close.front()) + "?");
    return std::nullopt;
  }
  if (name.n_array_bounds != 0 || *kind == TypeKind::kJson) {
    Problem(at, kProblemPlanned, "arrays and json are planned, not in this version");
    return std::nullopt;
  }
  if (*kind != TypeKind::kDecimal) {
    if (name.n_typmods != 0) {
      Problem(at, kProblemCast, "type " + Quoted(spelled) + " takes no parameters here",
              *kind == TypeKind::kDuration
                  ? "write INTERVAL '5 minutes', the unit inside the quotes"
                  : "");
      return std::nullopt;
    }
    return Type::Of(*kind);
  }
  std::array<int, 2> numbers{0, 0};
  bool ok = name.n_typmods == 1 || name.n_typmods == 2;
  for (size_t i = 0; ok && i < name.n_typmods; ++i) {
    const PgQuery__Node* number = name.typmods[i];
    ok = number->node_case == PG_QUERY__NODE__NODE_A_CONST &&
         number->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
    if (ok) numbers[i] = number->a_const->ival->ival;
  }
  if (!ok || numbers[0] < 1 || numbers[0] > kDecimalPrecisionMax || numbers[1] < 0 ||
      numbers[1] > numbers[0]) {
    Problem(at, kProblemCast, "a decimal needs its precision (1 to 38) and scale (0 to precision)",
            "write decimal(18,2)");
    return std::nullopt;
  }
  return Type::Decimal(numbers[0], numbers[1]);
}

NodeRef Binder::BindCast(const PgQuery__Node* node) {
  const PgQuery__TypeCast& cast = *node->type_cast;
  NodeRef operand = Bind(cast.arg);
  if (cast.type_name == nullptr) return nullptr;
  const std::optional<Type> type = TypeOf(*cast.type_name, node);
  if (!type || operand == nullptr) return nullptr;
  // A typed literal, DATE '...', that is none is a mistake in the text, not a bad row.
  if (cast.location < 0 && operand->kind == NodeKind::kConstant &&
      operand->type.kind == TypeKind::kString && !operand->nullable) {
    const std::string_view text = operand->constant.Values<Utf8View>()[0].view();
    if (!ConstantFromText(*type, text)) {
      return Problem(node, kProblemLiteral, Quoted(text) + " is no " + type->ToString(),
                     type->kind == TypeKind::kDuration
                         ? "INTERVAL '1 hour 30 minutes': microseconds to weeks; months and years "
                           "have no fixed length"
                     : type->kind == TypeKind::kTimestamp ? "TIMESTAMP '2026-01-31T12:00:00Z'"
                     : type->kind == TypeKind::kDate      ? "DATE '2026-01-31'"
                                                          : "");
    }
  }
  return Cast(operand, *type, node);
}

NodeRef Binder::BindCall(const PgQuery__Node* node) {
  const PgQuery__FuncCall& call = *node->func_call;
  std::string name(StringOf(call.funcname[call.n_funcname - 1]));
  std::vector<const PgQuery__Node*> raw(call.args, call.args + call.n_args);
  if (call.n_funcname == 2) {
    // Forms of SQL's own grammar arrive as calls in pg_catalog.
    if (call.funcformat != PG_QUERY__COERCION_FORM__COERCE_SQL_SYNTAX)
      return Problem(node, kProblemSyntax, "names qualified by a schema are not allowed");
    if (name == "extract") name = "date_part";
    if (name == "position") name = "strpos";
    if (name == "timezone") {
      name = "at_time_zone";
      std::swap(raw[0], raw[1]);
    }
  } else if (call.n_funcname != 1) {
    return Problem(node, kProblemSyntax, "names qualified by a schema are not allowed");
  }
  if (call.over != nullptr)
    return Problem(node, kProblemSyntax, "OVER is not allowed",
                   "rankings and windows are nodes: top_n, aggregate");
  if (call.agg_within_group != 0)
    return Problem(node, kProblemSyntax, "WITHIN GROUP is not allowed",
                   name.starts_with("percentile") ? "write percentile(x, 0.99)" : "");
  if (call.func_variadic != 0) return Problem(node, kProblemSyntax, "VARIADIC is not allowed");
  const Function* function = FindFunction(name);
  if (function == nullptr) {
    if (name == "now") {
      return Problem(node, kProblemUnknownFunction,
                     "function 'now' does not exist: expressions have no clock",
                     "time comes from columns: _event_time, or _processing_time");
    }
    std::vector<std::string> known;
    for (const Function& entry : FunctionTable()) {
      if (!entry.doc.planned) known.emplace_back(entry.doc.name);
    }
    ExpressionProblem problem;
    problem.code = kProblemUnknownFunction;
    problem.message = "function " + Quoted(name) + " does not exist";
    const std::vector<std::string> close = Suggest(name, known);
    if (!close.empty()) problem.help = "did you mean " + Quoted(close.front()) + "?";
    const TextSpan span = call.location >= 0 ? text_.TokenAt(call.location) : text_.SpanOf(node);
    problem.start = span.start;
    problem.end = span.end;
    if (close.size() == 1) problem.fix = close.front();
    problems_.push_back(std::move(problem));
    return nullptr;
  }
  if (function->doc.planned)
    return Problem(node, kProblemPlanned,
                   "function " + Quoted(name) + " is planned, not in this version");
  if (function->doc.aggregate) return BindAggregate(*function, node);
  if (call.agg_distinct != 0 || call.agg_filter != nullptr || call.n_agg_order != 0 ||
      call.agg_star != 0) {
    return Problem(
        node, kProblemAggregate,
        Quoted(name) + " is no aggregate: DISTINCT, FILTER, ORDER BY and * have no meaning in it");
  }
  return BindKnownCall(*function, node, std::move(raw));
}

bool Binder::BindArguments(FunctionCall& call) {
  bool ok = true;
  for (const PgQuery__Node* argument : call.raw) {
    call.arguments.push_back(Bind(argument));
    ok &= call.arguments.back() != nullptr;
  }
  return ok;
}

NodeRef Binder::BindKnownCall(const Function& function, const PgQuery__Node* node,
                              std::vector<const PgQuery__Node*> raw) {
  FunctionCall call{function, node, std::move(raw), {}};
  if (function.bind == nullptr) return BindArguments(call) ? BindSimple(call) : nullptr;
  const auto count = static_cast<int>(call.raw.size());
  if (count < function.least || count > function.most) {
    if (!function.binds_arguments) BindArguments(call);
    return Problem(node, kProblemArguments,
                   std::string(function.doc.name) + " does not take " + std::to_string(count) +
                       (count == 1 ? " argument" : " arguments"),
                   "its form is " + std::string(function.doc.signature));
  }
  if (!function.binds_arguments && !BindArguments(call)) return nullptr;
  return function.bind(*this, call);
}

NodeRef Binder::BindSimple(FunctionCall& call) {
  size_t used = 0;
  bool optional = false;
  for (const char* letter = call.function.parameters; *letter != '\0'; ++letter) {
    if (*letter == '?') {
      optional = true;
      continue;
    }
    if (used == call.arguments.size()) {
      if (optional) break;
      return WrongArguments(call);
    }
    NodeRef& argument = call.arguments[used++];
    const Type& type = argument->type;
    const bool null = type.kind == TypeKind::kNull;
    TypeKind wanted = TypeKind::kString;
    bool fits = false;
    switch (*letter) {
      case 's':
        fits = type.kind == TypeKind::kString;
        break;
      case 'y':
        wanted = TypeKind::kBytes;
        fits = type.kind == TypeKind::kBytes;
        break;
      case 'i':
        wanted = TypeKind::kInt64;
        fits = type.is_integer();
        break;
      case 'n':
        wanted = TypeKind::kFloat64;
        fits = type.is_numeric();
        break;
      case 't':
        wanted = TypeKind::kTimestamp;
        fits = type.kind == TypeKind::kTimestamp || type.kind == TypeKind::kDate;
        break;
      case 'u':
        wanted = TypeKind::kDuration;
        fits = type.kind == TypeKind::kDuration;
        break;
      default:
        wanted = TypeKind::kBool;
        fits = type.kind == TypeKind::kBool;
        break;
    }
    if (!fits && !null) return WrongArguments(call);
    argument = Coerce(argument, Type::Of(wanted));
    if (argument == nullptr) return nullptr;
  }
  if (used != call.arguments.size()) return WrongArguments(call);
  return Strict(Type::Of(call.function.result), std::string(call.function.doc.name),
                call.function.kernel, std::move(call.arguments), nullptr,
                call.function.may_be_null);
}

}  // namespace weir
