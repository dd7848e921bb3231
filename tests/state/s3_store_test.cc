// What the S3 store makes of answers that a real server seldom gives: a scripted HttpClient instead
// of one. Everything else runs against a real server (checkpoint_store_test.cc, tests/control).

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>

#include "engine/base/sha256.h"
#include "engine/data/civil_time.h"
#include "tests/state/machine.h"

namespace weir::state {
namespace {

class WallClockEnv final : public SteppedEnv {
 public:
  using SteppedEnv::SteppedEnv;
  EventTime Now() override { return now; }
  Duration Steady() override { return steady ? *steady : SteppedEnv::Steady(); }
  EventTime now{*ParseTimestamp("2026-01-01T00:00:00Z")};
  std::optional<Duration> steady;  // the real one until it is set
};

/// What went over the wire, without views into memory that is gone.
struct Seen {
  std::string method, url, body;
  std::map<std::string, std::string> headers;
};

class ScriptedHttp final : public HttpClient {
 public:
  using Answer = std::function<Result<HttpResponse>(const Seen&)>;
  ScriptedHttp(Answer answer, std::vector<Seen>& seen) : answer_(std::move(answer)), seen_(seen) {}
  Result<HttpResponse> Call(const HttpRequest& request, Duration) override {
    if (request.interrupts != interrupts_) return Status(Code::kCancelled, "interrupted");
    Seen seen{request.method, request.url, std::string(request.body), {}};
    for (const auto& [name, value] : request.headers) seen.headers[name] = value;
    seen_.push_back(seen);
    return answer_(seen);
  }
  bool Pause(Duration, uint64_t interrupts) override { return interrupts == interrupts_; }
  uint64_t interrupts() const override { return interrupts_; }
  void Interrupt() override { ++interrupts_; }

 private:
  uint64_t interrupts_ = 0;
  const Answer answer_;
  std::vector<Seen>& seen_;
};

HttpResponse Plain(int status, std::string body = "") { return {status, std::move(body), {}}; }
HttpResponse Error(int status, const std::string& code) {
  return Plain(status, "<?xml version=\"1.0\"?><Error><Code>" + code +
                           "</Code><Message>of the server</Message></Error>");
}

constexpr const char* kBegun =
    "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>";

class S3Store : public testing::Test {
 protected:
  S3Store() {
    options_.key_id = "AKIAEXAMPLE";
    options_.secret_key = Secret("s3cret-key");
    options_.retry_least = Seconds(2);
  }
  std::unique_ptr<CheckpointStore> Open(ScriptedHttp::Answer answer,
                                        std::string_view uri = "s3://bucket/a/prefix") {
    return OpenS3Store(env_, std::make_unique<ScriptedHttp>(std::move(answer), seen_), uri,
                       options_)
        .value();
  }
  Status Bad(std::string_view uri) {
    return OpenS3Store(env_, std::make_unique<ScriptedHttp>(nullptr, seen_), uri, options_)
        .status();
  }

  TestDirectory directory_;
  const std::unique_ptr<Env> files_ = MakePosixEnv(1);
  WallClockEnv env_{*files_};
  S3Options options_;
  std::vector<Seen> seen_;
};

TEST_F(S3Store, RefusesAServerThatIgnoresTheCondition) {
  std::string object;
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "PUT") object = seen.body;
    return Plain(200, seen.method == "GET" ? object : "");
  });
  const Status status = store->Probe();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.retry(), Retry::kNever);
  for (const char* part : {"If-None-Match", "s3://bucket/a/prefix", "amazonaws.com", "file://"})
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST_F(S3Store, RefusesAServerThatDoesNotKnowTheCondition) {
  const auto store = Open([](const Seen&) { return Error(501, "NotImplemented"); });
  EXPECT_EQ(store->Probe().code(), Code::kUnavailable);
  EXPECT_EQ(seen_.size(), 1U);
}

TEST_F(S3Store, NamesTheKeyAndTheServerAndNoSecret) {
  options_.endpoint = "https://minio.example:9000";
  const auto store = Open([](const Seen&) { return Error(403, "SignatureDoesNotMatch"); });
  const Status status = store->Probe();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  for (const char* part : {"AKIAEXAMPLE", "https://minio.example:9000", "bucket", "of the server"})
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  EXPECT_EQ(status.message().find("s3cret-key"), std::string::npos);
  EXPECT_EQ(seen_.size(), 1U) << "another try would be refused too";
}

TEST_F(S3Store, TellsAMissingBucketFromAMissingFile) {
  auto store = Open([](const Seen&) { return Error(404, "NoSuchBucket"); });
  EXPECT_EQ(store->Read("name", 0, 1).status().code(), Code::kUnavailable);
  EXPECT_EQ(store->Remove("name").code(), Code::kUnavailable);
  const Path local = directory_.path() + "/local";
  ASSERT_TRUE(WriteFileDurably(env_, local, "content").ok());
  store = Open([](const Seen& seen) {  // the answer to a HEAD has no body
    return seen.method == "HEAD" ? Plain(404) : Error(404, "NoSuchBucket");
  });
  EXPECT_EQ(store->Size("name").status().code(), Code::kUnavailable);
  EXPECT_EQ(store->Fetch("name", 7, local + ".fetched").status().code(), Code::kUnavailable);
  EXPECT_EQ(store->Adopt(local, "name").code(), Code::kUnavailable);
  store = Open([](const Seen& seen) {
    return seen.method == "HEAD" ? Plain(404) : Error(404, "NoSuchKey");
  });
  EXPECT_EQ(store->Size("name").status().code(), Code::kNotFound);
  EXPECT_EQ(store->Fetch("name", 7, local + ".fetched").status().code(), Code::kNotFound);
  store = Open([](const Seen&) { return Error(404, "NoSuchKey"); });
  EXPECT_EQ(store->Read("name", 0, 1).status().code(), Code::kNotFound);
  EXPECT_TRUE(store->Remove("name").ok());
  store = Open([](const Seen&) -> Result<HttpResponse> {
    HttpResponse moved = Error(301, "PermanentRedirect");
    moved.headers = {{"x-amz-bucket-region", "eu-west-1"}};
    return moved;
  });
  const Status status = store->Read("name", 0, 1).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.retry(), Retry::kNever);
  EXPECT_NE(status.message().find("--s3-region eu-west-1"), std::string::npos) << status.message();
}

TEST_F(S3Store, FindsTheServer) {
  const auto url = [this](std::string_view uri) {
    const auto store = Open([](const Seen&) { return Plain(200); }, uri);
    EXPECT_TRUE(store->Put("a b", "x").ok());
    EXPECT_EQ(seen_.back().headers["x-amz-content-sha256"].size(), 64U);
    return seen_.back().url + " " + seen_.back().headers["host"];
  };
  EXPECT_EQ(url("s3://bucket/p"),
            "https://bucket.s3.us-east-1.amazonaws.com/p/a%20b bucket.s3.us-east-1.amazonaws.com");
  EXPECT_EQ(url("s3://bu.cket/p/"),
            "https://s3.us-east-1.amazonaws.com/bu.cket/p/a%20b s3.us-east-1.amazonaws.com")
      << "its name would not fit the certificate";
  options_.endpoint = "http://h:1";
  EXPECT_EQ(url("s3://bucket"), "http://h:1/bucket/a%20b h:1");
  options_.path_style = false;
  EXPECT_EQ(url("s3://bucket"), "http://bucket.h:1/a%20b bucket.h:1");
}

TEST_F(S3Store, RefusesOptionsThatMakeNoSense) {
  for (const char* uri : {"s3://", "s3://a", "s3://Bucket/x", "s3://bucket/a/../b",
                          "s3://bucket//a", "file:///x", "s3:/bucket"})
    EXPECT_EQ(Bad(uri).code(), Code::kInvalidArgument) << uri;
  const S3Options good = options_;
  for (const char* endpoint :
       {"h:1", "https://h/path", "https://", "https://user@h", "http://h?x"}) {
    options_ = good;
    options_.endpoint = endpoint;
    EXPECT_EQ(Bad("s3://bucket").code(), Code::kInvalidArgument) << endpoint;
  }
  options_ = good;
  options_.secret_key = Secret();
  EXPECT_EQ(Bad("s3://bucket").code(), Code::kInvalidArgument);
  options_ = good;
  options_.role_arn = "arn";
  EXPECT_EQ(Bad("s3://bucket").code(), Code::kInvalidArgument);
}

TEST_F(S3Store, TriesAgainWhatMayChange) {
  for (const int status : {429, 500, 502, 503, 504}) {
    int calls = 0;
    const auto store = Open([&](const Seen&) -> Result<HttpResponse> {
      return ++calls < 4 ? Plain(status) : Plain(200);
    });
    EXPECT_TRUE(store->Put("name", "x").ok()) << status;
    EXPECT_EQ(calls, 4);
  }
  const auto store = Open([](const Seen&) { return Error(503, "SlowDown"); });
  const Status status = store->Put("name", "x");
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.retry(), Retry::kBackoff);
  EXPECT_NE(status.message().find("SlowDown"), std::string::npos) << status.message();
}

TEST_F(S3Store, KnowsItsOwnCreationByTheToken) {
  std::string body, token;
  int puts = 0;
  const auto lost = [&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "GET") return HttpResponse{200, body, {{"x-amz-meta-weir-token", token}}};
    if (++puts > 1) return Error(412, "PreconditionFailed");
    body = seen.body;
    token = seen.headers.at("x-amz-meta-weir-token");
    return Status(Code::kUnavailable, "cut", Fault::kExternal, Retry::kBackoff);
  };
  EXPECT_TRUE(Open(lost)->PutNew("HEAD", "content").ok());
  EXPECT_EQ(puts, 2);
  // The same content, but written by somebody else.
  const auto other = [&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "GET") return HttpResponse{200, "content", {{"x-amz-meta-weir-token", "x"}}};
    return Error(412, "PreconditionFailed");
  };
  EXPECT_EQ(Open(other)->PutNew("HEAD", "content").code(), Code::kAlreadyExists);
  // The other one has gone again.
  puts = 0;
  const auto gone = [&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "GET") return Error(404, "NoSuchKey");
    return ++puts == 1 ? Error(412, "PreconditionFailed") : Plain(200);
  };
  EXPECT_TRUE(Open(gone)->PutNew("HEAD", "content").ok());
  EXPECT_EQ(puts, 2);
  // Nothing is concluded from an answer that nobody confirms.
  const auto silent = [&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "GET")
      return Status(Code::kTimedOut, "silence", Fault::kExternal, Retry::kBackoff);
    return Error(412, "PreconditionFailed");
  };
  EXPECT_EQ(Open(silent)->PutNew("HEAD", "content").code(), Code::kUnavailable);
}

TEST_F(S3Store, KnowsItsOwnUploadByTheToken) {
  options_.retry_least = Seconds(60);
  options_.part_bytes = size_t{5} << 20;
  const std::string large((size_t{5} << 20) + 1, 'x');
  std::string token;
  bool completed = false, aborted = false, own = true;
  int completions = 0;
  // A success that says nothing, or no longer says what went wrong.
  const char* const unclear[] = {"", "<?xml version=\"1.0\"?>  ", "<Error><Code>Intern",
                                 "<Error></Error>"};
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "POST" && seen.url.ends_with("?uploads=")) {
      token = seen.headers.at("x-amz-meta-weir-token");
      return Plain(200, kBegun);
    }
    if (seen.method == "PUT") return HttpResponse{200, "", {{"etag", "\"e\""}}};
    if (seen.method == "DELETE") {
      aborted = true;
      return Plain(204);
    }
    if (seen.method == "HEAD")
      return HttpResponse{200, "", {{"x-amz-meta-weir-token", own ? token : "another"}}};
    if (++completions == 1) return Plain(200, "<Error><Code>InternalError</Code></Error>");
    if (completions < 6) return Plain(200, unclear[completions - 2]);
    if (!completed) {
      completed = true;
      return Status(Code::kUnavailable, "cut", Fault::kExternal, Retry::kBackoff);
    }
    return Error(404, "NoSuchUpload");
  });
  EXPECT_TRUE(store->Put("large", large).ok());
  EXPECT_EQ(completions, 7);
  EXPECT_FALSE(aborted);
  own = false;
  EXPECT_EQ(store->Put("large", large).code(), Code::kNotFound)
      << "somebody has aborted it: the object is an older one";
  EXPECT_TRUE(aborted);
}

TEST_F(S3Store, TakesACompletionForWhatItSays) {
  options_.part_bytes = size_t{5} << 20;
  const std::string large((size_t{5} << 20) + 1, 'x');
  std::string said;
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.url.ends_with("?uploads=")) return Plain(200, kBegun);
    if (seen.method == "PUT") return HttpResponse{200, "", {{"etag", "\"e\""}}};
    return seen.method == "POST" ? Plain(200, said) : Plain(204);
  });
  said = "<CompleteMultipartUploadResult><Key>large</Key></CompleteMultipartUploadResult>";
  EXPECT_TRUE(store->Put("large", large).ok());
  said = "<Error><Code>InvalidPart</Code></Error>";
  const Status refused = store->Put("large", large);
  EXPECT_EQ(refused.code(), Code::kIo);
  EXPECT_NE(refused.message().find("InvalidPart"), std::string::npos) << refused.message();
  said = "<Error><Code>Intern";
  const Status unclear = store->Put("large", large);
  EXPECT_EQ(unclear.code(), Code::kUnavailable) << unclear.ToString();
  EXPECT_EQ(unclear.retry(), Retry::kBackoff);
}

// Servers of one's own have answered so: the next page would be the first one again, for ever.
TEST_F(S3Store, EndsListingsThatGoAround) {
  int pages = 0;
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    const std::string marker = ++pages % 2 == 0 ? "even" : "odd";
    if (seen.url.find("uploads=") != std::string::npos)
      return Plain(200, "<L><IsTruncated>true</IsTruncated><NextKeyMarker>a/prefix/" + marker +
                            "</NextKeyMarker><NextUploadIdMarker>1</NextUploadIdMarker></L>");
    return Plain(200, "<L><IsTruncated>true</IsTruncated><NextContinuationToken>" + marker +
                          "</NextContinuationToken></L>");
  });
  EXPECT_EQ(store->List("").status().code(), Code::kCorruption);
  EXPECT_EQ(pages, 3);
  pages = 0;
  EXPECT_EQ(store->RemoveUnfinished("").code(), Code::kCorruption);
  EXPECT_EQ(pages, 3);
}

// It says that there is more, and not where: what is left out would never be taken back.
TEST_F(S3Store, EndsListingsThatBreakOff) {
  int pages = 0;
  const auto store = Open([&](const Seen&) -> Result<HttpResponse> {
    ++pages;
    return Plain(200, "<L><IsTruncated>true</IsTruncated></L>");
  });
  for (const Status& status : {store->List("").status(), store->RemoveUnfinished("")}) {
    EXPECT_EQ(status.code(), Code::kCorruption) << status.ToString();
    EXPECT_NE(status.message().find("breaks off"), std::string::npos) << status.message();
  }
  EXPECT_EQ(pages, 2);
}

TEST_F(S3Store, NamesTheObjectWhenNothingIsAnswered) {
  const auto store = Open([](const Seen&) -> Result<HttpResponse> {
    return Status(Code::kLimit, "the answer is too long");
  });
  const auto expect_named = [](const Status& status) {
    EXPECT_EQ(status.code(), Code::kLimit);
    EXPECT_NE(status.message().find("s3://bucket/a/prefix/the/name"), std::string::npos)
        << status.message();
  };
  expect_named(store->Put("the/name", "x"));
  expect_named(store->PutNew("the/name", "x"));
  expect_named(store->Read("the/name", 0, 1).status());
  expect_named(store->Size("the/name").status());
  expect_named(store->Remove("the/name"));
}

// An interrupt also ends what a call would send next, and what comes after the interrupt is a new
// call.
TEST_F(S3Store, SendsNothingMoreAfterAnInterrupt) {
  options_.part_bytes = size_t{5} << 20;
  options_.retry_least = Seconds(3600);
  const std::string large((size_t{5} << 20) + 1, 'x');
  const Path local = directory_.path() + "/local";
  ASSERT_TRUE(WriteFileDurably(env_, local, "content").ok());
  struct Case {
    const char* what;
    std::function<Status(CheckpointStore&)> call;
    size_t answered;  // the interrupt comes while the last of these is being answered
    int status = 200;
  };
  const auto put = [&](CheckpointStore& store) { return store.Put("large", large); };
  const Case cases[] = {
      {"a pause", [](CheckpointStore& store) { return store.Put("name", "x"); }, 1, 503},
      {"before the first part", put, 1},
      {"between two parts", put, 2},
      {"before the completion", put, 3},
      {"a part that is refused", put, 2, 400},
      {"a part that is tried again", put, 2, 503},
      {"between two ranges",
       [&](CheckpointStore& store) { return store.Read("name", 0, size_t{20} << 20).status(); }, 1,
       206},
      {"between the length and the first range",
       [&](CheckpointStore& store) { return store.Fetch("name", 20, local + ".fetched").status(); },
       1},
      {"between the length and the upload",
       [&](CheckpointStore& store) { return store.Adopt(local, "name"); }, 1, 404},
      {"within the probe", [](CheckpointStore& store) { return store.Probe(); }, 3, 206},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    seen_.clear();
    bool interrupting = true;
    CheckpointStore* interrupted = nullptr;
    const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
      int status = 200;
      if (interrupting && seen_.size() == one.answered) {
        interrupted->Interrupt();
        status = one.status;
      }
      if (status >= 400) return Error(status, status == 400 ? "InvalidPart" : "SlowDown");
      if (seen.method == "GET") return Plain(206, std::string(size_t{8} << 20, 'x'));
      return HttpResponse{status,
                          seen.method == "HEAD" ? "" : kBegun,
                          {{"etag", "\"e\""}, {"content-length", "20"}}};
    });
    interrupted = store.get();
    const Status status = one.call(*store);
    EXPECT_EQ(status.code(), one.status == 400 ? Code::kIo : Code::kCancelled) << status.ToString();
    EXPECT_EQ(seen_.size(), one.answered);
    interrupting = false;
    EXPECT_TRUE(store->Put("name", "x").ok());
  }
}

// A file so large that it takes longer than a start may wait for the server.
TEST_F(S3Store, HasTimeForADownloadAsLongAsPartsArrive) {
  constexpr Duration kHiccup = Seconds(5), kPatience = Seconds(30);
  constexpr size_t kBytes = size_t{40} << 20;
  const Path local = directory_.path() + "/fetched";
  int refusals = 0, refused = 0;
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.method == "HEAD")
      return HttpResponse{200, "", {{"content-length", std::to_string(kBytes)}}};
    env_.steady = *env_.steady + kHiccup;
    if (++refused <= refusals) return Error(503, "SlowDown");
    refused = 0;
    const std::string range = seen.headers.at("range");  // "bytes=0-8388607"
    const size_t dash = range.find('-');
    const size_t first = std::stoul(range.substr(6, dash - 6)),
                 last = std::stoul(range.substr(dash + 1));
    return Plain(206, std::string(last - first + 1, 'x'));
  });
  env_.steady = Seconds(1000);
  refusals = 4;
  store->RetryUntil(*env_.steady + kPatience);
  const auto fetched = store->Fetch("name", kBytes, local);
  ASSERT_TRUE(fetched.ok()) << fetched.status().ToString();
  EXPECT_EQ(*fetched, HashContent(std::string(kBytes, 'x')));
  EXPECT_GE(*env_.steady, Seconds(1000) + kPatience + kPatience);
  refusals = 7;
  refused = 0;
  store->RetryUntil(*env_.steady + kPatience);
  EXPECT_EQ(store->Fetch("name", kBytes, local + "2").status().code(), Code::kUnavailable)
      << "none of them arrives in time";
  EXPECT_EQ(env_.Stat(local + "2").status().code(), Code::kNotFound);
}

TEST_F(S3Store, TakesKeysFromAFileAndSeesThatItChanges) {
  const Path path = directory_.path() + "/credentials";
  options_.key_id.clear();
  options_.secret_key = Secret();
  options_.credentials_file = path;
  options_.profile = "weir";
  const auto write = [&](const std::string& key) {
    ASSERT_TRUE(WriteFileDurably(env_, path,
                                 "[default]\naws_access_key_id = other\n\n[weir]\n"
                                 "aws_access_key_id=" +
                                     key + "\n aws_secret_access_key = s3cret\n")
                    .ok());
  };
  std::string refused = "OLD2";
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    const bool bad = seen.headers.at("authorization").find(refused) != std::string::npos;
    if (seen.method == "HEAD")  // without a body, so without a code
      return bad ? Plain(403) : HttpResponse{200, "", {{"content-length", "7"}}};
    return bad ? Error(403, "InvalidAccessKeyId") : Plain(200);
  });
  const auto key = [this] {
    const std::string text = seen_.back().headers["authorization"];
    const size_t begin = text.find("Credential=") + 11;
    return text.substr(begin, text.find('/') - begin);
  };
  EXPECT_EQ(store->Put("a", "").code(), Code::kNotFound) << "no such file";
  write("OLD1");
  ASSERT_TRUE(store->Put("a", "").ok());
  EXPECT_EQ(key(), "OLD1");
  write("OLD2");
  ASSERT_TRUE(store->Put("a", "").ok());
  EXPECT_EQ(key(), "OLD1") << "it is not read for every call";
  env_.now = SatAdd(env_.now, Seconds(61));
  const Status status = store->Put("a", "");
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_NE(status.message().find("OLD2"), std::string::npos) << status.message();
  write("NEW");
  ASSERT_TRUE(store->Put("a", "").ok()) << "a refusal makes it read again at once";
  EXPECT_EQ(key(), "NEW");
  write("NEWER");
  refused = "NEW/";
  const Result<uint64_t> size = store->Size("a");
  ASSERT_TRUE(size.ok()) << size.status().ToString();
  EXPECT_EQ(key(), "NEWER") << "a HEAD that is refused renews them, too";
  refused = "NEWER/";
  seen_.clear();
  EXPECT_EQ(store->Size("a").status().code(), Code::kPermissionDenied);
  EXPECT_EQ(seen_.size(), 2U) << "they are read again once";
}

TEST_F(S3Store, ExchangesTheTokenOfAWebIdentityAndRenewsInTime) {
  const Path path = directory_.path() + "/token";
  ASSERT_TRUE(WriteFileDurably(env_, path, "the-t+ken\n").ok());
  options_.key_id.clear();
  options_.secret_key = Secret();
  options_.web_identity_token_file = path;
  options_.role_arn = "arn:aws:iam::1:role/weir";
  int exchanges = 0;
  bool away = false, expired = false;
  const auto store = Open([&](const Seen& seen) -> Result<HttpResponse> {
    if (seen.url == "https://sts.us-east-1.amazonaws.com/") {
      if (away) return Error(503, "ServiceUnavailable");
      ++exchanges;
      EXPECT_EQ(seen.body,
                "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1"
                "%3Arole%2Fweir&RoleSessionName=weir&WebIdentityToken=the-t%2Bken");
      std::string until;
      AppendTimestamp(SatAdd(env_.now, Seconds(3600)).us, until);
      return Plain(200, "<A><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>K" +
                            std::to_string(exchanges) +
                            "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t" +
                            std::to_string(exchanges) + "</SessionToken><Expiration>" + until +
                            "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></A>");
    }
    EXPECT_EQ(seen.headers.at("x-amz-security-token"), "t" + std::to_string(exchanges));
    if (std::exchange(expired, false)) return Error(400, "ExpiredToken");
    return Plain(200);
  });
  ASSERT_TRUE(store->Put("a", "").ok());
  ASSERT_TRUE(store->Put("a", "").ok());
  EXPECT_EQ(exchanges, 1);
  env_.now = SatAdd(env_.now, Seconds(3600 - 299));
  ASSERT_TRUE(store->Put("a", "").ok());
  EXPECT_EQ(exchanges, 2) << "before they expire";
  env_.now = SatAdd(env_.now, Seconds(3600 - 200));
  away = true;
  ASSERT_TRUE(store->Put("a", "").ok()) << "the old ones are good for a while";
  env_.now = SatAdd(env_.now, Seconds(201));
  EXPECT_EQ(store->Put("a", "").code(), Code::kUnavailable);
  away = false;
  ASSERT_TRUE(store->Put("a", "").ok());
  EXPECT_EQ(exchanges, 3);
  expired = true;
  ASSERT_TRUE(store->Put("a", "").ok()) << "the server's clock differs";
  EXPECT_EQ(exchanges, 4);
}

TEST_F(S3Store, SaysThatThereAreNoKeys) {
  options_.key_id.clear();
  options_.secret_key = Secret();
  const Status status = Open([](const Seen&) { return Plain(200); })->Probe();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN"})
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
  EXPECT_TRUE(seen_.empty());
}

}  // namespace
}  // namespace weir::state
