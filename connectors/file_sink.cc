// file_sink, exactly once: rows go into hidden `.part` files of the target directory, which are
// made durable at a checkpoint and renamed when it is complete. A file belongs to one lane and one
// checkpoint, so a checkpoint ends the open file; `roll` only cuts more often. The sink writes, the
// protocol renames.
//
// Names: `.<U>-<lane>-<attempt>-<number>.part`, final
// `<node>-<U>-<lane>-<checkpoint>-<number><suffix>`, below `column=value/` for each of
// partition_by. A lane's handle in the manifest lists every part that is not known to have been
// renamed: a later checkpoint stands for all earlier ones.

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <deque>
#include <map>
#include <set>

#include "connectors/file_paths.h"
#include "connectors/formats/json_writer.h"
#include "connectors/sink_shape.h"
#include "engine/api/memory.h"
#include "engine/api/registry.h"
#include "engine/api/segment_log.h"
#include "engine/base/bytes.h"
#include "engine/base/json.h"
#include "engine/base/log.h"

namespace weir {
namespace {

constexpr size_t kAppendBytes = size_t{64}
                                << 10;  // rows are handed to the log in pieces of about this size
constexpr size_t kPartitionBytesMax =
    size_t{32} << 20;                    // partition_by: rows held for all directories of a task
constexpr size_t kPartitionsMax = 4096;  // directories with rows at the same time
constexpr size_t kPartitionNameBytesMax = 200;
constexpr int kDirectoryDepthMax = 16;

struct FileSinkSettings {
  Path directory;
  std::string node;
  std::string suffix;  // ".json"
  uint64_t roll_bytes = 0;
  Duration roll_every{};
  std::vector<BoundKey> partition_by;
  bool exactly_once = false;
};
using SettingsRef = std::shared_ptr<const FileSinkSettings>;

/// A part that is not known to have its final name.
struct PartFile {
  std::string part;       // name in the target directory
  std::string directory;  // below it, "" or "a=1/b=2"
  uint64_t number = 0;
  uint64_t checkpoint = 0;
  uint64_t bytes = 0;
  uint32_t checksum = 0;
  uint64_t rows = 0;

  Json ToJson() const {
    return Json::array({part, directory, number, checkpoint, bytes, checksum, rows});
  }
  /// Without `rows`, which older checkpoints do not have, there are none to count.
  static std::optional<PartFile> FromJson(const Json& json) {
    if (!json.is_array() || json.size() < 6 || json.size() > 7 || !json[0].is_string() ||
        !json[1].is_string())
      return std::nullopt;
    for (size_t i = 2; i < json.size(); ++i) {
      if (!json[i].is_number_unsigned()) return std::nullopt;
    }
    PartFile file{.part = json[0],
                  .directory = json[1],
                  .number = json[2],
                  .checkpoint = json[3],
                  .bytes = json[4],
                  .checksum = json[5],
                  .rows = json.size() > 6 ? json[6].get<uint64_t>() : 0};
    const bool inside = file.part.find('/') == std::string::npos &&
                        file.directory.find("..") == std::string::npos &&
                        !file.directory.starts_with('/');
    return inside ? std::optional(std::move(file)) : std::nullopt;
  }
};

std::string HandleOf(const std::vector<PartFile>& files) {
  Json list = Json::array();
  for (const PartFile& file : files) list.push_back(file.ToJson());
  return Json{{"files", std::move(list)}}.dump();
}

Result<std::vector<PartFile>> FilesOf(const std::string& handle) {
  std::vector<PartFile> files;
  if (handle.empty()) return files;
  WEIR_ASSIGN(const Json json, ParseJson(handle));
  if (!json.is_object() || !json.contains("files"))
    return Status(Code::kCorruption, "the state of a file sink's lane is unreadable");
  for (const Json& one : json["files"]) {
    std::optional<PartFile> file = PartFile::FromJson(one);
    if (!file) return Status(Code::kCorruption, "the state of a file sink's lane is unreadable");
    files.push_back(*std::move(file));
  }
  return files;
}

std::string LanePrefix(const NodeInfo& node, LaneId lane) {
  return node.incarnation + "-" + std::to_string(lane.value) + "-";
}
std::string FinalPrefix(const FileSinkSettings& settings, const NodeInfo& node, LaneId lane) {
  return settings.node + "-" + LanePrefix(node, lane);
}
std::string FinalName(const FileSinkSettings& settings, const NodeInfo& node, LaneId lane,
                      const PartFile& file) {
  return FinalPrefix(settings, node, lane) + std::to_string(file.checkpoint) + "-" +
         std::to_string(file.number) + settings.suffix;
}
Path Joined(const Path& directory, const std::string& name) {
  return directory == "/" ? "/" + name : directory + "/" + name;
}

/// "a=1": whatever a value holds, one directory level.
std::string PartitionLevel(const std::string& name, const std::optional<std::string>& value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string level = name + "=";
  if (!value) return level + "__null__";
  for (const char c : *value) {
    const auto byte = static_cast<uint8_t>(c);
    const bool plain = byte >= 0x80 || std::isalnum(byte) != 0 || c == '-' || c == '_' ||
                       c == '.' || c == ':' || c == ' ' || c == '+';
    if (level.size() > kPartitionNameBytesMax) break;
    if (plain) {
      level.push_back(c);
    } else {
      level.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return level;
}

class FileSink final : public Sink {
 public:
  explicit FileSink(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(SinkContext& context, std::span<const LaneState> restored) override {
    context_ = &context;
    header_ = context.encoder().FileHeader();
    WEIR_TRY(context.env().MakeDirectory(settings_->directory));
    for (const LaneState& lane : restored) {
      if (lane.lane != context.lane()) continue;
      WEIR_ASSIGN(listed_, FilesOf(lane.handle));
    }
    for (const PartFile& file : listed_) next_number_ = std::max(next_number_, file.number + 1);
    return Status::Ok();
  }

  Result<Step> Write(const Batch& batch, RowErrors& errors) override {
    // Rows behind a barrier must not get into a file that lies before it.
    WEIR_ASSIGN(const bool free, cut_ ? WriteQueue() : Cut());
    if (!free) return Step::Wait(0);
    if (open_ && context_->env().Steady() - opened_at_ >= settings_->roll_every) Close();
    RowErrors encoding;
    rows_.Clear();
    context_->encoder().Encode(batch, rows_, encoding);
    if (!settings_->partition_by.empty()) return WritePartitions(batch, encoding, errors);
    Piece piece;
    for (uint32_t row = 0; row < batch.rows(); ++row) {
      if (encoding.Has(row)) continue;
      piece.text.append(rows_.row(row));
      piece.text.append(context_->encoder().line_end());
      ++piece.rows;
      if (piece.text.size() < kAppendBytes) continue;
      pending_.push_back(std::move(piece));
      piece = {};
    }
    if (!piece.text.empty()) pending_.push_back(std::move(piece));
    Forward(encoding, batch.rows(), errors);
    // What the log cannot take now waits here, at most one batch: the next call comes back to it
    // first.
    WEIR_TRY(WriteQueue().status());
    BookRows();
    return Step::Done();
  }

  Status OnWake() override {
    Status status = cut_ ? WriteQueue().status() : Cut().status();
    BookRows();
    return status;
  }

  void Prepare(CheckpointId) override {
    cut_ = false;
    AskForRenamed();
  }

  Result<std::optional<LaneState>> Prepared(CheckpointId n) override {
    if (!cut_) {
      WEIR_ASSIGN(const bool cut, Cut());
      BookRows();
      if (!cut) return std::optional<LaneState>();
    }
    for (const uint64_t ticket : cut_tickets_) {
      WEIR_ASSIGN(const bool durable, context_->segments().Durable(ticket));
      if (!durable) return std::optional<LaneState>();
    }
    cut_tickets_.clear();
    if (!renamed_->done.load(std::memory_order_acquire)) return std::optional<LaneState>();
    std::erase_if(listed_,
                  [&](const PartFile& file) { return renamed_->parts.contains(file.part); });
    for (PartFile& file : cut_off_) {
      file.checkpoint = n.value;
      listed_.push_back(file);
    }
    cut_off_.clear();
    std::optional<LaneState> state = LaneState{context_->lane(), HandleOf(listed_)};
    return state;
  }

  /// Files that the checkpoint would have named are closed already: they go into the next one,
  /// under its number.
  void Abort(CheckpointId n) override {
    cut_ = true;
    closed_.insert(closed_.end(), cut_off_.begin(), cut_off_.end());
    cut_off_.clear();
    tickets_.insert(tickets_.end(), cut_tickets_.begin(), cut_tickets_.end());
    cut_tickets_.clear();
    std::vector<PartFile> kept;
    for (PartFile& file : listed_) {
      (file.checkpoint == n.value ? closed_ : kept).push_back(std::move(file));
    }
    listed_ = std::move(kept);
  }

  SinkProgress progress() const override {
    SinkProgress progress;
    progress.bytes = bytes_;
    // What is listed waits for HEAD alone, and is published without a word to the sink.
    for (const PartFile& file : cut_off_) progress.bytes_waiting += file.bytes;
    for (const PartFile& file : closed_) progress.bytes_waiting += file.bytes;
    progress.bytes_waiting += open_ ? current_.bytes : 0;
    return progress;
  }

 private:
  /// Encoded rows that have not been given to the log.
  struct Piece {
    std::string text;
    uint64_t rows = 0;
  };
  struct Renamed {
    std::set<std::string> parts;
    std::atomic<bool> done = false;
  };

  /// Ends the files at the barrier: what is closed later belongs to the next checkpoint. False: the
  /// log is full.
  Result<bool> Cut() {
    WEIR_ASSIGN(const bool written, WriteQueue());
    if (!written) return false;
    while (!partitions_.empty()) {
      WEIR_ASSIGN(const bool taken, FlushPartition(partitions_.begin()));
      if (!taken) return false;
    }
    if (open_) Close();
    cut_off_ = std::exchange(closed_, {});
    cut_tickets_ = std::exchange(tickets_, {});
    cut_ = true;
    return true;
  }

  /// Encoded rows that the log has not got yet.
  void BookRows() {
    size_t held = partition_bytes_;
    for (const Piece& piece : pending_) held += piece.text.size();
    context_->memory().Use(static_cast<int64_t>(held) - static_cast<int64_t>(booked_));
    booked_ = held;
  }

  static void Forward(const RowErrors& from, uint32_t rows, RowErrors& to) {
    for (const RowError& error : from.errors()) {
      if (error.row < rows) to.Add(error.row, error.code, error.message);
    }
  }

  /// Parts of earlier checkpoints that are gone have their final names: they need not be listed
  /// again.
  void AskForRenamed() {
    renamed_ = std::make_shared<Renamed>();
    if (listed_.empty()) {
      renamed_->done.store(true, std::memory_order_release);
      return;
    }
    context_->Post([renamed = renamed_, files = listed_, directory = settings_->directory,
                    &env = context_->env()] {
      for (const PartFile& file : files) {
        if (env.Stat(Joined(directory, file.part)).status().code() == Code::kNotFound)
          renamed->parts.insert(file.part);
      }
      renamed->done.store(true, std::memory_order_release);
    });
  }

  void OpenPart(const std::string& directory) {
    current_ = PartFile{};
    current_.number = next_number_++;
    current_.part = "." + LanePrefix(context_->node(), context_->lane()) +
                    std::to_string(context_->node().attempt.value) + "-" +
                    std::to_string(current_.number) + ".part";
    current_.directory = directory;
    context_->segments().Open(Joined(settings_->directory, current_.part), 0);
    opened_at_ = context_->env().Steady();
    open_ = true;
    header_due_ = !header_.empty();
  }

  void Close() {
    tickets_.push_back(context_->segments().Close());
    closed_.push_back(current_);
    open_ = false;
  }

  /// False: the log is full.
  Result<bool> Append(std::string_view bytes) {
    if (header_due_) {
      const Status status = context_->segments().Append(header_);
      if (status.code() == Code::kQueueFull) return false;
      WEIR_TRY(status);
      Count(header_);
      header_due_ = false;
    }
    const Status status = context_->segments().Append(bytes);
    if (status.code() == Code::kQueueFull) return false;
    WEIR_TRY(status);
    Count(bytes);
    return true;
  }
  void Count(std::string_view bytes) {
    current_.bytes += bytes.size();
    current_.checksum = Crc32c(bytes, current_.checksum);
    bytes_ += bytes.size();
  }

  /// Writes what waits; false: some still does.
  Result<bool> WriteQueue() {
    while (!pending_.empty()) {
      if (!open_) OpenPart("");
      WEIR_ASSIGN(const bool taken, Append(pending_.front().text));
      if (!taken) return false;
      current_.rows += pending_.front().rows;
      pending_.pop_front();
      if (current_.bytes >= settings_->roll_bytes) Close();
    }
    return true;
  }

  Result<Step> WritePartitions(const Batch& batch, const RowErrors& encoding, RowErrors& errors) {
    RowErrors unread;
    std::vector<Column> values;
    for (const BoundKey& key : settings_->partition_by)
      values.push_back(key.expression.Evaluate(batch, unread));
    std::vector<Field> fields;
    for (size_t i = 0; i < values.size(); ++i)
      fields.push_back({settings_->partition_by[i].name, values[i].type(), true});
    const Batch keys = Batch::Make(std::make_shared<const Schema>(std::move(fields)), batch.rows(),
                                   std::move(values));
    std::vector<BoundColumn> bound;
    for (uint16_t i = 0; i < keys.schema().size(); ++i) bound.emplace_back(keys, ColumnIndex{i});
    uint32_t row = 0;
    for (; row < batch.rows(); ++row) {
      if (encoding.Has(row)) continue;
      if (unread.Has(row)) continue;
      if (partition_bytes_ > kPartitionBytesMax || partitions_.size() > kPartitionsMax) {
        WEIR_ASSIGN(const bool taken, FlushPartition(Largest()));
        if (!taken) break;
      }
      Piece& piece = partitions_[DirectoryOf(bound, row)];
      const size_t before = piece.text.size();
      piece.text.append(rows_.row(row));
      piece.text.append(context_->encoder().line_end());
      ++piece.rows;
      partition_bytes_ += piece.text.size() - before;
    }
    Forward(encoding, row, errors);
    Forward(unread, row, errors);
    BookRows();
    return row == batch.rows() ? Step::Done() : Step::Wait(row);
  }

  std::string DirectoryOf(const std::vector<BoundColumn>& keys, uint32_t row) const {
    std::string directory;
    for (size_t i = 0; i < keys.size(); ++i) {
      std::optional<std::string> value;
      if (keys[i].valid[row]) AppendValueText(keys[i], row, value.emplace());
      directory +=
          (directory.empty() ? "" : "/") + PartitionLevel(settings_->partition_by[i].name, value);
    }
    return directory;
  }

  using Partitions = std::map<std::string, Piece>;
  Partitions::iterator Largest() {
    return std::max_element(
        partitions_.begin(), partitions_.end(),
        [](const auto& a, const auto& b) { return a.second.text.size() < b.second.text.size(); });
  }

  /// One directory's rows as one file; false: the log is full, and the rest waits in the open
  /// file's directory.
  Result<bool> FlushPartition(Partitions::iterator partition) {
    if (open_ && current_.directory != partition->first) Close();
    if (!open_) OpenPart(partition->first);
    std::string& text = partition->second.text;
    size_t at = 0;
    while (at < text.size()) {
      const std::string_view piece = std::string_view(text).substr(at, kAppendBytes);
      WEIR_ASSIGN(const bool taken, Append(piece));
      if (!taken) break;
      at += piece.size();
    }
    partition_bytes_ -= at;
    text.erase(0, at);
    if (!text.empty()) return false;
    current_.rows += partition->second.rows;
    partitions_.erase(partition);
    Close();
    return true;
  }

  const SettingsRef settings_;
  SinkContext* context_ = nullptr;
  std::string header_;
  EncodedRows rows_;
  std::deque<Piece> pending_;  // whole rows, about kAppendBytes each, that the log has not
                               // taken; at most one batch
  Partitions partitions_;      // partition_by: rows by directory
  size_t partition_bytes_ = 0;
  size_t booked_ = 0;  // of both
  // The open part.
  bool open_ = false, header_due_ = false;
  PartFile current_;
  Duration opened_at_{};
  uint64_t next_number_ = 0;
  std::vector<uint64_t> tickets_;  // of parts closed and not known to be durable
  std::vector<PartFile> closed_;   // since the last checkpoint
  std::vector<PartFile> listed_;   // of checkpoints before, not known to be renamed
  // A checkpoint being prepared.
  bool cut_ = true;                    // its files are ended
  std::vector<PartFile> cut_off_;      // them
  std::vector<uint64_t> cut_tickets_;  // of those not known to be durable
  std::shared_ptr<Renamed> renamed_;
  uint64_t bytes_ = 0;
};

/// Renames the parts of one lane. Its jobs run one after another on the pool; each can be repeated.
class FileCommit final : public SinkCommitProtocol {
 public:
  explicit FileCommit(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(SinkContext& context) override {
    context_ = &context;
    return Status::Ok();
  }
  void Recover(const LaneState& restored, CheckpointId head) override {
    lane_ = restored.lane;
    tasks_.push_back({.recovery = true, .checkpoint = head.value, .handle = restored.handle});
  }
  void Commit(CheckpointId n, const LaneState& lane) override {
    lane_ = lane.lane;
    tasks_.push_back({.recovery = false, .checkpoint = n.value, .handle = lane.handle});
  }

  Result<Step> Run() override {
    if (job_ != nullptr) {
      if (!job_->done.load(std::memory_order_acquire)) return Step::Wait(0);
      const std::shared_ptr<Job> job = std::move(job_);
      job_ = nullptr;
      WEIR_TRY(job->status);
      if (job->task.recovery) {
        progress_.marked = CheckpointId{job->marked};
        progress_.fence_set = progress_.resolved = true;
      }
      progress_.confirmed = CheckpointId{std::max(progress_.confirmed.value, job->task.checkpoint)};
      progress_.records_committed += job->rows;
    }
    if (tasks_.empty()) return Step::Done();
    job_ = std::make_shared<Job>();
    job_->task = std::move(tasks_.front());
    job_->confirmed = progress_.confirmed.value;
    tasks_.pop_front();
    context_->Post([job = job_, settings = settings_, node = context_->node(), lane = lane_,
                    &env = context_->env()] {
      job->status = job->task.recovery ? Restore(env, *settings, node, lane, *job)
                                       : Publish(env, *settings, node, lane, *job);
      job->done.store(true, std::memory_order_release);
    });
    return Step::Wait(0);
  }
  LaneProgress progress() const override { return progress_; }

 private:
  struct Task {
    bool recovery = false;
    uint64_t checkpoint = 0;
    std::string handle;
  };
  struct Job {
    Task task;
    Status status;
    uint64_t marked = 0;     // highest checkpoint in a final name
    uint64_t confirmed = 0;  // published before
    uint64_t rows = 0;       // published by it; those of a recovery were counted by their attempt
    std::atomic<bool> done = false;
  };

  /// A part loses its name only when its final one is durable: names of two directories have no
  /// order in a power loss, and a part that is gone is not listed again. One that comes back is
  /// harmless.
  static Status Publish(Env& env, const FileSinkSettings& settings, const NodeInfo& node,
                        LaneId lane, Job& job) {
    WEIR_ASSIGN(const std::vector<PartFile> files, FilesOf(job.task.handle));
    std::set<Path> directories;
    std::vector<Path> parts;
    for (const PartFile& file : files) {
      const Path directory =
          file.directory.empty() ? settings.directory : Joined(settings.directory, file.directory);
      if (!file.directory.empty()) WEIR_TRY(env.MakeDirectory(directory));
      directories.insert(
          directory);  // also of names given before: whoever gave them may have died before this
      Path part = Joined(settings.directory, file.part);
      WEIR_ASSIGN(
          const bool there,
          GiveFinalName(env, part, Joined(directory, FinalName(settings, node, lane, file)), file));
      if (there) parts.push_back(std::move(part));
    }
    for (const Path& directory : directories) WEIR_TRY(env.SyncDirectory(directory));
    for (const Path& part : parts) WEIR_TRY(env.Remove(part));
    for (const PartFile& file : files)
      job.rows += !job.task.recovery && file.checkpoint > job.confirmed ? file.rows : 0;
    return Status::Ok();
  }

  /// Never over another file: a link fails where a rename would replace. False: the part is gone,
  /// the final name was given before.
  static Result<bool> GiveFinalName(Env& env, const Path& part, const Path& final_path,
                                    const PartFile& file) {
    const Status linked = env.Link(part, final_path);
    if (!linked.ok() && linked.code() != Code::kNotFound && linked.code() != Code::kAlreadyExists)
      return linked;
    if (!linked.ok()) {
      const Result<DirectoryEntry> target = env.Stat(final_path);
      if (!target.ok() && target.status().code() == Code::kNotFound) {
        return Status(Code::kMarkerLost,
                      "neither '" + part + "' nor '" + final_path +
                          "' exists: files of a file sink were removed while they were needed",
                      Fault::kExternal, Retry::kNever);
      }
      WEIR_TRY(target.status());
      if (target->bytes != file.bytes) {
        return Status(Code::kOutputChanged,
                      "'" + final_path + "' exists with " + std::to_string(target->bytes) +
                          " bytes instead of " + std::to_string(file.bytes) +
                          ": it is never overwritten",
                      Fault::kExternal, Retry::kNever);
      }
      WEIR_TRY(CheckContent(env, final_path, file));
      if (linked.code() == Code::kNotFound) return false;
    }
    return true;
  }

  static Status CheckContent(Env& env, const Path& path, const PartFile& file) {
    constexpr size_t kPieceBytes = size_t{256} << 10;
    WEIR_ASSIGN(const std::unique_ptr<ReadableFile> readable, env.Open(path));
    std::string piece(kPieceBytes, '\0');
    uint32_t checksum = 0;
    for (uint64_t offset = 0;;) {
      WEIR_ASSIGN(const size_t got, readable->Read(offset, piece));
      if (got == 0) break;
      checksum = Crc32c(std::string_view(piece).substr(0, got), checksum);
      offset += got;
    }
    if (checksum == file.checksum) return Status::Ok();
    return Status(Code::kOutputChanged,
                  "'" + path + "' exists with another content: it is never overwritten",
                  Fault::kExternal, Retry::kNever);
  }

  /// Finishes what the manifest lists, looks for results of checkpoints that it does not know, and
  /// removes parts of attempts that are dead.
  static Status Restore(Env& env, const FileSinkSettings& settings, const NodeInfo& node,
                        LaneId lane, Job& job) {
    WEIR_TRY(env.MakeDirectory(settings.directory));
    const std::string prefix = FinalPrefix(settings, node, lane);
    WEIR_TRY(FindMarked(env, settings.directory, prefix, 0, &job.marked));
    // At least once the results past the checkpoint come again, in files of their own: new ids lie
    // above all of theirs.
    if (settings.exactly_once && job.marked > job.task.checkpoint) {
      return Status(
          Code::kMarkerAhead,
          "lane " + std::to_string(lane.value) + " has published files of checkpoint " +
              std::to_string(job.marked) + " in '" + settings.directory +
              "', but the job resumes from checkpoint " + std::to_string(job.task.checkpoint) +
              ": results would be doubled. Start it --from a checkpoint that is not older than "
              "that, or empty with --from none and another path",
          Fault::kUser, Retry::kNever);
    }
    WEIR_TRY(Publish(env, settings, node, lane, job));
    const std::string parts = "." + LanePrefix(node, lane);
    const std::string living = parts + std::to_string(node.attempt.value) + "-";
    WEIR_ASSIGN(const std::vector<DirectoryEntry> entries, env.List(settings.directory));
    for (const DirectoryEntry& entry : entries) {
      if (entry.name.starts_with(parts) && entry.name.ends_with(".part") &&
          !entry.name.starts_with(living))
        WEIR_TRY(env.Remove(Joined(settings.directory, entry.name)));
    }
    return Status::Ok();
  }

  static Status FindMarked(Env& env, const Path& directory, const std::string& prefix, int depth,
                           uint64_t* marked) {
    if (depth > kDirectoryDepthMax) return Status::Ok();
    WEIR_ASSIGN(const std::vector<DirectoryEntry> entries, env.List(directory));
    for (const DirectoryEntry& entry : entries) {
      if (entry.directory) {
        if (entry.name.find('=') != std::string::npos)
          WEIR_TRY(FindMarked(env, Joined(directory, entry.name), prefix, depth + 1, marked));
        continue;
      }
      if (!entry.name.starts_with(prefix)) continue;
      uint64_t checkpoint = 0;
      const char* begin = entry.name.data() + prefix.size();
      const auto [end, error] =
          std::from_chars(begin, entry.name.data() + entry.name.size(), checkpoint);
      if (error == std::errc() && *end == '-') *marked = std::max(*marked, checkpoint);
    }
    return Status::Ok();
  }

  const SettingsRef settings_;
  SinkContext* context_ = nullptr;
  LaneId lane_;
  std::deque<Task> tasks_;
  std::shared_ptr<Job> job_;  // null: none under way
  LaneProgress progress_;
};

void Infer(NodeConfig& config, NodeShape& shape) {
  InferSink(config, shape,
            {.changelog = true, .exactly_once = true, .visibility = "visible once per checkpoint"});
  CheckAllowedPath(config, "path");
  if (!config.inputs_known() || config.inputs() == 0) return;
  const Json& partition_by = config.json("partition_by");
  for (size_t i = 0; partition_by.is_array() && i < partition_by.size(); ++i) {
    const std::optional<BoundKey> key =
        config.Key("partition_by/" + std::to_string(i), config.scope());
    if (!key) continue;
    for (const ColumnIndex column : key->expression.columns())
      shape.uses.insert(config.input(Port{0}).schema->field(column).name);
  }
}

Result<SinkParts> Create(const NodeConfig& config, const NodeShape& shape) {
  auto settings = std::make_shared<FileSinkSettings>();
  settings->directory = config.Text("path");
  while (settings->directory.size() > 1 && settings->directory.ends_with('/'))
    settings->directory.pop_back();
  settings->node = config.id();
  settings->exactly_once = shape.guarantee == Guarantee::kExactlyOnce;
  const Json& format = config.json("format/type");
  settings->suffix = "." + (format.is_string() ? format.get<std::string>() : std::string("data"));
  settings->roll_bytes = config.SizeOf("roll/size");
  settings->roll_every = config.DurationOf("roll/every");
  const Json& partition_by = config.json("partition_by");
  for (size_t i = 0; partition_by.is_array() && i < partition_by.size(); ++i) {
    std::optional<BoundKey> key = config.Key("partition_by/" + std::to_string(i), config.scope());
    if (!key)
      return Status(Code::kInvalidArgument,
                    "'partition_by' of node '" + config.id() + "' is not sound");
    settings->partition_by.push_back(*std::move(key));
  }
  const SettingsRef shared = std::move(settings);
  // Without exactly-once checkpoints the files are renamed all the same: what differs is what a
  // restart repeats.
  return SinkParts{.sink = [shared] { return std::make_unique<FileSink>(shared); },
                   .protocol = [shared] { return std::make_unique<FileCommit>(shared); },
                   .guarantee = shape.guarantee};
}

void Probe(const NodeConfig& config, const NodeShape&, Clients&, Env& env, Problems& problems) {
  const Path directory = config.Text("path");
  const Path file = Joined(directory, ".weir-probe-" + std::to_string(env.Random()));
  Status status = env.MakeDirectory(directory);
  if (status.ok()) {
    const Result<std::unique_ptr<WritableFile>> created = env.Create(file, CreateMode::kNew);
    status = created.ok() ? (*created)->Append("x") : created.status();
    if (created.ok() && status.ok()) status = (*created)->Sync();
    if (created.ok())
      IgnoreStatus(env.Remove(file), "the probe's own file: the next run uses another name");
  }
  if (status.ok()) return;
  Problem problem;
  problem.code = "W0708";
  problem.message = "'" + directory + "' cannot be written: " + status.message();
  problem.pointer = config.pointer("path");
  problem.help = status.code() == Code::kDiskFull ? "make room on the disk"
                                                  : "check the directory and its permissions";
  problem.node_id = config.id();
  problems.Add(std::move(problem));
}

}  // namespace

void RegisterFileSink(Registry& registry) {
  registry.Add(
      {.name = "file_sink",
       .doc = "Writes rows into files that appear whole, by renaming, when the checkpoint with "
              "their rows is complete.",
       .options =
           {
               {.name = "path",
                .doc = "Directory of the files.",
                .required = true,
                .substitute = true},
               {.name = "format",
                .type = OptionType::kFormat,
                .doc = "Format of the records.",
                .required = true},
               {.name = "write",
                .type = OptionType::kEnum,
                .doc = "What a row is: a line, or a change with its `_op`.",
                .fallback = "append",
                .allowed = "append|changelog"},
               {.name = "roll",
                .type = OptionType::kObject,
                .doc = "When a new file begins, beside at each checkpoint.",
                .fallback = "{}",
                .fields = {{.name = "size",
                            .type = OptionType::kSize,
                            .doc = "Size of a file.",
                            .fallback = "64MiB",
                            .allowed = "1KiB..1024GiB"},
                           {.name = "every",
                            .type = OptionType::kDuration,
                            .doc = "Age of a file.",
                            .fallback = "10m",
                            .allowed = "1s..36500d"}}},
               {.name = "partition_by",
                .type = OptionType::kKeyList,
                .doc = "One directory level `name=value` for each.",
                .fallback = "[]"},
           },
       .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend | kChangelog},
       .infer = Infer,
       .probe = Probe,
       .create = Create,
       .example =
           R"({"type": "file_sink", "inputs": ["alerts"], "path": "out/alerts", "format": {"type": "json"}, "roll": {"size": "16MiB"}})"});
}

}  // namespace weir
