#include "state/store_name.h"

#include <string>

namespace weir::state {

Status CheckStoreName(std::string_view name) {
  const std::string padded = "/" + std::string(name) + "/";
  if (!name.empty() && padded.find("//") == std::string::npos &&
      padded.find("/../") == std::string::npos && padded.find("/./") == std::string::npos &&
      name.find('\0') == std::string_view::npos)
    return Status::Ok();
  return {Code::kInvalidArgument,
          "\"" + std::string(name) +
              "\" is no name in a storage: expected a relative path without \".\" and \"..\""};
}

Status CheckStoredLength(std::string_view name, uint64_t expected, uint64_t found) {
  if (expected == found) return Status::Ok();
  return {Code::kCorruption, std::string(name) + ": expected " + std::to_string(expected) +
                                 " bytes, found " + std::to_string(found)};
}

}  // namespace weir::state
