#include "engine/base/cgroup.h"

#include <algorithm>

namespace weir {
namespace {

constexpr std::string_view kMount = "/sys/fs/cgroup";

/// The text up to `separator`, which is taken off `text` with it.
std::string_view TakeUntil(std::string_view& text, char separator) {
  const size_t at = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

bool Names(std::string_view controllers, std::string_view controller) {
  while (!controllers.empty()) {
    if (TakeUntil(controllers, ',') == controller) return true;
  }
  return false;
}

}  // namespace

std::vector<CgroupFolder> CgroupFolders(std::string_view proc_self_cgroup,
                                        std::string_view controller) {
  std::vector<CgroupFolder> folders;
  const auto add = [&](std::string path, bool v1) {
    CgroupFolder folder{std::move(path), v1};
    if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(std::move(folder));
  };
  const std::string mount(kMount);
  // Beside version 1 systemd mounts version 2 below "unified".
  const std::vector<std::string> v2_roots = {mount, mount + "/unified"};
  std::vector<std::string> v1_roots = {mount + "/" + std::string(controller)};
  while (!proc_self_cgroup.empty()) {
    // "4:cpu,cpuacct:/a/b" in version 1, "0::/a/b" in version 2.
    std::string_view line = TakeUntil(proc_self_cgroup, '\n');
    TakeUntil(line, ':');
    const std::string_view controllers = TakeUntil(line, ':');
    const bool v1 = Names(controllers, controller);
    if (!v1 && !controllers.empty()) continue;
    if (v1 && controllers != controller)
      v1_roots.insert(v1_roots.begin(), mount + "/" + std::string(controllers));
    // "/../a": a group outside of what this process sees.
    if (line.find("/..") != std::string_view::npos) continue;
    for (const std::string& root : v1 ? v1_roots : v2_roots) {
      for (std::string_view path = line; path.size() > 1;
           path = path.substr(0, std::min(path.rfind('/'), path.size())))
        add(root + std::string(path), v1);
    }
  }
  for (const std::string& root : v1_roots) add(root, true);
  for (const std::string& root : v2_roots) add(root, false);
  return folders;
}

}  // namespace weir
