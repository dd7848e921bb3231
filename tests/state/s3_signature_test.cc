#include "state/s3_signature.h"

#include <gtest/gtest.h>

#include "engine/base/bytes.h"
#include "engine/data/civil_time.h"

namespace weir::state {
namespace {

// The keys of Amazon's published examples.
S3Credentials Example() {
  S3Credentials credentials;
  credentials.key_id = "AKIAIOSFODNN7EXAMPLE";
  credentials.secret_key = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  return credentials;
}

std::string HeaderOf(const S3Message& message, std::string_view name) {
  for (const auto& [key, value] : message.headers) {
    if (key == name) return value;
  }
  return {};
}

std::string Signed(S3Message message) {
  message.headers.emplace_back("host", "examplebucket.s3.amazonaws.com");
  if (message.payload_sha256.empty()) message.payload_sha256 = Sha256Hex("");
  Sign(message, Example(), {"us-east-1"}, EventTime{*ParseTimestamp("2013-05-24T00:00:00Z")});
  const std::string authorization = HeaderOf(message, "authorization");
  EXPECT_TRUE(authorization.starts_with(
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"))
      << authorization;
  EXPECT_EQ(HeaderOf(message, "x-amz-date"), "20130524T000000Z");
  return authorization.substr(authorization.rfind('=') + 1);
}

TEST(S3Signature, IsThatOfAmazonsExamples) {
  EXPECT_EQ(Signed({"GET", "/test.txt", {}, {{"range", "bytes=0-9"}}, ""}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(Signed({"PUT",
                    "/test$file.text",
                    {},
                    {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                    Sha256Hex("Welcome to Amazon S3.")}),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(Signed({"GET", "/", {{"lifecycle", ""}}, {}, ""}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(Signed({"GET", "/", {{"max-keys", "2"}, {"prefix", "J"}}, {}, ""}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3Signature, IsThatOfTheGeneralTestSuite) {
  S3Credentials credentials;
  credentials.key_id = "AKIDEXAMPLE";
  credentials.secret_key = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  S3Message message{"GET", "/", {}, {{"host", "example.amazonaws.com"}}, Sha256Hex("")};
  Sign(message, credentials, {"us-east-1", "service"},
       EventTime{*ParseTimestamp("2015-08-30T12:36:00Z")});
  EXPECT_EQ(HeaderOf(message, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
            "SignedHeaders=host;x-amz-date,Signature="
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(S3Signature, CoversTheTokenOfTemporaryCredentials) {
  S3Credentials credentials = Example();
  credentials.session_token = Secret("a-token");
  S3Message message{"GET", "/", {}, {{"host", "h"}}, Sha256Hex("")};
  Sign(message, credentials, {"us-east-1"}, EventTime{0});
  EXPECT_EQ(HeaderOf(message, "x-amz-security-token"), "a-token");
  EXPECT_NE(HeaderOf(message, "authorization").find("x-amz-security-token"), std::string::npos);
}

TEST(S3Signature, EncodesAsTheServersDo) {
  EXPECT_EQ(UriEncode("a b+c=\xC3\xBC%41~/x", true), "a%20b%2Bc%3D%C3%BC%2541~/x");
  EXPECT_EQ(UriEncode("a/b", false), "a%2Fb");
  EXPECT_EQ(CanonicalQuery({{"prefix", "a/b"}, {"list-type", "2"}, {"uploads", ""}}),
            "list-type=2&prefix=a%2Fb&uploads=");
  const S3Message message{"GET", "/k", {}, {{"x-b", "  a   b "}, {"host", "h"}}, "00"};
  EXPECT_EQ(CanonicalRequest(message), "GET\n/k\n\nhost:h\nx-b:a b\n\nhost;x-b\n00");
}

}  // namespace
}  // namespace weir::state
