#include "engine/net/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace weir::net {
namespace {

constexpr size_t kHeaderBytesMax = size_t{64} << 10;  // of an answer, all lines

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

/// "127.0.0.1:7070" of "http://127.0.0.1:7070/bucket/key".
std::string_view AuthorityOf(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return url;
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find_first_of("/?"));
}

std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

/// One call: what libcurl's callbacks read and fill. They run inside curl_easy_perform.
struct Exchange {
  const HttpRequest& request;
  const std::atomic<uint64_t>& interrupts;
  HttpResponse response;
  uint64_t sent = 0;
  size_t header_bytes = 0;
  bool headers_whole = false;  // the empty line behind them has come
  Status failure;              // of reading the file, or of a bound

  uint64_t body_bytes() const {
    return request.file.file != nullptr ? request.file.bytes : request.body.size();
  }
  bool interrupted() const {
    return interrupts.load(std::memory_order_acquire) != request.interrupts;
  }
};

size_t OnSend(char* into, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const HttpRequest& request = exchange.request;
  const uint64_t bytes = std::min<uint64_t>(size * count, exchange.body_bytes() - exchange.sent);
  if (bytes == 0) return 0;
  if (request.file.file == nullptr) {
    std::copy_n(request.body.data() + exchange.sent, bytes, into);
  } else {
    const Result<size_t> read =
        request.file.file->Read(request.file.offset + exchange.sent, {into, bytes});
    if (!read.ok() || *read != bytes) {
      exchange.failure =
          read.ok() ? Status(Code::kCorruption, "the file is shorter than it was") : read.status();
      return CURL_READFUNC_ABORT;
    }
  }
  exchange.sent += bytes;
  return bytes;
}

/// Another connection is tried from the body's start.
int OnSeek(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0 || static_cast<uint64_t>(offset) > exchange.body_bytes())
    return CURL_SEEKFUNC_FAIL;
  exchange.sent = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

size_t OnAnswer(char* bytes, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.response.body.size() + size * count > exchange.request.answer_bytes_max) {
    exchange.failure =
        Status(Code::kLimit, "the answer is longer than " +
                                 std::to_string(exchange.request.answer_bytes_max) + " bytes");
    return 0;
  }
  exchange.response.body.append(bytes, size * count);
  return size * count;
}

size_t OnHeader(char* bytes, size_t size, size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  std::string_view line(bytes, size * count);
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > kHeaderBytesMax) {
    exchange.failure = Status(Code::kLimit, "the answer's headers are longer than 64 KiB");
    return 0;
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  exchange.headers_whole = line.empty();
  if (line.starts_with("HTTP/")) {
    exchange.response.headers.clear();  // those before were of an interim answer
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    line.remove_prefix(colon + 1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    exchange.response.headers.emplace_back(std::move(name), line);
  }
  return size * count;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(user)->interrupted() ? 1 : 0;
}

Status StatusOf(CURLcode code, const char* detail, Exchange& exchange) {
  const std::string where(AuthorityOf(exchange.request.url));
  if (exchange.interrupted()) return Status(Code::kCancelled, where + ": interrupted");
  if (!exchange.failure.ok()) return exchange.failure.At(where);
  const std::string text = where + ": " + (*detail != '\0' ? detail : curl_easy_strerror(code));
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return Status(Code::kTimedOut, text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Status(Code::kInvalidArgument, text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return Status(Code::kPermissionDenied,
                    text + " (a certificate authority of one's own: AWS_CA_BUNDLE)");
    default:
      return Status(Code::kUnavailable, text, Fault::kExternal, Retry::kBackoff);
  }
}

class CurlClient final : public HttpClient {
 public:
  explicit CurlClient(HttpClientOptions options) : options_(std::move(options)) {}
  ~CurlClient() override {
    for (CURL* handle : idle_) curl_easy_cleanup(handle);
  }

  Result<HttpResponse> Call(const HttpRequest& request, Duration timeout) override {
    Exchange exchange{request, interrupts_, {}, 0, 0, false, {}};
    if (exchange.interrupted())
      return Status(Code::kCancelled, std::string(AuthorityOf(request.url)) + ": interrupted");
    CURL* handle = Take();
    if (handle == nullptr) return Status(Code::kLimit, "no memory for an HTTP connection");
    char detail[CURL_ERROR_SIZE] = {};
    Prepare(handle, exchange, detail, timeout);
    curl_slist* headers = nullptr;
    for (const auto& [name, value] : request.headers)
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    headers = curl_slist_append(headers, "Expect:");  // no round trip before a body
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    const CURLcode code = curl_easy_perform(handle);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    Put(handle);
    // A server that refuses a body while it is being sent answers, and then cuts the connection.
    const bool refused_early = code == CURLE_SEND_ERROR && status >= 400;
    if (code != CURLE_OK && !refused_early) return StatusOf(code, detail, exchange);
    if (!exchange.headers_whole)  // libcurl takes a connection that is cut there for an end
      return Status(Code::kUnavailable,
                    std::string(AuthorityOf(request.url)) + ": cut in the answer's headers",
                    Fault::kExternal, Retry::kBackoff);
    exchange.response.status = static_cast<int>(status);
    return std::move(exchange.response);
  }

  bool Pause(Duration time, uint64_t since) override {
    std::unique_lock lock(mutex_);
    return !interrupted_.wait_for(lock, std::chrono::microseconds(time.us), [&] {
      return interrupts_.load(std::memory_order_acquire) != since;
    });
  }

  uint64_t interrupts() const override { return interrupts_.load(std::memory_order_acquire); }

  void Interrupt() override {
    {
      const std::lock_guard lock(mutex_);
      interrupts_.fetch_add(1, std::memory_order_acq_rel);
    }
    interrupted_.notify_all();
  }

 private:
  void Prepare(CURL* handle, Exchange& exchange, char* detail, Duration timeout) const {
    const HttpRequest& request = exchange.request;
    const auto set = [handle](CURLoption option, auto value) {
      curl_easy_setopt(handle, option, value);
    };
    set(CURLOPT_ERRORBUFFER, detail);
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOSIGNAL, 1L);
    // A name is looked up on a thread of libcurl's own, which nothing can stop. Without this a call
    // that has timed out or was interrupted waits for that thread, as long as a name server that
    // does not answer takes: half a minute and more.
    set(CURLOPT_QUICK_EXIT, 1L);
    set(CURLOPT_USERAGENT, "weir");
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kHttpConnectTime.us / 1000));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(timeout.us / 1000, 1)));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(kHttpStallTime.us / 1'000'000));
    if (!options_.ca_file.empty()) set(CURLOPT_CAINFO, options_.ca_file.c_str());
    if (IsLoopback(HostOf(AuthorityOf(request.url)))) set(CURLOPT_PROXY, "");
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, OnProgress);
    set(CURLOPT_XFERINFODATA, &exchange);
    set(CURLOPT_HEADERFUNCTION, OnHeader);
    set(CURLOPT_HEADERDATA, &exchange);
    set(CURLOPT_WRITEFUNCTION, OnAnswer);
    set(CURLOPT_WRITEDATA, &exchange);
    if (request.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET") {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(exchange.body_bytes()));
      set(CURLOPT_READFUNCTION, OnSend);
      set(CURLOPT_READDATA, &exchange);
      set(CURLOPT_SEEKFUNCTION, OnSeek);
      set(CURLOPT_SEEKDATA, &exchange);
      set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
  }

  CURL* Take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        CURL* handle = idle_.back();
        idle_.pop_back();
        return handle;
      }
    }
    return curl_easy_init();
  }
  /// Its connection stays open; settings, which point to the call's memory, go.
  void Put(CURL* handle) {
    curl_easy_reset(handle);
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kHttpConnectionsIdleMax) {
      idle_.push_back(handle);
    } else {
      curl_easy_cleanup(handle);
    }
  }

  const HttpClientOptions options_;
  std::atomic<uint64_t> interrupts_{0};
  std::condition_variable interrupted_;
  std::mutex mutex_;
  std::vector<CURL*> idle_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<HttpClient> MakeHttpClient(HttpClientOptions options) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  WEIR_CHECK(kReady == CURLE_OK);
  return std::make_unique<CurlClient>(std::move(options));
}

}  // namespace weir::net
