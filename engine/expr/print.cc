// Expression::ToString: normalised text of a tree. Equal trees print alike and unequal ones do not:
// constants carry their type where their text leaves it open, casts their target, and every
// operation its brackets. It is part of the meaning of state, so it changes only with the level of
// the job format.

#include "engine/expr/node.h"

namespace weir {
namespace {

bool IsPlainName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) return false;
  }
  return true;
}

std::string Constant(const ExpressionNode& node) {
  if (node.nullable) return "NULL::" + node.type.ToString();
  const std::string value = node.type.kind == TypeKind::kString
                                ? std::string(node.constant.Values<Utf8View>()[0].view())
                                : ValueToString(node.constant, 0);
  if (node.type.is_text()) {
    std::string quoted = "'";
    for (const char c : value) {
      if (c == '\'')
        quoted += "''";
      else
        quoted += c;
    }
    quoted += "'";
    return node.type.kind == TypeKind::kString ? quoted : quoted + "::" + node.type.ToString();
  }
  return node.type.kind == TypeKind::kBool ? value : value + "::" + node.type.ToString();
}

std::string Print(const ExpressionNode& node);

std::string Joined(const std::vector<NodeRef>& nodes, size_t first, std::string_view separator) {
  std::string text;
  for (size_t i = first; i < nodes.size(); ++i) {
    if (i != first) text += separator;
    text += Print(*nodes[i]);
  }
  return text;
}

bool IsWordOrSign(std::string_view text) {
  return text == "LIKE" || text == "ILIKE" || text.starts_with("LIKE ") ||
         text.starts_with("ILIKE ") || text.starts_with("IS ");
}
bool IsInfix(const ExpressionNode& node) {
  const std::string& text = node.text;
  if (node.arguments.size() != 2 || text.empty()) return false;
  const char c = text[0];
  return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) || IsWordOrSign(text);
}

std::string Print(const ExpressionNode& node) {
  switch (node.kind) {
    case NodeKind::kColumn:
      if (IsPlainName(node.text)) return node.text;
      return "\"" + node.text + "\"";
    case NodeKind::kConstant:
      return Constant(node);
    case NodeKind::kSlot:
      return "$" + std::to_string(node.slot);
    case NodeKind::kLet:
      return "let($" + std::to_string(node.slot) + " = " + Print(*node.arguments[0]) + ", " +
             Print(*node.arguments[1]) + ")";
    case NodeKind::kAnd:
      return "(" + Joined(node.arguments, 0, " AND ") + ")";
    case NodeKind::kOr:
      return "(" + Joined(node.arguments, 0, " OR ") + ")";
    case NodeKind::kNot:
      return "(NOT " + Print(*node.arguments[0]) + ")";
    case NodeKind::kIsNull:
      return "(" + Print(*node.arguments[0]) + " " + node.text + ")";
    case NodeKind::kCase: {
      std::string text = "CASE";
      for (size_t i = 0; i + 1 < node.arguments.size(); i += 2)
        text += " WHEN " + Print(*node.arguments[i]) + " THEN " + Print(*node.arguments[i + 1]);
      return text + " ELSE " + Print(*node.arguments.back()) + " END";
    }
    default:
      break;
  }
  if (node.text == "cast")
    return "CAST(" + Print(*node.arguments[0]) + " AS " + node.type.ToString() + ")";
  if (node.text.starts_with("IN") || node.text.starts_with("NOT IN")) {
    return "(" + Print(*node.arguments[0]) + " " + node.text + " (" +
           Joined(node.arguments, 1, ", ") + "))";
  }
  if (IsInfix(node))
    return "(" + Print(*node.arguments[0]) + " " + node.text + " " + Print(*node.arguments[1]) +
           ")";
  return node.text + "(" + Joined(node.arguments, 0, ", ") + ")";
}

}  // namespace

std::string Expression::ToString() const {
  return root_ == nullptr ? std::string() : Print(*root_);
}

}  // namespace weir
