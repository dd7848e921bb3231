#pragma once
// Paths of file connectors: globs, and the check that a job stays below the paths that it may use.
// Called on the pool and at planning; no state.

#include <string>
#include <string_view>
#include <vector>

#include "engine/api/registry.h"
#include "engine/base/env.h"

namespace weir {

/// `*`, `?` and `[a-z]` within one name, `**` for any number of directories.
bool MatchesGlob(std::string_view pattern, std::string_view name);

struct FoundFile {
  Path path;
  DirectoryEntry entry;
};
/// Files that match, by path. Directories that do not exist match nothing.
Result<std::vector<FoundFile>> FindFiles(Env& env, const Path& pattern);

/// Reports a path outside of the job's allowed ones, or with "..".
void CheckAllowedPath(const NodeConfig& config, std::string_view option);

/// "a/b/c" -> "a/b"; "c" -> ".".
Path ParentOf(const Path& path);

}  // namespace weir
