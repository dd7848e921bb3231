#pragma once
// Problems: everything found wrong in a job file, collected in one pass. Added by
// the JSON scanner, the shape checker, `infer` functions and probes; the front end sorts them by
// place, adds lines and carets, and prints text or JSON. One thread.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir {

struct Problem {
  std::string code;  // W0412
  bool warning = false;
  std::string message;  // "column 'usr_id' does not exist"
  std::string pointer;  // JSON pointer of the value (or key) at fault
  bool at_key = false;  // the caret stands under the key, not the value
  std::optional<std::pair<size_t, size_t>>
      inside;         // bytes of the decoded string value at `pointer`
  std::string caret;  // text beside the caret
  std::vector<std::string> notes;
  std::string help;  // "did you mean 'user_id'?"
  std::string fix;   // replacement of the value, or of `inside`; empty: none
  std::string node_id;
};

class Problems {
 public:
  void Add(Problem problem) {
    errors_ += problem.warning ? 0 : 1;
    list_.push_back(std::move(problem));
  }
  bool has_errors() const { return errors_ != 0; }
  size_t errors() const { return errors_; }
  const std::vector<Problem>& list() const { return list_; }
  std::vector<Problem>& mutable_list() { return list_; }

 private:
  std::vector<Problem> list_;
  size_t errors_ = 0;
};

}  // namespace weir
