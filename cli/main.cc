// weir: the one binary. Parses the command line and runs one command; everything else is in its
// file.

#include <malloc.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/dashboard.h"
#include "cli/version.h"
#include "engine/base/escape.h"
#include "engine/expr/expression.h"

namespace {

constexpr size_t kWordBytesMax = 64;

/// CLI11 says of an unknown verb only that there is none.
void NameUnknownVerb(const CLI::App& app, const std::string& word) {
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    verbs.push_back(verb->get_name());
  if (word.starts_with('-') || std::ranges::find(verbs, word) != verbs.end()) return;
  std::cerr << "error: there is no verb '" << weir::OneLine(word, kWordBytesMax) << "'\n";
  for (const std::string& near : weir::Suggest(word, verbs))
    std::cerr << "help: did you mean '" << near << "'?\n";
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kUsage = 2, kInternal = 70;
  // What one thread allocates another one frees here, so arenas of their own keep memory that
  // nobody uses: two of them took a fifth less resident memory on a state larger than its budget
  // than the eight per core that are glibc's default, at equal CPU time.
  constexpr int kArenas = 2;
  mallopt(M_ARENA_MAX, kArenas);
  // Given, it also stays: by default the first large block that is freed raises it up to 32 MiB,
  // and from then on such blocks lie between small ones and never go back to the system. Above what
  // a Kafka client fetches at once (mostly 2 MiB at most): mapped anew for each fetch, its
  // pages cost a job that only counts an eighth of its CPU time.
  constexpr int kMapBytesLeast = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kMapBytesLeast);
  // An arena that has just shrunk grows again with the next fetch: let it keep as much.
  constexpr int kKeptBytes = 16 << 20;
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_TOP_PAD, kKeptBytes);
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
  weir::cli::AddDashboard(app, invocation);
  weir::cli::AddCkpt(app, invocation);
  weir::cli::AddDemo(app, invocation);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (argc > 1) NameUnknownVerb(app, argv[1]);
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
