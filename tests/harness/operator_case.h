#pragma once
// OperatorCase: the harness for operators, through the registry and JSON options, after Hazelcast
// Jet's TestSupport. The author writes rows, watermarks and expected rows once; Run drives the case
// in many ways: one row per batch, one big batch, random cuts, room for one output row only, every
// state row cold, snapshot and restore between all calls (also with rows of a batch left), restore
// into two tasks by key group. Each run must give the same final rows, make progress on each call,
// and give every input row an outcome. Test thread; uses the real Env and the real state backends.
//
//   OperatorCase aggregate("aggregate", R"({"key_by": ["page"], "window": {"type": "tumbling",
//   "size": "10ms"}, "aggregates": {"n": "count(*)"}})"); aggregate.Input("page string, _event_time
//   timestamp"); aggregate.Rows(R"([{"page": "a", "_event_time": 3}])").Watermark(9).End();
//   aggregate.Expect("", R"([{"page": "a", "window_start": 0, "window_end": 10, "n": 1}])").Run();
//
// In rows a timestamp or duration is a number of microseconds, a decimal a string. Metadata columns
// are compared only if an expected row names them.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/operator.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"

namespace weir::testing {

class OperatorCase {
 public:
  OperatorCase(std::string type, std::string options);

  /// Columns of the input as "name type, name type?"; `_event_time` makes it a stream with event
  /// time.
  OperatorCase& Input(const std::string& columns);
  OperatorCase& Rows(const std::string& json);
  OperatorCase& Watermark(int64_t us);
  OperatorCase& End();
  /// Where a variation cuts batches by the row, it cuts by this many instead: for cases of so many
  /// rows that a call, or a restore, for each would take minutes.
  OperatorCase& RowsPerUnit(uint32_t rows);
  /// Exactly these rows leave `port` ("" is main), in any order over the whole case.
  OperatorCase& Expect(const std::string& port, const std::string& json);
  /// For updating outputs: what is left after all changes are applied by the unique key;
  /// intermediate revisions depend on batches.
  OperatorCase& ExpectFinal(const std::string& json);
  /// Input rows that end as errors, by code.
  OperatorCase& ExpectErrors(std::map<std::string, int> codes);
  /// Outcomes at the end, by name; those not named are not looked at.
  OperatorCase& ExpectOutcomes(std::map<std::string, int64_t> outcomes);
  /// Runs every variation; failures name it.
  void Run();

  /// One way of driving a case.
  struct Variation {
    std::string name;
    uint32_t batch_rows = 0;      // 0: all at once; UINT32_MAX: random
    uint32_t output_rows = 1024;  // rows of one output batch
    bool cold = false;            // the smallest hot table that RocksDB's backend takes
    bool rocksdb = false;
    uint32_t restore_every = 0;  // calls between two restores; 0: never
    uint32_t tasks = 1, tasks_after_restore = 1;
    uint64_t seed = 1;
    uint32_t rows_per_unit = 1;
  };

 private:
  struct Event {
    enum Kind : uint8_t { kRows, kWatermark, kEnd } kind;
    Json rows;
    int64_t watermark = 0;
  };
  void RunOne(const Variation& variation);

  const std::string type_;
  const Json options_;
  Schema input_;
  uint32_t rows_per_unit_ = 1;
  std::vector<Event> events_;
  std::map<std::string, Json> expected_;
  std::optional<Json> expected_final_;
  std::map<std::string, int> expected_errors_;
  std::map<std::string, int64_t> expected_outcomes_;
};

/// A batch's rows as JSON objects in the notation above.
Json RowsToJson(const Batch& batch);
/// Rows of a schema from JSON objects; a column that is absent is NULL.
Batch RowsFromJson(const SchemaRef& schema, const Json& rows);
/// "a int64, b string?"
Schema ParseColumns(const std::string& columns);

}  // namespace weir::testing
