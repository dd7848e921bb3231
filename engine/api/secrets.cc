#include "engine/api/secrets.h"

#include "engine/base/check.h"

namespace weir {
namespace {

constexpr std::string_view kReferenceStart = "${secret:";

bool IsNamePart(std::string_view part) {
  if (part.empty() || part == "." || part.find("..") != std::string_view::npos) return false;
  for (const char c : part) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!good) return false;
  }
  return true;
}

}  // namespace

bool IsSecretName(std::string_view reference) {
  const size_t slash = reference.find('/');
  if (slash == std::string_view::npos) return IsNamePart(reference);
  return IsNamePart(reference.substr(0, slash)) && IsNamePart(reference.substr(slash + 1));
}

Result<std::string> ResolveSecrets(const JobSettings& job, std::string_view text) {
  std::string result;
  size_t at = 0;
  while (at < text.size()) {
    if (text.substr(at, 3) == "$${") {
      result += "${";
      at += 3;
      continue;
    }
    if (text.substr(at, kReferenceStart.size()) != kReferenceStart) {
      result += text[at++];
      continue;
    }
    const size_t end = text.find('}', at);
    if (end == std::string_view::npos)
      return Status(Code::kInvalidArgument, "a secret reference has no closing '}'");
    const std::string_view reference =
        text.substr(at + kReferenceStart.size(), end - at - kReferenceStart.size());
    if (!IsSecretName(reference))
      return Status(Code::kInvalidArgument,
                    "a secret is named by letters, digits, '.', '_' and '-', with at most one '/'");
    if (job.resolve_secret == nullptr) {
      return Status(Code::kNotFound, "secret '" + std::string(reference) +
                                         "' cannot be read: no secrets directory is set");
    }
    WEIR_ASSIGN(const std::string value, job.resolve_secret(reference, job.secret_context));
    result += value;
    at = end + 1;
  }
  return result;
}

Result<std::string> SecretStore::Read(std::string_view reference) const {
  const std::string name(reference);
  if (!IsSecretName(reference))
    return Status(Code::kInvalidArgument, "'" + name + "' is not the name of a secret");
  Status failure(Code::kNotFound, "no file below the secrets directory");
  if (!directory_.empty()) {
    Result<std::string> value = ReadWholeFile(env_, directory_ + "/" + name, kSecretBytesMax);
    if (value.ok()) {
      std::string text = std::move(value).value();
      // Editors and `echo` end a file with a line end that is not part of the secret.
      if (!text.empty() && text.back() == '\n') text.pop_back();
      if (!text.empty() && text.back() == '\r') text.pop_back();
      return text;
    }
    failure = value.status();
  }
  if (environment_ && name.find('/') == std::string::npos) {
    if (std::optional<std::string> value = environment_(name)) return std::move(*value);
  }
  if (failure.code() != Code::kNotFound) return failure.At("secret '" + name + "'");
  return Status(Code::kNotFound, "secret '" + name +
                                     "' does not exist: neither a file below the secrets directory "
                                     "nor an allowed environment variable");
}

void SecretStore::AttachTo(JobSettings& job) const {
  job.secret_context = this;
  job.resolve_secret = [](std::string_view reference, const void* context) {
    return static_cast<const SecretStore*>(context)->Read(reference);
  };
}

}  // namespace weir
