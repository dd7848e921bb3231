#include "engine/api/options.h"
#include "engine/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(ParseSize, TakesDigitsAndABinaryUnit) {
  EXPECT_EQ(ParseSize("1B"), 1U);
  EXPECT_EQ(ParseSize("64MiB"), uint64_t{64} << 20);
  EXPECT_EQ(ParseSize("8589934591GiB"), uint64_t{8589934591} << 30);
  for (const char* const text :
       {"", "B", "1", "1 B", "1KB", "-1B", "1.5MiB", "8589934592GiB", "99999999999999999999B"})
    EXPECT_EQ(ParseSize(text), std::nullopt) << text;
}

TEST(ParseRate, TakesRowsASecond) {
  EXPECT_EQ(ParseRate("500/s"), 500.0);
  for (const char* const text :
       {"", "/s", "0/s", "5", "5/m", "-5/s", "5 /s", "12345678901234567890/s"})
    EXPECT_EQ(ParseRate(text), std::nullopt) << text;
}

TEST(OptionsOf, AddsTheCommonOptionsBehindATypesOwn) {
  const NodeType type = {
      .name = "x",
      .doc = "d",
      .options = {{.name = "parallelism", .type = OptionType::kInt, .doc = "its own"}}};
  const std::vector<Option> options = OptionsOf(type);
  EXPECT_EQ(FindOption(options, "parallelism")->doc, "its own");
  EXPECT_NE(FindOption(options, "on_error"), nullptr);
  EXPECT_NE(FindOption(options, "state"), nullptr);
  EXPECT_EQ(FindOption(options, "delivery"), nullptr);
  EXPECT_EQ(FindOption(options, "event_time"), nullptr);
  for (const Option& option : options) EXPECT_FALSE(option.doc.empty()) << option.name;
}

TEST(FillFallbacks, ReachesObjectsAndVariantsThatAreThere) {
  const std::vector<Option> options = {
      {.name = "n", .type = OptionType::kInt, .doc = "d", .fallback = "3"},
      {.name = "absent",
       .type = OptionType::kObject,
       .doc = "d",
       .fields = {{.name = "a", .type = OptionType::kInt, .doc = "d", .fallback = "1"}}},
      {.name = "object",
       .type = OptionType::kObject,
       .doc = "d",
       .fields = {{.name = "a", .type = OptionType::kInt, .doc = "d", .fallback = "1"}}},
      {.name = "kind",
       .type = OptionType::kVariant,
       .doc = "d",
       .variants = {{.name = "x",
                     .doc = "d",
                     .fields = {{.name = "b", .doc = "d", .fallback = "text"}}}}},
      {.name = "start", .type = OptionType::kJson, .doc = "d", .fallback = "earliest"},
  };
  Json value = {{"object", Json::object()}, {"kind", {{"type", "x"}}}};
  FillFallbacks(Registry(), options, value);
  EXPECT_EQ(value["n"], 3);
  EXPECT_FALSE(value.contains("absent"));
  EXPECT_EQ(value["object"]["a"], 1);
  EXPECT_EQ(value["kind"]["b"], "text");
  EXPECT_EQ(value["start"], "earliest");
}

TEST(ConnectionTypes, HaveDocsAndKnowWhatIsPlanned) {
  ASSERT_NE(FindConnectionType("kafka"), nullptr);
  EXPECT_TRUE(FindOption(FindConnectionType("kafka")->options, "brokers")->required);
  EXPECT_TRUE(FindConnectionType("postgres")->planned);
  EXPECT_EQ(FindConnectionType("ftp"), nullptr);
}

}  // namespace
}  // namespace weir
