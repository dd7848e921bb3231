// weir: the one binary. Parses the command line and runs one command; everything else is in its file.

#include <exception>
#include <iostream>

#include "cli/command.h"
#include "cli/version.h"

int main(int argc, char** argv) {
  constexpr int kUsage = 2, kInternal = 70;
  CLI::App app{"Weir, a stream-processing engine: jobs in JSON, event time, exact state."};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(weir::cli::VersionText()));
  weir::cli::Invocation invocation;
  weir::cli::AddRun(app, invocation);
  weir::cli::AddValidate(app, invocation);
  weir::cli::AddPlan(app, invocation);
  weir::cli::AddGraph(app, invocation);
  weir::cli::AddExplain(app, invocation);
  weir::cli::AddSchema(app, invocation);
  weir::cli::AddCkpt(app, invocation);
  weir::cli::AddDemo(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kUsage;
  }
  try {
    return invocation.run();
  } catch (const std::exception& error) {  // a library's, past its wrapper
    std::cerr << "internal error: " << error.what() << "\n";
    return kInternal;
  }
}
