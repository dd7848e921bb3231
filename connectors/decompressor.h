#pragma once
// Decompressor: bytes of a .gz or .zst file, piece by piece, all members or frames of it; plain
// files pass through. Used by file_source on the pool; one caller at a time. Output is bounded by
// the room that the caller gives, so that a bomb costs time, not memory. Errors: kCorruption.

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace weir {

class Decompressor {
 public:
  virtual ~Decompressor() = default;
  /// Appends at most `room` bytes to `out`; answers the bytes of `in` that were used: never all of
  /// them while there is text that had no room.
  virtual Result<size_t> Next(std::string_view in, size_t room, std::string& out) = 0;
  /// False inside of a member: the file is cut off if it ends here.
  virtual bool at_boundary() const = 0;
};

/// By the name's suffix.
std::unique_ptr<Decompressor> MakeDecompressor(std::string_view file_name);
bool IsCompressed(std::string_view file_name);

}  // namespace weir
