#include "state/s3_xml.h"

#include <charconv>
#include <optional>

namespace weir::state {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

void AppendUtf8(uint32_t point, std::string& out) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

/// The character that "amp" or "#x41" stands for.
bool AppendEntity(std::string_view entity, std::string& out) {
  struct Named {
    std::string_view name;
    char character;
  };
  for (const Named& named : {Named{"amp", '&'}, Named{"lt", '<'}, Named{"gt", '>'},
                             Named{"quot", '"'}, Named{"apos", '\''}}) {
    if (entity == named.name) {
      out += named.character;
      return true;
    }
  }
  if (!entity.starts_with('#')) return false;
  entity.remove_prefix(1);
  const bool hex = entity.starts_with('x');
  if (hex) entity.remove_prefix(1);
  uint32_t point = 0;
  const auto [end, error] =
      std::from_chars(entity.data(), entity.data() + entity.size(), point, hex ? 16 : 10);
  if (entity.empty() || error != std::errc() || end != entity.data() + entity.size() ||
      point > 0x10FFFF)
    return false;
  AppendUtf8(point, out);
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<XmlElement> Document() {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    XmlElement root;
    if (!SkipMisc() || !Element(root, 0)) return Broken();
    if (!SkipMisc() || !text_.empty()) return Broken();
    return root;
  }

 private:
  Status Broken() const {
    return Status(Code::kCorruption, "an answer of the storage is not the XML that was expected");
  }
  bool Skip(std::string_view text) {
    if (!text_.starts_with(text)) return false;
    text_.remove_prefix(text.size());
    return true;
  }
  bool SkipPast(std::string_view end) {
    const size_t at = text_.find(end);
    if (at == std::string_view::npos) return false;
    text_.remove_prefix(at + end.size());
    return true;
  }
  void SkipBlanks() {
    text_.remove_prefix(std::min(text_.find_first_not_of(kBlanks), text_.size()));
  }
  /// Blanks, declarations and comments around the root. False: one has no end.
  bool SkipMisc() {
    for (SkipBlanks();; SkipBlanks()) {
      if (text_.starts_with("<?")) {
        if (!SkipPast("?>")) return false;
      } else if (text_.starts_with("<!--")) {
        if (!SkipPast("-->")) return false;
      } else {
        return true;
      }
    }
  }

  bool Element(XmlElement& element, int depth) {
    if (depth > kXmlDepthMax || !Skip("<")) return false;
    const size_t name = text_.find_first_of(" \t\r\n/><");
    if (name == 0 || name == std::string_view::npos) return false;
    element.name = std::string(text_.substr(0, name));
    text_.remove_prefix(name);
    if (const std::optional<bool> open = Attributes(); !open) {
      return false;
    } else if (!*open) {
      return true;
    }
    while (!text_.empty()) {
      if (Skip("</")) return Skip(element.name) && (SkipBlanks(), Skip(">"));
      if (text_.starts_with("<!--")) {
        if (!SkipPast("-->")) return false;
      } else if (Skip("<![CDATA[")) {
        const size_t end = text_.find("]]>");
        if (end == std::string_view::npos) return false;
        element.text += text_.substr(0, end);
        text_.remove_prefix(end + 3);
      } else if (text_.front() == '<') {
        element.children.emplace_back();
        if (!Element(element.children.back(), depth + 1)) return false;
      } else if (!Text(element.text)) {
        return false;
      }
    }
    return false;
  }

  /// True: content follows; false: the element is empty ("/>").
  std::optional<bool> Attributes() {
    while (true) {
      SkipBlanks();
      if (Skip("/>")) return false;
      if (Skip(">")) return true;
      const size_t quote = text_.find_first_of("\"'<>");
      if (quote == std::string_view::npos || text_[quote] == '<' || text_[quote] == '>') return {};
      const char mark = text_[quote];
      text_.remove_prefix(quote + 1);
      if (!SkipPast({&mark, 1})) return {};
    }
  }

  bool Text(std::string& out) {
    const size_t end = std::min(text_.find_first_of("<&"), text_.size());
    out += text_.substr(0, end);
    text_.remove_prefix(end);
    if (!Skip("&")) return true;
    const size_t semicolon = text_.find(';');
    if (semicolon == std::string_view::npos || !AppendEntity(text_.substr(0, semicolon), out))
      return false;
    text_.remove_prefix(semicolon + 1);
    return true;
  }

  std::string_view text_;
};

}  // namespace

const XmlElement* XmlElement::Find(std::string_view child) const {
  for (const XmlElement& element : children) {
    if (element.name == child) return &element;
  }
  return nullptr;
}

const std::string& XmlElement::TextOf(std::string_view child) const {
  static const std::string kNone;
  const XmlElement* element = Find(child);
  return element == nullptr ? kNone : element->text;
}

Result<XmlElement> ParseXml(std::string_view text) { return Parser(text).Document(); }

std::string XmlEscape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace weir::state
