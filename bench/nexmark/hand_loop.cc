// weir_bench_nexmark_hand_loop: q0 and the windowed count of q5 as a loop written by hand, the bar
// that the engine is measured against. librdkafka's batch consume, one padded copy, simdjson
// On-Demand, counts per 2 s pane in an open-addressing table, merged when the watermark closes a
// window. One thread beside the client's own. No checkpoints, no types, no errors beyond stopping.
//
// Prints events, seconds, CPU-seconds of the whole process, and the digest of the result when asked
// for (--digest yes), which costs too much to be on in a measured run.

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <simdjson.h>

#include "bench/nexmark/arguments.h"
#include "bench/nexmark/oracle.h"
#include "bench/nexmark/topic.h"

namespace {

using weir::bench::Arguments;
using weir::bench::ErrorText;
using weir::bench::RowDigest;
using weir::bench::TopicReader;

constexpr const char* kUsage =
    "weir_bench_nexmark_hand_loop --brokers HOST:PORT --topic NAME --query q0|q5_count "
    "[--digest yes]";
constexpr std::int64_t kSlideMs = 2000;
constexpr std::size_t kPanesPerWindow = 5;
constexpr std::int64_t kMaxDelayMs = 4000;

// "2023-11-14 22:13:20.12" as milliseconds since 1970; the day is taken from a cache of one.
class TimeParser {
 public:
  std::int64_t Parse(std::string_view text) {
    if (std::memcmp(text.data(), day_.data(), day_.size()) != 0) {
      std::memcpy(day_.data(), text.data(), day_.size());
      const std::chrono::year_month_day date(
          std::chrono::year(Two(text, 0) * 100 + Two(text, 2)),
          std::chrono::month(static_cast<unsigned>(Two(text, 5))),
          std::chrono::day(static_cast<unsigned>(Two(text, 8))));
      day_start_ms_ = std::chrono::sys_days(date).time_since_epoch().count() * 86'400'000LL;
    }
    std::int64_t ms = day_start_ms_ + Two(text, 11) * 3'600'000LL + Two(text, 14) * 60'000LL +
                      Two(text, 17) * 1000LL;
    std::int64_t unit = 100;
    for (std::size_t at = 20; at < text.size(); ++at, unit /= 10) ms += (text[at] - '0') * unit;
    return ms;
  }

 private:
  static int Two(std::string_view text, std::size_t at) {
    return (text[at] - '0') * 10 + (text[at + 1] - '0');
  }
  std::array<char, 10> day_{};
  std::int64_t day_start_ms_ = 0;
};

// u64 -> u64, linear probing, at most half full. Key 0 is free: auctions begin at 1000.
class CountTable {
 public:
  CountTable() : slots_(1024) {}
  void Add(std::uint64_t key, std::uint64_t count) {
    std::size_t at = Home(key);
    while (slots_[at].key != key) {
      if (slots_[at].key == 0) {
        if (++used_ * 2 > slots_.size()) {
          Grow();
          --used_;
          return Add(key, count);
        }
        slots_[at].key = key;
        break;
      }
      at = (at + 1) & (slots_.size() - 1);
    }
    slots_[at].count += count;
  }
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.key != 0) visit(slot.key, slot.count);
    }
  }
  void Clear() {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    used_ = 0;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint64_t count = 0;
  };
  std::size_t Home(std::uint64_t key) const {
    return ((key * 0x9E3779B97F4A7C15U) >> 32) & (slots_.size() - 1);
  }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    used_ = 0;
    for (const Slot& slot : old) {
      if (slot.key != 0) Add(slot.key, slot.count);
    }
  }
  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

// What the measured loop does with a result row: as little as a sink that discards, but not
// nothing, or the compiler would discard the work before it. With a digest: its canonical form.
struct Results {
  bool digest_wanted = false;
  std::uint64_t rows = 0;
  std::uint64_t checksum = 0;
  RowDigest digest;
  std::string row;

  void Column(std::int64_t value) {
    row += std::to_string(value);
    row += '\x1f';
  }
  void Column(std::string_view value) {
    row += value;
    row += '\x1f';
  }
  void End() {
    digest.Add(row);
    row.clear();
  }
};

class Q5Count {
 public:
  Q5Count(int partitions, Results& results)
      : results_(results), newest_ms_(static_cast<std::size_t>(partitions), kNone) {}

  void OnBid(std::int64_t auction, std::int64_t time_ms) {
    const std::int64_t pane = time_ms / kSlideMs;
    if (panes_.empty()) {
      first_pane_ = pane;
      next_window_end_ = pane + 1;
    }
    while (pane < first_pane_) {
      panes_.emplace_front();
      --first_pane_;
      next_window_end_ = std::min(next_window_end_, first_pane_ + 1);
    }
    while (pane >= first_pane_ + static_cast<std::int64_t>(panes_.size())) panes_.emplace_back();
    panes_[static_cast<std::size_t>(pane - first_pane_)].Add(static_cast<std::uint64_t>(auction),
                                                             1);
  }

  void OnTime(int partition, std::int64_t time_ms) {
    std::int64_t& newest = newest_ms_[static_cast<std::size_t>(partition)];
    newest = std::max(newest, time_ms);
  }

  // Called once a batch: closes what the slowest partition has passed.
  void Advance() {
    const std::int64_t slowest = *std::min_element(newest_ms_.begin(), newest_ms_.end());
    if (slowest == kNone || panes_.empty()) return;
    const std::int64_t watermark_ms = slowest - kMaxDelayMs - 1;
    while (next_window_end_ * kSlideMs - 1 <= watermark_ms) Fire();
  }

  void End() {
    while (!panes_.empty()) Fire();
  }

 private:
  static constexpr std::int64_t kNone = INT64_MIN;

  // Emits the window of the panes before next_window_end_ and drops the oldest of them.
  void Fire() {
    const std::int64_t first = next_window_end_ - static_cast<std::int64_t>(kPanesPerWindow);
    merged_.Clear();
    for (std::int64_t pane = std::max(first, first_pane_);
         pane < std::min(next_window_end_, first_pane_ + static_cast<std::int64_t>(panes_.size()));
         ++pane) {
      panes_[static_cast<std::size_t>(pane - first_pane_)].ForEach(
          [this](std::uint64_t auction, std::uint64_t count) { merged_.Add(auction, count); });
    }
    merged_.ForEach([this, first](std::uint64_t auction, std::uint64_t count) {
      ++results_.rows;
      results_.checksum += auction * 31 + count + static_cast<std::uint64_t>(first);
      if (!results_.digest_wanted) return;
      results_.Column(static_cast<std::int64_t>(auction));
      results_.Column(first * kSlideMs);
      results_.Column(next_window_end_ * kSlideMs);
      results_.Column(static_cast<std::int64_t>(count));
      results_.End();
    });
    if (first == first_pane_) {
      panes_.pop_front();
      ++first_pane_;
    }
    ++next_window_end_;
  }

  Results& results_;
  std::vector<std::int64_t> newest_ms_;
  std::deque<CountTable> panes_;
  std::int64_t first_pane_ = 0;
  // Index of the pane behind the next window to close.
  std::int64_t next_window_end_ = 0;
  CountTable merged_;
};

double CpuSeconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// Copies records into a buffer with the padding that simdjson reads beyond a document.
class PaddedCopy {
 public:
  simdjson::padded_string_view Copy(std::string_view record) {
    if (buffer_.size() < record.size() + simdjson::SIMDJSON_PADDING) {
      buffer_.resize(record.size() + simdjson::SIMDJSON_PADDING);
    }
    std::memcpy(buffer_.data(), record.data(), record.size());
    return simdjson::padded_string_view(buffer_.data(), record.size(), buffer_.size());
  }

 private:
  std::vector<char> buffer_ = std::vector<char>(4096);
};

enum class Query : std::uint8_t { kQ0, kQ5Count };

// Throws simdjson_error at a malformed event.
template <Query query>
void Consume(const std::vector<TopicReader::Record>& records, simdjson::ondemand::parser& parser,
             PaddedCopy& padded, TimeParser& times, Results& results, Q5Count& q5) {
  for (const TopicReader::Record& record : records) {
    simdjson::ondemand::document document = parser.iterate(padded.Copy(record.value));
    simdjson::ondemand::object event = document.get_object();
    if (event.find_field("event_type").get_int64() != 2) continue;
    simdjson::ondemand::object bid = event.find_field("bid").get_object();
    const std::int64_t auction = bid.find_field("auction").get_int64();
    if constexpr (query == Query::kQ5Count) {
      const std::int64_t time_ms = times.Parse(bid.find_field("dateTime").get_string().value());
      q5.OnBid(auction, time_ms);
      q5.OnTime(record.partition, time_ms);
    } else {
      const std::int64_t bidder = bid.find_field("bidder").get_int64();
      const std::int64_t price = bid.find_field("price").get_int64();
      const std::int64_t time_ms = times.Parse(bid.find_field("dateTime").get_string().value());
      const std::string_view extra = bid.find_field("extra").get_string();
      ++results.rows;
      results.checksum +=
          static_cast<std::uint64_t>(auction + bidder + price + time_ms) + extra.size();
      if (results.digest_wanted) {
        results.Column(auction);
        results.Column(bidder);
        results.Column(price);
        results.Column(time_ms);
        results.Column(extra);
        results.End();
      }
    }
  }
  if constexpr (query == Query::kQ5Count) q5.Advance();
}

template <Query query>
ErrorText Run(const std::string& brokers, const std::string& topic, Results& results,
              std::uint64_t& events) {
  TopicReader reader;
  if (ErrorText error = reader.Open(brokers, topic); !error.empty()) return error;
  simdjson::ondemand::parser parser;
  PaddedCopy padded;
  TimeParser times;
  Q5Count q5(reader.partitions(), results);
  std::vector<TopicReader::Record> records;
  records.reserve(TopicReader::kBatchRecords);
  try {
    while (!reader.AtEnd()) {
      if (ErrorText error = reader.Poll(records); !error.empty()) return error;
      if (records.empty()) std::this_thread::sleep_for(std::chrono::microseconds(500));
      events += records.size();
      Consume<query>(records, parser, padded, times, results, q5);
    }
  } catch (const simdjson::simdjson_error& error) {
    return error.what();
  }
  if constexpr (query == Query::kQ5Count) q5.End();
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, {"brokers", "topic", "query", "digest"}, kUsage);
  // glibc would map and unmap every fetched buffer, and pay the page faults each time.
  constexpr int kKeepBytes = 256 << 20;
  mallopt(M_MMAP_THRESHOLD, kKeepBytes);
  mallopt(M_TRIM_THRESHOLD, kKeepBytes);

  const std::string query = arguments.Text("query");
  Results results;
  results.digest_wanted = arguments.Text("digest", "no") == "yes";
  std::uint64_t events = 0;
  const auto start = std::chrono::steady_clock::now();
  ErrorText error;
  if (query == "q0") {
    error = Run<Query::kQ0>(arguments.Text("brokers"), arguments.Text("topic"), results, events);
  } else if (query == "q5_count") {
    error =
        Run<Query::kQ5Count>(arguments.Text("brokers"), arguments.Text("topic"), results, events);
  } else {
    arguments.Refuse("unknown query '" + query + "'");
  }
  if (!error.empty()) {
    std::cerr << "weir_bench_nexmark_hand_loop: " << error << '\n';
    return 4;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = CpuSeconds(usage.ru_utime) + CpuSeconds(usage.ru_stime);
  std::cout << R"({"query":")" << query << R"(","events":)" << events << R"(,"rows":)"
            << results.rows << R"(,"wall_seconds":)" << wall.count() << R"(,"cpu_seconds":)" << cpu
            << R"(,"events_per_cpu_second":)" << static_cast<double>(events) / cpu
            << R"(,"rss_bytes_max":)" << usage.ru_maxrss * 1024 << R"(,"checksum":)"
            << results.checksum;
  if (results.digest_wanted) std::cout << R"(,"digest":")" << results.digest.ToString() << '"';
  std::cout << "}\n";
  return 0;
}
