#pragma once
// SpscQueue: bounded queue between exactly one producer thread and one consumer thread (they may be
// the same), without locks. Each side keeps a copy of the other's index and reads the shared one
// only when the copy says full or empty (after Rigtorp's and Disruptor's rings). Push on a full
// queue and Pop on an empty one answer false. Waking the other side is the caller's work.

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "engine/base/check.h"

namespace weir {

template <class T>
class SpscQueue {
 public:
  /// REQUIRES: capacity >= 1. Rounded up to a power of two.
  explicit SpscQueue(size_t capacity) {
    WEIR_CHECK_GE(capacity, size_t{1});
    size_t slots = 1;
    while (slots < capacity) slots *= 2;
    mask_ = slots - 1;
    slots_ = std::make_unique<std::optional<T>[]>(slots);
  }
  SpscQueue(const SpscQueue&) = delete;
  SpscQueue& operator=(const SpscQueue&) = delete;

  /// Producer.
  bool Push(T value) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_copy_ > mask_) {
      head_copy_ = head_.load(std::memory_order_acquire);
      if (tail - head_copy_ > mask_) return false;
    }
    slots_[tail & mask_].emplace(std::move(value));
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  /// Producer: room for at least one.
  bool HasRoom() {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_copy_ <= mask_) return true;
    head_copy_ = head_.load(std::memory_order_acquire);
    return tail - head_copy_ <= mask_;
  }
  /// Consumer: the oldest element, or nullptr. Valid until Pop.
  T* Front() {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_copy_) {
      tail_copy_ = tail_.load(std::memory_order_acquire);
      if (head == tail_copy_) return nullptr;
    }
    return &*slots_[head & mask_];
  }
  /// Consumer. REQUIRES: Front() != nullptr.
  void Pop() {
    const size_t head = head_.load(std::memory_order_relaxed);
    slots_[head & mask_].reset();
    head_.store(head + 1, std::memory_order_release);
  }
  /// Any thread, approximate.
  size_t size() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }
  size_t capacity() const { return mask_ + 1; }

 private:
  static constexpr size_t kCacheLine = 64;
  // Fixed after construction.
  size_t mask_ = 0;
  std::unique_ptr<std::optional<T>[]> slots_;
  // Producer only, but for the load of tail_.
  alignas(kCacheLine) std::atomic<size_t> tail_{0};
  size_t head_copy_ = 0;
  // Consumer only, but for the load of head_.
  alignas(kCacheLine) std::atomic<size_t> head_{0};
  size_t tail_copy_ = 0;
};

}  // namespace weir
