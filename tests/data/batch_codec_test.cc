#include "engine/data/batch_codec.h"

#include <gtest/gtest.h>

#include "engine/base/bytes.h"
#include "tests/data/rows.h"

namespace weir {
namespace {

std::string Encoded(const Batch& batch) {
  std::string bytes;
  EncodeBatch(batch, bytes);
  return bytes;
}

TEST(BatchCodec, RoundTripsEveryKindThroughSlicesAndTakes) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const int null_percent = static_cast<int>(random() % 3) * 40;
    Batch batch = RandomBatch(static_cast<uint32_t>(random() % 200), null_percent, random);
    const auto first = static_cast<uint32_t>(random() % (batch.rows() + 1));
    batch = batch.Slice(first, batch.rows() - first);
    if (round % 2 == 0 && batch.rows() > 3) batch = batch.Take(Selection({0, 2, batch.rows() - 1}));
    const Result<Batch> decoded = DecodeBatch(Encoded(batch));
    ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
    ASSERT_EQ(decoded->schema(), batch.schema());
    ASSERT_EQ(RowsOf(*decoded), RowsOf(batch));
    ASSERT_EQ(Encoded(*decoded), Encoded(batch)) << "equal batches have equal bytes";
  }
}

TEST(BatchCodec, KeepsEveryBitOfFloats) {
  const std::vector<double> values = {-0.0, std::nan("7"), -std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::denorm_min()};
  const Batch batch = BatchOf({{"f", Type::Of(TypeKind::kFloat64), false}},
                              {Values<double>(Type::Of(TypeKind::kFloat64), values)});
  const Result<Batch> decoded = DecodeBatch(Encoded(batch));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(std::memcmp(decoded->Values<double>(ColumnIndex{0}).data(), values.data(),
                        values.size() * sizeof(double)),
            0);
}

TEST(BatchCodec, HiddenValuesOfNullRowsDoNotReachTheBytes) {
  auto values = std::make_shared<Buffer>(2 * sizeof(int64_t));
  auto other = std::make_shared<Buffer>(2 * sizeof(int64_t));
  auto validity = std::make_shared<Buffer>(sizeof(uint64_t));
  values->as<int64_t>()[0] = 1;
  values->as<int64_t>()[1] = 0x5ec2e7;
  other->as<int64_t>()[0] = 1;
  other->as<int64_t>()[1] = 0;
  validity->as<uint64_t>()[0] = 0b01;
  const Type type = Type::Of(TypeKind::kInt64);
  EXPECT_EQ(Encoded(BatchOf({{"n", type, true}}, {Column(type, 2, values, validity, nullptr)})),
            Encoded(BatchOf({{"n", type, true}}, {Column(type, 2, other, validity, nullptr)})));
}

TEST(BatchCodec, RowsWithoutColumnsAreCounted) {
  const Batch batch = Batch::Make(std::make_shared<const Schema>(), 12, {});
  const Result<Batch> decoded = DecodeBatch(Encoded(batch));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->rows(), 12U);
}

TEST(BatchCodec, EveryTruncationIsCorruption) {
  std::mt19937_64 random(2);
  const std::string bytes = Encoded(RandomBatch(37, 30, random));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Result<Batch> decoded = DecodeBatch(std::string_view(bytes).substr(0, size));
    ASSERT_FALSE(decoded.ok()) << size;
    ASSERT_EQ(decoded.status().code(), Code::kCorruption);
  }
  EXPECT_EQ(DecodeBatch(bytes + '\0').status().code(), Code::kCorruption);
}

TEST(BatchCodec, DamagedBytesAreABatchOrCorruptionButNeverMore) {
  std::mt19937_64 random(3);
  const std::string bytes = Encoded(RandomBatch(20, 30, random));
  int refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const Result<Batch> decoded = DecodeBatch(damaged);
      if (decoded.ok()) {
        ASSERT_EQ(RowsOf(*decoded).size(), decoded->rows());  // every value can be read
      } else {
        ASSERT_EQ(decoded.status().code(), Code::kCorruption);
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 0);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = bytes.substr(0, random() % bytes.size());
    for (uint64_t i = 0; i < 1 + random() % 4 && !damaged.empty(); ++i)
      damaged[random() % damaged.size()] = static_cast<char>(random());
    const Result<Batch> decoded = DecodeBatch(damaged);
    if (decoded.ok()) {
      ASSERT_EQ(RowsOf(*decoded).size(), decoded->rows());
    }
  }
}

TEST(BatchCodec, CountsThatExceedTheBytesAllocateNothing) {
  // Header of a batch with one column and 4 billion rows, and nothing behind it.
  for (const Type& type : AllTypes()) {
    std::string bytes = "WB\x01";
    EncodeSchema(Schema({{"c", type, false}}), bytes);
    ByteWriter(bytes).Varint(UINT32_MAX);
    bytes.push_back('\0');
    EXPECT_EQ(DecodeBatch(bytes).status().code(), Code::kCorruption);
    bytes.back() = '\1';
    EXPECT_EQ(DecodeBatch(bytes).status().code(), Code::kCorruption);
  }
}

TEST(BatchCodec, StringsAreUtf8OneByOne) {
  const Type type = Type::Of(TypeKind::kBytes);
  ColumnBuilder builder(type, 2);
  builder.AppendString("a\xc3");  // together the two are valid UTF-8, alone neither is
  builder.AppendString("\xa9z");
  std::string bytes = Encoded(BatchOf({{"s", type, false}}, {builder.Build()}));
  ASSERT_TRUE(DecodeBatch(bytes).ok());
  const size_t kind = bytes.find("\x01s") + 2;
  ASSERT_EQ(bytes[kind], 7);
  bytes[kind] = 6;  // the same bytes as strings
  EXPECT_EQ(DecodeBatch(bytes).status().code(), Code::kCorruption);
}

TEST(BatchCodec, SchemaRoundTripsAndEveryTruncationIsCorruption) {
  const Schema schema({{"a", Type::Of(TypeKind::kInt64), false},
                       {"", Type::Decimal(38, 38), true},
                       {"\xc3\xa9", Type::Of(TypeKind::kBytes), true}});
  std::string bytes;
  EncodeSchema(schema, bytes);
  const Result<Schema> decoded = DecodeSchema(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, schema);
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_FALSE(DecodeSchema(std::string_view(bytes).substr(0, size)).ok()) << size;
  EXPECT_FALSE(DecodeSchema(bytes + "x").ok());
  EXPECT_FALSE(DecodeSchema("\xff\xff\xff\xff\xff\xff\xff\xff\x7f").ok());
}

TEST(BatchCodec, BytesAreThoseOfTheDocumentedExample) {
  using std::string_literals::operator""s;
  ColumnBuilder numbers(Type::Of(TypeKind::kInt32), 3);
  numbers.Append<int32_t>(7);
  numbers.AppendNull();
  numbers.Append<int32_t>(-1);
  const Batch batch =
      BatchOf({{"n", Type::Of(TypeKind::kInt32), true}, {"s", Type::Of(TypeKind::kString), false}},
              {numbers.Build(), Strings({"ab", "", "c"})});
  const std::string expected =
      "WB\x01"s + "\x02"s + "\x01n\x01\x01"s + "\x01s\x06\x00"s + "\x03"s +  // mark, schema, rows
      "\x01\x05"s + "\x07\x00\x00\x00"s + "\x00\x00\x00\x00"s + "\xff\xff\xff\xff"s +  // n
      "\x00"s + "\x02\x00\x00\x00"s + "\x00\x00\x00\x00"s + "\x01\x00\x00\x00"s +
      "\x03\x00\x00\x00\x00\x00\x00\x00"s + "abc"s;  // s
  EXPECT_EQ(Encoded(batch), expected);
}

}  // namespace
}  // namespace weir
