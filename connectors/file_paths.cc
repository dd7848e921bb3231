#include "connectors/file_paths.h"

#include <algorithm>

#include "engine/base/json.h"

namespace weir {
namespace {

constexpr int kDirectoryDepthMax = 32;
constexpr size_t kFilesMax = 100'000;

bool HasMagic(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

/// The class that `pattern` begins with ("[a-c]"): whether it holds `c`, and its length; 0: no
/// class.
size_t MatchClass(std::string_view pattern, char c, bool* holds) {
  const size_t end = pattern.find(']', 2);
  if (end == std::string_view::npos) return 0;
  std::string_view set = pattern.substr(1, end - 1);
  const bool negated = set.starts_with('!') || set.starts_with('^');
  if (negated) set.remove_prefix(1);
  bool in = false;
  for (size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      in = in || (set[i] <= c && c <= set[i + 2]);
      i += 2;
    } else {
      in = in || set[i] == c;
    }
  }
  *holds = in != negated;
  return end + 1;
}

/// Everything below `directory` that the components from `at` on match.
Status Walk(Env& env, const Path& directory, const std::vector<std::string>& components, size_t at,
            int depth, std::vector<FoundFile>& found) {
  if (depth > kDirectoryDepthMax) return Status::Ok();
  const std::string& component = components[at];
  const bool last = at + 1 == components.size();
  const Path prefix = directory.empty() || directory == "/" ? directory : directory + "/";
  if (!HasMagic(component) && !last)
    return Walk(env, prefix + component, components, at + 1, depth + 1, found);
  const Result<std::vector<DirectoryEntry>> entries = env.List(directory.empty() ? "." : directory);
  if (!entries.ok())
    return entries.status().code() == Code::kNotFound ? Status::Ok() : entries.status();
  const bool deep = component == "**";
  if (deep && !last) WEIR_TRY(Walk(env, directory, components, at + 1, depth + 1, found));
  for (const DirectoryEntry& entry : *entries) {
    if (deep) {
      if (entry.directory)
        WEIR_TRY(Walk(env, prefix + entry.name, components, at, depth + 1, found));
      if (last && !entry.directory) found.push_back({prefix + entry.name, entry});
    } else if (MatchesGlob(component, entry.name)) {
      if (!last && entry.directory)
        WEIR_TRY(Walk(env, prefix + entry.name, components, at + 1, depth + 1, found));
      if (last && !entry.directory) found.push_back({prefix + entry.name, entry});
    }
    if (found.size() > kFilesMax)
      return Status(Code::kLimit, "more than " + std::to_string(kFilesMax) + " files match",
                    Fault::kUser, Retry::kNever);
  }
  return Status::Ok();
}

std::vector<std::string> Components(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    if (end != 0 && path.substr(0, end) != ".") components.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return components;
}

}  // namespace

bool MatchesGlob(std::string_view pattern, std::string_view name) {
  // A hidden file is matched by name only.
  if (name.starts_with('.') && !pattern.starts_with('.')) return false;
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    bool holds = false;
    size_t length = 0;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '[' &&
        (length = MatchClass(pattern.substr(p), name[n], &holds)) != 0) {
      if (holds) {
        p += length;
        ++n;
        continue;
      }
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    n = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Result<std::vector<FoundFile>> FindFiles(Env& env, const Path& pattern) {
  std::vector<FoundFile> found;
  const std::vector<std::string> components = Components(pattern);
  if (components.empty()) return found;
  WEIR_TRY(Walk(env, pattern.starts_with('/') ? "/" : "", components, 0, 0, found));
  std::sort(found.begin(), found.end(),
            [](const FoundFile& a, const FoundFile& b) { return a.path < b.path; });
  found.erase(std::unique(found.begin(), found.end(),
                          [](const FoundFile& a, const FoundFile& b) { return a.path == b.path; }),
              found.end());
  return found;
}

void CheckAllowedPath(const NodeConfig& config, std::string_view option) {
  if (!config.json(option).is_string()) return;
  const std::string path = config.Text(option);
  const std::vector<std::string> components = Components(path);
  if (components.empty()) {
    config.Error(option, "W0203", "the path is empty");
    return;
  }
  if (std::find(components.begin(), components.end(), "..") != components.end()) {
    config.Error(option, "W0706", "a path of a job has no '..'", "write the path out");
    return;
  }
  if (config.job().allowed_paths.empty()) return;
  for (const std::string& allowed : config.job().allowed_paths) {
    const std::vector<std::string> root = Components(allowed);
    const bool relative = allowed.empty() || allowed == ".";
    if (relative && !path.starts_with('/')) return;
    if (path.starts_with('/') == allowed.starts_with('/') && root.size() <= components.size() &&
        std::equal(root.begin(), root.end(), components.begin()))
      return;
  }
  config.Error(option, "W0706", "'" + path + "' lies outside of the paths that jobs may use",
               "allowed_paths of the process lists them");
}

Path ParentOf(const Path& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? Path(".") : slash == 0 ? Path("/") : path.substr(0, slash);
}

}  // namespace weir
