#include "engine/api/sink.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Guarantee, HasTheNamesOfJobFilesAndMetrics) {
  EXPECT_EQ(GuaranteeName(Guarantee::kNone), "none");
  EXPECT_EQ(GuaranteeName(Guarantee::kAtLeastOnce), "at_least_once");
  EXPECT_EQ(GuaranteeName(Guarantee::kEffectivelyOnce), "effectively_once");
  EXPECT_EQ(GuaranteeName(Guarantee::kExactlyOnce), "exactly_once");
}

}  // namespace
}  // namespace weir
