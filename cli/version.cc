#include "cli/version.h"

// Set by the build (cli/CMakeLists.txt) on this file only, so that a commit recompiles nothing
// else.
#ifndef WEIR_VERSION
#define WEIR_VERSION "0.0.0"
#endif
#ifndef WEIR_REVISION
#define WEIR_REVISION "unknown"
#endif

namespace weir::cli {

std::string_view Version() { return WEIR_VERSION; }
std::string_view Revision() { return WEIR_REVISION; }
std::string_view VersionText() { return "weir " WEIR_VERSION " (" WEIR_REVISION ")"; }

}  // namespace weir::cli
