#pragma once
// Batches for tests of expressions, from text: "a int32?, b string" and "1, 'x'; NULL, 'y'".

#include <string>
#include <string_view>
#include <vector>

#include "engine/data/batch.h"
#include "engine/expr/expression.h"

namespace weir::testing {

/// Splits at `separator` outside of single quotes and brackets; parts are trimmed.
std::vector<std::string> SplitOutsideQuotes(std::string_view text, char separator);
SchemaRef MakeSchema(std::string_view columns);
/// One text per value: NULL, 'text' or the text of any other type.
Batch MakeBatch(const SchemaRef& schema, std::string_view rows);
Scope MakeScope(const SchemaRef& schema);
/// The value as CAST(... AS string) prints it, NULL, or "!code" if the row failed.
std::vector<std::string> Values(const Column& column, const RowErrors& errors);

}  // namespace weir::testing
