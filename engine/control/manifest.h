#pragma once
// Manifest and Head: the two files that say what a complete checkpoint is. A
// manifest lists every file of checkpoint N with length and hash; a head names one manifest. Both
// are JSON lines closed by a line with the SHA-256 of all before it: without a valid seal they do
// not exist. Plain data and pure functions; any thread. Everything read from a storage is bounded
// and checked: names stay below the job's folder.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/json.h"
#include "engine/base/status.h"
#include "engine/base/time.h"

namespace weir::control {

inline constexpr uint32_t kManifestVersion = 1;
inline constexpr size_t kManifestBytesMax = size_t{256} << 20;
inline constexpr size_t kHeadBytesMax = size_t{64} << 10;

struct ManifestFile {
  std::string name;  // relative to the incarnation's folder
  uint64_t bytes = 0;
  std::string hash;  // XXH3-128, hex
  bool shared = false;
};

struct ManifestTask {
  uint32_t chain = 0;
  TaskIndex task;
  GroupRange groups;
  std::vector<std::string> nodes;  // of the chain
  std::string part;                // name of the task part
  bool finished = false;
};

enum class CheckpointKind : uint8_t { kCheckpoint, kStop, kFinished };
std::string_view CheckpointKindName(CheckpointKind kind);

struct Manifest {
  std::string cluster, job, incarnation, job_hash;
  Attempt attempt;
  CheckpointId checkpoint;
  CheckpointKind kind = CheckpointKind::kCheckpoint;
  EventTime time;  // wall clock of its completion
  uint32_t key_groups = 128;
  Json description;  // of the job, for the upgrade check
  std::vector<ManifestTask> tasks;
  std::vector<ManifestFile> files;  // each once; task parts included

  uint64_t bytes() const;
};

std::string EncodeManifest(const Manifest& manifest);
/// kCorruption: seal, shape or names; kIncompatible: written by a newer version.
Result<Manifest> DecodeManifest(std::string_view text);

struct Head {
  uint64_t sequence = 0;
  std::string incarnation;
  Attempt attempt;
  CheckpointId checkpoint;      // 0: none yet
  CheckpointId next;            // the next id to use is above it
  std::string manifest;         // name relative to the job's folder; empty: none yet
  std::string manifest_sha256;  // of the whole file
  std::string nonce, token;     // token: random, tells one's own file after an error
};
std::string EncodeHead(const Head& head);
Result<Head> DecodeHead(std::string_view text);

/// Relative, below its root: letters, digits and ._-+/ only, no empty, "." or ".." part.
bool IsSafeName(std::string_view name);

}  // namespace weir::control
