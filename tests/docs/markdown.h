#pragma once
// The fenced blocks of Markdown pages, for tests that keep documents true. Called on one thread;
// values.

#include <string>
#include <string_view>
#include <vector>

namespace weir {

struct FencedBlock {
  std::string info;  // the words after the opening fence: "json job", "sh"
  std::string text;
  int line = 0;  // of the opening fence, from 1
};

/// Blocks between lines that begin with ```, in order. An unclosed block ends with the page.
std::vector<FencedBlock> FencedBlocks(std::string_view page);

}  // namespace weir
