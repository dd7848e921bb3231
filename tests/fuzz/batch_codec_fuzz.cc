// The encoding of batches: damaged bytes are a Status, and what decodes can be encoded and decoded
// again to the same bytes.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/data/batch_codec.h"
#include "engine/data/row_builder.h"
#include "tests/fuzz/target.h"

namespace {

std::string SeedBatch(uint32_t rows) {
  auto schema = std::make_shared<const weir::Schema>(std::vector<weir::Field>{
      {"number", weir::Type::Of(weir::TypeKind::kInt64), true},
      {"text", weir::Type::Of(weir::TypeKind::kString), true},
      {"flag", weir::Type::Of(weir::TypeKind::kBool), false},
      {"price", weir::Type::Decimal(23, 3), false},
  });
  weir::RowBuilder builder(schema);
  for (uint32_t row = 0; row < rows; ++row) {
    if (row % 3 == 0) {
      builder.column(size_t{0}).AppendNull();
    } else {
      builder.column(size_t{0}).Append<int64_t>(row);
    }
    builder.column(size_t{1}).AppendString(row % 2 == 0 ? "short"
                                                        : "a string longer than twelve bytes");
    builder.column(size_t{2}).Append<uint8_t>(row % 2);
    builder.column(size_t{3}).Append<weir::Int128>(row);
    builder.FinishRow();
  }
  std::string bytes;
  weir::EncodeBatch(builder.Build(), bytes);
  return bytes;
}

}  // namespace

std::vector<std::string> FuzzSeeds() { return {SeedBatch(0), SeedBatch(1), SeedBatch(70)}; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto batch = weir::DecodeBatch({reinterpret_cast<const char*>(data), size});
  if (batch.ok()) {
    std::string bytes;
    weir::EncodeBatch(*batch, bytes);
    const auto again = weir::DecodeBatch(bytes);
    WEIR_CHECK(again.ok());
    std::string bytes_again;
    weir::EncodeBatch(*again, bytes_again);
    WEIR_CHECK(bytes == bytes_again);
  }
  return 0;
}
