// The scanner and parser of job files: any text gives a document or problems, each with a position
// inside the text.

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/json.h"
#include "tests/fuzz/target.h"

std::vector<std::string> FuzzSeeds() {
  return {
      R"({"weir": 1, "name": "a", "nodes": {"in": {"type": "generator_source", "rows": 3}}})",
      "{\n  // comment\n  \"a\": [1, -2.5e3, true, null, \"\\u00e9\\n\\\"\"], /* b */ \"a\": {}\n}",
      R"([[[[{"a/b~c": "x"}]]]])",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool comments : {false, true}) {
    const weir::JsonDocument document = weir::ParseJob(text, comments);
    WEIR_CHECK_LE(document.problems.size(), weir::kJsonProblemsMax);
    for (const weir::JsonProblem& problem : document.problems) {
      WEIR_CHECK(!problem.code.empty() && !problem.message.empty());
      WEIR_CHECK_LE(problem.range.start.offset, text.size());
    }
    if (document.problems.empty()) {
      // What was accepted means the same to the plain parser.
      auto again = weir::ParseJson(document.root.dump());
      WEIR_CHECK(again.ok());
      WEIR_CHECK(*again == document.root);
    }
  }
  return 0;
}
