#include "tests/harness/fault_env.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "engine/base/env_posix.h"
namespace weir {
namespace {

Path TestRoot() { return testing::TempDir() + "weir-fault-" + std::to_string(getpid()); }

class FaultEnvTest : public ::testing::Test {
 protected:
  FaultEnvTest() {
    EXPECT_TRUE(base_->RemoveTree(root_).ok());
    EXPECT_TRUE(base_->MakeDirectory(root_).ok());
  }
  ~FaultEnvTest() override { EXPECT_TRUE(base_->RemoveTree(root_).ok()); }

  Path At(const std::string& name) const { return root_ + "/" + name; }
  std::string Read(const std::string& name) const {
    const Result<std::string> bytes = ReadWholeFile(*base_, At(name), size_t{1} << 20);
    return bytes.ok() ? *bytes : std::string(CodeName(bytes.status().code()));
  }
  /// A file with synced and then unsynced bytes, under a durable name.
  void WriteDurable(const std::string& name, std::string_view bytes) {
    ASSERT_TRUE(WriteFileDurably(env_, At(name), bytes).ok());
  }
  std::unique_ptr<WritableFile> Create(const std::string& name,
                                       CreateMode mode = CreateMode::kNew) {
    auto file = env_.Create(At(name), mode);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return std::move(*file);
  }
  void SyncRoot() { ASSERT_TRUE(env_.SyncDirectory(root_).ok()); }
  void LosePower() { env_.PowerLoss(PowerLossKeeps::kNothingUnsynced); }

  const std::unique_ptr<Env> base_ = MakePosixEnv(1);
  const Path root_ = TestRoot() + "-test";
  FaultEnv env_{*base_, root_ + "-undo", 7};
};

TEST_F(FaultEnvTest, PowerLossCutsAFileToItsSyncedLength) {
  const auto file = Create("a");
  SyncRoot();
  ASSERT_TRUE(file->Append("synced").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Append(" and not").ok());
  EXPECT_EQ(Read("a"), "synced and not");
  LosePower();
  EXPECT_EQ(Read("a"), "synced");
  EXPECT_EQ(file->Append("more").code(), Code::kIo) << "the process that had it open is dead";
  EXPECT_EQ(Read("a"), "synced");
}

TEST_F(FaultEnvTest, AFileClosedWithoutSyncIsNotDurableEither) {
  const auto file = Create("a");
  SyncRoot();
  ASSERT_TRUE(file->Append("x").ok());
  ASSERT_TRUE(file->Close().ok());
  LosePower();
  EXPECT_EQ(Read("a"), "");
}

TEST_F(FaultEnvTest, AppendingToAnOldFileLosesOnlyTheNewBytes) {
  WriteDurable("a", "old");
  const auto file = Create("a", CreateMode::kAppend);
  ASSERT_TRUE(file->Append(" new").ok());
  LosePower();
  EXPECT_EQ(Read("a"), "old");
}

TEST_F(FaultEnvTest, ANewNameNeedsItsDirectorySynced) {
  const auto file = Create("a");
  ASSERT_TRUE(file->Append("x").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Close().ok());
  LosePower();
  EXPECT_EQ(Read("a"), "NotFound");
}

TEST_F(FaultEnvTest, AnUnsyncedRenameBringsBothOldFilesBack) {
  WriteDurable("new", "new");
  WriteDurable("HEAD", "old");
  ASSERT_TRUE(env_.Rename(At("new"), At("HEAD")).ok());
  EXPECT_EQ(Read("HEAD"), "new");
  LosePower();
  EXPECT_EQ(Read("HEAD"), "old");
  EXPECT_EQ(Read("new"), "new");
  ASSERT_TRUE(env_.Rename(At("new"), At("HEAD")).ok());
  SyncRoot();
  LosePower();
  EXPECT_EQ(Read("HEAD"), "new");
  EXPECT_EQ(Read("new"), "NotFound");
}

TEST_F(FaultEnvTest, UnsyncedRemovalsAndLinksAreTakenBack) {
  WriteDurable("a", "a");
  ASSERT_TRUE(env_.Link(At("a"), At("b")).ok());
  ASSERT_TRUE(env_.Remove(At("a")).ok());
  LosePower();
  EXPECT_EQ(Read("a"), "a");
  EXPECT_EQ(Read("b"), "NotFound");
  ASSERT_TRUE(env_.Remove(At("a")).ok());
  SyncRoot();
  LosePower();
  EXPECT_EQ(Read("a"), "NotFound");
}

TEST_F(FaultEnvTest, ATreeRemovedWithoutSyncIsBack) {
  ASSERT_TRUE(env_.MakeDirectory(At("x/y")).ok());
  WriteDurable("x/y/a", "a");
  ASSERT_TRUE(env_.RemoveTree(At("x")).ok());
  EXPECT_EQ(Read("x/y/a"), "NotFound");
  LosePower();
  EXPECT_EQ(Read("x/y/a"), "a");
}

TEST_F(FaultEnvTest, ARenameAcrossDirectoriesIsDurableInEachAlone) {
  ASSERT_TRUE(env_.MakeDirectory(At("x")).ok());
  WriteDurable("a", "a");
  ASSERT_TRUE(env_.Rename(At("a"), At("x/a")).ok());
  ASSERT_TRUE(env_.SyncDirectory(At("x")).ok());
  LosePower();
  EXPECT_EQ(Read("x/a"), "a");
  EXPECT_EQ(Read("a"), "a") << "the removal was not synced";
  ASSERT_TRUE(env_.Rename(At("a"), At("x/b")).ok());
  SyncRoot();
  LosePower();
  EXPECT_EQ(Read("x/b"), "NotFound");
  EXPECT_EQ(Read("a"), "NotFound") << "lost for good: only the removal was synced";
}

TEST_F(FaultEnvTest, AFailedSyncLosesTheBytesWhateverComesLater) {
  const auto file = Create("a");
  SyncRoot();
  ASSERT_TRUE(file->Append("x").ok());
  env_.SetPlan({.fail_at = 1,
                .fail_with = Code::kIo,
                .fail_from_there = false,
                .flip_at = 0,
                .counts = [](FileCall call, const Path&) { return call == FileCall::kSync; },
                .write_delay = {},
                .sync_delay = {},
                .read_delay = {}});
  EXPECT_EQ(file->Sync().code(), Code::kIo);
  EXPECT_EQ(file->Sync().code(), Code::kIo) << "the file is dead";
  const auto again = Create("a", CreateMode::kAppend);
  EXPECT_TRUE(again->Sync().ok());
  EXPECT_EQ(Read("a"), "x");
  LosePower();
  EXPECT_EQ(Read("a"), "");
}

TEST_F(FaultEnvTest, FailsExactlyTheNthCallOrAllFromThere) {
  FaultPlan plan;
  plan.fail_at = 2;
  plan.fail_with = Code::kDiskFull;
  env_.SetPlan(plan);
  EXPECT_TRUE(env_.Stat(root_).ok());
  EXPECT_FALSE(env_.hit());
  EXPECT_EQ(env_.Stat(root_).status().code(), Code::kDiskFull);
  EXPECT_TRUE(env_.hit());
  EXPECT_TRUE(env_.Stat(root_).ok());
  EXPECT_EQ(env_.calls(), 3U);
  plan.fail_from_there = true;
  env_.SetPlan(plan);
  EXPECT_TRUE(env_.Stat(root_).ok());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(env_.Stat(root_).status().code(), Code::kDiskFull);
}

TEST_F(FaultEnvTest, AFailingAppendWritesHalf) {
  const auto file = Create("a");
  FaultPlan plan;
  plan.fail_at = 1;
  plan.fail_with = Code::kDiskFull;
  env_.SetPlan(plan);
  EXPECT_EQ(file->Append("0123456789").code(), Code::kDiskFull);
  EXPECT_EQ(Read("a"), "01234");
}

TEST_F(FaultEnvTest, FlipsOneBitOfTheChosenRead) {
  WriteDurable("a", std::string(100, 'x'));
  const auto file = env_.Open(At("a"));
  ASSERT_TRUE(file.ok());
  FaultPlan plan;
  plan.flip_at = 2;
  env_.SetPlan(plan);
  for (int read = 1; read <= 3; ++read) {
    std::string bytes(100, '\0');
    ASSERT_TRUE((*file)->Read(0, bytes).ok());
    int bits = 0;
    for (const char c : bytes) bits += __builtin_popcount(static_cast<uint8_t>(c ^ 'x'));
    EXPECT_EQ(bits, read == 2 ? 1 : 0);
  }
  EXPECT_TRUE(env_.hit());
}

TEST_F(FaultEnvTest, RandomPowerLossLeavesAPrefixOrZerosAndAPrefixOfNames) {
  std::set<uint64_t> lengths;
  std::set<size_t> names;
  bool zeros = false;
  for (int round = 0; round < 60; ++round) {
    ASSERT_TRUE(base_->RemoveTree(root_).ok());
    ASSERT_TRUE(base_->MakeDirectory(root_).ok());
    {
      const auto file = Create("a");
      SyncRoot();
      ASSERT_TRUE(file->Append("0123").ok());
      ASSERT_TRUE(file->Sync().ok());
      ASSERT_TRUE(file->Append("4567").ok());
      for (const char* name : {"b", "c", "d"}) Create(name);
    }
    env_.PowerLoss(PowerLossKeeps::kRandomPart);
    const std::string left = Read("a");
    ASSERT_GE(left.size(), 4U);
    const bool prefix = std::string_view("01234567").starts_with(left);
    ASSERT_TRUE(prefix || left == "0123" + std::string(left.size() - 4, '\0')) << left;
    zeros = zeros || !prefix;
    lengths.insert(left.size());
    const auto entries = base_->List(root_);
    for (size_t i = 0; i < entries->size(); ++i)
      ASSERT_EQ((*entries)[i].name, std::string(1, static_cast<char>('a' + i)));
    names.insert(entries->size());
  }
  EXPECT_EQ(lengths.size(), 5U);
  EXPECT_EQ(names.size(), 4U);
  EXPECT_TRUE(zeros);
}

/// Replaces a file as WriteFileDurably does, or with one of its steps left out.
enum class LeftOut { kNothing, kFileSync, kDirectorySync, kTemporaryFile };
Status Replace(Env& env, const Path& path, std::string_view bytes, LeftOut left_out) {
  if (left_out == LeftOut::kNothing) return WriteFileDurably(env, path, bytes);
  const Path temporary = left_out == LeftOut::kTemporaryFile ? path : path + ".tmp";
  WEIR_ASSIGN(const auto file, env.Create(temporary, CreateMode::kTruncate));
  WEIR_TRY(file->Append(bytes));
  if (left_out != LeftOut::kFileSync) WEIR_TRY(file->Sync());
  WEIR_TRY(file->Close());
  if (temporary != path) WEIR_TRY(env.Rename(temporary, path));
  if (left_out != LeftOut::kDirectorySync) WEIR_TRY(env.SyncDirectory(ParentDirectory(path)));
  return Status::Ok();
}

/// Replaces a file again and again, each time with call n failing and then the power, n = 1, 2, ...
/// until a whole replacement passes. Answers what went wrong: a file that is neither old nor new,
/// or an acknowledged version that is gone.
std::string FindLoss(Env& base, FaultEnv& env, const Path& root, LeftOut left_out, bool fail_call) {
  std::string acknowledged;
  for (const PowerLossKeeps keeps : {PowerLossKeeps::kNothingUnsynced, PowerLossKeeps::kRandomPart,
                                     PowerLossKeeps::kRandomPart, PowerLossKeeps::kRandomPart}) {
    bool passed = false;
    for (uint64_t n = 1; !passed; ++n) {
      const std::string next = "version " + std::to_string(n) + std::string(100, '.');
      FaultPlan plan;
      plan.fail_at = fail_call ? n : 0;
      env.SetPlan(plan);
      const Status status = Replace(env, root + "/HEAD", next, left_out);
      passed = status.ok();
      env.SetPlan({});
      env.PowerLoss(keeps);
      if (passed) acknowledged = next;
      const Result<std::string> found = ReadWholeFile(base, root + "/HEAD", 1 << 20);
      if (!found.ok() && acknowledged.empty()) continue;
      if (!found.ok()) return "gone after call " + std::to_string(n);
      if (*found != acknowledged && (passed || *found != next))
        return "damaged after call " + std::to_string(n) + ": '" + *found + "'";
      acknowledged = *found;
    }
  }
  return "";
}

TEST_F(FaultEnvTest, DurableWritesSurviveEveryFailedCallAndThePower) {
  EXPECT_EQ(FindLoss(*base_, env_, root_, LeftOut::kNothing, /*fail_call=*/true), "");
  EXPECT_EQ(FindLoss(*base_, env_, root_, LeftOut::kNothing, /*fail_call=*/false), "");
}

TEST_F(FaultEnvTest, AForgottenStepOfADurableWriteIsCaught) {
  EXPECT_NE(FindLoss(*base_, env_, root_, LeftOut::kFileSync, /*fail_call=*/false), "");
  EXPECT_NE(FindLoss(*base_, env_, root_, LeftOut::kDirectorySync, /*fail_call=*/false), "");
  EXPECT_NE(FindLoss(*base_, env_, root_, LeftOut::kTemporaryFile, /*fail_call=*/true), "");
}

}  // namespace
}  // namespace weir
