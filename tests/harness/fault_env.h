#pragma once
// FaultEnv: an Env that fails where a test wants it to. It wraps any other (real disk, simulation)
// and lets the n-th file call fail, flips bits on read, slows the disk, and at PowerLoss() takes
// back what no sync had made durable: bytes since the last Sync of a file, names since the last
// SyncDirectory of their directory. After it every file that was open is dead, as its process would
// be.
//
// Used by tests from any thread; calls that change files are serialized. `base` must outlive it.
// The undo directory lies on the same file system as the files under test, outside of what the test
// looks at: it keeps hard links to what a power loss would bring back.
//
// The model. A file's durable length is what the last successful Sync covered; a power loss leaves
// that, or, in random mode, any length up to the one written, the rest possibly zeros. Changes of a
// directory's names become durable in order: a power loss keeps none of those since the last
// SyncDirectory, or, in random mode, a first part of them. A Sync that failed makes the bytes
// before it lost for good: later Syncs of the file succeed but save nothing (as Linux does).
// Truncate and MakeDirectory are durable at once.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "engine/base/env.h"

namespace weir {

enum class FileCall : uint8_t {
  kCreate,
  kAppend,
  kSync,
  kClose,
  kOpen,
  kRead,
  kSize,
  kRename,
  kLink,
  kRemove,
  kTruncate,
  kMakeDirectory,
  kList,
  kStat,
  kLock,
  kFreeBytes,
  kSyncDirectory,
};

struct FaultPlan {
  uint64_t fail_at =
      0;  // this call fails, counted from 1; 0: none. An Append writes half of its bytes first
  Code fail_with = Code::kIo;
  bool fail_from_there = false;  // and so do all later ones: the disk stays full
  uint64_t flip_at =
      0;  // this read, counted from 1 among reads of at least a byte, gives one wrong bit
  std::function<bool(FileCall call, const Path& path)>
      counts;  // which calls are counted and may fail; none: all
  Duration write_delay, sync_delay, read_delay;
};

enum class PowerLossKeeps : uint8_t { kNothingUnsynced, kRandomPart };

class FaultEnv final : public Env {
 public:
  FaultEnv(Env& base, Path undo_directory, uint64_t seed);
  ~FaultEnv() override;

  /// Counting starts again at 1.
  void SetPlan(FaultPlan plan);
  /// Calls counted since SetPlan.
  uint64_t calls() const { return calls_.load(); }
  /// The plan's fault has come.
  bool hit() const { return hit_.load(); }
  void PowerLoss(PowerLossKeeps keeps);

  EventTime Now() override { return base_.Now(); }
  Duration Steady() override { return base_.Steady(); }
  uint64_t Random() override { return base_.Random(); }
  void Post(std::function<void()> job) override { base_.Post(std::move(job)); }
  std::unique_ptr<Loop> Start(std::string_view name, std::function<Duration()> turn) override {
    return base_.Start(name, std::move(turn));
  }

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
  class FaultWritableFile;
  class FaultReadableFile;
  using FileId = std::pair<uint64_t, uint64_t>;  // device, inode
  struct FileState {
    uint64_t synced = 0, size = 0;
    bool poisoned = false;  // a Sync has failed
    Path handle;            // a hard link in the undo directory, whatever names the file has
  };
  /// A change of a directory's names that a power loss may take back.
  struct NameChange {
    Path directory;
    Path remove;                    // this name goes
    Path restore_from, restore_to;  // and this link or name becomes that one
    Path make_directory;
    Path old_from, old_to;  // then what a rename had replaced comes back
  };

  Status Count(FileCall call, const Path& path);
  Status RemoveLocked(const Path& path);
  Status RemoveTreeLocked(const Path& path);
  Path LinkAside(const Path& path);
  void Undo(const NameChange& change);
  void Forget(const NameChange& change);
  void LoseBytes(const FileState& file, PowerLossKeeps keeps);

  Env& base_;
  const Path undo_directory_;
  std::atomic<uint64_t> calls_{0}, reads_{0}, epoch_{0};
  std::atomic<bool> hit_{false};
  std::mutex mutex_;  // guards all below
  FaultPlan plan_;
  std::mt19937_64 random_;
  uint64_t next_aside_ = 0;
  std::map<FileId, FileState> files_;
  std::vector<NameChange> changes_;
};

}  // namespace weir
