#pragma once
// Accumulators of aggregate functions, kept in the fields of a state row: one per
// aggregate call, updated a batch at a time, merged over the slices of a window, finished into a
// column. For the aggregating operators of this folder. W; an accumulator is immutable and shared
// by all rows.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/api/keyed_state.h"
#include "engine/data/row_builder.h"
#include "engine/data/row_errors.h"
#include "engine/expr/expression.h"

namespace weir {

/// Where bytes fields of a row are written: the state, or an arena for merged rows.
class BytesWriter {
 public:
  virtual ~BytesWriter() = default;
  virtual void Set(StateRow* row, const StateLayout::Slot& slot, std::string_view value) = 0;
};

class Accumulator {
 public:
  virtual ~Accumulator() = default;
  /// Fields in the state's row, all nullable: NULL is "no input yet".
  virtual std::vector<Field> Fields() const = 0;
  /// Where they lie; once, before all else.
  void Place(std::span<const StateLayout::Slot> slots) {
    slots_.assign(slots.begin(), slots.end());
  }
  /// Adds argument row i to rows[i]; nullptr: not this one. `arguments`: evaluated columns; `time`:
  /// event times.
  virtual void Update(std::span<StateRow* const> rows, std::span<const Column> arguments,
                      std::span<const int64_t> time, BytesWriter& writer) const = 0;
  /// Adds what `from` has accumulated to `into`; slices are merged in order of time.
  virtual void Merge(StateRow* into, const StateRow* from, BytesWriter& writer) const = 0;
  /// Appends the result of one row to `out`. False: it cannot be expressed (overflow on emission);
  /// a NULL was appended.
  virtual bool Finish(const StateRow* row, ColumnBuilder& out) const = 0;

 protected:
  std::vector<StateLayout::Slot> slots_;
};

/// For count(DISTINCT x) null: its values lie in a map state (see aggregate.cc).
std::unique_ptr<Accumulator> MakeAccumulator(const AggregateCall& call);

}  // namespace weir
