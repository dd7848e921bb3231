#pragma once
// A fuzz target: one <name>_fuzz.cc defines both functions. The fuzz preset links it with
// libFuzzer, every other preset with replay.cc, which runs the seeds, damaged copies of them and
// the files of corpus/<name>/ (inputs that once failed) as a CTest. A target aborts on what must
// not happen; otherwise no input may crash it, and memory stays bounded.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Sound inputs to start from.
std::vector<std::string> FuzzSeeds();

/// Runs one input. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
