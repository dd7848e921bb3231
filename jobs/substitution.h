#pragma once
// Substitution: `${NAME}`, `${params.x}`, `${secret:...}` inside string values of a job.
// Done once, after parsing, without recursion: what a variable holds is never
// looked into again.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/problems.h"
#include "engine/base/json.h"
#include "engine/expr/expression.h"

namespace weir::jobs {

enum class SecretPlace : uint8_t {
  kNone,     // no secret may stand here
  kAllowed,  // `${secret:}` stays in the text until it is resolved; `$${` stays doubled
};

struct Parameter {
  Type type;
  bool nullable = false;
  Json value;  // as the option would hold it: number, bool, text; null
};

class Substitution {
 public:
  using Lookup = std::function<std::optional<std::string>(const std::string& name)>;
  Substitution(Lookup environment, Problems& problems)
      : environment_(std::move(environment)), problems_(problems) {}

  void Declare(const std::string& name, Parameter parameter) {
    parameters_[name] = std::move(parameter);
  }
  /// The value of `text` after substitution: a string, or a parameter's own value if the text is
  /// nothing else. Empty after a problem.
  std::optional<Json> Apply(const std::string& text, const std::string& pointer,
                            SecretPlace secrets) const;

  static bool HasReference(std::string_view text);
  /// True if a `${secret:}` stands in it.
  static bool HasSecret(std::string_view text);

 private:
  std::optional<std::string> Variable(std::string_view body, const std::string& pointer,
                                      std::pair<size_t, size_t> inside) const;
  void Fail(const std::string& pointer, std::pair<size_t, size_t> inside, std::string message,
            std::string help) const;

  const Lookup environment_;
  Problems& problems_;
  std::map<std::string, Parameter, std::less<>> parameters_;
};

/// A parameter's value as the text that expressions parse; empty: null.
std::optional<std::string> ParameterText(const Parameter& parameter);

}  // namespace weir::jobs
