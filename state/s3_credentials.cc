#include "state/s3_credentials.h"

#include <algorithm>

#include "engine/base/escape.h"
#include "engine/base/log.h"
#include "engine/data/civil_time.h"
#include "state/s3_xml.h"

namespace weir::state {
namespace {

constexpr Duration kFileAgeMax = Seconds(60);  // a Secret's file may change under a pod
constexpr Duration kRefreshBeforeExpiry = Seconds(300);
constexpr Duration kRefreshRetry = Seconds(10);  // while the old keys are still good
constexpr Duration kTokenServiceTime = Seconds(10);
constexpr size_t kFileBytesMax = size_t{64} << 10;
constexpr size_t kMessageBytesMax = 300;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

bool StillGood(const S3Credentials& credentials, EventTime now) {
  return credentials.expires > now;
}

}  // namespace

Result<S3Credentials> S3CredentialSource::Get(uint64_t interrupts) {
  if (!options_.key_id.empty())
    return S3Credentials{options_.key_id, options_.secret_key, options_.session_token};
  const std::lock_guard lock(mutex_);
  const EventTime now = env_.Now();
  if (kept_ && now < refresh_at_ && StillGood(*kept_, now)) return *kept_;
  Result<S3Credentials> fetched =
      !options_.credentials_file.empty() ? FromFile()
      : !options_.role_arn.empty()
          ? FromWebIdentity(interrupts)
          : Result<S3Credentials>(Status(Code::kPermissionDenied,
                                         "no S3 credentials: set AWS_ACCESS_KEY_ID and "
                                         "AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE, or "
                                         "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN"));
  if (fetched.ok()) {
    kept_ = *fetched;
    refresh_at_ = options_.credentials_file.empty()
                      ? EventTime{std::max(SatAdd(kept_->expires.us, -kRefreshBeforeExpiry.us),
                                           SatAdd(now, kRefreshRetry).us)}
                      : SatAdd(now, kFileAgeMax);
    return fetched;
  }
  if (!kept_ || !StillGood(*kept_, now)) return fetched;
  refresh_at_ = SatAdd(now, kRefreshRetry);
  WEIR_LOG_EVERY_MS(60'000, kWarn, "cannot renew S3 credentials; going on with the old ones",
                    {"error", fetched.status().message()});
  return *kept_;
}

bool S3CredentialSource::Refused(const S3Credentials& credentials) {
  if (!options_.key_id.empty()) return false;
  const std::lock_guard lock(mutex_);
  if (kept_ && kept_->key_id == credentials.key_id &&
      kept_->secret_key.Reveal() == credentials.secret_key.Reveal())
    kept_.reset();
  return true;
}

/// The profile's section of an AWS credentials file: "[default]", then "name = value" lines.
Result<S3Credentials> S3CredentialSource::FromFile() {
  Result<std::string> read = ReadWholeFile(env_, options_.credentials_file, kFileBytesMax);
  if (!read.ok()) return read.status().At("AWS_SHARED_CREDENTIALS_FILE");
  const Secret text(std::move(read).value());
  S3Credentials credentials;
  bool inside = false;
  for (std::string_view rest = text.Reveal(); !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = Trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.starts_with('[')) {
      inside = line == "[" + options_.profile + "]";
    } else if (const size_t equals = line.find('='); inside && equals != std::string_view::npos) {
      const std::string_view name = Trimmed(line.substr(0, equals));
      const std::string value(Trimmed(line.substr(equals + 1)));
      if (name == "aws_access_key_id") credentials.key_id = value;
      if (name == "aws_secret_access_key") credentials.secret_key = Secret(value);
      if (name == "aws_session_token") credentials.session_token = Secret(value);
    }
  }
  if (credentials.key_id.empty() || credentials.secret_key.empty()) {
    return Status(Code::kPermissionDenied, "\"" + options_.credentials_file +
                                               "\" has no aws_access_key_id and "
                                               "aws_secret_access_key in section [" +
                                               options_.profile + "]");
  }
  return credentials;
}

Result<S3Credentials> S3CredentialSource::FromWebIdentity(uint64_t interrupts) {
  Result<std::string> read = ReadWholeFile(env_, options_.web_identity_token_file, kFileBytesMax);
  if (!read.ok()) return read.status().At("AWS_WEB_IDENTITY_TOKEN_FILE");
  const Secret token(std::move(read).value());
  const std::string endpoint = options_.sts_endpoint.empty()
                                   ? "https://sts." + options_.region + ".amazonaws.com"
                                   : options_.sts_endpoint;
  const Secret form("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" +
                    UriEncode(options_.role_arn, false) +
                    "&RoleSessionName=" + UriEncode(options_.role_session_name, false) +
                    "&WebIdentityToken=" + UriEncode(Trimmed(token.Reveal()), false));
  HttpRequest request;
  request.method = "POST";
  request.url = endpoint + "/";
  request.body = form.Reveal();
  request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
  request.interrupts = interrupts;
  Result<HttpResponse> answer = http_.Call(request, kTokenServiceTime);
  const std::string where = "role " + options_.role_arn + " at " + endpoint;
  if (!answer.ok()) return answer.status().At(where);
  Result<XmlElement> xml = ParseXml(answer->body);
  if (answer->status != 200) {
    const XmlElement* error = xml.ok() ? xml->Find("Error") : nullptr;
    const std::string text =
        where + ": " + std::to_string(answer->status) +
        (error == nullptr ? std::string()
                          : " " + OneLine(error->TextOf("Code") + ": " + error->TextOf("Message"),
                                          kMessageBytesMax));
    const bool later = answer->status >= 500 || answer->status == 429;
    return later ? Status(Code::kUnavailable, text, Fault::kExternal, Retry::kBackoff)
                 : Status(Code::kPermissionDenied, text);
  }
  if (!xml.ok()) return xml.status().At(where);
  const XmlElement* result = xml->Find("AssumeRoleWithWebIdentityResult");
  const XmlElement* found = result == nullptr ? nullptr : result->Find("Credentials");
  if (found == nullptr) return Status(Code::kCorruption, where + ": no credentials in the answer");
  S3Credentials credentials;
  credentials.key_id = found->TextOf("AccessKeyId");
  credentials.secret_key = Secret(found->TextOf("SecretAccessKey"));
  credentials.session_token = Secret(found->TextOf("SessionToken"));
  const std::optional<int64_t> expires = ParseTimestamp(found->TextOf("Expiration"));
  if (credentials.key_id.empty() || credentials.secret_key.empty() || !expires)
    return Status(Code::kCorruption, where + ": incomplete credentials in the answer");
  credentials.expires = EventTime{*expires};
  return credentials;
}

}  // namespace weir::state
