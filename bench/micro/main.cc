// The micro-benchmarks' own main: the testing library that they link brings the one of GoogleTest.

#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
