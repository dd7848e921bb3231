// What PostgreSQL 15 answers to the expressions of postgres.tsv (recorded by postgres_golden.py):
// Weir must answer the same, but for the differences listed.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "tests/expr/rows.h"

namespace weir {
namespace {

struct Answer {
  int line = 0;
  std::string expression, value;
};

std::vector<Answer> ReadAnswers() {
  std::ifstream file("tests/expr/postgres.tsv");
  std::vector<Answer> answers;
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    if (text.empty() || text[0] == '#') continue;
    const size_t tab = text.rfind('\t');
    std::string value;
    for (size_t i = tab + 1; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        ++i;
        if (text[i] != 'e') value += text[i] == 'n' ? '\n' : text[i];
      } else {
        value += text[i];
      }
    }
    answers.push_back({line, text.substr(0, tab), value});
  }
  return answers;
}

/// Scales of numeric results differ where Weir's are part of the type: zeros at the end do not
/// count. Floats compare as numbers.
std::string Normalised(std::string text, const Type& type) {
  if (type.is_float())
    return std::to_string(std::stod(text)) +
           (std::stod(text) != 0 ? "/" + std::to_string(std::ilogb(std::stod(text))) : "");
  if (type.kind == TypeKind::kDecimal || type.is_integer()) {
    if (text.find('.') != std::string::npos) {
      while (text.back() == '0') text.pop_back();
      if (text.back() == '.') text.pop_back();
    }
    if (text == "-0") text = "0";
  }
  return text;
}

/// Where Weir differs on purpose: expression, and why.
const std::map<std::string, std::string>& Differences() {
  static const std::map<std::string, std::string> kDifferences = {};
  return kDifferences;
}

TEST(Postgres, AnswersTheSame) {
  const std::vector<Answer> answers = ReadAnswers();
  ASSERT_GT(answers.size(), 1500U);
  static const std::set<std::string> kOverflow = {"!expression.overflow", "!expression.cast"};
  const SchemaRef schema = testing::MakeSchema("one int32");
  const Batch batch = testing::MakeBatch(schema, "1");
  std::set<std::string> used;
  for (const Answer& answer : answers) {
    if (Differences().contains(answer.expression)) {
      used.insert(answer.expression);
      continue;
    }
    const BindResult bound = BindExpression(answer.expression, testing::MakeScope(schema), {});
    if (!bound.expression) {
      // A mistake in the text rather than a bad row, as far as it is an error there too.
      if (!answer.value.starts_with("!")) {
        for (const ExpressionProblem& problem : bound.problems) {
          if (!problem.warning)
            ADD_FAILURE() << "line " << answer.line << ": " << answer.expression << ": "
                          << problem.code << " " << problem.message;
        }
      }
      continue;
    }
    RowErrors errors;
    const Column column = bound.expression.Evaluate(batch, errors);
    const std::string value = testing::Values(column, errors)[0];
    const std::string where = "line " + std::to_string(answer.line) + ": " + answer.expression +
                              " of type " + bound.expression.type().ToString() + ": PostgreSQL " +
                              answer.value;
    if (answer.value.starts_with("!")) {
      EXPECT_TRUE(value.starts_with("!expression.")) << where << ", Weir " << value;
      if (answer.value == "!22012") {
        EXPECT_EQ(value, "!expression.division_by_zero") << where;
      }
      if (answer.value == "!22003") {
        EXPECT_TRUE(kOverflow.contains(value)) << where << ", Weir " << value;
      }
      if (answer.value == "!22P02") {
        EXPECT_EQ(value, "!expression.cast") << where;
      }
    } else if (answer.value == "NULL" || value == "NULL" || value.starts_with("!")) {
      EXPECT_EQ(value, answer.value) << where;
    } else {
      EXPECT_EQ(Normalised(value, bound.expression.type()),
                Normalised(answer.value, bound.expression.type()))
          << where;
    }
  }
  EXPECT_EQ(used.size(), Differences().size()) << "a listed difference has no case";
}

}  // namespace
}  // namespace weir
