#pragma once
// The state folder's public header: state backends (hot tables over RocksDB, or over memory), the
// checkpoint store, and what `weir ckpt` needs to read a snapshot's keyed state without its job.
// Called once per process by the wiring in cli; P.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/checkpoint_store.h"
#include "engine/api/clients.h"
#include "engine/api/state_backend.h"
#include "engine/base/secret.h"

namespace weir::state {

/// Limits of all tasks of the process together.
struct RocksdbOptions {
  size_t cache_bytes = size_t{64} << 20;         // block cache; write buffers are charged to it
  size_t write_buffer_bytes = size_t{32} << 20;  // all write buffers
  int background_threads = 2;
  size_t eviction_buffer_bytes =
      0;  // of a task; 0: 8 MiB, or 1/16 of its hot target if that is more
};

/// `env` must outlive the backend and all its states.
Result<std::unique_ptr<StateBackend>> MakeRocksdbBackend(Env& env, RocksdbOptions options);

struct MemoryOptions {
  size_t eviction_buffer_bytes = 0;  // as above
};
/// The same hot tables over an ordered map: for tests, simulation and state that surely fits.
std::unique_ptr<StateBackend> MakeMemoryBackend(Env& env, MemoryOptions options = {});

/// `file:///absolute/path`. Makes the root directory.
Result<std::unique_ptr<CheckpointStore>> OpenFileStore(Env& env, std::string_view uri);

/// The store behind `s3://`. Of the three sources of credentials the first counts that is set.
struct S3Options {
  std::string endpoint;  // "https://host:port"; empty: Amazon's of the region
  std::string region = "us-east-1";
  std::optional<bool> path_style;  // host/bucket/key; empty: if an endpoint is given
  std::string key_id;              // 1
  Secret secret_key, session_token;
  std::string credentials_file, profile = "default";  // 2  read again when it changes
  std::string web_identity_token_file, role_arn;      // 3  exchanged for keys that expire
  std::string role_session_name = "weir";
  std::string sts_endpoint;                  // empty: Amazon's of the region
  uint64_t part_bytes = uint64_t{16} << 20;  // larger objects go up in such parts; from 5 MiB
  int page_keys = 1000;                      // of a listing
  Duration retry_least = Seconds(5);         // of a call, whatever RetryUntil says
};

/// `s3://bucket/prefix`. Asks the server nothing yet.
Result<std::unique_ptr<CheckpointStore>> OpenS3Store(Env& env, std::unique_ptr<HttpClient> http,
                                                     std::string_view uri,
                                                     const S3Options& options);

/// A timer whose firing unit has begun.
struct TimerCursor {
  std::string timer;  // its text in the storage
  std::string cursor;
};

/// What a snapshot says of one state.
struct StateDescription {
  std::string node_id;
  StateSpec spec;
  std::vector<Type> key_types;
  std::vector<std::pair<Namespace, uint64_t>>
      namespaces;                 // live ones, and about how many rows they have
  std::vector<int64_t> horizons;  // by key group of the image
  std::vector<int64_t> expired;   // logs
  uint64_t next_number = 0;       // logs
  std::vector<TimerCursor> cursors;
};

struct ImageDescription {
  std::string backend;
  CheckpointId checkpoint;
  GroupRange groups;
  uint32_t key_groups = 0;
  EventTime watermark;
  std::vector<StateDescription> states;  // position: number of the state in the image's files
};

/// Decodes StateImage::metadata.
Result<ImageDescription> DescribeImage(const StateImage& image);

/// Length and XXH3-128 of a local file against what the image says: kCorruption with both if it
/// differs.
Status VerifyImageFile(Env& env, const ImageFile& file, const Path& local);

}  // namespace weir::state
