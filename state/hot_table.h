#pragma once
// HotTable: the hot rows of one state of one task, slice by slice, and what the kinds of state
// share: look-ups that fall through to the eviction buffer and to the storage, changes with
// copy-on-write of frozen versions, namespace scans, horizons, eviction. The kinds (value_state.h,
// sorted_state.h, timer_state.h) are thin over it. W only.
//
// Where a row is looked for: table, eviction buffer, `spilled` bit of (key group, namespace),
// storage. What was ordered from the storage is a pending item in the table, so it is ordered once
// and is never evicted; what has arrived is pinned until a call has used it.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/key_encoding.h"
#include "state/lower.h"
#include "state/slice.h"

namespace weir::state {

/// Between the tables of a task and the pool; HotState implements it.
class Pump {
 public:
  virtual ~Pump() = default;
  /// Takes in what was read. Called first by every state call; frees no row that an operator may
  /// hold.
  virtual void TakeReads() = 0;
  /// Also frees what written sets no longer need: only between calls of operators.
  virtual void Settle() = 0;
  /// Hands the orders of a state call to the pool.
  virtual void SendOrders() = 0;
};

/// What the tables of one task share.
struct HotShared {
  Pump* pump = nullptr;
  GroupRange groups;
  uint32_t key_groups = 128;
  uint32_t epoch = 1;  // of changes made now
  uint32_t clean_through =
      0;  // changes up to this epoch have been written; between the two: frozen
  SliceTotals totals;
  EventTime watermark = EventTime::Min();
  std::vector<Slice*> dirty_slices;  // holes are nullptr
  std::unique_ptr<EvictionBatch> batch;
  size_t buffered_bytes = 0;  // in eviction batches that have been handed over
  size_t buffer_bytes_max = 0;
  uint64_t sets_pushed = 0;
  std::vector<std::pair<uint64_t, std::unique_ptr<Slice>>>
      graveyard;  // may go when so many sets have been written
  std::vector<ColdRead> orders;
  int64_t tickets = 0;
  Status error;  // damaged rows
  uint64_t evictions = 0, cold_reads = 0;

  /// In the eviction buffer, of whose bytes none is in a slice.
  size_t BufferBytes() const { return buffered_bytes + (batch ? batch->bytes() : 0); }
  bool HasRoom(size_t more) const { return BufferBytes() + more <= buffer_bytes_max; }
};

class HotTable {
 public:
  HotTable(HotShared& shared, uint16_t state, const TaskStateEntry& entry, const RowCodec& codec);
  HotTable(const HotTable&) = delete;
  HotTable& operator=(const HotTable&) = delete;

  const TaskStateEntry& entry() const { return entry_; }
  const RowCodec& codec() const { return codec_; }
  uint16_t state() const { return state_; }
  HotShared& shared() { return shared_; }
  std::map<int64_t, std::unique_ptr<Slice>>& slices() { return slices_; }
  StateView& view() { return view_; }

  // Slices.
  Slice* FindSlice(Namespace ns) {
    CacheLine& line = cache_[CacheOf(ns)];
    if (line.slice != nullptr && line.ns == ns.value) return line.slice;
    return FindSliceSlow(ns);
  }
  Slice& MakeSlice(Namespace ns);
  std::map<int64_t, std::unique_ptr<Slice>>::iterator Bury(
      std::map<int64_t, std::unique_ptr<Slice>>::iterator slice);

  // Groups.
  uint16_t GroupOf(uint64_t hash) const {
    const KeyGroup group = KeyGroupOf(hash, shared_.key_groups);
    WEIR_CHECK(shared_.groups.Contains(group));
    return group.value;
  }
  size_t At(uint16_t group) const {
    return static_cast<size_t>(group - shared_.groups.first.value);
  }
  bool Dropped(const Slice& slice, uint16_t group) const {
    return slice.partly_dropped && slice.ns.value <= view_.horizons[At(group)];
  }
  bool Expired(const Row& row) const;

  // Rows.
  Row* NewRow(Slice& slice, uint64_t hash, uint16_t group, std::string_view key,
              std::string_view sort, KeyEntry* owner);
  KeyEntry* NewKey(Slice& slice, uint64_t hash, uint16_t group, std::string_view key);
  bool Frozen(const Row& row) const {
    return row.epoch > shared_.clean_through && row.epoch != shared_.epoch;
  }
  bool Stored(const Row& row) const {
    return row.marked(kStored) || (row.epoch != 0 && row.epoch != shared_.epoch);
  }
  /// The version of `row` that may be changed now.
  Row* Dirty(Row* row) { return row->epoch == shared_.epoch ? row : DirtySlow(row); }
  /// All fields NULL again, as a row that has just been made.
  Row* Reset(Row* row);
  void Erase(Row* row);
  /// Removes it from all lists, and its memory goes. REQUIRES: not frozen.
  void Free(Row* row);
  void Free(KeyEntry* entry);
  StateRow* Change(StateRow* payload);
  void SetBytes(StateRow* payload, const StateLayout::Slot& slot, std::string_view value);

  // Below the table.
  /// Rows of `key` in the eviction buffer come back as changed rows.
  Row* TakeBackRow(Slice& slice, Evicted* evicted);
  void TakeBackKey(KeyEntry& entry);
  void Detach(Evicted* evicted);
  void OrderRow(Slice& slice, uint64_t hash, uint16_t group, std::string_view key);
  void OrderKey(KeyEntry& entry);
  int64_t Order(ColdRead read);
  /// Whether an answer may still come that was read before what is being written now.
  bool Awaited(const Row& row) const;
  void Arrive(ColdRead& read);
  /// A set that holds these evicted rows has been written.
  void Written(Evicted* evicted);

  /// Orders everything of a slice that is not hot; `spilled` is clear when it has arrived. Timers.
  void LoadSlice(Slice& slice);
  Ready ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key, RowBlock& block);
  void Drop(Namespace up_to, GroupRange groups);
  Namespace Horizon(KeyGroup group) const { return {view_.horizons[At(group.value)]}; }

  /// One step of the clock: visits items until `budget` is used up or `bytes` are free. False: the
  /// eviction buffer is full.
  bool Evict(size_t bytes, int64_t& budget, int64_t& freed);
  /// Forgets ranges that were ordered and never used.
  void AgeRanges();

  uint64_t next_number = 0;  // logs: of the next row

 private:
  struct CacheLine {
    int64_t ns = 0;
    Slice* slice = nullptr;
  };
  /// A part of (namespace, group) that a scan ordered: everything behind `after` up to `bound`.
  struct Range {
    int64_t ns;
    uint16_t group;
    std::string after, bound;
    int64_t ticket;
    bool arrived = false, end = false;
    uint32_t age = 0;
  };
  static constexpr size_t kCacheLines = 64;
  static size_t CacheOf(Namespace ns) {
    return static_cast<size_t>((static_cast<uint64_t>(ns.value) * 0x9E3779B97F4A7C15ULL) >> 58);
  }

  Slice* FindSliceSlow(Namespace ns);
  Row* DirtySlow(Row* row);
  Row* CopyFrozen(Row* row);
  bool FillRow(Row& row, std::string_view value);
  void Damaged(std::string_view what);
  size_t RowBytes() const { return sizeof(Row) + codec_.layout().bytes + key_room_; }
  void ArriveRange(ColdRead& read);
  void ArriveKey(Slice& slice, KeyEntry& entry,
                 std::span<std::pair<std::string_view, std::string_view>> rows);
  void OrderRange(Slice& slice, uint16_t group, std::string_view after, size_t rows_max);
  Range* FindRange(int64_t ns, uint16_t group, std::string_view after);
  void Release(const Range& range);
  bool Gather(Slice& slice, uint16_t group, std::string_view after, const Range* range);
  bool AppendGathered(RowBlock& block);
  void AppendItem(Item* item, RowBlock& block);
  void UseItem(Item& item);
  enum class Evictable : uint8_t { kNo, kYes, kNoRoom };
  bool EvictRows(Slice& slice, size_t bytes, int64_t& budget, int64_t& freed);
  bool EvictKeys(Slice& slice, size_t bytes, int64_t& budget, int64_t& freed);
  Evictable EvictRow(Slice& slice, Row& row);
  Evictable EvictKey(Slice& slice, KeyEntry& entry);
  bool MayGo(Slice& slice, Item& item);
  void ToBatch(Slice& slice, Row& row);

  HotShared& shared_;
  const uint16_t state_;
  const TaskStateEntry entry_;
  const RowCodec& codec_;
  const bool keyed_rows_;  // rows hang below key entries
  const bool listed_;
  const size_t key_room_;
  StateView view_;
  std::map<int64_t, std::unique_ptr<Slice>> slices_;
  CacheLine cache_[kCacheLines];
  std::vector<Range> ranges_;
  int64_t hand_ = INT64_MIN;  // the slice the clock is in
  std::string text_;          // scratch
  struct Sortable {
    uint64_t prefix;
    Item* item;
  };
  std::vector<Sortable> gathered_;  // scratch
};

/// The methods that all kinds of keyed state have, in terms of their table.
template <class Interface>
class TableState : public Interface {
 public:
  explicit TableState(HotTable& table) : table_(table) {}
  const StateLayout& layout() const override { return table_.codec().layout(); }
  StateRow* Change(StateRow* row) override { return table_.Change(row); }
  void SetBytes(StateRow* row, const StateLayout::Slot& slot, std::string_view value) override {
    table_.SetBytes(row, slot, value);
  }
  void Drop(Namespace up_to, GroupRange groups) override { table_.Drop(up_to, groups); }
  Namespace Horizon(KeyGroup group) const override { return table_.Horizon(group); }

 protected:
  HotTable& table_;
};

}  // namespace weir::state
