#pragma once
// Signals: how other threads say to a task that there is something to do. A WorkerSignal wakes the
// loop of a worker and is harmless once that has ended; a TaskSignal marks one task of it. Raising
// is any thread's, coalesces, is never lost and takes no lock: the flag is set before the loop is
// woken, and the worker clears the flag before it runs the task.

#include <atomic>
#include <memory>
#include <thread>

#include "engine/base/env.h"

namespace weir::runtime {

class WorkerSignal {
 public:
  void Attach(Loop* loop) { loop_.store(loop, std::memory_order_seq_cst); }
  /// After this no call of the loop is under way or will come: it may be destroyed.
  void Detach() {
    loop_.store(nullptr, std::memory_order_seq_cst);
    while (users_.load(std::memory_order_seq_cst) != 0)
      std::this_thread::yield();  // a few instructions of another thread
  }
  void Raise() {
    raised_.store(true, std::memory_order_seq_cst);
    users_.fetch_add(1, std::memory_order_seq_cst);
    if (Loop* loop = loop_.load(std::memory_order_seq_cst)) loop->Wake();
    users_.fetch_sub(1, std::memory_order_seq_cst);
  }
  /// The worker, before it looks at its tasks.
  void Clear() { raised_.store(false, std::memory_order_seq_cst); }
  bool raised() const { return raised_.load(std::memory_order_seq_cst); }

 private:
  std::atomic<Loop*> loop_{nullptr};
  std::atomic<int> users_{0};
  std::atomic<bool> raised_{false};
};

class TaskSignal {
 public:
  explicit TaskSignal(std::shared_ptr<WorkerSignal> worker) : worker_(std::move(worker)) {}
  void Raise() {
    if (raised_.exchange(true, std::memory_order_seq_cst)) return;
    worker_->Raise();
  }
  /// Also when it is raised already: the worker passed over it, because the task was not open yet.
  void RaiseAgain() {
    raised_.store(true, std::memory_order_seq_cst);
    worker_->Raise();
  }
  /// The worker: whether the task was asked to run since the last call.
  bool Take() {
    return raised_.load(std::memory_order_relaxed) &&
           raised_.exchange(false, std::memory_order_seq_cst);
  }

 private:
  const std::shared_ptr<WorkerSignal> worker_;
  std::atomic<bool> raised_{false};
};

}  // namespace weir::runtime
