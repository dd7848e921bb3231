#pragma once
// Output: where one node's results of one call go. Owned by the task (or the operator harness),
// lent for the call; W. After the call the owner takes at most one batch per port. Ports that
// nobody reads are not `wanted`: do not build rows for them, but count them.

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/ids.h"
#include "engine/data/batch.h"
#include "engine/data/row_builder.h"
#include "engine/data/row_errors.h"

namespace weir {

/// Classes of conservation: each input row ends in exactly one. Errors are counted
/// by the task from RowErrors.
enum class Outcome : uint8_t {
  kPassed,
  kFiltered,
  kGap,
  kDuplicate,
  kLateDropped,
  kLateSide,
  kErrorDropped,
  kErrorSide,
  kAbsorbed,
  kBuffered
};
inline constexpr size_t kOutcomes = 10;
std::string_view OutcomeName(Outcome outcome);

/// Per node and task, plain counters of one writer, read by the metrics with relaxed loads.
enum class NodeCount : uint8_t { kLatePartialRecords, kLateAssignments, kWindowsFired };
inline constexpr size_t kNodeCounts = 3;

class Output {
 public:
  struct PortSlot {
    SchemaRef schema;
    bool wanted = true;
    std::optional<RowBuilder> rows;
    Batch batch;
  };

  /// `ports`: by Port number; a port without schema does not exist.
  explicit Output(std::vector<PortSlot> ports) : ports_(std::move(ports)) {}

  /// Results built row by row; empty at each call, full() at the edge's limit.
  RowBuilder& Rows(Port port);
  /// One ready batch, no longer than the argument. REQUIRES: nothing was emitted on `port` in this
  /// call. Empty batches are ignored.
  void Emit(Port port, Batch batch);
  bool wanted(Port port) const {
    return port.value < ports_.size() && ports_[port.value].schema != nullptr &&
           ports_[port.value].wanted;
  }
  RowErrors& errors() { return errors_; }
  /// `rows` may be negative for kBuffered: rows that left the state.
  void Count(Outcome outcome, int64_t rows) { outcomes_[static_cast<size_t>(outcome)] += rows; }
  void Count(NodeCount count, uint64_t n) { counts_[static_cast<size_t>(count)] += n; }

  // For the owner.
  /// What the call left on `port`: the emitted batch, or the built rows; empty if none. The slot is
  /// free again.
  Batch Take(Port port);
  bool HasOutput(Port port) const;
  size_t ports() const { return ports_.size(); }
  /// Of what lies on the ports.
  size_t bytes() const;
  std::array<int64_t, kOutcomes>& outcomes() { return outcomes_; }
  std::array<uint64_t, kNodeCounts>& counts() { return counts_; }
  void SetLimits(Port port, uint32_t rows_max, size_t bytes_max);
  void SetWanted(Port port, bool wanted) { ports_[port.value].wanted = wanted; }

 private:
  std::vector<PortSlot> ports_;
  RowErrors errors_;
  std::array<int64_t, kOutcomes> outcomes_{};
  std::array<uint64_t, kNodeCounts> counts_{};
};

}  // namespace weir
