#pragma once
// The name Json without its definition: for headers that only hand it on. The full header costs a
// compiler seconds, and most files never look inside.

#include <nlohmann/json_fwd.hpp>

namespace weir {

using Json = nlohmann::ordered_json;

}  // namespace weir
