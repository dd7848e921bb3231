#include "state/memory_store.h"

#include <atomic>
#include <map>
#include <mutex>

#include "engine/base/bytes.h"

namespace weir::state {
namespace {

constexpr std::string_view kMagic = "WEIRROW1";
constexpr size_t kBlockBytes = size_t{64} << 10;
constexpr size_t kBlockBytesMax = size_t{64} << 20;  // a row with its fields at their limit fits
constexpr uint64_t kNodeBytes = 112;                 // of the map, beside the texts
constexpr uint64_t kFileBytesMax = uint64_t{1} << 36;

class MemoryStore final : public ColdStore {
 public:
  MemoryStore(Env& env, const TaskStateSpec& spec, std::span<const RowCodec> codecs)
      : env_(env),
        directory_(spec.directory),
        task_(spec.task_name),
        attempt_(spec.attempt),
        codecs_(codecs.begin(), codecs.end()),
        states_(codecs.size()) {}
  ~MemoryStore() override {
    IgnoreStatus(env_.RemoveTree(directory_),
                 "whatever stays is removed with the attempt's directory");
  }

  Status Put(size_t state, std::string_view key, std::string_view value) override {
    const std::lock_guard lock(mutex_);
    const auto [at, fresh] = states_[state].insert_or_assign(std::string(key), std::string(value));
    if (fresh) bytes_ += kNodeBytes + key.size() + value.size();
    return Status::Ok();
  }
  Status Erase(size_t state, std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto at = states_[state].find(key);
    if (at == states_[state].end()) return Status::Ok();
    Subtract(*at);
    states_[state].erase(at);
    return Status::Ok();
  }
  Status Finish() override { return Status::Ok(); }
  Status Get(size_t state, std::span<const std::string> keys,
             std::vector<std::optional<std::string>>& values) override {
    const std::lock_guard lock(mutex_);
    values.assign(keys.size(), std::nullopt);
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto at = states_[state].find(keys[i]);
      if (at != states_[state].end()) values[i] = at->second;
    }
    return Status::Ok();
  }
  Status Scan(size_t state, std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const std::lock_guard lock(mutex_);
    for (auto at = states_[state].lower_bound(from); at != states_[state].end(); ++at) {
      if (!to.empty() && at->first >= to) break;
      if (!visit(at->first, at->second)) break;
    }
    return Status::Ok();
  }
  Result<std::vector<ImageFile>> Image(CheckpointId n, const ImageView& view) override;
  Status Forget(CheckpointId n, bool) override {
    const Status removed = env_.Remove(LocalPath(n));
    return removed.code() == Code::kNotFound ? Status::Ok() : removed;
  }
  void AddUsage(StateUsage& usage) const override { usage.cold_bytes += bytes_; }
  Status status() const override { return Status::Ok(); }

  Status Load(const RestoredImage& restored);

 private:
  Path LocalPath(CheckpointId n) const {
    return directory_ + "/" + std::to_string(n.value) + ".rows";
  }
  /// Values of a key keep about the same length: what a replacement changes is not counted.
  void Subtract(const std::pair<const std::string, std::string>& row) {
    bytes_ -= std::min<uint64_t>(bytes_, kNodeBytes + row.first.size() + row.second.size());
  }
  Status LoadBlock(std::string_view block, const RestoredImage& restored);

  Env& env_;
  const Path directory_;
  const std::string task_;
  const Attempt attempt_;
  const std::vector<RowCodec> codecs_;
  std::mutex mutex_;
  std::vector<std::map<std::string, std::string, std::less<>>> states_;  // Guarded by mutex_.
  std::atomic<uint64_t> bytes_ = 0;
};

Result<std::vector<ImageFile>> MemoryStore::Image(CheckpointId n, const ImageView& view) {
  std::string file(kMagic), block;
  const auto close_block = [&] {
    if (block.empty()) return;
    ByteWriter writer(file);
    writer.Fixed(static_cast<uint32_t>(block.size()));
    writer.Fixed(Crc32c(block));
    writer.Raw(block);
    block.clear();
  };
  {
    const std::lock_guard lock(mutex_);
    for (size_t state = 0; state < states_.size(); ++state) {
      for (auto at = states_[state].begin(); at != states_[state].end();) {
        if (view.Gone(state, codecs_[state], at->first, at->second)) {
          Subtract(*at);
          at = states_[state].erase(at);
          continue;
        }
        ByteWriter writer(block);
        writer.Varint(state);
        writer.String(at->first);
        writer.String(at->second);
        if (block.size() >= kBlockBytes) close_block();
        ++at;
      }
    }
  }
  close_block();
  const Path local = LocalPath(n);
  WEIR_TRY(WriteFileDurably(env_, local, file));
  ImageFile image;
  image.name = "chk/" + std::to_string(n.value) + "-" + std::to_string(attempt_.value) + "/" +
               task_ + ".rows";
  image.bytes = file.size();
  image.hash = HashContent(file).Hex();
  image.local = local;
  image.original = task_ + ".rows";
  return std::vector<ImageFile>{image};
}

Status MemoryStore::LoadBlock(std::string_view block, const RestoredImage& restored) {
  ByteReader reader(block);
  while (reader.ok() && reader.left() > 0) {
    const uint64_t state = reader.Varint();
    const std::string_view key = reader.String();
    const std::string_view value = reader.String();
    if (!reader.ok() || state >= restored.states.size() || key.size() < kStorageKeyHead) break;
    const int into = restored.states[state];
    if (into < 0 || !restored.groups.Contains({GroupOfStorageKey(key)})) continue;
    WEIR_TRY(Put(static_cast<size_t>(into), key, value));
  }
  if (!reader.ok() || reader.left() != 0) return {Code::kCorruption, "a block of rows is damaged"};
  return Status::Ok();
}

Status MemoryStore::Load(const RestoredImage& restored) {
  for (const ImageFile& file : restored.image->files) {
    const Result<std::string> read = ReadWholeFile(env_, file.local, kFileBytesMax);
    if (!read.ok()) return read.status();
    const std::string_view bytes = *read;
    const auto damaged = [&](std::string_view what) {
      return Status(Code::kCorruption, "\"" + file.local + "\": " + std::string(what));
    };
    if (!bytes.starts_with(kMagic)) return damaged("is no file of rows");
    ByteReader reader(bytes.substr(kMagic.size()));
    while (reader.left() > 0) {
      const auto size = reader.Fixed<uint32_t>();
      const auto crc = reader.Fixed<uint32_t>();
      const std::string_view block = reader.Raw(size);
      if (!reader.ok() || size > kBlockBytesMax || Crc32c(block) != crc)
        return damaged("a block does not match its checksum");
      const Status loaded = LoadBlock(block, restored);
      if (!loaded.ok()) return loaded.At(file.local);
    }
  }
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<ColdStore>> OpenMemoryStore(Env& env, const TaskStateSpec& spec,
                                                   std::span<const RowCodec> codecs,
                                                   std::span<const RestoredImage> restored) {
  WEIR_TRY(env.MakeDirectory(spec.directory));
  auto store = std::make_unique<MemoryStore>(env, spec, codecs);
  for (const RestoredImage& image : restored) WEIR_TRY(store->Load(image));
  return std::unique_ptr<ColdStore>(std::move(store));
}

}  // namespace weir::state
