#include "jobs/shape.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "engine/base/escape.h"
#include "engine/data/civil_time.h"

namespace weir::jobs {
namespace {

constexpr size_t kQuotedBytesMax = 80;
constexpr size_t kTextBytesMax = size_t{64} << 10;
constexpr size_t kListItemsMax = 1024;

std::string_view KindOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a text";
    case Json::value_t::boolean:
      return "true or false";
    default:
      return "a number";
  }
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// "1..32768|auto": the range part and the words beside it.
struct Allowed {
  std::string least, most;
  std::vector<std::string> words;
};
Allowed ParseAllowed(std::string_view text) {
  Allowed allowed;
  if (text.empty()) return allowed;
  for (std::string& part : Split(text, '|')) {
    const size_t dots = part.find("..");
    if (dots == std::string::npos) {
      allowed.words.push_back(std::move(part));
    } else {
      allowed.least = part.substr(0, dots);
      allowed.most = part.substr(dots + 2);
    }
  }
  return allowed;
}

bool HasControlCharacter(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

}  // namespace

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name[0] < 'a' || name[0] > 'z') return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

std::string Quoted(std::string_view text) { return "'" + OneLine(text, kQuotedBytesMax) + "'"; }

std::string DidYouMean(std::string_view word, std::span<const std::string> known) {
  if (word.size() > kNameBytesMax) return "";
  std::string text;
  for (const std::string& near : Suggest(word, known))
    text += (text.empty() ? "did you mean '" : " or '") + near + "'";
  return text.empty() ? text : text + "?";
}

void ShapeChecker::Fail(std::string code, const std::string& pointer, std::string message,
                        std::string help) {
  failed_ = true;
  Problem problem;
  problem.code = std::move(code);
  problem.message = std::move(message);
  problem.pointer = pointer;
  problem.help = std::move(help);
  problems_.Add(std::move(problem));
}

void ShapeChecker::FailAtKey(std::string code, const std::string& pointer, std::string message,
                             std::string help) {
  Fail(std::move(code), pointer, std::move(message), std::move(help));
  problems_.mutable_list().back().at_key = true;
}

Json ShapeChecker::WrongType(const Json& value, const Option& option, const std::string& pointer,
                             const std::string& expected, const std::string& help) {
  Fail("W0203", pointer,
       "'" + std::string(option.name) + "' must be " + expected + ", this is " +
           std::string(KindOf(value)),
       help);
  return nullptr;
}

Json ShapeChecker::CheckObject(const Json& value, std::span<const Option> options,
                               const std::string& pointer, const std::string& what,
                               const std::set<std::string>& passed_over) {
  Json result = Json::object();
  for (const auto& [name, member] : value.items()) {
    if (passed_over.contains(name)) continue;
    const std::string below = pointer + "/" + PointerToken(name);
    const Option* option = FindOption(options, name);
    if (option == nullptr) {
      std::vector<std::string> known(passed_over.begin(), passed_over.end());
      for (const Option& each : options) known.emplace_back(each.name);
      std::string help = DidYouMean(name, known);
      if (help.empty() && !known.empty()) {
        help = "options: ";
        for (size_t i = 0; i < known.size(); ++i) help += (i == 0 ? "" : ", ") + known[i];
      }
      FailAtKey("W0201", below, "unknown option " + Quoted(name) + " of " + what, std::move(help));
      const std::vector<std::string> near =
          name.size() > kNameBytesMax ? std::vector<std::string>() : Suggest(name, known);
      if (near.size() == 1 && !value.contains(near.front()))
        problems_.mutable_list().back().fix = near.front();
      continue;
    }
    if (option->since == "planned") {
      FailAtKey("W0210", below,
                "option '" + name + "' of " + what + " is planned, not in this version");
      continue;
    }
    result[name] = Check(member, *option, below);
  }
  for (const Option& option : options) {
    if (!option.required || option.since == "planned" || value.contains(std::string(option.name)))
      continue;
    FailAtKey("W0202", pointer, "'" + std::string(option.name) + "' of " + what + " is missing",
              std::string(option.doc));
  }
  return result;
}

Json ShapeChecker::Check(const Json& value, const Option& option, const std::string& pointer) {
  switch (option.type) {
    case OptionType::kBool:
    case OptionType::kInt:
    case OptionType::kFloat:
      return CheckNumber(value, option, pointer);
    case OptionType::kString:
    case OptionType::kName:
    case OptionType::kEnum:
    case OptionType::kDuration:
    case OptionType::kDurationOrOff:
    case OptionType::kSize:
    case OptionType::kRate:
    case OptionType::kTimestamp:
    case OptionType::kExpression:
    case OptionType::kBoolExpression:
    case OptionType::kConnection:
      return CheckText(value, option, pointer);
    case OptionType::kExpressionMap:
    case OptionType::kStringMap:
      return CheckMap(value, option, pointer);
    case OptionType::kKeyList:
    case OptionType::kColumns:
    case OptionType::kStringList:
      return CheckList(value, option, pointer);
    case OptionType::kSchema:
      return CheckSchema(value, option, pointer);
    case OptionType::kObject: {
      if (value.is_string() && !option.allowed.empty() &&
          value.get_ref<const std::string&>() == option.allowed)
        return value;
      if (!value.is_object())
        return WrongType(value, option, pointer,
                         option.allowed.empty()
                             ? "an object"
                             : "an object or \"" + std::string(option.allowed) + "\"");
      return CheckObject(value, option.fields, pointer, "'" + std::string(option.name) + "'");
    }
    case OptionType::kFormat:
    case OptionType::kVariant:
      return CheckKind(value, option, pointer);
    case OptionType::kJson:
      return CheckFree(value, option, pointer);
  }
  return value;
}

Json ShapeChecker::CheckNumber(const Json& given, const Option& option,
                               const std::string& pointer) {
  Json value = given;
  const std::string name(option.name);
  const Allowed allowed = ParseAllowed(option.allowed);
  const std::string expected = option.type == OptionType::kBool  ? "true or false"
                               : option.type == OptionType::kInt ? "a whole number"
                                                                 : "a number";
  if (value.is_string()) {
    std::string text = value.get<std::string>();
    for (const std::string& word : allowed.words) {
      if (text == word) return value;
    }
    if (!Substitution::HasReference(text))
      return WrongType(given, option, pointer, expected, "write it without quotes");
    std::optional<Json> substituted = substitution_.Apply(text, pointer, SecretPlace::kNone);
    if (!substituted) {
      failed_ = true;
      return nullptr;
    }
    value = std::move(*substituted);
    if (value.is_string()) {
      text = value.get<std::string>();
      for (const std::string& word : allowed.words) {
        if (text == word) return value;
      }
      const char* const end = text.data() + text.size();
      if (option.type == OptionType::kBool && (text == "true" || text == "false")) {
        value = text == "true";
      } else if (int64_t number = 0; option.type == OptionType::kInt &&
                                     std::from_chars(text.data(), end, number).ptr == end &&
                                     !text.empty()) {
        value = number;
      } else if (double real = 0; option.type == OptionType::kFloat &&
                                  std::from_chars(text.data(), end, real).ptr == end &&
                                  !text.empty()) {
        value = real;
      } else {
        Fail("W0203", pointer,
             "'" + name + "' must be " + expected + ", after substitution it is " + Quoted(text));
        return nullptr;
      }
    }
  }
  if (option.type == OptionType::kBool)
    return value.is_boolean() ? value : WrongType(value, option, pointer, expected);
  if (!value.is_number()) return WrongType(value, option, pointer, expected);
  const std::string range = "'" + name + "' must be in " + allowed.least + " to " + allowed.most +
                            (option.unit.empty() ? "" : " " + std::string(option.unit));
  if (option.type == OptionType::kFloat) {
    const double real = value.get<double>();
    if (!std::isfinite(real)) return WrongType(value, option, pointer, "a finite number");
    if (!allowed.least.empty() &&
        (real < std::stod(allowed.least) || real > std::stod(allowed.most)))
      Fail("W0204", pointer, range);
    return value;
  }
  const bool too_large =
      value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!value.is_number_integer() || too_large) {
    Fail("W0203", pointer, "'" + name + "' must be a whole number of at most 64 bits");
    return nullptr;
  }
  const int64_t number = value.get<int64_t>();
  if (!allowed.least.empty() &&
      (number < std::stoll(allowed.least) || number > std::stoll(allowed.most)))
    Fail("W0204", pointer, range);
  return number;
}

Json ShapeChecker::CheckText(const Json& value, const Option& option, const std::string& pointer) {
  const std::string name(option.name);
  if (!value.is_string()) {
    const bool number = value.is_number();
    switch (option.type) {
      case OptionType::kDuration:
      case OptionType::kDurationOrOff:
        if (number) {
          Fail("W0208", pointer, "'" + name + "' needs a unit",
               "write it as text: \"" + value.dump() + "s\"; units: ms, s, m, h, d");
          return nullptr;
        }
        return WrongType(value, option, pointer, "a duration such as \"5s\"");
      case OptionType::kSize:
        if (number) {
          Fail("W0208", pointer, "'" + name + "' needs a unit",
               "write it as text: \"" + value.dump() + "MiB\"; units: B, KiB, MiB, GiB");
          return nullptr;
        }
        return WrongType(value, option, pointer, "a size such as \"64MiB\"");
      case OptionType::kRate:
        if (number) {
          Fail("W0208", pointer, "'" + name + "' needs a unit",
               "write it as text: \"" + value.dump() + "/s\"");
          return nullptr;
        }
        return WrongType(value, option, pointer, "a rate such as \"500/s\"");
      case OptionType::kExpression:
      case OptionType::kBoolExpression:
        return WrongType(value, option, pointer, "an expression", "write it as text, in quotes");
      default:
        return WrongType(value, option, pointer, "a text");
    }
  }
  const std::string& literal = value.get_ref<const std::string&>();
  std::string text = literal;
  if (option.secret && !literal.empty() && !Substitution::HasSecret(literal)) {
    Problem problem;
    problem.code = "W0212";
    problem.warning = rules_.allow_literal_secrets;
    problem.message = "'" + name + "' is a secret and cannot stand in the file";
    problem.pointer = pointer;
    problem.help =
        "write ${secret:name}: a file below the secrets directory, or an environment variable";
    problems_.Add(std::move(problem));
    if (!rules_.allow_literal_secrets) {
      failed_ = true;
      return nullptr;
    }
  }
  if (IsSubstitutable(option)) {
    const std::optional<Json> substituted = substitution_.Apply(
        literal, pointer, option.secret ? SecretPlace::kAllowed : SecretPlace::kNone);
    if (!substituted) {
      failed_ = true;
      return nullptr;
    }
    if (!substituted->is_string()) {
      if (option.type != OptionType::kString) return CheckText(*substituted, option, pointer);
      text = substituted->dump();
    } else {
      text = substituted->get<std::string>();
    }
  } else if (Substitution::HasReference(literal)) {
    const bool expression =
        option.type == OptionType::kExpression || option.type == OptionType::kBoolExpression;
    if (!expression) {
      Fail("W0214", pointer, "'" + name + "' takes no ${...}");
      return nullptr;
    }
  }
  const bool changed = text != literal;
  switch (option.type) {
    case OptionType::kName:
      if (!IsName(text))
        Fail("W0207", pointer, Quoted(text) + " is not a name",
             "a lower-case letter, then letters, digits and '_', 63 at most");
      break;
    case OptionType::kEnum:
      CheckEnum(text, option, pointer);
      break;
    case OptionType::kDuration:
    case OptionType::kDurationOrOff:
      CheckDuration(text, option, pointer);
      break;
    case OptionType::kSize:
      CheckSize(text, option, pointer);
      break;
    case OptionType::kRate:
      if (!ParseRate(text))
        Fail("W0204", pointer,
             "'" + name + "' must be a rate above zero such as \"500/s\"" +
                 (changed ? ", it is " + Quoted(text) : ""));
      break;
    case OptionType::kTimestamp:
      if (!ParseTimestamp(text))
        Fail("W0204", pointer,
             "'" + name + "' must be a time such as \"2026-01-01T00:00:00Z\"" +
                 (changed ? ", it is " + Quoted(text) : ""));
      break;
    case OptionType::kExpression:
    case OptionType::kBoolExpression:
      if (text.empty()) Fail("W0206", pointer, "'" + name + "' is empty");
      break;
    case OptionType::kConnection: {
      std::vector<std::string> known;
      for (const auto& [connection, type] : rules_.connections) {
        known.push_back(connection);
        if (connection != text) continue;
        if (!option.allowed.empty() && type != option.allowed)
          Fail("W0216", pointer,
               "connection '" + text + "' is of type '" + type + "', not '" +
                   std::string(option.allowed) + "'");
        return text;
      }
      std::string help = DidYouMean(text, known);
      Fail("W0216", pointer, "connection " + Quoted(text) + " is not declared",
           help.empty() ? "declare it below 'connections'" : help);
      if (const std::vector<std::string> near =
              text.size() > kNameBytesMax ? std::vector<std::string>() : Suggest(text, known);
          near.size() == 1) {
        problems_.mutable_list().back().fix = near.front();
      }
      break;
    }
    default:
      if (text.size() > kTextBytesMax)
        Fail("W0204", pointer, "'" + name + "' is longer than 64 KiB");
      if (option.required && text.empty()) Fail("W0206", pointer, "'" + name + "' is empty");
  }
  return text;
}

void ShapeChecker::CheckEnum(const std::string& text, const Option& option,
                             const std::string& pointer) {
  std::vector<std::string> values;
  std::string list;
  for (const std::string& word : Split(option.allowed, '|')) {
    constexpr std::string_view kPlanned = "planned:";
    if (word.starts_with(kPlanned)) {
      if (word.substr(kPlanned.size()) == text) {
        Fail("W0210", pointer,
             "'" + std::string(option.name) + "': '" + text + "' is planned, not in this version");
        return;
      }
      continue;
    }
    if (word == text) return;
    values.push_back(word);
    list += (list.empty() ? "" : ", ") + word;
  }
  std::string help = DidYouMean(text, values);
  Fail("W0209", pointer, Quoted(text) + " is no value of '" + std::string(option.name) + "'", help);
  Problem& problem = problems_.mutable_list().back();
  problem.notes.push_back("values: " + list);
  const std::vector<std::string> near =
      text.size() > kNameBytesMax ? std::vector<std::string>() : Suggest(text, values);
  if (near.size() == 1) problem.fix = near.front();
}

void ShapeChecker::CheckDuration(const std::string& text, const Option& option,
                                 const std::string& pointer) {
  const std::string name(option.name);
  if (option.type == OptionType::kDurationOrOff && text == "off") return;
  const Allowed allowed = ParseAllowed(option.allowed);
  for (const std::string& word : allowed.words) {
    if (text == word) return;
  }
  const bool negative = option.allowed.starts_with("-");
  const std::optional<int64_t> parsed = ParseJobDuration(text, negative);
  if (!parsed) {
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (digits) {
      Fail("W0208", pointer, "'" + name + "' needs a unit",
           "write \"" + OneLine(text, kQuotedBytesMax) + "s\"; units: ms, s, m, h, d");
      return;
    }
    const bool minus = text.starts_with("-") && ParseJobDuration(text, true).has_value();
    Fail("W0204", pointer,
         minus ? "'" + name + "' cannot be negative" : Quoted(text) + " is not a duration",
         minus ? "" : "such as \"500ms\", \"5s\", \"1h30m\"; at most 36500d");
    return;
  }
  std::string_view least = allowed.least;
  if (least.starts_with("-") && !ParseJobDuration(least, true)) least = "";
  const std::optional<int64_t> low = ParseJobDuration(least, true),
                               high = ParseJobDuration(allowed.most, true);
  if ((low && *parsed < *low) || (high && *parsed > *high))
    Fail("W0204", pointer, "'" + name + "' must be in " + allowed.least + " to " + allowed.most);
  if (!low && allowed.least.empty() && !negative && *parsed < 0)
    Fail("W0204", pointer, "'" + name + "' cannot be negative");
}

void ShapeChecker::CheckSize(const std::string& text, const Option& option,
                             const std::string& pointer) {
  const std::string name(option.name);
  const Allowed allowed = ParseAllowed(option.allowed);
  for (const std::string& word : allowed.words) {
    if (text == word) return;
  }
  const std::optional<uint64_t> size = ParseSize(text);
  if (!size) {
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (digits) {
      Fail("W0208", pointer, "'" + name + "' needs a unit",
           "write \"" + OneLine(text, kQuotedBytesMax) + "MiB\"; units: B, KiB, MiB, GiB");
    } else {
      Fail("W0204", pointer, Quoted(text) + " is not a size",
           "such as \"64MiB\"; units: B, KiB, MiB, GiB");
    }
    return;
  }
  const std::optional<uint64_t> low = ParseSize(allowed.least), high = ParseSize(allowed.most);
  if ((low && *size < *low) || (high && *size > *high))
    Fail("W0204", pointer, "'" + name + "' must be in " + allowed.least + " to " + allowed.most);
}

Json ShapeChecker::CheckMap(const Json& value, const Option& option, const std::string& pointer) {
  const bool expressions = option.type == OptionType::kExpressionMap;
  const std::string expected =
      expressions ? "an object of expressions by name" : "an object of texts by name";
  if (!value.is_object()) return WrongType(value, option, pointer, expected);
  if (expressions && value.empty())
    Fail("W0206", pointer, "'" + std::string(option.name) + "' is empty");
  if (value.size() > kListItemsMax)
    Fail("W0217", pointer, "'" + std::string(option.name) + "' has more than 1024 members");
  Json result = Json::object();
  Option item = option;
  item.type = expressions ? OptionType::kExpression : OptionType::kString;
  item.required = false;
  for (const auto& [name, member] : value.items()) {
    const std::string below = pointer + "/" + PointerToken(name);
    if (name.empty() || name.size() > kNameBytesMax || HasControlCharacter(name)) {
      FailAtKey("W0207", below, Quoted(name) + " is not a name",
                "1 to 63 bytes without control characters");
      continue;
    }
    if (!member.is_string()) {
      Fail("W0203", below,
           Quoted(name) +
               (expressions ? " must be an expression, written as text" : " must be a text") +
               ", this is " + std::string(KindOf(member)));
      continue;
    }
    result[name] = CheckText(member, item, below);
  }
  return result;
}

Json ShapeChecker::CheckList(const Json& value, const Option& option, const std::string& pointer) {
  if (!value.is_array()) {
    WrongType(value, option, pointer, "an array of texts",
              value.is_string()
                  ? "put it into brackets: [" +
                        Json(OneLine(value.get<std::string>(), kQuotedBytesMax)).dump() + "]"
                  : "");
    return nullptr;
  }
  if (option.required && value.empty())
    Fail("W0206", pointer, "'" + std::string(option.name) + "' is empty");
  if (value.size() > kListItemsMax)
    Fail("W0217", pointer, "'" + std::string(option.name) + "' has more than 1024 items");
  Json result = Json::array();
  Option item = option;
  item.type = option.type == OptionType::kKeyList ? OptionType::kExpression : OptionType::kString;
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string below = pointer + "/" + std::to_string(i);
    if (!value[i].is_string()) {
      Fail("W0203", below,
           "items of '" + std::string(option.name) + "' must be texts, this is " +
               std::string(KindOf(value[i])));
      continue;
    }
    result.push_back(CheckText(value[i], item, below));
  }
  return result;
}

Json ShapeChecker::CheckSchema(const Json& value, const Option& option,
                               const std::string& pointer) {
  if (!value.is_object())
    return WrongType(value, option, pointer, "an object of types by column name");
  if (value.empty())
    Fail("W0206", pointer, "'" + std::string(option.name) + "' needs at least one column");
  if (value.size() > kListItemsMax)
    Fail("W0217", pointer, "'" + std::string(option.name) + "' has more than 1024 columns");
  static const std::vector<Option> kFields = {
      {.name = "type", .doc = "a type such as \"string?\"", .required = true},
      {.name = "from", .doc = "Field name, or JSON pointer with a leading '/'."},
      {.name = "description", .doc = "What the column holds."},
  };
  for (const auto& [name, member] : value.items()) {
    const std::string below = pointer + "/" + PointerToken(name);
    if (HasControlCharacter(name))
      FailAtKey("W0207", below, Quoted(name) + " is not the name of a column",
                "1 to 63 bytes without control characters");
    if (member.is_object()) {
      CheckObject(member, kFields, below, "column " + Quoted(name));
    } else if (!member.is_string()) {
      Fail("W0203", below,
           "a column is a type such as \"string?\", or an object with 'type', this is " +
               std::string(KindOf(member)));
    }
  }
  return value;
}

Json ShapeChecker::CheckKind(const Json& value, const Option& option, const std::string& pointer) {
  const std::string name(option.name);
  if (!value.is_object()) {
    return WrongType(value, option, pointer, "an object with 'type'",
                     value.is_string()
                         ? "write {\"type\": " +
                               Json(OneLine(value.get<std::string>(), kQuotedBytesMax)).dump() + "}"
                         : "");
  }
  const auto kind = value.find("type");
  if (kind == value.end()) {
    FailAtKey("W0202", pointer, "'type' of '" + name + "' is missing");
    return nullptr;
  }
  if (!kind->is_string()) {
    Fail("W0203", pointer + "/type",
         "'type' must be a text, this is " + std::string(KindOf(*kind)));
    return nullptr;
  }
  const std::string kind_name = kind->get<std::string>();
  std::vector<std::string> known;
  std::vector<Option> fields;
  bool found = false, planned = false;
  if (option.type == OptionType::kFormat) {
    for (const auto& format : rules_.registry->formats()) {
      if (!format->planned) known.emplace_back(format->name);
      if (format->name != kind_name) continue;
      found = true;
      planned = format->planned;
      fields = OptionsOf(*format);
    }
    for (const std::string_view later : PlannedFormats())
      planned = planned || (!found && later == kind_name);
  } else {
    for (const Option::Variant& variant : option.variants) {
      if (!variant.planned) known.emplace_back(variant.name);
      if (variant.name != kind_name) continue;
      found = true;
      planned = variant.planned;
      fields = variant.fields;
    }
  }
  if (planned) {
    Fail("W0210", pointer + "/type", name + " '" + kind_name + "' is planned, not in this version");
    return nullptr;
  }
  if (!found) {
    std::string list;
    for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
    Fail("W0211", pointer + "/type", "unknown " + name + " " + Quoted(kind_name),
         DidYouMean(kind_name, known));
    Problem& problem = problems_.mutable_list().back();
    problem.notes.push_back(name + " types: " + list);
    const std::vector<std::string> near =
        kind_name.size() > kNameBytesMax ? std::vector<std::string>() : Suggest(kind_name, known);
    if (near.size() == 1) problem.fix = near.front();
    return nullptr;
  }
  Json result = CheckObject(value, fields, pointer, name + " '" + kind_name + "'", {"type"});
  result["type"] = kind_name;
  return result;
}

Json ShapeChecker::CheckFree(const Json& value, const Option& option, const std::string& pointer) {
  if (value.is_string()) {
    if (!option.substitute) return value;
    std::optional<Json> substituted =
        substitution_.Apply(value.get<std::string>(), pointer, SecretPlace::kNone);
    if (!substituted) failed_ = true;
    return substituted ? std::move(*substituted) : Json();
  }
  if (!value.is_structured()) return value;
  Json result = value;
  for (auto member = result.begin(); member != result.end(); ++member) {
    const std::string token =
        value.is_object() ? PointerToken(member.key()) : std::to_string(member - result.begin());
    *member = CheckFree(*member, option, pointer + "/" + token);
  }
  return result;
}

}  // namespace weir::jobs
