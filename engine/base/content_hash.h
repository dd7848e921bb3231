#pragma once
// HashContent's hash of what comes in pieces, so that a table file of the state costs no memory of
// its size. ContentHasher: any thread, one caller at a time. HashFile: P; errors are the Env's.

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/env.h"

namespace weir {

class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(const ContentHasher&) = delete;
  ContentHasher& operator=(const ContentHasher&) = delete;

  void Update(std::string_view piece);
  /// Of all pieces so far, as if they were one.
  Hash128 Digest() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

struct HashedFile {
  Hash128 hash;
  uint64_t bytes = 0;
};
/// A file of any length.
Result<HashedFile> HashFile(Env& env, const Path& path);

}  // namespace weir
