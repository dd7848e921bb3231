#include "engine/control/restore.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "engine/base/bytes.h"
#include "engine/base/env_posix.h"
#include "engine/data/key_encoding.h"
#include "state/state.h"
#include "tests/control/forwarding_store.h"
#include "tests/harness/sim_env.h"

namespace weir::control {
namespace {

using runtime::TaskKey;
using runtime::TaskSnapshot;

constexpr Duration kPatience = Seconds(30);

/// Counts the bytes that are asked of the storage, by file.
class CountingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::map<std::string, uint64_t, std::less<>> bytes_read;

  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    Result<std::string> read = ForwardingStore::Read(name, offset, bytes);
    if (read.ok()) bytes_read[std::string(name)] += read->size();
    return read;
  }
  Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                       const Path& local) override {
    Result<std::optional<Hash128>> fetched = ForwardingStore::Fetch(name, bytes, local);
    if (fetched.ok()) bytes_read[std::string(name)] += bytes;
    return fetched;
  }
};

/// A plan of a source chain and a keyed chain, as far as restore reads it.
PhysicalPlan Plan(uint32_t parallelism) {
  PhysicalPlan plan;
  plan.job = "counted";
  plan.key_groups = 12;
  for (uint16_t i = 0; i < 2; ++i) {
    PlanNode node;
    node.index.value = i;
    node.id = i == 0 ? "rows" : "counts";
    node.parallelism = parallelism;
    node.chain = i;
    if (i == 1) node.shape.keys = {std::vector<Expression>{}};
    node.shape.states.push_back(
        {.name = "waiting", .kind = StateKind::kList, .row = {}, .spread = Spread::kSplit});
    plan.nodes.push_back(std::move(node));
    plan.chains.push_back({i, {NodeIndex{i}}, parallelism});
  }
  return plan;
}

class RestoreTest : public ::testing::Test {
 protected:
  RestoreTest() : env_(MakePosixEnv(2)) {
    static int instances = 0;
    root_ = (std::filesystem::temp_directory_path() /
             ("weir_restore_" + std::to_string(getpid()) + "_" + std::to_string(++instances)))
                .string();
    store_ = state::OpenFileStore(*env_, "file://" + root_ + "/storage").value();
    storage_ = std::make_unique<JobStorage>(*env_, *store_, "counted", root_ + "/state");
  }
  ~RestoreTest() override { IgnoreStatus(env_->RemoveTree(root_), "a temporary directory"); }

  /// Writes a checkpoint of two tasks per chain: tasks of `counts` stand at watermarks 100 and 200
  /// and hold 10 and 20 rows.
  Head WriteCheckpoint() { return WriteCheckpointTo(*store_); }
  static Head WriteCheckpointTo(CheckpointStore& store) {
    Manifest manifest;
    manifest.job = "counted";
    manifest.incarnation = "u1";
    manifest.checkpoint.value = 3;
    manifest.key_groups = 12;
    for (uint16_t task = 0; task < 2; ++task) {
      TaskSnapshot rows;
      rows.task = {0, TaskIndex{task}};
      rows.watermarks["rows"] = EventTime{100 * (task + 1)};
      SplitState split;
      split.id = "split-" + std::to_string(task);
      split.position = std::to_string(task * 11);
      rows.splits["rows"] = {split};
      rows.lists.push_back(
          {"rows", StateIndex{0}, {"a" + std::to_string(task), "b" + std::to_string(task)}});
      Add(store, manifest, rows, {"rows"});
      TaskSnapshot counts;
      counts.task = {1, TaskIndex{task}};
      counts.groups = GroupsOf(TaskIndex{task}, 12, 2);
      counts.watermarks["counts"] = EventTime{100 * (task + 1)};
      for (uint16_t group = counts.groups.first.value; group <= counts.groups.last.value; ++group)
        counts.buffered["counts"][group] = 10;
      Add(store, manifest, counts, {"counts"});
    }
    const std::string table(size_t{9} << 20, 't');
    EXPECT_TRUE(store.Put("counted/u1/shared/table.sst", table).ok());
    manifest.files.push_back({"shared/table.sst", table.size(), HashContent(table).Hex(), true});
    const std::string text = EncodeManifest(manifest);
    EXPECT_TRUE(store.Put("counted/u1/chk/3-1/MANIFEST", text).ok());
    Head head;
    head.incarnation = "u1";
    head.attempt.value = 1;
    head.checkpoint.value = 3;
    head.manifest = "u1/chk/3-1/MANIFEST";
    head.manifest_sha256 = Sha256Hex(text);
    return head;
  }
  static void Add(CheckpointStore& store, Manifest& manifest, const TaskSnapshot& snapshot,
                  std::vector<std::string> nodes) {
    ManifestTask task;
    task.chain = snapshot.task.chain;
    task.task = snapshot.task.task;
    task.groups = snapshot.groups;
    task.nodes = std::move(nodes);
    task.part =
        "chk/3-1/" + std::to_string(task.chain) + "-" + std::to_string(task.task.value) + ".task";
    std::string part;
    runtime::EncodeTaskSnapshot(snapshot, part);
    EXPECT_TRUE(store.Put("counted/u1/" + task.part, part).ok());
    manifest.files.push_back({task.part, part.size(), HashContent(part).Hex(), false});
    manifest.tasks.push_back(std::move(task));
  }

  std::unique_ptr<Env> env_;
  std::string root_;
  std::unique_ptr<CheckpointStore> store_;
  std::unique_ptr<JobStorage> storage_;
};

TEST_F(RestoreTest, DealsByKeyGroupAtAnyParallelism) {
  const Head head = WriteCheckpoint();
  for (const uint32_t parallelism : {1U, 2U, 3U, 4U, 12U}) {
    const PhysicalPlan plan = Plan(parallelism);
    const Result<RestoredJob> restored =
        LoadCheckpoint(*env_, *storage_, head, plan, root_ + "/restored", kPatience);
    ASSERT_TRUE(restored.ok()) << restored.status().ToString();
    std::map<uint16_t, EventTime> watermarks;
    uint64_t buffered = 0;
    size_t items = 0;
    for (uint16_t task = 0; task < parallelism; ++task) {
      const runtime::TaskRestore& counts = restored->tasks.at(TaskKey{1, TaskIndex{task}});
      const GroupRange groups = GroupsOf(TaskIndex{task}, 12, parallelism);
      for (const auto& [group, watermark] : counts.group_watermarks.at("counts")) {
        EXPECT_TRUE(groups.Contains(KeyGroup{group}));
        watermarks[group] = watermark;
      }
      buffered += counts.buffered.at("counts");
      const runtime::TaskRestore& rows = restored->tasks.at(TaskKey{0, TaskIndex{task}});
      EXPECT_EQ(rows.watermarks.at("rows"), EventTime{100})
          << "a node without keys takes the least";
      for (const runtime::ListItems& list : rows.lists) items += list.items.size();
    }
    ASSERT_EQ(watermarks.size(), 12u);
    for (const auto& [group, watermark] : watermarks)
      EXPECT_EQ(watermark, EventTime{group < 6 ? 100 : 200});
    EXPECT_EQ(buffered, 120u);
    EXPECT_EQ(items, 4u) << "each item of a split list goes to one task";
    EXPECT_EQ(restored->splits.at("rows").size(), 2u);
  }
}

TEST_F(RestoreTest, GivesAUnionListWholeToEveryTask) {
  const Head head = WriteCheckpoint();
  for (const uint32_t parallelism : {1U, 2U, 3U}) {
    PhysicalPlan plan = Plan(parallelism);
    plan.nodes[0].shape.states[0].spread = Spread::kUnion;
    const Result<RestoredJob> restored =
        LoadCheckpoint(*env_, *storage_, head, plan, root_ + "/restored", kPatience);
    ASSERT_TRUE(restored.ok()) << restored.status().ToString();
    for (uint16_t task = 0; task < parallelism; ++task) {
      std::multiset<std::string> items;
      for (const runtime::ListItems& list : restored->tasks.at(TaskKey{0, TaskIndex{task}}).lists)
        items.insert(list.items.begin(), list.items.end());
      EXPECT_EQ(items, (std::multiset<std::string>{"a0", "b0", "a1", "b1"}));
    }
  }
}

TEST_F(RestoreTest, NamesAFileThatIsMissingTruncatedOrSwapped) {
  const Head head = WriteCheckpoint();
  const std::string one = "counted/u1/chk/3-1/0-0.task", two = "counted/u1/chk/3-1/1-1.task";
  const std::string bytes = store_->Read(one, 0, 1 << 20).value(),
                    other = store_->Read(two, 0, 1 << 20).value();
  const PhysicalPlan plan = Plan(2);
  const auto expect_corrupt = [&](const std::string& named) {
    const Status status =
        LoadCheckpoint(*env_, *storage_, head, plan, root_ + "/restored", kPatience).status();
    EXPECT_EQ(status.code(), Code::kCorruption) << status.ToString();
    EXPECT_NE(status.message().find(named), std::string::npos) << status.message();
  };
  ASSERT_TRUE(store_->Put(one, bytes.substr(0, bytes.size() - 1)).ok());
  expect_corrupt("0-0.task");
  ASSERT_TRUE(store_->Put(one, bytes + "x").ok());
  expect_corrupt("0-0.task");
  ASSERT_TRUE(store_->Put(one, other).ok());
  expect_corrupt("0-0.task");
  ASSERT_TRUE(store_->Remove(one).ok());
  expect_corrupt("0-0.task");
  ASSERT_TRUE(store_->Put(one, bytes).ok());
  EXPECT_TRUE(LoadCheckpoint(*env_, *storage_, head, plan, root_ + "/restored", kPatience).ok());
  for (const VerifiedFile& file : VerifyCheckpoint(*storage_, storage_->ReadManifest(head).value()))
    EXPECT_TRUE(file.status.ok()) << file.name;
}

TEST_F(RestoreTest, FindsAWrongLengthBeforeAnythingIsFetched) {
  const Head head = WriteCheckpoint();
  const PhysicalPlan plan = Plan(2);
  CountingStore store(*store_);
  JobStorage storage(*env_, store, "counted", root_ + "/state");
  const std::string name = "counted/u1/shared/table.sst";
  const std::string good = store_->Read(name, 0, size_t{16} << 20).value();
  for (const std::string& bytes : {std::string(), good.substr(1), good + "x", good + good}) {
    ASSERT_TRUE(store_->Put(name, bytes).ok());
    store.bytes_read.clear();
    for (const Status& status :
         {LoadCheckpoint(*env_, storage, head, plan, root_ + "/restored", kPatience).status(),
          VerifyCheckpoint(storage, storage.ReadManifest(head).value()).back().status}) {
      EXPECT_EQ(status.code(), Code::kCorruption) << status.ToString();
      EXPECT_NE(status.message().find("table.sst: expected 9437184 bytes, found " +
                                      std::to_string(bytes.size())),
                std::string::npos)
          << status.message();
    }
    EXPECT_EQ(store.bytes_read[name], 0U);
  }
}

TEST_F(RestoreTest, ReadsEachFileOnce) {
  const Head head = WriteCheckpoint();
  const PhysicalPlan plan = Plan(3);
  CountingStore store(*store_);
  JobStorage storage(*env_, store, "counted", root_ + "/state");
  const Manifest manifest = storage.ReadManifest(head).value();
  const auto expect_once = [&] {
    for (const ManifestFile& file : manifest.files) {
      EXPECT_EQ(store.bytes_read[storage.InIncarnation("u1", file.name)], file.bytes) << file.name;
    }
    store.bytes_read.clear();
  };
  ASSERT_TRUE(LoadCheckpoint(*env_, storage, head, plan, root_ + "/restored", kPatience).ok());
  expect_once();
  const std::vector<VerifiedFile> verified = VerifyCheckpoint(storage, manifest);
  ASSERT_EQ(verified.size(), manifest.files.size());
  for (const VerifiedFile& file : verified) EXPECT_TRUE(file.status.ok()) << file.name;
  expect_once();
}

TEST_F(RestoreTest, FindsADamagedTable) {
  const Head head = WriteCheckpoint();
  const PhysicalPlan plan = Plan(2);
  const std::string name = "counted/u1/shared/table.sst";
  const std::string bytes = store_->Read(name, 0, size_t{16} << 20).value();
  for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
    std::string damaged = bytes;
    damaged[at] = 'T';
    ASSERT_TRUE(store_->Put(name, damaged).ok());
    for (const Status& status :
         {LoadCheckpoint(*env_, *storage_, head, plan, root_ + "/restored", kPatience).status(),
          VerifyCheckpoint(*storage_, storage_->ReadManifest(head).value()).back().status}) {
      EXPECT_EQ(status.code(), Code::kCorruption) << status.ToString();
      EXPECT_NE(status.message().find("table.sst: expected hash"), std::string::npos)
          << status.message();
    }
  }
}

/// Takes its time, and does not answer a call that begins after the time given for trying again.
class SlowStore final : public ForwardingStore {
 public:
  SlowStore(CheckpointStore& base, SimWorld& world) : ForwardingStore(base), world_(world) {}
  Duration takes = Seconds(25);

  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    if (!InTime()) return NoAnswer();
    return ForwardingStore::Read(name, offset, bytes);
  }
  Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                       const Path& local) override {
    if (!InTime()) return NoAnswer();
    return ForwardingStore::Fetch(name, bytes, local);
  }
  void RetryUntil(Duration deadline) override { until_ = deadline; }
  bool InTime() {
    world_.RunFor(takes);
    return world_.Steady() <= until_;
  }

 private:
  SimWorld& world_;
  Duration until_{};
};

TEST_F(RestoreTest, HasTimeAsLongAsFilesArrive) {
  const PhysicalPlan plan = Plan(2);
  SimWorld world(1);
  const std::unique_ptr<Env> env = world.StartProcess("job");
  const auto files = state::OpenFileStore(*env, "file:///storage").value();
  const Head head = WriteCheckpointTo(*files);
  SlowStore store(*files, world);
  JobStorage storage(*env, store, "counted", "/state");
  store.RetryUntil(world.Steady());
  const Duration begun = world.Steady();
  EXPECT_TRUE(LoadCheckpoint(*env, storage, head, plan, "/restored", kPatience).ok());
  EXPECT_GT(world.Steady() - begun, Seconds(100)) << "more than the patience for all of it";
  EXPECT_TRUE(store.InTime()) << "what follows has its time";
  store.takes = kPatience + Seconds(1);
  EXPECT_EQ(LoadCheckpoint(*env, storage, head, plan, "/restored", kPatience).status().code(),
            Code::kUnavailable);
}

}  // namespace
}  // namespace weir::control
