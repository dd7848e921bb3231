#include "engine/api/output.h"

#include <utility>

namespace weir {

std::string_view OutcomeName(Outcome outcome) {
  static constexpr std::array<std::string_view, kOutcomes> kNames = {
      "passed",    "filtered",      "gap",        "duplicate", "late_dropped",
      "late_side", "error_dropped", "error_side", "absorbed",  "buffered"};
  return kNames[static_cast<size_t>(outcome)];
}

RowBuilder& Output::Rows(Port port) {
  WEIR_CHECK(port.value < ports_.size() && ports_[port.value].schema != nullptr);
  PortSlot& slot = ports_[port.value];
  if (!slot.rows) slot.rows.emplace(slot.schema);
  return *slot.rows;
}

void Output::Emit(Port port, Batch batch) {
  if (!batch || batch.rows() == 0) return;
  WEIR_CHECK(port.value < ports_.size());
  PortSlot& slot = ports_[port.value];
  WEIR_CHECK(!slot.batch && (!slot.rows || slot.rows->empty()));
  slot.batch = std::move(batch);
}

Batch Output::Take(Port port) {
  PortSlot& slot = ports_[port.value];
  if (slot.batch) return std::exchange(slot.batch, Batch());
  if (slot.rows && !slot.rows->empty()) return slot.rows->Build();
  return {};
}

bool Output::HasOutput(Port port) const {
  const PortSlot& slot = ports_[port.value];
  return static_cast<bool>(slot.batch) || (slot.rows && !slot.rows->empty());
}

size_t Output::bytes() const {
  size_t bytes = 0;
  for (const PortSlot& slot : ports_) {
    bytes += slot.batch.bytes();
    if (slot.rows && !slot.rows->empty()) bytes += slot.rows->bytes();
  }
  return bytes;
}

void Output::SetLimits(Port port, uint32_t rows_max, size_t bytes_max) {
  PortSlot& slot = ports_[port.value];
  if (slot.schema == nullptr) return;
  if (!slot.rows) {
    slot.rows.emplace(slot.schema, rows_max, bytes_max);
  } else {
    slot.rows->SetLimits(rows_max, bytes_max);
  }
}

}  // namespace weir
