#pragma once
// Env: clock, randomness, files and threads; with the clients the only way outside.
// Real (env_posix), fault-injecting (n-th call fails, unsynced bytes vanish, bits flip) or
// simulated (virtual time, one seed). Threads: "A" any thread, does not block; "P" pool threads,
// may block. File objects have one caller at a time. Errors: kDiskFull, kIo, kNotFound,
// kAlreadyExists, kPermissionDenied with the path in the message. After a failed Sync a file is
// dead: it is deleted, never synced again (dirty pages may be gone). A name is durable only after
// SyncDirectory of its directory.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"

namespace weir {

using Path = std::string;

enum class CreateMode : uint8_t { kNew, kTruncate, kAppend };  // kNew fails with kAlreadyExists

class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual Status Append(std::string_view bytes) = 0;
  virtual Status Sync() = 0;
  virtual Status Close() = 0;  // checked; the destructor closes without checking
  virtual uint64_t size() const = 0;
};

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  /// Reads up to `into.size()` bytes at `offset`; fewer only at the end of the file. Safe from
  /// several threads.
  virtual Result<size_t> Read(uint64_t offset, std::span<char> into) const = 0;
  virtual Result<uint64_t> Size() const = 0;
};

/// Held until destroyed, or until the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DirectoryEntry {
  std::string name;
  bool directory = false;
  uint64_t bytes = 0;
  uint64_t inode = 0;  // with `device`: the identity of a file across renames
  uint64_t device = 0;
  EventTime modified;
};

/// A thread that calls `turn` again and again; the destructor asks it to end and joins.
class Loop {
 public:
  virtual ~Loop() = default;
  virtual void Wake() = 0;  // A: the next turn starts at once; coalesces
};

class Env {
 public:
  virtual ~Env() = default;
  virtual EventTime Now() = 0;                       // A  wall clock
  virtual Duration Steady() = 0;                     // A  monotonic
  virtual uint64_t Random() = 0;                     // A
  virtual void Post(std::function<void()> job) = 0;  // A  onto the pool; a job never waits for
                                                     // another pool job or a worker
  /// `turn` answers how long the loop may sleep before the next one (zero: not at all).
  virtual std::unique_ptr<Loop> Start(std::string_view name, std::function<Duration()> turn) = 0;

  // Files: P.
  virtual Result<std::unique_ptr<WritableFile>> Create(const Path& path, CreateMode mode) = 0;
  virtual Result<std::unique_ptr<ReadableFile>> Open(const Path& path) = 0;
  virtual Status Rename(const Path& from, const Path& to) = 0;  // replaces `to`
  virtual Status Link(const Path& from, const Path& to) = 0;    // kAlreadyExists if `to` exists
  virtual Status Remove(const Path& path) = 0;                  // a file, or an empty directory
  virtual Status RemoveTree(const Path& path) = 0;  // Ok if absent; does not follow links
  virtual Status Truncate(const Path& path, uint64_t bytes) = 0;
  virtual Status MakeDirectory(
      const Path& path) = 0;  // with parents; Ok if it exists; created names are synced
  virtual Result<std::vector<DirectoryEntry>> List(
      const Path& path) = 0;  // by name, without "." and ".."
  virtual Result<DirectoryEntry> Stat(const Path& path) = 0;
  virtual Result<std::unique_ptr<FileLock>> Lock(
      const Path& path) = 0;  // kLocked if another process has it
  virtual Result<uint64_t> FreeBytes(const Path& path) = 0;
  virtual Status SyncDirectory(const Path& path) = 0;
};

/// The directory that holds the name `path` ends in: "a/b" of "a/b/c", "." of "c", "/" of "/c".
Path ParentDirectory(std::string_view path);
/// The whole file, at most `bytes_max` (kLimit beyond).
Result<std::string> ReadWholeFile(Env& env, const Path& path, uint64_t bytes_max);
/// Durable on return: temporary file beside it, fsync, rename over `path`, fsync of the directory.
Status WriteFileDurably(Env& env, const Path& path, std::string_view bytes);

}  // namespace weir
