#include <algorithm>
#include <charconv>
#include <mutex>
#include <set>

#include "engine/base/content_hash.h"
#include "engine/base/random_hex.h"
#include "engine/data/civil_time.h"
#include "state/s3_client.h"
#include "state/s3_xml.h"
#include "state/state.h"
#include "state/store_name.h"

namespace weir::state {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr uint64_t kPartBytesLeast = uint64_t{5} << 20, kPartBytesMost = uint64_t{1} << 30;
constexpr uint64_t kPartsMax = 10'000;               // S3's own bounds
constexpr uint64_t kRangeBytes = uint64_t{8} << 20;  // of one GET; a cut connection repeats so much
constexpr size_t kPageBytesMax = size_t{8} << 20;    // of a listing: 1000 keys of up to 1 KiB
constexpr size_t kKeysMax = 10'000'000;
constexpr size_t kNewBytesMax = size_t{1} << 20;
constexpr int kConfirmationsMax = 5;
/// Marks an object or upload as one's own, whatever its content says.
constexpr const char* kTokenHeader = "x-amz-meta-weir-token";
/// Of Probe: no job has this name.
constexpr std::string_view kProbeFolder = "storage/probe-";
constexpr Duration kProbeAgeMax = Seconds(3600);

template <class Number>
std::optional<Number> NumberOf(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

/// The reverse of encoding-type=url.
std::string UriDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr ==
            text.data() + i + 3) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

/// What an object is made of: bytes in memory, or a file.
struct Content {
  std::string_view bytes = {};
  const ReadableFile* file = nullptr;
  uint64_t size = 0;

  void PutPart(uint64_t offset, uint64_t length, S3Request& request) const {
    if (file != nullptr) {
      request.file = {file, offset, length};
    } else {
      request.body = bytes.substr(offset, length);
    }
  }
};

class S3Store final : public CheckpointStore {
 public:
  S3Store(Env& env, std::unique_ptr<HttpClient> http, std::string bucket, std::string prefix,
          const S3Options& options)
      : env_(env),
        http_(std::move(http)),
        client_(env, *http_, bucket, options),
        bucket_(std::move(bucket)),
        prefix_(std::move(prefix)),
        part_bytes_(options.part_bytes),
        page_keys_(std::to_string(options.page_keys)) {}

  Status Put(std::string_view name, std::string_view bytes) override {
    WEIR_ASSIGN(const std::string key, KeyOf(name));
    return Upload(client_.Begin(), key, {bytes, nullptr, bytes.size()});
  }

  Status PutNew(std::string_view name, std::string_view bytes) override {
    WEIR_ASSIGN(const std::string key, KeyOf(name));
    if (bytes.size() > kNewBytesMax)
      return Status(Code::kLimit, client_.NameOf(key) + ": too large to be created exclusively");
    return Create(client_.Begin(), key, bytes);
  }

  Status Adopt(const Path& local, std::string_view name) override {
    WEIR_ASSIGN(const DirectoryEntry source, env_.Stat(local));
    const S3Operation operation = client_.Begin();
    const Result<uint64_t> present = SizeOf(operation, name);
    if (present.ok()) {
      if (*present == source.bytes) return Status::Ok();
      return {Code::kCorruption, "\"" + std::string(name) + "\" in " + Describe() + " has " +
                                     std::to_string(*present) +
                                     " bytes, but its content should "
                                     "have " +
                                     std::to_string(source.bytes) +
                                     ": something else than Weir has changed the storage"};
    }
    if (present.status().code() != Code::kNotFound) return present.status();
    WEIR_ASSIGN(const std::string key, KeyOf(name));
    WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env_.Open(local));
    return Upload(client_.Continue(operation), key, {{}, file.get(), source.bytes});
  }

  Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                       const Path& local) override {
    const S3Operation operation = client_.Begin();
    const Duration patience = operation.deadline - env_.Steady();
    WEIR_ASSIGN(const uint64_t size, Explained(operation, name, SizeOf(operation, name)));
    WEIR_TRY(CheckStoredLength(name, bytes, size));
    ContentHasher hasher;
    const Path temporary = local + ".tmp." + std::to_string(env_.Random());
    const auto download = [&]() -> Status {
      WEIR_ASSIGN(const std::unique_ptr<WritableFile> file,
                  env_.Create(temporary, CreateMode::kNew));
      while (file->size() < size) {
        WEIR_ASSIGN(const std::string part,
                    ReadRange(client_.Renew(operation, patience), name, file->size(),
                              std::min(kRangeBytes, size - file->size())));
        if (part.empty())
          return Status(Code::kCorruption, std::string(name) + ": shorter than its length says");
        WEIR_TRY(file->Append(part));
        hasher.Update(part);
      }
      return file->Close();  // not synced: after a crash it is fetched again
    };
    Status status = download();
    if (status.ok()) status = env_.Rename(temporary, local);
    if (!status.ok()) {
      IgnoreStatus(env_.Remove(temporary), "it is cleaned with its directory");
      return status;
    }
    return std::optional(hasher.Digest());
  }

  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    if (bytes == 0) {
      WEIR_TRY(Size(name).status());
      return std::string();
    }
    const S3Operation operation = client_.Begin();
    std::string content;
    while (content.size() < bytes) {
      const size_t wanted = std::min<uint64_t>(kRangeBytes, bytes - content.size());
      WEIR_ASSIGN(const std::string part,
                  ReadRange(client_.Continue(operation), name, offset + content.size(), wanted));
      content += part;
      if (part.size() < wanted) break;
    }
    return content;
  }

  Result<uint64_t> Size(std::string_view name) override {
    const S3Operation operation = client_.Begin();
    return Explained(operation, name, SizeOf(operation, name));
  }

  Status Remove(std::string_view name) override { return RemoveName(client_.Begin(), name); }

  Result<std::vector<StoredFile>> List(std::string_view prefix) override {
    return ListBelow(client_.Begin(), prefix);
  }

  Status Probe() override {
    const S3Operation operation = client_.Begin();
    const std::string key = prefix_ + std::string(kProbeFolder) + Token();
    const auto create = [&](std::string_view content) {
      return client_.Send(operation, {"PUT", key, {}, {{"if-none-match", "*"}}, content});
    };
    WEIR_ASSIGN(const S3Answer first, create("1"));
    if (first.http.status == 501 || (!first.ok() && first.http.status != 412))
      return first.http.status == 501 ? NotExclusive(first) : client_.ErrorOf(first);
    WEIR_ASSIGN(const S3Answer second, create("2"));
    WEIR_ASSIGN(const std::string kept, ReadRange(operation, key.substr(prefix_.size()), 0, 1));
    WEIR_TRY(RemoveName(operation, key.substr(prefix_.size())));
    if (second.http.status != 412 || kept != "1") return NotExclusive(second);
    // Those of processes that died here.
    WEIR_ASSIGN(const std::vector<StoredFile> old, ListBelow(operation, kProbeFolder));
    for (const StoredFile& file : old) {
      if (SatAdd(file.modified, kProbeAgeMax) < env_.Now())
        WEIR_TRY(RemoveName(client_.Continue(operation), file.name));
    }
    return Status::Ok();
  }

  Status RemoveUnfinished(std::string_view prefix) override {
    const S3Operation operation = client_.Begin();
    std::string key_marker, id_marker;
    std::set<std::pair<std::string, std::string>> markers;
    while (true) {
      S3Request request{"GET",
                        "",
                        {{"uploads", ""},
                         {"max-uploads", page_keys_},
                         {"encoding-type", "url"},
                         {"prefix", prefix_ + std::string(prefix)}}};
      if (!key_marker.empty()) {
        request.query.emplace_back("key-marker", key_marker);
        request.query.emplace_back("upload-id-marker", id_marker);
      }
      WEIR_ASSIGN(const XmlElement page, Page(operation, std::move(request)));
      const bool encoded = page.TextOf("EncodingType") == "url";
      const auto text = [encoded](const XmlElement& element, std::string_view name) {
        return encoded ? UriDecode(element.TextOf(name)) : element.TextOf(name);
      };
      for (const XmlElement& element : page.children) {
        if (element.name != "Upload") continue;
        const std::string key = text(element, "Key");
        if (!key.starts_with(prefix_ + std::string(prefix))) continue;
        {
          const std::lock_guard lock(mutex_);
          if (uploading_.contains(key)) continue;
        }
        WEIR_TRY(AbortUpload(operation, key, element.TextOf("UploadId")));
      }
      if (page.TextOf("IsTruncated") != "true") return Status::Ok();
      key_marker = text(page, "NextKeyMarker");
      id_marker = page.TextOf("NextUploadIdMarker");
      if (key_marker.empty()) return BrokenOff();
      if (!markers.emplace(key_marker, id_marker).second) return Circular();
    }
  }

  void RetryUntil(Duration deadline) override { client_.RetryUntil(deadline); }
  void Interrupt() override { client_.Interrupt(); }

  std::string Describe() const override {
    std::string uri = std::string(kScheme) + bucket_;
    if (!prefix_.empty()) uri += "/" + prefix_.substr(0, prefix_.size() - 1);
    return uri;
  }

 private:
  /// Keeps RemoveUnfinished off an upload that has begun or is about to.
  class Uploading {
   public:
    Uploading(S3Store& store, const std::string& key) : store_(store) {
      const std::lock_guard lock(store_.mutex_);
      place_ = store_.uploading_.insert(key);
    }
    ~Uploading() {
      const std::lock_guard lock(store_.mutex_);
      store_.uploading_.erase(place_);
    }
    Uploading(const Uploading&) = delete;
    Uploading& operator=(const Uploading&) = delete;

   private:
    S3Store& store_;
    std::multiset<std::string>::iterator place_;
  };

  Result<std::string> KeyOf(std::string_view name) const {
    WEIR_TRY(CheckStoreName(name));
    return prefix_ + std::string(name);
  }
  std::string Token() { return RandomHex(env_, 32); }

  Result<uint64_t> SizeOf(const S3Operation& operation, std::string_view name) {
    WEIR_ASSIGN(const std::string key, KeyOf(name));
    WEIR_ASSIGN(const S3Answer answer, client_.Send(operation, {"HEAD", key}));
    if (!answer.ok()) return client_.ErrorOf(answer).At(client_.NameOf(key));
    const std::optional<uint64_t> size = NumberOf<uint64_t>(answer.http.header("content-length"));
    if (!size)
      return Status(Code::kIo, client_.NameOf(key) + ": the server does not say how long it is");
    return *size;
  }

  /// What SizeOf has found, but not kNotFound where the bucket is missing: the answer to a HEAD has
  /// no body that could tell. Not for Adopt, which mostly finds nothing, and whose upload is told.
  Result<uint64_t> Explained(const S3Operation& operation, std::string_view name,
                             Result<uint64_t> size) {
    if (size.ok() || size.status().code() != Code::kNotFound) return size;
    const Result<std::string> read = ReadRange(operation, name, 0, 1);
    return read.ok() ? size.status() : read.status();
  }

  Status RemoveName(const S3Operation& operation, std::string_view name) {
    WEIR_ASSIGN(const std::string key, KeyOf(name));
    WEIR_ASSIGN(const S3Answer answer, client_.Send(operation, {"DELETE", key}));
    if (answer.ok() || (answer.http.status == 404 && answer.code != "NoSuchBucket"))
      return Status::Ok();
    return client_.ErrorOf(answer).At(client_.NameOf(key));
  }

  Result<std::vector<StoredFile>> ListBelow(const S3Operation& operation, std::string_view prefix) {
    std::vector<StoredFile> files;
    std::string token;
    std::set<std::string> tokens;
    do {
      S3Request request{"GET",
                        "",
                        {{"list-type", "2"},
                         {"max-keys", page_keys_},
                         {"encoding-type", "url"},
                         {"prefix", prefix_ + std::string(prefix)}}};
      if (!token.empty()) request.query.emplace_back("continuation-token", token);
      WEIR_ASSIGN(const XmlElement page, Page(operation, std::move(request)));
      const bool encoded = page.TextOf("EncodingType") == "url";
      for (const XmlElement& element : page.children) {
        if (element.name != "Contents") continue;
        std::string key = encoded ? UriDecode(element.TextOf("Key")) : element.TextOf("Key");
        const std::optional<uint64_t> size = NumberOf<uint64_t>(element.TextOf("Size"));
        const std::optional<int64_t> modified = ParseTimestamp(element.TextOf("LastModified"));
        if (!size || !key.starts_with(prefix_))
          return Status(Code::kCorruption, Describe() + ": a listing makes no sense");
        files.push_back({key.substr(prefix_.size()), *size, EventTime{modified.value_or(0)}});
      }
      const bool more = page.TextOf("IsTruncated") == "true";
      token = more ? page.TextOf("NextContinuationToken") : std::string();
      if (more && token.empty()) return BrokenOff();
      if (more && !tokens.insert(token).second) return Circular();
      if (files.size() > kKeysMax)
        return Status(Code::kLimit, Describe() + ": more than ten million files below '" +
                                        std::string(prefix) + "'");
    } while (!token.empty());
    std::sort(files.begin(), files.end(),
              [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
    return files;
  }

  Status BrokenOff() const {
    return Status(Code::kCorruption, Describe() + ": a listing breaks off");
  }
  Status Circular() const {
    return Status(Code::kCorruption, Describe() + ": a listing goes around in a circle");
  }

  Result<XmlElement> Page(const S3Operation& operation, S3Request request) {
    request.answer_bytes_max = kPageBytesMax;
    WEIR_ASSIGN(const S3Answer answer, client_.Send(operation, request));
    if (!answer.ok()) return client_.ErrorOf(answer);
    Result<XmlElement> page = ParseXml(answer.http.body);
    if (!page.ok()) return page.status().At(Describe());
    return page;
  }

  /// Fewer bytes only at the end of the object.
  Result<std::string> ReadRange(const S3Operation& operation, std::string_view name,
                                uint64_t offset, uint64_t bytes) {
    WEIR_ASSIGN(const std::string key, KeyOf(name));
    S3Request request{
        "GET",
        key,
        {},
        {{"range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + bytes - 1)}}};
    request.answer_bytes_max = std::max<uint64_t>(bytes, size_t{64} << 10);  // or an error's text
    WEIR_ASSIGN(S3Answer answer, client_.Send(operation, request));
    if (answer.http.status == 416) return std::string();
    if (!answer.ok()) return client_.ErrorOf(answer).At(client_.NameOf(key));
    if (answer.http.status != 206 && offset != 0)
      return Status(Code::kIo, client_.NameOf(key) + ": the server does not answer ranges");
    std::string& body = answer.http.body;
    if (body.size() > bytes) body.resize(bytes);
    return std::move(body);
  }

  Status NotExclusive(const S3Answer& answer) const {
    return Status(Code::kUnavailable,
                  Describe() + " at " + client_.endpoint() +
                      " does not keep \"create only if absent\" (PUT with If-None-Match: * on a "
                      "name that exists was answered " +
                      std::to_string(answer.http.status) +
                      ", expected 412). Weir's checkpoints rest on it: two processes could "
                      "overwrite each other's. Use a store or version that enforces conditional "
                      "writes, as Amazon S3 does, or file:// storage",
                  Fault::kUser, Retry::kNever);
  }

  /// Exactly one of all who try gets Ok. Whether it was oneself is told by the object, never by the
  /// answer alone: the answer to an earlier try may have been lost, also between a proxy and the
  /// server.
  Status Create(const S3Operation& operation, const std::string& key, std::string_view bytes) {
    const std::string token = Token();
    const S3Request put{"PUT", key, {}, {{"if-none-match", "*"}, {kTokenHeader, token}}, bytes};
    for (int confirmations = 0;; ++confirmations) {
      WEIR_ASSIGN(const S3Answer answer, client_.Send(operation, put));
      if (answer.ok()) return Status::Ok();
      if (answer.http.status != 412) return client_.ErrorOf(answer).At(client_.NameOf(key));
      WEIR_ASSIGN(const S3Answer stored,
                  client_.Send(operation, {"GET", key, {}, {}, {}, {}, kNewBytesMax}));
      if (stored.ok()) {
        const std::string_view owner = stored.http.header(kTokenHeader);
        const bool own = stored.http.body == bytes && (owner.empty() || owner == token);
        return own ? Status::Ok()
                   : Status(Code::kAlreadyExists,
                            client_.NameOf(key) + ": somebody else was first");
      }
      // Gone again: whoever removed it has made the name free.
      if (stored.http.status != 404 || confirmations == kConfirmationsMax)
        return client_.ErrorOf(stored).At(client_.NameOf(key));
    }
  }

  Status Upload(const S3Operation& operation, const std::string& key, const Content& content) {
    if (content.size > part_bytes_) return UploadInParts(operation, key, content);
    S3Request request{"PUT", key};
    content.PutPart(0, content.size, request);
    WEIR_ASSIGN(const S3Answer answer, client_.Send(operation, request));
    return answer.ok() ? Status::Ok() : client_.ErrorOf(answer).At(client_.NameOf(key));
  }

  Status UploadInParts(const S3Operation& operation, const std::string& key,
                       const Content& content) {
    const Uploading uploading(*this, key);
    const std::string token = Token();
    S3Request beginning{"POST", key, {{"uploads", ""}}, {{kTokenHeader, token}}};
    beginning.root = "InitiateMultipartUploadResult";
    WEIR_ASSIGN(const S3Answer begun, client_.Send(operation, beginning));
    if (!begun.ok()) return client_.ErrorOf(begun).At(client_.NameOf(key));
    WEIR_ASSIGN(const XmlElement answer, ParseXml(begun.http.body));
    const std::string& id = answer.TextOf("UploadId");
    if (id.empty())
      return Status(Code::kCorruption, client_.NameOf(key) + ": an upload without an id");
    Status status = SendParts(operation, key, id, token, content);
    if (!status.ok()) {
      // Not sent after an interrupt: whoever interrupts does not wait for another answer.
      IgnoreStatus(AbortUpload(client_.Continue(operation), key, id),
                   "RemoveUnfinished finds it with the next collection");
    }
    return status;
  }

  Status SendParts(const S3Operation& operation, const std::string& key, const std::string& id,
                   const std::string& token, const Content& content) {
    const uint64_t part_bytes = std::max(part_bytes_, (content.size + kPartsMax - 1) / kPartsMax);
    std::string list = "<CompleteMultipartUpload>";
    uint64_t number = 0;
    for (uint64_t offset = 0; offset < content.size; offset += part_bytes) {
      ++number;
      S3Request request{"PUT", key, {{"partNumber", std::to_string(number)}, {"uploadId", id}}};
      content.PutPart(offset, std::min(part_bytes, content.size - offset), request);
      // Each part has the patience of a call of its own: a large file takes its time.
      WEIR_ASSIGN(const S3Answer answer, client_.Send(client_.Continue(operation), request));
      if (!answer.ok()) return client_.ErrorOf(answer).At(client_.NameOf(key));
      if (answer.http.header("etag").empty())
        return Status(Code::kCorruption, client_.NameOf(key) + ": a part without an ETag");
      list += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" +
              XmlEscape(answer.http.header("etag")) + "</ETag></Part>";
    }
    list += "</CompleteMultipartUpload>";
    const S3Operation last = client_.Continue(operation);
    S3Request completion{"POST", key, {{"uploadId", id}}, {}, list};
    completion.root = "CompleteMultipartUploadResult";
    WEIR_ASSIGN(const S3Answer done, client_.Send(last, completion));
    if (done.ok()) return Status::Ok();
    if (done.http.status == 404) {
      // An earlier try may have completed it; then the object is the one that this upload has made.
      WEIR_ASSIGN(const S3Answer stored, client_.Send(last, {"HEAD", key}));
      if (stored.ok() && stored.http.header(kTokenHeader) == token) return Status::Ok();
    }
    return client_.ErrorOf(done).At(client_.NameOf(key));
  }

  Status AbortUpload(const S3Operation& operation, const std::string& key, const std::string& id) {
    WEIR_ASSIGN(const S3Answer answer,
                client_.Send(operation, {"DELETE", key, {{"uploadId", id}}}));
    if (answer.ok() || answer.http.status == 404) return Status::Ok();
    return client_.ErrorOf(answer).At(client_.NameOf(key));
  }

  Env& env_;
  const std::unique_ptr<HttpClient> http_;
  S3Client client_;
  const std::string bucket_, prefix_;  // "" or with a slash at its end
  const uint64_t part_bytes_;
  const std::string page_keys_;
  std::mutex mutex_;
  std::multiset<std::string> uploading_;  // guarded by mutex_: keys
};

Status BadOption(const std::string& what) { return Status(Code::kInvalidArgument, what); }

Status CheckEndpoint(const std::string& name, const std::string& endpoint) {
  if (endpoint.empty()) return Status::Ok();
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!endpoint.starts_with(scheme)) continue;
    const std::string_view host = std::string_view(endpoint).substr(scheme.size());
    if (!host.empty() && host.find_first_of("/?#@ \t\r\n") == std::string_view::npos)
      return Status::Ok();
  }
  return BadOption(name + " \"" + endpoint +
                   "\": expected https://host or http://host:port, "
                   "without a path");
}

}  // namespace

Result<std::unique_ptr<CheckpointStore>> OpenS3Store(Env& env, std::unique_ptr<HttpClient> http,
                                                     std::string_view uri,
                                                     const S3Options& options) {
  const std::string expected = "storage \"" + std::string(uri) + "\": expected s3://bucket/prefix";
  if (!uri.starts_with(kScheme)) return BadOption(expected);
  uri.remove_prefix(kScheme.size());
  while (uri.ends_with('/')) uri.remove_suffix(1);
  const size_t slash = std::min(uri.find('/'), uri.size());
  std::string bucket(uri.substr(0, slash));
  std::string prefix(uri.substr(std::min(slash + 1, uri.size())));
  if (bucket.size() < 3 || bucket.size() > 63 ||
      bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") != std::string::npos)
    return BadOption(expected + "; a bucket's name has 3 to 63 of a-z 0-9 . -");
  if (!prefix.empty()) {
    if (const Status status = CheckStoreName(prefix); !status.ok()) return status.At(expected);
    prefix += '/';
  }
  WEIR_TRY(CheckEndpoint("--s3-endpoint", options.endpoint));
  WEIR_TRY(CheckEndpoint("AWS_ENDPOINT_URL_STS", options.sts_endpoint));
  if (options.region.empty()) return BadOption("--s3-region is empty");
  if (options.key_id.empty() != options.secret_key.empty())
    return BadOption("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: one of them is not set");
  if (options.web_identity_token_file.empty() != options.role_arn.empty())
    return BadOption("AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN: one of them is not set");
  if (options.part_bytes < kPartBytesLeast || options.part_bytes > kPartBytesMost)
    return BadOption("parts of an upload have 5 MiB to 1 GiB");
  return std::unique_ptr<CheckpointStore>(std::make_unique<S3Store>(
      env, std::move(http), std::move(bucket), std::move(prefix), options));
}

}  // namespace weir::state
