#include "engine/data/key_encoding.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <xxhash.h>

namespace weir {
namespace {

constexpr char kNullMark = '\x00';
constexpr char kValueMark = '\x01';
constexpr char kEscaped = '\xff';  // after a 00 that belongs to the value

inline uint64_t BigEndian(uint64_t value) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

/// The integer whose unsigned order is the order of the values, in native byte order.
inline uint64_t Sortable(int64_t value) {
  return static_cast<uint64_t>(value) ^ (uint64_t{1} << 63);
}
inline uint64_t Sortable(double value) {
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  if (value == 0) value = 0.0;  // -0.0
  const auto bits = std::bit_cast<uint64_t>(value);
  return (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
}
inline double FromSortableDouble(uint64_t sortable) {
  return std::bit_cast<double>((sortable >> 63) != 0 ? sortable & ~(uint64_t{1} << 63) : ~sortable);
}

/// Bytes of a value after its mark, for kinds that always have the same number of them; 0 for text.
template <TypeKind kKind>
constexpr size_t FixedKeyBytes() {
  if constexpr (kKind == TypeKind::kBool) return 1;
  if constexpr (kKind == TypeKind::kDecimal) return 16;
  if constexpr (std::is_same_v<Physical<kKind>, Utf8View>) return 0;
  return 8;
}

template <TypeKind kKind>
inline char* WriteFixed(Physical<kKind> value, char* to) {
  if constexpr (kKind == TypeKind::kBool) {
    *to = value != 0 ? '\x01' : '\x00';
  } else if constexpr (kKind == TypeKind::kDecimal) {
    const auto bits = static_cast<Uint128>(value) ^ (static_cast<Uint128>(1) << 127);
    const uint64_t high = BigEndian(static_cast<uint64_t>(bits >> 64));
    const uint64_t low = BigEndian(static_cast<uint64_t>(bits));
    std::memcpy(to, &high, 8);
    std::memcpy(to + 8, &low, 8);
  } else {
    using Wide = std::conditional_t<std::is_floating_point_v<Physical<kKind>>, double, int64_t>;
    const uint64_t bits = BigEndian(Sortable(static_cast<Wide>(value)));
    std::memcpy(to, &bits, 8);
  }
  return to + FixedKeyBytes<kKind>();
}

/// Zero bytes among those of `value`, which are few if any: an inline value is looked at as two
/// words.
inline size_t CountZeros(const Utf8View& value) {
  const auto has_zero = [](uint64_t word) {
    return ((word - 0x0101010101010101U) & ~word & 0x8080808080808080U) != 0;
  };
  if (value.is_inline()) {
    uint64_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, value.data(), sizeof(low));
    std::memcpy(&high, value.data() + sizeof(low), sizeof(high));
    // The bytes past the value count as not zero.
    if (value.size() < 8) low |= ~uint64_t{0} << (8 * value.size());
    const uint64_t wide_high =
        high | (value.size() > 8 ? ~uint64_t{0} << (8 * (value.size() - 8)) : ~uint64_t{0});
    if (!has_zero(low) && !has_zero(wide_high)) return 0;
  }
  const std::string_view bytes = value.view();
  size_t zeros = 0;
  for (size_t at = bytes.find('\0'); at != std::string_view::npos; at = bytes.find('\0', at + 1))
    ++zeros;
  return zeros;
}

inline char* WriteText(std::string_view bytes, char* to) {
  size_t zero = bytes.find('\0');
  while (zero != std::string_view::npos) {
    std::memcpy(to, bytes.data(), zero + 1);
    to += zero + 1;
    *to++ = kEscaped;
    bytes.remove_prefix(zero + 1);
    zero = bytes.find('\0');
  }
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  to += bytes.size();
  *to++ = kNullMark;
  return to;
}

template <TypeKind kKind>
inline size_t KeySize(const Physical<kKind>& value) {
  if constexpr (FixedKeyBytes<kKind>() != 0) {
    return 1 + FixedKeyBytes<kKind>();
  } else {
    return value.size() + 2 + CountZeros(value);
  }
}
/// Bytes without an escape: a text without zeros takes as many.
template <TypeKind kKind>
inline size_t PlainKeySize(const Physical<kKind>& value) {
  if constexpr (FixedKeyBytes<kKind>() != 0) {
    return 1 + FixedKeyBytes<kKind>();
  } else {
    return value.size() + 2;
  }
}
template <TypeKind kKind, bool kEscape>
inline char* WriteValue(const Physical<kKind>& value, char* to) {
  *to++ = kValueMark;
  if constexpr (FixedKeyBytes<kKind>() != 0) {
    return WriteFixed<kKind>(value, to);
  } else if constexpr (kEscape) {
    return WriteText(value.view(), to);
  } else {
    std::memcpy(to, value.data(), value.size());
    to += value.size();
    *to++ = kNullMark;
    return to;
  }
}
template <TypeKind kKind, bool kEscape>
void WriteColumn(std::span<const Physical<kKind>> values, Validity valid, char* base,
                 std::span<uint32_t> ends) {
  for (uint32_t row = 0; row < ends.size(); ++row) {
    char* to = base + ends[row];
    if (valid[row]) {
      to = WriteValue<kKind, kEscape>(values[row], to);
    } else {
      *to++ = kNullMark;
    }
    ends[row] = static_cast<uint32_t>(to - base);
  }
}

/// XXH3_64bits of the nine bytes 01, word (in memory order), without going through memory: bytes
/// just written in pieces would stall the loads that hash them. The algorithm's case for 9 to 16
/// bytes; tests hold it against the library's own.
inline uint64_t HashMarkAndWord(uint64_t word) {
  constexpr size_t kBytes = 9;
  const uint64_t first_eight = static_cast<uint64_t>(kValueMark) | word << 8;
  const uint64_t last_eight = word;
  const uint64_t low =
      first_eight ^ XXH_readLE64(XXH3_kSecret + 24) ^ XXH_readLE64(XXH3_kSecret + 32);
  const uint64_t high =
      last_eight ^ XXH_readLE64(XXH3_kSecret + 40) ^ XXH_readLE64(XXH3_kSecret + 48);
  return XXH3_avalanche(kBytes + XXH_swap64(low) + high + XXH3_mul128_fold64(low, high));
}

/// One column whose values take eight key bytes, none of them NULL: keys are made in registers and
/// stored as the views they are.
template <TypeKind kKind>
void EncodeWords(std::span<const Physical<kKind>> values, KeyStorage& keys) {
  static_assert(std::endian::native == std::endian::little);
  using Wide = std::conditional_t<std::is_floating_point_v<Physical<kKind>>, double, int64_t>;
  static_assert(sizeof(Utf8View) == 16);
  Utf8View* const views = keys.bytes.data();
  uint64_t* const hashes = keys.hash.data();
  for (size_t row = 0; row < values.size(); ++row) {
    const uint64_t word = BigEndian(Sortable(static_cast<Wide>(values[row])));
    // Two stores: a view put together in memory and copied whole would wait for them.
    const uint64_t low = 9 | uint64_t{1} << 32 | word << 40;  // size, mark 01, three bytes of it
    const uint64_t high = word >> 24;                         // the other five
    char* const view = reinterpret_cast<char*>(&views[row]);
    std::memcpy(view, &low, 8);
    std::memcpy(view + 8, &high, 8);
    hashes[row] = HashMarkAndWord(word);
  }
}

/// Any columns: sizes column by column, then bytes column by column into one arena, then views and
/// hashes.
void EncodeAny(std::span<const Column> columns, uint32_t rows, KeyStorage& keys) {
  std::vector<uint32_t> ends(
      rows, 0);        // first the size, then where the row's next byte goes, in the end its end
  bool zeros = false;  // some text holds one, which takes an escape
  for (const Column& column : columns) {
    const Validity valid = column.Valid();
    VisitKind(column.type().kind, [&]<TypeKind kKind>() {
      const auto values = column.Values<Physical<kKind>>();
      for (uint32_t row = 0; row < rows; ++row) {
        if (!valid[row]) {
          ++ends[row];
          continue;
        }
        const size_t size = KeySize<kKind>(values[row]);
        zeros |= size != PlainKeySize<kKind>(values[row]);
        ends[row] += static_cast<uint32_t>(size);
      }
    });
  }
  uint64_t total = 0;
  for (uint32_t& end : ends) {
    const uint32_t size = end;
    end = static_cast<uint32_t>(total);
    total += size;
    WEIR_CHECK_LE(total, uint64_t{UINT32_MAX});
  }
  auto arena = std::make_shared<Buffer>(total);
  char* const base = arena->data();
  for (const Column& column : columns) {
    VisitKind(column.type().kind, [&]<TypeKind kKind>() {
      const auto values = column.Values<Physical<kKind>>();
      if (zeros) {
        WriteColumn<kKind, true>(values, column.Valid(), base, ends);
      } else {
        WriteColumn<kKind, false>(values, column.Valid(), base, ends);
      }
    });
  }
  bool long_keys = false;
  uint32_t start = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    const std::string_view bytes(base + start, ends[row] - start);
    keys.bytes[row] = Utf8View(bytes);
    keys.hash[row] = XXH3_64bits(bytes.data(), bytes.size());
    long_keys |= bytes.size() > Utf8View::kInlineMax;
    start = ends[row];
  }
  if (long_keys) keys.arenas.push_back(std::move(arena));
}

void MarkNullKeys(std::span<const Column> columns, uint32_t rows, KeyStorage& keys) {
  for (const Column& column : columns) {
    const Validity valid = column.Valid();
    if (valid.all()) continue;
    if (keys.valid_words.empty()) keys.valid_words.assign((rows + 63) / 64, ~uint64_t{0});
    for (uint32_t row = 0; row < rows; ++row) {
      if (!valid[row]) keys.valid_words[row >> 6] &= ~(uint64_t{1} << (row & 63));
    }
  }
}

/// Reads the columns of one key; each method answers false at bytes that no key has.
class KeyReader {
 public:
  explicit KeyReader(std::string_view bytes) : left_(bytes) {}
  bool done() const { return left_.empty(); }

  bool Value(const Type& type, ColumnBuilder& into) {
    if (left_.empty()) return false;
    const char mark = left_.front();
    left_.remove_prefix(1);
    if (mark == kNullMark) {
      into.AppendNull();
      return true;
    }
    if (mark != kValueMark) return false;
    return VisitKind(type.kind, [&]<TypeKind kKind>() {
      if constexpr (FixedKeyBytes<kKind>() != 0) {
        return Fixed<kKind>(into);
      } else {
        return Text(into);
      }
    });
  }

 private:
  uint64_t Word() {
    uint64_t word = 0;
    std::memcpy(&word, left_.data(), 8);
    left_.remove_prefix(8);
    return BigEndian(word);
  }

  template <TypeKind kKind>
  bool Fixed(ColumnBuilder& into) {
    using T = Physical<kKind>;
    if (left_.size() < FixedKeyBytes<kKind>()) return false;
    if constexpr (kKind == TypeKind::kBool) {
      const char byte = left_.front();
      if (byte != 0 && byte != 1) return false;
      left_.remove_prefix(1);
      into.Append<T>(static_cast<T>(byte));
    } else if constexpr (kKind == TypeKind::kDecimal) {
      const Uint128 high = Word();
      const Uint128 bits = (high << 64 | Word()) ^ (static_cast<Uint128>(1) << 127);
      into.Append<T>(static_cast<T>(bits));
    } else if constexpr (std::is_floating_point_v<T>) {
      into.Append<T>(static_cast<T>(FromSortableDouble(Word())));
    } else {
      const auto value = static_cast<int64_t>(Word() ^ (uint64_t{1} << 63));
      if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max())
        return false;
      into.Append<T>(static_cast<T>(value));
    }
    return true;
  }

  bool Text(ColumnBuilder& into) {
    std::string text;
    while (true) {
      const size_t zero = left_.find('\0');
      if (zero == std::string_view::npos) return false;
      text.append(left_.substr(0, zero));
      left_.remove_prefix(zero + 1);
      if (left_.empty() || left_.front() != kEscaped) break;
      text.push_back('\0');
      left_.remove_prefix(1);
    }
    into.AppendString(text);
    return true;
  }

  std::string_view left_;
};

}  // namespace

void AppendKeyBytes(const Column& column, uint32_t row, std::string& out) {
  if (!column.Valid()[row]) {
    out.push_back(kNullMark);
    return;
  }
  VisitKind(column.type().kind, [&]<TypeKind kKind>() {
    const auto& value = column.Values<Physical<kKind>>()[row];
    const size_t before = out.size();
    out.resize(before + KeySize<kKind>(value));
    WriteValue<kKind, true>(value, out.data() + before);
  });
}

std::shared_ptr<const KeyStorage> EncodeKeys(std::span<const Column> columns, uint32_t rows,
                                             const Column* event_time) {
  auto keys = std::make_shared<KeyStorage>();
  keys->hash.resize(rows);
  keys->bytes.resize(rows);
  for (const Column& column : columns) WEIR_CHECK_EQ(column.rows(), rows);
  const bool one_plain_column = columns.size() == 1 && columns.front().Valid().all();
  if (one_plain_column) {
    VisitKind(columns.front().type().kind, [&]<TypeKind kKind>() {
      if constexpr (FixedKeyBytes<kKind>() == 8) {
        EncodeWords<kKind>(columns.front().Values<Physical<kKind>>(), *keys);
      } else {
        EncodeAny(columns, rows, *keys);
      }
    });
  } else {
    EncodeAny(columns, rows, *keys);
    MarkNullKeys(columns, rows, *keys);
  }
  if (event_time != nullptr) {
    WEIR_CHECK_EQ(event_time->rows(), rows);
    const std::span<const EventTime> times = event_time->Values<EventTime>();
    keys->time.assign(times.begin(), times.end());
  }
  return keys;
}

uint64_t HashKey(std::string_view key_bytes) {
  return XXH3_64bits(key_bytes.data(), key_bytes.size());
}

GroupRange GroupsOf(TaskIndex task, uint32_t key_groups, uint32_t parallelism) {
  WEIR_CHECK_GE(parallelism, 1U);
  WEIR_CHECK_LE(parallelism, key_groups);
  WEIR_CHECK_LE(key_groups, kKeyGroupsMax);
  WEIR_CHECK_LT(task.value, parallelism);
  const auto first_of = [&](uint32_t i) {
    return (i * key_groups + parallelism - 1) / parallelism;
  };
  return {{static_cast<uint16_t>(first_of(task.value))},
          {static_cast<uint16_t>(first_of(task.value + 1U) - 1)}};
}

TaskIndex TaskOfPartition(std::string_view topic, int32_t partition, uint32_t parallelism) {
  WEIR_CHECK_GE(parallelism, 1U);
  const uint64_t sum = HashKey(topic) + static_cast<uint64_t>(partition);
  return {static_cast<uint16_t>(sum % parallelism)};
}

TaskIndex TaskOfSplit(std::string_view split_id, uint32_t parallelism) {
  WEIR_CHECK_GE(parallelism, 1U);
  return {static_cast<uint16_t>(HashKey(split_id) % parallelism)};
}

bool DecodeKeyBytes(std::string_view bytes, std::span<const Type> types,
                    std::span<ColumnBuilder* const> into) {
  WEIR_CHECK_EQ(types.size(), into.size());
  KeyReader reader(bytes);
  size_t read = 0;
  while (read < types.size() && reader.Value(types[read], *into[read])) ++read;
  if (read == types.size() && reader.done()) return true;
  for (size_t i = 0; i < read; ++i) into[i]->Truncate(into[i]->rows() - 1);
  return false;
}

}  // namespace weir
