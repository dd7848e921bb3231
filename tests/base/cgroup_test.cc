#include "engine/base/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir {
namespace {

using ::testing::IsSupersetOf;

CgroupFolder V1(std::string path) { return {"/sys/fs/cgroup" + std::move(path), true}; }
CgroupFolder V2(std::string path) { return {"/sys/fs/cgroup" + std::move(path), false}; }

TEST(CgroupFolders, OfVersion2AreItsOwnAndAllAbove) {
  EXPECT_THAT(CgroupFolders("0::/system.slice/weir.slice/weir@clicks.service\n", "cpu"),
              IsSupersetOf({V2("/system.slice/weir.slice/weir@clicks.service"),
                            V2("/system.slice/weir.slice"), V2("/system.slice"), V2("")}));
}

TEST(CgroupFolders, OfVersion1AreThoseOfTheControllerUnderEitherNameOfItsMount) {
  const std::vector<CgroupFolder> folders =
      CgroupFolders("5:cpuset:/other\n4:cpu,cpuacct:/a/b\n3:memory:/m\n", "cpu");
  EXPECT_THAT(folders, IsSupersetOf({V1("/cpu,cpuacct/a/b"), V1("/cpu,cpuacct/a"), V1("/cpu/a/b"),
                                     V1("/cpu/a"), V1("/cpu,cpuacct"), V1("/cpu")}));
  for (const CgroupFolder& folder : folders) {
    EXPECT_EQ(folder.path.find("other"), std::string::npos);
    EXPECT_EQ(folder.path.find("/m"), std::string::npos);
  }
}

TEST(CgroupFolders, OfBothVersionsAreThoseOfBoth) {
  EXPECT_THAT(CgroupFolders("2:memory:/m\n0::/u/v\n", "memory"),
              IsSupersetOf({V1("/memory/m"), V1("/memory"), V2("/unified/u/v"), V2("/unified/u"),
                            V2("/unified")}));
}

TEST(CgroupFolders, OfAGroupThatIsNotSeenAreTheRoots) {
  for (const char* text : {"", "0::/", "0::/../outside\n", "garbage", "\n\n"}) {
    const std::vector<CgroupFolder> folders = CgroupFolders(text, "cpu");
    EXPECT_THAT(folders, IsSupersetOf({V2(""), V1("/cpu")})) << text;
    EXPECT_EQ(folders.size(), 3U) << text;
  }
}

}  // namespace
}  // namespace weir
