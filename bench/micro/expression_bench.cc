// Expressions over a batch of bids, as the Nexmark jobs have them: cost per row.

#include <benchmark/benchmark.h>

#include "bench/micro/bid_batch.h"
#include "engine/expr/expression.h"

namespace weir {
namespace {

void Evaluate(benchmark::State& state, const char* text) {
  const Batch batch = MakeBidBatch();
  Scope scope;
  scope.inputs.push_back({"bids", batch.schema_ref()});
  const BindResult bound = BindExpression(text, scope, {});
  if (!bound.problems.empty()) {
    state.SkipWithError(bound.problems.front().message.c_str());
    return;
  }
  RowErrors errors;
  for (auto _ : state) benchmark::DoNotOptimize(bound.expression.Evaluate(batch, errors));
  state.SetItemsProcessed(state.iterations() * batch.rows());
}
BENCHMARK_CAPTURE(Evaluate, remainder, "auction % 123 = 0");
BENCHMARK_CAPTURE(Evaluate, decimal, "0.908 * price");
BENCHMARK_CAPTURE(Evaluate, conjunction, "auction > 1000 AND price < 50000000");
BENCHMARK_CAPTURE(Evaluate, hour, "EXTRACT(hour FROM at)");
BENCHMARK_CAPTURE(Evaluate, replace, "length(extra) - length(replace(extra, 'c', ''))");
BENCHMARK_CAPTURE(Evaluate, regex, "regexp_extract(extra, '([a-z]+)Z', 1)");
BENCHMARK_CAPTURE(Evaluate, lower, "CASE lower(extra) WHEN 'apple' THEN '0' ELSE extra END");

}  // namespace
}  // namespace weir
