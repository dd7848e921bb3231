#include "state/rocksdb_files.h"

#include <algorithm>
#include <cstring>

namespace weir::state {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

IOStatus ToRocksdb(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return IOStatus::OK();
    case Code::kNotFound:
      return IOStatus::PathNotFound(status.message());
    case Code::kDiskFull:
      return IOStatus::NoSpace(status.message());
    case Code::kCorruption:
      return IOStatus::Corruption(status.message());
    default:
      return IOStatus::IOError(status.message());
  }
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<ReadableFile> file) : file_(std::move(file)) {}
  IOStatus Read(size_t n, const IOOptions&, rocksdb::Slice* result, char* scratch,
                IODebugContext*) override {
    const Result<size_t> read = file_->Read(offset_, {scratch, n});
    if (!read.ok()) return ToRocksdb(read.status());
    offset_ += *read;
    *result = rocksdb::Slice(scratch, *read);
    return IOStatus::OK();
  }
  IOStatus Skip(uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<ReadableFile> file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<ReadableFile> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, rocksdb::Slice* result, char* scratch,
                IODebugContext*) const override {
    const Result<size_t> read = file_->Read(offset, {scratch, n});
    if (!read.ok()) return ToRocksdb(read.status());
    *result = rocksdb::Slice(scratch, *read);
    return IOStatus::OK();
  }

 private:
  const std::unique_ptr<ReadableFile> file_;
};

class WrittenFile final : public rocksdb::FSWritableFile {
 public:
  WrittenFile(std::unique_ptr<WritableFile> file, const FileOptions& options)
      : FSWritableFile(options), file_(std::move(file)) {}
  using FSWritableFile::Append;
  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) override {
    return ToRocksdb(file_->Append({data.data(), data.size()}));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return ToRocksdb(file_->Close()); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return ToRocksdb(file_->Sync()); }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return file_->size(); }

 private:
  const std::unique_ptr<WritableFile> file_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(Env& env, Path path) : env_(env), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return ToRocksdb(env_.SyncDirectory(path_));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  Env& env_;
  const Path path_;
};

class HeldLock final : public rocksdb::FileLock {
 public:
  explicit HeldLock(std::unique_ptr<weir::FileLock> held) : lock(std::move(held)) {}
  const std::unique_ptr<weir::FileLock> lock;
};

class RocksdbFiles final : public rocksdb::FileSystem {
 public:
  explicit RocksdbFiles(Env& env) : env_(env) {}
  const char* Name() const override { return "weir"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    auto file = env_.Open(path);
    if (!file.ok()) return ToRocksdb(file.status());
    *result = std::make_unique<SequentialFile>(std::move(file).value());
    return IOStatus::OK();
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = env_.Open(path);
    if (!file.ok()) return ToRocksdb(file.status());
    *result = std::make_unique<RandomAccessFile>(std::move(file).value());
    return IOStatus::OK();
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    return Write(path, CreateMode::kTruncate, options, result);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    return Write(path, CreateMode::kAppend, options, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    *result = std::make_unique<Directory>(env_, path);
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    const Status found = env_.Stat(path).status();
    return found.code() == Code::kNotFound ? IOStatus::NotFound() : ToRocksdb(found);
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    result->clear();
    const auto entries = env_.List(path);
    if (!entries.ok()) return ToRocksdb(entries.status());
    for (const DirectoryEntry& entry : *entries) result->push_back(entry.name);
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocksdb(env_.Remove(path));
  }
  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocksdb(env_.MakeDirectory(path));
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocksdb(env_.MakeDirectory(path));
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return ToRocksdb(env_.Remove(path));
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    const auto entry = env_.Stat(path);
    if (entry.ok()) *size = entry->bytes;
    return ToRocksdb(entry.status());
  }
  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* seconds,
                                   IODebugContext*) override {
    const auto entry = env_.Stat(path);
    if (entry.ok()) *seconds = static_cast<uint64_t>(entry->modified.us / 1'000'000);
    return ToRocksdb(entry.status());
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return ToRocksdb(env_.Rename(from, to));
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return ToRocksdb(env_.Link(from, to));
  }
  IOStatus AreFilesSame(const std::string& first, const std::string& second, const IOOptions&,
                        bool* same, IODebugContext*) override {
    const auto a = env_.Stat(first), b = env_.Stat(second);
    if (!a.ok()) return ToRocksdb(a.status());
    if (!b.ok()) return ToRocksdb(b.status());
    *same = a->inode == b->inode && a->device == b->device;
    return IOStatus::OK();
  }
  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    auto held = env_.Lock(path);
    if (!held.ok()) return ToRocksdb(held.status());
    *lock = std::make_unique<HeldLock>(std::move(held).value()).release();  // until UnlockFile
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    const std::unique_ptr<rocksdb::FileLock> held(lock);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("test directory");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* directory,
                       IODebugContext*) override {
    const auto entry = env_.Stat(path);
    if (entry.ok()) *directory = entry->directory;
    return ToRocksdb(entry.status());
  }

 private:
  IOStatus Write(const std::string& path, CreateMode mode, const FileOptions& options,
                 std::unique_ptr<rocksdb::FSWritableFile>* result) {
    auto file = env_.Create(path, mode);
    if (!file.ok()) return ToRocksdb(file.status());
    *result = std::make_unique<WrittenFile>(std::move(file).value(), options);
    return IOStatus::OK();
  }
  Env& env_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> MakeRocksdbFiles(Env& env) {
  return std::make_shared<RocksdbFiles>(env);
}

Status FromRocksdb(const rocksdb::Status& status, std::string_view where) {
  if (status.ok()) return Status::Ok();
  Code code = Code::kInternal;
  if (status.IsCorruption()) code = Code::kCorruption;
  if (status.IsIOError()) code = status.IsNoSpace() ? Code::kDiskFull : Code::kIo;
  return Status(code, std::string(where) + ": " + status.ToString());
}

}  // namespace weir::state
