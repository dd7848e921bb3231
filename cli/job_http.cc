#include "cli/job_http.h"

#include "engine/base/env.h"
#include "engine/base/json.h"
#include "engine/control/coordinator.h"

namespace weir::cli {
namespace {

constexpr uint32_t kMetricsTasksMax = 64;
constexpr Duration kStuckAfter =
    Seconds(10);  // a coordinator that has not turned for so long is not alive

/// A job that has run and now waits for its next try is the business of alerts, not of whoever
/// looks at readiness: an outage of brokers or storage must not make a release fail or a roll-out
/// stop. What the job itself or the program is to blame for does.
bool WaitsOutAnOutage(const control::JobStatus& status) {
  const bool waits = status.state == control::JobState::kRestarting ||
                     status.state == control::JobState::kScheduling;
  const Status& why = status.last_attempt_failure;
  return waits && status.has_run && !why.ok() && why.fault() == Fault::kExternal &&
         why.retry() == Retry::kBackoff;
}

}  // namespace

Json StatusJson(const PhysicalPlan& plan, const control::JobStatus& status) {
  Json job;
  job["name"] = plan.job;
  job["state"] = control::JobStateName(status.state);
  job["attempt"] = status.attempt.value;
  job["incarnation"] = status.incarnation;
  job["restarts"] = Json::object();
  for (const auto& [reason, count] : status.restarts) job["restarts"][reason] = count;
  if (!status.last_attempt_failure.ok())
    job["last_failure"] = status.last_attempt_failure.ToString();
  if (!status.failure.ok())
    job["failure"] = {{"node_id", status.failed_node}, {"error", status.failure.ToString()}};
  Json checkpoints;
  checkpoints["completed"] = status.checkpoints.completed;
  checkpoints["failed"] = status.checkpoints.failed;
  checkpoints["expired"] = status.checkpoints.expired;
  checkpoints["skipped"] = status.checkpoints.skipped;
  checkpoints["last"] = status.checkpoints.last.value;
  checkpoints["last_ms"] = status.checkpoints.last_duration.us / 1000;
  checkpoints["last_bytes"] = status.checkpoints.last_bytes;
  checkpoints["seconds_sum"] = status.checkpoints.duration.sum;
  job["checkpoints"] = std::move(checkpoints);
  return job;
}

JobHttp::JobHttp(const PhysicalPlan& plan, const MemoryGovernor& memory, Env& env)
    : plan_(plan),
      env_(env),
      metrics_(plan, memory, kMetricsTasksMax),
      waiting_("looking at the environment") {}

Status JobHttp::Listen(const ProcessConfig& config, bool optional) {
  HttpRoutes routes;
  routes.metrics = [this] { return MetricsPage(); };
  routes.healthy = [this] { return healthy(); };
  routes.readiness = [this] { return readiness(); };
  if (!config.health_listen.empty()) {
    // Others than this host may ask there, so it has no API.
    WEIR_ASSIGN(std::unique_ptr<HttpApi> server,
                HttpApi::Start(config.health_listen, routes, /*loopback_only=*/false,
                               /*next_free=*/false));
    servers_.push_back(std::move(server));
  }
  routes.status = [this] { return StatusPage(); };
  if (!optional || config.http_listen_given) {
    WEIR_ASSIGN(std::unique_ptr<HttpApi> server,
                HttpApi::Start(config.http_listen, routes, !config.insecure,
                               /*next_free=*/!config.http_listen_given));
    servers_.push_back(std::move(server));
  }
  return Status::Ok();
}

void JobHttp::Waiting(std::string what) {
  const std::lock_guard lock(mutex_);
  waiting_ = std::move(what);
}

void JobHttp::Follow(const control::JobCoordinator& coordinator) {
  metrics_.Follow(coordinator);
  coordinator_.store(&coordinator, std::memory_order_release);
}

std::string JobHttp::address() const {
  return servers_.empty() ? std::string() : servers_.back()->address();
}

Readiness JobHttp::readiness() const {
  const control::JobCoordinator* coordinator = coordinator_.load(std::memory_order_acquire);
  if (coordinator == nullptr) {
    const std::lock_guard lock(mutex_);
    return {.ready = false, .reason = "the job has not started: " + waiting_};
  }
  const control::JobStatus status = coordinator->status();
  if (status.state == control::JobState::kRunning || status.state == control::JobState::kFinishing)
    return {};
  std::string reason = "the job is " + std::string(control::JobStateName(status.state));
  const Status& why = status.failure.ok() ? status.last_attempt_failure : status.failure;
  if (!why.ok()) reason += ": " + why.message();
  return {.ready = WaitsOutAnOutage(status), .reason = std::move(reason)};
}

bool JobHttp::healthy() const {
  const control::JobCoordinator* coordinator = coordinator_.load(std::memory_order_acquire);
  // Before there is one the answer itself is the sign of life.
  return coordinator == nullptr || coordinator->ended() ||
         env_.Steady() - coordinator->last_turn() < kStuckAfter;
}

std::string JobHttp::StatusPage() const {
  const control::JobCoordinator* coordinator = coordinator_.load(std::memory_order_acquire);
  return StatusJson(plan_, coordinator == nullptr ? control::JobStatus() : coordinator->status())
      .dump();
}

}  // namespace weir::cli
