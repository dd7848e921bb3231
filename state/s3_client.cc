#include "state/s3_client.h"

#include <algorithm>

#include "engine/base/bytes.h"
#include "engine/base/escape.h"
#include "engine/base/log.h"
#include "engine/base/sha256.h"
#include "state/s3_xml.h"

namespace weir::state {
namespace {

constexpr Duration kPauseFirst = Milliseconds(50), kPauseMost = Seconds(5);
// Of one try, the second where the operation's deadline is near; for a body comes more.
constexpr Duration kCallTime = Seconds(30), kCallTimeLeast = Seconds(10);
constexpr uint64_t kBodyBytesPerSecondLeast = uint64_t{256} << 10;
constexpr size_t kHashBlockBytes = size_t{256} << 10;
constexpr size_t kMessageBytesMax = 300;

Result<std::string> HashOfFile(const HttpFilePart& part) {
  Sha256 digest;
  std::string block(std::min<uint64_t>(kHashBlockBytes, part.bytes), '\0');
  for (uint64_t done = 0; done < part.bytes;) {
    const size_t wanted = std::min<uint64_t>(block.size(), part.bytes - done);
    WEIR_ASSIGN(const size_t read, part.file->Read(part.offset + done, {block.data(), wanted}));
    if (read != wanted) return Status(Code::kCorruption, "a file to upload is shorter than it was");
    digest.Update(std::string_view(block.data(), read));
    done += read;
  }
  return HexOf(digest.Digest());
}

/// Refusals that another try may change.
bool IsTransient(int status, std::string_view code) {
  if (status == 429 || status == 500 || status == 502 || status == 503 || status == 504)
    return true;
  for (const std::string_view transient :
       {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted",
        "ConditionalRequestConflict", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"}) {
    if (code == transient) return true;
  }
  return false;
}

bool IsAboutKeys(std::string_view code) {
  return code == "ExpiredToken" || code == "TokenRefreshRequired" || code == "InvalidToken" ||
         code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch";
}

}  // namespace

S3Client::S3Client(Env& env, HttpClient& http, std::string bucket, S3Options options)
    : env_(env),
      http_(http),
      bucket_(std::move(bucket)),
      options_(std::move(options)),
      credentials_(env, http, options_) {
  endpoint_ = options_.endpoint.empty() ? "https://s3." + options_.region + ".amazonaws.com"
                                        : options_.endpoint;
  const size_t host = endpoint_.find("://") + 3;
  host_ = endpoint_.substr(host);
  base_ = endpoint_;
  // A name with dots does not match the certificate of *.host.
  if (options_.path_style.value_or(!options_.endpoint.empty() ||
                                   bucket_.find('.') != std::string::npos)) {
    path_ = "/" + bucket_;
  } else {
    host_ = bucket_ + "." + host_;
    base_ = endpoint_.substr(0, host) + host_;
  }
}

S3Operation S3Client::Begin() const {
  const Duration least = env_.Steady() + options_.retry_least;
  return {std::max(least, Duration{retry_until_us_.load()}), http_.interrupts()};
}

Result<S3Answer> S3Client::Send(const S3Operation& operation, const S3Request& request) {
  Result<S3Answer> answer = SendUnnamed(operation, request);
  if (answer.ok() || request.key.empty()) return answer;
  return answer.status().At(NameOf(request.key));
}

Result<S3Answer> S3Client::SendUnnamed(const S3Operation& operation, const S3Request& request) {
  std::string payload_sha256;
  if (request.file.file != nullptr) {
    WEIR_ASSIGN(payload_sha256, HashOfFile(request.file));
  } else {
    payload_sha256 = Sha256Hex(request.body);
  }
  bool fresh_keys = false;
  Duration pause = kPauseFirst;
  for (int tries = 1;; ++tries) {
    Try once = SendOnce(operation, request, payload_sha256);
    if (once.fresh_keys && !fresh_keys) {
      fresh_keys = true;  // what was refused has changed nothing
      continue;
    }
    if (!once.again) {
      if (!once.status.ok()) return once.status;
      return std::move(once.answer);
    }
    // Between half and the whole of the pause, so that tasks do not come back all at once.
    const Duration jittered{
        pause.us / 2 + static_cast<int64_t>(env_.Random() % static_cast<uint64_t>(pause.us / 2))};
    if (env_.Steady() + jittered >= operation.deadline) {
      return Status(Code::kUnavailable,
                    once.status.message() + " (tried " + std::to_string(tries) + " times)",
                    Fault::kExternal, Retry::kBackoff);
    }
    WEIR_LOG_EVERY_MS(5'000, kWarn, "S3 does not answer as it should; trying again",
                      {"method", request.method}, {"key", request.key},
                      {"error", once.status.message()});
    if (!http_.Pause(jittered, operation.interrupts))
      return Status(Code::kCancelled, endpoint_ + ": interrupted");
    pause = std::min(pause + pause, kPauseMost);
  }
}

S3Client::Try S3Client::SendOnce(const S3Operation& operation, const S3Request& request,
                                 const std::string& payload_sha256) {
  Try once;
  Result<S3Credentials> keys = credentials_.Get(operation.interrupts);
  if (!keys.ok()) {
    once.status = keys.status();
    once.again = keys.status().retry() == Retry::kBackoff;
    return once;
  }
  {
    const std::lock_guard lock(mutex_);
    key_id_ = keys->key_id;
  }
  S3Message message;
  message.method = request.method;
  message.path = path_ + "/" + request.key;
  message.query = request.query;
  message.headers = request.headers;
  message.headers.emplace_back("host", host_);
  message.payload_sha256 = payload_sha256;
  Sign(message, *keys, {options_.region}, env_.Now());

  HttpRequest http;
  http.method = request.method;
  http.url = base_ + UriEncode(message.path, true);
  if (!request.query.empty()) http.url += "?" + CanonicalQuery(request.query);
  http.headers = std::move(message.headers);
  http.body = request.body;
  http.file = request.file;
  http.answer_bytes_max = request.answer_bytes_max;
  http.interrupts = operation.interrupts;
  const uint64_t bytes =
      std::max<uint64_t>(request.body.size(), request.file.bytes) + request.answer_bytes_max;
  const Duration for_body = Seconds(static_cast<int64_t>(bytes / kBodyBytesPerSecondLeast));
  const Duration left = operation.deadline - env_.Steady();
  Result<HttpResponse> answer =
      http_.Call(http, std::clamp(left, kCallTimeLeast + for_body, kCallTime + for_body));
  if (!answer.ok()) {
    once.status = answer.status();
    once.again =
        answer.status().code() == Code::kUnavailable || answer.status().code() == Code::kTimedOut;
    return once;
  }
  once.answer.http = std::move(answer).value();
  const HttpResponse& response = once.answer.http;
  const bool success = response.status >= 200 && response.status < 300;
  bool said = true;
  if (!success || !request.root.empty()) {
    const Result<XmlElement> xml = ParseXml(response.body);
    const XmlElement* error = !xml.ok()              ? nullptr
                              : xml->name == "Error" ? &*xml
                                                     : xml->Find("Error");
    if (error != nullptr) {
      once.answer.code = error->TextOf("Code");
      once.answer.message = error->TextOf("Message");
    }
    said = !success || !once.answer.code.empty() || (xml.ok() && xml->name == request.root);
  }
  if (!said) {
    once.status =
        Status(Code::kUnavailable,
               "S3 bucket '" + bucket_ + "' at " + endpoint_ + ": " +
                   std::to_string(response.status) + " without a " + std::string(request.root),
               Fault::kExternal, Retry::kBackoff);
    once.again = true;
    return once;
  }
  if (once.answer.ok()) return once;
  // A refused HEAD cannot say why: its answer has no body. It may be about the keys.
  const bool about_keys =
      IsAboutKeys(once.answer.code) || (request.method == "HEAD" && once.answer.code.empty());
  if ((response.status == 403 || response.status == 400) && about_keys)
    once.fresh_keys = credentials_.Refused(*keys);
  once.again = IsTransient(response.status, once.answer.code);
  if (once.again) once.status = ErrorOf(once.answer);
  return once;
}

std::string S3Client::KeyId() const {
  const std::lock_guard lock(mutex_);
  return key_id_;
}

Status S3Client::ErrorOf(const S3Answer& answer) const {
  const int status = answer.http.status;
  const std::string said =
      std::to_string(status) +
      (answer.code.empty() ? std::string() : " " + OneLine(answer.code, kMessageBytesMax)) +
      (answer.message.empty() ? std::string() : ": " + OneLine(answer.message, kMessageBytesMax));
  const std::string where = "S3 bucket '" + bucket_ + "' at " + endpoint_;
  const std::string region(answer.http.header("x-amz-bucket-region"));
  if (status == 301 || status == 307 || answer.code == "AuthorizationHeaderMalformed" ||
      answer.code == "IncorrectEndpoint") {
    return Status(Code::kUnavailable,
                  where + ": " + said + ". The region '" + options_.region +
                      "' is not the bucket's: set --s3-region" +
                      (region.empty() ? std::string() : " " + OneLine(region, kMessageBytesMax)) +
                      ", and --s3-endpoint if it is not Amazon's",
                  Fault::kUser, Retry::kNever);
  }
  if (answer.code == "NoSuchBucket")
    return Status(Code::kUnavailable, where + ": there is no such bucket; Weir does not make it",
                  Fault::kUser, Retry::kNever);
  if (answer.code == "RequestTimeTooSkewed")
    return Status(Code::kPermissionDenied, where + ": " + said + ". Set this machine's clock");
  if (status == 401 || status == 403) {
    return Status(Code::kPermissionDenied,
                  where + " refuses access key '" + KeyId() + "': " + said +
                      ". Check the key, its secret, and that it may get, put, delete and list");
  }
  if (status == 404) return Status(Code::kNotFound, where + ": " + said);
  if (status == 412) return Status(Code::kAlreadyExists, where + ": " + said);
  if (IsTransient(status, answer.code))
    return Status(Code::kUnavailable, where + ": " + said, Fault::kExternal, Retry::kBackoff);
  return Status(Code::kIo, where + ": " + said);
}

}  // namespace weir::state
