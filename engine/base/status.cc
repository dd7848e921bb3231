#include "engine/base/status.h"

#include <array>

namespace weir {
namespace {

struct CodeInfo {
  std::string_view name;
  Fault fault;
  Retry retry;
};

// Position = Code. What a code says about fault and retry unless the caller knows better.
constexpr std::array<CodeInfo, 23> kCodes = {{
    {"Ok", Fault::kInternal, Retry::kNever},
    {"InvalidArgument", Fault::kUser, Retry::kNever},
    {"Planned", Fault::kUser, Retry::kNever},
    {"NotFound", Fault::kUser, Retry::kNever},
    {"AlreadyExists", Fault::kUser, Retry::kNever},
    {"PermissionDenied", Fault::kUser, Retry::kNever},
    {"Unavailable", Fault::kExternal, Retry::kBackoff},
    {"TimedOut", Fault::kExternal, Retry::kBackoff},
    {"Corruption", Fault::kExternal, Retry::kNever},
    {"DiskFull", Fault::kExternal, Retry::kBackoff},
    {"Io", Fault::kExternal, Retry::kBackoff},
    {"Locked", Fault::kUser, Retry::kNever},
    {"Incompatible", Fault::kUser, Retry::kNever},
    {"BadRecord", Fault::kUser, Retry::kNever},
    {"Limit", Fault::kUser, Retry::kNever},
    {"QueueFull", Fault::kExternal, Retry::kBackoff},
    {"Cancelled", Fault::kUser, Retry::kNever},
    {"Fenced", Fault::kExternal, Retry::kNever},
    {"MarkerAhead", Fault::kExternal, Retry::kNever},
    {"Zombie", Fault::kExternal, Retry::kNever},
    {"MarkerLost", Fault::kExternal, Retry::kNever},
    {"OutputChanged", Fault::kExternal, Retry::kNever},
    {"Internal", Fault::kInternal, Retry::kBackoff},
}};
static_assert(kCodes.size() == static_cast<size_t>(Code::kInternal) + 1);

}  // namespace

std::string_view CodeName(Code code) { return kCodes[static_cast<size_t>(code)].name; }

Status::Status(Code code, std::string message)
    : Status(code, std::move(message), kCodes[static_cast<size_t>(code)].fault,
             kCodes[static_cast<size_t>(code)].retry) {}

Status::Status(Code code, std::string message, Fault fault, Retry retry)
    : code_(code), fault_(fault), retry_(retry), message_(std::move(message)) {}

Status Status::At(std::string_view where) const {
  if (ok()) return *this;
  return Status(code_, std::string(where) + ": " + message_, fault_, retry_);
}

std::string Status::ToString() const {
  if (ok()) return "Ok";
  return std::string(CodeName(code_)) + ": " + message_;
}

}  // namespace weir
