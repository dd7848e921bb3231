#include <cstdio>

#include "cli/builtins.h"
#include "cli/command.h"
#include "jobs/jobs.h"

namespace weir::cli {
namespace {

constexpr int kUsage = 2;

int Explain(const std::vector<std::string>& words) {
  std::string text;
  std::vector<std::string> known;
  const std::string& word = words.back();
  if (words.size() == 1) {
    text = jobs::ExplainCode(word);
    known = jobs::KnownCodes();
  } else if (words[0] == "fn") {
    text = jobs::ExplainFunction(word);
    for (const FunctionDoc& function : Functions()) known.emplace_back(function.name);
  } else {
    text = jobs::ExplainNode(Builtins(), word);
    for (const auto& type : Builtins().types()) known.emplace_back(type->name);
  }
  if (text.empty()) {
    std::fprintf(stderr, "error: nothing is known about '%s'\n", word.c_str());
    for (const std::string& near : Suggest(word, known))
      std::fprintf(stderr, "help: did you mean '%s'?\n", near.c_str());
    return kUsage;
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

void AddExplain(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("explain", "The built-in manual: error codes, functions, node types.");
  auto words = std::make_shared<std::vector<std::string>>();
  command->add_option("WHAT", *words, "CODE, or fn NAME, or node TYPE.")
      ->required()
      ->expected(1, 2)
      ->check([](const std::string&) { return std::string(); });
  command->footer(
      "Examples:\n  weir explain W0412\n  weir explain fn date_trunc\n  weir explain node "
      "aggregate");
  command->callback([words, &invocation] {
    if (words->size() == 2 && words->front() != "fn" && words->front() != "node")
      throw CLI::ValidationError("WHAT", "write CODE, fn NAME or node TYPE");
    invocation.run = [words] { return Explain(*words); };
  });
}

}  // namespace weir::cli
