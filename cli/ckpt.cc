#include <algorithm>
#include <cstdio>
#include <map>

#include "cli/builtins.h"
#include "cli/command.h"
#include "cli/job_command.h"
#include "cli/storage_command.h"
#include "engine/base/env_posix.h"
#include "engine/base/json.h"
#include "engine/control/restore.h"
#include "engine/data/civil_time.h"

namespace weir::cli {
namespace {

struct Options {
  ProcessConfig config;
  std::string job, which = "latest";
  bool json = false;
};

/// Runs `body` on the job's storage.
int OnStorage(Options& options, const std::function<Result<int>(control::JobStorage&)>& body) {
  if (Status status = options.config.Resolve(); !status.ok()) return Fail(status);
  const std::unique_ptr<Env> env = MakePosixEnv(2);
  Result<std::unique_ptr<CheckpointStore>> store =
      OpenStorage(*env, StorageUri(options.config, ""), options.config);
  if (!store.ok()) return Fail(store.status());
  control::JobStorage storage(*env, **store, options.job,
                              options.config.state_dir + "/" + options.job);
  Result<int> code = body(storage);
  return code.ok() ? *code : Fail(code.status());
}

Json Summary(const control::Manifest& manifest, bool head) {
  Json line;
  line["checkpoint"] = manifest.checkpoint.value;
  line["attempt"] = manifest.attempt.value;
  line["kind"] = control::CheckpointKindName(manifest.kind);
  line["time"] = TimestampToString(manifest.time.us);
  line["tasks"] = manifest.tasks.size();
  line["files"] = manifest.files.size();
  line["bytes"] = manifest.bytes();
  line["head"] = head;
  return line;
}

Result<int> List(const Options& options, control::JobStorage& storage) {
  WEIR_ASSIGN(const std::optional<control::Head> head, storage.ReadHead());
  if (!head)
    return Status(Code::kNotFound,
                  "job '" + storage.job() + "' has never run on " + storage.store().Describe());
  WEIR_ASSIGN(const control::StoredCheckpoints stored, storage.ListCheckpoints(*head));
  std::map<uint64_t, Json> lines;
  for (const control::StoredCheckpoint& one : stored.complete) {
    const Result<control::Manifest> manifest = storage.ReadManifest(*head, one);
    if (!manifest.ok()) {
      std::fprintf(stderr, "warning: %s\n", manifest.status().message().c_str());
      continue;
    }
    lines[one.id.value] = Summary(*manifest, one.id == head->checkpoint);
  }
  if (options.json) {
    Json all = Json::array();
    for (auto& [id, line] : lines) all.push_back(std::move(line));
    std::printf("%s\n", all.dump(2).c_str());
    return 0;
  }
  std::printf("%-12s %-10s %-28s %6s %6s %14s\n", "CHECKPOINT", "KIND", "TIME", "TASKS", "FILES",
              "BYTES");
  for (const auto& [id, line] : lines) {
    std::printf("%-12s %-10s %-28s %6llu %6llu %14llu\n",
                (std::to_string(id) + (line["head"].get<bool>() ? " *" : "")).c_str(),
                line["kind"].get<std::string>().c_str(), line["time"].get<std::string>().c_str(),
                line["tasks"].get<unsigned long long>(), line["files"].get<unsigned long long>(),
                line["bytes"].get<unsigned long long>());
  }
  std::printf("* is where the job goes on (attempt %llu, incarnation %s)\n",
              static_cast<unsigned long long>(head->attempt.value), head->incarnation.c_str());
  return 0;
}

Result<int> Show(const Options& options, control::JobStorage& storage) {
  WEIR_ASSIGN(const control::Manifest manifest, ReadCheckpoint(storage, options.which));
  Json shown = Summary(manifest, false);
  shown.erase("head");
  shown["job"] = manifest.job;
  shown["incarnation"] = manifest.incarnation;
  shown["key_groups"] = manifest.key_groups;
  Json tasks = Json::array();
  for (const control::ManifestTask& task : manifest.tasks) {
    WEIR_ASSIGN(const runtime::TaskSnapshot snapshot,
                control::ReadTaskPart(storage, manifest, task));
    Json line;
    line["nodes"] = task.nodes;
    line["task"] = task.task.value;
    line["key_groups"] = {task.groups.first.value, task.groups.last.value};
    line["finished"] = task.finished;
    for (const auto& [node, watermark] : snapshot.watermarks) {
      line["watermarks"][node] =
          IsUsable(watermark) ? Json(TimestampToString(watermark.us)) : Json(nullptr);
    }
    for (const auto& [node, splits] : snapshot.splits) {
      for (const SplitState& split : splits) line["splits"][node][split.id] = split.position;
    }
    for (const runtime::NodeLane& lane : snapshot.lanes)
      line["lanes"][lane.node_id].push_back(lane.lane.lane.value);
    uint64_t in_flight = 0;
    for (const runtime::InFlightRows& rows : snapshot.in_flight) in_flight += rows.batch.rows();
    line["rows_in_flight"] = in_flight;
    for (const auto& [node, groups] : snapshot.buffered) {
      uint64_t rows = 0;
      for (const auto& [group, count] : groups) rows += count;
      line["rows_in_state"][node] = rows;
    }
    if (snapshot.image) {
      uint64_t bytes = 0;
      for (const ImageFile& file : snapshot.image->files) bytes += file.bytes;
      line["state"] = {{"files", snapshot.image->files.size()}, {"bytes", bytes}};
    }
    tasks.push_back(std::move(line));
  }
  shown["tasks"] = std::move(tasks);
  std::printf("%s\n", shown.dump(2).c_str());
  return 0;
}

Result<int> Verify(const Options& options, control::JobStorage& storage) {
  constexpr int kSound = 0, kState = 7;
  WEIR_ASSIGN(const control::Manifest manifest, ReadCheckpoint(storage, options.which));
  size_t bad = 0;
  uint64_t bytes = 0;
  const std::vector<control::VerifiedFile> files = control::VerifyCheckpoint(storage, manifest);
  for (const control::VerifiedFile& file : files) {
    bytes += file.bytes;
    if (file.status.ok()) continue;
    ++bad;
    std::fprintf(stderr, "error: %s\n", file.status.message().c_str());
  }
  std::printf("checkpoint %llu: %zu files, %llu bytes read, %zu bad\n",
              static_cast<unsigned long long>(manifest.checkpoint.value), files.size(),
              static_cast<unsigned long long>(bytes), bad);
  return bad == 0 ? kSound : kState;
}

}  // namespace

void AddCkpt(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("ckpt", "Look at checkpoints on a bare storage, without a running job.");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* doc, bool which,
                       Result<int> (*body)(const Options&, control::JobStorage&)) {
    auto options = std::make_shared<Options>();
    CLI::App* verb = command->add_subcommand(name, doc);
    verb->add_option("JOB", options->job, "Name of the job.")->required();
    if (which)
      verb->add_option("CHECKPOINT", options->which,
                       "Its number; default: the one where the job goes on.");
    options->config.AddStorageFlags(*verb);
    if (!which) verb->add_flag("--json", options->json, "As JSON.");
    verb->footer(std::string("Examples:\n  weir ckpt ") + name + " clicks_per_page\n  weir ckpt " +
                 name + " clicks_per_page --storage file:///var/lib/weir/storage");
    verb->callback([options, body, &invocation] {
      invocation.run = [options, body] {
        return OnStorage(*options,
                         [&](control::JobStorage& storage) { return body(*options, storage); });
      };
    });
  };
  add("ls", "List the complete checkpoints.", false, List);
  add("show", "What a checkpoint holds, per task.", true, Show);
  add("verify", "Read and check every byte of a checkpoint.", true, Verify);
}

}  // namespace weir::cli
