// Golden jobs: each folder below this file is a job, its input, and what must come out. Every job
// runs at parallelism 1 to the end; and, as it is and under configurations that make rare paths
// common, at 2 to the end, and at 2 stopped in the middle with a checkpoint and resumed at 3. The
// output must be the same rows each time.
//
// A folder holds job.weir.json (reads ${INPUT}, writes below ${OUTPUT}) with input.ndjson, if it
// reads one, and expected.ndjson; or with expected_error.json: the codes of its problems.
// WEIR_UPDATE_GOLDEN=1 rewrites expected.ndjson from the first run; the difference is then
// reviewed, never taken over blindly.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "cli/builtins.h"
#include "engine/base/env_posix.h"
#include "engine/base/json.h"
#include "engine/control/coordinator.h"
#include "jobs/jobs.h"
#include "state/state.h"
#include "tests/harness/paths.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMemoryBytes = size_t{512} << 20;
constexpr const char* kRate = R"("rate": "2000/s")";
constexpr const char* kSlowRate = R"("rate": "100/s")";
constexpr auto kRunMax = std::chrono::seconds(120);

struct Configuration {
  std::string name;
  uint32_t batch_rows = 1024, queue_items = 0;
  bool chaining = true;
  std::string backend = "rocksdb";
};
const Configuration kPlain{"plain"};
const std::vector<Configuration> kConfigurations = {
    kPlain,
    {.name = "batch of 1", .batch_rows = 1},
    {.name = "queue of 1", .batch_rows = 16, .queue_items = 1},
    {.name = "chaining off", .chaining = false},
    {.name = "in-memory state", .backend = "memory"},
};

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Lines(const fs::path& path) {
  std::vector<std::string> lines;
  std::istringstream text(ReadFile(path));
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

/// Rows of all finished files below the output, each with the name of its sink in front: files are
/// grouped by folder.
std::vector<std::string> OutputRows(const fs::path& output) {
  std::vector<std::string> rows;
  if (!fs::exists(output)) return rows;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(output)) {
    if (!entry.is_regular_file() || entry.path().filename().string().starts_with(".") ||
        entry.path().extension() == ".part")
      continue;
    const std::string sink = fs::relative(entry.path(), output).begin()->string();
    for (const std::string& line : Lines(entry.path())) rows.push_back(sink + " " + line);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// A job's folder on disk while it runs.
class GoldenRun {
 public:
  explicit GoldenRun(const fs::path& golden)
      : golden_(golden),
        env_(MakePosixEnv(4)),
        memory_(cli::MakeGovernor(kMemoryBytes)),
        clients_(cli::MakeRealClients(*env_)) {
    static int runs = 0;
    work_ = fs::temp_directory_path() /
            ("weir_golden_" + std::to_string(getpid()) + "_" + std::to_string(++runs));
    fs::create_directories(work_);
  }
  ~GoldenRun() { fs::remove_all(work_); }

  jobs::CompiledJob Compile(uint32_t parallelism, bool slow) {
    jobs::CompileOptions options;
    options.registry = &cli::Builtins();
    options.file = "job.weir.json";
    options.environment = [this](const std::string& name) -> std::optional<std::string> {
      if (name == "INPUT") return (golden_ / "input.ndjson").string();
      if (name == "OUTPUT") return (work_ / "out").string();
      return std::nullopt;
    };
    options.parallelism = parallelism;
    options.allowed_paths = {golden_.string(), work_.string()};
    std::string text = ReadFile(golden_ / "job.weir.json");
    // So slow that it is certainly stopped before its end, however busy the machine is.
    if (slow) {
      const size_t rate = text.find(kRate);
      EXPECT_NE(rate, std::string::npos) << "a golden job's source has " << kRate;
      if (rate != std::string::npos) text.replace(rate, std::string_view(kRate).size(), kSlowRate);
    }
    return jobs::CompileJob(text, options);
  }

  /// Runs until the end, or until `checkpoints` are complete and then stops.
  void Go(uint32_t parallelism, const Configuration& configuration,
          std::optional<uint64_t> checkpoints) {
    jobs::CompiledJob job = Compile(parallelism, /*slow=*/checkpoints.has_value());
    ASSERT_TRUE(job.plan) << jobs::FormatProblemsText(job);
    if (checkpoints) job.plan->checkpoint.interval = Milliseconds(20);
    if (!configuration.chaining) job.plan = Unchained(*job.plan);
    Result<cli::BackendParts> backend = cli::MakeBackend(*env_, *memory_, configuration.backend);
    ASSERT_TRUE(backend.ok()) << backend.status().ToString();
    Result<std::unique_ptr<CheckpointStore>> store =
        state::OpenFileStore(*env_, "file://" + (work_ / "storage").string());
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    control::CoordinatorOptions options;
    options.plan = &*job.plan;
    options.description = jobs::DescribeForUpgrade(*job.plan);
    options.check_upgrade = [](const control::Manifest&) { return Status::Ok(); };
    options.env = env_.get();
    options.clients = clients_.get();
    options.backend = backend->backend.get();
    options.memory = memory_.get();
    options.store = store->get();
    options.state_directory = (work_ / "state").string();
    options.threads = 2;
    options.batch_rows_initial = configuration.batch_rows;
    options.channel_queue_items = configuration.queue_items;
    const std::unique_ptr<control::JobCoordinator> coordinator =
        control::JobCoordinator::Create(options);
    coordinator->Start();
    const auto deadline = std::chrono::steady_clock::now() + kRunMax;
    bool stopped = false;
    while (!coordinator->ended()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline)
          << "still " << control::JobStateName(coordinator->status().state);
      if (checkpoints && !stopped && coordinator->status().checkpoints.completed >= *checkpoints) {
        stopped = true;
        coordinator->Stop(/*drain=*/false);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    const control::JobStatus status = coordinator->status();
    ASSERT_TRUE(status.failure.ok()) << status.failure.ToString();
    for (const runtime::NodeValues& value : coordinator->final_values()) {
      if (value.exact_conservation) {
        EXPECT_EQ(value.unaccounted, 0) << value.node_id;
      }
    }
  }

  std::vector<std::string> Rows() const { return OutputRows(work_ / "out"); }

 private:
  const fs::path golden_;
  fs::path work_;
  const std::unique_ptr<Env> env_;
  const std::unique_ptr<MemoryGovernor> memory_;
  const std::unique_ptr<Clients> clients_;
};

std::vector<std::string> GoldenFolders() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(SourceDirectory()) / "tests/golden")) {
    if (entry.is_directory() && fs::exists(entry.path() / "job.weir.json"))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  fs::path folder() const { return fs::path(SourceDirectory()) / "tests/golden" / GetParam(); }
};

TEST_P(Golden, GivesTheExpectedRowsHoweverItRuns) {
  if (fs::exists(folder() / "expected_error.json")) {
    GoldenRun run(folder());
    const jobs::CompiledJob job = run.Compile(1, /*slow=*/false);
    std::vector<std::string> codes;
    for (const Problem& problem : job.problems.list()) codes.push_back(problem.code);
    std::sort(codes.begin(), codes.end());
    EXPECT_EQ(Json(codes), Json::parse(ReadFile(folder() / "expected_error.json")))
        << jobs::FormatProblemsText(job);
    return;
  }
  std::vector<std::string> expected = Lines(folder() / "expected.ndjson");
  {
    GoldenRun run(folder());
    run.Go(1, kPlain, std::nullopt);
    if (HasFatalFailure()) return;
    if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr) {
      std::ofstream file(folder() / "expected.ndjson");
      for (const std::string& row : run.Rows()) file << row << "\n";
      expected = run.Rows();
    }
    ASSERT_EQ(run.Rows(), expected) << "at parallelism 1";
  }
  for (const Configuration& configuration : kConfigurations) {
    SCOPED_TRACE(configuration.name);
    {
      GoldenRun run(folder());
      run.Go(2, configuration, std::nullopt);
      if (HasFatalFailure()) return;
      ASSERT_EQ(run.Rows(), expected) << "at parallelism 2";
    }
    GoldenRun run(folder());
    run.Go(2, configuration, 3);
    if (HasFatalFailure()) return;
    ASSERT_LT(run.Rows().size(), expected.size()) << "it was to be stopped before its end";
    run.Go(3, configuration, std::nullopt);
    if (HasFatalFailure()) return;
    ASSERT_EQ(run.Rows(), expected) << "stopped after checkpoint 3 at parallelism 2, resumed at 3";
  }
}

TEST(GoldenJobs, HoldEveryNodeTypeAndWindow) {
  // The Kafka connectors are run by whole jobs elsewhere: sim (against a simulated Kafka), chaos
  // and process (against a real one).
  std::set<std::string> used = {"kafka_source", "kafka_sink"};
  for (const std::string& name : GoldenFolders()) {
    if (fs::exists(fs::path(SourceDirectory()) / "tests/golden" / name / "expected_error.json"))
      continue;
    const Json job = Json::parse(
        ReadFile(fs::path(SourceDirectory()) / "tests/golden" / name / "job.weir.json"));
    for (const Json& node : job["nodes"]) {
      used.insert(node["type"].get<std::string>());
      if (node.contains("window"))
        used.insert("window " + node["window"]["type"].get<std::string>());
    }
  }
  for (const auto& type : cli::Builtins().types()) {
    if (type->planned) continue;
    EXPECT_TRUE(used.contains(std::string(type->name))) << type->name;
    for (const Option& option : type->options) {
      if (option.name != "window") continue;
      for (const Option::Variant& variant : option.variants) {
        EXPECT_TRUE(variant.planned || used.contains("window " + std::string(variant.name)))
            << variant.name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Jobs, Golden, ::testing::ValuesIn(GoldenFolders()),
                         [](const ::testing::TestParamInfo<std::string>& job) {
                           return job.param;
                         });

}  // namespace
}  // namespace weir
