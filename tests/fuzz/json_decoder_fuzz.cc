// Records in JSON: any bytes give a row or an error of the record. What was read before changes
// nothing, although the decoder learns what records look like; nor does how a file was cut into
// pieces. Whatever the whole check takes another parser takes too.

#include <nlohmann/json.hpp>

#include "tests/fuzz/decoding.h"
#include "tests/fuzz/target.h"

namespace {

constexpr const char* kSchema =
    R"j({"i": "int32?", "l": {"type": "int64?", "from": "/o/l"}, "s": "string?", "d": "decimal(10,2)?", "f": "float64?",
 "b": "bool?", "t": "timestamp?", "e": {"type": "timestamp_ms?", "from": "/o/e"}, "day": "date?", "x": "bytes?",
 "p": "duration?"})j";
constexpr const char* kSimple =
    R"j({"i": "int32?", "l": {"type": "int64?", "from": "/o/l"}, "s": "string?", "f": "float64?", "b": "bool?", "t": "timestamp?"})j";
constexpr const char* kChecked = R"({"type": "json", "check": "full"})";
constexpr size_t kPieceBytes = 7;

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {
      R"({"i":12,"o":{"l":-34567890123,"e":1767225600123},"s":"text of middling length, and more","d":"12.50","f":12.5e3,"b":true,"t":"2026-01-31 10:20:30.123","day":"2026-01-31","x":"AQID","j":{"k":[1]},"a":[1,2],"p":"PT1M30S"})",
      R"({"i":0,"o":null,"s":"\u00e4\ud83d\ude00\\\"","f":0.25,"b":false,"t":"2025-12-01T00:00:00Z","skip":["]",{"}":"\""}]})"
      "\n"
      R"({"s":"ä€😀","i":-2147483648,"o":{"l":9223372036854775807}})"
      "\r\n\n",
      R"( {"a":[],"p":60000000,"i":1.0,"f":"NaN","d":1.5,"i":7} )",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  weir::Record record;
  record.partition = 0;
  record.value = text;
  const std::span<const weir::Record> one(&record, 1);
  for (const char* schema : {kSchema, kSimple}) {
    const weir::FuzzDecoder fresh = weir::MakeFuzzDecoder(R"({"type": "json"})", schema);
    const std::vector<std::string> said = weir::Decoded(fresh, one);
    // A decoder that has seen other records, and this one too.
    const weir::FuzzDecoder taught = weir::MakeFuzzDecoder(R"({"type": "json"})", schema);
    std::vector<weir::Record> lesson;
    const std::vector<std::string> seeds = FuzzSeeds();
    for (int round = 0; round < 3; ++round) {
      for (const std::string& seed : seeds) {
        lesson.push_back(record);
        lesson.back().value = std::string_view(seed).substr(0, seed.find('\n'));
      }
      lesson.push_back(record);
    }
    weir::Decoded(taught, lesson);
    WEIR_CHECK(weir::Decoded(taught, one) == said);

    std::vector<std::string> whole_bytes, piece_bytes;
    const auto whole = weir::FramedAsFile(fresh, text, text.size() + 1, whole_bytes);
    const auto pieces = weir::FramedAsFile(fresh, text, kPieceBytes, piece_bytes);
    WEIR_CHECK(whole_bytes == piece_bytes);
    for (size_t i = 0; i < whole.size(); ++i) {
      WEIR_CHECK_EQ(whole[i].truncated, pieces[i].truncated);
      WEIR_CHECK_EQ(whole[i].offset, pieces[i].offset);
    }
    WEIR_CHECK(weir::Decoded(fresh, whole) == weir::Decoded(taught, pieces));
  }
  const weir::FuzzDecoder checked = weir::MakeFuzzDecoder(kChecked, kSchema);
  if (weir::Decoded(checked, one).front().starts_with("{"))
    WEIR_CHECK(nlohmann::json::accept(text.begin(), text.end()));
  return 0;
}
