// blackhole_sink: counts rows and discards them: benchmarks, branches whose counters are all that
// is wanted, and, with a rate, a slow system to see what a job does behind one.

#include <algorithm>
#include <cmath>
#include <optional>

#include "connectors/sink_shape.h"
#include "engine/api/registry.h"

namespace weir {
namespace {

constexpr double kBurstUs = 50'000;  // of the rate that is taken at once

class BlackholeSink final : public Sink {
 public:
  BlackholeSink(std::optional<double> rate_per_second, std::optional<Duration> rate_for)
      : rate_per_second_(rate_per_second), rate_for_(rate_for) {}

  Status Open(SinkContext& context, std::span<const LaneState>) override {
    context_ = &context;
    lane_ = context.lane();
    opened_ = refilled_ = context.env().Steady();
    rate_per_us_ = rate_per_second_.value_or(0) / context.node().parallelism / 1e6;
    return Status::Ok();
  }
  Result<Step> Write(const Batch& batch, RowErrors&) override {
    const uint32_t rows = Allowed(batch.rows());
    progress_.records_committed += rows;
    return rows == batch.rows() ? Step::Done() : Step::Wait(rows);
  }
  void Prepare(CheckpointId) override {}
  Result<std::optional<LaneState>> Prepared(CheckpointId) override {
    return std::optional(LaneState{lane_, ""});
  }
  void Abort(CheckpointId) override {}
  SinkProgress progress() const override { return progress_; }

 private:
  /// How many of `rows` may pass now; if not all, the task is woken for the rest.
  uint32_t Allowed(uint32_t rows) {
    if (rate_per_us_ == 0) return rows;
    const Duration now = context_->env().Steady();
    if (rate_for_ && now - opened_ >= *rate_for_) return rows;
    const double burst = std::max(1.0, rate_per_us_ * kBurstUs);
    tokens_ = std::min(burst, tokens_ + static_cast<double>((now - refilled_).us) * rate_per_us_);
    refilled_ = now;
    const uint32_t allowed = std::min(rows, static_cast<uint32_t>(tokens_));
    tokens_ -= allowed;
    if (allowed < rows) {
      const double wanted = std::min<double>(burst, rows - allowed) - tokens_;
      context_->WakeAfter(Duration{static_cast<int64_t>(std::ceil(wanted / rate_per_us_))});
    }
    return allowed;
  }

  // Fixed after Open.
  const std::optional<double> rate_per_second_;
  const std::optional<Duration> rate_for_;
  SinkContext* context_ = nullptr;
  LaneId lane_;
  Duration opened_{};
  double rate_per_us_ = 0;  // of this task; 0: no limit

  double tokens_ = 0;
  Duration refilled_{};
  SinkProgress progress_;
};

}  // namespace

void RegisterBlackholeSink(Registry& registry) {
  registry.Add(
      {.name = "blackhole_sink",
       .doc = "Counts rows and discards them.",
       .options = {{.name = "rate",
                    .type = OptionType::kRate,
                    .doc =
                        "Rows a second that are taken, all tasks together: a slow system, to see "
                        "what a job does behind one."},
                   {.name = "rate_for",
                    .type = OptionType::kDuration,
                    .doc = "How long after a start `rate` holds; for ever if it is not given.",
                    .allowed = "1ms..36500d"}},
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog | kUpsert},
       .infer =
           [](NodeConfig& config, NodeShape& shape) {
             InferSink(config, shape, {.any_stream = true, .visibility = "discarded"});
           },
       .create = [](const NodeConfig& config, const NodeShape& shape) -> Result<SinkParts> {
         std::optional<double> rate;
         std::optional<Duration> rate_for;
         if (config.Has("rate")) rate = config.RateOf("rate");
         if (config.Has("rate_for")) rate_for = config.DurationOf("rate_for");
         return SinkParts{.sink = [=] { return std::make_unique<BlackholeSink>(rate, rate_for); },
                          .protocol = {},
                          .guarantee = shape.guarantee};
       },
       .example = R"({"type": "blackhole_sink", "inputs": ["bids"]})"});
}

}  // namespace weir
