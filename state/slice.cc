#include "state/slice.h"

#include <algorithm>
#include <new>

namespace weir::state {

void* Pool::Allocate() {
  *account_ += static_cast<int64_t>(stride_);
  used_ += stride_;
  if (free_ != nullptr) {
    void* object = free_;
    std::memcpy(&free_, object, sizeof(free_));
    return object;
  }
  if (left_ < stride_) {
    constexpr size_t kSlabBytesMax = size_t{256} << 10;
    const size_t bytes = std::max(slab_bytes_, stride_);
    slabs_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    next_ = slabs_.back().get();
    left_ = bytes;
    slab_bytes_ = std::min(slab_bytes_ * 2, kSlabBytesMax);
  }
  void* object = next_;
  next_ += stride_;
  left_ -= stride_;
  return object;
}

void Pool::Free(void* object) {
  *account_ -= static_cast<int64_t>(stride_);
  used_ -= stride_;
  std::memcpy(object, &free_, sizeof(free_));
  free_ = object;
}

uint32_t BytesPool::ClassOf(uint32_t bytes) {
  const uint32_t bits = 32U - static_cast<uint32_t>(__builtin_clz(std::max(bytes, 2U) - 1));
  return std::max(bits, kClassLeast);
}

char* BytesPool::Allocate(uint32_t bytes, uint32_t* capacity) {
  const uint32_t bits = ClassOf(bytes);
  *capacity = uint32_t{1} << bits;
  *account_ += *capacity;
  used_ += *capacity;
  void*& head = free_[bits - kClassLeast];
  if (head != nullptr) {
    char* place = static_cast<char*>(head);
    std::memcpy(&head, place, sizeof(head));
    return place;
  }
  if (*capacity > kSlabMost) {
    large_.push_back(std::make_unique_for_overwrite<char[]>(*capacity));
    return large_.back().get();
  }
  if (left_ < *capacity) {
    const size_t slab = std::max<size_t>(
        *capacity, std::min<size_t>(kSlabMost, 1024 << std::min<size_t>(slabs_.size(), 6)));
    slabs_.push_back(std::make_unique_for_overwrite<char[]>(slab));
    next_ = slabs_.back().get();
    left_ = slab;
  }
  char* place = next_;
  next_ += *capacity;
  left_ -= *capacity;
  return place;
}

void BytesPool::Free(char* bytes, uint32_t capacity) {
  *account_ -= capacity;
  used_ -= capacity;
  void*& head = free_[ClassOf(capacity) - kClassLeast];
  std::memcpy(bytes, &head, sizeof(head));
  head = bytes;
}

Slice::Slice(uint16_t state_index, Namespace namespace_, size_t row_stride, size_t buckets,
             int64_t* bytes_account)
    : state(state_index),
      ns(namespace_),
      account(bytes_account),
      rows(row_stride, bytes_account),
      keys(sizeof(KeyEntry), bytes_account),
      bytes_pool(bytes_account),
      spilled(buckets) {
  *account += static_cast<int64_t>(sizeof(Slice));
}

Slice::~Slice() {
  for (size_t slot = 0; slot < key_index.slots(); ++slot) {
    if (KeyEntry* entry = key_index.at_slot(slot)) entry->~KeyEntry();
  }
  *account -= static_cast<int64_t>(sizeof(Slice) + index_bytes + rows.used_bytes() +
                                   keys.used_bytes() + bytes_pool.used_bytes());
}

void Slice::AccountIndexes() {
  const size_t now = row_index.bytes() + key_index.bytes();
  *account += static_cast<int64_t>(now) - static_cast<int64_t>(index_bytes);
  index_bytes = now;
}

void Slice::AddToList(Item* item) {
  if (lists.empty()) lists.resize(spilled.size());
  std::vector<Item*>& list = lists[BucketOf(item->group)];
  item->list_at = static_cast<uint32_t>(list.size());
  list.push_back(item);
}

void Slice::RemoveFromList(const Item* item) {
  std::vector<Item*>& list = lists[BucketOf(item->group)];
  list[item->list_at] = list.back();
  list[item->list_at]->list_at = item->list_at;
  list.pop_back();
  if (row_index.size() + key_index.size() == 0) lists = {};
}

Evicted* EvictionBatch::Add(size_t text_bytes, char** text) {
  const size_t bytes = sizeof(Evicted) + ((text_bytes + 7) & ~size_t{7});
  if (left_ < bytes) {
    const size_t block = std::max(kBlockBytes, bytes);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block));
    next_ = blocks_.back().get();
    left_ = block;
  }
  auto* evicted = new (next_) Evicted();
  *text = next_ + sizeof(Evicted);
  evicted->key = *text;
  next_ += bytes;
  left_ -= bytes;
  bytes_ += bytes;
  rows_.push_back(evicted);
  return evicted;
}

}  // namespace weir::state
