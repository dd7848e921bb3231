#include "engine/base/content_hash.h"

#include <memory>
#include <string>

#include <xxhash.h>

namespace weir {
namespace {

constexpr size_t kPieceBytes = size_t{128} << 10;

struct FreeHash {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

}  // namespace

Result<HashedFile> HashFile(Env& env, const Path& path) {
  WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env.Open(path));
  const std::unique_ptr<XXH3_state_t, FreeHash> state(XXH3_createState());
  XXH3_128bits_reset(state.get());
  HashedFile hashed;
  std::string piece(kPieceBytes, '\0');
  while (true) {
    WEIR_ASSIGN(const size_t read, file->Read(hashed.bytes, piece));
    if (read == 0) break;
    XXH3_128bits_update(state.get(), piece.data(), read);
    hashed.bytes += read;
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  hashed.hash = {hash.high64, hash.low64};
  return hashed;
}

}  // namespace weir
