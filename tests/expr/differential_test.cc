// Random expressions, evaluated by the engine a batch at a time and by the evaluator below, which
// knows nothing of it: one row at a time, straight from the rules of three-valued logic and of what
// is computed while undecided. Values and failing rows must agree in every cut of the batch.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/data/row_builder.h"
#include "tests/expr/rows.h"

namespace weir {
namespace {

enum class Kind : uint8_t { kInt, kBool, kText };

/// Outcome of one row: failed, NULL, or a value.
struct Outcome {
  bool failed = false, null = false;
  int64_t number = 0;  // bools: 0, 1
  std::string text;
  static Outcome Null() { return {.failed = false, .null = true, .number = 0, .text = {}}; }
  static Outcome Failed() { return {.failed = true, .null = false, .number = 0, .text = {}}; }
  static Outcome Of(int64_t number) {
    return {.failed = false, .null = false, .number = number, .text = {}};
  }
  static Outcome Of(std::string text) {
    return {.failed = false, .null = false, .number = 0, .text = std::move(text)};
  }
  bool is_true() const { return !failed && !null && number != 0; }
};

struct Row {
  std::vector<Outcome> values;
};

struct Formula {
  Kind kind;
  std::string sql;
  std::function<Outcome(const Row&)> evaluate;
};

struct TestColumn {
  std::string name;
  Kind kind;
};
const std::vector<TestColumn>& Columns() {
  static const std::vector<TestColumn> kColumns = {
      {"i", Kind::kInt},  {"j", Kind::kInt},  {"k", Kind::kInt}, {"b", Kind::kBool},
      {"c", Kind::kBool}, {"s", Kind::kText}, {"t", Kind::kText}};
  return kColumns;
}

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Formula Make(Kind kind, int depth) {
    if (depth == 0) return Leaf(kind);
    switch (Pick(4)) {
      case 0:
        return Leaf(kind);
      case 1:
        return Common(kind, depth);
      default:
        break;
    }
    switch (kind) {
      case Kind::kInt:
        return Number(depth);
      case Kind::kBool:
        return Truth(depth);
      default:
        return Text(depth);
    }
  }
  uint32_t Pick(uint32_t count) { return static_cast<uint32_t>(random_() % count); }
  Kind AnyKind() { return static_cast<Kind>(Pick(3)); }

 private:
  Formula Leaf(Kind kind) {
    if (Pick(3) != 0) {
      std::vector<size_t> fitting;
      for (size_t i = 0; i < Columns().size(); ++i) {
        if (Columns()[i].kind == kind) fitting.push_back(i);
      }
      const size_t column = fitting[Pick(static_cast<uint32_t>(fitting.size()))];
      return {kind, Columns()[column].name,
              [column](const Row& row) { return row.values[column]; }};
    }
    const bool null = Pick(6) == 0;
    if (kind == Kind::kInt) {
      if (null) return {kind, "NULL::int64", [](const Row&) { return Outcome::Null(); }};
      static const std::vector<std::pair<std::string, int64_t>> kLiterals = {
          {"0::int64", 0},
          {"1::int64", 1},
          {"(-1)::int64", -1},
          {"7::int64", 7},
          {"9223372036854775807", INT64_MAX},
          {"(-9223372036854775807 - 1)", INT64_MIN},
          {"123::int64", 123}};
      const auto& [sql, value] = kLiterals[Pick(static_cast<uint32_t>(kLiterals.size()))];
      return {kind, sql, [number = value](const Row&) { return Outcome::Of(number); }};
    }
    if (kind == Kind::kBool) {
      if (null) return {kind, "NULL::bool", [](const Row&) { return Outcome::Null(); }};
      const bool value = Pick(2) == 0;
      return {kind, value ? "TRUE" : "FALSE",
              [value](const Row&) { return Outcome::Of(value ? 1 : 0); }};
    }
    if (null) return {kind, "NULL::string", [](const Row&) { return Outcome::Null(); }};
    static const std::vector<std::string> kLiterals = {
        "", "a", "12", "abcdefghijkl", "abcdefghijklm", "x longer text than a view holds"};
    const std::string& value = kLiterals[Pick(static_cast<uint32_t>(kLiterals.size()))];
    return {kind, "'" + value + "'", [value](const Row&) { return Outcome::Of(value); }};
  }

  /// CASE, if, coalesce, nullif, try.
  Formula Common(Kind kind, int depth) {
    switch (Pick(5)) {
      case 0: {
        const auto c1 = Make(Kind::kBool, depth - 1), r1 = Make(kind, depth - 1),
                   c2 = Make(Kind::kBool, depth - 1), r2 = Make(kind, depth - 1),
                   other = Make(kind, depth - 1);
        return {
            kind,
            "(CASE WHEN " + c1.sql + " THEN " + r1.sql + " WHEN " + c2.sql + " THEN " + r2.sql +
                " ELSE " + other.sql + " END)",
            [=](const Row& row) {
              for (const auto& [condition, result] : {std::pair(&c1, &r1), std::pair(&c2, &r2)}) {
                Outcome holds = condition->evaluate(row);
                if (holds.failed) return holds;
                if (holds.is_true()) return result->evaluate(row);
              }
              return other.evaluate(row);
            }};
      }
      case 1: {
        const auto c = Make(Kind::kBool, depth - 1), x = Make(kind, depth - 1),
                   y = Make(kind, depth - 1);
        return {kind, "if(" + c.sql + ", " + x.sql + ", " + y.sql + ")", [=](const Row& row) {
                  Outcome holds = c.evaluate(row);
                  if (holds.failed) return holds;
                  return holds.is_true() ? x.evaluate(row) : y.evaluate(row);
                }};
      }
      case 2: {
        const auto x = Make(kind, depth - 1), y = Make(kind, depth - 1), z = Make(kind, depth - 1);
        return {kind, "coalesce(" + x.sql + ", " + y.sql + ", " + z.sql + ")", [=](const Row& row) {
                  for (const Formula* part : {&x, &y, &z}) {
                    Outcome value = part->evaluate(row);
                    if (value.failed || !value.null) return value;
                  }
                  return Outcome::Null();
                }};
      }
      case 3: {
        const auto x = Make(kind, depth - 1), y = Make(kind, depth - 1);
        return {kind, "nullif(" + x.sql + ", " + y.sql + ")", [=](const Row& row) {
                  const Outcome a = x.evaluate(row);
                  const Outcome b = y.evaluate(row);
                  if (a.failed || b.failed) return Outcome::Failed();
                  return !a.null && !b.null && a.number == b.number && a.text == b.text
                             ? Outcome::Null()
                             : a;
                }};
      }
      default: {
        const auto x = Make(kind, depth - 1);
        return {kind, "try(" + x.sql + ")", [=](const Row& row) {
                  const Outcome value = x.evaluate(row);
                  return value.failed ? Outcome::Null() : value;
                }};
      }
    }
  }

  static Formula Strict2(Kind kind, std::string sql, const Formula& a, const Formula& b,
                         std::function<Outcome(const Outcome&, const Outcome&)> apply) {
    return {kind, std::move(sql), [=](const Row& row) {
              const Outcome x = a.evaluate(row);
              const Outcome y = b.evaluate(row);
              if (x.failed || y.failed) return Outcome::Failed();
              return x.null || y.null ? Outcome::Null() : apply(x, y);
            }};
  }

  Formula Number(int depth) {
    if (Pick(5) == 0) {
      const auto x = Make(Kind::kText, depth - 1);
      return {Kind::kInt, "length(" + x.sql + ")", [=](const Row& row) {
                const Outcome value = x.evaluate(row);
                return value.failed || value.null
                           ? value
                           : Outcome::Of(static_cast<int64_t>(value.text.size()));
              }};
    }
    if (Pick(6) == 0) {
      const auto x = Make(Kind::kText, depth - 1);
      return {Kind::kInt, "CAST(" + x.sql + " AS int64)", [=](const Row& row) {
                Outcome value = x.evaluate(row);
                if (value.failed || value.null) return value;
                size_t digits = 0;
                const bool minus = value.text.starts_with('-');
                for (size_t i = minus ? 1 : 0; i < value.text.size(); ++i)
                  digits += value.text[i] >= '0' && value.text[i] <= '9' ? 1 : 0;
                if (digits == 0 || digits + (minus ? 1 : 0) != value.text.size() || digits > 19)
                  return Outcome::Failed();
                try {
                  return Outcome::Of(static_cast<int64_t>(std::stoll(value.text)));
                } catch (const std::out_of_range&) {
                  return Outcome::Failed();
                }
              }};
    }
    const auto a = Make(Kind::kInt, depth - 1), b = Make(Kind::kInt, depth - 1);
    const char op = "+-*/%"[Pick(5)];
    return Strict2(Kind::kInt, "(" + a.sql + " " + op + " " + b.sql + ")", a, b,
                   [op](const Outcome& x, const Outcome& y) {
                     const auto p = static_cast<Int128>(x.number);
                     const auto q = static_cast<Int128>(y.number);
                     if ((op == '/' || op == '%') && q == 0) return Outcome::Failed();
                     const Int128 result = op == '+'   ? p + q
                                           : op == '-' ? p - q
                                           : op == '*' ? p * q
                                           : op == '/' ? p / q
                                                       : p % q;
                     if (result > INT64_MAX || result < INT64_MIN) return Outcome::Failed();
                     return Outcome::Of(static_cast<int64_t>(result));
                   });
  }

  static int Order(const Outcome& x, const Outcome& y, Kind kind) {
    if (kind == Kind::kText) return x.text < y.text ? -1 : x.text == y.text ? 0 : 1;
    return x.number < y.number ? -1 : x.number == y.number ? 0 : 1;
  }

  Formula Truth(int depth) {
    switch (Pick(7)) {
      case 0:
      case 1: {
        const bool conjunction = Pick(2) == 0;
        const auto a = Make(Kind::kBool, depth - 1), b = Make(Kind::kBool, depth - 1),
                   c = Make(Kind::kBool, depth - 1);
        const std::string word = conjunction ? " AND " : " OR ";
        return {Kind::kBool, "(" + a.sql + word + b.sql + word + c.sql + ")", [=](const Row& row) {
                  bool unknown = false;
                  for (const Formula* part : {&a, &b, &c}) {
                    Outcome value = part->evaluate(row);
                    if (value.failed) return value;
                    if (value.null) {
                      unknown = true;
                    } else if ((value.number != 0) != conjunction) {
                      return Outcome::Of(conjunction ? 0 : 1);
                    }
                  }
                  return unknown ? Outcome::Null() : Outcome::Of(conjunction ? 1 : 0);
                }};
      }
      case 2: {
        const auto a = Make(Kind::kBool, depth - 1);
        return {Kind::kBool, "(NOT " + a.sql + ")", [=](const Row& row) {
                  const Outcome value = a.evaluate(row);
                  return value.failed || value.null ? value
                                                    : Outcome::Of(value.number == 0 ? 1 : 0);
                }};
      }
      case 3: {
        const Kind kind = AnyKind();
        const auto a = Make(kind, depth - 1);
        const bool negated = Pick(2) == 0;
        return {Kind::kBool, "(" + a.sql + (negated ? " IS NOT NULL)" : " IS NULL)"),
                [=](const Row& row) {
                  const Outcome value = a.evaluate(row);
                  return value.failed ? value : Outcome::Of(value.null != negated ? 1 : 0);
                }};
      }
      case 4: {
        const Kind kind = AnyKind();
        const auto a = Make(kind, depth - 1), b = Make(kind, depth - 1);
        return {Kind::kBool, "(" + a.sql + " IS DISTINCT FROM " + b.sql + ")", [=](const Row& row) {
                  const Outcome x = a.evaluate(row);
                  const Outcome y = b.evaluate(row);
                  if (x.failed || y.failed) return Outcome::Failed();
                  const bool same = x.null == y.null && (x.null || Order(x, y, kind) == 0);
                  return Outcome::Of(same ? 0 : 1);
                }};
      }
      case 5: {
        const bool text = Pick(2) == 0;
        const auto a = Make(text ? Kind::kText : Kind::kInt, depth - 1);
        const bool negated = Pick(2) == 0;
        const std::string list = text ? "('a', '12', NULL, 'abcdefghijklm')" : "(1, 7, 123)";
        return {Kind::kBool, "(" + a.sql + (negated ? " NOT IN " : " IN ") + list + ")",
                [=](const Row& row) {
                  Outcome value = a.evaluate(row);
                  if (value.failed || value.null) return value;
                  const bool found =
                      text
                          ? value.text == "a" || value.text == "12" || value.text == "abcdefghijklm"
                          : value.number == 1 || value.number == 7 || value.number == 123;
                  if (!found && text) return Outcome::Null();
                  return Outcome::Of(found != negated ? 1 : 0);
                }};
      }
      default: {
        const Kind kind = AnyKind();
        const auto a = Make(kind, depth - 1), b = Make(kind, depth - 1);
        const uint32_t which = Pick(7);
        if (which == 6) {
          const auto c = Make(kind, depth - 1);
          return {Kind::kBool, "(" + a.sql + " BETWEEN " + b.sql + " AND " + c.sql + ")",
                  [=](const Row& row) {
                    const Outcome x = a.evaluate(row);
                    const Outcome low = b.evaluate(row);
                    if (x.failed || low.failed) return Outcome::Failed();
                    if (!x.null && !low.null && Order(x, low, kind) < 0) return Outcome::Of(0);
                    const Outcome high = c.evaluate(row);
                    if (high.failed) return Outcome::Failed();
                    if (!x.null && !high.null && Order(x, high, kind) > 0) return Outcome::Of(0);
                    return x.null || low.null || high.null ? Outcome::Null() : Outcome::Of(1);
                  }};
        }
        static const std::vector<std::string> kSigns = {"=", "<>", "<", "<=", ">", ">="};
        return Strict2(Kind::kBool, "(" + a.sql + " " + kSigns[which] + " " + b.sql + ")", a, b,
                       [kind, which](const Outcome& x, const Outcome& y) {
                         const int order = Order(x, y, kind);
                         const bool holds = which == 0   ? order == 0
                                            : which == 1 ? order != 0
                                            : which == 2 ? order < 0
                                            : which == 3 ? order <= 0
                                            : which == 4 ? order > 0
                                                         : order >= 0;
                         return Outcome::Of(holds ? 1 : 0);
                       });
      }
    }
  }

  Formula Text(int depth) {
    switch (Pick(4)) {
      case 0: {
        const auto a = Make(Kind::kInt, depth - 1);
        return {Kind::kText, a.sql + "::string", [=](const Row& row) {
                  const Outcome value = a.evaluate(row);
                  return value.failed || value.null ? value
                                                    : Outcome::Of(std::to_string(value.number));
                }};
      }
      case 1: {
        const auto a = Make(Kind::kText, depth - 1);
        const int64_t start = static_cast<int64_t>(Pick(6)) - 2;
        const int64_t length = Pick(9);
        return {Kind::kText,
                "substring(" + a.sql + ", " + std::to_string(start) + ", " +
                    std::to_string(length) + ")",
                [=](const Row& row) {
                  Outcome value = a.evaluate(row);
                  if (value.failed || value.null) return value;
                  std::string part;
                  for (int64_t at = start; at < start + length; ++at) {
                    if (at >= 1 && at <= static_cast<int64_t>(value.text.size()))
                      part += value.text[static_cast<size_t>(at - 1)];
                  }
                  return Outcome::Of(part);
                }};
      }
      case 2: {
        const auto a = Make(Kind::kText, depth - 1);
        return {Kind::kText, "upper(" + a.sql + ")", [=](const Row& row) {
                  Outcome value = a.evaluate(row);
                  for (char& c : value.text) {
                    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
                  }
                  return value;
                }};
      }
      default: {
        const auto a = Make(Kind::kText, depth - 1), b = Make(Kind::kText, depth - 1);
        return Strict2(
            Kind::kText, "(" + a.sql + " || " + b.sql + ")", a, b,
            [](const Outcome& x, const Outcome& y) { return Outcome::Of(x.text + y.text); });
      }
    }
  }

  std::mt19937 random_;
};

struct Data {
  SchemaRef schema;
  Batch batch;
  std::vector<Row> rows;
};

Data MakeData(uint32_t seed, uint32_t rows) {
  std::mt19937 random(seed);
  Data data;
  data.schema =
      testing::MakeSchema("i int64?, j int64, k int64?, b bool?, c bool, s string?, t string?");
  RowBuilder builder(data.schema, 1U << 20, size_t{1} << 30);
  const std::vector<int64_t> numbers = {
      0, 1, -1, 2, 7, 12, 123, -123, INT64_MAX, INT64_MIN, 4611686018427387904, 1000000};
  const std::vector<std::string> texts = {"",
                                          "a",
                                          "12",
                                          "-7",
                                          "b",
                                          "abcdefghijkl",
                                          "abcdefghijklm",
                                          "some text that is longer",
                                          "99999999999999999999"};
  for (uint32_t row = 0; row < rows; ++row) {
    Row values;
    for (size_t column = 0; column < data.schema->size(); ++column) {
      const Field& field = data.schema->fields()[column];
      if (field.nullable && random() % 4 == 0) {
        builder.column(column).AppendNull();
        values.values.push_back(Outcome::Null());
      } else if (field.type.kind == TypeKind::kInt64) {
        const int64_t number = numbers[random() % numbers.size()];
        builder.column(column).Append<int64_t>(number);
        values.values.push_back(Outcome::Of(number));
      } else if (field.type.kind == TypeKind::kBool) {
        const auto truth = static_cast<uint8_t>(random() % 2);
        builder.column(column).Append<uint8_t>(truth);
        values.values.push_back(Outcome::Of(int64_t{truth}));
      } else {
        const std::string& text = texts[random() % texts.size()];
        builder.column(column).AppendString(text);
        values.values.push_back(Outcome::Of(text));
      }
    }
    builder.FinishRow();
    data.rows.push_back(std::move(values));
  }
  data.batch = builder.Build();
  return data;
}

std::string TextOf(const Outcome& outcome, Kind kind) {
  if (outcome.failed) return "!";
  if (outcome.null) return "NULL";
  return kind == Kind::kText   ? outcome.text
         : kind == Kind::kBool ? (outcome.number != 0 ? "true" : "false")
                               : std::to_string(outcome.number);
}

TEST(Differential, RandomExpressionsAgreeWithARowAtATime) {
  constexpr int kExpressions = 1500;
  int bound_count = 0, failing_rows = 0, rows_checked = 0;
  for (uint32_t seed = 0; seed < kExpressions; ++seed) {
    Generator generator(seed);
    const Kind kind = generator.AnyKind();
    const Formula formula = generator.Make(kind, 4);
    const Data data = MakeData(seed + 1000, 70 + seed % 60);
    const BindResult bound = BindExpression(formula.sql, testing::MakeScope(data.schema), {});
    if (!bound.expression) {
      for (const ExpressionProblem& problem : bound.problems) {
        if (!problem.warning && problem.code != "W0403")
          ADD_FAILURE() << formula.sql << ": " << problem.code << " " << problem.message;
      }
      continue;
    }
    ++bound_count;
    std::vector<std::string> expected;
    for (const Row& row : data.rows) {
      expected.push_back(TextOf(formula.evaluate(row), kind));
      failing_rows += expected.back() == "!" ? 1 : 0;
      ++rows_checked;
    }
    const auto check = [&](uint32_t first, uint32_t count) {
      RowErrors errors;
      const Column column = bound.expression.Evaluate(data.batch.Slice(first, count), errors);
      std::vector<std::string> values = testing::Values(column, errors);
      for (uint32_t row = 0; row < count; ++row) {
        const std::string value = values[row].starts_with("!expression.") ? "!" : values[row];
        if (value != expected[first + row]) {
          ADD_FAILURE() << "seed " << seed << ": " << formula.sql << "\n"
                        << data.batch.RowToString(first + row) << "\nengine " << values[row]
                        << ", expected " << expected[first + row];
          return false;
        }
      }
      return true;
    };
    const uint32_t rows = data.batch.rows();
    if (!check(0, rows) || !check(generator.Pick(rows), 1)) return;
    const uint32_t first = generator.Pick(rows);
    if (!check(first, rows - first)) return;
    if (kind == Kind::kBool) {
      RowErrors errors;
      const Selection passed = bound.expression.SelectTrue(data.batch, errors);
      std::vector<uint32_t> wanted;
      for (uint32_t row = 0; row < rows; ++row) {
        if (expected[row] == "true") wanted.push_back(row);
        EXPECT_EQ(errors.Has(row), expected[row] == "!") << formula.sql << " row " << row;
      }
      EXPECT_EQ(std::vector<uint32_t>(passed.begin(), passed.end()), wanted) << formula.sql;
    }
  }
  // The generator makes what it is meant to: most expressions bind, and rows that fail are among
  // them, but not the rule.
  EXPECT_GT(bound_count, kExpressions * 9 / 10);
  EXPECT_GT(failing_rows, rows_checked / 100);
  EXPECT_LT(failing_rows, rows_checked / 2);
}

}  // namespace
}  // namespace weir
