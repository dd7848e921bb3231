#include "engine/control/manifest.h"

#include <algorithm>
#include <array>
#include <set>

#include "engine/base/bytes.h"

namespace weir::control {
namespace {

constexpr size_t kSha256HexBytes = 64;
constexpr std::string_view kSealKey = "{\"sha256\":\"";
constexpr size_t kSealLineBytes = kSealKey.size() + kSha256HexBytes + 3;  // "}\n

std::string Seal(std::string text) {
  const std::string hash = Sha256Hex(text);
  text += kSealKey;
  text += hash;
  text += "\"}\n";
  return text;
}

/// The text before a valid seal.
Result<std::string_view> Unseal(std::string_view text) {
  if (text.size() < kSealLineBytes)
    return Status(Code::kCorruption, "cut off: its closing line is missing");
  const std::string_view body = text.substr(0, text.size() - kSealLineBytes);
  const std::string_view line = text.substr(body.size());
  if (!line.starts_with(kSealKey) || !line.ends_with("\"}\n"))
    return Status(Code::kCorruption, "its closing line is missing or damaged");
  if (line.substr(kSealKey.size(), kSha256HexBytes) != Sha256Hex(body)) {
    return Status(Code::kCorruption, "its SHA-256 differs from the one in its closing line");
  }
  return body;
}

/// Reads members of one line; turns bad at the first that is missing or of another type.
class Members {
 public:
  explicit Members(const Json& object) : object_(object) {}
  std::string Text(const char* name) {
    const auto place = object_.find(name);
    if (place == object_.end() || !place->is_string()) return Fail<std::string>();
    return place->get<std::string>();
  }
  uint64_t Number(const char* name, uint64_t most = UINT64_MAX) {
    const auto place = object_.find(name);
    if (place == object_.end() || !place->is_number_integer()) return Fail<uint64_t>();
    if (!place->is_number_unsigned() && place->get<int64_t>() < 0) return Fail<uint64_t>();
    const auto value = place->get<uint64_t>();
    return value > most ? Fail<uint64_t>() : value;
  }
  int64_t Signed(const char* name) {
    const auto place = object_.find(name);
    return place == object_.end() || !place->is_number_integer() ? Fail<int64_t>()
                                                                 : place->get<int64_t>();
  }
  bool Truth(const char* name) {
    const auto place = object_.find(name);
    return place == object_.end() || !place->is_boolean() ? Fail<bool>() : place->get<bool>();
  }
  std::string Name(const char* name) {
    std::string text = Text(name);
    return IsSafeName(text) ? text : Fail<std::string>();
  }
  bool ok() const { return ok_; }

 private:
  template <class T>
  T Fail() {
    ok_ = false;
    return T{};
  }
  const Json& object_;
  bool ok_ = true;
};

constexpr std::array<std::string_view, 3> kKinds = {"checkpoint", "stop", "finished"};

}  // namespace

std::string_view CheckpointKindName(CheckpointKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

bool IsSafeName(std::string_view name) {
  if (name.empty() || name.size() > 1024) return false;
  const bool known = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+' || c == '/';
  });
  if (!known) return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

uint64_t Manifest::bytes() const {
  uint64_t sum = 0;
  for (const ManifestFile& file : files) sum += file.bytes;
  return sum;
}

std::string EncodeManifest(const Manifest& manifest) {
  Json header;
  header["format"] = "weir-manifest";
  header["version"] = kManifestVersion;
  header["reader_min"] = kManifestVersion;
  header["cluster"] = manifest.cluster;
  header["job"] = manifest.job;
  header["incarnation"] = manifest.incarnation;
  header["attempt"] = manifest.attempt.value;
  header["checkpoint"] = manifest.checkpoint.value;
  header["kind"] = CheckpointKindName(manifest.kind);
  header["time_us"] = manifest.time.us;
  header["job_hash"] = manifest.job_hash;
  header["key_groups"] = manifest.key_groups;
  header["tasks"] = manifest.tasks.size();
  header["files"] = manifest.files.size();
  header["description"] = manifest.description;
  std::string text = header.dump() + "\n";
  for (const ManifestTask& task : manifest.tasks) {
    Json line;
    line["chain"] = task.chain;
    line["task"] = task.task.value;
    line["group_first"] = task.groups.first.value;
    line["group_last"] = task.groups.last.value;
    line["nodes"] = task.nodes;
    line["part"] = task.part;
    line["finished"] = task.finished;
    text += line.dump() + "\n";
  }
  for (const ManifestFile& file : manifest.files) {
    Json line;
    line["name"] = file.name;
    line["bytes"] = file.bytes;
    line["hash"] = file.hash;
    line["shared"] = file.shared;
    text += line.dump() + "\n";
  }
  return Seal(std::move(text));
}

Result<Manifest> DecodeManifest(std::string_view text) {
  if (text.size() > kManifestBytesMax)
    return Status(Code::kCorruption, "larger than a manifest may be");
  WEIR_ASSIGN(std::string_view body, Unseal(text));
  const auto next_line = [&body]() -> Result<Json> {
    const size_t end = body.find('\n');
    if (end == std::string_view::npos)
      return Status(Code::kCorruption, "fewer lines than its first line promises");
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(end + 1);
    WEIR_ASSIGN(Json object, ParseJson(line));
    if (!object.is_object()) return Status(Code::kCorruption, "a line is not an object");
    return object;
  };

  Manifest manifest;
  WEIR_ASSIGN(Json first, next_line());
  Members header(first);
  if (header.Text("format") != "weir-manifest") return Status(Code::kCorruption, "not a manifest");
  const uint64_t reader_min = header.Number("reader_min");
  if (header.ok() && reader_min > kManifestVersion) {
    return Status(Code::kIncompatible, "written by a newer Weir (format " +
                                           std::to_string(reader_min) + ", this one reads up to " +
                                           std::to_string(kManifestVersion) + ")");
  }
  manifest.cluster = header.Text("cluster");
  manifest.job = header.Name("job");
  manifest.incarnation = header.Name("incarnation");
  manifest.attempt.value = header.Number("attempt");
  manifest.checkpoint.value = header.Number("checkpoint");
  const std::string kind = header.Text("kind");
  const auto known = std::find(kKinds.begin(), kKinds.end(), kind);
  if (known == kKinds.end()) return Status(Code::kCorruption, "unknown kind");
  manifest.kind = static_cast<CheckpointKind>(known - kKinds.begin());
  manifest.time.us = header.Signed("time_us");
  manifest.job_hash = header.Text("job_hash");
  manifest.key_groups = static_cast<uint32_t>(header.Number("key_groups", 32768));
  // Counts are bounded by the text itself: every entry is a line of it.
  const uint64_t tasks = header.Number("tasks", text.size());
  const uint64_t files = header.Number("files", text.size());
  if (const auto place = first.find("description"); place != first.end())
    manifest.description = *place;
  if (!header.ok()) return Status(Code::kCorruption, "its first line is not that of a manifest");

  for (uint64_t i = 0; i < tasks; ++i) {
    WEIR_ASSIGN(Json line, next_line());
    Members members(line);
    ManifestTask task;
    task.chain = static_cast<uint32_t>(members.Number("chain", UINT32_MAX));
    task.task.value = static_cast<uint16_t>(members.Number("task", UINT16_MAX));
    task.groups.first.value = static_cast<uint16_t>(members.Number("group_first", UINT16_MAX));
    task.groups.last.value = static_cast<uint16_t>(members.Number("group_last", UINT16_MAX));
    task.part = members.Name("part");
    task.finished = members.Truth("finished");
    const auto nodes = line.find("nodes");
    if (!members.ok() || nodes == line.end() || !nodes->is_array())
      return Status(Code::kCorruption, "a task's line is damaged");
    for (const Json& node : *nodes) {
      if (!node.is_string()) return Status(Code::kCorruption, "a task's line is damaged");
      task.nodes.push_back(node.get<std::string>());
    }
    manifest.tasks.push_back(std::move(task));
  }
  for (uint64_t i = 0; i < files; ++i) {
    WEIR_ASSIGN(Json line, next_line());
    Members members(line);
    ManifestFile file{members.Name("name"), members.Number("bytes"), members.Text("hash"),
                      members.Truth("shared")};
    if (!members.ok())
      return Status(Code::kCorruption,
                    "a file's line is damaged, or its name leaves the job's folder");
    manifest.files.push_back(std::move(file));
  }
  if (!body.empty()) return Status(Code::kCorruption, "more lines than its first line promises");
  return manifest;
}

std::string EncodeHead(const Head& head) {
  Json line;
  line["format"] = "weir-head";
  line["version"] = kManifestVersion;
  line["sequence"] = head.sequence;
  line["incarnation"] = head.incarnation;
  line["attempt"] = head.attempt.value;
  line["checkpoint"] = head.checkpoint.value;
  line["next"] = head.next.value;
  line["manifest"] = head.manifest;
  line["manifest_sha256"] = head.manifest_sha256;
  line["nonce"] = head.nonce;
  line["token"] = head.token;
  return Seal(line.dump() + "\n");
}

Result<Head> DecodeHead(std::string_view text) {
  WEIR_ASSIGN(const std::string_view body, Unseal(text));
  WEIR_ASSIGN(Json line, ParseJson(body));
  if (!line.is_object()) return Status(Code::kCorruption, "not an object");
  Members members(line);
  if (members.Text("format") != "weir-head") return Status(Code::kCorruption, "not a HEAD");
  if (members.Number("version") > kManifestVersion)
    return Status(Code::kIncompatible, "written by a newer Weir");
  Head head;
  head.sequence = members.Number("sequence");
  head.incarnation = members.Name("incarnation");
  head.attempt.value = members.Number("attempt");
  head.checkpoint.value = members.Number("checkpoint");
  head.next.value = members.Number("next");
  head.manifest = members.Text("manifest");
  if (!head.manifest.empty() && !IsSafeName(head.manifest))
    return Status(Code::kCorruption, "its manifest's name leaves the job's folder");
  head.manifest_sha256 = members.Text("manifest_sha256");
  head.nonce = members.Text("nonce");
  head.token = members.Text("token");
  if (!members.ok()) return Status(Code::kCorruption, "its line is not that of a HEAD");
  return head;
}

}  // namespace weir::control
