#include "engine/control/coordinator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "cli/builtins.h"
#include "engine/base/env_posix.h"
#include "engine/control/job_storage.h"
#include "engine/control/restore.h"
#include "jobs/jobs.h"
#include "state/state.h"
#include "tests/control/forwarding_store.h"

namespace weir::control {
namespace {

namespace fs = std::filesystem;

constexpr int kRows = 2000;
constexpr size_t kMemoryBytes = size_t{512} << 20;
constexpr Duration kPatience = Seconds(30);
constexpr auto kRunMax = std::chrono::seconds(120);

/// A job over files in a directory of its own, run in this process by a real coordinator.
class CoordinatorTest : public ::testing::Test {
 protected:
  CoordinatorTest()
      : env_(MakePosixEnv(4)),
        memory_(cli::MakeGovernor(kMemoryBytes)),
        clients_(cli::MakeRealClients(*env_)) {
    static int instances = 0;
    root_ = fs::temp_directory_path() /
            ("weir_coordinator_" + std::to_string(getpid()) + "_" + std::to_string(++instances));
    fs::create_directories(root_);
    std::ofstream input(root_ / "input.ndjson");
    for (int i = 0; i < kRows; ++i) input << "{\"k\":" << i % 7 << ",\"at\":" << i << "}\n";
    store_ = state::OpenFileStore(*env_, "file://" + (root_ / "storage").string()).value();
    backend_ = cli::MakeBackend(*env_, *memory_, "rocksdb").value();
  }
  ~CoordinatorTest() override {
    backend_.backend.reset();
    env_.reset();
    fs::remove_all(root_);
  }

  /// `rate` 0: as fast as it goes. Results go to files without `sink`, the text of a node.
  jobs::CompiledJob Compile(int rate, uint32_t parallelism, const std::string& sink = {},
                            const std::string& interval = "100ms") {
    const std::string limit = rate == 0 ? "" : "\"rate\": \"" + std::to_string(rate) + "/s\",";
    const std::string text =
        R"json({"weir": 1, "name": "counted", "execution": {"checkpoint": {"interval": ")json" +
        interval + R"json("}}, "nodes": {
      "rows": {"type": "file_source", "path": ")json" +
        (root_ / "input.ndjson").string() + R"json(", )json" + limit +
        R"json( "format": {"type": "json"},
        "schema": {"k": "int64", "at": "timestamp_ms"}, "event_time": {"field": "at", "max_delay": "1s"}},
      "counts": {"type": "aggregate", "inputs": ["rows"], "key_by": ["k"], "window": {"type": "tumbling", "size": "100ms"}, "aggregates": {"n": "count(*)"}},
      "out": )json" +
        (sink.empty() ? R"({"type": "file_sink", "inputs": ["counts"], "path": ")" +
                            (root_ / "out").string() + R"(", "format": {"type": "json"}})"
                      : sink) +
        "}}";
    jobs::CompileOptions options;
    options.registry = &cli::Builtins();
    options.parallelism = parallelism;
    options.file = "counted.weir.json";
    options.allowed_paths = {root_.string()};
    jobs::CompiledJob job = jobs::CompileJob(text, options);
    EXPECT_TRUE(job.plan) << jobs::FormatProblemsText(job);
    return job;
  }

  CoordinatorOptions Options(const PhysicalPlan& plan, const std::string& state = "state") {
    CoordinatorOptions options;
    options.plan = &plan;
    options.description = jobs::DescribeForUpgrade(plan);
    options.check_upgrade = [](const Manifest&) { return Status::Ok(); };
    options.env = env_.get();
    options.clients = clients_.get();
    options.backend = backend_.backend.get();
    options.memory = memory_.get();
    options.store = store_.get();
    options.state_directory = (root_ / state).string();
    options.threads = 2;
    options.say = [this](const std::string& line) { said_ += line + "\n"; };
    return options;
  }

  static void AwaitEnd(JobCoordinator& coordinator) {
    const auto deadline = std::chrono::steady_clock::now() + kRunMax;
    while (!coordinator.ended()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline)
          << JobStateName(coordinator.status().state);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  /// Rows counted in all finished files.
  int64_t Counted() const {
    int64_t sum = 0;
    for (const std::string& line : Results()) sum += Json::parse(line)["n"].get<int64_t>();
    return sum;
  }
  /// The lines of all finished files.
  std::vector<std::string> Results() const {
    std::vector<std::string> lines;
    if (!fs::exists(root_ / "out")) return lines;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root_ / "out")) {
      const std::string name = entry.path().filename().string();
      if (!entry.is_regular_file() || name.starts_with(".") || name.ends_with(".part")) continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) lines.push_back(line);
    }
    return lines;
  }

  std::unique_ptr<Env> env_;
  const std::unique_ptr<MemoryGovernor> memory_;
  const std::unique_ptr<Clients> clients_;
  fs::path root_;
  std::unique_ptr<CheckpointStore> store_;
  cli::BackendParts backend_;
  std::string said_;
};

TEST_F(CoordinatorTest, FinishesABoundedJobOnceAndSaysSoTheNextTime) {
  const jobs::CompiledJob job = Compile(0, 2);
  {
    const auto coordinator = JobCoordinator::Create(Options(*job.plan));
    coordinator->Start();
    AwaitEnd(*coordinator);
    EXPECT_EQ(coordinator->status().state, JobState::kFinished)
        << coordinator->status().failure.ToString();
  }
  EXPECT_EQ(Counted(), kRows);
  const auto again = JobCoordinator::Create(Options(*job.plan));
  again->Start();
  AwaitEnd(*again);
  EXPECT_EQ(again->status().state, JobState::kFinished);
  EXPECT_EQ(ExitCodeOf(again->status()), 0);
  EXPECT_NE(said_.find("has finished before"), std::string::npos) << said_;
  EXPECT_EQ(Counted(), kRows) << "nothing ran twice";
}

TEST_F(CoordinatorTest, RunsAFinishedJobAgainFromNone) {
  const jobs::CompiledJob job = Compile(0, 1);
  for (int run = 0; run < 2; ++run) {
    CoordinatorOptions options = Options(*job.plan);
    options.from_none = run == 1;
    const auto coordinator = JobCoordinator::Create(std::move(options));
    coordinator->Start();
    AwaitEnd(*coordinator);
    ASSERT_EQ(coordinator->status().state, JobState::kFinished)
        << coordinator->status().failure.ToString();
  }
  EXPECT_EQ(Counted(), 2 * kRows) << "a new incarnation writes files of its own";
}

// Without checkpoints each run begins at the beginning, and the files of the one before stay.
TEST_F(CoordinatorTest, RunsAgainWithoutCheckpoints) {
  const jobs::CompiledJob off = Compile(0, 2, {}, "off");
  for (int run = 1; run <= 2; ++run) {
    const auto coordinator = JobCoordinator::Create(Options(*off.plan));
    coordinator->Start();
    AwaitEnd(*coordinator);
    ASSERT_EQ(coordinator->status().state, JobState::kFinished)
        << coordinator->status().failure.ToString();
    EXPECT_EQ(Counted(), run * kRows);
  }
  // Exactly once from here on: these files are results that a run from the beginning would double.
  const jobs::CompiledJob on = Compile(0, 2);
  const auto refused = JobCoordinator::Create(Options(*on.plan));
  refused->Start();
  AwaitEnd(*refused);
  EXPECT_EQ(ExitCodeOf(refused->status()), 8) << refused->status().failure.ToString();
  EXPECT_NE(refused->status().failure.message().find("empty with --from none and another path"),
            std::string::npos)
      << refused->status().failure.ToString();
  EXPECT_EQ(Counted(), 2 * kRows);
}

TEST_F(CoordinatorTest, RefusesASecondProcessOnTheSameStateDirectory) {
  const jobs::CompiledJob job = Compile(500, 1);
  const auto first = JobCoordinator::Create(Options(*job.plan));
  first->Start();
  while (first->status().state != JobState::kRunning)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CoordinatorOptions options = Options(*job.plan);
  options.connect_timeout = Milliseconds(600);
  const auto second = JobCoordinator::Create(std::move(options));
  second->Start();
  AwaitEnd(*second);
  EXPECT_EQ(second->status().failure.code(), Code::kLocked) << second->status().failure.ToString();
  EXPECT_EQ(ExitCodeOf(second->status()), 7);
  EXPECT_FALSE(first->ended()) << "the first one is not disturbed";
  const std::string waiting = "waiting up to 0 s for the state directory";
  EXPECT_NE(said_.find(waiting), std::string::npos) << said_;
  EXPECT_EQ(said_.find(waiting), said_.rfind(waiting)) << "once: " << said_;
  first->Stop(/*drain=*/false);
  AwaitEnd(*first);
  EXPECT_EQ(first->status().state, JobState::kStopped);
}

TEST_F(CoordinatorTest, RefusesACheckpointThatTheUpgradeCheckRefuses) {
  const jobs::CompiledJob job = Compile(1000, 1);
  {
    const auto coordinator = JobCoordinator::Create(Options(*job.plan));
    coordinator->Start();
    while (coordinator->status().checkpoints.completed < 2)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    coordinator->Stop(/*drain=*/false);
    AwaitEnd(*coordinator);
  }
  CoordinatorOptions options = Options(*job.plan);
  options.check_upgrade = [](const Manifest&) {
    return Status(Code::kIncompatible, "node counts: reset");
  };
  const auto refused = JobCoordinator::Create(std::move(options));
  refused->Start();
  AwaitEnd(*refused);
  EXPECT_EQ(ExitCodeOf(refused->status()), 7);
  EXPECT_NE(refused->status().failure.message().find("node counts"), std::string::npos);
}

/// Its first removal of a checkpoint's file lasts until something is interrupted, and then as long
/// as a request that is on its way.
class SlowToRemove final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  Status Remove(std::string_view name) override {
    if (name.find("/chk/") == std::string_view::npos || held_.exchange(true))
      return ForwardingStore::Remove(name);
    while (!interrupted_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    Status status = ForwardingStore::Remove(name);
    removed_ = true;
    return status;
  }
  void Interrupt() override {
    if (held_) interrupted_ = true;
    ForwardingStore::Interrupt();
  }
  bool held() const { return held_; }
  bool removed() const { return removed_; }

 private:
  std::atomic<bool> held_ = false, interrupted_ = false, removed_ = false;
};

TEST_F(CoordinatorTest, EndsOnlyWhenNothingWorksOnTheStorageAnyLonger) {
  std::ofstream(root_ / "input.ndjson", std::ios::app) << "no json\n";
  const jobs::CompiledJob job = Compile(1000, 1);
  SlowToRemove store(*store_);
  CoordinatorOptions options = Options(*job.plan);
  options.store = &store;
  const auto coordinator = JobCoordinator::Create(std::move(options));
  coordinator->Start();
  AwaitEnd(*coordinator);
  EXPECT_EQ(coordinator->status().state, JobState::kFailed);
  ASSERT_TRUE(store.held()) << "nothing was removed before the job failed";
  EXPECT_TRUE(store.removed()) << "the store may be gone now";
}

/// A stopped job of which several checkpoints are kept, and the newest of them damaged: one bit of
/// a file that the one before does not share.
class DamagedCheckpointTest : public CoordinatorTest {
 protected:
  /// Ids of the damaged one and of the one before.
  std::pair<uint64_t, uint64_t> RunAndDamage(const PhysicalPlan& plan, bool remove_manifest,
                                             bool until_published = false) {
    {
      const auto coordinator = JobCoordinator::Create(Options(plan));
      coordinator->Start();
      while (coordinator->status().checkpoints.completed < 3 && !coordinator->ended())
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      for (int64_t first = 0; until_published && !coordinator->ended();) {
        const int64_t now = Counted();
        if (first != 0 && now > first) break;
        if (first == 0) first = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      coordinator->Stop(/*drain=*/false);
      AwaitEnd(*coordinator);
      EXPECT_TRUE(coordinator->status().failure.ok()) << coordinator->status().failure.ToString();
    }
    JobStorage storage(*env_, *store_, "counted", (root_ / "state").string());
    const Head head = storage.ReadHead().value().value();
    const Manifest manifest = storage.ReadManifest(head).value();
    fs::remove_all(root_ / "copy");
    fs::copy(root_ / "storage", root_ / "copy", fs::copy_options::recursive);
    damaged_file_ = remove_manifest
                        ? "counted/" + head.manifest
                        : storage.InIncarnation(head.incarnation, manifest.tasks.front().part);
    if (remove_manifest) {
      fs::remove(root_ / "storage" / damaged_file_);
    } else {
      std::fstream file(root_ / "storage" / damaged_file_,
                        std::ios::in | std::ios::out | std::ios::binary);
      char byte = 0;
      file.seekg(20).get(byte);
      file.seekp(20).put(static_cast<char>(byte ^ 1)).flush();
    }
    uint64_t before = 0;
    for (uint64_t sequence = head.sequence - 1; sequence > 0 && before == 0; --sequence) {
      const Head old = storage.ReadHeadAt(sequence).value();
      if (old.checkpoint != head.checkpoint) before = old.checkpoint.value;
    }
    return {head.checkpoint.value, before};
  }

  std::string damaged_file_;  // name in the storage; the whole storage as it was is in `copy`
};

TEST_F(DamagedCheckpointTest, GoesBackToTheOneBeforeWhenNoResultIsDoubled) {
  for (const bool remove_manifest : {false, true}) {
    fs::remove_all(root_ / "storage");
    fs::remove_all(root_ / "state");
    said_.clear();
    const jobs::CompiledJob job =
        Compile(1000, 2, R"({"type": "blackhole_sink", "inputs": ["counts"]})");
    const auto [damaged, before] = RunAndDamage(*job.plan, remove_manifest);
    ASSERT_GT(before, 0U);
    const auto resumed = JobCoordinator::Create(Options(*job.plan));
    resumed->Start();
    AwaitEnd(*resumed);
    const JobStatus status = resumed->status();
    EXPECT_EQ(status.state, JobState::kFinished) << status.failure.ToString();
    EXPECT_EQ(status.checkpoints.fallbacks, 1U);
    ASSERT_TRUE(status.restored);
    EXPECT_EQ(status.restored->value, before);
    EXPECT_GT(status.checkpoints.last.value, damaged) << "no id comes again";
    EXPECT_NE(said_.find("went back to checkpoint " + std::to_string(before)), std::string::npos)
        << said_;
    EXPECT_NE(said_.find(remove_manifest ? "MANIFEST" : ".task"), std::string::npos) << said_;
  }
}

TEST_F(DamagedCheckpointTest, StaysOutWhenASinkMayHavePublishedPastTheOneBefore) {
  const jobs::CompiledJob job = Compile(1000, 2);
  const auto [damaged, before] = RunAndDamage(*job.plan, /*remove_manifest=*/false);
  const auto refused = JobCoordinator::Create(Options(*job.plan));
  refused->Start();
  AwaitEnd(*refused);
  const JobStatus status = refused->status();
  EXPECT_EQ(status.state, JobState::kFailed);
  EXPECT_EQ(ExitCodeOf(status), 7);
  EXPECT_EQ(status.checkpoints.fallbacks, 0U);
  EXPECT_NE(status.failure.message().find("checkpoint " + std::to_string(damaged)),
            std::string::npos)
      << status.failure.ToString();
  EXPECT_NE(status.failure.message().find("checkpoint " + std::to_string(before) + " is whole"),
            std::string::npos)
      << status.failure.ToString();
  EXPECT_NE(status.failure.message().find("--from none"), std::string::npos)
      << status.failure.ToString();
  JobStorage storage(*env_, *store_, "counted", (root_ / "state").string());
  EXPECT_EQ(storage.ReadHead().value().value().checkpoint.value, damaged) << "HEAD did not go back";
}

// A sink that is at least once has published past the checkpoint that is gone back to, by itself or
// by hand: its results come again, and none is lost.
TEST_F(DamagedCheckpointTest, GoesBackBehindASinkThatMayRepeat) {
  for (const bool by_hand : {false, true}) {
    SCOPED_TRACE(by_hand);
    for (const char* place : {"storage", "state", "out"}) fs::remove_all(root_ / place);
    jobs::CompiledJob job = Compile(
        1000, 2,
        R"({"type": "file_sink", "inputs": ["counts"], "path": ")" + (root_ / "out").string() +
            R"(", "format": {"type": "json"}, "delivery": "at_least_once"})");
    job.plan->checkpoint.retain = 1000;
    const uint64_t damaged =
        RunAndDamage(*job.plan, /*remove_manifest=*/true, /*until_published=*/true).first;
    CoordinatorOptions options = Options(*job.plan);
    if (by_hand) {
      options.from_checkpoint = 1;
    } else {  // of all but the first, so that it is surely behind what is published
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root_ / "storage")) {
        if (entry.path().filename() == "MANIFEST" &&
            !entry.path().parent_path().filename().string().starts_with("1-"))
          fs::remove(entry.path());
      }
    }
    const auto resumed = JobCoordinator::Create(std::move(options));
    resumed->Start();
    AwaitEnd(*resumed);
    const JobStatus status = resumed->status();
    EXPECT_EQ(status.state, JobState::kFinished) << status.failure.ToString();
    EXPECT_EQ(status.restored, CheckpointId{1});
    EXPECT_EQ(status.checkpoints.fallbacks, by_hand ? 0U : 1U);
    EXPECT_GT(status.checkpoints.last.value, damaged) << "no id comes again";
    EXPECT_GT(Counted(), kRows) << "nothing past the checkpoint was published";
    const std::vector<std::string> results = Results();
    int64_t once = 0;
    for (const std::string& line : std::set<std::string>(results.begin(), results.end()))
      once += Json::parse(line)["n"].get<int64_t>();
    EXPECT_EQ(once, kRows) << "each result, however often it came";
  }
}

// What the message advises leads out, also after the attempt to go back that the sink refuses.
TEST_F(DamagedCheckpointTest, GoesOnOnceTheFileIsBack) {
  for (const bool remove_manifest : {false, true}) {
    for (const char* place : {"storage", "state", "out"}) fs::remove_all(root_ / place);
    jobs::CompiledJob job = Compile(1000, 2);
    job.plan->checkpoint.retain = 1000;
    const uint64_t damaged =
        RunAndDamage(*job.plan, remove_manifest, /*until_published=*/true).first;
    CoordinatorOptions options = Options(*job.plan);
    options.from_checkpoint = 1;  // results past it are published
    const auto refused = JobCoordinator::Create(std::move(options));
    refused->Start();
    AwaitEnd(*refused);
    EXPECT_EQ(ExitCodeOf(refused->status()), 8) << refused->status().failure.ToString();
    EXPECT_NE(refused->status().failure.message().find("results would be doubled"),
              std::string::npos)
        << refused->status().failure.ToString();
    fs::copy(root_ / "copy" / damaged_file_, root_ / "storage" / damaged_file_,
             fs::copy_options::overwrite_existing);  // that one alone
    options = Options(*job.plan);
    options.from_checkpoint = damaged;
    const auto resumed = JobCoordinator::Create(std::move(options));
    resumed->Start();
    AwaitEnd(*resumed);
    EXPECT_EQ(resumed->status().state, JobState::kFinished) << resumed->status().failure.ToString();
    EXPECT_EQ(Counted(), kRows) << "each row once";
  }
}

// 200 random bit flips over all files of a checkpoint, HEAD and manifest included: each is found
// before a task starts, and the file is named.
TEST_F(CoordinatorTest, FindsEveryFlippedBitBeforeATaskStarts) {
  const jobs::CompiledJob job = Compile(1000, 2);
  {
    const auto coordinator = JobCoordinator::Create(Options(*job.plan));
    coordinator->Start();
    while (coordinator->status().checkpoints.completed < 3)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    coordinator->Stop(/*drain=*/false);
    AwaitEnd(*coordinator);
    ASSERT_TRUE(coordinator->status().failure.ok()) << coordinator->status().failure.ToString();
  }
  JobStorage storage(*env_, *store_, "counted", (root_ / "state").string());
  const Head head = storage.ReadHead().value().value();
  const Manifest manifest = storage.ReadManifest(head).value();
  std::vector<std::string> files = {storage.HeadName(head.sequence), "counted/" + head.manifest};
  for (const ManifestFile& file : manifest.files)
    files.push_back(storage.InIncarnation(manifest.incarnation, file.name));
  std::mt19937_64 random(17);
  std::set<std::string> touched;
  for (int flip = 0; flip < 200; ++flip) {
    const std::string& name = files[random() % files.size()];
    const fs::path path = root_ / "storage" / name;
    const auto bytes = fs::file_size(path);
    if (bytes == 0) continue;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(random() % bytes);
    const auto bit = static_cast<char>(1 << (random() % 8));
    char byte = 0;
    file.seekg(at).get(byte);
    file.seekp(at).put(static_cast<char>(byte ^ bit)).flush();
    Status status;
    Result<std::optional<Head>> damaged_head = storage.ReadHead();
    if (!damaged_head.ok()) {
      status = damaged_head.status();
    } else {
      status = LoadCheckpoint(*env_, storage, **damaged_head, *job.plan,
                              (root_ / "restored").string(), kPatience)
                   .status();
    }
    ASSERT_EQ(status.code(), Code::kCorruption)
        << name << " byte " << at << ": " << status.ToString();
    ASSERT_NE(status.message().find(fs::path(name).filename().string()), std::string::npos)
        << "the message names " << name << ": " << status.message();
    touched.insert(name);
    file.seekp(at).put(byte).flush();
  }
  EXPECT_GE(touched.size(), files.size() / 2);
  const auto resumed = JobCoordinator::Create(Options(*job.plan));
  resumed->Start();
  AwaitEnd(*resumed);
  EXPECT_EQ(resumed->status().state, JobState::kFinished) << resumed->status().failure.ToString();
  EXPECT_EQ(Counted(), kRows);
}

}  // namespace
}  // namespace weir::control
