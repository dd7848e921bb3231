#pragma once
// ProcessStats: this process as the kernel accounts it, for the process_* metrics, which
// prometheus-cpp does not provide, and for the live line. Any thread.

#include <cstdint>

namespace weir::cli {

struct ProcessStats {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0, resident_bytes_peak = 0;
  uint64_t open_files = 0, open_files_max = 0;
  double start_time_seconds = 0;  // Unix time
};

ProcessStats ReadProcessStats();
uint64_t ResidentBytes();  // 0: the kernel does not say

}  // namespace weir::cli
