#include "state/hot_table.h"

#include <algorithm>

namespace weir::state {
namespace {

constexpr size_t kKeyRoomDefault = 24;
constexpr size_t kKeyRoomMax = 64;
constexpr uint32_t kRangeAgeMax = 256;             // passes of eviction
constexpr int64_t kVisitCost = 1, kEvictCost = 5;  // of what one step of the clock may do

/// Room for keys in a row itself: what fixed-width columns need, else a usual length.
size_t KeyRoom(const TaskStateEntry& entry) {
  if (entry.spec.kind == StateKind::kEventTimers || entry.spec.kind == StateKind::kProcessingTimers)
    return 32;
  size_t room = 0;
  bool fixed = true;
  for (const Type& type : entry.key_types) {
    fixed = fixed && !type.is_text();
    room += 1 + std::max<size_t>(type.width(), 8);
  }
  if (!fixed) room = kKeyRoomDefault;
  if (entry.spec.kind == StateKind::kMap || entry.spec.kind == StateKind::kLog)
    room += kLogSortBytes;
  return std::clamp<size_t>((room + 7) & ~size_t{7}, 8, kKeyRoomMax);
}

bool KeyedRows(StateKind kind) { return kind == StateKind::kMap || kind == StateKind::kLog; }

}  // namespace

HotTable::HotTable(HotShared& shared, uint16_t state, const TaskStateEntry& entry,
                   const RowCodec& codec)
    : shared_(shared),
      state_(state),
      entry_(entry),
      codec_(codec),
      keyed_rows_(KeyedRows(entry.spec.kind)),
      listed_(entry.spec.kind == StateKind::kValue || keyed_rows_),
      key_room_(KeyRoom(entry)) {
  const size_t groups = size_t{shared.groups.last.value} - shared.groups.first.value + 1;
  view_.horizons.assign(groups, INT64_MIN);
  if (entry.spec.kind == StateKind::kLog) view_.expired.assign(groups, INT64_MIN);
}

Slice* HotTable::FindSliceSlow(Namespace ns) {
  const auto found = slices_.find(ns.value);
  if (found == slices_.end()) return nullptr;
  cache_[CacheOf(ns)] = {ns.value, found->second.get()};
  return found->second.get();
}

Slice& HotTable::MakeSlice(Namespace ns) {
  if (Slice* slice = FindSlice(ns)) return *slice;
  auto slice =
      std::make_unique<Slice>(state_, ns, RowBytes(), view_.horizons.size(), shared_.totals);
  slice->partly_dropped =
      *std::max_element(view_.horizons.begin(), view_.horizons.end()) >= ns.value;
  Slice* made = slice.get();
  slices_.emplace(ns.value, std::move(slice));
  cache_[CacheOf(ns)] = {ns.value, made};
  return *made;
}

std::map<int64_t, std::unique_ptr<Slice>>::iterator HotTable::Bury(
    std::map<int64_t, std::unique_ptr<Slice>>::iterator at) {
  Slice& slice = *at->second;
  CacheLine& line = cache_[CacheOf(slice.ns)];
  if (line.slice == &slice) line = {};
  if (slice.dirty_slot != SIZE_MAX) shared_.dirty_slices[slice.dirty_slot] = nullptr;
  for (size_t slot = 0; slot < slice.evicted.slots(); ++slot) {
    for (Evicted* evicted = slice.evicted.at_slot(slot); evicted != nullptr;
         evicted = evicted->next)
      evicted->slice = nullptr;
  }
  std::erase_if(ranges_, [&](const Range& range) { return range.ns == slice.ns.value; });
  shared_.graveyard.emplace_back(shared_.sets_pushed, std::move(at->second));
  return slices_.erase(at);
}

bool HotTable::Expired(const Row& row) const {
  if (entry_.spec.ttl.has_value() && row.touched != INT64_MIN &&
      SatAdd(row.touched, entry_.spec.ttl->us) <= shared_.watermark.us)
    return true;
  return !view_.expired.empty() &&
         GetOrdered(row.key + row.key_bytes) <= view_.expired[At(row.group)];
}

Row* HotTable::NewRow(Slice& slice, uint64_t hash, uint16_t group, std::string_view key,
                      std::string_view sort, KeyEntry* owner) {
  Row* row = slice.rows.Allocate();
  const size_t payload = codec_.layout().bytes;
  std::memset(row->payload()->bytes(), 0, payload);
  char* room = reinterpret_cast<char*>(row + 1) + payload;
  if (key.size() + sort.size() > key_room_) {
    uint32_t capacity = 0;
    char* place = slice.rows.Of(*row).AllocateField(static_cast<uint32_t>(key.size() + sort.size()),
                                                    &capacity);
    row->key = place;
    room = place;
  } else {
    row->key = room;
  }
  if (!key.empty()) std::memcpy(room, key.data(), key.size());
  if (!sort.empty()) std::memcpy(room + key.size(), sort.data(), sort.size());
  row->hash = hash;
  row->slice = &slice;
  row->key_bytes = static_cast<uint32_t>(key.size());
  row->sort_bytes = static_cast<uint32_t>(sort.size());
  row->group = group;
  row->clock = 1;
  row->owner = owner;
  ++slice.hot;
  if (owner != nullptr) {
    owner->rows.Insert(row);
  } else {
    slice.row_index.Insert(row);
    if (listed_) slice.AddToList(row);
    slice.AccountIndexes();
  }
  return row;
}

KeyEntry* HotTable::NewKey(Slice& slice, uint64_t hash, uint16_t group, std::string_view key) {
  auto* entry = new (slice.keys.Allocate()) KeyEntry();
  uint32_t capacity = 0;
  char* place =
      slice.key_bytes.Allocate(static_cast<uint32_t>(std::max<size_t>(key.size(), 1)), &capacity);
  if (!key.empty()) std::memcpy(place, key.data(), key.size());
  entry->key = place;
  entry->hash = hash;
  entry->slice = &slice;
  entry->key_bytes = static_cast<uint32_t>(key.size());
  entry->group = group;
  entry->clock = 1;
  slice.key_index.Insert(entry);
  slice.AddToList(entry);
  slice.AccountIndexes();
  return entry;
}

void HotTable::Free(Row* row) {
  Slice& slice = *row->slice;
  if (row->epoch == shared_.epoch) slice.RemoveFromDirty(row);
  if (!row->marked(kSuperseded)) {
    --slice.hot;
    if (row->owner != nullptr) {
      row->owner->rows.Remove(row);
    } else {
      slice.row_index.Remove(row);
      if (listed_) slice.RemoveFromList(row);
    }
  }
  codec_.FreeOutside(*row->payload(), slice.rows.Of(*row));
  const size_t key = size_t{row->key_bytes} + row->sort_bytes;
  if (key > key_room_) {
    // The class of a length is the class it was allocated from.
    uint32_t capacity = 16;
    while (capacity < key) capacity *= 2;
    slice.rows.Of(*row).FreeField(const_cast<char*>(row->key), capacity);
  }
  slice.rows.Free(row);
  if (slice.row_index.size() == 0) slice.AccountIndexes();
}

void HotTable::Free(KeyEntry* entry) {
  Slice& slice = *entry->slice;
  slice.key_index.Remove(entry);
  slice.RemoveFromList(entry);
  uint32_t capacity = 16;
  while (capacity < entry->key_bytes) capacity *= 2;
  slice.key_bytes.Free(const_cast<char*>(entry->key), capacity);
  entry->~KeyEntry();
  slice.keys.Free(entry);
  if (slice.key_index.size() == 0) slice.AccountIndexes();
}

Row* HotTable::CopyFrozen(Row* row) {
  Slice& slice = *row->slice;
  Row* copy = slice.rows.Allocate();
  const uint32_t segment = copy->segment;
  *copy = *row;
  copy->segment = segment;
  const size_t payload = codec_.layout().bytes;
  std::memcpy(copy->payload()->bytes(), row->payload()->bytes(), payload);
  const size_t key = size_t{row->key_bytes} + row->sort_bytes;
  char* room = reinterpret_cast<char*>(copy + 1) + payload;
  if (key > key_room_) {
    uint32_t capacity = 0;
    room = slice.rows.Of(*copy).AllocateField(static_cast<uint32_t>(key), &capacity);
  }
  if (key != 0) std::memcpy(room, row->key, key);
  copy->key = room;
  codec_.CloneOutside(*copy->payload(), slice.rows.Of(*copy));
  if (row->owner != nullptr) {
    row->owner->rows.Replace(row, copy);
  } else {
    slice.row_index.Replace(row, copy);
    if (listed_) slice.lists[slice.BucketOf(row->group)][row->list_at] = copy;
  }
  row->mark |= kSuperseded;
  slice.superseded.push_back(row);
  return copy;
}

Row* HotTable::DirtySlow(Row* row) {
  if (Frozen(*row)) row = CopyFrozen(row);
  if (row->epoch != 0) row->mark |= kStored;
  Slice& slice = *row->slice;
  row->epoch = shared_.epoch;
  slice.AddToDirty(row);
  if (slice.dirty_slot == SIZE_MAX) {
    slice.dirty_slot = shared_.dirty_slices.size();
    shared_.dirty_slices.push_back(&slice);
  }
  if (row->owner != nullptr) row->owner->newest = shared_.epoch;
  return row;
}

Row* HotTable::Reset(Row* row) {
  if (row->absent()) ++row->slice->live;
  row = Dirty(row);
  codec_.FreeOutside(*row->payload(), row->slice->rows.Of(*row));
  std::memset(row->payload()->bytes(), 0, codec_.layout().bytes);
  row->flags = static_cast<uint8_t>(row->flags & ~kAbsent);
  row->touched = INT64_MIN;
  return row;
}

void HotTable::Erase(Row* row) {
  if (row->absent() && !row->marked(kPending)) return;
  if (!row->absent()) --row->slice->live;
  if (!Stored(*row) && !row->marked(kPending)) return Free(row);
  if (row->marked(kPending)) row->touched = INT64_MIN;
  row = Dirty(row);
  codec_.FreeOutside(*row->payload(), row->slice->rows.Of(*row));
  std::memset(row->payload()->bytes(), 0, codec_.layout().bytes);
  row->flags |= kAbsent;
  row->mark = static_cast<uint8_t>((row->mark | kStored) & ~kPending);
}

StateRow* HotTable::Change(StateRow* payload) { return Dirty(Row::Of(payload))->payload(); }

void HotTable::SetBytes(StateRow* payload, const StateLayout::Slot& slot, std::string_view value) {
  Row* row = Row::Of(payload);
  WEIR_CHECK(row->epoch == shared_.epoch);  // by Update, or after Change
  codec_.SetBytes(*payload, slot, value, row->slice->rows.Of(*row));
}

void HotTable::Damaged(std::string_view what) {
  if (shared_.error.ok()) {
    shared_.error = Status(Code::kCorruption,
                           "state \"" + entry_.spec.name + "\" of node \"" + entry_.node_id +
                               "\": " + std::string(what) +
                               " read from the state directory does not fit the declared row");
  }
}

bool HotTable::FillRow(Row& row, std::string_view value) {
  uint32_t key_bytes = 0;
  if (codec_.DecodeHead(value, &key_bytes, &row.touched) &&
      codec_.DecodeFields(value, *row.payload(), row.slice->rows.Of(row)))
    return true;
  Damaged("a row");
  return false;
}

void HotTable::Detach(Evicted* evicted) {
  if (evicted->slice == nullptr) return;
  Slice& slice = *evicted->slice;
  Evicted* head = slice.evicted.Find(evicted->hash, evicted->key_view());
  if (head == evicted) {
    if (evicted->next != nullptr) {
      slice.evicted.Replace(evicted, evicted->next);
    } else {
      slice.evicted.Remove(evicted);
      if (slice.evicted.size() == 0) slice.AccountIndexes();
    }
  } else {
    while (head->next != evicted) head = head->next;
    head->next = evicted->next;
  }
  evicted->slice = nullptr;
}

Row* HotTable::TakeBackRow(Slice& slice, Evicted* evicted) {
  Row* row = NewRow(slice, evicted->hash, evicted->group, evicted->key_view(), {}, nullptr);
  row->mark = kStored | kPinned;
  row->clock = kPinnedPasses;
  if (evicted->absent) {
    row->flags = kAbsent;
  } else {
    FillRow(*row, evicted->value_view());
  }
  Dirty(row);  // it may be on its way down; what goes down later replaces it
  Detach(evicted);
  return row;
}

void HotTable::TakeBackKey(KeyEntry& entry) {
  Slice& slice = *entry.slice;
  while (Evicted* evicted = slice.evicted.Find(entry.hash, entry.key_view())) {
    if (entry.rows.Find(evicted->sort_view()) == nullptr) {
      Row* row = NewRow(slice, evicted->hash, evicted->group, evicted->key_view(),
                        evicted->sort_view(), &entry);
      row->mark = kStored;
      if (evicted->absent) {
        row->flags = kAbsent;
      } else {
        FillRow(*row, evicted->value_view());
      }
      Dirty(row);
    }
    Detach(evicted);
  }
}

int64_t HotTable::Order(ColdRead read) {
  ++shared_.cold_reads;
  read.ticket = ++shared_.tickets;
  shared_.orders.push_back(std::move(read));
  return shared_.tickets;
}

bool HotTable::Awaited(const Row& row) const {
  if (row.owner != nullptr && row.owner->marked(kPending)) return true;
  const std::vector<uint16_t>& held = row.slice->held_groups;
  return std::find(held.begin(), held.end(), row.group) != held.end();
}

void HotTable::OrderRow(Slice& slice, uint64_t hash, uint16_t group, std::string_view key) {
  Row* row = NewRow(slice, hash, group, key, {}, nullptr);
  row->flags = kAbsent;
  row->mark = kPending;
  ColdRead read;
  read.kind = ColdRead::Kind::kRow;
  read.state = state_;
  read.group = group;
  read.ns = slice.ns.value;
  read.hash = hash;
  read.key = key;
  row->touched = Order(std::move(read));
}

void HotTable::OrderKey(KeyEntry& entry) {
  if (entry.marked(kPending)) return;
  entry.mark |= kPending;
  ColdRead read;
  read.kind = ColdRead::Kind::kKey;
  read.state = state_;
  read.group = entry.group;
  read.ns = entry.slice->ns.value;
  read.hash = entry.hash;
  read.key = entry.key_view();
  entry.touched = Order(std::move(read));
}

void HotTable::Arrive(ColdRead& read) {
  if (read.kind == ColdRead::Kind::kRange) return ArriveRange(read);
  Slice* slice = FindSlice({read.ns});
  if (slice == nullptr) return;  // dropped meanwhile
  if (read.kind == ColdRead::Kind::kKey) {
    KeyEntry* entry = slice->key_index.Find(read.hash, read.key);
    if (entry == nullptr || !entry->marked(kPending) || entry->touched != read.ticket) return;
    std::vector<std::pair<std::string_view, std::string_view>> rows(read.rows.begin(),
                                                                    read.rows.end());
    return ArriveKey(*slice, *entry, rows);
  }
  Row* row = slice->row_index.Find(read.hash, read.key);
  if (row == nullptr || !row->marked(kPending) || row->touched != read.ticket)
    return;  // written blindly meanwhile
  row->touched = INT64_MIN;
  if (!read.rows.empty()) {
    if (!FillRow(*row, read.rows.front().second)) return;  // stays pending: the attempt ends
    row->flags = 0;
  }
  row->mark = static_cast<uint8_t>(kPinned | (read.rows.empty() ? 0 : kStored));
  row->clock = kPinnedPasses;
}

void HotTable::ArriveKey(Slice& slice, KeyEntry& entry,
                         std::span<std::pair<std::string_view, std::string_view>> rows) {
  for (const auto& [sort, value] : rows) {
    if (entry.rows.Find(sort) != nullptr) continue;
    Row* row = NewRow(slice, entry.hash, entry.group, entry.key_view(), sort, &entry);
    row->mark = kStored;
    if (!FillRow(*row, value)) return;
    if (Expired(*row)) Free(row);
  }
  entry.mark = static_cast<uint8_t>((entry.mark & ~kPending) | kComplete | kPinned);
  entry.clock = kPinnedPasses;
}

HotTable::Range* HotTable::FindRange(int64_t ns, uint16_t group, std::string_view after) {
  for (Range& range : ranges_) {
    if (range.ns == ns && range.group == group && range.after == after) return &range;
  }
  return nullptr;
}

/// What is in the eviction buffer comes back first, and nothing of the group is evicted until the
/// range was used: so the storage's answer and the table together are the whole truth.
void HotTable::OrderRange(Slice& slice, uint16_t group, std::string_view after, size_t rows_max) {
  std::vector<Evicted*> keys;
  for (size_t slot = 0; slot < slice.evicted.slots(); ++slot) {
    Evicted* evicted = slice.evicted.at_slot(slot);
    if (evicted != nullptr && evicted->group == group) keys.push_back(evicted);
  }
  for (Evicted* evicted : keys) {
    if (!keyed_rows_) {
      TakeBackRow(slice, evicted);
      continue;
    }
    KeyEntry* entry = slice.key_index.Find(evicted->hash, evicted->key_view());
    if (entry == nullptr) entry = NewKey(slice, evicted->hash, group, evicted->key_view());
    TakeBackKey(*entry);
    entry->mark |= kPinned;
    entry->clock = kPinnedPasses;
  }
  slice.held_groups.push_back(group);
  ColdRead read;
  read.kind = ColdRead::Kind::kRange;
  read.state = state_;
  read.group = group;
  read.ns = slice.ns.value;
  read.key = after;
  read.rows_max = rows_max;
  ranges_.push_back(
      {slice.ns.value, group, std::string(after), {}, Order(std::move(read)), false, false, 0});
}

void HotTable::LoadSlice(Slice& slice) {
  for (size_t at = 0; at < view_.horizons.size(); ++at) {
    const auto group = static_cast<uint16_t>(shared_.groups.first.value + at);
    if (slice.SpilledAt(group) && FindRange(slice.ns.value, group, {}) == nullptr)
      OrderRange(slice, group, {}, SIZE_MAX);
  }
}

void HotTable::Release(const Range& range) {
  if (Slice* slice = FindSlice({range.ns})) {
    const auto held = std::find(slice->held_groups.begin(), slice->held_groups.end(), range.group);
    if (held != slice->held_groups.end()) slice->held_groups.erase(held);
  }
  ranges_.erase(ranges_.begin() + (&range - ranges_.data()));
}

void HotTable::ArriveRange(ColdRead& read) {
  Slice* slice = FindSlice({read.ns});
  Range* range = FindRange(read.ns, read.group, read.key);
  if (slice == nullptr || range == nullptr || range->ticket != read.ticket) return;
  std::vector<std::pair<std::string_view, std::string_view>> rows;
  for (size_t at = 0; at < read.rows.size();) {
    const auto& [text, value] = read.rows[at];
    std::string_view rest = value;
    uint32_t key_bytes = 0;
    int64_t touched = 0;
    if (!codec_.DecodeHead(rest, &key_bytes, &touched) || key_bytes > text.size())
      return Damaged("a row");
    const std::string_view key =
        std::string_view(text).substr(0, keyed_rows_ ? key_bytes : text.size());
    const uint64_t hash = HashKey(key);
    if (!keyed_rows_) {
      Row* row = slice->row_index.Find(hash, key);
      if (row == nullptr) {
        row = NewRow(*slice, hash, read.group, key, {}, nullptr);
      } else if (!row->marked(kPending)) {
        ++at;
        continue;
      }
      row->flags = 0;
      row->mark = kStored | kPinned;
      row->clock = kPinnedPasses;
      if (!FillRow(*row, value)) return;
      ++at;
      continue;
    }
    rows.clear();
    for (; at < read.rows.size() && read.rows[at].first.compare(0, key.size(), key) == 0; ++at) {
      rows.emplace_back(std::string_view(read.rows[at].first).substr(key.size()),
                        read.rows[at].second);
    }
    KeyEntry* entry = slice->key_index.Find(hash, key);
    if (entry == nullptr) entry = NewKey(*slice, hash, read.group, key);
    if (!entry->marked(kComplete) || entry->marked(kPending)) ArriveKey(*slice, *entry, rows);
  }
  range->arrived = true;
  range->end = read.end;
  if (!read.end && !read.rows.empty()) {
    const auto& [text, value] = read.rows.back();
    std::string_view rest = value;
    uint32_t key_bytes = 0;
    int64_t touched = 0;
    codec_.DecodeHead(rest, &key_bytes, &touched);
    range->bound = text.substr(0, keyed_rows_ ? key_bytes : text.size());
  }
  // All of the group is hot now: later look-ups need no read.
  if (range->after.empty() && range->end) {
    slice->Unspill(range->group);
    Release(*range);
  }
}

void HotTable::AgeRanges() {
  for (size_t at = 0; at < ranges_.size();) {
    if (ranges_[at].arrived && ++ranges_[at].age > kRangeAgeMax) {
      Release(ranges_[at]);
    } else {
      ++at;
    }
  }
}

void HotTable::Written(Evicted* evicted) { Detach(evicted); }

bool HotTable::Gather(Slice& slice, uint16_t group, std::string_view after, const Range* range) {
  gathered_.clear();
  if (slice.lists.empty()) return true;
  for (Item* item : slice.lists[slice.BucketOf(group)]) {
    if (item->group != group) continue;
    const std::string_view key = item->key_view();
    if (!after.empty() && key <= after) continue;
    if (range != nullptr && !range->end && key > range->bound) continue;
    if (item->marked(kPending)) return false;
    if (keyed_rows_ ? static_cast<KeyEntry*>(item)->rows.empty()
                    : (item->absent() || Expired(*static_cast<Row*>(item))))
      continue;
    gathered_.push_back({Prefix(key), item});
  }
  return true;
}

void HotTable::UseItem(Item& item) {
  item.mark = static_cast<uint8_t>(item.mark & ~kPinned);
  item.clock = 1;
}

void HotTable::AppendItem(Item* item, RowBlock& block) {
  const auto add = [&](Row* row) {
    block.rows.push_back(row->payload());
    block.key.push_back(row->key_view());
    block.hash.push_back(row->hash);
    block.sort.push_back(row->sort_view());
  };
  if (!keyed_rows_) return add(static_cast<Row*>(item));
  const SortedRows& rows = static_cast<KeyEntry*>(item)->rows;
  for (auto at = rows.begin(); at != rows.end(); at = rows.Next(at)) {
    Row* row = rows.At(at);
    if (!row->absent() && !Expired(*row)) add(row);
  }
}

/// False: not all of it had room. In key order, so that an operator may stop behind any row of a
/// block and go on from its key.
bool HotTable::AppendGathered(RowBlock& block) {
  const auto less = [](const Sortable& a, const Sortable& b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : a.item->key_view() < b.item->key_view();
  };
  const size_t room = RowBlock::kRowsMax - std::min<size_t>(block.rows.size(), RowBlock::kRowsMax);
  bool all = true;
  if (gathered_.size() > room) {
    std::nth_element(gathered_.begin(), gathered_.begin() + static_cast<ptrdiff_t>(room),
                     gathered_.end(), less);
    gathered_.resize(room);
    all = false;
  }
  std::sort(gathered_.begin(), gathered_.end(), less);
  constexpr size_t kAhead = 8;
  for (size_t i = 0; i < gathered_.size(); ++i) {
    if (i + kAhead < gathered_.size()) __builtin_prefetch(gathered_[i + kAhead].item);
    AppendItem(gathered_[i].item, block);
    UseItem(*gathered_[i].item);
    // Whole keys: one with very many rows may pass the bound of a block.
    if (block.rows.size() >= RowBlock::kRowsMax && i + 1 < gathered_.size()) return false;
  }
  return all;
}

Ready HotTable::ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                              RowBlock& block) {
  block.rows.clear();
  block.key.clear();
  block.hash.clear();
  block.sort.clear();
  block.first.clear();
  block.more = false;
  WEIR_CHECK(groups.first <= groups.last && shared_.groups.Contains(groups.first) &&
             shared_.groups.Contains(groups.last));
  Slice* slice = FindSlice(ns);
  if (slice == nullptr) return Ready::kReady;
  for (uint32_t at = groups.first.value; at <= groups.last.value; ++at) {
    const auto group = static_cast<uint16_t>(at);
    if (Dropped(*slice, group)) continue;
    const std::string_view after = group == groups.first.value ? after_key : std::string_view();
    Range* range = nullptr;
    bool wait = false;
    if (slice->SpilledAt(group)) {
      range = FindRange(ns.value, group, after);
      if (range == nullptr) {
        if (block.rows.empty()) OrderRange(*slice, group, after, RowBlock::kRowsMax);
        wait = true;
      } else {
        wait = !range->arrived;
      }
    }
    if (!wait) wait = !Gather(*slice, group, after, range);
    if (wait) {
      if (block.rows.empty()) return Ready::kWait;
      block.more = true;
      return Ready::kReady;
    }
    if (!block.rows.empty() && block.rows.size() + gathered_.size() > RowBlock::kRowsMax) {
      block.more = true;
      return Ready::kReady;
    }
    const bool all = AppendGathered(block);
    const bool goes_on = !all || (range != nullptr && !range->end);
    const bool nothing =
        goes_on && block.rows.empty();  // a chunk of erased rows only: the next chunk follows below
    if (range != nullptr) {
      const std::string bound = range->bound;
      Release(*range);
      if (nothing) return ScanNamespace(ns, {{group}, groups.last}, bound, block);
    }
    if (goes_on) {
      block.more = true;
      return Ready::kReady;
    }
  }
  return Ready::kReady;
}

void HotTable::Drop(Namespace up_to, GroupRange groups) {
  WEIR_CHECK(shared_.groups.Contains(groups.first) && shared_.groups.Contains(groups.last));
  for (size_t at = At(groups.first.value); at <= At(groups.last.value); ++at) {
    view_.horizons[at] = std::max(view_.horizons[at], up_to.value);
  }
  for (auto at = slices_.begin(); at != slices_.end() && at->first <= up_to.value;) {
    Slice& slice = *at->second;
    slice.partly_dropped = true;
    bool whole = true;
    for (size_t group = 0; group < view_.horizons.size() && whole; ++group) {
      if (view_.horizons[group] >= slice.ns.value) continue;
      const auto id = static_cast<uint16_t>(shared_.groups.first.value + group);
      const size_t bucket = slice.BucketOf(id);
      whole = !slice.spilled[bucket] && (slice.lists.empty() || slice.lists[bucket].empty());
    }
    // Rows in the eviction buffer have their group's bit set.
    at = whole ? Bury(at) : std::next(at);
  }
}

bool HotTable::MayGo(Slice& slice, Item& item) {
  if (item.marked(kPending)) return false;
  if (item.marked(kPinned)) {
    if (item.clock > 0) {
      --item.clock;
      return false;
    }
    item.mark = static_cast<uint8_t>(item.mark & ~kPinned);
  } else if (item.clock > 0) {
    item.clock = 0;
    return false;
  }
  return std::find(slice.held_groups.begin(), slice.held_groups.end(), item.group) ==
         slice.held_groups.end();
}

void HotTable::ToBatch(Slice& slice, Row& row) {
  text_.clear();
  if (!row.absent()) codec_.Encode(row, *row.payload(), text_);
  if (shared_.batch == nullptr) shared_.batch = std::make_unique<EvictionBatch>();
  char* text = nullptr;
  const size_t key = size_t{row.key_bytes} + row.sort_bytes;
  Evicted* evicted = shared_.batch->Add(key + text_.size(), &text);
  if (key != 0) std::memcpy(text, row.key, key);
  if (!text_.empty()) std::memcpy(text + key, text_.data(), text_.size());
  evicted->hash = row.hash;
  evicted->ns = slice.ns.value;
  evicted->key_bytes = row.key_bytes;
  evicted->sort_bytes = row.sort_bytes;
  evicted->value_bytes = static_cast<uint32_t>(text_.size());
  evicted->state = state_;
  evicted->group = row.group;
  evicted->absent = row.absent();
  evicted->slice = &slice;
  if (Evicted* older = slice.evicted.Find(row.hash, row.key_view())) {
    evicted->next = older;
    slice.evicted.Replace(older, evicted);
  } else {
    slice.evicted.Insert(evicted);
    slice.AccountIndexes();
  }
  slice.Spill(row.group);
}

HotTable::Evictable HotTable::EvictRow(Slice& slice, Row& row) {
  if (Frozen(row)) return Evictable::kNo;
  const bool gone = Dropped(slice, row.group);
  if (row.epoch == shared_.epoch && !gone && (!row.absent() || row.marked(kStored))) {
    if (!shared_.HasRoom(RowBytes())) return Evictable::kNoRoom;
    ToBatch(slice, row);
  } else if (!row.absent() && !gone) {
    slice.Spill(row.group);
  }
  Free(&row);
  return Evictable::kYes;
}

HotTable::Evictable HotTable::EvictKey(Slice& slice, KeyEntry& entry) {
  const bool gone = Dropped(slice, entry.group);
  if (entry.newest > shared_.clean_through) {
    bool changed = false;
    for (auto at = entry.rows.begin(); at != entry.rows.end(); at = entry.rows.Next(at)) {
      if (Frozen(*entry.rows.At(at))) return Evictable::kNo;
      changed = changed || entry.rows.At(at)->epoch == shared_.epoch;
    }
    if (changed && !gone && !shared_.HasRoom(RowBytes())) return Evictable::kNoRoom;
  }
  while (!entry.rows.empty()) {
    Row& row = *entry.rows.At(entry.rows.begin());
    const bool dead = gone || (!view_.expired.empty() && Expired(row));
    if (row.epoch == shared_.epoch && !dead && (!row.absent() || row.marked(kStored))) {
      ToBatch(slice, row);
    } else if (!row.absent() && !dead) {
      slice.Spill(row.group);
    }
    Free(&row);
  }
  Free(&entry);
  return Evictable::kYes;
}

bool HotTable::EvictRows(Slice& slice, size_t bytes, int64_t& budget, int64_t& freed) {
  const int64_t before = shared_.totals.bytes;
  for (; slice.hand < slice.rows.size(); ++slice.hand, slice.hand_slot = 0) {
    // Of a segment that goes with its last row, the rest of this call is nothing.
    for (; slice.rows.at(slice.hand) != nullptr &&
           slice.hand_slot < slice.rows.at(slice.hand)->slots();
         ++slice.hand_slot) {
      if (budget <= 0 || freed >= static_cast<int64_t>(bytes)) return true;
      Row* row = slice.rows.at(slice.hand)->at(slice.hand_slot);
      budget -= kVisitCost;
      if (row == nullptr || row->marked(kSuperseded) || !MayGo(slice, *row)) continue;
      const Evictable gone = EvictRow(slice, *row);
      if (gone == Evictable::kNoRoom) return false;
      if (gone == Evictable::kNo) continue;
      budget -= kEvictCost;
      ++shared_.evictions;
      freed = before - shared_.totals.bytes;
    }
  }
  return true;
}

bool HotTable::EvictKeys(Slice& slice, size_t bytes, int64_t& budget, int64_t& freed) {
  const int64_t before = shared_.totals.bytes;
  while (slice.hand < slice.key_index.slots()) {
    if (budget <= 0 || freed >= static_cast<int64_t>(bytes)) return true;
    KeyEntry* entry = slice.key_index.at_slot(slice.hand);
    budget -= kVisitCost;
    Evictable gone = Evictable::kNo;
    if (entry != nullptr && MayGo(slice, *entry)) gone = EvictKey(slice, *entry);
    if (gone == Evictable::kNoRoom) return false;
    if (gone == Evictable::kYes) {  // another item may have been shifted into this slot
      budget -= kEvictCost;
      ++shared_.evictions;
      freed = before - shared_.totals.bytes;
    } else {
      ++slice.hand;
    }
  }
  return true;
}

bool HotTable::Evict(size_t bytes, int64_t& budget, int64_t& freed) {
  auto at = slices_.lower_bound(hand_);
  for (size_t slices = slices_.size() + 1;
       slices > 0 && budget > 0 && freed < static_cast<int64_t>(bytes); --slices) {
    if (slices_.empty()) break;
    if (at == slices_.end()) at = slices_.begin();
    Slice& slice = *at->second;
    hand_ = at->first;
    const size_t end = keyed_rows_ ? slice.key_index.slots() : slice.rows.size();
    if (slice.active) slice.hand = end;
    int64_t of_slice = 0;
    const size_t wanted = bytes - static_cast<size_t>(freed);
    const bool room = keyed_rows_ ? EvictKeys(slice, wanted, budget, of_slice)
                                  : EvictRows(slice, wanted, budget, of_slice);
    freed += std::max<int64_t>(of_slice, 0);
    if (!room) return false;
    if (slice.hand < end) break;
    slice.hand = slice.hand_slot = 0;
    at = slice.Empty() ? Bury(at) : std::next(at);
    hand_ = at == slices_.end() ? INT64_MIN : at->first;
  }
  return true;
}

}  // namespace weir::state
