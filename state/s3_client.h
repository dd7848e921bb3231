#pragma once
// S3Client: signed requests to one bucket, tried again as S3 asks for: overload, 5xx and requests
// without an answer with growing pauses until the operation's deadline, expired keys with new ones.
// P, several threads. An answer is final: success, or a refusal that another try would not change.
// No answer within the deadline is a Status (kUnavailable, kCancelled): the server may have carried
// the request out, or may still do so.

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "engine/api/clients.h"
#include "engine/base/env.h"
#include "state/s3_credentials.h"
#include "state/s3_signature.h"
#include "state/state.h"

namespace weir::state {

/// The part of a call of CheckpointStore that its requests share.
struct S3Operation {
  Duration deadline;
  uint64_t interrupts = 0;
};

struct S3Request {
  std::string method;
  std::string key;  // empty: the bucket
  std::vector<NamedText> query = {}, headers = {};
  std::string_view body = {};
  HttpFilePart file = {};
  size_t answer_bytes_max = size_t{1} << 20;
  /// The root element of a success's body. Without it nothing is known: S3 may answer 200 before it
  /// knows itself how the request ends, and then says an error, or breaks off. Empty: a 2xx will
  /// do.
  std::string_view root = {};
};

struct S3Answer {
  HttpResponse http;
  std::string code, message;  // of an error
  bool ok() const { return http.status >= 200 && http.status < 300 && code.empty(); }
};

class S3Client {
 public:
  /// `env` and `http` must outlive it.
  S3Client(Env& env, HttpClient& http, std::string bucket, S3Options options);

  S3Operation Begin() const;
  /// A further piece of the same call: with the patience of a call of its own, but ended by the
  /// interrupt that ends `operation`, also one that came between the pieces.
  S3Operation Continue(const S3Operation& operation) const {
    return {Begin().deadline, operation.interrupts};
  }
  /// As Continue, after something has arrived: with `patience` from now on, if that is more.
  S3Operation Renew(const S3Operation& operation, Duration patience) const {
    return {std::max(Begin().deadline, env_.Steady() + patience), operation.interrupts};
  }
  void RetryUntil(Duration deadline) { retry_until_us_.store(deadline.us); }  // A
  void Interrupt() { http_.Interrupt(); }                                     // A

  /// An error names the request's object.
  Result<S3Answer> Send(const S3Operation& operation, const S3Request& request);
  /// What a refusal means, for a person: names bucket, endpoint and key id, never a secret.
  Status ErrorOf(const S3Answer& answer) const;

  const std::string& endpoint() const { return endpoint_; }
  /// "s3://bucket/key", as messages name an object.
  std::string NameOf(const std::string& key) const { return "s3://" + bucket_ + "/" + key; }

 private:
  /// An error without the name of what was asked for.
  Result<S3Answer> SendUnnamed(const S3Operation& operation, const S3Request& request);
  struct Try {
    Status status;  // of no answer, or why the answer asks for another try
    S3Answer answer;
    bool again = false, fresh_keys = false;
  };
  Try SendOnce(const S3Operation& operation, const S3Request& request,
               const std::string& payload_sha256);
  std::string KeyId() const;

  Env& env_;
  HttpClient& http_;
  const std::string bucket_;
  const S3Options options_;
  std::string endpoint_;     // as messages name it
  std::string base_, host_;  // "https://bucket.host" and what the Host header says
  std::string path_;         // "/bucket" or ""
  S3CredentialSource credentials_;
  std::atomic<int64_t> retry_until_us_{0};
  mutable std::mutex mutex_;
  std::string key_id_;  // guarded by mutex_: of the last request, for messages
};

}  // namespace weir::state
