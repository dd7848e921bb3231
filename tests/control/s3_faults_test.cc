// The storage's protocol over a network and a server that fail: everything that a coordinator asks
// of S3 from the start of an attempt over checkpoints to the collection of garbage, through a proxy
// that does something bad to each kind of request in turn. After each run: HEAD is the last one
// that was acknowledged (or one whose answer was lost), every byte that it names is there, nothing
// else is. With WEIR_S3_FAULTS=all in the environment each single request is harmed in each way,
// which takes minutes.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "engine/base/bytes.h"
#include "engine/base/env_posix.h"
#include "engine/control/job_storage.h"
#include "engine/control/publish.h"
#include "engine/control/retention.h"
#include "engine/net/http_client.h"
#include "state/state.h"
#include "tests/harness/http_fault_proxy.h"
#include "tests/harness/s3_server.h"

namespace weir::control {
namespace {

constexpr size_t kPartBytes = size_t{5} << 20;
constexpr uint32_t kRetain = 2;

/// More than a part.
const std::string& Large() {
  static const std::string kBytes = [] {
    std::string made(kPartBytes + 1000, '\0');
    for (size_t i = 0; i < made.size(); ++i) made[i] = static_cast<char>(i * 2654435761U >> 11);
    return made;
  }();
  return kBytes;
}

class S3Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<S3Server*> server = SharedS3Server();
    if (!server.ok()) GTEST_SKIP() << server.status().message();
    server_ = *server;
    proxy_ = HttpFaultProxy::Start(server_->port()).value();
    root_ =
        (std::filesystem::temp_directory_path() / ("weir_s3_faults_" + std::to_string(getpid())))
            .string();
    ASSERT_TRUE(env_->MakeDirectory(root_ + "/state").ok());
    ASSERT_TRUE(WriteFileDurably(*env_, root_ + "/large", Large()).ok());
  }
  void TearDown() override { IgnoreStatus(env_->RemoveTree(root_), "a temporary directory"); }

  std::unique_ptr<CheckpointStore> Open(const std::string& endpoint, const std::string& prefix,
                                        Duration patience = Seconds(60)) {
    state::S3Options options;
    options.endpoint = endpoint;
    options.key_id = S3Server::kKeyId;
    options.secret_key = Secret(S3Server::kSecretKey);
    options.part_bytes = kPartBytes;
    options.retry_least = patience;
    return state::OpenS3Store(*env_, net::MakeHttpClient({}),
                              std::string("s3://") + S3Server::kBucket + "/" + prefix, options)
        .value();
  }
  /// Not seen by the proxy.
  std::unique_ptr<CheckpointStore> OpenDirectly(const std::string& prefix) {
    return Open(server_->endpoint(), prefix);
  }
  std::string NewPrefix() { return "faults/" + std::to_string(++prefixes); }

  const std::unique_ptr<Env> env_ = MakePosixEnv(2);
  S3Server* server_ = nullptr;
  std::unique_ptr<HttpFaultProxy> proxy_;
  std::string root_;
  inline static int prefixes = 0;  // the server is shared
};

/// What a coordinator does to its storage.
class Life {
 public:
  Life(Env& env, CheckpointStore& store, std::string root)
      : store_(store),
        storage_(env, store, "job", root + "/state"),
        retention_(storage_, kRetain),
        root_(std::move(root)) {}

  Status Start() {
    WEIR_TRY(store_.Probe());
    WEIR_TRY(storage_.ForeignOwner().status());
    WEIR_TRY(storage_.ClusterId().status());
    WEIR_TRY(storage_.TakeOwner());
    return TakeAttempt();
  }
  Status TakeAttempt() {
    std::optional<Head> current;
    if (head_) {
      WEIR_ASSIGN(current, storage_.Learn(*head_));
    } else {
      WEIR_ASSIGN(current, storage_.ReadHead());
    }
    Head next = current.value_or(Head{});
    if (!current) next.incarnation = "u";
    ++next.attempt.value;
    WEIR_ASSIGN(head_, storage_.Advance(current, next));
    WEIR_TRY(retention_.Rebuild(*head_).status());
    checkpoint_ = std::max(checkpoint_, head_->checkpoint.value);
    return Status::Ok();
  }
  /// `large`: with a file that goes up in parts.
  Status Checkpoint(bool large) {
    const uint64_t n = ++checkpoint_;
    runtime::TaskSnapshot snapshot;
    snapshot.watermarks["rows"] = EventTime{static_cast<int64_t>(n)};
    StateImage& image = snapshot.image.emplace();
    const std::string table = "state of checkpoint " + std::to_string(n);
    const std::string name = "shared/" + HashContent(table).Hex() + ".sst";
    WEIR_TRY(store_.Put(storage_.InIncarnation("u", name), table));
    image.files.push_back({.name = name,
                           .bytes = table.size(),
                           .hash = HashContent(table).Hex(),
                           .local = {},
                           .shared = true,
                           .original = {}});
    if (large) {
      WEIR_TRY(store_.Adopt(root_ + "/large", storage_.InIncarnation("u", "shared/large")));
      image.files.push_back({.name = "shared/large",
                             .bytes = Large().size(),
                             .hash = HashContent(Large()).Hex(),
                             .local = root_ + "/large",
                             .shared = true,
                             .original = {}});
    }
    AckedCheckpoint acked;
    acked.id.value = n;
    acked.attempt = head_->attempt;
    acked.snapshots.push_back(std::move(snapshot));
    WEIR_ASSIGN(const PublishedCheckpoint published,
                PublishCheckpoint(storage_, plan_, Json::object(), *head_, std::move(acked)));
    head_ = published.head;
    acknowledged_ = n;
    IgnoreStatus(retention_.Completed(*head_, published.manifest, false), "found again");
    return Status::Ok();
  }
  void Collect() { IgnoreStatus(retention_.CollectOrphans(*head_), "found again"); }
  void Renew() { IgnoreStatus(storage_.RenewOwner(), "a courtesy"); }

  const Head& head() const { return *head_; }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t failed_removals() const { return retention_.failed_removals(); }
  JobStorage& storage() { return storage_; }

 private:
  static PhysicalPlan PlanOfOneTask() {
    PhysicalPlan plan;
    plan.job = "job";
    PlanNode node;
    node.id = "rows";
    plan.nodes.push_back(std::move(node));
    plan.chains.push_back({0, {NodeIndex{0}}, 1});
    return plan;
  }

  const PhysicalPlan plan_ = PlanOfOneTask();
  CheckpointStore& store_;
  JobStorage storage_;
  Retention retention_;
  const std::string root_;
  std::optional<Head> head_;
  uint64_t checkpoint_ = 0, acknowledged_ = 0;
};

/// Looks at the storage as the next process would, without the proxy.
void ExpectSound(CheckpointStore& store, Env& env, uint64_t acknowledged, bool collected) {
  JobStorage storage(env, store, "job", "/nowhere");
  const std::optional<Head> head = storage.ReadHead().value();
  ASSERT_TRUE(head.has_value());
  ASSERT_GE(head->checkpoint.value, acknowledged) << "an acknowledged checkpoint is lost";
  if (head->manifest.empty()) return;
  const Result<Manifest> manifest = storage.ReadManifest(*head);
  ASSERT_TRUE(manifest.ok()) << manifest.status().ToString();
  std::set<std::string> needed = {"job/" + head->manifest};
  for (const ManifestFile& file : manifest->files) {
    const std::string name = storage.InIncarnation("u", file.name);
    const Result<std::string> bytes = store.Read(name, 0, file.bytes + 1);
    ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
    EXPECT_EQ(HashContent(*bytes).Hex(), file.hash) << name;
    needed.insert(name);
  }
  if (!collected) return;
  // Everything that the retained manifests do not name is gone.
  size_t manifests = 0;
  const std::vector<StoredFile> files = store.List("job/u/").value();
  for (const StoredFile& file : files) {
    if (!file.name.ends_with("/MANIFEST")) continue;
    ++manifests;
    needed.insert(file.name);
    const Manifest kept = DecodeManifest(store.Read(file.name, 0, file.bytes).value()).value();
    for (const ManifestFile& listed : kept.files)
      needed.insert(storage.InIncarnation("u", listed.name));
  }
  EXPECT_LE(manifests, size_t{kRetain});
  for (const StoredFile& file : files)
    EXPECT_TRUE(needed.contains(file.name)) << "an orphan: " << file.name;
}

/// Uploads in parts that versitygw keeps for a bucket.
size_t UnfinishedUploads(const S3Server& server) {
  const std::filesystem::path folder =
      std::filesystem::path(server.bucket_directory()) / ".sgwtmp" / "multipart";
  size_t count = 0;
  std::error_code error;
  for (const auto& key : std::filesystem::directory_iterator(folder, error)) {
    for (const auto& upload : std::filesystem::directory_iterator(key.path(), error))
      count += upload.is_directory() ? 1 : 0;
  }
  return count;
}

/// `large`: one of its checkpoints has a file that goes up in parts.
Status RunLife(Life& life, HttpFaultProxy& proxy, bool large) {
  WEIR_TRY(life.Start());
  for (int n = 1; n <= 4; ++n) WEIR_TRY(life.Checkpoint(large && n == 2));
  life.Renew();
  WEIR_TRY(life.TakeAttempt());
  WEIR_TRY(life.Checkpoint(false));
  proxy.Settle();
  life.Collect();
  return Status::Ok();
}

/// Numbers, hashes and tokens as '#'.
std::string WithoutNumbers(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string without;
  while (!text.empty()) {
    const size_t run = std::min(text.find_first_not_of(kDigits), text.size());
    const bool number = text.substr(0, run).find_first_of("0123456789") != std::string_view::npos;
    without += number ? std::string_view("#") : text.substr(0, run);
    text.remove_prefix(run);
    const size_t other = std::min(text.find_first_of(kDigits), text.size());
    without += text.substr(0, other);
    text.remove_prefix(other);
  }
  return without;
}

/// What a request below `prefix` is for: the same for those that differ in numbers only.
std::string KindOf(const ProxiedRequest& request, const std::string& prefix) {
  std::string_view rest = request.target;
  const size_t question = std::min(rest.find('?'), rest.size());
  std::string path(rest.substr(0, question));
  const std::string root = std::string("/") + S3Server::kBucket + "/" + prefix;
  if (path.starts_with(root)) path.erase(0, root.size());
  std::string kind = request.method + " " + WithoutNumbers(path);
  rest.remove_prefix(question);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view parameter = rest.substr(0, rest.find('&'));
    rest.remove_prefix(parameter.size());
    const std::string_view name = parameter.substr(0, parameter.find('='));
    std::string value(parameter.substr(std::min(name.size() + 1, parameter.size())));
    kind += " " + std::string(name);
    if (name == "partNumber") kind += "=" + value;
    if (name != "prefix") continue;
    for (size_t at = 0; (at = value.find("%2F", at)) != std::string::npos;)
      value.replace(at, 3, "/");
    if (value.starts_with(prefix)) value.erase(0, prefix.size());
    kind += "=" + WithoutNumbers(value);
  }
  return kind;
}

TEST_F(S3Faults, NoSingleOneOfThemHarmsAnything) {
  // How often each kind of request comes in a life without faults.
  using Kinds = std::map<std::string, uint64_t>;
  const auto kinds_of = [this](bool large) {
    Kinds kinds;
    const std::string prefix = NewPrefix();
    const auto store = Open(proxy_->endpoint(), prefix);
    proxy_->SetPlan([&](const ProxiedRequest& request) {
      ++kinds[KindOf(request, prefix)];
      return HttpFault::kNone;
    });
    Life life(*env_, *store, root_);
    const Status status = RunLife(life, *proxy_, large);
    EXPECT_TRUE(status.ok()) << status.ToString();
    proxy_->SetPlan({});
    ExpectSound(*OpenDirectly(prefix), *env_, 5, true);
    return kinds;
  };
  struct Place {
    std::string kind;
    uint64_t occurrence;
    HttpFault fault;
    bool large;
  };
  std::vector<Place> places;
  const char* const wish = std::getenv("WEIR_S3_FAULTS");
  const bool all = wish != nullptr && std::string_view(wish) == "all";
  const Kinds small = all ? Kinds() : kinds_of(false), large = kinds_of(true);
  // Each kind meets each fault, most in a life without the large file: it is what takes the time.
  for (const auto& [kind, times_in_large] : large) {
    const auto found = small.find(kind);
    const bool needs_large = found == small.end();
    const uint64_t times = needs_large ? times_in_large : found->second;
    for (uint64_t nth = 0; nth < std::size(kHttpFaults); ++nth) {
      for (uint64_t occurrence = 1; occurrence <= times; ++occurrence) {
        if (all || times <= 2 || occurrence == 1 + nth % times)
          places.push_back({kind, occurrence, kHttpFaults[nth], needs_large});
      }
    }
  }
  EXPECT_GE(places.size(), 200U);
  for (const Place& place : places) {
    SCOPED_TRACE(std::string(HttpFaultName(place.fault)) + " at number " +
                 std::to_string(place.occurrence) + " of " + place.kind);
    const std::string prefix = NewPrefix();
    const auto store = Open(proxy_->endpoint(), prefix);
    uint64_t met = 0;  // the plan has one caller at a time
    proxy_->SetPlan([&](const ProxiedRequest& request) {
      const bool here = KindOf(request, prefix) == place.kind && ++met == place.occurrence;
      return here ? place.fault : HttpFault::kNone;
    });
    const size_t uploads = UnfinishedUploads(*server_);
    Life life(*env_, *store, root_);
    const Status status = RunLife(life, *proxy_, place.large);
    ASSERT_TRUE(status.ok()) << status.ToString();
    EXPECT_EQ(life.acknowledged(), 5U);
    EXPECT_EQ(life.failed_removals(), 0U);
    EXPECT_EQ(proxy_->faults(), 1U);
    proxy_->SetPlan({});
    ExpectSound(*OpenDirectly(prefix), *env_, 5, true);
    // A part that arrives while its upload is being completed may stay in versitygw's own folder,
    // of which no request knows.
    if (place.fault != HttpFault::kDelayed) {
      ASSERT_EQ(UnfinishedUploads(*server_), uploads);
    }
    if (HasFailure()) return;
  }
  RecordProperty("places", static_cast<int>(places.size()));
  std::printf("%zu kinds of requests, %zu places\n", large.size(), places.size());
}

TEST_F(S3Faults, AHeadWhoseAnswerWasLostIsGoneOnFrom) {
  // From some request on the network is gone until the call gives up; the first of them may have
  // been carried out, at once or later.
  for (const HttpFault first :
       {HttpFault::kCutAfter, HttpFault::kErrorAfter, HttpFault::kDelayed, HttpFault::kCutBefore}) {
    for (const bool restart : {false, true}) {
      for (int nth = 1; nth <= 3; ++nth) {
        SCOPED_TRACE(std::string(HttpFaultName(first)) + ", HEAD number " + std::to_string(nth) +
                     (restart ? ", restart" : ""));
        const std::string prefix = NewPrefix();
        const auto store = Open(proxy_->endpoint(), prefix, Milliseconds(120));
        Life life(*env_, *store, root_);
        proxy_->SetPlan({});
        ASSERT_TRUE(life.Start().ok());
        ASSERT_TRUE(life.Checkpoint(false).ok());
        std::atomic<bool> gone{false};
        std::atomic<int> heads{0};
        proxy_->SetPlan([&](const ProxiedRequest& request) {
          if (gone) return HttpFault::kCutBefore;
          if (request.method != "PUT" || request.target.find("/HEAD.") == std::string::npos ||
              ++heads != nth)
            return HttpFault::kNone;
          gone = true;
          return first;
        });
        Status failed;
        while (failed.ok()) failed = life.Checkpoint(false);
        EXPECT_NE(failed.code(), Code::kFenced) << failed.ToString();
        EXPECT_NE(failed.code(), Code::kAlreadyExists) << failed.ToString();
        proxy_->SetPlan({});
        const uint64_t acknowledged = life.acknowledged();
        ExpectSound(*OpenDirectly(prefix), *env_, acknowledged, false);
        if (restart) {
          const Status taken = life.TakeAttempt();
          ASSERT_TRUE(taken.ok()) << taken.ToString();
        }
        const Status next = life.Checkpoint(false);
        ASSERT_TRUE(next.ok()) << next.ToString();
        EXPECT_GT(life.acknowledged(), acknowledged + 1) << "ids of given up checkpoints rest";
        life.Collect();
        ExpectSound(*OpenDirectly(prefix), *env_, life.acknowledged(), true);
        JobStorage seen(*env_, *store, "job", "/nowhere");
        EXPECT_EQ(seen.ReadHead().value()->checkpoint.value, life.acknowledged());
      }
    }
  }
}

TEST_F(S3Faults, OneOfTwoProcessesWinsWhateverIsLost) {
  for (const HttpFault fault : kHttpFaults) {
    for (int round = 1; round <= 3; ++round) {
      SCOPED_TRACE(std::string(HttpFaultName(fault)) + " round " + std::to_string(round));
      const std::string prefix = NewPrefix();
      const auto first_store = Open(proxy_->endpoint(), prefix);
      const auto second_store = Open(proxy_->endpoint(), prefix);
      proxy_->SetPlan({});
      Life first(*env_, *first_store, root_);
      ASSERT_TRUE(first.Start().ok());
      ASSERT_TRUE(first.Checkpoint(false).ok());
      // Each sends its next HEAD, and of each the first `round` tries are harmed.
      std::atomic<int> heads{0};
      proxy_->SetPlan([&](const ProxiedRequest& request) {
        const bool head =
            request.method == "PUT" && request.target.find("/HEAD.") != std::string::npos;
        return head && ++heads <= round ? fault : HttpFault::kNone;
      });
      Life second(*env_, *second_store, root_);
      const Status taken = second.TakeAttempt();
      ASSERT_TRUE(taken.ok()) << taken.ToString();
      const uint64_t faults = proxy_->faults();
      EXPECT_GE(faults, 1U) << "of the winner";
      heads = 0;
      const Status late = first.Checkpoint(false);
      EXPECT_EQ(late.code(), Code::kFenced) << late.ToString();
      EXPECT_GE(proxy_->faults(), faults + 1) << "of the loser";
      ASSERT_TRUE(second.Checkpoint(false).ok());
      proxy_->SetPlan({});
      ExpectSound(*OpenDirectly(prefix), *env_, second.acknowledged(), false);
      JobStorage seen(*env_, *second_store, "job", "/nowhere");
      EXPECT_EQ(seen.ReadHead().value()->attempt.value, 2U);
    }
  }
}

TEST_F(S3Faults, OneOfTwoAtTheSameTimeWinsWhateverIsLost) {
  for (const HttpFault fault : kHttpFaults) {
    for (int harmed = 1; harmed <= 3; ++harmed) {
      SCOPED_TRACE(std::string(HttpFaultName(fault)) + ", " + std::to_string(harmed) + " harmed");
      const std::string prefix = NewPrefix();
      const auto first_store = Open(proxy_->endpoint(), prefix);
      const auto second_store = Open(proxy_->endpoint(), prefix);
      proxy_->SetPlan({});
      Life life(*env_, *first_store, root_);
      ASSERT_TRUE(life.Start().ok());
      std::atomic<int> heads{0};
      proxy_->SetPlan([&](const ProxiedRequest& request) {
        const bool head =
            request.method == "PUT" && request.target.find("/HEAD.") != std::string::npos;
        return head && ++heads <= harmed ? fault : HttpFault::kNone;
      });
      std::barrier together(2);
      const auto advance = [&](CheckpointStore& store) {
        JobStorage storage(*env_, store, "job", root_ + "/state");
        Head next = life.head();
        ++next.attempt.value;
        together.arrive_and_wait();
        return storage.Advance(life.head(), next);
      };
      std::optional<Result<Head>> first, second;
      std::thread other([&] { second = advance(*second_store); });
      first = advance(*first_store);
      other.join();
      EXPECT_GE(proxy_->faults(), 1U);
      proxy_->SetPlan({});
      ASSERT_NE(first->ok(), second->ok());
      const Result<Head>& winner = first->ok() ? *first : *second;
      const Result<Head>& loser = first->ok() ? *second : *first;
      EXPECT_EQ(loser.status().code(), Code::kFenced) << loser.status().ToString();
      const auto store = OpenDirectly(prefix);
      JobStorage seen(*env_, *store, "job", "/nowhere");
      EXPECT_EQ(seen.ReadHead().value()->token, winner->token);
    }
  }
}

TEST_F(S3Faults, UploadsOfAProcessThatDiedAreTakenBack) {
  const std::string prefix = NewPrefix();
  const size_t uploads = UnfinishedUploads(*server_);
  const auto store = Open(proxy_->endpoint(), prefix, Milliseconds(100));
  // Neither the end of the upload nor its abort comes through.
  proxy_->SetPlan([](const ProxiedRequest& request) {
    return request.target.find("uploadId=") != std::string::npos ? HttpFault::kCutBefore
                                                                 : HttpFault::kNone;
  });
  EXPECT_FALSE(store->Adopt(root_ + "/large", "job/u/shared/large").ok());
  ASSERT_EQ(UnfinishedUploads(*server_), uploads + 1);
  proxy_->SetPlan({});
  const auto next = OpenDirectly(prefix);
  ASSERT_TRUE(next->RemoveUnfinished("other/").ok());
  EXPECT_EQ(UnfinishedUploads(*server_), uploads + 1) << "another job's prefix";
  ASSERT_TRUE(next->RemoveUnfinished("job/").ok());
  EXPECT_EQ(UnfinishedUploads(*server_), uploads);
  EXPECT_TRUE(next->List("").value().empty());
}

TEST_F(S3Faults, AServerKilledAndStartedAgainKeepsWhatItHasAcknowledged) {
  const std::unique_ptr<S3Server> server = S3Server::Start().value();
  state::S3Options options;
  options.endpoint = server->endpoint();
  options.key_id = S3Server::kKeyId;
  options.secret_key = Secret(S3Server::kSecretKey);
  const auto store =
      state::OpenS3Store(*env_, net::MakeHttpClient({}),
                         std::string("s3://") + S3Server::kBucket + "/killed", options)
          .value();
  Life life(*env_, *store, root_);
  ASSERT_TRUE(life.Start().ok());
  for (int n = 0; n < 3; ++n) {
    ASSERT_TRUE(life.Checkpoint(false).ok());
    server->Kill();
    ASSERT_TRUE(server->Restart().ok());
    ExpectSound(*store, *env_, life.acknowledged(), false);
  }
}

}  // namespace
}  // namespace weir::control
