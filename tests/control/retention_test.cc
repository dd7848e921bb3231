#include "engine/control/retention.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "engine/base/content_hash.h"
#include "engine/base/env_posix.h"
#include "engine/base/sha256.h"
#include "state/state.h"
#include "tests/control/forwarding_store.h"

namespace weir::control {
namespace {

constexpr uint32_t kRetain = 2;

class FailingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  bool removes = true;
  std::string unreadable;
  int refused = 0;

  Status Remove(std::string_view name) override {
    if (removes) return ForwardingStore::Remove(name);
    ++refused;
    return NoAnswer();
  }
  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    return name == unreadable ? Result<std::string>(NoAnswer())
                              : ForwardingStore::Read(name, offset, bytes);
  }
};

/// One process's view of the job: its HEAD and its retention.
struct Process {
  Process(Env& env, CheckpointStore& used, const std::string& state)
      : store(used), storage(env, used, "clicks", state), retention(storage, kRetain) {}

  void Take() {
    const std::optional<Head> current = storage.ReadHead().value();
    Head next = current.value_or(Head{});
    next.incarnation = "u";
    ++next.attempt.value;
    head = storage.Advance(current, next).value();
  }
  Manifest Write(uint64_t id) {
    Manifest manifest;
    manifest.job = "clicks";
    manifest.incarnation = "u";
    manifest.attempt = head.attempt;
    manifest.checkpoint.value = id;
    folder = "chk/" + std::to_string(id) + "-" + std::to_string(head.attempt.value);
    const std::string part = "part " + std::to_string(id);
    EXPECT_TRUE(store.Put(storage.InIncarnation("u", folder + "/0-0.task"), part).ok());
    manifest.files.push_back({folder + "/0-0.task", part.size(), HashContent(part).Hex(), false});
    return manifest;
  }
  Status Checkpoint(uint64_t id, bool orphans) {
    const Manifest manifest = Write(id);
    Head next = head;
    next.checkpoint.value = next.next.value = id;
    next.manifest = "u/" + folder + "/MANIFEST";
    const std::string text = EncodeManifest(manifest);
    next.manifest_sha256 = Sha256Hex(text);
    WEIR_TRY(store.Put("clicks/" + next.manifest, text));
    WEIR_ASSIGN(head, storage.Advance(head, next));
    return retention.Completed(head, manifest, orphans);
  }

  CheckpointStore& store;
  JobStorage storage;
  Retention retention;
  Head head;
  std::string folder;
};

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() : env_(MakePosixEnv(1)) {
    static int instances = 0;
    root_ = (std::filesystem::temp_directory_path() /
             ("weir_retention_" + std::to_string(getpid()) + "_" + std::to_string(++instances)))
                .string();
    base_ = state::OpenFileStore(*env_, "file://" + root_ + "/storage").value();
    store_ = std::make_unique<FailingStore>(*base_);
  }
  ~RetentionTest() override { IgnoreStatus(env_->RemoveTree(root_), "a temporary directory"); }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const std::vector<StoredFile> files = base_->List("clicks/u/").value();
    names.reserve(files.size());
    for (const StoredFile& file : files) names.push_back(file.name.substr(9));
    return names;
  }
  using Strings = std::vector<std::string>;

  std::unique_ptr<Env> env_;
  std::string root_;
  std::unique_ptr<CheckpointStore> base_;
  std::unique_ptr<FailingStore> store_;
};

TEST_F(RetentionTest, KeepsTheNewestAndFindsWhatWasGivenUp) {
  Process process(*env_, *store_, root_ + "/a");
  process.Take();
  ASSERT_TRUE(process.retention.Rebuild(process.head).ok());
  for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(process.Checkpoint(id, false).ok());
  process.Write(4);
  ASSERT_TRUE(process.Checkpoint(5, true).ok());
  EXPECT_EQ(Names(), (Strings{"chk/3-1/0-0.task", "chk/3-1/MANIFEST", "chk/5-1/0-0.task",
                              "chk/5-1/MANIFEST"}));
}

// Both the first collection of an attempt and those between its checkpoints: HEAD may have been
// taken since it was looked at last.
TEST_F(RetentionTest, RemovesNothingOfWhoeverHasTakenOver) {
  Process paused(*env_, *store_, root_ + "/a"), successor(*env_, *store_, root_ + "/b");
  paused.Take();
  ASSERT_TRUE(paused.retention.Rebuild(paused.head).ok());
  for (uint64_t id = 1; id <= 2; ++id) ASSERT_TRUE(paused.Checkpoint(id, false).ok());
  const Head before = paused.head;
  successor.Take();
  ASSERT_TRUE(successor.retention.Rebuild(successor.head).ok());
  ASSERT_TRUE(successor.Checkpoint(3, false).ok());
  const Strings names = Names();
  EXPECT_EQ(paused.retention.CollectOrphans(before).code(), Code::kFenced);
  EXPECT_EQ(paused.retention.Rebuild(before).status().code(), Code::kFenced);
  EXPECT_EQ(paused.retention.Completed(before, paused.Write(2), true).code(), Code::kFenced);
  EXPECT_EQ(Names(), names);
}

TEST_F(RetentionTest, EndsAtTheFirstRemovalThatFailsAndMakesUpForItLater) {
  Process process(*env_, *store_, root_ + "/a");
  process.Take();
  ASSERT_TRUE(process.retention.Rebuild(process.head).ok());
  for (uint64_t id = 1; id <= 2; ++id) ASSERT_TRUE(process.Checkpoint(id, false).ok());
  store_->removes = false;
  EXPECT_EQ(process.Checkpoint(3, false).code(), Code::kUnavailable);
  EXPECT_EQ(store_->refused, 1) << "each further one would wait as long";
  EXPECT_EQ(process.retention.failed_removals(), 1U);
  store_->removes = true;
  ASSERT_TRUE(process.Checkpoint(4, false).ok());
  EXPECT_EQ(Names(), (Strings{"chk/3-1/0-0.task", "chk/3-1/MANIFEST", "chk/4-1/0-0.task",
                              "chk/4-1/MANIFEST"}));
}

TEST_F(RetentionTest, RemovesNothingWhileAManifestCannotBeRead) {
  Process process(*env_, *store_, root_ + "/a");
  process.Take();
  ASSERT_TRUE(process.retention.Rebuild(process.head).ok());
  for (uint64_t id = 1; id <= 2; ++id) ASSERT_TRUE(process.Checkpoint(id, false).ok());
  const Strings names = Names();
  store_->unreadable = "clicks/u/chk/1-1/MANIFEST";
  Process next(*env_, *store_, root_ + "/a");
  next.Take();
  EXPECT_EQ(next.retention.Rebuild(next.head).status().code(), Code::kUnavailable);
  EXPECT_EQ(Names(), names);
  store_->unreadable.clear();
  EXPECT_TRUE(next.retention.Rebuild(next.head).ok());
  EXPECT_EQ(Names(), names);
}

}  // namespace
}  // namespace weir::control
