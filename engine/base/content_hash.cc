#include "engine/base/content_hash.h"

#include <string>

#include <xxhash.h>

namespace weir {
namespace {

constexpr size_t kPieceBytes = size_t{128} << 10;

}  // namespace

struct ContentHasher::State {
  XXH3_state_t xxh3;
};

ContentHasher::ContentHasher() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh3);
}

ContentHasher::~ContentHasher() = default;

void ContentHasher::Update(std::string_view piece) {
  XXH3_128bits_update(&state_->xxh3, piece.data(), piece.size());
}

Hash128 ContentHasher::Digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh3);
  return {hash.high64, hash.low64};
}

Result<HashedFile> HashFile(Env& env, const Path& path) {
  WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env.Open(path));
  ContentHasher hasher;
  HashedFile hashed;
  std::string piece(kPieceBytes, '\0');
  while (true) {
    WEIR_ASSIGN(const size_t read, file->Read(hashed.bytes, piece));
    if (read == 0) break;
    hasher.Update(std::string_view(piece).substr(0, read));
    hashed.bytes += read;
  }
  hashed.hash = hasher.Digest();
  return hashed;
}

}  // namespace weir
