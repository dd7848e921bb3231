#pragma once
// Types of columns and their layout in memory: Arrow's, with three deviations of
// docs/adr/0003: bool is a byte, Utf8View carries a pointer instead of (buffer, offset), and
// validity is 64-bit words. Nested kinds have names here already; version 1 does not build columns
// of them. Values; any thread.

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

enum class TypeKind : uint8_t {
  kBool,       // uint8_t, 0 or 1
  kInt32,      // int32_t
  kInt64,      // int64_t
  kFloat32,    // float
  kFloat64,    // double
  kDecimal,    // Int128, unscaled
  kString,     // Utf8View, valid UTF-8
  kBytes,      // Utf8View
  kDate,       // int32_t, days since 1970-01-01
  kTimestamp,  // int64_t, microseconds UTC
  kDuration,   // int64_t, microseconds
  kNull,       // the type of a bare NULL, never of a column
  kJson,       // planned, as are the three below
  kArray,
  kMap,
  kRow,
};

inline constexpr int kDecimalPrecisionMax = 38;

struct Type {
  TypeKind kind = TypeKind::kNull;
  uint8_t precision = 0, scale = 0;                             // decimal
  std::shared_ptr<const std::vector<Type>> children = nullptr;  // array, map, row: later

  static Type Of(TypeKind kind) { return {kind, 0, 0, nullptr}; }
  static Type Decimal(int precision, int scale) {
    return {TypeKind::kDecimal, static_cast<uint8_t>(precision), static_cast<uint8_t>(scale),
            nullptr};
  }
  friend bool operator==(const Type& a, const Type& b) {
    return a.kind == b.kind && a.precision == b.precision && a.scale == b.scale;
  }

  /// "int64", "decimal(18,2)": the spelling of job files.
  std::string ToString() const;
  /// Bytes of one value in a column.
  size_t width() const;
  bool is_text() const {
    return kind == TypeKind::kString || kind == TypeKind::kBytes || kind == TypeKind::kJson;
  }
  bool is_integer() const { return kind == TypeKind::kInt32 || kind == TypeKind::kInt64; }
  bool is_float() const { return kind == TypeKind::kFloat32 || kind == TypeKind::kFloat64; }
  bool is_numeric() const { return is_integer() || is_float() || kind == TypeKind::kDecimal; }
};

/// A string or bytes value: 16 bytes, up to 12 of them inline, longer ones in an arena that the
/// batch (or the caller) keeps alive. After Umbra's strings.
class Utf8View {
 public:
  static constexpr uint32_t kInlineMax = 12;

  Utf8View() : size_(0), rest_{} {}
  /// Borrows `bytes` if longer than 12: they must outlive the view. At most 4 GiB - 1.
  explicit Utf8View(std::string_view bytes) : size_(static_cast<uint32_t>(bytes.size())), rest_{} {
    if (size_ <= kInlineMax) {
      CopyShort(bytes.data(), size_);
    } else {
      std::memcpy(rest_, bytes.data(), 4);
      const char* data = bytes.data();
      std::memcpy(rest_ + 4, &data, sizeof(data));
    }
  }
  uint32_t size() const { return size_; }
  bool is_inline() const { return size_ <= kInlineMax; }
  const char* data() const {
    if (is_inline()) return rest_;
    const char* pointer = nullptr;
    std::memcpy(&pointer, rest_ + 4, sizeof(pointer));
    return pointer;
  }
  /// Valid while both this view and the bytes it borrows live: an inline value lies in the view
  /// itself.
  std::string_view view() const { return {data(), size_}; }

  friend bool operator==(const Utf8View& a, const Utf8View& b) {
    uint64_t head_a = 0, head_b = 0;
    std::memcpy(&head_a, &a, 8);
    std::memcpy(&head_b, &b, 8);
    if (head_a != head_b) return false;  // size and first four bytes
    return a.is_inline() ? std::memcmp(a.rest_, b.rest_, kInlineMax) == 0
                         : std::memcmp(a.data(), b.data(), a.size_) == 0;
  }

 private:
  /// At most kInlineMax bytes by two copies of a fixed size that may overlap: no call of memcpy.
  void CopyShort(const char* from, size_t size) {
    if (size >= 8) {
      std::memcpy(rest_, from, 8);
      std::memcpy(rest_ + size - 4, from + size - 4, 4);
    } else if (size >= 4) {
      std::memcpy(rest_, from, 4);
      std::memcpy(rest_ + size - 4, from + size - 4, 4);
    } else if (size != 0) {
      rest_[0] = from[0];
      rest_[size / 2] = from[size / 2];
      rest_[size - 1] = from[size - 1];
    }
  }

  uint32_t size_;
  char rest_[kInlineMax];
};
static_assert(sizeof(Utf8View) == 16);

/// C++ type of a column's values by kind.
template <TypeKind kKind>
struct PhysicalOf;
template <>
struct PhysicalOf<TypeKind::kBool> {
  using T = uint8_t;
};
template <>
struct PhysicalOf<TypeKind::kInt32> {
  using T = int32_t;
};
template <>
struct PhysicalOf<TypeKind::kInt64> {
  using T = int64_t;
};
template <>
struct PhysicalOf<TypeKind::kFloat32> {
  using T = float;
};
template <>
struct PhysicalOf<TypeKind::kFloat64> {
  using T = double;
};
template <>
struct PhysicalOf<TypeKind::kDecimal> {
  using T = Int128;
};
template <>
struct PhysicalOf<TypeKind::kString> {
  using T = Utf8View;
};
template <>
struct PhysicalOf<TypeKind::kBytes> {
  using T = Utf8View;
};
template <>
struct PhysicalOf<TypeKind::kDate> {
  using T = int32_t;
};
template <>
struct PhysicalOf<TypeKind::kTimestamp> {
  using T = int64_t;
};
template <>
struct PhysicalOf<TypeKind::kDuration> {
  using T = int64_t;
};
template <TypeKind kKind>
using Physical = typename PhysicalOf<kKind>::T;

/// Calls `body.template operator()<kKind>()` for the kind of a column: the one switch over kinds,
/// outside the loop over rows.
template <class Body>
decltype(auto) VisitKind(TypeKind kind, Body&& body) {
  switch (kind) {
    case TypeKind::kBool:
      return body.template operator()<TypeKind::kBool>();
    case TypeKind::kInt32:
      return body.template operator()<TypeKind::kInt32>();
    case TypeKind::kInt64:
      return body.template operator()<TypeKind::kInt64>();
    case TypeKind::kFloat32:
      return body.template operator()<TypeKind::kFloat32>();
    case TypeKind::kFloat64:
      return body.template operator()<TypeKind::kFloat64>();
    case TypeKind::kDecimal:
      return body.template operator()<TypeKind::kDecimal>();
    case TypeKind::kBytes:
      return body.template operator()<TypeKind::kBytes>();
    case TypeKind::kDate:
      return body.template operator()<TypeKind::kDate>();
    case TypeKind::kTimestamp:
      return body.template operator()<TypeKind::kTimestamp>();
    case TypeKind::kDuration:
      return body.template operator()<TypeKind::kDuration>();
    default:
      return body.template operator()<TypeKind::kString>();
  }
}

/// A type name of a job file, without `?`: "int64", "decimal(18,2)". Wire variants of timestamp are
/// the source's matter (schema.h). Empty: not a type.
std::optional<Type> ParseType(std::string_view text);

}  // namespace weir
