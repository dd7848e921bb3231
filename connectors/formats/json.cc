// Format json. Decoding: simdjson finds the structure of many records at once (its stage 1:
// structural indexes, UTF-8, closed strings), and a walk over those indexes reads the planned
// columns straight into the builder. Fields mostly come in the order of the record before, so each
// object keeps the names it met in order and compares the next one first; only a miss looks the
// name up. After simdjson's own On-Demand and Mison's speculation. Records that look just like
// earlier ones need no index at all (json_layouts.h).

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "connectors/formats/json_layouts.h"
#include "connectors/formats/json_writer.h"
#include "connectors/formats/line_framer.h"
#include "connectors/formats/options.h"
#include "connectors/formats/value_text.h"
#include "engine/api/registry.h"
#include "engine/base/escape.h"

namespace weir {
namespace {

constexpr size_t kPrefetchAhead = 3;  // records
constexpr size_t kPrefetchBytesMax = 1024, kCacheLine = 64;
constexpr int kRecordDepthMax = 128;
constexpr size_t kChunkBytes =
    size_t{32} << 10;  // records indexed together: text and indexes stay in the L2 cache
constexpr size_t kChunkRecordBytesMax = kChunkBytes / 4;
constexpr size_t kFoundTextBytesMax = 64;  // of a value shown in a message
constexpr size_t kSlotNameBytesMax = 64;
constexpr size_t kSlotsMax = 64;

static_assert(kRecordPadding >= simdjson::SIMDJSON_PADDING);

/// A planned column.
struct Leaf {
  uint16_t column = 0;
  TypeKind kind = TypeKind::kNull;
  WireType wire = WireType::kDefault;
  uint8_t precision = 0, scale = 0;
  bool nullable = false;
  bool event_time = false;
  uint64_t seen = 0;  // number of the record that set it last
  std::string path;   // as a JSON pointer, for messages
  std::string type;
};

struct Node;

/// A member of an object that is planned itself or leads to planned ones. With neither: declared,
/// but not read.
struct Child {
  std::string name;
  uint64_t seen = 0;  // number of the record that had it last: of a duplicate key the first counts
  std::vector<Leaf*> leaves;
  std::unique_ptr<Node> node;
};

/// A name as it stood in the text, with both quotes, at its place in the order of the record
/// before.
struct Slot {
  uint32_t size = 0;
  Child* child = nullptr;
  std::array<char, kSlotNameBytesMax> text{};
};

/// An object (or array) on the way to planned columns.
struct Node {
  std::string path;
  std::vector<std::unique_ptr<Child>> children;
  std::unordered_map<std::string_view, Child*> by_name;
  std::vector<Slot> slots;

  Child* ChildOf(const std::string& name) {
    const auto found = by_name.find(name);
    if (found != by_name.end()) return found->second;
    auto& child = children.emplace_back(std::make_unique<Child>());
    child->name = name;
    by_name.emplace(child->name, child.get());
    return child.get();
  }
};

/// "a" or "/a/b~1c" as names.
std::vector<std::string> NamesOf(const std::string& from) {
  if (!from.starts_with('/')) return {from};
  std::vector<std::string> names;
  for (size_t at = 0; at < from.size();) {
    const size_t end = std::min(from.find('/', at + 1), from.size());
    std::string name;
    for (size_t i = at + 1; i < end; ++i) {
      const bool escaped =
          from[i] == '~' && i + 1 < end && (from[i + 1] == '0' || from[i + 1] == '1');
      name.push_back(!escaped ? from[i] : from[i + 1] == '1' ? '/' : '~');
      i += escaped ? 1 : 0;
    }
    names.push_back(std::move(name));
    at = end;
  }
  return names;
}

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
uint32_t HexValue(char c) {
  return static_cast<uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

bool ReadHex4(const char* at, const char* end, uint32_t* unit) {
  if (end - at < 4) return false;
  *unit = 0;
  for (int i = 0; i < 4; ++i) {
    if (!IsHex(at[i])) return false;
    *unit = *unit << 4 | HexValue(at[i]);
  }
  return true;
}

char* AppendUtf8(uint32_t point, char* out) {
  const auto put = [&](uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6), put(0x80 | (point & 63));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12), put(0x80 | (point >> 6 & 63)), put(0x80 | (point & 63));
  } else {
    put(0xF0 | point >> 18), put(0x80 | (point >> 12 & 63)), put(0x80 | (point >> 6 & 63)),
        put(0x80 | (point & 63));
  }
  return out;
}

/// Content of a JSON string with its escapes resolved, at most as long as it stands there; null: a
/// bad escape or half a surrogate pair.
char* Unescape(std::string_view text, char* out) {
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    if (*at != '\\') {
      *out++ = *at++;
      continue;
    }
    if (++at == end) return nullptr;
    switch (*at++) {
      case '"':
        *out++ = '"';
        break;
      case '\\':
        *out++ = '\\';
        break;
      case '/':
        *out++ = '/';
        break;
      case 'b':
        *out++ = '\b';
        break;
      case 'f':
        *out++ = '\f';
        break;
      case 'n':
        *out++ = '\n';
        break;
      case 'r':
        *out++ = '\r';
        break;
      case 't':
        *out++ = '\t';
        break;
      case 'u': {
        uint32_t unit = 0;
        if (!ReadHex4(at, end, &unit)) return nullptr;
        at += 4;
        if (unit >= 0xD800 && unit < 0xE000) {
          uint32_t low = 0;
          if (unit >= 0xDC00 || end - at < 6 || at[0] != '\\' || at[1] != 'u' ||
              !ReadHex4(at + 2, end, &low))
            return nullptr;
          if (low < 0xDC00 || low >= 0xE000) return nullptr;
          at += 6;
          unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        }
        out = AppendUtf8(unit, out);
        break;
      }
      default:
        return nullptr;
    }
  }
  return out;
}

/// +1 for an opening bracket, -1 for a closing one.
constexpr std::array<int8_t, 256> MakeNesting() {
  std::array<int8_t, 256> nesting{};
  nesting['{'] = nesting['['] = 1;
  nesting['}'] = nesting[']'] = -1;
  return nesting;
}
constexpr std::array<int8_t, 256> kNesting = MakeNesting();

class JsonDecoder final : public Decoder {
 public:
  JsonDecoder(const std::vector<SourceColumn>& columns, const std::vector<SourceColumn>& declared,
              const FormatOptions& options)
      : options_(options),
        framer_(options.record_bytes_max, /*keep_blank=*/false),
        buffer_(kChunkBytes + kRecordPadding) {
    if (options_.unknown_fields_refused) {
      for (const SourceColumn& column : declared)
        Plan(column.from.empty() ? column.field.name : column.from);
    }
    for (uint16_t i = 0; i < columns.size(); ++i) {
      const SourceColumn& column = columns[i];
      const std::string& from = column.from.empty() ? column.field.name : column.from;
      auto& leaf = leaves_.emplace_back(std::make_unique<Leaf>());
      leaf->column = i;
      leaf->kind = column.field.type.kind;
      leaf->wire = column.wire;
      leaf->precision = column.field.type.precision;
      leaf->scale = column.field.type.scale;
      leaf->nullable = column.field.nullable;
      leaf->event_time = column.event_time;
      leaf->path = from.starts_with('/') ? from : "/" + from;
      leaf->type = column.field.type.ToString();
      Plan(from)->leaves.push_back(leaf.get());
    }
    if (!options_.checked_fully && !options_.unknown_fields_refused)
      layouts_ = std::make_unique<JsonLayouts>(columns);
  }

  Result<size_t> Frame(std::string_view bytes, bool at_end, std::vector<Record>& records) override {
    return framer_.Frame(bytes, at_end, records);
  }
  void BeginFile(std::string_view) override { framer_.BeginFile(); }
  FramingState framing() const override { return framer_.state(); }
  void ResumeFile(const FramingState& state) override { framer_.Resume(state); }

  Result<Step> Decode(std::span<const Record> records, RowBuilder& rows,
                      RowErrors& errors) override {
    rows_ = &rows;
    errors_ = &errors;
    for (uint32_t i = 0; i < records.size(); ++i) {
      const Record& record = records[i];
      const size_t bytes = record.value.size();
      if (i + kPrefetchAhead < records.size()) Prefetch(records[i + kPrefetchAhead].value);
      // Rows keep the order of their records, so a record that cannot join the chunk ends it first.
      if (layouts_ != nullptr && !record.truncated && !record.null_value &&
          bytes <= options_.record_bytes_max && layouts_->Tries()) {
        if (!chunk_.empty()) WEIR_TRY(DecodeChunk());
        if (layouts_->Append(record, rows)) {
          rows.FinishRow();
          continue;
        }
      }
      const bool alone = record.truncated || record.null_value || bytes > kChunkRecordBytesMax;
      if (alone || chunk_bytes_ + bytes + 1 > kChunkBytes) WEIR_TRY(DecodeChunk());
      if (alone) {
        WEIR_TRY(DecodeAlone(record, i));
        continue;
      }
      std::memcpy(buffer_.data() + chunk_bytes_, record.value.data(), bytes);
      chunk_.push_back({.record = i,
                        .begin = static_cast<uint32_t>(chunk_bytes_),
                        .end = static_cast<uint32_t>(chunk_bytes_ + bytes)});
      chunk_bytes_ += bytes;
      // A line end cannot stand inside a sound string, so a record cannot reach into the next one
      // unseen.
      buffer_[chunk_bytes_++] = '\n';
    }
    WEIR_TRY(DecodeChunk());
    return Step::Done();
  }

 private:
  struct Piece {
    uint32_t record, begin, end;
  };

  /// Records come cold, written by another thread: their lines are on the way while the ones before
  /// are read.
  static void Prefetch(std::string_view value) {
    const size_t bytes = std::min(value.size(), kPrefetchBytesMax);
    for (size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(value.data() + at);
    if (!value.empty()) __builtin_prefetch(&value.back());
  }

  Child* Plan(const std::string& from) {
    Node* node = &root_;
    Child* child = nullptr;
    std::string path;
    for (const std::string& name : NamesOf(from)) {
      if (child != nullptr) {
        if (child->node == nullptr) child->node = std::make_unique<Node>();
        node = child->node.get();
        node->path = path;
      }
      child = node->ChildOf(name);
      path += "/" + name;
    }
    return child;
  }

  Status DecodeAlone(const Record& record, uint32_t number) {
    if (record.null_value) {
      errors_->Add(number, RecordCode::kDecodeNullValue, "the record has no value");
      return Status::Ok();
    }
    if (record.value.size() > options_.record_bytes_max) {
      errors_->Add(number, RecordCode::kDecodeTooLarge,
                   "the record is larger than max_record, " +
                       std::to_string(options_.record_bytes_max) +
                       " bytes; raise max_record of the format");
      return Status::Ok();
    }
    if (record.truncated) {
      errors_->Add(number, RecordCode::kDecodeTruncated, "the file ends inside of the record");
      return Status::Ok();
    }
    const char* text = record.value.data();
    std::vector<char> copy;
    if (!record.padded) {
      copy.resize(record.value.size() + kRecordPadding);
      std::memcpy(copy.data(), text, record.value.size());
      text = copy.data();
    }
    const Piece piece{
        .record = number, .begin = 0, .end = static_cast<uint32_t>(record.value.size())};
    return DecodeIndexed(text, piece.end, std::span(&piece, 1));
  }

  Status DecodeChunk() {
    if (chunk_.empty()) return Status::Ok();
    std::memset(buffer_.data() + chunk_bytes_, 0, kRecordPadding);
    Status status = DecodeIndexed(buffer_.data(), chunk_bytes_, chunk_);
    chunk_.clear();
    chunk_bytes_ = 0;
    return status;
  }

  Status DecodeIndexed(const char* text, size_t bytes, std::span<const Piece> pieces) {
    WEIR_ASSIGN(const simdjson::error_code error, Index(text, bytes));
    if (error == simdjson::SUCCESS) {
      for (const Piece& piece : pieces) DecodeOne(text, piece);
      return Status::Ok();
    }
    if (pieces.size() == 1) {
      errors_->Add(
          pieces.front().record, RecordCode::kDecodeJson,
          error == simdjson::EMPTY ? "the record is empty" : simdjson::error_message(error));
      return Status::Ok();
    }
    // One of them is broken: each for itself, in place.
    for (const Piece& piece : pieces) {
      if (piece.begin == piece.end) {
        errors_->Add(piece.record, RecordCode::kDecodeJson, "the record is empty");
        continue;
      }
      const Piece alone{.record = piece.record, .begin = 0, .end = piece.end - piece.begin};
      WEIR_TRY(DecodeIndexed(text + piece.begin, alone.end, std::span(&alone, 1)));
    }
    return Status::Ok();
  }

  Result<simdjson::error_code> Index(const char* text, size_t bytes) {
    if (bytes > capacity_) {
      capacity_ = std::max(bytes, kChunkBytes);
      const simdjson::error_code error =
          simdjson::get_active_implementation()->create_dom_parser_implementation(
              capacity_, kRecordDepthMax, index_);
      if (error != simdjson::SUCCESS) {
        capacity_ = 0;
        return Status(Code::kLimit,
                      "no memory to index " + std::to_string(bytes) + " bytes of JSON");
      }
    }
    const simdjson::error_code error = index_->stage1(reinterpret_cast<const uint8_t*>(text), bytes,
                                                      simdjson::stage1_mode::regular);
    if (error == simdjson::SUCCESS) {
      at_ = index_->structural_indexes.get();
      indexes_end_ = at_ + index_->n_structural_indexes;
    }
    return error;
  }

  void DecodeOne(const char* text, const Piece& piece) {
    text_ = text;
    ++number_;
    fault_.clear();
    fault_code_ = RecordCode::kDecodeJson;
    const uint32_t* first = at_;
    const bool good =
        (!options_.checked_fully || CheckText(piece)) && WalkRecord(piece) && FinishRow();
    if (good) {
      rows_->FinishRow();
      if (layouts_ != nullptr) layouts_->Learn({text + piece.begin, piece.end - piece.begin});
    } else {
      rows_->CancelRow();
      errors_->Add(piece.record, fault_code_, fault_);
      at_ = first;
    }
    while (at_ != indexes_end_ && *at_ < piece.end) ++at_;
  }

  // A walk never reads past the two sentinels behind the last index: the text there is zero or a
  // foreign record's, and no step takes either for its own.
  bool WalkRecord(const Piece& piece) {
    if (at_ == indexes_end_ || *at_ >= piece.end) return Fail("the record is empty");
    if (text_[*at_] != '{') return Fail("expected an object, found " + Found());
    ++at_;
    if (!WalkObject(root_, 1)) return false;
    // What follows the closing bracket, or a walk that ran into the next record.
    if (at_[-1] >= piece.end) return Fail("the record ends inside of the document");
    if (at_ != indexes_end_ && *at_ < piece.end)
      return Fail("found " + Found() + " behind the document");
    return true;
  }

  bool FinishRow() {
    for (const auto& leaf : leaves_) {
      if (leaf->seen == number_) continue;
      if (!leaf->nullable)
        return Fail(leaf->path + ": missing or null, but the column is not nullable (write '" +
                    leaf->type + "?')");
      rows_->column(leaf->column).AppendNull();
    }
    return true;
  }

  bool WalkObject(Node& node, int depth) {
    if (depth > kRecordDepthMax)
      return Fail("nested deeper than " + std::to_string(kRecordDepthMax) + " levels");
    if (at_ < indexes_end_ && text_[*at_] == '}') {
      ++at_;
      return true;
    }
    for (size_t slot = 0;; ++slot) {
      if (at_ >= indexes_end_) return Fail("the record ends inside of the document");
      const char* name = text_ + *at_;
      if (*name != '"') return Fail("expected the name of a field, found " + Found());
      const uint32_t name_bytes = at_[1] - at_[0];
      if (text_[at_[1]] != ':') return Fail("expected ':' behind the name of a field");
      Child* child = nullptr;
      if (slot < node.slots.size() && node.slots[slot].size <= name_bytes &&
          Equal(node.slots[slot], name)) [[likely]] {
        child = node.slots[slot].child;
      } else if (!FindChild(node, slot, std::string_view(name, name_bytes), &child)) {
        return false;
      }
      at_ += 2;
      if (!(child == nullptr ? SkipValue(depth) : ReadChild(*child, depth))) return false;
      if (at_ >= indexes_end_) return Fail("the record ends inside of the document");
      const char next = text_[*at_++];
      if (next == ',') continue;
      if (next == '}') return true;
      --at_;
      return Fail("expected ',' or '}', found " + Found());
    }
  }

  static bool Equal(const Slot& slot, const char* name) {
    // Text is padded, names have mostly 16 bytes or less.
    if (slot.size > 16) return std::memcmp(slot.text.data(), name, slot.size) == 0;
    if (slot.size == 0) return false;  // nothing was kept for this place: its name was too long
    uint64_t a = 0, b = 0;
    std::memcpy(&a, slot.text.data(), 8);
    std::memcpy(&b, name, 8);
    const uint32_t head = std::min<uint32_t>(slot.size, 8);
    uint64_t difference = (a ^ b) << (64 - 8 * head);
    if (slot.size > 8) {
      std::memcpy(&a, slot.text.data() + 8, 8);
      std::memcpy(&b, name + 8, 8);
      difference |= (a ^ b) << (64 - 8 * (slot.size - 8));
    }
    return difference == 0;
  }

  /// `quoted`: the name in its quotes, perhaps with blanks behind them.
  bool FindChild(Node& node, size_t slot, std::string_view quoted, Child** child) {
    quoted = quoted.substr(0, quoted.find_last_not_of(" \t\r\n") + 1);
    if (quoted.size() < 2 || quoted.back() != '"') return Fail("expected the name of a field");
    std::string_view name = quoted.substr(1, quoted.size() - 2);
    const bool escaped = name.find('\\') != std::string_view::npos;
    if (escaped) {
      scratch_.resize(name.size());
      const char* end = Unescape(name, scratch_.data());
      if (end == nullptr) return Fail("bad escape in the name of a field");
      name = std::string_view(scratch_.data(), static_cast<size_t>(end - scratch_.data()));
    }
    const auto found = node.by_name.find(name);
    *child = found == node.by_name.end() ? nullptr : found->second;
    if (*child == nullptr && options_.unknown_fields_refused) {
      return Fail(node.path + "/" + OneLine(name, kFoundTextBytesMax) +
                  ": not in the schema, and unknown_fields is 'error'");
    }
    if (escaped || quoted.size() > kSlotNameBytesMax || slot >= kSlotsMax) return true;
    if (node.slots.size() <= slot) node.slots.resize(slot + 1);
    node.slots[slot].size = static_cast<uint32_t>(quoted.size());
    node.slots[slot].child = *child;
    std::memcpy(node.slots[slot].text.data(), quoted.data(), quoted.size());
    return true;
  }

  bool ReadChild(Child& child, int depth) {
    if (at_ >= indexes_end_) return Fail("the record ends inside of the document");
    if (child.seen == number_) return SkipValue(depth);
    child.seen = number_;
    for (Leaf* leaf : child.leaves) {
      if (!ReadLeaf(*leaf)) return false;
    }
    if (child.node != nullptr) {
      const char first = text_[*at_];
      if (first == '{') {
        ++at_;
        return WalkObject(*child.node, depth + 1);
      }
      if (first == '[') {
        ++at_;
        return WalkArray(*child.node, depth + 1);
      }
    }
    return SkipValue(depth);
  }

  /// Items by their index as name.
  bool WalkArray(Node& node, int depth) {
    if (depth > kRecordDepthMax)
      return Fail("nested deeper than " + std::to_string(kRecordDepthMax) + " levels");
    if (at_ < indexes_end_ && text_[*at_] == ']') {
      ++at_;
      return true;
    }
    for (size_t item = 0;; ++item) {
      const auto found = node.by_name.find(std::to_string(item));
      if (!(found == node.by_name.end() ? SkipValue(depth) : ReadChild(*found->second, depth)))
        return false;
      if (at_ >= indexes_end_) return Fail("the record ends inside of the document");
      const char next = text_[*at_++];
      if (next == ',') continue;
      if (next == ']') return true;
      --at_;
      return Fail("expected ',' or ']', found " + Found());
    }
  }

  bool SkipValue(int depth) {
    if (at_ >= indexes_end_) return Fail("the record ends inside of the document");
    int open = kNesting[static_cast<uint8_t>(text_[*at_])];
    ++at_;
    if (open <= 0) return open == 0 || Fail("expected a value");
    while (open > 0) {
      if (at_ >= indexes_end_) return Fail("the record ends inside of the document");
      open += kNesting[static_cast<uint8_t>(text_[*at_])];
      ++at_;
      if (open + depth > kRecordDepthMax)
        return Fail("nested deeper than " + std::to_string(kRecordDepthMax) + " levels");
    }
    return true;
  }

  /// Text of the scalar at at_: up to the next structural character, without the blanks before it.
  std::string_view Scalar() const {
    const char* begin = text_ + at_[0];
    const char* end = text_ + at_[1];
    while (end != begin &&
           (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r' || end[-1] == '\t'))
      --end;
    return {begin, static_cast<size_t>(end - begin)};
  }

  bool ReadLeaf(Leaf& leaf) {
    const std::string_view token = Scalar();
    if (token == "null") return true;
    const char first = token.empty() ? '\0' : token.front();
    if (first == '{' || first == '[')
      return FailLeaf(leaf, first == '{' ? "found an object" : "found an array");
    const bool quoted = first == '"';
    if (quoted && (token.size() < 2 || token.back() != '"'))
      return Fail(leaf.path + ": a string without end");
    ColumnBuilder& column = rows_->column(leaf.column);
    if (quoted && leaf.kind == TypeKind::kString) {
      const std::string_view text = token.substr(1, token.size() - 2);
      if (std::memchr(text.data(), '\\', text.size()) == nullptr) [[likely]] {
        column.AppendString(text);
      } else {
        char* out = column.ReserveString(text.size());
        const char* end = Unescape(text, out);
        if (end == nullptr) return FailLeaf(leaf, "bad escape, or half of a surrogate pair");
        column.AppendStored(out, static_cast<size_t>(end - out));
      }
      leaf.seen = number_;
      return true;
    }
    std::string_view text = token;
    if (quoted) {
      text = token.substr(1, token.size() - 2);
      if (std::memchr(text.data(), '\\', text.size()) != nullptr) {
        scratch_.resize(text.size());
        const char* end = Unescape(text, scratch_.data());
        if (end == nullptr) return FailLeaf(leaf, "bad escape, or half of a surrogate pair");
        text = std::string_view(scratch_.data(), static_cast<size_t>(end - scratch_.data()));
      }
    }
    const ReadFault fault = ReadValue(leaf, text, quoted, column);
    if (fault != kNoFault) return FailLeaf(leaf, fault);
    leaf.seen = number_;
    return true;
  }

  template <class T>
  static ReadFault Appended(ColumnBuilder& column, ReadFault fault, T value) {
    if (fault == kNoFault) column.Append<T>(value);
    return fault;
  }

  ReadFault ReadValue(const Leaf& leaf, std::string_view text, bool quoted, ColumnBuilder& column) {
    switch (leaf.kind) {
      case TypeKind::kBool: {
        uint8_t value = 0;
        const ReadFault fault = quoted ? "a string" : ReadBool(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kInt32: {
        int32_t value = 0;
        const ReadFault fault = ReadInt32(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kInt64: {
        int64_t value = 0;
        const ReadFault fault = ReadInt64(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kFloat32: {
        float value = 0;
        if (quoted != (text == "NaN" || text.ends_with("Infinity")))
          return quoted ? "a string" : "not a number";
        const ReadFault fault = ReadFloat32(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kFloat64: {
        double value = 0;
        if (quoted != (text == "NaN" || text.ends_with("Infinity")))
          return quoted ? "a string" : "not a number";
        const ReadFault fault = ReadFloat64(text, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kDecimal: {
        Int128 value = 0;
        const ReadFault fault = ReadDecimal(text, leaf.precision, leaf.scale, &value);
        return Appended(column, fault, value);
      }
      case TypeKind::kBytes: {
        if (!quoted) return "not a string";
        bytes_.clear();
        const ReadFault fault = ReadBase64(text, &bytes_);
        if (fault == kNoFault) column.AppendString(bytes_);
        return fault;
      }
      case TypeKind::kDate: {
        int32_t value = 0;
        const ReadFault fault = quoted ? ReadDate(text, &value) : "not a string";
        return Appended(column, fault, value);
      }
      case TypeKind::kTimestamp: {
        int64_t value = 0;
        ReadFault fault = kNoFault;
        if (leaf.wire == WireType::kDefault) {
          fault = quoted
                      ? timestamps_.Read(text, &value)
                      : "a number; declare the column as timestamp_s, timestamp_ms or timestamp_us";
        } else {
          fault = quoted ? "a string; declare the column as timestamp"
                         : ReadEpoch(text, leaf.wire, &value);
        }
        return Appended(column, fault, value);
      }
      case TypeKind::kDuration: {
        int64_t value = 0;
        const ReadFault fault = quoted ? ReadDuration(text, &value) : ReadInt64(text, &value);
        return Appended(column, fault, value);
      }
      default:
        return "not a string";
    }
  }

  /// `check: full`: the whole grammar of the text, values that nobody reads included.
  bool CheckText(const Piece& piece) {
    const uint32_t* first = at_;
    std::array<char, kRecordDepthMax + 1> open{};
    int depth = 0;
    enum class Expect : uint8_t {
      kValue,
      kFirstValue,
      kName,
      kFirstName,
      kNext
    } expect = Expect::kValue;
    bool good = true;
    bool complete = false;
    for (; good && at_ != indexes_end_ && *at_ < piece.end; ++at_) {
      const char c = text_[*at_];
      if (complete) {
        good = Fail("found " + Found() + " behind the document");
      } else if (expect == Expect::kNext) {
        const char close = open[static_cast<size_t>(depth)] == '{' ? '}' : ']';
        if (c == ',') {
          expect = close == '}' ? Expect::kName : Expect::kValue;
        } else if (c == close) {
          complete = --depth == 0;
        } else {
          good = Fail("expected ',' or a closing bracket, found " + Found());
        }
      } else if (expect == Expect::kName || expect == Expect::kFirstName) {
        if (c == '}' && expect == Expect::kFirstName) {
          complete = --depth == 0;
          expect = Expect::kNext;
        } else if (c != '"' || !CheckScalar() || text_[at_[1]] != ':') {
          good = Fail("expected the name of a field and ':', found " + Found());
        } else {
          ++at_;
          expect = Expect::kValue;
        }
      } else if (c == '{' || c == '[') {
        if (depth == kRecordDepthMax) {
          good = Fail("nested deeper than " + std::to_string(kRecordDepthMax) + " levels");
        } else {
          open[static_cast<size_t>(++depth)] = c;
          expect = c == '{' ? Expect::kFirstName : Expect::kFirstValue;
        }
      } else if (c == ']' && expect == Expect::kFirstValue) {
        complete = --depth == 0;
        expect = Expect::kNext;
      } else if (!CheckScalar()) {
        good = Fail("not a value: " + Found());
      } else {
        expect = Expect::kNext;
        complete = depth == 0;
      }
    }
    if (good && !complete) good = Fail("the record ends inside of the document");
    at_ = first;
    return good;
  }

  bool CheckScalar() {
    const std::string_view token = Scalar();
    if (token.empty()) return false;
    if (token.front() != '"')
      return token == "true" || token == "false" || token == "null" || IsJsonNumber(token);
    if (token.size() < 2 || token.back() != '"') return false;
    scratch_.resize(token.size());
    return Unescape(token.substr(1, token.size() - 2), scratch_.data()) != nullptr;
  }

  bool Fail(std::string message) {
    fault_ = std::move(message);
    return false;
  }
  bool FailLeaf(const Leaf& leaf, std::string_view reason) {
    if (leaf.event_time) fault_code_ = RecordCode::kBadEventTime;
    return Fail(leaf.path + ": expected " + leaf.type + ": " + std::string(reason) + ": " +
                Found());
  }
  /// The value at at_, as far as it helps.
  std::string Found() const {
    if (at_ >= indexes_end_) return "the end of the record";
    return OneLine(Scalar(), kFoundTextBytesMax);
  }

  const FormatOptions options_;
  LineFramer framer_;
  Node root_;
  std::vector<std::unique_ptr<Leaf>> leaves_;

  // The chunk being collected.
  std::vector<char> buffer_;
  size_t chunk_bytes_ = 0;
  std::vector<Piece> chunk_;
  std::unique_ptr<JsonLayouts> layouts_;  // null: options ask for checks that it does not do

  // The text being walked.
  std::unique_ptr<simdjson::internal::dom_parser_implementation> index_;
  size_t capacity_ = 0;
  const char* text_ = nullptr;
  const uint32_t* at_ = nullptr;
  const uint32_t* indexes_end_ = nullptr;
  uint64_t number_ = 0;  // of the record, over all calls
  RowBuilder* rows_ = nullptr;
  RowErrors* errors_ = nullptr;
  std::string fault_;
  RecordCode fault_code_ = RecordCode::kDecodeJson;
  TimestampReader timestamps_;
  std::string scratch_, bytes_;
};

class JsonEncoder final : public Encoder {
 public:
  JsonEncoder(const Schema& schema, std::vector<ColumnIndex> columns, JsonWriterOptions options)
      : writer_(schema, std::move(columns), options) {}

  void Encode(const Batch& batch, EncodedRows& out, RowErrors&) override {
    writer_.Bind(batch);
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      writer_.AppendRow(row, out.bytes);
      out.ends.push_back(static_cast<uint32_t>(out.bytes.size()));
    }
  }

 private:
  JsonRowWriter writer_;
};

}  // namespace

void RegisterJson(Registry& registry) {
  registry.AddFormat(
      {.name = "json",
       .doc = "One JSON object for each record; one line for each in files.",
       .options =
           {
               {.name = "unknown_fields",
                .type = OptionType::kEnum,
                .doc = "What a field that the schema does not declare means.",
                .fallback = "ignore",
                .allowed = "ignore|error"},
               {.name = "check",
                .type = OptionType::kEnum,
                .doc = "`read` checks what the job reads, `full` the whole text of each record.",
                .fallback = "read",
                .allowed = "read|full"},
               {.name = "int64_as_string",
                .type = OptionType::kBool,
                .doc = "Writes int64 as a string, for readers whose numbers are doubles.",
                .fallback = "false"},
               {.name = "nulls",
                .type = OptionType::kEnum,
                .doc = "Writes NULL as null, or omits the field.",
                .fallback = "write",
                .allowed = "write|omit"},
           },
       .decoder = [](const NodeConfig& node,
                     const std::vector<SourceColumn>& columns) -> Result<std::unique_ptr<Decoder>> {
         const FormatOptions options = FormatOptions::Of(node);
         std::vector<SourceColumn> declared;
         if (options.unknown_fields_refused) declared = node.DeclaredColumns("schema");
         return std::make_unique<JsonDecoder>(columns, declared, options);
       },
       .encoder = [](const NodeConfig& node,
                     const SchemaRef& schema) -> Result<std::unique_ptr<Encoder>> {
         const FormatOptions options = FormatOptions::Of(node);
         return std::make_unique<JsonEncoder>(
             *schema, WrittenColumns(*schema, WritesOp(node)),
             JsonWriterOptions{.int64_as_string = options.int64_as_string,
                               .omit_nulls = options.omit_nulls});
       }});
}

}  // namespace weir
