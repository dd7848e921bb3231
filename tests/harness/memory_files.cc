#include "tests/harness/memory_files.h"

#include <algorithm>
#include <cstring>

namespace weir {
namespace {

constexpr uint64_t kDevice = 0x5151;
constexpr uint64_t kFreeBytes = uint64_t{1} << 40;

/// Single slashes, no "." within, no slash at the end.
Path Normal(std::string_view path) {
  Path normal = path.starts_with('/') ? "/" : "";
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (!normal.empty() && normal.back() != '/') normal.push_back('/');
    normal.append(part);
  }
  return normal.empty() ? "." : normal;
}

Status Fail(Code code, std::string_view action, const Path& path, std::string_view why) {
  return Status(code, "cannot " + std::string(action) + " '" + path + "': " + std::string(why));
}
Status Missing(std::string_view action, const Path& path) {
  return Fail(Code::kNotFound, action, path, "no such file or directory");
}

Path Below(const Path& directory) { return directory == "/" ? directory : directory + "/"; }

}  // namespace

class MemoryFiles::MemoryWritableFile final : public WritableFile {
 public:
  MemoryWritableFile(MemoryFiles& files, std::shared_ptr<Inode> inode)
      : files_(files), inode_(std::move(inode)) {}
  Status Append(std::string_view bytes) override {
    const std::lock_guard lock(files_.mutex_);
    inode_->bytes.append(bytes);
    inode_->modified = files_.Now();
    return Status::Ok();
  }
  Status Sync() override { return Status::Ok(); }
  Status Close() override { return Status::Ok(); }
  uint64_t size() const override {
    const std::lock_guard lock(files_.mutex_);
    return inode_->bytes.size();
  }

 private:
  MemoryFiles& files_;
  const std::shared_ptr<Inode> inode_;
};

class MemoryFiles::MemoryReadableFile final : public ReadableFile {
 public:
  MemoryReadableFile(MemoryFiles& files, std::shared_ptr<Inode> inode)
      : files_(files), inode_(std::move(inode)) {}
  Result<size_t> Read(uint64_t offset, std::span<char> into) const override {
    const std::lock_guard lock(files_.mutex_);
    const std::string& bytes = inode_->bytes;
    if (offset >= bytes.size()) return size_t{0};
    const size_t count = std::min<size_t>(into.size(), bytes.size() - offset);
    if (count != 0) std::memcpy(into.data(), bytes.data() + offset, count);
    return count;
  }
  Result<uint64_t> Size() const override {
    const std::lock_guard lock(files_.mutex_);
    return uint64_t{inode_->bytes.size()};
  }

 private:
  MemoryFiles& files_;
  const std::shared_ptr<Inode> inode_;
};

class MemoryFiles::MemoryLock final : public FileLock {
 public:
  MemoryLock(std::shared_ptr<std::set<uint64_t>> locked, uint64_t number)
      : locked_(std::move(locked)), number_(number) {}
  ~MemoryLock() override { locked_->erase(number_); }

 private:
  const std::shared_ptr<std::set<uint64_t>> locked_;
  const uint64_t number_;
};

MemoryFiles::Entry* MemoryFiles::Find(const Path& normal) {
  const auto found = entries_.find(normal);
  return found == entries_.end() ? nullptr : &found->second;
}

bool MemoryFiles::IsDirectory(const Path& normal) {
  if (normal == "/" || normal == ".") return true;
  const Entry* const entry = Find(normal);
  return entry != nullptr && entry->file == nullptr;
}

bool MemoryFiles::HasEntries(const Path& normal) const {
  const Path prefix = Below(normal);
  const auto next = entries_.upper_bound(prefix);
  return next != entries_.end() && next->first.starts_with(prefix);
}

DirectoryEntry MemoryFiles::Describe(const Path& normal, const Entry& entry) const {
  DirectoryEntry description;
  description.name = normal.substr(normal.rfind('/') + 1);
  description.directory = entry.file == nullptr;
  description.inode = entry.number;
  description.device = kDevice;
  if (entry.file != nullptr) {
    description.bytes = entry.file->bytes.size();
    description.modified = entry.file->modified;
  }
  return description;
}

Result<std::unique_ptr<WritableFile>> MemoryFiles::Create(const Path& path, CreateMode mode) {
  const std::lock_guard lock(mutex_);
  const Path normal = Normal(path);
  if (!IsDirectory(ParentDirectory(normal))) return Missing("create", path);
  if (IsDirectory(normal)) return Fail(Code::kIo, "create", path, "is a directory");
  Entry* entry = Find(normal);
  if (entry != nullptr && mode == CreateMode::kNew)
    return Fail(Code::kAlreadyExists, "create", path, "file exists");
  if (entry == nullptr) {
    const uint64_t number = next_number_++;
    auto inode = std::make_shared<Inode>();
    inode->number = number;
    inode->modified = Now();
    entry = &entries_.emplace(normal, Entry{number, std::move(inode)}).first->second;
  }
  if (mode == CreateMode::kTruncate) entry->file->bytes.clear();
  return std::make_unique<MemoryWritableFile>(*this, entry->file);
}

Result<std::unique_ptr<ReadableFile>> MemoryFiles::Open(const Path& path) {
  const std::lock_guard lock(mutex_);
  const Path normal = Normal(path);
  if (IsDirectory(normal)) return Fail(Code::kIo, "open", path, "is a directory");
  Entry* const entry = Find(normal);
  if (entry == nullptr) return Missing("open", path);
  return std::make_unique<MemoryReadableFile>(*this, entry->file);
}

Status MemoryFiles::Rename(const Path& from, const Path& to) {
  const std::lock_guard lock(mutex_);
  const Path old_name = Normal(from);
  const Path new_name = Normal(to);
  const Entry* const moved = Find(old_name);
  if (moved == nullptr || !IsDirectory(ParentDirectory(new_name)))
    return Missing("rename '" + from + "' to", to);
  const Entry* const replaced = Find(new_name);
  if (replaced != nullptr && moved->number == replaced->number)
    return Status::Ok();  // two names of one file: POSIX keeps both
  if (replaced != nullptr && (moved->file == nullptr) != (replaced->file == nullptr))
    return Fail(Code::kIo, "rename '" + from + "' to", to, "one of them is a directory");
  if (moved->file == nullptr && (HasEntries(new_name) || new_name.starts_with(Below(old_name))))
    return Fail(Code::kAlreadyExists, "rename '" + from + "' to", to, "directory not empty");
  std::map<Path, Entry> arriving;
  const Path prefix = Below(old_name);
  for (auto entry = entries_.lower_bound(prefix);
       entry != entries_.end() && entry->first.starts_with(prefix);) {
    arriving.emplace(Below(new_name) + entry->first.substr(prefix.size()),
                     std::move(entry->second));
    entry = entries_.erase(entry);
  }
  arriving.emplace(new_name, std::move(entries_.at(old_name)));
  entries_.erase(old_name);
  for (auto& [name, entry] : arriving) entries_.insert_or_assign(name, std::move(entry));
  return Status::Ok();
}

Status MemoryFiles::Link(const Path& from, const Path& to) {
  const std::lock_guard lock(mutex_);
  const Path new_name = Normal(to);
  const Entry* const entry = Find(Normal(from));
  if (entry == nullptr || !IsDirectory(ParentDirectory(new_name)))
    return Missing("link '" + from + "' to", to);
  if (entry->file == nullptr)
    return Fail(Code::kPermissionDenied, "link '" + from + "' to", to,
                "a directory takes no hard link");
  if (Find(new_name) != nullptr)
    return Fail(Code::kAlreadyExists, "link '" + from + "' to", to, "file exists");
  entries_.emplace(new_name, *entry);
  return Status::Ok();
}

Status MemoryFiles::Remove(const Path& path) {
  const std::lock_guard lock(mutex_);
  const Path normal = Normal(path);
  if (Find(normal) == nullptr) return Missing("remove", path);
  if (IsDirectory(normal) && HasEntries(normal))
    return Fail(Code::kAlreadyExists, "remove", path, "directory not empty");
  entries_.erase(normal);
  return Status::Ok();
}

Status MemoryFiles::RemoveTree(const Path& path) {
  const std::lock_guard lock(mutex_);
  const Path normal = Normal(path);
  const Path prefix = Below(normal);
  const auto first = entries_.lower_bound(prefix);
  auto last = first;
  while (last != entries_.end() && last->first.starts_with(prefix)) ++last;
  entries_.erase(first, last);
  entries_.erase(normal);
  return Status::Ok();
}

Status MemoryFiles::Truncate(const Path& path, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const Entry* const entry = Find(Normal(path));
  if (entry == nullptr) return Missing("truncate", path);
  if (entry->file == nullptr) return Fail(Code::kIo, "truncate", path, "is a directory");
  entry->file->bytes.resize(bytes);
  return Status::Ok();
}

Status MemoryFiles::MakeDirectory(const Path& path) {
  const std::lock_guard lock(mutex_);
  return MakeDirectoryLocked(Normal(path));
}

Status MemoryFiles::MakeDirectoryLocked(const Path& normal) {
  if (IsDirectory(normal)) return Status::Ok();
  if (Find(normal) != nullptr)
    return Fail(Code::kNotFound, "make directory", normal, "not a directory");
  WEIR_TRY(MakeDirectoryLocked(ParentDirectory(normal)));
  entries_.emplace(normal, Entry{next_number_++, nullptr});
  return Status::Ok();
}

Result<std::vector<DirectoryEntry>> MemoryFiles::List(const Path& path) {
  const std::lock_guard lock(mutex_);
  const Path normal = Normal(path);
  if (!IsDirectory(normal)) return Missing("list", path);
  const Path prefix = normal == "." ? Path() : Below(normal);
  std::vector<DirectoryEntry> listed;
  for (auto entry = entries_.lower_bound(prefix);
       entry != entries_.end() && entry->first.starts_with(prefix); ++entry) {
    const bool deeper = entry->first.find('/', prefix.size()) != std::string::npos;
    if (!deeper) listed.push_back(Describe(entry->first, entry->second));
  }
  std::sort(listed.begin(), listed.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return listed;
}

Result<DirectoryEntry> MemoryFiles::Stat(const Path& path) {
  const std::lock_guard lock(mutex_);
  const Path normal = Normal(path);
  const Entry* const entry = Find(normal);
  if (entry != nullptr) return Describe(normal, *entry);
  if (!IsDirectory(normal)) return Missing("find", path);
  return Describe(normal, Entry{});
}

Result<std::unique_ptr<FileLock>> MemoryFiles::Lock(const Path& path) {
  WEIR_TRY(Create(path, CreateMode::kAppend).status());
  const std::lock_guard lock(mutex_);
  const uint64_t number = Find(Normal(path))->number;
  if (!locked_->insert(number).second)
    return Status(Code::kLocked, "'" + path + "' is locked by another process");
  return std::make_unique<MemoryLock>(locked_, number);
}

Result<uint64_t> MemoryFiles::FreeBytes(const Path&) { return kFreeBytes; }

Status MemoryFiles::SyncDirectory(const Path& path) {
  const std::lock_guard lock(mutex_);
  return IsDirectory(Normal(path)) ? Status::Ok() : Missing("open", path);
}

}  // namespace weir
