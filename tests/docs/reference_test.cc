// The pages of docs/reference are what the registry, the functions, the problem codes and the list
// of metrics say of themselves. WEIR_UPDATE_DOCS=1 writes them anew.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/register.h"
#include "engine/api/registry.h"
#include "engine/base/metric_names.h"
#include "engine/expr/expression.h"
#include "jobs/jobs.h"
#include "operators/register.h"
#include "tests/harness/paths.h"

namespace weir {
namespace {

constexpr std::string_view kNote =
    "\nGenerated from the code by `WEIR_UPDATE_DOCS=1 build/release/tests/docs_tests`; the suite "
    "compares.\n";

std::string Section(std::string_view name, const std::string& text) {
  std::string section = "\n## ";
  section += name;
  section += "\n\n```text\n" + text;
  if (!text.ends_with('\n')) section += '\n';
  return section + "```\n";
}

void Compare(const std::string& page, const std::string& text) {
  const std::filesystem::path path =
      std::filesystem::path(SourceDirectory()) / "docs" / "reference" / page;
  if (std::getenv("WEIR_UPDATE_DOCS") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  std::stringstream found;
  found << file.rdbuf();
  EXPECT_EQ(found.str(), text) << path << " is not what the code says: run WEIR_UPDATE_DOCS=1 "
                               << "build/release/tests/docs_tests --gtest_filter='Reference.*'";
}

TEST(Reference, NamesEveryNodeTypeAndItsOptions) {
  Registry registry;
  RegisterOperators(registry);
  RegisterConnectors(registry);
  std::string page = "# Node types\n\nThe same as `weir explain node TYPE`.\n";
  page += kNote;
  for (const auto& type : registry.types())
    page += Section(type->name, jobs::ExplainNode(registry, type->name));
  Compare("nodes.md", page);
}

TEST(Reference, NamesEveryFunction) {
  std::string page = "# Functions\n\nThe same as `weir explain fn NAME`.\n";
  page += kNote;
  std::vector<std::string> names;
  for (const FunctionDoc& function : Functions()) names.emplace_back(function.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) page += Section(name, jobs::ExplainFunction(name));
  Compare("functions.md", page);
}

TEST(Reference, NamesEveryProblem) {
  std::string page =
      "# Problems of a job file\n\nThe same as `weir explain CODE`. All problems of a file are "
      "reported at once.\n";
  page += kNote;
  for (const std::string& code : jobs::KnownCodes()) page += Section(code, jobs::ExplainCode(code));
  Compare("problems.md", page);
}

TEST(Reference, NamesEveryMetric) {
  const auto kind = [](MetricKind of) {
    return of == MetricKind::kCounter ? "counter"
           : of == MetricKind::kGauge ? "gauge"
                                      : "histogram";
  };
  const auto scope = [](MetricScope of) {
    switch (of) {
      case MetricScope::kProcess:
        return "";
      case MetricScope::kJob:
        return "job_name";
      case MetricScope::kNode:
        return "job_name node_id";
      default:
        return "job_name node_id task";
    }
  };
  std::string page = "# Metrics\n\nWhat `/metrics` of a running job shows.\n";
  page += kNote;
  page += "\n| name | type | labels | meaning |\n|---|---|---|---|\n";
  for (const MetricInfo& metric : Metrics()) {
    std::string labels = scope(metric.scope);
    if (!metric.labels.empty()) labels += (labels.empty() ? "" : " ") + std::string(metric.labels);
    page += "| `" + std::string(metric.name) + "` | " + kind(metric.kind) + " | " + labels + " | " +
            std::string(metric.help) + " |\n";
  }
  Compare("metrics.md", page);
}

}  // namespace
}  // namespace weir
