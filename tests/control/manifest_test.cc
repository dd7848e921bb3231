#include "engine/control/manifest.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

Manifest Example() {
  Manifest manifest;
  manifest.cluster = "0123abcd";
  manifest.job = "clicks_per_page";
  manifest.incarnation = "7d3c0a52-0000-4000-8000-000000000001";
  manifest.attempt.value = 3;
  manifest.checkpoint.value = 17;
  manifest.kind = CheckpointKind::kStop;
  manifest.time.us = 1'700'000'000'000'000;
  manifest.job_hash = "abc";
  manifest.key_groups = 120;
  manifest.description = Json::parse(R"({"nodes": {"per_page": {"type": "aggregate"}}})");
  manifest.tasks.push_back({0,
                            TaskIndex{0},
                            {KeyGroup{0}, KeyGroup{59}},
                            {"clicks", "human"},
                            "chk/17-3/0-0.task",
                            false});
  manifest.tasks.push_back(
      {1, TaskIndex{1}, {KeyGroup{60}, KeyGroup{119}}, {"per_page"}, "chk/17-3/1-1.task", true});
  manifest.files.push_back({"chk/17-3/0-0.task", 120, "00000000000000000000000000000001", false});
  manifest.files.push_back(
      {"shared/ab/ab12-4096.sst", 4096, "00000000000000000000000000000002", true});
  return manifest;
}

TEST(Manifest, ComesBackAsItWasWritten) {
  const Manifest manifest = Example();
  const std::string text = EncodeManifest(manifest);
  const Result<Manifest> read = DecodeManifest(text);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(EncodeManifest(*read), text);
  EXPECT_EQ(read->checkpoint.value, 17u);
  EXPECT_EQ(read->kind, CheckpointKind::kStop);
  EXPECT_EQ(read->tasks[1].nodes, std::vector<std::string>{"per_page"});
  EXPECT_EQ(read->bytes(), 4216u);
}

TEST(Manifest, FindsEveryFlippedBit) {
  const std::string text = EncodeManifest(Example());
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      ASSERT_FALSE(DecodeManifest(damaged).ok()) << "byte " << i << " bit " << bit;
    }
  }
}

TEST(Manifest, FindsEveryTruncationAndExtension) {
  const std::string text = EncodeManifest(Example());
  for (size_t bytes = 0; bytes < text.size(); ++bytes)
    ASSERT_FALSE(DecodeManifest(text.substr(0, bytes)).ok()) << bytes;
  EXPECT_FALSE(DecodeManifest(text + "\n").ok());
  EXPECT_FALSE(DecodeManifest(text + text).ok());
}

TEST(Manifest, RefusesNamesThatLeaveTheJobsFolder) {
  for (const char* name :
       {"../x", "/etc/passwd", "chk/../../x", "chk//x", "./x", "a\\b", "", "chk/17-3/"}) {
    Manifest manifest = Example();
    manifest.files[0].name = name;
    EXPECT_FALSE(DecodeManifest(EncodeManifest(manifest)).ok()) << name;
  }
}

TEST(Manifest, RefusesCountsThatItsTextCannotHold) {
  // A sealed text whose first line promises 10^9 files: refused without memory for them.
  const std::string text = EncodeManifest(Example());
  const size_t at = text.find("\"files\":2");
  ASSERT_NE(at, std::string::npos);
  std::string lying = text;
  lying.replace(at, 9, "\"files\":1000000000");
  EXPECT_EQ(DecodeManifest(lying).status().code(), Code::kCorruption);
}

TEST(Head, ComesBackAndFindsEveryFlippedBit) {
  Head head;
  head.sequence = 12;
  head.incarnation = "7d3c0a52";
  head.attempt.value = 4;
  head.checkpoint.value = 9;
  head.next.value = 11;
  head.manifest = "7d3c0a52/chk/9-4/MANIFEST";
  head.manifest_sha256 = "00ff";
  head.token = "1122334455667788";
  const std::string text = EncodeHead(head);
  const Result<Head> read = DecodeHead(text);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(EncodeHead(*read), text);
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      ASSERT_FALSE(DecodeHead(damaged).ok()) << "byte " << i << " bit " << bit;
    }
  }
}

}  // namespace
}  // namespace weir::control
