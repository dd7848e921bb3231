#pragma once
// Worker: one thread's share of an attempt: a loop of the Env that runs the tasks given to it, each
// when it was signalled, when its time has come, or when it stopped in the middle of its work.
// Without progress it looks again a few times, then sleeps until a signal or the next time.

#include <memory>
#include <string>
#include <vector>

#include "engine/runtime/signal.h"
#include "engine/runtime/task.h"

namespace weir::runtime {

inline constexpr int kSpinTurns =
    200;  // empty turns before parking: about 20 us, less than half of one wake-up

class Worker {
 public:
  Worker(Env& env, std::string name)
      : env_(env), name_(std::move(name)), signal_(std::make_shared<WorkerSignal>()) {}
  ~Worker() { Stop(); }

  const std::shared_ptr<WorkerSignal>& signal() const { return signal_; }
  /// Before Start.
  void Add(std::shared_ptr<Task> task) { slots_.push_back({std::move(task), {}, true}); }
  void Start();
  /// Ends the loop; no task runs afterwards.
  void Stop();
  /// After Stop: lets go of the tasks.
  void Clear() { slots_.clear(); }

 private:
  struct Slot {
    std::shared_ptr<Task> task;
    std::optional<Duration> at;
    bool again = true;
  };
  Duration Turn();
  void RunOne(Slot& slot);

  Env& env_;
  const std::string name_;
  const std::shared_ptr<WorkerSignal> signal_;
  std::vector<Slot> slots_;
  int empty_turns_ = 0;
  std::unique_ptr<Loop> loop_;
};

}  // namespace weir::runtime
