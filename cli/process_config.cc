#include "cli/process_config.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "engine/api/options.h"
#include "engine/base/cgroup.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/data/civil_time.h"

namespace weir::cli {
namespace {

Result<Duration> DurationSetting(const char* name, const std::string& text) {
  const std::optional<int64_t> us = ParseJobDuration(text, /*negative=*/false);
  if (!us)
    return Status(Code::kInvalidArgument, std::string("--") + name + ": '" + text +
                                              "' is no duration; write for example 30s or 1m30s");
  return Duration{*us};
}

/// Cores that the quota of one folder leaves; empty if there is none.
std::optional<double> QuotaIn(const std::string& folder, bool v1) {
  double quota = 0, period = 0;
  bool read = false;
  if (v1) {  // -1 is no limit
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us"),
        period_file(folder + "/cpu.cfs_period_us");
    read = (quota_file >> quota) && (period_file >> period);
  } else {  // "200000 100000"; "max 100000" is no limit
    std::ifstream file(folder + "/cpu.max");
    read = static_cast<bool>(file >> quota >> period);
  }
  if (!read || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

void ProcessConfig::AddFlags(CLI::App& command) {
  AddStorageFlags(command);
  command
      .add_option("--cluster", cluster,
                  "Id of this installation in outside names; default: made once in the storage.")
      ->envname("WEIR_CLUSTER");
  command.add_option("--http-listen", http_listen, "Address of /metrics, /healthz, /readyz.")
      ->envname("WEIR_HTTP_LISTEN")
      ->capture_default_str();
  command
      .add_option("--health-listen", health_listen,
                  "An address of its own for /metrics, /healthz, /readyz, without authentication; "
                  "[::]:8081 is every one of the machine, of IPv4 too.")
      ->envname("WEIR_HEALTH_LISTEN");
  command
      .add_option(
          "--memory-limit", memory_limit_text,
          "All memory of the process, as 2GiB; default: the cgroup's, else 75 % of the machine's.")
      ->envname("WEIR_MEMORY_LIMIT");
  command.add_option("--threads", threads, "Worker threads; default: the cores.")
      ->envname("WEIR_THREADS")
      ->check(CLI::Range(0, 1024));
  command.add_option("--secrets-dir", secrets_dir, "Files behind ${secret:name/key}.")
      ->envname("WEIR_SECRETS_DIR")
      ->capture_default_str();
  command
      .add_option(
          "--allowed-paths", allowed_paths,
          "Folders that file connectors may use, separated by ':'; default: the working directory.")
      ->envname("WEIR_ALLOWED_PATHS");
  command
      .add_option("--connect-timeout", connect_timeout_text,
                  "How long a start waits for brokers and storage.")
      ->envname("WEIR_CONNECT_TIMEOUT")
      ->capture_default_str();
  command
      .add_option("--stop-timeout", stop_timeout_text,
                  "How long a stop waits for sinks to publish.")
      ->envname("WEIR_STOP_TIMEOUT")
      ->capture_default_str();
  command.add_option("--cancel-timeout", cancel_timeout_text, "How long a task has to end.")
      ->envname("WEIR_CANCEL_TIMEOUT")
      ->capture_default_str();
  command.add_option("--log-level", log_level, "debug, info, warn or error.")
      ->envname("WEIR_LOG_LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  command.add_option("--log-format", log_format, "text or json; default: text on a terminal.")
      ->envname("WEIR_LOG_FORMAT")
      ->check(CLI::IsMember({"auto", "text", "json"}));
  command
      .add_flag("--insecure", insecure,
                "Listen on other than loopback addresses although there is no authentication.")
      ->envname("WEIR_INSECURE");
}

void ProcessConfig::AddStorageFlags(CLI::App& command) {
  command
      .add_option("--state-dir", state_dir,
                  "Local working directory: RocksDB, logs not yet uploaded.")
      ->envname("WEIR_STATE_DIR")
      ->capture_default_str();
  command.add_option("--storage", storage,
                     "Where checkpoints live: file:///PATH or s3://BUCKET/PREFIX. The flag wins "
                     "over the job, the job over WEIR_STORAGE.");
  command
      .add_option("--s3-endpoint", s3_endpoint,
                  "Server behind s3://, as https://host:port; default: Amazon's of the region.")
      ->envname("WEIR_S3_ENDPOINT");
  command
      .add_option("--s3-region", s3_region,
                  "Region of the bucket; default: AWS_REGION, else us-east-1.")
      ->envname("WEIR_S3_REGION");
  command
      .add_option("--s3-path-style", s3_path_style_text,
                  "true: host/bucket/key, false: bucket.host/key; default: true if an endpoint is "
                  "given.")
      ->envname("WEIR_S3_PATH_STYLE")
      ->check(CLI::IsMember({"true", "false"}));
}

Status ProcessConfig::Resolve() {
  WEIR_ASSIGN(connect_timeout, DurationSetting("connect-timeout", connect_timeout_text));
  WEIR_ASSIGN(stop_timeout, DurationSetting("stop-timeout", stop_timeout_text));
  WEIR_ASSIGN(cancel_timeout, DurationSetting("cancel-timeout", cancel_timeout_text));
  if (!memory_limit_text.empty()) {
    memory_limit = ParseSize(memory_limit_text);
    if (!memory_limit)
      return Status(Code::kInvalidArgument, "--memory-limit: '" + memory_limit_text +
                                                "' is no size; write for example 512MiB or 2GiB");
    if (*memory_limit < kMemoryLimitLeast)
      return Status(Code::kInvalidArgument, "--memory-limit: at least 96MiB are needed");
  }
  storage_given = !storage.empty();
  if (!s3_path_style_text.empty()) s3_path_style = s3_path_style_text == "true";
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    const char* region = std::getenv(name);
    if (s3_region.empty() && region != nullptr) s3_region = region;
  }
  if (s3_region.empty()) s3_region = "us-east-1";
  if (threads == 0) threads = DetectCores();
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(state_dir, error);
  if (error)
    return Status(Code::kInvalidArgument, "--state-dir: '" + state_dir + "': " + error.message());
  state_dir = absolute.lexically_normal().string();
  const std::string here = std::filesystem::current_path(error).string();
  std::istringstream parts(allowed_paths.empty() ? here : allowed_paths);
  for (std::string part; std::getline(parts, part, ':');) {
    if (part.empty()) continue;
    allowed_path_list.push_back(std::filesystem::absolute(part, error).lexically_normal().string());
    // Relative paths of a job are relative to the working directory.
    if ((here + "/").starts_with(allowed_path_list.back() + "/"))
      allowed_path_list.emplace_back(".");
  }
  return Status::Ok();
}

Status ProcessConfig::ConfigureLogging() const {
  const LogLevel level = log_level == "debug"   ? LogLevel::kDebug
                         : log_level == "warn"  ? LogLevel::kWarn
                         : log_level == "error" ? LogLevel::kError
                                                : LogLevel::kInfo;
  const bool text = log_format == "text" || (log_format == "auto" && isatty(STDERR_FILENO) == 1);
  ConfigureLog(level, text ? LogFormat::kText : LogFormat::kJson);
  return Status::Ok();
}

int AllowedCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  // It fails on a machine with more cores than the set has room for.
  const int count = sched_getaffinity(0, sizeof cores, &cores) == 0
                        ? CPU_COUNT(&cores)
                        : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, count);
}

int DetectCores(int allowed, const std::string& root) {
  std::stringstream groups;
  if (std::ifstream file(root + "/proc/self/cgroup"); file) groups << file.rdbuf();
  double least = allowed;
  for (const CgroupFolder& folder : CgroupFolders(groups.str(), "cpu")) {
    if (const std::optional<double> cores = QuotaIn(root + folder.path, folder.v1))
      least = std::min(least, *cores);
  }
  return std::clamp(static_cast<int>(least + 0.5), 1, allowed);
}

Result<std::string> ReadJobFile(const std::string& path) {
  std::string text;
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file)
      return Status(Code::kNotFound, "cannot read '" + path + "': " + std::strerror(errno));
  }
  std::istream& in = path == "-" ? std::cin : file;
  // One byte beyond the limit is enough for the front end to say that it is too large.
  text.resize(kJobBytesMax + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return Status(Code::kIo, "cannot read '" + path + "'");
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

}  // namespace weir::cli
