#pragma once
// S3Credentials from where S3Options say: handed in, a credentials file, or the token of a web
// identity (a pod's service account) exchanged for keys at the security token service. Keys are
// kept until shortly before they expire. P, several threads. Errors: kPermissionDenied when they
// cannot be had, with what was asked and where; kUnavailable when it may work later. Messages hold
// no secret.

#include <mutex>
#include <optional>

#include "engine/api/clients.h"
#include "engine/base/env.h"
#include "state/s3_signature.h"
#include "state/state.h"

namespace weir::state {

class S3CredentialSource {
 public:
  /// All must outlive it.
  S3CredentialSource(Env& env, HttpClient& http, const S3Options& options)
      : env_(env), http_(http), options_(options) {}

  Result<S3Credentials> Get(uint64_t interrupts);
  /// The server says that they are no longer good. False: asking again would give the same ones.
  bool Refused(const S3Credentials& credentials);

 private:
  Result<S3Credentials> FromFile();
  Result<S3Credentials> FromWebIdentity(uint64_t interrupts);

  Env& env_;
  HttpClient& http_;
  const S3Options& options_;
  // Held while keys are fetched: whoever else asks needs the same ones.
  std::mutex mutex_;
  std::optional<S3Credentials> kept_;  // guarded by mutex_
  EventTime refresh_at_{};             // guarded by mutex_
};

}  // namespace weir::state
