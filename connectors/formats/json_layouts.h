#pragma once
// JsonLayouts: decodes JSON records that look like earlier ones. Records of one topic nearly always
// have the same keys in the same order and the same punctuation, so all but their values is known
// beforehand: a layout is the text of a good record cut at its values, and a record that fits it is
// read by comparing the fixed parts and scanning the values, without a structural index
// (speculative parsing after Mison and Sparser).
//
// Only ever a short cut. A record that fits is exactly what the whole decoder would accept, with
// the same values; whatever does not fit, or has a value that needs thought (an escape \u, a number
// with a fraction for an integer, an unusual timestamp), is answered with false and left to the
// whole decoder. Used by the decoder of `json` alone; one thread. Bounded: kLayoutsMax layouts of
// at most kRecordBytesMax.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/api/format.h"
#include "engine/data/row_builder.h"

namespace weir {

class JsonLayouts {
 public:
  static constexpr size_t kLayoutsMax = 8;
  static constexpr size_t kRecordBytesMax = size_t{64}
                                            << 10;  // of a record that a layout is made of
  static constexpr uint32_t kWindowRecords =
      16384;                                     // after so many it is judged whether trying pays
  static constexpr uint32_t kPauseWindows = 15;  // if not, it is tried again after so many

  /// What Match is compiled for beside the baseline of the build.
  enum class InstructionSet : uint8_t { kBaseline, kAvx2, kAvx512 };
  /// Those of this machine and build, the best one last.
  static std::span<const InstructionSet> Usable();

  /// The planned columns, in the order of the row builder's first columns.
  explicit JsonLayouts(std::span<const SourceColumn> columns, InstructionSet set = Usable().back());
  ~JsonLayouts();
  JsonLayouts(const JsonLayouts&) = delete;
  JsonLayouts& operator=(const JsonLayouts&) = delete;

  /// Counts a record, and answers whether Append can succeed with it.
  bool Tries() {
    if (++tried_ == kWindowRecords) EndWindow();
    return pause_windows_ == 0 && !layouts_.empty();
  }
  /// Appends one value to each planned column (the caller finishes the row), or leaves `rows` as it
  /// was and answers false. REQUIRES: Tries().
  bool Append(const Record& record, RowBuilder& rows);
  /// `text` did not fit, and the whole decoder has found it good: makes a layout of it, if it can
  /// have one and there is room.
  void Learn(std::string_view text);

  size_t layouts() const { return layouts_.size(); }

 private:
  enum class Value : uint8_t {
    kInt32,
    kInt64,
    kTimestamp,
    kEpoch,
    kBool,
    kFloat64,
    kString,
    kSkipNumber,
    kSkipString,
    kSkipBool
  };
  struct Step;
  struct Layout;
  struct Wanted;
  class Learner;

  // One per instruction set (json_layouts_scan.inc).
  struct Plain;
  struct Sse2;
  struct Avx2;
  struct Avx512;
  template <class Set>
  bool Match(const Layout& layout, const Record& record, RowBuilder& rows);
  using Matcher = bool (JsonLayouts::*)(const Layout&, const Record&, RowBuilder&);
  static Matcher MatcherFor(InstructionSet set);

  bool SameSecond(const char* at) const;
  bool ReadSecond(const char* at);
  void EndWindow();

  const Matcher match_;
  std::unique_ptr<Wanted>
      wanted_;  // tree of the columns' paths; null: some column cannot be read here
  std::vector<SourceColumn> columns_;
  std::vector<std::unique_ptr<Layout>> layouts_;  // the most frequent first
  uint32_t tried_ = 0, hit_ = 0, learned_ = 0, pause_windows_ = 0;
  // The whole second of the last timestamp, as text and in microseconds.
  char second_[19] = {};
  int64_t second_us_ = 0;
  std::array<char, 128> spare_ = {},
                        far_spare_ = {};  // for the last bytes of a record, with padding
};

}  // namespace weir
