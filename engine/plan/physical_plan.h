#pragma once
// PhysicalPlan: plain data between the front end (jobs/ fills it) and the engine (control and
// runtime run it): nodes with their inferred shapes, chains, edges with the way rows take, key
// groups, execution options. Immutable once made; any thread. Factories in it are called by the
// tasks.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/registry.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/data/key_encoding.h"

namespace weir {

enum class EdgeKind : uint8_t {
  kDirect,      // inside a chain, by direct call
  kForward,     // equal parallelism, task i to task i, through a channel
  kHash,        // by key group of the consumer's key
  kRanges,      // task i of P feeds i * P' / P
  kRoundRobin,  // by batch
  kBroadcast,
};
std::string_view EdgeKindName(EdgeKind kind);

struct PlanEdge {
  uint32_t index = 0;
  NodeIndex producer;
  Port from = kMain;
  NodeIndex consumer;
  Port to = kMain;  // input port of the consumer
  EdgeKind kind = EdgeKind::kDirect;
  SchemaRef schema;       // what travels: the producer's output, or the consumer's partial rows
  bool combined = false;  // the producer's task runs the consumer's Combiner before the exchange
  std::vector<Expression> hash_keys;  // kHash: over `producer`'s output (before combining)
  std::vector<uint16_t> column_map;   // union with schema_union: unused in version 1
};

struct ErrorThreshold {
  bool off = false;
  double ratio = 0.5;
  Duration over = Seconds(60);
  uint64_t rows_min = 1000;
};

struct PlanNode {
  NodeIndex index;
  std::string id;
  const NodeType* type = nullptr;
  std::shared_ptr<const NodeConfig> config;
  NodeShape shape;
  uint32_t parallelism = 1;
  uint32_t chain = 0;
  OnError on_error = OnError::kFail;
  ErrorThreshold error_threshold;
  std::vector<uint32_t> in_edges;  // by input port, then order
  std::vector<uint32_t> out_edges;
  std::string renamed_from;
};

struct PlanChain {
  uint32_t index = 0;
  std::vector<NodeIndex> nodes;  // head first, then in topological order
  uint32_t parallelism = 1;
  NodeIndex head() const { return nodes.front(); }
};

enum class RestartStrategy : uint8_t { kExponential, kFixedDelay, kFailureRate, kNone };
struct RestartOptions {
  RestartStrategy strategy = RestartStrategy::kExponential;
  Duration initial_delay = Seconds(1), max_delay = Seconds(60), reset_after = Seconds(600);
  double multiplier = 1.5, jitter = 0.1;
  std::optional<uint64_t> max_attempts;
  uint64_t attempts = 3;        // fixed_delay
  Duration delay = Seconds(1);  // fixed_delay, failure_rate
  uint64_t failures = 3;        // failure_rate
  Duration per = Seconds(60);
};
struct CheckpointOptions {
  bool off = false;
  Duration interval = Seconds(10), timeout = Seconds(300), min_pause{};
  bool exactly_once = true;
  uint32_t tolerable_failures = 3, retain = 3;
  std::string storage;  // empty: the process's
};

struct PhysicalPlan {
  std::string job;
  std::string job_hash;  // of the substituted graph without secrets
  uint32_t key_groups = kKeyGroupsDefault;
  uint32_t parallelism = 1;
  std::optional<uint64_t> memory;  // execution.memory
  std::string state_backend = "rocksdb", compression = "lz4";
  bool allow_dropped_state = false;
  CheckpointOptions checkpoint;
  RestartOptions restart;
  std::vector<PlanNode> nodes;  // by NodeIndex, topological
  std::vector<PlanChain> chains;
  std::vector<PlanEdge> edges;
  std::shared_ptr<const JobSettings> settings;
  uint64_t row_bytes_max() const { return settings->row_bytes_max(); }
};

/// The same plan with every node in a chain of its own: a configuration of tests (it also shows
/// what chaining saves).
PhysicalPlan Unchained(PhysicalPlan plan);

}  // namespace weir
