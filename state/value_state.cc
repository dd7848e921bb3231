#include "state/value_state.h"

#include <algorithm>

namespace weir::state {
namespace {

Namespace NamespaceOf(Namespaces ns, uint32_t i) { return ns.empty() ? Namespace{0} : ns[i]; }

}  // namespace

Row* HotValueState::LookBelow(Slice& slice, uint64_t hash, std::string_view key) {
  const uint16_t group = table_.GroupOf(hash);
  if (Evicted* evicted = slice.evicted.Find(hash, key)) return table_.TakeBackRow(slice, evicted);
  if (!slice.SpilledAt(group) || table_.Dropped(slice, group)) return nullptr;
  table_.OrderRow(slice, hash, group, key);
  return slice.row_index.Find(hash, key);
}

template <bool kUpdate>
Ready HotValueState::Look(Keys keys, Namespaces ns, StateRows rows) {
  table_.shared().pump->TakeReads();
  const uint32_t count = keys.rows();
  WEIR_CHECK_EQ(size_t{count}, rows.size());
  WEIR_CHECK(ns.empty() || ns.size() == count);
  missing_.clear();
  bool wait = false, pinned = false;
  Slice* slices[kGroup];
  for (uint32_t base = 0; base < count; base += kGroup) {
    const uint32_t end = std::min(base + kGroup, count);
    for (uint32_t i = base; i < end; ++i) {
      const Namespace in = NamespaceOf(ns, i);
      Slice* slice = in == kSkip ? nullptr : table_.FindSlice(in);
      slices[i - base] = slice;
      if (slice != nullptr) slice->row_index.PrefetchSlot(keys.hash[i]);
    }
    for (uint32_t i = base; i < end; ++i) {
      const Slice* slice = slices[i - base];
      if (slice == nullptr) continue;
      if (const Row* row = slice->row_index.Candidate(keys.hash[i])) {
        __builtin_prefetch(row, 1);
        __builtin_prefetch(reinterpret_cast<const char*>(row) + 64, 1);
      }
    }
    for (uint32_t i = base; i < end; ++i) {
      Slice* slice = slices[i - base];
      rows[i] = nullptr;
      if (slice == nullptr) {
        if (NamespaceOf(ns, i) == kSkip) continue;
        if (kUpdate) {
          missing_.push_back(i);
        } else {
          table_.GroupOf(keys.hash[i]);  // asserts ownership
        }
        continue;
      }
      Row* row = slice->row_index.Find(keys.hash[i], keys.bytes[i].view());
      if (row == nullptr) {
        row = LookBelow(*slice, keys.hash[i], keys.bytes[i].view());
        if (row == nullptr) {
          if (kUpdate) missing_.push_back(i);
          continue;
        }
      }
      if (row->mark & (kPending | kPinned)) {
        if (row->marked(kPending)) {
          wait = true;
          continue;
        }
        pinned = true;
      } else if (row->clock != 1) {
        row->clock = 1;
      }
      if (row->absent() || table_.Dropped(*slice, row->group) || table_.Expired(*row)) {
        if (kUpdate) missing_.push_back(i);
        continue;
      }
      if (kUpdate) row = table_.Dirty(row);
      rows[i] = row->payload();
    }
  }
  table_.shared().pump->SendOrders();
  if (wait) return Ready::kWait;
  if (kUpdate) {
    if (!missing_.empty()) Create(keys, ns, rows);
    if (!keys.time.empty()) {
      for (uint32_t i = 0; i < count; ++i) {
        if (rows[i] == nullptr) continue;
        Row* row = Row::Of(rows[i]);
        row->touched = std::max(row->touched, keys.time[i].us);
      }
    }
  }
  if (pinned) {
    for (uint32_t i = 0; i < count; ++i) {
      Slice* slice = NamespaceOf(ns, i) == kSkip ? nullptr : table_.FindSlice(NamespaceOf(ns, i));
      Row* row =
          slice == nullptr ? nullptr : slice->row_index.Find(keys.hash[i], keys.bytes[i].view());
      if (row != nullptr && row->marked(kPinned)) {
        row->mark = static_cast<uint8_t>(row->mark & ~kPinned);
        row->clock = 1;
      }
    }
  }
  return Ready::kReady;
}

void HotValueState::Create(Keys keys, Namespaces ns, StateRows rows) {
  for (const uint32_t i : missing_) {
    Slice& slice = table_.MakeSlice(NamespaceOf(ns, i));
    const uint64_t hash = keys.hash[i];
    const std::string_view key = keys.bytes[i].view();
    Row* row = slice.row_index.Find(hash, key);  // erased, or made a moment ago for the same key
    if (row == nullptr) {
      const uint16_t group = table_.GroupOf(hash);
      WEIR_CHECK(!table_.Dropped(slice, group));  // a namespace that was dropped never comes back
      row = table_.Dirty(table_.NewRow(slice, hash, group, key, {}, nullptr));
      ++slice.live;
    } else if (row->absent() || table_.Expired(*row)) {
      row = table_.Reset(row);
    } else {
      WEIR_CHECK(!table_.Dropped(slice, row->group));
    }
    if (!keys.time.empty()) row->touched = std::max(row->touched, keys.time[i].us);
    rows[i] = row->payload();
  }
}

Ready HotValueState::Find(Keys keys, Namespaces ns, StateRows rows) {
  return Look<false>(keys, ns, rows);
}

Ready HotValueState::Update(Keys keys, Namespaces ns, StateRows rows) {
  return Look<true>(keys, ns, rows);
}

void HotValueState::Erase(Keys keys, Namespaces ns) {
  table_.shared().pump->TakeReads();
  for (uint32_t i = 0; i < keys.rows(); ++i) {
    const Namespace in = NamespaceOf(ns, i);
    if (in == kSkip) continue;
    const uint16_t group = table_.GroupOf(keys.hash[i]);
    Slice* slice = table_.FindSlice(in);
    if (slice == nullptr || table_.Dropped(*slice, group)) continue;
    const std::string_view key = keys.bytes[i].view();
    if (Row* row = slice->row_index.Find(keys.hash[i], key)) {
      table_.Erase(row);
      continue;
    }
    Evicted* evicted = slice->evicted.Find(keys.hash[i], key);
    if (evicted != nullptr) table_.Detach(evicted);
    if (evicted == nullptr && !slice->SpilledAt(group)) continue;
    Row* row = table_.NewRow(*slice, keys.hash[i], group, key, {}, nullptr);
    row->flags = kAbsent;
    row->mark = kStored;
    table_.Dirty(row);
    --slice->live;
  }
}

void HotValueState::Prefetch(Keys keys) {
  table_.shared().pump->Settle();
  Slice* slice = table_.FindSlice({0});
  if (slice == nullptr) return;
  for (uint32_t i = 0; i < keys.rows(); ++i) {
    const std::string_view key = keys.bytes[i].view();
    if (slice->row_index.Find(keys.hash[i], key) == nullptr) LookBelow(*slice, keys.hash[i], key);
  }
  table_.shared().pump->SendOrders();
}

Ready HotValueState::ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                                   RowBlock& block) {
  table_.shared().pump->TakeReads();
  const Ready ready = table_.ScanNamespace(ns, groups, after_key, block);
  table_.shared().pump->SendOrders();
  return ready;
}

}  // namespace weir::state
