#include "engine/runtime/memory_governor.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/base/env_posix.h"
#include "tests/harness/sim_env.h"

namespace weir::runtime {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(ProcessMemoryGovernor, HandsOutFourFifthsAndLeavesAtLeast64MiB) {
  EXPECT_EQ(ProcessMemoryGovernor(1000 * kMiB).handed_out(), 800 * kMiB);
  EXPECT_EQ(ProcessMemoryGovernor(200 * kMiB).handed_out(), 136 * kMiB);
  EXPECT_EQ(ProcessMemoryGovernor(10 * kMiB).handed_out(), 0U);
}

TEST(ProcessMemoryGovernor, RefusesAReservationThatDoesNotFitAndTakesItBackLater) {
  ProcessMemoryGovernor governor(1000 * kMiB);
  auto first = governor.Open("a", MemoryKind::kQueues, 700 * kMiB);
  ASSERT_TRUE(first.ok());
  const auto second = governor.Open("b", MemoryKind::kQueues, 200 * kMiB);
  EXPECT_EQ(second.status().code(), Code::kLimit);
  EXPECT_NE(second.status().message().find("memory_limit"), std::string::npos);
  first->reset();
  EXPECT_TRUE(governor.Open("b", MemoryKind::kQueues, 200 * kMiB).ok());
}

TEST(ProcessMemoryGovernor, DealsWhatIsNotReservedToHotState) {
  ProcessMemoryGovernor governor(1000 * kMiB);
  auto queues = governor.Open("q", MemoryKind::kQueues, 200 * kMiB);
  auto one = governor.Open("s1", MemoryKind::kHotState, 100 * kMiB);
  EXPECT_EQ((*one)->target(), 600 * kMiB);
  auto two = governor.Open("s2", MemoryKind::kHotState, 100 * kMiB);
  EXPECT_EQ((*one)->target(), 300 * kMiB);
  EXPECT_EQ((*queues)->target(), 200 * kMiB);
  (*one)->Use(50);
  (*two)->Use(7);
  EXPECT_EQ(governor.used(MemoryKind::kHotState), 57U);
  two->reset();
  EXPECT_EQ(governor.used(MemoryKind::kHotState), 50U);
  EXPECT_EQ((*one)->target(), 600 * kMiB);
}

TEST(ProcessMemoryGovernor, TakesFromHotStateWhatOthersUseBeyondTheirReservation) {
  ProcessMemoryGovernor governor(1000 * kMiB);
  auto state = governor.Open("s", MemoryKind::kHotState, 100 * kMiB);
  auto queues = governor.Open("q", MemoryKind::kQueues, 200 * kMiB);
  auto merged = governor.Open("m", MemoryKind::kOther, 0);
  EXPECT_EQ((*state)->target(), 600 * kMiB);
  (*queues)->Use(150 * kMiB);
  EXPECT_EQ((*state)->target(), 600 * kMiB);
  (*queues)->Use(100 * kMiB);
  (*merged)->Use(30 * kMiB);
  EXPECT_EQ((*state)->target(), 520 * kMiB);
  (*merged)->Use(5000 * kMiB);
  EXPECT_EQ((*state)->target(), 100 * kMiB);
  merged->reset();
  (*queues)->Use(-250 * static_cast<int64_t>(kMiB));
  EXPECT_EQ((*state)->target(), 600 * kMiB);
}

TEST(DetectMemoryLimit, FindsANumberOnThisMachine) {
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  EXPECT_GE(DetectMemoryLimit(*env), 64 * kMiB);
}

using Files = std::map<std::string, std::string>;

/// The limit on a machine of these files.
size_t LimitOn(const Files& files) {
  SimWorld world(1);
  const std::unique_ptr<Env> env = world.StartProcess("weir");
  for (const auto& [path, text] : files) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      EXPECT_TRUE(env->MakeDirectory(path.substr(0, slash)).ok());
    EXPECT_TRUE(WriteFileDurably(*env, path, text).ok()) << path;
  }
  return DetectMemoryLimit(*env);
}

TEST(DetectMemoryLimit, OfVersion2) {
  const std::string root = "/sys/fs/cgroup/";
  struct Given {
    std::string what, group;
    Files limits;
    size_t limit;
  };
  const std::vector<Given> all = {
      {"a container: its group is the root",
       "0::/\n",
       {{root + "memory.max", "268435456\n"}, {root + "memory.high", "1024\n"}},
       256 * kMiB},
      {"a pod: the limit of the container is above what is seen",
       "0::/../../outside\n",
       {{root + "memory.max", "268435456\n"}},
       256 * kMiB},
      {"the group above has less",
       "0::/a/b\n",
       {{root + "a/b/memory.max", "536870912\n"}, {root + "a/memory.max", "134217728\n"}},
       128 * kMiB},
      {"the group above has more",
       "0::/a/b\n",
       {{root + "a/b/memory.max", "134217728\n"}, {root + "a/memory.max", "536870912\n"}},
       128 * kMiB},
      {"a group beside it does not count",
       "0::/a/b\n",
       {{root + "a/c/memory.max", "134217728\n"}, {root + "a/b/memory.max", "max\n"}},
       3072 * kMiB},
      {"more than the machine leaves",
       "0::/a\n",
       {{root + "a/memory.max", "4294967296\n"}},
       3072 * kMiB},
      {"beside version 1",
       "3:cpu:/x\n0::/a\n",
       {{root + "unified/a/memory.max", "134217728\n"}},
       128 * kMiB},
      {"no end of line", "0::/a", {{root + "a/memory.max", "134217728"}}, 128 * kMiB},
      {"nothing that could be read",
       "0::/a\n",
       {{root + "a/memory.max", "\n"}, {root + "memory.max", "-1\n"}},
       3072 * kMiB},
      {"no files of groups", "0::/a\n", {}, 3072 * kMiB},
  };
  for (const Given& given : all) {
    Files files = given.limits;
    files["/proc/meminfo"] = "MemTotal:        4194304 kB\nMemFree: 1 kB\n";
    files["/proc/self/cgroup"] = given.group;
    EXPECT_EQ(LimitOn(files), given.limit) << given.what;
  }
  EXPECT_EQ(LimitOn({}), 2048 * kMiB) << "nothing is known";
  EXPECT_EQ(LimitOn({{root + "memory.max", "134217728\n"}}), 128 * kMiB);
}

TEST(DetectMemoryLimit, TakesTheLeastOfItsGroupAndThoseAbove) {
  SimWorld world(1);
  const std::unique_ptr<Env> env = world.StartProcess("weir");
  const auto write = [&](const std::string& path, const std::string& text) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
      EXPECT_TRUE(env->MakeDirectory(path.substr(0, slash)).ok());
    EXPECT_TRUE(WriteFileDurably(*env, path, text + "\n").ok()) << path;
  };
  write("/proc/meminfo", "MemTotal: 4194304 kB");
  write("/proc/self/cgroup", "0::/a.slice/b.service");
  EXPECT_EQ(DetectMemoryLimit(*env), 3072 * kMiB);
  write("/sys/fs/cgroup/a.slice/b.service/memory.max", "max");
  write("/sys/fs/cgroup/a.slice/memory.max", std::to_string(512 * kMiB));
  EXPECT_EQ(DetectMemoryLimit(*env), 512 * kMiB);
  write("/proc/self/cgroup", "7:memory:/x\n0::/");
  write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", std::to_string(256 * kMiB));
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(DetectMemoryLimit(*env), 256 * kMiB);
}

}  // namespace
}  // namespace weir::runtime
