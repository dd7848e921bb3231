// Keeps the documents true: each ```json job block is a valid job, each other ```json block is
// JSON, a ```cpp block that begins with a file's name stands in that file, and the ```sh blocks of
// a page run, one after the other, and print what the ```text block behind them shows. Commands
// that cannot run here (./dev test is this suite) stand in ```console blocks. Each alert has its
// runbook.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "connectors/register.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"
#include "engine/data/batch_codec.h"
#include "engine/data/row_builder.h"
#include "jobs/jobs.h"
#include "operators/register.h"
#include "tests/docs/markdown.h"
#include "tests/harness/paths.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

TEST(FencedBlocks, HaveInfoTextAndLine) {
  const auto blocks = FencedBlocks("a\n```json job\n{}\n```\nb\n```\nc\n");
  ASSERT_EQ(blocks.size(), 2u);
  EXPECT_EQ(blocks[0].info, "json job");
  EXPECT_EQ(blocks[0].text, "{}\n");
  EXPECT_EQ(blocks[0].line, 2);
  EXPECT_EQ(blocks[1].info, "");
  EXPECT_EQ(blocks[1].text, "c\n");
}

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// README.md, CONTRIBUTING.md and everything below docs/.
std::vector<fs::path> Pages() {
  const fs::path root = SourceDirectory();
  std::vector<fs::path> pages;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().extension() == ".md") {
      pages.push_back(entry.path());
    }
  }
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") {
      pages.push_back(entry.path());
    }
  }
  std::sort(pages.begin(), pages.end());
  return pages;
}

TEST(Docs, JsonBlocksAreValid) {
  Registry registry;
  RegisterOperators(registry);
  RegisterConnectors(registry);
  for (const fs::path& page : Pages()) {
    for (const FencedBlock& block : FencedBlocks(ReadText(page))) {
      if (!block.info.starts_with("json")) {
        continue;
      }
      const std::string where =
          fs::relative(page, SourceDirectory()).string() + ":" + std::to_string(block.line);
      if (block.info == "json job") {
        jobs::CompileOptions options;
        options.registry = &registry;
        options.file = where;
        options.environment = [](const std::string&) {
          return std::optional<std::string>("value");
        };
        options.allowed_paths = {"/"};
        const jobs::CompiledJob job = jobs::CompileJob(block.text, options);
        EXPECT_FALSE(job.has_errors()) << jobs::FormatProblemsText(job);
      } else {
        EXPECT_TRUE(ParseJob(block.text, /*comments=*/true).problems.empty())
            << where << ": not JSON";
      }
    }
  }
}

/// The bytes at the beginning of each line, up to the first word that is no pair of hexadecimal
/// digits.
std::string BytesOfHexLines(const std::string& text) {
  std::string bytes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const bool hex =
          word.size() == 2 && word.find_first_not_of("0123456789abcdef") == std::string::npos;
      if (!hex) {
        break;
      }
      bytes += static_cast<char>(std::stoi(word, nullptr, 16));
    }
  }
  return bytes;
}

TEST(Docs, ExampleOfBatchBytesIsWhatTheEncoderWrites) {
  const auto schema = std::make_shared<const Schema>(std::vector<Field>{
      {"n", Type::Of(TypeKind::kInt32), true}, {"s", Type::Of(TypeKind::kString), false}});
  RowBuilder builder(schema);
  for (const auto& [number, text] : std::vector<std::pair<std::optional<int32_t>, std::string>>{
           {7, "ab"}, {{}, ""}, {-1, "c"}}) {
    if (number) {
      builder.column(size_t{0}).Append<int32_t>(*number);
    } else {
      builder.column(size_t{0}).AppendNull();
    }
    builder.column(size_t{1}).AppendString(text);
    builder.FinishRow();
  }
  std::string bytes;
  EncodeBatch(builder.Build(), bytes);

  const auto blocks = FencedBlocks(ReadText(fs::path(SourceDirectory()) / "docs/formats/batch.md"));
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(BytesOfHexLines(blocks[0].text), bytes);
}

/// `text` without blanks, so that a quotation does not depend on how the code is laid out.
std::string WithoutBlanks(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' && c != '\n' && c != '\t') {
      result += c;
    }
  }
  return result;
}

TEST(Docs, QuotedCodeStandsInTheFileItNames) {
  constexpr std::string_view kComment = "// ";
  for (const fs::path& page : Pages()) {
    for (const FencedBlock& block : FencedBlocks(ReadText(page))) {
      const std::string name = block.text.substr(0, block.text.find('\n'));
      if (block.info != "cpp" || !name.starts_with(kComment)) {
        continue;
      }
      const std::string where =
          fs::relative(page, SourceDirectory()).string() + ":" + std::to_string(block.line);
      const std::string code =
          WithoutBlanks(ReadText(fs::path(SourceDirectory()) / name.substr(kComment.size())));
      std::istringstream lines(block.text.substr(name.size()));
      std::string piece;
      size_t from = 0;
      const auto find_piece = [&] {
        const size_t at = code.find(WithoutBlanks(piece), from);
        EXPECT_NE(at, std::string::npos)
            << where << ": " << name << " has no longer, in this order:\n"
            << piece;
        from = at == std::string::npos ? from : at;
        piece.clear();
      };
      for (std::string line; std::getline(lines, line);) {
        // A line of dots stands for code left out.
        if (WithoutBlanks(line) == "...") {
          find_piece();
        } else {
          piece += line + "\n";
        }
      }
      find_piece();
    }
  }
}

struct ShellResult {
  int exit_code = -1;
  std::string output;
};

ShellResult RunShell(const std::string& script, const fs::path& directory) {
  const fs::path file = directory / ".block.sh";
  std::ofstream(file) << "set -euo pipefail\nexec 2>&1\n" << script;
  const std::string command = "cd '" + directory.string() + "' && bash '" + file.string() + "'";
  ShellResult result;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return result;
  }
  std::array<char, 4096> chunk{};
  while (const size_t size = fread(chunk.data(), 1, chunk.size(), pipe)) {
    result.output.append(chunk.data(), size);
  }
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

/// A directory that looks like the root of the sources, so that what a block writes does not land
/// there.
class ScratchRoot {
 public:
  ScratchRoot() {
    std::string pattern = (fs::temp_directory_path() / "weir-docs-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
    for (const auto& entry : fs::directory_iterator(SourceDirectory())) {
      const std::string name = entry.path().filename();
      // What a run of the same commands has left in the sources would be gone on from.
      if (name != "build" && name != ".git" && name != "out") {
        fs::create_symlink(entry.path(), path_ / name);
      }
    }
    fs::create_directory(path_ / "build");
    fs::create_symlink(BinaryDirectory(), path_ / "build" / "release");
  }
  ScratchRoot(const ScratchRoot&) = delete;
  ScratchRoot& operator=(const ScratchRoot&) = delete;
  ~ScratchRoot() { fs::remove_all(path_); }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Runs the ```sh blocks of a page, one after the other; answers how many.
int RunShellBlocks(const fs::path& page) {
  const ScratchRoot root;
  const auto blocks = FencedBlocks(ReadText(page));
  int ran = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].info != "sh") {
      continue;
    }
    ++ran;
    const std::string where =
        fs::relative(page, SourceDirectory()).string() + ":" + std::to_string(blocks[i].line);
    const ShellResult result = RunShell(blocks[i].text, root.path());
    EXPECT_EQ(result.exit_code, 0) << where << ":\n" << result.output;
    if (i + 1 < blocks.size() && blocks[i + 1].info == "text") {
      std::istringstream shown(blocks[i + 1].text);
      for (std::string line; std::getline(shown, line);) {
        // A line with an ellipsis stands for others.
        if (line.find("...") == std::string::npos) {
          EXPECT_NE(result.output.find(line), std::string::npos)
              << where << " does not print: " << line << "\nbut:\n"
              << result.output;
        }
      }
    }
  }
  return ran;
}

TEST(Docs, ShellBlocksRunAndPrintWhatTheyShow) {
  if (fs::path(BinaryDirectory()).filename() != "release") {
    GTEST_SKIP() << "the pages speak of build/release; this is " << BinaryDirectory();
  }
  std::set<std::string> pages;
  for (const fs::path& page : Pages()) {
    if (RunShellBlocks(page) > 0) pages.insert(page.filename().string());
  }
  EXPECT_TRUE(pages.contains("README.md")) << "README has no shell block";
}

/// Words behind `before` in the lines of a text.
std::set<std::string> WordsBehind(const std::string& text, std::string_view before) {
  std::set<std::string> words;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(before);
    if (at == std::string::npos) continue;
    const size_t from = at + before.size();
    words.insert(line.substr(from, line.find_first_of(" ,}", from) - from));
  }
  return words;
}

TEST(Docs, EveryAlertHasARunbookAndEveryRunbookAnAlert) {
  const fs::path root = SourceDirectory();
  const std::string rules = ReadText(root / "deploy/prometheus/rules.yml");
  const std::string page = ReadText(root / "docs/dashboards_and_alerts.md");
  const std::set<std::string> alerts = WordsBehind(rules, "- alert: ");
  EXPECT_GT(alerts.size(), 10U);
  EXPECT_EQ(WordsBehind(page, "## Weir"), [&] {
    std::set<std::string> names;
    for (const std::string& alert : alerts) names.insert(alert.substr(std::strlen("Weir")));
    return names;
  }());
  std::set<std::string> anchors;
  for (std::string alert : alerts) {
    std::transform(alert.begin(), alert.end(), alert.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    anchors.insert("docs/dashboards_and_alerts.md#" + alert);
  }
  EXPECT_EQ(WordsBehind(rules, "runbook: "), anchors);
}

}  // namespace
}  // namespace weir
