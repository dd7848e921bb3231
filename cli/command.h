#pragma once
// One command of `weir`: a file cli/<verb>.cc adds its sub-command to the parser and runs it. Main
// thread.
//
// A command answers an exit code: 0 done, 1 problems in the job, 2 usage, 4
// environment, 6 job failed, 7 state, 8 fail-closed, 130 second signal. Results go to standard
// output, problems and logs to standard error.

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace weir::cli {

struct Invocation {
  std::function<int()> run;  // set by the chosen command's callback
};

void AddRun(CLI::App& app, Invocation& invocation);
void AddValidate(CLI::App& app, Invocation& invocation);
void AddPlan(CLI::App& app, Invocation& invocation);
void AddGraph(CLI::App& app, Invocation& invocation);
void AddExplain(CLI::App& app, Invocation& invocation);
void AddSchema(CLI::App& app, Invocation& invocation);
void AddCkpt(CLI::App& app, Invocation& invocation);
void AddDemo(CLI::App& app, Invocation& invocation);

}  // namespace weir::cli
