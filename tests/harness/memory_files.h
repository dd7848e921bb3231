#pragma once
// MemoryFiles: the file half of an Env, in memory. A directory tree with inodes and hard links that
// behaves as POSIX does where Env promises something; what is durable is not its matter (FaultEnv
// above it knows). Whoever derives from it adds clocks and threads.
//
// Any thread. Errors are those of Env. Locks are held per FileLock object, so also against others
// of the same process.

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "engine/base/env.h"

namespace weir {

class MemoryFiles : public Env {
 public:
  Result<std::unique_ptr<WritableFile>> Create(const Path& path, CreateMode mode) override;
  Result<std::unique_ptr<ReadableFile>> Open(const Path& path) override;
  Status Rename(const Path& from, const Path& to) override;
  Status Link(const Path& from, const Path& to) override;
  Status Remove(const Path& path) override;
  Status RemoveTree(const Path& path) override;
  Status Truncate(const Path& path, uint64_t bytes) override;
  Status MakeDirectory(const Path& path) override;
  Result<std::vector<DirectoryEntry>> List(const Path& path) override;
  Result<DirectoryEntry> Stat(const Path& path) override;
  Result<std::unique_ptr<FileLock>> Lock(const Path& path) override;
  Result<uint64_t> FreeBytes(const Path& path) override;
  Status SyncDirectory(const Path& path) override;

 private:
  class MemoryWritableFile;
  class MemoryReadableFile;
  class MemoryLock;
  struct Inode {
    uint64_t number = 0;
    std::string bytes;
    EventTime modified;
  };
  /// What a name leads to: a file, or a directory if `file` is null.
  struct Entry {
    uint64_t number = 0;
    std::shared_ptr<Inode> file;
  };

  Entry* Find(const Path& normal);
  bool IsDirectory(const Path& normal);
  bool HasEntries(const Path& normal) const;
  DirectoryEntry Describe(const Path& normal, const Entry& entry) const;
  Status MakeDirectoryLocked(const Path& normal);

  std::mutex mutex_;               // guards all below and the bytes of inodes
  std::map<Path, Entry> entries_;  // by normal path; "/" and "." are there without an entry
  std::shared_ptr<std::set<uint64_t>> locked_ =
      std::make_shared<std::set<uint64_t>>();  // inode numbers
  uint64_t next_number_ = 1;
};

}  // namespace weir
