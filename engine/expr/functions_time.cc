// time: calendar fields, truncation, zones, text by pattern. All arithmetic is on microseconds UTC,
// proleptic Gregorian; weeks are ISO weeks.

#include <algorithm>
#include <array>
#include <limits>

#include "engine/data/civil_time.h"
#include "engine/data/decimal.h"
#include "engine/expr/functions.h"
#include "engine/expr/problem_codes.h"
#include "engine/expr/text.h"
#include "engine/expr/zone.h"

namespace weir {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kMinuteUs = 60 * kSecondUs;
constexpr int64_t kHourUs = 60 * kMinuteUs;
constexpr int64_t kDayUs = 24 * kHourUs;
constexpr int64_t kWeekUs = 7 * kDayUs;

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
int64_t FloorModulo(int64_t a, int64_t b) {
  const int64_t rest = a % b;
  return rest < 0 ? rest + b : rest;
}

enum class DateField : uint8_t {
  kYear,
  kIsoYear,
  kQuarter,
  kMonth,
  kWeek,
  kDay,
  kDow,
  kIsoDow,
  kDoy,
  kHour,
  kMinute,
  kSecond,
  kEpoch
};
struct NamedField {
  std::string_view name;
  DateField field;
};
constexpr std::array<NamedField, 13> kFields = {{{"year", DateField::kYear},
                                                 {"isoyear", DateField::kIsoYear},
                                                 {"quarter", DateField::kQuarter},
                                                 {"month", DateField::kMonth},
                                                 {"week", DateField::kWeek},
                                                 {"day", DateField::kDay},
                                                 {"dow", DateField::kDow},
                                                 {"isodow", DateField::kIsoDow},
                                                 {"doy", DateField::kDoy},
                                                 {"hour", DateField::kHour},
                                                 {"minute", DateField::kMinute},
                                                 {"second", DateField::kSecond},
                                                 {"epoch", DateField::kEpoch}}};

std::string LowerCase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

/// 0 = Thursday, 1970-01-01 was one; answers 1 = Monday ... 7 = Sunday.
int64_t IsoDayOfWeek(int64_t days) { return FloorModulo(days + 3, 7) + 1; }
int64_t DayOfYear(int64_t days, int32_t year) { return days - DaysFromCivil({year, 1, 1}) + 1; }
/// The year that the Thursday of this week lies in.
int32_t IsoYear(int64_t days) { return CivilFromDays(days - IsoDayOfWeek(days) + 4).year; }
int64_t IsoWeek(int64_t days) {
  return (days - IsoDayOfWeek(days) + 4 - DaysFromCivil({IsoYear(days), 1, 1})) / 7 + 1;
}

template <DateField kField>
int64_t FieldOf(int64_t us) {
  if constexpr (kField == DateField::kHour) return FloorModulo(us, kDayUs) / kHourUs;
  if constexpr (kField == DateField::kMinute) return FloorModulo(us, kHourUs) / kMinuteUs;
  if constexpr (kField == DateField::kSecond) return FloorModulo(us, kMinuteUs);
  const int64_t days = FloorDivide(us, kDayUs);
  if constexpr (kField == DateField::kDow) return IsoDayOfWeek(days) % 7;
  if constexpr (kField == DateField::kIsoDow) return IsoDayOfWeek(days);
  if constexpr (kField == DateField::kIsoYear) return IsoYear(days);
  if constexpr (kField == DateField::kWeek) return IsoWeek(days);
  const CivilDate date = CivilFromDays(days);
  if constexpr (kField == DateField::kYear) return date.year;
  if constexpr (kField == DateField::kQuarter) return (date.month + 2) / 3;
  if constexpr (kField == DateField::kMonth) return date.month;
  if constexpr (kField == DateField::kDay) return date.day;
  if constexpr (kField == DateField::kDoy) return DayOfYear(days, date.year);
  return us;
}

struct ZoneData {
  std::shared_ptr<const ZoneRules> zone;
};
int64_t Local(const KernelCall& call, int64_t us) {
  if (call.node.data == nullptr) return us;
  int64_t local = 0;
  return __builtin_add_overflow(us, call.Data<ZoneData>().zone->OffsetAt(us), &local) ? us : local;
}

/// One field of each row: int64, or the digits of a decimal for seconds and epochs.
template <DateField kField, class R>
void FieldLoop(const KernelCall& call) {
  const int64_t* in = call.arguments[0].Values<int64_t>();
  R* out = call.Out<R>();
  if constexpr (kField == DateField::kEpoch) {
    constexpr int64_t kEpochMax = 1'000'000'000'000'000'000;  // decimal(18,6)
    call.ForEachValid([&](uint32_t row) {
      out[row] = in[row];
      if (in[row] >= kEpochMax || in[row] <= -kEpochMax)
        call.Fail(row, RecordCode::kExpressionOverflow, "a time beyond the calendar");
    });
  } else if (call.node.data == nullptr) {
    call.ForEachValid([=](uint32_t row) { out[row] = FieldOf<kField>(in[row]); });
  } else {
    call.ForEachValid([&](uint32_t row) { out[row] = FieldOf<kField>(Local(call, in[row])); });
  }
}
/// Fields of a duration: its days are 24 hours, the hours go on.
template <DateField kField, class R>
void DurationFieldLoop(const KernelCall& call) {
  const int64_t* in = call.arguments[0].Values<int64_t>();
  R* out = call.Out<R>();
  call.rows.ForEach([=](uint32_t row) {
    const int64_t us = in[row];
    switch (kField) {
      case DateField::kDay:
        out[row] = us / kDayUs;
        break;
      case DateField::kHour:
        out[row] = us % kDayUs / kHourUs;
        break;
      case DateField::kMinute:
        out[row] = us % kHourUs / kMinuteUs;
        break;
      case DateField::kSecond:
        out[row] = us % kMinuteUs;
        break;
      default:
        out[row] = us;
        break;
    }
  });
}

template <DateField kField>
NodeRef MakeField(Binder& binder, NodeRef operand, std::string name,
                  std::shared_ptr<const ZoneData> zone, bool duration) {
  constexpr bool kDecimal = kField == DateField::kSecond || kField == DateField::kEpoch;
  using R = std::conditional_t<kDecimal, Int128, int64_t>;
  const Type type = kField == DateField::kSecond  ? Type::Decimal(8, 6)
                    : kField == DateField::kEpoch ? Type::Decimal(18, 6)
                                                  : Type::Of(TypeKind::kInt64);
  return binder.Strict(type, std::move(name),
                       duration ? DurationFieldLoop<kField, R> : FieldLoop<kField, R>,
                       {std::move(operand)}, std::move(zone));
}

/// The zone given as argument `index`, if it is; false after a problem.
bool TakeZone(Binder& binder, FunctionCall& call, size_t index,
              std::shared_ptr<const ZoneData>* data, std::string* name) {
  if (call.arguments.size() <= index) return true;
  const std::optional<std::string> zone = binder.ConstantText(call, index, "a time zone");
  if (!zone) return false;
  std::shared_ptr<const ZoneRules> rules = ZoneRules::Find(*zone);
  if (rules == nullptr) {
    binder.Problem(call.raw[index], kProblemPattern, "there is no time zone '" + *zone + "'",
                   "zones are IANA names: 'Europe/Stockholm', 'UTC'");
    return false;
  }
  *name = *zone;
  if (*zone != "UTC") *data = std::make_shared<ZoneData>(ZoneData{std::move(rules)});
  return true;
}
std::string WithZone(std::string name, const std::string& zone) {
  return zone.empty() ? name : name + " in " + zone;
}

/// Timestamps as they are, dates as their midnight; null after a problem.
NodeRef TakeTime(Binder& binder, FunctionCall& call, size_t index, bool durations) {
  NodeRef operand = call.arguments[index];
  const TypeKind kind = operand->type.kind;
  if (kind == TypeKind::kTimestamp || (durations && kind == TypeKind::kDuration)) return operand;
  if (kind == TypeKind::kDate || kind == TypeKind::kNull)
    return binder.Coerce(operand, Type::Of(TypeKind::kTimestamp));
  return binder.WrongArguments(call);
}

NodeRef BindDatePart(Binder& binder, FunctionCall& call) {
  const std::optional<std::string> given = binder.ConstantText(call, 0, "the field");
  NodeRef operand = TakeTime(binder, call, 1, true);
  std::shared_ptr<const ZoneData> zone;
  std::string zone_name;
  if (!given || operand == nullptr || !TakeZone(binder, call, 2, &zone, &zone_name)) return nullptr;
  const std::string name = LowerCase(*given);
  const auto field = std::find_if(kFields.begin(), kFields.end(),
                                  [&](const NamedField& known) { return known.name == name; });
  const bool duration = operand->type.kind == TypeKind::kDuration;
  const auto fits_duration = [](DateField some) {
    return some == DateField::kDay || some == DateField::kHour || some == DateField::kMinute ||
           some == DateField::kSecond || some == DateField::kEpoch;
  };
  if (field == kFields.end() || (duration && !fits_duration(field->field))) {
    std::vector<std::string> known;
    std::string list;
    for (const NamedField& some : kFields) {
      if (duration && !fits_duration(some.field)) continue;
      known.emplace_back(some.name);
      list += (list.empty() ? "" : ", ") + std::string(some.name);
    }
    const std::vector<std::string> close = Suggest(name, known);
    return binder.Problem(
        call.node, kProblemArguments,
        "there is no field '" + name + "' of a " + operand->type.ToString(),
        close.empty() ? "fields: " + list : "did you mean '" + close.front() + "'?");
  }
  // Epochs do not depend on a zone.
  if (field->field == DateField::kEpoch) zone = nullptr;
  const std::string text = WithZone("extract_" + name, zone_name);
  switch (field->field) {
    case DateField::kYear:
      return MakeField<DateField::kYear>(binder, operand, text, zone, duration);
    case DateField::kIsoYear:
      return MakeField<DateField::kIsoYear>(binder, operand, text, zone, duration);
    case DateField::kQuarter:
      return MakeField<DateField::kQuarter>(binder, operand, text, zone, duration);
    case DateField::kMonth:
      return MakeField<DateField::kMonth>(binder, operand, text, zone, duration);
    case DateField::kWeek:
      return MakeField<DateField::kWeek>(binder, operand, text, zone, duration);
    case DateField::kDay:
      return MakeField<DateField::kDay>(binder, operand, text, zone, duration);
    case DateField::kDow:
      return MakeField<DateField::kDow>(binder, operand, text, zone, duration);
    case DateField::kIsoDow:
      return MakeField<DateField::kIsoDow>(binder, operand, text, zone, duration);
    case DateField::kDoy:
      return MakeField<DateField::kDoy>(binder, operand, text, zone, duration);
    case DateField::kHour:
      return MakeField<DateField::kHour>(binder, operand, text, zone, duration);
    case DateField::kMinute:
      return MakeField<DateField::kMinute>(binder, operand, text, zone, duration);
    case DateField::kSecond:
      return MakeField<DateField::kSecond>(binder, operand, text, zone, duration);
    default:
      return MakeField<DateField::kEpoch>(binder, operand, text, nullptr, duration);
  }
}

// date_trunc

enum class TimeUnit : uint8_t {
  kMicrosecond,
  kMillisecond,
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear
};
struct NamedUnit {
  std::string_view name;
  TimeUnit unit;
};
constexpr std::array<NamedUnit, 10> kUnits = {{{"microsecond", TimeUnit::kMicrosecond},
                                               {"millisecond", TimeUnit::kMillisecond},
                                               {"second", TimeUnit::kSecond},
                                               {"minute", TimeUnit::kMinute},
                                               {"hour", TimeUnit::kHour},
                                               {"day", TimeUnit::kDay},
                                               {"week", TimeUnit::kWeek},
                                               {"month", TimeUnit::kMonth},
                                               {"quarter", TimeUnit::kQuarter},
                                               {"year", TimeUnit::kYear}}};

/// The unit named by argument 0, second or longer if `truncates`.
std::optional<TimeUnit> TakeUnit(Binder& binder, FunctionCall& call, bool truncates) {
  const std::optional<std::string> given = binder.ConstantText(call, 0, "the unit");
  if (!given) return std::nullopt;
  const std::string name = LowerCase(*given);
  std::vector<std::string> known;
  for (const NamedUnit& unit : kUnits) {
    if (truncates && unit.unit < TimeUnit::kSecond) continue;
    if (unit.name == name) return unit.unit;
    known.emplace_back(unit.name);
  }
  const std::vector<std::string> close = Suggest(name, known);
  std::string list;
  for (const std::string& unit : known) list += (list.empty() ? "" : ", ") + unit;
  binder.Problem(call.raw[0], kProblemArguments, "there is no unit '" + name + "'",
                 close.empty() ? "units: " + list : "did you mean '" + close.front() + "'?");
  return std::nullopt;
}

int64_t MidnightOf(int32_t year, int32_t month) { return DaysFromCivil({year, month, 1}) * kDayUs; }

/// Local time cut to a unit. Times near the ends of int64 stay in range: years are cut downwards by
/// less than a year.
int64_t Truncate(TimeUnit unit, int64_t us) {
  switch (unit) {
    case TimeUnit::kSecond:
      return us - FloorModulo(us, kSecondUs);
    case TimeUnit::kMinute:
      return us - FloorModulo(us, kMinuteUs);
    case TimeUnit::kHour:
      return us - FloorModulo(us, kHourUs);
    case TimeUnit::kDay:
      return us - FloorModulo(us, kDayUs);
    case TimeUnit::kWeek:
      return us - FloorModulo(us + 3 * kDayUs, kWeekUs);
    default:
      break;
  }
  const CivilDate date = CivilFromDays(FloorDivide(us, kDayUs));
  if (unit == TimeUnit::kMonth) return MidnightOf(date.year, date.month);
  if (unit == TimeUnit::kQuarter) return MidnightOf(date.year, (date.month - 1) / 3 * 3 + 1);
  return MidnightOf(date.year, 1);
}

struct TruncData {
  TimeUnit unit;
  std::shared_ptr<const ZoneRules> zone;  // null: UTC
};
/// Times on which calendar arithmetic cannot overflow.
bool InCalendar(int64_t us) { return us > INT64_MIN / 2 && us < INT64_MAX / 2; }

void TruncLoop(const KernelCall& call) {
  const auto& data = call.Data<TruncData>();
  const int64_t* in = call.arguments[0].Values<int64_t>();
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    const int64_t us = in[row];
    if (!InCalendar(us)) {
      call.Fail(row, RecordCode::kExpressionOverflow, "a time beyond the calendar");
      return;
    }
    if (data.zone == nullptr) {
      out[row] = Truncate(data.unit, us);
      return;
    }
    const int64_t offset = data.zone->OffsetAt(us);
    const int64_t local = Truncate(data.unit, us + offset);
    // As PostgreSQL: from days on the offset of the result counts, below the one of the argument.
    out[row] = data.unit >= TimeUnit::kDay ? data.zone->ToUtc(local) : local - offset;
  });
}
NodeRef BindDateTrunc(Binder& binder, FunctionCall& call) {
  const std::optional<TimeUnit> unit = TakeUnit(binder, call, true);
  NodeRef operand = TakeTime(binder, call, 1, false);
  std::shared_ptr<const ZoneData> zone;
  std::string zone_name;
  if (!unit || operand == nullptr || !TakeZone(binder, call, 2, &zone, &zone_name)) return nullptr;
  auto data = std::make_shared<TruncData>(TruncData{*unit, zone == nullptr ? nullptr : zone->zone});
  std::string text =
      WithZone("date_trunc_" + std::string(kUnits[static_cast<size_t>(*unit)].name), zone_name);
  return binder.Strict(Type::Of(TypeKind::kTimestamp), std::move(text), TruncLoop,
                       {std::move(operand)}, std::move(data));
}

// date_diff: whole units from the first time to the second, towards zero.
int64_t MonthsBetween(int64_t from, int64_t to) {
  const int64_t from_days = FloorDivide(from, kDayUs);
  const int64_t to_days = FloorDivide(to, kDayUs);
  const CivilDate a = CivilFromDays(from_days);
  const CivilDate b = CivilFromDays(to_days);
  int64_t months = (int64_t{b.year} - a.year) * 12 + (b.month - a.month);
  const auto rest = [](const CivilDate& date, int64_t us) {
    return date.day * kDayUs + FloorModulo(us, kDayUs);
  };
  if (months > 0 && rest(b, to) < rest(a, from)) --months;
  if (months < 0 && rest(b, to) > rest(a, from)) ++months;
  return months;
}
void DiffLoop(const KernelCall& call) {
  const auto unit = call.Data<TruncData>().unit;
  const Reader<int64_t> from(call.arguments[0]);
  const Reader<int64_t> to(call.arguments[1]);
  auto* out = call.Out<int64_t>();
  constexpr std::array<int64_t, 7> kSizes = {1,       1000,   kSecondUs, kMinuteUs,
                                             kHourUs, kDayUs, kWeekUs};
  call.ForEachValid([&](uint32_t row) {
    if (!InCalendar(from[row]) || !InCalendar(to[row])) {
      call.Fail(row, RecordCode::kExpressionOverflow, "a time beyond the calendar");
      return;
    }
    if (unit <= TimeUnit::kWeek) {
      out[row] = (to[row] - from[row]) / kSizes[static_cast<size_t>(unit)];
    } else {
      const int64_t months = MonthsBetween(from[row], to[row]);
      out[row] = months / (unit == TimeUnit::kYear ? 12 : unit == TimeUnit::kQuarter ? 3 : 1);
    }
  });
}
NodeRef BindDateDiff(Binder& binder, FunctionCall& call) {
  const std::optional<TimeUnit> unit = TakeUnit(binder, call, false);
  NodeRef from = TakeTime(binder, call, 1, false);
  NodeRef to = TakeTime(binder, call, 2, false);
  if (!unit || from == nullptr || to == nullptr) return nullptr;
  return binder.Strict(Type::Of(TypeKind::kInt64),
                       "date_diff_" + std::string(kUnits[static_cast<size_t>(*unit)].name),
                       DiffLoop, {std::move(from), std::move(to)},
                       std::make_shared<TruncData>(TruncData{*unit, nullptr}));
}

// time_bucket(width, t): start of the bucket of that width, counted from 1970-01-01.
void BucketLoop(const KernelCall& call) {
  const Reader<int64_t> widths(call.arguments[0]);
  const Reader<int64_t> times(call.arguments[1]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    if (widths[row] <= 0) {
      call.Fail(row, RecordCode::kExpressionOverflow,
                "the width of a time bucket must be positive");
    } else if (__builtin_sub_overflow(times[row], FloorModulo(times[row], widths[row]),
                                      &out[row])) {
      call.Fail(row, RecordCode::kExpressionOverflow, "a time beyond the calendar");
    }
  });
}

// Numbers.
struct EpochUnit {
  int64_t us;
};
std::shared_ptr<const EpochUnit> TakeEpochUnit(Binder& binder, FunctionCall& call) {
  if (call.arguments.size() < 2) return std::make_shared<EpochUnit>(EpochUnit{kSecondUs});
  const std::optional<std::string> unit = binder.ConstantText(call, 1, "the unit");
  if (!unit) return nullptr;
  if (*unit == "s") return std::make_shared<EpochUnit>(EpochUnit{kSecondUs});
  if (*unit == "ms") return std::make_shared<EpochUnit>(EpochUnit{1000});
  if (*unit == "us") return std::make_shared<EpochUnit>(EpochUnit{1});
  binder.Problem(call.raw[1], kProblemArguments, "there is no unit '" + *unit + "'",
                 "'s', 'ms' or 'us'");
  return nullptr;
}
void FromEpochLoop(const KernelCall& call) {
  const int64_t unit = call.Data<EpochUnit>().us;
  const int64_t* in = call.arguments[0].Values<int64_t>();
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    if (__builtin_mul_overflow(in[row], unit, &out[row]))
      call.Fail(row, RecordCode::kExpressionOverflow,
                std::to_string(in[row]) + " does not fit timestamp");
  });
}
void ToEpochLoop(const KernelCall& call) {
  const int64_t unit = call.Data<EpochUnit>().us;
  const int64_t* in = call.arguments[0].Values<int64_t>();
  auto* out = call.Out<int64_t>();
  call.rows.ForEach([=](uint32_t row) { out[row] = FloorDivide(in[row], unit); });
}
NodeRef BindFromEpoch(Binder& binder, FunctionCall& call) {
  NodeRef operand = call.arguments[0];
  if (!operand->type.is_integer() && operand->type.kind != TypeKind::kNull)
    return binder.WrongArguments(call);
  std::shared_ptr<const EpochUnit> unit = TakeEpochUnit(binder, call);
  if (unit == nullptr) return nullptr;
  operand = binder.Coerce(operand, Type::Of(TypeKind::kInt64));
  std::string text = "from_epoch_" + std::to_string(unit->us);
  return binder.Strict(Type::Of(TypeKind::kTimestamp), std::move(text), FromEpochLoop,
                       {std::move(operand)}, std::move(unit));
}
NodeRef BindToEpoch(Binder& binder, FunctionCall& call) {
  NodeRef operand = TakeTime(binder, call, 0, true);
  std::shared_ptr<const EpochUnit> unit = TakeEpochUnit(binder, call);
  if (unit == nullptr || operand == nullptr) return nullptr;
  std::string text = "to_epoch_" + std::to_string(unit->us);
  return binder.Strict(Type::Of(TypeKind::kInt64), std::move(text), ToEpochLoop,
                       {std::move(operand)}, std::move(unit));
}

// at_time_zone: the wall clock of a zone, as a timestamp that reads like it.
void AtZoneLoop(const KernelCall& call) {
  const auto& zone = *call.Data<ZoneData>().zone;
  const int64_t* in = call.arguments[0].Values<int64_t>();
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    if (__builtin_add_overflow(in[row], zone.OffsetAt(in[row]), &out[row]))
      call.Fail(row, RecordCode::kExpressionOverflow, "a time beyond the calendar");
  });
}
NodeRef BindAtZone(Binder& binder, FunctionCall& call) {
  NodeRef operand = TakeTime(binder, call, 0, false);
  std::shared_ptr<const ZoneData> zone;
  std::string name;
  if (operand == nullptr || !TakeZone(binder, call, 1, &zone, &name)) return nullptr;
  if (zone == nullptr) return operand;  // UTC
  return binder.Strict(Type::Of(TypeKind::kTimestamp), WithZone("at_time_zone", name), AtZoneLoop,
                       {std::move(operand)}, std::move(zone));
}

// Text by pattern.

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> kDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                   "Friday", "Saturday", "Sunday"};
constexpr std::string_view kDirectives = "YmdHMSfzjaAbBFTsuIpy%";

struct TimePattern {
  std::string pattern;
  std::shared_ptr<const ZoneRules> zone;
};

void AppendPadded(int64_t value, int width, std::string& out) {
  const std::string digits = std::to_string(value < 0 ? -value : value);
  if (value < 0) out += '-';
  for (int i = static_cast<int>(digits.size()); i < width; ++i) out += '0';
  out += digits;
}
/// Seconds with the fewest fraction digits that lose nothing.
void AppendSeconds(int64_t us, std::string& out) {
  AppendPadded(us / kSecondUs, 2, out);
  int64_t rest = us % kSecondUs;
  if (rest == 0) return;
  out += '.';
  int width = 6;
  while (rest % 10 == 0) {
    rest /= 10;
    --width;
  }
  AppendPadded(rest, width, out);
}
void AppendOffset(int64_t offset, std::string& out) {
  out += offset < 0 ? '-' : '+';
  const int64_t minutes = (offset < 0 ? -offset : offset) / kMinuteUs;
  AppendPadded(minutes / 60, 2, out);
  AppendPadded(minutes % 60, 2, out);
}

void FormatTime(const TimePattern& pattern, int64_t us, std::string& out) {
  const int64_t offset = pattern.zone == nullptr ? 0 : pattern.zone->OffsetAt(us);
  const int64_t local = us + offset;
  const int64_t days = FloorDivide(local, kDayUs);
  const int64_t time = FloorModulo(local, kDayUs);
  const CivilDate date = CivilFromDays(days);
  const std::string_view text = pattern.pattern;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'Y':
        AppendPadded(date.year, 4, out);
        break;
      case 'y':
        AppendPadded(FloorModulo(date.year, 100), 2, out);
        break;
      case 'm':
        AppendPadded(date.month, 2, out);
        break;
      case 'd':
        AppendPadded(date.day, 2, out);
        break;
      case 'H':
        AppendPadded(time / kHourUs, 2, out);
        break;
      case 'I':
        AppendPadded((time / kHourUs + 11) % 12 + 1, 2, out);
        break;
      case 'p':
        out += time / kHourUs < 12 ? "AM" : "PM";
        break;
      case 'M':
        AppendPadded(time % kHourUs / kMinuteUs, 2, out);
        break;
      case 'S':
        AppendSeconds(time % kMinuteUs, out);
        break;
      case 'f':
        AppendPadded(time % kSecondUs, 6, out);
        break;
      case 'z':
        AppendOffset(offset, out);
        break;
      case 'j':
        AppendPadded(DayOfYear(days, date.year), 3, out);
        break;
      case 'a':
        out += kDays[static_cast<size_t>(IsoDayOfWeek(days) - 1)].substr(0, 3);
        break;
      case 'A':
        out += kDays[static_cast<size_t>(IsoDayOfWeek(days) - 1)];
        break;
      case 'b':
        out += kMonths[static_cast<size_t>(date.month - 1)].substr(0, 3);
        break;
      case 'B':
        out += kMonths[static_cast<size_t>(date.month - 1)];
        break;
      case 'u':
        AppendPadded(IsoDayOfWeek(days), 1, out);
        break;
      case 's':
        out += std::to_string(FloorDivide(us, kSecondUs));
        break;
      case 'F':
        FormatTime({"%Y-%m-%d", pattern.zone}, us, out);
        break;
      case 'T':
        FormatTime({"%H:%M:%S", pattern.zone}, us, out);
        break;
      default:
        out += '%';
        break;
    }
  }
}
void FormatLoop(const KernelCall& call) {
  const auto& pattern = call.Data<TimePattern>();
  const int64_t* in = call.arguments[0].Values<int64_t>();
  auto* out = call.Out<Utf8View>();
  TextArena arena;
  std::string text;
  call.ForEachValid([&](uint32_t row) {
    if (!InCalendar(in[row])) {
      call.Fail(row, RecordCode::kExpressionOverflow, "a time beyond the calendar");
      return;
    }
    text.clear();
    FormatTime(pattern, in[row], text);
    if (!arena.Fits(text.size())) return FailTextLimit(call, row);
    out[row] = arena.Add(text);
  });
  arena.FinishInto(call.out);
}

/// Reads one run of digits, `most` at most.
bool TakeNumber(std::string_view text, size_t& at, size_t most, int64_t* value) {
  const size_t begin = at;
  *value = 0;
  while (at < text.size() && at - begin < most && text[at] >= '0' && text[at] <= '9')
    *value = *value * 10 + (text[at++] - '0');
  return at > begin;
}
bool TakeFraction(std::string_view text, size_t& at, int64_t* us) {
  const size_t begin = at;
  int64_t unit = 100'000;
  *us = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    *us += (text[at] - '0') * unit;
    unit /= 10;  // digits beyond the sixth are cut
  }
  return at > begin;
}
bool TakeOffset(std::string_view text, size_t& at, int64_t* offset) {
  *offset = 0;
  if (at < text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    ++at;
    return true;
  }
  if (at >= text.size() || (text[at] != '+' && text[at] != '-')) return false;
  const bool negative = text[at++] == '-';
  int64_t hours = 0, minutes = 0;
  const size_t begin = at;
  if (!TakeNumber(text, at, 2, &hours) || at - begin != 2 || hours > 23) return false;
  if (at < text.size() && text[at] == ':') ++at;
  const size_t minute = at;
  if (TakeNumber(text, at, 2, &minutes) && (at - minute != 2 || minutes > 59)) return false;
  *offset = (hours * kHourUs + minutes * kMinuteUs) * (negative ? -1 : 1);
  return true;
}
template <size_t kCount>
bool TakeName(std::string_view text, size_t& at, const std::array<std::string_view, kCount>& names,
              int64_t* index) {
  for (const bool whole : {true, false}) {
    for (size_t i = 0; i < kCount; ++i) {
      const std::string_view name = whole ? names[i] : names[i].substr(0, 3);
      if (text.size() - at < name.size() ||
          LowerCase(std::string(text.substr(at, name.size()))) != LowerCase(std::string(name)))
        continue;
      at += name.size();
      *index = static_cast<int64_t>(i) + 1;
      return true;
    }
  }
  return false;
}

struct ParsedTime {
  int64_t year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, us = 0;
  std::optional<int64_t> offset, epoch;
  std::optional<bool> afternoon;
};
bool ParseByPattern(std::string_view pattern, std::string_view text, size_t& at, ParsedTime& time) {
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      if (at >= text.size() || text[at++] != pattern[i]) return false;
      continue;
    }
    int64_t ignored = 0;
    int64_t number = 0;
    switch (pattern[++i]) {
      case 'Y':
        if (!TakeNumber(text, at, 4, &time.year)) return false;
        break;
      case 'y':
        if (!TakeNumber(text, at, 2, &number)) return false;
        time.year = number < 69 ? 2000 + number : 1900 + number;  // POSIX
        break;
      case 'm':
        if (!TakeNumber(text, at, 2, &time.month)) return false;
        break;
      case 'd':
        if (!TakeNumber(text, at, 2, &time.day)) return false;
        break;
      case 'H':
      case 'I':
        if (!TakeNumber(text, at, 2, &time.hour)) return false;
        break;
      case 'p':
        if (text.size() - at < 2 || (text[at + 1] | 32) != 'm' ||
            ((text[at] | 32) != 'a' && (text[at] | 32) != 'p'))
          return false;
        time.afternoon = (text[at] | 32) == 'p';
        at += 2;
        break;
      case 'M':
        if (!TakeNumber(text, at, 2, &time.minute)) return false;
        break;
      case 'S':
        if (!TakeNumber(text, at, 2, &time.second)) return false;
        if (at + 1 < text.size() && text[at] == '.' && text[at + 1] >= '0' && text[at + 1] <= '9') {
          ++at;
          if (!TakeFraction(text, at, &time.us)) return false;
        }
        break;
      case 'f':
        if (!TakeFraction(text, at, &time.us)) return false;
        break;
      case 'z':
        if (!TakeOffset(text, at, &number)) return false;
        time.offset = number;
        break;
      case 'j':
        if (!TakeNumber(text, at, 3, &number) || number < 1 || number > 366) return false;
        time.month = 1;
        time.day = number;
        break;
      case 'a':
      case 'A':
        if (!TakeName(text, at, kDays, &ignored)) return false;
        break;
      case 'b':
      case 'B':
        if (!TakeName(text, at, kMonths, &time.month)) return false;
        break;
      case 'u':
        if (!TakeNumber(text, at, 1, &ignored)) return false;
        break;
      case 's': {
        const bool negative = at < text.size() && text[at] == '-';
        if (negative) ++at;
        if (!TakeNumber(text, at, 12, &number)) return false;
        time.epoch = negative ? -number : number;
        break;
      }
      case 'F':
        if (!ParseByPattern("%Y-%m-%d", text, at, time)) return false;
        break;
      case 'T':
        if (!ParseByPattern("%H:%M:%S", text, at, time)) return false;
        break;
      default:
        if (at >= text.size() || text[at++] != '%') return false;
        break;
    }
  }
  return true;
}
std::optional<int64_t> ParseTime(const TimePattern& pattern, std::string_view text) {
  ParsedTime time;
  size_t at = 0;
  if (!ParseByPattern(pattern.pattern, text, at, time) || at != text.size()) return std::nullopt;
  if (time.epoch) return *time.epoch * kSecondUs + time.us;
  if (time.afternoon) {
    if (time.hour < 1 || time.hour > 12) return std::nullopt;
    time.hour = time.hour % 12 + (*time.afternoon ? 12 : 0);
  }
  if (time.hour > 23 || time.minute > 59 || time.second > 60) return std::nullopt;
  const bool by_day_of_year = time.day > 31;
  const CivilDate date{static_cast<int32_t>(time.year), static_cast<int32_t>(time.month),
                       by_day_of_year ? 1 : static_cast<int32_t>(time.day)};
  if (!IsValidDate(date)) return std::nullopt;
  const int64_t days = DaysFromCivil(date) + (by_day_of_year ? time.day - 1 : 0);
  const int64_t local = days * kDayUs + time.hour * kHourUs + time.minute * kMinuteUs +
                        time.second * kSecondUs + time.us;
  if (time.offset) return local - *time.offset;
  return pattern.zone == nullptr ? local : pattern.zone->ToUtc(local);
}
void ParseLoop(const KernelCall& call) {
  const auto& pattern = call.Data<TimePattern>();
  const TextReader in(call.arguments[0]);
  auto* out = call.Out<int64_t>();
  call.ForEachValid([&](uint32_t row) {
    const std::optional<int64_t> time = ParseTime(pattern, in[row]);
    if (time) {
      out[row] = *time;
    } else {
      call.Fail(row, RecordCode::kExpressionCast,
                "'" + std::string(in[row].substr(0, 64)) + "' does not fit the pattern '" +
                    pattern.pattern + "'");
    }
  });
}

std::shared_ptr<TimePattern> TakePattern(Binder& binder, FunctionCall& call) {
  const std::optional<std::string> pattern = binder.ConstantText(call, 1, "the pattern of a time");
  if (!pattern) return nullptr;
  if (pattern->size() > kPatternBytesMax) {
    binder.Problem(call.raw[1], kProblemPattern,
                   "a pattern has at most " + std::to_string(kPatternBytesMax) + " bytes");
    return nullptr;
  }
  for (size_t i = 0; i < pattern->size(); ++i) {
    if ((*pattern)[i] != '%') continue;
    if (i + 1 == pattern->size() || kDirectives.find((*pattern)[i + 1]) == std::string_view::npos) {
      binder.Problem(call.raw[1], kProblemPattern,
                     "there is no '" + pattern->substr(i, 2) + "' in patterns of times",
                     "%Y %m %d %H %M %S %f %z %j %a %A %b %B %y %I %p %u %s %F %T %%");
      return nullptr;
    }
    ++i;
  }
  return std::make_shared<TimePattern>(TimePattern{*pattern, nullptr});
}
NodeRef BindFormat(Binder& binder, FunctionCall& call) {
  NodeRef operand = TakeTime(binder, call, 0, false);
  std::shared_ptr<TimePattern> pattern = TakePattern(binder, call);
  std::shared_ptr<const ZoneData> zone;
  std::string name;
  if (operand == nullptr || pattern == nullptr || !TakeZone(binder, call, 2, &zone, &name))
    return nullptr;
  if (zone != nullptr) pattern->zone = zone->zone;
  return binder.Strict(Type::Of(TypeKind::kString), WithZone("format_timestamp", name), FormatLoop,
                       {std::move(operand), call.arguments[1]}, std::move(pattern));
}
NodeRef BindParse(Binder& binder, FunctionCall& call) {
  NodeRef operand = call.arguments[0];
  if (operand->type.kind == TypeKind::kNull) operand = MakeNull(Type::Of(TypeKind::kString));
  if (operand->type.kind != TypeKind::kString) return binder.WrongArguments(call);
  std::shared_ptr<TimePattern> pattern = TakePattern(binder, call);
  std::shared_ptr<const ZoneData> zone;
  std::string name;
  if (pattern == nullptr || !TakeZone(binder, call, 2, &zone, &name)) return nullptr;
  if (zone != nullptr) pattern->zone = zone->zone;
  return binder.Strict(Type::Of(TypeKind::kTimestamp), WithZone("parse_timestamp", name), ParseLoop,
                       {std::move(operand), call.arguments[1]}, std::move(pattern));
}

}  // namespace

void AddTimes(std::vector<Function>& table) {
  const auto custom = [&](FunctionDoc doc, int least, int most,
                          NodeRef (*bind)(Binder&, FunctionCall&)) {
    doc.group = "time";
    doc.null_rule = "strict";
    Function function;
    function.doc = doc;
    function.least = least;
    function.most = most;
    function.bind = bind;
    table.push_back(function);
  };
  custom({.name = "parse_timestamp",
          .signature = "parse_timestamp(string, 'pattern' [, 'zone']) -> timestamp",
          .doc = "A time read by a pattern as in strftime: %Y %m %d %H %M, %S with its fraction, "
                 "%z. Without %z it is local time of the zone, by default UTC.",
          .example = "parse_timestamp('31.01.2026 12:30', '%d.%m.%Y %H:%M')"},
         2, 3, BindParse);
  custom({.name = "format_timestamp",
          .signature = "format_timestamp(timestamp, 'pattern' [, 'zone']) -> string",
          .doc = "A time as text by a pattern as in strftime, in a zone, by default UTC.",
          .example = "format_timestamp(at, '%Y-%m-%d', 'Europe/Stockholm')"},
         2, 3, BindFormat);
  custom({.name = "from_epoch",
          .signature = "from_epoch(integer [, 's' | 'ms' | 'us']) -> timestamp",
          .doc = "A time from its distance to 1970-01-01, by default in seconds.",
          .example = "from_epoch(1767225600)"},
         1, 2, BindFromEpoch);
  custom({.name = "to_epoch",
          .signature = "to_epoch(timestamp | duration [, 's' | 'ms' | 'us']) -> int64",
          .doc = "The distance to 1970-01-01, or the length, by default in seconds, rounded down.",
          .example = "to_epoch(at, 'ms')"},
         1, 2, BindToEpoch);
  custom({.name = "date_trunc",
          .signature = "date_trunc('unit', timestamp [, 'zone']) -> timestamp",
          .doc = "Cut to second, minute, hour, day, week (Monday), month, quarter or year, in a "
                 "zone, by default UTC.",
          .example = "date_trunc('hour', at)"},
         2, 3, BindDateTrunc);
  custom({.name = "date_part",
          .signature = "date_part('field', timestamp | duration [, 'zone']) -> int64 | decimal | "
                       "EXTRACT(field FROM timestamp)",
          .doc = "year isoyear quarter month week day dow isodow doy hour minute; second as "
                 "decimal(8,6), epoch as decimal(18,6).",
          .example = "EXTRACT(hour FROM at)"},
         2, 3, BindDatePart);
  custom({.name = "date_diff",
          .signature = "date_diff('unit', from, to) -> int64",
          .doc = "Whole units from one time to another: microsecond to year.",
          .example = "date_diff('day', ordered_at, paid_at)"},
         3, 3, BindDateDiff);
  Function bucket;
  bucket.doc = {.name = "time_bucket",
                .group = "time",
                .signature = "time_bucket(width, timestamp) -> timestamp",
                .doc = "The start of the bucket of that width, counted from 1970-01-01.",
                .null_rule = "strict",
                .example = "time_bucket(INTERVAL '5 minutes', at)"};
  bucket.parameters = "ut";
  bucket.result = TypeKind::kTimestamp;
  bucket.kernel = BucketLoop;
  table.push_back(bucket);
  custom(
      {.name = "at_time_zone",
       .signature = "at_time_zone(timestamp, 'zone') -> timestamp | timestamp AT TIME ZONE 'zone'",
       .doc = "The wall clock of a zone at that time, as a timestamp that reads like it.",
       .example = "at AT TIME ZONE 'Asia/Tokyo'"},
      2, 2, BindAtZone);
}

}  // namespace weir
