#pragma once
// What every Env promises about files, as tests that run against any of them: a *_test.cc includes
// this and instantiates EnvFiles with its Envs. The root is an empty directory that exists; the Env
// is used by one thread.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "engine/base/env.h"

namespace weir {

struct EnvCase {
  std::string name;
  std::function<std::unique_ptr<Env>()> make;
  std::function<Path()> root;
};
inline void PrintTo(const EnvCase& value, std::ostream* out) { *out << value.name; }
inline std::string EnvCaseName(const ::testing::TestParamInfo<EnvCase>& param) {
  return param.param.name;
}

class EnvFiles : public ::testing::TestWithParam<EnvCase> {
 protected:
  EnvFiles() : env_(GetParam().make()), root_(GetParam().root()) {
    EXPECT_TRUE(env_->RemoveTree(root_).ok());
    EXPECT_TRUE(env_->MakeDirectory(root_).ok());
  }
  ~EnvFiles() override { EXPECT_TRUE(env_->RemoveTree(root_).ok()); }

  Path At(const std::string& name) const { return root_ + "/" + name; }
  Status Write(const Path& path, std::string_view bytes, CreateMode mode = CreateMode::kTruncate) {
    WEIR_ASSIGN(const auto file, env_->Create(path, mode));
    WEIR_TRY(file->Append(bytes));
    return file->Close();
  }
  std::string Read(const Path& path) {
    const Result<std::string> bytes = ReadWholeFile(*env_, path, size_t{1} << 30);
    return bytes.ok() ? *bytes : bytes.status().ToString();
  }
  std::vector<std::string> Names(const Path& path) {
    std::vector<std::string> names;
    const auto entries = env_->List(path);
    EXPECT_TRUE(entries.ok()) << entries.status().ToString();
    if (!entries.ok()) return names;
    for (const DirectoryEntry& entry : *entries)
      names.push_back(entry.name + (entry.directory ? "/" : ""));
    return names;
  }

  std::unique_ptr<Env> env_;
  const Path root_;
};

TEST_P(EnvFiles, WhatIsAppendedIsRead) {
  const auto file = env_->Create(At("a"), CreateMode::kNew);
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  EXPECT_EQ((*file)->size(), 0U);
  EXPECT_TRUE((*file)->Append("hello ").ok());
  EXPECT_TRUE((*file)->Append("").ok());
  EXPECT_EQ(Read(At("a")), "hello ") << "readers see it before a sync";
  EXPECT_TRUE((*file)->Append("world").ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_EQ((*file)->size(), 11U);
  EXPECT_TRUE((*file)->Close().ok());
  const auto reader = env_->Open(At("a"));
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(*(*reader)->Size(), 11U);
  char bytes[8] = {};
  EXPECT_EQ(*(*reader)->Read(6, bytes), 5U);
  EXPECT_EQ(std::string_view(bytes, 5), "world");
  EXPECT_EQ(*(*reader)->Read(11, bytes), 0U);
  EXPECT_EQ(*(*reader)->Read(1000, bytes), 0U);
  EXPECT_EQ(*(*reader)->Read(0, std::span(bytes, 0)), 0U);
}

TEST_P(EnvFiles, CreateModesDiffer) {
  ASSERT_TRUE(Write(At("a"), "one", CreateMode::kNew).ok());
  EXPECT_EQ(Write(At("a"), "two", CreateMode::kNew).code(), Code::kAlreadyExists);
  EXPECT_EQ(Read(At("a")), "one");
  ASSERT_TRUE(Write(At("a"), "+", CreateMode::kAppend).ok());
  EXPECT_EQ(Read(At("a")), "one+");
  ASSERT_TRUE(Write(At("a"), "x", CreateMode::kTruncate).ok());
  EXPECT_EQ(Read(At("a")), "x");
  ASSERT_TRUE(Write(At("b"), "y", CreateMode::kAppend).ok());
  EXPECT_EQ(Read(At("b")), "y");
  const auto appending = env_->Create(At("a"), CreateMode::kAppend);
  ASSERT_TRUE(appending.ok());
  EXPECT_EQ((*appending)->size(), 1U);
}

TEST_P(EnvFiles, WhatIsMissingIsNotFound) {
  EXPECT_EQ(env_->Open(At("no")).status().code(), Code::kNotFound);
  EXPECT_EQ(env_->Stat(At("no")).status().code(), Code::kNotFound);
  EXPECT_EQ(env_->List(At("no")).status().code(), Code::kNotFound);
  EXPECT_EQ(env_->Remove(At("no")).code(), Code::kNotFound);
  EXPECT_EQ(env_->Rename(At("no"), At("b")).code(), Code::kNotFound);
  EXPECT_EQ(env_->Link(At("no"), At("b")).code(), Code::kNotFound);
  EXPECT_EQ(env_->Truncate(At("no"), 0).code(), Code::kNotFound);
  EXPECT_EQ(env_->Create(At("no/a"), CreateMode::kNew).status().code(), Code::kNotFound);
  EXPECT_EQ(env_->SyncDirectory(At("no")).code(), Code::kNotFound);
  EXPECT_TRUE(env_->RemoveTree(At("no")).ok());
  EXPECT_NE(env_->Open(At("no")).status().message().find(At("no")), std::string::npos)
      << "the path is in the message";
}

TEST_P(EnvFiles, RenameReplacesAndKeepsTheIdentity) {
  ASSERT_TRUE(Write(At("a"), "new").ok());
  ASSERT_TRUE(Write(At("b"), "old").ok());
  const auto before = env_->Stat(At("a"));
  ASSERT_TRUE(before.ok());
  EXPECT_TRUE(env_->Rename(At("a"), At("b")).ok());
  EXPECT_EQ(Read(At("b")), "new");
  EXPECT_EQ(Names(root_), std::vector<std::string>{"b"});
  const auto after = env_->Stat(At("b"));
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->inode, before->inode);
  EXPECT_EQ(after->device, before->device);
  EXPECT_EQ(after->bytes, 3U);
  EXPECT_EQ(after->name, "b");
}

TEST_P(EnvFiles, RenameMovesDirectoriesWithWhatIsBelow) {
  EXPECT_TRUE(env_->MakeDirectory(At("x/y")).ok());
  ASSERT_TRUE(Write(At("x/y/a"), "1").ok());
  EXPECT_TRUE(env_->Rename(At("x"), At("z")).ok());
  EXPECT_EQ(Read(At("z/y/a")), "1");
  EXPECT_EQ(Names(root_), std::vector<std::string>{"z/"});
  ASSERT_TRUE(Write(At("file"), "2").ok());
  EXPECT_FALSE(env_->Rename(At("file"), At("z")).ok());
  EXPECT_FALSE(env_->Rename(At("z"), At("file")).ok());
}

TEST_P(EnvFiles, OpenReadersOutliveTheName) {
  ASSERT_TRUE(Write(At("a"), "bytes").ok());
  const auto reader = env_->Open(At("a"));
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE(env_->Remove(At("a")).ok());
  char bytes[5];
  EXPECT_EQ(*(*reader)->Read(0, bytes), 5U);
  EXPECT_EQ(env_->Open(At("a")).status().code(), Code::kNotFound);
}

TEST_P(EnvFiles, LinksShareTheFileAndNeverReplace) {
  ASSERT_TRUE(Write(At("a"), "shared").ok());
  EXPECT_TRUE(env_->Link(At("a"), At("b")).ok());
  EXPECT_EQ(env_->Link(At("a"), At("b")).code(), Code::kAlreadyExists);
  EXPECT_EQ(env_->Stat(At("a"))->inode, env_->Stat(At("b"))->inode);
  EXPECT_TRUE(env_->Remove(At("a")).ok());
  EXPECT_EQ(Read(At("b")), "shared");
}

TEST_P(EnvFiles, TruncateCutsAndNextAppendGoesOnThere) {
  ASSERT_TRUE(Write(At("a"), "0123456789").ok());
  EXPECT_TRUE(env_->Truncate(At("a"), 4).ok());
  ASSERT_TRUE(Write(At("a"), "x", CreateMode::kAppend).ok());
  EXPECT_EQ(Read(At("a")), "0123x");
}

TEST_P(EnvFiles, DirectoriesAreMadeWithTheirParentsAndListedByName) {
  EXPECT_TRUE(env_->MakeDirectory(At("x/y/z")).ok());
  EXPECT_TRUE(env_->MakeDirectory(At("x/y/z")).ok());
  ASSERT_TRUE(Write(At("x/b"), "12").ok());
  ASSERT_TRUE(Write(At("x/a"), "1").ok());
  EXPECT_EQ(Names(At("x")), (std::vector<std::string>{"a", "b", "y/"}));
  const auto entries = env_->List(At("x"));
  EXPECT_EQ((*entries)[1].bytes, 2U);
  EXPECT_TRUE(env_->Stat(At("x/y"))->directory);
  EXPECT_TRUE(env_->SyncDirectory(At("x")).ok());
  EXPECT_FALSE(env_->MakeDirectory(At("x/a")).ok());
  EXPECT_FALSE(env_->MakeDirectory(At("x/a/b")).ok());
  EXPECT_FALSE(env_->Open(At("x/y")).ok());
}

TEST_P(EnvFiles, RemoveTakesFilesAndEmptyDirectories) {
  EXPECT_TRUE(env_->MakeDirectory(At("x/y")).ok());
  ASSERT_TRUE(Write(At("x/y/a"), "1").ok());
  EXPECT_FALSE(env_->Remove(At("x/y")).ok());
  EXPECT_TRUE(env_->Remove(At("x/y/a")).ok());
  EXPECT_TRUE(env_->Remove(At("x/y")).ok());
  EXPECT_EQ(Names(At("x")), std::vector<std::string>{});
}

TEST_P(EnvFiles, RemoveTreeTakesEverythingBelow) {
  EXPECT_TRUE(env_->MakeDirectory(At("x/y/z")).ok());
  ASSERT_TRUE(Write(At("x/y/a"), "1").ok());
  ASSERT_TRUE(Write(At("x/b"), "1").ok());
  ASSERT_TRUE(Write(At("c"), "1").ok());
  EXPECT_TRUE(env_->RemoveTree(At("x")).ok());
  EXPECT_TRUE(env_->RemoveTree(At("c")).ok());
  EXPECT_EQ(Names(root_), std::vector<std::string>{});
}

TEST_P(EnvFiles, ALockIsHeldByOne) {
  auto lock = env_->Lock(At("LOCK"));
  ASSERT_TRUE(lock.ok()) << lock.status().ToString();
  EXPECT_EQ(env_->Lock(At("LOCK")).status().code(), Code::kLocked);
  EXPECT_TRUE(env_->Lock(At("OTHER")).ok());
  (*lock).reset();
  EXPECT_TRUE(env_->Lock(At("LOCK")).ok());
}

TEST_P(EnvFiles, FreeBytesAreTold) {
  const auto free = env_->FreeBytes(root_);
  ASSERT_TRUE(free.ok());
  EXPECT_GT(*free, 0U);
}

TEST_P(EnvFiles, WholeFilesAreReadUpToABound) {
  ASSERT_TRUE(Write(At("a"), std::string(10'000, 'x')).ok());
  EXPECT_EQ(ReadWholeFile(*env_, At("a"), 10'000)->size(), 10'000U);
  EXPECT_EQ(ReadWholeFile(*env_, At("a"), 9'999).status().code(), Code::kLimit);
  ASSERT_TRUE(Write(At("empty"), "").ok());
  EXPECT_EQ(*ReadWholeFile(*env_, At("empty"), 0), "");
  const std::string large(1'000'000, 'y');
  ASSERT_TRUE(Write(At("large"), large).ok());
  EXPECT_EQ(Read(At("large")), large);
}

TEST_P(EnvFiles, DurableWritesReplaceAndLeaveNothingBeside) {
  EXPECT_TRUE(WriteFileDurably(*env_, At("HEAD"), "one").ok());
  EXPECT_TRUE(WriteFileDurably(*env_, At("HEAD"), "two").ok());
  EXPECT_EQ(Read(At("HEAD")), "two");
  EXPECT_EQ(Names(root_), std::vector<std::string>{"HEAD"});
  EXPECT_EQ(WriteFileDurably(*env_, At("no/HEAD"), "x").code(), Code::kNotFound);
}

}  // namespace weir
