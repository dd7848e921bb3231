#include "engine/control/coordinator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "engine/api/bounded_clients.h"
#include "engine/base/log.h"
#include "engine/control/error_threshold.h"
#include "engine/control/event_loop.h"
#include "engine/control/ownership.h"
#include "engine/control/prepare.h"
#include "engine/control/publish.h"
#include "engine/control/restart_policy.h"
#include "engine/control/stop_request.h"

namespace weir::control {
namespace {

using runtime::JobAttempt;
using runtime::NodeValues;
using runtime::TaskKey;
using runtime::TaskSnapshot;

constexpr Duration kConnectRetryInterval = Milliseconds(500);
constexpr Duration kJudgeInterval = Seconds(1);
constexpr Duration kLanePollInterval = Milliseconds(20);
constexpr uint64_t kOrphanCollectionCheckpoints =
    20;  // a listing every so many checkpoints finds what late uploads left

constexpr std::array<std::string_view, kJobStates> kStateNames = {
    "created",  "scheduling", "running",    "finishing", "finished",
    "stopping", "stopped",    "restarting", "failing",   "failed"};

/// What pool jobs touch; they hold a share, so none outlives it.
struct Shared {
  explicit Shared(const CoordinatorOptions& from)
      : options(from),
        clients(*from.clients, *from.env),
        place(std::make_shared<JobPlace>(*from.env, *from.store, from.plan->job,
                                         from.state_directory)),
        storage(place->storage),
        retention(storage, from.plan->checkpoint.retain) {}
  const CoordinatorOptions options;
  BoundedClients clients;  // until the first attempt is made: connect_timeout bounds the questions
  const std::shared_ptr<JobPlace> place;
  JobStorage& storage;
  Retention retention;
};

/// A checkpoint between trigger and completion.
struct Pending {
  CheckpointId id;
  CheckpointKind kind = CheckpointKind::kCheckpoint;
  Duration started{};
  std::set<TaskKey> missing;
  std::vector<TaskSnapshot> snapshots;
  uint64_t changes = 0;
  bool publishing = false;
};

class Coordinator final : public JobCoordinator {
 public:
  explicit Coordinator(CoordinatorOptions options)
      : shared_(std::make_shared<Shared>(options)),
        options_(shared_->options),
        plan_(*options_.plan),
        env_(*options_.env),
        restart_(plan_.restart),
        threshold_(plan_),
        loop_(env_),
        ownership_(
            loop_, shared_->place, [this] { return stop_.asked(); }, options_.say) {
    status_.checkpoints.duration.bounds = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,  2,
                                           5,    10,   30,   60,  120, 300, 600};
    status_.checkpoints.duration.counts.resize(status_.checkpoints.duration.bounds.size() + 1);
  }

  ~Coordinator() override {
    loop_.Close();  // nothing below runs beside a turn
    SetAttempt(nullptr);
  }

  void Start() override {
    loop_.Start("coordinator");
    loop_.Post([this] { BeginFirstAttempt(); });
  }

  void Stop(bool drain) override {
    loop_.Post([this, drain] { BeginStop(drain); });
  }

  JobStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }

  bool ended() const override { return ended_.load(std::memory_order_acquire); }

  std::vector<NodeValues> Values() const override {
    std::shared_ptr<JobAttempt> attempt;
    {
      const std::lock_guard lock(mutex_);
      attempt = attempt_;
    }
    return attempt == nullptr ? std::vector<NodeValues>() : attempt->Values();
  }

  std::vector<NodeValues> final_values() const override {
    const std::lock_guard lock(mutex_);
    return final_values_;
  }

  Duration last_turn() const override { return loop_.last_turn(); }

 private:
  /// The tasks' voice: turns calls from their threads into events of one attempt.
  class Listener final : public runtime::AttemptListener {
   public:
    Listener(Coordinator& coordinator, Attempt attempt)
        : coordinator_(coordinator), mailbox_(coordinator.loop_.mailbox()), attempt_(attempt) {}
    void OnRunning() override {
      Post([](Coordinator& c) { c.HandleRunning(); });
    }
    void OnAck(CheckpointId n, TaskSnapshot snapshot) override {
      auto held = std::make_shared<TaskSnapshot>(std::move(snapshot));
      Post([n, held](Coordinator& c) { c.HandleAck(n, std::move(*held)); });
    }
    void OnDeclined(TaskKey task, CheckpointId n, Status why) override {
      Post([task, n, why](Coordinator& c) { c.HandleDeclined(task, n, why); });
    }
    void OnFailed(const std::string& node_id, TaskKey, Status why) override {
      Post([node_id, why](Coordinator& c) { c.HandleFailure(node_id, why, "task_failed"); });
    }
    void OnFinished(TaskKey task) override {
      Post([task](Coordinator& c) { c.HandleFinished(task); });
    }
    void OnLaneResolved(const std::string& node_id, LaneId lane, LaneProgress progress) override {
      Post([node_id, lane, progress](Coordinator& c) { c.HandleLane(node_id, lane, progress); });
    }

   private:
    void Post(std::function<void(Coordinator&)> event) {
      mailbox_->Post(
          [this_coordinator = &coordinator_, attempt = attempt_, event = std::move(event)] {
            if (this_coordinator->current_attempt_ == attempt) event(*this_coordinator);
          });
    }
    Coordinator& coordinator_;  // alive whenever an event runs: the mailbox is closed first
    const std::shared_ptr<Mailbox> mailbox_;
    const Attempt attempt_;
  };

  /// As EventLoop::After, but void once another attempt has begun.
  void AfterInAttempt(Duration delay, std::function<void()> action) {
    loop_.After(delay, [this, attempt = current_attempt_, action = std::move(action)] {
      if (attempt == current_attempt_ && attempt_ != nullptr) action();
    });
  }

  void SetState(JobState state) {
    const std::lock_guard lock(mutex_);
    status_.state = state;
  }
  JobState state() const {
    const std::lock_guard lock(mutex_);
    return status_.state;
  }
  template <class Change>
  void Update(Change change) {
    const std::lock_guard lock(mutex_);
    change(status_);
  }
  void SetAttempt(std::shared_ptr<JobAttempt> attempt) {
    std::vector<NodeValues> values =
        attempt_ == nullptr ? std::vector<NodeValues>() : attempt_->Values();
    {
      const std::lock_guard lock(mutex_);
      if (attempt_ != nullptr) final_values_ = std::move(values);
      attempt_.swap(attempt);
    }
    attempt.reset();  // outside of the lock: it joins the tasks
  }

  // --- start

  void BeginFirstAttempt() {
    SetState(JobState::kScheduling);
    ownership_.TakeLock(env_.Steady() + std::min(options_.connect_timeout, kOwnerWatchTime),
                        [this](const Status& status) {
                          if (!status.ok()) return EndUnstarted(status);
                          AwaitOwner();
                        });
  }

  void AwaitOwner() {
    connect_deadline_ = env_.Steady() + options_.connect_timeout;
    shared_->clients.SetUntil(connect_deadline_);
    options_.store->RetryUntil(connect_deadline_);
    ownership_.AwaitOwner([this](const Status& status) {
      if (!status.ok()) return EndUnstarted(status);
      BeginAttempt();
    });
  }

  void EndUnstarted(const Status& why) {
    if (why.code() == Code::kCancelled && stop_.asked())
      return End(JobState::kStopped, Status::Ok(), "");
    End(JobState::kFailed, why, "");
  }

  void TakeOwner() {
    ownership_.TakeOwner([this](const Status& status) {
      if (!status.ok()) return HandlePrepareFailure(status);
      BeginAttempt();
    });
  }

  void BeginAttempt() {
    if (stop_.asked()) return End(JobState::kStopped, Status::Ok(), "");
    SetState(JobState::kScheduling);
    if (!ownership_.owned()) return TakeOwner();
    if (running_once_) options_.store->RetryUntil(env_.Steady() + options_.connect_timeout);
    loop_.OnPool<std::shared_ptr<PreparedAttempt>>(
        [shared = shared_, last_head = head_, cluster = status().cluster] {
          return std::make_shared<PreparedAttempt>(
              PrepareAttempt(shared->options, shared->clients, shared->storage, shared->retention,
                             last_head, cluster));
        },
        [this](const std::shared_ptr<PreparedAttempt>& prepared) {
          // The next try goes on from the HEAD that this one has made, or it would take its own for
          // another process's.
          if (prepared->head_moved) head_ = prepared->head;
          connect_deadline_ = connect_deadline_ + prepared->restore_time;
          if (!prepared->status.ok()) return HandlePrepareFailure(prepared->status);
          StartAttempt(*prepared);
        });
  }

  void HandlePrepareFailure(const Status& status) {
    if (status.code() == Code::kFenced) return LoseHead(status);
    const bool waits = status.retry() == Retry::kBackoff;
    if (!running_once_ && waits && env_.Steady() < connect_deadline_ && !stop_.asked()) {
      WEIR_LOG_EVERY_MS(5'000, kWarn, "cannot start yet, trying again", {"job", plan_.job},
                        {"error", status.message()});
      loop_.After(kConnectRetryInterval, [this] { BeginAttempt(); });
      return;
    }
    if (!running_once_) return End(JobState::kFailed, status, "");
    HandleFailure("", status, "task_failed");
  }

  void StartAttempt(PreparedAttempt& prepared) {
    shared_->clients.Lift();
    if (prepared.finished_before) {
      options_.say("job '" + plan_.job + "' has finished before; --from none runs it again");
      head_ = prepared.head;
      return End(JobState::kFinished, Status::Ok(), "");
    }
    head_ = prepared.head;
    if (StopIsOverdue()) {
      return End(JobState::kStopped,
                 StopTookTooLong().At("no final checkpoint; the newest complete one is " +
                                      std::to_string(head_->checkpoint.value)),
                 "");
    }
    current_attempt_ = prepared.head.attempt;
    discovery_ = std::move(prepared.discovery);
    last_id_ = std::max({last_id_, prepared.head.checkpoint.value, prepared.head.next.value,
                         prepared.highest_stored.value});
    recovered_lanes_.clear();
    lanes_.reset();
    finished_.clear();
    drained_ = false;
    pending_.reset();
    awaits_lanes_.reset();
    cleaning_ = false;
    failures_in_row_ = 0;
    if (!prepared.damage.ok()) {
      options_.say("went back to checkpoint " + std::to_string(prepared.head.checkpoint.value) +
                   ": " + prepared.damage.message());
      WEIR_LOG(kError, "a damaged checkpoint was gone back from", {"job", plan_.job},
               {"checkpoint", prepared.head.checkpoint.value},
               {"reason", prepared.damage.message()});
    }
    if (prepared.restored && !running_once_) {
      const Manifest& manifest = prepared.restored->manifest;
      options_.say("resumed from checkpoint " + std::to_string(manifest.checkpoint.value) + ", " +
                   std::to_string((env_.Now().us - manifest.time.us) / 1'000'000) + " s old");
    }
    Update([&](JobStatus& status) {
      status.attempt = current_attempt_;
      status.cluster = prepared.cluster;
      status.incarnation = prepared.head.incarnation;
      status.started = env_.Now();
      if (!plan_.checkpoint.off) status.checkpoints.current_as_of = env_.Now();
      if (prepared.restored) status.restored = prepared.restored->manifest.checkpoint;
      if (!prepared.damage.ok()) ++status.checkpoints.fallbacks;
    });

    listener_ = std::make_shared<Listener>(*this, current_attempt_);
    runtime::AttemptOptions options;
    options.plan = &plan_;
    options.env = &env_;
    options.clients = &shared_->clients;
    options.backend = options_.backend;
    options.memory = options_.memory;
    options.store = options_.store;
    options.listener = listener_.get();
    options.cluster = status().cluster;
    options.incarnation = prepared.head.incarnation;
    options.attempt = current_attempt_;
    options.head = prepared.head.checkpoint;
    options.threads = options_.threads;
    options.state_directory = options_.state_directory;
    if (prepared.restored) options.restore = std::move(prepared.restored->tasks);
    options.batch_rows_initial = options_.batch_rows_initial;
    options.channel_queue_items = options_.channel_queue_items;
    options.chaining = options_.chaining;
    restore_directory_ = prepared.restore_directory;

    Result<std::unique_ptr<JobAttempt>> attempt = JobAttempt::Create(std::move(options));
    if (!attempt.ok()) {
      if (!running_once_) return End(JobState::kFailed, attempt.status(), "");
      return HandleFailure("", attempt.status(), "task_failed");
    }
    SetAttempt(std::move(attempt).value());
    for (SplitDiscovery::Share& share : discovery_->TakeShares()) {
      attempt_->AddSplits(share.node, share.task, std::move(share.splits), share.complete);
    }
    attempt_->Start();
  }

  void HandleRunning() {
    running_once_ = true;
    lanes_ = attempt_->lanes();
    if (state() == JobState::kScheduling) SetState(JobState::kRunning);
    Update([](JobStatus& status) { status.has_run = true; });
    env_.Post([shared = shared_, directory = restore_directory_] {
      IgnoreStatus(shared->options.env->RemoveTree(directory), "the next start removes it");
    });
    WEIR_LOG(kInfo, "job running", {"job", plan_.job}, {"attempt", current_attempt_.value},
             {"checkpoint", head_->checkpoint.value});
    AfterInAttempt(kJudgeInterval, [this] { JudgeErrors(); });
    for (const auto& [node, interval] : discovery_->Intervals()) {
      AfterInAttempt(interval,
                     [this, node = node, interval = interval] { Discover(node, interval); });
    }
    if (stop_.asked()) ContinueStop();  // sources end at once
    if (!ending_ && !pending_ && LanesAreRecovered()) ContinueEnd(plan_.checkpoint.interval);
  }

  void Discover(NodeIndex node, Duration interval) {
    auto discovery = discovery_;
    loop_.OnPool<Status>(
        [discovery, node] { return discovery->Discover(node); },
        [this, discovery, node, interval](Status status) {
          if (discovery != discovery_ || attempt_ == nullptr) return;
          if (!status.ok() && status.retry() == Retry::kNever)
            return HandleFailure(plan_.nodes[node.value].id, status, "task_failed");
          if (!status.ok()) {
            WEIR_LOG_EVERY_MS(60'000, kWarn, "cannot look for new splits", {"job", plan_.job},
                              {"node_id", plan_.nodes[node.value].id}, {"error", status.message()});
          }
          for (SplitDiscovery::Share& share : discovery->TakeShares()) {
            attempt_->AddSplits(share.node, share.task, std::move(share.splits), share.complete);
          }
          if (!discovery->complete(node))
            AfterInAttempt(interval, [this, node, interval] { Discover(node, interval); });
        });
  }

  void JudgeErrors() {
    const Status status = threshold_.Judge(env_.Steady(), attempt_->Values());
    if (!status.ok()) return HandleFailure(threshold_.last_node(), status, "task_failed");
    AfterInAttempt(kJudgeInterval, [this] { JudgeErrors(); });
  }

  // --- checkpoints

  void ScheduleCheckpoint(Duration delay) {
    if (plan_.checkpoint.off) return;
    AfterInAttempt(delay, [this] { MaybeCheckpoint(); });
  }

  void MaybeCheckpoint() {
    if (pending_ || cleaning_ || stop_.asked() || drained_)
      return;  // each of these schedules what follows
    if (attempt_->changes() == last_changes_) {
      Update([&](JobStatus& status) {
        ++status.checkpoints.skipped;
        status.checkpoints.current_as_of = env_.Now();
      });
      return ScheduleCheckpoint(plan_.checkpoint.interval);
    }
    TriggerCheckpoint(CheckpointKind::kCheckpoint);
  }

  void TriggerCheckpoint(CheckpointKind kind) {
    pending_.emplace();
    pending_->id.value = ++last_id_;
    pending_->kind = kind;
    pending_->started = env_.Steady();
    pending_->changes = attempt_->changes();
    for (const PlanChain& chain : plan_.chains) {
      for (uint32_t task = 0; task < chain.parallelism; ++task)
        pending_->missing.insert({chain.index, TaskIndex{static_cast<uint16_t>(task)}});
    }
    Update([](JobStatus& status) { status.checkpoints.in_progress = true; });
    // One of a stop has only what is left of the stop's time.
    const Duration time = stop_.TimeFor(plan_.checkpoint.timeout, env_.Steady());
    options_.store->RetryUntil(env_.Steady() + time);
    AfterInAttempt(time, [this, id = pending_->id] { ExpireCheckpoint(id); });
    attempt_->Trigger(pending_->id);
  }

  void ExpireCheckpoint(CheckpointId id) {
    if (!pending_ || pending_->id != id || pending_->publishing) return;
    GiveUpCheckpoint("expired",
                     Status(Code::kTimedOut, "checkpoint " + std::to_string(id.value) +
                                                 " was not complete within checkpoint.timeout"));
  }

  void HandleAck(CheckpointId n, TaskSnapshot snapshot) {
    if (!pending_ || pending_->id != n || pending_->publishing) return;  // of an older checkpoint
    if (pending_->missing.erase(snapshot.task) == 0) return;             // repeated
    pending_->snapshots.push_back(std::move(snapshot));
    if (!pending_->missing.empty()) return;
    if (plan_.checkpoint.off) return HandleUnstoredBarrier();
    pending_->publishing = true;
    auto acked = std::make_shared<AckedCheckpoint>(
        AckedCheckpoint{.id = pending_->id,
                        .kind = pending_->kind,
                        .attempt = current_attempt_,
                        .cluster = status().cluster,
                        .time = env_.Now(),
                        .snapshots = std::exchange(pending_->snapshots, {})});
    loop_.OnStorage<Result<PublishedCheckpoint>>(
        [shared = shared_, head = *head_, acked] {
          return PublishCheckpoint(shared->storage, *shared->options.plan,
                                   shared->options.description, head, std::move(*acked));
        },
        [this, attempt = current_attempt_](Result<PublishedCheckpoint> published) {
          HandlePublished(attempt, std::move(published));
        });
  }

  void HandleDeclined(TaskKey task, CheckpointId n, const Status& why) {
    if (!pending_ || pending_->id != n || pending_->publishing) return;
    GiveUpCheckpoint("failed", why.At("task " + std::to_string(task.chain) + "/" +
                                      std::to_string(task.task.value)));
  }

  void HandlePublished(Attempt attempt, Result<PublishedCheckpoint> published) {
    if (attempt != current_attempt_) {
      // The attempt has failed meanwhile. HEAD may have moved all the same, and the next attempt,
      // which has waited, starts from what it says.
      if (published.ok()) head_ = published->head;
      return;
    }
    if (!published.ok()) {
      if (published.status().code() == Code::kFenced) return LoseHead(published.status());
      return GiveUpCheckpoint("failed", published.status());
    }
    head_ = published->head;
    failures_in_row_ = 0;
    last_changes_ = pending_->changes;
    const Duration took = env_.Steady() - pending_->started;
    const CheckpointKind kind = pending_->kind;
    const CheckpointId id = pending_->id;
    pending_.reset();
    Update([&](JobStatus& status) {
      CheckpointStats& stats = status.checkpoints;
      ++stats.completed;
      stats.in_progress = false;
      stats.last = id;
      stats.current_as_of = env_.Now();
      stats.last_duration = took;
      stats.last_bytes = published->manifest.bytes();
      stats.last_uploaded_bytes = published->uploaded_bytes;
      const double seconds = static_cast<double>(took.us) / 1e6;
      const auto& bounds = stats.duration.bounds;
      ++stats.duration.counts[static_cast<size_t>(
          std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin())];
      stats.duration.sum += seconds;
    });
    WEIR_LOG(kInfo, "checkpoint completed", {"job", plan_.job}, {"checkpoint", id.value},
             {"bytes", published->manifest.bytes()}, {"uploaded", published->uploaded_bytes},
             {"ms", took.us / 1000});
    attempt_->Complete(id);
    if (kind == CheckpointKind::kCheckpoint) {
      Clean(std::move(published->manifest));
    } else {
      AwaitLanes(kind, id, env_.Steady() + options_.stop_timeout);
    }
  }

  /// Subsumes old checkpoints on the pool; the next one is triggered only afterwards (see
  /// Retention).
  void Clean(Manifest manifest) {
    cleaning_ = true;
    const bool orphans = ++completed_since_listing_ >= kOrphanCollectionCheckpoints;
    if (orphans) completed_since_listing_ = 0;
    loop_.OnStorage<Status>(
        [shared = shared_, manifest = std::move(manifest), head = *head_, orphans] {
          return shared->retention.Completed(head, manifest, orphans);
        },
        [this, attempt = current_attempt_](const Status& status) {
          if (attempt != current_attempt_ || attempt_ == nullptr) return;
          cleaning_ = false;
          if (status.code() == Code::kFenced) return LoseHead(status);
          ContinueEnd(std::max(plan_.checkpoint.min_pause, plan_.checkpoint.interval));
        });
  }

  void GiveUpCheckpoint(const std::string& outcome, const Status& why) {
    const CheckpointId id = pending_->id;
    const CheckpointKind kind = pending_->kind;
    pending_.reset();
    Update([&](JobStatus& status) {
      status.checkpoints.in_progress = false;
      ++(outcome == "expired" ? status.checkpoints.expired : status.checkpoints.failed);
    });
    WEIR_LOG(kWarn, "checkpoint failed", {"job", plan_.job}, {"checkpoint", id.value},
             {"outcome", outcome}, {"error", why.message()});
    attempt_->Abort(id);
    completed_since_listing_ = kOrphanCollectionCheckpoints;  // its files are found by a listing
                                                              // after the next completed one
    if (kind == CheckpointKind::kStop) {
      if (!stop_.is_over(env_.Steady()))
        return AfterInAttempt(Seconds(1), [this] { ContinueStop(); });
      return EndWithoutFinal(why);
    }
    if (++failures_in_row_ > plan_.checkpoint.tolerable_failures) {
      return HandleFailure(
          "",
          Status(
              why.code(),
              std::to_string(failures_in_row_) +
                  " checkpoints in a row failed (checkpoint.tolerable_failures): " + why.message(),
              why.fault(), Retry::kBackoff),
          "checkpoint");
    }
    if (drained_) return AfterInAttempt(Seconds(1), [this] { ContinueEnd({}); });
    ContinueEnd(plan_.checkpoint.interval);
  }

  /// Checkpoints are off: the last barrier only makes sinks deliver and publish.
  void HandleUnstoredBarrier() {
    const CheckpointId id = pending_->id;
    const CheckpointKind kind = pending_->kind;
    pending_.reset();
    attempt_->Complete(id);
    AwaitLanes(kind, id, env_.Steady() + options_.stop_timeout);
  }

  void AwaitLanes(CheckpointKind kind, CheckpointId id, Duration deadline) {
    awaits_lanes_ = kind;
    if (attempt_->lanes_confirmed(id)) {
      return EndAttemptAndJob(
          kind == CheckpointKind::kFinished ? JobState::kFinished : JobState::kStopped,
          Status::Ok());
    }
    if (env_.Steady() >= deadline && kind == CheckpointKind::kStop) {
      return EndAttemptAndJob(JobState::kStopped, StopRequest::SinksLate(id));
    }
    AfterInAttempt(kLanePollInterval,
                   [this, kind, id, deadline] { AwaitLanes(kind, id, deadline); });
  }

  /// R11: no barrier goes before every lane knows its marker, so that a new id lies above all of
  /// them. That each is fenced and resolved too before one goes is more than R6 and R9 ask of its
  /// completion, and does for both.
  bool LanesAreRecovered() const { return lanes_ && recovered_lanes_.size() == *lanes_; }

  void HandleLane(const std::string& node_id, LaneId lane, const LaneProgress& progress) {
    if (progress.marked) last_id_ = std::max(last_id_, progress.marked->value);
    if (!progress.marked || !progress.fence_set || !progress.resolved) return;
    const bool news = recovered_lanes_.insert({node_id, lane.value}).second;
    // What has waited for it; before the attempt runs, HandleRunning goes on.
    if (news && LanesAreRecovered()) ContinueEnd(plan_.checkpoint.interval);
  }

  // --- end of input, stop

  void HandleFinished(TaskKey task) {
    finished_.insert(task);
    size_t all = 0;
    for (const PlanChain& chain : plan_.chains) all += chain.parallelism;
    if (finished_.size() != all || stop_.cuts_off() || drained_) return;
    // A short input ends between two looks at the bad records: none of its results is published
    // before they were judged.
    if (const Status status = threshold_.Judge(env_.Steady(), attempt_->Values()); !status.ok())
      return HandleFailure(threshold_.last_node(), status, "task_failed");
    drained_ = true;
    if (!stop_.asked()) SetState(JobState::kFinishing);
    if (pending_ || cleaning_ || !LanesAreRecovered())
      return;  // what is under way comes back through ContinueEnd
    TriggerCheckpoint(CheckpointKind::kFinished);
  }

  /// A checkpoint is out of the way: goes on with whatever waited for it.
  void ContinueEnd(Duration next_checkpoint) {
    if (StopIsOverdue()) return EndWithoutFinal(StopTookTooLong());
    if (drained_) return TriggerCheckpoint(CheckpointKind::kFinished);
    if (stop_.asked()) return ContinueStop();
    ScheduleCheckpoint(next_checkpoint);
  }

  void BeginStop(bool drain) {
    if (stop_.asked() || ending_) return;
    if (cleaning_) options_.store->Interrupt();  // what it leaves is removed another time
    stop_.Ask(drain, env_.Steady() + plan_.checkpoint.timeout);
    loop_.After(plan_.checkpoint.timeout, [this] { HandleStopOverdue(); });
    switch (state()) {
      case JobState::kRunning:
        SetState(JobState::kStopping);
        if (drain) {
          attempt_->Drain();
        } else {
          attempt_->StopSources();
        }
        return ContinueStop();
      case JobState::kRestarting:
        return End(JobState::kStopped,
                   Status(Code::kUnavailable,
                          "stopped while waiting for a restart; the newest checkpoint stands"),
                   "");
      default:
        return;  // created, scheduling: HandleRunning goes on; finishing: it ends by itself
    }
  }

  void ContinueStop() {
    if (state() == JobState::kRunning) {
      SetState(JobState::kStopping);
      if (stop_.drains()) {
        attempt_->Drain();
      } else {
        attempt_->StopSources();
      }
    }
    if (pending_ || cleaning_ || !LanesAreRecovered()) return;  // comes back through ContinueEnd
    if (stop_.drains()) return;                                 // HandleFinished goes on
    if (StopIsOverdue()) return EndWithoutFinal(StopTookTooLong());
    TriggerCheckpoint(CheckpointKind::kStop);
  }

  bool StopIsOverdue() const { return stop_.is_overdue(env_.Steady()); }
  Status StopTookTooLong() const {
    return StopRequest::TookTooLong(lanes_ && !LanesAreRecovered());
  }

  /// A stop lasts as long as one checkpoint may, whatever was under way when it was asked for: one
  /// that hung already then does not have its time first and the last one its own after it.
  void HandleStopOverdue() {
    // All that is read goes through first, however long it takes.
    if (stop_.drains() && (!lanes_ || LanesAreRecovered())) return;
    if (attempt_ == nullptr) return;                     // StartAttempt looks
    if (awaits_lanes_ == CheckpointKind::kStop) return;  // stop_timeout bounds it
    if (awaits_lanes_)
      return EndAttemptAndJob(JobState::kStopped, StopRequest::SinksLate(head_->checkpoint));
    if (pending_ && pending_->publishing) return;  // its answer comes, and ContinueEnd ends
    if (pending_) {
      Update([](JobStatus& status) {
        status.checkpoints.in_progress = false;
        ++status.checkpoints.expired;
      });
      WEIR_LOG(kWarn, "checkpoint given up for a stop", {"job", plan_.job},
               {"checkpoint", pending_->id.value});
      pending_.reset();
    }
    EndWithoutFinal(StopTookTooLong());
  }

  void EndWithoutFinal(const Status& why) {
    EndAttemptAndJob(JobState::kStopped, why.At("no final checkpoint; the newest complete one is " +
                                                std::to_string(head_->checkpoint.value)));
  }

  /// Whatever waits for a storage that does not answer is let go first: a HEAD whose fate is not
  /// known then is learned of by the next start.
  bool CancelAttempt() {
    options_.store->RetryUntil(env_.Steady());
    options_.store->Interrupt();
    return attempt_->Cancel(options_.cancel_timeout);
  }

  /// Cancels the tasks and ends.
  void EndAttemptAndJob(JobState state, const Status& failure) {
    if (!CancelAttempt()) {
      WEIR_LOG(kError, "a task does not stop; the process has to end", {"job", plan_.job});
    }
    current_attempt_.value = 0;  // later events of it are void
    pending_.reset();
    SetAttempt(nullptr);
    End(state, failure, "");
  }

  void End(JobState state, const Status& failure, const std::string& node) {
    if (ending_) return;
    ending_ = true;
    loop_.ForgetWhatWaits();
    ownership_.StopRenewing();
    options_.store->RetryUntil(env_.Steady());
    if (cleaning_) options_.store->Interrupt();
    shared_->clients.SetUntil(env_.Steady());
    loop_.WhenPoolIsIdle([this, state, failure, node] { LeaveStorage(state, failure, node); });
  }

  void LeaveStorage(JobState state, const Status& failure, const std::string& node) {
    const bool lost = failure.code() == Code::kFenced;
    const std::string finished = state == JobState::kFinished && head_ && !plan_.checkpoint.off
                                     ? head_->manifest
                                     : std::string();
    loop_.OnPool<bool>(
        [shared = shared_, lost, finished] {
          if (!finished.empty()) {
            IgnoreStatus(
                shared->storage.store().Put(PublishedNote(shared->options.plan->job, finished), ""),
                "without it the next start repeats the end, which changes nothing");
          }
          shared->place->Leave(lost);
          return true;
        },
        [this, state, failure, node](bool) {
          Update([&](JobStatus& status) {
            status.state = state;
            status.failure = failure;
            status.failed_node = node;
          });
          ended_.store(true, std::memory_order_release);
        });
  }

  // --- failures

  void HandleFailure(const std::string& node, const Status& why, const std::string& reason) {
    if (why.code() == Code::kFenced) return LoseHead(why);
    const Status named = node.empty() ? why : why.At("node '" + node + "'");
    // Of a bad record the message shows the record, which the log does at debug alone. The task has
    // logged which one it was.
    WEIR_LOG(kError, "attempt failed", {"job", plan_.job}, {"attempt", current_attempt_.value},
             {"node_id", node},
             {"error", why.code() == Code::kBadRecord ? "a bad record" : why.message()});
    if (attempt_ != nullptr && !CancelAttempt()) {
      WEIR_LOG(kError, "a task does not stop; the process has to end", {"job", plan_.job});
      return End(JobState::kFailed,
                 Status(Code::kInternal,
                        "a task did not stop within cancel_timeout after: " + named.message()),
                 node);
    }
    pending_.reset();
    cleaning_ = false;
    last_changes_ = 0;
    SetAttempt(nullptr);
    discovery_.reset();
    current_attempt_.value = 0;  // later events of it are void
    Update([](JobStatus& status) { status.checkpoints.in_progress = false; });
    if (stop_.asked()) return End(JobState::kStopped, named.At("no final checkpoint"), node);
    if (why.retry() == Retry::kNever) return End(JobState::kFailed, named, node);
    const double random = static_cast<double>(env_.Random() >> 11) * 0x1p-53;
    const std::optional<Duration> delay = restart_.OnFailure(env_.Steady(), random);
    if (!delay)
      return End(JobState::kFailed,
                 named.At("gave up after " + std::to_string(restart_.failures()) + " failures"),
                 node);
    Update([&](JobStatus& status) {
      status.state = JobState::kRestarting;
      ++status.restarts[reason];
      status.last_attempt_failure = named;
    });
    options_.say("restarting after: " + named.message());
    loop_.After(*delay, [this] { loop_.WhenStorageIsIdle([this] { BeginAttempt(); }); });
  }

  void LoseHead(const Status& why) {
    if (attempt_ != nullptr) {
      CancelAttempt();
      SetAttempt(nullptr);
    }
    current_attempt_.value = 0;
    End(JobState::kFailed, why, "");
  }

  // Fixed after construction.
  const std::shared_ptr<Shared> shared_;
  const CoordinatorOptions& options_;
  const PhysicalPlan& plan_;
  Env& env_;

  // Loop thread only.
  RestartPolicy restart_;
  ErrorThresholds threshold_;
  std::optional<Head> head_;
  Attempt current_attempt_;
  std::shared_ptr<Listener> listener_;
  std::shared_ptr<SplitDiscovery> discovery_;
  std::optional<Pending> pending_;
  std::optional<CheckpointKind> awaits_lanes_;  // HEAD is the last one, its sinks publish it
  std::optional<size_t> lanes_;                 // once the attempt runs
  std::set<std::pair<std::string, uint16_t>> recovered_lanes_;  // node, lane
  std::set<TaskKey> finished_;
  Path restore_directory_;
  StopRequest stop_;
  Duration connect_deadline_{};
  uint64_t last_id_ = 0, last_changes_ = 0, completed_since_listing_ = 0;
  uint32_t failures_in_row_ = 0;
  bool cleaning_ = false, running_once_ = false, drained_ = false, ending_ = false;

  mutable std::mutex mutex_;
  // Guarded by mutex_; attempt_ is replaced by the loop thread alone, which may read it without the
  // lock.
  JobStatus status_;
  std::shared_ptr<JobAttempt> attempt_;
  std::vector<NodeValues> final_values_;

  std::atomic<bool> ended_{false};
  EventLoop loop_;
  Ownership ownership_;
};

}  // namespace

std::string_view JobStateName(JobState state) { return kStateNames[static_cast<size_t>(state)]; }

std::unique_ptr<JobCoordinator> JobCoordinator::Create(CoordinatorOptions options) {
  return std::make_unique<Coordinator>(std::move(options));
}

int ExitCodeOf(const JobStatus& status) {
  constexpr int kDone = 0, kEnvironment = 4, kJobFailed = 6, kState = 7, kFailClosed = 8;
  if (status.failure.ok()) return kDone;
  if (status.state == JobState::kStopped) return kState;  // a stop without its final checkpoint
  switch (status.failure.code()) {
    case Code::kLocked:
    case Code::kFenced:
    case Code::kIncompatible:
    case Code::kCorruption:
      return kState;
    case Code::kMarkerAhead:
    case Code::kZombie:
    case Code::kMarkerLost:
    case Code::kOutputChanged:
      return kFailClosed;
    case Code::kUnavailable:
    case Code::kTimedOut:
    case Code::kPermissionDenied:
    case Code::kNotFound:
    case Code::kDiskFull:
    case Code::kIo:
      return status.attempt.value == 0 ? kEnvironment
                                       : kJobFailed;  // before anything ran it is the environment's
    default:
      return kJobFailed;
  }
}

}  // namespace weir::control
