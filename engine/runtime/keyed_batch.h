#pragma once
// Keys of batches: evaluated once per row, shipped with the rows over
// exchanges, checked against the owned key groups. Pure; W.

#include <memory>
#include <span>
#include <vector>

#include "engine/data/batch.h"
#include "engine/data/row_errors.h"
#include "engine/expr/expression.h"

namespace weir::runtime {

/// `batch` with the keys of `keys` (none: the single empty key). A row whose key cannot be computed
/// gets an error and a hash of key group 0; the keys of such a batch serve for sending it on only.
Batch WithEvaluatedKeys(const Batch& batch, std::span<const Expression> keys, RowErrors& errors);

/// `batch` with its first `columns` columns as keys: partial rows of a combiner.
Batch WithLeadingKeys(const Batch& batch, size_t columns);

/// The rows of `batch`, keys taken along if there are any.
Batch TakeWithKeys(const Batch& batch, const Selection& rows);

/// One batch; with keys if all of them have keys.
Batch ConcatWithKeys(std::span<const Batch> batches);

}  // namespace weir::runtime
