// Snapshots of tasks: damaged bytes are a Status, with checksums that hold too, and what decodes
// means the same when it is written again.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/check.h"
#include "engine/data/row_builder.h"
#include "engine/runtime/snapshot.h"
#include "tests/fuzz/target.h"

using weir::runtime::DecodeTaskSnapshot;
using weir::runtime::EncodeTaskSnapshot;
using weir::runtime::TaskSnapshot;

namespace {

constexpr size_t kHeadBytes = 8;  // what it is, and its format

TaskSnapshot Full() {
  TaskSnapshot snapshot;
  snapshot.task = {3, {7}};
  snapshot.groups = {{10}, {19}};
  snapshot.watermarks = {{"a", {-5}}, {"b", weir::EventTime::Max()}};
  snapshot.buffered = {{"a", {{10, 42}, {11, 1}}}};
  snapshot.lists = {{"a", {2}, {"item", std::string("\0x", 2)}}};
  snapshot.splits = {
      {"src", {{.id = "t-0", .position = "17", .max_ts = {9}, .idle = true, .begun = false}}}};
  weir::RowBuilder rows(std::make_shared<const weir::Schema>(
      std::vector<weir::Field>{{"n", weir::Type::Of(weir::TypeKind::kInt64), false}}));
  rows.column(size_t{0}).Append<int64_t>(1);
  rows.FinishRow();
  snapshot.in_flight = {{"a", {1}, rows.Build()}};
  snapshot.lanes = {{"sink", {{4}, "{}"}, weir::Guarantee::kExactlyOnce}};
  weir::StateImage image;
  image.groups = {{10}, {19}};
  image.files = {{.name = "shared/ab/x.sst",
                  .bytes = 123,
                  .hash = "ff",
                  .local = "",
                  .shared = true,
                  .original = "000001.sst"}};
  image.metadata = "meta";
  snapshot.image = image;
  snapshot.changes = 99;
  return snapshot;
}

std::string Encoded(const TaskSnapshot& snapshot) {
  std::string bytes;
  EncodeTaskSnapshot(snapshot, bytes);
  return bytes;
}

/// The same blocks with the checksums that belong to them, so that damage gets behind these.
std::string WithChecksums(std::string_view bytes) {
  if (bytes.size() < kHeadBytes) return {};
  std::string out(bytes.substr(0, kHeadBytes));
  weir::ByteReader in(bytes.substr(kHeadBytes));
  weir::ByteWriter writer(out);
  while (in.left() != 0) {
    const auto block = in.Fixed<uint8_t>();
    const std::string_view body = in.String();
    in.Fixed<uint32_t>();
    if (!in.ok()) return out;
    writer.Fixed(block);
    writer.String(body);
    writer.Fixed(weir::Crc32c(
        body, weir::Crc32c(std::string_view(reinterpret_cast<const char*>(&block), 1))));
  }
  return out;
}

void Check(std::string_view bytes) {
  const weir::Result<TaskSnapshot> read = DecodeTaskSnapshot(bytes);
  if (!read.ok()) {
    WEIR_CHECK(!read.status().message().empty());
    return;
  }
  const std::string written = Encoded(*read);
  const weir::Result<TaskSnapshot> again = DecodeTaskSnapshot(written);
  WEIR_CHECK(again.ok());
  WEIR_CHECK(Encoded(*again) == written);
}

}  // namespace

std::vector<std::string> FuzzSeeds() { return {Encoded({}), Encoded(Full())}; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Check(bytes);
  Check(WithChecksums(bytes));
  return 0;
}
