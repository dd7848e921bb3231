#include "engine/control/job_storage.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "engine/base/bytes.h"
#include "engine/base/env_posix.h"
#include "state/state.h"
#include "tests/control/forwarding_store.h"

namespace weir::control {
namespace {

/// Carries out what creates a name and loses the answer, as often as `lost` says.
class ForgetfulStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  int lost = 0;
  bool readable = true;

  Status PutNew(std::string_view name, std::string_view bytes) override {
    const Status status = ForwardingStore::PutNew(name, bytes);
    return lost > 0 && lost-- > 0 ? NoAnswer() : status;
  }
  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    return readable ? ForwardingStore::Read(name, offset, bytes) : Result<std::string>(NoAnswer());
  }
};

class JobStorageTest : public ::testing::Test {
 protected:
  JobStorageTest() : env_(MakePosixEnv(2)) {
    static int instances = 0;
    root_ = (std::filesystem::temp_directory_path() /
             ("weir_job_storage_" + std::to_string(getpid()) + "_" + std::to_string(++instances)))
                .string();
    for (const char* state : {"/state", "/state2"})
      IgnoreStatus(env_->MakeDirectory(root_ + state), "the store below says so");
    store_ = state::OpenFileStore(*env_, "file://" + root_ + "/storage").value();
  }
  ~JobStorageTest() override { IgnoreStatus(env_->RemoveTree(root_), "a temporary directory"); }
  JobStorage Storage(const std::string& state = "state") {
    return JobStorage(*env_, *store_, "clicks", root_ + "/" + state);
  }
  Head First() {
    Head head;
    head.incarnation = "u1";
    head.attempt.value = 1;
    return head;
  }

  std::unique_ptr<Env> env_;
  std::string root_;
  std::unique_ptr<CheckpointStore> store_;
};

TEST_F(JobStorageTest, MovesHeadOneStepAtATime) {
  JobStorage storage = Storage();
  EXPECT_FALSE(storage.ReadHead().value().has_value());
  const Head first = storage.Advance(std::nullopt, First()).value();
  EXPECT_EQ(first.sequence, 1u);
  Head next = first;
  next.attempt.value = 2;
  const Head second = storage.Advance(first, next).value();
  EXPECT_EQ(second.sequence, 2u);
  EXPECT_EQ(storage.ReadHead().value()->attempt.value, 2u);
}

TEST_F(JobStorageTest, FencesWhoeverWasPaused) {
  JobStorage paused = Storage(), other = Storage("state2");
  const Head first = paused.Advance(std::nullopt, First()).value();
  Head taken = first;
  taken.attempt.value = 2;
  ASSERT_TRUE(other.Advance(first, taken).ok());
  Head late = first;
  late.checkpoint.value = 9;
  EXPECT_EQ(paused.Advance(first, late).status().code(), Code::kFenced);
  EXPECT_EQ(paused.ReadHead().value()->attempt.value, 2u) << "the newer HEAD stands";
}

TEST_F(JobStorageTest, TakesItsOwnHeadForItsOwnWhenTheAnswerWasLost) {
  ForgetfulStore store(*store_);
  JobStorage storage(*env_, store, "clicks", root_ + "/state");
  store.lost = 1;
  EXPECT_TRUE(storage.Advance(std::nullopt, First()).ok()) << "it is read back";
}

TEST_F(JobStorageTest, GoesOnFromHeadsThatItHasNotLearnedOf) {
  ForgetfulStore store(*store_);
  JobStorage storage(*env_, store, "clicks", root_ + "/state"), other = Storage("state2");
  const Head first = storage.Advance(std::nullopt, First()).value();
  EXPECT_EQ(storage.Learn(first)->sequence, 1u);
  Head next = first;
  for (uint64_t n = 1; n <= 3; ++n) {
    store.lost = 1;
    store.readable = false;
    next.checkpoint.value = n;
    EXPECT_EQ(storage.Advance(first, next).status().code(), Code::kUnavailable);
    store.readable = true;
  }
  // The first of them stands; the others found it.
  EXPECT_EQ(storage.Learn(first)->checkpoint.value, 1u);
  next.checkpoint.value = 4;
  const Head fourth = storage.Advance(first, next).value();
  EXPECT_EQ(fourth.sequence, 3u);
  EXPECT_EQ(storage.ReadHead().value()->checkpoint.value, 4u);
  EXPECT_EQ(storage.Learn(first)->sequence, 3u);
  // Another's ends it, at whatever step it stands.
  ASSERT_TRUE(other.Advance(fourth, fourth).ok());
  EXPECT_EQ(storage.Learn(first).status().code(), Code::kFenced);
  EXPECT_EQ(storage.Advance(first, next).status().code(), Code::kFenced);
}

TEST_F(JobStorageTest, NeverTakesAnOlderHeadForADamagedOne) {
  JobStorage storage = Storage();
  const Head first = storage.Advance(std::nullopt, First()).value();
  const Head second = storage.Advance(first, first).value();
  const std::string name = storage.HeadName(second.sequence);
  std::string bytes = store_->Read(name, 0, kHeadBytesMax).value();
  for (size_t i = 0; i < bytes.size(); i += 7) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    ASSERT_TRUE(store_->Put(name, damaged).ok());
    const Status status = storage.ReadHead().status();
    ASSERT_EQ(status.code(), Code::kCorruption) << i;
    EXPECT_NE(status.message().find(name), std::string::npos)
        << "names the file: " << status.message();
  }
}

TEST_F(JobStorageTest, RefusesAManifestOfAnotherCheckpoint) {
  JobStorage storage = Storage();
  Manifest manifest;
  manifest.job = "clicks";
  manifest.incarnation = "u1";
  manifest.checkpoint.value = 4;
  const std::string text = EncodeManifest(manifest);
  ASSERT_TRUE(store_->Put("clicks/u1/chk/4-1/MANIFEST", text).ok());
  Head head = First();
  head.checkpoint.value = 4;
  head.manifest = "u1/chk/4-1/MANIFEST";
  head.manifest_sha256 = Sha256Hex(text);
  EXPECT_TRUE(storage.ReadManifest(head).ok());
  head.checkpoint.value = 5;
  EXPECT_EQ(storage.ReadManifest(head).status().code(), Code::kCorruption);
  head.checkpoint.value = 4;
  head.manifest_sha256 = Sha256Hex("another");
  EXPECT_EQ(storage.ReadManifest(head).status().code(), Code::kCorruption);
}

TEST_F(JobStorageTest, CountsOnlyTheCheckpointsThatHeadHasNamed) {
  JobStorage storage = Storage();
  const auto write = [&](uint64_t id, uint64_t attempt) {
    Manifest manifest;
    manifest.job = "clicks";
    manifest.incarnation = "u1";
    manifest.checkpoint.value = id;
    manifest.attempt.value = attempt;
    Head named;
    named.checkpoint = named.next = manifest.checkpoint;
    named.manifest = "u1/chk/" + std::to_string(id) + "-" + std::to_string(attempt) + "/MANIFEST";
    const std::string text = EncodeManifest(manifest);
    named.manifest_sha256 = Sha256Hex(text);
    EXPECT_TRUE(store_->Put("clicks/" + named.manifest, text).ok());
    return named;
  };
  Head head = storage.Advance(std::nullopt, First()).value();
  for (uint64_t id = 2; id <= 5; ++id) {
    Head next = write(id, 10);
    next.incarnation = "u1";
    head = storage.Advance(head, next).value();
  }
  // Manifests that HEAD never named, a folder without one, and no manifests at all.
  write(3, 9);
  write(5, 11);
  write(7, 11);
  for (const char* name : {"12-11/0-0.task", "4-10.MANIFEST", "x-1/MANIFEST", "1-x/MANIFEST",
                           "1-1/MANIFEST.tmp.7", "1-1/more/MANIFEST"})
    ASSERT_TRUE(store_->Put("clicks/u1/chk/" + std::string(name), "no manifest").ok());
  const auto listed = [&] {
    std::vector<std::string> folders;
    const StoredCheckpoints stored = storage.ListCheckpoints(head).value();
    EXPECT_EQ(stored.highest.value, 12U);
    folders.reserve(stored.complete.size());
    for (const StoredCheckpoint& one : stored.complete)
      folders.push_back(one.manifest.substr(7, one.manifest.find("/MANIFEST") - 7));
    return folders;
  };
  using Strings = std::vector<std::string>;
  EXPECT_EQ(listed(), (Strings{"2-10", "3-10", "4-10", "5-10"}));
  const auto expect_none = [&](uint64_t id) {
    const Status status = storage.PointAt(head, CheckpointId{id}).status();
    EXPECT_EQ(status.code(), Code::kNotFound) << id;
    EXPECT_NE(status.message().find("there is no checkpoint " + std::to_string(id)),
              std::string::npos)
        << status.message();
  };
  for (const uint64_t id : {0U, 1U, 6U, 7U, 12U}) expect_none(id);
  Head pointed = storage.PointAt(head, CheckpointId{3}).value();
  EXPECT_EQ(pointed.manifest, "u1/chk/3-10/MANIFEST");
  EXPECT_EQ(pointed.next.value, 5U);
  EXPECT_EQ(storage.ReadManifest(pointed)->attempt.value, 10U);

  // Gone back by hand: what HEAD has named can be gone on from again.
  head = storage.Advance(head, pointed).value();
  pointed = storage.PointAt(head, CheckpointId{5}).value();
  EXPECT_EQ(pointed.manifest, "u1/chk/5-10/MANIFEST");
  for (const uint64_t id : {6U, 7U}) expect_none(id);

  // HEADs that are kept no longer: of what was complete before them the manifests tell.
  for (uint64_t sequence = 1; sequence <= 3; ++sequence)
    ASSERT_TRUE(store_->Remove(storage.HeadName(sequence)).ok());
  pointed = storage.PointAt(head, CheckpointId{2}).value();
  EXPECT_EQ(pointed.manifest, "u1/chk/2-10/MANIFEST");
  EXPECT_TRUE(storage.ReadManifest(pointed).ok());
  for (const uint64_t id : {1U, 6U, 7U}) expect_none(id);

  // Of a listing only what is what it says is read.
  std::vector<StoredCheckpoint> complete = storage.ListCheckpoints(head)->complete;
  ASSERT_EQ(complete.front().id.value, 2U);
  EXPECT_EQ(storage.ReadManifest(head, complete.front())->checkpoint.value, 2U);
  complete.front().manifest = complete.back().manifest;
  EXPECT_EQ(storage.ReadManifest(head, complete.front()).status().code(), Code::kCorruption);
}

TEST_F(JobStorageTest, MakesTheClusterIdOnce) {
  JobStorage one = Storage(), two = Storage("state2");
  const std::string id = one.ClusterId().value();
  EXPECT_EQ(id.size(), 8u);
  EXPECT_EQ(two.ClusterId().value(), id);
}

TEST_F(JobStorageTest, WatchesAnOwnerThatRenewsAndTakesOverAStaleOne) {
  JobStorage owner = Storage(), second = Storage("state2");
  ASSERT_TRUE(owner.TakeOwner().ok());
  const std::optional<std::string> seen = second.ForeignOwner().value();
  ASSERT_TRUE(seen.has_value()) << "another state directory: it may live";
  EXPECT_TRUE(second.CheckUnchanged(*seen).ok());
  ASSERT_TRUE(owner.RenewOwner().ok());
  const Status status = second.CheckUnchanged(*seen);
  EXPECT_EQ(status.code(), Code::kLocked);
  EXPECT_NE(status.message().find(root_ + "/state"), std::string::npos) << status.message();
  EXPECT_FALSE(owner.ForeignOwner().value().has_value())
      << "the lock on one's own state directory tells enough";
  owner.MarkLost();
  EXPECT_TRUE(owner.ForeignOwner().value().has_value())
      << "after LOST even one's own name is watched";
  ASSERT_TRUE(owner.TakeOwner().ok());
  EXPECT_FALSE(owner.ForeignOwner().value().has_value()) << "taking the job removes LOST";
  owner.ReleaseOwner();
  EXPECT_FALSE(second.ForeignOwner().value().has_value());
}

// A release of the same name in another namespace, or a pod after its own without its volume: host
// and path are the same.
TEST_F(JobStorageTest, KnowsItsOwnPlaceByItsIdAndNotByItsName) {
  JobStorage owner = Storage();
  EXPECT_FALSE(owner.ForeignOwner().value().has_value());
  ASSERT_TRUE(owner.TakeOwner().ok());
  const std::string place = root_ + "/state/PLACE";
  const std::string id = ReadWholeFile(*env_, place, 100).value();
  EXPECT_EQ(id.size(), 33U) << id;
  EXPECT_FALSE(Storage().ForeignOwner().value().has_value()) << "restarted in place";
  EXPECT_EQ(ReadWholeFile(*env_, place, 100).value(), id) << "made once";

  ASSERT_TRUE(env_->Rename(place, root_ + "/PLACE").ok());
  JobStorage other = Storage();
  const std::optional<std::string> seen = other.ForeignOwner().value();
  ASSERT_TRUE(seen.has_value());
  EXPECT_NE(ReadWholeFile(*env_, place, 100).value(), id);
  EXPECT_TRUE(other.CheckUnchanged(*seen).ok()) << "of whoever is dead nothing changes";
  ASSERT_TRUE(owner.RenewOwner().ok());
  const Status status = other.CheckUnchanged(*seen);
  EXPECT_EQ(status.code(), Code::kLocked);
  EXPECT_NE(status.message().find("place " + id.substr(0, 32)), std::string::npos)
      << status.message();
  ASSERT_TRUE(env_->Rename(root_ + "/PLACE", place).ok());
  EXPECT_FALSE(Storage().ForeignOwner().value().has_value());
}

TEST_F(JobStorageTest, TakesNoIdFromADamagedPlace) {
  const std::string place = root_ + "/state/PLACE";
  const std::string good(32, 'a');
  for (const std::string& text :
       {std::string(), std::string("\n"), good, good + "a\n", std::string(32, 'G') + "\n",
        good.substr(1) + "\n", std::string(10'000, 'a'), "../" + good.substr(3) + "\n"}) {
    {
      JobStorage owner = Storage();
      ASSERT_TRUE(owner.TakeOwner().ok());
    }
    ASSERT_TRUE(WriteFileDurably(*env_, place, text).ok());
    EXPECT_TRUE(Storage().ForeignOwner().value().has_value()) << text << ": it is watched";
    const std::string made = ReadWholeFile(*env_, place, 100).value();
    EXPECT_EQ(made.size(), 33U) << made;
    EXPECT_NE(made, good + "\n");
  }
  // An owner from before there were places.
  ASSERT_TRUE(store_->Put("clicks/OWNER", R"({"host": "h", "state_dir": "s"})").ok());
  EXPECT_TRUE(Storage().ForeignOwner().value().has_value());
}

}  // namespace
}  // namespace weir::control
