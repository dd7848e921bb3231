// The queue under every channel: one thread hands numbers to another, singly and in batches.

#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "engine/base/spsc_queue.h"

namespace weir {
namespace {

// Push and Pop on one thread: what the operations themselves cost, without the other core.
void SpscQueueOneThread(benchmark::State& state) {
  SpscQueue<uint64_t> queue(1024);
  uint64_t sum = 0;
  for (auto _ : state) {
    queue.Push(sum);
    sum += *queue.Front() + 1;
    queue.Pop();
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(SpscQueueOneThread);

// From thread to thread, in groups of range(0) numbers per element.
template <size_t kGroup>
void SpscQueueTwoThreads(benchmark::State& state) {
  using Group = std::array<uint64_t, kGroup>;
  SpscQueue<Group> queue(1024);
  std::atomic<bool> stop = false;
  uint64_t taken = 0;
  std::thread consumer([&] {
    while (true) {
      if (Group* group = queue.Front()) {
        taken += group->size();
        benchmark::DoNotOptimize(group->back());
        queue.Pop();
      } else if (stop.load(std::memory_order_relaxed)) {
        return;
      } else {
        std::this_thread::yield();
      }
    }
  });
  Group group{};
  for (auto _ : state) {
    while (!queue.Push(group)) std::this_thread::yield();
  }
  stop = true;
  consumer.join();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kGroup));
}
BENCHMARK(SpscQueueTwoThreads<1>)->UseRealTime();
BENCHMARK(SpscQueueTwoThreads<16>)->UseRealTime();
BENCHMARK(SpscQueueTwoThreads<256>)->UseRealTime();

}  // namespace
}  // namespace weir
