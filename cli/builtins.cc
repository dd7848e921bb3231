#include "cli/builtins.h"

#include <algorithm>

#include "connectors/connectors.h"
#include "connectors/register.h"
#include "engine/runtime/memory_governor.h"
#include "operators/register.h"
#include "state/state.h"

namespace weir::cli {
namespace {

constexpr size_t kCacheBytesLeast = size_t{8} << 20, kCacheBytesMost = size_t{512} << 20;
constexpr size_t kBackgroundBytesMost = size_t{12} << 20;

}  // namespace

const Registry& Builtins() {
  static const Registry kRegistry = [] {
    Registry all;
    RegisterOperators(all);
    RegisterConnectors(all);
    return all;
  }();
  return kRegistry;
}

std::unique_ptr<Clients> MakeRealClients(Env& env) { return MakeClients(env); }

Result<BackendParts> MakeBackend(Env& env, MemoryGovernor& memory, const std::string& kind) {
  BackendParts parts;
  if (kind == "memory") {
    parts.backend = state::MakeMemoryBackend(env);
    return parts;
  }
  state::RocksdbOptions options;
  options.cache_bytes = std::clamp(memory.handed_out() / 8, kCacheBytesLeast, kCacheBytesMost);
  options.write_buffer_bytes = options.cache_bytes / 2;
  // Write buffers are charged to the cache. Beside it lies what flushes and compactions work with:
  // filters of a table being made, buffers of files, batches on their way in.
  const size_t bytes =
      options.cache_bytes + std::min(memory.handed_out() / 16, kBackgroundBytesMost);
  WEIR_ASSIGN(parts.account,
              memory.Open("RocksDB's cache and write buffers", MemoryKind::kRocksdb, bytes));
  parts.account->Use(static_cast<int64_t>(bytes));
  WEIR_ASSIGN(parts.backend, state::MakeRocksdbBackend(env, options));
  return parts;
}

std::unique_ptr<MemoryGovernor> MakeGovernor(size_t limit) {
  return std::make_unique<runtime::ProcessMemoryGovernor>(limit);
}

Result<std::unique_ptr<CheckpointStore>> OpenStorage(Env& env, const std::string& uri) {
  return state::OpenCheckpointStore(env, uri);
}

}  // namespace weir::cli
