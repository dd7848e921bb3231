#pragma once
// Memory: one number per process (memory_limit), governed by accounted bytes. The
// governor hands out at most 80 % of it and refuses a reservation that does not fit. An account
// belongs to one task and purpose and has one writer; target() may be read by any thread.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/env.h"
#include "engine/base/status.h"

namespace weir {

enum class MemoryKind : uint8_t { kBatches, kQueues, kHotState, kRocksdb, kKafkaClient, kOther };
inline constexpr size_t kMemoryKinds = 6;
std::string_view MemoryKindName(MemoryKind kind);

class MemoryAccount {
 public:
  virtual ~MemoryAccount() = default;
  virtual void Use(int64_t delta) = 0;  // accounted bytes: what was asked for, not RSS
  virtual size_t used() const = 0;      // A
  virtual size_t target()
      const = 0;  // A  shrink towards it between calls; never below the reservation
};

class MemoryGovernor {
 public:
  virtual ~MemoryGovernor() = default;
  /// kLimit with both numbers if `reservation` does not fit any more. A.
  virtual Result<std::unique_ptr<MemoryAccount>> Open(std::string purpose, MemoryKind kind,
                                                      size_t reservation) = 0;
  virtual size_t limit() const = 0;       // memory_limit
  virtual size_t handed_out() const = 0;  // what may be handed out
  virtual size_t used(MemoryKind kind) const = 0;
};

/// cgroup v1/v2 limit, else 75 % of the machine's memory. P.
size_t DetectMemoryLimit(Env& env);

}  // namespace weir
