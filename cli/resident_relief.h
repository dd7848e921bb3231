#pragma once
// ResidentRelief: gives what the allocator keeps back to the system when the process's resident
// memory comes near its limit. Budgets are counted in bytes asked for; blocks of many sizes that
// come and go leave whole free pages between those in use, and the kernel ends a process for these
// as for any other. Far from the limit nothing is done: giving back locks the allocator for some
// milliseconds. One thread, the one that waits for the job.

#include <cstdint>

#include "engine/base/time.h"

namespace weir::cli {

class ResidentRelief {
 public:
  /// `handed_out`: of `limit`, what budgets may use.
  ResidentRelief(uint64_t limit, uint64_t handed_out)
      : near_bytes_(handed_out + (limit - handed_out) / 2) {}
  void Look(Duration steady);

 private:
  const uint64_t near_bytes_;
  Duration next_{};
};

}  // namespace weir::cli
