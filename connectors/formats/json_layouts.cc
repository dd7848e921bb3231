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
#include <immintrin.h>
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

/// The closing quote of the string whose text begins at `at`, byte by byte: strings with escapes
/// that need thought, or bytes above 0x7F. Null: a string for the whole decoder.
const char* SkipStringByByte(const char* at, const Text& text) {
  while (at < text.end) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"') return at;
    if (byte == '\\') {
      if (text.end - at < 2 || Unescaped(at[1]) == 0) return nullptr;
      at += 2;
    } else if (byte >= 0x80) {
      const size_t length = Utf8Length(at, text.end);
      if (length == 0) return nullptr;
      at += length;
    } else if (byte < 0x20) {
      return nullptr;
    } else {
      ++at;
    }
  }
  return nullptr;
}

/// The same, and writes the string without its escapes to `to`.
const char* CopyStringByByte(const char* at, const Text& text, char*& to) {
  while (at < text.end) {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == '"') return at;
    if (byte == '\\') {
      if (text.end - at < 2 || Unescaped(at[1]) == 0) return nullptr;
      *to++ = Unescaped(at[1]);
      at += 2;
    } else if (byte >= 0x80) {
      const size_t length = Utf8Length(at, text.end);
      if (length == 0) return nullptr;
      for (size_t i = 0; i < length; ++i) *to++ = *at++;
    } else if (byte < 0x20) {
      return nullptr;
    } else {
      *to++ = *at++;
    }
  }
  return nullptr;
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

// --- Reading, for each instruction set ---

// A region, and not a file of its own: inline functions of the standard library that another file
// shares must not come out of a compilation for more than every machine has.
#ifdef __SSE2__
#define WEIR_JSON_BASE Sse2
#define WEIR_JSON_SET Sse2
#define WEIR_JSON_BITS 128
#include "connectors/formats/json_layouts_scan.inc"
#undef WEIR_JSON_SET
#undef WEIR_JSON_BITS
#if defined(__GNUC__) && !defined(__clang__)
#define WEIR_JSON_WIDE
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt")
#define WEIR_JSON_SET Avx2
#define WEIR_JSON_BITS 256
#include "connectors/formats/json_layouts_scan.inc"
#undef WEIR_JSON_SET
#undef WEIR_JSON_BITS
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi2")
#define WEIR_JSON_SET Avx512
#define WEIR_JSON_BITS 512
#include "connectors/formats/json_layouts_scan.inc"
#undef WEIR_JSON_SET
#undef WEIR_JSON_BITS
#pragma GCC pop_options
#endif
#else
#define WEIR_JSON_BASE Plain
#define WEIR_JSON_SET Plain
#define WEIR_JSON_BITS 0
#include "connectors/formats/json_layouts_scan.inc"
#undef WEIR_JSON_SET
#undef WEIR_JSON_BITS
#endif

std::span<const JsonLayouts::InstructionSet> JsonLayouts::Usable() {
  static constexpr std::array kSets = {InstructionSet::kBaseline, InstructionSet::kAvx2,
                                       InstructionSet::kAvx512};
  static const size_t kUsable = [] {
#ifdef WEIR_JSON_WIDE
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("lzcnt"))
      return size_t{1};
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512vbmi2")
               ? size_t{3}
               : size_t{2};
#else
    return size_t{1};
#endif
  }();
  return std::span(kSets).first(kUsable);
}

JsonLayouts::Matcher JsonLayouts::MatcherFor([[maybe_unused]] InstructionSet set) {
#ifdef WEIR_JSON_WIDE
  if (set == InstructionSet::kAvx512) return &JsonLayouts::Match<Avx512>;
  if (set == InstructionSet::kAvx2) return &JsonLayouts::Match<Avx2>;
#endif
  return &JsonLayouts::Match<WEIR_JSON_BASE>;
}

// Objects and columns by key.
struct JsonLayouts::Wanted {
  std::map<std::string, std::unique_ptr<Wanted>, std::less<>> children;
  int column = -1;
};

JsonLayouts::~JsonLayouts() = default;

JsonLayouts::JsonLayouts(std::span<const SourceColumn> columns, InstructionSet set)
    : match_(MatcherFor(set)), columns_(columns.begin(), columns.end()) {
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
      const char* const quote = SkipStringByByte(at_, text_);
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
        at_ = SkipStringByByte(at_, text_);
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

bool JsonLayouts::SameSecond(const char* at) const {
  // By words: the compiler makes a call of a comparison of 19 bytes.
  const auto differ = [&](size_t from, auto word) {
    auto other = word;
    std::memcpy(&word, at + from, sizeof(word));
    std::memcpy(&other, second_ + from, sizeof(word));
    return uint64_t{word} ^ uint64_t { other };
  };
  return (differ(0, uint64_t{}) | differ(8, uint64_t{}) | differ(15, uint32_t{})) == 0;
}

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

bool JsonLayouts::Append(const Record& record, RowBuilder& rows) {
  const std::string_view value = record.value;
  // The brace that ends every layout also stops the scans of digits.
  if (value.empty() || value.back() != '}') return false;
  for (size_t i = 0; i < layouts_.size(); ++i) {
    if ((this->*match_)(*layouts_[i], record, rows)) {
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
