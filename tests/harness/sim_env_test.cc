#include "tests/harness/sim_env.h"

#include <gtest/gtest.h>

#include <set>

namespace weir {
namespace {

TEST(SimWorld, TimePassesOnlyByStepping) {
  SimWorld world(1);
  const auto env = world.StartProcess("a");
  const Duration before = env->Steady();
  EXPECT_EQ(env->Steady(), before);
  EXPECT_FALSE(world.Step());
  world.RunFor(Seconds(60));
  EXPECT_GE(env->Steady(), before + Seconds(60));
  EXPECT_LT(env->Steady(), before + Seconds(61));
  EXPECT_TRUE(IsUsable(env->Now()));
}

TEST(SimWorld, LoopsTurnWhenTheirSleepIsOver) {
  SimWorld world(1);
  const auto env = world.StartProcess("a");
  std::vector<int64_t> at;
  const auto loop = env->Start("loop", [&] {
    at.push_back(env->Steady().us);
    return Milliseconds(10);
  });
  world.RunFor(Seconds(1));
  ASSERT_NEAR(static_cast<double>(at.size()), 100, 2);
  for (size_t i = 1; i < at.size(); ++i) ASSERT_GE(at[i] - at[i - 1], 10'000);
}

TEST(SimWorld, AWakeBringsTheNextTurnForwardAndIsNeverLost) {
  SimWorld world(1);
  const auto env = world.StartProcess("a");
  int turns = 0;
  Loop* self = nullptr;
  const auto loop = env->Start("loop", [&] {
    if (++turns == 2) self->Wake();  // within the turn: another follows
    return Seconds(1000);
  });
  self = loop.get();
  world.RunFor(Seconds(1));
  EXPECT_EQ(turns, 1);
  loop->Wake();
  loop->Wake();
  world.RunFor(Seconds(1));
  EXPECT_EQ(turns, 3);
}

TEST(SimWorld, JobsRunInAnyOrderButAllOfThem) {
  std::set<std::vector<int>> orders;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimWorld world(seed);
    const auto env = world.StartProcess("a");
    std::vector<int> order;
    for (int i = 0; i < 3; ++i) env->Post([&order, i] { order.push_back(i); });
    EXPECT_TRUE(world.RunUntil([&] { return order.size() == 3; }, Seconds(1)));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6U);
}

TEST(SimWorld, AJobMayPostAndALoopMayEndAnother) {
  SimWorld world(3);
  const auto env = world.StartProcess("a");
  int depth = 0;
  std::function<void()> deeper = [&] {
    if (++depth < 10) env->Post(deeper);
  };
  env->Post(deeper);
  int turns = 0;
  auto victim = env->Start("victim", [&] {
    ++turns;
    return Milliseconds(1);
  });
  const auto killer = env->Start("killer", [&] {
    if (turns >= 5) victim.reset();
    return Milliseconds(1);
  });
  world.RunFor(Seconds(1));
  EXPECT_EQ(depth, 10);
  EXPECT_LT(turns, 10);
}

/// A little of everything, told as one number.
uint64_t TraceOf(uint64_t seed) {
  SimWorld world(seed);
  const auto a = world.StartProcess("a");
  const auto b = world.StartProcess("b");
  int left = 50;
  const auto loop_a = a->Start("loop", [&] {
    a->Post([&] {
      world.Note("job");
      --left;
    });
    return Microseconds(static_cast<int64_t>(a->Random() % 100));
  });
  const auto loop_b = b->Start("loop", [&] {
    loop_a->Wake();
    IgnoreStatus(WriteFileDurably(*b, "/f", std::to_string(b->Now().us)), "the trace tells");
    return Milliseconds(1);
  });
  EXPECT_TRUE(world.RunUntil([&] { return left <= 0; }, Seconds(10)));
  world.Note(*ReadWholeFile(*a, "/f", 100));
  return world.trace();
}

TEST(SimWorld, TheSameSeedGivesTheSameTraceAndAnotherOneAnother) {
  std::set<uint64_t> traces;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const uint64_t trace = TraceOf(seed);
    EXPECT_EQ(trace, TraceOf(seed)) << seed;
    traces.insert(trace);
  }
  EXPECT_EQ(traces.size(), 20U);
}

TEST(SimWorld, NothingOfAKilledProcessRunsAgainAndTheOthersGoOn) {
  SimWorld world(1);
  const auto dead = world.StartProcess("dead");
  const auto living = world.StartProcess("living");
  int dead_calls = 0;
  int living_calls = 0;
  const auto dead_loop = dead->Start("loop", [&] {
    ++dead_calls;
    return Milliseconds(1);
  });
  const auto living_loop = living->Start("loop", [&] {
    ++living_calls;
    return Milliseconds(1);
  });
  const auto file = dead->Create("/file", CreateMode::kNew);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append("written").ok());
  const auto lock = dead->Lock("/LOCK");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(living->Lock("/LOCK").status().code(), Code::kLocked);
  world.RunFor(Milliseconds(10));
  EXPECT_GT(dead_calls, 0);
  dead->Post([&] { ++dead_calls; });
  world.Kill(*dead);
  const int before = dead_calls;
  dead->Post([&] { ++dead_calls; });
  world.RunFor(Milliseconds(100));
  EXPECT_EQ(dead_calls, before);
  EXPECT_GT(living_calls, 100);
  EXPECT_EQ((*file)->Append("more").code(), Code::kIo);
  EXPECT_EQ(dead->Stat("/file").status().code(), Code::kIo);
  EXPECT_EQ(*ReadWholeFile(*living, "/file", 100), "written")
      << "a killed process loses nothing that it wrote";
  EXPECT_TRUE(living->Lock("/LOCK").ok());
}

TEST(SimWorld, ALockOfADeadProcessDoesNotFreeThatOfItsSuccessor) {
  SimWorld world(1);
  const auto dead = world.StartProcess("dead");
  const auto next = world.StartProcess("next");
  auto old_lock = dead->Lock("/LOCK");
  ASSERT_TRUE(old_lock.ok());
  world.Kill(*dead);
  const auto lock = next->Lock("/LOCK");
  ASSERT_TRUE(lock.ok());
  old_lock->reset();
  EXPECT_EQ(next->Lock("/LOCK").status().code(), Code::kLocked);
}

TEST(SimWorld, PowerLossTakesBackWhatWasNotSynced) {
  SimWorld world(1);
  const auto before = world.StartProcess("before");
  ASSERT_TRUE(WriteFileDurably(*before, "/durable", "durable").ok());
  const auto file = before->Create("/lost", CreateMode::kNew);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append("lost").ok());
  const auto appended = before->Create("/durable", CreateMode::kAppend);
  ASSERT_TRUE((*appended)->Append(" and more").ok());
  world.PowerLoss(PowerLossKeeps::kNothingUnsynced);
  const auto after = world.StartProcess("after");
  EXPECT_EQ(*ReadWholeFile(*after, "/durable", 100), "durable");
  EXPECT_EQ(after->Stat("/lost").status().code(), Code::kNotFound);
}

TEST(SimWorld, FileFaultsReachEveryProcess) {
  SimWorld world(1);
  const auto env = world.StartProcess("a");
  FaultPlan plan;
  plan.fail_at = 1;
  plan.fail_with = Code::kDiskFull;
  world.faults().SetPlan(plan);
  EXPECT_EQ(WriteFileDurably(*env, "/f", "x").code(), Code::kDiskFull);
  EXPECT_TRUE(WriteFileDurably(*env, "/f", "x").ok());
}

TEST(SimWorld, EventsFromOutsideComeAtTheirTime) {
  SimWorld world(1);
  std::vector<int> events;
  world.After(Milliseconds(20), [&] { events.push_back(20); });
  world.After(Milliseconds(10), [&] { events.push_back(10); });
  world.RunFor(Milliseconds(15));
  EXPECT_EQ(events, std::vector<int>{10});
  world.RunFor(Milliseconds(15));
  EXPECT_EQ(events, (std::vector<int>{10, 20}));
}

}  // namespace
}  // namespace weir
