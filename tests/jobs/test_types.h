#pragma once
// Small node types for tests of the front end: they infer shapes and make no objects, so that rules
// of graph and plan can be shown one by one.

#include <string>
#include <vector>

#include "engine/api/registry.h"
#include "jobs/jobs.h"

namespace weir::jobs {

/// t_source, t_filter, t_union, t_keyed, t_updating, t_wait, t_single, t_sink, t_upsert_sink,
/// t_once_sink, t_options; format t_lines.
const Registry& TestRegistry();

/// Compiles with TestRegistry(); `options` otherwise as given.
CompiledJob CompileTest(const std::string& text, CompileOptions options = {});

/// `{"weir": 1, "name": "test", "nodes": {<nodes>}}`
std::string JobOf(const std::string& nodes);
/// A source of columns `id int64, name string?, at timestamp` with event time, called "in".
std::string SourceNode(const std::string& id = "in");
std::string SinkNode(const std::string& id, const std::string& input);

/// Codes of all problems in the order found, those of the JSON text first.
std::vector<std::string> CodesOf(const CompiledJob& job);

}  // namespace weir::jobs
