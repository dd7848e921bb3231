#include <algorithm>
#include <map>

#include "engine/base/escape.h"
#include "jobs/jobs.h"

namespace weir::jobs {
namespace {

constexpr size_t kLineShownMax = 120;  // characters of a line of the file that are printed
constexpr size_t kLeadShown = 60;      // of them before the caret
constexpr size_t kMessageCharactersMax = 2048;

/// A problem with its place.
struct Located {
  const Problem* problem = nullptr;
  const JsonProblem* text_problem = nullptr;
  TextRange range;
  bool known_place = true;

  std::string_view code() const { return problem != nullptr ? problem->code : text_problem->code; }
  std::string_view pointer() const {
    return problem != nullptr ? problem->pointer : text_problem->pointer;
  }
  std::string_view message() const {
    return problem != nullptr ? problem->message : text_problem->message;
  }
  std::string_view help() const { return problem != nullptr ? problem->help : text_problem->help; }
  bool warning() const { return problem != nullptr && problem->warning; }
};

TextPosition Moved(TextPosition position, int by) {
  position.column = static_cast<uint32_t>(static_cast<int>(position.column) + by);
  position.offset = static_cast<uint64_t>(static_cast<int64_t>(position.offset) + by);
  return position;
}

/// Without the quotes of a string.
TextRange Unquoted(std::string_view text, TextRange range) {
  const bool quoted = range.end.offset > range.start.offset + 2 &&
                      range.end.offset <= text.size() && text[range.start.offset] == '"' &&
                      text[range.end.offset - 1] == '"';
  if (quoted) return {Moved(range.start, 1), Moved(range.end, -1)};
  return range;
}

Located Place(const CompiledJob& job, const Problem& problem) {
  Located located;
  located.problem = &problem;
  const JsonDocument& document = job.document;
  const auto value = document.values.find(problem.pointer);
  if (problem.inside && value != document.values.end()) {
    located.range = {document.InsideString(job.text, problem.pointer, problem.inside->first),
                     document.InsideString(job.text, problem.pointer, problem.inside->second)};
    return located;
  }
  const auto key = document.keys.find(problem.pointer);
  if (problem.at_key && key != document.keys.end()) {
    located.range = Unquoted(job.text, key->second);
    return located;
  }
  if (value != document.values.end() && !problem.pointer.empty()) {
    located.range = Unquoted(job.text, value->second);
    return located;
  }
  // A member that is not there: its nearest parent's key.
  std::string parent = problem.pointer;
  while (!parent.empty()) {
    parent.resize(parent.rfind('/'));
    const auto above = document.keys.find(parent);
    if (above == document.keys.end()) continue;
    located.range = Unquoted(job.text, above->second);
    return located;
  }
  const auto root = document.values.find("");
  if (root != document.values.end()) {
    located.range = {root->second.start, Moved(root->second.start, 1)};
  } else {
    located.known_place = false;
  }
  return located;
}

std::vector<Located> Locate(const CompiledJob& job) {
  std::vector<Located> all;
  for (const JsonProblem& problem : job.document.problems) {
    Located located;
    located.text_problem = &problem;
    located.range = problem.range;
    all.push_back(located);
  }
  for (const Problem& problem : job.problems.list()) all.push_back(Place(job, problem));
  std::stable_sort(all.begin(), all.end(), [](const Located& a, const Located& b) {
    return a.range.start.offset < b.range.start.offset;
  });
  return all;
}

/// Lines of a text by number.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text), starts_{0} {
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
  }
  std::string_view line(size_t number) const {
    if (number < 1 || number > starts_.size()) return {};
    const size_t start = starts_[number - 1];
    std::string_view line = text_.substr(
        start, number < starts_.size() ? starts_[number] - start - 1 : std::string_view::npos);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

 private:
  const std::string_view text_;
  std::vector<size_t> starts_;
};

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

size_t CharacterCount(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

/// `text` without its first `count` characters.
std::string_view SkipCharacters(std::string_view text, size_t count) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (!IsContinuation(text[at]) && count-- == 0) break;
  }
  return text.substr(at);
}

/// The first characters of a line, each printable and one cell wide; what could steer a terminal
/// becomes U+FFFD.
std::vector<std::string> Cells(std::string_view line, size_t count_max) {
  std::vector<std::string> cells;
  while (!line.empty() && cells.size() < count_max) {
    size_t bytes = 1;
    while (bytes < line.size() && bytes < 4 && IsContinuation(line[bytes])) ++bytes;
    const std::string_view character = line.substr(0, bytes);
    const auto first = static_cast<unsigned char>(line[0]);
    // U+0080 ... U+009F, U+200B ... U+200F, U+2028 ... U+202E, U+2060 ... U+206F: controls and
    // marks of direction.
    const bool control = first < 0x20 || first == 0x7f ||
                         (first == 0xC2 && bytes > 1 && static_cast<unsigned char>(line[1]) < 0xA0);
    const bool mark = character.starts_with("\xE2\x80") && bytes == 3 &&
                      ((character[2] >= '\x8B' && character[2] <= '\x8F') ||
                       (character[2] >= '\xA8' && character[2] <= '\xAE'));
    const bool isolate = character.starts_with("\xE2\x81") && bytes == 3 &&
                         character[2] >= '\xA0' && character[2] <= '\xAF';
    if (first == '\t') {
      cells.emplace_back(" ");
    } else if (control || mark || isolate || !IsUtf8(character)) {
      cells.emplace_back("\xEF\xBF\xBD");
    } else {
      cells.emplace_back(character);
    }
    line.remove_prefix(bytes);
  }
  return cells;
}

std::string Join(const std::vector<std::string>& cells) {
  std::string text;
  for (const std::string& cell : cells) text += cell;
  return text;
}

/// Printable: no control characters, on one line.
std::string Clean(std::string_view text) {
  const std::string clean = Join(Cells(text, kMessageCharactersMax));
  return CharacterCount(text) > kMessageCharactersMax ? clean + "..." : clean;
}

/// The line, cut around the caret if it is long, and the caret line below it.
void AppendSource(const Lines& lines, const Located& located, std::string& out) {
  const size_t number = located.range.start.line;
  const std::string label = std::to_string(number);
  const std::string gutter(label.size() + 1, ' ');
  const std::string_view line = lines.line(number);
  const size_t width = CharacterCount(line);
  const size_t column = located.range.start.column - 1;
  const size_t first = column > kLeadShown && width > kLineShownMax ? column - kLeadShown : 0;
  const std::string lead = first > 0 ? "..." : "";
  const std::string tail = first + kLineShownMax < width ? "..." : "";
  size_t end =
      located.range.end.line == located.range.start.line ? located.range.end.column - 1 : width;
  end = std::min(std::max(end, column + 1), first + kLineShownMax);
  out += gutter + "|\n";
  const std::string_view before = number > 1 ? lines.line(number - 1) : std::string_view();
  if (!before.empty() && first == 0) {
    const std::string above = std::to_string(number - 1);
    out += std::string(label.size() - above.size(), ' ') + above + " | " +
           Join(Cells(before, kLineShownMax)) +
           (CharacterCount(before) > kLineShownMax ? "..." : "") + "\n";
  }
  out +=
      label + " | " + lead + Join(Cells(SkipCharacters(line, first), kLineShownMax)) + tail + "\n";
  out += gutter + "| " + std::string(lead.size() + column - first, ' ') +
         std::string(std::max<size_t>(end - column, 1), '^');
  if (located.problem != nullptr && !located.problem->caret.empty())
    out += " " + Clean(located.problem->caret);
  out += "\n" + gutter + "|\n";
}

/// 1-based position in characters of a byte of the decoded string.
size_t CharacterOf(const CompiledJob& job, const Problem& problem) {
  const Json* value = &job.document.root;
  std::string_view rest = problem.pointer;
  while (!rest.empty() && value != nullptr) {
    rest.remove_prefix(1);
    const size_t slash = rest.find('/');
    const std::string_view token = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
    const Json* next = nullptr;
    if (value->is_object()) {
      for (const auto& [key, member] : value->items()) {
        if (PointerToken(key) == token) next = &member;
      }
    } else if (value->is_array()) {
      for (size_t i = 0; i < value->size(); ++i) {
        if (std::to_string(i) == token) next = &(*value)[i];
      }
    }
    value = next;
  }
  size_t character = 1;
  if (value == nullptr || !value->is_string()) return character;
  const std::string& text = value->get_ref<const std::string&>();
  for (size_t i = 0; i < problem.inside->first && i < text.size(); ++i)
    character += (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 ? 1 : 0;
  return character;
}

std::string Counted(size_t count, const char* word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

void AppendProblem(const CompiledJob& job, const Lines& lines, const Located& located,
                   std::string& out) {
  out += located.warning() ? "warning[" : "error[";
  out.append(located.code()).append("]: ").append(Clean(located.message())).append("\n");
  if (!located.known_place) {
    out += "  --> " + Clean(job.file) + "\n";
  } else {
    const std::string label = std::to_string(located.range.start.line);
    out += std::string(label.size(), ' ') + "--> " + Clean(job.file) + ":" + label + ":" +
           std::to_string(located.range.start.column);
    if (!located.pointer().empty()) out += "   at " + Clean(located.pointer());
    if (located.problem != nullptr && located.problem->inside)
      out += ", character " + std::to_string(CharacterOf(job, *located.problem));
    out += "\n";
    AppendSource(lines, located, out);
  }
  const std::string gutter(
      located.known_place ? std::to_string(located.range.start.line).size() + 1 : 3, ' ');
  if (located.problem != nullptr) {
    for (const std::string& note : located.problem->notes)
      out += gutter + "= " + Clean(note) + "\n";
  }
  if (!located.help().empty()) out += gutter + "= help: " + Clean(located.help()) + "\n";
  out += gutter + "= more: weir explain " + std::string(located.code()) + "\n\n";
}

Json PositionJson(const TextPosition& position) {
  return {{"line", position.line}, {"column", position.column}, {"offset", position.offset}};
}

}  // namespace

std::string FormatProblemsText(const CompiledJob& job) {
  const std::vector<Located> all = Locate(job);
  if (all.empty()) return "";
  // A secret that stands in the file is not carried on into terminals and logs of builds.
  std::string shown = job.text;
  for (const Located& located : all) {
    if (located.code() != "W0212") continue;
    for (size_t at = located.range.start.offset;
         at < std::min(located.range.end.offset, shown.size()); ++at)
      shown[at] = '*';
  }
  const Lines lines(shown);
  std::string out;
  size_t errors = 0, warnings = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    (all[i].warning() ? warnings : errors) += 1;
    if (i < kProblemsShown) AppendProblem(job, lines, all[i], out);
  }
  if (all.size() > kProblemsShown)
    out += "... and " + std::to_string(all.size() - kProblemsShown) + " more.\n\n";
  std::string counts = errors > 0 ? Counted(errors, "error") : "";
  if (warnings > 0) counts += (counts.empty() ? "" : " and ") + Counted(warnings, "warning");
  out += counts + " in 1 file." + (errors > 0 ? " Nothing was submitted." : "") + "\n";
  return out;
}

Json FormatProblemsJson(const CompiledJob& job) {
  Json errors = Json::array();
  for (const Located& located : Locate(job)) {
    Json one;
    one["code"] = located.code();
    one["severity"] = located.warning() ? "warning" : "error";
    one["message"] = located.message();
    one["file"] = job.file;
    one["pointer"] = located.pointer();
    if (located.problem != nullptr && !located.problem->node_id.empty())
      one["node_id"] = located.problem->node_id;
    if (located.known_place) {
      one["start"] = PositionJson(located.range.start);
      one["end"] = PositionJson(located.range.end);
    }
    if (located.problem != nullptr && !located.problem->notes.empty())
      one["notes"] = located.problem->notes;
    if (!located.help().empty()) one["help"] = located.help();
    if (located.problem != nullptr && !located.problem->fix.empty()) {
      Json fix = {{"pointer", located.problem->pointer}, {"replace", located.problem->fix}};
      if (located.problem->at_key) fix["key"] = true;
      if (located.problem->inside)
        fix["inside"] = {{"start", located.problem->inside->first},
                         {"end", located.problem->inside->second}};
      one["fixes"] = Json::array({std::move(fix)});
    }
    one["docs"] = "/docs/errors/" + std::string(located.code());
    errors.push_back(std::move(one));
  }
  return {{"type", "/problems/invalid-job"},
          {"title", job.has_errors() ? "The job has errors" : "The job has warnings"},
          {"status", 422},
          {"errors", std::move(errors)}};
}

std::string ApplyFixes(const CompiledJob& job, size_t& fixed) {
  fixed = 0;
  std::map<uint64_t, std::pair<uint64_t, std::string>>
      edits;  // start -> end, text; later places first when applied
  for (const Located& located : Locate(job)) {
    if (located.problem == nullptr || located.problem->fix.empty() || !located.known_place)
      continue;
    std::string replacement;
    AppendJsonString(located.problem->fix, replacement);
    replacement = replacement.substr(1, replacement.size() - 2);
    edits.try_emplace(located.range.start.offset, located.range.end.offset, std::move(replacement));
  }
  std::string text = job.text;
  uint64_t limit = text.size();
  for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
    const auto& [end, replacement] = edit->second;
    if (end > limit || end < edit->first) continue;  // overlaps the one behind it
    text.replace(edit->first, end - edit->first, replacement);
    limit = edit->first;
    ++fixed;
  }
  return text;
}

}  // namespace weir::jobs
