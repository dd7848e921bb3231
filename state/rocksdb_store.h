#pragma once
// The RocksDB backend's ColdStore: one database per task in a directory of its own, a column family
// per state, no write-ahead log: a crash discards the directory, and an image stands at a barrier
// because Lower writes nothing else before it. P.
//
// Traps of RocksDB 7.8 that shape this: no DeleteRange, no atomic_flush, no Resume after a
// background error, ingestion only into a database that has not been written to; format_version 5
// so that files can be read by the library of every supported system.

#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/write_buffer_manager.h>

#include "state/memory_store.h"
#include "state/state.h"

namespace weir::state {

/// What the databases of one process share under one budget.
struct RocksdbShared {
  RocksdbShared(Env& files, const RocksdbOptions& options);
  Env& env;
  std::unique_ptr<rocksdb::Env> rocksdb_env;
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
  size_t write_buffer_bytes;
};

/// `view`: of the restored images together; what the compaction filter sees until the first image.
Result<std::unique_ptr<ColdStore>> OpenRocksdbStore(std::shared_ptr<RocksdbShared> shared,
                                                    const TaskStateSpec& spec,
                                                    std::span<const RowCodec> codecs,
                                                    std::span<const RestoredImage> restored,
                                                    const ImageView& view);

}  // namespace weir::state
