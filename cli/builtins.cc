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

}  // namespace

const Registry& Builtins() {
  static const Registry registry = [] {
    Registry all;
    RegisterOperators(all);
    RegisterConnectors(all);
    return all;
  }();
  return registry;
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
  // Write buffers are charged to the cache, so its size is all that RocksDB may hold.
  WEIR_ASSIGN(parts.account, memory.Open("RocksDB's cache and write buffers", MemoryKind::kRocksdb,
                                         options.cache_bytes));
  parts.account->Use(static_cast<int64_t>(options.cache_bytes));
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
