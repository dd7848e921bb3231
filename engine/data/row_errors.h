#pragma once
// RowErrors: rows of the argument of one call that could not be computed, decoded or written.
// Filled by expressions, decoders, encoders and sinks; the task applies the node's `on_error`
// afterwards and clears it. Each row counts once (its first error). One thread.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/record_code.h"

namespace weir {

inline constexpr size_t kRowErrorMessageBytesMax = 1024;

struct RowError {
  uint32_t row = 0;  // position in the argument; meaningless if detached
  RecordCode code = RecordCode::kExpressionCast;
  std::string message;    // escaped, at most kRowErrorMessageBytesMax, no secret
  bool detached = false;  // an error of a result, not of an input row
  std::string raw;        // detached: the result row as JSON, as far as it could be built
};

class RowErrors {
 public:
  /// Keeps the first error of a row.
  void Add(uint32_t row, RecordCode code, std::string_view message);
  /// An error of a result row (an aggregate that overflowed on emission).
  void AddResult(RecordCode code, std::string_view message, std::string raw);
  bool Has(uint32_t row) const;
  /// Distinct input rows with an error.
  uint32_t rows() const { return input_rows_; }
  bool empty() const { return errors_.empty(); }
  std::span<const RowError> errors() const { return errors_; }
  void Clear();
  /// Drops errors added since `size` (TRY, CASE branches that turn out not to be taken).
  size_t Mark() const { return errors_.size(); }
  void Rewind(size_t mark);

 private:
  std::vector<RowError> errors_;
  std::vector<uint64_t> seen_;  // bit per row
  uint32_t input_rows_ = 0;
};

}  // namespace weir
