#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "engine/base/check.h"

namespace weir::tidy {
namespace {

constexpr uint64_t kTextBytesMax = 4 << 20;

bool IsIgnoredDirectory(const std::string& name) {
  static const std::set<std::string> kIgnored = {".git",   "build", "out",
                                                 ".cache", ".weir", "__pycache__"};
  return kIgnored.contains(name);
}

bool IsText(std::string_view bytes) { return bytes.find('\0') == std::string_view::npos; }

/// The end of the literal that starts with `quote` at `begin`, one past its closing quote.
size_t LiteralEnd(std::string_view text, size_t begin, char quote) {
  size_t i = begin + 1;
  while (i < text.size() && text[i] != quote && text[i] != '\n') {
    i += text[i] == '\\' ? 2 : 1;
  }
  return std::min(i + 1, text.size());
}

size_t RawLiteralEnd(std::string_view text, size_t quote) {
  const size_t open = text.find('(', quote);
  if (open == std::string_view::npos) {
    return text.size();
  }
  std::string close = ")";
  close += text.substr(quote + 1, open - quote - 1);
  close += '"';
  const size_t end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

bool SourceFile::is_cpp() const { return path.ends_with(".cc") || path.ends_with(".h"); }

bool SourceFile::is_header() const { return path.ends_with(".h"); }

std::string SourceFile::folder() const {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string SourceFile::stem() const {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.rfind('.'));
}

std::string BlankCommentsAndLiterals(std::string_view text) {
  std::string code(text);
  const auto blank = [&code](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (code[i] != '\n') {
        code[i] = ' ';
      }
    }
  };
  size_t i = 0;
  while (i < text.size()) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("//")) {
      const size_t end = std::min(text.find('\n', i), text.size());
      blank(i, end);
      i = end;
    } else if (rest.starts_with("/*")) {
      const size_t close = text.find("*/", i + 2);
      const size_t end = close == std::string_view::npos ? text.size() : close + 2;
      blank(i, end);
      i = end;
    } else if (rest.starts_with("R\"") && (i == 0 || !IsWordCharacter(text[i - 1]))) {
      const size_t end = RawLiteralEnd(text, i + 1);
      blank(i + 2, end - 1);
      i = end;
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !IsWordCharacter(text[i - 1])))) {
      // A quote after a word character is a digit separator (1'000).
      const size_t end = LiteralEnd(text, i, text[i]);
      blank(i + 1, end - 1);
      i = end;
    } else {
      ++i;
    }
  }
  return code;
}

SourceTree SourceTree::Read(const std::string& root) {
  namespace fs = std::filesystem;
  SourceTree tree;
  std::error_code error;
  fs::recursive_directory_iterator it(root, error);
  WEIR_CHECK(!error);
  for (; it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory() && IsIgnoredDirectory(name)) {
      it.disable_recursion_pending();
      continue;
    }
    // In a linked working copy `.git` is a file.
    if (!it->is_regular_file() || name == ".git" || name.ends_with(".part")) {
      continue;
    }
    const std::string path = fs::relative(it->path(), root).generic_string();
    const uint64_t size = it->file_size();
    if (size > kTextBytesMax) {
      tree.sizes_[path] = size;
      continue;
    }
    std::ifstream file(it->path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (IsText(bytes)) {
      tree.Add(path, std::move(bytes));
    } else {
      tree.sizes_[path] = size;
    }
  }
  return tree;
}

SourceTree& SourceTree::Add(std::string path, std::string text) {
  SourceFile file{std::move(path), std::move(text), {}};
  if (file.is_cpp()) {
    file.code = BlankCommentsAndLiterals(file.text);
  }
  sizes_[file.path] = file.text.size();
  files_[file.path] = std::move(file);
  return *this;
}

}  // namespace weir::tidy
