#pragma once
// SortedRows: the rows of one key in order of their sort bytes, in chunks of at most 512, each row
// beside the first eight sort bytes, so that a search reads few rows. Appending at the end is the
// fast case. W only; owns no row.

#include <cstdint>
#include <string_view>
#include <vector>

#include "state/row.h"

namespace weir::state {

class SortedRows {
 public:
  struct Cursor {
    size_t chunk = 0, at = 0;
    friend bool operator==(const Cursor&, const Cursor&) = default;
  };

  Row* Find(std::string_view sort) const;
  /// REQUIRES: no row with these sort bytes.
  void Insert(Row* row);
  void Replace(const Row* old, Row* row);
  void Remove(const Row* row);

  /// The first row with sort bytes >= `sort`.
  Cursor LowerBound(std::string_view sort) const;
  Cursor begin() const { return {0, 0}; }
  Cursor end() const { return {chunks_.size(), 0}; }
  Row* At(Cursor cursor) const { return chunks_[cursor.chunk][cursor.at].row; }
  Cursor Next(Cursor cursor) const {
    return ++cursor.at < chunks_[cursor.chunk].size() ? cursor : Cursor{cursor.chunk + 1, 0};
  }
  Cursor Previous(Cursor cursor) const {
    return cursor.at > 0 ? Cursor{cursor.chunk, cursor.at - 1}
                         : Cursor{cursor.chunk - 1, chunks_[cursor.chunk - 1].size() - 1};
  }
  bool empty() const { return chunks_.empty(); }

 private:
  static constexpr size_t kChunkMax = 512;
  struct Cell {
    uint64_t prefix;
    Row* row;
  };
  static bool Less(const Cell& cell, uint64_t prefix, std::string_view sort) {
    return cell.prefix != prefix ? cell.prefix < prefix : cell.row->sort_view() < sort;
  }

  std::vector<std::vector<Cell>> chunks_;  // none is empty
};

}  // namespace weir::state
