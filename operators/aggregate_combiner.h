#pragma once
// The combiner of `aggregate`: adds up the rows of one batch that fall into one slice of one key
// before they travel (pre-aggregation, as Flink's local aggregate and Spark's map-side combine), in
// the producer's task; the operator merges the partial rows. For operators/aggregate.cc alone.

#include <memory>

#include "engine/api/operator.h"
#include "engine/api/registry.h"

namespace weir {

/// REQUIRES: CanCombine of the node's definition.
Result<std::unique_ptr<Combiner>> MakeAggregateCombiner(const NodeConfig& config,
                                                        const NodeShape& shape,
                                                        OperatorContext& context);

}  // namespace weir
