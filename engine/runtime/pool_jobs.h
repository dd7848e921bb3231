#pragma once
// PoolJobs: the jobs that an attempt's tasks have on the Env's pool, so that the attempt can end:
// those that have not begun are given up, those that run are awaited. Post: any thread. Close: the
// attempt's owner, once the workers have ended. What a job captured is destroyed before Close
// returns, on the pool or by Close itself; a job posted later is destroyed at once. Alive as long
// as the Env holds a job.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "engine/base/env.h"

namespace weir::runtime {

class PoolJobs final : public std::enable_shared_from_this<PoolJobs> {
 public:
  explicit PoolJobs(Env& env) : env_(env) {}

  void Post(std::function<void()> job);
  /// False: one still runs after `deadline`. May be called again.
  bool Close(Duration deadline);

 private:
  void Run(uint64_t number);

  Env& env_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<uint64_t, std::function<void()>> waiting_;
  uint64_t next_ = 0;
  int running_ = 0;
  bool closed_ = false;
  std::condition_variable idle_;
};

}  // namespace weir::runtime
