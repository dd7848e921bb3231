#include "state/state.h"

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "tests/harness/fault_env.h"
#include "tests/state/machine.h"

namespace weir::state {
namespace {

struct BackendCase {
  std::string name;
  Machine::BackendFactory make;
};

class State : public testing::TestWithParam<BackendCase> {
 protected:
  std::unique_ptr<Machine> Make(uint64_t seed, MachineOptions options = {}) {
    return std::make_unique<Machine>(
        *files_, GetParam().make, directory_.path() + "/" + std::to_string(made_++), seed, options);
  }
  static bool Failed() { return HasFatalFailure() || HasNonfatalFailure(); }

  TestDirectory directory_;
  std::unique_ptr<Env> files_ = MakePosixEnv(2);
  int made_ = 0;
};

TEST_P(State, AnswersLikeAMapWhenEveryRowIsCold) {
  for (uint64_t seed = 1; seed <= 6 && !Failed(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto machine = Make(seed);
    ASSERT_TRUE(machine->Start(1, nullptr)) << machine->status().ToString();
    for (int step = 0; step < 400 && !Failed(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      ASSERT_TRUE(machine->Step()) << machine->status().ToString();
    }
    machine->CheckAll();
  }
}

TEST_P(State, AnswersLikeAMapWhenEverythingIsHot) {
  for (uint64_t seed = 1; seed <= 3 && !Failed(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto machine = Make(seed, {.hot_target = size_t{1} << 30});
    ASSERT_TRUE(machine->Start(2, nullptr)) << machine->status().ToString();
    for (int step = 0; step < 600 && !Failed(); ++step)
      ASSERT_TRUE(machine->Step()) << machine->status().ToString();
    machine->CheckAll();
  }
}

TEST_P(State, RestoresWhatWasFrozenAtOtherParallelisms) {
  const uint32_t parallelisms[] = {1, 2, 3, 1, 16, 5, 2};
  for (uint64_t seed = 1; seed <= 2 && !Failed(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto machine = Make(seed, {.hot_target = seed % 2 == 0 ? size_t{1} : size_t{20000}});
    std::optional<Machine::Saved> saved;
    for (const uint32_t parallelism : parallelisms) {
      SCOPED_TRACE("parallelism " + std::to_string(parallelism));
      ASSERT_TRUE(machine->Start(parallelism, saved ? &*saved : nullptr))
          << machine->status().ToString();
      for (int round = 0; round < 2 && !Failed(); ++round) {
        for (int step = 0; step < 60 && !Failed(); ++step)
          ASSERT_TRUE(machine->Step()) << machine->status().ToString();
        const CheckpointId n = machine->Freeze();
        for (int step = static_cast<int>(machine->random()() % 40); step > 0 && !Failed(); --step)
          ASSERT_TRUE(machine->Step()) << machine->status().ToString();
        const uint64_t fate = machine->random()() % 5;
        auto image = machine->Finish(n, fate == 0, fate == 1);
        ASSERT_TRUE(machine->ok()) << machine->status().ToString();
        if (image) saved = std::move(image);
      }
      machine->CheckAll();
      if (Failed()) return;
    }
  }
}

TEST_P(State, RestoresFiveTimesFromTheFirstCheckpointOfTheOneBefore) {
  auto machine = Make(77, {.hot_target = 5000, .compression = "zstd"});
  std::optional<Machine::Saved> saved;
  const uint32_t parallelisms[] = {2, 2, 1, 3, 3, 2};
  for (const uint32_t parallelism : parallelisms) {
    ASSERT_TRUE(machine->Start(parallelism, saved ? &*saved : nullptr))
        << machine->status().ToString();
    for (int step = 0; step < 50 && !Failed(); ++step)
      ASSERT_TRUE(machine->Step()) << machine->status().ToString();
    saved = machine->Finish(machine->Freeze());
    ASSERT_TRUE(saved.has_value()) << machine->status().ToString();
    EXPECT_EQ(machine->named_files(), 0)
        << "the first checkpoint of an attempt registers every file anew";
  }
  ASSERT_TRUE(machine->Start(1, &*saved));
  machine->CheckAll();
}

TEST_P(State, NamesOnlyFilesOfCompletedCheckpoints) {
  auto machine = Make(5);
  ASSERT_TRUE(machine->Start(1, nullptr));
  for (int step = 0; step < 100; ++step) ASSERT_TRUE(machine->Step());
  ASSERT_FALSE(machine->Finish(machine->Freeze(), false, /*abort_after=*/true).has_value());
  const CheckpointId first = machine->Freeze();
  ASSERT_TRUE(machine->Finish(first).has_value()) << machine->status().ToString();
  EXPECT_EQ(machine->named_files(), 0);  // those of the aborted one are not known to be kept
  ASSERT_TRUE(machine->Step());
  while (machine->env().RunOne(machine->random())) {
  }
  ASSERT_TRUE(machine->Finish(machine->Freeze()).has_value());
  if (GetParam().name == "rocksdb") {
    EXPECT_GT(machine->named_files(), 0);
  } else {
    EXPECT_EQ(machine->named_files(), 0);
  }
}

TEST_P(State, NeverAnswersWrongWhenAnyFileCallFails) {
  for (uint64_t n = 1;; n += n < 40 ? 1 : n / 4) {
    SCOPED_TRACE("call " + std::to_string(n));
    const std::string undo = directory_.path() + "/undo" + std::to_string(n);
    ASSERT_TRUE(files_->MakeDirectory(undo).ok());
    FaultEnv faults(*files_, undo, n);
    Machine machine(faults, GetParam().make, directory_.path() + "/faults" + std::to_string(n), n,
                    {.keys = 20});
    FaultPlan plan;
    plan.fail_at = n;
    faults.SetPlan(plan);
    std::optional<Machine::Saved> saved;
    bool alive = machine.Start(1, nullptr);
    for (int round = 0; round < 3 && alive && !Failed(); ++round) {
      for (int step = 0; step < 12 && alive; ++step) alive = machine.Step();
      if (!alive) break;
      auto image = machine.Finish(machine.Freeze());
      alive = machine.ok();
      if (image) saved = std::move(image);
    }
    if (alive && machine.Start(2, &*saved)) {
      for (int step = 0; step < 8 && machine.Step(); ++step) {
      }
    }
    const bool hit = faults.hit();
    faults.SetPlan({});
    machine.ClearStatus();
    ASSERT_TRUE(machine.Start(2, saved ? &*saved : nullptr)) << machine.status().ToString();
    machine.CheckAll();
    ASSERT_TRUE(machine.ok()) << machine.status().ToString();
    if (Failed() || !hit) return;
  }
}

TEST_P(State, KeepsACompletedCheckpointWhenThePowerFails) {
  for (const PowerLossKeeps keeps :
       {PowerLossKeeps::kNothingUnsynced, PowerLossKeeps::kRandomPart}) {
    for (uint64_t seed = 1; seed <= 2 && !Failed(); ++seed) {
      const std::string name =
          (keeps == PowerLossKeeps::kRandomPart ? "random" : "nothing") + std::to_string(seed);
      SCOPED_TRACE(name);
      const std::string undo = directory_.path() + "/undo_" + name;
      ASSERT_TRUE(files_->MakeDirectory(undo).ok());
      FaultEnv disk(*files_, undo, seed);
      Machine machine(disk, GetParam().make, directory_.path() + "/" + name, seed, {.keys = 20});
      std::optional<Machine::Saved> saved;
      for (const uint32_t parallelism : {1U, 2U}) {
        ASSERT_TRUE(machine.Start(parallelism, saved ? &*saved : nullptr))
            << machine.status().ToString();
        for (int round = 0; round < 2; ++round) {
          for (int step = 0; step < 40 && !Failed(); ++step)
            ASSERT_TRUE(machine.Step()) << machine.status().ToString();
          saved = machine.Finish(machine.Freeze());
          ASSERT_TRUE(saved.has_value()) << machine.status().ToString();
        }
        // Work goes on, and a checkpoint is on its way when it happens.
        for (int step = 0; step < 10 && !Failed(); ++step)
          ASSERT_TRUE(machine.Step()) << machine.status().ToString();
        ASSERT_TRUE(machine.state(0).Write(machine.Freeze()).ok());
        disk.PowerLoss(keeps);
        machine.Close();  // a new process: nothing in memory is left
        machine.ClearStatus();
        ASSERT_TRUE(machine.Start(parallelism + 1, &*saved)) << machine.status().ToString();
        machine.CheckAll();
        ASSERT_TRUE(machine.ok()) << machine.status().ToString();
        if (Failed()) return;
      }
    }
  }
}

TEST_P(State, FindsEveryFlippedBitOfAnImageBeforeItOpens) {
  auto machine = Make(9);
  ASSERT_TRUE(machine->Start(1, nullptr));
  for (int step = 0; step < 60; ++step) ASSERT_TRUE(machine->Step());
  const auto saved = machine->Finish(machine->Freeze());
  ASSERT_TRUE(saved.has_value());
  machine->Close();
  std::mt19937_64 random(3);
  const std::string root = machine->store().Describe().substr(7) + "/";
  for (int flip = 0; flip < 40; ++flip) {
    Machine::Saved damaged = *saved;
    StateImage& image = damaged.images[0];
    if (flip % 4 == 0) {
      image.metadata[random() % image.metadata.size()] ^= static_cast<char>(1 << random() % 8);
      EXPECT_EQ(DescribeImage(image).status().code(), Code::kCorruption);
      continue;
    }
    const std::string path = root + image.files[random() % image.files.size()].name;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(random() % std::filesystem::file_size(path));
    const int bit = 1 << random() % 8;
    const auto turn = [&] {
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ bit));
      file.flush();
    };
    turn();
    EXPECT_FALSE(machine->Start(1, &damaged)) << path << " byte " << at;
    EXPECT_EQ(machine->status().code(), Code::kCorruption);
    turn();
  }
  machine->ClearStatus();
  ASSERT_TRUE(machine->Start(1, &*saved)) << machine->status().ToString();
  machine->CheckAll();
}

/// One value state on a real pool: what the threads of a process do.
class OnAPool : public State {
 protected:
  struct Task {
    std::unique_ptr<TestAccount> account;
    std::atomic<int> wakes = 0;
    std::unique_ptr<TaskState> state;
    ValueState* values = nullptr;
  };
  std::unique_ptr<Task> Open(StateBackend& backend, size_t hot_target,
                             std::span<const StateImage> restored) {
    auto task = std::make_unique<Task>();
    task->account = std::make_unique<TestAccount>(hot_target);
    TaskStateSpec spec;
    spec.task_name = "pool";
    spec.attempt = {static_cast<uint64_t>(++made_)};
    spec.groups = {{0}, {kTestGroups - 1}};
    spec.key_groups = kTestGroups;
    spec.states = {{NodeIndex{0},
                    "count",
                    StateIndex{0},
                    {.name = "counts",
                     .kind = StateKind::kValue,
                     .row = Schema({{"n", Type::Of(TypeKind::kInt64), true}}),
                     .namespaced = true},
                    {Type::Of(TypeKind::kInt64)}}};
    spec.directory = directory_.path() + "/pool" + std::to_string(made_);
    spec.hot = task->account.get();
    spec.wake = [woken = &task->wakes] { ++*woken; };
    auto opened = backend.Open(spec, restored);
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    task->state = std::move(opened).value();
    task->values = std::get<ValueState*>(task->state->state({0}, {0}));
    return task;
  }
  void Wait(Task& task, const std::function<bool()>& done) {
    while (!done()) {
      ASSERT_TRUE(task.state->status().ok()) << task.state->status().ToString();
      if (task.account->used() > task.account->target())
        task.state->Evict(task.account->used() - task.account->target());
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  void Count(Task& task, const std::vector<int64_t>& keys, int64_t ns,
             std::map<std::pair<int64_t, int64_t>, int64_t>& model) {
    const auto storage = KeysOfNumbers(keys);
    const KeyBatch view = storage->View();
    const std::vector<Namespace> namespaces(keys.size(), Namespace{ns});
    std::vector<StateRow*> rows(keys.size());
    Wait(task, [&] { return task.state->CanTakeBatch(static_cast<uint32_t>(keys.size())); });
    Wait(task, [&] { return task.values->Update(view, namespaces, rows) == Ready::kReady; });
    const StateLayout::Slot& n = task.values->layout().fields[0];
    for (size_t i = 0; i < keys.size(); ++i) {
      rows[i]->Set<int64_t>(n, (rows[i]->IsNull(n) ? 0 : rows[i]->Get<int64_t>(n)) + 1);
      ++model[{ns, keys[i]}];
    }
    if (task.account->used() > task.account->target())
      task.state->Evict(task.account->used() - task.account->target());
  }
  void Expect(Task& task, const std::map<std::pair<int64_t, int64_t>, int64_t>& model) {
    for (const auto& [id, count] : model) {
      const auto storage = KeysOfNumbers({id.second});
      const Namespace ns{id.first};
      StateRow* row = nullptr;
      Wait(task, [&] {
        return task.values->Find(storage->View(), {&ns, 1}, {&row, 1}) == Ready::kReady;
      });
      ASSERT_NE(row, nullptr) << "ns " << id.first << " key " << id.second;
      ASSERT_EQ(row->Get<int64_t>(task.values->layout().fields[0]), count)
          << "ns " << id.first << " key " << id.second;
    }
  }
};

TEST_P(OnAPool, KeepsTheBarrierExactOnASlowDisk) {
  ASSERT_TRUE(files_->MakeDirectory(directory_.path() + "/undo").ok());
  FaultEnv slow(*files_, directory_.path() + "/undo", 1);
  FaultPlan plan;
  plan.write_delay = Microseconds(300);
  plan.sync_delay = Microseconds(2000);
  plan.read_delay = Microseconds(50);
  slow.SetPlan(plan);
  const auto backend = GetParam().make(slow, 16 << 10);
  auto task = Open(*backend, 20'000, {});
  std::map<std::pair<int64_t, int64_t>, int64_t> model, frozen;
  std::mt19937_64 random(4);
  const auto some = [&] {
    std::vector<int64_t> keys;
    keys.reserve(50);
    for (int i = 0; i < 50; ++i) keys.push_back(static_cast<int64_t>(random() % 600));
    return keys;
  };
  StateImage image;
  for (uint64_t n = 1; n <= 3; ++n) {
    for (int i = 0; i < 30; ++i) Count(*task, some(), static_cast<int64_t>(random() % 3), model);
    task->state->Freeze({n}, EventTime::Min());
    frozen = model;
    std::atomic<bool> written = false;
    Status status;
    slow.Post([&] {
      auto made = task->state->Write({n});
      status = made.status();
      if (made.ok()) image = std::move(made).value();
      written = true;
    });
    int meanwhile = 0;
    while (!written) {
      if (++meanwhile < 200) Count(*task, some(), static_cast<int64_t>(random() % 3), model);
    }
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  // Local files of the image are still there: neither completed nor aborted. All of them are new.
  auto restored = Open(*backend, 20'000, {&image, 1});
  Expect(*task, model);
  Expect(*restored, frozen);
}

// Calls that add far more than the task's own eviction between them takes away, images being
// written beside them.
TEST_P(OnAPool, KeepsToItsTargetHoweverFastRowsCome) {
  constexpr size_t kTarget = size_t{2} << 20, kBuffer = size_t{256} << 10;
  constexpr int64_t kBatchRows = 1000, kBatches = 100;
  ASSERT_TRUE(files_->MakeDirectory(directory_.path() + "/undo").ok());
  FaultEnv slow(*files_, directory_.path() + "/undo", 1);
  FaultPlan plan;
  plan.write_delay = Microseconds(300);
  slow.SetPlan(plan);
  const auto backend = GetParam().make(slow, kBuffer);
  auto task = Open(*backend, kTarget, {});
  std::map<std::pair<int64_t, int64_t>, int64_t> model;
  size_t most = 0;
  std::atomic<uint64_t> written = 0;
  uint64_t frozen = 0;
  for (int64_t batch = 0; batch < kBatches; ++batch) {
    std::vector<int64_t> keys(kBatchRows);
    std::iota(keys.begin(), keys.end(), batch * kBatchRows);
    Count(*task, keys, 1, model);
    most = std::max(most, task->account->used());
    if (batch % 20 != 19 || written != frozen) continue;
    task->state->Freeze({++frozen}, EventTime::Min());
    slow.Post([&task, &written, n = frozen] {
      EXPECT_TRUE(task->state->Write({n}).ok());
      written = n;
    });
  }
  Wait(*task, [&] { return written == frozen; });
  // What the last batch before a wait adds, and an index that doubles with it.
  EXPECT_LE(most, kTarget + kTarget / 4);
  const StateUsage usage = task->state->usage();
  EXPECT_EQ(usage.rows, static_cast<uint64_t>(kBatchRows * kBatches));
  EXPECT_GT(usage.hot_rows, 0U);
  EXPECT_LT(usage.hot_rows, usage.rows / 2);
  EXPECT_EQ(usage.hot_bytes, task->account->used());
  Expect(*task, {{{1, 7}, 1}, {{1, 55'555}, 1}, {{1, 99'999}, 1}});
}

TEST_P(OnAPool, CallsTheStorageSeldomForWindowedCounts) {
  const auto backend = GetParam().make(*files_, 8 << 20);
  auto task = Open(*backend, size_t{1} << 30, {});
  std::map<std::pair<int64_t, int64_t>, int64_t> model;
  std::mt19937_64 random(8);
  uint64_t events = 0;
  RowBlock block;
  for (int64_t slice = 0; slice < 20; ++slice) {
    for (int batch = 0; batch < 4; ++batch) {
      std::vector<int64_t> keys;
      keys.reserve(2500);
      for (int i = 0; i < 2500; ++i)
        keys.push_back(slice * 100 + static_cast<int64_t>(random() % 1000));
      Count(*task, keys, slice, model);
      events += keys.size();
    }
    if (slice % 5 == 4) {
      task->state->Freeze({static_cast<uint64_t>(slice)}, EventTime::Min());
      ASSERT_TRUE(task->state->Write({static_cast<uint64_t>(slice)}).ok());
      task->state->Completed({static_cast<uint64_t>(slice)});
    }
    uint64_t found = 0;
    for (uint16_t group = 0; group < kTestGroups; ++group) {
      ASSERT_EQ(task->values->ScanNamespace({slice}, {{group}, {group}}, {}, block), Ready::kReady);
      found += block.rows.size();
      if (slice >= 5) task->values->Drop({slice - 5}, {{group}, {group}});
    }
    std::erase_if(model, [&](const auto& row) { return row.first.first < slice; });
    EXPECT_EQ(found, model.size());
  }
  const StateUsage usage = task->state->usage();
  EXPECT_EQ(usage.cold_reads, 0U);
  EXPECT_LE(static_cast<double>(usage.rocksdb_calls) / static_cast<double>(events), 0.02);
}

// By group, and by key within a group: a scan goes on behind the key of any row.
TEST_P(OnAPool, ScansManyShortGroupsBlockByBlock) {
  const auto backend = GetParam().make(*files_, 8 << 20);
  auto task = Open(*backend, size_t{1} << 30, {});
  constexpr int64_t kRows = 3 * RowBlock::kRowsMax;
  std::map<std::pair<int64_t, int64_t>, int64_t> model;
  for (int64_t from = kRows; from > 0; from -= 1024) {
    std::vector<int64_t> keys(1024);
    std::iota(keys.rbegin(), keys.rend(), from);
    Count(*task, keys, 1, model);
  }
  std::set<std::string> found;
  GroupRange groups{{0}, {kTestGroups - 1}};
  std::string after;
  RowBlock block;
  size_t blocks = 0;
  do {
    ASSERT_EQ(task->values->ScanNamespace({1}, groups, after, block), Ready::kReady);
    ++blocks;
    ASSERT_FALSE(block.rows.empty());
    for (size_t i = 0; i < block.rows.size(); ++i) {
      ASSERT_EQ(block.hash[i], HashKey(block.key[i]));
      ASSERT_TRUE(found.emplace(block.key[i]).second) << "shown twice";
      if (i == 0) continue;
      const auto order = [&](size_t row) {
        return std::pair(KeyGroupOf(block.hash[row], kTestGroups).value, block.key[row]);
      };
      ASSERT_LT(order(i - 1), order(i));
    }
    groups.first = KeyGroupOf(block.hash.back(), kTestGroups);
    after = block.key.back();
  } while (block.more);
  EXPECT_EQ(found.size(), static_cast<size_t>(kRows));
  EXPECT_GE(blocks, 3U);
}

class OnRocksdb : public OnAPool {};

// Rows of old slices are evicted while new slices come: what they lay in must not stay with them.
TEST_P(OnRocksdb, GivesBackTheMemoryOfSlicesThatItEvicts) {
  constexpr size_t kTarget = size_t{4} << 20, kBuffer = size_t{512} << 10;
  constexpr int64_t kSlices = 40, kBatches = 10, kBatchRows = 1000;
  const auto backend = GetParam().make(*files_, kBuffer);
  auto task = Open(*backend, kTarget, {});
  const auto in_use = [] {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  size_t before = 0;
  std::vector<StateRow*> rows(kBatchRows);
  for (int64_t slice = 0; slice < kSlices; ++slice) {
    for (int64_t batch = 0; batch < kBatches; ++batch) {
      std::vector<int64_t> numbers(kBatchRows);
      std::iota(numbers.begin(), numbers.end(), batch * kBatchRows);
      const auto keys = KeysOfNumbers(numbers);
      const std::vector<Namespace> ns(kBatchRows, Namespace{slice});
      Wait(*task, [&] { return task->state->CanTakeBatch(kBatchRows); });
      Wait(*task, [&] { return task->values->Update(keys->View(), ns, rows) == Ready::kReady; });
    }
    if (slice == kSlices / 4) before = in_use();
  }
  task->state->Evict(1);  // which also publishes
  EXPECT_EQ(task->state->usage().rows, static_cast<uint64_t>(kSlices * kBatches * kBatchRows));
  // A compaction takes some MiB while it runs: what stays counts, and each one ends.
  size_t least = in_use();
  for (int tries = 0; tries < 500 && least >= before + kTarget; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    least = std::min(least, in_use());
  }
  EXPECT_LT(least, before + kTarget);
}

BackendCase RocksdbCase() {
  return {"rocksdb", [](Env& env, size_t buffer) {
            return MakeRocksdbBackend(env, {.cache_bytes = 1 << 20,
                                            .write_buffer_bytes = 256 << 10,
                                            .eviction_buffer_bytes = buffer})
                .value();
          }};
}
const auto kBackends = testing::Values(
    BackendCase{"memory", [](Env& env, size_t buffer) { return MakeMemoryBackend(env, {buffer}); }},
    RocksdbCase());
const auto kBackendName = [](const testing::TestParamInfo<BackendCase>& param) {
  return param.param.name;
};
INSTANTIATE_TEST_SUITE_P(Backends, State, kBackends, kBackendName);
INSTANTIATE_TEST_SUITE_P(Backends, OnAPool, kBackends, kBackendName);
INSTANTIATE_TEST_SUITE_P(Backends, OnRocksdb, testing::Values(RocksdbCase()), kBackendName);

}  // namespace
}  // namespace weir::state
