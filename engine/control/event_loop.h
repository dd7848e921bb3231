#pragma once
// EventLoop: one thread that runs events in turn: posted from anywhere, due at a time, or the
// answer of a job that went to the pool because it blocks. Used by the coordinator and its parts;
// all methods but Post and last_turn belong to that thread. After Close, which joins it, no event
// runs.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/env.h"

namespace weir::control {

/// Events on their way to the loop. Outlives it in whoever still holds a share; any thread.
class Mailbox {
 public:
  void Post(std::function<void()> event);
  void Attach(Loop* loop);
  /// No event runs after this.
  void Close();
  std::deque<std::function<void()>> Take();

 private:
  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<std::function<void()>> events_;
  Loop* loop_ = nullptr;
  bool closed_ = false;
};

class EventLoop {
 public:
  /// `env` must outlive it.
  explicit EventLoop(Env& env) : env_(env), mailbox_(std::make_shared<Mailbox>()) {}
  ~EventLoop() { Close(); }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Start(std::string_view name);
  void Close();
  void Post(std::function<void()> event) { mailbox_->Post(std::move(event)); }
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  /// Steady clock of the last turn: liveness.
  Duration last_turn() const { return {last_turn_us_.load(std::memory_order_relaxed)}; }

  void After(Duration delay, std::function<void()> action);
  /// `work` on the pool, then `done` with its answer here.
  template <class T>
  void OnPool(std::function<T()> work, std::function<void(T)> done) {
    ++pool_jobs_;
    auto answered = [this, done = std::move(done)](T answer) {
      --pool_jobs_;
      done(std::move(answer));
      GoOn();
    };
    env_.Post([work = std::move(work), answered = std::move(answered), mailbox = mailbox_] {
      auto answer = std::make_shared<T>(work());
      mailbox->Post([answer, answered] { answered(std::move(*answer)); });
    });
  }
  /// As OnPool, for what moves HEAD or removes files.
  template <class T>
  void OnStorage(std::function<T()> work, std::function<void(T)> done) {
    ++storage_jobs_;
    OnPool<T>(std::move(work), [this, done = std::move(done)](T answer) {
      --storage_jobs_;
      done(std::move(answer));
    });
  }
  /// An attempt begins when nothing of the one before works on the storage any longer: it could
  /// still move HEAD, and what it removes must not meet what the next one has begun to keep.
  void WhenStorageIsIdle(std::function<void()> next);
  /// A job ends when nothing is on the pool: store, plan and clients are the caller's.
  void WhenPoolIsIdle(std::function<void()> next);
  /// Nothing of After and WhenStorageIsIdle happens any longer.
  void ForgetWhatWaits();

 private:
  struct Deadline {
    Duration at;
    std::function<void()> action;
  };
  Duration Turn();
  void GoOn();

  Env& env_;
  const std::shared_ptr<Mailbox> mailbox_;

  // Loop thread only.
  std::vector<Deadline> timers_;
  int pool_jobs_ = 0, storage_jobs_ = 0;  // whose answers have not come yet
  std::function<void()> when_storage_is_idle_, when_pool_is_idle_;

  std::atomic<int64_t> last_turn_us_{0};
  std::unique_ptr<Loop> loop_;  // last: ends first
};

}  // namespace weir::control
