#pragma once
// SimWorld: machines without threads, clocks or disks of their own. It gives out Envs, one for each
// simulated process, that share virtual time and a disk in memory; everything they post or start
// runs in the caller's thread, one call at a time, in an order drawn from one seed. The same seed
// and the same code give the same run, step for step: trace() says so.
//
//   SimWorld world(seed);
//   std::unique_ptr<Env> process = world.StartProcess("worker-0");
//   ... build the program on *process ...
//   EXPECT_TRUE(world.RunUntil([&] { return sink.done(); }, Seconds(60)));
//   world.Kill(*process);        // kill -9: then destroy the program, then the Env
//
// Time moves on by some microseconds with every call, and jumps when nothing is ready before a
// later moment. A job starts within a millisecond of being posted, in any order (a pool has several
// threads); a loop's turn starts when its sleep is over or it was woken, some microseconds later.
// After Kill nothing of the process runs again, its file calls fail with kIo and its locks are
// free, as the kernel would do it; what it wrote stays. PowerLoss() kills every process and takes
// back what was not durable (FaultEnv's model; faults() also lets file calls fail by plan). One
// thread. The world must outlive its Envs, and an Env the loops started on it.

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/env.h"
#include "tests/harness/fault_env.h"

namespace weir {

class SimWorld {
 public:
  explicit SimWorld(uint64_t seed);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  std::unique_ptr<Env> StartProcess(std::string name);
  /// REQUIRES: an Env of StartProcess that still exists.
  void Kill(Env& process);
  void PowerLoss(PowerLossKeeps keeps);
  FaultEnv& faults() { return *faults_; }

  /// Runs `event` after `delay`: what comes from outside of all processes, such as a message that
  /// arrives.
  void After(Duration delay, std::function<void()> event);
  /// Runs one thing that is ready, moving time on to the first if none is. False: nothing will ever
  /// happen again.
  bool Step();
  /// Steps until `done` says so; false if it has not after `at_most` of virtual time, or if nothing
  /// can happen any more.
  bool RunUntil(const std::function<bool()>& done, Duration at_most);
  void RunFor(Duration time);

  EventTime Now() const { return {start_.us + steady_.us}; }
  Duration Steady() const { return steady_; }
  /// The world's only source of chance; simulated peers draw from it too.
  uint64_t Random() { return random_(); }
  uint64_t steps() const { return steps_; }
  /// Grows with every step and every note: equal for equal runs.
  uint64_t trace() const { return trace_; }
  void Note(std::string_view event);

 private:
  class Disk;
  class Process;
  struct Life;
  struct Item;
  class SimLoop;

  std::shared_ptr<Item> Add(std::shared_ptr<Life> life, Duration ready_at,
                            std::function<Duration()> turn, bool once);
  void DropDead();
  void Mix(uint64_t value);

  const EventTime start_{1'767'225'600'000'000};  // 2026-01-01
  Duration steady_ = Seconds(1);
  std::mt19937_64 random_;
  uint64_t steps_ = 0, trace_ = 0, next_item_ = 1, next_file_ = 1;
  std::vector<std::shared_ptr<Item>> items_;  // in order of creation
  std::map<const Env*, std::shared_ptr<Life>> lives_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<FaultEnv> faults_;
};

}  // namespace weir
