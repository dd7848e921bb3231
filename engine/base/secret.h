#pragma once
// Secret: a password, token or key on its way to the client that needs it. It prints as ***, in
// logs, checks and test failures alike; only Reveal() gives the text, so one search finds every
// place that can leak it. Its memory is overwritten when it goes. A value; any thread.

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

inline constexpr std::string_view kRedacted = "***";

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept { text_.swap(other.text_); }
  Secret& operator=(Secret other) noexcept {
    text_.swap(other.text_);
    return *this;
  }
  ~Secret() {
    text_.resize(text_.capacity());  // what a swap has left behind the end, too
    // Through a volatile pointer: a plain store to memory that is about to be freed may be left
    // out.
    for (volatile char* byte = text_.data(); byte != text_.data() + text_.size(); ++byte) *byte = 0;
  }

  const std::string& Reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << kRedacted; }

 private:
  std::string text_;
};

}  // namespace weir
