#include "state/state.h"

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
    return std::make_unique<Machine>(*files_, GetParam().make, directory_.path() + "/" + std::to_string(made_++), seed, options);
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
    for (int step = 0; step < 600 && !Failed(); ++step) ASSERT_TRUE(machine->Step()) << machine->status().ToString();
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
      ASSERT_TRUE(machine->Start(parallelism, saved ? &*saved : nullptr)) << machine->status().ToString();
      for (int round = 0; round < 2 && !Failed(); ++round) {
        for (int step = 0; step < 60 && !Failed(); ++step) ASSERT_TRUE(machine->Step()) << machine->status().ToString();
        const CheckpointId n = machine->Freeze();
        for (int step = static_cast<int>(machine->random()() % 40); step > 0 && !Failed(); --step) ASSERT_TRUE(machine->Step()) << machine->status().ToString();
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

INSTANTIATE_TEST_SUITE_P(Backends, State, testing::Values(BackendCase{"memory", [](Env& env, size_t buffer) { return MakeMemoryBackend(env, {buffer}); }},
                                         BackendCase{"rocksdb", [](Env& env, size_t buffer) {
                                           return MakeRocksdbBackend(env, {.cache_bytes = 1 << 20, .write_buffer_bytes = 256 << 10, .eviction_buffer_bytes = buffer}).value();
                                         }}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace weir::state
