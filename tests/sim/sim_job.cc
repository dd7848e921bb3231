#include "tests/sim/sim_job.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "engine/base/json.h"
#include "engine/control/job_storage.h"
#include "state/state.h"
#include "tests/harness/no_clients.h"

namespace weir {
namespace {

constexpr size_t kMemoryBytes = size_t{256} << 20;
constexpr uint64_t kFileBytesMax = uint64_t{64} << 20;
constexpr int64_t kSecondUs = 1'000'000, kMinuteUs = 60 * kSecondUs;

}  // namespace

JobProcess::JobProcess(SimWorld& world, const std::string& name, std::unique_ptr<Clients> clients)
    : env_(world.StartProcess(name)),
      memory_(cli::MakeGovernor(kMemoryBytes)),
      clients_(clients == nullptr
                   ? std::make_unique<NoClients>("the simulated machines have no network")
                   : std::move(clients)) {}
JobProcess::~JobProcess() = default;

Status JobProcess::Start(const JobRun& run) {
  jobs::CompileOptions compile;
  compile.registry = &cli::Builtins();
  compile.parallelism = run.parallelism;
  compile.allowed_paths = {"/in", "/out"};
  job_ = jobs::CompileJob(run.text, compile);
  if (!job_.plan) return Status(Code::kInvalidArgument, jobs::FormatProblemsText(job_));
  job_.plan->checkpoint.interval = run.checkpoint_interval;
  WEIR_ASSIGN(backend_, cli::MakeBackend(*env_, *memory_, "memory"));
  WEIR_ASSIGN(store_, state::OpenFileStore(*env_, std::string(kSimStorage)));
  control::CoordinatorOptions options;
  options.plan = &*job_.plan;
  options.description = jobs::DescribeForUpgrade(*job_.plan);
  options.check_upgrade = [](const control::Manifest&) { return Status::Ok(); };
  options.env = env_.get();
  options.clients = clients_.get();
  options.backend = backend_.backend.get();
  options.memory = memory_.get();
  options.store = store_.get();
  options.state_directory = std::string(kSimStateDirectory);
  options.threads = run.threads;
  coordinator_ = control::JobCoordinator::Create(options);
  coordinator_->Start();
  return Status::Ok();
}

std::string JobProcess::Unaccounted() const {
  for (const runtime::NodeValues& value : coordinator_->final_values()) {
    if (value.exact_conservation && value.unaccounted != 0)
      return "node '" + value.node_id + "' does not account for " +
             std::to_string(value.unaccounted) + " rows";
  }
  return {};
}

std::string JobProcess::Hanging() const {
  return "the job is still " + std::string(control::JobStateName(status().state)) +
         " after an hour; restarts: " + status().last_attempt_failure.ToString();
}

std::string CheckHead(Env& env, bool had_head) {
  Result<std::unique_ptr<CheckpointStore>> store =
      state::OpenFileStore(env, std::string(kSimStorage));
  if (!store.ok()) return store.status().ToString();
  control::JobStorage storage(env, **store, "sim", std::string(kSimStateDirectory));
  const Result<std::optional<control::Head>> head = storage.ReadHead();
  if (!head.ok()) return "HEAD cannot be read: " + head.status().ToString();
  if (!*head) return had_head ? "HEAD is gone" : "";
  if ((*head)->manifest.empty()) return {};
  const Result<control::Manifest> manifest = storage.ReadManifest(**head);
  return manifest.ok() ? ""
                       : "the manifest of HEAD cannot be read: " + manifest.status().ToString();
}

Status ReadJsonLines(Env& env, const Path& directory, std::vector<Json>& lines) {
  Result<std::vector<DirectoryEntry>> entries = env.List(directory);
  if (entries.status().code() == Code::kNotFound) return Status::Ok();
  WEIR_TRY(entries.status());
  for (const DirectoryEntry& entry : *entries) {
    const Path path = directory + "/" + entry.name;
    if (entry.directory) {
      WEIR_TRY(ReadJsonLines(env, path, lines));
      continue;
    }
    if (entry.name.starts_with(".")) continue;
    WEIR_ASSIGN(const std::string text, ReadWholeFile(env, path, kFileBytesMax));
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      Result<Json> line = ParseJson(std::string_view(text).substr(at, end - at));
      if (!line.ok()) return line.status().At(path);
      lines.push_back(std::move(line).value());
      at = end + 1;
    }
  }
  return Status::Ok();
}

std::string SimTimestamp(int64_t us_since_start) {
  char text[40];
  std::snprintf(text, sizeof(text), "2026-01-01T%02d:%02d:%02d.%06dZ",
                static_cast<int>(us_since_start / (60 * kMinuteUs)),
                static_cast<int>(us_since_start / kMinuteUs % 60),
                static_cast<int>(us_since_start / kSecondUs % 60),
                static_cast<int>(us_since_start % kSecondUs));
  return text;
}

int64_t SimMinuteOf(const std::string& timestamp) {
  int hour = 0, minute = 0;
  if (std::sscanf(timestamp.c_str(), "2026-01-01T%2d:%2d:", &hour, &minute) != 2) return -1;
  return hour * 60 + minute;
}

}  // namespace weir
