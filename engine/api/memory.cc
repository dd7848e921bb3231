#include "engine/api/memory.h"

#include <array>

namespace weir {

std::string_view MemoryKindName(MemoryKind kind) {
  static constexpr std::array<std::string_view, kMemoryKinds> kNames = {
      "batches", "queues", "hot_state", "rocksdb", "kafka_client", "other"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace weir
