#pragma once
// The metadata of a StateImage (docs/formats/snapshot-image.md): everything of a snapshot that is
// no row. Written on P from what W copied at the freeze; read by a restore and by `weir ckpt`. Pure
// functions; any thread.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/cold_store.h"
#include "state/state.h"

namespace weir::state {

void EncodeMetadata(const ImageDescription& image, std::string& out);
/// kCorruption if the bytes are not metadata, kIncompatible if they are of a later format.
Result<ImageDescription> DecodeMetadata(std::string_view bytes);

}  // namespace weir::state
