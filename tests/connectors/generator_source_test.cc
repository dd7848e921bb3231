#include <gmock/gmock.h>

#include "engine/base/env_posix.h"
#include "tests/connectors/rig.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

/// All rows of a bounded generator, by number, cut into polls of `wanted` rows, restarted every
/// `restart` polls (0: never).
std::vector<std::string> Generate(const std::string& options, uint32_t parallelism, uint32_t wanted,
                                  int restart) {
  const auto node = MakeNode("generator_source", options);
  EXPECT_EQ(node->Messages(), "");
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  const SourceParts parts =
      std::get<Factory<SourceParts>>(node->config->type().create)(*node->config, node->shape)
          .value();
  TestNodeContext context(*env, nullptr);
  context.info().parallelism = parallelism;
  std::vector<Field> fields;  // what a source makes: its columns, without those that the task adds
  for (const SourceColumn& column : node->shape.source->columns) fields.push_back(column.field);
  const SchemaRef planned = std::make_shared<const Schema>(std::move(fields));
  const auto enumerator = parts.enumerator();
  EXPECT_TRUE(enumerator->Open(context, {}).ok());
  std::vector<SplitState> splits = enumerator->Discover().value();
  EXPECT_EQ(splits.size(), parallelism);
  std::map<int64_t, std::string> by_number;
  for (int polls = 0;;) {
    const auto source = parts.source();
    EXPECT_TRUE(source->Open(context).ok());
    EXPECT_TRUE(source->Add(splits).ok());
    TestSourceOutput out;
    out.wanted = wanted;
    out.schema = planned;
    bool ended = false;
    do {
      const Result<Step> step = source->Poll(out);
      EXPECT_TRUE(step.ok()) << step.status().ToString();
      for (auto& [split, rows] : out.rows) {
        const Batch batch = rows->Build();
        for (uint32_t row = 0; row < batch.rows(); ++row)
          by_number[batch.Values<int64_t>(ColumnIndex{0})[row]] = batch.RowToString(row);
      }
      ended = out.reports.size() == splits.size() &&
              std::all_of(out.reports.begin(), out.reports.end(),
                          [](const auto& one) { return one.second.status == SplitStatus::kEnded; });
    } while (!ended && (restart == 0 || ++polls % restart != 0));
    for (const auto& [split, reported] : out.reports) splits[split].position = reported.position;
    if (ended) break;
  }
  std::vector<std::string> rows;
  rows.reserve(by_number.size());
  for (const auto& [number, row] : by_number) rows.push_back(row);
  return rows;
}

TEST(GeneratorSource, MakesEqualRowsHoweverTheyAreCut) {
  const std::string options =
      R"json({"rows": 5000, "rate": "100000/s", "schema": {"n": "int64", "r": "int64", "s": "string"},
    "fields": {"n": "_offset", "r": "random_int(1, 1000000)", "s": "'d' || random_int(1, 5)::string"}})json";
  const std::vector<std::string> whole = Generate(options, 1, 4096, 0);
  ASSERT_THAT(whole, SizeIs(5000));
  EXPECT_EQ(Generate(options, 1, 7, 13), whole);
  EXPECT_EQ(Generate(options, 3, 100, 5), whole);
  std::string other = options;
  other.insert(1, R"("seed": 2, )");
  EXPECT_NE(Generate(other, 1, 4096, 0), whole);
}

TEST(GeneratorSource, ChecksItsFields) {
  const auto codes = [](const std::string& fields) {
    return MakeNode("generator_source", R"({"schema": {"n": "int32"}, "fields": )" + fields + "}")
        ->Codes();
  };
  EXPECT_THAT(codes("{}"), ElementsAre("W0202"));
  EXPECT_THAT(codes(R"({"n": "1", "m": "2"})"), ElementsAre("W0201"));
  EXPECT_THAT(codes(R"({"n": "'text'"})"), ElementsAre("W0424"));
  EXPECT_THAT(codes(R"({"n": "1"})"), ElementsAre());
}

}  // namespace
}  // namespace weir
