#include "connectors/formats/json_layouts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "engine/data/civil_time.h"

namespace weir {
namespace {

constexpr size_t kPart = 16;  // of a vector register
constexpr size_t kBlock = 4 * kPart;
constexpr size_t kReserveMax =
    4096;  // a longer rest of a record is not reserved for one string of it
constexpr int kDepthMax = 32;
constexpr size_t kStepsMax = 512;
constexpr uint32_t kLearnsPerWindow = 64;  // records that are looked at for a new layout
constexpr int64_t kEpochSecondsMax = 253'402'300'799;  // 9999-12-31T23:59:59Z

// --- The text of a record ---

// Bytes are read a block at a time, and a block may reach past the text. The last bytes of a record
// without padding are therefore moved to a buffer that has some as soon as a block no longer fits.
struct Text {
  const char* end;
  const char* readable;  // up to here bytes may be read
  char* spare;           // 2 * kBlock bytes, not used yet; or null

  /// `at`, or the place that its byte has moved to, with a block that can be read there. REQUIRES:
  /// at <= end.
  const char* Near(const char* at) {
    if (at + kBlock <= readable) [[likely]]
      return at;
    return Move(at);
  }

 private:
  const char* Move(const char* at) {
    const auto left = static_cast<size_t>(end - at);
    std::memcpy(spare, at, left);
    at = spare;
    end = at + left;
    readable = at + 2 * kBlock;
    return at;
  }
};

// --- Blocks of 64 bytes: the text's special bytes as a mask ---

#ifdef __SSE2__
using Bytes = __m128i;
Bytes Load(const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }
void Store(char* to, Bytes bytes) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes); }
uint32_t Equal(Bytes a, Bytes b) {
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
}
/// Quotes, backslashes, control characters and bytes above 0x7F.
uint32_t Special(Bytes bytes) {
  const Bytes quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
  const Bytes backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
  const Bytes odd =
      _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));  // signed: bytes above 0x7F are below 0
  return static_cast<uint32_t>(
      _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), odd)));
}
#else
struct Bytes {
  std::array<char, kPart> at;
};
Bytes Load(const char* at) {
  Bytes bytes;
  std::memcpy(bytes.at.data(), at, kPart);
  return bytes;
}
void Store(char* to, const Bytes& bytes) { std::memcpy(to, bytes.at.data(), kPart); }
uint32_t Equal(const Bytes& a, const Bytes& b) {
  uint32_t mask = 0;
  for (size_t i = 0; i < kPart; ++i) mask |= uint32_t{a.at[i] == b.at[i]} << i;
  return mask;
}
uint32_t Special(const Bytes& bytes) {
  uint32_t mask = 0;
  for (size_t i = 0; i < kPart; ++i) {
    const auto byte = static_cast<unsigned char>(bytes.at[i]);
    mask |= uint32_t{byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80} << i;
  }
  return mask;
}
#endif

/// One bit per special byte of the block at `at`. Wide, so that strings of different lengths take
/// the same path.
inline uint64_t Specials(const char* at) {
  return uint64_t{Special(Load(at))} | uint64_t{Special(Load(at + kPart))} << 16 |
         uint64_t{Special(Load(at + 2 * kPart))} << 32 |
         uint64_t{Special(Load(at + 3 * kPart))} << 48;
}
inline uint64_t CopyBlock(const char* at, char* to) {
  const Bytes parts[] = {Load(at), Load(at + kPart), Load(at + 2 * kPart), Load(at + 3 * kPart)};
  for (size_t i = 0; i < 4; ++i) Store(to + i * kPart, parts[i]);
  return uint64_t{Special(parts[0])} | uint64_t{Special(parts[1])} << 16 |
         uint64_t{Special(parts[2])} << 32 | uint64_t{Special(parts[3])} << 48;
}

/// The first special byte from `at` on, or the end.
inline const char* FindSpecial(const char* at, Text& text) {
  while (true) {
    at = text.Near(at);
    if (const uint64_t mask = Specials(at); mask != 0)
      return std::min(at + std::countr_zero(mask), text.end);
    if (static_cast<size_t>(text.end - at) <= kBlock) return text.end;
    at += kBlock;
  }
}

/// Length of the UTF-8 sequence at `at` (its first byte is above 0x7F), or 0 if it is not valid.
size_t Utf8Length(const char* at, const char* end) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(at[i]); };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80; };
  const auto left = static_cast<size_t>(end - at);
  if (byte(0) < 0xC2) return 0;
  if (byte(0) < 0xE0) return left >= 2 && follows(1) ? 2 : 0;
  if (byte(0) < 0xF0) {
    if (left < 3 || !follows(1) || !follows(2)) return 0;
    if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (byte(0) == 0xED && byte(1) > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (byte(0) > 0xF4 || left < 4 || !follows(1) || !follows(2) || !follows(3)) return 0;
  if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xF4 && byte(1) > 0x8F) return 0;
  return 4;
}

/// What a backslash and this byte stand for; 0: \u, or no escape at all, both for the whole
/// decoder.
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> escapes{};
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  escapes['/'] = '/';
  escapes['b'] = '\b';
  escapes['f'] = '\f';
  escapes['n'] = '\n';
  escapes['r'] = '\r';
  escapes['t'] = '\t';
  return escapes;
}();
char Unescaped(char escape) { return kEscapes[static_cast<unsigned char>(escape)]; }

/// The closing quote of the string whose text begins at `at`; null: a string for the whole decoder.
inline const char* SkipString(const char* at, Text& text) {
  while (true) {
    at = FindSpecial(at, text);
    if (at >= text.end) return nullptr;
    if (*at == '"') [[likely]]
      return at;
    if (*at == '\\') {
      if (text.end - at < 2 || Unescaped(at[1]) == 0) return nullptr;
      at += 2;
    } else if (static_cast<unsigned char>(*at) >= 0x80) {
      const size_t length = Utf8Length(at, text.end);
      if (length == 0) return nullptr;
      at += length;
    } else {
      return nullptr;  // a control character
    }
  }
}

/// The same, and writes the string without its escapes to `to`, which has room for the rest of the
/// text and a block.
inline const char* CopyString(const char* at, Text& text, char*& to) {
  while (true) {
    at = text.Near(at);
    const uint64_t mask = CopyBlock(at, to);
    const auto left = static_cast<size_t>(text.end - at);
    const size_t plain = mask == 0 ? kBlock : static_cast<size_t>(std::countr_zero(mask));
    if (plain >= left) return nullptr;
    at += plain;
    to += plain;
    if (mask == 0) continue;
    if (*at == '"') return at;
    if (*at == '\\') {
      if (text.end - at < 2 || Unescaped(at[1]) == 0) return nullptr;
      *to++ = Unescaped(at[1]);
      at += 2;
    } else if (static_cast<unsigned char>(*at) >= 0x80) {
      const size_t length = Utf8Length(at, text.end);
      if (length == 0) return nullptr;
      for (size_t i = 0; i < length; ++i) *to++ = *at++;
    } else {
      return nullptr;
    }
  }
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
int64_t TwoDigits(const char* at) { return (at[0] - '0') * 10 + (at[1] - '0'); }

/// Up to eight digits at once: their number in `digits`, and what they make. After Mula's and
/// Lemire's SWAR parsers.
inline uint32_t EightDigits(const char* at, uint32_t& digits) {
  uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof(bytes));
  bytes ^= 0x3030303030303030;
  const uint64_t others = ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080;
  digits = static_cast<uint32_t>(std::countr_zero(others)) / 8;  // 8 without any other byte
  if (digits == 0) return 0;
  bytes <<= (8 - digits) * 8;  // as many leading zeros as are missing
  bytes = bytes * 10 + (bytes >> 8);
  return static_cast<uint32_t>((((bytes & 0x000000FF000000FF) * 0x000F424000000064) +
                                (((bytes >> 16) & 0x000000FF000000FF) * 0x0000271000000001)) >>
                               32);
}

/// A whole number of at most 18 digits as JSON writes it. The text's last byte is no digit, so the
/// loop needs no end. Null: none.
inline const char* ScanInteger(const char* at, const Text& text, int64_t& value) {
  const bool negative = *at == '-';
  at += negative ? 1 : 0;
  const char* const first = at;
  int64_t number = 0;
  if (std::endian::native == std::endian::little && at + 8 <= text.readable) {
    uint32_t digits = 0;
    number = EightDigits(at, digits);
    at += digits;
    if (digits < 8) {
      if (digits == 0 || (*first == '0' && (digits > 1 || negative))) return nullptr;
      value = negative ? -number : number;
      return at;
    }
  }
  while (IsDigit(*at)) {
    if (at - first == 18) return nullptr;
    number = number * 10 + (*at++ - '0');
  }
  const auto digits = at - first;
  if (digits == 0 || (*first == '0' && (digits > 1 || negative))) return nullptr;
  value = negative ? -number : number;
  return at;
}

bool IsNumberByte(char c) {
  return IsDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

}  // namespace

// A fixed part of the text, then a value.
struct JsonLayouts::Step {
  uint32_t fixed_begin = 0;  // in Layout::fixed, which is padded to blocks
  uint32_t fixed_bytes = 0;
  Value value = Value::kSkipNumber;
  uint16_t column = 0;
  int64_t unit_us = 1;  // kEpoch
};

struct JsonLayouts::Layout {
  std::string fixed;
  std::vector<Step> steps;
  uint32_t tail_begin = 0, tail_bytes = 0;  // the fixed part behind the last value
  std::vector<uint16_t> nulls;              // columns without a value in such records
  uint32_t hits = 0;
};

// Objects and columns by key.
struct JsonLayouts::Wanted {
  std::map<std::string, std::unique_ptr<Wanted>, std::less<>> children;
  int column = -1;
};

JsonLayouts::~JsonLayouts() = default;

JsonLayouts::JsonLayouts(std::span<const SourceColumn> columns)
    : columns_(columns.begin(), columns.end()) {
  auto root = std::make_unique<Wanted>();
  for (size_t i = 0; i < columns_.size(); ++i) {
    const SourceColumn& column = columns_[i];
    std::vector<std::string> path;
    if (column.from.starts_with('/')) {
      std::string key;
      for (size_t at = 1; at <= column.from.size(); ++at) {
        if (at == column.from.size() || column.from[at] == '/') {
          path.push_back(std::move(key));
          key.clear();
        } else if (column.from[at] == '~' && at + 1 < column.from.size() &&
                   (column.from[at + 1] == '0' || column.from[at + 1] == '1')) {
          key += column.from[++at] == '0' ? '~' : '/';
        } else {
          key += column.from[at];
        }
      }
    } else {
      path.push_back(column.from.empty() ? column.field.name : column.from);
    }
    Wanted* node = root.get();
    for (std::string& key : path) {
      std::unique_ptr<Wanted>& child = node->children[std::move(key)];
      if (child == nullptr) child = std::make_unique<Wanted>();
      node = child.get();
    }
    if (node->column >= 0) return;  // two columns of one value: for the whole decoder
    node->column = static_cast<int>(i);
  }
  wanted_ = std::move(root);
}

// --- Learning ---

// Walks one record strictly and cuts it at its values. Any doubt ends without a layout.
class JsonLayouts::Learner {
 public:
  /// `padded` is followed by a block of readable bytes.
  Learner(std::string_view padded, const std::vector<SourceColumn>& columns)
      : at_(padded.data()),
        end_(at_ + padded.size()),
        text_{end_, end_ + kBlock, nullptr},
        fixed_from_(at_),
        columns_(columns),
        seen_(columns.size()) {}

  std::unique_ptr<Layout> Learn(const Wanted& root) {
    if (!Object(&root, 0) || at_ != end_ || layout_->steps.size() > kStepsMax) return nullptr;
    const std::string_view tail = TakeFixed();
    layout_->tail_begin = Keep(tail);
    layout_->tail_bytes = static_cast<uint32_t>(tail.size());
    for (size_t column = 0; column < seen_.size(); ++column) {
      if (seen_[column]) continue;
      if (!columns_[column].field.nullable) return nullptr;
      layout_->nulls.push_back(static_cast<uint16_t>(column));
    }
    return std::move(layout_);
  }

 private:
  void Blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }
  bool Take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool Object(const Wanted* wanted, int depth) {
    if (depth == kDepthMax || !Take('{')) return false;
    std::set<std::string_view> keys;
    Blanks();
    if (Take('}')) return true;
    do {
      Blanks();
      if (!Take('"')) return false;
      const char* const quote = SkipString(at_, text_);
      if (quote == nullptr) return false;
      const std::string_view key(at_, static_cast<size_t>(quote - at_));
      // Of a duplicate the first counts; an escaped key could be one, or a column's.
      if (key.find('\\') != std::string_view::npos || !keys.insert(key).second) return false;
      at_ = quote + 1;
      Blanks();
      if (!Take(':')) return false;
      Blanks();
      const Wanted* child = nullptr;
      if (wanted != nullptr) {
        if (const auto found = wanted->children.find(key); found != wanted->children.end())
          child = found->second.get();
      }
      if (!ValueOf(child, depth)) return false;
      Blanks();
    } while (Take(','));
    return Take('}');
  }

  bool Word(std::string_view word) {
    if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool ValueOf(const Wanted* wanted, int depth) {
    if (at_ == end_) return false;
    const bool is_column = wanted != nullptr && wanted->column >= 0;
    switch (*at_) {
      case '{':
        return !is_column && Object(wanted, depth + 1);
      case '[':
        return false;
      case 'n':
        return Word("null");  // a fixed part: the column stays without a value
      case 't':
      case 'f':
        if (is_column)
          return Slot(*wanted, TypeKind::kBool) && (Word("true") || Word("false")) && EndSlot();
        return Open(Value::kSkipBool) && (Word("true") || Word("false")) && EndSlot();
      case '"': {
        ++at_;
        if (!(is_column ? Slot(*wanted, TypeKind::kString) : Open(Value::kSkipString)))
          return false;
        at_ = SkipString(at_, text_);
        if (at_ == nullptr) return false;
        EndSlot();
        ++at_;
        return true;
      }
      default: {
        if (!(is_column ? Slot(*wanted, TypeKind::kInt64) : Open(Value::kSkipNumber))) return false;
        const char* const begin = at_;
        while (at_ != end_ && IsNumberByte(*at_)) ++at_;
        return at_ != begin && EndSlot();
      }
    }
  }

  bool Open(Value value) {
    const std::string_view fixed = TakeFixed();
    Step step;
    step.fixed_begin = Keep(fixed);
    step.fixed_bytes = static_cast<uint32_t>(fixed.size());
    step.value = value;
    layout_->steps.push_back(step);
    return layout_->steps.size() <= kStepsMax;
  }

  // A slot for a column; `found` is what the record has: bool, string or a number (kInt64).
  bool Slot(const Wanted& wanted, TypeKind found) {
    const auto index = static_cast<size_t>(wanted.column);
    const SourceColumn& column = columns_[index];
    seen_[index] = true;
    Value value = Value::kBool;
    int64_t unit_us = 1;
    switch (column.field.type.kind) {
      case TypeKind::kBool:
        if (found != TypeKind::kBool) return false;
        break;
      case TypeKind::kInt32:
      case TypeKind::kInt64:
        if (found != TypeKind::kInt64) return false;
        value = column.field.type.kind == TypeKind::kInt32 ? Value::kInt32 : Value::kInt64;
        break;
      case TypeKind::kFloat64:
        if (found != TypeKind::kInt64) return false;
        value = Value::kFloat64;
        break;
      case TypeKind::kString:
        if (found != TypeKind::kString) return false;
        value = Value::kString;
        break;
      case TypeKind::kTimestamp:
        if (column.wire == WireType::kDefault) {
          if (found != TypeKind::kString) return false;
          value = Value::kTimestamp;
        } else {
          if (found != TypeKind::kInt64) return false;
          value = Value::kEpoch;
          unit_us = column.wire == WireType::kTimestampSeconds  ? 1'000'000
                    : column.wire == WireType::kTimestampMillis ? 1000
                                                                : 1;
        }
        break;
      default:
        return false;
    }
    if (!Open(value)) return false;
    layout_->steps.back().column = static_cast<uint16_t>(index);
    layout_->steps.back().unit_us = unit_us;
    return true;
  }

  bool EndSlot() {
    fixed_from_ = at_;
    return true;
  }

  std::string_view TakeFixed() { return {fixed_from_, static_cast<size_t>(at_ - fixed_from_)}; }

  uint32_t Keep(std::string_view text) {
    const auto begin = static_cast<uint32_t>(layout_->fixed.size());
    layout_->fixed += text;
    layout_->fixed.resize((layout_->fixed.size() + kPart - 1) / kPart * kPart);
    return begin;
  }

  const char* at_;
  const char* end_;
  Text text_;
  const char* fixed_from_;  // where the fixed part in hand begins
  const std::vector<SourceColumn>& columns_;
  std::vector<bool> seen_;
  std::unique_ptr<Layout> layout_ = std::make_unique<Layout>();
};

void JsonLayouts::Learn(std::string_view text) {
  if (wanted_ == nullptr || pause_windows_ > 0 || layouts_.size() == kLayoutsMax ||
      text.size() > kRecordBytesMax)
    return;
  if (++learned_ > kLearnsPerWindow) return;
  std::string padded(text);
  padded.append(kBlock, ' ');
  std::unique_ptr<Layout> layout =
      Learner(std::string_view(padded).substr(0, text.size()), columns_).Learn(*wanted_);
  if (layout == nullptr) return;
  for (const std::unique_ptr<Layout>& known : layouts_) {
    if (known->fixed == layout->fixed)
      return;  // the record has this layout and a value that only the whole decoder reads
  }
  layouts_.push_back(std::move(layout));
}

// --- Reading ---

namespace {

/// True if the fixed part `fixed` (padded to parts) stands at `at`.
inline bool Stands(const char* fixed, size_t bytes, const char* at, const Text& text) {
  if (static_cast<size_t>(text.end - at) < bytes) return false;
  if (at + (bytes + kPart - 1) / kPart * kPart > text.readable)
    return std::memcmp(fixed, at, bytes) == 0;
  while (bytes > kPart) {
    if (Equal(Load(fixed), Load(at)) != 0xFFFF) return false;
    fixed += kPart;
    at += kPart;
    bytes -= kPart;
  }
  const uint32_t differ = ~Equal(Load(fixed), Load(at)) & 0xFFFF;
  return (differ & ((uint32_t{1} << bytes) - 1)) == 0;
}

}  // namespace

/// Reads "YYYY-MM-DD hh:mm:ss" into second_us_.
bool JsonLayouts::ReadSecond(const char* at) {
  if ((at[10] != ' ' && at[10] != 'T') || at[13] != ':' || at[16] != ':') return false;
  for (const int digit : {11, 12, 14, 15, 17, 18}) {
    if (!IsDigit(at[digit])) return false;
  }
  const int64_t hour = TwoDigits(at + 11);
  const int64_t minute = TwoDigits(at + 14);
  const int64_t second = TwoDigits(at + 17);
  if (hour > 23 || minute > 59 || second > 59) return false;
  const std::optional<int32_t> days = ParseDate(std::string_view(at, 10));
  if (!days) return false;
  std::memcpy(second_, at, sizeof(second_));
  second_us_ = (((int64_t{*days} * 24 + hour) * 60 + minute) * 60 + second) * 1'000'000;
  return true;
}

bool JsonLayouts::Match(const Layout& layout, const Record& record, RowBuilder& rows) {
  const char* at = record.value.data();
  const char* const end = at + record.value.size();
  Text text{end, end + (record.padded ? kRecordPadding : 0), spare_.data()};
  const char* const fixed = layout.fixed.data();
  for (const Step& step : layout.steps) {
    if (!Stands(fixed + step.fixed_begin, step.fixed_bytes, at, text)) return false;
    at += step.fixed_bytes;
    switch (step.value) {
      case Value::kInt32: {
        int64_t value = 0;
        at = ScanInteger(at, text, value);
        if (at == nullptr || value < INT32_MIN || value > INT32_MAX) return false;
        rows.column(step.column).Append(static_cast<int32_t>(value));
        break;
      }
      case Value::kInt64: {
        int64_t value = 0;
        at = ScanInteger(at, text, value);
        if (at == nullptr) return false;
        rows.column(step.column).Append(value);
        break;
      }
      case Value::kEpoch: {
        int64_t value = 0;
        at = ScanInteger(at, text, value);
        if (at == nullptr || value < 0 || value > kEpochSecondsMax * (1'000'000 / step.unit_us))
          return false;
        rows.column(step.column).Append(value * step.unit_us);
        break;
      }
      case Value::kTimestamp: {
        // YYYY-MM-DD, T or a blank, hh:mm:ss, up to six digits of a fraction, Z or nothing.
        // Neighbours mostly share their second.
        if (text.end - at <= static_cast<ptrdiff_t>(sizeof(second_))) return false;
        if (std::memcmp(at, second_, sizeof(second_)) != 0 && !ReadSecond(at)) return false;
        at += sizeof(second_);
        int64_t fraction_us = 0;
        if (*at == '.') {
          constexpr std::array<int32_t, 7> kUnits = {0, 100'000, 10'000, 1000, 100, 10, 1};
          const char* const first = ++at;
          while (IsDigit(*at)) {
            if (at - first == 6) return false;
            fraction_us = fraction_us * 10 + (*at++ - '0');
          }
          fraction_us *= kUnits[static_cast<size_t>(at - first)];
          if (at == first) return false;
        }
        if (*at == 'Z') ++at;
        rows.column(step.column).Append(second_us_ + fraction_us);
        break;
      }
      case Value::kFloat64: {
        const char* const first = at;
        while (IsNumberByte(*at)) ++at;
        // What from_chars takes beyond JSON begins with a point, a plus or a zero before a digit.
        if (!IsDigit(first[*first == '-' ? 1 : 0]) ||
            (first[*first == '-' ? 1 : 0] == '0' && IsDigit(first[*first == '-' ? 2 : 1])))
          return false;
        if (!IsDigit(at[-1])) return false;
        double value = 0;
        const auto [rest, failed] = std::from_chars(first, at, value);
        if (failed != std::errc() || rest != at || !std::isfinite(value)) return false;
        for (const char* dot = first; dot != at; ++dot) {
          if (*dot == '.' && !IsDigit(dot[1])) return false;
        }
        rows.column(step.column).Append(value);
        break;
      }
      case Value::kBool:
      case Value::kSkipBool: {
        const auto left = static_cast<size_t>(text.end - at);
        const bool value = left >= 4 && std::memcmp(at, "true", 4) == 0;
        if (!value && !(left >= 5 && std::memcmp(at, "false", 5) == 0)) return false;
        at += value ? 4 : 5;
        if (step.value == Value::kBool)
          rows.column(step.column).Append(static_cast<uint8_t>(value));
        break;
      }
      case Value::kString: {
        ColumnBuilder& column = rows.column(step.column);
        auto bytes = static_cast<size_t>(text.end - at);
        if (bytes > kReserveMax) {
          Text copy = text;  // the scan may move the text, and the copy begins at its start
          copy.spare = far_spare_.data();
          const char* quote = SkipString(at, copy);
          if (quote == nullptr) return false;
          bytes -= static_cast<size_t>(copy.end - quote);
        }
        char* const begin = column.ReserveString(bytes + kBlock);
        char* to = begin;
        at = CopyString(at, text, to);
        if (at == nullptr) return false;
        column.AppendStored(begin, static_cast<size_t>(to - begin));
        break;
      }
      case Value::kSkipString:
        at = SkipString(at, text);
        if (at == nullptr) return false;
        break;
      case Value::kSkipNumber: {
        const char* const first = at;
        while (IsNumberByte(*at)) ++at;
        if (at == first) return false;
        break;
      }
    }
  }
  if (static_cast<size_t>(text.end - at) != layout.tail_bytes ||
      std::memcmp(at, fixed + layout.tail_begin, layout.tail_bytes) != 0)
    return false;
  for (const uint16_t column : layout.nulls) rows.column(column).AppendNull();
  return true;
}

bool JsonLayouts::Append(const Record& record, RowBuilder& rows) {
  const std::string_view value = record.value;
  // The brace that ends every layout also stops the scans of digits.
  if (value.empty() || value.back() != '}') return false;
  for (size_t i = 0; i < layouts_.size(); ++i) {
    if (Match(*layouts_[i], record, rows)) {
      ++hit_;
      ++layouts_[i]->hits;
      if (i > 0 && layouts_[i]->hits > layouts_[i - 1]->hits)
        std::swap(layouts_[i], layouts_[i - 1]);
      return true;
    }
    rows.CancelRow();
  }
  return false;
}

// Layouts that no record fits any more make room; where most records fit none, trying rests for a
// while.
void JsonLayouts::EndWindow() {
  if (pause_windows_ > 0) {
    --pause_windows_;
  } else {
    std::erase_if(layouts_,
                  [](const std::unique_ptr<Layout>& layout) { return layout->hits == 0; });
    for (const std::unique_ptr<Layout>& layout : layouts_) layout->hits = 0;
    if (hit_ < tried_ / 2) {
      pause_windows_ = kPauseWindows;
      layouts_.clear();
    }
  }
  tried_ = 0;
  hit_ = 0;
  learned_ = 0;
}

}  // namespace weir
