#pragma once
// What may name a file of a storage, whatever lies behind it. Pure; any thread.

#include <string_view>

#include "engine/base/status.h"

namespace weir::state {

/// kInvalidArgument: not a relative path, or with "." or ".." in it.
Status CheckStoreName(std::string_view name);

}  // namespace weir::state
