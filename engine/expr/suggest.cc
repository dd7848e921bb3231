#include <algorithm>
#include <limits>

#include "engine/expr/expression.h"

namespace weir {
namespace {

constexpr size_t kDistanceMax = 2;
constexpr size_t kPrefixLeast = 3;
constexpr size_t kSuggestionsMax = 3;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

/// Damerau-Levenshtein distance with adjacent swaps; beyond kDistanceMax any larger number.
size_t Distance(const std::string& a, const std::string& b) {
  if (a.size() > b.size() + kDistanceMax || b.size() > a.size() + kDistanceMax)
    return kDistanceMax + 1;
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] =
          std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::vector<std::string> Suggest(std::string_view word, std::span<const std::string> known) {
  struct Candidate {
    size_t score;
    std::string_view name;
  };
  const std::string wanted = Lower(word);
  std::vector<Candidate> candidates;
  for (const std::string& name : known) {
    const std::string lower = Lower(name);
    const size_t distance = Distance(wanted, lower);
    // A word of two letters is two edits away from everything.
    const bool close = distance <= kDistanceMax && distance < std::max<size_t>(1, wanted.size());
    const size_t shorter = std::min(wanted.size(), lower.size());
    const bool prefix =
        shorter >= kPrefixLeast && lower.compare(0, shorter, wanted, 0, shorter) == 0;
    if (close) {
      candidates.push_back({distance, name});
    } else if (prefix) {
      candidates.push_back(
          {kDistanceMax + 1 + (std::max(wanted.size(), lower.size()) - shorter), name});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score < b.score; });
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates) {
    if (names.size() == kSuggestionsMax) break;
    if (std::find(names.begin(), names.end(), candidate.name) == names.end())
      names.emplace_back(candidate.name);
  }
  return names;
}

}  // namespace weir
