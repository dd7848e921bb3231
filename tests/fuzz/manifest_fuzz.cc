// Manifests and heads: damaged text is a Status, names that leave the job's folder are refused.

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "engine/control/manifest.h"
#include "tests/fuzz/target.h"

using weir::control::DecodeHead;
using weir::control::DecodeManifest;
using weir::control::EncodeHead;
using weir::control::EncodeManifest;

std::vector<std::string> FuzzSeeds() {
  weir::control::Manifest manifest;
  manifest.cluster = "0123abcd";
  manifest.job = "clicks";
  manifest.incarnation = "u1";
  manifest.job_hash = "00";
  manifest.description = weir::Json::object();
  weir::control::ManifestTask task;
  task.nodes = {"in"};
  task.part = "task-0";
  manifest.tasks.push_back(task);
  weir::control::ManifestFile file;
  file.name = "task-0";
  file.bytes = 12;
  file.hash = std::string(32, 'a');
  manifest.files.push_back(file);
  weir::control::Head head;
  head.sequence = 3;
  head.incarnation = "u1";
  head.manifest = "u1/manifest-3";
  head.manifest_sha256 = std::string(64, 'b');
  head.nonce = "n";
  head.token = "t";
  return {EncodeManifest(manifest), EncodeHead(head)};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = DecodeManifest(text);
  if (manifest.ok()) {
    for (const weir::control::ManifestFile& listed : manifest->files) {
      WEIR_CHECK(weir::control::IsSafeName(listed.name));
    }
    WEIR_CHECK(DecodeManifest(EncodeManifest(*manifest)).ok());
  }
  const auto head = DecodeHead(text);
  if (head.ok()) {
    WEIR_CHECK(DecodeHead(EncodeHead(*head)).ok());
  }
  return 0;
}
