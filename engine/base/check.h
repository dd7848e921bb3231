#pragma once
// WEIR_CHECK: a bug in Weir ends the process, in every build, because recovery from the last
// checkpoint is the normal path. Prints file, line, the condition, both values of a comparison and
// a backtrace, then aborts. Whatever input, a peer or a disk can cause is never a check but a
// Status.

#include <sstream>
#include <string>

namespace weir {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& values);

template <class A, class B>
std::string CheckValues(const A& a, const B& b) {
  std::ostringstream out;
  if constexpr (requires { out << a << b; }) out << " (" << a << " vs " << b << ")";
  return out.str();
}

}  // namespace weir

#define WEIR_CHECK(condition)                                             \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::weir::CheckFailed(__FILE__, __LINE__, #condition, std::string()); \
  } while (false)
#define WEIR_CHECK_OP(a, op, b)                                             \
  do {                                                                      \
    const auto& weir_check_a = (a);                                         \
    const auto& weir_check_b = (b);                                         \
    if (!(weir_check_a op weir_check_b)) [[unlikely]]                       \
      ::weir::CheckFailed(__FILE__, __LINE__, #a " " #op " " #b,            \
                          ::weir::CheckValues(weir_check_a, weir_check_b)); \
  } while (false)
#define WEIR_CHECK_EQ(a, b) WEIR_CHECK_OP(a, ==, b)
#define WEIR_CHECK_NE(a, b) WEIR_CHECK_OP(a, !=, b)
#define WEIR_CHECK_LT(a, b) WEIR_CHECK_OP(a, <, b)
#define WEIR_CHECK_LE(a, b) WEIR_CHECK_OP(a, <=, b)
#define WEIR_CHECK_GT(a, b) WEIR_CHECK_OP(a, >, b)
#define WEIR_CHECK_GE(a, b) WEIR_CHECK_OP(a, >=, b)

/// Costly checks only: on in Debug builds.
#ifdef NDEBUG
#define WEIR_DCHECK(condition) \
  do {                         \
  } while (false)
#else
#define WEIR_DCHECK(condition) WEIR_CHECK(condition)
#endif
