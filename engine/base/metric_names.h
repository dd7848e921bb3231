#pragma once
// The one list of metrics: name, type, labels by scope, meaning. The exposition
// takes help and type from here, the reference page is made from it, and tests compare it with what
// a running job exports. Names are a public interface: changing one needs a release note. Constant;
// any thread. Scopes: J = job_name; N = J and node_id; T = N and task; P = of the process.

#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

enum class MetricKind : uint8_t { kCounter, kGauge, kHistogram };
enum class MetricScope : uint8_t { kProcess, kJob, kNode, kTask };

struct MetricInfo {
  std::string_view name;
  MetricKind kind;
  MetricScope scope;
  std::string_view labels;  // besides the scope's, separated by blanks
  std::string_view help;
};

std::span<const MetricInfo> Metrics();
/// REQUIRES: `name` is in the list.
const MetricInfo& MetricInfoOf(std::string_view name);

}  // namespace weir
