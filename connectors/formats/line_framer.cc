#include "connectors/formats/line_framer.h"

namespace weir {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

size_t LineFramer::Frame(std::string_view bytes, bool at_end, std::vector<Record>& records) {
  size_t used = 0;
  if (at_start_) {
    // What may become one waits; a short first line does not, or a followed file would hold it.
    if (!at_end && bytes.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(bytes))
      return 0;
    if (bytes.starts_with(kByteOrderMark)) used = kByteOrderMark.size();
    at_start_ = false;
  }
  while (used < bytes.size()) {
    const std::string_view rest = bytes.substr(used);
    const size_t end = rest.find('\n');
    const bool whole = end != std::string_view::npos;
    if (skipping_) {
      if (!whole) return bytes.size();
      skipping_ = false;
      used += end + 1;
      continue;
    }
    // One byte over the limit, so that whoever reads it sees why it is cut; CR not counted.
    const size_t length = whole ? end : rest.size();
    const bool too_long = length > record_bytes_max_ + 1;
    if (!whole && !too_long && !at_end) return used;
    std::string_view line = rest.substr(0, too_long ? record_bytes_max_ + 1 : length);
    if (!too_long && line.ends_with('\r')) line.remove_suffix(1);
    ++line_;
    if (keep_blank_ || !IsBlank(line)) {
      Record record;
      record.value = line;
      record.truncated = line.size() > record_bytes_max_;
      record.offset = line_;
      records.push_back(record);
    }
    skipping_ = too_long && !whole;
    used += whole ? end + 1 : rest.size();
  }
  return used;
}

}  // namespace weir
