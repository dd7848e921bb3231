#include "state/row_codec.h"

#include "engine/base/bytes.h"

namespace weir::state {
namespace {

constexpr uint8_t kHasTouched = 1;

StateBytes* BytesAt(StateRow& payload, const StateLayout::Slot& slot) {
  return reinterpret_cast<StateBytes*>(payload.bytes() + slot.offset);
}

}  // namespace

void PutStorageKeyHead(uint16_t group, int64_t ns, std::string& out) {
  char head[kStorageKeyHead];
  head[0] = static_cast<char>(group >> 8);
  head[1] = static_cast<char>(group & 0xff);
  PutOrdered(ns, head + kGroupBytes);
  out.append(head, sizeof(head));
}

RowCodec::RowCodec(StateKind kind, const Schema& row)
    : layout_(StateLayout::Of(row)),
      sorted_(kind == StateKind::kMap || kind == StateKind::kLog),
      null_bytes_((row.size() + 7) / 8) {
  for (const StateLayout::Slot& slot : layout_.fields) {
    if (slot.type.is_text()) texts_.push_back(slot);
  }
}

void RowCodec::Encode(const Item& row, const StateRow& payload, std::string& out) const {
  ByteWriter writer(out);
  if (sorted_) writer.Varint(row.key_bytes);
  const bool touched = row.touched != INT64_MIN;
  writer.Fixed<uint8_t>(touched ? kHasTouched : 0);
  if (touched) writer.Fixed(row.touched);
  writer.Raw({reinterpret_cast<const char*>(payload.bytes()), null_bytes_});
  for (const StateLayout::Slot& slot : layout_.fields) {
    if (payload.IsNull(slot)) continue;
    if (slot.type.is_text()) {
      writer.String(payload.GetBytes(slot));
    } else {
      writer.Raw({reinterpret_cast<const char*>(payload.bytes()) + slot.offset, slot.type.width()});
    }
  }
}

bool RowCodec::DecodeHead(std::string_view& value, uint32_t* key_bytes, int64_t* touched) const {
  ByteReader reader(value);
  *key_bytes = sorted_ ? static_cast<uint32_t>(reader.Varint()) : 0;
  const auto flags = reader.Fixed<uint8_t>();
  *touched = (flags & kHasTouched) != 0 ? reader.Fixed<int64_t>() : INT64_MIN;
  if (!reader.ok() || (flags & ~kHasTouched) != 0) return false;
  value.remove_prefix(value.size() - reader.left());
  return true;
}

bool RowCodec::DecodeFields(std::string_view value, StateRow& payload, FieldMemory& memory) const {
  ByteReader reader(value);
  const std::string_view nulls = reader.Raw(null_bytes_);
  if (!reader.ok()) return false;
  if (null_bytes_ != 0) std::memcpy(payload.bytes(), nulls.data(), null_bytes_);
  for (const StateLayout::Slot& slot : layout_.fields) {
    if (payload.IsNull(slot)) continue;
    if (slot.type.is_text()) {
      SetBytes(payload, slot, reader.String(), memory);
    } else {
      const std::string_view bytes = reader.Raw(slot.type.width());
      if (reader.ok()) std::memcpy(payload.bytes() + slot.offset, bytes.data(), bytes.size());
    }
  }
  return reader.ok() && reader.left() == 0;
}

int64_t RowCodec::TouchedOf(std::string_view value) const {
  uint32_t key_bytes = 0;
  int64_t touched = INT64_MIN;
  return DecodeHead(value, &key_bytes, &touched) ? touched : INT64_MIN;
}

void RowCodec::SetBytes(StateRow& payload, const StateLayout::Slot& slot, std::string_view value,
                        FieldMemory& memory) const {
  WEIR_CHECK_LE(value.size(), kStateFieldBytesMax);
  StateBytes* field = BytesAt(payload, slot);
  const auto size = static_cast<uint32_t>(value.size());
  if (size > StateBytes::kInlineMax && size > field->capacity) {
    uint32_t capacity = 0;
    char* place = memory.AllocateField(size, &capacity);
    std::memcpy(place, value.data(), size);  // before the old place goes: `value` may lie in it
    if (field->capacity != 0) memory.FreeField(field->heap, field->capacity);
    field->heap = place;
    field->capacity = capacity;
  } else if (field->capacity != 0) {
    if (size != 0) std::memmove(field->heap, value.data(), size);
  } else if (size != 0) {
    std::memmove(field->inline_bytes, value.data(), size);
  }
  field->size = size;
  payload.SetNotNull(slot);
}

void RowCodec::CloneOutside(StateRow& payload, FieldMemory& memory) const {
  for (const StateLayout::Slot& slot : texts_) {
    StateBytes* field = BytesAt(payload, slot);
    if (field->capacity == 0) continue;
    uint32_t capacity = 0;
    char* place =
        memory.AllocateField(std::max(field->size, StateBytes::kInlineMax + 1), &capacity);
    std::memcpy(place, field->heap, field->size);
    field->heap = place;
    field->capacity = capacity;
  }
}

void RowCodec::FreeOutside(StateRow& payload, FieldMemory& memory) const {
  for (const StateLayout::Slot& slot : texts_) {
    StateBytes* field = BytesAt(payload, slot);
    if (field->capacity != 0) memory.FreeField(field->heap, field->capacity);
    *field = StateBytes();
  }
}

}  // namespace weir::state
