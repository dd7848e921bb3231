#include "engine/data/civil_time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "engine/base/time.h"

namespace weir {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kJobDurationMax = 36'500 * kDay;
constexpr int kFractionDigits = 6;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Takes pieces off the front of a text; each answers false and takes nothing where the piece does
/// not stand.
class TextReader {
 public:
  explicit TextReader(std::string_view text) : left_(text) {}
  bool done() const { return left_.empty(); }

  bool Sign(char sign) {
    if (left_.empty() || left_.front() != sign) return false;
    left_.remove_prefix(1);
    return true;
  }
  /// Exactly `count` digits.
  bool Digits(size_t count, int32_t* value) {
    if (left_.size() < count ||
        !std::all_of(left_.begin(), left_.begin() + static_cast<ptrdiff_t>(count), IsDigit))
      return false;
    *value = 0;
    for (size_t i = 0; i < count; ++i) *value = *value * 10 + (left_[i] - '0');
    left_.remove_prefix(count);
    return true;
  }
  /// One or more digits; false also beyond int64.
  bool Number(int64_t* value) {
    if (left_.empty() || !IsDigit(left_.front())) return false;
    *value = 0;
    while (!left_.empty() && IsDigit(left_.front())) {
      if (__builtin_mul_overflow(*value, int64_t{10}, value) ||
          __builtin_add_overflow(*value, int64_t{left_.front() - '0'}, value))
        return false;
      left_.remove_prefix(1);
    }
    return true;
  }
  /// One or more digits behind a decimal point as microseconds; `lost` says that a digit other than
  /// 0 was cut.
  bool Fraction(int64_t* us, bool* lost) {
    if (left_.empty() || !IsDigit(left_.front())) return false;
    *us = 0;
    *lost = false;
    int64_t unit = kSecond / 10;
    while (!left_.empty() && IsDigit(left_.front())) {
      *us += unit * (left_.front() - '0');
      if (unit == 0 && left_.front() != '0') *lost = true;
      unit /= 10;
      left_.remove_prefix(1);
    }
    return true;
  }
  std::string_view left() const { return left_; }
  void Skip(size_t bytes) { left_.remove_prefix(bytes); }

 private:
  std::string_view left_;
};

bool ReadDate(TextReader& reader, CivilDate* date) {
  return reader.Digits(4, &date->year) && reader.Sign('-') && reader.Digits(2, &date->month) &&
         reader.Sign('-') && reader.Digits(2, &date->day) && date->year >= 1 && IsValidDate(*date);
}

/// hh:mm:ss[.f...]; second 60 is the next minute.
bool ReadTimeOfDay(TextReader& reader, int64_t* us) {
  int32_t hour = 0;
  int32_t minute = 0;
  int32_t second = 0;
  if (!reader.Digits(2, &hour) || !reader.Sign(':') || !reader.Digits(2, &minute) ||
      !reader.Sign(':') || !reader.Digits(2, &second))
    return false;
  if (hour > 23 || minute > 59 || second > 60) return false;
  int64_t fraction = 0;
  bool cut = false;
  if (reader.Sign('.') && !reader.Fraction(&fraction, &cut)) return false;
  *us = hour * kHour + minute * kMinute + second * kSecond + fraction;
  return true;
}

/// Z, +hh:mm, +hhmm, +hh, or nothing.
bool ReadZone(TextReader& reader, int64_t* offset_us) {
  *offset_us = 0;
  if (reader.done() || reader.Sign('Z') || reader.Sign('z')) return true;
  const bool west = reader.Sign('-');
  if (!west && !reader.Sign('+')) return false;
  int32_t hour = 0;
  int32_t minute = 0;
  if (!reader.Digits(2, &hour)) return false;
  const bool colon = reader.Sign(':');
  if ((colon || !reader.done()) && !reader.Digits(2, &minute)) return false;
  if (hour > 23 || minute > 59) return false;
  *offset_us = (hour * kHour + minute * kMinute) * (west ? -1 : 1);
  return true;
}

constexpr std::array<char, 200> MakeTwoDigits() {
  std::array<char, 200> digits{};
  for (size_t i = 0; i < 100; ++i) {
    digits[2 * i] = static_cast<char>('0' + i / 10);
    digits[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return digits;
}
constexpr std::array<char, 200> kTwoDigits = MakeTwoDigits();

constexpr size_t kTimestampTextMax = 32;  // "+294247-01-10T04:00:54.775807Z" has 30

/// All return the place behind what they wrote.
char* WriteTwo(int64_t value, char* at) {  // 0 ... 99
  std::memcpy(at, &kTwoDigits[static_cast<size_t>(value) * 2], 2);
  return at + 2;
}
/// The first `count` digits behind the point.
char* WriteFraction(int64_t us, int count, char* at) {
  int64_t unit = kSecond / 10;
  for (int i = 0; i < count; ++i, unit /= 10) *at++ = static_cast<char>('0' + us / unit % 10);
  return at;
}
char* WriteDate(int64_t days, char* at) {
  const CivilDate date = CivilFromDays(days);
  int64_t year = date.year;
  if (year > 9999) *at++ = '+';
  if (year < 0) {
    *at++ = '-';
    year = -year;
  }
  if (year > 9999) at = std::to_chars(at, at + 4, year / 10'000).ptr;  // a date: up to 588
  at = WriteTwo(year / 100 % 100, at);
  at = WriteTwo(year % 100, at);
  *at++ = '-';
  at = WriteTwo(date.month, at);
  *at++ = '-';
  return WriteTwo(date.day, at);
}

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

/// sum += count * unit; false beyond int64.
bool AddUnits(int64_t count, int64_t unit, int64_t* sum) {
  int64_t part = 0;
  return !__builtin_mul_overflow(count, unit, &part) && !__builtin_add_overflow(*sum, part, sum);
}

}  // namespace

// Both directions after Howard Hinnant's "chrono-compatible low-level date algorithms": years start
// in March, eras have 400 years.
CivilDate CivilFromDays(int64_t days) {
  const int64_t shifted = days + 719'468;
  const int64_t era = FloorDivide(shifted, 146'097);
  const int64_t day_of_era = shifted - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return {static_cast<int32_t>(year), static_cast<int32_t>(month), static_cast<int32_t>(day)};
}

int64_t DaysFromCivil(CivilDate date) {
  const int64_t year = int64_t{date.year} - (date.month <= 2 ? 1 : 0);
  const int64_t era = FloorDivide(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year =
      (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

bool IsValidDate(CivilDate date) {
  constexpr std::array<int32_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (date.month < 1 || date.month > 12 || date.day < 1) return false;
  const bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
  return date.day <= kDays[static_cast<size_t>(date.month - 1)] + (leap && date.month == 2 ? 1 : 0);
}

std::optional<int64_t> ParseTimestamp(std::string_view text) {
  TextReader reader(text);
  CivilDate date{};
  if (!ReadDate(reader, &date)) return std::nullopt;
  int64_t us = DaysFromCivil(date) * kDay;
  if (!reader.done()) {
    int64_t time_of_day = 0;
    int64_t offset = 0;
    const bool separated = reader.Sign('T') || reader.Sign('t') || reader.Sign(' ');
    if (!separated || !ReadTimeOfDay(reader, &time_of_day) || !ReadZone(reader, &offset) ||
        !reader.done())
      return std::nullopt;
    us += time_of_day - offset;
  }
  if (!IsUsable(EventTime{us}))
    return std::nullopt;  // a zone or second 60 may lead out of years 1 ... 9999
  return us;
}

void AppendTimestamp(int64_t us, std::string& out) {
  const int64_t days = FloorDivide(us, kDay);
  const int64_t time_of_day =
      us % kDay +
      (us % kDay < 0 ? kDay : 0);  // not us - days * kDay, which overflows near the least time
  std::array<char, kTimestampTextMax> text;
  char* at = WriteDate(days, text.data());
  *at++ = 'T';
  at = WriteTwo(time_of_day / kHour, at);
  *at++ = ':';
  at = WriteTwo(time_of_day / kMinute % 60, at);
  *at++ = ':';
  at = WriteTwo(time_of_day / kSecond % 60, at);
  if (const int64_t fraction = time_of_day % kSecond; fraction != 0) {
    *at++ = '.';
    at = WriteFraction(fraction, fraction % 1000 == 0 ? 3 : kFractionDigits, at);
  }
  *at++ = 'Z';
  out.append(text.data(), static_cast<size_t>(at - text.data()));
}

std::string TimestampToString(int64_t us) {
  std::string text;
  AppendTimestamp(us, text);
  return text;
}

std::optional<int32_t> ParseDate(std::string_view text) {
  TextReader reader(text);
  CivilDate date{};
  if (!ReadDate(reader, &date) || !reader.done()) return std::nullopt;
  return static_cast<int32_t>(DaysFromCivil(date));
}

std::string DateToString(int32_t days) {
  std::array<char, kTimestampTextMax> text;
  return std::string(text.data(), WriteDate(days, text.data()));
}

std::optional<int64_t> ParseIsoDuration(std::string_view text) {
  struct Unit {
    char name;
    int64_t us;
    bool time;
  };
  constexpr std::array<Unit, 4> kUnits = {
      {{'D', kDay, false}, {'H', kHour, true}, {'M', kMinute, true}, {'S', kSecond, true}}};
  TextReader reader(text);
  const bool negative = reader.Sign('-');
  if (!negative) reader.Sign('+');
  if (!reader.Sign('P')) return std::nullopt;
  int64_t sum = 0;  // negative throughout: reaches the least int64 as well
  bool in_time = false;
  bool any_part = false;
  size_t unit = 0;  // units may not repeat or go back
  while (!reader.done()) {
    if (!in_time && reader.Sign('T')) {
      in_time = true;
      any_part = false;  // T must be followed by a part
      continue;
    }
    int64_t count = 0;
    if (!reader.Number(&count)) return std::nullopt;
    int64_t fraction = 0;
    bool lost = false;
    const bool has_fraction = reader.Sign('.');
    if (has_fraction && (!reader.Fraction(&fraction, &lost) || lost)) return std::nullopt;
    while (unit < kUnits.size() &&
           (kUnits[unit].time != in_time || !reader.Sign(kUnits[unit].name)))
      ++unit;
    if (unit == kUnits.size() || (has_fraction && kUnits[unit].name != 'S')) return std::nullopt;
    if (!AddUnits(-count, kUnits[unit].us, &sum) || !AddUnits(-fraction, 1, &sum))
      return std::nullopt;
    ++unit;
    any_part = true;
  }
  if (!any_part) return std::nullopt;
  if (negative) return sum;
  if (sum == INT64_MIN) return std::nullopt;
  return -sum;
}

std::string IsoDurationToString(int64_t us) {
  std::string text;
  if (us < 0) text.push_back('-');
  uint64_t rest = us < 0 ? ~static_cast<uint64_t>(us) + 1 : static_cast<uint64_t>(us);
  text.push_back('P');
  const auto take = [&](int64_t unit) {
    const uint64_t count = rest / static_cast<uint64_t>(unit);
    rest %= static_cast<uint64_t>(unit);
    return count;
  };
  const uint64_t days = take(kDay);
  if (days != 0) text += std::to_string(days) + "D";
  if (rest == 0 && days != 0) return text;
  text.push_back('T');
  const uint64_t hours = take(kHour);
  if (hours != 0) text += std::to_string(hours) + "H";
  const uint64_t minutes = take(kMinute);
  if (minutes != 0) text += std::to_string(minutes) + "M";
  const uint64_t seconds = take(kSecond);
  if (seconds != 0 || rest != 0 || (hours == 0 && minutes == 0)) {
    text += std::to_string(seconds);
    if (rest != 0) {
      text.push_back('.');
      std::array<char, kFractionDigits> digits;
      WriteFraction(static_cast<int64_t>(rest), kFractionDigits, digits.data());
      text.append(digits.data(), digits.size());
      text.erase(text.find_last_not_of('0') + 1);
    }
    text.push_back('S');
  }
  return text;
}

std::optional<int64_t> ParseJobDuration(std::string_view text, bool negative) {
  struct Unit {
    std::string_view name;
    int64_t us;
  };
  constexpr std::array<Unit, 5> kUnits = {{{"ms", 1000},
                                           {"s", kSecond},
                                           {"m", kMinute},
                                           {"h", kHour},
                                           {"d", kDay}}};  // "ms" before "m"
  TextReader reader(text);
  const bool minus = negative && reader.Sign('-');
  int64_t sum = 0;
  if (reader.done()) return std::nullopt;
  while (!reader.done()) {
    int64_t count = 0;
    if (!reader.Number(&count)) return std::nullopt;
    const auto* unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) {
      return reader.left().starts_with(u.name);
    });
    if (unit == kUnits.end()) return std::nullopt;
    reader.Skip(unit->name.size());
    if (!AddUnits(count, unit->us, &sum) || sum > kJobDurationMax) return std::nullopt;
  }
  return minus ? -sum : sum;
}

std::string JobDurationToString(int64_t us) {
  struct Unit {
    std::string_view name;
    uint64_t us;
  };
  constexpr std::array<Unit, 6> kUnits = {
      {{"d", kDay}, {"h", kHour}, {"m", kMinute}, {"s", kSecond}, {"ms", 1000}, {"us", 1}}};
  if (us == 0) return "0s";
  std::string text;
  if (us < 0) text.push_back('-');
  uint64_t rest = us < 0 ? ~static_cast<uint64_t>(us) + 1 : static_cast<uint64_t>(us);
  for (const Unit& unit : kUnits) {
    if (rest >= unit.us) text += std::to_string(rest / unit.us) + std::string(unit.name);
    rest %= unit.us;
  }
  return text;
}

}  // namespace weir
