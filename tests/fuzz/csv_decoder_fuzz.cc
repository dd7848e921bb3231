// Lines of CSV: any bytes give a row or an error of the record, however a file was cut into pieces;
// and what was read is read again from what is written of it.

#include "tests/fuzz/decoding.h"
#include "tests/fuzz/target.h"

namespace {

constexpr const char* kSchema =
    R"j({"i": "int32?", "s": "string?", "d": "decimal(10,2)?", "f": "float64?", "b": "bool?", "t": "timestamp?", "x": "bytes?", "p": "duration?"})j";
constexpr size_t kPieceBytes = 5;

/// A row's texts as the encoder writes them.
std::string Written(const std::string& format, const weir::Batch& batch) {
  static const weir::NodeType* type =
      new weir::NodeType{.name = "fuzz_sink",
                         .doc = "A sink whose bytes the fuzzer reads.",
                         .options = {{.name = "format",
                                      .type = weir::OptionType::kFormat,
                                      .doc = "Format of the records."}},
                         .create = weir::Factory<weir::SinkParts>(nullptr)};
  weir::Problems problems;
  const weir::NodeConfig config(weir::FuzzRegistry(), *type, "node",
                                weir::Json::parse(R"({"format": )" + format + "}"), {},
                                std::make_shared<const weir::JobSettings>(), &problems);
  const auto encoder = config.MakeEncoder(batch.schema_ref());
  WEIR_CHECK(encoder.ok());
  weir::EncodedRows rows;
  weir::RowErrors errors;
  (*encoder)->Encode(batch, rows, errors);
  std::string text;
  for (uint32_t row = 0; row < batch.rows(); ++row) text += std::string(rows.row(row)) + "\n";
  return text;
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {
      "i,s,d,f,b,t,x,p\r\n1,hello,1.50,0.5,true,2026-01-01T00:00:00Z,AQID,PT1M\n,\"a, "
      "\"\"b\"\"\nc\",,,,,,\n",
      "\xEF\xBB\xBFp,x,t,b,f,d,s,i\n60000000,,2026-01-01,false,NaN,-1,\"\",2\n\n\"open",
      "1,x,2,3,true,2026-01-01 10:00:00,,\n\"1\",\"\",\"2\",3,false,,,5\n",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string format :
       {R"({"type": "csv", "max_record": "64B"})", R"({"type": "csv", "header": false})",
        R"({"type": "csv", "header": false, "delimiter": ";", "null": "NULL"})"}) {
    const weir::FuzzDecoder decoder = weir::MakeFuzzDecoder(format, kSchema);
    std::vector<std::string> whole_bytes, piece_bytes;
    const auto whole = weir::FramedAsFile(decoder, text, text.size() + 1, whole_bytes);
    const std::vector<std::string> said = weir::Decoded(decoder, whole);
    const auto pieces = weir::FramedAsFile(decoder, text, kPieceBytes, piece_bytes);
    WEIR_CHECK(whole_bytes == piece_bytes);
    WEIR_CHECK(weir::Decoded(decoder, pieces) == said);
    if (format.find("false") == std::string::npos) continue;

    weir::RowBuilder rows(decoder.schema, weir::kBatchRowsMax);
    weir::RowErrors errors;
    if (!decoder.decoder->Decode(whole, rows, errors).ok()) continue;
    const weir::Batch batch = rows.Build();
    const std::string written = Written(format, batch);
    const auto again = weir::FramedAsFile(decoder, written, written.size() + 1, piece_bytes);
    const std::vector<std::string> read = weir::Decoded(decoder, again);
    WEIR_CHECK_EQ(read.size(), batch.rows());
    for (uint32_t row = 0; row < batch.rows(); ++row)
      WEIR_CHECK(read[row] == batch.RowToString(row));
  }
  return 0;
}
