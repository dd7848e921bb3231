#pragma once
// HashFile: length and content hash (HashContent's) of a file of any length, read in pieces, so
// that a table file of the state costs no memory of its size. P; errors are the Env's.

#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/env.h"

namespace weir {

struct HashedFile {
  Hash128 hash;
  uint64_t bytes = 0;
};
Result<HashedFile> HashFile(Env& env, const Path& path);

}  // namespace weir
