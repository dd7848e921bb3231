#include "state/s3_xml.h"

#include <gtest/gtest.h>

namespace weir::state {
namespace {

TEST(S3Xml, ReadsElementsAndTheirText) {
  const XmlElement root =
      ParseXml(
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><L xmlns=\"http://s3/>\">"
          "<Name>b</Name><Empty/><Contents a='1'><Key>a&amp;b&#x41;&#228;</Key><Size> 5"
          "</Size></Contents><Contents><Key><![CDATA[<k>]]></Key></Contents></L >\n")
          .value();
  EXPECT_EQ(root.name, "L");
  EXPECT_EQ(root.TextOf("Name"), "b");
  EXPECT_EQ(root.TextOf("Empty"), "");
  ASSERT_EQ(root.children.size(), 4u);
  EXPECT_EQ(root.Find("Contents")->TextOf("Key"), "a&bA\xC3\xA4");
  EXPECT_EQ(root.children[3].TextOf("Key"), "<k>");
  EXPECT_EQ(root.Find("None"), nullptr);
}

TEST(S3Xml, RefusesWhatIsNone) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  for (const std::string& text :
       {std::string(), std::string("text"), std::string("<a>"), std::string("<a></b>"),
        std::string("<a>&x;</a>"), std::string("<a>&#x110000;</a>"), std::string("<a><b></a>"),
        std::string("<a></a><b></b>"), std::string("<a href=></a>"), std::string("< a></a>"),
        std::string("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), std::string("<a><!-- </a>"),
        deep}) {
    EXPECT_EQ(ParseXml(text).status().code(), Code::kCorruption) << text.substr(0, 80);
  }
}

TEST(S3Xml, EscapesWhatItWrites) {
  const std::string text = "a<b>&\"c\"";
  EXPECT_EQ(ParseXml("<a>" + XmlEscape(text) + "</a>").value().text, text);
}

TEST(S3Xml, StopsAtAnyPrefixOfADocument) {
  const std::string text = "<a x=\"1\"><b>1 &lt; 2</b><c/><!-- d --><e><![CDATA[f]]></e></a>";
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(ParseXml(text.substr(0, length)).ok()) << length;
  EXPECT_TRUE(ParseXml(text).ok());
}

}  // namespace
}  // namespace weir::state
