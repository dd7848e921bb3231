#pragma once
// ShapeChecker: compares values of a job file with the options that the registry declares and gives
// them their final form: substituted, of the declared type. It knows no option by name; what is
// right for one option is right for all of its type. Problems have codes W02xx.

#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/options.h"
#include "engine/api/problems.h"
#include "engine/base/json.h"
#include "jobs/substitution.h"

namespace weir::jobs {

inline constexpr size_t kNameBytesMax = 63;

/// `[a-z][a-z0-9_]{0,62}`
bool IsName(std::string_view name);
/// `text` in quotes, made printable and short: for messages.
std::string Quoted(std::string_view text);
/// "did you mean 'x'?"; empty if nothing is near.
std::string DidYouMean(std::string_view word, std::span<const std::string> known);

class ShapeChecker {
 public:
  struct Rules {
    const Registry* registry = nullptr;
    std::vector<std::pair<std::string, std::string>> connections;  // name, type
    bool allow_literal_secrets = false;
  };
  ShapeChecker(const Substitution& substitution, Problems& problems)
      : substitution_(substitution), problems_(problems) {}
  void SetRules(Rules rules) { rules_ = std::move(rules); }

  /// The final form of `value`, an object with these options; `passed_over`: members that somebody
  /// else checks. Sets `failed` after a problem.
  Json CheckObject(const Json& value, std::span<const Option> options, const std::string& pointer,
                   const std::string& what, const std::set<std::string>& passed_over = {});
  Json Check(const Json& value, const Option& option, const std::string& pointer);

  /// Starts a new count of problems; answers whether there were any since the last call.
  bool TakeFailed() {
    const bool failed = failed_;
    failed_ = false;
    return failed;
  }
  void Fail(std::string code, const std::string& pointer, std::string message,
            std::string help = "");
  void FailAtKey(std::string code, const std::string& pointer, std::string message,
                 std::string help = "");

 private:
  Json CheckText(const Json& value, const Option& option, const std::string& pointer);
  Json CheckNumber(const Json& value, const Option& option, const std::string& pointer);
  Json CheckMap(const Json& value, const Option& option, const std::string& pointer);
  Json CheckList(const Json& value, const Option& option, const std::string& pointer);
  Json CheckSchema(const Json& value, const Option& option, const std::string& pointer);
  Json CheckKind(const Json& value, const Option& option, const std::string& pointer);
  Json CheckFree(const Json& value, const Option& option, const std::string& pointer);
  void CheckEnum(const std::string& text, const Option& option, const std::string& pointer);
  void CheckDuration(const std::string& text, const Option& option, const std::string& pointer);
  void CheckSize(const std::string& text, const Option& option, const std::string& pointer);
  Json WrongType(const Json& value, const Option& option, const std::string& pointer,
                 const std::string& expected, const std::string& help = "");

  const Substitution& substitution_;
  Problems& problems_;
  Rules rules_;
  bool failed_ = false;
};

}  // namespace weir::jobs
