#include "tests/sim/crash_run.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/json.h"
#include "tests/sim/sim_job.h"

namespace weir {
namespace {

constexpr int64_t kCrashAfterUsMax = 4'000'000;  // virtual life of a process that crashes
constexpr uint64_t kCrashAfterCallsMax = 600;    // or file calls
constexpr uint32_t kCrashesMax = 6;
constexpr int64_t kMinuteUs = 60'000'000;
constexpr int64_t kStepUs =
    1'000'000;  // the input stays within an hour: later times would count as wrong clocks
constexpr int64_t kJitterUsMax = 20'000'000;  // max_delay of the job is more
constexpr int64_t kLeastValue = 10;

constexpr std::string_view kJob = R"json({
  "weir": 1, "name": "sim",
  "nodes": {
    "in": { "type": "file_source", "path": "/in/*.ndjson", "format": { "type": "json" }, "rate": "RATE/s",
      "schema": { "id": "int64", "k": "string", "v": "int64", "ts": "timestamp" }, "event_time": { "field": "ts", "max_delay": "30s" } },
    "kept": { "type": "filter", "inputs": ["in"], "where": "v >= 10" },
    "sums": { "type": "aggregate", "inputs": ["kept"], "key_by": ["k"], "window": { "type": "tumbling", "size": "1m" },
      "aggregates": { "n": "count(*)", "total": "sum(v)", "most": "max(v)" } },
    "minutes": { "type": "file_sink", "inputs": ["sums"], "path": "/out/minutes", "format": { "type": "json" } },
    "rows": { "type": "file_sink", "inputs": ["kept"], "path": "/out/rows", "format": { "type": "json" }, "partition_by": ["k"] }
  }
})json";

struct MinuteSums {
  int64_t n = 0, total = 0, most = 0;
  bool operator==(const MinuteSums&) const = default;
};
/// What a run must have written.
struct Expected {
  std::map<int64_t, std::pair<std::string, int64_t>> rows;        // by id: k, v
  std::map<std::pair<std::string, int64_t>, MinuteSums> minutes;  // by k and number of the minute
};

Status WriteInput(SimWorld& world, Env& env, uint64_t rows, uint64_t files, Expected& expected) {
  WEIR_TRY(env.MakeDirectory("/in"));
  std::vector<std::string> texts(files);
  for (uint64_t i = 0; i < rows; ++i) {
    const auto id = static_cast<int64_t>(i);
    const std::string k = "k" + std::to_string(world.Random() % 7);
    const auto v = static_cast<int64_t>(world.Random() % 100);
    const int64_t ts =
        id * kStepUs + static_cast<int64_t>(world.Random() % static_cast<uint64_t>(kJitterUsMax));
    texts[world.Random() % files] +=
        Json{{"id", id}, {"k", k}, {"v", v}, {"ts", SimTimestamp(ts)}}.dump() + "\n";
    if (v < kLeastValue) continue;
    expected.rows[id] = {k, v};
    MinuteSums& minute = expected.minutes[{k, ts / kMinuteUs}];
    ++minute.n;
    minute.total += v;
    minute.most = std::max(minute.most, v);
  }
  for (uint64_t i = 0; i < files; ++i)
    WEIR_TRY(WriteFileDurably(env, "/in/" + std::to_string(i) + ".ndjson", texts[i]));
  return Status::Ok();
}

/// `complete`: all of it must be there; else what is there must be right and there once.
std::string Check(Env& env, const Expected& expected, bool complete) {
  std::vector<Json> rows, minutes;
  if (const Status status = ReadJsonLines(env, "/out/rows", rows); !status.ok())
    return status.ToString();
  if (const Status status = ReadJsonLines(env, "/out/minutes", minutes); !status.ok())
    return status.ToString();
  std::map<int64_t, int> seen;
  for (const Json& row : rows) {
    const int64_t id = row.value("id", int64_t{-1});
    const auto found = expected.rows.find(id);
    if (found == expected.rows.end() || found->second.second != row.value("v", int64_t{-1}) ||
        found->second.first != row.value("k", ""))
      return "a row that the input does not have: " + row.dump();
    if (++seen[id] > 1) return "row " + std::to_string(id) + " is there twice";
  }
  std::map<std::pair<std::string, int64_t>, MinuteSums> sums;
  for (const Json& row : minutes) {
    const std::string start = row.value("window_start", "");
    const std::pair<std::string, int64_t> key{row.value("k", ""), SimMinuteOf(start)};
    if (key.second < 0) return "a window without a start: " + row.dump();
    const MinuteSums got{row.value("n", int64_t{-1}), row.value("total", int64_t{-1}),
                         row.value("most", int64_t{-1})};
    if (!sums.emplace(key, got).second)
      return "window " + start + " of " + key.first + " is there twice";
    const auto found = expected.minutes.find(key);
    if (found == expected.minutes.end() || found->second != got) {
      return "window " + start + " of " + key.first + ": got " + row.dump() + ", expected n " +
             std::to_string(found == expected.minutes.end() ? 0 : found->second.n);
    }
  }
  if (!complete) return {};
  if (seen.size() != expected.rows.size()) {
    std::string lost;
    for (const auto& [id, row] : expected.rows) {
      if (!seen.contains(id)) lost += " " + std::to_string(id) + "/" + row.first;
    }
    return "lost " + std::to_string(expected.rows.size() - seen.size()) + " of " +
           std::to_string(expected.rows.size()) + " rows:" + lost;
  }
  if (sums.size() != expected.minutes.size()) {
    std::string lost;
    for (const auto& [key, minute] : expected.minutes) {
      if (!sums.contains(key)) lost += " " + key.first + "/" + std::to_string(key.second);
    }
    return "lost " + std::to_string(expected.minutes.size() - sums.size()) + " of " +
           std::to_string(expected.minutes.size()) + " windows:" + lost;
  }
  return {};
}

class CrashRun {
 public:
  explicit CrashRun(uint64_t seed) : world_(seed) {}

  CrashRunReport Go() {
    report_.failure = Run();
    report_.trace = world_.trace();
    report_.steps = world_.steps();
    return report_;
  }

  /// One process whose `n`-th file call fails, alone or with all after it, a power loss, and one
  /// that runs to the end.
  CrashRunReport FailAt(uint64_t n, bool from_there) {
    report_.failure = FailAtCall(n, from_there);
    return report_;
  }

 private:
  uint64_t Draw(uint64_t least, uint64_t most) {
    return least + world_.Random() % (most - least + 1);
  }

  std::string Prepare() {
    report_.input_rows = Draw(100, 2000);
    rate_ = std::max<uint64_t>(20, report_.input_rows / Draw(1, 8));
    interval_ = Milliseconds(static_cast<int64_t>(Draw(20, 500)));
    {
      const std::unique_ptr<Env> writer = world_.StartProcess("writer");
      if (const Status status =
              WriteInput(world_, *writer, report_.input_rows, Draw(1, 4), expected_);
          !status.ok())
        return status.ToString();
    }
    return {};
  }

  std::string Run() {
    if (std::string failure = Prepare(); !failure.empty()) return failure;
    const uint64_t crashes = Draw(1, kCrashesMax);
    for (uint64_t i = 0; i < crashes; ++i) {
      bool finished = false;
      if (std::string failure = LiveAndDie(finished); !failure.empty()) return failure;
      if (finished) break;
    }
    return RunToTheEnd();
  }

  std::string FailAtCall(uint64_t n, bool from_there) {
    if (std::string failure = Prepare(); !failure.empty()) return failure;
    FaultEnv& faults = world_.faults();
    {
      JobProcess process(world_, "process-0", nullptr);
      FaultPlan plan;
      plan.fail_at = n;
      plan.fail_from_there = from_there;
      faults.SetPlan(std::move(plan));
      std::string start = StartProcess(process);
      if (!start.empty() && !faults.hit()) return start;
      if (start.empty()) {
        if (!world_.RunUntil([&] { return process.ended() || (from_there && faults.hit()); },
                             kSimRunMax))
          return process.Hanging();
        had_head_ |= process.status().attempt.value != 0;
      }
      report_.file_faults += faults.hit() ? 1 : 0;
      report_.file_calls = faults.calls();
      faults.SetPlan({});
      world_.PowerLoss(PowerLossKeeps::kNothingUnsynced);
    }
    {
      const std::unique_ptr<Env> looker = world_.StartProcess("looker");
      if (std::string failure = CheckHead(*looker, had_head_); !failure.empty()) return failure;
      if (std::string failure = Check(*looker, expected_, /*complete=*/false); !failure.empty())
        return failure;
    }
    return RunToTheEnd();
  }

  std::string RunToTheEnd() {
    JobProcess process(world_, "last", nullptr);
    if (std::string failure = StartProcess(process); !failure.empty()) return failure;
    if (!world_.RunUntil([&] { return process.ended(); }, kSimRunMax)) return process.Hanging();
    const control::JobStatus status = process.status();
    report_.checkpoints += status.checkpoints.completed;
    if (!status.failure.ok()) return "the job failed: " + status.failure.ToString();
    if (std::string failure = process.Unaccounted(); !failure.empty()) return failure;
    return Check(process.env(), expected_, /*complete=*/true);
  }

  std::string StartProcess(JobProcess& process) {
    ++report_.processes;
    JobRun run;
    run.text = kJob;
    const std::string_view hole = "RATE";
    run.text.replace(run.text.find(hole), hole.size(), std::to_string(rate_));
    run.parallelism = static_cast<uint32_t>(Draw(1, 3));
    run.checkpoint_interval = interval_;
    run.threads = static_cast<int>(Draw(1, 3));
    const Status status = process.Start(run);
    return status.ok() ? "" : status.ToString();
  }

  /// A process until its crash. `finished`: the job ended before.
  std::string LiveAndDie(bool& finished) {
    FaultEnv& faults = world_.faults();
    {
      JobProcess process(world_, "process-" + std::to_string(report_.processes), nullptr);
      if (std::string failure = StartProcess(process); !failure.empty()) return failure;
      const uint64_t how = Draw(0, 3);
      const bool at_call = how == 1, one_fault = how == 2;
      if (at_call || one_fault) {
        FaultPlan plan;
        plan.fail_at = Draw(1, kCrashAfterCallsMax);
        plan.fail_from_there = at_call;
        faults.SetPlan(std::move(plan));
      }
      const Duration at =
          world_.Steady() +
          Microseconds(static_cast<int64_t>(Draw(0, static_cast<uint64_t>(kCrashAfterUsMax))));
      world_.After(at - world_.Steady(), [] {});
      if (!world_.RunUntil(
              [&] { return process.ended() || world_.Steady() >= at || (at_call && faults.hit()); },
              kSimRunMax))
        return process.Hanging();
      if (faults.hit()) ++report_.file_faults;
      const control::JobStatus status = process.status();
      report_.checkpoints += status.checkpoints.completed;
      had_head_ |= status.attempt.value != 0;
      if (process.ended()) {
        if (!status.failure.ok() && !faults.hit())
          return "the job failed: " + status.failure.ToString();
        finished = status.failure.ok();
      }
      faults.SetPlan({});
      switch (Draw(0, 2)) {
        case 0:
          ++report_.kills;
          world_.Kill(process.env());
          break;
        case 1:
          ++report_.power_losses;
          world_.PowerLoss(PowerLossKeeps::kNothingUnsynced);
          break;
        default:
          ++report_.power_losses;
          world_.PowerLoss(PowerLossKeeps::kRandomPart);
          break;
      }
    }
    const std::unique_ptr<Env> looker = world_.StartProcess("looker");
    if (std::string failure = CheckHead(*looker, had_head_); !failure.empty()) return failure;
    return Check(*looker, expected_, /*complete=*/false);
  }

  SimWorld world_;
  CrashRunReport report_;
  Expected expected_;
  uint64_t rate_ = 0;
  Duration interval_{};
  bool had_head_ = false;
};

}  // namespace

CrashRunReport RunWithCrashes(uint64_t seed) { return CrashRun(seed).Go(); }
CrashRunReport RunWithFaultAt(uint64_t seed, uint64_t n, bool from_there) {
  return CrashRun(seed).FailAt(n, from_there);
}

}  // namespace weir
