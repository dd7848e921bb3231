#include "engine/base/env.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace weir {
namespace {

constexpr size_t kReadChunkBytes = size_t{256} << 10;

Path TemporaryBeside(Env& env, const Path& path) {
  std::array<char, 32> suffix{};
  const int size = std::snprintf(suffix.data(), suffix.size(), ".tmp-%016llx",
                                 static_cast<unsigned long long>(env.Random()));
  return path + std::string(suffix.data(), static_cast<size_t>(size));
}

Status WriteAndSync(Env& env, const Path& path, std::string_view bytes) {
  WEIR_ASSIGN(const std::unique_ptr<WritableFile> file, env.Create(path, CreateMode::kNew));
  WEIR_TRY(file->Append(bytes));
  WEIR_TRY(file->Sync());
  return file->Close();
}

}  // namespace

Path ParentDirectory(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  while (slash > 0 && path[slash - 1] == '/') --slash;
  return Path(path.substr(0, std::max<size_t>(slash, 1)));
}

Result<std::string> ReadWholeFile(Env& env, const Path& path, uint64_t bytes_max) {
  WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env.Open(path));
  const auto too_large = [&] {
    return Status(Code::kLimit, "'" + path + "' is larger than the " + std::to_string(bytes_max) +
                                    " bytes allowed here");
  };
  WEIR_ASSIGN(const uint64_t size, file->Size());
  if (size > bytes_max) return too_large();
  // Read on to where the file ends now, whatever its size was: it may grow, and some file systems
  // say 0.
  std::string bytes;
  while (true) {
    const size_t before = bytes.size();
    const size_t chunk = before == 0 ? std::max<size_t>(size + 1, 4096) : kReadChunkBytes;
    bytes.resize(before + chunk);
    Result<size_t> read = file->Read(before, std::span(bytes.data() + before, chunk));
    if (!read.ok()) return read.status();
    bytes.resize(before + *read);
    if (bytes.size() > bytes_max) return too_large();
    if (*read < chunk) return bytes;
  }
}

Status WriteFileDurably(Env& env, const Path& path, std::string_view bytes) {
  const Path temporary = TemporaryBeside(env, path);
  Status status = WriteAndSync(env, temporary, bytes);
  if (status.ok()) status = env.Rename(temporary, path);
  if (!status.ok()) {
    IgnoreStatus(env.Remove(temporary),
                 "what failed is told; a left-over temporary file harms nobody");
    return status;
  }
  return env.SyncDirectory(ParentDirectory(path));
}

}  // namespace weir
