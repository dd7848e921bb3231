#pragma once
// Options of nodes as data: the common ones that every entry has beside its own, connection types,
// fallbacks, and the text forms of sizes and rates (durations and times: engine/data/civil_time.h).
// Read by the validator, NodeConfig, the JSON Schema and the reference pages. Pure functions; any
// thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/registry.h"
#include "engine/base/json_fwd.h"

namespace weir {

/// The entry's own options first, then the common ones: `description`, `labels`, `parallelism`,
/// `on_error`, `error_threshold`, `renamed_from`; operators `state`; sources `schema`,
/// `event_time`, `rate`; sinks `delivery`, `schema`. An own option of the same name stands for the
/// common one. `inputs` is none of them: InputRule says all of it.
std::vector<Option> OptionsOf(const NodeType& type);

/// Options of the object `format` of a format: its own and, if it decodes, `max_record`.
std::vector<Option> OptionsOf(const FormatType& format);

struct ConnectionType {
  std::string_view name, doc;
  std::vector<Option> options;
  bool planned = false;
};
std::span<const ConnectionType> ConnectionTypes();
const ConnectionType* FindConnectionType(std::string_view name);

/// Node types, tables and formats that job files may name one day and that no entry knows yet:
/// answered "planned, not in this version".
std::span<const std::string_view> PlannedNodeTypes();
std::span<const std::string_view> PlannedFormats();

/// May hold `${...}`: marked, or a number, enum, size, rate, duration or time.
bool IsSubstitutable(const Option& option);
/// The fallback as a job file would hold it; null: none.
Json FallbackOf(const Option& option);
const Option* FindOption(std::span<const Option> options, std::string_view name);
/// Fills in the fallbacks of `options` into the object `value`, below it too.
void FillFallbacks(const Registry& registry, std::span<const Option> options, Json& value);

/// "64MiB" -> bytes. Empty: none, or beyond int64.
std::optional<uint64_t> ParseSize(std::string_view text);
/// "500/s" -> 500. Empty: none, or zero.
std::optional<double> ParseRate(std::string_view text);

}  // namespace weir
