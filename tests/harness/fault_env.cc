#include "tests/harness/fault_env.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine/base/check.h"

namespace weir {
namespace {

Status PowerLost(const Path& path) {
  return Status(Code::kIo, "'" + path + "' was open when the power failed");
}

void Wait(Duration duration) {
  if (duration > Duration{0}) std::this_thread::sleep_for(std::chrono::microseconds(duration.us));
}

/// Path with single slashes and none at its end: equal for equal directories.
Path Normal(std::string_view path) {
  Path normal;
  for (const char c : path) {
    if (c == '/' && !normal.empty() && normal.back() == '/') continue;
    normal.push_back(c);
  }
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

Path DirectoryOf(const Path& path) { return Normal(ParentDirectory(path)); }

}  // namespace

class FaultEnv::FaultWritableFile final : public WritableFile {
 public:
  FaultWritableFile(FaultEnv& env, Path path, FileId id, std::unique_ptr<WritableFile> base)
      : env_(env), path_(std::move(path)), id_(id), epoch_(env.epoch_), base_(std::move(base)) {}

  Status Append(std::string_view bytes) override {
    const std::lock_guard lock(env_.mutex_);
    WEIR_TRY(Usable());
    Wait(env_.plan_.write_delay);
    const Status fault = env_.Count(FileCall::kAppend, path_);
    if (!fault.ok()) bytes = bytes.substr(0, bytes.size() / 2);
    const Status status = base_->Append(bytes);
    env_.files_[id_].size = std::max(env_.files_[id_].size, base_->size());
    return Told(fault.ok() ? status : fault);
  }

  Status Sync() override {
    const std::lock_guard lock(env_.mutex_);
    WEIR_TRY(Usable());
    Wait(env_.plan_.sync_delay);
    FileState& file = env_.files_[id_];
    Status status = env_.Count(FileCall::kSync, path_);
    if (status.ok()) status = base_->Sync();
    if (!status.ok()) file.poisoned = true;
    if (!file.poisoned) file.synced = file.size;
    return Told(status);
  }

  Status Close() override {
    const std::lock_guard lock(env_.mutex_);
    WEIR_TRY(Usable());
    const Status fault = env_.Count(FileCall::kClose, path_);
    const Status status = base_->Close();
    const auto file = env_.files_.find(id_);
    if (file != env_.files_.end() && !file->second.poisoned &&
        file->second.synced == file->second.size) {
      IgnoreStatus(env_.base_.Remove(file->second.handle),
                   "nothing of the file can be lost any more");
      env_.files_.erase(file);
    }
    return Told(fault.ok() ? status : fault);
  }

  uint64_t size() const override { return base_->size(); }

 private:
  Status Usable() const {
    if (epoch_ != env_.epoch_) return PowerLost(path_);
    if (dead_) return Status(Code::kIo, "'" + path_ + "' failed before and takes nothing more");
    return Status::Ok();
  }
  Status Told(Status status) {
    dead_ = dead_ || !status.ok();
    return status;
  }

  FaultEnv& env_;
  const Path path_;
  const FileId id_;
  const uint64_t epoch_;
  const std::unique_ptr<WritableFile> base_;
  bool dead_ = false;
};

class FaultEnv::FaultReadableFile final : public ReadableFile {
 public:
  FaultReadableFile(FaultEnv& env, Path path, std::unique_ptr<ReadableFile> base)
      : env_(env), path_(std::move(path)), epoch_(env.epoch_), base_(std::move(base)) {}

  Result<size_t> Read(uint64_t offset, std::span<char> into) const override {
    if (epoch_ != env_.epoch_) return PowerLost(path_);
    Duration delay;
    uint64_t flip_at = 0;
    {
      const std::lock_guard lock(env_.mutex_);
      WEIR_TRY(env_.Count(FileCall::kRead, path_));
      delay = env_.plan_.read_delay;
      flip_at = env_.plan_.flip_at;
    }
    Wait(delay);
    WEIR_ASSIGN(const size_t read, base_->Read(offset, into));
    if (read != 0 && ++env_.reads_ == flip_at) {
      const std::lock_guard lock(env_.mutex_);
      const size_t bit = env_.random_() % (read * 8);
      into[bit / 8] = static_cast<char>(into[bit / 8] ^ (1 << (bit % 8)));
      env_.hit_ = true;
    }
    return read;
  }

  Result<uint64_t> Size() const override {
    if (epoch_ != env_.epoch_) return PowerLost(path_);
    const std::lock_guard lock(env_.mutex_);
    WEIR_TRY(env_.Count(FileCall::kSize, path_));
    return base_->Size();
  }

 private:
  FaultEnv& env_;
  const Path path_;
  const uint64_t epoch_;
  const std::unique_ptr<ReadableFile> base_;
};

FaultEnv::FaultEnv(Env& base, Path undo_directory, uint64_t seed)
    : base_(base), undo_directory_(std::move(undo_directory)), random_(seed) {
  WEIR_CHECK(base_.RemoveTree(undo_directory_).ok());
  WEIR_CHECK(base_.MakeDirectory(undo_directory_).ok());
}
FaultEnv::~FaultEnv() {
  IgnoreStatus(base_.RemoveTree(undo_directory_), "links left over in a directory of the test's");
}

void FaultEnv::SetPlan(FaultPlan plan) {
  const std::lock_guard lock(mutex_);
  plan_ = std::move(plan);
  calls_ = 0;
  reads_ = 0;
  hit_ = false;
}

Status FaultEnv::Count(FileCall call, const Path& path) {
  if (plan_.counts && !plan_.counts(call, path)) return Status::Ok();
  const uint64_t number = ++calls_;
  const bool fails = plan_.fail_at != 0 &&
                     (number == plan_.fail_at || (plan_.fail_from_there && number > plan_.fail_at));
  if (!fails) return Status::Ok();
  hit_ = true;
  return Status(plan_.fail_with,
                "file call " + std::to_string(number) + " on '" + path + "' fails by plan");
}

Result<std::unique_ptr<WritableFile>> FaultEnv::Create(const Path& path, CreateMode mode) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kCreate, path));
  const bool existed = base_.Stat(path).ok();
  WEIR_ASSIGN(auto base, base_.Create(path, mode));
  WEIR_ASSIGN(const DirectoryEntry entry, base_.Stat(path));
  const FileId id{entry.device, entry.inode};
  const auto [found, fresh] = files_.try_emplace(id);
  FileState& file = found->second;
  if (fresh) file.handle = LinkAside(path);
  // What was there before this Env knew the file counts as durable.
  if (fresh || mode == CreateMode::kTruncate) file.synced = entry.bytes;
  file.size = entry.bytes;
  if (!existed)
    changes_.push_back({.directory = DirectoryOf(path),
                        .remove = path,
                        .restore_from = {},
                        .restore_to = {},
                        .make_directory = {},
                        .old_from = {},
                        .old_to = {}});
  return std::make_unique<FaultWritableFile>(*this, path, id, std::move(base));
}

Result<std::unique_ptr<ReadableFile>> FaultEnv::Open(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kOpen, path));
  WEIR_ASSIGN(auto base, base_.Open(path));
  return std::make_unique<FaultReadableFile>(*this, path, std::move(base));
}

/// A hard link to `path` in the undo directory; empty if there is no such file.
Path FaultEnv::LinkAside(const Path& path) {
  const Path aside = undo_directory_ + "/" + std::to_string(next_aside_++);
  return base_.Link(path, aside).ok() ? aside : Path();
}

Status FaultEnv::Rename(const Path& from, const Path& to) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kRename, to));
  NameChange arrival{.directory = DirectoryOf(to),
                     .remove = {},
                     .restore_from = {},
                     .restore_to = {},
                     .make_directory = {},
                     .old_from = LinkAside(to),
                     .old_to = to};
  const bool same_directory = DirectoryOf(from) == arrival.directory;
  const Path moved = same_directory ? Path() : LinkAside(from);
  Status status = base_.Rename(from, to);
  if (!status.ok()) {
    arrival.restore_from = moved;
    Forget(arrival);
    return status;
  }
  if (same_directory) {
    arrival.restore_from = to;
    arrival.restore_to = from;
    changes_.push_back(std::move(arrival));
  } else {
    // Two directories, each durable when it is synced: the name may for a while be in both.
    arrival.remove = to;
    changes_.push_back(std::move(arrival));
    changes_.push_back({.directory = DirectoryOf(from),
                        .remove = {},
                        .restore_from = moved,
                        .restore_to = from,
                        .make_directory = {},
                        .old_from = {},
                        .old_to = {}});
  }
  return Status::Ok();
}

Status FaultEnv::Link(const Path& from, const Path& to) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kLink, to));
  WEIR_TRY(base_.Link(from, to));
  changes_.push_back({.directory = DirectoryOf(to),
                      .remove = to,
                      .restore_from = {},
                      .restore_to = {},
                      .make_directory = {},
                      .old_from = {},
                      .old_to = {}});
  return Status::Ok();
}

Status FaultEnv::Remove(const Path& path) {
  const std::lock_guard lock(mutex_);
  return RemoveLocked(path);
}

Status FaultEnv::RemoveLocked(const Path& path) {
  WEIR_TRY(Count(FileCall::kRemove, path));
  const Result<DirectoryEntry> entry = base_.Stat(path);
  const bool directory = entry.ok() && entry->directory;
  NameChange change{.directory = DirectoryOf(path),
                    .remove = {},
                    .restore_from = {},
                    .restore_to = {},
                    .make_directory = {},
                    .old_from = {},
                    .old_to = {}};
  if (directory) {
    change.make_directory = path;
  } else {
    change.restore_from = LinkAside(path);
    change.restore_to = path;
  }
  Status status = base_.Remove(path);
  if (!status.ok()) {
    Forget(change);
    return status;
  }
  changes_.push_back(std::move(change));
  return Status::Ok();
}

Status FaultEnv::RemoveTree(const Path& path) {
  const std::lock_guard lock(mutex_);
  return RemoveTreeLocked(path);
}

Status FaultEnv::RemoveTreeLocked(const Path& path) {
  const Result<DirectoryEntry> entry = base_.Stat(path);
  if (!entry.ok()) return entry.status().code() == Code::kNotFound ? Status::Ok() : entry.status();
  if (entry->directory) {
    WEIR_ASSIGN(const auto entries, base_.List(path));
    for (const DirectoryEntry& below : entries) WEIR_TRY(RemoveTreeLocked(path + "/" + below.name));
  }
  return RemoveLocked(path);
}

Status FaultEnv::Truncate(const Path& path, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kTruncate, path));
  WEIR_TRY(base_.Truncate(path, bytes));
  WEIR_ASSIGN(const DirectoryEntry entry, base_.Stat(path));
  const auto file = files_.find({entry.device, entry.inode});
  if (file == files_.end()) return Status::Ok();
  file->second.size = bytes;
  file->second.synced = std::min(file->second.synced, bytes);
  return Status::Ok();
}

Status FaultEnv::MakeDirectory(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kMakeDirectory, path));
  return base_.MakeDirectory(path);
}

Result<std::vector<DirectoryEntry>> FaultEnv::List(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kList, path));
  return base_.List(path);
}

Result<DirectoryEntry> FaultEnv::Stat(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kStat, path));
  return base_.Stat(path);
}

Result<std::unique_ptr<FileLock>> FaultEnv::Lock(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kLock, path));
  return base_.Lock(path);
}

Result<uint64_t> FaultEnv::FreeBytes(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kFreeBytes, path));
  return base_.FreeBytes(path);
}

Status FaultEnv::SyncDirectory(const Path& path) {
  const std::lock_guard lock(mutex_);
  WEIR_TRY(Count(FileCall::kSyncDirectory, path));
  WEIR_TRY(base_.SyncDirectory(path));
  const Path directory = Normal(path);
  std::erase_if(changes_, [&](const NameChange& change) {
    if (change.directory != directory) return false;
    Forget(change);
    return true;
  });
  return Status::Ok();
}

/// Drops the links that a change keeps aside.
void FaultEnv::Forget(const NameChange& change) {
  for (const Path* aside : {&change.restore_from, &change.old_from}) {
    if (aside->starts_with(undo_directory_ + "/"))
      IgnoreStatus(base_.Remove(*aside), "a link of ours");
  }
}

void FaultEnv::Undo(const NameChange& change) {
  // What lay in a directory that is gone for good cannot come back.
  const auto tolerate = [](const Status& status) {
    WEIR_CHECK(status.ok() || status.code() == Code::kNotFound);
  };
  if (!change.remove.empty()) tolerate(base_.Remove(change.remove));
  if (!change.make_directory.empty()) tolerate(base_.MakeDirectory(change.make_directory));
  if (!change.restore_from.empty()) tolerate(base_.Rename(change.restore_from, change.restore_to));
  if (!change.old_from.empty()) tolerate(base_.Rename(change.old_from, change.old_to));
}

void FaultEnv::LoseBytes(const FileState& file, PowerLossKeeps keeps) {
  if (file.handle.empty() || file.synced == file.size) return;
  const uint64_t unsynced = file.size - file.synced;
  const uint64_t kept = keeps == PowerLossKeeps::kRandomPart ? random_() % (unsynced + 1) : 0;
  const bool zeros = kept != 0 && random_() % 4 == 0;
  WEIR_CHECK(base_.Truncate(file.handle, file.synced + (zeros ? 0 : kept)).ok());
  if (!zeros) return;
  const auto tail = base_.Create(file.handle, CreateMode::kAppend);
  WEIR_CHECK(tail.ok());
  WEIR_CHECK((*tail)->Append(std::string(kept, '\0')).ok());
}

void FaultEnv::PowerLoss(PowerLossKeeps keeps) {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  std::map<Path, uint64_t> kept;  // by directory: how many of its first changes stay
  for (const NameChange& change : changes_) ++kept[change.directory];
  for (auto& [directory, count] : kept)
    count = keeps == PowerLossKeeps::kRandomPart ? random_() % (count + 1) : 0;
  std::vector<NameChange> lost;
  for (NameChange& change : changes_) {
    uint64_t& left = kept[change.directory];
    if (left > 0) {
      --left;
      Forget(change);
    } else {
      lost.push_back(std::move(change));
    }
  }
  for (auto change = lost.rbegin(); change != lost.rend(); ++change) Undo(*change);
  for (const auto& [id, file] : files_) {
    LoseBytes(file, keeps);
    if (!file.handle.empty()) IgnoreStatus(base_.Remove(file.handle), "a link of ours");
  }
  changes_.clear();
  files_.clear();
}

}  // namespace weir
