#include "tests/docs/markdown.h"

#include <sstream>

namespace weir {

std::vector<FencedBlock> FencedBlocks(std::string_view page) {
  constexpr std::string_view kFence = "```";
  std::vector<FencedBlock> blocks;
  std::istringstream lines{std::string(page)};
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with(kFence)) {
      inside = !inside;
      if (inside) {
        blocks.push_back({line.substr(kFence.size()), "", number});
      }
    } else if (inside) {
      blocks.back().text += line + "\n";
    }
  }
  return blocks;
}

}  // namespace weir
