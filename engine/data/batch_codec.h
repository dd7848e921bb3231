#pragma once
// The one encoding of batches: wire, in-flight section of snapshots, savepoints.
// Self-describing (schema first), little-endian, bounded: a damaged text never makes the decoder
// allocate more than the text's own size times a constant. Format: docs/formats/batch.md. Any
// thread.

#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/data/batch.h"

namespace weir {

void EncodeBatch(const Batch& batch, std::string& out);
/// kCorruption if the bytes are not a batch.
Result<Batch> DecodeBatch(std::string_view bytes);

void EncodeSchema(const Schema& schema, std::string& out);
Result<Schema> DecodeSchema(std::string_view bytes);

}  // namespace weir
