#pragma once
// The clients of the connectors, made once per process and handed to the runtime. The node types
// themselves are registered by connectors/register.h.

#include <memory>

#include "engine/api/clients.h"
#include "engine/base/env.h"

namespace weir {

/// Real clients: Kafka through librdkafka. `env` must outlive them; their destructor waits until
/// the handles that were given up are closed.
std::unique_ptr<Clients> MakeClients(Env& env);

}  // namespace weir
