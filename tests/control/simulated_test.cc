// The coordinator in virtual time, over a sink that does what each test says: how long a stop may
// last, when the first barrier may go, whose turn it is at a lock.

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "connectors/register.h"
#include "connectors/sink_shape.h"
#include "engine/control/coordinator.h"
#include "engine/control/job_storage.h"
#include "jobs/jobs.h"
#include "operators/register.h"
#include "state/state.h"
#include "tests/harness/no_clients.h"
#include "tests/sim/sim_job.h"

namespace weir::control {
namespace {

constexpr Duration kTimeout = Seconds(60);           // checkpoint.timeout of the job
constexpr Duration kRunMax = Seconds(3600);          // virtual
constexpr Duration kLookInterval = Seconds(1);       // of what waits for the test's word
constexpr Duration kCancelTime = Milliseconds(500);  // of giving an attempt up

/// What the sink of a test does. One thread runs everything.
struct Script {
  std::function<bool(CheckpointId)> prepared = [](CheckpointId) { return true; };
  std::function<std::optional<CheckpointId>()> marker = [] {
    return std::optional(CheckpointId{});
  };
  std::vector<uint64_t> barriers;  // ids in the order in which they came
};
Script* script = nullptr;  // of the running test: factories have no room for it

class ScriptedSink final : public Sink {
 public:
  Status Open(SinkContext& context, std::span<const LaneState>) override {
    context_ = &context;
    return Status::Ok();
  }
  Result<Step> Write(const Batch&, RowErrors&) override { return Step::Done(); }
  void Prepare(CheckpointId n) override { script->barriers.push_back(n.value); }
  Result<std::optional<LaneState>> Prepared(CheckpointId n) override {
    if (script->prepared(n)) return std::optional(LaneState{context_->lane(), "rows"});
    context_->WakeAfter(kLookInterval);
    return std::optional<LaneState>();
  }
  void Abort(CheckpointId) override {}

 private:
  SinkContext* context_ = nullptr;
};

class ScriptedCommit final : public SinkCommitProtocol {
 public:
  Status Open(SinkContext& context) override {
    context_ = &context;
    return Status::Ok();
  }
  void Recover(const LaneState&, CheckpointId head) override { progress_.confirmed = head; }
  void Commit(CheckpointId n, const LaneState&) override { progress_.confirmed = n; }
  Result<Step> Run() override {
    if (progress_.resolved) return Step::Done();
    progress_.marked = script->marker();
    progress_.fence_set = progress_.resolved = progress_.marked.has_value();
    if (progress_.resolved) return Step::Done();
    context_->WakeAfter(kLookInterval);
    return Step::Wait(0);
  }
  LaneProgress progress() const override { return progress_; }

 private:
  SinkContext* context_ = nullptr;
  LaneProgress progress_;
};

const Registry& WithScriptedSink() {
  static const Registry kRegistry = [] {
    Registry all;
    RegisterOperators(all);
    RegisterConnectors(all);
    all.Add({.name = "scripted_sink",
             .doc = "Does what a test says.",
             .inputs = {.least = 1, .most = 1, .accepts = kAppend},
             .infer =
                 [](NodeConfig& config, NodeShape& shape) {
                   InferSink(config, shape,
                             {.exactly_once = true, .visibility = "visible once per checkpoint"});
                 },
             .create = [](const NodeConfig&, const NodeShape& shape) -> Result<SinkParts> {
               return SinkParts{.sink = [] { return std::make_unique<ScriptedSink>(); },
                                .protocol = [] { return std::make_unique<ScriptedCommit>(); },
                                .guarantee = shape.guarantee};
             },
             .example = R"({"type": "scripted_sink", "inputs": ["rows"]})"});
    return all;
  }();
  return kRegistry;
}

/// A job without an end into the scripted sink; a checkpoint each second.
class SimulatedTest : public ::testing::Test {
 protected:
  SimulatedTest() : world_(1) { script = &script_; }
  ~SimulatedTest() override { script = nullptr; }

  struct Process {
    std::unique_ptr<Env> env;
    std::unique_ptr<MemoryGovernor> memory;
    std::unique_ptr<Clients> clients;
    jobs::CompiledJob job;
    cli::BackendParts backend;
    std::unique_ptr<CheckpointStore> store;
    std::string said;
    std::unique_ptr<JobCoordinator> coordinator;
    JobStatus status() const { return coordinator->status(); }
  };

  std::unique_ptr<Process> Start(
      uint32_t parallelism = 1, const std::string& interval = "1s",
      const std::string& state_directory = std::string(kSimStateDirectory)) {
    auto process = std::make_unique<Process>();
    process->env = world_.StartProcess("job");
    process->memory = cli::MakeGovernor(size_t{256} << 20);
    process->clients = std::make_unique<NoClients>("there is no network here");
    jobs::CompileOptions compile;
    compile.registry = &WithScriptedSink();
    compile.parallelism = parallelism;
    process->job = jobs::CompileJob(
        R"json({"weir": 1, "name": "sim", "execution": {"checkpoint": {"interval": ")json" +
            interval +
            R"json(", "timeout": "60s"}}, "nodes": {
  "rows": {"type": "generator_source", "rate": "10/s", "schema": {"n": "int64"}, "fields": {"n": "_offset"}},
  "out": {"type": "scripted_sink", "inputs": ["rows"]}}})json",
        compile);
    EXPECT_TRUE(process->job.plan) << jobs::FormatProblemsText(process->job);
    process->backend = cli::MakeBackend(*process->env, *process->memory, "memory").value();
    process->store = state::OpenFileStore(*process->env, std::string(kSimStorage)).value();
    CoordinatorOptions options;
    options.plan = &*process->job.plan;
    options.description = jobs::DescribeForUpgrade(*process->job.plan);
    options.check_upgrade = [](const Manifest&) { return Status::Ok(); };
    options.env = process->env.get();
    options.clients = process->clients.get();
    options.backend = process->backend.backend.get();
    options.memory = process->memory.get();
    options.store = process->store.get();
    options.state_directory = state_directory;
    options.say = [said = &process->said](const std::string& line) { *said += line + "\n"; };
    process->coordinator = JobCoordinator::Create(std::move(options));
    process->coordinator->Start();
    return process;
  }

  bool Until(const std::function<bool()>& done) { return world_.RunUntil(done, kRunMax); }
  /// How long the job takes to end after it is asked to stop.
  Duration StopTime(Process& process) {
    const Duration asked = world_.Steady();
    process.coordinator->Stop(/*drain=*/false);
    EXPECT_TRUE(Until([&] { return process.coordinator->ended(); }))
        << JobStateName(process.status().state);
    return world_.Steady() - asked;
  }

  Script script_;
  SimWorld world_;
};

TEST_F(SimulatedTest, AStopTakesNoLongerThanOneCheckpointMay) {
  script_.prepared = [](CheckpointId n) { return n.value <= 2; };
  const auto process = Start();
  ASSERT_TRUE(Until([&] { return script_.barriers.size() == 3; }));
  world_.RunFor(Seconds(20));  // the third hangs
  EXPECT_LE(StopTime(*process), kTimeout + kCancelTime);
  const JobStatus status = process->status();
  EXPECT_EQ(status.state, JobState::kStopped);
  EXPECT_EQ(status.checkpoints.completed, 2U);
  EXPECT_FALSE(status.checkpoints.in_progress);
  EXPECT_EQ(ExitCodeOf(status), 7);
  EXPECT_NE(status.failure.message().find("the newest complete one is 2"), std::string::npos)
      << status.failure.ToString();
}

TEST_F(SimulatedTest, AStopHasItsLastCheckpointWhenTheOneBeforeEndsInTime) {
  bool open = false;
  script_.prepared = [&](CheckpointId n) { return n.value <= 2 || open; };
  const auto process = Start();
  ASSERT_TRUE(Until([&] { return script_.barriers.size() == 3; }));
  process->coordinator->Stop(/*drain=*/false);
  world_.RunFor(Seconds(30));
  open = true;
  ASSERT_TRUE(Until([&] { return process->coordinator->ended(); }));
  EXPECT_EQ(process->status().state, JobState::kStopped);
  EXPECT_TRUE(process->status().failure.ok()) << process->status().failure.ToString();
  EXPECT_EQ(process->status().checkpoints.completed, 4U);
}

// R11: a marker above HEAD's id, as an older checkpoint leaves it; the sink needs long to read it.
TEST_F(SimulatedTest, NoBarrierGoesBeforeEveryLaneHasReadItsMarker) {
  constexpr CheckpointId kMarker{1000};
  const Duration readable = world_.Steady() + Seconds(30);
  script_.marker = [&] {
    return world_.Steady() >= readable ? std::optional(kMarker) : std::nullopt;
  };
  const auto process = Start(/*parallelism=*/2);
  ASSERT_TRUE(Until([&] { return process->status().checkpoints.completed >= 3; }));
  ASSERT_FALSE(script_.barriers.empty());
  for (const uint64_t id : script_.barriers) EXPECT_GT(id, kMarker.value);
  EXPECT_LE(StopTime(*process), kTimeout);
  EXPECT_TRUE(process->status().failure.ok()) << process->status().failure.ToString();
  EXPECT_GT(process->status().checkpoints.last, kMarker);
}

TEST_F(SimulatedTest, AStopWaitsForALaneOnlyAsLongAsForACheckpoint) {
  script_.marker = [] { return std::optional<CheckpointId>(); };
  const auto process = Start();
  ASSERT_TRUE(Until([&] { return process->status().state == JobState::kRunning; }));
  EXPECT_LE(StopTime(*process), kTimeout + kCancelTime);
  EXPECT_TRUE(script_.barriers.empty()) << script_.barriers.front();
  EXPECT_EQ(process->status().state, JobState::kStopped);
  EXPECT_EQ(ExitCodeOf(process->status()), 7);
  EXPECT_NE(process->status().failure.message().find("a sink still recovers"), std::string::npos)
      << process->status().failure.ToString();
}

TEST_F(SimulatedTest, AStopGetsItsCheckpointOnceTheLanesHaveRecovered) {
  bool readable = false;
  script_.marker = [&] { return readable ? std::optional(CheckpointId{7}) : std::nullopt; };
  const auto process = Start(/*parallelism=*/2);
  ASSERT_TRUE(Until([&] { return process->status().state == JobState::kRunning; }));
  process->coordinator->Stop(/*drain=*/false);
  world_.RunFor(Seconds(10));
  EXPECT_FALSE(process->coordinator->ended());
  readable = true;
  ASSERT_TRUE(Until([&] { return process->coordinator->ended(); }));
  EXPECT_TRUE(process->status().failure.ok()) << process->status().failure.ToString();
  EXPECT_EQ(process->status().checkpoints.completed, 1U);
  EXPECT_EQ(process->status().checkpoints.last, CheckpointId{8});
}

// R11: also of a checkpoint that no HEAD names, with a manifest or without.
TEST_F(SimulatedTest, ANewIdLiesAboveEveryFolderOfTheStorage) {
  std::string incarnation;
  {
    const auto process = Start();
    ASSERT_TRUE(Until([&] { return process->status().checkpoints.completed >= 2; }));
    StopTime(*process);
    incarnation = process->status().incarnation;
    const std::string folder = "sim/" + incarnation + "/chk/";
    ASSERT_TRUE(process->store->Put(folder + "4000-1/MANIFEST", "half of one").ok());
    ASSERT_TRUE(process->store->Put(folder + "5000-1/0-0.task", "part").ok());
  }
  const auto again = Start();
  ASSERT_TRUE(Until([&] { return again->status().checkpoints.completed >= 1; }));
  EXPECT_EQ(again->status().checkpoints.last, CheckpointId{5001});
}

// Else the age of a checkpoint that cannot come would raise an alert for ever.
TEST_F(SimulatedTest, NothingIsCurrentWithCheckpointsOff) {
  for (const char* interval : {"off", "1s"}) {
    const auto process = Start(1, interval);
    ASSERT_TRUE(Until([&] { return process->status().state == JobState::kRunning; }));
    world_.RunFor(Seconds(10));
    EXPECT_EQ(process->status().checkpoints.current_as_of.us != 0, interval == std::string("1s"));
    EXPECT_TRUE(process->status().has_run);
    StopTime(*process);
  }
}

// A pod deleted with --force: its successor starts while the old process still holds the lock.
TEST_F(SimulatedTest, TheLockOfAProcessThatIsAboutToEndIsWaitedFor) {
  const auto first = Start();
  ASSERT_TRUE(Until([&] { return first->status().checkpoints.completed >= 2; }));
  const auto second = Start();
  world_.RunFor(Seconds(10));
  EXPECT_FALSE(second->coordinator->ended());
  EXPECT_EQ(second->status().attempt.value, 0U);
  EXPECT_NE(second->said.find("waiting up to"), std::string::npos) << second->said;
  StopTime(*first);
  ASSERT_TRUE(Until([&] { return second->status().checkpoints.completed >= 1; }));
  EXPECT_EQ(second->status().restored, first->status().checkpoints.last);
}

TEST_F(SimulatedTest, ALockThatStaysIsRefusedAfterItsTime) {
  const auto first = Start();
  ASSERT_TRUE(Until([&] { return first->status().state == JobState::kRunning; }));
  const auto second = Start();
  ASSERT_TRUE(Until([&] { return second->coordinator->ended(); }));
  EXPECT_EQ(second->status().failure.code(), Code::kLocked);
  EXPECT_EQ(ExitCodeOf(second->status()), 7);
  const auto third = Start();
  world_.RunFor(Seconds(1));
  EXPECT_LE(StopTime(*third), Seconds(1)) << "a stop is not kept waiting";
  EXPECT_EQ(ExitCodeOf(third->status()), 0);
  EXPECT_FALSE(first->coordinator->ended());
}

TEST_F(SimulatedTest, AKilledProcessIsSucceededAtOnceInItsOwnPlace) {
  auto first = Start();
  ASSERT_TRUE(Until([&] { return first->status().checkpoints.completed >= 2; }));
  world_.Kill(*first->env);
  const Duration killed = world_.Steady();
  const auto second = Start();
  ASSERT_TRUE(Until([&] { return second->status().has_run; }));
  EXPECT_LT(world_.Steady() - killed, kOwnerRenewInterval);
  EXPECT_EQ(second->said.find("watching"), std::string::npos) << second->said;
  EXPECT_EQ(second->status().restored, first->status().checkpoints.last);
}

// A pod without a volume that was moved: its place is new, and the old one's OWNER ages.
TEST_F(SimulatedTest, InANewPlaceItWaitsUntilTheOwnerIsStale) {
  auto first = Start();
  ASSERT_TRUE(Until([&] { return first->status().checkpoints.completed >= 2; }));
  world_.Kill(*first->env);
  const Duration killed = world_.Steady();
  const auto second = Start(1, "1s", "/state/moved");
  ASSERT_TRUE(Until([&] { return second->status().has_run; }));
  EXPECT_GE(world_.Steady() - killed, kOwnerWatchTime);
  EXPECT_LT(world_.Steady() - killed, kOwnerWatchTime + kOwnerRenewInterval);
  EXPECT_EQ(second->status().restored, first->status().checkpoints.last);
}

TEST_F(SimulatedTest, AnotherPlaceStaysOutWhileTheOwnerLives) {
  const auto first = Start();
  ASSERT_TRUE(Until([&] { return first->status().checkpoints.completed >= 2; }));
  const Duration begun = world_.Steady();
  const auto second = Start(1, "1s", "/state/moved");
  ASSERT_TRUE(Until([&] { return second->coordinator->ended(); }));
  EXPECT_LE(world_.Steady() - begun, kOwnerWatchTime);
  EXPECT_EQ(second->status().failure.code(), Code::kLocked);
  EXPECT_EQ(ExitCodeOf(second->status()), 7);
  const uint64_t completed = first->status().checkpoints.completed;
  ASSERT_TRUE(Until([&] { return first->status().checkpoints.completed > completed + 2; }));
  EXPECT_EQ(first->status().attempt.value, 1U) << "it was not disturbed";
  const auto third = Start(1, "1s", "/state/moved");
  ASSERT_TRUE(Until([&] { return third->said.find("watching") != std::string::npos; }));
  EXPECT_LE(StopTime(*third), Seconds(1)) << "a stop is not kept waiting";
  EXPECT_EQ(ExitCodeOf(third->status()), 0);
}

}  // namespace
}  // namespace weir::control
