#include "engine/expr/zone.h"

#include <date/tz.h>

#include <algorithm>
#include <exception>
#include <string>

namespace weir {
namespace {

// Beyond the last transition of the system's database.
constexpr int kYearMost = 2100;

}  // namespace

std::shared_ptr<const ZoneRules> ZoneRules::Find(std::string_view name) {
  auto rules = std::make_shared<ZoneRules>();
  if (name == "UTC") {
    rules->begins_ = {INT64_MIN};
    rules->offsets_ = {0};
    return rules;
  }
  try {
    const date::time_zone* zone = date::locate_zone(std::string(name));
    const date::sys_seconds last = date::sys_days{date::year{kYearMost} / 1 / 1};
    date::sys_seconds at = date::sys_days{date::year{1} / 1 / 1};
    while (at < last) {
      const date::sys_info info = zone->get_info(at);
      rules->begins_.push_back(rules->begins_.empty()
                                   ? INT64_MIN
                                   : int64_t{info.begin.time_since_epoch().count()} * 1'000'000);
      rules->offsets_.push_back(int64_t{info.offset.count()} * 1'000'000);
      if (info.end <= at) break;
      at = info.end;
    }
  } catch (const std::exception&) {
    return nullptr;  // the library's only way to say that there is no such zone
  }
  if (rules->begins_.empty()) return nullptr;
  return rules;
}

int64_t ZoneRules::OffsetAt(int64_t utc_us) const {
  const auto after = std::upper_bound(begins_.begin(), begins_.end(), utc_us);
  return offsets_[static_cast<size_t>(after - begins_.begin()) - 1];
}

int64_t ZoneRules::ToUtc(int64_t local_us) const {
  // The transition nearest to this local time decides; offsets are below a day.
  constexpr int64_t kDay = 86'400'000'000;
  int64_t low = 0;
  if (__builtin_sub_overflow(local_us, kDay, &low)) low = INT64_MIN;
  size_t i =
      static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), low) - begins_.begin()) -
      1;
  for (; i + 1 < begins_.size(); ++i) {
    const int64_t border = begins_[i + 1];
    const int64_t before = local_us - offsets_[i];
    const int64_t after = local_us - offsets_[i + 1];
    if (before < border && after < border) return before;
    if (before >= border && after >= border) continue;
    return before > after ? before : after;
  }
  return local_us - offsets_[i];
}

}  // namespace weir
