#pragma once
// Version and revision of this build, as --version and weir_build_info tell them. Any thread.

#include <string_view>

namespace weir::cli {

std::string_view Version();      // "0.1.0"
std::string_view Revision();     // of the source, short; "unknown" outside of a checkout
std::string_view VersionText();  // both

}  // namespace weir::cli
