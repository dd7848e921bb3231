#include "bench/nexmark/oracle.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>

#include <xxhash.h>

namespace weir::bench {
namespace {

// --- JSON: a strict reader of one document, as a sequence of scalars with their paths ------------

struct Scalar {
  enum class Kind : std::uint8_t { kNull, kBool, kNumber, kText };
  std::string path;  // "bid.auction"
  std::string text;  // decoded for a text, as written for a number
  Kind kind = Kind::kNull;
};

class JsonScalars {
 public:
  // False, with a message, unless `document` is one JSON object without arrays.
  bool Parse(std::string_view document, std::string& error) {
    at_ = document.data();
    end_ = at_ + document.size();
    count_ = 0;
    path_.clear();
    failure_ = nullptr;
    SkipBlanks();
    if (at_ == end_ || *at_ != '{') {
      failure_ = "not a JSON object";
    } else {
      ParseObject(0);
      SkipBlanks();
      if (failure_ == nullptr && at_ != end_) failure_ = "text after the JSON object";
    }
    if (failure_ != nullptr) {
      error = std::string(failure_) + ": " + std::string(document.substr(0, 400));
    }
    return failure_ == nullptr;
  }

  std::size_t size() const { return count_; }
  const Scalar& operator[](std::size_t i) const { return scalars_[i]; }

 private:
  static constexpr int kDepthMax = 8;

  void SkipBlanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }

  bool Take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  void Fail(const char* message) {
    if (failure_ == nullptr) failure_ = message;
  }

  Scalar& Next(Scalar::Kind kind) {
    if (count_ == scalars_.size()) scalars_.emplace_back();
    Scalar& scalar = scalars_[count_++];
    scalar.kind = kind;
    scalar.path = path_;
    scalar.text.clear();
    return scalar;
  }

  void ParseObject(int depth) {
    if (depth == kDepthMax) return Fail("too deeply nested");
    ++at_;
    SkipBlanks();
    if (Take('}')) return;
    do {
      SkipBlanks();
      const std::size_t parent = path_.size();
      if (parent > 0) path_ += '.';
      if (at_ == end_ || *at_ != '"') return Fail("a key is missing");
      ParseText(path_);
      SkipBlanks();
      if (!Take(':')) return Fail("':' expected");
      SkipBlanks();
      ParseValue(depth);
      if (failure_ != nullptr) return;
      path_.resize(parent);
      SkipBlanks();
    } while (Take(','));
    if (!Take('}')) Fail("',' or '}' expected");
  }

  void ParseValue(int depth) {
    if (at_ == end_) return Fail("a value is missing");
    switch (*at_) {
      case '{':
        return ParseObject(depth + 1);
      case '"':
        return ParseText(Next(Scalar::Kind::kText).text);
      case 'n':
        return ParseWord("null", Scalar::Kind::kNull);
      case 't':
        return ParseWord("true", Scalar::Kind::kBool);
      case 'f':
        return ParseWord("false", Scalar::Kind::kBool);
      default:
        return ParseNumber();
    }
  }

  void ParseWord(std::string_view word, Scalar::Kind kind) {
    if (std::string_view(at_, static_cast<std::size_t>(end_ - at_)).substr(0, word.size()) !=
        word) {
      return Fail("unknown word");
    }
    Next(kind).text = word;
    at_ += word.size();
  }

  void ParseNumber() {
    const char* start = at_;
    while (at_ != end_ && (std::isdigit(static_cast<unsigned char>(*at_)) != 0 || *at_ == '-' ||
                           *at_ == '+' || *at_ == '.' || *at_ == 'e' || *at_ == 'E')) {
      ++at_;
    }
    if (at_ == start) return Fail("unexpected character");
    Next(Scalar::Kind::kNumber).text.assign(start, at_);
  }

  void ParseText(std::string& out) {
    ++at_;
    while (true) {
      const char* start = at_;
      while (at_ != end_ && *at_ != '"' && *at_ != '\\' &&
             static_cast<unsigned char>(*at_) >= 0x20) {
        ++at_;
      }
      out.append(start, at_);
      if (at_ == end_) return Fail("an open string");
      if (*at_ == '"') {
        ++at_;
        return;
      }
      if (*at_ != '\\') return Fail("a control character in a string");
      ++at_;
      if (at_ == end_) return Fail("an open string");
      if (!ParseEscape(*at_++, out)) return Fail("a wrong escape");
    }
  }

  bool ParseEscape(char escape, std::string& out) {
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (const std::size_t known = kFrom.find(escape); known != std::string_view::npos) {
      out += kTo[known];
      return true;
    }
    if (escape != 'u' || end_ - at_ < 4) return false;
    unsigned code = 0;
    const auto [end, failed] = std::from_chars(at_, at_ + 4, code, 16);
    if (failed != std::errc() || end != at_ + 4 || (code >= 0xD800 && code < 0xE000)) return false;
    at_ += 4;
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xE0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
    return true;
  }

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  const char* failure_ = nullptr;
  std::string path_;
  std::vector<Scalar> scalars_;
  std::size_t count_ = 0;
};

// --- Values
// ----------------------------------------------------------------------------------------

std::optional<std::int64_t> Integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A decimal as thousandths; nothing if it has digits beyond them that are not zero.
std::optional<std::int64_t> Thousandths(std::string_view text) {
  const std::size_t point = text.find('.');
  std::string digits(text.substr(0, point));
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  while (fraction.size() > 3 && fraction.back() == '0') fraction.pop_back();
  if (fraction.size() > 3) return std::nullopt;
  fraction.resize(3, '0');
  return Integer(digits + fraction);
}

// Days from 1970-01-01 to a date of the Gregorian calendar after it, counted year by year.
std::int64_t DaysTo(int year, int month, int day) {
  const auto leap = [](int y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); };
  constexpr std::array<int, 12> kMonthDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::int64_t days = 0;
  for (int y = 1970; y < year; ++y) days += leap(y) ? 366 : 365;
  for (int m = 1; m < month; ++m) {
    days += kMonthDays[static_cast<std::size_t>(m - 1)] + (m == 2 && leap(year) ? 1 : 0);
  }
  return days + day - 1;
}

// "2023-11-14 22:13:20.123", also with a T and a Z, as milliseconds since 1970, UTC.
std::optional<std::int64_t> TimeMs(std::string_view text) {
  if (!text.empty() && text.back() == 'Z') text.remove_suffix(1);
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' ||
      (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  std::array<std::int64_t, 6> parts{};
  constexpr std::array<std::pair<std::size_t, std::size_t>, 6> kPlaces = {
      {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}}};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto part = Integer(text.substr(kPlaces[i].first, kPlaces[i].second));
    if (!part) return std::nullopt;
    parts[i] = *part;
  }
  std::int64_t fraction_ms = 0;
  if (text.size() > 19) {
    const auto thousandths = Thousandths("0" + std::string(text.substr(19)));
    if (text[19] != '.' || !thousandths) return std::nullopt;
    fraction_ms = *thousandths;
  }
  static thread_local std::string cached_day;
  static thread_local std::int64_t cached_days = 0;
  if (cached_day != text.substr(0, 10)) {
    cached_day = text.substr(0, 10);
    cached_days =
        DaysTo(static_cast<int>(parts[0]), static_cast<int>(parts[1]), static_cast<int>(parts[2]));
  }
  return ((cached_days * 24 + parts[3]) * 60 + parts[4]) * 60'000 + parts[5] * 1000 + fraction_ms;
}

// --- Canonical rows
// ----------------------------------------------------------------------------------

// Values are parted by a character that no value of the benchmark contains.
class RowText {
 public:
  RowText& Number(std::int64_t value) {
    std::array<char, 24> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
    return Text(std::string_view(text.data(), static_cast<std::size_t>(end.ptr - text.data())));
  }
  RowText& Text(std::string_view value) {
    row_ += value;
    row_ += '\x1f';
    return *this;
  }
  std::string_view view() const { return row_; }
  RowText& Clear() {
    row_.clear();
    return *this;
  }

 private:
  std::string row_;
};

// --- Queries
// -----------------------------------------------------------------------------------------

class Q0 final : public OracleQuery {
 public:
  Q0()
      : OracleQuery({{"auction", Form::kInteger},
                     {"bidder", Form::kInteger},
                     {"price", Form::kInteger},
                     {"dateTime", Form::kTime},
                     {"extra", Form::kText}}) {}
  void OnBid(const Bid& bid, const EmitRow& emit) override {
    emit(row_.Clear()
             .Number(bid.auction)
             .Number(bid.bidder)
             .Number(bid.price)
             .Number(bid.time_ms)
             .Text(bid.extra)
             .view());
  }
  void OnEnd(const EmitRow&) override {}

 private:
  RowText row_;
};

// Currency conversion: 0.908 of the price, exactly, so in thousandths 908 times the price.
class Q1 final : public OracleQuery {
 public:
  Q1()
      : OracleQuery({{"auction", Form::kInteger},
                     {"bidder", Form::kInteger},
                     {"price", Form::kDecimal3},
                     {"dateTime", Form::kTime},
                     {"extra", Form::kText}}) {}
  void OnBid(const Bid& bid, const EmitRow& emit) override {
    emit(row_.Clear()
             .Number(bid.auction)
             .Number(bid.bidder)
             .Number(908 * bid.price)
             .Number(bid.time_ms)
             .Text(bid.extra)
             .view());
  }
  void OnEnd(const EmitRow&) override {}

 private:
  RowText row_;
};

class Q2 final : public OracleQuery {
 public:
  Q2() : OracleQuery({{"auction", Form::kInteger}, {"price", Form::kInteger}}) {}
  void OnBid(const Bid& bid, const EmitRow& emit) override {
    if (bid.auction % 123 == 0) emit(row_.Clear().Number(bid.auction).Number(bid.price).view());
  }
  void OnEnd(const EmitRow&) override {}

 private:
  RowText row_;
};

// Bids per auction in windows of 10 s that begin every 2 s; naive on purpose: each bid is counted
// in each of its five windows.
class Q5Count final : public OracleQuery {
 public:
  Q5Count()
      : OracleQuery({{"auction", Form::kInteger},
                     {"window_start", Form::kTime},
                     {"window_end", Form::kTime},
                     {"num", Form::kInteger}}) {}
  void OnBid(const Bid& bid, const EmitRow&) override {
    const std::int64_t last_start = bid.time_ms / kSlideMs * kSlideMs;
    for (std::int64_t start = last_start; start > bid.time_ms - kSizeMs; start -= kSlideMs) {
      ++windows_[start][bid.auction];
    }
  }
  void OnEnd(const EmitRow& emit) override {
    RowText row;
    for (const auto& [start, counts] : windows_) {
      for (const auto& [auction, count] : counts) {
        emit(
            row.Clear().Number(auction).Number(start).Number(start + kSizeMs).Number(count).view());
      }
    }
  }

 private:
  static constexpr std::int64_t kSizeMs = 10'000;
  static constexpr std::int64_t kSlideMs = 2000;
  std::map<std::int64_t, std::unordered_map<std::int64_t, std::int64_t>> windows_;
};

class Q14 final : public OracleQuery {
 public:
  Q14()
      : OracleQuery({{"auction", Form::kInteger},
                     {"bidder", Form::kInteger},
                     {"price", Form::kDecimal3},
                     {"bidTimeType", Form::kText},
                     {"dateTime", Form::kTime},
                     {"extra", Form::kText},
                     {"c_counts", Form::kInteger}}) {}
  void OnBid(const Bid& bid, const EmitRow& emit) override {
    const std::int64_t thousandths = 908 * bid.price;
    if (thousandths <= 1'000'000'000 || thousandths >= 50'000'000'000) return;
    const std::int64_t hour = bid.time_ms / 3'600'000 % 24;
    const char* kind = hour >= 8 && hour <= 18   ? "dayTime"
                       : hour <= 6 || hour >= 20 ? "nightTime"
                                                 : "otherTime";
    emit(row_.Clear()
             .Number(bid.auction)
             .Number(bid.bidder)
             .Number(thousandths)
             .Text(kind)
             .Number(bid.time_ms)
             .Text(bid.extra)
             .Number(std::count(bid.extra.begin(), bid.extra.end(), 'c'))
             .view());
  }
  void OnEnd(const EmitRow&) override {}

 private:
  RowText row_;
};

class Q21 final : public OracleQuery {
 public:
  Q21()
      : OracleQuery({{"auction", Form::kInteger},
                     {"bidder", Form::kInteger},
                     {"price", Form::kInteger},
                     {"channel", Form::kText},
                     {"channel_id", Form::kText}}) {}
  void OnBid(const Bid& bid, const EmitRow& emit) override {
    const auto id = ChannelId(bid);
    if (!id) return;
    emit(row_.Clear()
             .Number(bid.auction)
             .Number(bid.bidder)
             .Number(bid.price)
             .Text(bid.channel)
             .Text(*id)
             .view());
  }
  void OnEnd(const EmitRow&) override {}

 private:
  static std::optional<std::string_view> ChannelId(const Bid& bid) {
    std::string lower(bid.channel);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    constexpr std::array<std::string_view, 4> kKnown = {"apple", "google", "facebook", "baidu"};
    constexpr std::array<std::string_view, 4> kIds = {"0", "1", "2", "3"};
    for (std::size_t i = 0; i < kKnown.size(); ++i) {
      if (lower == kKnown[i]) return kIds[i];
    }
    // The first parameter of that name: at the start of the text or behind a '&'.
    constexpr std::string_view kName = "channel_id=";
    for (std::size_t at = bid.url.find(kName); at != std::string_view::npos;
         at = bid.url.find(kName, at + 1)) {
      if (at > 0 && bid.url[at - 1] != '&') continue;
      const std::string_view value = bid.url.substr(at + kName.size());
      return value.substr(0, value.find('&'));
    }
    return std::nullopt;
  }
  RowText row_;
};

class Q22 final : public OracleQuery {
 public:
  Q22()
      : OracleQuery({{"auction", Form::kInteger},
                     {"bidder", Form::kInteger},
                     {"price", Form::kInteger},
                     {"channel", Form::kText},
                     {"dir1", Form::kText},
                     {"dir2", Form::kText},
                     {"dir3", Form::kText}}) {}
  void OnBid(const Bid& bid, const EmitRow& emit) override {
    std::array<std::string_view, 6>
        parts{};  // what lies between the slashes; absent ones are empty
    std::string_view rest = bid.url;
    for (std::string_view& part : parts) {
      const std::size_t slash = rest.find('/');
      part = rest.substr(0, slash);
      if (slash == std::string_view::npos) break;
      rest.remove_prefix(slash + 1);
    }
    emit(row_.Clear()
             .Number(bid.auction)
             .Number(bid.bidder)
             .Number(bid.price)
             .Text(bid.channel)
             .Text(parts[3])
             .Text(parts[4])
             .Text(parts[5])
             .view());
  }
  void OnEnd(const EmitRow&) override {}

 private:
  RowText row_;
};

}  // namespace

void RowDigest::Add(std::string_view canonical_row) {
  const XXH128_hash_t hash = XXH3_128bits(canonical_row.data(), canonical_row.size());
  ++rows;
  low += hash.low64;
  high += hash.high64 + (low < hash.low64 ? 1U : 0U);
}

std::string RowDigest::ToString() const {
  std::array<char, 80> text;
  std::snprintf(text.data(), text.size(), "%llu:%016llx%016llx",
                static_cast<unsigned long long>(rows), static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text.data();
}

const std::vector<std::string>& OracleQuery::names() {
  static const std::vector<std::string> kNames = {"q0",  "q1",  "q2", "q5_count",
                                                  "q14", "q21", "q22"};
  return kNames;
}

std::unique_ptr<OracleQuery> OracleQuery::Create(std::string_view name) {
  if (name == "q0") return std::make_unique<Q0>();
  if (name == "q1") return std::make_unique<Q1>();
  if (name == "q2") return std::make_unique<Q2>();
  if (name == "q5_count") return std::make_unique<Q5Count>();
  if (name == "q14") return std::make_unique<Q14>();
  if (name == "q21") return std::make_unique<Q21>();
  if (name == "q22") return std::make_unique<Q22>();
  return nullptr;
}

bool OracleQuery::Canonical(std::string_view json_row, std::string& canonical,
                            std::string& error) const {
  static thread_local JsonScalars scalars;
  if (!scalars.Parse(json_row, error)) return false;
  const auto refuse = [&](std::string message) {
    error = std::move(message) + " in the row " + std::string(json_row.substr(0, 400));
    return false;
  };
  if (scalars.size() != columns_.size()) {
    return refuse("expected " + std::to_string(columns_.size()) + " columns, found " +
                  std::to_string(scalars.size()));
  }
  static thread_local RowText row;
  row.Clear();
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const Column& column = columns_[i];
    const std::string name(column.name);
    std::size_t at = i;  // usually in the order of the definition
    if (scalars[at].path != column.name) {
      for (at = 0; at < scalars.size() && scalars[at].path != column.name;) ++at;
      if (at == scalars.size()) return refuse("column '" + name + "' is missing");
    }
    const Scalar& scalar = scalars[at];
    const bool is_text = scalar.kind == Scalar::Kind::kText;
    std::optional<std::int64_t> number;
    switch (column.form) {
      case Form::kText:
        if (!is_text) return refuse("column '" + name + "' is not a string");
        row.Text(scalar.text);
        continue;
      case Form::kInteger:
        if (scalar.kind == Scalar::Kind::kNumber) number = Integer(scalar.text);
        break;
      case Form::kDecimal3:
        if (is_text || scalar.kind == Scalar::Kind::kNumber) number = Thousandths(scalar.text);
        break;
      case Form::kTime:
        if (is_text) number = TimeMs(scalar.text);
        break;
    }
    if (!number) return refuse("column '" + name + "' has a value of another type");
    row.Number(*number);
  }
  canonical = row.view();
  return true;
}

bool BidReader::Read(std::string_view line, OracleQuery::Bid& bid, std::string& error) {
  static thread_local JsonScalars scalars;
  error.clear();
  if (!scalars.Parse(line, error)) return false;
  const auto refuse = [&](std::string_view what) {
    error = std::string(what) + " in the event " + std::string(line.substr(0, 400));
    return false;
  };
  std::optional<std::int64_t> event_type;
  std::optional<std::int64_t> auction;
  std::optional<std::int64_t> bidder;
  std::optional<std::int64_t> price;
  std::optional<std::int64_t> time_ms;
  int texts = 0;
  for (std::size_t i = 0; i < scalars.size(); ++i) {
    const Scalar& scalar = scalars[i];
    if (scalar.path == "event_type") event_type = Integer(scalar.text);
    if (scalar.path == "bid.auction") auction = Integer(scalar.text);
    if (scalar.path == "bid.bidder") bidder = Integer(scalar.text);
    if (scalar.path == "bid.price") price = Integer(scalar.text);
    if (scalar.path == "bid.dateTime") time_ms = TimeMs(scalar.text);
    if (scalar.path == "bid.channel") channel_ = scalar.text, ++texts;
    if (scalar.path == "bid.url") url_ = scalar.text, ++texts;
    if (scalar.path == "bid.extra") extra_ = scalar.text, ++texts;
  }
  if (!event_type) return refuse("no event_type");
  if (*event_type != 2) return false;
  if (!auction || !bidder || !price || !time_ms || texts != 3) return refuse("a field is missing");
  bid = {*auction, *bidder, *price, *time_ms, channel_, url_, extra_};
  return true;
}

}  // namespace weir::bench
