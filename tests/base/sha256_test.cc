#include "engine/base/sha256.h"

#include <gtest/gtest.h>

#include "engine/base/bytes.h"

namespace weir {
namespace {

TEST(Sha256, IsTheSameInPiecesAndWhole) {
  const std::string text(100'000, 'a');
  for (const size_t piece : {size_t{1}, size_t{63}, size_t{64}, size_t{4096}, text.size()}) {
    Sha256 digest;
    for (size_t at = 0; at < text.size(); at += piece)
      digest.Update(std::string_view(text).substr(at, piece));
    EXPECT_EQ(HexOf(digest.Digest()), Sha256Hex(text)) << piece;
  }
  // FIPS 180-4's example.
  Sha256 abc;
  abc.Update("abc");
  EXPECT_EQ(HexOf(abc.Digest()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, AuthenticatesAsRfc4231Says) {
  EXPECT_EQ(HexOf(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexOf(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

}  // namespace
}  // namespace weir
