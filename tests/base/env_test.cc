#include "engine/base/env.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/base/env_posix.h"

namespace weir {
namespace {

/// A directory of the test's own.
class WholeFiles : public testing::Test {
 protected:
  WholeFiles()
      : env_(MakePosixEnv(1)),
        root_(testing::TempDir() + "weir-env-whole-" + std::to_string(getpid())) {
    EXPECT_TRUE(env_->MakeDirectory(root_).ok());
  }
  ~WholeFiles() override { IgnoreStatus(env_->RemoveTree(root_), "a temporary directory"); }

  size_t FilesInRoot() { return env_->List(root_).value().size(); }

  const std::unique_ptr<Env> env_;
  const Path root_;
};

TEST_F(WholeFiles, WriteReplacesAndLeavesNoTemporaryFile) {
  const Path path = root_ + "/file";
  ASSERT_TRUE(WriteFileDurably(*env_, path, "first, longer").ok());
  ASSERT_TRUE(WriteFileDurably(*env_, path, "second").ok());
  EXPECT_EQ(*ReadWholeFile(*env_, path, 100), "second");
  EXPECT_EQ(FilesInRoot(), 1U);
}

TEST_F(WholeFiles, FailedWriteKeepsWhatWasThere) {
  const Path path = root_ + "/taken";
  ASSERT_TRUE(env_->MakeDirectory(path).ok());
  EXPECT_FALSE(WriteFileDurably(*env_, path, "x").ok()) << "a directory has the name";
  EXPECT_EQ(FilesInRoot(), 1U);
  EXPECT_FALSE(WriteFileDurably(*env_, root_ + "/missing/file", "x").ok());
}

TEST_F(WholeFiles, ReadIsBounded) {
  const Path path = root_ + "/file";
  ASSERT_TRUE(WriteFileDurably(*env_, path, "12345").ok());
  EXPECT_EQ(*ReadWholeFile(*env_, path, 5), "12345");
  EXPECT_EQ(ReadWholeFile(*env_, path, 4).status().code(), Code::kLimit);
  EXPECT_EQ(ReadWholeFile(*env_, root_ + "/none", 4).status().code(), Code::kNotFound);
}

TEST(ParentDirectory, IsWhatHoldsTheName) {
  EXPECT_EQ(ParentDirectory("/a/b"), "/a");
  EXPECT_EQ(ParentDirectory("/a/b/"), "/a");
  EXPECT_EQ(ParentDirectory("/a"), "/");
  EXPECT_EQ(ParentDirectory("a"), ".");
  EXPECT_EQ(ParentDirectory("a//b"), "a");
}

}  // namespace
}  // namespace weir
