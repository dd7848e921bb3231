#pragma once
// Time zones: the rules of one IANA zone, read once from the system's database when an expression
// is bound, and looked up without locks afterwards. The database lists transitions up to 2037;
// later times keep the last offset. Immutable; any thread.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace weir {

class ZoneRules {
 public:
  /// Null: the database has no such zone (or cannot be read). "UTC" is always there.
  static std::shared_ptr<const ZoneRules> Find(std::string_view name);

  /// Microseconds to add to UTC.
  int64_t OffsetAt(int64_t utc_us) const;
  /// Local time to UTC as PostgreSQL does: in a gap with the offset before it, in an overlap with
  /// the one after it.
  int64_t ToUtc(int64_t local_us) const;

 private:
  std::vector<int64_t> begins_;   // UTC, rising; the first is INT64_MIN
  std::vector<int64_t> offsets_;  // from begins_[i] on
};

}  // namespace weir
