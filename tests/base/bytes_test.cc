#include "engine/base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace weir {
namespace {

TEST(Bytes, WhatIsWrittenIsReadBack) {
  std::string out;
  ByteWriter writer(out);
  writer.Fixed<uint8_t>(1);
  writer.Fixed<int64_t>(-2);
  writer.Fixed(0.5);
  writer.Varint(300);
  writer.String("abc");
  writer.Raw("de");
  ByteReader reader(out);
  EXPECT_EQ(reader.Fixed<uint8_t>(), 1);
  EXPECT_EQ(reader.Fixed<int64_t>(), -2);
  EXPECT_EQ(reader.Fixed<double>(), 0.5);
  EXPECT_EQ(reader.Varint(), 300U);
  EXPECT_EQ(reader.String(), "abc");
  EXPECT_EQ(reader.Raw(2), "de");
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_TRUE(reader.ok());
}

TEST(Bytes, AreLittleEndian) {
  std::string out;
  ByteWriter(out).Fixed<uint32_t>(0x01020304);
  EXPECT_EQ(out, "\x04\x03\x02\x01");
}

TEST(Bytes, VarintsOfAllSizesRoundTrip) {
  for (unsigned shift = 0; shift < 64; ++shift) {
    for (const uint64_t delta : {uint64_t{0}, ~uint64_t{0}, uint64_t{1}}) {
      const uint64_t value = (uint64_t{1} << shift) + delta;
      std::string out;
      ByteWriter(out).Varint(value);
      ByteReader reader(out);
      EXPECT_EQ(reader.Varint(), value);
      EXPECT_TRUE(reader.ok());
      EXPECT_EQ(reader.left(), 0U);
    }
  }
}

TEST(Bytes, ReaderTurnsBadAtTheEndAndStaysSo) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.Fixed<uint32_t>(), 0U);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.left(), 0U);
  EXPECT_EQ(reader.Raw(1), "");
  EXPECT_EQ(reader.Varint(), 0U);
  EXPECT_FALSE(reader.ok());
}

TEST(Bytes, LyingLengthsAreRefused) {
  for (const uint64_t length :
       {uint64_t{4}, uint64_t{1} << 40, std::numeric_limits<uint64_t>::max()}) {
    std::string out;
    ByteWriter(out).Varint(length);
    out += "abc";
    ByteReader reader(out);
    EXPECT_EQ(reader.String(), "");
    EXPECT_FALSE(reader.ok()) << length;
  }
  ByteReader endless(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
  endless.Varint();
  EXPECT_FALSE(endless.ok());
}

TEST(Crc32c, IsTheCastagnoliChecksum) {
  EXPECT_EQ(Crc32c(""), 0U);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aaU);  // RFC 3720, B.4
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST(Crc32c, GoesOnFromAPrefix) {
  std::mt19937_64 random(1);
  std::string text(1000, 'x');
  for (char& c : text) c = static_cast<char>(random());
  for (size_t cut = 0; cut <= text.size(); cut += 13)
    EXPECT_EQ(Crc32c(text.substr(cut), Crc32c(text.substr(0, cut))), Crc32c(text));
}

TEST(Crc32c, SeesEveryFlippedBit) {
  std::string text = "a block of bytes on a disk";
  const uint32_t whole = Crc32c(text);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(Crc32c(text), whole);
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST(Hashes, AreTheirPublishedOnes) {
  EXPECT_EQ(Hash64(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(HashContent("").Hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(HashContent("a"), HashContent("a"));
  EXPECT_FALSE(HashContent("a") == HashContent("b"));
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace weir
