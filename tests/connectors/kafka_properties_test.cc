#include "engine/api/kafka_properties.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string>

namespace weir {
namespace {

// Names of the linked library's own list: "name    | C/P |   range | default | ...".
std::set<std::string> LibraryProperties() {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* file = open_memstream(&text, &size);
  rd_kafka_conf_properties_show(file);
  static_cast<void>(std::fclose(file));
  std::set<std::string> names;
  std::istringstream lines(std::string(text, size));
  std::free(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t bar = line.find('|');
    if (bar == std::string::npos) continue;
    const std::string name = line.substr(0, line.find(' '));
    if (!name.empty() &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz._") == std::string::npos)
      names.insert(name);
  }
  return names;
}

TEST(KafkaProperties, ClassifyEveryPropertyOfTheLinkedLibrary) {
  const std::set<std::string> names = LibraryProperties();
  EXPECT_GT(names.size(), 150U);
  for (const std::string& name : names)
    EXPECT_NE(FindKafkaProperty(name), nullptr) << name << " is not classified";
}

TEST(KafkaProperties, AreSortedAndSayWhyNotOrWhatInstead) {
  EXPECT_TRUE(std::ranges::is_sorted(KafkaProperties(), {}, &KafkaProperty::name));
  for (const KafkaProperty& property : KafkaProperties()) {
    EXPECT_EQ(property.use == KafkaPropertyUse::kAllowed, property.why.empty()) << property.name;
    EXPECT_EQ(property.use == KafkaPropertyUse::kByOption, !property.instead.empty())
        << property.name;
  }
}

TEST(KafkaProperties, RefuseWhatLoadsCodeRunsCommandsOrReadsFiles) {
  for (const char* name :
       {"plugin.library.paths", "ssl.engine.location", "ssl.providers", "sasl.kerberos.kinit.cmd",
        "sasl.oauthbearer.token.endpoint.url", "ssl.key.location", "offset.store.path",
        "enable.ssl.certificate.verification", "debug"}) {
    ASSERT_NE(FindKafkaProperty(name), nullptr) << name;
    EXPECT_EQ(FindKafkaProperty(name)->use, KafkaPropertyUse::kRefused) << name;
  }
  EXPECT_EQ(FindKafkaProperty("isolation.level")->instead, "isolation");
  EXPECT_EQ(FindKafkaProperty("no.such.property"), nullptr);
}

}  // namespace
}  // namespace weir
