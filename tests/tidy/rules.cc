#include "tests/tidy/rules.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace weir::tidy {
namespace {

constexpr uint64_t kFileBytesMax = 512 << 10;

/// Inside engine/ includes go only down this list.
constexpr std::array<std::string_view, 8> kEngineOrder = {"base", "data",    "expr", "api",
                                                          "plan", "runtime", "net",  "control"};

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string_view TopFolder(std::string_view path) { return path.substr(0, path.find('/')); }

/// "base" of "engine/base/env.h".
std::string_view EngineFolder(std::string_view path) {
  const std::string_view rest = path.substr(path.find('/') + 1);
  return rest.substr(0, rest.find('/'));
}

bool SeesAll(std::string_view top) { return top == "tests" || top == "bench"; }

bool IsSibling(std::string_view top) {
  return top == "operators" || top == "connectors" || top == "state" || top == "jobs";
}

struct Include {
  int line = 0;
  std::string path;
  bool quoted = false;
};

std::vector<Include> Includes(const SourceFile& file) {
  static const RE2 kInclude(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<Include> includes;
  int number = 0;
  for (const std::string_view line : Lines(file.text)) {
    ++number;
    std::string open;
    std::string path;
    if (RE2::PartialMatch(line, kInclude, &open, &path)) {
      includes.push_back({number, path, open == "\""});
    }
  }
  return includes;
}

/// Calls `check(file, include)` for every include of every C++ file.
template <class Check>
void ForEachInclude(const SourceTree& tree, const Check& check) {
  for (const auto& [path, file] : tree.files()) {
    if (file.is_cpp()) {
      for (const Include& include : Includes(file)) {
        check(file, include);
      }
    }
  }
}

/// Why `from` may not include `to`; empty if it may.
std::string DirectionProblem(std::string_view from, std::string_view to) {
  const std::string_view from_top = TopFolder(from);
  const std::string_view to_top = TopFolder(to);
  if (to.find("../") != std::string_view::npos) {
    return "write the path from the root of the sources instead of ../";
  }
  static const std::set<std::string_view> kFolders = {"engine", "operators", "connectors", "state",
                                                      "jobs",   "cli",       "tests",      "bench"};
  if (to.find('/') == std::string_view::npos || !kFolders.contains(to_top)) {
    return "write the path from the root of the sources (\"engine/...\"), or <...> for a library";
  }
  if (SeesAll(from_top)) {
    return "";
  }
  if (SeesAll(to_top)) {
    return "only tests and bench see tests and bench";
  }
  if (from_top == "engine") {
    if (to_top != "engine") {
      return "engine knows no one: declare an interface in engine/api and join the two in "
             "cli/builtins.cc";
    }
    const auto rank = [](std::string_view path) {
      return std::find(kEngineOrder.begin(), kEngineOrder.end(), EngineFolder(path)) -
             kEngineOrder.begin();
    };
    return rank(to) > rank(from) ? "inside engine includes go down: base < data < expr < api < "
                                   "plan < runtime < net < "
                                   "control; move the declaration down or invert the dependency"
                                 : "";
  }
  if (IsSibling(from_top) && to_top != "engine" && to_top != from_top) {
    return "siblings do not include each other: declare an interface in engine/api and join the "
           "two in cli/builtins.cc";
  }
  return "";
}

struct Wrapper {
  std::string_view include_prefix;
  std::vector<std::string_view> path_prefixes;  // who may include it, beside tests and bench
};

const std::vector<Wrapper>& Wrappers() {
  static const std::vector<Wrapper> kWrappers = {
      {"rocksdb/", {"state/"}},
      {"librdkafka/", {"connectors/kafka", "connectors/in_process_kafka"}},
      {"nlohmann/", {"engine/base/"}},
      {"spdlog/", {"engine/base/"}},
      {"pg_query", {"engine/expr/"}},
      {"simdjson", {"connectors/formats/json"}},
      {"prometheus/", {"cli/"}},
      {"CLI/", {"cli/"}},
      {"httplib.h", {"cli/"}},
      {"curl/", {"engine/net/http_client"}},
      {"re2/", {"engine/expr/"}},
      {"utf8proc.h", {"engine/expr/"}},
      {"date/", {"engine/expr/", "engine/data/"}},
      {"xxhash.h", {"engine/base/", "engine/data/"}},
      {"lz4", {"engine/base/", "engine/net/"}},
      {"zstd", {"engine/base/", "engine/net/", "connectors/decompressor"}},
      {"zlib.h", {"connectors/decompressor"}},
      {"openssl/", {"engine/base/", "engine/net/"}},
      {"gtest/", {}},
      {"gmock/", {}},
      {"benchmark/", {}},
  };
  return kWrappers;
}

struct Ban {
  std::string_view pattern;
  std::string_view instead;
};

const std::vector<Ban>& Bans() {
  static const std::vector<Ban> kBans = {
      {R"(\b(system_clock|steady_clock|high_resolution_clock)\b)", "Env::Now() or Env::Steady()"},
      {R"(\b(gettimeofday|clock_gettime|localtime|localtime_r|gmtime)\s*\()",
       "Env::Now() or Env::Steady()"},
      {R"((^|[^\w.>:])(std::)?time\s*\(\s*(nullptr|NULL|0)\s*\))", "Env::Now()"},
      {R"(\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\()",
       "a timer of the task, or the pause that Env::Start's turn returns"},
      {R"((^|[^\w.>:]|std::)(s?rand|drand48)\s*\(|\brandom_device\b)",
       "Env::Random() or a seeded generator"},
      {R"(\bstd::(jthread|async)\b|\bstd::thread\b([^:]|$)|\bpthread_create\b)",
       "Env::Start or Env::Post"},
      {R"(\bstd::(i|o|basic_i|basic_o|basic_)?fstream\b|\b(fopen|freopen|opendir|mkstemp|mkdtemp)\s*\(|(^|[^\w])::(open|openat|creat|unlink|rename|mkdir|rmdir|fsync|fdatasync|ftruncate|stat|lstat)\s*\(|\bstd::filesystem\b)",
       "the file methods of Env"},
      {R"((^|[^\w])::(socket|bind|listen|accept|accept4|connect|send|recv|sendto|recvfrom|sendmsg|recvmsg)\s*\()",
       "Transport or a client"},
      {R"(\b(getenv|setenv|system|popen|fork|execv\w*)\s*\()", "configuration handed in by cli"},
  };
  return kBans;
}

/// The real Env, Transport and clients, and what stands outside the engine.
bool MayCallTheSystem(std::string_view path) {
  for (const std::string_view prefix :
       {"engine/base/env_posix", "engine/net/tcp_transport", "engine/net/http_client",
        "connectors/kafka_client", "cli/", "tests/", "bench/"}) {
    if (path.starts_with(prefix)) {
      return true;
    }
  }
  return false;
}

void ForbidText(const SourceTree& tree, const RE2& pattern, const std::string& rule,
                const std::string& message, Findings& findings) {
  for (const auto& [path, file] : tree.files()) {
    int number = 0;
    for (const std::string_view line : Lines(file.text)) {
      ++number;
      std::string found;
      if (RE2::PartialMatch(line, pattern, &found)) {
        findings.push_back({rule, path, number, "\"" + found + "\": " + message});
      }
    }
  }
}

/// Headers that a folder other than their own includes, tests and bench not counted: the others are
/// private.
std::set<std::string> SharedHeaders(const SourceTree& tree) {
  std::set<std::string> shared;
  ForEachInclude(tree, [&](const SourceFile& file, const Include& include) {
    if (include.quoted && !SeesAll(TopFolder(file.path)) &&
        !include.path.starts_with(file.folder() + "/")) {
      shared.insert(include.path);
    }
  });
  return shared;
}

/// The test that a source file `path` needs; empty if it needs none.
std::string TwinOf(const std::set<std::string>& shared_headers, const SourceFile& file) {
  static const RE2 kRegisters(R"((?m)^void Register\w+\(Registry& )");
  const std::string_view top = TopFolder(file.path);
  if (!file.path.ends_with(".cc") || SeesAll(top)) {
    return "";
  }
  std::string folder = file.folder();
  if (top == "engine") {
    if (!shared_headers.contains(folder + "/" + file.stem() + ".h")) {
      return "";
    }
    folder = folder.substr(std::string_view("engine/").size());
  } else if (!RE2::PartialMatch(file.code, kRegisters)) {
    const bool public_header = file.path == "jobs/jobs.cc" || file.path == "state/state.cc";
    if (!public_header) {
      return "";
    }
  }
  return "tests/" + folder + "/" + file.stem() + "_test.cc";
}

/// `link` of `from`, as a path from the root; "" if it leaves the tree or is none of ours.
std::string ResolveLink(const std::string& from, std::string link) {
  link = link.substr(0, link.find('#'));
  const size_t slash = from.rfind('/');
  std::string path = link.starts_with('/')
                         ? link.substr(1)
                         : (slash == std::string::npos ? link : from.substr(0, slash + 1) + link);
  std::vector<std::string> parts;
  std::stringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');) {
    if (part == "..") {
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string result;
  for (const std::string& part : parts) {
    result += (result.empty() ? "" : "/") + part;
  }
  return result;
}

bool HasFileOrFolder(const SourceTree& tree, const std::string& path) {
  if (path.empty() || tree.Has(path)) {
    return true;
  }
  const auto next = tree.sizes().lower_bound(path + "/");
  return next != tree.sizes().end() && next->first.starts_with(path + "/");
}

}  // namespace

std::string Finding::ToString() const {
  return path + (line == 0 ? "" : ":" + std::to_string(line)) + ": " + message + " [" + rule + "]";
}

Findings IncludeDirection(const SourceTree& tree) {
  Findings findings;
  ForEachInclude(tree, [&](const SourceFile& file, const Include& include) {
    if (!include.quoted) {
      return;
    }
    const std::string problem = DirectionProblem(file.path, include.path);
    if (!problem.empty()) {
      findings.push_back({"include_direction", file.path, include.line,
                          "includes " + include.path + ": " + problem});
    }
  });
  return findings;
}

Findings PrivateHeaders(const SourceTree& tree) {
  static const std::set<std::string> kPublic = {
      "operators/register.h",          "connectors/register.h", "connectors/connectors.h",
      "connectors/in_process_kafka.h", "state/state.h",         "jobs/jobs.h"};
  Findings findings;
  ForEachInclude(tree, [&](const SourceFile& file, const Include& include) {
    const std::string_view from = TopFolder(file.path);
    const std::string_view to = TopFolder(include.path);
    if (include.quoted && IsSibling(to) && from != to && !SeesAll(from) &&
        !kPublic.contains(include.path)) {
      findings.push_back({"private_headers", file.path, include.line,
                          "includes " + include.path +
                              ", which is private to its folder: use the folder's public " +
                              "header (register.h, state/state.h, jobs/jobs.h)"});
    }
  });
  return findings;
}

Findings ThirdPartyInWrapper(const SourceTree& tree) {
  Findings findings;
  ForEachInclude(tree, [&](const SourceFile& file, const Include& include) {
    if (SeesAll(TopFolder(file.path))) {
      return;
    }
    for (const Wrapper& wrapper : Wrappers()) {
      if (!include.path.starts_with(wrapper.include_prefix)) {
        continue;
      }
      const bool allowed =
          std::any_of(wrapper.path_prefixes.begin(), wrapper.path_prefixes.end(),
                      [&](std::string_view prefix) { return file.path.starts_with(prefix); });
      if (!allowed) {
        std::string places;
        for (const std::string_view prefix : wrapper.path_prefixes) {
          places += (places.empty() ? "" : ", ") + std::string(prefix) + "*";
        }
        findings.push_back({"third_party_in_wrapper", file.path, include.line,
                            "includes <" + include.path + ">, which only " +
                                (places.empty() ? "tests and bench" : places) +
                                " may: use the wrapper there"});
      }
    }
  });
  return findings;
}

Findings BannedCalls(const SourceTree& tree) {
  static const std::vector<std::pair<std::unique_ptr<RE2>, std::string>> kPatterns = [] {
    std::vector<std::pair<std::unique_ptr<RE2>, std::string>> patterns;
    for (const Ban& ban : Bans()) {
      patterns.emplace_back(std::make_unique<RE2>("(" + std::string(ban.pattern) + ")"),
                            std::string(ban.instead));
    }
    return patterns;
  }();
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (!file.is_cpp() || MayCallTheSystem(path)) {
      continue;
    }
    int number = 0;
    for (const std::string_view line : Lines(file.code)) {
      ++number;
      for (const auto& [pattern, instead] : kPatterns) {
        std::string found;
        if (RE2::PartialMatch(line, *pattern, &found)) {
          findings.push_back({"banned_calls", path, number, "\"" + found + "\": use " + instead});
        }
      }
    }
  }
  return findings;
}

Findings UnorderedIteration(const SourceTree& tree) {
  static const RE2 kDeclaration(
      R"(\bunordered_(?:map|set|multimap|multiset)<[^;(){}]*>[&\s]+(\w+))");
  static const RE2 kLoop(R"(\bfor\s*\([^;:]*[^:]:\s*(?:\w+(?:\.|->))*(\w+)\s*\))");
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    const std::string_view top = TopFolder(path);
    if (!file.is_cpp() || SeesAll(top) || top == "cli") {
      continue;
    }
    // Members are declared in the header and walked in the source.
    std::string declarations = file.code;
    const auto header = tree.files().find(file.folder() + "/" + file.stem() + ".h");
    if (header != tree.files().end()) {
      declarations += header->second.code;
    }
    std::set<std::string> names;
    re2::StringPiece rest(declarations);
    for (std::string name; RE2::FindAndConsume(&rest, kDeclaration, &name);) {
      names.insert(name);
    }
    int number = 0;
    for (const std::string_view line : Lines(file.code)) {
      ++number;
      std::string name;
      if (RE2::PartialMatch(line, kLoop, &name) && names.contains(name)) {
        findings.push_back({"unordered_iteration", path, number,
                            "walks the unordered container " + name +
                                ", whose order differs between runs: use an " +
                                "ordered one, or sort before anything leaves"});
      }
    }
  }
  return findings;
}

Findings TestTwins(const SourceTree& tree) {
  static const RE2 kTest(R"((?m)^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\s*\()");
  const std::set<std::string> shared_headers = SharedHeaders(tree);
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    const std::string twin = TwinOf(shared_headers, file);
    if (twin.empty()) {
      continue;
    }
    const auto test = tree.files().find(twin);
    if (test == tree.files().end()) {
      findings.push_back({"test_twins", path, 0, "has no test: write " + twin});
    } else if (!RE2::PartialMatch(test->second.code, kTest)) {
      findings.push_back({"test_twins", twin, 0, "holds no TEST"});
    }
  }
  return findings;
}

Findings HeadersAreIncluded(const SourceTree& tree) {
  std::set<std::string> included;
  ForEachInclude(tree,
                 [&](const SourceFile&, const Include& include) { included.insert(include.path); });
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (file.is_header() && !included.contains(path)) {
      findings.push_back(
          {"headers_are_included", path, 0, "is included by nothing: remove it, or use it"});
    }
  }
  return findings;
}

Findings SourcesWithoutTarget(const SourceTree& tree, const std::vector<std::string>& compiled) {
  const std::set<std::string> known(compiled.begin(), compiled.end());
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (path.ends_with(".cc") && !known.contains(path)) {
      findings.push_back({"sources_have_targets", path, 0,
                          "belongs to no target: add its line to the CMakeLists.txt of the folder "
                          "(weir_operator, " +
                              std::string("weir_connector, weir_format, weir_files)")});
    }
  }
  return findings;
}

Findings FileNames(const SourceTree& tree) {
  static const RE2 kSnakeCase(R"([a-z][a-z0-9]*(_[a-z0-9]+)*)");
  static const RE2 kVague(
      R"(.*_(utils?|helpers?|commons?|impl|misc)|utils?|helpers?|commons?|misc)");
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    const std::string stem = file.stem();
    if (path.ends_with(".cpp") || path.ends_with(".cxx") || path.ends_with(".hpp") ||
        path.ends_with(".hh")) {
      findings.push_back({"file_names", path, 0, "C++ files end in .cc and .h"});
    } else if (file.is_cpp() && !RE2::FullMatch(stem, kSnakeCase)) {
      findings.push_back({"file_names", path, 0, "file names are snake_case"});
    } else if (file.is_cpp() && RE2::FullMatch(stem, kVague)) {
      findings.push_back(
          {"file_names", path, 0, "name the file after the concept in it, not its kind"});
    }
  }
  return findings;
}

Findings HeaderComments(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (!file.is_header()) {
      continue;
    }
    // What stands above the first declaration or include.
    bool guarded = false;
    bool explained = false;
    for (const std::string_view line : Lines(file.text)) {
      const bool comment = line.starts_with("//");
      const bool pragma = line.starts_with("#pragma once");
      if (!line.empty() && !comment && !pragma) {
        break;
      }
      guarded = guarded || pragma;
      explained = explained || comment;
    }
    if (!guarded) {
      findings.push_back({"header_comments", path, 1, "begin with #pragma once"});
    }
    if (!explained) {
      findings.push_back({"header_comments", path, 1,
                          "say what it is, who calls it on which thread, invariants, failure, "
                          "lifetime, in // lines at the top"});
    }
  }
  return findings;
}

Findings NoUsingNamespaceInHeaders(const SourceTree& tree) {
  static const RE2 kUsing(R"(^\s*using\s+namespace\b)");
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (!file.is_header()) {
      continue;
    }
    int number = 0;
    for (const std::string_view line : Lines(file.code)) {
      ++number;
      if (RE2::PartialMatch(line, kUsing)) {
        findings.push_back({"no_using_namespace", path, number, "write the namespace out"});
      }
    }
  }
  return findings;
}

Findings NoFixme(const SourceTree& tree) {
  // In two pieces, so that this file does not find itself; likewise below.
  static const RE2 kFixme(std::string(R"(\b(FIX)") + R"(ME|XX)" + R"(X|HA)" + R"(CK)\b)");
  Findings findings;
  ForbidText(tree, kFixme, "no_fixme", "fix it now, or say in a sentence what is missing and why",
             findings);
  return findings;
}

Findings NoTrailingBlanks(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    // In tables an empty last column is data.
    if (path.ends_with(".tsv") || path.ends_with(".csv")) {
      continue;
    }
    int number = 0;
    for (const std::string_view line : Lines(file.text)) {
      ++number;
      if (line.ends_with(' ') || line.ends_with('\t') || line.ends_with('\r')) {
        findings.push_back(
            {"no_trailing_blanks", path, number, "remove the blanks at the line's end"});
      }
    }
    if (!file.text.empty() && !file.text.ends_with('\n')) {
      findings.push_back({"no_trailing_blanks", path, number, "end the file with a newline"});
    }
  }
  return findings;
}

Findings NoLargeFiles(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, size] : tree.sizes()) {
    if (size > kFileBytesMax) {
      findings.push_back({"no_large_files", path, 0,
                          std::to_string(size >> 10) +
                              " KiB: generate it when it is needed, or keep it below " +
                              std::to_string(kFileBytesMax >> 10) + " KiB"});
    }
  }
  return findings;
}

Findings LinksResolve(const SourceTree& tree) {
  static const RE2 kLink(R"(\[[^\]\n]*\]\(([^)\s]+)\))");
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (!path.ends_with(".md")) {
      continue;
    }
    int number = 0;
    bool fenced = false;
    for (const std::string_view line : Lines(file.text)) {
      ++number;
      if (line.starts_with("```")) {
        fenced = !fenced;
      }
      if (fenced) {
        continue;
      }
      re2::StringPiece rest(line.data(), line.size());
      for (std::string link; RE2::FindAndConsume(&rest, kLink, &link);) {
        if (link.find("://") != std::string::npos || link.starts_with("mailto:") ||
            link.starts_with('#')) {
          continue;
        }
        if (!HasFileOrFolder(tree, ResolveLink(path, link))) {
          findings.push_back({"links_resolve", path, number, "\"" + link + "\" leads nowhere"});
        }
      }
    }
  }
  return findings;
}

Findings NamedPagesExist(const SourceTree& tree) {
  static const RE2 kPage(R"(([A-Za-z0-9_][\w./-]*\.md)\b)");
  std::set<std::string> names;
  for (const auto& [path, size] : tree.sizes()) {
    if (path.ends_with(".md")) {
      names.insert(path.substr(path.rfind('/') + 1));
    }
  }
  Findings findings;
  for (const auto& [path, file] : tree.files()) {
    if (!file.is_cpp() && !path.ends_with(".md") && !path.ends_with(".txt") &&
        !path.ends_with(".sh") && !path.ends_with(".py") && !path.ends_with(".cmake")) {
      continue;
    }
    int number = 0;
    for (const std::string_view line : Lines(file.text)) {
      ++number;
      re2::StringPiece rest(line.data(), line.size());
      for (std::string page; RE2::FindAndConsume(&rest, kPage, &page);) {
        if (!names.contains(page.substr(page.rfind('/') + 1))) {
          findings.push_back({"named_pages_exist", path, number,
                              "names " + page + ", which is no page of this project"});
        }
      }
    }
  }
  return findings;
}

Findings NoMachinePaths(const SourceTree& tree) {
  static const RE2 kPath(std::string(R"re((?:^|[\s"'`=(:]))re") + R"re((/(?:ro)re" +
                         R"re(ot|wo)re" + R"re(rk|ho)re" + R"re(me)/[\w.-]+))re");
  Findings findings;
  ForbidText(tree, kPath, "no_machine_paths",
             "a path of one machine: use a relative one, $HOME or a temporary directory", findings);
  return findings;
}

namespace {

constexpr const char* kAcceptancePath = "tests/acceptance.txt";

/// Where a row names its tests: Suite.Case, file.py:test_name, ctest:NAME.
std::set<std::string> NamedTests(const SourceTree& tree) {
  static const RE2 kCase(R"(\bTEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  static const RE2 kMethod(R"(\bdef (test_\w+)\()");
  static const RE2 kCommand(R"(\badd_test\(NAME ([\w.]+))");
  static const RE2 kFuzz(R"(\bweir_fuzz\((\w+))");
  std::set<std::string> names;
  for (const auto& [path, file] : tree.files()) {
    if (!path.starts_with("tests/")) continue;
    std::string one, two;
    re2::StringPiece rest(file.is_cpp() ? file.code : file.text);
    if (file.is_cpp()) {
      while (RE2::FindAndConsume(&rest, kCase, &one, &two)) names.insert(one + "." + two);
    } else if (path.ends_with(".py")) {
      const std::string name = path.substr(path.rfind('/') + 1);
      while (RE2::FindAndConsume(&rest, kMethod, &one)) names.insert(name + ":" + one);
    } else if (path.ends_with("CMakeLists.txt")) {
      while (RE2::FindAndConsume(&rest, kCommand, &one)) names.insert("ctest:" + one);
      rest = file.text;
      while (RE2::FindAndConsume(&rest, kFuzz, &one)) names.insert("ctest:fuzz." + one);
    }
  }
  return names;
}

/// Every id that there is: J01 to J30, E01 to E11 and so on.
std::set<std::string> AcceptanceIds() {
  std::set<std::string> ids;
  for (const auto& [letter, count] :
       {std::pair('J', 30), std::pair('E', 11), std::pair('R', 16), std::pair('H', 18),
        std::pair('N', 14), std::pair('S', 12), std::pair('C', 3)}) {
    for (int number = 1; number <= count; ++number)
      ids.insert(letter + std::string(number < 10 ? "0" : "") + std::to_string(number));
  }
  return ids;
}

}  // namespace

Findings AcceptanceRows(const SourceTree& tree) {
  Findings findings;
  const auto found = tree.files().find(kAcceptancePath);
  if (found == tree.files().end()) {
    if (tree.files().contains("tests/CMakeLists.txt"))
      findings.push_back({"acceptance_rows", kAcceptancePath, 1, "the list is not there"});
    return findings;
  }
  const std::set<std::string> tests = NamedTests(tree);
  std::set<std::string> missing = AcceptanceIds();
  int number = 0;
  const auto report = [&](int line, std::string message) {
    findings.push_back({"acceptance_rows", kAcceptancePath, line, std::move(message)});
  };
  for (const std::string_view line : Lines(found->second.text)) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const size_t reason = std::min(line.find(" - "), line.size());
    std::istringstream words{std::string(line.substr(0, reason))};
    std::string id, test;
    words >> id;
    if (missing.erase(id) == 0) report(number, "'" + id + "' is no row, or stands here twice");
    bool any = reason != line.size();
    while (words >> test) {
      any = true;
      if (!tests.contains(test))
        report(number, id + ": there is no test '" + test +
                           "': name Suite.Case, file.py:test_name or ctest:NAME");
    }
    if (!any) report(number, id + ": name its tests, or behind ' - ' why it has none");
  }
  for (const std::string& id : missing)
    report(0, "row " + id + " is missing: name its tests, or behind ' - ' why it has none");
  return findings;
}

const std::vector<Rule>& AllRules() {
  static const std::vector<Rule> kRules = {
      {"include_direction", IncludeDirection},
      {"private_headers", PrivateHeaders},
      {"third_party_in_wrapper", ThirdPartyInWrapper},
      {"banned_calls", BannedCalls},
      {"unordered_iteration", UnorderedIteration},
      {"test_twins", TestTwins},
      {"headers_are_included", HeadersAreIncluded},
      {"file_names", FileNames},
      {"header_comments", HeaderComments},
      {"no_using_namespace", NoUsingNamespaceInHeaders},
      {"no_fixme", NoFixme},
      {"no_trailing_blanks", NoTrailingBlanks},
      {"no_large_files", NoLargeFiles},
      {"links_resolve", LinksResolve},
      {"named_pages_exist", NamedPagesExist},
      {"no_machine_paths", NoMachinePaths},
      {"acceptance_rows", AcceptanceRows},
  };
  return kRules;
}

Findings ApplyExceptions(const Findings& findings, const std::string& exceptions) {
  struct Exception {
    std::string rule;
    std::string path;
    int line = 0;
    bool used = false;
  };
  constexpr auto kFile = "tests/tidy/exceptions.txt";
  Findings left;
  std::vector<Exception> allowed;
  int number = 0;
  for (const std::string_view line : Lines(exceptions)) {
    ++number;
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    std::istringstream words{std::string(line)};
    Exception exception;
    std::string reason;
    words >> exception.rule >> exception.path >> reason;
    exception.line = number;
    if (reason.empty()) {
      left.push_back({"exceptions", kFile, number, "write: rule path reason"});
      continue;
    }
    allowed.push_back(exception);
  }
  for (const Finding& finding : findings) {
    bool excepted = false;
    for (Exception& exception : allowed) {
      if (exception.rule == finding.rule && exception.path == finding.path) {
        exception.used = true;
        excepted = true;
      }
    }
    if (!excepted) {
      left.push_back(finding);
    }
  }
  for (const Exception& exception : allowed) {
    if (!exception.used) {
      left.push_back(
          {"exceptions", kFile, exception.line,
           exception.rule + " " + exception.path + " allows nothing any more: remove the line"});
    }
  }
  return left;
}

}  // namespace weir::tidy
