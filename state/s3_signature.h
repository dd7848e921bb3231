#pragma once
// Signature Version 4 of Amazon Web Services: what proves to an S3 server who sent a request and
// that nobody has changed it. Pure functions; any thread. The payload is always signed by its
// SHA-256, so a body that was damaged on the way is refused by the server.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/secret.h"
#include "engine/base/time.h"

namespace weir::state {

using NamedText = std::pair<std::string, std::string>;

struct S3Credentials {
  std::string key_id;
  Secret secret_key, session_token;  // no token: they do not expire
  EventTime expires = EventTime::Max();
};

/// What is signed. Values are as they are before encoding.
struct S3Message {
  std::string method;
  std::string path;                // "/bucket/a key"
  std::vector<NamedText> query;    // in any order
  std::vector<NamedText> headers;  // names in lower case, `host` among them; all are signed
  std::string payload_sha256;      // 64 hex digits
};

struct S3Scope {
  std::string region, service = "s3";
};

/// Percent-encoding of all but A-Z a-z 0-9 - . _ ~ and, if told so, the slash.
std::string UriEncode(std::string_view text, bool keep_slash);
/// "a=1&b=", sorted and encoded: also what stands in the URL.
std::string CanonicalQuery(std::vector<NamedText> query);
/// Of the method, path, query, headers and payload: what the string to sign hashes.
std::string CanonicalRequest(const S3Message& message);
/// Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and authorization to the headers.
void Sign(S3Message& message, const S3Credentials& credentials, const S3Scope& scope,
          EventTime now);

}  // namespace weir::state
