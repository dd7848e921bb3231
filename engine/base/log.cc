#include "engine/base/log.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <mutex>

#include "engine/base/escape.h"

namespace weir {
namespace {

constexpr size_t kLogValueBytesMax = 8192;
constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};

// The one process-wide setting besides the terminal: set once in main, before threads start.
std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kText};

/// The log's own clocks: a line says when it was written even where Env is simulated.
int64_t WallMicroseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}
int64_t SteadyMicroseconds() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void AppendNow(std::string& out) {
  const int64_t now_us = WallMicroseconds();
  const auto seconds = static_cast<std::time_t>(now_us / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                    parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                    parts.tm_min, parts.tm_sec, static_cast<int>(now_us % 1'000'000));
  out.append(text.data(), static_cast<size_t>(size));
}

std::string_view Cut(std::string_view text) { return text.substr(0, kLogValueBytesMax); }

/// Numbers JSON does not know (inf, nan) go as strings.
bool IsJsonNumberOrBool(std::string_view value) {
  return value.find_first_of("in") == std::string_view::npos;
}

void AppendJsonLine(LogLevel level, std::string_view message,
                    std::initializer_list<LogField> fields, std::string& line) {
  line += "{\"ts\":\"";
  AppendNow(line);
  line += "\",\"level\":\"";
  line += kLevelNames[static_cast<size_t>(level)];
  line += "\",\"msg\":";
  AppendJsonString(Cut(message), line);
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendJsonString(field.name, line);
    line.push_back(':');
    if (field.number && IsJsonNumberOrBool(field.value)) {
      line += field.value;
    } else {
      AppendJsonString(Cut(field.value), line);
    }
  }
  line += "}\n";
}

void AppendTextLine(LogLevel level, std::string_view message,
                    std::initializer_list<LogField> fields, std::string& line) {
  AppendNow(line);
  line.push_back(' ');
  line += kLevelNames[static_cast<size_t>(level)];
  line.append(kLevelNames[static_cast<size_t>(level)].size() < 5 ? 2 : 1, ' ');
  AppendOneLine(message, kLogValueBytesMax, line);
  for (const LogField& field : fields) {
    line.push_back(' ');
    line += field.name;
    line.push_back('=');
    const bool quote =
        field.value.empty() || field.value.find_first_of(" =\"") != std::string::npos;
    if (quote) {
      AppendJsonString(Cut(field.value), line);
    } else {
      AppendOneLine(field.value, kLogValueBytesMax, line);
    }
  }
  line.push_back('\n');
}

/// Whole lines in one write, so that lines of several threads and processes do not mix.
void WriteToStderr(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nobody to tell
    line.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void ConfigureLog(LogLevel level, LogFormat format) {
  g_level.store(level, std::memory_order_relaxed);
  g_format.store(format, std::memory_order_relaxed);
}

bool LogEnabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  std::string line;
  if (g_format.load(std::memory_order_relaxed) == LogFormat::kJson) {
    AppendJsonLine(level, message, fields, line);
  } else {
    AppendTextLine(level, message, fields, line);
  }
  static std::mutex write_mutex;
  const std::lock_guard lock(write_mutex);
  WriteToStderr(line);
}

bool LogSite::Opens(int64_t interval_ms, int64_t* suppressed) {
  const int64_t now_us = SteadyMicroseconds();
  int64_t next_us = next_us_.load(std::memory_order_relaxed);
  if (now_us < next_us || !next_us_.compare_exchange_strong(next_us, now_us + interval_ms * 1000,
                                                            std::memory_order_relaxed)) {
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace weir
