#pragma once
// Structured logs: a constant message and fields as pairs, one line per event on stderr (text on a
// terminal, else JSON).
//   WEIR_LOG(kInfo, "checkpoint completed", {"job", job}, {"bytes", bytes});
// Any thread; never per row: repeated faults use WEIR_LOG_EVERY_MS. Values are escaped to one line;
// secrets are never passed (type Secret prints ***).

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace weir {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : uint8_t { kText, kJson };

struct LogField {
  std::string_view name;
  std::string value;
  bool number = false;
  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const char* text) : name(field), value(text) {}
  LogField(std::string_view field, const std::string& text) : name(field), value(text) {}
  LogField(std::string_view field, bool truth)
      : name(field), value(truth ? "true" : "false"), number(true) {}
  template <class T>
    requires(std::integral<T> || std::floating_point<T>)
  LogField(std::string_view field, T n) : name(field), value(std::to_string(n)), number(true) {}
};

/// Once, before threads start. Lines below `level` are dropped.
void ConfigureLog(LogLevel level, LogFormat format);
bool LogEnabled(LogLevel level);
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields);
/// One site that may repeat: opens at most once per interval, and says how many calls it kept back.
/// Any thread.
class LogSite {
 public:
  bool Opens(int64_t interval_ms, int64_t* suppressed);

 private:
  std::atomic<int64_t> next_us_{0};
  std::atomic<int64_t> suppressed_{0};
};

}  // namespace weir

#define WEIR_LOG(level, message, ...)                               \
  do {                                                              \
    if (::weir::LogEnabled(::weir::LogLevel::level))                \
      ::weir::Log(::weir::LogLevel::level, message, {__VA_ARGS__}); \
  } while (false)
#define WEIR_LOG_EVERY_MS(interval_ms, level, message, ...)                          \
  do {                                                                               \
    static ::weir::LogSite weir_log_site;                                            \
    int64_t weir_log_suppressed = 0;                                                 \
    if (::weir::LogEnabled(::weir::LogLevel::level) &&                               \
        weir_log_site.Opens(interval_ms, &weir_log_suppressed))                      \
      ::weir::Log(::weir::LogLevel::level, message,                                  \
                  {{"suppressed", weir_log_suppressed} __VA_OPT__(, ) __VA_ARGS__}); \
  } while (false)
