// The rules of the house. Each has a sample that it passes and one that it finds; WorkingCopy then
// applies all of them to the sources. A failure says what to write instead.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/harness/paths.h"
#include "tests/tidy/rules.h"
#include "tests/tidy/source_tree.h"

namespace weir::tidy {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A finding in `path` whose message tells `instead`.
auto Found(const std::string& path, const std::string& instead) {
  return AllOf(Field(&Finding::path, path), Field(&Finding::message, HasSubstr(instead)));
}

SourceTree With(std::string path, std::string text) {
  SourceTree tree;
  tree.Add(std::move(path), std::move(text));
  return tree;
}

TEST(BlankCommentsAndLiterals, KeepsLengthLinesAndCode) {
  EXPECT_EQ(BlankCommentsAndLiterals("a; // time(0)\nb"), "a;           \nb");
  EXPECT_EQ(BlankCommentsAndLiterals("f(\"x\\\"y\", 'c');"), "f(\"    \", ' ');");
  EXPECT_EQ(BlankCommentsAndLiterals("a /* b\nc */ d"), "a     \n     d");
  EXPECT_EQ(BlankCommentsAndLiterals("n = 1'000; m"), "n = 1'000; m");
  EXPECT_EQ(BlankCommentsAndLiterals("R\"x(a\")b)x\" c"), "R\"        \" c");
}

TEST(IncludeDirection, EngineIncludesOnlyDownwards) {
  EXPECT_THAT(
      IncludeDirection(With("engine/runtime/task.cc", "#include \"engine/api/operator.h\"\n")),
      IsEmpty());
  EXPECT_THAT(IncludeDirection(With("engine/data/batch.h", "#include \"engine/api/operator.h\"\n")),
              ElementsAre(Found("engine/data/batch.h", "includes go down")));
  EXPECT_THAT(IncludeDirection(With("engine/control/x.cc", "#include \"state/state.h\"\n")),
              ElementsAre(Found("engine/control/x.cc", "interface in engine/api")));
}

TEST(IncludeDirection, SiblingsDoNotMeetAndOnlyTestsSeeTests) {
  EXPECT_THAT(
      IncludeDirection(With("jobs/planner.cc", "#include \"engine/plan/physical_plan.h\"\n")),
      IsEmpty());
  EXPECT_THAT(IncludeDirection(With("jobs/planner.cc", "#include \"operators/register.h\"\n")),
              ElementsAre(Found("jobs/planner.cc", "siblings do not include each other")));
  EXPECT_THAT(IncludeDirection(With("cli/run.cc", "#include \"state/state.h\"\n")), IsEmpty());
  EXPECT_THAT(IncludeDirection(With("cli/run.cc", "#include \"tests/harness/paths.h\"\n")),
              ElementsAre(Found("cli/run.cc", "only tests and bench")));
  EXPECT_THAT(
      IncludeDirection(With("tests/cli/run_test.cc", "#include \"tests/harness/paths.h\"\n")),
      IsEmpty());
}

TEST(IncludeDirection, PathsStartAtTheRoot) {
  EXPECT_THAT(IncludeDirection(With("engine/api/a.cc", "#include \"../base/env.h\"\n")),
              ElementsAre(Found("engine/api/a.cc", "from the root")));
  EXPECT_THAT(IncludeDirection(With("engine/api/a.cc", "#include \"operator.h\"\n")),
              ElementsAre(Found("engine/api/a.cc", "from the root")));
}

TEST(PrivateHeaders, StayInTheirFolder) {
  EXPECT_THAT(
      PrivateHeaders(With("operators/aggregate.cc", "#include \"operators/window_state.h\"\n")),
      IsEmpty());
  EXPECT_THAT(PrivateHeaders(With("cli/builtins.cc", "#include \"operators/register.h\"\n")),
              IsEmpty());
  EXPECT_THAT(PrivateHeaders(With("cli/builtins.cc", "#include \"operators/window_state.h\"\n")),
              ElementsAre(Found("cli/builtins.cc", "public header")));
}

TEST(ThirdPartyInWrapper, NamesTheWrapper) {
  EXPECT_THAT(ThirdPartyInWrapper(With("state/rocksdb_store.cc", "#include <rocksdb/db.h>\n")),
              IsEmpty());
  EXPECT_THAT(ThirdPartyInWrapper(With("tests/state/x_test.cc", "#include <rocksdb/db.h>\n")),
              IsEmpty());
  EXPECT_THAT(ThirdPartyInWrapper(With("jobs/planner.cc", "#include <nlohmann/json.hpp>\n")),
              ElementsAre(Found("jobs/planner.cc", "only engine/base/*")));
  EXPECT_THAT(ThirdPartyInWrapper(With("cli/run.cc", "#include <gtest/gtest.h>\n")),
              ElementsAre(Found("cli/run.cc", "only tests and bench")));
}

TEST(BannedCalls, NamesTheSeam) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"auto now = std::chrono::steady_clock::now();", "Env::Steady()"},
      {"auto now = std::time(nullptr);", "Env::Now()"},
      {"std::this_thread::sleep_for(x);", "a timer of the task"},
      {"int x = rand();", "Env::Random()"},
      {"std::thread t(f);", "Env::Start"},
      {"std::ifstream file(path);", "file methods of Env"},
      {"int fd = ::open(path, 0);", "file methods of Env"},
      {"int s = ::socket(1, 2, 3);", "Transport"},
      {"const char* home = std::getenv(\"HOME\");", "cli"},
  };
  for (const auto& [line, instead] : bad) {
    EXPECT_THAT(BannedCalls(With("operators/x.cc", line + "\n")),
                ElementsAre(Found("operators/x.cc", instead)))
        << line;
    EXPECT_THAT(BannedCalls(With("engine/base/env_posix.cc", line + "\n")), IsEmpty()) << line;
  }
  for (const char* good : {"// sleep(1) would block", "message(\"rand() is not used\");",
                           "env.Open(path);", "x.time(0);", "std::thread::id owner;",
                           "event_time(0);", "operand(1);", "file->open(x);"}) {
    EXPECT_THAT(BannedCalls(With("operators/x.cc", std::string(good) + "\n")), IsEmpty()) << good;
  }
}

TEST(UnorderedIteration, IsSeenInLoops) {
  const std::string declaration = "std::unordered_map<int, std::string> rows_;\n";
  EXPECT_THAT(UnorderedIteration(
                  With("operators/x.cc", declaration + "for (const auto& row : rows_) {}\n")),
              ElementsAre(Found("operators/x.cc", "sort before")));
  EXPECT_THAT(UnorderedIteration(
                  With("operators/x.cc", declaration + "for (const auto& row : other_) {}\n")),
              IsEmpty());
  EXPECT_THAT(UnorderedIteration(With("operators/x.cc", declaration + "rows_.find(1);\n")),
              IsEmpty());
  SourceTree pair = With("state/x.h", declaration);
  pair.Add("state/x.cc", "for (auto& [key, row] : rows_) {}\n");
  EXPECT_THAT(UnorderedIteration(pair), ElementsAre(Found("state/x.cc", "rows_")));
}

TEST(TestTwins, AreRequiredOfWhatOthersUse) {
  const std::string registers = "void RegisterFilter(Registry& registry) {}\n";
  EXPECT_THAT(TestTwins(With("operators/filter.cc", registers)),
              ElementsAre(Found("operators/filter.cc", "write tests/operators/filter_test.cc")));
  SourceTree tested = With("operators/filter.cc", registers);
  tested.Add("tests/operators/filter_test.cc", "TEST(Filter, KeepsRows) {}\n");
  EXPECT_THAT(TestTwins(tested), IsEmpty());
  tested.Add("tests/operators/filter_test.cc", "// TEST(Filter, Later)\n");
  EXPECT_THAT(TestTwins(tested),
              ElementsAre(Found("tests/operators/filter_test.cc", "holds no TEST")));

  SourceTree engine = With("engine/base/status.cc", "");
  engine.Add("engine/base/status.h", "");
  engine.Add("engine/base/env.cc", "#include \"engine/base/status.h\"\n");
  EXPECT_THAT(TestTwins(engine), IsEmpty()) << "private to its folder";
  engine.Add("engine/api/sink.h", "#include \"engine/base/status.h\"\n");
  EXPECT_THAT(TestTwins(engine),
              ElementsAre(Found("engine/base/status.cc", "tests/base/status_test.cc")));
  EXPECT_THAT(TestTwins(With("operators/window_state.cc", "int x;\n")), IsEmpty());
}

TEST(HeadersAreIncluded, ByAnyone) {
  SourceTree tree = With("state/a.h", "");
  EXPECT_THAT(HeadersAreIncluded(tree), ElementsAre(Found("state/a.h", "included by nothing")));
  tree.Add("state/a.cc", "#include \"state/a.h\"\n");
  EXPECT_THAT(HeadersAreIncluded(tree), IsEmpty());
}

TEST(SourcesWithoutTarget, AreFound) {
  const SourceTree tree = With("operators/filter.cc", "");
  EXPECT_THAT(SourcesWithoutTarget(tree, {"operators/filter.cc"}), IsEmpty());
  EXPECT_THAT(SourcesWithoutTarget(tree, {}),
              ElementsAre(Found("operators/filter.cc", "weir_operator")));
}

TEST(FileNames, AreSnakeCaseConcepts) {
  EXPECT_THAT(FileNames(With("engine/runtime/barrier_aligner.cc", "")), IsEmpty());
  EXPECT_THAT(FileNames(With("engine/runtime/BarrierAligner.cc", "")),
              ElementsAre(Found("engine/runtime/BarrierAligner.cc", "snake_case")));
  EXPECT_THAT(FileNames(With("engine/base/string_utils.h", "")),
              ElementsAre(Found("engine/base/string_utils.h", "after the concept")));
  EXPECT_THAT(FileNames(With("engine/base/status.cpp", "")),
              ElementsAre(Found("engine/base/status.cpp", ".cc and .h")));
}

TEST(HeaderComments, ComeFirst) {
  EXPECT_THAT(HeaderComments(With("a/b.h", "#pragma once\n// B: what it is.\n")), IsEmpty());
  EXPECT_THAT(HeaderComments(With("a/b.h", "#pragma once\n\nint x;\n")),
              ElementsAre(Found("a/b.h", "what it is")));
  EXPECT_THAT(HeaderComments(With("a/b.h", "// B: what it is.\n")),
              ElementsAre(Found("a/b.h", "#pragma once")));
}

TEST(NoUsingNamespaceInHeaders, FindsThem) {
  EXPECT_THAT(NoUsingNamespaceInHeaders(With("a/b.h", "using Name = int;\n")), IsEmpty());
  EXPECT_THAT(NoUsingNamespaceInHeaders(With("a/b.h", "using namespace std;\n")),
              ElementsAre(Found("a/b.h", "write the namespace out")));
}

TEST(NoFixme, FindsTheWord) {
  EXPECT_THAT(NoFixme(With("a/b.cc", "// Later versions also read v2.\n")), IsEmpty());
  EXPECT_THAT(NoFixme(With("a/b.cc", std::string("// FIX") + "ME\n")),
              ElementsAre(Found("a/b.cc", "fix it now")));
}

TEST(NoTrailingBlanks, FindsThem) {
  EXPECT_THAT(NoTrailingBlanks(With("a/b.cc", "int x;\n")), IsEmpty());
  EXPECT_THAT(NoTrailingBlanks(With("a/b.cc", "int x; \n")),
              ElementsAre(Found("a/b.cc", "remove the blanks")));
  EXPECT_THAT(NoTrailingBlanks(With("a/b.tsv", "x\t\n")), IsEmpty());
  EXPECT_THAT(NoTrailingBlanks(With("a/b.cc", "int x;")), ElementsAre(Found("a/b.cc", "newline")));
}

TEST(NoLargeFiles, FindsThem) {
  EXPECT_THAT(NoLargeFiles(With("a/b.json", std::string(512 << 10, 'x'))), IsEmpty());
  EXPECT_THAT(NoLargeFiles(With("a/b.json", std::string((512 << 10) + 1, 'x'))),
              ElementsAre(Found("a/b.json", "generate it")));
}

TEST(LinksResolve, InsideTheTree) {
  SourceTree tree = With("docs/a.md", "[b](../engine/b.h#x) [c](https://example.org/c) [d](#d)\n");
  tree.Add("engine/b.h", "");
  EXPECT_THAT(LinksResolve(tree), IsEmpty());
  tree.Add("docs/a.md", "[b](gone.md)\n");
  EXPECT_THAT(LinksResolve(tree), ElementsAre(Found("docs/a.md", "leads nowhere")));
}

TEST(NamedPagesExist, InCommentsAndText) {
  SourceTree tree = With("docs/state.md", "");
  tree.Add("a/b.cc", "// The bytes: docs/state.md.\n");
  EXPECT_THAT(NamedPagesExist(tree), IsEmpty());
  tree.Add("a/b.cc", std::string("// The bytes: other.m") + "d.\n");
  EXPECT_THAT(NamedPagesExist(tree), ElementsAre(Found("a/b.cc", "no page of this project")));
}

TEST(NoMachinePaths, FindsThem) {
  EXPECT_THAT(NoMachinePaths(With("a/b.cc", "path = \"/tmp/x\";\n")), IsEmpty());
  EXPECT_THAT(NoMachinePaths(With("a/b.cc", std::string("path = \"/ho") + "me/ann/x\";\n")),
              ElementsAre(Found("a/b.cc", "a path of one machine")));
}

TEST(AcceptanceRows, AreAllThereWithTestsThatExist) {
  const auto messages = [](const std::string& rows) {
    SourceTree tree;
    tree.Add("tests/acceptance.txt", rows);
    tree.Add("tests/base/a_test.cc", "TEST(Suite, Case) {}\n// TEST(Suite, Old) {}\n");
    tree.Add("tests/process/life_test.py", "    def test_it_ends(self):\n");
    tree.Add("tests/CMakeLists.txt",
             "add_test(NAME chaos.kills COMMAND x)\nweir_fuzz(csv LINK y)\n");
    std::vector<std::string> texts;
    for (const Finding& finding : AcceptanceRows(tree)) texts.push_back(finding.message);
    return texts;
  };
  std::string all;
  for (const auto& [letter, count] :
       {std::pair("J", 30), std::pair("E", 11), std::pair("R", 16), std::pair("H", 18),
        std::pair("N", 14), std::pair("S", 12), std::pair("C", 2)}) {
    for (int i = 1; i <= count; ++i)
      all += letter + std::string(i < 10 ? "0" : "") + std::to_string(i) + " Suite.Case\n";
  }
  const auto with = [&](const std::string& row) { return messages("# rows\n\n" + all + row); };
  EXPECT_THAT(with("C03 Suite.Case life_test.py:test_it_ends ctest:chaos.kills ctest:fuzz.csv\n"),
              testing::IsEmpty());
  EXPECT_THAT(with("C03 - it is planned\n"), testing::IsEmpty());
  EXPECT_THAT(with("C03 Suite.Case - on one machine\n"), testing::IsEmpty());
  for (const char* row :
       {"", "C03\n", "C03 Suite.Old\n", "C03 life_test.py:test_it\n", "C03 ctest:fuzz.json\n",
        "C03 Suite.Case\nC03 Suite.Case\n", "C03 Suite.Case\nC04 Suite.Case\n"})
    EXPECT_THAT(with(row), testing::SizeIs(1)) << row;
}

TEST(ApplyExceptions, RemovesWhatIsAllowedAndReportsStaleLines) {
  const Findings findings = {{"no_fixme", "a.cc", 1, "m"}, {"no_fixme", "b.cc", 1, "m"}};
  EXPECT_THAT(ApplyExceptions(findings, "# comment\nno_fixme a.cc because of this\n"),
              ElementsAre(Found("b.cc", "m")));
  EXPECT_THAT(ApplyExceptions({}, "no_fixme a.cc because of this\n"),
              ElementsAre(Found("tests/tidy/exceptions.txt", "allows nothing")));
  EXPECT_THAT(ApplyExceptions({}, "no_fixme a.cc\n"),
              ElementsAre(Found("tests/tidy/exceptions.txt", "reason")));
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> CompiledSources() {
  std::vector<std::string> sources;
  const std::string root = SourceDirectory() + "/";
  for (const auto& command :
       nlohmann::json::parse(ReadText(BinaryDirectory() + "/compile_commands.json"))) {
    const std::string file = command.at("file").get<std::string>();
    if (file.starts_with(root)) {
      sources.push_back(file.substr(root.size()));
    }
  }
  return sources;
}

TEST(WorkingCopy, KeepsTheRules) {
  const SourceTree tree = SourceTree::Read(SourceDirectory());
  ASSERT_TRUE(tree.Has("CMakeLists.txt"));
  Findings findings = SourcesWithoutTarget(tree, CompiledSources());
  for (const Rule& rule : AllRules()) {
    const Findings found = rule.check(tree);
    findings.insert(findings.end(), found.begin(), found.end());
  }
  for (const Finding& finding :
       ApplyExceptions(findings, ReadText(SourceDirectory() + "/tests/tidy/exceptions.txt"))) {
    ADD_FAILURE() << finding.ToString();
  }
}

}  // namespace
}  // namespace weir::tidy
