// Answers of an S3 server: whatever it sends is elements of bounded depth or a Status, and text
// that we escape reads back as it was.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "state/s3_xml.h"
#include "tests/fuzz/target.h"

namespace {

int DepthOf(const weir::state::XmlElement& element) {
  int depth = 0;
  for (const weir::state::XmlElement& child : element.children)
    depth = std::max(depth, DepthOf(child) + 1);
  return depth;
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
      "xmlns=\"http://s3/\"><Name>b</Name>"
      "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;&#x41;</NextContinuationToken>"
      "<Contents><Key>a/b%20c</Key><Size>12</Size></Contents><Prefix/></ListBucketResult>",
      "<Error><Code>SlowDown</Code><Message><![CDATA[<later>]]></Message><!-- c --></Error>"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto root = weir::state::ParseXml(text);
  if (root.ok()) WEIR_CHECK_LE(DepthOf(*root), weir::state::kXmlDepthMax);
  const auto escaped = weir::state::ParseXml("<a>" + weir::state::XmlEscape(text) + "</a>");
  WEIR_CHECK(escaped.ok());
  WEIR_CHECK(escaped->text == text);
  return 0;
}
