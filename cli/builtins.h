#pragma once
// The only place that knows every node type, format, state backend and client: everything that is
// linked into `weir`. Main thread; the answers outlive the job.

#include <memory>
#include <string>

#include "engine/api/checkpoint_store.h"
#include "engine/api/clients.h"
#include "engine/api/memory.h"
#include "engine/api/registry.h"
#include "engine/api/state_backend.h"

namespace weir::cli {

/// All operators, connectors and formats; made once.
const Registry& Builtins();

std::unique_ptr<Clients> MakeRealClients(Env& env);

std::unique_ptr<MemoryGovernor> MakeGovernor(size_t limit);

struct BackendParts {
  std::unique_ptr<MemoryAccount> account;  // of what all tasks share
  std::unique_ptr<StateBackend> backend;
};
/// `kind`: rocksdb or memory.
Result<BackendParts> MakeBackend(Env& env, MemoryGovernor& memory, const std::string& kind);

struct ProcessConfig;
/// file:// or s3://. What S3 needs beside the configuration (credentials) is in the environment.
Result<std::unique_ptr<CheckpointStore>> OpenStorage(Env& env, const std::string& uri,
                                                     const ProcessConfig& config);

}  // namespace weir::cli
