#pragma once
// ProcessConfig: the settings of a process, each from its flag, else WEIR_<NAME>,
// else the default. Main thread, then constant.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time.h"

namespace weir::cli {

inline constexpr uint64_t kMemoryLimitLeast = uint64_t{96} << 20;

struct ProcessConfig {
  // As written; Resolve turns them into values.
  std::string state_dir = "./.weir", storage, cluster, secrets_dir = "/etc/weir/secrets";
  std::string http_listen = "127.0.0.1:8080", health_listen;
  bool http_listen_given = false;
  std::string memory_limit_text, connect_timeout_text = "30s", stop_timeout_text = "60s",
                                 cancel_timeout_text = "30s";
  std::string log_level = "info", log_format = "auto";
  std::string s3_endpoint, s3_region, s3_path_style_text;
  int threads = 0;            // 0: the cores
  std::string allowed_paths;  // ':'-separated; empty: the working directory
  bool insecure = false;
  // Resolved.
  std::optional<uint64_t> memory_limit;
  Duration connect_timeout{}, stop_timeout{}, cancel_timeout{};
  std::vector<std::string> allowed_path_list;
  bool storage_given = false;         // by the flag: it wins over the job's
  std::optional<bool> s3_path_style;  // empty: if an endpoint is given

  void AddFlags(CLI::App& command);
  /// Of them those that say where checkpoints live.
  void AddStorageFlags(CLI::App& command);
  /// kInvalidArgument names the setting and what it takes.
  Status Resolve();
  /// Sets the process's log up; text on a terminal, else JSON.
  Status ConfigureLogging() const;
};

/// Cores that this thread may run on.
int AllowedCores();

/// Of `allowed` cores those that the quotas of the cgroup and of all above it leave, rounded, at
/// least one. `root` stands for "/", in tests.
int DetectCores(int allowed = AllowedCores(), const std::string& root = "");

/// Reads a file of the command line, or standard input for "-"; at most a little more than a job
/// may be.
Result<std::string> ReadJobFile(const std::string& path);

}  // namespace weir::cli
