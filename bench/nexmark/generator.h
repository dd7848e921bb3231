/// The Nexmark event generator: writes the k-th event of the benchmark's stream as one line of
/// JSON.
///
/// An event is a pure function of (options, k), so any number of threads, or programs in other
/// languages, write the same bytes. The shape is that of the reference suite for Flink
/// (github.com/nexmark/nexmark): 1 person, 3 auctions and 46 bids of every 50 events, with its hot
/// keys and its two quirks (see `flink_compat`); the random numbers are SplitMix64 instead of the
/// reference's unseeded generators.
///
/// Threads: an object is immutable after construction and may be used from any number of them.
/// Memory: 1 MiB of text pool and 10,000 URLs, built by the constructor.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::bench {

struct GeneratorOptions {
  std::uint64_t seed = 1;
  /// Events per second of event time (the benchmark's TPS).
  std::uint64_t events_per_second = 10'000;
  std::int64_t base_time_ms = 1'700'000'000'000;
  /// Events are shuffled within groups of this size; 1 keeps event time in order.
  std::uint64_t out_of_order_group = 1;
  /// The reference adds the first person id twice to a bidder, and fills its text pool from signed
  /// integers, which yields characters outside of a-z (backslash among them).
  bool flink_compat = true;
};

enum class EventKind : std::uint8_t { kPerson = 0, kAuction = 1, kBid = 2 };

class Generator {
 public:
  explicit Generator(const GeneratorOptions& options);

  struct Event {
    EventKind kind = EventKind::kBid;
    /// Event time, and the timestamp of the record in Kafka.
    std::int64_t time_ms = 0;
  };

  /// Appends event k, without a line end, to `line`.
  Event Append(std::uint64_t k, std::string& line) const;

 private:
  struct Place;
  class Draws;

  std::int64_t TimeOf(std::uint64_t n) const;
  std::uint64_t NextPerson(std::uint64_t id, Draws& draws) const;
  std::uint64_t NextAuction(std::uint64_t last_auction, Draws& draws) const;
  void AppendExtra(Draws& draws, std::size_t current, std::size_t average, std::string& line) const;
  void AppendPerson(const Place& place, Draws& draws, std::string& line) const;
  void AppendAuction(const Place& place, Draws& draws, std::string& line) const;
  void AppendBid(const Place& place, Draws& draws, std::string& line) const;

  GeneratorOptions options_;
  std::array<std::string, 4> hot_urls_;
  std::vector<std::string> urls_;
  std::string pool_;
};

}  // namespace weir::bench
