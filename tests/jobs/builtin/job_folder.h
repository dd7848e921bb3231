#pragma once
// The node types that Weir ships, and job files read from the sources: what the tests of examples
// and of bad jobs share.

#include <string>

#include "engine/api/registry.h"
#include "jobs/jobs.h"

namespace weir::jobs {

const Registry& BuiltinRegistry();
std::string ReadSourceFile(const std::string& path);  // below the working copy
/// Compiles with the built-in types, without environment variables.
CompiledJob CompileBuiltin(const std::string& file, const std::string& text);

}  // namespace weir::jobs
