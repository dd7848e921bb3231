#pragma once
// CgroupFolders: where the kernel says what a process may use. Version 1, version 2 and both at
// once, in a container or not. A pure function; any thread.

#include <string>
#include <string_view>
#include <vector>

namespace weir {

struct CgroupFolder {
  std::string path;  // without '/' at its end
  bool v1 = false;
  bool operator==(const CgroupFolder&) const = default;
};

/// The folders of a process's control group and of all groups above it that may hold limits of
/// `controller` ("memory", "cpu"), by the text of /proc/self/cgroup. A limit of any of them binds,
/// the least counts; some of the folders may not exist. The roots are always there: inside of a
/// container its own group is the root, whatever the text says.
std::vector<CgroupFolder> CgroupFolders(std::string_view proc_self_cgroup,
                                        std::string_view controller);

}  // namespace weir
