#include "tests/sim/kafka_run.h"

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/base/json.h"
#include "tests/sim/sim_job.h"

namespace weir {
namespace {

constexpr int64_t kSecondUs = 1'000'000, kMinuteUs = 60 * kSecondUs;
constexpr int64_t kFirstTimeUs = 700 * kSecondUs;  // later than the oldest late row is late
constexpr int64_t kMaxDelayUs = 10 * kSecondUs, kLatenessUs = 30 * kSecondUs;  // as in the job
constexpr int64_t kDisorderUsMax = 5 * kSecondUs;
constexpr int64_t kRevisingUsMax = kMaxDelayUs + kLatenessUs - 2 * kSecondUs;
constexpr int64_t kLeastValue = 10;
constexpr uint32_t kLateRowsMax = 30;  // each has a bit of its own in the values
constexpr int64_t kFirstLateValue = 16;
constexpr uint64_t kCrashesMax = 5;
constexpr int64_t kCrashAfterUsMax = 3'000'000;  // virtual life of a process that crashes
constexpr uint64_t kCrashAfterCallsMax = 600;    // or file calls
constexpr Duration kFaultsFor = Seconds(25);
constexpr Duration kLogDeadline = Seconds(600);  // virtual, to read what has arrived
constexpr std::string_view kInTopic = "in", kOutTopic = "out", kGroup = "sim";

constexpr std::string_view kJob = R"json({
  "weir": 1, "name": "sim",
  "connections": { "main": { "type": "kafka", "brokers": "sim-kafka:9092" } },
  "nodes": {
    "in": { "type": "kafka_source", "connection": "main", "topics": ["in"], "group_id": "sim", "discovery_interval": "1s",STOP
      "format": { "type": "json" }, "schema": { "id": "int64", "k": "string", "v": "int64", "ts": "timestamp" },
      "event_time": { "field": "ts", "max_delay": "10s", "idle_timeout": "5s" }, "on_error": "side_output" },
    "kept": { "type": "filter", "inputs": ["in"], "where": "v >= 10" },
    "sums": { "type": "aggregate", "inputs": ["kept"], "key_by": ["k"], "window": { "type": "tumbling", "size": "1m" },
      "allowed_lateness": "30s", "late": "side_output",
      "aggregates": { "n": "count(*)", "total": "sum(v)", "most": "max(v)" } },
    "results": { "type": "kafka_sink", "inputs": ["sums"], "connection": "main", "topic": "out", "key": ["k", "window_start"],
      "format": { "type": "json" }, "write": "upsert", "create": { "partitions": 3 } },
    "changes": { "type": "file_sink", "inputs": ["sums"], "path": "/out/changes", "format": { "type": "json" }, "write": "changelog" },
    "rows": { "type": "file_sink", "inputs": ["kept"], "path": "/out/rows", "format": { "type": "json" } },
    "late": { "type": "file_sink", "inputs": ["sums.late"], "path": "/out/late", "format": { "type": "json" } },
    "bad": { "type": "project", "inputs": ["in.errors"], "fields": { "code": "code", "partition": "\"partition\"", "offset": "\"offset\"" } },
    "bad_rows": { "type": "file_sink", "inputs": ["bad"], "path": "/out/bad", "format": { "type": "json" } }
  }
})json";

struct Sums {
  int64_t n = 0, total = 0, most = 0;
  void Add(int64_t v) {
    ++n;
    total += v;
    most = std::max(most, v);
  }
  bool operator==(const Sums&) const = default;
  std::string ToString() const {
    return std::to_string(n) + "/" + std::to_string(total) + "/" + std::to_string(most);
  }
};
using WindowKey = std::pair<std::string, int64_t>;  // key, number of the minute
struct Window {
  Sums all;    // with every row of it
  Sums least;  // with those that are never behind the watermark
  bool late_keys = false;
};
struct InputRecord {
  int32_t partition = 0;
  std::optional<std::string> value;
};
/// What a run must have written.
struct Expected {
  std::map<int64_t, std::pair<std::string, int64_t>> rows;  // by id: k, v
  std::map<WindowKey, Window> windows;
  std::map<int64_t, WindowKey> late_keys;     // by id: rows that may be late
  std::set<std::pair<int32_t, int64_t>> bad;  // partition and offset
};

std::string NameOf(const WindowKey& key) {
  return "window " + std::to_string(key.second) + " of " + key.first;
}

std::optional<std::pair<WindowKey, Sums>> ParseResult(const Json& row) {
  const WindowKey key{row.value("k", ""), SimMinuteOf(row.value("window_start", ""))};
  if (key.second < 0) return std::nullopt;
  return std::pair{key, Sums{row.value("n", int64_t{-1}), row.value("total", int64_t{-1}),
                             row.value("most", int64_t{-1})}};
}

/// Rows that the job may see as late are in the sum of their window or in the late output; this
/// judges one result of such a window by the bits of its sum.
bool IsSumOfLateRows(const Sums& sums, int64_t all) {
  const auto total = static_cast<uint64_t>(sums.total);
  return sums.total > 0 && (sums.total & ~all) == 0 && sums.n == std::popcount(total) &&
         sums.most == static_cast<int64_t>(std::bit_floor(total));
}

/// Empty: `got` may be a result of the window at some moment.
std::string JudgeResult(const Expected& expected, const WindowKey& key, const Sums& got) {
  const auto found = expected.windows.find(key);
  if (found == expected.windows.end()) return NameOf(key) + " should not be there";
  const Window& window = found->second;
  const bool possible =
      window.late_keys
          ? IsSumOfLateRows(got, window.all.total)
          : got == window.all || (got.n >= window.least.n && got.n < window.all.n &&
                                  got.total >= window.least.total && got.total < window.all.total &&
                                  got.most >= window.least.most && got.most <= window.all.most);
  return possible ? ""
                  : NameOf(key) + ": got " + got.ToString() + ", expected " +
                        window.least.ToString() + " to " + window.all.ToString();
}

class Checker {
 public:
  Checker(Env& env, const SimKafka& kafka, const Expected& expected)
      : env_(env), kafka_(kafka), expected_(expected) {}

  /// `complete`: all of it must be there; else what is there must be right and there once.
  std::string Check(bool complete) {
    std::string failure = CheckRows(complete);
    if (failure.empty()) failure = CheckLate();
    if (failure.empty()) failure = CheckBad(complete);
    if (failure.empty()) failure = CheckTopic();
    if (failure.empty() && complete) failure = CheckChanges();
    if (failure.empty() && complete) failure = CheckWindows();
    return failure;
  }
  uint64_t results() const { return results_; }
  uint64_t late_rows() const { return late_.size(); }
  uint64_t revised() const { return revised_; }

 private:
  std::string CheckRows(bool complete) {
    std::vector<Json> rows;
    if (const Status status = ReadJsonLines(env_, "/out/rows", rows); !status.ok())
      return status.ToString();
    std::set<int64_t> seen;
    for (const Json& row : rows) {
      const int64_t id = row.value("id", int64_t{-1});
      const auto found = expected_.rows.find(id);
      if (found == expected_.rows.end() || found->second.first != row.value("k", "") ||
          found->second.second != row.value("v", int64_t{-1}))
        return "a row that the input does not have: " + row.dump();
      if (!seen.insert(id).second) return "row " + std::to_string(id) + " is there twice";
    }
    if (complete && seen.size() != expected_.rows.size())
      return "lost " + std::to_string(expected_.rows.size() - seen.size()) + " rows";
    return {};
  }

  std::string CheckLate() {
    std::vector<Json> rows;
    if (const Status status = ReadJsonLines(env_, "/out/late", rows); !status.ok())
      return status.ToString();
    for (const Json& row : rows) {
      const int64_t id = row.value("id", int64_t{-1});
      const auto found = expected_.late_keys.find(id);
      if (found == expected_.late_keys.end()) return "a row counts as late: " + row.dump();
      if (!late_.insert(id).second) return "late row " + std::to_string(id) + " is there twice";
      late_values_[found->second] += expected_.rows.at(id).second;
    }
    return {};
  }

  std::string CheckBad(bool complete) {
    std::vector<Json> rows;
    if (const Status status = ReadJsonLines(env_, "/out/bad", rows); !status.ok())
      return status.ToString();
    std::set<std::pair<int32_t, int64_t>> seen;
    for (const Json& row : rows) {
      const std::pair<int32_t, int64_t> place{row.value("partition", int32_t{-1}),
                                              row.value("offset", int64_t{-1})};
      if (!expected_.bad.contains(place)) return "a good record counts as bad: " + row.dump();
      if (!seen.insert(place).second) return "a bad record is there twice: " + row.dump();
    }
    if (complete && seen.size() != expected_.bad.size())
      return "lost " + std::to_string(expected_.bad.size() - seen.size()) + " bad records";
    return {};
  }

  std::string CheckTopic() {
    const std::string topic(kOutTopic);
    if (!kafka_.HasTopic(topic)) return {};
    std::map<WindowKey, int32_t> places;
    for (int32_t partition = 0; partition < kafka_.partitions(topic); ++partition) {
      for (const auto& record : kafka_.log(topic, partition)) {
        ++results_;
        if (!record->value) return "a tombstone in the results";
        const Result<Json> row = ParseJson(*record->value);
        const auto result = row.ok() ? ParseResult(*row) : std::nullopt;
        if (!result) return "no result: " + *record->value;
        const auto& [key, sums] = *result;
        if (std::string failure = JudgeResult(expected_, key, sums); !failure.empty())
          return "in the topic, " + failure;
        if (places.emplace(key, partition).first->second != partition)
          return NameOf(key) + " is in two partitions";
        last_[key] = sums;
      }
    }
    return {};
  }

  /// The changes of a window come in any order of files; what they add less what they take away is
  /// one result.
  std::string CheckChanges() {
    std::vector<Json> rows;
    if (const Status status = ReadJsonLines(env_, "/out/changes", rows); !status.ok())
      return status.ToString();
    std::map<WindowKey, std::map<std::string, int>> net;
    std::map<WindowKey, int> inserts;
    std::map<WindowKey, std::map<std::string, Sums>> values;
    for (const Json& row : rows) {
      const auto result = ParseResult(row);
      if (!result) return "no result: " + row.dump();
      const auto& [key, sums] = *result;
      if (std::string failure = JudgeResult(expected_, key, sums); !failure.empty())
        return "in the changes, " + failure;
      const std::string op = row.value("_op", "");
      if (op == "insert") ++inserts[key];
      if (op == "update_before") ++revised_;
      if (op != "insert" && op != "update_before" && op != "update_after")
        return "a change of no known kind: " + row.dump();
      net[key][sums.ToString()] += op == "update_before" ? -1 : 1;
      values[key][sums.ToString()] = sums;
    }
    for (const auto& [key, counts] : net) {
      std::optional<Sums> rest;
      for (const auto& [text, count] : counts) {
        if (count == 0) continue;
        if (count != 1 || rest) return NameOf(key) + ": its changes do not add up to one result";
        rest = values[key][text];
      }
      if (!rest || inserts[key] != 1) return NameOf(key) + ": its changes do not add up";
      final_[key] = *rest;
    }
    return {};
  }

  std::string CheckWindows() {
    for (const auto& [key, window] : expected_.windows) {
      Sums expected = window.all;
      if (window.late_keys) {
        const auto late = late_values_.find(key);
        expected.total -= late == late_values_.end() ? 0 : late->second;
        if (expected.total == 0) {  // all of its rows were late
          if (final_.contains(key)) return NameOf(key) + " has a result of rows that were late too";
          continue;
        }
        const auto bits = static_cast<uint64_t>(expected.total);
        expected.n = std::popcount(bits);
        expected.most = static_cast<int64_t>(std::bit_floor(bits));
      }
      for (const auto& [name, results] : {std::pair{"topic", &last_}, {"changes", &final_}}) {
        // Whether such a row is late depends on how the partitions interleave. The topic keeps what
        // an attempt wrote that then was rolled back, and the next one may find the row late.
        if (window.late_keys && results == &last_) continue;
        const auto found = results->find(key);
        if (found == results->end()) return std::string(name) + ": lost " + NameOf(key);
        if (found->second != expected)
          return std::string(name) + ": last of " + NameOf(key) + " is " +
                 found->second.ToString() + ", expected " + expected.ToString();
      }
    }
    return {};
  }

  Env& env_;
  const SimKafka& kafka_;
  const Expected& expected_;
  std::set<int64_t> late_;
  std::map<WindowKey, int64_t> late_values_;
  std::map<WindowKey, Sums> last_, final_;
  uint64_t results_ = 0, revised_ = 0;
};

class KafkaRun {
 public:
  KafkaRun(uint64_t seed, SimKafkaLie lie) : world_(seed) { kafka_.Lie(lie); }

  KafkaRunReport Go() {
    report_.failure = Run();
    report_.trace = world_.trace();
    report_.steps = world_.steps();
    report_.lied = kafka_.lied();
    return report_;
  }

 private:
  uint64_t Draw(uint64_t least, uint64_t most) {
    return least + world_.Random() % (most - least + 1);
  }
  bool Chance(uint64_t one_in) { return world_.Random() % one_in == 0; }
  Duration DrawMicroseconds(int64_t least, int64_t most) {
    return Microseconds(
        static_cast<int64_t>(Draw(static_cast<uint64_t>(least), static_cast<uint64_t>(most))));
  }

  std::string Run() {
    partitions_ = static_cast<int32_t>(Draw(1, 4));
    idle_partition_ = partitions_ > 1 && Chance(2);
    kafka_.CreateTopic(std::string(kInTopic), partitions_);
    if (Chance(3)) kafka_.CreateTopic(std::string(kOutTopic), static_cast<int32_t>(Draw(1, 3)));
    interval_ = Milliseconds(static_cast<int64_t>(Draw(20, 500)));
    MakeInput(Draw(50, 900));
    live_ = Chance(2);
    text_ = kJob;
    const std::string_view hole = "STOP";
    text_.replace(text_.find(hole), hole.size(), live_ ? "" : R"( "stop_at": "latest",)");
    if (live_) {
      grows_at_ = Chance(2) ? Draw(0, input_.size() - 1) : input_.size();
      AppendLive();
    } else {
      while (next_ < input_.size()) AppendNext();
    }
    if (Chance(2)) kafka_.LoseAnswers(static_cast<uint32_t>(Draw(3, 20)));
    outages_ = Chance(2);
    moves_ = Chance(2);
    failures_ = Chance(3);
    faults_end_ = world_.Steady() + kFaultsFor;
    FaultLater();

    const uint64_t crashes = Draw(1, kCrashesMax);
    bool finished = false;
    for (uint64_t i = 0; i < crashes && !finished; ++i) {
      if (std::string failure = LiveAndDie(finished); !failure.empty()) return failure;
    }
    return LastProcess();
  }

  /// Rows in the order of one clock, dealt to the partitions; values, lateness and what the job
  /// must make of them.
  void MakeInput(uint64_t records) {
    const auto busy = static_cast<uint64_t>(partitions_ - (idle_partition_ ? 1 : 0));
    std::vector<int64_t> newest(busy, INT64_MIN / 2);
    for (uint64_t i = 0; i < records; ++i) {
      InputRecord record;
      record.partition = static_cast<int32_t>(Draw(0, busy - 1));
      int64_t& newest_here = newest[static_cast<size_t>(record.partition)];
      const uint64_t kind = Draw(0, 99);
      if (kind < 3) {  // no value
      } else if (kind < 6) {
        record.value = "{\"id\": " + std::to_string(i) + ", no JSON";
      } else if (kind < 8) {
        record.value = Json{{"id", i}, {"k", "k0"}, {"v", "many"}, {"ts", "now"}}.dump();
      } else {
        const int64_t now = kFirstTimeUs + static_cast<int64_t>(i) * kSecondUs;
        const bool late = kind < 14 && expected_.late_keys.size() < kLateRowsMax;
        const bool revises = kind >= 14 && kind < 24;
        int64_t ts = now - static_cast<int64_t>(Draw(0, kDisorderUsMax));
        // Behind the newest of its own partition by less than what is allowed: not late wherever
        // the watermark of all partitions stands.
        if (revises) ts = now - static_cast<int64_t>(Draw(kMaxDelayUs, kRevisingUsMax));
        if (late) ts = now - static_cast<int64_t>(Draw(200 * kSecondUs, 600 * kSecondUs));
        AddRow(record, static_cast<int64_t>(i), late, ts, newest_here);
        if (!late) newest_here = std::max(newest_here, ts);
      }
      input_.push_back(std::move(record));
    }
    report_.input_records = input_.size();
  }

  void AddRow(InputRecord& record, int64_t id, bool late, int64_t ts, int64_t newest_here) {
    const std::string k = (late ? "late" : "k") + std::to_string(Draw(0, late ? 1 : 6));
    const int64_t v =
        late ? kFirstLateValue << expected_.late_keys.size() : static_cast<int64_t>(Draw(0, 99));
    record.value = Json{{"id", id}, {"k", k}, {"v", v}, {"ts", SimTimestamp(ts)}}.dump();
    if (v < kLeastValue) return;
    expected_.rows[id] = {k, v};
    const WindowKey key{k, ts / kMinuteUs};
    Window& window = expected_.windows[key];
    window.all.Add(v);
    window.late_keys = late;
    if (late) expected_.late_keys[id] = key;
    if (ts > newest_here - kMaxDelayUs) window.least.Add(v);
  }

  void AppendNext() {
    const InputRecord& input = input_[next_++];
    KafkaRecord record;
    record.topic = kInTopic;
    record.partition = input.partition;
    record.timestamp_ms = 1;
    if (input.value) record.value = *input.value;
    const size_t offset = kafka_.log(std::string(kInTopic), input.partition).size();
    if (input.value && !IsRow(*input.value))
      expected_.bad.emplace(input.partition, static_cast<int64_t>(offset));
    kafka_.Append(record);
  }
  static bool IsRow(const std::string& value) {
    const Result<Json> json = ParseJson(value);
    return json.ok() && (*json)["v"].is_number();
  }

  /// Records arrive while the job runs, and while it does not.
  void AppendLive() {
    if (next_ == grows_at_) {
      kafka_.AddPartitions(std::string(kInTopic), partitions_ + 1);
      grows_at_ = input_.size();
      grown_ = true;
    }
    AppendNext();
    // Rows that may be late in the new partition too.
    if (grown_ && next_ < input_.size() && MayBeLate(input_[next_]))
      input_[next_].partition = partitions_;
    if (next_ < input_.size()) world_.After(DrawMicroseconds(0, 20'000), [this] { AppendLive(); });
  }
  static bool MayBeLate(const InputRecord& record) {
    return record.value && record.value->find("\"late") != std::string::npos;
  }

  void FaultLater() {
    if (!outages_ && !moves_ && !failures_) return;
    world_.After(DrawMicroseconds(50'000, 3'000'000), [this] {
      if (world_.Steady() >= faults_end_) return;
      if (outages_ && Chance(3)) {
        ++report_.cluster_faults;
        kafka_.Down(DrawMicroseconds(1'000, Chance(4) ? 8'000'000 : 500'000));
      }
      if (moves_) {
        const std::string topic(Chance(2) && kafka_.HasTopic(std::string(kOutTopic)) ? kOutTopic
                                                                                     : kInTopic);
        ++report_.cluster_faults;
        kafka_.MoveLeader(
            topic,
            static_cast<int32_t>(Draw(0, static_cast<uint64_t>(kafka_.partitions(topic)) - 1)),
            DrawMicroseconds(1'000, 1'000'000));
      }
      if (failures_ && Chance(3)) {
        ++report_.cluster_faults;
        kafka_.FailNextBatch();
      }
      FaultLater();
    });
  }

  std::string StartProcess(JobProcess& process) {
    ++report_.processes;
    JobRun run;
    run.text = text_;
    run.parallelism = static_cast<uint32_t>(Draw(1, 4));
    run.checkpoint_interval = interval_;
    run.threads = static_cast<int>(Draw(1, 3));
    const Status status = process.Start(run);
    return status.ok() ? "" : status.ToString();
  }

  void Count(const JobProcess& process) {
    const control::JobStatus status = process.status();
    report_.checkpoints += status.checkpoints.completed;
    for (const auto& [reason, count] : status.restarts) report_.restarts += count;
  }

  /// A process until its crash. `finished`: the job ended before.
  std::string LiveAndDie(bool& finished) {
    FaultEnv& faults = world_.faults();
    {
      JobProcess process(world_, "process-" + std::to_string(report_.processes),
                         kafka_.MakeClients());
      if (std::string failure = StartProcess(process); !failure.empty()) return failure;
      const uint64_t how = Draw(0, 3);
      const bool at_call = how == 1, one_fault = how == 2;
      if (at_call || one_fault) {
        FaultPlan plan;
        plan.fail_at = Draw(1, kCrashAfterCallsMax);
        plan.fail_from_there = at_call;
        faults.SetPlan(std::move(plan));
      }
      const Duration life = DrawMicroseconds(0, kCrashAfterUsMax), at = world_.Steady() + life;
      world_.After(life, [] {});
      if (!world_.RunUntil(
              [&] { return process.ended() || world_.Steady() >= at || (at_call && faults.hit()); },
              kSimRunMax))
        return process.Hanging();
      if (faults.hit()) ++report_.file_faults;
      Count(process);
      had_head_ |= process.status().attempt.value != 0;
      if (process.ended()) {
        const Status failure = process.status().failure;
        if (!failure.ok() && !faults.hit()) return "the job failed: " + failure.ToString();
        finished = failure.ok();
      }
      faults.SetPlan({});
      const uint64_t death = Draw(0, 2);
      ++(death == 0 ? report_.kills : report_.power_losses);
      if (death == 0) {
        world_.Kill(process.env());
      } else {
        world_.PowerLoss(death == 1 ? PowerLossKeeps::kNothingUnsynced
                                    : PowerLossKeeps::kRandomPart);
      }
    }
    // What the dead process has sent arrives or is lost before the next one starts.
    world_.RunFor(SimKafka::kTravelMax);
    const std::unique_ptr<Env> looker = world_.StartProcess("looker");
    if (std::string failure = CheckHead(*looker, had_head_); !failure.empty()) return failure;
    return Checker(*looker, kafka_, expected_).Check(/*complete=*/false);
  }

  bool AllCommitted() const {
    const std::string topic(kInTopic);
    if (next_ < input_.size()) return false;
    for (int32_t partition = 0; partition < kafka_.partitions(topic); ++partition) {
      const auto end = static_cast<int64_t>(kafka_.log(topic, partition).size());
      if (end > 0 && kafka_.committed(std::string(kGroup), topic, partition) != end) return false;
    }
    return true;
  }

  std::string LastProcess() {
    JobProcess process(world_, "last", kafka_.MakeClients());
    if (std::string failure = StartProcess(process); !failure.empty()) return failure;
    if (live_) {
      // A job is drained that runs and has read everything, of a cluster that fails no more: a
      // failure then would end the stop without its last checkpoint.
      if (!world_.RunUntil([&] { return process.ended() || world_.Steady() >= faults_end_; },
                           kLogDeadline))
        return process.Hanging();
      kafka_.FailNoBatch();
      world_.RunFor(Seconds(1));
      if (!world_.RunUntil(
              [&] {
                return process.ended() ||
                       (process.status().state == control::JobState::kRunning && AllCommitted());
              },
              kLogDeadline))
        return "the input is not read: " + process.Hanging();
      process.Drain();
    }
    if (!world_.RunUntil([&] { return process.ended(); }, kSimRunMax)) return process.Hanging();
    Count(process);
    if (!process.status().failure.ok())
      return "the job failed: " + process.status().failure.ToString();
    if (std::string failure = process.Unaccounted(); !failure.empty()) return failure;
    Checker checker(process.env(), kafka_, expected_);
    std::string failure = checker.Check(/*complete=*/true);
    report_.results = checker.results();
    report_.revised_windows = checker.revised();
    report_.late_rows = checker.late_rows();
    return failure;
  }

  SimWorld world_;
  SimKafka kafka_{world_};
  KafkaRunReport report_;
  Expected expected_;
  std::vector<InputRecord> input_;
  size_t next_ = 0, grows_at_ = 0;
  int32_t partitions_ = 0;
  bool idle_partition_ = false, live_ = false, grown_ = false, had_head_ = false;
  bool outages_ = false, moves_ = false, failures_ = false;
  Duration interval_{}, faults_end_{};
  std::string text_;
};

}  // namespace

KafkaRunReport RunWithKafka(uint64_t seed, SimKafkaLie lie) { return KafkaRun(seed, lie).Go(); }

}  // namespace weir
