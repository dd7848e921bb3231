#include <cstdio>

#include "cli/builtins.h"
#include "cli/command.h"
#include "cli/job_command.h"
#include "engine/base/env_posix.h"

namespace weir::cli {
namespace {

struct Options {
  JobCommand job;
  ProcessConfig config;
  std::string format = "text";
  bool no_semantic = false, no_environment = false, fix = false;
};

int Validate(Options& options) {
  if (Status status = options.config.Resolve(); !status.ok()) return Fail(status);
  const std::unique_ptr<Env> env = MakePosixEnv(2);
  options.job.semantic = !options.no_semantic;
  Result<LoadedJob> loaded = LoadJob(options.job, options.config, *env);
  if (!loaded.ok()) return Fail(loaded.status());
  jobs::CompiledJob& job = loaded->job;
  if (options.fix) {
    size_t fixed = 0;
    const std::string text = jobs::ApplyFixes(job, fixed);
    if (fixed != 0 && options.job.file != "-") {
      if (Status status = WriteFileDurably(*env, options.job.file, text); !status.ok())
        return Fail(status);
      std::fprintf(stderr, "%zu fixes applied to %s\n", fixed, options.job.file.c_str());
      loaded = LoadJob(options.job, options.config, *env);
      if (!loaded.ok()) return Fail(loaded.status());
    }
  }
  if (!options.no_environment && !options.no_semantic && !job.has_errors()) {
    const std::unique_ptr<Clients> clients = MakeRealClients(*env);
    jobs::RunProbes(job, *clients, *env);
  }
  if (options.format == "json") {
    std::printf("%s\n", jobs::FormatProblemsJson(job).dump(2).c_str());
  } else {
    std::fputs(jobs::FormatProblemsText(job).c_str(), stderr);
    if (!job.has_errors()) std::printf("%s: valid\n", options.job.file.c_str());
  }
  return jobs::ExitCodeOf(job);
}

}  // namespace

void AddValidate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("validate", "Check a job: all of its problems in one pass.");
  options->job.AddFlags(*command);
  command->add_flag("--no-semantic", options->no_semantic, "Only text, shape and syntax.");
  command->add_flag("--no-environment", options->no_environment,
                    "Do not ask brokers, topics and paths.");
  command->add_flag("--fix", options->fix, "Apply every unambiguous fix to the file.");
  command->add_option("--format", options->format, "text or json.")
      ->check(CLI::IsMember({"text", "json"}));
  command
      ->add_option("--secrets-dir", options->config.secrets_dir, "Files behind ${secret:name/key}.")
      ->envname("WEIR_SECRETS_DIR");
  command
      ->add_option("--allowed-paths", options->config.allowed_paths,
                   "Folders that file connectors may use.")
      ->envname("WEIR_ALLOWED_PATHS");
  command->footer(
      "Examples:\n  weir validate clicks.weir.json\n  weir validate clicks.weir.json "
      "--no-environment --format json");
  command->callback(
      [options, &invocation] { invocation.run = [options] { return Validate(*options); }; });
}

}  // namespace weir::cli
