#pragma once
// Slice: the hot rows of one namespace of one state: fixed-size rows in slabs, long bytes in size
// classes, an index, and the items of each key group in a list, so that a slice is enumerated by
// group and dropped whole. W only, but for what P reads of frozen rows (row.h); a slice therefore
// outlives every write set that was handed over while it lived (HotState buries it).

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "state/eviction.h"
#include "state/index.h"
#include "state/row_codec.h"
#include "state/sorted_rows.h"

namespace weir::state {

/// All rows of one key of a map or log.
struct KeyEntry : Item {
  SortedRows rows;
  uint32_t newest = 0;  // epoch of the last change of any row
};

/// What several owners count together: the owner's own part, and the sum it belongs to.
class Counted {
 public:
  explicit Counted(int64_t* total) : total_(total) {}
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { *total_ -= value_; }
  void Add(int64_t delta) {
    value_ += delta;
    *total_ += delta;
  }
  void operator++() { Add(1); }
  void operator--() { Add(-1); }
  int64_t value() const { return value_; }
  int64_t* total() const { return total_; }

 private:
  int64_t* total_;
  int64_t value_ = 0;
};

/// What writing a changed row takes beside the row: its place in the order of keys.
inline constexpr size_t kWriteBytesPerRow = 32;

/// What the slices of a task add up to. W.
struct SliceTotals {
  int64_t bytes = 0;
  int64_t hot = 0;   // rows in the tables
  int64_t live = 0;  // rows, cold ones included
};

/// The allocator maps blocks of this size one by one: they go back to the system when they are
/// freed, and do not lie between smaller ones.
inline constexpr size_t kSlabBytesMax = size_t{256} << 10;

/// Key entries, in slabs that grow to kSlabBytesMax; freed ones are used again first.
class Pool {
 public:
  Pool(size_t stride, int64_t* account) : stride_((stride + 7) & ~size_t{7}), used_(account) {}
  void* Allocate();
  void Free(void* object);

 private:
  static constexpr size_t kSlabBytesLeast = 1024;
  size_t stride_;
  Counted used_;
  std::vector<std::unique_ptr<char[]>> slabs_;
  void* free_ = nullptr;
  char* next_ = nullptr;
  size_t left_ = 0, slab_bytes_ = kSlabBytesLeast;
};

/// Byte strings in size classes of powers of two: up to 64 KiB from slabs, longer ones alone.
class BytesPool {
 public:
  BytesPool(size_t slab_bytes, int64_t* account) : slab_bytes_(slab_bytes), used_(account) {}
  BytesPool(const BytesPool&) = delete;
  BytesPool& operator=(const BytesPool&) = delete;
  char* Allocate(uint32_t bytes, uint32_t* capacity);
  void Free(char* bytes, uint32_t capacity);

 private:
  static constexpr uint32_t kClassLeast = 4, kClasses = 17;  // 16 bytes ... 1 MiB
  static constexpr uint32_t kFromSlabMost = 64 * 1024;
  static uint32_t ClassOf(uint32_t bytes);

  const size_t slab_bytes_;  // of the first one; they double
  Counted used_;
  std::array<void*, kClasses> free_{};
  std::vector<std::unique_ptr<char[]>> slabs_;
  std::vector<std::unique_ptr<char[]>> large_;
  char* next_ = nullptr;
  size_t left_ = 0;
};

/// Rows that were made one after another, and the byte strings they own. The clock goes through a
/// segment and leaves it empty where nobody has asked for its rows since: so what is evicted is
/// memory again, not only room for more rows of the same slice.
class RowSegment final : public FieldMemory {
 public:
  RowSegment(size_t stride, size_t capacity, int64_t* account);
  char* AllocateField(uint32_t bytes, uint32_t* capacity) override {
    return bytes_.Allocate(bytes, capacity);
  }
  void FreeField(char* bytes, uint32_t capacity) override { bytes_.Free(bytes, capacity); }

  void* Allocate();  // nullptr: full
  void Free(Row* row);
  bool empty() const { return rows_ == 0; }
  size_t slots() const { return used_; }
  /// nullptr: free.
  Row* at(size_t slot) const {
    auto* row = reinterpret_cast<Row*>(memory_.get() + slot * stride_);
    return row->slice == nullptr ? nullptr : row;
  }

 private:
  friend class RowSegments;
  const size_t stride_, capacity_;
  const std::unique_ptr<char[]> memory_;
  BytesPool bytes_;
  void* free_ = nullptr;
  size_t used_ = 0, rows_ = 0;
  bool open_ = true;  // may have room, and is listed so
};

/// All rows of a slice, hot ones and frozen versions.
class RowSegments {
 public:
  RowSegments(size_t stride, int64_t* account)
      : stride_((stride + 7) & ~size_t{7}), used_(account) {}
  /// All fields but `segment` as constructed; nothing else of the row is set.
  Row* Allocate();
  void Free(Row* row);
  RowSegment& Of(const Row& row) { return *all_[row.segment]; }
  size_t size() const { return all_.size(); }
  RowSegment* at(size_t segment) const { return all_[segment].get(); }  // nullptr: none any more

 private:
  static constexpr size_t kRowsLeast = 8;
  const size_t stride_;
  Counted used_;
  std::vector<std::unique_ptr<RowSegment>> all_;
  std::vector<uint32_t> open_, unused_;
  size_t rows_next_ = kRowsLeast;  // of the next segment
};

struct Slice {
  Slice(uint16_t state_index, Namespace of, size_t row_stride, size_t buckets, SliceTotals& totals);
  ~Slice();
  Slice(const Slice&) = delete;
  Slice& operator=(const Slice&) = delete;

  size_t BucketOf(uint16_t group) const { return group % spilled.size(); }
  bool SpilledAt(uint16_t group) const { return spilled[BucketOf(group)]; }
  void Spill(uint16_t group) { SetSpilled(group, true); }
  void Unspill(uint16_t group) { SetSpilled(group, false); }
  bool AnySpilled() const { return spilled_groups > 0; }
  /// Nothing lies here or below: the slice may go.
  bool Empty() const {
    return row_index.size() + key_index.size() + evicted.size() == 0 && superseded.empty() &&
           !AnySpilled();
  }
  void AddToList(Item* item);
  void RemoveFromList(const Item* item);
  void AddToDirty(Row* row);
  void RemoveFromDirty(const Row* row);
  /// The caller accounts the list from now on: DirtyBytes() of before.
  std::vector<Row*> TakeDirty();
  size_t DirtyBytes() const {
    return dirty.capacity() * sizeof(Row*) + dirty.size() * kWriteBytesPerRow;
  }
  /// After the indexes may have grown.
  void AccountIndexes();

  // Fixed after construction; P reads them.
  const uint16_t state;
  const Namespace ns;

  // W only.
  Counted own_bytes;  // of the slice itself, its indexes and lists; the pools account their own
  Counted hot;        // rows in the table, without frozen versions
  size_t index_bytes = 0;  // of these, the indexes'
  RowSegments rows;
  Pool keys;
  BytesPool key_bytes;        // of `keys`
  Index<Row> row_index;       // values, timers
  Index<KeyEntry> key_index;  // maps, logs
  Index<Evicted> evicted;     // what lies in eviction batches, by key
  std::vector<std::vector<Item*>>
      lists;  // by bucket of key groups, in no order; none while the slice has no items
  std::vector<bool> spilled;  // by bucket: below the table may be items that are not in it
  size_t spilled_groups = 0;  // bits that are set
  std::vector<Row*> dirty;    // changed in this epoch
  std::vector<Row*> superseded;
  std::vector<uint16_t>
      held_groups;  // a part of these is being read or was not used yet: nothing of them is evicted
  size_t dirty_slot = SIZE_MAX;  // position among the task's slices with changes
  Counted live;  // rows, cold ones included; an estimate after blind writes and restores
  int64_t earliest = INT64_MAX;  // timers
  bool partly_dropped = false;   // some groups lie at or below their horizon
  bool active = false;           // timers: in the heap of due ones, so never evicted
  size_t hand = 0;               // the clock's: a segment, or a slot of the index of keys
  size_t hand_slot = 0;          // within the segment

 private:
  void SetSpilled(uint16_t group, bool value) {
    if (SpilledAt(group) == value) return;
    spilled[BucketOf(group)] = value;
    spilled_groups += value ? 1 : size_t(-1);
  }
};

}  // namespace weir::state
