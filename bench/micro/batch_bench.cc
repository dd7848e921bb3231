// Keys and bytes of batches: canonical key and hash of each row, the codec of the wire and of
// snapshots, selecting rows.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/micro/bid_batch.h"
#include "engine/data/batch_codec.h"
#include "engine/data/key_encoding.h"

namespace weir {
namespace {

void EncodeKeyColumns(benchmark::State& state) {
  const Batch batch = MakeBidBatch();
  std::vector<Column> columns;
  for (uint16_t i = 0; i < state.range(0); ++i) columns.push_back(batch.column(ColumnIndex{i}));
  for (auto _ : state) benchmark::DoNotOptimize(EncodeKeys(columns, batch.rows(), nullptr));
  state.SetItemsProcessed(state.iterations() * batch.rows());
}
BENCHMARK(EncodeKeyColumns)->Arg(1)->Arg(2);

void EncodeWholeBatch(benchmark::State& state) {
  const Batch batch = MakeBidBatch();
  std::string bytes;
  for (auto _ : state) {
    bytes.clear();
    EncodeBatch(batch, bytes);
  }
  state.SetItemsProcessed(state.iterations() * batch.rows());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(EncodeWholeBatch);

void DecodeWholeBatch(benchmark::State& state) {
  const Batch batch = MakeBidBatch();
  std::string bytes;
  EncodeBatch(batch, bytes);
  for (auto _ : state) {
    const Result<Batch> decoded = DecodeBatch(bytes);
    if (!decoded.ok()) state.SkipWithError("the batch cannot be read back");
  }
  state.SetItemsProcessed(state.iterations() * batch.rows());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(DecodeWholeBatch);

// Every range(0)-th row.
void TakeManyRows(benchmark::State& state) {
  const Batch batch = MakeBidBatch();
  Selection selection;
  for (uint32_t row = 0; row < batch.rows(); row += static_cast<uint32_t>(state.range(0)))
    selection.mutable_rows().push_back(row);
  for (auto _ : state) benchmark::DoNotOptimize(batch.Take(selection));
  state.SetItemsProcessed(state.iterations() * selection.size());
}
BENCHMARK(TakeManyRows)->Arg(1)->Arg(2)->Arg(16);

}  // namespace
}  // namespace weir
