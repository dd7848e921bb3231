#pragma once
// Mailbox: commands from any thread to one task, in order per sender, without a lock (a list of
// nodes pushed at the head, taken whole and reversed). The sender raises the task's signal
// afterwards. Unbounded by itself: control sends a handful of commands per checkpoint and one per
// discovered set of splits.

#include <atomic>
#include <utility>
#include <vector>

namespace weir::runtime {

template <class T>
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() { Free(head_.load()); }

  /// Any thread.
  void Put(T value) {
    Node* node = new Node{std::move(value), head_.load(std::memory_order_relaxed)};
    while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release,
                                        std::memory_order_relaxed)) {
    }
  }
  bool empty() const { return head_.load(std::memory_order_acquire) == nullptr; }
  /// The owner: everything put so far, oldest first.
  std::vector<T> TakeAll() {
    Node* node = head_.exchange(nullptr, std::memory_order_acquire);
    std::vector<T> taken;
    for (Node* at = node; at != nullptr; at = at->next) taken.push_back(std::move(at->value));
    Free(node);
    return {std::make_move_iterator(taken.rbegin()), std::make_move_iterator(taken.rend())};
  }

 private:
  struct Node {
    T value;
    Node* next;
  };
  static void Free(Node* node) {
    while (node != nullptr) delete std::exchange(node, node->next);
  }
  std::atomic<Node*> head_{nullptr};
};

}  // namespace weir::runtime
