#include "operators/aggregate_combiner.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/base/check.h"
#include "engine/data/key_encoding.h"
#include "operators/aggregate_definition.h"
#include "operators/aggregate_functions.h"
#include "operators/detached_rows.h"

namespace weir {
namespace {

constexpr uint32_t kBatchesApart = 64;  // between two looks at whether combining pays

/// Combinable accumulators keep no bytes.
class NoBytes final : public BytesWriter {
 public:
  void Set(StateRow*, const StateLayout::Slot&, std::string_view) override { WEIR_CHECK(false); }
};

class AggregateCombiner final : public Combiner {
 public:
  AggregateCombiner(AggregateDefinition definition, SchemaRef partial)
      : definition_(std::move(definition)),
        layout_(StateLayout::Of(SliceRow(definition_))),
        partial_(std::move(partial)),
        accumulators_(MakeAccumulators(definition_, layout_)),
        sums_(layout_) {}

  void Combine(const Batch& batch, Output& out) override {
    arguments_.Evaluate(definition_, batch, out.errors());
    Group(batch, out.errors());
    if (rows_.empty()) return;
    const std::span<const int64_t> times = Times(batch);
    for (uint32_t i = 0; i < batch.rows(); ++i) {
      if (targets_[i] != nullptr)
        targets_[i]->Set(layout_.fields[0], targets_[i]->Get<int64_t>(layout_.fields[0]) + 1);
    }
    for (size_t call = 0; call < accumulators_.size(); ++call) {
      accumulators_[call]->Update(arguments_.Targets(call, targets_), arguments_.columns[call],
                                  times, no_bytes_);
    }
    out.Emit(kMain, Partial(batch));
  }

 private:
  static std::span<const int64_t> Times(const Batch& batch) {
    return batch.Values<int64_t>(*batch.schema().Find(kEventTimeColumn));
  }

  /// The sum that each row belongs to; rows with an error belong to none.
  void Group(const Batch& batch, const RowErrors& errors) {
    const uint32_t rows = batch.rows();
    const KeyBatch& keys = batch.keys();
    const std::span<const int64_t> times = Times(batch);
    sums_.Clear();
    rows_.clear();
    slices_.clear();
    first_.clear();
    targets_.assign(rows, nullptr);
    // Where hardly two rows of a batch meet, looking for the other one is all cost.
    const bool apart = apart_ != 0;
    if (apart) --apart_;
    size_t size = 64;
    while (size < size_t{rows} * 2) size *= 2;
    if (!apart) index_.assign(size, 0);
    const size_t mask = size - 1;
    const bool failures = !errors.empty();
    Windows::Slice slice{0, 0};
    uint32_t counted = 0;
    for (uint32_t i = 0; i < rows; ++i) {
      if (failures && errors.Has(i)) continue;
      ++counted;
      if (!slice.Contains(times[i])) slice = definition_.windows.SliceOf(times[i]);
      uint32_t* place = nullptr;
      if (!apart) {
        size_t at = (keys.hash[i] ^ (static_cast<uint64_t>(slice.start) * kSliceMix)) & mask;
        for (; index_[at] != 0; at = (at + 1) & mask) {
          const uint32_t found = index_[at] - 1;
          if (slices_[found] == slice.start && keys.hash[first_[found]] == keys.hash[i] &&
              keys.bytes[first_[found]] == keys.bytes[i])
            break;
        }
        place = &index_[at];
        if (*place != 0) {
          targets_[i] = rows_[*place - 1];
          continue;
        }
      }
      targets_[i] = sums_.Add();
      rows_.push_back(targets_[i]);
      slices_.push_back(slice.start);
      first_.push_back(i);
      if (place != nullptr) *place = static_cast<uint32_t>(rows_.size());
    }
    if (!apart && rows_.size() * 10 > size_t{counted} * 9 && counted > 1) apart_ = kBatchesApart;
  }

  Batch Partial(const Batch& batch) {
    const auto count = static_cast<uint32_t>(rows_.size());
    std::vector<Column> columns;
    columns.reserve(partial_->size());
    RowErrors none;  // a row whose key cannot be computed does not come here
    for (const BoundKey& key : definition_.keys)
      columns.push_back(key.expression.Evaluate(batch, none).Take(first_));
    columns.push_back(Numbers(count, [&](uint32_t i) { return slices_[i]; }));
    for (size_t field = 1; field < layout_.fields.size(); ++field)
      columns.push_back(FieldColumn(layout_.fields[field]));
    const StateLayout::Slot& number = layout_.fields[0];
    columns.push_back(Numbers(count, [&](uint32_t i) { return rows_[i]->Get<int64_t>(number); }));
    return Batch::Make(partial_, count, std::move(columns));
  }

  template <class Value>
  static Column Numbers(uint32_t rows, Value&& value) {
    auto buffer = std::make_shared<Buffer>(rows * sizeof(int64_t));
    for (uint32_t i = 0; i < rows; ++i) buffer->as<int64_t>()[i] = value(i);
    return Column(Type::Of(TypeKind::kInt64), rows, std::move(buffer), nullptr, nullptr);
  }

  Column FieldColumn(const StateLayout::Slot& slot) const {
    ColumnBuilder column(slot.type, static_cast<uint32_t>(rows_.size()));
    VisitKind(slot.type.kind, [&]<TypeKind kKind>() {
      using T = Physical<kKind>;
      if constexpr (!std::is_same_v<T, Utf8View>) {
        for (const StateRow* row : rows_) {
          if (row->IsNull(slot)) {
            column.AppendNull();
          } else {
            column.Append<T>(row->Get<T>(slot));
          }
        }
      }
    });
    return column.Build();
  }

  static constexpr uint64_t kSliceMix = 0x9E3779B97F4A7C15;

  const AggregateDefinition definition_;
  const StateLayout layout_;
  const SchemaRef partial_;
  const std::vector<std::unique_ptr<Accumulator>> accumulators_;  // by call
  NoBytes no_bytes_;

  // Scratch of one call, kept for its memory.
  AggregateArguments arguments_;
  DetachedRows sums_;
  std::vector<StateRow*> rows_;     // the sums
  std::vector<int64_t> slices_;     // of each sum
  std::vector<uint32_t> first_;     // and a row of the batch that has its key
  std::vector<StateRow*> targets_;  // by row of the batch
  std::vector<uint32_t> index_;     // open addressing by key and slice: position + 1 in rows_

  uint32_t apart_ = 0;  // batches left that are not combined
};

}  // namespace

Result<std::unique_ptr<Combiner>> MakeAggregateCombiner(const NodeConfig& config,
                                                        const NodeShape& shape, OperatorContext&) {
  return std::make_unique<AggregateCombiner>(
      DefineAggregate(config), std::make_shared<const Schema>(shape.combine->partial));
}

}  // namespace weir
