#include "engine/data/types.h"

#include <array>
#include <charconv>

namespace weir {
namespace {

struct TypeName {
  std::string_view name;
  TypeKind kind;
};
constexpr std::array<TypeName, 11> kPlainTypes = {{
    {"bool", TypeKind::kBool},
    {"int32", TypeKind::kInt32},
    {"int64", TypeKind::kInt64},
    {"float32", TypeKind::kFloat32},
    {"float64", TypeKind::kFloat64},
    {"string", TypeKind::kString},
    {"bytes", TypeKind::kBytes},
    {"date", TypeKind::kDate},
    {"timestamp", TypeKind::kTimestamp},
    {"duration", TypeKind::kDuration},
    {"json", TypeKind::kJson},
}};
constexpr int kTypeDepthMax = 16;

/// Recursive descent over a type's text; every method answers false or empty at the first fault.
class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : left_(text) {}

  std::optional<Type> Whole() {
    std::optional<Type> type = One(0);
    Blanks();
    return left_.empty() ? type : std::nullopt;
  }

 private:
  std::optional<Type> One(int depth) {
    if (depth > kTypeDepthMax) return std::nullopt;
    const std::string_view name = Name();
    if (name == "decimal") return DecimalRest();
    if (name == "array" || name == "map" || name == "row") return NestedRest(name, depth);
    for (const TypeName& plain : kPlainTypes) {
      if (plain.name == name) return Type::Of(plain.kind);
    }
    return std::nullopt;
  }

  std::optional<Type> DecimalRest() {
    int precision = 0;
    int scale = 0;
    if (!Sign('(') || !Number(&precision) || !Sign(',') || !Number(&scale) || !Sign(')'))
      return std::nullopt;
    if (precision < 1 || precision > kDecimalPrecisionMax || scale > precision) return std::nullopt;
    return Type::Decimal(precision, scale);
  }

  std::optional<Type> NestedRest(std::string_view name, int depth) {
    auto children = std::make_shared<std::vector<Type>>();
    if (!Sign('<')) return std::nullopt;
    do {
      if (name == "row" && Name().empty()) return std::nullopt;  // the field's name
      const std::optional<Type> child = One(depth + 1);
      if (!child) return std::nullopt;
      children->push_back(*child);
      Sign('?');
    } while (Sign(','));
    if (!Sign('>')) return std::nullopt;
    const bool map = name == "map";
    if (map && (children->size() != 2 || children->front().kind != TypeKind::kString))
      return std::nullopt;
    if (name == "array" && children->size() != 1) return std::nullopt;
    Type type = Type::Of(map ? TypeKind::kMap : name == "row" ? TypeKind::kRow : TypeKind::kArray);
    type.children = std::move(children);
    return type;
  }

  void Blanks() {
    while (!left_.empty() && left_.front() == ' ') left_.remove_prefix(1);
  }
  bool Sign(char sign) {
    Blanks();
    if (left_.empty() || left_.front() != sign) return false;
    left_.remove_prefix(1);
    return true;
  }
  bool Number(int* value) {
    Blanks();
    const auto [end, error] = std::from_chars(left_.data(), left_.data() + left_.size(), *value);
    if (error != std::errc() || *value < 0) return false;
    left_.remove_prefix(static_cast<size_t>(end - left_.data()));
    return true;
  }
  std::string_view Name() {
    Blanks();
    size_t size = 0;
    while (size < left_.size() &&
           (std::string_view("_").find(left_[size]) != std::string_view::npos ||
            (left_[size] >= 'a' && left_[size] <= 'z') ||
            (left_[size] >= 'A' && left_[size] <= 'Z') ||
            (left_[size] >= '0' && left_[size] <= '9'))) {
      ++size;
    }
    const std::string_view name = left_.substr(0, size);
    left_.remove_prefix(size);
    return name;
  }

  std::string_view left_;
};

}  // namespace

std::string Type::ToString() const {
  for (const TypeName& plain : kPlainTypes) {
    if (plain.kind == kind) return std::string(plain.name);
  }
  switch (kind) {
    case TypeKind::kDecimal:
      return "decimal(" + std::to_string(precision) + "," + std::to_string(scale) + ")";
    case TypeKind::kNull:
      return "null";
    case TypeKind::kArray:
      return "array";
    case TypeKind::kMap:
      return "map";
    default:
      return "row";
  }
}

size_t Type::width() const {
  return VisitKind(kind, []<TypeKind kKind>() { return sizeof(Physical<kKind>); });
}

std::optional<Type> ParseType(std::string_view text) {
  // Blanks are allowed inside only: a name of a job file is compared as it stands.
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return std::nullopt;
  return TypeParser(text).Whole();
}

}  // namespace weir
