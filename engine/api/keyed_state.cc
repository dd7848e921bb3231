#include "engine/api/keyed_state.h"

#include <algorithm>
#include <map>
#include <memory>

#include "engine/data/key_encoding.h"

namespace weir {
namespace {

uint32_t AlignUp(uint32_t value, uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// Copies keys, so that the views live as long as the storage. Short ones lie in the views, long
/// ones in one arena.
class KeyCopy {
 public:
  explicit KeyCopy(size_t bytes) : arena_(std::make_shared<Buffer>(std::max<size_t>(bytes, 1))) {}
  Utf8View Copy(std::string_view key) {
    if (key.size() <= Utf8View::kInlineMax) return Utf8View(key);
    char* place = arena_->data() + used_;
    std::memcpy(place, key.data(), key.size());
    used_ += key.size();
    return Utf8View(std::string_view(place, key.size()));
  }
  BufferRef arena() const { return arena_; }

 private:
  std::shared_ptr<Buffer> arena_;
  size_t used_ = 0;
};

class ItemList final : public ListState {
 public:
  explicit ItemList(std::vector<std::string> items) {
    for (std::string& item : items) items_.emplace(next_++, std::move(item));
  }
  ListId Add(std::string_view item) override {
    items_.emplace(next_, std::string(item));
    return {next_++};
  }
  void Remove(ListId item) override { items_.erase(item.value); }
  std::vector<std::pair<ListId, std::string>> Items() const override {
    std::vector<std::pair<ListId, std::string>> items;
    items.reserve(items_.size());
    for (const auto& [id, item] : items_) items.emplace_back(ListId{id}, item);
    return items;
  }

 private:
  std::map<uint64_t, std::string> items_;
  uint64_t next_ = 1;
};

}  // namespace

StateLayout StateLayout::Of(const Schema& row) {
  StateLayout layout;
  auto offset = static_cast<uint32_t>((row.size() + 7) / 8);
  for (const Field& field : row.fields()) {
    const auto width = static_cast<uint32_t>(field.type.width());
    offset = AlignUp(offset, std::min<uint32_t>(width, 8));
    layout.fields.push_back({offset, static_cast<uint16_t>(layout.fields.size()), field.type});
    offset += width;
  }
  layout.bytes = AlignUp(offset, 16);
  return layout;
}

std::shared_ptr<const KeyStorage> KeysOf(std::span<const Timer> timers) {
  auto keys = std::make_shared<KeyStorage>();
  size_t bytes = 0;
  for (const Timer& timer : timers) bytes += timer.key.size();
  KeyCopy copy(bytes);
  for (const Timer& timer : timers) {
    keys->hash.push_back(HashKey(timer.key));
    keys->bytes.push_back(copy.Copy(timer.key));
    keys->time.push_back(timer.time);
  }
  keys->arenas.push_back(copy.arena());
  return keys;
}

std::shared_ptr<const KeyStorage> KeysOf(const RowBlock& block) {
  auto keys = std::make_shared<KeyStorage>();
  size_t bytes = 0;
  for (const std::string_view key : block.key) bytes += key.size();
  KeyCopy copy(bytes);
  keys->hash = block.hash;
  for (const std::string_view key : block.key) keys->bytes.push_back(copy.Copy(key));
  keys->arenas.push_back(copy.arena());
  return keys;
}

std::unique_ptr<ListState> MakeListState(std::vector<std::string> items) {
  return std::make_unique<ItemList>(std::move(items));
}

}  // namespace weir
