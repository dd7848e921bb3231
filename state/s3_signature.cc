#include "state/s3_signature.h"

#include <algorithm>

#include "engine/base/bytes.h"
#include "engine/base/sha256.h"
#include "engine/data/civil_time.h"

namespace weir::state {
namespace {

/// "20130524T000000Z"
std::string CompactTime(EventTime now) {
  const EventTime whole{now.us - now.us % 1'000'000};
  std::string text;
  for (const char c : TimestampToString(whole.us)) {
    if (c != '-' && c != ':') text += c;
  }
  return text;
}

/// A header's value without outer blanks, inner ones as one.
std::string TrimmedValue(std::string_view value) {
  std::string text;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t';
    if (blank && (text.empty() || text.back() == ' ')) continue;
    text += blank ? ' ' : c;
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::vector<NamedText> SortedHeaders(const S3Message& message) {
  std::vector<NamedText> headers = message.headers;
  std::sort(headers.begin(), headers.end());
  return headers;
}

std::string SignedNames(const S3Message& message) {
  std::string names;
  for (const auto& [name, value] : SortedHeaders(message)) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

}  // namespace

std::string UriEncode(std::string_view text, bool keep_slash) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[static_cast<uint8_t>(c) >> 4];
      encoded += kDigits[static_cast<uint8_t>(c) & 15];
    }
  }
  return encoded;
}

std::string CanonicalQuery(std::vector<NamedText> query) {
  for (auto& [name, value] : query) {
    name = UriEncode(name, false);
    value = UriEncode(value, false);
  }
  std::sort(query.begin(), query.end());
  std::string text;
  for (const auto& [name, value] : query) {
    if (!text.empty()) text += '&';
    text += name;
    text += '=';
    text += value;
  }
  return text;
}

std::string CanonicalRequest(const S3Message& message) {
  std::string text = message.method + "\n" + UriEncode(message.path, true) + "\n" +
                     CanonicalQuery(message.query) + "\n";
  for (const auto& [name, value] : SortedHeaders(message))
    text += name + ":" + TrimmedValue(value) + "\n";
  return text + "\n" + SignedNames(message) + "\n" + message.payload_sha256;
}

void Sign(S3Message& message, const S3Credentials& credentials, const S3Scope& scope,
          EventTime now) {
  const std::string time = CompactTime(now);
  const std::string day = time.substr(0, time.find('T'));
  const std::string place = day + "/" + scope.region + "/" + scope.service + "/aws4_request";
  message.headers.emplace_back("x-amz-date", time);
  if (scope.service == "s3")
    message.headers.emplace_back("x-amz-content-sha256", message.payload_sha256);
  if (!credentials.session_token.empty())
    message.headers.emplace_back("x-amz-security-token", credentials.session_token.Reveal());
  const std::string to_sign =
      "AWS4-HMAC-SHA256\n" + time + "\n" + place + "\n" + Sha256Hex(CanonicalRequest(message));
  Secret key("AWS4" + credentials.secret_key.Reveal());
  for (const std::string_view part :
       {std::string_view(day), std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")}) {
    key = Secret(HmacSha256(key.Reveal(), part));
  }
  message.headers.emplace_back("authorization",
                               "AWS4-HMAC-SHA256 Credential=" + credentials.key_id + "/" + place +
                                   ",SignedHeaders=" + SignedNames(message) +
                                   ",Signature=" + HexOf(HmacSha256(key.Reveal(), to_sign)));
}

}  // namespace weir::state
