#include "engine/api/checkpoint_store.h"

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "engine/net/http_client.h"
#include "tests/harness/fault_env.h"
#include "tests/harness/s3_server.h"
#include "tests/state/machine.h"

namespace weir::state {
namespace {

enum class Kind : uint8_t { kFiles, kS3 };

/// What every store promises, on each of them.
class AnyCheckpointStore : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::kFiles) {
      store_ = OpenFileStore(*env_, "file://" + directory_.path() + "/root").value();
      return;
    }
    const Result<S3Server*> server = SharedS3Server();
    if (!server.ok()) GTEST_SKIP() << server.status().message();
    store_ = OpenOn(**server);
  }
  std::unique_ptr<CheckpointStore> OpenOn(const S3Server& server) {
    static int count = 0;
    return OpenS3Store(*env_, net::MakeHttpClient({}),
                       std::string("s3://") + S3Server::kBucket + "/root" + std::to_string(++count),
                       OptionsFor(server))
        .value();
  }
  static S3Options OptionsFor(const S3Server& server) {
    S3Options options;
    options.endpoint = server.endpoint();
    options.key_id = S3Server::kKeyId;
    options.secret_key = Secret(S3Server::kSecretKey);
    options.part_bytes = size_t{5} << 20;
    options.page_keys = 4;
    options.retry_least = Seconds(60);  // the machine may be busy
    return options;
  }
  std::vector<std::string> Names(std::string_view prefix) {
    std::vector<std::string> found;
    const auto listed = store_->List(prefix);
    EXPECT_TRUE(listed.ok()) << listed.status().ToString();
    if (!listed.ok()) return found;
    for (const StoredFile& file : *listed) found.push_back(file.name);
    return found;
  }

  TestDirectory directory_;
  std::unique_ptr<Env> env_ = MakePosixEnv(1);
  std::unique_ptr<CheckpointStore> store_;
};
std::string KindName(const testing::TestParamInfo<Kind>& kind) {
  return kind.param == Kind::kFiles ? "Files" : "S3";
}
INSTANTIATE_TEST_SUITE_P(Stores, AnyCheckpointStore, testing::Values(Kind::kFiles, Kind::kS3),
                         KindName);

TEST_P(AnyCheckpointStore, KeepsWhatWasPut) {
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

TEST_P(AnyCheckpointStore, LetsOnlyTheFirstCreate) {
  ASSERT_TRUE(store_->PutNew("job/HEAD.000000000001", "first").ok());
  EXPECT_EQ(store_->PutNew("job/HEAD.000000000001", "second").code(), Code::kAlreadyExists);
  EXPECT_EQ(store_->Read("job/HEAD.000000000001", 0, 10).value(), "first");
}

TEST_P(AnyCheckpointStore, AdoptsAFileOnceAndGivesItBack) {
  const Path local = directory_.path() + "/local.sst";
  ASSERT_TRUE(WriteFileDurably(*env_, local, "table").ok());
  ASSERT_TRUE(store_->Adopt(local, "job/u/shared/ab/abc-5.sst").ok());
  ASSERT_TRUE(store_->Adopt(local, "job/u/shared/ab/abc-5.sst").ok());
  ASSERT_TRUE(env_->Remove(local).ok());
  ASSERT_TRUE(store_->Fetch("job/u/shared/ab/abc-5.sst", 5, local).ok());
  EXPECT_EQ(ReadWholeFile(*env_, local, 100).value(), "table");
  EXPECT_EQ(store_->Fetch("job/u/none", 5, local + "2").status().code(), Code::kNotFound);
  for (const uint64_t bytes : {0U, 4U, 6U}) {
    const Status status = store_->Fetch("job/u/shared/ab/abc-5.sst", bytes, local + "3").status();
    EXPECT_EQ(status.code(), Code::kCorruption) << status.ToString();
    EXPECT_EQ(env_->Stat(local + "3").status().code(), Code::kNotFound);
  }
  const Path other = directory_.path() + "/other.sst";
  ASSERT_TRUE(WriteFileDurably(*env_, other, "another length").ok());
  EXPECT_EQ(store_->Adopt(other, "job/u/shared/ab/abc-5.sst").code(), Code::kCorruption);
}

TEST_P(AnyCheckpointStore, ListsByPrefix) {
  for (const char* name : {"a/1", "a/2", "a/b/3", "ab/4", "c"})
    ASSERT_TRUE(store_->Put(name, "x").ok());
  EXPECT_EQ(Names(""), (std::vector<std::string>{"a/1", "a/2", "a/b/3", "ab/4", "c"}));
  EXPECT_EQ(Names("a/"), (std::vector<std::string>{"a/1", "a/2", "a/b/3"}));
  EXPECT_EQ(Names("a"), (std::vector<std::string>{"a/1", "a/2", "a/b/3", "ab/4"}));
  EXPECT_TRUE(Names("none/").empty());
}

TEST_P(AnyCheckpointStore, RefusesNamesThatLeaveTheRoot) {
  for (const char* name : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "a/./b", "a/"}) {
    EXPECT_EQ(store_->Put(name, "x").code(), Code::kInvalidArgument) << name;
  }
}

TEST_P(AnyCheckpointStore, AnswersTheEndOfAFile) {
  ASSERT_TRUE(store_->Put("empty", "").ok());
  EXPECT_EQ(store_->Size("empty").value(), 0U);
  EXPECT_EQ(store_->Read("empty", 0, 10).value(), "");
  EXPECT_EQ(store_->Read("empty", 0, 0).value(), "");
  EXPECT_EQ(store_->Read("none", 0, 0).status().code(), Code::kNotFound);
  const Path local = directory_.path() + "/fetched";
  ASSERT_TRUE(store_->Fetch("empty", 0, local).ok());
  EXPECT_EQ(ReadWholeFile(*env_, local, 100).value(), "");
}

TEST_P(AnyCheckpointStore, HoldsFilesLargerThanAPart) {
  std::string bytes(size_t{17} << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13);
  const Path local = directory_.path() + "/large.sst";
  ASSERT_TRUE(WriteFileDurably(*env_, local, bytes).ok());
  ASSERT_TRUE(store_->Adopt(local, "u/shared/large.sst").ok());
  EXPECT_EQ(store_->Size("u/shared/large.sst").value(), bytes.size());
  EXPECT_EQ(store_->Read("u/shared/large.sst", (size_t{5} << 20) - 3, 6).value(),
            bytes.substr((size_t{5} << 20) - 3, 6));
  EXPECT_TRUE(store_->Read("u/shared/large.sst", 0, bytes.size() + 1).value() == bytes);
  ASSERT_TRUE(store_->Put("u/copy", bytes).ok());
  const Result<std::optional<Hash128>> fetched =
      store_->Fetch("u/copy", bytes.size(), local + ".2");
  ASSERT_TRUE(fetched.ok()) << fetched.status().ToString();
  EXPECT_EQ(fetched->has_value(), GetParam() == Kind::kS3) << "a link passes no bytes";
  if (*fetched) {
    EXPECT_EQ((*fetched)->Hex(), HashContent(bytes).Hex());
  }
  EXPECT_TRUE(ReadWholeFile(*env_, local + ".2", bytes.size()).value() == bytes);
  ASSERT_TRUE(store_->RemoveUnfinished("").ok());
  EXPECT_EQ(Names(""), (std::vector<std::string>{"u/copy", "u/shared/large.sst"}));
}

TEST_P(AnyCheckpointStore, HoldsOneWinnerOfEachRace) {
  constexpr int kRounds = 10, kWriters = 6;
  const std::unique_ptr<Env> threads = MakePosixEnv(kWriters);
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "race/" + std::to_string(round);
    std::mutex mutex;
    std::condition_variable all;
    std::vector<std::pair<int, Status>> answers;
    for (int writer = 0; writer < kWriters; ++writer) {
      threads->Post([&, writer] {
        Status status = store_->PutNew(name, "writer " + std::to_string(writer));
        const std::lock_guard lock(mutex);
        answers.emplace_back(writer, std::move(status));
        all.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    all.wait(lock, [&] { return answers.size() == kWriters; });
    int winners = 0;
    for (const auto& [writer, status] : answers) {
      if (status.ok()) {
        ++winners;
        EXPECT_EQ(store_->Read(name, 0, 100).value(), "writer " + std::to_string(writer));
      } else {
        EXPECT_EQ(status.code(), Code::kAlreadyExists) << status.ToString();
      }
    }
    EXPECT_EQ(winners, 1);
  }
}

TEST_P(AnyCheckpointStore, PassesItsOwnProbeAndLeavesNothing) {
  ASSERT_TRUE(store_->Probe().ok());
  EXPECT_TRUE(Names("").empty());
}

TEST_P(AnyCheckpointStore, ListsMoreThanAPage) {
  constexpr int kFiles = 10;  // S3: four a page
  for (int i = 0; i < kFiles; ++i)
    ASSERT_TRUE(store_->Put("many/" + std::to_string(100 + i), "").ok());
  const std::vector<std::string> names = Names("many/");
  ASSERT_EQ(names.size(), size_t{kFiles});
  EXPECT_EQ(names.front(), "many/100");
  EXPECT_EQ(names.back(), "many/109");
}

TEST_P(AnyCheckpointStore, ListsNamesOfAnyCharacters) {
  const std::vector<std::string> odd = {"odd/a b+c%41", "odd/k=v&w", "odd/\xC3\xBC<>\"'"};
  for (const std::string& name : odd) ASSERT_TRUE(store_->Put(name, name).ok()) << name;
  EXPECT_EQ(Names("odd/"), odd);
  for (const std::string& name : odd) EXPECT_EQ(store_->Read(name, 0, 100).value(), name);
}

TEST(FileCheckpointStore, RefusesOtherSchemes) {
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  for (const char* uri : {"s3://bucket/x", "file://relative", "/plain"})
    EXPECT_EQ(OpenFileStore(*env, uri).status().code(), Code::kInvalidArgument) << uri;
}

TEST(FileCheckpointStore, HoldsAllThatItHasTakenWhenThePowerFails) {
  const TestDirectory directory;
  const std::unique_ptr<Env> files = MakePosixEnv(1);
  const std::string bytes(100'000, 'x');
  for (const PowerLossKeeps keeps :
       {PowerLossKeeps::kNothingUnsynced, PowerLossKeeps::kRandomPart}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      const std::string root = directory.path() + "/" + std::to_string(static_cast<int>(keeps)) +
                               "_" + std::to_string(seed);
      SCOPED_TRACE(root);
      ASSERT_TRUE(files->MakeDirectory(root + "/undo").ok());
      FaultEnv disk(*files, root + "/undo", seed);
      const auto store = OpenFileStore(disk, "file://" + root + "/store").value();
      // Whoever wrote it need not have made it durable: the store does before it answers.
      const std::string local = root + "/local";
      {
        const auto file = disk.Create(local, CreateMode::kNew).value();
        ASSERT_TRUE(file->Append(bytes).ok());
        ASSERT_TRUE(file->Close().ok());
      }
      ASSERT_TRUE(store->Adopt(local, "job/shared/adopted").ok());
      ASSERT_TRUE(store->Put("job/chk/part", bytes).ok());
      ASSERT_TRUE(store->PutNew("job/heads/1", bytes).ok());
      disk.PowerLoss(keeps);
      const auto after = OpenFileStore(disk, "file://" + root + "/store").value();
      for (const char* const name : {"job/shared/adopted", "job/chk/part", "job/heads/1"}) {
        const Result<std::string> found = after->Read(name, 0, bytes.size() + 1);
        ASSERT_TRUE(found.ok()) << name << ": " << found.status().ToString();
        EXPECT_TRUE(*found == bytes) << name << " has " << found->size() << " bytes";
      }
    }
  }
}

TEST(FileCheckpointStore, LeavesNothingUnderTheNameOfACallThatFailed) {
  const TestDirectory directory;
  const std::unique_ptr<Env> env = MakePosixEnv(1);
  for (uint64_t n = 1;; ++n) {
    SCOPED_TRACE("call " + std::to_string(n));
    const std::string undo = directory.path() + "/undo" + std::to_string(n);
    ASSERT_TRUE(env->MakeDirectory(undo).ok());
    FaultEnv faults(*env, undo, n);
    const auto store =
        OpenFileStore(faults, "file://" + directory.path() + "/faulty" + std::to_string(n)).value();
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
