#include "engine/control/error_threshold.h"

#include <cmath>
#include <numeric>

namespace weir::control {

Status ErrorThresholds::Judge(Duration now, const std::vector<runtime::NodeValues>& values) {
  std::map<std::string, Sample> totals;
  for (const runtime::NodeValues& value : values) {
    Sample& total = totals[value.node_id];
    total.rows += value.records_in;
    total.errors += std::accumulate(value.errors.begin(), value.errors.end(), uint64_t{0});
  }
  for (const PlanNode& node : plan_.nodes) {
    const auto place = totals.find(node.id);
    if (node.error_threshold.off || place == totals.end()) continue;
    std::deque<Sample>& samples = samples_[node.id];
    Sample sample = place->second;
    sample.at = now;
    if (!samples.empty() && samples.back().rows > sample.rows) samples.clear();
    samples.push_back(sample);
    // The oldest sample kept is the newest one that is at least `over` old: the span is never
    // shorter than asked for once the job has run that long.
    while (samples.size() > 1 && now - samples[1].at >= node.error_threshold.over)
      samples.pop_front();
    const bool young = now - samples.front().at < node.error_threshold.over;
    const uint64_t rows = sample.rows - (young ? 0 : samples.front().rows);
    const uint64_t errors = sample.errors - (young ? 0 : samples.front().errors);
    if (rows < node.error_threshold.rows_min ||
        static_cast<double>(errors) <= node.error_threshold.ratio * static_cast<double>(rows))
      continue;
    last_node_ = node.id;
    return Status(Code::kBadRecord,
                  std::to_string(errors) + " of " + std::to_string(rows) +
                      " rows were bad, more than error_threshold allows (ratio " +
                      std::to_string(node.error_threshold.ratio) + " from " +
                      std::to_string(node.error_threshold.rows_min) +
                      " rows on); correct the input, or raise error_threshold of the node");
  }
  return Status::Ok();
}

}  // namespace weir::control
