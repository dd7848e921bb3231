#pragma once
// Status and Result: how an operation says that it failed. A Status carries what happened (code), a
// message for a person (what, where, expected, how to fix; never a secret), whose fault it is, and
// whether a retry can help. Values; any thread. A bug in Weir is no Status (see check.h), a bad
// record neither (see engine/data/row_errors.h). After LevelDB's Status and the C++23
// std::expected.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "engine/base/check.h"

namespace weir {

/// Stable and documented: tests and exit codes depend on these, names are printed by ToString().
enum class Code : uint8_t {
  kOk = 0,
  kInvalidArgument,   // the caller's value is wrong: job file, option, flag
  kPlanned,           // known, not in this version
  kNotFound,          // a file, topic or checkpoint that must exist does not
  kAlreadyExists,     // create-exclusive lost
  kPermissionDenied,  // authentication or authorisation failed; a path or address that is not
                      // allowed
  kUnavailable,       // a peer or service does not answer now
  kTimedOut,          // no answer before the deadline
  kCorruption,        // bytes are not what was written: checksum, format, truncated
  kDiskFull,          // no space left
  kIo,                // any other failure of a disk
  kLocked,            // another process owns the job
  kIncompatible,      // state or format does not fit
  kBadRecord,         // a record under on_error: fail, or error_threshold passed
  kLimit,             // a documented bound was reached: memory, quota, size
  kQueueFull,         // not now; a wake follows
  kCancelled,         // asked to stop
  kFenced,            // a newer attempt or owner exists: this one must end
  kMarkerAhead,       // M1 of the fail-closed cases
  kZombie,            // M2
  kMarkerLost,        // M3
  kOutputChanged,     // M4
  kInternal,          // a bug, reported without crashing
};

enum class Fault : uint8_t { kUser, kExternal, kInternal };
enum class Retry : uint8_t { kNever, kBackoff };

std::string_view CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message);
  Status(Code code, std::string message, Fault fault, Retry retry);
  static Status Ok() { return {}; }

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  Fault fault() const { return fault_; }
  Retry retry() const { return retry_; }

  /// The same status with `where: ` before its message; context is added on the way up.
  Status At(std::string_view where) const;
  /// "NotFound: message"; "Ok" without one.
  std::string ToString() const;

 private:
  Code code_ = Code::kOk;
  Fault fault_ = Fault::kInternal;
  Retry retry_ = Retry::kNever;
  std::string message_;
};

/// Says in the code why a failure may be passed over.
inline void IgnoreStatus(const Status&, std::string_view /*why*/) {}

/// A value or the Status that says why there is none. Reading the wrong side is a bug (WEIR_CHECK).
template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): `return value;`
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor): `return status;`
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {
    WEIR_CHECK(!std::get<1>(state_).ok());
  }
  template <class U>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Status> &&
             !std::is_same_v<std::remove_cvref_t<U>, T>)
  // NOLINTNEXTLINE(google-explicit-constructor): derived pointers
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  Status status() const { return ok() ? Status::Ok() : std::get<1>(state_); }
  T& value() & {
    WEIR_CHECK(ok());
    return std::get<0>(state_);
  }
  const T& value() const& {
    WEIR_CHECK(ok());
    return std::get<0>(state_);
  }
  T&& value() && {
    WEIR_CHECK(ok());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace weir

#define WEIR_CONCAT_INNER(a, b) a##b
#define WEIR_CONCAT(a, b) WEIR_CONCAT_INNER(a, b)

/// Returns from the function with the Status of `expression` unless it is Ok.
#define WEIR_TRY(expression)                           \
  do {                                                 \
    ::weir::Status weir_try_status = (expression);     \
    if (!weir_try_status.ok()) return weir_try_status; \
  } while (false)

/// `WEIR_ASSIGN(auto file, env.Open(path));` declares and sets, or returns the Status.
#define WEIR_ASSIGN(declaration, expression) \
  WEIR_ASSIGN_INNER(WEIR_CONCAT(weir_result_, __LINE__), declaration, expression)
#define WEIR_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                              \
  if (!result.ok()) return result.status();                \
  declaration = std::move(result).value()
