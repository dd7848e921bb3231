#include "engine/control/publish.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "engine/base/bytes.h"
#include "engine/base/env_posix.h"
#include "state/state.h"
#include "tests/control/forwarding_store.h"

namespace weir::control {
namespace {

using runtime::TaskSnapshot;

/// Writes its files, but one of them shorter than it was told.
class LossyStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::string shortened;  // ends the name

  Status Put(std::string_view name, std::string_view bytes) override {
    const bool here = !shortened.empty() && name.ends_with(shortened);
    return ForwardingStore::Put(name, here ? bytes.substr(0, bytes.size() - 1) : bytes);
  }
};

class PublishTest : public ::testing::Test {
 protected:
  PublishTest() : env_(MakePosixEnv(1)) {
    static int instances = 0;
    root_ = (std::filesystem::temp_directory_path() /
             ("weir_publish_" + std::to_string(getpid()) + "_" + std::to_string(++instances)))
                .string();
    base_ = state::OpenFileStore(*env_, "file://" + root_ + "/storage").value();
    store_ = std::make_unique<LossyStore>(*base_);
    storage_ = std::make_unique<JobStorage>(*env_, *store_, "counted", root_ + "/state");
    plan_.job = "counted";
    for (uint16_t i = 0; i < 2; ++i) {
      PlanNode node;
      node.index.value = i;
      node.id = i == 0 ? "rows" : "counts";
      plan_.nodes.push_back(std::move(node));
    }
    plan_.chains.push_back({0, {NodeIndex{0}, NodeIndex{1}}, 2});
    Head first;
    first.incarnation = "u";
    first.attempt.value = 3;
    head_ = storage_->Advance(std::nullopt, first).value();
  }
  ~PublishTest() override { IgnoreStatus(env_->RemoveTree(root_), "a temporary directory"); }

  /// Two tasks that name one table, in the order in which their acks came.
  AckedCheckpoint Acked(uint64_t id) {
    AckedCheckpoint acked;
    acked.id.value = id;
    acked.attempt = head_.attempt;
    acked.cluster = "c1";
    acked.time = EventTime{77};
    const std::string table = "rows of both";
    EXPECT_TRUE(base_->Put(storage_->InIncarnation("u", "shared/table.sst"), table).ok());
    for (const uint16_t task : {uint16_t{1}, uint16_t{0}}) {
      TaskSnapshot snapshot;
      snapshot.task = {0, TaskIndex{task}};
      snapshot.watermarks["rows"] = EventTime{100 + task};
      StateImage& image = snapshot.image.emplace();
      image.files.push_back({.name = "shared/table.sst",
                             .bytes = table.size(),
                             .hash = HashContent(table).Hex(),
                             .local = root_ + "/table",
                             .shared = true,
                             .original = {}});
      acked.snapshots.push_back(std::move(snapshot));
    }
    return acked;
  }
  Result<PublishedCheckpoint> Publish(uint64_t id) {
    return PublishCheckpoint(*storage_, plan_, Json{{"nodes", 2}}, head_, Acked(id));
  }

  std::unique_ptr<Env> env_;
  std::string root_;
  std::unique_ptr<CheckpointStore> base_;
  std::unique_ptr<LossyStore> store_;
  std::unique_ptr<JobStorage> storage_;
  PhysicalPlan plan_;
  Head head_;
};

TEST_F(PublishTest, NamesEveryFileOnceAndMovesHead) {
  const Result<PublishedCheckpoint> published = Publish(7);
  ASSERT_TRUE(published.ok()) << published.status().ToString();
  const Head head = storage_->ReadHead().value().value();
  EXPECT_EQ(head.sequence, head_.sequence + 1);
  EXPECT_EQ(head.token, published->head.token);
  EXPECT_EQ(head.manifest, "u/chk/7-3/MANIFEST");
  EXPECT_EQ(head.next.value, 7U);
  const Manifest manifest = storage_->ReadManifest(head).value();
  EXPECT_EQ(manifest.cluster, "c1");
  EXPECT_EQ(manifest.time, EventTime{77});
  EXPECT_EQ(manifest.description, (Json{{"nodes", 2}}));
  std::vector<std::string> files, tasks;
  for (const ManifestFile& file : manifest.files) files.push_back(file.name);
  for (const ManifestTask& task : manifest.tasks) {
    tasks.push_back(task.part);
    EXPECT_EQ(task.nodes, (std::vector<std::string>{"rows", "counts"}));
  }
  EXPECT_EQ(files,
            (std::vector<std::string>{"chk/7-3/0-0.task", "shared/table.sst", "chk/7-3/0-1.task"}));
  EXPECT_EQ(tasks, (std::vector<std::string>{"chk/7-3/0-0.task", "chk/7-3/0-1.task"}));
  EXPECT_EQ(published->uploaded_bytes, manifest.bytes()) << "the table is counted once";
}

TEST_F(PublishTest, LeavesHeadWhereAnythingIsNotAsItShouldBe) {
  for (const char* name : {"0-1.task", "MANIFEST"}) {
    store_->shortened = name;
    const Status status = Publish(7).status();
    EXPECT_EQ(status.code(), Code::kCorruption) << status.ToString();
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    EXPECT_TRUE(storage_->ReadHead().value()->manifest.empty());
  }
  store_->shortened.clear();
  AckedCheckpoint acked = Acked(8);
  acked.snapshots[0].image->files[0].name = "shared/gone.sst";
  const Status status =
      PublishCheckpoint(*storage_, plan_, Json::object(), head_, std::move(acked)).status();
  EXPECT_EQ(status.code(), Code::kNotFound) << status.ToString();
  EXPECT_TRUE(storage_->ReadHead().value()->manifest.empty());
  EXPECT_TRUE(Publish(9).ok());
}

TEST_F(PublishTest, LosesToWhoeverHasMovedHead) {
  JobStorage other(*env_, *base_, "counted", root_ + "/other");
  Head taken = head_;
  taken.attempt.value = 4;
  ASSERT_TRUE(other.Advance(head_, taken).ok());
  EXPECT_EQ(Publish(7).status().code(), Code::kFenced);
  EXPECT_EQ(other.ReadHead().value()->attempt.value, 4U);
}

}  // namespace
}  // namespace weir::control
