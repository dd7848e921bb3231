#pragma once
// The table of functions: one file per group adds its entries, documentation and kernels together.
// Called once; the table is constant afterwards.

#include <vector>

#include "engine/expr/bind.h"

namespace weir {

void AddConditions(std::vector<Function>& table);  // condition, conversion, random
void AddNumbers(std::vector<Function>& table);
void AddTexts(std::vector<Function>& table);  // text, regex, encoding, hashes
void AddTimes(std::vector<Function>& table);
void AddAggregates(std::vector<Function>& table);
void AddPlanned(std::vector<Function>& table);

}  // namespace weir
