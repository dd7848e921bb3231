#include "state/slice.h"

#include <algorithm>
#include <new>
#include <utility>

namespace weir::state {
namespace {

constexpr size_t kKeySlabBytes = 1024;

}  // namespace

void* Pool::Allocate() {
  used_.Add(static_cast<int64_t>(stride_));
  if (free_ != nullptr) {
    void* object = free_;
    std::memcpy(&free_, object, sizeof(free_));
    return object;
  }
  if (left_ < stride_) {
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
  used_.Add(-static_cast<int64_t>(stride_));
  std::memcpy(object, &free_, sizeof(free_));
  free_ = object;
  if (used_.value() != 0) return;
  slabs_.clear();
  free_ = nullptr;
  left_ = 0;
  slab_bytes_ = kSlabBytesLeast;
}

RowSegment::RowSegment(size_t stride, size_t capacity, int64_t* account)
    : stride_(stride),
      capacity_(capacity),
      memory_(std::make_unique_for_overwrite<char[]>(stride * capacity)),
      bytes_(stride * capacity, account) {}

void* RowSegment::Allocate() {
  void* place = free_;
  if (place != nullptr) {
    std::memcpy(&free_, place, sizeof(free_));
  } else if (used_ < capacity_) {
    place = memory_.get() + used_++ * stride_;
  } else {
    return nullptr;
  }
  ++rows_;
  return place;
}

void RowSegment::Free(Row* row) {
  row->slice = nullptr;
  std::memcpy(static_cast<void*>(row), &free_, sizeof(free_));
  free_ = row;
  --rows_;
}

Row* RowSegments::Allocate() {
  void* place = nullptr;
  uint32_t segment = 0;
  while (!open_.empty() && place == nullptr) {
    segment = open_.back();
    if (all_[segment] != nullptr) place = all_[segment]->Allocate();
    if (place != nullptr) break;
    if (all_[segment] != nullptr) all_[segment]->open_ = false;
    open_.pop_back();
  }
  if (place == nullptr) {
    const size_t most = kSlabBytesMax / stride_ + 1;
    auto made = std::make_unique<RowSegment>(stride_, std::min(rows_next_, most), used_.total());
    rows_next_ = std::min(rows_next_ * 2, most);
    if (unused_.empty()) {
      segment = static_cast<uint32_t>(all_.size());
      all_.push_back(std::move(made));
    } else {
      segment = unused_.back();
      unused_.pop_back();
      all_[segment] = std::move(made);
    }
    open_.push_back(segment);
    place = all_[segment]->Allocate();
  }
  used_.Add(static_cast<int64_t>(stride_));
  auto* row = new (place) Row();
  row->segment = segment;
  return row;
}

void RowSegments::Free(Row* row) {
  const uint32_t id = row->segment;
  RowSegment& segment = *all_[id];
  segment.Free(row);
  used_.Add(-static_cast<int64_t>(stride_));
  if (!segment.empty()) {
    if (!segment.open_) open_.push_back(id);
    segment.open_ = true;
    return;
  }
  // The one that the clock has just gone through is among the last.
  if (segment.open_) open_.erase(std::find(open_.rbegin(), open_.rend(), id).base() - 1);
  all_[id] = nullptr;
  unused_.push_back(id);
  if (unused_.size() == all_.size()) rows_next_ = kRowsLeast;
}

uint32_t BytesPool::ClassOf(uint32_t bytes) {
  const uint32_t bits = 32U - static_cast<uint32_t>(__builtin_clz(std::max(bytes, 2U) - 1));
  return std::max(bits, kClassLeast);
}

char* BytesPool::Allocate(uint32_t bytes, uint32_t* capacity) {
  const uint32_t bits = ClassOf(bytes);
  *capacity = uint32_t{1} << bits;
  used_.Add(*capacity);
  void*& head = free_[bits - kClassLeast];
  if (head != nullptr) {
    char* place = static_cast<char*>(head);
    std::memcpy(&head, place, sizeof(head));
    return place;
  }
  if (*capacity > kFromSlabMost) {
    large_.push_back(std::make_unique_for_overwrite<char[]>(*capacity));
    return large_.back().get();
  }
  if (left_ < *capacity) {
    const size_t slab = std::max<size_t>(
        *capacity, std::min(kSlabBytesMax, slab_bytes_ << std::min<size_t>(slabs_.size(), 8)));
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
  used_.Add(-static_cast<int64_t>(capacity));
  void*& head = free_[ClassOf(capacity) - kClassLeast];
  std::memcpy(bytes, &head, sizeof(head));
  head = bytes;
  if (used_.value() != 0) return;
  free_ = {};
  slabs_.clear();
  large_.clear();
  left_ = 0;
}

Slice::Slice(uint16_t state_index, Namespace of, size_t row_stride, size_t buckets,
             SliceTotals& totals)
    : state(state_index),
      ns(of),
      own_bytes(&totals.bytes),
      hot(&totals.hot),
      rows(row_stride, &totals.bytes),
      keys(sizeof(KeyEntry), &totals.bytes),
      key_bytes(kKeySlabBytes, &totals.bytes),
      spilled(buckets),
      live(&totals.live) {
  own_bytes.Add(static_cast<int64_t>(sizeof(Slice)));
}

Slice::~Slice() {
  for (size_t slot = 0; slot < key_index.slots(); ++slot) {
    if (KeyEntry* entry = key_index.at_slot(slot)) entry->~KeyEntry();
  }
}

void Slice::AccountIndexes() {
  const size_t now = row_index.bytes() + key_index.bytes() + evicted.bytes();
  own_bytes.Add(static_cast<int64_t>(now) - static_cast<int64_t>(index_bytes));
  index_bytes = now;
}

namespace {

template <class T>
void PushAccounted(std::vector<T*>& list, T* item, Counted& bytes) {
  const size_t before = list.capacity();
  list.push_back(item);
  if (list.capacity() != before)
    bytes.Add(static_cast<int64_t>((list.capacity() - before) * sizeof(T*)));
}

}  // namespace

void Slice::AddToList(Item* item) {
  if (lists.empty()) lists.resize(spilled.size());
  std::vector<Item*>& list = lists[BucketOf(item->group)];
  item->list_at = static_cast<uint32_t>(list.size());
  PushAccounted(list, item, own_bytes);
}

void Slice::RemoveFromList(const Item* item) {
  std::vector<Item*>& list = lists[BucketOf(item->group)];
  list[item->list_at] = list.back();
  list[item->list_at]->list_at = item->list_at;
  list.pop_back();
  if (row_index.size() + key_index.size() != 0) return;
  for (const std::vector<Item*>& old : lists)
    own_bytes.Add(-static_cast<int64_t>(old.capacity() * sizeof(Item*)));
  lists = {};
}

void Slice::AddToDirty(Row* row) {
  row->dirty_at = static_cast<uint32_t>(dirty.size());
  PushAccounted(dirty, row, own_bytes);
  own_bytes.Add(kWriteBytesPerRow);
}

void Slice::RemoveFromDirty(const Row* row) {
  dirty[row->dirty_at] = dirty.back();
  dirty[row->dirty_at]->dirty_at = row->dirty_at;
  dirty.pop_back();
  own_bytes.Add(-static_cast<int64_t>(kWriteBytesPerRow));
  if (dirty.empty()) TakeDirty();
}

std::vector<Row*> Slice::TakeDirty() {
  own_bytes.Add(-static_cast<int64_t>(DirtyBytes()));
  return std::exchange(dirty, {});
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
  bytes_ += bytes + sizeof(Evicted*);
  rows_.push_back(evicted);
  return evicted;
}

}  // namespace weir::state
