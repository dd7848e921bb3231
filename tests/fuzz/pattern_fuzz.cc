// Patterns, in the form "pattern\ntext": LIKE against a matcher of twenty lines, written constant
// or coming with the row; regular expressions are refused or match, in time that does not hang on
// the pattern.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/escape.h"
#include "engine/data/row_builder.h"
#include "engine/expr/expression.h"
#include "tests/fuzz/target.h"

namespace {

constexpr size_t kOracleBytesMax = 64;  // the matcher below looks at every way

const weir::SchemaRef& TextSchema() {
  static const weir::SchemaRef kSchema = std::make_shared<const weir::Schema>(
      std::vector<weir::Field>{{"s", weir::Type::Of(weir::TypeKind::kString), false},
                               {"p", weir::Type::Of(weir::TypeKind::kString), false}});
  return kSchema;
}

weir::Batch Row(std::string_view text, std::string_view pattern) {
  weir::RowBuilder rows(TextSchema());
  rows.column(size_t{0}).AppendString(text);
  rows.column(size_t{1}).AppendString(pattern);
  rows.FinishRow();
  return rows.Build();
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted.append(c == '\'' ? 2 : 1, c);
  return quoted + "'";
}

/// The value as text; "error" for a row error. Empty: refused when bound.
std::optional<std::string> Value(const std::string& expression, const weir::Batch& row) {
  weir::Scope scope;
  scope.inputs.push_back({"x", TextSchema()});
  const weir::BindResult bound = weir::BindExpression(expression, scope, {});
  if (!bound.expression) return std::nullopt;
  weir::RowErrors errors;
  const weir::Column column = bound.expression.Evaluate(row, errors);
  return errors.Has(0) ? "error" : weir::ValueToString(column, 0);
}

/// Bytes of the character that `text` begins with.
size_t Length(std::string_view text) {
  size_t length = 1;
  while (length < text.size() && (static_cast<uint8_t>(text[length]) & 0xC0) == 0x80) ++length;
  return length;
}

bool Like(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '%') {
    for (;; text.remove_prefix(Length(text))) {
      if (Like(text, pattern.substr(1))) return true;
      if (text.empty()) return false;
    }
  }
  if (text.empty()) return false;
  if (pattern.front() == '_') return Like(text.substr(Length(text)), pattern.substr(1));
  if (pattern.front() == '\\') pattern.remove_prefix(1);
  const size_t length = Length(pattern);
  return text.starts_with(pattern.substr(0, length)) &&
         Like(text.substr(length), pattern.substr(length));
}

/// Ends with an escape that escapes nothing.
bool OpenEscape(std::string_view pattern) {
  bool open = false;
  for (const char c : pattern) open = c == '\\' && !open;
  return open;
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {"a%b_c\nabbbc",
          "%\\%%\n50% off",
          "_ä_\naäo",
          "%abc\nxabcabc",
          "(a+)+$\naaaaaaaaaaaaaaaaaaaaaaaaaaab",
          "^\\s*([a-z]{2,3})\\.(\\d+)?[^\\n]$\nab.12x",
          "(?i)(?:x|y)*?\\b\\pL\nyxz"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t cut = std::min(input.find('\n'), input.size());
  const std::string pattern(input.substr(0, cut));
  const std::string text(input.substr(std::min(cut + 1, input.size())));
  // Texts of a job are UTF-8 without a NUL: its scanner and its decoders see to that.
  if (!weir::IsUtf8(pattern) || !weir::IsUtf8(text) || pattern.find('\0') != std::string::npos)
    return 0;
  const weir::Batch row = Row(text, pattern);

  const std::optional<std::string> constant = Value("s LIKE " + Quoted(pattern), row);
  const std::optional<std::string> dynamic = Value("s LIKE p", row);
  WEIR_CHECK(dynamic.has_value());
  if (constant) WEIR_CHECK(*constant == *dynamic);
  if (text.size() <= kOracleBytesMax && pattern.size() <= kOracleBytesMax) {
    WEIR_CHECK_EQ(OpenEscape(pattern), *dynamic == "error");
    WEIR_CHECK_EQ(OpenEscape(pattern), !constant || *constant == "error");
    if (!OpenEscape(pattern)) {
      WEIR_CHECK(*dynamic == (Like(text, pattern) ? "true" : "false"));
      WEIR_CHECK(Value("s NOT LIKE p", row) == (Like(text, pattern) ? "false" : "true"));
    }
  }
  const std::optional<std::string> folded = Value("s ILIKE " + Quoted(pattern), row);
  if (folded) WEIR_CHECK(folded == Value("s ILIKE p", row));
  if (constant == "true") WEIR_CHECK(folded == "true");

  const std::string regex = Quoted(pattern);
  const std::optional<std::string> matches = Value("s ~ " + regex, row);
  WEIR_CHECK_EQ(matches.has_value(), Value("s !~ " + regex, row).has_value());
  if (matches) {
    WEIR_CHECK(Value("regexp_like(s, " + regex + ")", row) == matches);
    WEIR_CHECK_EQ(Value("regexp_extract(s, " + regex + ", 0)", row) == "NULL", matches == "false");
    if (matches == "false") {
      WEIR_CHECK(Value("regexp_replace(s, " + regex + ", 'x') = s", row) == "true");
    }
    WEIR_CHECK(Value("s ~* " + regex, row).has_value());
  }
  return 0;
}
