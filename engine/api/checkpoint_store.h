#pragma once
// CheckpointStore: the files of one storage, file:// or s3://. Names are relative to its root, with
// '/'. P, safe from several threads. What is complete is decided by HEAD alone, never by List.
//
// A name holds whole content or does not exist. A call that failed has left nothing under the name,
// except where a remote storage's answer was lost: then what the call asked for may still come
// about, whole, also after the failure. So a PutNew that failed otherwise than with kAlreadyExists
// is read back before anything is concluded from it, and content that may change has names of its
// own.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/env.h"
#include "engine/base/status.h"

namespace weir {

struct StoredFile {
  std::string name;
  uint64_t bytes = 0;
  EventTime modified;
};

class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;
  /// Durable on return: write, fsync, rename, fsync of the directory; or one checked PUT.
  virtual Status Put(std::string_view name, std::string_view bytes) = 0;
  /// Create-exclusive: kAlreadyExists if somebody else was first. HEAD.<sequence>, leader epoch,
  /// cluster. A few KiB.
  virtual Status PutNew(std::string_view name, std::string_view bytes) = 0;
  /// An immutable local file: hard link, or upload. Ok if the name holds a file of the same length
  /// already (names of content).
  virtual Status Adopt(const Path& local, std::string_view name) = 0;
  /// Hard link, or download. kCorruption, and nothing is fetched, if the file is not `bytes` long.
  /// Answers HashContent of what has passed through this process, nothing if it was linked: whoever
  /// verifies the content then has to read it. However long a download lasts: each part that
  /// arrives renews the time for trying again that the call had at its beginning.
  virtual Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                               const Path& local) = 0;
  virtual Result<std::string> Read(std::string_view name, uint64_t offset,
                                   size_t bytes) = 0;        // kNotFound
  virtual Result<uint64_t> Size(std::string_view name) = 0;  // kNotFound
  virtual Status Remove(std::string_view name) = 0;          // Ok if absent
  /// Recursive; to find and to clean.
  virtual Result<std::vector<StoredFile>> List(std::string_view prefix) = 0;
  /// Once before a job writes: kUnavailable, with what to do, if the storage does not keep the
  /// promise of PutNew.
  virtual Status Probe() = 0;
  /// Takes back what was begun below `prefix` and cannot be seen by List: uploads in parts of
  /// processes that are gone. Not what this store is about to write.
  virtual Status RemoveUnfinished(std::string_view prefix) = 0;
  /// A. Until this reading of the steady clock calls try again when a remote storage does not
  /// answer or is overloaded; and each for some seconds in any case.
  virtual void RetryUntil(Duration deadline) = 0;
  /// A. Calls under way end soon, with kCancelled if they were not done.
  virtual void Interrupt() = 0;
  virtual std::string Describe() const = 0;  // "file:///var/lib/weir/storage"
};

}  // namespace weir
