#include <cstdio>

#include "cli/command.h"
#include "cli/job_command.h"
#include "engine/base/env_posix.h"

namespace weir::cli {
namespace {

struct Options {
  JobCommand job;
  ProcessConfig config;
  std::string format = "text";
};

int Graph(Options& options) {
  if (Status status = options.config.Resolve(); !status.ok()) return Fail(status);
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  Result<LoadedJob> loaded = LoadJob(options.job, options.config, *env);
  if (!loaded.ok()) return Fail(loaded.status());
  const jobs::CompiledJob& job = loaded->job;
  std::fputs(jobs::FormatProblemsText(job).c_str(), stderr);
  if (job.has_errors()) return jobs::ExitCodeOf(job);
  const std::string text = options.format == "dot"       ? jobs::GraphDot(job.graph)
                           : options.format == "mermaid" ? jobs::GraphMermaid(job.graph)
                                                         : jobs::GraphText(job.graph);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

void AddGraph(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("graph", "Show the logical graph of a job.");
  options->job.AddFlags(*command);
  command->add_option("-f,--format", options->format, "text, dot or mermaid.")
      ->check(CLI::IsMember({"text", "dot", "mermaid"}));
  command->footer(
      "Examples:\n  weir graph clicks.weir.json\n  weir graph clicks.weir.json -f dot | dot -Tsvg "
      "> clicks.svg");
  command->callback(
      [options, &invocation] { invocation.run = [options] { return Graph(*options); }; });
}

}  // namespace weir::cli
