#include <algorithm>

#include "engine/base/content_hash.h"
#include "state/state.h"
#include "state/store_name.h"

namespace weir::state {
namespace {

constexpr std::string_view kFileScheme = "file://";
constexpr size_t kCopyBytes = size_t{1} << 20;

std::string_view DirectoryOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

class FileStore final : public CheckpointStore {
 public:
  FileStore(Env& env, Path root) : env_(env), root_(std::move(root)) {}

  Status Put(std::string_view name, std::string_view bytes) override {
    WEIR_ASSIGN(const Path path, Prepare(name));
    return WriteFileDurably(env_, path, bytes);
  }

  Status PutNew(std::string_view name, std::string_view bytes) override {
    WEIR_ASSIGN(const Path path, Prepare(name));
    WEIR_ASSIGN(const Path temporary,
                WriteTemporary(path, [&](WritableFile& file) { return file.Append(bytes); }));
    return LinkInto(temporary, path);
  }

  Status Adopt(const Path& local, std::string_view name) override {
    WEIR_ASSIGN(const DirectoryEntry source, env_.Stat(local));
    WEIR_ASSIGN(const Path path, Prepare(name));
    if (const auto present = env_.Stat(path); present.ok()) {
      if (present->bytes == source.bytes) return env_.SyncDirectory(std::string(DirectoryOf(path)));
      return {Code::kCorruption, "\"" + path + "\" has " + std::to_string(present->bytes) +
                                     " bytes, but its content should have " +
                                     std::to_string(source.bytes) +
                                     ": something else than Weir has changed the storage"};
    }
    // The link shares the file's bytes, so they must be durable before the name is.
    WEIR_ASSIGN(const std::unique_ptr<WritableFile> file, env_.Create(local, CreateMode::kAppend));
    WEIR_TRY(file->Sync());
    WEIR_TRY(file->Close());
    const Status linked = env_.Link(local, path);
    if (linked.code() == Code::kAlreadyExists || linked.ok())
      return env_.SyncDirectory(std::string(DirectoryOf(path)));
    // Another file system: a copy.
    WEIR_ASSIGN(const Path temporary, WriteTemporary(path, [&](WritableFile& into) {
                  return Copy(local, into, nullptr);
                }));
    const Status put = LinkInto(temporary, path);
    return put.code() == Code::kAlreadyExists ? Status::Ok() : put;
  }

  Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                       const Path& local) override {
    WEIR_ASSIGN(const Path path, PathOf(name));
    WEIR_ASSIGN(const DirectoryEntry present, env_.Stat(path));
    WEIR_TRY(CheckStoredLength(name, bytes, present.bytes));
    if (env_.Link(path, local).ok()) return std::optional<Hash128>();
    ContentHasher hasher;
    WEIR_ASSIGN(const Path temporary, WriteTemporary(local, [&](WritableFile& into) {
                  return Copy(path, into, &hasher);
                }));
    WEIR_TRY(env_.Rename(temporary, local));
    return std::optional(hasher.Digest());
  }

  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    WEIR_ASSIGN(const Path path, PathOf(name));
    WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env_.Open(path));
    WEIR_ASSIGN(const uint64_t size, file->Size());
    std::string content(std::min<uint64_t>(bytes, size > offset ? size - offset : 0), '\0');
    WEIR_ASSIGN(const size_t read, file->Read(offset, content));
    content.resize(read);
    return content;
  }

  Result<uint64_t> Size(std::string_view name) override {
    WEIR_ASSIGN(const Path path, PathOf(name));
    WEIR_ASSIGN(const DirectoryEntry entry, env_.Stat(path));
    return entry.bytes;
  }

  Status Remove(std::string_view name) override {
    WEIR_ASSIGN(const Path path, PathOf(name));
    const Status removed = env_.Remove(path);
    return removed.code() == Code::kNotFound ? Status::Ok() : removed;
  }

  Result<std::vector<StoredFile>> List(std::string_view prefix) override {
    std::vector<StoredFile> files;
    // Only the directory that the prefix names can hold matches.
    const size_t slash = prefix.rfind('/');
    const std::string below(slash == std::string_view::npos ? std::string_view()
                                                            : prefix.substr(0, slash + 1));
    const Status listed = ListInto(below, prefix, files);
    if (!listed.ok() && listed.code() != Code::kNotFound) return listed;
    std::sort(files.begin(), files.end(),
              [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
    return files;
  }

  // A directory's names are exclusive by themselves, and what was being written when a process died
  // lies under a temporary name that List shows.
  Status Probe() override { return Status::Ok(); }
  Status RemoveUnfinished(std::string_view) override { return Status::Ok(); }
  void RetryUntil(Duration) override {}
  void Interrupt() override {}

  std::string Describe() const override { return std::string(kFileScheme) + root_; }

 private:
  Result<Path> PathOf(std::string_view name) const {
    WEIR_TRY(CheckStoreName(name));
    return root_ + "/" + std::string(name);
  }
  Result<Path> Prepare(std::string_view name) const {
    WEIR_ASSIGN(Path path, PathOf(name));
    WEIR_TRY(env_.MakeDirectory(std::string(DirectoryOf(path))));
    return path;
  }
  template <class Fill>
  Result<Path> WriteTemporary(const Path& path, Fill fill) {
    Path temporary = path + ".tmp." + std::to_string(env_.Random());
    const auto write = [&]() -> Status {
      WEIR_ASSIGN(const std::unique_ptr<WritableFile> file,
                  env_.Create(temporary, CreateMode::kNew));
      WEIR_TRY(fill(*file));
      WEIR_TRY(file->Sync());
      return file->Close();
    };
    const Status written = write();
    if (!written.ok()) {
      IgnoreStatus(
          env_.Remove(temporary),
          "the write has failed already; a left temporary file is cleaned with the directory");
      return written;
    }
    return temporary;
  }
  Status LinkInto(const Path& temporary, const Path& path) {
    const Status linked = env_.Link(temporary, path);
    const Status removed = env_.Remove(temporary);
    WEIR_TRY(linked);
    WEIR_TRY(removed);
    return env_.SyncDirectory(std::string(DirectoryOf(path)));
  }
  Status Copy(const Path& from, WritableFile& into, ContentHasher* hasher) {
    WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env_.Open(from));
    std::string block(kCopyBytes, '\0');
    for (uint64_t offset = 0;;) {
      WEIR_ASSIGN(const size_t read, file->Read(offset, block));
      if (read == 0) return Status::Ok();
      WEIR_TRY(into.Append(std::string_view(block).substr(0, read)));
      if (hasher != nullptr) hasher->Update(std::string_view(block).substr(0, read));
      offset += read;
    }
  }
  Status ListInto(const std::string& below, std::string_view prefix,
                  std::vector<StoredFile>& files) const {
    const Path directory = below.empty() ? root_ : root_ + "/" + below.substr(0, below.size() - 1);
    WEIR_ASSIGN(const std::vector<DirectoryEntry> entries, env_.List(directory));
    for (const DirectoryEntry& entry : entries) {
      const std::string name = below + entry.name;
      if (entry.directory) {
        const std::string inside = name + "/";
        // A directory matters if it lies below the prefix or on the way to it.
        if (!inside.starts_with(prefix) && !prefix.starts_with(inside)) continue;
        Status listed = ListInto(inside, prefix, files);
        if (!listed.ok() && listed.code() != Code::kNotFound) return listed;  // removed meanwhile
      } else if (std::string_view(name).starts_with(prefix)) {
        files.push_back({name, entry.bytes, entry.modified});
      }
    }
    return Status::Ok();
  }

  Env& env_;
  const Path root_;
};

}  // namespace

Result<std::unique_ptr<CheckpointStore>> OpenFileStore(Env& env, std::string_view uri) {
  if (!uri.starts_with(kFileScheme) || uri.size() <= kFileScheme.size() ||
      uri[kFileScheme.size()] != '/') {
    return Status(Code::kInvalidArgument,
                  "storage \"" + std::string(uri) + "\": expected file:///absolute/path");
  }
  Path root(uri.substr(kFileScheme.size()));
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  const Status made = env.MakeDirectory(root);
  if (!made.ok()) return made.At("storage");
  return std::unique_ptr<CheckpointStore>(std::make_unique<FileStore>(env, std::move(root)));
}

}  // namespace weir::state
