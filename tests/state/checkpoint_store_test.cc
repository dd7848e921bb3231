#include "engine/api/checkpoint_store.h"

#include <filesystem>

#include "tests/harness/fault_env.h"
#include "tests/state/machine.h"

namespace weir::state {
namespace {

class CheckpointStoreOnFiles : public testing::Test {
 protected:
  TestDirectory directory_;
  std::unique_ptr<Env> env_ = MakePosixEnv(1);
  std::unique_ptr<CheckpointStore> store_ =
      OpenCheckpointStore(*env_, "file://" + directory_.path() + "/root").value();
};

TEST_F(CheckpointStoreOnFiles, KeepsWhatWasPut) {
  ASSERT_TRUE(store_->Put("job/chk/1-1/part", "hello").ok());
  ASSERT_TRUE(store_->Put("job/chk/1-1/part", "hello again").ok());
  EXPECT_EQ(store_->Read("job/chk/1-1/part", 6, 100).value(), "again");
  EXPECT_EQ(store_->Read("job/chk/1-1/part", 100, 5).value(), "");
  EXPECT_EQ(store_->Size("job/chk/1-1/part").value(), 11U);
  EXPECT_EQ(store_->Read("job/nothing", 0, 1).status().code(), Code::kNotFound);
  EXPECT_EQ(store_->Size("job/nothing").status().code(), Code::kNotFound);
  ASSERT_TRUE(store_->Remove("job/chk/1-1/part").ok());
  EXPECT_TRUE(store_->Remove("job/chk/1-1/part").ok());
  EXPECT_EQ(store_->Size("job/chk/1-1/part").status().code(), Code::kNotFound);
}

TEST_F(CheckpointStoreOnFiles, LetsOnlyTheFirstCreate) {
  ASSERT_TRUE(store_->PutNew("job/HEAD.000000000001", "first").ok());
  EXPECT_EQ(store_->PutNew("job/HEAD.000000000001", "second").code(), Code::kAlreadyExists);
  EXPECT_EQ(store_->Read("job/HEAD.000000000001", 0, 10).value(), "first");
}

TEST_F(CheckpointStoreOnFiles, AdoptsAFileOnceAndGivesItBack) {
  const Path local = directory_.path() + "/local.sst";
  ASSERT_TRUE(WriteFileDurably(*env_, local, "table").ok());
  ASSERT_TRUE(store_->Adopt(local, "job/u/shared/ab/abc-5.sst").ok());
  ASSERT_TRUE(store_->Adopt(local, "job/u/shared/ab/abc-5.sst").ok());
  ASSERT_TRUE(env_->Remove(local).ok());
  ASSERT_TRUE(store_->Fetch("job/u/shared/ab/abc-5.sst", local).ok());
  EXPECT_EQ(ReadWholeFile(*env_, local, 100).value(), "table");
  EXPECT_EQ(store_->Fetch("job/u/none", local + "2").code(), Code::kNotFound);
  const Path other = directory_.path() + "/other.sst";
  ASSERT_TRUE(WriteFileDurably(*env_, other, "another length").ok());
  EXPECT_EQ(store_->Adopt(other, "job/u/shared/ab/abc-5.sst").code(), Code::kCorruption);
}

TEST_F(CheckpointStoreOnFiles, ListsByPrefix) {
  for (const char* name : {"a/1", "a/2", "a/b/3", "ab/4", "c"})
    ASSERT_TRUE(store_->Put(name, "x").ok());
  const auto names = [&](std::string_view prefix) {
    std::vector<std::string> found;
    const auto listed = store_->List(prefix);
    EXPECT_TRUE(listed.ok());
    for (const StoredFile& file : *listed) found.push_back(file.name);
    return found;
  };
  EXPECT_EQ(names(""), (std::vector<std::string>{"a/1", "a/2", "a/b/3", "ab/4", "c"}));
  EXPECT_EQ(names("a/"), (std::vector<std::string>{"a/1", "a/2", "a/b/3"}));
  EXPECT_EQ(names("a"), (std::vector<std::string>{"a/1", "a/2", "a/b/3", "ab/4"}));
  EXPECT_TRUE(names("none/").empty());
}

TEST_F(CheckpointStoreOnFiles, RefusesNamesThatLeaveTheRootAndOtherSchemes) {
  for (const char* name : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/"}) {
    EXPECT_EQ(store_->Put(name, "x").code(), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(OpenCheckpointStore(*env_, "s3://bucket/x").status().code(), Code::kPlanned);
  EXPECT_EQ(OpenCheckpointStore(*env_, "file://relative").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(OpenCheckpointStore(*env_, "/plain").status().code(), Code::kInvalidArgument);
}

TEST_F(CheckpointStoreOnFiles, LeavesNothingUnderTheNameOfACallThatFailed) {
  for (uint64_t n = 1;; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    const std::string undo = directory_.path() + "/undo" + std::to_string(n);
    ASSERT_TRUE(env_->MakeDirectory(undo).ok());
    FaultEnv faults(*env_, undo, n);
    const auto store =
        OpenCheckpointStore(faults, "file://" + directory_.path() + "/faulty" + std::to_string(n))
            .value();
    FaultPlan plan;
    plan.fail_at = n;
    faults.SetPlan(plan);
    const Status put = store->PutNew("dir/name", "content");
    const bool hit = faults.hit();
    faults.SetPlan({});
    faults.PowerLoss(PowerLossKeeps::kNothingUnsynced);
    const auto read = store->Read("dir/name", 0, 100);
    if (put.ok()) {
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_EQ(*read, "content");
    } else if (read.ok()) {
      EXPECT_EQ(*read, "content") << "a name may stand only over the whole content";
    }
    if (!hit) return;
  }
}

}  // namespace
}  // namespace weir::state
