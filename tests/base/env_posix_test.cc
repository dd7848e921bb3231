#include "engine/base/env_posix.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <thread>

#include "tests/harness/env_suite.h"

namespace weir {
namespace {

Path TestRoot() { return testing::TempDir() + "weir-env-" + std::to_string(getpid()); }

INSTANTIATE_TEST_SUITE_P(Posix, EnvFiles,
                         testing::Values(EnvCase{"posix", [] { return MakePosixEnv(1); },
                                                 TestRoot}),
                         EnvCaseName);

TEST(PosixEnv, ClocksGoOn) {
  const auto env = MakePosixEnv(1);
  const Duration before = env->Steady();
  const EventTime now = env->Now();
  EXPECT_GE(env->Steady(), before);
  EXPECT_TRUE(IsUsable(now));
  EXPECT_GT(now, EventTime{1'700'000'000'000'000});
}

TEST(PosixEnv, RandomNumbersDiffer) {
  const auto env = MakePosixEnv(1);
  std::set<uint64_t> numbers;
  for (int i = 0; i < 1000; ++i) numbers.insert(env->Random());
  EXPECT_EQ(numbers.size(), 1000U);
}

TEST(PosixEnv, PostedJobsRunOnOtherThreadsAndAllOfThemBeforeTheEnd) {
  std::atomic<int> done{0};
  const std::thread::id here = std::this_thread::get_id();
  {
    const auto env = MakePosixEnv(3);
    for (int i = 0; i < 500; ++i) {
      env->Post([&] {
        if (std::this_thread::get_id() != here) ++done;
      });
    }
  }
  EXPECT_EQ(done.load(), 500);
}

TEST(PosixEnv, JobsRunAtTheSameTime) {
  const auto env = MakePosixEnv(2);
  std::promise<void> first;
  std::promise<void> second;
  env->Post([&] {
    first.get_future().wait();
    second.set_value();
  });
  env->Post([&] { first.set_value(); });  // frees the other only if it runs beside it
  second.get_future().wait();
}

TEST(PosixEnv, ALoopTurnsAgainAfterTheTimeItAskedFor) {
  const auto env = MakePosixEnv(1);
  std::promise<void> third;
  int turns = 0;
  const auto loop = env->Start("test", [&] {
    if (++turns == 3) third.set_value();
    return Milliseconds(turns < 3 ? 1 : 3'600'000);
  });
  third.get_future().wait();
}

TEST(PosixEnv, AWakeStartsTheNextTurnAtOnceAndIsNeverLost) {
  const auto env = MakePosixEnv(1);
  std::atomic<int> turns{0};
  const auto loop = env->Start("test", [&] {
    ++turns;
    return Seconds(3600);
  });
  for (int i = 0; i < 2000; ++i) {
    const int before = turns.load();
    loop->Wake();
    while (turns.load() == before) std::this_thread::yield();  // hangs if the wake is lost
  }
  loop->Wake();
}

TEST(PosixEnv, AWakeDuringATurnStartsAnother) {
  const auto env = MakePosixEnv(1);
  std::promise<void> again;
  std::atomic<int> turns{0};
  Loop* self = nullptr;
  std::promise<void> started;
  auto ready = started.get_future().share();
  const auto loop = env->Start("test", [&] {
    ready.wait();
    if (++turns == 1) self->Wake();
    if (turns == 2) again.set_value();
    return Seconds(3600);
  });
  self = loop.get();
  started.set_value();
  again.get_future().wait();
}

TEST(PosixEnv, DestroyingALoopEndsASleepingOne) {
  const auto env = MakePosixEnv(1);
  for (int i = 0; i < 50; ++i) {
    auto loop = env->Start("a rather long name of a thread", [] { return Seconds(3600); });
    loop.reset();
  }
}

class PosixFiles : public ::testing::Test {
 protected:
  PosixFiles() { EXPECT_TRUE(env_->MakeDirectory(root_).ok()); }
  ~PosixFiles() override { EXPECT_TRUE(env_->RemoveTree(root_).ok()); }
  const std::unique_ptr<Env> env_ = MakePosixEnv(1);
  const Path root_ = TestRoot() + "-more";
};

TEST_F(PosixFiles, RemoveTreeDoesNotFollowLinks) {
  ASSERT_TRUE(env_->MakeDirectory(root_ + "/kept").ok());
  ASSERT_TRUE(WriteFileDurably(*env_, root_ + "/kept/file", "x").ok());
  ASSERT_TRUE(env_->MakeDirectory(root_ + "/gone").ok());
  ASSERT_EQ(symlink("../kept", (root_ + "/gone/link").c_str()), 0);
  EXPECT_TRUE(env_->RemoveTree(root_ + "/gone").ok());
  EXPECT_TRUE(env_->Stat(root_ + "/kept/file").ok());
  ASSERT_EQ(symlink("kept", (root_ + "/link").c_str()), 0);
  EXPECT_TRUE(env_->RemoveTree(root_ + "/link").ok());
  EXPECT_TRUE(env_->Stat(root_ + "/kept/file").ok());
}

TEST_F(PosixFiles, BrokenLinksAreListedAndReadableOnesShowTheirTarget) {
  ASSERT_TRUE(WriteFileDurably(*env_, root_ + "/file", "12345").ok());
  ASSERT_EQ(symlink("file", (root_ + "/good").c_str()), 0);
  ASSERT_EQ(symlink("nowhere", (root_ + "/broken").c_str()), 0);
  const auto entries = env_->List(root_);
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ((*entries)[0].name, "broken");
  EXPECT_EQ((*entries)[2].name, "good");
  EXPECT_EQ((*entries)[2].bytes, 5U);
}

TEST_F(PosixFiles, ALockNamesItsOwner) {
  const auto lock = env_->Lock(root_ + "/LOCK");
  ASSERT_TRUE(lock.ok());
  const Status status = env_->Lock(root_ + "/LOCK").status();
  EXPECT_NE(status.message().find("process " + std::to_string(getpid())), std::string::npos)
      << status.ToString();
}

TEST_F(PosixFiles, ALockDiesWithItsProcess) {
  const Path path = root_ + "/LOCK";
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = env_->Lock(path);
    _exit(lock.ok() ? 0 : 1);  // without a destructor
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(env_->Lock(path).ok());
}

TEST_F(PosixFiles, AFullDiskIsToldAndTheFileIsDead) {
  const auto file = env_->Create("/dev/full", CreateMode::kAppend);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->Append("x").code(), Code::kDiskFull);
  EXPECT_EQ((*file)->Append("x").code(), Code::kIo);
  EXPECT_EQ((*file)->Sync().code(), Code::kIo);
}

TEST_F(PosixFiles, FilesThatSayNoSizeAreReadWhole) {
  const auto text = ReadWholeFile(*env_, "/proc/self/status", 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_NE(text->find("VmRSS"), std::string::npos);
  EXPECT_EQ(ReadWholeFile(*env_, "/dev/zero", 1 << 20).status().code(), Code::kLimit);
}

TEST(ParentDirectory, IsWhatHoldsTheName) {
  EXPECT_EQ(ParentDirectory("a/b/c"), "a/b");
  EXPECT_EQ(ParentDirectory("/a"), "/");
  EXPECT_EQ(ParentDirectory("a"), ".");
  EXPECT_EQ(ParentDirectory("/"), "/");
  EXPECT_EQ(ParentDirectory("a//b/"), "a");
}

}  // namespace
}  // namespace weir
