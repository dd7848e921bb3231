#pragma once
// Index: open addressing from (hash, key bytes) to items of one slice: linear probing over 16-byte
// slots with the whole hash in them, so that growing reads no item, and removal by shifting back,
// so that there are no tombstones. Position from the hash's low bits: its high ones are the key
// group. W only; keeps pointers, owns nothing.

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/data/key_encoding.h"

namespace weir::state {

template <class T>
class Index {
 public:
  struct Slot {
    uint64_t hash = 0;
    T* item = nullptr;
  };

  T* Find(uint64_t hash, std::string_view key) const {
    if (slots_.empty()) return nullptr;
    for (size_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.item == nullptr) return nullptr;
      if (slot.hash == hash && SameKey(slot.item->key_view(), key)) return slot.item;
    }
  }
  void PrefetchSlot(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask_]);
  }
  /// The item that Find will probably look at first: to prefetch it.
  T* Candidate(uint64_t hash) const {
    if (slots_.empty()) return nullptr;
    const Slot& slot = slots_[hash & mask_];
    if (slot.hash == hash) return slot.item;
    const Slot& next = slots_[(hash + 1) & mask_];
    return next.hash == hash ? next.item : nullptr;
  }
  /// REQUIRES: not present.
  void Insert(T* item) {
    if ((size_ + 1) * 10 >= slots_.size() * 7) Grow();
    Place(item->hash, item);
    ++size_;
  }
  /// `item` takes the place of `old`, which has the same key. REQUIRES: present.
  void Replace(const T* old, T* item) { slots_[At(old)].item = item; }
  void Remove(const T* item) {
    size_t hole = At(item);
    for (size_t at = (hole + 1) & mask_; slots_[at].item != nullptr; at = (at + 1) & mask_) {
      const size_t home = slots_[at].hash & mask_;
      if (((at - home) & mask_) >= ((at - hole) & mask_)) {
        slots_[hole] = slots_[at];
        hole = at;
      }
    }
    slots_[hole] = {};
    if (--size_ == 0) {              // of a slice whose items have all been evicted
      slots_ = std::vector<Slot>();  // gives its memory back, as {} would not
      mask_ = 0;
    }
  }
  size_t size() const { return size_; }
  size_t slots() const { return slots_.size(); }
  T* at_slot(size_t slot) const { return slots_[slot].item; }
  size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  static constexpr size_t kSlotsLeast = 16;

  size_t At(const T* item) const {
    size_t at = item->hash & mask_;
    while (slots_[at].item != item) {
      WEIR_CHECK(slots_[at].item != nullptr);
      at = (at + 1) & mask_;
    }
    return at;
  }
  void Place(uint64_t hash, T* item) {
    size_t at = hash & mask_;
    while (slots_[at].item != nullptr) at = (at + 1) & mask_;
    slots_[at] = {hash, item};
  }
  void Grow() {
    std::vector<Slot> old = std::move(slots_);
    slots_.assign(old.empty() ? kSlotsLeast : old.size() * 2, Slot{});
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.item != nullptr) Place(slot.hash, slot.item);
    }
  }

  std::vector<Slot> slots_;
  size_t mask_ = 0, size_ = 0;
};

}  // namespace weir::state
