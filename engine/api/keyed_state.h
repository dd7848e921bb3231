#pragma once
// Keyed state as operators see it: declared in the registry entry, reached a whole
// batch of keys at a time. W; never blocks: a row that lies on disk is ordered and the call answers
// kWait (nothing changed; return Step::Wait, the same call comes again). Row pointers live until
// the operator's call returns. The task extracts keys, orders cold rows ahead, snapshots, evicts.
// One table per (task, state), open addressing over (namespace, key[, subkey]) above RocksDB or
// memory; one dirty set per task.

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/data/batch.h"

namespace weir {

enum class Ready : uint8_t { kReady, kWait };

/// Where the fields of a state's row lie; the same for every row of a state.
struct StateLayout {
  struct Slot {
    uint32_t offset = 0;
    uint16_t null_bit = 0;
    Type type;
  };
  std::vector<Slot> fields;
  uint32_t bytes = 0;  // of the payload, a multiple of 16
  static StateLayout Of(const Schema& row);
};

/// A bytes field of a row: 12 bytes inline, longer in memory of the table. Only the table writes it
/// (KeyedState::SetBytes).
struct StateBytes {
  uint32_t size = 0;
  uint32_t capacity = 0;  // 0: inline
  union {
    char* heap;
    char inline_bytes[8];
  };
  static constexpr uint32_t kInlineMax = 8;
  StateBytes() : heap(nullptr) {}
  std::string_view view() const { return {capacity == 0 ? inline_bytes : heap, size}; }
};
static_assert(sizeof(StateBytes) == 16);

/// The payload of one row: null bits first (bit set = not null), then the fields. A fresh row is
/// all NULL and zero. Never made by operators.
class StateRow {
 public:
  StateRow() = delete;
  bool IsNull(const StateLayout::Slot& slot) const {
    return ((bytes()[slot.null_bit >> 3] >> (slot.null_bit & 7)) & 1) == 0;
  }
  void SetNull(const StateLayout::Slot& slot) {
    bytes()[slot.null_bit >> 3] =
        static_cast<uint8_t>(bytes()[slot.null_bit >> 3] & ~(1U << (slot.null_bit & 7)));
  }
  void SetNotNull(const StateLayout::Slot& slot) {
    bytes()[slot.null_bit >> 3] =
        static_cast<uint8_t>(bytes()[slot.null_bit >> 3] | (1U << (slot.null_bit & 7)));
  }
  template <class T>
  T Get(const StateLayout::Slot& slot) const {
    T value;
    std::memcpy(&value, bytes() + slot.offset, sizeof(T));
    return value;
  }
  template <class T>
  void Set(const StateLayout::Slot& slot, T value) {
    std::memcpy(bytes() + slot.offset, &value, sizeof(T));
    SetNotNull(slot);
  }
  /// A bytes or string field; empty if NULL. Valid until the field is set again.
  std::string_view GetBytes(const StateLayout::Slot& slot) const {
    return reinterpret_cast<const StateBytes*>(bytes() + slot.offset)->view();
  }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this); }
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(this); }
};

/// Stored once per (group, ns, time[, key]); the firing unit is (key group, time), or one key if
/// `key` is set.
struct Timer {
  EventTime time;
  KeyGroup group;
  Namespace ns;
  std::string_view key;
  std::string cursor;  // set by an operator whose call ends inside a unit; saved with the timer
};

/// Filled by scans, reused between calls; views live until the operator's call returns.
struct RowBlock {
  static constexpr uint32_t kRowsMax = 4096;
  std::vector<StateRow*> rows;
  std::vector<std::string_view> key;   // ScanNamespace: key of each row; Scan: empty
  std::vector<uint64_t> hash;          // ScanNamespace
  std::vector<std::string_view> sort;  // MapState: subkey of each row; LogState: time (8 bytes
                                       // big-endian, sign flipped) and number
  std::vector<uint32_t>
      first;          // Scan: rows of key i are [first[i], first[i + 1]); later keys did not fit
  bool more = false;  // the last key (namespace) goes on: scan again behind the last sort (key)
};

using Keys = const KeyBatch&;
using StateRows = std::span<StateRow*>;
using Subkeys = std::span<const std::string_view>;
using Times = std::span<const EventTime>;
using Namespaces = std::span<const Namespace>;  // empty: namespace 0 for all; kSkip: none for this
                                                // key, its row is nullptr

struct SubkeyRange {
  std::string_view from, to;
  bool descending = false;
};  // [from, to); empty `to`: to the end
struct TimeRange {
  EventTime from, to;
  std::string_view after = {};
};  // closed; behind `after` (a `sort` of a RowBlock)

class KeyedState {
 public:
  virtual ~KeyedState() = default;
  virtual const StateLayout& layout() const = 0;
  virtual void Prefetch(Keys keys) = 0;  // the task's: orders cold rows of namespace 0
  /// Before writing a row that was read by Find or a scan: marks it dirty, and keeps a frozen
  /// version aside. Update's rows need no call.
  virtual StateRow* Change(StateRow* row) = 0;
  /// Sets a bytes or string field, not null. At most kStateFieldBytesMax.
  virtual void SetBytes(StateRow* row, const StateLayout::Slot& slot, std::string_view value) = 0;
  /// Rows of a namespace of key groups `groups`, by key group and in key order within a group that
  /// is longer than a block; behind `after_key` of `groups.first`. Firing: the keys are not known.
  virtual Ready ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                              RowBlock& block) = 0;
  /// All namespaces up to and including `up_to` of these groups go whole and never come back (the
  /// horizon rises).
  virtual void Drop(Namespace up_to, GroupRange groups) = 0;
  virtual Namespace Horizon(KeyGroup group) const = 0;  // INT64_MIN: nothing dropped yet
};
inline constexpr size_t kStateFieldBytesMax = size_t{1} << 20;

class ValueState : public KeyedState {  // one row per (ns, key)
 public:
  virtual Ready Find(Keys keys, Namespaces ns, StateRows rows) = 0;  // nullptr: absent or expired
  virtual Ready Update(Keys keys, Namespaces ns,
                       StateRows rows) = 0;  // finds or creates (all NULL), marks dirty
  virtual void Erase(Keys keys, Namespaces ns) = 0;
};

class MapState : public KeyedState {  // rows per (ns, key, subkey), ordered by subkey
 public:
  virtual Ready Update(Keys keys, Namespaces ns, Subkeys subkeys, StateRows rows) = 0;
  virtual void Erase(Keys keys, Namespaces ns, Subkeys subkeys) = 0;
  virtual Ready Scan(Keys keys, Namespaces ns, std::span<const SubkeyRange> ranges,
                     RowBlock& block) = 0;
};

class LogState : public KeyedState {  // rows per (ns, key) by (time, number)
 public:
  virtual void Append(Keys keys, Namespaces ns,
                      const Batch& values) = 0;  // reads nothing, so never waits
  virtual Ready Scan(Keys keys, Namespaces ns, std::span<const TimeRange> ranges,
                     RowBlock& block) = 0;
  virtual void Expire(EventTime up_to) = 0;  // all keys, whole time buckets
};

class TimerState {  // event or processing time by its declaration
 public:
  virtual ~TimerState() = default;
  virtual Ready Due(EventTime up_to,
                    std::vector<Timer>& next) = 0;  // the task's: up to kTimersPerCallMax, by time,
                                                    // then key group; peeks
  virtual void Done(size_t timers,
                    std::string_view cursor_of_next) = 0;  // the task's: the first `timers` of the
                                                           // last Due are finished
  virtual EventTime Earliest() const = 0;                  // the task's: Max() without timers
  virtual void Set(std::span<const KeyGroup> groups, Namespace ns, EventTime time) = 0;
  virtual void Set(Keys keys, Namespaces ns, Times times) = 0;
  virtual void Delete(Keys keys, Namespaces ns, Times times) = 0;
};

class ListState {  // not keyed, in memory; copied at a barrier, restored as declared
 public:
  virtual ~ListState() = default;
  virtual ListId Add(std::string_view item) = 0;
  virtual void Remove(ListId item) = 0;
  virtual std::vector<std::pair<ListId, std::string>> Items() const = 0;
};

/// `items` as they were restored; the task keeps it, copies it at a barrier.
std::unique_ptr<ListState> MakeListState(std::vector<std::string> items);

/// Keys of timers that carry one, and of a block of a namespace scan; copies of the argument's.
std::shared_ptr<const KeyStorage> KeysOf(std::span<const Timer> timers);
std::shared_ptr<const KeyStorage> KeysOf(const RowBlock& block);

}  // namespace weir
