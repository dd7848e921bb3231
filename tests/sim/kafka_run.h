#pragma once
// The main job in simulated processes that crash, beside a simulated Kafka: a topic in, a filter,
// windows by event time with allowed lateness, a topic and files out. All in one thread and virtual
// time, everything drawn from the seed: the input and its disorder, whether it lies there or
// arrives while the job runs, what happens to the cluster, the parallelism of each process, when
// and how it dies. Then the outputs are compared with what the input says, computed here without
// the engine.
//
// The input has rows in order as far as max_delay says, rows that revise a window that has fired,
// rows that are too late for theirs, rows that the filter drops, records without a value, records
// that are no JSON, a partition without records, and one that is added on the way. Rows too late
// have keys of their own, and values that are powers of two, so that a sum tells which of them it
// holds: the others must be in the late output.
//
// Files must be right exactly once: the kept rows, the late ones, the bad ones, and the changes of
// the windows, which must cancel out to the last result of each. The topic must be right at least
// once: no result that never was one, and the last one of each key and window is the right one
// (where no row may be late: then a rolled back attempt may have seen it in time).

#include <cstdint>
#include <string>

#include "tests/harness/sim_kafka.h"

namespace weir {

struct KafkaRunReport {
  std::string failure;  // empty: the outputs are right
  uint64_t trace = 0;   // equal for equal seeds
  uint64_t steps = 0, checkpoints = 0, restarts = 0;
  uint32_t processes = 0, kills = 0, power_losses = 0, file_faults = 0, cluster_faults = 0;
  uint64_t input_records = 0, results = 0, revised_windows = 0, late_rows = 0;
  bool lied = false;
};

/// With a lie the outputs are wrong, and the report has to say so.
KafkaRunReport RunWithKafka(uint64_t seed, SimKafkaLie lie = SimKafkaLie::kNone);

}  // namespace weir
