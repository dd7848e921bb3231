#include "bench/nexmark/generator.h"

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace weir::bench {
namespace {

std::string Sha256OfLines(const GeneratorOptions& options, std::uint64_t events) {
  const Generator generator(options);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  std::string line;
  for (std::uint64_t k = 0; k < events; ++k) {
    line.clear();
    generator.Append(k, line);
    line += '\n';
    EVP_DigestUpdate(context.get(), line.data(), line.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15U];
  }
  return hex;
}

std::string Line(const Generator& generator, std::uint64_t k) {
  std::string line;
  generator.Append(k, line);
  return line;
}

// The check values were found equal by independent programs in other languages.
TEST(Generator, WritesTheKnownThousandEvents) {
  EXPECT_EQ(Sha256OfLines({}, 1000),
            "c125125191043953e34fa430631d727220d8649c767f2480abaacb4db19f1c07");
}

TEST(Generator, WritesTheKnownHundredThousandEvents) {
  EXPECT_EQ(Sha256OfLines({}, 100'000),
            "9217e0e1b1ccf11374fe0d14acca1935515fa5e937830d2e6002a174437b5ef3");
}

TEST(Generator, WritesTheKnownMillionEvents) {
  EXPECT_EQ(Sha256OfLines({}, 1'000'000),
            "4c8a30d203cb5a13ae10358c54a722a012150ddbf5f4787b7d279c91d4cd34ce");
}

TEST(Generator, WritesTheKnownMillionEventsAtTenTimesTheRate) {
  EXPECT_EQ(Sha256OfLines({.events_per_second = 100'000}, 1'000'000),
            "848de642e6bcb92368c815b1ce5f0c56d013934b6c405f69c7cd71d99ce90539");
}

TEST(Generator, WritesAnEventWithoutThoseBeforeIt) {
  const Generator generator({});
  const std::string expected = Line(generator, 777'777);
  for (std::uint64_t k = 0; k < 100; ++k) Line(generator, k);
  EXPECT_EQ(Line(generator, 777'777), expected);
  EXPECT_EQ(Line(Generator({}), 777'777), expected);
}

TEST(Generator, TellsTheKindAndTheTimeOfTheEvent) {
  const Generator generator({});
  std::string line;
  std::array<int, 3> kinds{};
  for (std::uint64_t k = 0; k < 50'000; ++k) {
    line.clear();
    const Generator::Event event = generator.Append(k, line);
    ++kinds[static_cast<std::size_t>(event.kind)];
    EXPECT_EQ(event.time_ms, 1'700'000'000'000 + static_cast<std::int64_t>((k + 1) / 10));
    EXPECT_EQ(line.substr(0, 15),
              R"({"event_type":)" + std::to_string(static_cast<int>(event.kind)));
  }
  EXPECT_EQ(kinds, (std::array<int, 3>{1000, 3000, 46'000}));
}

TEST(Generator, AddsTheFirstPersonOnceToABidderWithoutTheQuirks) {
  const Generator generator({.flink_compat = false});
  std::string line;
  for (std::uint64_t k = 0; k < 5000; ++k) {
    line.clear();
    if (generator.Append(k, line).kind != EventKind::kBid) continue;
    const std::size_t at = line.find(R"("bidder":)") + 9;
    EXPECT_LT(std::stoull(line.substr(at)), 1000U + k / 50 + 20) << line;
    EXPECT_EQ(line.find('\\'), std::string::npos) << line;
  }
}

TEST(Generator, ShufflesTimesOnlyWithinAGroup) {
  const Generator generator({.events_per_second = 1000, .out_of_order_group = 10});
  std::string line;
  std::int64_t newest = 0;
  int late = 0;
  for (std::uint64_t k = 0; k < 1000; ++k) {
    const std::int64_t time_ms = generator.Append(k, line).time_ms;
    if (time_ms < newest) ++late;
    EXPECT_GT(time_ms, newest - 10);
    newest = std::max(newest, time_ms);
  }
  EXPECT_GT(late, 100);
}

}  // namespace
}  // namespace weir::bench
