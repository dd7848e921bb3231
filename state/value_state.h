#pragma once
// ValueState over a HotTable: one row per (namespace, key), a batch of keys at a time with the
// index slots and rows of 32 keys prefetched together (after group prefetching, Chen et al. 2004).
// W.

#include <vector>

#include "state/hot_table.h"

namespace weir::state {

class HotValueState final : public TableState<ValueState> {
 public:
  explicit HotValueState(HotTable& table) : TableState(table) {}
  void Prefetch(Keys keys) override;
  Ready ScanNamespace(Namespace ns, GroupRange groups, std::string_view after_key,
                      RowBlock& block) override;
  Ready Find(Keys keys, Namespaces ns, StateRows rows) override;
  Ready Update(Keys keys, Namespaces ns, StateRows rows) override;
  void Erase(Keys keys, Namespaces ns) override;

 private:
  static constexpr uint32_t kGroup = 32;
  /// The row of a key, or what stands for it: taken back, or ordered. nullptr: certainly absent.
  Row* LookBelow(Slice& slice, uint64_t hash, std::string_view key);
  template <bool kUpdate>
  Ready Look(Keys keys, Namespaces ns, StateRows rows);
  void Create(Keys keys, Namespaces ns, StateRows rows);

  std::vector<uint32_t> missing_;  // scratch
};

}  // namespace weir::state
