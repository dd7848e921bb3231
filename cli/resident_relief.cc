#include "cli/resident_relief.h"

#include <malloc.h>

#include "cli/process_stats.h"

namespace weir::cli {
namespace {

constexpr Duration kBetween = Milliseconds(250);

}  // namespace

void ResidentRelief::Look(Duration steady) {
  if (steady < next_ || ResidentBytes() < near_bytes_) return;
  malloc_trim(0);
  next_ = steady + kBetween;
}

}  // namespace weir::cli
