#include "cli/live_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/data/civil_time.h"

namespace weir::cli {
namespace {

constexpr int kBarCells = 20;

std::string Bar(double share) {
  const int full = std::clamp(static_cast<int>(share * kBarCells), 0, kBarCells);
  std::string bar = "[";
  for (int i = 0; i < kBarCells; ++i) bar += i < full ? '#' : '.';
  return bar + "]";
}

}  // namespace

std::string ShortCount(double n) {
  if (n >= 1e9) return fmt::format("{:.1f}G", n / 1e9);
  if (n >= 1e6) return fmt::format("{:.1f}M", n / 1e6);
  if (n >= 1e4) return fmt::format("{:.1f}k", n / 1e3);
  return fmt::format("{:.0f}", n);
}

std::string ShortBytes(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1 << 30) return fmt::format("{:.1f} GiB", value / (1 << 30));
  if (value >= 1 << 20) return fmt::format("{:.1f} MiB", value / (1 << 20));
  return fmt::format("{:.0f} KiB", value / 1024);
}

std::string LiveLine::Text(const std::vector<runtime::NodeValues>& values, Duration steady,
                           EventTime now) {
  Reading reading;
  reading.at = steady;
  uint64_t state_bytes = 0, read = 0, waiting = 0;
  bool lag_known = true, bounded = true, has_source = false;
  std::optional<EventTime> watermark;
  std::string degraded;
  std::map<std::string, uint64_t> busy;
  for (const PlanNode& node : plan_.nodes) {
    if (node.shape.source) bounded = bounded && node.shape.source->bounded, has_source = true;
  }
  for (const runtime::NodeValues& value : values) {
    uint64_t busy_us = 0;
    for (const uint64_t part : value.busy_us) busy_us += part;
    busy[value.node_id] += busy_us;
    if (value.state) state_bytes += value.state->hot_bytes + value.state->cold_bytes;
    if (value.sink) reading.rows_out += value.records_in;
    if (!value.source) continue;
    reading.rows_in += value.records_in;
    read += value.records_in;
    for (const runtime::SplitValues& split : value.splits) {
      if (split.lag < 0) {
        lag_known = lag_known && split.status == SplitStatus::kEnded;
      } else {
        waiting += static_cast<uint64_t>(split.lag);
      }
    }
    if (value.watermark && IsUsable(*value.watermark) &&
        (!watermark || *value.watermark < *watermark))
      watermark = value.watermark;
    if (!value.degraded.empty()) degraded = value.degraded;
  }
  reading.busy_us.assign(busy.begin(), busy.end());

  const double seconds =
      last_ ? std::max(1e-3, static_cast<double>((reading.at - last_->at).us) * 1e-6) : 1;
  const auto rate = [&](uint64_t current, uint64_t before) {
    return current > before ? static_cast<double>(current - before) / seconds : 0;
  };
  const double in = last_ ? rate(reading.rows_in, last_->rows_in) : 0,
               out = last_ ? rate(reading.rows_out, last_->rows_out) : 0;
  std::string busiest;
  double most = 0;
  for (const auto& [node, us] : reading.busy_us) {
    if (!last_) break;
    const auto before =
        std::find_if(last_->busy_us.begin(), last_->busy_us.end(),
                     [&, &name = node](const auto& entry) { return entry.first == name; });
    const double share = rate(us, before == last_->busy_us.end() ? 0 : before->second) * 1e-6;
    if (share > most) most = share, busiest = node;
  }
  std::string text = fmt::format("in {}/s  out {}/s", ShortCount(in), ShortCount(out));
  if (watermark) {
    const int64_t lag_us = now.us - watermark->us;
    // Data of long ago has no lag worth a number: its event time is shown instead.
    constexpr int64_t kLagShownMax = int64_t{24} * 3600 * 1'000'000;
    text += lag_us >= 0 && lag_us < kLagShownMax
                ? fmt::format("  watermark {:.1f} s behind", static_cast<double>(lag_us) * 1e-6)
                : fmt::format("  event time {}",
                              TimestampToString(watermark->us / 1'000'000 * 1'000'000));
  }
  if (state_bytes != 0) text += "  state " + ShortBytes(state_bytes);
  if (!busiest.empty())
    text += fmt::format("  busiest {} {:.0f}%", busiest, std::min(most, 99.0) * 100);
  if (!degraded.empty()) text += "  waiting for " + degraded;
  if (has_source && bounded && lag_known && read + waiting > 0) {
    const double share = static_cast<double>(read) / static_cast<double>(read + waiting);
    text += "  " + Bar(share) + fmt::format(" {:.0f}%", share * 100);
    if (in > 0 && waiting > 0)
      text += fmt::format(" {:.0f} s left", static_cast<double>(waiting) / in);
  }
  last_ = std::move(reading);
  return text;
}

}  // namespace weir::cli
