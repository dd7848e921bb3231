#include "jobs/substitution.h"

#include <algorithm>

#include "engine/api/secrets.h"
#include "engine/base/escape.h"
#include "engine/base/json.h"

namespace weir::jobs {
namespace {

bool IsVariableName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Doubles the `$` of each `${`, so that text from outside cannot become a secret reference.
std::string Protected(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "${") result += '$';
    result += text[i];
  }
  return result;
}

}  // namespace

bool Substitution::HasReference(std::string_view text) {
  for (size_t i = text.find("${"); i != std::string_view::npos; i = text.find("${", i + 2)) {
    if (i == 0 || text[i - 1] != '$') return true;
  }
  return false;
}

bool Substitution::HasSecret(std::string_view text) {
  for (size_t i = text.find("${secret:"); i != std::string_view::npos;
       i = text.find("${secret:", i + 2)) {
    if (i == 0 || text[i - 1] != '$') return true;
  }
  return false;
}

void Substitution::Fail(const std::string& pointer, std::pair<size_t, size_t> inside,
                        std::string message, std::string help) const {
  Problem problem;
  problem.code = "W0214";
  problem.message = std::move(message);
  problem.pointer = pointer;
  problem.inside = inside;
  problem.help = std::move(help);
  problems_.Add(std::move(problem));
}

std::optional<std::string> Substitution::Variable(std::string_view body, const std::string& pointer,
                                                  std::pair<size_t, size_t> inside) const {
  const size_t colon = body.find(':');
  const std::string name(body.substr(0, colon));
  const std::string_view rest =
      colon == std::string_view::npos ? std::string_view() : body.substr(colon);
  const bool has_default = rest.starts_with(":-");
  const bool has_message = rest.starts_with(":?");
  if (!IsVariableName(name) || (!rest.empty() && !has_default && !has_message)) {
    Fail(pointer, inside, "'${" + std::string(body) + "}' is no reference",
         "forms: ${NAME}, ${NAME:-default}, ${NAME:?message}, ${params.x}, ${secret:name}; a "
         "literal '${' is written '$${'");
    return std::nullopt;
  }
  std::optional<std::string> value = environment_ ? environment_(name) : std::nullopt;
  if (value && !IsUtf8(*value)) {
    Fail(pointer, inside, "environment variable '" + name + "' is not UTF-8", "");
    return std::nullopt;
  }
  if (value) return value;
  if (has_default) return std::string(rest.substr(2));
  if (has_message) {
    Fail(pointer, inside,
         "environment variable '" + name + "' is not set: " + std::string(rest.substr(2)), "");
    return std::nullopt;
  }
  Fail(pointer, inside, "environment variable '" + name + "' is not set",
       "set it, or give a default: ${" + name + ":-default}");
  return std::nullopt;
}

std::optional<Json> Substitution::Apply(const std::string& text, const std::string& pointer,
                                        SecretPlace secrets) const {
  std::string result;
  bool sound = true;
  size_t at = 0;
  while (at < text.size()) {
    if (text.compare(at, 3, "$${") == 0) {
      result += secrets == SecretPlace::kNone ? "${" : "$${";
      at += 3;
      continue;
    }
    if (text.compare(at, 2, "${") != 0) {
      result += text[at++];
      continue;
    }
    const size_t end = text.find('}', at);
    const std::pair<size_t, size_t> inside = {at, end == std::string::npos ? text.size() : end + 1};
    if (end == std::string::npos) {
      Fail(pointer, inside, "'${' has no closing '}'", "a literal '${' is written '$${'");
      return std::nullopt;
    }
    const std::string_view body = std::string_view(text).substr(at + 2, end - at - 2);
    at = end + 1;
    if (body.find("${") != std::string_view::npos) {
      Fail(pointer, inside, "references cannot be nested", "");
      return std::nullopt;  // the rest would be read at the wrong bracket
    }
    if (body.starts_with("params.")) {
      const std::string_view name = body.substr(7);
      const auto found = parameters_.find(name);
      if (found == parameters_.end()) {
        std::vector<std::string> names;
        names.reserve(parameters_.size());
        for (const auto& [known, unused] : parameters_) names.push_back(known);
        const std::vector<std::string> near = Suggest(name, names);
        Fail(pointer, inside, "parameter '" + std::string(name) + "' is not declared",
             near.empty() ? "declare it below 'params'" : "did you mean '" + near.front() + "'?");
        sound = false;
        continue;
      }
      if (inside.first == 0 && inside.second == text.size()) {
        return found->second.value;
      }
      if (found->second.value.is_null()) {
        Fail(pointer, inside, "parameter '" + std::string(name) + "' is null", "");
        sound = false;
        continue;
      }
      const std::string value = TextOf(found->second.value);
      result += secrets == SecretPlace::kNone ? value : Protected(value);
      continue;
    }
    if (body.starts_with("secret:")) {
      const std::string_view name = body.substr(7);
      if (!IsSecretName(name)) {
        Fail(pointer, inside, "'" + std::string(name) + "' is not the name of a secret",
             "letters, digits, '.', '_' and '-', with at most one '/' and no '..'");
        sound = false;
      } else if (secrets == SecretPlace::kNone) {
        Fail(pointer, inside, "a secret cannot stand here",
             "secrets stand in passwords, keys and certificates of connections");
        sound = false;
      }
      result += "${secret:" + std::string(name) + "}";
      continue;
    }
    const std::optional<std::string> value = Variable(body, pointer, inside);
    if (!value) {
      sound = false;
      continue;
    }
    result += secrets == SecretPlace::kNone ? *value : Protected(*value);
  }
  if (!sound) return std::nullopt;
  return Json(result);
}

std::optional<std::string> ParameterText(const Parameter& parameter) {
  if (parameter.value.is_null()) return std::nullopt;
  return TextOf(parameter.value);
}

}  // namespace weir::jobs
