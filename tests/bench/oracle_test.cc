#include "bench/nexmark/oracle.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bench/nexmark/generator.h"

namespace weir::bench {
namespace {

using Row = std::vector<std::string>;

Row Split(std::string_view canonical) {
  Row row;
  std::stringstream text{std::string(canonical)};
  for (std::string value; std::getline(text, value, '\x1f');) row.push_back(value);
  return row;
}

// Runs one query over the first million events.
void Evaluate(std::string_view name, std::uint64_t events_per_second,
              const OracleQuery::EmitRow& emit) {
  const Generator generator({.events_per_second = events_per_second});
  const auto query = OracleQuery::Create(name);
  BidReader reader;
  OracleQuery::Bid bid;
  std::string line;
  std::string error;
  for (std::uint64_t k = 0; k < 1'000'000; ++k) {
    line.clear();
    generator.Append(k, line);
    if (reader.Read(line, bid, error)) {
      query->OnBid(bid, emit);
    } else {
      ASSERT_EQ(error, "");
    }
  }
  query->OnEnd(emit);
}

std::uint64_t CountRows(std::string_view name) {
  std::uint64_t rows = 0;
  Evaluate(name, 10'000, [&](std::string_view) { ++rows; });
  return rows;
}

// The expected numbers were found by a program and by SQLite, both of another origin.
TEST(OracleQuery, GivesEveryBidInQ0) { EXPECT_EQ(CountRows("q0"), 920'000U); }

TEST(OracleQuery, ConvertsPricesExactlyInQ1) {
  std::uint64_t rows = 0;
  std::uint64_t thousandths = 0;
  Evaluate("q1", 10'000, [&](std::string_view row) {
    ++rows;
    thousandths += std::stoull(Split(row)[2]);
  });
  EXPECT_EQ(rows, 920'000U);
  EXPECT_EQ(thousandths, 6'019'354'408'816'948U);
}

TEST(OracleQuery, SelectsAuctionsInQ2) { EXPECT_EQ(CountRows("q2"), 6774U); }

TEST(OracleQuery, ClassifiesBidsInQ14) {
  std::uint64_t rows = 0;
  std::uint64_t letters = 0;
  Evaluate("q14", 10'000, [&](std::string_view row) {
    ++rows;
    letters += std::stoull(Split(row)[6]);
  });
  EXPECT_EQ(rows, 260'656U);
  EXPECT_EQ(letters, 336'901U);
}

TEST(OracleQuery, FindsChannelIdsInQ21) { EXPECT_EQ(CountRows("q21"), 874'030U); }

TEST(OracleQuery, SplitsUrlsInQ22) { EXPECT_EQ(CountRows("q22"), 920'000U); }

// q5 itself keeps the auctions with the window's highest count, ties included.
void ExpectHottest(std::uint64_t events_per_second, std::size_t windows, std::size_t rows) {
  std::map<std::string, std::vector<std::int64_t>> counts;
  Evaluate("q5_count", events_per_second, [&](std::string_view text) {
    const Row row = Split(text);
    ASSERT_EQ(std::stoll(row[2]), std::stoll(row[1]) + 10'000);
    counts[row[1]].push_back(std::stoll(row[3]));
  });
  std::size_t hottest = 0;
  for (const auto& [start, each] : counts) {
    const std::int64_t most = *std::max_element(each.begin(), each.end());
    hottest += static_cast<std::size_t>(std::count(each.begin(), each.end(), most));
  }
  EXPECT_EQ(counts.size(), windows);
  EXPECT_EQ(hottest, rows);
}

TEST(OracleQuery, CountsTheHottestAuctionsOfQ5) { ExpectHottest(10'000, 54, 62); }

TEST(OracleQuery, CountsTheHottestAuctionsOfQ5AtTenTimesTheRate) { ExpectHottest(100'000, 9, 9); }

TEST(OracleQuery, ReadsItsOwnRowsBackInWhateverFormTheyAreWritten) {
  const auto query = OracleQuery::Create("q1");
  std::string row;
  std::string error;
  ASSERT_TRUE(query->Canonical(
      R"({"auction":1006,"bidder":2001,"price":"633.784","dateTime":"2023-11-14T22:13:20.1Z","extra":"a\\b"})",
      row, error))
      << error;
  EXPECT_EQ(Split(row), (Row{"1006", "2001", "633784", "1700000000100", "a\\b"}));
  std::string other;
  ASSERT_TRUE(query->Canonical(
      R"( {"price": 633.7840, "auction": 1006, "bidder": 2001, "extra": "a\u005Cb", "dateTime": "2023-11-14 22:13:20.100000"} )",
      other, error))
      << error;
  EXPECT_EQ(other, row);
}

TEST(OracleQuery, RefusesRowsThatAreNotOfTheQuery) {
  const auto query = OracleQuery::Create("q2");
  std::string row;
  std::string error;
  for (const char* wrong : {R"({"auction":1})", R"({"auction":1,"price":2,"more":3})",
                            R"({"auction":"1","price":2})", R"({"auction":1.5,"price":2})",
                            R"({"auction":1,"price":null})", R"({"auction":1,"price":2)",
                            R"({"auction":1,"price":2} x)", R"({"auction":1,"cost":2})", ""}) {
    EXPECT_FALSE(query->Canonical(wrong, row, error)) << wrong;
    EXPECT_NE(error, "");
  }
}

TEST(BidReader, SaysWhatIsWrongWithAnEvent) {
  BidReader reader;
  OracleQuery::Bid bid;
  std::string error;
  EXPECT_FALSE(
      reader.Read(R"({"event_type":0,"person":{"id":1},"auction":null,"bid":null})", bid, error));
  EXPECT_EQ(error, "");
  EXPECT_FALSE(reader.Read(R"({"event_type":2,"bid":{"auction":1}})", bid, error));
  EXPECT_NE(error, "");
  EXPECT_FALSE(reader.Read(R"({"event_type":2,"bid":)", bid, error));
  EXPECT_NE(error, "");
}

TEST(RowDigest, DoesNotDependOnOrderButOnEveryRow) {
  RowDigest forward;
  RowDigest backward;
  RowDigest shorter;
  RowDigest repeated;
  const std::vector<std::string> rows = {"a", "b", "c", "c"};
  for (const std::string& row : rows) forward.Add(row);
  std::for_each(rows.rbegin(), rows.rend(), [&](const std::string& row) { backward.Add(row); });
  for (const char* row : {"a", "b", "c"}) shorter.Add(row);
  for (const char* row : {"a", "b", "b", "c"}) repeated.Add(row);
  EXPECT_EQ(forward, backward);
  EXPECT_NE(forward, shorter);
  EXPECT_NE(forward, repeated);
}

}  // namespace
}  // namespace weir::bench
