#pragma once
// What the micro-benchmarks work on: bids of the Nexmark stream, as JSON records and as a batch.
// Made once, read by all.

#include <memory>
#include <string>
#include <vector>

#include "bench/nexmark/generator.h"
#include "engine/api/format.h"
#include "engine/data/row_builder.h"

namespace weir {

inline constexpr uint32_t kBidBatchRows = 2048;

/// auction, bidder, price, at, extra of the first bids of the stream, drawn from its fields without
/// a decoder.
inline Batch MakeBidBatch() {
  const auto field = [](const char* name, TypeKind kind) {
    return Field{name, Type::Of(kind), false};
  };
  RowBuilder rows(std::make_shared<const Schema>(std::vector<Field>{
                      field("auction", TypeKind::kInt64), field("bidder", TypeKind::kInt64),
                      field("price", TypeKind::kInt64), field("at", TypeKind::kTimestamp),
                      field("extra", TypeKind::kString)}),
                  kBidBatchRows, SIZE_MAX);
  const bench::Generator generator({});
  std::string line;
  for (uint64_t k = 0; rows.rows() < kBidBatchRows; ++k) {
    line.clear();
    const bench::Generator::Event event = generator.Append(k, line);
    if (event.kind != bench::EventKind::kBid) continue;
    line.erase(0, line.find("\"bid\":{"));  // the other two objects are there as null
    const auto number = [&](const char* name) {
      const std::string key = std::string("\"") + name + "\":";
      return static_cast<int64_t>(std::stoll(line.substr(line.find(key) + key.size(), 20)));
    };
    rows.column(size_t{0}).Append(number("auction"));
    rows.column(size_t{1}).Append(number("bidder"));
    rows.column(size_t{2}).Append(number("price"));
    rows.column(size_t{3}).Append(event.time_ms * 1000);
    const size_t extra = line.find("\"extra\":\"") + 9;
    rows.column(size_t{4}).AppendString(
        std::string_view(line).substr(extra, line.size() - 3 - extra));
    rows.FinishRow();
  }
  return rows.Build();
}

/// The first `count` events as the records of a topic, in one buffer that outlives them.
struct EventRecords {
  explicit EventRecords(size_t count) {
    const bench::Generator generator({});
    std::vector<size_t> ends;
    for (uint64_t k = 0; k < count; ++k) {
      generator.Append(k, text);
      ends.push_back(text.size());
    }
    size_t begin = 0;
    for (const size_t end : ends) {
      Record record;
      record.value = std::string_view(text).substr(begin, end - begin);
      records.push_back(record);
      begin = end;
    }
  }
  EventRecords(const EventRecords&) = delete;
  EventRecords& operator=(const EventRecords&) = delete;

  std::string text;
  std::vector<Record> records;
};

}  // namespace weir
