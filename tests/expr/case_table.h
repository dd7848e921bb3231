#pragma once
// Tables of cases: rows, expressions over them, expected types, values and error codes. Every case
// runs over the whole batch, row by row, over random slices of many copies, on a scattered
// selection inside a CASE, and (bool) as a filter; all must give what the table says.

#include <string_view>

namespace weir::testing {

/// Lines: `# comment`; `a int32?, b string | 1, 'x'; NULL, 'y'` columns and rows, without
/// indentation; and, indented, an expression over them: `a + 1 => int32: 2; NULL`. Values are NULL,
/// text, in single quotes where blanks or separators count, or !code of the row's error.
void ExpectCases(std::string_view table);

}  // namespace weir::testing
