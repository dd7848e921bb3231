#include "state/rocksdb_store.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include <rocksdb/compaction_filter.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include "engine/base/content_hash.h"
#include "state/rocksdb_files.h"

namespace weir::state {
namespace {

constexpr size_t kWriteBatchBytes = size_t{1} << 20;
constexpr uint64_t kTableFileBytes = uint64_t{32} << 20;
constexpr size_t kCopyBytes = size_t{1} << 20;
constexpr size_t kArenaBlockBytes = size_t{256} << 10;  // of a memtable; mapped one by one
constexpr uint64_t kFlushBytesLeast = uint64_t{1} << 20;
constexpr double kFilterBitsPerKey = 10;
constexpr int kTableFormatVersion = 5;

/// RocksDB's own log would only go to a directory that the next attempt removes; its errors come
/// through statuses and the listener.
class NoLog final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

/// The view that compactions use; swapped whole.
class FilterView {
 public:
  void Set(ImageView view) {
    auto next = std::make_shared<const ImageView>(std::move(view));
    const std::lock_guard lock(mutex_);
    view_ = std::move(next);
  }
  std::shared_ptr<const ImageView> Get() const {
    const std::lock_guard lock(mutex_);
    return view_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const ImageView> view_;  // Guarded by mutex_.
};

class GoneFilter final : public rocksdb::CompactionFilter {
 public:
  GoneFilter(std::shared_ptr<const ImageView> view, size_t state, const RowCodec& codec)
      : view_(std::move(view)), state_(state), codec_(codec) {}
  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*,
              bool*) const override {
    return view_->Gone(state_, codec_, {key.data(), key.size()}, {value.data(), value.size()});
  }
  const char* Name() const override { return "weir.gone"; }

 private:
  const std::shared_ptr<const ImageView> view_;
  const size_t state_;
  const RowCodec& codec_;
};

class GoneFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  GoneFilterFactory(std::shared_ptr<const FilterView> view, size_t state, RowCodec codec)
      : view_(std::move(view)), state_(state), codec_(std::move(codec)) {}
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<GoneFilter>(view_->Get(), state_, codec_);
  }
  const char* Name() const override { return "weir.gone"; }

 private:
  const std::shared_ptr<const FilterView> view_;
  const size_t state_;
  const RowCodec codec_;
};

class ErrorListener final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    const std::lock_guard lock(mutex_);
    if (error_.ok()) error_ = FromRocksdb(*status, "work of RocksDB in the background");
    failed_ = true;
  }
  Status status() const {
    if (!failed_) return Status::Ok();
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::atomic<bool> failed_ = false;
  mutable std::mutex mutex_;
  Status error_;  // Guarded by mutex_.
};

/// The first two bytes of all keys of a group.
std::string GroupBound(uint32_t group) {
  std::string bound;
  bound.push_back(static_cast<char>(group >> 8));
  bound.push_back(static_cast<char>(group & 0xff));
  return bound;
}

rocksdb::CompressionType CompressionOf(const std::string& name) {
  if (name == "none") return rocksdb::kNoCompression;
  return name == "zstd" ? rocksdb::kZSTD : rocksdb::kLZ4Compression;
}

class RocksdbStore final : public ColdStore {
 public:
  RocksdbStore(std::shared_ptr<RocksdbShared> shared, const TaskStateSpec& spec,
               std::span<const RowCodec> codecs);
  ~RocksdbStore() override;
  Status Open(std::span<const RestoredImage> restored, const ImageView& view);

  Status Put(size_t state, std::string_view key, std::string_view value) override {
    batch_.Put(families_[state], rocksdb::Slice(key.data(), key.size()),
               rocksdb::Slice(value.data(), value.size()));
    return batch_.GetDataSize() < kWriteBatchBytes ? Status::Ok() : WriteBatchDown();
  }
  Status Erase(size_t state, std::string_view key) override {
    batch_.Delete(families_[state], rocksdb::Slice(key.data(), key.size()));
    return batch_.GetDataSize() < kWriteBatchBytes ? Status::Ok() : WriteBatchDown();
  }
  Status Finish() override { return batch_.Count() == 0 ? Status::Ok() : WriteBatchDown(); }
  Status Get(size_t state, std::span<const std::string> keys,
             std::vector<std::optional<std::string>>& values) override;
  Status Scan(size_t state, std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) override;
  Result<std::vector<ImageFile>> Image(CheckpointId n, const ImageView& view) override;
  Status Forget(CheckpointId n, bool completed) override;
  void AddUsage(StateUsage& usage) const override;
  Status status() const override { return listener_->status(); }

 private:
  struct Family {
    std::string name;
    rocksdb::ColumnFamilyOptions options;
  };
  struct Hashed {
    std::string hash;
    uint64_t bytes = 0;
  };
  struct OpenedPart {
    std::unique_ptr<rocksdb::DB> db;
    std::map<std::string, rocksdb::ColumnFamilyHandle*> families;
  };

  Status Check(const rocksdb::Status& status, std::string_view where) const {
    return FromRocksdb(status, "state of task \"" + task_ + "\", " + std::string(where));
  }
  Status WriteBatchDown();
  uint64_t BufferedBytes() const;
  rocksdb::DBOptions DatabaseOptions() const;
  rocksdb::ColumnFamilyOptions FamilyOptions(size_t state) const;
  Path DatabasePath() const { return directory_ + "/db"; }
  Path ImagePath(CheckpointId n) const { return directory_ + "/image-" + std::to_string(n.value); }
  Status PlaceFiles(const StateImage& image, const Path& into);
  Status LinkOrCopy(const Path& from, const Path& to);
  Result<OpenedPart> OpenPart(const Path& path, bool read_only);
  Status OpenDatabase(bool create);
  Status KeepOnly(GroupRange groups, bool exactly);
  Status Ingest(const RestoredImage& part, size_t number);
  Result<ImageFile> Describe(CheckpointId n, const std::string& original);

  const std::shared_ptr<RocksdbShared> shared_;
  const Path directory_;
  const std::string task_;
  const Attempt attempt_;
  const std::vector<RowCodec> codecs_;
  const std::string compression_;
  std::vector<std::string> names_;  // of the column families, by state
  const std::shared_ptr<FilterView> view_ = std::make_shared<FilterView>();
  const std::shared_ptr<ErrorListener> listener_ = std::make_shared<ErrorListener>();
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_, extra_families_;
  rocksdb::WriteBatch batch_;
  std::map<std::string, Hashed> hashed_;                   // table files of the database
  std::map<uint64_t, std::set<std::string>> image_names_;  // by checkpoint
  std::set<std::string> known_;                            // named by the last completed image
  mutable std::atomic<uint64_t> calls_ = 0;
  std::atomic<uint64_t> flush_us_ = 0;  // writers waited for room in the write buffers
  const std::shared_ptr<rocksdb::Statistics> statistics_ = rocksdb::CreateDBStatistics();
};

RocksdbStore::RocksdbStore(std::shared_ptr<RocksdbShared> shared, const TaskStateSpec& spec,
                           std::span<const RowCodec> codecs)
    : shared_(std::move(shared)),
      directory_(spec.directory),
      task_(spec.task_name),
      attempt_(spec.attempt),
      codecs_(codecs.begin(), codecs.end()),
      compression_(spec.compression) {
  // Tickers only: the time that writers were stopped or delayed.
  statistics_->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  for (const TaskStateEntry& entry : spec.states)
    names_.push_back(entry.node_id + "/" + entry.spec.name);
}

RocksdbStore::~RocksdbStore() {
  if (db_ != nullptr) {
    rocksdb::CancelAllBackgroundWork(db_.get(), /*wait=*/true);
    for (rocksdb::ColumnFamilyHandle* family : families_)
      db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    for (rocksdb::ColumnFamilyHandle* family : extra_families_)
      db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
    db_->Close().PermitUncheckedError();
    db_ = nullptr;
  }
  IgnoreStatus(shared_->env.RemoveTree(directory_),
               "what stays is removed with the attempt's directory");
}

rocksdb::DBOptions RocksdbStore::DatabaseOptions() const {
  rocksdb::DBOptions options;
  options.env = shared_->rocksdb_env.get();
  options.create_if_missing = true;
  options.write_buffer_manager = shared_->write_buffers;
  options.max_background_jobs = 2;
  options.info_log = std::make_shared<NoLog>();
  options.statistics = statistics_;
  options.listeners = {listener_};
  options.avoid_flush_during_shutdown = true;  // the directory is discarded
  options.avoid_unnecessary_blocking_io = true;
  options.max_manifest_file_size = 4 << 20;
  options.use_fsync = false;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::ColumnFamilyOptions RocksdbStore::FamilyOptions(size_t state) const {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = std::max<size_t>(shared_->write_buffer_bytes / 2, size_t{64} << 10);
  options.arena_block_size = std::min(options.write_buffer_size / 8, kArenaBlockBytes);
  options.level0_file_num_compaction_trigger = 4;
  options.target_file_size_base = kTableFileBytes;
  options.compression = CompressionOf(compression_);
  if (state < codecs_.size())
    options.compaction_filter_factory =
        std::make_shared<GoneFilterFactory>(view_, state, codecs_[state]);
  rocksdb::BlockBasedTableOptions table;
  table.format_version = kTableFormatVersion;
  table.block_cache = shared_->cache;
  table.block_size = 16 << 10;
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(kFilterBitsPerKey));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.checksum = rocksdb::kXXH3;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

Status RocksdbStore::LinkOrCopy(const Path& from, const Path& to) {
  Env& env = shared_->env;
  Status linked = env.Link(from, to);
  if (linked.ok()) return linked;
  WEIR_ASSIGN(const std::unique_ptr<ReadableFile> source, env.Open(from));
  WEIR_ASSIGN(const std::unique_ptr<WritableFile> target, env.Create(to, CreateMode::kNew));
  std::string block(kCopyBytes, '\0');
  for (uint64_t offset = 0;;) {
    WEIR_ASSIGN(const size_t read, source->Read(offset, block));
    if (read == 0) break;
    WEIR_TRY(target->Append(std::string_view(block).substr(0, read)));
    offset += read;
  }
  return target->Close();
}

Status RocksdbStore::PlaceFiles(const StateImage& image, const Path& into) {
  WEIR_TRY(shared_->env.MakeDirectory(into));
  for (const ImageFile& file : image.files) {
    // Names come from a snapshot: nothing outside of the directory may be meant.
    if (file.original.empty() || file.original.find('/') != std::string::npos ||
        file.original.front() == '.') {
      return {Code::kCorruption, "the snapshot names a database file \"" + file.original + "\""};
    }
    WEIR_TRY(LinkOrCopy(file.local, into + "/" + file.original));
  }
  return Status::Ok();
}

Result<RocksdbStore::OpenedPart> RocksdbStore::OpenPart(const Path& path, bool read_only) {
  std::vector<std::string> present;
  const rocksdb::DBOptions options = DatabaseOptions();
  WEIR_TRY(Check(rocksdb::DB::ListColumnFamilies(options, path, &present),
                 "reading the restored database"));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : present) {
    const auto state =
        static_cast<size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
    descriptors.emplace_back(name, FamilyOptions(state));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      read_only ? rocksdb::DB::OpenForReadOnly(options, path, descriptors, &handles, &db)
                : rocksdb::DB::Open(options, path, descriptors, &handles, &db);
  WEIR_TRY(Check(opened, "opening the restored database"));
  OpenedPart part;
  part.db.reset(db);
  for (size_t i = 0; i < handles.size(); ++i) part.families.emplace(present[i], handles[i]);
  return part;
}

Status RocksdbStore::OpenDatabase(bool create) {
  if (create) {
    WEIR_TRY(shared_->env.MakeDirectory(DatabasePath()));
    rocksdb::DB* db = nullptr;
    WEIR_TRY(
        Check(rocksdb::DB::Open(rocksdb::Options(DatabaseOptions(), FamilyOptions(names_.size())),
                                DatabasePath(), &db),
              "creating the database"));
    db_.reset(db);
  }
  std::map<std::string, rocksdb::ColumnFamilyHandle*> present;
  if (!create) {
    WEIR_ASSIGN(OpenedPart part, OpenPart(DatabasePath(), /*read_only=*/false));
    db_ = std::move(part.db);
    present = std::move(part.families);
  }
  // Those that are missing in one call: each call writes the database's options anew.
  std::vector<rocksdb::ColumnFamilyDescriptor> missing;
  for (size_t state = 0; state < names_.size(); ++state) {
    if (!present.contains(names_[state])) missing.emplace_back(names_[state], FamilyOptions(state));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> fresh;
  Status made = missing.empty()
                    ? Status::Ok()
                    : Check(db_->CreateColumnFamilies(missing, &fresh), "creating column families");
  for (size_t at = 0; at < fresh.size(); ++at) present[missing[at].name] = fresh[at];
  for (const std::string& name : names_) {
    const auto found = present.find(name);
    if (found == present.end()) continue;  // could not be made
    families_.push_back(found->second);
    present.erase(found);
  }
  for (const auto& [name, family] : present) {
    extra_families_.push_back(family);
    // A state that the job no longer has.
    if (name != rocksdb::kDefaultColumnFamilyName && made.ok())
      made = Check(db_->DropColumnFamily(family), "dropping a column family");
  }
  return made;
}

/// Files that lie wholly outside of `groups` go at once; `exactly`: so do all other rows outside,
/// which a compaction has to find.
Status RocksdbStore::KeepOnly(GroupRange groups, bool exactly) {
  const std::string begin = GroupBound(groups.first.value),
                    end = GroupBound(groups.last.value + 1U);
  const rocksdb::Slice from(begin), to(end);
  const bool to_the_end = groups.last.value == UINT16_MAX;
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    std::vector<rocksdb::RangePtr> outside{{nullptr, &from}};
    if (!to_the_end) outside.emplace_back(&to, nullptr);
    WEIR_TRY(Check(rocksdb::DeleteFilesInRanges(db_.get(), family, outside.data(), outside.size(),
                                                /*include_end=*/false),
                   "leaving out files of other key groups"));
    if (!exactly) continue;
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    if (groups.first.value > 0)
      WEIR_TRY(Check(db_->CompactRange(options, family, nullptr, &from),
                     "leaving out rows of other key groups"));
    if (!to_the_end)
      WEIR_TRY(Check(db_->CompactRange(options, family, &to, nullptr),
                     "leaving out rows of other key groups"));
  }
  return Status::Ok();
}

/// Rows of another part come in as sorted table files, before the first write.
Status RocksdbStore::Ingest(const RestoredImage& part, size_t number) {
  const Path path = directory_ + "/part-" + std::to_string(number);
  WEIR_TRY(PlaceFiles(*part.image, path));
  WEIR_ASSIGN(OpenedPart opened, OpenPart(path, /*read_only=*/true));
  const auto ingest = [&]() -> Status {
    const std::string begin = GroupBound(part.groups.first.value),
                      end = GroupBound(part.groups.last.value + 1U);
    const rocksdb::Slice upper(end);
    for (size_t state = 0; state < names_.size(); ++state) {
      const auto found = opened.families.find(names_[state]);
      if (found == opened.families.end()) continue;
      rocksdb::ReadOptions read;
      if (part.groups.last.value != UINT16_MAX) read.iterate_upper_bound = &upper;
      const std::unique_ptr<rocksdb::Iterator> rows(opened.db->NewIterator(read, found->second));
      const Path file = path + "/" + std::to_string(state) + ".ingest";
      rocksdb::SstFileWriter writer(rocksdb::EnvOptions(),
                                    rocksdb::Options(DatabaseOptions(), FamilyOptions(state)),
                                    families_[state]);
      bool any = false;
      for (rows->Seek(begin); rows->Valid(); rows->Next()) {
        if (!any) WEIR_TRY(Check(writer.Open(file), "writing a table file"));
        any = true;
        WEIR_TRY(Check(writer.Put(rows->key(), rows->value()), "writing a table file"));
      }
      WEIR_TRY(Check(rows->status(), "reading a part of the restored state"));
      if (!any) continue;
      WEIR_TRY(Check(writer.Finish(), "writing a table file"));
      rocksdb::IngestExternalFileOptions options;
      options.move_files = true;
      WEIR_TRY(Check(db_->IngestExternalFile(families_[state], {file}, options),
                     "taking in a part of the restored state"));
    }
    return Status::Ok();
  };
  const Status ingested = ingest();
  for (const auto& [name, family] : opened.families)
    opened.db->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  opened.db = nullptr;
  WEIR_TRY(ingested);
  return shared_->env.RemoveTree(path);
}

Status RocksdbStore::Open(std::span<const RestoredImage> restored, const ImageView& view) {
  WEIR_TRY(shared_->env.RemoveTree(directory_));
  view_->Set(view);
  if (restored.empty()) return OpenDatabase(/*create=*/true);
  // The part with the most bytes per key group that is wanted is the base; the others are taken
  // into it.
  const auto weight = [](const RestoredImage& part) {
    uint64_t bytes = 0;
    for (const ImageFile& file : part.image->files) bytes += file.bytes;
    const uint64_t wanted = uint64_t{part.groups.last.value} - part.groups.first.value + 1;
    return bytes * wanted /
           (uint64_t{part.image->groups.last.value} - part.image->groups.first.value + 1);
  };
  const auto base =
      std::max_element(restored.begin(), restored.end(),
                       [&](const auto& a, const auto& b) { return weight(a) < weight(b); });
  ImageView of_base = view;
  const bool merged = restored.size() > 1;
  WEIR_TRY(PlaceFiles(*base->image, DatabasePath()));
  // A database may still hold rows of groups that its task lost in an earlier rescaling. Before
  // rows of those groups come in, they must be gone.
  if (merged) {
    const size_t skip = size_t{base->groups.first.value} - view.groups.first.value,
                 count = size_t{base->groups.last.value} - base->groups.first.value + 1;
    of_base.groups = base->groups;
    for (StateView& state : of_base.states) {
      for (std::vector<int64_t>* levels : {&state.horizons, &state.expired}) {
        if (!levels->empty())
          *levels = std::vector<int64_t>(levels->begin() + static_cast<ptrdiff_t>(skip),
                                         levels->begin() + static_cast<ptrdiff_t>(skip + count));
      }
    }
    view_->Set(of_base);
  }
  WEIR_TRY(OpenDatabase(/*create=*/false));
  WEIR_TRY(KeepOnly(base->groups, merged));
  view_->Set(view);
  size_t number = 0;
  for (const RestoredImage& part : restored) {
    if (&part != &*base) WEIR_TRY(Ingest(part, number++));
  }
  return Status::Ok();
}

Status RocksdbStore::WriteBatchDown() {
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  options.memtable_insert_hint_per_batch = true;  // sorted
  calls_.fetch_add(1, std::memory_order_relaxed);
  const rocksdb::Status written = db_->Write(options, &batch_);
  batch_.Clear();
  WEIR_TRY(Check(written, "writing rows"));
  // RocksDB only begins to flush at the bound, and takes on what comes meanwhile. Nobody else
  // writes to this database, so its writer can wait. Where others hold the buffers, files stay of a
  // sensible size.
  if (shared_->write_buffers->memory_usage() < shared_->write_buffer_bytes ||
      BufferedBytes() < kFlushBytesLeast)
    return Status::Ok();
  rocksdb::FlushOptions flush;
  flush.wait = true;
  flush.allow_write_stall = true;
  const Duration before = shared_->env.Steady();
  Status flushed = Check(db_->Flush(flush, families_), "flushing rows");
  flush_us_.fetch_add(static_cast<uint64_t>((shared_->env.Steady() - before).us),
                      std::memory_order_relaxed);
  return flushed;
}

uint64_t RocksdbStore::BufferedBytes() const {
  uint64_t bytes = 0;
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    uint64_t value = 0;
    if (db_->GetIntProperty(family, rocksdb::DB::Properties::kSizeAllMemTables, &value))
      bytes += value;
  }
  return bytes;
}

Status RocksdbStore::Get(size_t state, std::span<const std::string> keys,
                         std::vector<std::optional<std::string>>& values) {
  std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> found(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  calls_.fetch_add(1, std::memory_order_relaxed);
  db_->MultiGet(rocksdb::ReadOptions(), families_[state], keys.size(), slices.data(), found.data(),
                statuses.data(), /*sorted_input=*/true);
  values.assign(keys.size(), std::nullopt);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].IsNotFound()) continue;
    WEIR_TRY(Check(statuses[i], "reading a row"));
    values[i] = found[i].ToString();
  }
  return Status::Ok();
}

Status RocksdbStore::Scan(size_t state, std::string_view from, std::string_view to,
                          const std::function<bool(std::string_view, std::string_view)>& visit) {
  rocksdb::ReadOptions options;
  const rocksdb::Slice upper(to.data(), to.size());
  if (!to.empty()) options.iterate_upper_bound = &upper;
  uint64_t calls = 1;
  const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(options, families_[state]));
  for (rows->Seek(rocksdb::Slice(from.data(), from.size())); rows->Valid(); rows->Next(), ++calls) {
    if (!visit({rows->key().data(), rows->key().size()},
               {rows->value().data(), rows->value().size()}))
      break;
  }
  calls_.fetch_add(calls, std::memory_order_relaxed);
  return Check(rows->status(), "reading rows");
}

Result<ImageFile> RocksdbStore::Describe(CheckpointId n, const std::string& original) {
  ImageFile file;
  file.original = original;
  file.local = ImagePath(n) + "/" + original;
  file.shared = original.ends_with(".sst");
  const auto known = hashed_.find(original);
  if (file.shared && known != hashed_.end()) {
    file.hash = known->second.hash;
    file.bytes = known->second.bytes;
  } else {
    WEIR_ASSIGN(const HashedFile content, HashFile(shared_->env, file.local));
    file.bytes = content.bytes;
    file.hash = content.hash.Hex();
    if (file.shared) hashed_[original] = {file.hash, file.bytes};
  }
  file.name = file.shared ? "shared/" + file.hash.substr(0, 2) + "/" + file.hash + "-" +
                                std::to_string(file.bytes) + ".sst"
                          : "chk/" + std::to_string(n.value) + "-" +
                                std::to_string(attempt_.value) + "/" + task_ + "." + original;
  return file;
}

Result<std::vector<ImageFile>> RocksdbStore::Image(CheckpointId n, const ImageView& view) {
  const Path path = ImagePath(n);
  WEIR_TRY(shared_->env.RemoveTree(path));
  rocksdb::Checkpoint* made = nullptr;
  WEIR_TRY(Check(rocksdb::Checkpoint::Create(db_.get(), &made), "taking an image"));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  calls_.fetch_add(1, std::memory_order_relaxed);
  WEIR_TRY(Check(checkpoint->CreateCheckpoint(path, /*log_size_for_flush=*/0), "taking an image"));
  WEIR_TRY(listener_->status());
  view_->Set(view);
  WEIR_ASSIGN(const std::vector<DirectoryEntry> entries, shared_->env.List(path));
  std::vector<ImageFile> files;
  std::map<std::string, Hashed> live;
  std::set<std::string> names;
  for (const DirectoryEntry& entry : entries) {
    // What opens the database, and the tables. There is no log, and options are given anew.
    if (entry.name != "CURRENT" && !entry.name.starts_with("MANIFEST-") &&
        !entry.name.ends_with(".sst"))
      continue;
    WEIR_ASSIGN(ImageFile file, Describe(n, entry.name));
    if (file.shared) {
      live.emplace(entry.name, Hashed{file.hash, file.bytes});
      names.insert(file.name);
      if (known_.contains(file.name)) file.local.clear();
    }
    files.push_back(std::move(file));
  }
  hashed_ = std::move(live);
  image_names_[n.value] = std::move(names);
  return files;
}

Status RocksdbStore::Forget(CheckpointId n, bool completed) {
  const auto names = image_names_.find(n.value);
  if (completed && names != image_names_.end()) known_ = names->second;
  image_names_.erase(image_names_.begin(), image_names_.upper_bound(n.value));
  return shared_->env.RemoveTree(ImagePath(n));
}

void RocksdbStore::AddUsage(StateUsage& usage) const {
  usage.rocksdb_calls += calls_.load(std::memory_order_relaxed);
  usage.write_stall_us += flush_us_.load(std::memory_order_relaxed) +
                          statistics_->getTickerCount(rocksdb::STALL_MICROS);
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    uint64_t value = 0;
    if (db_->GetIntProperty(family, rocksdb::DB::Properties::kLiveSstFilesSize, &value))
      usage.cold_bytes += value;
    if (db_->GetIntProperty(family, rocksdb::DB::Properties::kEstimateTableReadersMem, &value))
      usage.table_reader_bytes += value;
    if (db_->GetIntProperty(family, rocksdb::DB::Properties::kEstimatePendingCompactionBytes,
                            &value))
      usage.compaction_pending_bytes += value;
  }
  usage.memtable_bytes += BufferedBytes();
  usage.block_cache_bytes = shared_->cache->GetUsage();
  usage.pinned_bytes = shared_->cache->GetPinnedUsage();
}

}  // namespace

RocksdbShared::RocksdbShared(Env& files, const RocksdbOptions& options)
    : env(files),
      rocksdb_env(rocksdb::NewCompositeEnv(MakeRocksdbFiles(files))),
      cache(rocksdb::NewLRUCache(options.cache_bytes)),
      write_buffers(std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes, cache,
                                                                  /*allow_stall=*/false)),
      write_buffer_bytes(options.write_buffer_bytes) {
  // Never fewer than two: with one, a flush can wait behind a compaction that waits for it.
  rocksdb_env->SetBackgroundThreads(std::max(options.background_threads - 1, 1), rocksdb::Env::LOW);
  rocksdb_env->SetBackgroundThreads(1, rocksdb::Env::HIGH);
}

Result<std::unique_ptr<ColdStore>> OpenRocksdbStore(std::shared_ptr<RocksdbShared> shared,
                                                    const TaskStateSpec& spec,
                                                    std::span<const RowCodec> codecs,
                                                    std::span<const RestoredImage> restored,
                                                    const ImageView& view) {
  auto store = std::make_unique<RocksdbStore>(std::move(shared), spec, codecs);
  WEIR_TRY(store->Open(restored, view));
  return std::unique_ptr<ColdStore>(std::move(store));
}

}  // namespace weir::state
