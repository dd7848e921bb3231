// Keyed state: a counter per key in the hot table, and what a checkpoint of it costs: the freeze on
// the worker, the image on the pool.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/env_posix.h"
#include "engine/data/key_encoding.h"
#include "state/state.h"

namespace weir {
namespace {

constexpr uint32_t kRows = 1024;  // of a batch
constexpr uint32_t kKeyGroups = 128;

class Account final : public MemoryAccount {
 public:
  void Use(int64_t delta) override { used_ += delta; }
  size_t used() const override { return static_cast<size_t>(std::max<int64_t>(used_, 0)); }
  size_t target() const override { return size_t{1} << 30; }

 private:
  int64_t used_ = 0;
};

/// One task's state with one value per key, over RocksDB in a directory of its own.
class Counters {
 public:
  explicit Counters(int64_t keys) : keys_(keys) {
    directory_ =
        std::filesystem::temp_directory_path() / ("weir_state_bench_" + std::to_string(getpid()));
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    env_ = MakePosixEnv(2);
    backend_ = state::MakeRocksdbBackend(*env_, {}).value();
    TaskStateSpec spec;
    spec.job = "bench";
    spec.incarnation = "u";
    spec.attempt.value = 1;
    spec.task_name = "t0";
    spec.groups = {KeyGroup{0}, KeyGroup{kKeyGroups - 1}};
    spec.key_groups = kKeyGroups;
    StateSpec counters;
    counters.name = "counters";
    counters.row = Schema({{"n", Type::Of(TypeKind::kInt64), true}});
    spec.states.push_back(
        {NodeIndex{0}, "node", StateIndex{0}, counters, {Type::Of(TypeKind::kInt64)}});
    spec.directory = (directory_ / "state").string();
    spec.hot = &account_;
    spec.wake = [] {};
    task_ = backend_->Open(spec, {}).value();
    values_ = std::get<ValueState*>(task_->state(NodeIndex{0}, StateIndex{0}));
  }
  ~Counters() {
    task_.reset();
    backend_.reset();
    env_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// Adds 1 to the counters of the next kRows keys of a fixed pseudo-random order.
  bool AddBatch() {
    ColumnBuilder column(Type::Of(TypeKind::kInt64), kRows);
    for (uint32_t i = 0; i < kRows; ++i) {
      random_ = random_ * 6364136223846793005 + 1442695040888963407;
      column.Append(static_cast<int64_t>((random_ >> 33) % static_cast<uint64_t>(keys_)));
    }
    const std::vector<Column> columns = {column.Build()};
    const std::shared_ptr<const KeyStorage> keys = EncodeKeys(columns, kRows, nullptr);
    std::vector<StateRow*> rows(kRows);
    if (values_->Update(keys->View(), {}, rows) == Ready::kWait) return false;
    const StateLayout::Slot& slot = values_->layout().fields[0];
    for (StateRow* row : rows) row->Set(slot, row->Get<int64_t>(slot) + 1);
    return true;
  }
  void Checkpoint(uint64_t n, std::chrono::nanoseconds& freeze) {
    const auto before = std::chrono::steady_clock::now();
    task_->Freeze(CheckpointId{n}, EventTime{0});
    freeze += std::chrono::steady_clock::now() - before;
    benchmark::DoNotOptimize(task_->Write(CheckpointId{n}));
    task_->Completed(CheckpointId{n});
  }

 private:
  const int64_t keys_;
  uint64_t random_ = 1;
  std::filesystem::path directory_;
  std::unique_ptr<Env> env_;
  std::unique_ptr<StateBackend> backend_;
  Account account_;
  std::unique_ptr<TaskState> task_;
  ValueState* values_ = nullptr;
};

// Encoding the keys and finding or making their rows, range(0) keys in the table.
void UpdateHotTable(benchmark::State& state) {
  Counters counters(state.range(0));
  for (auto _ : state) {
    if (!counters.AddBatch()) return state.SkipWithError("a row was cold");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(UpdateHotTable)->Arg(100)->Arg(10'000)->Arg(1'000'000);

// A checkpoint of range(0) changed rows; the pause is what the worker waits for.
void WriteCheckpoint(benchmark::State& state) {
  const int64_t keys = state.range(0);
  Counters counters(keys);
  std::chrono::nanoseconds freeze{0};
  uint64_t n = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t row = 0; row < keys; row += kRows) {
      if (!counters.AddBatch()) return state.SkipWithError("a row was cold");
    }
    state.ResumeTiming();
    counters.Checkpoint(++n, freeze);
  }
  state.counters["pause_us"] =
      static_cast<double>(freeze.count()) / 1000 / static_cast<double>(std::max<uint64_t>(n, 1));
  state.SetItemsProcessed(state.iterations() * keys);
}
BENCHMARK(WriteCheckpoint)->Arg(10'000)->Arg(200'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir
