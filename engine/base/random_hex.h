#pragma once
// Random names: of an incarnation, a cluster, an upload. Any thread.

#include <string>

#include "engine/base/env.h"

namespace weir {

/// So many digits of 0-9 a-f; 16 from each number that `env` draws.
std::string RandomHex(Env& env, int digits);
/// 32 such digits in the form of a UUID: 8-4-4-4-12.
std::string RandomUuid(Env& env);

}  // namespace weir
