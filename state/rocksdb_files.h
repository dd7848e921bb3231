#pragma once
// RocksDB's file system over Weir's Env: every file that RocksDB reads, writes, links, renames or
// syncs goes through Env, so that a fault-injecting Env reaches it. Called by pool threads and by
// RocksDB's own. `env` must outlive it.

#include <memory>

#include <rocksdb/file_system.h>
#include <rocksdb/status.h>

#include "engine/base/env.h"

namespace weir::state {

std::shared_ptr<rocksdb::FileSystem> MakeRocksdbFiles(Env& env);

Status FromRocksdb(const rocksdb::Status& status, std::string_view where);

}  // namespace weir::state
