#include "engine/base/env_posix.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

#include "engine/base/check.h"

namespace weir {
namespace {

constexpr Duration kLoopSleepMax = Seconds(3600);
constexpr size_t kThreadNameBytesMax = 15;  // of the kernel, without the final 0
constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

Code CodeOfErrno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Code::kDiskFull;
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermissionDenied;
    default:
      return Code::kIo;
  }
}

Status ErrnoStatus(int error, std::string_view action, const Path& path) {
  std::array<char, 128> buffer{};
  const char* text = strerror_r(error, buffer.data(), buffer.size());  // GNU's: answers the text
  return Status(CodeOfErrno(error), "cannot " + std::string(action) + " '" + path + "': " + text);
}

/// Calls until the call is not interrupted by a signal.
template <class Call>
auto Retry(Call call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

EventTime TimeOf(const timespec& time) {
  return {int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000};
}

DirectoryEntry EntryOf(std::string name, const struct stat& info) {
  return {.name = std::move(name),
          .directory = S_ISDIR(info.st_mode),
          .bytes = static_cast<uint64_t>(info.st_size),
          .inode = info.st_ino,
          .device = info.st_dev,
          .modified = TimeOf(info.st_mtim)};
}

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(Path path, Descriptor descriptor, uint64_t size)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), size_(size) {}

  Status Append(std::string_view bytes) override {
    WEIR_TRY(Usable());
    while (!bytes.empty()) {
      const ssize_t written =
          Retry([&] { return write(descriptor_.get(), bytes.data(), bytes.size()); });
      if (written < 0) return Fail("write to");
      size_ += static_cast<uint64_t>(written);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return Status::Ok();
  }

  Status Sync() override {
    WEIR_TRY(Usable());
    if (Retry([&] { return fdatasync(descriptor_.get()); }) != 0) return Fail("sync");
    return Status::Ok();
  }

  Status Close() override {
    WEIR_TRY(Usable());
    // Linux frees the descriptor whatever close answers, so it is called once.
    if (close(descriptor_.Release()) != 0 && errno != EINTR) return Fail("close");
    return Status::Ok();
  }

  uint64_t size() const override { return size_; }

 private:
  Status Usable() const {
    if (dead_) return Status(Code::kIo, "'" + path_ + "' failed before and takes nothing more");
    WEIR_CHECK(descriptor_.get() >= 0);
    return Status::Ok();
  }
  Status Fail(std::string_view action) {
    dead_ = true;
    return ErrnoStatus(errno, action, path_);
  }

  const Path path_;
  Descriptor descriptor_;
  uint64_t size_;
  bool dead_ = false;
};

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(Path path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  Result<size_t> Read(uint64_t offset, std::span<char> into) const override {
    size_t done = 0;
    while (done < into.size()) {
      const ssize_t read = Retry([&] {
        return pread(descriptor_.get(), into.data() + done, into.size() - done,
                     static_cast<off_t>(offset + done));
      });
      if (read < 0) return ErrnoStatus(errno, "read", path_);
      if (read == 0) break;
      done += static_cast<size_t>(read);
    }
    return done;
  }

  Result<uint64_t> Size() const override {
    struct stat info {};
    if (fstat(descriptor_.get(), &info) != 0) return ErrnoStatus(errno, "read the size of", path_);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const Path path_;
  const Descriptor descriptor_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;  // closing it unlocks
};

void NameThisThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, kThreadNameBytesMax).c_str());
}

class PosixLoop final : public Loop {
 public:
  PosixLoop(std::string name, std::function<Duration()> turn)
      : turn_(std::move(turn)), thread_([this, name = std::move(name)] { Run(name); }) {}
  ~PosixLoop() override {
    WEIR_CHECK(std::this_thread::get_id() != thread_.get_id());
    stop_.store(true);
    Wake();
    thread_.join();
  }

  void Wake() override {
    woken_.store(true);
    if (!sleeping_.load()) return;  // it looks at woken_ after it has said that it sleeps
    const std::lock_guard lock(mutex_);
    condition_.notify_one();
  }

 private:
  void Run(const std::string& name) {
    NameThisThread(name);
    while (!stop_.load()) {
      woken_.store(false);
      const Duration sleep = std::min(turn_(), kLoopSleepMax);
      if (sleep > Duration{0}) Sleep(sleep);
    }
  }
  void Sleep(Duration duration) {
    sleeping_.store(true);
    {
      std::unique_lock lock(mutex_);
      condition_.wait_for(lock, std::chrono::microseconds(duration.us),
                          [&] { return woken_.load(); });
    }
    sleeping_.store(false);
  }

  const std::function<Duration()> turn_;
  std::atomic<bool> stop_{false}, woken_{false}, sleeping_{false};
  std::mutex mutex_;  // only for parking
  std::condition_variable condition_;
  std::thread thread_;  // last: it uses all the others
};

/// Threads that run posted jobs in the order of posting. The destructor runs what is still queued.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this, i] { Run("pool-" + std::to_string(i)); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    condition_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void Post(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    condition_.notify_one();
  }

 private:
  void Run(const std::string& name) {
    NameThisThread(name);
    while (true) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex_);
        condition_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }

  std::mutex mutex_;
  std::condition_variable condition_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool stop_ = false;                       // guarded by mutex_
  std::vector<std::thread> threads_;        // last: they use all the others
};

/// Removes what is below the open directory `directory`, never through a link.
Status RemoveBelow(Descriptor directory, const Path& path) {
  DIR* const stream = fdopendir(directory.get());
  if (stream == nullptr) return ErrnoStatus(errno, "list", path);
  const int fd = directory.Release();  // the stream's now
  Status status;
  while (status.ok()) {
    errno = 0;
    const dirent* const entry = readdir(stream);
    if (entry == nullptr) {
      if (errno != 0) status = ErrnoStatus(errno, "list", path);
      break;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const Path below = path + "/" + name;
    if (unlinkat(fd, name.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) {
      status = ErrnoStatus(errno, "remove", below);
      break;
    }
    Descriptor child(Retry(
        [&] { return openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
    status =
        child.get() < 0 ? ErrnoStatus(errno, "open", below) : RemoveBelow(std::move(child), below);
    if (status.ok() && unlinkat(fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      status = ErrnoStatus(errno, "remove", below);
  }
  closedir(stream);
  return status;
}

/// The process that holds a lock file, as it wrote it there.
std::string OwnerOf(int fd) {
  std::array<char, 32> text{};
  const ssize_t size = pread(fd, text.data(), text.size(), 0);
  std::string owner(text.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
  owner.resize(std::min(owner.size(), owner.find_first_not_of("0123456789")));
  return owner.empty() ? "another process" : "process " + owner;
}

class PosixEnv final : public Env {
 public:
  explicit PosixEnv(int pool_threads) : pool_(pool_threads) {}

  EventTime Now() override { return ReadClock<EventTime>(CLOCK_REALTIME); }
  Duration Steady() override { return ReadClock<Duration>(CLOCK_MONOTONIC); }
  uint64_t Random() override {
    uint64_t value = 0;
    WEIR_CHECK(Retry([&] { return getrandom(&value, sizeof(value), 0); }) ==
               static_cast<ssize_t>(sizeof(value)));
    return value;
  }
  void Post(std::function<void()> job) override { pool_.Post(std::move(job)); }
  std::unique_ptr<Loop> Start(std::string_view name, std::function<Duration()> turn) override {
    return std::make_unique<PosixLoop>(std::string(name), std::move(turn));
  }

  Result<std::unique_ptr<WritableFile>> Create(const Path& path, CreateMode mode) override {
    const int how = mode == CreateMode::kNew        ? O_EXCL
                    : mode == CreateMode::kTruncate ? O_TRUNC
                                                    : O_APPEND;
    Descriptor descriptor(
        Retry([&] { return open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, kFileMode); }));
    if (descriptor.get() < 0) return ErrnoStatus(errno, "create", path);
    struct stat info {};
    if (fstat(descriptor.get(), &info) != 0) return ErrnoStatus(errno, "read the size of", path);
    return std::make_unique<PosixWritableFile>(path, std::move(descriptor),
                                               static_cast<uint64_t>(info.st_size));
  }

  Result<std::unique_ptr<ReadableFile>> Open(const Path& path) override {
    Descriptor descriptor(Retry([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
    if (descriptor.get() < 0) return ErrnoStatus(errno, "open", path);
    struct stat info {};
    if (fstat(descriptor.get(), &info) != 0) return ErrnoStatus(errno, "read the size of", path);
    if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, "open", path);
    return std::make_unique<PosixReadableFile>(path, std::move(descriptor));
  }

  Status Rename(const Path& from, const Path& to) override {
    if (rename(from.c_str(), to.c_str()) != 0)
      return ErrnoStatus(errno, "rename '" + from + "' to", to);
    return Status::Ok();
  }
  Status Link(const Path& from, const Path& to) override {
    if (link(from.c_str(), to.c_str()) != 0)
      return ErrnoStatus(errno, "link '" + from + "' to", to);
    return Status::Ok();
  }
  Status Remove(const Path& path) override {
    if (unlink(path.c_str()) == 0) return Status::Ok();
    if ((errno == EISDIR || errno == EPERM) && rmdir(path.c_str()) == 0) return Status::Ok();
    return ErrnoStatus(errno, "remove", path);
  }
  Status RemoveTree(const Path& path) override {
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::Ok();
    if (errno != EISDIR && errno != EPERM) return ErrnoStatus(errno, "remove", path);
    Descriptor directory(
        Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
    if (directory.get() < 0) return ErrnoStatus(errno, "remove", path);
    WEIR_TRY(RemoveBelow(std::move(directory), path));
    if (rmdir(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove", path);
    return Status::Ok();
  }
  Status Truncate(const Path& path, uint64_t bytes) override {
    if (Retry([&] { return truncate(path.c_str(), static_cast<off_t>(bytes)); }) != 0)
      return ErrnoStatus(errno, "truncate", path);
    return Status::Ok();
  }

  Status MakeDirectory(const Path& path) override {
    if (mkdir(path.c_str(), kDirectoryMode) == 0) return SyncDirectory(ParentDirectory(path));
    if (errno == ENOENT) {
      const Path parent = ParentDirectory(path);
      if (parent == path) return ErrnoStatus(ENOENT, "make directory", path);
      WEIR_TRY(MakeDirectory(parent));
      if (mkdir(path.c_str(), kDirectoryMode) == 0) return SyncDirectory(parent);
    }
    if (errno != EEXIST) return ErrnoStatus(errno, "make directory", path);
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return Status::Ok();
    return ErrnoStatus(ENOTDIR, "make directory", path);
  }

  Result<std::vector<DirectoryEntry>> List(const Path& path) override {
    DIR* const stream = opendir(path.c_str());
    if (stream == nullptr) return ErrnoStatus(errno, "list", path);
    std::vector<DirectoryEntry> entries;
    Status status;
    while (true) {
      errno = 0;
      const dirent* const entry = readdir(stream);
      if (entry == nullptr) {
        if (errno != 0) status = ErrnoStatus(errno, "list", path);
        break;
      }
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      // A link shows what it leads to, a broken one itself; what has gone meanwhile is left out.
      struct stat info {};
      if (fstatat(dirfd(stream), name.c_str(), &info, 0) != 0 &&
          fstatat(dirfd(stream), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      entries.push_back(EntryOf(std::move(name), info));
    }
    closedir(stream);
    if (!status.ok()) return status;
    std::sort(entries.begin(), entries.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    return entries;
  }

  Result<DirectoryEntry> Stat(const Path& path) override {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "find", path);
    return EntryOf(path.substr(path.rfind('/') + 1), info);
  }

  Result<std::unique_ptr<FileLock>> Lock(const Path& path) override {
    Descriptor descriptor(
        Retry([&] { return open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode); }));
    if (descriptor.get() < 0) return ErrnoStatus(errno, "lock", path);
    if (Retry([&] { return flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock", path);
      return Status(Code::kLocked, "'" + path + "' is locked by " + OwnerOf(descriptor.get()));
    }
    // For the message of whoever comes second; the lock itself is the kernel's.
    const std::string owner = std::to_string(getpid()) + "\n";
    if (ftruncate(descriptor.get(), 0) != 0 || pwrite(descriptor.get(), owner.data(), owner.size(),
                                                      0) != static_cast<ssize_t>(owner.size())) {
      return ErrnoStatus(errno, "write to", path);
    }
    return std::make_unique<PosixFileLock>(std::move(descriptor));
  }

  Result<uint64_t> FreeBytes(const Path& path) override {
    struct statvfs info {};
    if (Retry([&] { return statvfs(path.c_str(), &info); }) != 0)
      return ErrnoStatus(errno, "read the free space of", path);
    return uint64_t{info.f_bavail} * info.f_frsize;
  }

  Status SyncDirectory(const Path& path) override {
    Descriptor descriptor(
        Retry([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (descriptor.get() < 0) return ErrnoStatus(errno, "open", path);
    if (Retry([&] { return fsync(descriptor.get()); }) != 0)
      return ErrnoStatus(errno, "sync", path);
    return Status::Ok();
  }

 private:
  template <class T>
  static T ReadClock(clockid_t clock) {
    timespec time{};
    WEIR_CHECK(clock_gettime(clock, &time) == 0);
    return {TimeOf(time).us};
  }

  Pool pool_;
};

}  // namespace

std::unique_ptr<Env> MakePosixEnv(int pool_threads) {
  WEIR_CHECK_GE(pool_threads, 1);
  return std::make_unique<PosixEnv>(pool_threads);
}

}  // namespace weir
