#pragma once
// Secrets of a job: `${secret:name}` or `${secret:name/key}` is a file below the secrets directory
// (a mounted Kubernetes Secret) or, by its plain name, an environment variable. Read on the worker
// when a client is made, never kept, never in a message. A.
//
// In substituted options the references still stand, and `$${` is a literal `${`; ResolveSecrets
// makes both final.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/api/registry.h"
#include "engine/base/env.h"
#include "engine/base/status.h"

namespace weir {

inline constexpr uint64_t kSecretBytesMax = uint64_t{256} << 10;

/// `name` or `name/key` of letters, digits, `.`, `_`, `-`; no `..`.
bool IsSecretName(std::string_view reference);

/// Replaces every reference in `text` by its value and `$${` by `${`. kNotFound names the
/// reference.
Result<std::string> ResolveSecrets(const JobSettings& job, std::string_view text);

/// Where secrets are found. Must outlive the settings that point to it.
class SecretStore {
 public:
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;
  /// `directory` empty: no files. `environment` answers allowed variables only.
  SecretStore(Env& env, Path directory, Lookup environment)
      : env_(env), directory_(std::move(directory)), environment_(std::move(environment)) {}

  Result<std::string> Read(std::string_view reference) const;
  /// Makes `job` resolve its secrets here.
  void AttachTo(JobSettings& job) const;

 private:
  Env& env_;
  const Path directory_;
  const Lookup environment_;
};

}  // namespace weir
