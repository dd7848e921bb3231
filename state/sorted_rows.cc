#include "state/sorted_rows.h"

#include <algorithm>

namespace weir::state {

SortedRows::Cursor SortedRows::LowerBound(std::string_view sort) const {
  if (chunks_.empty()) return end();
  const uint64_t prefix = Prefix(sort);
  // The last chunk whose first row is < sort, or the first chunk.
  const auto chunk = std::partition_point(chunks_.begin() + 1, chunks_.end(),
                                          [&](const std::vector<Cell>& cells) {
                                            return Less(cells.front(), prefix, sort);
                                          }) -
                     1;
  const auto cell = std::partition_point(chunk->begin(), chunk->end(),
                                         [&](const Cell& c) { return Less(c, prefix, sort); });
  Cursor cursor{static_cast<size_t>(chunk - chunks_.begin()),
                static_cast<size_t>(cell - chunk->begin())};
  if (cell == chunk->end()) cursor = {cursor.chunk + 1, 0};
  return cursor;
}

Row* SortedRows::Find(std::string_view sort) const {
  const Cursor cursor = LowerBound(sort);
  if (cursor == end()) return nullptr;
  Row* row = At(cursor);
  return row->sort_view() == sort ? row : nullptr;
}

void SortedRows::Insert(Row* row) {
  const std::string_view sort = row->sort_view();
  const Cell cell{Prefix(sort), row};
  if (chunks_.empty()) {
    chunks_.push_back({cell});
    return;
  }
  Cursor cursor = end();
  const Cell& last = chunks_.back().back();
  if (!Less(last, cell.prefix, sort)) cursor = LowerBound(sort);
  if (cursor.at == 0 && cursor.chunk > 0)
    cursor = {cursor.chunk - 1, chunks_[cursor.chunk - 1].size()};
  std::vector<Cell>& cells = chunks_[cursor.chunk];
  cells.insert(cells.begin() + static_cast<ptrdiff_t>(cursor.at), cell);
  if (cells.size() <= kChunkMax) return;
  // Appends fill chunks whole; others split in the middle.
  const size_t keep = cursor.at + 1 == cells.size() && cursor.chunk + 1 == chunks_.size()
                          ? kChunkMax
                          : kChunkMax / 2;
  std::vector<Cell> rest(cells.begin() + static_cast<ptrdiff_t>(keep), cells.end());
  cells.resize(keep);
  chunks_.insert(chunks_.begin() + static_cast<ptrdiff_t>(cursor.chunk) + 1, std::move(rest));
}

void SortedRows::Replace(const Row* old, Row* row) {
  const Cursor cursor = LowerBound(old->sort_view());
  WEIR_CHECK(cursor != end() && At(cursor) == old);
  chunks_[cursor.chunk][cursor.at].row = row;
}

void SortedRows::Remove(const Row* row) {
  const Cursor cursor = LowerBound(row->sort_view());
  WEIR_CHECK(cursor != end() && At(cursor) == row);
  std::vector<Cell>& cells = chunks_[cursor.chunk];
  cells.erase(cells.begin() + static_cast<ptrdiff_t>(cursor.at));
  if (cells.empty()) chunks_.erase(chunks_.begin() + static_cast<ptrdiff_t>(cursor.chunk));
}

}  // namespace weir::state
