#pragma once
// SourceTree: the text files of a working copy as the tidy rules see them, read from disk or made
// up by a test.
//
// Called by tests on one thread. Paths are relative to the root, with '/'. Reading throws away
// nothing: what version control ignores (build/, caches) is left out by name. Failure: an
// unreadable root is a bug of the test (WEIR_CHECK).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::tidy {

/// One file. `code` is `text` with comments and the insides of literals blanked out, of the same
/// length, so that rules about code are not misled by prose; only C++ sources have it.
struct SourceFile {
  std::string path;
  std::string text;
  std::string code;

  bool is_cpp() const;
  bool is_header() const;
  /// First directories: "engine/base", "connectors/formats", "operators", "tests/base", "" for a
  /// file in the root.
  std::string folder() const;
  /// File name without directories and extension.
  std::string stem() const;
};

/// Blanks comments and literals of C++ source; newlines stay.
std::string BlankCommentsAndLiterals(std::string_view text);

class SourceTree {
 public:
  static SourceTree Read(const std::string& root);

  /// Adds a made-up file; for samples.
  SourceTree& Add(std::string path, std::string text);

  const std::map<std::string, SourceFile>& files() const { return files_; }
  const std::map<std::string, uint64_t>& sizes() const { return sizes_; }
  bool Has(const std::string& path) const { return sizes_.contains(path); }

 private:
  std::map<std::string, SourceFile> files_;  // text files, by path
  std::map<std::string, uint64_t> sizes_;    // every file, also those too large or not text
};

}  // namespace weir::tidy
