// A channel between two tasks of one thread: batches against credit, gathered and cut as on a job's
// hash edge.

#include <benchmark/benchmark.h>

#include <memory>

#include "bench/micro/bid_batch.h"
#include "engine/runtime/channel.h"

namespace weir::runtime {
namespace {

// Batches of range(0) rows from the producer's Send to the consumer's Pop.
void SendThroughChannel(benchmark::State& state) {
  const auto rows = static_cast<uint32_t>(state.range(0));
  auto worker = std::make_shared<WorkerSignal>();
  Channel::Options options;
  options.producer = std::make_shared<TaskSignal>(worker);
  options.consumer = std::make_shared<TaskSignal>(worker);
  auto channel = std::make_shared<Channel>(options);
  ChannelSender sender(channel);
  ChannelReceiver receiver(channel);
  const Batch batch = MakeBidBatch().Slice(0, rows);
  Duration now = Seconds(1);
  for (auto _ : state) {
    now = now + Microseconds(1);
    sender.Send(batch, /*ingest_us=*/1, now);
    sender.Flush(now, /*always=*/true);
    sender.Pump(now);
    while (receiver.Front() != nullptr) benchmark::DoNotOptimize(receiver.Pop());
    if (!sender.has_room()) return state.SkipWithError("the channel is stuck");
  }
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(SendThroughChannel)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace weir::runtime
