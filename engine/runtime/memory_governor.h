#pragma once
// ProcessMemoryGovernor: the one memory number of a process. Hands out at most 80 %
// of the limit (HandedOut), refuses a reservation that no longer fits, and gives
// each account a target: its reservation, and of what nobody has reserved or uses beyond its
// reservation an equal part for each account of hot state: hot rows make room for what others need.
// Any thread; numbers are relaxed atomics, the list of accounts changes only when tasks are made or
// destroyed.

#include <array>
#include <atomic>

#include "engine/api/memory.h"

namespace weir::runtime {

class ProcessMemoryGovernor final : public MemoryGovernor {
 public:
  explicit ProcessMemoryGovernor(size_t limit);
  Result<std::unique_ptr<MemoryAccount>> Open(std::string purpose, MemoryKind kind,
                                              size_t reservation) override;
  size_t limit() const override { return limit_; }
  size_t handed_out() const override { return handed_out_; }
  size_t used(MemoryKind kind) const override;
  size_t reserved() const { return reserved_.load(std::memory_order_relaxed); }

 private:
  friend class GovernedAccount;
  const size_t limit_, handed_out_;
  std::atomic<size_t> reserved_{0};
  std::atomic<int64_t> unreserved_{0};  // used beyond their reservations by all but hot state
  std::atomic<int64_t> growing_{0};     // accounts that share what is not reserved
  std::array<std::atomic<int64_t>, kMemoryKinds> used_{};
};

}  // namespace weir::runtime
