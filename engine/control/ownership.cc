#include "engine/control/ownership.h"

#include <optional>
#include <utility>

#include "engine/base/log.h"

namespace weir::control {
namespace {

constexpr Duration kPollInterval = Milliseconds(250);

Status GivenUp() { return Status(Code::kCancelled, "a stop was asked for meanwhile"); }

std::string InSeconds(Duration time) { return std::to_string(time.us / 1'000'000) + " s"; }

}  // namespace

void JobPlace::Leave(bool lost_head) {
  if (lost_head) {
    storage.MarkLost();
  } else {
    storage.ReleaseOwner();
  }
  lock.reset();
}

Ownership::Ownership(EventLoop& loop, std::shared_ptr<JobPlace> place,
                     std::function<bool()> given_up, std::function<void(const std::string&)> say)
    : loop_(loop), place_(std::move(place)), given_up_(std::move(given_up)), say_(std::move(say)) {}

void Ownership::TakeLock(Duration deadline, const Done& done) {
  TryLock(deadline, /*first=*/true, done);
}

void Ownership::TryLock(Duration deadline, bool first, const Done& done) {
  if (given_up_()) return done(GivenUp());
  loop_.OnPool<Status>(
      [place = place_]() -> Status {
        WEIR_TRY(place->env.MakeDirectory(place->state_directory));
        WEIR_ASSIGN(place->lock, place->env.Lock(place->state_directory + "/LOCK"));
        return Status::Ok();
      },
      [this, deadline, first, done](const Status& status) {
        const Duration now = place_->env.Steady();
        if (status.ok() || status.code() != Code::kLocked || now >= deadline) return done(status);
        if (first) {
          say_("waiting up to " + InSeconds(deadline - now) +
               " for the state directory: " + status.message());
        }
        loop_.After(kPollInterval,
                    [this, deadline, done] { TryLock(deadline, /*first=*/false, done); });
      });
}

void Ownership::AwaitOwner(Done done) {
  loop_.OnPool<Result<std::optional<std::string>>>(
      [place = place_]() -> Result<std::optional<std::string>> {
        WEIR_TRY(place->storage.store().Probe());
        return place->storage.ForeignOwner();
      },
      [this, done = std::move(done)](const Result<std::optional<std::string>>& owner) {
        if (!owner.ok()) return done(owner.status());
        if (!*owner) return done(Status::Ok());
        say_("the storage names another owner of job '" + place_->storage.job() +
             "'; watching it for up to " + InSeconds(kOwnerWatchTime));
        Watch(**owner, place_->env.Steady() + kOwnerWatchTime, done);
      });
}

void Ownership::Watch(const std::string& text, Duration deadline, const Done& done) {
  if (given_up_()) return done(GivenUp());
  loop_.OnPool<Status>([place = place_, text] { return place->storage.CheckUnchanged(text); },
                       [this, text, deadline, done](const Status& status) {
                         if (!status.ok() || place_->env.Steady() >= deadline) return done(status);
                         loop_.After(kPollInterval,
                                     [this, text, deadline, done] { Watch(text, deadline, done); });
                       });
}

void Ownership::TakeOwner(Done done) {
  loop_.OnPool<Status>([place = place_] { return place->storage.TakeOwner(); },
                       [this, done = std::move(done)](const Status& status) {
                         if (status.ok()) {
                           owned_ = true;
                           loop_.After(kOwnerRenewInterval, [this] { Renew(); });
                         }
                         done(status);
                       });
}

void Ownership::Renew() {
  loop_.OnPool<Status>([place = place_] { return place->storage.RenewOwner(); },
                       [this](const Status& status) {
                         if (!status.ok()) {
                           WEIR_LOG_EVERY_MS(60'000, kWarn, "cannot renew OWNER",
                                             {"job", place_->storage.job()},
                                             {"error", status.message()});
                         }
                         // One at a time: a storage that does not answer must not hold the pool.
                         if (renews_) loop_.After(kOwnerRenewInterval, [this] { Renew(); });
                       });
}

}  // namespace weir::control
