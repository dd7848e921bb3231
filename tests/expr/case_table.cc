#include "tests/expr/case_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/expr/rows.h"

namespace weir::testing {
namespace {

struct Case {
  int line = 0;
  SchemaRef schema;
  Batch batch;
  std::string expression, type;
  std::vector<std::string> values;
};

std::vector<Case> ReadCases(std::string_view table) {
  std::istringstream file{std::string(table)};
  std::vector<Case> cases;
  SchemaRef schema;
  Batch batch;
  std::string text;
  for (int line = 1; std::getline(file, text); ++line) {
    if (text.empty() || text[0] == '#') continue;
    if (text[0] != ' ') {
      const size_t bar = text.find('|');
      schema = MakeSchema(text.substr(0, bar));
      batch = MakeBatch(schema, text.substr(bar + 1));
      continue;
    }
    const size_t arrow = text.rfind(" => ");
    const size_t colon = text.find(": ", arrow);
    const std::string expression = SplitOutsideQuotes(text.substr(0, arrow), '\0')[0];
    cases.push_back({line, schema, batch, expression, text.substr(arrow + 4, colon - arrow - 4),
                     SplitOutsideQuotes(text.substr(colon + 2), ';')});
    for (std::string& value : cases.back().values) {
      if (value.size() >= 2 && value.front() == '\'') value = value.substr(1, value.size() - 2);
    }
  }
  return cases;
}

Expression MustBind(const Case& some) {
  BindResult bound = BindExpression(some.expression, MakeScope(some.schema), {});
  for (const ExpressionProblem& problem : bound.problems) {
    if (!problem.warning)
      ADD_FAILURE() << "line " << some.line << ": " << some.expression << ": " << problem.code
                    << " " << problem.message << " " << problem.help;
  }
  return bound.expression;
}

std::vector<std::string> Evaluate(const Expression& expression, const Batch& batch) {
  RowErrors errors;
  const Column column = expression.Evaluate(batch, errors);
  EXPECT_EQ(column.rows(), batch.rows());
  EXPECT_EQ(column.type(), expression.type());
  return Values(column, errors);
}

void HoldInOneBatch(const std::vector<Case>& cases) {
  for (const Case& some : cases) {
    const Expression expression = MustBind(some);
    if (!expression) continue;
    EXPECT_EQ(expression.type().ToString(), some.type)
        << "line " << some.line << ": " << some.expression;
    EXPECT_THAT(Evaluate(expression, some.batch), ::testing::ElementsAreArray(some.values))
        << "line " << some.line << ": " << some.expression;
  }
}

void HoldRowByRow(const std::vector<Case>& cases) {
  for (const Case& some : cases) {
    const Expression expression = MustBind(some);
    if (!expression) continue;
    for (uint32_t row = 0; row < some.batch.rows(); ++row) {
      EXPECT_THAT(Evaluate(expression, some.batch.Slice(row, 1)),
                  ::testing::ElementsAre(some.values[row]))
          << "line " << some.line << ": " << some.expression;
    }
  }
}

void HoldInRandomSlices(const std::vector<Case>& cases) {
  std::mt19937 random(1);
  for (const Case& some : cases) {
    const Expression expression = MustBind(some);
    if (!expression) continue;
    // Many copies of the rows, so that slices cross words of the validity bitmap.
    std::vector<Batch> copies(40, some.batch);
    const Batch large = Concat(copies);
    for (int round = 0; round < 3; ++round) {
      const auto first = static_cast<uint32_t>(random() % large.rows());
      const auto rows = static_cast<uint32_t>(random() % (large.rows() - first) + 1);
      std::vector<std::string> expected;
      for (uint32_t row = first; row < first + rows; ++row)
        expected.push_back(some.values[row % some.batch.rows()]);
      EXPECT_THAT(Evaluate(expression, large.Slice(first, rows)),
                  ::testing::ElementsAreArray(expected))
          << "line " << some.line << ": " << some.expression;
    }
  }
}

void AgreeAsFilters(const std::vector<Case>& cases) {
  for (const Case& some : cases) {
    if (some.type != "bool") continue;
    const Expression expression = MustBind(some);
    if (!expression) continue;
    RowErrors errors;
    const Selection passed = expression.SelectTrue(some.batch, errors);
    std::vector<uint32_t> expected;
    for (uint32_t row = 0; row < some.batch.rows(); ++row) {
      if (some.values[row] == "true") expected.push_back(row);
      EXPECT_EQ(errors.Has(row), some.values[row].starts_with("!"))
          << "line " << some.line << ": " << some.expression << ", row " << row;
    }
    EXPECT_THAT(passed.rows(), ::testing::ElementsAreArray(expected))
        << "line " << some.line << ": " << some.expression;
  }
}

void AgreeInsideACase(const std::vector<Case>& cases) {
  // The same expression on a scattered selection of rows.
  for (const Case& some : cases) {
    std::vector<Field> fields = some.schema->fields();
    fields.push_back({"chosen_", Type::Of(TypeKind::kBool), false});
    const auto schema = std::make_shared<const Schema>(fields);
    std::vector<Batch> copies(9, some.batch);
    const Batch large = Concat(copies);
    ASSERT_TRUE(large);
    const SchemaRef chosen_schema = MakeSchema("chosen_ bool");
    std::string rows;
    std::mt19937 random(7);
    std::vector<bool> chosen;
    for (uint32_t row = 0; row < large.rows(); ++row) {
      chosen.push_back(random() % 3 == 0);
      rows += (row == 0 ? "" : ";") + std::string(chosen.back() ? "true" : "false");
    }
    std::vector<Column> columns;
    for (size_t i = 0; i < some.schema->size(); ++i)
      columns.push_back(large.column(ColumnIndex{static_cast<uint16_t>(i)}));
    columns.push_back(MakeBatch(chosen_schema, rows).column(ColumnIndex{0}));
    const Batch batch = Batch::Make(schema, large.rows(), columns);
    const BindResult bound =
        BindExpression("CASE WHEN chosen_ THEN " + some.expression + " END", MakeScope(schema), {});
    if (!bound.expression) {
      ADD_FAILURE() << "line " << some.line << ": " << some.expression;
      continue;
    }
    std::vector<std::string> expected;
    for (uint32_t row = 0; row < large.rows(); ++row)
      expected.push_back(chosen[row] ? some.values[row % some.batch.rows()] : "NULL");
    EXPECT_THAT(Evaluate(bound.expression, batch), ::testing::ElementsAreArray(expected))
        << "line " << some.line << ": " << some.expression;
  }
}

}  // namespace

void ExpectCases(std::string_view table) {
  const std::vector<Case> cases = ReadCases(table);
  ASSERT_FALSE(cases.empty());
  for (const Case& some : cases)
    ASSERT_EQ(some.values.size(), some.batch.rows())
        << "line " << some.line << ": " << some.expression;
  HoldInOneBatch(cases);
  HoldRowByRow(cases);
  HoldInRandomSlices(cases);
  AgreeAsFilters(cases);
  AgreeInsideACase(cases);
}

}  // namespace weir::testing
