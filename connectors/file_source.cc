// file_source: files as splits. Reading, and what has to be looked up about a file, happens on the
// pool, one job per file at a time; the worker frames records out of the bytes that have come. A
// position is the byte where it goes on, what framing has to know there, and the file's identity:
// device, inode and the hash of its first KiB, so that a rotated or replaced file is not taken for
// the one that was read.

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <map>
#include <set>

#include "connectors/decompressor.h"
#include "connectors/file_paths.h"
#include "engine/api/registry.h"
#include "engine/base/bytes.h"
#include "engine/base/json.h"
#include "engine/base/log.h"

namespace weir {
namespace {

constexpr size_t kIdentityBytes = 1024;
constexpr uint64_t kLinesMost = uint64_t{1} << 62;  // what a position may tell: numbers go on there
constexpr size_t kReadBytes = size_t{256} << 10;
constexpr size_t kOutputBytesMax =
    size_t{1} << 20;  // of one decompression step: a bomb fills this, not memory
constexpr size_t kHeadBytes = size_t{64}
                              << 10;   // shown again to a format that needs a file's start
constexpr uint32_t kOpenFilesMax = 4;  // bounded: files read at the same time in a task
constexpr Duration kFollowInterval = Milliseconds(200);  // how often a followed file is looked at
constexpr Duration kRotatedGrace =
    Seconds(10);  // a file that was rotated away is left after so long without growth

struct FileIdentity {
  uint64_t device = 0, inode = 0;
  uint64_t prefix_bytes = 0;  // what the hash covers, at most kIdentityBytes
  uint64_t hash = 0;
};

struct FileSourceSettings {
  Path path;
  bool follow = false, by_name = false;
  Duration discovery_interval = Seconds(10);
  std::function<Result<std::unique_ptr<Decoder>>()> framer;
};
using SettingsRef = std::shared_ptr<const FileSourceSettings>;

/// "offset/lines/ended/device/inode/prefix bytes/hash/cut short" (docs/formats/snapshot.md).
struct FilePosition {
  uint64_t offset = 0;  // bytes of the decompressed text
  uint64_t lines = 0;   // as FramingState has them, like `cut_short`
  bool ended = false;
  FileIdentity identity;
  bool cut_short = false;

  std::string ToText() const {
    std::string text;
    for (const uint64_t part : {offset, lines, uint64_t{ended}, identity.device, identity.inode,
                                identity.prefix_bytes, identity.hash, uint64_t{cut_short}}) {
      text += (text.empty() ? "" : "/") + std::to_string(part);
    }
    return text;
  }
  static Result<FilePosition> Parse(std::string_view text) {
    FilePosition position;
    uint64_t ended = 0, cut_short = 0;
    const std::array<uint64_t*, 8> parts = {&position.offset,
                                            &position.lines,
                                            &ended,
                                            &position.identity.device,
                                            &position.identity.inode,
                                            &position.identity.prefix_bytes,
                                            &position.identity.hash,
                                            &cut_short};
    for (uint64_t* part : parts) {
      // Older ones end before it, and tell nothing of a record that was cut.
      if (part == &cut_short && text.empty()) break;
      const size_t end = std::min(text.find('/'), text.size());
      const auto [stop, error] = std::from_chars(text.data(), text.data() + end, *part);
      if (error != std::errc() || stop != text.data() + end)
        return Status(Code::kCorruption,
                      "not a position of a file: eight numbers with slashes are expected");
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    position.ended = ended != 0;
    position.cut_short = cut_short != 0;
    if (position.identity.prefix_bytes > kIdentityBytes || position.lines > kLinesMost ||
        cut_short > 1)
      return Status(Code::kCorruption, "not a position of a file: out of range");
    return position;
  }

  FramingState framing() const {
    return {.lines = static_cast<int64_t>(lines), .cut_short = cut_short};
  }
  void SetFraming(const FramingState& state) {
    lines = static_cast<uint64_t>(state.lines);
    cut_short = state.cut_short;
  }
};

/// Hash of the first `bytes` of a file; fewer if it has fewer.
Result<FileIdentity> Identify(Env& env, const Path& path, uint64_t bytes) {
  WEIR_ASSIGN(const DirectoryEntry entry, env.Stat(path));
  WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, env.Open(path));
  std::string prefix(std::min<uint64_t>(bytes, kIdentityBytes), '\0');
  WEIR_ASSIGN(const size_t got, file->Read(0, prefix));
  prefix.resize(got);
  return FileIdentity{
      .device = entry.device, .inode = entry.inode, .prefix_bytes = got, .hash = Hash64(prefix)};
}

/// The same file, as far as `saved` knew it.
Result<bool> IsSame(Env& env, const Path& path, const FileIdentity& saved) {
  WEIR_ASSIGN(const FileIdentity now, Identify(env, path, saved.prefix_bytes));
  return now.device == saved.device && now.inode == saved.inode &&
         now.prefix_bytes == saved.prefix_bytes && now.hash == saved.hash;
}

/// Followed files are known by inode: their names change. A suffix tells apart files that had one
/// inode one after another.
std::string FollowId(const Path& path, const FileIdentity& identity, int generation) {
  std::string id =
      path + "#" + std::to_string(identity.device) + "-" + std::to_string(identity.inode);
  if (generation != 0) id += "-" + std::to_string(generation);
  return id;
}
Path PathOf(const std::string& split_id, bool follow) {
  return follow ? split_id.substr(0, split_id.rfind('#')) : split_id;
}

class FileEnumerator final : public SplitEnumerator {
 public:
  explicit FileEnumerator(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(NodeContext& context, std::span<const SplitState> restored) override {
    env_ = &context.env();
    for (const SplitState& split : restored) {
      WEIR_ASSIGN(const FilePosition position, FilePosition::Parse(split.position));
      known_[split.id] = position.identity;
      // Followed files are found again by their inode, which the source does; one that was read
      // whole may be gone.
      if (settings_->follow) {
        WEIR_TRY(LookForReplaced(split.id, position.identity));
        continue;
      }
      if (position.ended) continue;
      const Result<bool> same = IsSame(*env_, split.id, position.identity);
      if (!same.ok()) return same.status().At("file of the checkpoint");
      if (!*same) {
        return Status(
            Code::kIncompatible,
            "file '" + split.id +
                "' is not the one that the checkpoint was reading: it was replaced or rewritten",
            Fault::kUser, Retry::kNever);
      }
    }
    return Status::Ok();
  }

  Result<std::vector<SplitState>> Discover() override {
    WEIR_ASSIGN(const std::vector<FoundFile> files, FindFiles(*env_, settings_->path));
    std::vector<SplitState> splits;
    for (const FoundFile& file : files) {
      if (!settings_->follow && known_.contains(file.path)) continue;
      const Result<FileIdentity> identity = Identify(*env_, file.path, kIdentityBytes);
      if (!identity.ok()) {
        // Renamed or removed since it was listed: the next look finds it under its new name.
        if (settings_->follow && identity.status().code() == Code::kNotFound) continue;
        return identity.status();
      }
      std::string id = file.path;
      if (settings_->follow) {
        WEIR_ASSIGN(const bool known, Known(file.path, *identity, &id));
        if (known) continue;
      }
      FilePosition position;
      position.identity = *identity;
      known_[id] = *identity;
      splits.push_back({.id = id, .position = position.ToText(), .begun = !settings_->by_name});
    }
    if (!settings_->follow && splits.empty() && known_.empty()) {
      WEIR_LOG(kWarn, "no file matches", {"path", settings_->path});
    }
    looked_ = true;
    return splits;
  }
  bool complete() const override { return looked_ && !settings_->follow; }
  Duration discovery_interval() const override { return settings_->discovery_interval; }

 private:
  /// While nobody held the file open its inode may have been given to another one.
  Status LookForReplaced(const std::string& id, const FileIdentity& saved) {
    const Result<FileIdentity> now = Identify(*env_, PathOf(id, true), saved.prefix_bytes);
    if (!now.ok()) return now.status().code() == Code::kNotFound ? Status::Ok() : now.status();
    if (now->device == saved.device && now->inode == saved.inode &&
        (now->prefix_bytes != saved.prefix_bytes || now->hash != saved.hash))
      replaced_.insert(id);
    return Status::Ok();
  }

  /// True if a known file is this one; else `id` is a new name for it.
  Result<bool> Known(const Path& path, const FileIdentity& identity, std::string* id) {
    int generation = 0;
    for (const auto& [known_id, known] : known_) {
      if (known.device != identity.device || known.inode != identity.inode) continue;
      const Result<bool> same = IsSame(*env_, path, known);
      if (same.ok() && *same) return true;
      // Truncated and written anew under the same name is the source's affair, which holds the file
      // open; unless that happened before it opened the file.
      if (PathOf(known_id, true) == path && !replaced_.contains(known_id)) return true;
      ++generation;
    }
    *id = FollowId(path, identity, generation);
    return false;
  }

  const SettingsRef settings_;
  Env* env_ = nullptr;
  std::map<std::string, FileIdentity> known_;
  std::set<std::string> replaced_;  // of the restored ones: another file has the inode now
  bool looked_ = false;
};

/// What one file is read with; used by one job at a time, or by the worker between jobs.
struct FileReader {
  Env* env = nullptr;
  Path path;
  bool follow = false;
  uint64_t skip = 0;         // decompressed bytes before the position that is gone on from
  bool head_wanted = false;  // the format wants to see the file's start first

  std::unique_ptr<ReadableFile> file;
  std::unique_ptr<Decompressor> decompressor;
  uint64_t raw_offset = 0;  // of the next byte of the file
  std::string raw;          // read, not yet decompressed
  FileIdentity identity;
  uint64_t size_seen = 0;  // follow: of the last look at its start
  EventTime modified_seen{};

  // The answer of one job.
  std::string head, bytes;
  bool at_end = false;     // nothing follows at the moment
  bool rotated = false;    // follow: the name belongs to another file now, or to none
  bool truncated = false;  // follow: shorter than what was read, or another text
  bool cut_off = false;    // compressed: ends inside of a member
  Status status;
  std::atomic<bool> done = false;

  void Run() {
    head.clear();
    bytes.clear();
    at_end = truncated = cut_off = false;
    status = Read();
    done.store(true, std::memory_order_release);
  }

 private:
  Status Read() {
    if (file == nullptr) WEIR_TRY(Begin());
    if (follow) WEIR_TRY(LookAtFile());
    if (truncated) return Status::Ok();
    while (bytes.empty() && !at_end) WEIR_TRY(ReadPiece());
    return Status::Ok();
  }

  Status Begin() {
    if (follow && identity.inode != 0) WEIR_TRY(FindByInode());
    WEIR_ASSIGN(file, env->Open(path));
    decompressor = MakeDecompressor(path);
    if (IsCompressed(path)) {
      // Compressed text is gone on with by reading it again.
      if (head_wanted) WEIR_TRY(ReadHead());
      return Status::Ok();
    }
    if (head_wanted) {
      head.resize(std::min<uint64_t>(kHeadBytes, skip));
      WEIR_ASSIGN(const size_t got, file->Read(0, head));
      head.resize(got);
    }
    raw_offset = skip;
    skip = 0;
    return Status::Ok();
  }

  /// The start of a compressed file, through a decompressor of its own.
  Status ReadHead() {
    const std::unique_ptr<Decompressor> own = MakeDecompressor(path);
    std::string in(kHeadBytes, '\0');
    WEIR_ASSIGN(const size_t got, file->Read(0, in));
    in.resize(got);
    for (size_t used = 0; used < in.size() && head.size() < std::min<uint64_t>(kHeadBytes, skip);) {
      WEIR_ASSIGN(const size_t taken,
                  own->Next(std::string_view(in).substr(used), kHeadBytes - head.size(), head));
      if (taken == 0 && head.empty()) break;
      used += taken;
    }
    head.resize(std::min<uint64_t>(head.size(), skip));
    return Status::Ok();
  }

  Status FindByInode() {
    const Result<DirectoryEntry> entry = env->Stat(path);
    if (entry.ok() && entry->inode == identity.inode && entry->device == identity.device) {
      WEIR_ASSIGN(const bool same, IsSame(*env, path, identity));
      if (same) return Status::Ok();
      return Status(Code::kNotFound, "file '" + path + "' was replaced: another one has its inode",
                    Fault::kExternal, Retry::kNever);
    }
    WEIR_ASSIGN(const std::vector<DirectoryEntry> entries, env->List(ParentOf(path)));
    for (const DirectoryEntry& one : entries) {
      if (one.inode == identity.inode && one.device == identity.device && !one.directory) {
        path = ParentOf(path) + "/" + one.name;
        rotated = true;
        return Status::Ok();
      }
    }
    return Status(Code::kNotFound, "file '" + path + "' was rotated away and cannot be found again",
                  Fault::kExternal, Retry::kNever);
  }

  Status LookAtFile() {
    WEIR_ASSIGN(const uint64_t size, file->Size());
    const Result<DirectoryEntry> entry = env->Stat(path);
    rotated = rotated || !entry.ok() ||
              (identity.inode != 0 &&
               (entry->inode != identity.inode || entry->device != identity.device));
    truncated = size < raw_offset;
    const EventTime modified = rotated ? modified_seen : entry->modified;
    if (truncated || (size == size_seen && modified == modified_seen)) return Status::Ok();
    size_seen = size;
    modified_seen = modified;
    return LookAtStart();
  }

  /// Written anew in place of what was read it is another text, however long. The hash covers more
  /// as the file grows: many are found empty.
  Status LookAtStart() {
    std::string prefix(kIdentityBytes, '\0');
    WEIR_ASSIGN(const size_t got, file->Read(0, prefix));
    const std::string_view start = std::string_view(prefix).substr(0, got);
    truncated = got < identity.prefix_bytes ||
                Hash64(start.substr(0, identity.prefix_bytes)) != identity.hash;
    if (truncated) return Status::Ok();
    identity.prefix_bytes = got;
    identity.hash = Hash64(start);
    return Status::Ok();
  }

  Status ReadPiece() {
    if (raw.size() < kReadBytes / 2) {
      std::string more(kReadBytes, '\0');
      WEIR_ASSIGN(const size_t got, file->Read(raw_offset, more));
      raw.append(more, 0, got);
      raw_offset += got;
      if (got == 0 && raw.empty()) {
        at_end = true;
        cut_off = !decompressor->at_boundary();
        return Status::Ok();
      }
    }
    const size_t before = raw.size();
    const Result<size_t> used = decompressor->Next(raw, kOutputBytesMax, bytes);
    WEIR_TRY(used.status().At("file '" + path + "'"));
    raw.erase(0, *used);
    if (*used == 0 && bytes.empty() && raw.size() == before) {
      // Only part of a block is there, and no more comes.
      at_end = true;
      cut_off = true;
      return Status::Ok();
    }
    const uint64_t dropped = std::min<uint64_t>(skip, bytes.size());
    bytes.erase(0, dropped);
    skip -= dropped;
    return Status::Ok();
  }
};

class FileSource final : public Source {
 public:
  explicit FileSource(SettingsRef settings) : settings_(std::move(settings)) {}

  Status Open(NodeContext& context) override {
    context_ = &context;
    // Shown as zero from the start: a rate does not see the step from nothing to one.
    for (const char* kind : {"file_lost", "file_truncated"}) context.counter(kind).Add(0);
    return Status::Ok();
  }

  Status Add(std::span<const SplitState> states) override {
    for (const SplitState& state : states) {
      WEIR_ASSIGN(const FilePosition position, FilePosition::Parse(state.position));
      auto split = std::make_unique<Split>();
      split->id = state.id;
      split->position = position;
      split->ended = position.ended;
      order_.push_back(splits_.size());
      splits_.push_back(std::move(split));
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return splits_[a]->id < splits_[b]->id; });
    return Status::Ok();
  }

  Result<Step> Poll(SourceOutput& out) override {
    uint32_t wanted = out.rows_wanted();
    const Duration now = context_->env().Steady();
    bool any = false;
    uint32_t open = 0;
    const uint32_t open_max = settings_->follow    ? UINT32_MAX
                              : settings_->by_name ? 1
                                                   : kOpenFilesMax;
    for (const size_t index : order_) {
      Split& split = *splits_[index];
      const SplitIndex number{static_cast<uint32_t>(index)};
      if (split.ended) {
        if (!split.end_reported) ReportSplit(split, number, out);
        // A followed file is held open, so that no other one gets its inode while it is known.
        if (!settings_->follow) split.reader.reset();
        continue;
      }
      if (open == open_max) break;
      ++open;
      if (out.paused(number)) continue;
      WEIR_TRY(Collect(split, now));
      const uint32_t got = Emit(split, number, wanted, out);
      wanted -= got;
      // A file that has just ended makes room for the next one, which nobody wakes the task for.
      any = any || got > 0 || split.ended;
      // A file's turn begins before the one read before it ends: its split is shown first.
      if (split.ended && settings_->by_name) ShowNext(index, out);
      if (got > 0 || split.ended || split.caught_up != split.caught_up_reported || !split.shown)
        ReportSplit(split, number, out);
      Order(split, now);
    }
    if (any) return Step::Done();
    if (settings_->follow) context_->WakeAfter(kFollowInterval);
    return Step::Wait(0);
  }

 private:
  struct Split {
    std::string id;
    FilePosition position;
    bool ended = false, end_reported = false;
    bool caught_up = false, caught_up_reported = false;
    bool shown = false;                  // reported once
    std::shared_ptr<FileReader> reader;  // null: not begun
    std::unique_ptr<Decoder> framer;
    bool reading = false;             // a job has the reader
    Duration read_at{INT64_MIN / 2};  // follow: the last look that found nothing
    Duration grown_at{};              // follow: the last look that found something
    std::string buffer;          // bytes from position of the first unframed or unemitted record on
    uint64_t buffer_offset = 0;  // of buffer[0] in the text
    size_t framed = 0;           // bytes of the buffer that Frame has used
    bool all_there = false;      // the buffer holds the end of the file
    bool end_framed = false;
    std::vector<Record> records;
    size_t next_record = 0;
    FramingState framing;  // behind what is framed
    bool resumed = false;  // the framer knows where it goes on, or is at the file's start
  };

  Status Begin(Split& split) {
    WEIR_ASSIGN(split.framer, settings_->framer());
    split.reader = std::make_shared<FileReader>();
    split.reader->env = &context_->env();
    split.reader->path = PathOf(split.id, settings_->follow);
    split.reader->follow = settings_->follow;
    split.reader->identity = split.position.identity;
    split.reader->skip = split.position.offset;
    split.reader->head_wanted = split.position.offset > 0 && split.framer->needs_file_start();
    split.framer->BeginFile(split.reader->path);
    split.buffer_offset = split.position.offset;
    split.framing = split.position.framing();
    split.resumed = split.position.offset == 0;
    return Status::Ok();
  }

  /// Orders the next piece of a file once all that has come is given out.
  void Order(Split& split, Duration now) {
    if (split.reading || split.ended || split.all_there || split.next_record < split.records.size())
      return;
    if (settings_->follow && split.caught_up && now - split.read_at < kFollowInterval) return;
    split.reading = true;
    split.reader->done.store(false, std::memory_order_relaxed);
    context_->Post([reader = split.reader] { reader->Run(); });
  }

  /// Takes what a job has brought.
  Status Collect(Split& split, Duration now) {
    if (split.reader == nullptr) WEIR_TRY(Begin(split));
    FileReader& reader = *split.reader;
    if (!split.reading || !reader.done.load(std::memory_order_acquire)) return Status::Ok();
    split.reading = false;
    if (settings_->follow && reader.status.code() == Code::kNotFound) {
      // What was left of it cannot be read any more, and a job that follows logs is not to stop for
      // it.
      WEIR_LOG(kWarn, "a followed file is gone", {"node_id", context_->node().id},
               {"file", reader.path}, {"reason", reader.status.message()});
      context_->counter("file_lost").Add(1);
      split.ended = true;
      return Status::Ok();
    }
    WEIR_TRY(reader.status);
    if (reader.truncated) return Restart(split);
    if (settings_->follow) split.position.identity = reader.identity;
    if (!split.resumed) WEIR_TRY(Resume(split, reader.head));
    if (!reader.bytes.empty()) split.grown_at = now;
    const bool left = settings_->follow && reader.rotated && now - split.grown_at >= kRotatedGrace;
    split.caught_up = settings_->follow && reader.at_end && !left;
    if (reader.at_end) split.read_at = now;
    if (reader.at_end && (!settings_->follow || left)) split.all_there = true;
    // Records that were given out lie before `framed`: their bytes can go.
    split.buffer.erase(0, split.framed);
    split.buffer_offset += split.framed;
    split.framed = 0;
    split.records.clear();
    split.next_record = 0;
    split.buffer.append(reader.bytes);
    WEIR_TRY(Frame(split, reader.cut_off));
    return Status::Ok();
  }

  Status Frame(Split& split, bool cut_off) {
    WEIR_ASSIGN(split.framed, split.framer->Frame(split.buffer, split.all_there, split.records));
    split.framing = split.framer->framing();
    if (!split.all_there) return Status::Ok();
    split.framed = split.buffer.size();
    split.end_framed = true;
    // The last record of a file that was cut off is not whole, or it cannot be known to be.
    if (cut_off) {
      if (split.records.empty()) {
        Record record;
        record.value = std::string_view(split.buffer).substr(split.buffer.size());
        record.offset = split.framing.lines + 1;
        split.records.push_back(record);
      }
      split.records.back().truncated = true;
    }
    return Status::Ok();
  }

  /// A format with a header line reads it again when a file is gone on with. The records behind it
  /// have been given out.
  static Status Resume(Split& split, std::string_view head) {
    std::vector<Record> passed;
    if (!head.empty()) WEIR_TRY(split.framer->Frame(head, /*at_end=*/false, passed).status());
    split.framer->ResumeFile(split.framing);
    split.resumed = true;
    return Status::Ok();
  }

  Status Restart(Split& split) {
    context_->counter("file_truncated").Add(1);
    WEIR_LOG(kWarn, "a followed file was truncated: it is read from its start",
             {"node_id", context_->node().id}, {"file", split.reader->path});
    const FileIdentity identity{.device = split.position.identity.device,
                                .inode = split.position.identity.inode,
                                .prefix_bytes = 0,
                                .hash = Hash64("")};
    split.position = FilePosition{};
    split.position.identity = identity;
    split.buffer.clear();
    split.records.clear();
    split.next_record = split.framed = 0;
    split.caught_up = false;
    return Begin(split);
  }

  uint32_t Emit(Split& split, SplitIndex number, uint32_t wanted, SourceOutput& out) {
    uint32_t count = 0;
    for (; count < wanted && split.next_record < split.records.size(); ++count) {
      Record& record = split.records[split.next_record++];
      record.topic = split.reader->path;
      out.Append(number, record);
    }
    const bool more = split.next_record < split.records.size();
    if (more) {
      const Record& next = split.records[split.next_record];
      split.position.offset =
          split.buffer_offset + static_cast<uint64_t>(next.value.data() - split.buffer.data());
      split.position.SetFraming({.lines = next.offset - 1, .cut_short = false});
    } else {
      split.position.offset = split.buffer_offset + split.framed;
      split.position.SetFraming(split.framing);
      if (split.end_framed) split.ended = true;
    }
    split.position.ended = split.ended;
    return count;
  }

  void ReportSplit(Split& split, SplitIndex number, SourceOutput& out) {
    out.Report(number, split.position.ToText(),
               split.ended       ? SplitStatus::kEnded
               : split.caught_up ? SplitStatus::kCaughtUp
                                 : SplitStatus::kBehind,
               -1);
    split.shown = true;
    split.caught_up_reported = split.caught_up;
    split.end_reported = split.ended;
  }

  void ShowNext(size_t index, SourceOutput& out) {
    const auto at = std::find(order_.begin(), order_.end(), index);
    for (auto next = at + 1; next != order_.end(); ++next) {
      Split& split = *splits_[*next];
      if (split.ended) continue;
      if (!split.shown) ReportSplit(split, SplitIndex{static_cast<uint32_t>(*next)}, out);
      return;
    }
  }

  const SettingsRef settings_;
  NodeContext* context_ = nullptr;
  std::vector<std::unique_ptr<Split>> splits_;  // by SplitIndex
  std::vector<size_t> order_;                   // by name
};

void Infer(NodeConfig& config, NodeShape& shape) {
  config.InferSource(shape, {});
  CheckAllowedPath(config, "path");
  if (!config.json("path").is_string()) return;
  const bool follow = config.Bool("follow");
  if (follow && IsCompressed(config.Text("path")))
    config.Error("path", "W0203", "only plain files can be followed");
  if (follow && config.Text("order") == "by_name")
    config.Error(
        "order", "W0203",
        "'order: by_name' is for files that are read once; followed files are read as they grow");
  if (shape.source) shape.source->bounded = !follow;
}

Result<SourceParts> Create(const NodeConfig& config, const NodeShape& shape) {
  auto settings = std::make_shared<FileSourceSettings>();
  settings->path = config.Text("path");
  settings->follow = config.Bool("follow");
  settings->by_name = config.Text("order") == "by_name";
  settings->discovery_interval = config.DurationOf("discovery_interval");
  const auto own = std::make_shared<const NodeConfig>(config);
  settings->framer = [own, columns = shape.source->columns] { return own->MakeDecoder(columns); };
  const SettingsRef shared = std::move(settings);
  return SourceParts{.source = [shared] { return std::make_unique<FileSource>(shared); },
                     .enumerator = [shared] { return std::make_unique<FileEnumerator>(shared); }};
}

void Probe(const NodeConfig& config, const NodeShape&, Clients&, Env& env, Problems& problems) {
  const Result<std::vector<FoundFile>> found = FindFiles(env, config.Text("path"));
  if (found.ok() && (!found->empty() || config.Bool("follow"))) return;
  Problem problem;
  problem.code = "W0707";
  problem.warning = found.ok();
  problem.message =
      found.ok() ? "no file matches '" + config.Text("path") + "'" : found.status().message();
  problem.pointer = config.pointer("path");
  problem.node_id = config.id();
  problems.Add(std::move(problem));
}

}  // namespace

void RegisterFileSource(Registry& registry) {
  registry.Add(
      {.name = "file_source",
       .doc = "Reads files: NDJSON, CSV, lines; once, or as they grow.",
       .options =
           {
               {.name = "path",
                .doc = "Files to read: a path with *, ?, [a-z] and ** for any directories. .gz and "
                       ".zst by suffix.",
                .required = true,
                .substitute = true},
               {.name = "format",
                .type = OptionType::kFormat,
                .doc = "Format of the records.",
                .required = true},
               {.name = "follow",
                .type = OptionType::kBool,
                .doc = "Goes on with what is appended, and with new files.",
                .fallback = "false"},
               {.name = "order",
                .type = OptionType::kEnum,
                .doc = "by_name: the files follow one another in time.",
                .fallback = "any",
                .allowed = "any|by_name"},
               {.name = "discovery_interval",
                .type = OptionType::kDuration,
                .doc = "How often new files are looked for, with `follow`.",
                .fallback = "10s",
                .allowed = "100ms..1d"},
           },
       .inputs = {.least = 0, .most = 0},
       .infer = Infer,
       .probe = Probe,
       .create = Create,
       .example =
           R"({"type": "file_source", "path": "in/*.ndjson", "format": {"type": "json"}, "schema": {"user": "string", "at": "timestamp"}})"});
}

}  // namespace weir
