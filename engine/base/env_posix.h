#pragma once
// The real Env: POSIX files, the system's clocks, a pool of threads, threads for loops. One per
// process, made in main and passed down; it must outlive everything that it was given to. Any
// thread.

#include <memory>

#include "engine/base/env.h"

namespace weir {

/// `pool_threads`: threads for jobs that block (opening, fsync, cold reads, uploads).
std::unique_ptr<Env> MakePosixEnv(int pool_threads);

}  // namespace weir
