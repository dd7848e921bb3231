/// Command-line arguments of the benchmark's programs: "--name value", each at most once.
///
/// Unknown names, missing values and numbers that are not numbers end the program with code 2 and a
/// message, so the programs need no error paths for them.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace weir::bench {

class Arguments {
 public:
  Arguments(int argc, char** argv, const std::set<std::string>& known, std::string_view usage)
      : usage_(usage) {
    for (int i = 1; i < argc; i += 2) {
      const std::string_view name = argv[i];
      if (!name.starts_with("--") || known.count(std::string(name.substr(2))) == 0) {
        Refuse("unknown argument '" + std::string(name) + "'");
      }
      if (i + 1 == argc) Refuse("a value is missing behind '" + std::string(name) + "'");
      if (!values_.emplace(name.substr(2), argv[i + 1]).second) {
        Refuse("'" + std::string(name) + "' is given twice");
      }
    }
  }

  bool Has(const std::string& name) const { return values_.count(name) != 0; }

  std::string Text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }

  std::string Text(const std::string& name) const {
    if (!Has(name)) Refuse("'--" + name + "' is required");
    return values_.at(name);
  }

  std::uint64_t Number(const std::string& name, std::uint64_t otherwise) const {
    if (!Has(name)) return otherwise;
    const std::string& text = values_.at(name);
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) {
      Refuse("'--" + name + "' wants a number, not '" + text + "'");
    }
    return value;
  }

  [[noreturn]] void Refuse(const std::string& message) const {
    std::cerr << message << "\nusage: " << usage_ << '\n';
    std::exit(2);
  }

 private:
  std::string_view usage_;
  std::map<std::string, std::string> values_;
};

}  // namespace weir::bench
