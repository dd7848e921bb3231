#include "engine/runtime/worker.h"

#include <algorithm>
#include <exception>

namespace weir::runtime {
namespace {

constexpr Duration kSleepMax = Seconds(60);

}  // namespace

void Worker::Start() {
  loop_ = env_.Start(name_, [this] { return Turn(); });
  signal_->Attach(loop_.get());
  signal_->Raise();  // what was signalled before the loop was known
}

void Worker::Stop() {
  if (loop_ == nullptr) return;
  signal_->Detach();
  loop_.reset();
}

void Worker::RunOne(Slot& slot) {
  Task::Answer answer;
  try {
    answer = slot.task->Run();
  } catch (const std::exception& thrown) {  // of a third party: our own code does not throw
    slot.task->FailWith(Status(Code::kInternal, std::string("a library threw: ") + thrown.what()));
    answer.why = Task::Why::kStopped;
  }
  slot.at = answer.at;
  slot.again = answer.why == Task::Why::kSlice;
  if (answer.moved) empty_turns_ = 0;
}

Duration Worker::Turn() {
  signal_->Clear();
  bool timed = false;
  for (const Slot& slot : slots_) timed |= slot.at.has_value();
  const Duration now = timed ? env_.Steady() : Duration{};
  bool again = false;
  ++empty_turns_;
  for (Slot& slot : slots_) {
    if (!slot.task->opened()) continue;
    const bool signalled = slot.task->signal().Take();
    if (!signalled && !slot.again && !(slot.at && *slot.at <= now)) continue;
    RunOne(slot);
    again |= slot.again;
  }
  if (again || signal_->raised() || empty_turns_ < kSpinTurns) return {};
  std::optional<Duration> next;
  for (const Slot& slot : slots_) {
    if (slot.at && (!next || *slot.at < *next)) next = slot.at;
  }
  if (!next) return kSleepMax;
  return std::clamp(*next - env_.Steady(), Duration{}, kSleepMax);
}

}  // namespace weir::runtime
