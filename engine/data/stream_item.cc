#include "engine/data/stream_item.h"

#include "engine/data/civil_time.h"

namespace weir {
namespace {

struct Printer {
  std::string operator()(const Batch& batch) const {
    return "batch of " + std::to_string(batch ? batch.rows() : 0) + " rows";
  }
  std::string operator()(const WatermarkItem& item) const {
    if (item.time == EventTime::Min()) return "watermark MIN";
    if (item.time == EventTime::Max()) return "watermark MAX";
    return "watermark " + TimestampToString(item.time.us);
  }
  std::string operator()(const BarrierItem& item) const {
    return "barrier " + std::to_string(item.checkpoint.value);
  }
  std::string operator()(const CancelItem& item) const {
    return "cancel " + std::to_string(item.checkpoint.value);
  }
  std::string operator()(const IdleItem&) const { return "idle"; }
  std::string operator()(const ActiveItem&) const { return "active"; }
  std::string operator()(const NeedItem& item) const {
    return "need " + std::to_string(item.bytes) + " bytes";
  }
  std::string operator()(const EndItem&) const { return "end"; }
};

}  // namespace

std::string DebugString(const StreamItem& item) { return std::visit(Printer(), item); }

}  // namespace weir
