#include "cli/process_config.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace weir::cli {
namespace {

/// A folder that stands for "/", with the files of the kernel that are written into it.
class CoresTest : public ::testing::Test {
 protected:
  ~CoresTest() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file(root_ + path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  int Cores(int allowed = 64) const { return DetectCores(allowed, root_); }

 private:
  const std::string root_ =
      ::testing::TempDir() + "/process_config_test_" + std::to_string(getpid());
};

TEST_F(CoresTest, WithoutGroupsAreTheAllowedOnes) {
  EXPECT_EQ(Cores(), 64);
  EXPECT_EQ(Cores(1), 1);
}

TEST_F(CoresTest, OfAContainerAreThoseOfTheRoot) {
  Write("/proc/self/cgroup", "0::/");
  Write("/sys/fs/cgroup/cpu.max", "200000 100000");
  EXPECT_EQ(Cores(), 2);
  Write("/sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(Cores(), 64);
}

TEST_F(CoresTest, OfAUnitAreTheLeastOfItsQuotaAndThoseAbove) {
  Write("/proc/self/cgroup", "0::/weir.slice/weir@clicks.service");
  Write("/sys/fs/cgroup/weir.slice/weir@clicks.service/cpu.max", "350000 100000");
  EXPECT_EQ(Cores(), 4);
  EXPECT_EQ(Cores(3), 3);
  Write("/sys/fs/cgroup/weir.slice/cpu.max", "100000 50000");
  EXPECT_EQ(Cores(), 2);
  Write("/sys/fs/cgroup/weir.slice/weir@clicks.service/cpu.max", "max 100000");
  EXPECT_EQ(Cores(), 2);
  Write("/sys/fs/cgroup/weir.slice/cpu.max", "10000 100000");
  EXPECT_EQ(Cores(), 1);
}

TEST_F(CoresTest, OfVersion1HaveTwoFiles) {
  Write("/proc/self/cgroup", "9:cpuset:/\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc");
  Write("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1");
  Write("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Cores(), 64);
  Write("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "300000");
  EXPECT_EQ(Cores(), 3);
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Cores(), 2);
}

TEST_F(CoresTest, OfBothVersionsAtOnceAreTheLeast) {
  Write("/proc/self/cgroup", "4:cpu,cpuacct:/system.slice/w\n0::/system.slice/w");
  Write("/sys/fs/cgroup/unified/system.slice/w/cgroup.procs", "1");
  Write("/sys/fs/cgroup/cpu/system.slice/w/cpu.cfs_quota_us", "400000");
  Write("/sys/fs/cgroup/cpu/system.slice/w/cpu.cfs_period_us", "100000");
  EXPECT_EQ(Cores(), 4);
}

TEST_F(CoresTest, FilesThatAreNoneAreNoLimit) {
  Write("/proc/self/cgroup", "nonsense");
  Write("/sys/fs/cgroup/cpu.max", "");
  EXPECT_EQ(Cores(), 64);
  Write("/sys/fs/cgroup/cpu.max", "100000 0");
  EXPECT_EQ(Cores(), 64);
}

TEST(AllowedCores, AreThoseOfTheThread) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(AllowedCores(), CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core) {
    if (CPU_ISSET(core, &before)) CPU_SET(core, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(AllowedCores(), 1);
  EXPECT_EQ(DetectCores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace weir::cli
