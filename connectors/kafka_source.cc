// kafka_source: partitions of topics as splits. Partitions are assigned, never subscribed; the
// position is the source's own, taken from the messages. The enumerator resolves every start to an
// absolute offset and holds the topic's id, so that a topic made anew under the same name is
// noticed.

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "engine/api/memory.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/data/civil_time.h"
#include "engine/data/key_encoding.h"

namespace weir {
namespace {

constexpr size_t kPollMessagesMax = 1024;
constexpr Duration kAdminDeadline = Seconds(10);
constexpr Duration kProbeDeadline = Seconds(5);
constexpr Duration kStatusInterval = Milliseconds(100);
constexpr Duration kAnswerAgeMax = Seconds(2);  // a caught-up split's leader has answered within it
constexpr Duration kUnreachableAge = Seconds(10);
constexpr int64_t kLogEveryMs = 10'000;
constexpr size_t kPatternBytesMaxKafka = 1024;
constexpr size_t kQueueBytes = size_t{6} << 20;       // of the client, all partitions of the task
constexpr size_t kClientBytes = kQueueBytes / 3 * 4;  // with the fetches that come on top
constexpr size_t kQueuedMessageBytes = 320;           // of the client, beside a message's own bytes

struct KafkaSourceSettings {
  KafkaConnection connection;
  std::vector<std::string> topics;
  Expression pattern;  // over a column `topic`
  enum class Start : uint8_t { kEarliest, kLatest, kCommitted, kTime } start = Start::kEarliest;
  EventTime start_time{};
  enum class Stop : uint8_t { kNever, kLatest, kTime } stop = Stop::kNever;
  EventTime stop_time{};
  std::string group_id;
  bool read_committed = true;
  bool null_values_pass = false;  // to the decoder: an error there, or a NULL row
  bool earliest_on_loss = false;
  Duration discovery_interval = Seconds(10);
};
using SettingsRef = std::shared_ptr<const KafkaSourceSettings>;

/// "next/stop/topic id"; stop -1: none.
struct KafkaSplitPosition {
  int64_t next = 0;
  int64_t stop = -1;
  std::string topic_id;

  std::string ToText() const {
    return std::to_string(next) + "/" + std::to_string(stop) + "/" + topic_id;
  }
  static std::optional<KafkaSplitPosition> Parse(std::string_view text) {
    KafkaSplitPosition position;
    for (int64_t* part : {&position.next, &position.stop}) {
      const size_t end = text.find('/');
      if (end == std::string_view::npos) return std::nullopt;
      const auto [stop, error] = std::from_chars(text.data(), text.data() + end, *part);
      if (error != std::errc() || stop != text.data() + end) return std::nullopt;
      text.remove_prefix(end + 1);
    }
    position.topic_id = text;
    return position;
  }
};

/// "topic/3": a topic's name has no slash.
std::string SplitId(const std::string& topic, int32_t partition) {
  return topic + "/" + std::to_string(partition);
}

struct KafkaSplit {
  std::string topic;
  int32_t partition = 0;
  KafkaSplitPosition position;
};

Result<KafkaSplit> ParseSplit(const SplitState& state) {
  KafkaSplit split;
  const size_t slash = state.id.rfind('/');
  const std::optional<KafkaSplitPosition> position = KafkaSplitPosition::Parse(state.position);
  if (slash == std::string::npos || !position)
    return Status(Code::kCorruption, "split '" + state.id + "' is not of a Kafka source");
  split.topic = state.id.substr(0, slash);
  const char* end = state.id.data() + state.id.size();
  const auto [stop, error] = std::from_chars(state.id.data() + slash + 1, end, split.partition);
  if (error != std::errc() || stop != end)
    return Status(Code::kCorruption, "split '" + state.id + "' is not of a Kafka source");
  split.position = *position;
  return split;
}

/// Names that the pattern matches whole.
std::vector<std::string> Matching(const Expression& pattern,
                                  const std::vector<std::string>& names) {
  static const SchemaRef kSchema = std::make_shared<const Schema>(
      std::vector<Field>{{"topic", Type::Of(TypeKind::kString), false}});
  std::vector<std::string> matching;
  if (names.empty()) return matching;
  RowBuilder rows(kSchema, static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) {
    rows.column(0).AppendString(name);
    rows.FinishRow();
  }
  RowErrors errors;
  for (const uint32_t row : pattern.SelectTrue(rows.Build(), errors))
    matching.push_back(names[row]);
  return matching;
}

/// RE2 belongs to the expressions, so the pattern is one. Empty after a problem, which is reported.
Expression BindPattern(const NodeConfig& config) {
  const std::string pattern = config.Text("topic_pattern");
  if (pattern.size() > kPatternBytesMaxKafka) {
    config.Error("topic_pattern", "W0403",
                 "a pattern has at most " + std::to_string(kPatternBytesMaxKafka) + " bytes");
    return {};
  }
  std::string text = "topic ~ '^(?:";
  for (const char c : pattern) text.append(c == '\'' ? 2 : 1, c);
  text += ")$'";
  Scope scope;
  scope.inputs.push_back({"", std::make_shared<const Schema>(std::vector<Field>{
                                  {"topic", Type::Of(TypeKind::kString), false}})});
  BindResult bound = BindExpression(text, scope, {});
  for (const ExpressionProblem& problem : bound.problems) {
    if (!problem.warning)
      config.Error("topic_pattern", "W0427", "not a pattern: " + problem.message,
                   "RE2 syntax; the pattern must match the whole name");
  }
  return bound.expression;
}

class KafkaEnumerator final : public SplitEnumerator {
 public:
  explicit KafkaEnumerator(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(NodeContext& context, std::span<const SplitState> restored) override {
    WEIR_ASSIGN(admin_, context.clients().MakeKafkaAdmin(settings_->connection));
    std::map<std::string, std::string> ids;
    std::set<std::string> topics;
    std::set<std::string> wanted;
    for (const SplitState& state : restored) {
      WEIR_ASSIGN(const KafkaSplit split, ParseSplit(state));
      ids[split.topic] = split.position.topic_id;
      topics.insert(split.topic);
      wanted.insert(state.id);
      known_.insert(state.id);
    }
    if (restored.empty()) return Status::Ok();
    started_ = true;
    const std::vector<std::string> names(topics.begin(), topics.end());
    WEIR_ASSIGN(const std::vector<KafkaTopic> found, admin_->Topics(names, kAdminDeadline));
    std::set<std::string> there;
    for (const KafkaTopic& topic : found) {
      if (!topic.id.empty() && !ids[topic.name].empty() && topic.id != ids[topic.name]) {
        return Status(Code::kIncompatible,
                      "topic '" + topic.name +
                          "' was deleted and made anew since the checkpoint: its saved offsets "
                          "mean nothing there",
                      Fault::kUser, Retry::kNever);
      }
      for (const int32_t partition : topic.partitions) there.insert(SplitId(topic.name, partition));
      topic_ids_[topic.name] = topic.id;
    }
    std::string gone;
    for (const std::string& id : wanted) {
      if (!there.contains(id)) gone += (gone.empty() ? "" : ", ") + id;
    }
    if (!gone.empty())
      return Status(Code::kNotFound, "partitions of the checkpoint no longer exist: " + gone,
                    Fault::kUser, Retry::kNever);
    return Status::Ok();
  }

  Result<std::vector<SplitState>> Discover() override {
    WEIR_ASSIGN(const std::vector<KafkaTopic> topics, Topics());
    std::vector<std::pair<std::string, int32_t>> fresh;
    for (const KafkaTopic& topic : topics) {
      const auto [known, inserted] = topic_ids_.try_emplace(topic.name, topic.id);
      if (!inserted && !topic.id.empty() && !known->second.empty() && known->second != topic.id) {
        return Status(Code::kIncompatible,
                      "topic '" + topic.name + "' was deleted and made anew while it was read",
                      Fault::kExternal, Retry::kNever);
      }
      for (const int32_t partition : topic.partitions) {
        if (!known_.contains(SplitId(topic.name, partition)))
          fresh.emplace_back(topic.name, partition);
      }
    }
    std::vector<SplitState> splits;
    if (fresh.empty() || (started_ && settings_->stop != KafkaSourceSettings::Stop::kNever))
      return Finish(std::move(splits));
    WEIR_ASSIGN(const std::vector<int64_t> starts, Starts(fresh));
    WEIR_ASSIGN(const std::vector<int64_t> stops, Stops(fresh));
    for (size_t i = 0; i < fresh.size(); ++i) {
      const KafkaSplitPosition position{
          .next = starts[i], .stop = stops[i], .topic_id = topic_ids_[fresh[i].first]};
      splits.push_back(
          {.id = SplitId(fresh[i].first, fresh[i].second), .position = position.ToText()});
      known_.insert(splits.back().id);
    }
    return Finish(std::move(splits));
  }
  bool complete() const override {
    return started_ && settings_->stop != KafkaSourceSettings::Stop::kNever;
  }
  Duration discovery_interval() const override { return settings_->discovery_interval; }
  TaskIndex TaskOf(const SplitState& split, uint32_t parallelism) const override {
    const Result<KafkaSplit> parsed = ParseSplit(split);
    return parsed.ok() ? TaskOfPartition(parsed->topic, parsed->partition, parallelism)
                       : TaskOfSplit(split.id, parallelism);
  }

 private:
  Result<std::vector<SplitState>> Finish(std::vector<SplitState> splits) {
    started_ = true;
    return splits;
  }

  Result<std::vector<KafkaTopic>> Topics() {
    if (settings_->pattern) {
      WEIR_ASSIGN(const std::vector<KafkaTopic> all, admin_->AllTopics(kAdminDeadline));
      std::vector<std::string> names;
      names.reserve(all.size());
      for (const KafkaTopic& topic : all) names.push_back(topic.name);
      const std::vector<std::string> matching = Matching(settings_->pattern, names);
      std::vector<KafkaTopic> topics;
      std::copy_if(all.begin(), all.end(), std::back_inserter(topics),
                   [&](const KafkaTopic& topic) {
                     return std::ranges::find(matching, topic.name) != matching.end();
                   });
      return topics;
    }
    WEIR_ASSIGN(std::vector<KafkaTopic> topics, admin_->Topics(settings_->topics, kAdminDeadline));
    for (const std::string& name : settings_->topics) {
      const bool found = std::any_of(topics.begin(), topics.end(),
                                     [&](const KafkaTopic& topic) { return topic.name == name; });
      if (!found) {
        return Status(topic_ids_.contains(name) ? Code::kIncompatible : Code::kNotFound,
                      "topic '" + name + "' does not exist on " + settings_->connection.brokers,
                      Fault::kUser, topic_ids_.contains(name) ? Retry::kNever : Retry::kBackoff);
      }
    }
    return topics;
  }

  /// What appears later starts at its beginning, or its first records would be lost.
  Result<std::vector<int64_t>> Starts(
      const std::vector<std::pair<std::string, int32_t>>& partitions) {
    using Start = KafkaSourceSettings::Start;
    const Start start = started_ ? Start::kEarliest : settings_->start;
    switch (start) {
      case Start::kLatest:
        return admin_->Offsets(partitions, Latest(), {}, kAdminDeadline);
      case Start::kTime:
        return admin_->Offsets(partitions, KafkaAdmin::When::kAtTime, settings_->start_time,
                               kAdminDeadline);
      case Start::kEarliest:
        return admin_->Offsets(partitions, KafkaAdmin::When::kEarliest, {}, kAdminDeadline);
      case Start::kCommitted:
        break;
    }
    WEIR_ASSIGN(std::vector<int64_t> offsets,
                admin_->Committed(settings_->group_id, partitions, kAdminDeadline));
    WEIR_ASSIGN(const std::vector<int64_t> earliest,
                admin_->Offsets(partitions, KafkaAdmin::When::kEarliest, {}, kAdminDeadline));
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (offsets[i] < 0) offsets[i] = earliest[i];
    }
    return offsets;
  }

  /// Where a reader stands that has read everything it may read: records of a transaction that is
  /// open now are new ones for it once they are committed.
  KafkaAdmin::When Latest() const {
    return settings_->read_committed ? KafkaAdmin::When::kLatestStable : KafkaAdmin::When::kLatest;
  }

  Result<std::vector<int64_t>> Stops(
      const std::vector<std::pair<std::string, int32_t>>& partitions) {
    using Stop = KafkaSourceSettings::Stop;
    if (settings_->stop == Stop::kNever) return std::vector<int64_t>(partitions.size(), -1);
    WEIR_ASSIGN(std::vector<int64_t> ends,
                admin_->Offsets(partitions, Latest(), {}, kAdminDeadline));
    if (settings_->stop == Stop::kLatest) return ends;
    WEIR_ASSIGN(std::vector<int64_t> offsets,
                admin_->Offsets(partitions, KafkaAdmin::When::kAtTime, settings_->stop_time,
                                kAdminDeadline));
    for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = std::min(offsets[i], ends[i]);
    return offsets;
  }

  const SettingsRef settings_;
  std::unique_ptr<KafkaAdmin> admin_;
  std::map<std::string, std::string> topic_ids_;
  std::set<std::string> known_;
  bool started_ = false;  // the first Discover has answered, or a checkpoint was restored
};

class KafkaSource final : public Source {
 public:
  explicit KafkaSource(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(NodeContext& context) override {
    context_ = &context;
    // Shown as zero from the start: a rate does not see the step from nothing to one.
    for (const char* kind : {"commit_failed", "offset_jump", "offset_repeat"})
      context.counter(kind).Add(0);
    return MakeConsumer();
  }

  Status Add(std::span<const SplitState> states) override {
    std::vector<KafkaPosition> fresh;
    for (const SplitState& state : states) {
      WEIR_ASSIGN(KafkaSplit split, ParseSplit(state));
      Assigned assigned;
      assigned.ended = split.position.stop >= 0 && split.position.next >= split.position.stop;
      assigned.split = std::move(split);
      splits_.push_back(std::move(assigned));
      Queue(splits_.size() - 1, fresh);
    }
    return Assign(fresh);
  }

  Result<Step> Poll(SourceOutput& out) override {
    consumer_->Release();
    WEIR_TRY(consumer_->status());
    if (reset_ != nullptr && reset_->done.load(std::memory_order_acquire)) WEIR_TRY(FinishReset());
    const Duration now = context_->env().Steady();
    const bool report_all = now - reported_ >= kStatusInterval;
    if (report_all) reported_ = now;
    uint32_t wanted = out.rows_wanted();
    bool any = false;
    for (size_t turn = 0; turn < splits_.size() && wanted > 0; ++turn) {
      const size_t index = (first_ + turn) % splits_.size();
      Assigned& assigned = splits_[index];
      const SplitIndex split{static_cast<uint32_t>(index)};
      const bool readable = assigned.queue && !assigned.ended && !out.paused(split);
      const uint32_t got = readable ? Take(assigned, split, wanted, out) : 0;
      wanted -= std::min(wanted, got);
      any = any || got > 0;
      if (got > 0 || report_all || assigned.ended != assigned.end_reported)
        WEIR_TRY(ReportSplit(assigned, split, out));
    }
    if (!splits_.empty()) first_ = (first_ + 1) % splits_.size();
    if (report_all) {
      CountCommitFailures();
      AccountQueues();
    }
    return any ? Step::Done() : Step::Wait(0);
  }

  void OnComplete(CheckpointId, std::span<const SplitState> states) override {
    std::vector<KafkaPosition> positions;
    for (const SplitState& state : states) {
      const Result<KafkaSplit> split = ParseSplit(state);
      if (split.ok()) positions.push_back({split->topic, split->partition, split->position.next});
    }
    consumer_->Commit(positions);
  }

 private:
  struct Assigned {
    KafkaSplit split;
    std::optional<PartitionIndex> queue;  // empty: ended before it was read
    bool ended = false;
    bool end_reported = false;
  };
  /// The earliest offsets of splits whose saved offset is gone: asked on the pool, taken over by
  /// the worker once `done`.
  struct Reset {
    std::vector<size_t> splits;
    Result<std::vector<int64_t>> offsets = std::vector<int64_t>();
    std::atomic<bool> done = false;
  };

  Status MakeConsumer() {
    const size_t client_bytes = std::min(kClientBytes, context_->client_memory().target());
    WEIR_ASSIGN(consumer_,
                context_->clients().MakeKafkaConsumer({.connection = settings_->connection,
                                                       .group_id = settings_->group_id,
                                                       .read_committed = settings_->read_committed,
                                                       .queue_bytes = client_bytes / 4 * 3},
                                                      context_->waker()));
    queues_ = 0;
    return Status::Ok();
  }

  Status Assign(std::span<const KafkaPosition> positions) {
    WEIR_TRY(consumer_->Assign(positions));
    AccountQueues();
    return Status::Ok();
  }

  /// The client's threads fill the queues when they like, so what these may hold is booked. What
  /// the client keeps beside each message goes by its last count.
  void AccountQueues() {
    uint64_t bytes = consumer_->queue_bytes_max();
    for (const Assigned& assigned : splits_) {
      if (assigned.queue)
        bytes += consumer_->status(*assigned.queue).queued_messages * kQueuedMessageBytes;
    }
    MemoryAccount& account = context_->client_memory();
    account.Use(static_cast<int64_t>(bytes) - static_cast<int64_t>(account.used()));
  }

  void Queue(size_t index, std::vector<KafkaPosition>& positions) {
    Assigned& assigned = splits_[index];
    if (assigned.ended) return;
    assigned.queue = PartitionIndex{queues_++};
    positions.push_back(
        {assigned.split.topic, assigned.split.partition, assigned.split.position.next});
  }

  /// Records taken, those passed over included.
  uint32_t Take(Assigned& assigned, SplitIndex split, uint32_t wanted, SourceOutput& out) {
    KafkaSplitPosition& position = assigned.split.position;
    const size_t got = consumer_->Poll(
        *assigned.queue, std::span(messages_).first(std::min<size_t>(wanted, kPollMessagesMax)));
    uint64_t skipped = 0;
    for (size_t i = 0; i < got; ++i) {
      const Record& record = messages_[i].record;
      if (record.offset < position.next) {
        context_->counter("offset_repeat").Add(1);
        continue;
      }
      if (position.stop >= 0 && record.offset >= position.stop) {
        assigned.ended = true;
        break;
      }
      position.next = record.offset + 1;
      if (record.null_value && !settings_->null_values_pass) {
        ++skipped;
        continue;
      }
      out.Append(split, record);
    }
    if (skipped > 0) out.Skipped(split, skipped);
    if (position.stop >= 0 && position.next >= position.stop) assigned.ended = true;
    return static_cast<uint32_t>(got);
  }

  Status ReportSplit(Assigned& assigned, SplitIndex split, SourceOutput& out) {
    KafkaSplitPosition& position = assigned.split.position;
    SplitStatus status = SplitStatus::kBehind;
    int64_t lag = -1;
    if (assigned.queue && !assigned.ended) {
      const KafkaPartition partition = consumer_->status(*assigned.queue);
      if (!partition.error.ok()) return OnPartitionError(assigned, partition.error);
      // Behind the last record may lie markers of transactions and aborted records, which only the
      // end passes over. A replica that lags may tell an end before the stop.
      if (partition.end_reached) {
        position.next = std::max(position.next, settings_->read_committed ? partition.stable_offset
                                                                          : partition.high_offset);
        if (position.stop >= 0 && position.next >= position.stop) assigned.ended = true;
      }
      if (partition.high_offset >= 0)
        lag = std::max<int64_t>(0, partition.high_offset - position.next);
      const bool stable =
          !settings_->read_committed || partition.stable_offset == partition.high_offset;
      const bool heard = partition.leader_up && partition.last_fetch_age < kAnswerAgeMax;
      const bool known = partition.last_fetch_age.us != INT64_MAX;
      if (partition.end_reached && stable && heard && partition.high_offset >= 0) {
        status = SplitStatus::kCaughtUp;
      } else if ((known && (!partition.leader_up || partition.last_fetch_age > kUnreachableAge)) ||
                 (!known && !consumer_->last_error().empty())) {
        status = SplitStatus::kUnreachable;
        WEIR_LOG_EVERY_MS(kLogEveryMs, kWarn,
                          "source is degraded: a partition's leader does not answer",
                          {"node_id", context_->node().id},
                          {"split", SplitId(assigned.split.topic, assigned.split.partition)},
                          {"reason", consumer_->last_error()});
      }
    }
    if (assigned.ended) {
      if (assigned.queue && !assigned.end_reported) consumer_->Finish(*assigned.queue);
      status = SplitStatus::kEnded;
      lag = 0;
      assigned.end_reported = true;
    }
    out.Report(split, position.ToText(), status, lag);
    return Status::Ok();
  }

  Status OnPartitionError(const Assigned& assigned, const Status& error) {
    const std::string id = SplitId(assigned.split.topic, assigned.split.partition);
    if (error.code() != Code::kNotFound) return error.At("split " + id);
    if (!settings_->earliest_on_loss) {
      return Status(
          Code::kNotFound,
          "split " + id + ": offset " + std::to_string(assigned.split.position.next) +
              " is not in the topic: retention removed it before it was read, or the topic "
              "has lost its end. With \"on_data_loss\": \"earliest\" the job goes on "
              "without what retention has removed",
          Fault::kExternal, Retry::kNever);
    }
    if (reset_ == nullptr) StartReset();
    return Status::Ok();
  }

  void StartReset() {
    reset_ = std::make_shared<Reset>();
    std::vector<std::pair<std::string, int32_t>> partitions;
    for (size_t i = 0; i < splits_.size(); ++i) {
      if (!splits_[i].queue || consumer_->status(*splits_[i].queue).error.code() != Code::kNotFound)
        continue;
      reset_->splits.push_back(i);
      partitions.emplace_back(splits_[i].split.topic, splits_[i].split.partition);
    }
    Clients& clients = context_->clients();
    context_->Post([reset = reset_, settings = settings_, partitions, &clients] {
      Result<std::unique_ptr<KafkaAdmin>> admin = clients.MakeKafkaAdmin(settings->connection);
      reset->offsets = admin.ok() ? (*admin)->Offsets(partitions, KafkaAdmin::When::kEarliest, {},
                                                      kAdminDeadline)
                                  : Result<std::vector<int64_t>>(admin.status());
      reset->done.store(true, std::memory_order_release);
    });
  }

  /// A position is never sought in a living client: a new one starts where each split stands.
  Status FinishReset() {
    const std::shared_ptr<Reset> reset = std::move(reset_);
    reset_ = nullptr;
    WEIR_TRY(reset->offsets.status());
    for (size_t i = 0; i < reset->splits.size(); ++i) {
      KafkaSplitPosition& position = splits_[reset->splits[i]].split.position;
      const int64_t earliest = (*reset->offsets)[i];
      if (earliest <= position.next) {
        return Status(Code::kIncompatible,
                      "split " +
                          SplitId(splits_[reset->splits[i]].split.topic,
                                  splits_[reset->splits[i]].split.partition) +
                          ": offset " + std::to_string(position.next) +
                          " lies behind the topic's end: its newest records are gone, or it was "
                          "made anew. \"on_data_loss\" is about retention: here the job would "
                          "read what it has read before. Start it from an older checkpoint "
                          "(--from N), or without state (--from none)",
                      Fault::kExternal, Retry::kNever);
      }
      context_->counter("offset_jump").Add(1);
      WEIR_LOG(kWarn, "records were lost to retention", {"node_id", context_->node().id},
               {"split", SplitId(splits_[reset->splits[i]].split.topic,
                                 splits_[reset->splits[i]].split.partition)},
               {"from", position.next}, {"to", earliest});
      position.next = earliest;
    }
    WEIR_TRY(MakeConsumer());
    std::vector<KafkaPosition> positions;
    for (size_t i = 0; i < splits_.size(); ++i) {
      splits_[i].queue.reset();
      Queue(i, positions);
    }
    return Assign(positions);
  }

  void CountCommitFailures() {
    const uint64_t failures = consumer_->commit_failures();
    if (failures > commit_failures_)
      context_->counter("commit_failed").Add(failures - commit_failures_);
    commit_failures_ = failures;
  }

  const SettingsRef settings_;
  NodeContext* context_ = nullptr;
  std::unique_ptr<KafkaConsumer> consumer_;
  uint32_t queues_ = 0;
  std::vector<Assigned> splits_;  // by SplitIndex
  size_t first_ = 0;              // where the round begins
  std::array<KafkaMessage, kPollMessagesMax> messages_;
  Duration reported_{INT64_MIN / 2};
  std::shared_ptr<Reset> reset_;  // null: none under way
  uint64_t commit_failures_ = 0;
};

/// "earliest", or {"timestamp": "..."}: the word, or the time. Reports what is neither.
struct WordOrTime {
  std::string word;
  std::optional<EventTime> time;
};
std::optional<WordOrTime> ReadWordOrTime(const NodeConfig& config, std::string_view option,
                                         std::initializer_list<std::string_view> words) {
  const Json& value = config.json(option);
  if (value.is_string()) {
    const std::string word = value.get<std::string>();
    if (std::find(words.begin(), words.end(), word) != words.end())
      return WordOrTime{.word = word, .time = {}};
  } else if (value.is_object() && value.size() == 1 && value.contains("timestamp") &&
             value["timestamp"].is_string()) {
    const std::optional<int64_t> time =
        ParseTimestamp(value["timestamp"].get_ref<const std::string&>());
    if (time) return WordOrTime{.word = {}, .time = EventTime{*time}};
  }
  std::string allowed;
  for (const std::string_view word : words) allowed += "\"" + std::string(word) + "\", ";
  config.Error(option, "W0203",
               "'" + std::string(option) + "' is " + allowed +
                   "or {\"timestamp\": \"2026-01-01T00:00:00Z\"}");
  return std::nullopt;
}

void Infer(NodeConfig& config, NodeShape& shape) {
  shape.client_queue_bytes = kClientBytes;
  config.InferSource(shape, {std::string(kTopicColumn), std::string(kPartitionColumn),
                             std::string(kOffsetColumn), std::string(kKeyColumn)});
  const bool topics = config.Has("topics");
  if (topics == config.Has("topic_pattern")) {
    config.Error(topics ? "topic_pattern" : "", "W0202",
                 topics ? "'topics' and 'topic_pattern' exclude one another"
                        : "'topics' or 'topic_pattern' is missing",
                 "name the topics: \"topics\": [\"clicks\"]");
  } else if (topics && config.Strings("topics").empty()) {
    config.Error("topics", "W0206", "'topics' names no topic");
  } else if (!topics) {
    BindPattern(config);
  }
  ReadWordOrTime(config, "start_from", {"earliest", "latest", "committed"});
  if (config.Has("stop_at")) ReadWordOrTime(config, "stop_at", {"latest"});
  if (shape.source) shape.source->bounded = config.Has("stop_at");
}

Result<SourceParts> Create(const NodeConfig& config, const NodeShape&) {
  auto settings = std::make_shared<KafkaSourceSettings>();
  WEIR_ASSIGN(settings->connection, config.Kafka("connection"));
  if (config.Has("topics")) {
    settings->topics = config.Strings("topics");
  } else {
    settings->pattern = BindPattern(config);
  }
  using Start = KafkaSourceSettings::Start;
  if (const std::optional<WordOrTime> start =
          ReadWordOrTime(config, "start_from", {"earliest", "latest", "committed"})) {
    settings->start = start->time                  ? Start::kTime
                      : start->word == "latest"    ? Start::kLatest
                      : start->word == "committed" ? Start::kCommitted
                                                   : Start::kEarliest;
    settings->start_time = start->time.value_or(EventTime{});
  }
  if (config.Has("stop_at")) {
    const std::optional<WordOrTime> stop = ReadWordOrTime(config, "stop_at", {"latest"});
    settings->stop =
        stop && stop->time ? KafkaSourceSettings::Stop::kTime : KafkaSourceSettings::Stop::kLatest;
    if (stop) settings->stop_time = stop->time.value_or(EventTime{});
  }
  settings->group_id = config.Has("group_id") ? config.Text("group_id")
                                              : "weir-" + config.job().name + "-" + config.id();
  settings->read_committed = config.Text("isolation") == "read_committed";
  const bool raw = config.json("format/type") == "raw";
  const Json& raw_type = config.json("schema/value");
  const bool raw_null =
      raw && raw_type.is_string() && raw_type.get_ref<const std::string&>().ends_with('?');
  settings->null_values_pass = raw_null || config.Text("on_null_value") == "error";
  settings->earliest_on_loss = config.Text("on_data_loss") == "earliest";
  settings->discovery_interval = config.DurationOf("discovery_interval");
  const SettingsRef shared = std::move(settings);
  return SourceParts{.source = [shared] { return std::make_unique<KafkaSource>(shared); },
                     .enumerator = [shared] { return std::make_unique<KafkaEnumerator>(shared); }};
}

void Probe(const NodeConfig& config, const NodeShape&, Clients& clients, Env&, Problems& problems) {
  const auto report = [&](std::string_view path, std::string code, std::string message,
                          std::string help, bool warning) {
    Problem problem;
    problem.code = std::move(code);
    problem.warning = warning;
    problem.message = std::move(message);
    problem.pointer = config.pointer(path);
    problem.help = std::move(help);
    problem.node_id = config.id();
    problems.Add(std::move(problem));
  };
  const Result<KafkaConnection> connection = config.Kafka("connection");
  if (!connection.ok())
    return report("connection", "W0704", connection.status().message(), "", false);
  const Result<std::unique_ptr<KafkaAdmin>> admin = clients.MakeKafkaAdmin(*connection);
  if (!admin.ok()) return report("connection", "W0704", admin.status().message(), "", false);
  if (!config.Has("topics")) {
    const Result<std::vector<KafkaTopic>> all = (*admin)->AllTopics(kProbeDeadline);
    if (!all.ok())
      report("connection", all.status().code() == Code::kPermissionDenied ? "W0703" : "W0702",
             all.status().message(), "", false);
    return;
  }
  const std::vector<std::string> names = config.Strings("topics");
  const Result<std::vector<KafkaTopic>> topics = (*admin)->Topics(names, kProbeDeadline);
  if (!topics.ok())
    return report("connection",
                  topics.status().code() == Code::kPermissionDenied ? "W0703" : "W0702",
                  topics.status().message(), "", false);
  size_t partitions = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto found = std::find_if(topics->begin(), topics->end(), [&](const KafkaTopic& topic) {
      return topic.name == names[i];
    });
    if (found == topics->end()) {
      report("topics/" + std::to_string(i), "W0701",
             "topic '" + names[i] + "' does not exist on " + connection->brokers,
             "create it, or correct the name", false);
    } else {
      partitions += found->partitions.size();
    }
  }
  const Json& parallelism = config.json("parallelism");
  if (partitions > 0 && parallelism.is_number_integer() &&
      static_cast<int64_t>(partitions) < parallelism.get<int64_t>()) {
    report("parallelism", "W0705",
           "the topics have " + std::to_string(partitions) +
               " partitions: tasks beyond that many have nothing to read",
           "lower the parallelism of this node", true);
  }
}

}  // namespace

void RegisterKafkaSource(Registry& registry) {
  registry.Add(
      {.name = "kafka_source",
       .doc = "Reads topics of Apache Kafka.",
       .options =
           {
               {.name = "connection",
                .type = OptionType::kConnection,
                .doc = "Name of a connection.",
                .allowed = "kafka",
                .required = true},
               {.name = "topics",
                .type = OptionType::kStringList,
                .doc = "Topics by name.",
                .substitute = true},
               {.name = "topic_pattern",
                .doc = "Topics whose whole name matches (RE2), new ones included.",
                .substitute = true},
               {.name = "format",
                .type = OptionType::kFormat,
                .doc = "Format of the values.",
                .required = true},
               {.name = "start_from",
                .type = OptionType::kJson,
                .doc = "Where a job without state begins: earliest, latest (behind what can be "
                       "read now), committed (earliest where nothing is), or {\"timestamp\": t}.",
                .fallback = "earliest",
                .substitute = true},
               {.name = "stop_at",
                .type = OptionType::kJson,
                .doc = "Ends there: latest (the end at the start of the job; under read_committed "
                       "records of a transaction that is open then are not waited for), or "
                       "{\"timestamp\": t}.",
                .substitute = true},
               {.name = "group_id",
                .doc = "Offsets are committed to this group after each checkpoint, for lag tools "
                       "only. Without it: weir-<job>-<node>.",
                .substitute = true},
               {.name = "on_null_value",
                .type = OptionType::kEnum,
                .doc = "Records without a value.",
                .fallback = "skip",
                .allowed = "skip|error"},
               {.name = "isolation",
                .type = OptionType::kEnum,
                .doc = "Whether records of open and aborted transactions are read.",
                .fallback = "read_committed",
                .allowed = "read_committed|read_uncommitted"},
               {.name = "discovery_interval",
                .type = OptionType::kDuration,
                .doc = "How often new partitions and topics are looked for.",
                .fallback = "10s",
                .allowed = "100ms..1d"},
               {.name = "on_data_loss",
                .type = OptionType::kEnum,
                .doc =
                    "If retention removed the saved offset: fail, or go on at the earliest record.",
                .fallback = "fail",
                .allowed = "fail|earliest"},
           },
       .inputs = {.least = 0, .most = 0},
       .infer = Infer,
       .probe = Probe,
       .create = Create,
       .example =
           R"({"type": "kafka_source", "connection": "main", "topics": ["clicks"], "format": {"type": "json"},
 "schema": {"user_id": "string", "at": "timestamp_ms"}, "event_time": {"field": "at", "max_delay": "5s"}})"});
}

}  // namespace weir
