#pragma once
// Item: what a hot table's index and lists hold: a Row (value states, timers, and one row of a key
// elsewhere), or a KeyEntry (all rows of one key of a map or log). Made and freed by the table only
// (W). A row whose version is frozen is immutable until it has been written, so P reads it without
// a lock: then P reads `slice`, `key`, `touched`, the sizes, `group`, `flags` and the payload, none
// of which W changes; list_at, mark and clock are W's own.

#include <cstdint>
#include <string_view>

#include "engine/api/keyed_state.h"

namespace weir::state {

struct Slice;

// Item::flags: fixed while a version is frozen.
inline constexpr uint8_t kAbsent =
    1;  // known not to exist: an erasure, or a look-up that found nothing

// Item::mark: W only.
inline constexpr uint8_t kStored = 1;   // below the table (storage, eviction buffer, a frozen set)
                                        // something may exist under this key
inline constexpr uint8_t kPending = 2;  // ordered from the storage; not known yet
inline constexpr uint8_t kPinned =
    4;  // has arrived and was not used yet: stays for kPinnedPasses passes of the clock
inline constexpr uint8_t kComplete = 8;     // KeyEntry: what is not among its rows does not exist
inline constexpr uint8_t kSuperseded = 16;  // a frozen version that a newer one has replaced
inline constexpr uint8_t kPinnedPasses = 250;

struct Item {
  uint64_t hash = 0;
  Slice* slice = nullptr;
  const char* key = nullptr;  // key bytes, then sort bytes
  int64_t touched = INT64_MIN;
  uint32_t epoch = 0;     // of the last change; 0: never changed since it was loaded
  uint32_t dirty_at = 0;  // position in the slice's dirty list, while `epoch` is the current one
  uint32_t list_at = 0;   // position in the list of its key group
  uint32_t key_bytes = 0;
  uint32_t sort_bytes = 0;
  uint32_t segment = 0;  // rows: the one they lie in
  uint16_t group = 0;
  uint8_t flags = 0, mark = 0, clock = 0;

  std::string_view key_view() const { return {key, key_bytes}; }
  std::string_view sort_view() const { return {key + key_bytes, sort_bytes}; }
  bool absent() const { return (flags & kAbsent) != 0; }
  bool marked(uint8_t bits) const { return (mark & bits) != 0; }
};

struct KeyEntry;

/// Followed in memory by the payload, then by room for short keys.
struct Row : Item {
  KeyEntry* owner = nullptr;  // map and log: the key it belongs to
  StateRow* payload() { return reinterpret_cast<StateRow*>(this + 1); }
  const StateRow* payload() const { return reinterpret_cast<const StateRow*>(this + 1); }
  static Row* Of(StateRow* payload) { return reinterpret_cast<Row*>(payload) - 1; }
};
static_assert(sizeof(Row) % 16 == 8 || sizeof(Row) % 16 == 0);

/// Order of two byte strings by their first eight bytes as a number; equal numbers say nothing.
inline uint64_t Prefix(std::string_view bytes) {
  uint64_t value = 0;
  if (bytes.size() >= 8) {
    std::memcpy(&value, bytes.data(), 8);
    return __builtin_bswap64(value);
  }
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
  return __builtin_bswap64(value);
}

/// Bytes of an int64 that sort like the number: 8, big-endian, sign flipped.
inline void PutOrdered(int64_t value, char* out) {
  const uint64_t bits = __builtin_bswap64(static_cast<uint64_t>(value) ^ (uint64_t{1} << 63));
  std::memcpy(out, &bits, 8);
}
inline int64_t GetOrdered(const char* in) {
  uint64_t bits = 0;
  std::memcpy(&bits, in, 8);
  return static_cast<int64_t>(__builtin_bswap64(bits) ^ (uint64_t{1} << 63));
}

/// The first key behind all keys that begin with `prefix`; empty if there is none.
inline std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace weir::state
