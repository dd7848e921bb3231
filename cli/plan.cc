#include <cstdio>
#include <optional>

#include "cli/builtins.h"
#include "cli/command.h"
#include "cli/job_command.h"
#include "cli/storage_command.h"
#include "engine/base/env_posix.h"
#include "engine/base/json.h"

namespace weir::cli {
namespace {

struct Options {
  JobCommand job;
  ProcessConfig config;
  std::string newer;
  bool stages = false, types = false;
};

/// What OLD was: a job file, or the job of a checkpoint ("latest", a number, or a storage with a
/// job). A job file with problems has shown them, and `exit_code` says so.
Result<Json> DescribeOld(const Options& options, const PhysicalPlan& plan, Env& env,
                         std::optional<int>* exit_code) {
  if (options.job.file == "latest" ||
      options.job.file.find_first_not_of("0123456789") == std::string::npos) {
    WEIR_ASSIGN(
        const auto store,
        OpenStorage(env, StorageUri(options.config, plan.checkpoint.storage), options.config));
    control::JobStorage storage(env, *store, plan.job, options.config.state_dir + "/" + plan.job);
    WEIR_ASSIGN(const control::Manifest manifest, ReadCheckpoint(storage, options.job.file));
    return manifest.description;
  }
  WEIR_ASSIGN(const LoadedJob old, LoadJob(options.job, options.config, env));
  if (!old.job.plan) {
    std::fputs(jobs::FormatProblemsText(old.job).c_str(), stderr);
    *exit_code = jobs::ExitCodeOf(old.job);
    return Status(Code::kInvalidArgument, "the old job has problems");
  }
  return jobs::DescribeForUpgrade(*old.job.plan);
}

int Plan(Options& options) {
  if (Status status = options.config.Resolve(); !status.ok()) return Fail(status);
  const std::unique_ptr<Env> env = MakePosixEnv(2);
  JobCommand shown = options.job;
  if (!options.newer.empty()) shown.file = options.newer;
  Result<LoadedJob> loaded = LoadJob(shown, options.config, *env);
  if (!loaded.ok()) return Fail(loaded.status());
  const jobs::CompiledJob& job = loaded->job;
  std::fputs(jobs::FormatProblemsText(job).c_str(), stderr);
  if (!job.plan) return jobs::ExitCodeOf(job);
  if (options.newer.empty()) {
    jobs::PlanTextOptions text;
    text.stages = options.stages;
    text.types = options.types;
    text.memory_bytes = options.config.memory_limit ? *options.config.memory_limit
                        : job.plan->memory          ? *job.plan->memory
                                                    : DetectMemoryLimit(*env);
    std::fputs(jobs::PlanText(*job.plan, text).c_str(), stdout);
    return 0;
  }
  constexpr int kState = 7;
  std::optional<int> problems;
  Result<Json> old = DescribeOld(options, *job.plan, *env, &problems);
  if (problems) return *problems;
  if (!old.ok()) return Fail(old.status());
  Result<jobs::UpgradeReport> report = jobs::CompareJobs(*old, *job.plan);
  if (!report.ok()) return Fail(report.status());
  std::fputs(report->ToText().c_str(), stdout);
  return report->accepted() ? 0 : kState;
}

}  // namespace

void AddPlan(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "plan",
      "Show the physical plan of a job, or what a new version would do with the old one's state.");
  options->job.AddFlags(*command);
  command->add_option(
      "NEW", options->newer,
      "A newer job: JOB is then the older one, or `latest` or the number of a checkpoint.");
  command->add_flag("--stages", options->stages, "Each chain with its edges.");
  command->add_flag("--types", options->types, "The columns of every edge.");
  options->config.AddFlags(*command);
  command->footer(
      "Examples:\n  weir plan clicks.weir.json --stages --types\n  weir plan latest "
      "clicks.weir.json");
  command->callback(
      [options, &invocation] { invocation.run = [options] { return Plan(*options); }; });
}

}  // namespace weir::cli
