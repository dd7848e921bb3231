#include "state/timer_state.h"

#include <algorithm>

#include "engine/api/operator.h"

namespace weir::state {
namespace {

constexpr int kBucketBits = 20;  // 2^20 us, about a second
constexpr size_t kTextHead = 8 + 2 + 8;

int64_t BucketOf(int64_t time) { return time >> kBucketBits; }

/// Least text first.
constexpr auto kLater = [](const std::string& a, const std::string& b) { return a > b; };

int64_t TimeOfText(std::string_view text) { return GetOrdered(text.data()); }

}  // namespace

uint16_t HotTimerState::GroupOfText(std::string_view text) {
  return static_cast<uint16_t>(static_cast<uint8_t>(text[8]) << 8 | static_cast<uint8_t>(text[9]));
}

void HotTimerState::MakeText(int64_t time, uint16_t group, int64_t ns, std::string_view key) {
  char head[kTextHead];
  PutOrdered(time, head);
  head[8] = static_cast<char>(group >> 8);
  head[9] = static_cast<char>(group & 0xff);
  PutOrdered(ns, head + 10);
  text_.assign(head, sizeof(head));
  text_.append(key);
}

void HotTimerState::SetText(uint16_t group, int64_t time) {
  WEIR_CHECK(table_.shared().groups.Contains({group}));
  Slice& slice = table_.MakeSlice({BucketOf(time)});
  const uint64_t hash = HashKey(text_);
  Row* row = slice.row_index.Find(hash, text_);
  if (row != nullptr && !row->absent()) return;
  if (row == nullptr) {
    if (Evicted* evicted = slice.evicted.Find(hash, text_)) table_.Detach(evicted);
    row = table_.NewRow(slice, hash, group, text_, {}, nullptr);
    if (slice.SpilledAt(group)) row->mark = kStored;
    table_.Dirty(row);
    ++slice.live;
  } else {
    table_.Reset(row);
  }
  slice.earliest = std::min(slice.earliest, time);
  changed_ = true;
  if (slice.ns.value <= active_through_) {
    slice.active = true;
    heap_.push_back(text_);
    std::push_heap(heap_.begin(), heap_.end(), kLater);
  }
}

void HotTimerState::EraseText(uint16_t group, int64_t time) {
  WEIR_CHECK(table_.shared().groups.Contains({group}));
  Slice* slice = table_.FindSlice({BucketOf(time)});
  if (slice == nullptr) return;
  const uint64_t hash = HashKey(text_);
  if (Row* row = slice->row_index.Find(hash, text_)) return table_.Erase(row);
  Evicted* evicted = slice->evicted.Find(hash, text_);
  if (evicted != nullptr) table_.Detach(evicted);
  if (evicted == nullptr && !slice->SpilledAt(group)) return;
  Row* row = table_.NewRow(*slice, hash, group, text_, {}, nullptr);
  row->flags = kAbsent;
  row->mark = kStored;
  table_.Dirty(row);
  --slice->live;
}

void HotTimerState::Set(std::span<const KeyGroup> groups, Namespace ns, EventTime time) {
  for (const KeyGroup group : groups) {
    MakeText(time.us, group.value, ns.value, {});
    SetText(group.value, time.us);
  }
}

void HotTimerState::Set(Keys keys, Namespaces ns, Times times) {
  WEIR_CHECK_EQ(times.size(), size_t{keys.rows()});
  for (uint32_t i = 0; i < keys.rows(); ++i) {
    const Namespace in = ns.empty() ? Namespace{0} : ns[i];
    if (in == kSkip) continue;
    const uint16_t group = table_.GroupOf(keys.hash[i]);
    MakeText(times[i].us, group, in.value, keys.bytes[i].view());
    SetText(group, times[i].us);
  }
}

void HotTimerState::Delete(Keys keys, Namespaces ns, Times times) {
  WEIR_CHECK_EQ(times.size(), size_t{keys.rows()});
  for (uint32_t i = 0; i < keys.rows(); ++i) {
    const Namespace in = ns.empty() ? Namespace{0} : ns[i];
    if (in == kSkip) continue;
    const uint16_t group = table_.GroupOf(keys.hash[i]);
    MakeText(times[i].us, group, in.value, keys.bytes[i].view());
    EraseText(group, times[i].us);
    if (!cursors_.empty()) cursors_.erase(text_);
    changed_ = true;
  }
}

Ready HotTimerState::Activate(EventTime up_to) {
  bool wait = false;
  auto& slices = table_.slices();
  for (auto at = slices.begin(); at != slices.end() && at->first <= BucketOf(up_to.us);) {
    Slice& slice = *at->second;
    if (slice.AnySpilled()) {
      wait = true;
      table_.LoadSlice(slice);
    } else if (!slice.active) {
      slice.active = true;
      changed_ = true;
      for (size_t slot = 0; slot < slice.row_index.slots(); ++slot) {
        const Row* row = slice.row_index.at_slot(slot);
        if (row != nullptr && !row->absent()) heap_.emplace_back(row->key_view());
      }
      std::make_heap(heap_.begin(), heap_.end(), kLater);
    }
    at = slice.Empty() ? table_.Bury(at) : std::next(at);
  }
  if (!wait) active_through_ = std::max(active_through_, BucketOf(up_to.us));
  return wait ? Ready::kWait : Ready::kReady;
}

Ready HotTimerState::Due(EventTime up_to, std::vector<Timer>& next) {
  next.clear();
  table_.shared().pump->Settle();
  table_.shared().pump->TakeReads();
  const Ready ready = Activate(up_to);
  table_.shared().pump->SendOrders();
  if (ready == Ready::kWait) return ready;
  const auto live = [&](const std::string& text) {
    Slice* slice = table_.FindSlice({BucketOf(TimeOfText(text))});
    const Row* row = slice == nullptr ? nullptr : slice->row_index.Find(HashKey(text), text);
    return row != nullptr && !row->absent();
  };
  const bool more_due = !heap_.empty() && peeked_.size() - peeked_at_ < kTimersPerCallMax &&
                        TimeOfText(heap_.front()) <= up_to.us;
  if (changed_ || more_due) {
    for (size_t i = peeked_at_; i < peeked_.size(); ++i) {
      heap_.push_back(std::move(peeked_[i]));
      std::push_heap(heap_.begin(), heap_.end(), kLater);
    }
    peeked_.clear();
    peeked_at_ = 0;
    changed_ = false;
    while (!heap_.empty() && peeked_.size() < kTimersPerCallMax &&
           TimeOfText(heap_.front()) <= up_to.us) {
      std::pop_heap(heap_.begin(), heap_.end(), kLater);
      if ((peeked_.empty() || peeked_.back() != heap_.back()) && live(heap_.back()))
        peeked_.push_back(std::move(heap_.back()));
      heap_.pop_back();
    }
  }
  for (size_t i = peeked_at_; i < peeked_.size(); ++i) {
    const std::string_view text = peeked_[i];
    if (TimeOfText(text) > up_to.us) break;
    const auto cursor = cursors_.find(text);
    next.push_back({{TimeOfText(text)},
                    {GroupOfText(text)},
                    {GetOrdered(text.data() + 10)},
                    text.substr(kTextHead),
                    cursor == cursors_.end() ? std::string() : cursor->second});
  }
  return Ready::kReady;
}

void HotTimerState::Done(size_t timers, std::string_view cursor_of_next) {
  WEIR_CHECK_LE(timers, peeked_.size() - peeked_at_);
  for (size_t i = 0; i < timers; ++i, ++peeked_at_) {
    text_ = peeked_[peeked_at_];
    EraseText(GroupOfText(text_), TimeOfText(text_));
    if (!cursors_.empty()) cursors_.erase(text_);
  }
  if (cursor_of_next.empty()) return;
  WEIR_CHECK_LT(peeked_at_, peeked_.size());
  cursors_.insert_or_assign(peeked_[peeked_at_], std::string(cursor_of_next));
}

EventTime HotTimerState::Earliest() const {
  int64_t earliest = INT64_MAX;
  if (peeked_at_ < peeked_.size()) earliest = TimeOfText(peeked_[peeked_at_]);
  if (!heap_.empty()) earliest = std::min(earliest, TimeOfText(heap_.front()));
  for (const auto& [bucket, slice] : table_.slices()) {
    if (slice->active) continue;
    const int64_t begin = bucket << kBucketBits;
    earliest = std::min(earliest, slice->AnySpilled() || slice->earliest == INT64_MAX
                                      ? begin
                                      : std::max(slice->earliest, begin));
    break;
  }
  return {earliest};
}

}  // namespace weir::state
