#include "engine/runtime/pool_jobs.h"

#include <chrono>
#include <utility>

namespace weir::runtime {

void PoolJobs::Post(std::function<void()> job) {
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    number = next_++;
    waiting_.emplace(number, std::move(job));
  }
  env_.Post([self = shared_from_this(), number] { self->Run(number); });
}

void PoolJobs::Run(uint64_t number) {
  std::function<void()> job;
  {
    const std::lock_guard lock(mutex_);
    const auto found = waiting_.find(number);
    if (found == waiting_.end()) return;  // given up
    job = std::move(found->second);
    waiting_.erase(found);
    ++running_;
  }
  job();
  job = nullptr;  // its share of a task goes first: if it is the last one, the task dies here,
                  // before anybody believes that all jobs are over
  const std::lock_guard lock(mutex_);
  if (--running_ == 0) idle_.notify_all();
}

bool PoolJobs::Close(Duration deadline) {
  std::map<uint64_t, std::function<void()>> given_up;  // destroyed without the lock
  std::unique_lock lock(mutex_);
  closed_ = true;
  given_up.swap(waiting_);
  const bool idle = idle_.wait_for(lock, std::chrono::microseconds(deadline.us),
                                   [this] { return running_ == 0; });
  lock.unlock();
  return idle;
}

}  // namespace weir::runtime
