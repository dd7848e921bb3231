#include "engine/expr/compare.h"

#include <gtest/gtest.h>

#include "tests/expr/case_table.h"

namespace weir {
namespace {

TEST(Compare, FollowsTheTable) {
  testing::ExpectCases(R"(
a int32, b int64? | 1, 1; 2, NULL; -3, -4; 2147483647, 2147483648
  a = b => bool: true; NULL; false; false
  a <> b => bool: false; NULL; true; true
  a < b => bool: false; NULL; false; true
  a <= b => bool: true; NULL; false; true
  a > b => bool: false; NULL; true; false
  a >= b => bool: true; NULL; true; false
  a = 2 => bool: false; true; false; false
  2 < a => bool: false; false; false; true
  a IS DISTINCT FROM b => bool: false; true; true; true
  a IS NOT DISTINCT FROM b => bool: true; false; false; false
  b IS NULL => bool: false; true; false; false
  a IN (1, 2, 3) => bool: true; true; false; false
  a NOT IN (1, 5) => bool: false; true; true; true
  b IN (1, NULL) => bool: true; NULL; NULL; NULL
  b NOT IN (1, NULL) => bool: false; NULL; NULL; NULL
  a IN (b, 2) => bool: true; true; false; false
  a NOT IN (b, 2) => bool: false; false; true; true
  a IN (1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,-3) => bool: true; true; true; false
  a BETWEEN 0 AND b => bool: true; NULL; false; true
  a NOT BETWEEN 0 AND b => bool: false; NULL; true; false
  a + 0 BETWEEN 1 AND 2 => bool: true; true; false; false
  greatest(a, b) => int64: 1; 2; -3; 2147483648
  least(a, b, 0) => int64: 0; 0; -4; 0
  greatest(b, CAST(NULL AS int64)) => int64: 1; NULL; -4; 2147483648
x decimal(5,2)?, y decimal(7,4), z decimal(38,0), w decimal(38,38) | 1.50, 1.5000, 1, 0.5; NULL, -1.5, -1, -0.5; -1.51, -1.5099, 99999999999999999999999999999999999999, 0.00000000000000000000000000000000000001
  x = y => bool: true; NULL; false
  x < y => bool: false; NULL; true
  x = 1.5 => bool: true; NULL; false
  x >= 1 => bool: true; NULL; false
  z > w => bool: true; false; true
  z = w => bool: false; false; false
  w < z => bool: true; false; true
  x IN (1.5, 2) => bool: true; NULL; false
s string?, t string | 'a', 'b'; 'abcdefghijkl', 'abcdefghijkl'; 'abcdefghijklm', 'abcdefghijkln'; NULL, 'x'; '', ''; 'ä', 'z'
  s = t => bool: false; true; false; NULL; true; false
  s < t => bool: true; false; true; NULL; false; false
  s >= t => bool: false; true; false; NULL; true; true
  s = 'abcdefghijklm' => bool: false; false; true; NULL; false; false
  s = 'abcdefghijkl' => bool: false; true; false; NULL; false; false
  s <> 'a' => bool: false; true; true; NULL; true; true
  'a' = s => bool: true; false; false; NULL; false; false
  s = '' => bool: false; false; false; NULL; true; false
  s IN ('a', 'abcdefghijklm') => bool: true; false; true; NULL; false; false
  s IN ('1','2','3','4','5','6','7','8','9','10','11','12','13','abcdefghijklm', '') => bool: false; false; true; NULL; true; false
  greatest(s, t) => string: b; abcdefghijkl; abcdefghijkln; x; ''; ä
  nullif(s, t) => string: a; NULL; abcdefghijklm; NULL; NULL; ä
  CASE s WHEN 'a' THEN 1 WHEN t THEN 2 ELSE 3 END => int32: 1; 2; 3; 3; 2; 3
f float64?, g float32 | 1.5, 1.5; nan, nan; infinity, 2; NULL, 0; -0.0, 0
  f = g => bool: true; true; false; NULL; true
  f < g => bool: false; false; false; NULL; false
  f > 1 => bool: true; true; true; NULL; false
  f <> f => bool: false; false; false; NULL; false
  f IS NOT DISTINCT FROM 'NaN'::float64 => bool: false; true; false; false; false
  least(f, g) => float64: 1.5; nan; 2; 0; -0
d date, at timestamp, n duration? | 2026-01-01, 2026-01-01T00:00:00Z, PT1H; 2026-01-02, 2026-01-01T23:59:59Z, NULL
  d = at => bool: true; false
  d > at => bool: false; true
  n = INTERVAL '60 minutes' => bool: true; NULL
  at < TIMESTAMP '2026-01-01 12:00:00' => bool: true; false
p bool?, q bool? | true, true; true, false; true, NULL; false, true; false, false; false, NULL; NULL, true; NULL, false; NULL, NULL
  p AND q => bool: true; false; NULL; false; false; false; NULL; false; NULL
  p OR q => bool: true; true; true; true; false; NULL; true; NULL; NULL
  NOT p => bool: false; false; false; true; true; true; NULL; NULL; NULL
  p = q => bool: true; false; NULL; false; true; NULL; NULL; NULL; NULL
  p IS TRUE => bool: true; true; true; false; false; false; false; false; false
  p IS NOT TRUE => bool: false; false; false; true; true; true; true; true; true
  p IS UNKNOWN => bool: false; false; false; false; false; false; true; true; true
  p AND q IS NULL => bool: false; false; true; false; false; false; false; false; NULL
  CASE WHEN p THEN 'p' WHEN q THEN 'q' END => string: p; p; p; q; NULL; NULL; q; NULL; NULL
  coalesce(p, q, FALSE) => bool: true; true; true; false; false; false; true; false; false
  if(p, 1, 2) => int32: 1; 1; 1; 2; 2; 2; 2; 2; 2
)");
}

TEST(Compare, TouchesRowsOnlyWhileTheyAreUndecided) {
  testing::ExpectCases(R"(
x int32, y int32? | 0, 1; 2, 0; 5, NULL
  x <> 0 AND 10 / x > 2 => bool: false; true; false
  x = 0 OR 10 / x > 2 => bool: true; true; false
  10 / x > 2 AND x <> 0 => bool: !expression.division_by_zero; true; false
  CASE WHEN x = 0 THEN 0 ELSE 10 / x END => int32: 0; 5; 2
  CASE WHEN 10 / x > 2 THEN 1 ELSE 2 END => int32: !expression.division_by_zero; 1; 2
  coalesce(y, 10 / x) => int32: 1; 0; 2
  coalesce(10 / x, y) => int32: !expression.division_by_zero; 5; 2
  if(x = 0, 0, 10 / x) => int32: 0; 5; 2
  y IS NULL OR 10 / y > 3 => bool: true; !expression.division_by_zero; true
  (y = 7) AND 10 / x > 1 => bool: false; false; NULL
  (y = 7 OR NULL) AND 10 / x > 1 => bool: !expression.division_by_zero; NULL; NULL
  try(10 / x) => int32: NULL; 5; 2
  coalesce(try(10 / x), -1) => int32: -1; 5; 2
  try(10 / x) IS NULL OR 10 / y > 3 => bool: true; !expression.division_by_zero; NULL
  coalesce(10 / x, 1) > 0 => bool: !expression.division_by_zero; true; true
)");
}

}  // namespace
}  // namespace weir
