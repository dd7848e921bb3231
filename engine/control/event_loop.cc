#include "engine/control/event_loop.h"

#include <algorithm>
#include <cstddef>

namespace weir::control {
namespace {

constexpr Duration kTurnSleepMax = Milliseconds(100);

}  // namespace

void Mailbox::Post(std::function<void()> event) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  events_.push_back(std::move(event));
  if (loop_ != nullptr) loop_->Wake();
}

void Mailbox::Attach(Loop* loop) {
  const std::lock_guard lock(mutex_);
  loop_ = loop;
}

void Mailbox::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  loop_ = nullptr;
  events_.clear();
}

std::deque<std::function<void()>> Mailbox::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void EventLoop::Start(std::string_view name) {
  loop_ = env_.Start(name, [this] { return Turn(); });
  mailbox_->Attach(loop_.get());
}

void EventLoop::Close() {
  mailbox_->Close();
  loop_.reset();
}

Duration EventLoop::Turn() {
  for (auto& event : mailbox_->Take()) event();
  const Duration now = env_.Steady();
  last_turn_us_.store(now.us, std::memory_order_relaxed);
  for (size_t i = 0; i < timers_.size();) {
    if (timers_[i].at > now) {
      ++i;
      continue;
    }
    auto action = std::move(timers_[i].action);
    timers_.erase(timers_.begin() + static_cast<ptrdiff_t>(i));
    action();
  }
  Duration sleep = kTurnSleepMax;
  for (const Deadline& timer : timers_)
    sleep = std::min(sleep, std::max(Duration{0}, timer.at - env_.Steady()));
  return sleep;
}

void EventLoop::After(Duration delay, std::function<void()> action) {
  timers_.push_back({env_.Steady() + delay, std::move(action)});
}

void EventLoop::WhenStorageIsIdle(std::function<void()> next) {
  when_storage_is_idle_ = std::move(next);
  GoOn();
}

void EventLoop::WhenPoolIsIdle(std::function<void()> next) {
  when_pool_is_idle_ = std::move(next);
  GoOn();
}

void EventLoop::ForgetWhatWaits() {
  timers_.clear();
  when_storage_is_idle_ = nullptr;
}

void EventLoop::GoOn() {
  if (storage_jobs_ == 0 && when_storage_is_idle_) std::exchange(when_storage_is_idle_, nullptr)();
  if (pool_jobs_ == 0 && when_pool_is_idle_) std::exchange(when_pool_is_idle_, nullptr)();
}

}  // namespace weir::control
