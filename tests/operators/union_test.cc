#include <gtest/gtest.h>

#include "tests/harness/operator_case.h"

namespace weir::testing {
namespace {

TEST(Union, PassesEveryRow) {
  OperatorCase("union", "{}")
      .Input("n int64, s string?")
      .Rows(R"([{"n": 1, "s": null}, {"n": 2, "s": "x"}])")
      .Expect("", R"([{"n": 1, "s": null}, {"n": 2, "s": "x"}])")
      .ExpectOutcomes({{"passed", 2}})
      .Run();
}

}  // namespace
}  // namespace weir::testing
