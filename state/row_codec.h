#pragma once
// RowCodec: layout of the rows of one state, and their bytes below the hot table
// (docs/formats/snapshot-image.md). Fixed after construction; any thread.
//
// Storage key: key group (2 bytes, big-endian), namespace (8, sign flipped), key, sort bytes.
// Value: number of key bytes (varint, maps and logs only), flags (1 byte), `touched` if the flag
// says so (8), null bits, then the fields that are not null: fixed width, or varint and bytes.

#include <string>
#include <string_view>

#include "engine/api/state_backend.h"
#include "state/row.h"

namespace weir::state {

/// Where a table keeps long fields: implemented by Slice.
class FieldMemory {
 public:
  virtual ~FieldMemory() = default;
  virtual char* AllocateField(uint32_t bytes, uint32_t* capacity) = 0;
  virtual void FreeField(char* bytes, uint32_t capacity) = 0;
};

inline constexpr size_t kGroupBytes = 2;
inline constexpr size_t kNamespaceBytes = 8;
inline constexpr size_t kStorageKeyHead = kGroupBytes + kNamespaceBytes;
inline constexpr size_t kLogSortBytes = 16;

void PutStorageKeyHead(uint16_t group, int64_t ns, std::string& out);
inline uint16_t GroupOfStorageKey(std::string_view key) {
  return static_cast<uint16_t>(static_cast<uint8_t>(key[0]) << 8 | static_cast<uint8_t>(key[1]));
}
inline int64_t NamespaceOfStorageKey(std::string_view key) {
  return GetOrdered(key.data() + kGroupBytes);
}

class RowCodec {
 public:
  RowCodec(StateKind kind, const Schema& row);

  const StateLayout& layout() const { return layout_; }
  bool has_fields_outside() const { return !texts_.empty(); }
  const std::vector<StateLayout::Slot>& texts() const { return texts_; }
  bool sorted() const { return sorted_; }

  /// The stored value of `row`.
  void Encode(const Item& row, const StateRow& payload, std::string& out) const;
  /// Splits a stored value's head off: bytes of the key, and `touched`. False: damaged.
  bool DecodeHead(std::string_view& value, uint32_t* key_bytes, int64_t* touched) const;
  /// Fills a zeroed payload from what DecodeHead left. False: damaged.
  bool DecodeFields(std::string_view value, StateRow& payload, FieldMemory& memory) const;
  /// `touched` alone: what a compaction needs. INT64_MIN: none.
  int64_t TouchedOf(std::string_view value) const;

  void SetBytes(StateRow& payload, const StateLayout::Slot& slot, std::string_view value,
                FieldMemory& memory) const;
  /// Fields of `payload` that lie outside get a place of their own. After a plain copy of the
  /// payload.
  void CloneOutside(StateRow& payload, FieldMemory& memory) const;
  void FreeOutside(StateRow& payload, FieldMemory& memory) const;

 private:
  StateLayout layout_;
  std::vector<StateLayout::Slot> texts_;
  bool sorted_;
  size_t null_bytes_;
};

}  // namespace weir::state
