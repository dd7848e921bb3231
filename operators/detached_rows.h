#pragma once
// DetachedRows: rows outside of the state, in the layout of its rows: what the slices of a window,
// or the rows of a batch, add up to. For the aggregating operators of this folder; one thread. A
// row lives until Clear.

#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "operators/aggregate_functions.h"

namespace weir {

class DetachedRows final : public BytesWriter {
 public:
  explicit DetachedRows(const StateLayout& layout) : layout_(layout) {}
  StateRow* Add() {
    if (used_ == blocks_.size() * kRowsPerBlock)
      blocks_.emplace_back(layout_.bytes * kRowsPerBlock + kAlignment);
    std::vector<uint8_t>& block = blocks_[used_ / kRowsPerBlock];
    auto base = reinterpret_cast<uintptr_t>(block.data());
    base = (base + kAlignment - 1) / kAlignment * kAlignment;
    auto* bytes = reinterpret_cast<uint8_t*>(base) + (used_ % kRowsPerBlock) * layout_.bytes;
    std::memset(bytes, 0, layout_.bytes);
    ++used_;
    return reinterpret_cast<StateRow*>(bytes);
  }
  void Set(StateRow* row, const StateLayout::Slot& slot, std::string_view value) override {
    texts_.emplace_back(value);
    text_bytes_ += sizeof(std::string) + value.size();
    StateBytes stored;
    stored.size = static_cast<uint32_t>(value.size());
    stored.capacity = std::max<uint32_t>(stored.size, 1);
    stored.heap = texts_.back().data();
    std::memcpy(row->bytes() + slot.offset, &stored, sizeof(stored));
    row->SetNotNull(slot);
  }
  void Clear() {
    used_ = 0;
    texts_.clear();
    text_bytes_ = 0;
  }
  size_t bytes() const { return used_ * layout_.bytes + text_bytes_; }

 private:
  static constexpr size_t kRowsPerBlock = 256, kAlignment = 16;
  const StateLayout& layout_;
  std::vector<std::vector<uint8_t>> blocks_;
  size_t used_ = 0, text_bytes_ = 0;
  std::deque<std::string> texts_;
};

}  // namespace weir
