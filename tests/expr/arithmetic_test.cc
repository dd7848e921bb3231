#include "engine/expr/arithmetic.h"

#include <gtest/gtest.h>

#include "tests/expr/case_table.h"

namespace weir {
namespace {

TEST(Arithmetic, FollowsTheTable) {
  testing::ExpectCases(R"(
one int32 | 1
  1 + 2 => int32: 3
  2147483647 + 1 => int32: !expression.overflow
  2147483648 + 1 => int64: 2147483649
  7 / 2 => int32: 3
  -7 / 2 => int32: -3
  -7 % 3 => int32: -1
  7 % -3 => int32: 1
  1 / 0 => int32: !expression.division_by_zero
  1 % 0 => int32: !expression.division_by_zero
  0.908 * 5 => decimal(14,3): 4.540
  1.5 + 2.25 => decimal(4,2): 3.75
  1.0 / 3 => decimal(13,12): 0.333333333333
  5.5 % 2 => decimal(2,1): 1.5
  1.5e0 * 2 => float64: 3
  1.5 > 1 => bool: true
  'a' || 'b' => string: 'ab'
  'a' < 'b' => bool: true
  NOT TRUE => bool: false
  NULL IS NULL => bool: true
  NULL AND FALSE => bool: false
  NULL OR TRUE => bool: true
  NULL AND TRUE => bool: NULL
  CAST('42' AS int64) => int64: 42
  CAST(' 42 ' AS int32) => int32: 42
  '4x'::int => int32: !expression.cast
  CAST(2.5 AS int32) => int32: 3
  CAST(-2.5 AS int32) => int32: -3
  CAST(2.5e0 AS int32) => int32: 3
  CAST('NaN' AS float64)::int64 => int64: !expression.cast
  CAST(1e30 AS int64) => int64: !expression.cast
  CAST('1.005' AS decimal(3,2)) => decimal(3,2): 1.01
  CAST(123.456 AS decimal(4,1)) => decimal(4,1): 123.5
  CAST(123.456 AS decimal(3,2)) => decimal(3,2): !expression.cast
  TRUE::string => string: 'true'
  TIMESTAMP '2026-01-01 00:00:00' => timestamp: 2026-01-01T00:00:00Z
  TIMESTAMP '2026-01-01T01:00:00+01:00' => timestamp: 2026-01-01T00:00:00Z
  DATE '2026-01-31' + 1 => date: 2026-02-01
  DATE '2026-01-31' - DATE '2026-01-01' => int32: 30
  DATE '2026-01-01' < TIMESTAMP '2026-01-01 00:00:01' => bool: true
  INTERVAL '1 hour 30 minutes' => duration: PT1H30M
  INTERVAL '5 minutes' * 3 => duration: PT15M
  INTERVAL '1 day' / 2 => duration: PT12H
  TIMESTAMP '2026-01-01 00:00:00' + INTERVAL '1 day' => timestamp: 2026-01-02T00:00:00Z
  TIMESTAMP '2026-01-02' - TIMESTAMP '2026-01-01' => duration: P1D
  5 & 3 => int32: 1
  5 | 3 => int32: 7
  5 # 3 => int32: 6
  1 << 4 => int32: 16
  -16 >> 2 => int32: -4
  1 << 32 => int32: !expression.overflow
  1 << -1 => int32: !expression.overflow
  -(-2147483647 - 1) => int32: !expression.overflow
  abs(-2147483647 - 1) => int32: !expression.overflow
  (-2147483647 - 1) / -1 => int32: !expression.overflow
  (-2147483647 - 1) % -1 => int32: 0
  (-9223372036854775807 - 1) / -1 => int64: !expression.overflow
  9223372036854775807 + 1 => int64: !expression.overflow
  9223372036854775808 => decimal(19,0): 9223372036854775808
  99999999999999999999999999999999999999 + 1 => decimal(38,0): !expression.overflow
  99999999999999999999999999999999999999 * 0.1 => decimal(38,1): 9999999999999999999999999999999999999.9
  12345678901234567890123456789012345678 * 1 => decimal(38,0): 12345678901234567890123456789012345678
  0.1 + 0.2 = 0.3 => bool: true
)");
}

}  // namespace
}  // namespace weir
