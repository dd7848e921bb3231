#pragma once
// RowLimit: how large a row may be that a node makes: four times the job's largest max_record,
// which is what a consumer keeps in reserve for a row that exceeds its window. An expression bounds
// each text by itself, but not the texts of many columns together. Asked by operators for a batch
// before they emit it; W. Nearly always the batch's size alone tells that no row can be that large.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/api/registry.h"
#include "engine/data/batch.h"

namespace weir {

class RowLimit {
 public:
  /// `schema`: of the batches; columns without text may be missing from their end.
  RowLimit(const JobSettings& job, const Schema& schema);

  /// Rows beyond the limit, rising; nearly always none.
  std::vector<uint32_t> Beyond(const Batch& batch) const;
  /// What to say of such a row.
  std::string message() const;

 private:
  const uint64_t bytes_max_;
  uint64_t width_ = 0;  // of a row, without its long texts
  std::vector<ColumnIndex> text_columns_;
};

}  // namespace weir
