// Decoding JSON records of the Nexmark topic into the columns that a query reads, by the decoder of
// the format `json`.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/micro/bid_batch.h"
#include "connectors/register.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"

namespace weir {
namespace {

constexpr const char* kQ0Columns = R"({
  "event_type": "int32",
  "auction": {"type": "int64?", "from": "/bid/auction"}, "bidder": {"type": "int64?", "from": "/bid/bidder"},
  "price": {"type": "int64?", "from": "/bid/price"}, "dateTime": {"type": "timestamp?", "from": "/bid/dateTime"},
  "extra": {"type": "string?", "from": "/bid/extra"},
  "auction_at": {"type": "timestamp?", "from": "/auction/dateTime"}, "person_at": {"type": "timestamp?", "from": "/person/dateTime"}})";
constexpr const char* kQ5Columns = R"({
  "event_type": "int32",
  "auction": {"type": "int64?", "from": "/bid/auction"}, "dateTime": {"type": "timestamp?", "from": "/bid/dateTime"},
  "auction_at": {"type": "timestamp?", "from": "/auction/dateTime"}, "person_at": {"type": "timestamp?", "from": "/person/dateTime"}})";

// `check: full` switches the short cut by known layouts off, so it shows the whole decoder (and its
// full check).
void DecodeJson(benchmark::State& state, const char* columns_text, const char* format) {
  Registry registry;
  RegisterConnectors(registry);
  const NodeType type{
      .name = "records",
      .doc = "Records made by the benchmark.",
      .options = {{.name = "format", .type = OptionType::kFormat, .doc = "Format of the records."}},
      .create = Factory<SourceParts>(nullptr)};
  Problems problems;
  const NodeConfig config(
      registry, type, "records",
      Json::parse(std::string(R"({"format": )") + format + R"(, "schema": )" + columns_text + "}"),
      {}, std::make_shared<const JobSettings>(), &problems);
  const std::vector<SourceColumn> columns = config.DeclaredColumns("schema");
  std::vector<Field> fields;
  fields.reserve(columns.size());
  for (const SourceColumn& column : columns) fields.push_back(column.field);
  Result<std::unique_ptr<Decoder>> decoder = config.MakeDecoder(columns);
  if (!decoder.ok()) return state.SkipWithError(decoder.status().message().c_str());

  const EventRecords events(20'000);
  RowBuilder rows(std::make_shared<const Schema>(std::move(fields)), kBatchRowsMax, SIZE_MAX);
  RowErrors errors;
  constexpr size_t kRecordsPerCall = 1000;
  size_t at = 0;
  for (auto _ : state) {
    const Result<Step> step =
        (*decoder)->Decode(std::span(events.records).subspan(at, kRecordsPerCall), rows, errors);
    benchmark::DoNotOptimize(rows.Build());
    at = (at + kRecordsPerCall) % events.records.size();
    if (!step.ok() || !errors.empty()) return state.SkipWithError("a record cannot be read");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRecordsPerCall));
  state.SetBytesProcessed(
      state.iterations() *
      static_cast<int64_t>(events.text.size() / (events.records.size() / kRecordsPerCall)));
}
BENCHMARK_CAPTURE(DecodeJson, q0, kQ0Columns, R"({"type": "json"})");
BENCHMARK_CAPTURE(DecodeJson, q5_count, kQ5Columns, R"({"type": "json"})");
BENCHMARK_CAPTURE(DecodeJson, q0_check_full, kQ0Columns, R"({"type": "json", "check": "full"})");
BENCHMARK_CAPTURE(DecodeJson, q5_count_check_full, kQ5Columns,
                  R"({"type": "json", "check": "full"})");

}  // namespace
}  // namespace weir
