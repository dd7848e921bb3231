#pragma once
// What all storages say of a file's name and length, whatever lies behind them. Pure; any thread.

#include <cstdint>
#include <string_view>

#include "engine/base/status.h"

namespace weir::state {

/// kInvalidArgument: not a relative path, or with "." or ".." in it.
Status CheckStoreName(std::string_view name);
/// kCorruption, with both, if a stored file has not the length that it should have.
Status CheckStoredLength(std::string_view name, uint64_t expected, uint64_t found);

}  // namespace weir::state
