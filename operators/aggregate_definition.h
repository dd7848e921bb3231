#pragma once
// AggregateDefinition: everything about a configured aggregate that its parts share: the operator,
// its combiner before the exchange, and the planner's view of it. Made once from the options; for
// the aggregating operators of this folder. Immutable, any thread.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/registry.h"
#include "engine/expr/expression.h"
#include "operators/aggregate_functions.h"
#include "operators/window.h"

namespace weir {

inline Type TimestampType() { return Type::Of(TypeKind::kTimestamp); }

struct AggregateDefinition {
  std::vector<BoundKey> keys;
  Windows windows;
  int64_t lateness = 0;
  bool late_port = false;
  bool revises = false, upsert = false, window_time = false;
  std::vector<AggregateCall> calls;
  std::vector<std::string> result_names;
  std::vector<Expression> results;  // over group_schema + calls
  Expression having;                // may be empty
  SchemaRef group_schema;           // keys, window_start, window_end
  SchemaRef call_schema;            // group_schema, then one column per call
  SchemaRef output;                 // keys, window columns, results, _event_time[, _op]
  bool complete = false;            // no problem was found
};

/// Reports every problem with its option; `complete` tells whether there was none.
AggregateDefinition DefineAggregate(const NodeConfig& config);

/// The state's row of a slice: how many rows it stands for, then the fields of the accumulators.
Schema SliceRow(const AggregateDefinition& definition);

/// By call, placed in the fields of such a row; null: count(DISTINCT), which has a map of its own.
std::vector<std::unique_ptr<Accumulator>> MakeAccumulators(const AggregateDefinition& definition,
                                                           const StateLayout& slice_row);

/// Rows of a batch that fall into one slice of one key can be added up before they travel: no call
/// keeps bytes or distinct values, and nothing needs the rows themselves (late or bad rows that go
/// to a port). What travels then: the keys, the slice's start, the accumulators, the number of
/// rows.
bool CanCombine(const AggregateDefinition& definition, const NodeConfig& config);
Schema PartialRow(const AggregateDefinition& definition);

/// The evaluated arguments and filters of all calls over one batch; scratch that keeps its memory.
struct AggregateArguments {
  std::vector<std::vector<Column>> columns;  // by call
  std::vector<Selection> filters;            // by call with a filter
  /// Rows that fail are in `errors`.
  void Evaluate(const AggregateDefinition& definition, const Batch& batch, RowErrors& errors);
  /// `rows` without those that the call's filter leaves out. Valid until the next call.
  std::span<StateRow* const> Targets(size_t call, std::span<StateRow* const> rows);

 private:
  std::vector<bool> filtered_;
  std::vector<StateRow*> targets_;
};

}  // namespace weir
