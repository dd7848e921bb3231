#pragma once
// What all sinks check and say of themselves at planning: `write` against the kind of the input
// stream, the asserted schema, `delivery` against what the sink can do. Called by the `infer`
// functions; pure.

#include <string>

#include "engine/api/registry.h"

namespace weir {

struct SinkAbility {
  bool any_stream = false;  // print, blackhole: take every stream as it is
  bool upsert = false;      // `write: upsert`; the sink has an option `key`
  bool changelog = false;   // `write: changelog`
  bool exactly_once = false;
  bool exactly_once_planned = false;  // known, not in this version: `auto` means at_least_once
  std::string visibility;             // at least once: "visible in milliseconds"
};

/// Fills guarantee, visibility, uses; reports every problem. Nothing is judged while the input's
/// schema is unknown.
void InferSink(NodeConfig& config, NodeShape& shape, const SinkAbility& ability);

}  // namespace weir
