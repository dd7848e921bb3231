#pragma once
// Canonical key bytes and key groups: part of the state format, so never changed
// within level 1. Bytes sort like the values; int32, date and the int64 kinds encode alike, so
// widening keeps them. Pure functions; any thread.

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "engine/data/row_builder.h"

namespace weir {

inline constexpr uint32_t kKeyGroupsDefault = 128;
inline constexpr uint32_t kKeyGroupsMax = 32768;

/// Appends the canonical bytes of one value of `column`.
void AppendKeyBytes(const Column& column, uint32_t row, std::string& out);

/// Keys of all rows: columns in order, NULL keys marked in `valid`. `time` is filled from
/// `event_time` if that is not null.
std::shared_ptr<const KeyStorage> EncodeKeys(std::span<const Column> columns, uint32_t rows,
                                             const Column* event_time);

/// hash = XXH3_64bits(bytes), seed 0.
uint64_t HashKey(std::string_view key_bytes);

/// a == b, without a call for the sizes that most keys have.
inline bool SameKey(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (a.size() < 8 || a.size() > 16) return a == b;
  const auto word = [](const char* from) {
    uint64_t value = 0;
    std::memcpy(&value, from, sizeof(value));
    return value;
  };
  const size_t last = a.size() - 8;  // overlaps the first eight bytes
  return ((word(a.data()) ^ word(b.data())) | (word(a.data() + last) ^ word(b.data() + last))) == 0;
}

inline KeyGroup KeyGroupOf(uint64_t hash, uint32_t key_groups) {
  return {static_cast<uint16_t>((static_cast<Uint128>(hash) * key_groups) >> 64)};
}
inline TaskIndex TaskOf(KeyGroup group, uint32_t key_groups, uint32_t parallelism) {
  return {static_cast<uint16_t>(uint32_t{group.value} * parallelism / key_groups)};
}
/// Key groups of task `task`. REQUIRES: parallelism <= key_groups.
GroupRange GroupsOf(TaskIndex task, uint32_t key_groups, uint32_t parallelism);
/// Source task of a Kafka partition; of any other split by its id.
TaskIndex TaskOfPartition(std::string_view topic, int32_t partition, uint32_t parallelism);
TaskIndex TaskOfSplit(std::string_view split_id, uint32_t parallelism);

/// Decodes the columns of a key back to values: `weir ckpt` and results of keyed nodes. False if
/// the bytes are not a key of these types.
bool DecodeKeyBytes(std::string_view bytes, std::span<const Type> types,
                    std::span<ColumnBuilder* const> into);

}  // namespace weir
