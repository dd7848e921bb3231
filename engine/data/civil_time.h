#pragma once
// Text of timestamps, dates and durations as jobs and formats read and write them, and the calendar
// behind them. Pure functions; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

struct CivilDate {
  int32_t year;
  int32_t month, day;  // 1-based
};
CivilDate CivilFromDays(int64_t days);
int64_t DaysFromCivil(CivilDate date);
bool IsValidDate(CivilDate date);

/// RFC 3339, also with a blank for T, zones Z +hh:mm +hhmm +hh or none (UTC), a date alone, second
/// 60; digits beyond the sixth are cut. Empty: no timestamp.
std::optional<int64_t> ParseTimestamp(std::string_view text);
/// UTC, `Z`, 0, 3 or 6 fraction digits, the fewest that lose nothing. Years past 9999 as +10000-...
void AppendTimestamp(int64_t us, std::string& out);
std::string TimestampToString(int64_t us);

std::optional<int32_t> ParseDate(std::string_view text);  // "2026-01-31"
std::string DateToString(int32_t days);

/// ISO 8601 "PT1M30S", days and smaller; empty: none.
std::optional<int64_t> ParseIsoDuration(std::string_view text);
std::string IsoDurationToString(int64_t us);

/// A duration of a job file, "1h30m", "500ms"; a leading '-' only if `negative`. Empty: none, or
/// above 36,500 d.
std::optional<int64_t> ParseJobDuration(std::string_view text, bool negative);
std::string JobDurationToString(int64_t us);

}  // namespace weir
