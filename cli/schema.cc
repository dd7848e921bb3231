#include <cstdio>

#include "cli/builtins.h"
#include "cli/command.h"
#include "jobs/jobs.h"

namespace weir::cli {

void AddSchema(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand(
      "schema", "Print a schema: `weir schema job` is the JSON Schema of job files.");
  auto what = std::make_shared<std::string>();
  command->add_option("WHAT", *what, "job")->required()->check(CLI::IsMember({"job"}));
  command->footer(
      "Examples:\n  weir schema job > weir-job.v1.schema.json\n  weir schema job | jq "
      ".definitions.node");
  command->callback([&invocation, what] {  // keeps what the option writes into
    invocation.run = [] {
      std::printf("%s\n", jobs::JobSchema(Builtins()).dump(2).c_str());
      return 0;
    };
  });
}

}  // namespace weir::cli
