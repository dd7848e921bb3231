#include "engine/base/metric_names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace weir {
namespace {

std::set<std::string> Words(std::string_view text) {
  std::set<std::string> words;
  while (!text.empty()) {
    const size_t blank = std::min(text.find(' '), text.size());
    words.insert(std::string(text.substr(0, blank)));
    text.remove_prefix(std::min(text.size(), blank + 1));
  }
  return words;
}

TEST(Metrics, NamesAreUniqueAndFoundByName) {
  std::set<std::string_view> names;
  for (const MetricInfo& metric : Metrics()) {
    EXPECT_TRUE(names.insert(metric.name).second) << metric.name;
    EXPECT_EQ(&MetricInfoOf(metric.name), &metric);
  }
  EXPECT_DEATH(MetricInfoOf("weir_no_such_metric"), "check failed");
}

TEST(Metrics, NamesFollowTheConventionsOfPrometheus) {
  for (const MetricInfo& metric : Metrics()) {
    const bool total = metric.name.ends_with("_total");
    EXPECT_EQ(total, metric.kind == MetricKind::kCounter) << metric.name;
    EXPECT_TRUE(metric.name.starts_with("weir_") ||
                (metric.name.starts_with("process_") && metric.scope == MetricScope::kProcess))
        << metric.name;
    EXPECT_TRUE(std::all_of(metric.name.begin(), metric.name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || c == '_';
    })) << metric.name;
    for (const char* unit : {"_ms", "_us", "_milliseconds", "_microseconds", "_kb", "_mb"})
      EXPECT_EQ(metric.name.find(unit), std::string_view::npos)
          << metric.name << ": base units only";
    if (metric.kind == MetricKind::kHistogram) {
      EXPECT_TRUE(metric.name.ends_with("_seconds") || metric.name.ends_with("_bytes"))
          << metric.name;
      EXPECT_NE(metric.scope, MetricScope::kTask)
          << metric.name << ": a histogram for each task is too much";
    }
  }
}

TEST(Metrics, LabelsNeverCollideWithThoseOfScrapingOrOfTheScope) {
  const std::set<std::string> reserved = {"job",  "instance", "node",     "job_name",    "node_id",
                                          "task", "le",       "quantile", "exported_job"};
  for (const MetricInfo& metric : Metrics()) {
    for (const std::string& label : Words(metric.labels)) {
      EXPECT_EQ(reserved.count(label), 0U) << metric.name << " " << label;
      EXPECT_FALSE(label.empty()) << metric.name;
    }
  }
}

TEST(Metrics, EachHasAHelpOfOneSentence) {
  for (const MetricInfo& metric : Metrics()) {
    EXPECT_TRUE(metric.help.ends_with('.')) << metric.name;
    EXPECT_EQ(metric.help.find_first_of("\n\\"), std::string_view::npos) << metric.name;
  }
}

}  // namespace
}  // namespace weir
