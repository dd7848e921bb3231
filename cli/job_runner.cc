#include "cli/job_runner.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>

#include "cli/builtins.h"
#include "cli/job_http.h"
#include "cli/live_line.h"
#include "cli/process_stats.h"
#include "cli/resident_relief.h"
#include "cli/storage_command.h"
#include "engine/api/bounded_clients.h"
#include "engine/base/env_posix.h"
#include "engine/base/log.h"
#include "engine/control/coordinator.h"

namespace weir::cli {
namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(50);
constexpr Duration kLineInterval = Milliseconds(500);
constexpr int kPoolThreads = 8;
constexpr Duration kFailedStay = Seconds(30);  // two scrapes of Prometheus's usual 15 s
constexpr Duration kProbePause = Milliseconds(500);
constexpr Duration kProbePassLeast = Seconds(1);  // less is no time for an answer

/// Lines for people: above the live line on a terminal.
class Screen {
 public:
  explicit Screen(bool quiet) : quiet_(quiet), terminal_(!quiet && isatty(STDERR_FILENO) == 1) {}
  void Say(const std::string& line) {
    if (quiet_) return;
    std::fprintf(stderr, "%s%s\n", terminal_ ? "\r\x1b[K" : "", line.c_str());
  }
  void Draw(const std::string& line) {
    if (!terminal_) return;
    std::fprintf(stderr, "\r\x1b[K%s", line.substr(0, kLineColumnsMax).c_str());
    drawn_ = true;
  }
  void Wipe() {
    if (drawn_) std::fprintf(stderr, "\r\x1b[K");
    drawn_ = false;
  }
  bool terminal() const { return terminal_; }

 private:
  static constexpr size_t kLineColumnsMax = 160;
  const bool quiet_, terminal_;
  bool drawn_ = false;
};

/// What benchmarks and scripts read after a run.
Json Report(const PhysicalPlan& plan, const control::JobStatus& status,
            const std::vector<runtime::NodeValues>& values, double wall_seconds) {
  Json report;
  report["job"] = StatusJson(plan, status);
  report["wall_seconds"] = wall_seconds;
  const ProcessStats process = ReadProcessStats();
  report["cpu_seconds"] = process.cpu_seconds;
  report["resident_bytes_peak"] = process.resident_bytes_peak;
  Json nodes = Json::array();
  for (const runtime::NodeValues& value : values) {
    Json node;
    node["node_id"] = value.node_id;
    node["task"] = value.task.value;
    node["records_in"] = value.records_in;
    node["records_out"] = value.records_out;
    for (size_t i = 0; i < value.time_us.size(); ++i)
      node["time_us"][std::string(runtime::TimeStateName(static_cast<runtime::TimeState>(i)))] =
          value.time_us[i];
    for (size_t i = 0; i < value.busy_us.size(); ++i)
      node["busy_us"][std::string(runtime::BusyPartName(static_cast<runtime::BusyPart>(i)))] =
          value.busy_us[i];
    for (size_t i = 0; i < value.outcomes.size(); ++i)
      node["outcomes"][std::string(OutcomeName(static_cast<Outcome>(i)))] = value.outcomes[i];
    if (value.exact_conservation) node["unaccounted"] = value.unaccounted;
    if (value.state) {
      node["state"] = {{"rows", value.state->rows},
                       {"hot_bytes", value.state->hot_bytes},
                       {"cold_bytes", value.state->cold_bytes},
                       {"evictions", value.state->evictions},
                       {"cold_reads", value.state->cold_reads},
                       {"rocksdb_calls", value.state->rocksdb_calls}};
    }
    if (!value.snapshot_sync.bounds.empty()) {
      node["snapshot_sync_seconds"] = {{"bounds", value.snapshot_sync.bounds},
                                       {"counts", value.snapshot_sync.counts},
                                       {"sum", value.snapshot_sync.sum}};
    }
    nodes.push_back(std::move(node));
  }
  report["nodes"] = std::move(nodes);
  return report;
}

Result<std::optional<uint64_t>> ParseFrom(const std::string& from, bool& none) {
  none = from == "none";
  if (none || from == "latest") return std::optional<uint64_t>();
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), number);
  if (error != std::errc() || end != from.data() + from.size()) {
    return Status(Code::kInvalidArgument,
                  "--from " + from + ": write latest, none, or the number of a checkpoint");
  }
  return std::optional<uint64_t>(number);
}

/// Asks the environment until it answers or `within` is over: a broker that is just starting is no
/// reason to give up. What does not answer is told to `http`, and once to people. False: stopped
/// while it waited.
bool ProbeUntil(jobs::CompiledJob& job, Clients& clients, Env& env, Duration within, bool repeat,
                const std::function<bool()>& stop, JobHttp& http, Screen& screen) {
  const Duration deadline = env.Steady() + within;
  BoundedClients bounded(clients, env);
  const auto asking = static_cast<uint64_t>(
      std::ranges::count_if(job.graph.nodes, [](const jobs::LogicalNode& node) {
        return node.config != nullptr && node.type->probe != nullptr;
      }));
  const size_t before = job.problems.list().size(), errors_before = job.problems.errors();
  for (bool first = true;; first = false) {
    Problems kept = job.problems;
    bounded.ShareOut(deadline, asking);
    jobs::RunProbes(job, bounded, env);
    const auto unreachable = std::find_if(
        job.problems.list().begin() + static_cast<ptrdiff_t>(before), job.problems.list().end(),
        [](const Problem& problem) { return problem.code == "W0702"; });
    if (!repeat || unreachable == job.problems.list().end() ||
        job.problems.errors() == errors_before)
      return true;
    if (stop()) return false;
    if (deadline - env.Steady() < kProbePause + kProbePassLeast) return true;
    http.Waiting("node '" + unreachable->node_id + "': " + unreachable->message);
    if (first) {
      screen.Say("waiting for the environment: node '" + unreachable->node_id +
                 "': " + unreachable->message);
    }
    job.problems = std::move(kept);
    std::this_thread::sleep_for(std::chrono::microseconds(kProbePause.us));
  }
}

/// A job that has run, has failed for good and is watched: its state `failed` stays to be asked for
/// a while, or nobody would ever see it, since supervisors start the process again at once. Not if
/// the start failed (which supervisors see by themselves, and the sooner it is tried again the
/// better), not if another process has the job, and not at a terminal.
bool StaysForMetrics(const ProcessConfig& config, const control::JobStatus& status, bool terminal) {
  return !config.health_listen.empty() && !terminal && status.state == control::JobState::kFailed &&
         status.has_run && status.failure.code() != Code::kFenced;
}

/// Lets the servers ask the coordinator, and ends them before it ends.
class Followed {
 public:
  Followed(JobHttp& http, const control::JobCoordinator& coordinator) : http_(http) {
    http.Follow(coordinator);
  }
  Followed(const Followed&) = delete;
  Followed& operator=(const Followed&) = delete;
  ~Followed() { http_.Close(); }

 private:
  JobHttp& http_;
};

}  // namespace

int RunJob(const RunOptions& options, const std::function<bool()>& stop) {
  const auto start = std::chrono::steady_clock::now();
  const ProcessConfig& config = options.config;
  Screen screen(options.quiet);
  const std::unique_ptr<Env> env = MakePosixEnv(kPoolThreads);
  Result<LoadedJob> loaded = LoadJob(options.job, config, *env);
  if (!loaded.ok()) return Fail(loaded.status());
  jobs::CompiledJob& job = loaded->job;
  if (!job.plan) {
    std::fputs(jobs::FormatProblemsText(job).c_str(), stderr);
    return jobs::ExitCodeOf(job);
  }
  const PhysicalPlan& plan = *job.plan;
  bool from_none = false;
  Result<std::optional<uint64_t>> from = ParseFrom(options.from, from_none);
  if (!from.ok()) return Fail(from.status());

  const uint64_t memory_limit = config.memory_limit ? *config.memory_limit
                                : plan.memory       ? *plan.memory
                                                    : DetectMemoryLimit(*env);
  const std::unique_ptr<MemoryGovernor> memory = MakeGovernor(memory_limit);
  const std::unique_ptr<Clients> clients = MakeRealClients(*env);
  JobHttp http(plan, *memory, *env);
  if (!options.dry_run) {
    if (Status status = http.Listen(config, options.quiet); !status.ok()) return Fail(status);
  }
  if (!options.no_environment && !ProbeUntil(job, *clients, *env, config.connect_timeout,
                                             !options.dry_run, stop, http, screen)) {
    screen.Say("stopped before the job has started");
    return 0;
  }
  if (!options.quiet || job.has_errors()) std::fputs(jobs::FormatProblemsText(job).c_str(), stderr);
  if (job.has_errors()) return jobs::ExitCodeOf(job);

  http.Waiting("opening the storage");
  const std::string uri = StorageUri(config, plan.checkpoint.storage);
  Result<std::unique_ptr<CheckpointStore>> store = OpenStorage(*env, uri, config);
  if (!store.ok()) return Fail(store.status());
  if (options.dry_run) {
    std::printf("%s: valid; nothing was run\n", options.job.file.c_str());
    return 0;
  }
  store = Metered(std::move(store).value(), http.storage(), *env);
  Result<BackendParts> backend = MakeBackend(*env, *memory, plan.state_backend);
  if (!backend.ok()) return Fail(backend.status());

  control::CoordinatorOptions run;
  run.plan = &plan;
  run.description = jobs::DescribeForUpgrade(plan);
  run.check_upgrade = [&plan](const control::Manifest& manifest) -> Status {
    WEIR_ASSIGN(const jobs::UpgradeReport report, jobs::CompareJobs(manifest.description, plan));
    if (report.accepted()) return Status::Ok();
    return Status(
        Code::kIncompatible,
        "this job cannot go on from checkpoint " + std::to_string(manifest.checkpoint.value) +
            ":\n" + report.ToText() +
            "Undo the change, or start empty with --from none (the old state is then not used)");
  };
  run.env = env.get();
  run.clients = clients.get();
  run.backend = backend->backend.get();
  run.memory = memory.get();
  run.store = store->get();
  run.state_directory = config.state_dir + "/" + plan.job;
  run.cluster = config.cluster;
  run.from_none = from_none;
  run.from_checkpoint = *from;
  run.nonce = options.nonce;
  run.threads = config.threads;
  run.connect_timeout = config.connect_timeout;
  run.stop_timeout = config.stop_timeout;
  run.cancel_timeout = config.cancel_timeout;
  run.say = [&screen](const std::string& line) { screen.Say(line); };
  const std::unique_ptr<control::JobCoordinator> coordinator =
      control::JobCoordinator::Create(std::move(run));
  const Followed followed(http, *coordinator);

  screen.Say("job " + plan.job + ": storage " + uri +
             (plan.checkpoint.off ? ", checkpoints off" : ""));
  for (const std::string& promise : jobs::SinkPromises(plan)) screen.Say("  " + promise);
  if (!http.address().empty()) screen.Say("metrics on http://" + http.address() + "/metrics");

  coordinator->Start();
  LiveLine line(plan);
  ResidentRelief relief(memory->limit(), memory->handed_out());
  Duration next_line = env->Steady() + kLineInterval;
  bool stopping = false;
  std::vector<runtime::NodeValues> last_values;
  while (!coordinator->ended()) {
    if (!stopping && stop()) {
      stopping = true;
      screen.Say("stopping: taking a final checkpoint (a second signal ends at once)");
      coordinator->Stop(/*drain=*/false);
    }
    std::this_thread::sleep_for(kPollInterval);
    relief.Look(env->Steady());
    if (screen.terminal() && env->Steady() >= next_line) {
      next_line = next_line + kLineInterval;
      screen.Draw(line.Text(coordinator->Values(), env->Steady(), env->Now()));
    }
  }
  screen.Wipe();
  last_values = coordinator->final_values();
  const control::JobStatus status = coordinator->status();
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!options.report.empty()) {
    std::ofstream file(options.report);
    file << Report(plan, status, last_values, wall).dump(2) << "\n";
    if (!file)
      std::fprintf(stderr, "warning: cannot write the report to '%s'\n", options.report.c_str());
  }
  if (!status.failure.ok()) std::fprintf(stderr, "error: %s\n", status.failure.message().c_str());
  uint64_t rows_in = 0, rows_out = 0;
  for (const runtime::NodeValues& value : last_values) {
    if (value.source) rows_in += value.records_in;
    if (value.sink) rows_out += value.records_in;
  }
  char summary[256];
  std::snprintf(summary, sizeof(summary),
                "job %s %s after %.1f s: %llu rows in, %llu rows out, %llu checkpoints",
                plan.job.c_str(), std::string(control::JobStateName(status.state)).c_str(), wall,
                static_cast<unsigned long long>(rows_in), static_cast<unsigned long long>(rows_out),
                static_cast<unsigned long long>(status.checkpoints.completed));
  screen.Say(summary);
  if (StaysForMetrics(config, status, screen.terminal())) {
    screen.Say("staying 30 s so that the failure is seen in the metrics; a signal ends it");
    const Duration until = env->Steady() + kFailedStay;
    while (!stop() && env->Steady() < until) std::this_thread::sleep_for(kPollInterval);
  }
  return control::ExitCodeOf(status);
}

}  // namespace weir::cli
