// print_sink: rows on the terminal, as a table or in another text format. Standard output is
// written on the pool, at most one job at a time, so a slow terminal holds rows back instead of the
// worker.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "connectors/sink_shape.h"
#include "engine/api/registry.h"

namespace weir {
namespace {

constexpr size_t kWaitingBytesMax = size_t{1} << 20;

/// One write on the pool: made by the worker, filled in by the job, read by the worker once `done`.
struct Printing {
  std::string text;
  Status status;
  std::atomic<bool> done = false;
};

void WriteOut(Printing& printing) {
  // On a terminal the line may hold the live status: it is wiped, and drawn again by its owner.
  if (isatty(STDOUT_FILENO) == 1) printing.text.insert(0, "\r\x1b[K");
  const std::string& text = printing.text;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    printing.status =
        Status(Code::kIo, "standard output cannot be written: is the reader of the pipe gone?",
               Fault::kExternal, Retry::kNever);
  }
  printing.done.store(true, std::memory_order_release);
}

class PrintSink final : public Sink {
 public:
  explicit PrintSink(std::optional<uint64_t> limit) : limit_(limit) {}

  Status Open(SinkContext& context, std::span<const LaneState>) override {
    context_ = &context;
    waiting_ = context.encoder().FileHeader();
    return Status::Ok();
  }

  Result<Step> Write(const Batch& batch, RowErrors& errors) override {
    WEIR_TRY(Collect());
    if (waiting_.size() > kWaitingBytesMax) return Step::Wait(0);
    const uint64_t room = limit_ ? *limit_ - std::min(*limit_, printed_) : batch.rows();
    const auto shown = static_cast<uint32_t>(std::min<uint64_t>(room, batch.rows()));
    progress_.records_committed += batch.rows();
    if (shown == 0) return Step::Done();
    rows_.Clear();
    context_->encoder().Encode(batch.Slice(0, shown), rows_, errors);
    std::string text;
    for (uint32_t row = 0; row < shown; ++row) {
      if (rows_.row(row).empty()) continue;
      text.append(rows_.row(row));
      text.append(context_->encoder().line_end());
    }
    printed_ += shown;
    progress_.bytes += text.size();
    waiting_.append(text);
    WEIR_TRY(Collect());
    return Step::Done();
  }
  Status OnWake() override { return Collect(); }

  void Prepare(CheckpointId) override {}
  Result<std::optional<LaneState>> Prepared(CheckpointId) override {
    WEIR_TRY(Collect());
    if (printing_ != nullptr) return std::optional<LaneState>();
    return std::optional(LaneState{context_->lane(), ""});
  }
  void Abort(CheckpointId) override {}
  SinkProgress progress() const override { return progress_; }

 private:
  /// Takes the answer of the write under way, and starts the next one.
  Status Collect() {
    if (printing_ != nullptr) {
      if (!printing_->done.load(std::memory_order_acquire)) return Status::Ok();
      WEIR_TRY(printing_->status);
      printing_ = nullptr;
    }
    if (waiting_.empty()) return Status::Ok();
    printing_ = std::make_shared<Printing>();
    printing_->text.swap(waiting_);
    context_->Post([printing = printing_] { WriteOut(*printing); });
    return Status::Ok();
  }

  const std::optional<uint64_t> limit_;
  SinkContext* context_ = nullptr;
  std::string waiting_;
  std::shared_ptr<Printing> printing_;  // null: none under way
  EncodedRows rows_;
  uint64_t printed_ = 0;
  SinkProgress progress_;
};

}  // namespace

void RegisterPrintSink(Registry& registry) {
  registry.Add(
      {.name = "print_sink",
       .doc = "Shows rows on the terminal.",
       .options =
           {
               {.name = "format",
                .type = OptionType::kFormat,
                .doc = "How rows are shown.",
                .fallback = R"({"type": "table"})"},
               {.name = "limit",
                .type = OptionType::kInt,
                .doc = "Shows this many rows; further ones are counted only.",
                .unit = "rows",
                .allowed = "0..9223372036854775807",
                .substitute = true},
           },
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog | kUpsert},
       .infer =
           [](NodeConfig& config, NodeShape& shape) {
             InferSink(config, shape, {.any_stream = true, .visibility = "shown at once"});
             shape.parallelism_max = 1;
           },
       .create = [](const NodeConfig& config, const NodeShape& shape) -> Result<SinkParts> {
         const std::optional<uint64_t> limit =
             config.Has("limit") ? std::optional(static_cast<uint64_t>(config.Int("limit")))
                                 : std::nullopt;
         return SinkParts{.sink = [limit] { return std::make_unique<PrintSink>(limit); },
                          .protocol = {},
                          .guarantee = shape.guarantee};
       },
       .example = R"({"type": "print_sink", "inputs": ["avg"], "limit": 100})"});
}

}  // namespace weir
