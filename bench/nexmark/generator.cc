#include "bench/nexmark/generator.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace weir::bench {
namespace {

// The proportions and sizes of the reference suite.
constexpr std::uint64_t kEventsPerRound = 50;
constexpr std::uint64_t kAuctionsPerRound = 3;
constexpr std::uint64_t kFirstPersonId = 1000;
constexpr std::uint64_t kFirstAuctionId = 1000;
constexpr std::uint64_t kFirstCategoryId = 10;
constexpr std::uint64_t kCategories = 5;
constexpr std::uint64_t kChannels = 10'000;
constexpr std::uint64_t kHotGroup = 100;
constexpr std::uint64_t kHotAuctionRatio = 2;
constexpr std::uint64_t kHotSellerRatio = 4;
constexpr std::uint64_t kHotBidderRatio = 4;
constexpr std::uint64_t kHotChannelRatio = 2;
constexpr std::uint64_t kInFlightAuctions = 100;
constexpr std::uint64_t kActivePeople = 1000;
constexpr std::uint64_t kIdLead = 10;
constexpr std::uint64_t kAuctionLifeEvents =
    kInFlightAuctions * kEventsPerRound / kAuctionsPerRound;  // 1666
constexpr std::size_t kPersonBytes = 200;
constexpr std::size_t kAuctionBytes = 500;
constexpr std::size_t kBidBytes = 100;
constexpr std::size_t kPoolBytes = std::size_t{1} << 20;

constexpr std::array<std::string_view, 11> kFirstNames = {
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"};
constexpr std::array<std::string_view, 9> kLastNames = {
    "Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
constexpr std::array<std::string_view, 10> kCities = {
    "Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
    "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
constexpr std::array<std::string_view, 6> kStates = {"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr std::array<std::string_view, 4> kHotChannelNames = {"Google", "Facebook", "Baidu",
                                                              "Apple"};

std::uint64_t Mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

template <typename Integer>
void AppendInteger(Integer value, std::string& out) {
  std::array<char, 20> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), end.ptr);
}

void AppendTwoDigits(unsigned value, std::string& out) {
  out += static_cast<char>('0' + value / 10);
  out += static_cast<char>('0' + value % 10);
}

// UTC as "2023-11-14 22:13:20.04": as many digits of the second's fraction as are not zero.
void AppendTime(std::int64_t time_ms, std::string& out) {
  const std::int64_t days = time_ms / 86'400'000;
  const auto of_day = static_cast<unsigned>(time_ms % 86'400'000);
  // Days to civil date, by eras of 400 years that begin in March (Howard Hinnant's algorithm).
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = shifted / 146'097;
  const auto of_era = static_cast<unsigned>(shifted - era * 146'097);
  const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned month_from_march = (5 * of_year + 2) / 153;
  const unsigned day = of_year - (153 * month_from_march + 2) / 5 + 1;
  const unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const std::int64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
  AppendInteger(year, out);
  out += '-';
  AppendTwoDigits(month, out);
  out += '-';
  AppendTwoDigits(day, out);
  out += ' ';
  AppendTwoDigits(of_day / 3'600'000, out);
  out += ':';
  AppendTwoDigits(of_day / 60'000 % 60, out);
  out += ':';
  AppendTwoDigits(of_day / 1000 % 60, out);
  unsigned fraction = of_day % 1000;
  if (fraction == 0) return;
  out += '.';
  for (unsigned digit = 100; fraction > 0; fraction %= digit, digit /= 10) {
    out += static_cast<char>('0' + fraction / digit);
  }
}

// The only character of the generator's texts that JSON wants escaped is the backslash.
void AppendEscaped(std::string_view text, std::string& out) {
  std::size_t from = 0;
  for (std::size_t at = text.find('\\'); at != std::string_view::npos; at = text.find('\\', from)) {
    out.append(text.substr(from, at - from));
    out.append("\\\\");
    from = at + 1;
  }
  out.append(text.substr(from));
}

// Java's Math.abs(Integer.reverse(i)), which leaves the smallest integer negative.
std::int32_t ChannelId(std::uint32_t i) {
  std::uint32_t reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= ((i >> bit) & 1U) << (31 - bit);
  return static_cast<std::int32_t>((reversed >> 31) != 0 ? 0U - reversed : reversed);
}

}  // namespace

// Where an event stands in the stream.
struct Generator::Place {
  std::uint64_t adjusted;
  std::uint64_t id;
  std::uint64_t last_person;
  std::uint64_t last_auction;
  std::int64_t time_ms;
};

// One event's sequence of random numbers. The order of the calls is part of the format.
class Generator::Draws {
 public:
  explicit Draws(std::uint64_t state) : state_(state) {}

  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15U;
    return Mix(state_);
  }

  std::uint64_t Below(std::uint64_t n) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(Next()) * n) >> 64);
  }

  std::uint64_t Price() {
    const double unit = static_cast<double>(Next() >> 11) * 0x1.0p-53;
    return static_cast<std::uint64_t>(std::floor(std::pow(10.0, 6.0 * unit) * 100.0 + 0.5));
  }

  // A word of 3 to max - 1 characters before blanks at its ends are cut. Returns what is left.
  std::size_t AppendWord(std::size_t max, char special, std::string& out) {
    const std::size_t start = out.size();
    const std::size_t length = 3 + Below(max - 3);
    for (std::size_t i = 0; i < length; ++i) {
      out += Below(13) == 0 ? special : static_cast<char>('a' + Below(26));
    }
    while (out.size() > start && out.back() == ' ') out.pop_back();
    std::size_t blanks = 0;
    while (start + blanks < out.size() && out[start + blanks] == ' ') ++blanks;
    out.erase(start, blanks);
    return out.size() - start;
  }

 private:
  std::uint64_t state_;
};

Generator::Generator(const GeneratorOptions& options) : options_(options) {
  Draws draws(Mix(options_.seed));
  const auto url = [&draws] {
    std::string text = "https://www.nexmark.com/";
    draws.AppendWord(5, '_', text);
    text += '/';
    draws.AppendWord(5, '_', text);
    text += '/';
    draws.AppendWord(5, '_', text);
    text += "/item.htm?query=1";
    return text;
  };
  for (std::string& hot : hot_urls_) hot = url();
  urls_.reserve(kChannels);
  for (std::uint32_t i = 0; i < kChannels; ++i) {
    std::string text = url();
    if (draws.Below(10) > 0) {
      text += "&channel_id=";
      AppendInteger(ChannelId(i), text);
    }
    urls_.push_back(std::move(text));
  }
  pool_.reserve(kPoolBytes);
  while (pool_.size() < kPoolBytes) {
    const auto high = static_cast<std::uint32_t>(draws.Next() >> 32);
    auto x = static_cast<std::int64_t>(high);
    if (options_.flink_compat) x = static_cast<std::int32_t>(high);
    for (int i = 0; i < 6 && pool_.size() < kPoolBytes; ++i) {
      pool_ += static_cast<char>('a' + x % 26);
      x /= 26;
    }
  }
}

std::int64_t Generator::TimeOf(std::uint64_t n) const {
  return options_.base_time_ms + static_cast<std::int64_t>(n * 1000 / options_.events_per_second);
}

std::uint64_t Generator::NextPerson(std::uint64_t id, Draws& draws) const {
  const std::uint64_t people = id / kEventsPerRound + 1;
  const std::uint64_t active = std::min(people, kActivePeople);
  return people - active + draws.Below(active + kIdLead);
}

std::uint64_t Generator::NextAuction(std::uint64_t last_auction, Draws& draws) const {
  const std::uint64_t lowest =
      last_auction > kInFlightAuctions ? last_auction - kInFlightAuctions : 0;
  return lowest + draws.Below(last_auction - lowest + 1 + kIdLead);
}

void Generator::AppendExtra(Draws& draws, std::size_t current, std::size_t average,
                            std::string& line) const {
  line += R"(,"extra":")";
  if (current <= average) {
    const std::size_t missing = average - current;
    const auto delta =
        static_cast<std::size_t>(std::floor(0.2 * static_cast<double>(missing) + 0.5));
    std::size_t length = missing - delta;
    if (delta > 0) length += draws.Below(2 * delta);
    const std::size_t start = draws.Below(kPoolBytes - length);
    AppendEscaped(std::string_view(pool_).substr(start, length), line);
  }
  line += '"';
}

void Generator::AppendPerson(const Place& place, Draws& draws, std::string& line) const {
  line += R"({"event_type":0,"person":{"id":)";
  AppendInteger(place.last_person + kFirstPersonId, line);
  std::size_t size = 8;
  const auto field = [&](std::string_view name, auto&& append_value) {
    line += ",\"";
    line += name;
    line += "\":\"";
    const std::size_t start = line.size();
    append_value();
    size += line.size() - start;
    line += '"';
  };
  field("name", [&] {
    line += kFirstNames[draws.Below(kFirstNames.size())];
    line += ' ';
    line += kLastNames[draws.Below(kLastNames.size())];
  });
  field("emailAddress", [&] {
    draws.AppendWord(7, ' ', line);
    line += '@';
    draws.AppendWord(5, ' ', line);
    line += ".com";
  });
  field("creditCard", [&] {
    for (int group = 0; group < 4; ++group) {
      if (group > 0) line += ' ';
      const auto digits = static_cast<unsigned>(draws.Below(10'000));
      AppendTwoDigits(digits / 100, line);
      AppendTwoDigits(digits % 100, line);
    }
  });
  field("city", [&] { line += kCities[draws.Below(kCities.size())]; });
  field("state", [&] { line += kStates[draws.Below(kStates.size())]; });
  line += R"(,"dateTime":")";
  AppendTime(place.time_ms, line);
  line += '"';
  AppendExtra(draws, size, kPersonBytes, line);
  line += R"(},"auction":null,"bid":null})";
}

void Generator::AppendAuction(const Place& place, Draws& draws, std::string& line) const {
  const bool hot_seller = draws.Below(kHotSellerRatio) > 0;
  const std::uint64_t seller =
      kFirstPersonId +
      (hot_seller ? place.last_person / kHotGroup * kHotGroup : NextPerson(place.id, draws));
  const std::uint64_t category = kFirstCategoryId + draws.Below(kCategories);
  const std::uint64_t initial_bid = draws.Price();
  const std::int64_t horizon_ms = TimeOf(place.adjusted + kAuctionLifeEvents) - place.time_ms;
  const std::int64_t expires_ms =
      place.time_ms + 1 +
      static_cast<std::int64_t>(
          draws.Below(static_cast<std::uint64_t>(std::max<std::int64_t>(2 * horizon_ms, 1))));
  line += R"({"event_type":1,"person":null,"auction":{"id":)";
  AppendInteger(place.last_auction + kFirstAuctionId, line);
  line += R"(,"itemName":")";
  const std::size_t name_size = draws.AppendWord(20, ' ', line);
  line += R"(","description":")";
  const std::size_t description_size = draws.AppendWord(100, ' ', line);
  line += R"(","initialBid":)";
  AppendInteger(initial_bid, line);
  line += R"(,"reserve":)";
  AppendInteger(initial_bid + draws.Price(), line);
  line += R"(,"dateTime":")";
  AppendTime(place.time_ms, line);
  line += R"(","expires":")";
  AppendTime(expires_ms, line);
  line += R"(","seller":)";
  AppendInteger(seller, line);
  line += R"(,"category":)";
  AppendInteger(category, line);
  AppendExtra(draws, 8 + name_size + description_size + 40, kAuctionBytes, line);
  line += R"(},"bid":null})";
}

void Generator::AppendBid(const Place& place, Draws& draws, std::string& line) const {
  const bool hot_auction = draws.Below(kHotAuctionRatio) > 0;
  const std::uint64_t auction =
      kFirstAuctionId + (hot_auction ? place.last_auction / kHotGroup * kHotGroup
                                     : NextAuction(place.last_auction, draws));
  const bool hot_bidder = draws.Below(kHotBidderRatio) > 0;
  const std::uint64_t bidder =
      kFirstPersonId * (options_.flink_compat ? 2 : 1) +
      (hot_bidder ? place.last_person / kHotGroup * kHotGroup + 1 : NextPerson(place.id, draws));
  const std::uint64_t price = draws.Price();
  line += R"({"event_type":2,"person":null,"auction":null,"bid":{"auction":)";
  AppendInteger(auction, line);
  line += R"(,"bidder":)";
  AppendInteger(bidder, line);
  line += R"(,"price":)";
  AppendInteger(price, line);
  line += R"(,"channel":")";
  if (draws.Below(kHotChannelRatio) > 0) {
    const std::uint64_t hot = draws.Below(kHotChannelNames.size());
    line += kHotChannelNames[hot];
    line += R"(","url":")";
    line += hot_urls_[hot];
  } else {
    const std::uint64_t channel = draws.Below(kChannels);
    line += "channel-";
    AppendInteger(channel, line);
    line += R"(","url":")";
    line += urls_[channel];
  }
  line += R"(","dateTime":")";
  AppendTime(place.time_ms, line);
  line += '"';
  AppendExtra(draws, 32, kBidBytes, line);
  line += "}}";
}

Generator::Event Generator::Append(std::uint64_t k, std::string& line) const {
  const std::uint64_t number = 1 + k;
  const std::uint64_t group = options_.out_of_order_group;
  Place place;
  place.adjusted = number / group * group + (number * 953) % group;
  place.id = 1 + place.adjusted;
  place.time_ms = TimeOf(place.adjusted);
  place.last_person = place.id / kEventsPerRound;
  const std::uint64_t offset = place.id % kEventsPerRound;
  // A person's event comes first in its round, so its newest auction is of the round before.
  const std::uint64_t round = offset < 1 ? place.last_person - 1 : place.last_person;
  const std::uint64_t in_round =
      offset < 1 || offset > kAuctionsPerRound ? kAuctionsPerRound - 1 : offset - 1;
  place.last_auction = round * kAuctionsPerRound + in_round;

  Draws draws(Mix(options_.seed ^ Mix(place.id)));
  if (offset == 0) {
    AppendPerson(place, draws, line);
    return {EventKind::kPerson, place.time_ms};
  }
  if (offset <= kAuctionsPerRound) {
    AppendAuction(place, draws, line);
    return {EventKind::kAuction, place.time_ms};
  }
  AppendBid(place, draws, line);
  return {EventKind::kBid, place.time_ms};
}

}  // namespace weir::bench
