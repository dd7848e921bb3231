#pragma once
// SHA-256 over bytes that come in pieces, and HMAC-SHA256: what signed requests are made of.
// Values; any thread. Over OpenSSL; a failure of its is a check, since none of these calls can fail
// on valid input.

#include <memory>
#include <string>
#include <string_view>

namespace weir {

inline constexpr size_t kSha256Bytes = 32;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Update(std::string_view bytes);
  /// The digest's 32 bytes. Once, after the last Update.
  std::string Digest();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view text);
/// Lower case.
std::string HexOf(std::string_view bytes);

}  // namespace weir
