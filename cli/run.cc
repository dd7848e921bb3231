#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "cli/command.h"
#include "cli/job_runner.h"

namespace weir::cli {
namespace {

constexpr int kSecondSignal = 130;

// The handler may only touch these; a second signal ends the process at once, like a crash.
volatile std::sig_atomic_t signals_seen = 0;

void OnSignal(int) {
  if (signals_seen != 0) _exit(kSecondSignal);
  signals_seen = 1;
}

int Run(RunOptions& options) {
  if (Status status = options.config.Resolve(); !status.ok()) return Fail(status);
  if (Status status = options.config.ConfigureLogging(); !status.ok()) return Fail(status);
  prctl(PR_SET_DUMPABLE, 0);  // no secret in a core file, none read through ptrace
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return RunJob(options, [] { return signals_seen != 0; });
}

}  // namespace

void AddRun(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand(
      "run", "Run a job in this process; it goes on from its newest checkpoint.");
  options->job.AddFlags(*command);
  options->config.AddFlags(*command);
  command
      ->add_option("--from", options->from,
                   "latest, none (start empty), or the number of a checkpoint.")
      ->capture_default_str();
  command->add_option(
      "--nonce", options->nonce,
      "A start with the nonce of the newest HEAD ignores --from: for supervisors that restart.");
  command->add_flag("--dry-run", options->dry_run, "Check everything, run nothing.");
  command->add_flag("--no-environment", options->no_environment,
                    "Do not ask brokers, topics and paths before the start.");
  command->add_option("--report", options->report,
                      "Write what was measured as JSON into this file at the end.");
  command->footer(
      "Examples:\n  weir run jobs/examples/hello.weir.json\n  weir run clicks.weir.json -p "
      "window=5s --parallelism 4");
  command->callback([options, command, &invocation] {
    options->config.http_listen_given = command->count("--http-listen") != 0;
    invocation.run = [options] { return Run(*options); };
  });
}

}  // namespace weir::cli
