#include "cli/resident_relief.h"

#include <malloc.h>

#include "cli/process_stats.h"

namespace weir::cli {
namespace {

// Asking the kernel costs a sixth of a millisecond: seldom while memory is far from the limit, so
// that a job without input sleeps, and not again at once after pages were given back.
constexpr Duration kBetween = Milliseconds(250);

}  // namespace

void ResidentRelief::Look(Duration steady) {
  if (steady < next_) return;
  const uint64_t resident = ResidentBytes();
  const bool near = resident >= near_bytes_;
  if (near) malloc_trim(0);
  if (near || resident < near_bytes_ / 2) next_ = steady + kBetween;
}

}  // namespace weir::cli
