#include "state/sorted_state.h"

#include <algorithm>
#include <array>

namespace weir::state {
namespace {

/// Keys ordered ahead by one scan that waits.
constexpr uint32_t kOrderedAheadMax = 1024;

Namespace NamespaceOf(Namespaces ns, uint32_t i) { return ns.empty() ? Namespace{0} : ns[i]; }

}  // namespace

Ready SortedTable::Whole(Slice& slice, uint64_t hash, std::string_view key, KeyEntry** found) {
  const uint16_t group = table_.GroupOf(hash);
  KeyEntry* entry = slice.key_index.Find(hash, key);
  *found = entry;
  if (entry != nullptr && !entry->marked(kPending)) {
    if (entry->clock == 0) entry->clock = 1;
    if (entry->marked(kComplete)) return Ready::kReady;
  }
  if (entry != nullptr && entry->marked(kPending)) return Ready::kWait;
  const bool buffered = slice.evicted.Find(hash, key) != nullptr;
  if (entry == nullptr && !buffered && !slice.SpilledAt(group)) return Ready::kReady;
  if (entry == nullptr) entry = table_.NewKey(slice, hash, group, key);
  table_.TakeBackKey(*entry);
  table_.OrderKey(*entry);
  return Ready::kWait;
}

KeyEntry& SortedTable::Blind(Slice& slice, uint64_t hash, uint16_t group, std::string_view key) {
  KeyEntry* entry = slice.key_index.Find(hash, key);
  if (entry == nullptr) {
    entry = table_.NewKey(slice, hash, group, key);
    if (!slice.SpilledAt(group)) entry->mark = kComplete;
  }
  if (entry->clock == 0) entry->clock = 1;
  return *entry;
}

void SortedTable::Prefetch(Keys keys) {
  table_.shared().pump->Settle();
  if (Slice* slice = table_.FindSlice({0})) {
    KeyEntry* entry = nullptr;
    for (uint32_t i = 0; i < keys.rows(); ++i) {
      if (!table_.Dropped(*slice, table_.GroupOf(keys.hash[i])))
        Whole(*slice, keys.hash[i], keys.bytes[i].view(), &entry);
    }
  }
  table_.shared().pump->SendOrders();
}

/// False: the block is full and another row of the range is left.
bool SortedTable::AppendRows(KeyEntry& entry, const SortRange& range, RowBlock& block) {
  const SortedRows& rows = entry.rows;
  auto at = rows.LowerBound(range.from);
  if (range.behind_from && at != rows.end() && rows.At(at)->sort_view() == range.from)
    at = rows.Next(at);
  const auto stop = range.to_end ? rows.end() : rows.LowerBound(range.to);
  const auto add = [&](Row* row) {
    if (row->absent() || table_.Expired(*row)) return true;
    if (block.rows.size() >= RowBlock::kRowsMax) return false;
    block.rows.push_back(row->payload());
    block.sort.push_back(row->sort_view());
    return true;
  };
  const auto before = [](SortedRows::Cursor a, SortedRows::Cursor b) {
    return a.chunk != b.chunk ? a.chunk < b.chunk : a.at < b.at;
  };
  if (!range.descending) {
    for (; before(at, stop); at = rows.Next(at)) {
      if (!add(rows.At(at))) return false;
    }
    return true;
  }
  for (auto last = stop; before(at, last);) {
    last = rows.Previous(last);
    if (!add(rows.At(last))) return false;
  }
  return true;
}

template <class RangeOf>
Ready SortedTable::Scan(Keys keys, Namespaces ns, RangeOf range_of, RowBlock& block) {
  table_.shared().pump->TakeReads();
  block.rows.clear();
  block.key.clear();
  block.hash.clear();
  block.sort.clear();
  block.first.assign(1, 0);
  block.more = false;
  const uint32_t count = keys.rows();
  KeyEntry* entry = nullptr;
  uint32_t done = 0;
  Ready ready = Ready::kReady;
  for (; done < count; ++done) {
    if (done > 0 && block.rows.size() >= RowBlock::kRowsMax) break;
    const Namespace in = NamespaceOf(ns, done);
    Slice* slice = in == kSkip ? nullptr : table_.FindSlice(in);
    entry = nullptr;
    if (slice != nullptr && !table_.Dropped(*slice, table_.GroupOf(keys.hash[done]))) {
      ready = Whole(*slice, keys.hash[done], keys.bytes[done].view(), &entry);
      if (ready == Ready::kWait) break;
    }
    if (entry != nullptr) {
      if (entry->marked(kPinned)) {
        entry->mark = static_cast<uint8_t>(entry->mark & ~kPinned);
        entry->clock = 1;
      }
      block.more = !AppendRows(*entry, range_of(done), block);
    }
    block.first.push_back(static_cast<uint32_t>(block.rows.size()));
    if (block.more) break;
  }
  if (ready == Ready::kWait) {
    const uint32_t ahead = std::min(count, done + kOrderedAheadMax);
    for (uint32_t i = done + 1; i < ahead; ++i) {
      const Namespace in = NamespaceOf(ns, i);
      Slice* slice = in == kSkip ? nullptr : table_.FindSlice(in);
      if (slice != nullptr && !table_.Dropped(*slice, table_.GroupOf(keys.hash[i])))
        Whole(*slice, keys.hash[i], keys.bytes[i].view(), &entry);
    }
  }
  table_.shared().pump->SendOrders();
  return ready == Ready::kWait && done == 0 ? Ready::kWait : Ready::kReady;
}

Ready HotMapState::ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                                 RowBlock& block) {
  table_.shared().pump->TakeReads();
  const Ready ready = table_.ScanNamespace(ns, groups, after_key, block);
  table_.shared().pump->SendOrders();
  return ready;
}

Ready HotMapState::Update(Keys keys, Namespaces ns, Subkeys subkeys, StateRows rows) {
  table_.shared().pump->TakeReads();
  const uint32_t count = keys.rows();
  WEIR_CHECK(subkeys.size() == count && rows.size() == count);
  missing_.clear();
  bool wait = false;
  KeyEntry* entry = nullptr;
  for (uint32_t i = 0; i < count; ++i) {
    rows[i] = nullptr;
    const Namespace in = NamespaceOf(ns, i);
    if (in == kSkip) continue;
    Slice* slice = table_.FindSlice(in);
    if (slice == nullptr) {
      missing_.push_back(i);
      continue;
    }
    const uint64_t hash = keys.hash[i];
    const std::string_view key = keys.bytes[i].view();
    entry = slice->key_index.Find(hash, key);
    Row* row = entry == nullptr ? nullptr : entry->rows.Find(subkeys[i]);
    if (row == nullptr && sorted_.Whole(*slice, hash, key, &entry) == Ready::kWait) {
      wait = true;
      continue;
    }
    if (entry != nullptr && entry->clock == 0) entry->clock = 1;
    if (row == nullptr || row->absent() || table_.Expired(*row)) {
      missing_.push_back(i);
    } else {
      WEIR_CHECK(!table_.Dropped(*slice, row->group));
      rows[i] = table_.Dirty(row)->payload();
    }
  }
  table_.shared().pump->SendOrders();
  if (wait) return Ready::kWait;
  for (const uint32_t i : missing_) {
    Slice& slice = table_.MakeSlice(NamespaceOf(ns, i));
    const uint64_t hash = keys.hash[i];
    const uint16_t group = table_.GroupOf(hash);
    WEIR_CHECK(!table_.Dropped(slice, group));  // a namespace that was dropped never comes back
    KeyEntry& into = sorted_.Blind(slice, hash, group, keys.bytes[i].view());
    Row* row = into.rows.Find(subkeys[i]);
    if (row == nullptr) {
      row =
          table_.Dirty(table_.NewRow(slice, hash, group, keys.bytes[i].view(), subkeys[i], &into));
      ++slice.live;
    } else if (row->absent() || table_.Expired(*row)) {
      row = table_.Reset(row);
    }
    rows[i] = row->payload();
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (rows[i] == nullptr) continue;
    Row* row = Row::Of(rows[i]);
    if (!keys.time.empty()) row->touched = std::max(row->touched, keys.time[i].us);
    if (row->owner->marked(kPinned)) {
      row->owner->mark = static_cast<uint8_t>(row->owner->mark & ~kPinned);
      row->owner->clock = 1;
    }
  }
  return Ready::kReady;
}

void HotMapState::Erase(Keys keys, Namespaces ns, Subkeys subkeys) {
  table_.shared().pump->TakeReads();
  WEIR_CHECK_EQ(subkeys.size(), size_t{keys.rows()});
  for (uint32_t i = 0; i < keys.rows(); ++i) {
    const Namespace in = NamespaceOf(ns, i);
    if (in == kSkip) continue;
    const uint64_t hash = keys.hash[i];
    const uint16_t group = table_.GroupOf(hash);
    Slice* slice = table_.FindSlice(in);
    if (slice == nullptr || table_.Dropped(*slice, group)) continue;
    const std::string_view key = keys.bytes[i].view();
    KeyEntry* entry = slice->key_index.Find(hash, key);
    if (entry == nullptr && !slice->SpilledAt(group)) continue;
    if (entry == nullptr) entry = &sorted_.Blind(*slice, hash, group, key);
    Row* row = entry->rows.Find(subkeys[i]);
    if (row != nullptr) {
      table_.Erase(row);
    } else if (!entry->marked(kComplete)) {
      row = table_.NewRow(*slice, hash, group, key, subkeys[i], entry);
      row->flags = kAbsent;
      row->mark = kStored;
      table_.Dirty(row);
      --slice->live;
    }
  }
}

Ready HotMapState::Scan(Keys keys, Namespaces ns, std::span<const SubkeyRange> ranges,
                        RowBlock& block) {
  WEIR_CHECK_EQ(ranges.size(), size_t{keys.rows()});
  return sorted_.Scan(
      keys, ns,
      [&](uint32_t i) {
        return SortRange{ranges[i].from, ranges[i].to, false, ranges[i].to.empty(),
                         ranges[i].descending};
      },
      block);
}

Ready HotLogState::ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                                 RowBlock& block) {
  table_.shared().pump->TakeReads();
  const Ready ready = table_.ScanNamespace(ns, groups, after_key, block);
  table_.shared().pump->SendOrders();
  return ready;
}

void HotLogState::Append(Keys keys, Namespaces ns, const Batch& values) {
  table_.shared().pump->TakeReads();
  const uint32_t count = keys.rows();
  WEIR_CHECK_EQ(values.rows(), count);
  WEIR_CHECK_EQ(keys.time.size(), size_t{count});  // a log is ordered by event time
  const StateLayout& fields = layout();
  WEIR_CHECK_EQ(values.schema().size(), fields.fields.size());
  made_.assign(count, nullptr);
  for (uint32_t i = 0; i < count; ++i) {
    const Namespace in = NamespaceOf(ns, i);
    if (in == kSkip) continue;
    const uint16_t group = table_.GroupOf(keys.hash[i]);
    Slice& slice = table_.MakeSlice(in);
    WEIR_CHECK(!table_.Dropped(slice, group));
    KeyEntry& entry = sorted_.Blind(slice, keys.hash[i], group, keys.bytes[i].view());
    char sort[kLogSortBytes];
    PutOrdered(keys.time[i].us, sort);
    const uint64_t number = __builtin_bswap64(table_.next_number++);
    std::memcpy(sort + 8, &number, 8);
    Row* row = table_.NewRow(slice, keys.hash[i], group, keys.bytes[i].view(), {sort, sizeof(sort)},
                             &entry);
    row->touched = keys.time[i].us;
    made_[i] = table_.Dirty(row);
    ++slice.live;
  }
  for (size_t column = 0; column < fields.fields.size(); ++column) {
    const StateLayout::Slot& slot = fields.fields[column];
    const Column from = values.column({static_cast<uint16_t>(column)});
    WEIR_CHECK(from.type() == slot.type);
    const Validity valid = from.Valid();
    VisitKind(slot.type.kind, [&]<TypeKind kKind>() {
      using T = Physical<kKind>;
      const std::span<const T> source = from.Values<T>();
      for (uint32_t i = 0; i < count; ++i) {
        if (made_[i] == nullptr || !valid[i]) continue;
        if constexpr (std::is_same_v<T, Utf8View>) {
          table_.SetBytes(made_[i]->payload(), slot, source[i].view());
        } else {
          made_[i]->payload()->Set<T>(slot, source[i]);
        }
      }
    });
  }
}

Ready HotLogState::Scan(Keys keys, Namespaces ns, std::span<const TimeRange> ranges,
                        RowBlock& block) {
  WEIR_CHECK_EQ(ranges.size(), size_t{keys.rows()});
  std::array<char, 16> bounds{};
  return sorted_.Scan(
      keys, ns,
      [&](uint32_t i) {
        const TimeRange& range = ranges[i];
        PutOrdered(range.from.us, bounds.data());
        SortRange sort{{bounds.data(), 8}, {}, false, range.to == EventTime::Max(), false};
        if (!range.after.empty()) sort = {range.after, {}, true, sort.to_end, false};
        if (!sort.to_end) {
          PutOrdered(range.to.us + 1, bounds.data() + 8);
          sort.to = {bounds.data() + 8, 8};
        }
        return sort;
      },
      block);
}

void HotLogState::Expire(EventTime up_to) {
  for (int64_t& expired : table_.view().expired) expired = std::max(expired, up_to.us);
}

}  // namespace weir::state
