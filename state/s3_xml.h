#pragma once
// The XML of S3's answers: elements and their text. Attributes, comments and declarations are
// passed over, entities of documents are not known. Bounded by the length of the text and
// kXmlDepthMax. Pure; any thread. Errors: kCorruption.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace weir::state {

inline constexpr int kXmlDepthMax = 16;

struct XmlElement {
  std::string name, text;
  std::vector<XmlElement> children;

  /// The first child of that name; empty text if there is none.
  const std::string& TextOf(std::string_view child) const;
  const XmlElement* Find(std::string_view child) const;
};

/// The root element.
Result<XmlElement> ParseXml(std::string_view text);
/// `text` with & < > " as entities.
std::string XmlEscape(std::string_view text);

}  // namespace weir::state
