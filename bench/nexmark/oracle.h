/// The oracle of the Nexmark benchmark: computes from the input events what each query must give,
/// and reduces those rows, or the rows that a program under test wrote, to the same digest.
///
/// It shares no code with the engine: the JSON reader, the calendar, the decimals and the windows
/// are its own. A row becomes canonical text (its columns in the order of the query's definition,
/// each value normalised by the column's type), and a multiset of rows the number of rows and the
/// sum of their 128-bit hashes, so neither the order of rows nor the spelling of a value matters.
///
/// Threads: one object, one thread. Errors: a malformed event or row is returned as text in
/// `error`, never passed over.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir::bench {

/// A multiset of rows, reduced. Equal multisets have equal digests; unequal ones practically never.
struct RowDigest {
  std::uint64_t rows = 0;
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  void Add(std::string_view canonical_row);
  std::string ToString() const;
  bool operator==(const RowDigest&) const = default;
};

/// One query: what it gives for each event, and at the end of input.
class OracleQuery {
 public:
  using EmitRow = std::function<void(std::string_view canonical_row)>;

  /// "q0", "q1", "q2", "q5_count", "q14", "q21" or "q22"; null for any other name.
  static std::unique_ptr<OracleQuery> Create(std::string_view name);
  static const std::vector<std::string>& names();
  virtual ~OracleQuery() = default;

  /// A bid, as the queries see it. The views are valid during the call.
  struct Bid {
    std::int64_t auction = 0;
    std::int64_t bidder = 0;
    std::int64_t price = 0;
    std::int64_t time_ms = 0;
    std::string_view channel;
    std::string_view url;
    std::string_view extra;
  };
  virtual void OnBid(const Bid& bid, const EmitRow& emit) = 0;
  virtual void OnEnd(const EmitRow& emit) = 0;

  /// The canonical form of one row of the query's output, written as a JSON object. False, with a
  /// message, if it is not an object of exactly the query's columns in forms that their types
  /// allow.
  bool Canonical(std::string_view json_row, std::string& canonical, std::string& error) const;

 protected:
  enum class Form : std::uint8_t { kInteger, kDecimal3, kText, kTime };
  struct Column {
    std::string_view name;
    Form form;
  };
  explicit OracleQuery(std::vector<Column> columns) : columns_(std::move(columns)) {}

 private:
  std::vector<Column> columns_;
};

/// Reads one event of the topic. Gives false and leaves `error` empty for a person or an auction.
class BidReader {
 public:
  bool Read(std::string_view line, OracleQuery::Bid& bid, std::string& error);

 private:
  // Values with escapes are decoded here; reused from event to event.
  std::string channel_, url_, extra_;
};

}  // namespace weir::bench
