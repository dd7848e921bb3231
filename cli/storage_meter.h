#pragma once
// StorageMeter: what calls to the storage cost, counted in front of it, for /metrics. Metered wraps
// a store so that each call is counted; the wrapper keeps the store, the meter must outlive it.
// Safe from several threads.

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string_view>

#include "engine/api/checkpoint_store.h"
#include "engine/base/env.h"
#include "engine/runtime/histogram.h"

namespace weir::cli {

/// Kinds of calls, as the label `operation` names them.
enum class StorageOperation : uint8_t { kWrite, kRead, kList, kRemove };
inline constexpr size_t kStorageOperations = 4;
std::string_view StorageOperationName(StorageOperation operation);

class StorageMeter {
 public:
  struct Values {
    uint64_t completed = 0, failed = 0;
    runtime::HistogramValues seconds;
  };

  /// A refusal that the caller asks for is an answer too: a name that is not there, or is there
  /// already. Failed is what got none, or one that nobody wanted.
  void Count(StorageOperation operation, const Status& status, Duration took);
  Values Of(StorageOperation operation) const;

 private:
  struct Counts {
    uint64_t completed = 0, failed = 0;
    runtime::Histogram seconds{runtime::kLatencyBounds};
  };
  mutable std::mutex mutex_;
  std::array<Counts, kStorageOperations> counts_;  // guarded by mutex_
};

std::unique_ptr<CheckpointStore> Metered(std::unique_ptr<CheckpointStore> store,
                                         StorageMeter& meter, Env& env);

}  // namespace weir::cli
