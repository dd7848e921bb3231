#include "tests/harness/env_suite.h"

#include <unistd.h>

#include "engine/base/env_posix.h"
#include "tests/harness/sim_env.h"

namespace weir {
namespace {

Path OnDisk() { return testing::TempDir() + "weir-suite-" + std::to_string(getpid()); }
std::unique_ptr<Env> MakeFaultEnv() {
  static const std::unique_ptr<Env> kBase = MakePosixEnv(1);
  return std::make_unique<FaultEnv>(*kBase, OnDisk() + "-undo", 1);
}

/// A process of a world that lives as long as the tests.
std::unique_ptr<Env> MakeSimEnv() {
  static SimWorld world(1);
  return world.StartProcess("test");
}

INSTANTIATE_TEST_SUITE_P(
    Harness, EnvFiles,
    testing::Values(EnvCase{"fault", MakeFaultEnv, OnDisk},
                    EnvCase{"sim", MakeSimEnv, [] { return Path("/data/test"); }},
                    EnvCase{"sim_relative", MakeSimEnv, [] { return Path("data/test"); }}),
    EnvCaseName);

}  // namespace
}  // namespace weir
