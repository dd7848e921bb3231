#pragma once
// MapState and LogState over a HotTable: rows per (namespace, key) in the order of their sort bytes
// (a map's subkey; a log's time and number). A key comes from the storage and is evicted with all
// its rows; what is written without reading (Append, Erase) may stand in the table before that. W.

#include <vector>

#include "state/hot_table.h"

namespace weir::state {

/// Which rows of a key a scan wants; sort bytes.
struct SortRange {
  std::string_view from, to;  // [from, to)
  bool behind_from = false;   // (from, to)
  bool to_end = false;        // no `to`
  bool descending = false;
};

/// What both kinds share.
class SortedTable {
 public:
  explicit SortedTable(HotTable& table) : table_(table) {}
  HotTable& table() { return table_; }
  void Prefetch(Keys keys);
  /// All rows of a key. kWait: ordered. An entry of nullptr: the key has no rows.
  Ready Whole(Slice& slice, uint64_t hash, std::string_view key, KeyEntry** entry);
  /// The entry to write to without reading.
  KeyEntry& Blind(Slice& slice, uint64_t hash, uint16_t group, std::string_view key);
  template <class RangeOf>
  Ready Scan(Keys keys, Namespaces ns, RangeOf range_of, RowBlock& block);

 private:
  bool AppendRows(KeyEntry& entry, const SortRange& range, RowBlock& block);
  HotTable& table_;
};

class HotMapState final : public TableState<MapState> {
 public:
  explicit HotMapState(HotTable& table) : TableState(table), sorted_(table) {}
  void Prefetch(Keys keys) override { sorted_.Prefetch(keys); }
  Ready ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                      RowBlock& block) override;
  Ready Update(Keys keys, Namespaces ns, Subkeys subkeys, StateRows rows) override;
  void Erase(Keys keys, Namespaces ns, Subkeys subkeys) override;
  Ready Scan(Keys keys, Namespaces ns, std::span<const SubkeyRange> ranges,
             RowBlock& block) override;

 private:
  SortedTable sorted_;
  std::vector<uint32_t> missing_;  // scratch
};

class HotLogState final : public TableState<LogState> {
 public:
  explicit HotLogState(HotTable& table) : TableState(table), sorted_(table) {}
  void Prefetch(Keys keys) override { sorted_.Prefetch(keys); }
  Ready ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                      RowBlock& block) override;
  void Append(Keys keys, Namespaces ns, const Batch& values) override;
  Ready Scan(Keys keys, Namespaces ns, std::span<const TimeRange> ranges, RowBlock& block) override;
  void Expire(EventTime up_to) override;

 private:
  SortedTable sorted_;
  std::vector<Row*> made_;  // scratch
};

}  // namespace weir::state
