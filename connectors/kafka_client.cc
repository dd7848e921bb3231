#include "connectors/kafka_client.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "connectors/connectors.h"
#include "engine/api/kafka_properties.h"
#include "engine/base/escape.h"
#include "engine/base/log.h"

namespace weir {
namespace {

constexpr size_t kLibraryErrorBytes = 512;
constexpr size_t kErrorTextBytesMax = 400;
constexpr int kLibraryVersionLeast = 0x02020000;  // fetch.queue.backoff.ms
constexpr int kLibraryVersionGood = 0x02050000;   // identical batches on a retry
constexpr int64_t kLogEveryMs = 5000;
constexpr size_t kSecretBytesLeast = 4;  // a shorter one would blacken ordinary text
constexpr int kSyslogWarning = 4;
constexpr Duration kReaperIdle = Seconds(3600);
constexpr const char* kAuthoritiesSetting = "ssl.ca.location";

bool IsSecret(std::string_view setting) {
  return setting.ends_with("password") || setting.ends_with(".pem") || setting.ends_with("secret");
}

/// The library says that it failed, and neither with which file nor why.
Status CheckAuthorities(const KafkaConnection& connection) {
  const auto found = connection.settings.find(kAuthoritiesSetting);
  // "probe" is no file: the library looks where systems have theirs.
  if (found == connection.settings.end() || found->second.Reveal() == "probe" ||
      ::access(found->second.Reveal().c_str(), R_OK) == 0)
    return Status::Ok();
  const std::string reason = std::generic_category().message(errno);
  return Status(Code::kInvalidArgument,
                "option ca_file of the connection (ssl.ca.location): cannot read '" +
                    OneLine(connection.ca_file, kErrorTextBytesMax) + "': " + reason,
                Fault::kUser, Retry::kNever);
}

/// Notices of failed connections repeat with every attempt.
void LogLine(const rd_kafka_t* handle, int level, const char* facility, const char* text) {
  const auto* shared =
      handle == nullptr ? nullptr : static_cast<const KafkaShared*>(rd_kafka_opaque(handle));
  const std::string clean =
      shared == nullptr ? OneLine(text, kErrorTextBytesMax) : shared->redactor.Clean(text);
  if (level <= kSyslogWarning) {
    WEIR_LOG_EVERY_MS(kLogEveryMs, kWarn, "kafka client", {"facility", facility}, {"text", clean});
  } else {
    WEIR_LOG(kDebug, "kafka client", {"facility", facility}, {"text", clean});
  }
}

void OnMainQueue(rd_kafka_t*, void* opaque) {
  auto* shared = static_cast<KafkaShared*>(opaque);
  shared->events.store(true, std::memory_order_release);
  shared->waker.Wake();
}

class RealClients final : public Clients {
 public:
  explicit RealClients(Env& env) : env_(env), reaper_(std::make_shared<KafkaReaper>(env)) {}
  Result<std::unique_ptr<KafkaConsumer>> MakeKafkaConsumer(const KafkaConsumerConfig& config,
                                                           Waker waker) override {
    return MakeRealKafkaConsumer(config, std::move(waker), reaper_);
  }
  Result<std::unique_ptr<KafkaProducer>> MakeKafkaProducer(const KafkaProducerConfig& config,
                                                           Waker waker) override {
    return MakeRealKafkaProducer(config, std::move(waker), reaper_);
  }
  Result<std::unique_ptr<KafkaAdmin>> MakeKafkaAdmin(const KafkaConnection& connection) override {
    return MakeRealKafkaAdmin(connection, reaper_, env_);
  }

 private:
  Env& env_;
  const std::shared_ptr<KafkaReaper> reaper_;
};

}  // namespace

std::unique_ptr<Clients> MakeClients(Env& env) { return std::make_unique<RealClients>(env); }

KafkaRedactor::KafkaRedactor(const KafkaConnection& connection) {
  for (const auto& [setting, value] : connection.settings) {
    if (IsSecret(setting) && value.Reveal().size() >= kSecretBytesLeast) secrets_.push_back(value);
  }
}

std::string KafkaRedactor::Clean(std::string_view text) const {
  std::string clean(text);
  for (const Secret& secret : secrets_) {
    const std::string& hidden = secret.Reveal();
    for (size_t at = clean.find(hidden); at != std::string::npos; at = clean.find(hidden, at))
      clean.replace(at, hidden.size(), kRedacted);
  }
  return OneLine(clean, kErrorTextBytesMax);
}

void KafkaCorpse::Destroy() {
  for (rd_kafka_queue_t* queue : queues) rd_kafka_queue_destroy(queue);
  for (rd_kafka_topic_t* topic : topics) rd_kafka_topic_destroy(topic);
  if (handle == nullptr) return;
  // Nothing is left to be done for what is still queued: it was delivered, or its checkpoint
  // failed.
  if (rd_kafka_type(handle) == RD_KAFKA_PRODUCER) {
    rd_kafka_purge(
        handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(handle);
  } else {
    rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
}

KafkaReaper::KafkaReaper(Env& env) {
  loop_ = env.Start("kafka reaper", [this] {
    CloseAll();
    return kReaperIdle;
  });
}

KafkaReaper::~KafkaReaper() {
  loop_ = nullptr;
  while (CloseAll()) {
  }
}

void KafkaReaper::Take(KafkaCorpse corpse) {
  auto* entry = new Entry{std::move(corpse),
                          newest_.load(std::memory_order_relaxed)};  // NOLINT: owned by the stack
  while (!newest_.compare_exchange_weak(entry->next, entry, std::memory_order_release,
                                        std::memory_order_relaxed)) {
  }
  loop_->Wake();
}

bool KafkaReaper::CloseAll() {
  Entry* entry = newest_.exchange(nullptr, std::memory_order_acquire);
  const bool any = entry != nullptr;
  while (entry != nullptr) {
    const std::unique_ptr<Entry> owned(entry);
    entry = owned->next;
    owned->corpse.Destroy();
  }
  return any;
}

Result<std::unique_ptr<KafkaHandle>> KafkaHandle::Make(rd_kafka_type_t type,
                                                       const KafkaConnection& connection,
                                                       const Settings& owned, int events,
                                                       Waker waker,
                                                       std::shared_ptr<KafkaReaper> reaper) {
  if (rd_kafka_version() < kLibraryVersionLeast) {
    return Status(
        Code::kIncompatible,
        std::string("librdkafka ") + rd_kafka_version_str() + " is too old: 2.2 or newer is needed",
        Fault::kUser, Retry::kNever);
  }
  if (rd_kafka_version() < kLibraryVersionGood) {
    WEIR_LOG_EVERY_MS(INT64_MAX / 2000, kWarn,
                      "librdkafka before 2.5 cannot always repeat a batch identically",
                      {"version", rd_kafka_version_str()});
  }
  WEIR_TRY(CheckAuthorities(connection));
  std::map<std::string, Secret> settings;
  const KafkaPropertySide other =
      type == RD_KAFKA_PRODUCER ? KafkaPropertySide::kConsumer : KafkaPropertySide::kProducer;
  for (const auto& [name, value] : connection.settings) {
    const KafkaProperty* property = FindKafkaProperty(name);
    if (property == nullptr || property->side != other) settings[name] = value;
  }
  for (const auto& [name, value] : Settings{{"bootstrap.servers", connection.brokers},
                                            {"allow.auto.create.topics", "false"},
                                            {"enable.metrics.push", "false"},
                                            {"socket.nagle.disable", "true"},
                                            {"log.connection.close", "false"}})
    settings[name] = Secret(value);
  for (const auto& [name, value] : owned) settings[name] = Secret(value);

  KafkaCorpse corpse;
  corpse.shared = std::make_unique<KafkaShared>(connection, std::move(waker));
  std::array<char, kLibraryErrorBytes> error{};
  rd_kafka_conf_t* configuration = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(configuration, name.c_str(), value.Reveal().c_str(), error.data(),
                          error.size()) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(configuration);
      return Status(Code::kInvalidArgument,
                    "Kafka setting '" + name + "': " + corpse.shared->redactor.Clean(error.data()),
                    Fault::kUser, Retry::kNever);
    }
  }
  rd_kafka_conf_set_opaque(configuration, corpse.shared.get());
  rd_kafka_conf_set_log_cb(configuration, LogLine);
  rd_kafka_conf_set_events(configuration, events | RD_KAFKA_EVENT_ERROR);
  corpse.handle = rd_kafka_new(type, configuration, error.data(), error.size());
  if (corpse.handle == nullptr) {
    rd_kafka_conf_destroy(configuration);
    std::string text = corpse.shared->redactor.Clean(error.data());
    if (text.find(kAuthoritiesSetting) != std::string::npos)
      text += " (ca_file: '" + OneLine(connection.ca_file, kErrorTextBytesMax) + "')";
    return Status(Code::kInvalidArgument, "the Kafka client cannot be made: " + text, Fault::kUser,
                  Retry::kNever);
  }
  std::unique_ptr<KafkaHandle> handle(
      new KafkaHandle(std::move(corpse), std::move(reaper)));  // NOLINT: private constructor
  handle->main_ = rd_kafka_queue_get_main(handle->get());
  handle->Keep(handle->main_);
  rd_kafka_queue_cb_event_enable(handle->main_, OnMainQueue, &handle->shared());
  return handle;
}

KafkaHandle::~KafkaHandle() {
  rd_kafka_queue_cb_event_enable(main_, nullptr, nullptr);
  reaper_->Take(std::move(corpse_));
}

rd_kafka_event_t* KafkaHandle::NextEvent(Duration timeout) {
  rd_kafka_event_t* event = rd_kafka_queue_poll(main_, static_cast<int>(timeout.us / 1000));
  if (event != nullptr && rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
    NoteError(rd_kafka_event_error(event), rd_kafka_event_error_string(event));
  return event;
}

void KafkaHandle::NoteError(rd_kafka_resp_err_t error, std::string_view text) {
  std::string clean = redactor().Clean(text);
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, kLibraryErrorBytes> fatal{};
    const rd_kafka_resp_err_t code = rd_kafka_fatal_error(get(), fatal.data(), fatal.size());
    if (status_.ok())
      status_ = KafkaStatus(code, "the Kafka client failed: " + redactor().Clean(fatal.data()));
    return;
  }
  if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION && status_.ok()) {
    status_ = Status(Code::kPermissionDenied,
                     "the broker refused the login: " + clean +
                         " (check mechanism, username and password of the connection)",
                     Fault::kUser, Retry::kNever);
  }
  // "All brokers are down" follows the reason and hides it.
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !last_error_.empty()) return;
  last_error_ = std::move(clean);
}

Status KafkaStatus(rd_kafka_resp_err_t error, std::string text) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return Status::Ok();
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return Status(Code::kNotFound, std::move(text), Fault::kExternal, Retry::kNever);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID:
      return Status(Code::kIncompatible, std::move(text), Fault::kExternal, Retry::kNever);
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return Status(Code::kPermissionDenied, std::move(text), Fault::kUser, Retry::kNever);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return Status(Code::kLimit, std::move(text), Fault::kUser, Retry::kNever);
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
      return Status(Code::kQueueFull, std::move(text), Fault::kExternal, Retry::kBackoff);
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
      return Status(Code::kAlreadyExists, std::move(text), Fault::kUser, Retry::kNever);
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      return Status(Code::kInvalidArgument, std::move(text), Fault::kUser, Retry::kNever);
    case RD_KAFKA_RESP_ERR__FENCED:
      return Status(Code::kFenced, std::move(text), Fault::kExternal, Retry::kNever);
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      return Status(Code::kTimedOut, std::move(text), Fault::kExternal, Retry::kBackoff);
    default:
      return Status(Code::kUnavailable, std::move(text), Fault::kExternal, Retry::kBackoff);
  }
}

}  // namespace weir
