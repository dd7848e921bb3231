// blackhole_sink: counts rows and discards them: benchmarks, and branches whose counters are all
// that is wanted.

#include "connectors/sink_shape.h"
#include "engine/api/registry.h"

namespace weir {
namespace {

class BlackholeSink final : public Sink {
 public:
  Status Open(SinkContext& context, std::span<const LaneState>) override {
    lane_ = context.lane();
    return Status::Ok();
  }
  Result<Step> Write(const Batch& batch, RowErrors&) override {
    progress_.records_committed += batch.rows();
    return Step::Done();
  }
  void Prepare(CheckpointId) override {}
  Result<std::optional<LaneState>> Prepared(CheckpointId) override {
    return std::optional(LaneState{lane_, ""});
  }
  void Abort(CheckpointId) override {}
  SinkProgress progress() const override { return progress_; }

 private:
  LaneId lane_;
  SinkProgress progress_;
};

}  // namespace

void RegisterBlackholeSink(Registry& registry) {
  registry.Add(
      {.name = "blackhole_sink",
       .doc = "Counts rows and discards them.",
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog | kUpsert},
       .infer =
           [](NodeConfig& config, NodeShape& shape) {
             InferSink(config, shape, {.any_stream = true, .visibility = "discarded"});
           },
       .create = [](const NodeConfig&, const NodeShape& shape) -> Result<SinkParts> {
         return SinkParts{.sink = [] { return std::make_unique<BlackholeSink>(); },
                          .protocol = {},
                          .guarantee = shape.guarantee};
       },
       .example = R"({"type": "blackhole_sink", "inputs": ["bids"]})"});
}

}  // namespace weir
