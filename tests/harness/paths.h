#pragma once
// Where the sources and the build are, for tests that read data files or run programs. Any thread.
// Functions and not macros, so that the compiler cache serves the same object to every working
// copy.

#include <string>

namespace weir {

/// The root of the working copy, absolute, without a slash at its end.
std::string SourceDirectory();

/// The build directory of the running preset (build/release ...); the binary is BinaryDirectory() +
/// "/weir".
std::string BinaryDirectory();

}  // namespace weir
