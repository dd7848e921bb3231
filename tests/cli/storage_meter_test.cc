#include "cli/storage_meter.h"

#include <gtest/gtest.h>

#include <string>

#include "state/state.h"
#include "tests/harness/sim_env.h"

namespace weir::cli {
namespace {

TEST(StorageMeter, CountsCallsByWhatCameOfThem) {
  SimWorld world(1);
  const std::unique_ptr<Env> env = world.StartProcess("weir");
  StorageMeter meter;
  Result<std::unique_ptr<CheckpointStore>> opened = state::OpenFileStore(*env, "file:///storage");
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  const std::unique_ptr<CheckpointStore> store = Metered(std::move(opened).value(), meter, *env);
  const auto counted = [&meter](StorageOperation operation) {
    const StorageMeter::Values values = meter.Of(operation);
    uint64_t timed = 0;
    for (const uint64_t count : values.seconds.counts) timed += count;
    EXPECT_EQ(timed, values.completed + values.failed);
    return std::pair(values.completed, values.failed);
  };
  using Counted = std::pair<uint64_t, uint64_t>;

  EXPECT_EQ(counted(StorageOperation::kWrite), Counted(0, 0));
  ASSERT_TRUE(store->PutNew("a/HEAD.1", "one").ok());
  // Whoever asks for a new name wants to know whether it is one.
  EXPECT_EQ(store->PutNew("a/HEAD.1", "two").code(), Code::kAlreadyExists);
  ASSERT_TRUE(store->Put("a/b", "three").ok());
  EXPECT_EQ(counted(StorageOperation::kWrite), Counted(3, 0));
  const Result<std::string> read = store->Read("a/HEAD.1", 0, 10);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, "one");
  EXPECT_EQ(store->Size("nowhere").status().code(), Code::kNotFound);
  EXPECT_EQ(counted(StorageOperation::kRead), Counted(2, 0));
  const Result<std::vector<StoredFile>> files = store->List("a/");
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 2U);
  EXPECT_EQ(counted(StorageOperation::kList), Counted(1, 0));
  ASSERT_TRUE(store->Remove("a/b").ok());
  EXPECT_EQ(counted(StorageOperation::kRemove), Counted(1, 0));
  EXPECT_EQ(store->Describe(), "file:///storage");
}

TEST(StorageMeter, AFailureIsNoAnswer) {
  StorageMeter meter;
  meter.Count(StorageOperation::kRead, Status(Code::kUnavailable, "no answer"), Seconds(3));
  meter.Count(StorageOperation::kRead, Status(Code::kCancelled, "ends"), Seconds(1));
  const StorageMeter::Values values = meter.Of(StorageOperation::kRead);
  EXPECT_EQ(values.completed, 0U);
  EXPECT_EQ(values.failed, 2U);
  EXPECT_EQ(values.seconds.sum, 4.0);
}

TEST(StorageMeter, EveryOperationHasAName) {
  for (size_t i = 0; i < kStorageOperations; ++i)
    EXPECT_FALSE(StorageOperationName(static_cast<StorageOperation>(i)).empty());
}

}  // namespace
}  // namespace weir::cli
