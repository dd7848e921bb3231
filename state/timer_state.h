#pragma once
// TimerState over a HotTable: a timer is a row without fields, key = time, key group, namespace,
// key (all ordered), in the slice of its time bucket. Far buckets are evicted like any slice; a
// bucket whose turn has come is read back and its timers enter a heap. Setting and deleting never
// read: a timer is there or not, nothing else. Cursors are few (one per firing unit that has
// begun), so they stand beside the table, in the image's metadata. W.

#include <map>
#include <string>
#include <vector>

#include "state/hot_table.h"

namespace weir::state {

class HotTimerState final : public TimerState {
 public:
  explicit HotTimerState(HotTable& table) : table_(table) {}
  Ready Due(EventTime up_to, std::vector<Timer>& next) override;
  void Done(size_t timers, std::string_view cursor_of_next) override;
  /// A lower bound: of a bucket that is not hot only its begin is known.
  EventTime Earliest() const override;
  void Set(std::span<const KeyGroup> groups, Namespace ns, EventTime time) override;
  void Set(Keys keys, Namespaces ns, Times times) override;
  void Delete(Keys keys, Namespaces ns, Times times) override;

  /// By timer text; text holds the group.
  std::map<std::string, std::string, std::less<>>& cursors() { return cursors_; }
  static uint16_t GroupOfText(std::string_view text);

 private:
  void SetText(uint16_t group, int64_t time);
  void MakeText(int64_t time, uint16_t group, int64_t ns, std::string_view key);
  void EraseText(uint16_t group, int64_t time);
  /// All slices up to `up_to` into the heap. kWait: one of them is being read.
  Ready Activate(EventTime up_to);

  HotTable& table_;
  std::string text_;                 // scratch
  std::vector<std::string> heap_;    // texts, least first; may hold deleted ones and doubles
  std::vector<std::string> peeked_;  // the last Due, from peeked_at_ on
  size_t peeked_at_ = 0;
  bool changed_ = true;                 // set or deleted since the last Due
  int64_t active_through_ = INT64_MIN;  // buckets up to it are in the heap
  std::map<std::string, std::string, std::less<>> cursors_;
};

}  // namespace weir::state
