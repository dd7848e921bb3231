#pragma once
// Machine: a job's keyed state on P tasks beside a model of std::maps, driven by random operations.
// Every answer of the state is compared with the model's. Pool jobs run when the test says so, in
// any order, so cold reads, evictions, freezes and images interleave in ways a real pool seldom
// shows.

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/api/operator.h"
#include "engine/base/env_posix.h"
#include "engine/data/key_encoding.h"
#include "state/state.h"

namespace weir::state {

/// Files are real; pool jobs wait until the test runs one.
class SteppedEnv : public Env {
 public:
  explicit SteppedEnv(Env& files) : files_(files) {}
  EventTime Now() override { return files_.Now(); }
  Duration Steady() override { return files_.Steady(); }
  uint64_t Random() override { return ++random_; }
  void Post(std::function<void()> job) override { jobs_.push_back(std::move(job)); }
  std::unique_ptr<Loop> Start(std::string_view name, std::function<Duration()> turn) override {
    return files_.Start(name, std::move(turn));
  }
  Result<std::unique_ptr<WritableFile>> Create(const Path& path, CreateMode mode) override {
    return files_.Create(path, mode);
  }
  Result<std::unique_ptr<ReadableFile>> Open(const Path& path) override {
    return files_.Open(path);
  }
  Status Rename(const Path& from, const Path& to) override { return files_.Rename(from, to); }
  Status Link(const Path& from, const Path& to) override { return files_.Link(from, to); }
  Status Remove(const Path& path) override { return files_.Remove(path); }
  Status RemoveTree(const Path& path) override { return files_.RemoveTree(path); }
  Status Truncate(const Path& path, uint64_t bytes) override {
    return files_.Truncate(path, bytes);
  }
  Status MakeDirectory(const Path& path) override { return files_.MakeDirectory(path); }
  Result<std::vector<DirectoryEntry>> List(const Path& path) override { return files_.List(path); }
  Result<DirectoryEntry> Stat(const Path& path) override { return files_.Stat(path); }
  Result<std::unique_ptr<FileLock>> Lock(const Path& path) override { return files_.Lock(path); }
  Result<uint64_t> FreeBytes(const Path& path) override { return files_.FreeBytes(path); }
  Status SyncDirectory(const Path& path) override { return files_.SyncDirectory(path); }

  bool RunOne(std::mt19937_64& random) {
    if (jobs_.empty()) return false;
    const size_t at = random() % jobs_.size();
    std::function<void()> job = std::move(jobs_[at]);
    jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(at));
    job();
    return true;
  }
  void Clear() { jobs_.clear(); }

 private:
  Env& files_;
  uint64_t random_ = 0;
  std::deque<std::function<void()>> jobs_;
};

/// A fresh directory below the system's temporary one; removed at the end.
class TestDirectory {
 public:
  TestDirectory() {
    static int made = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("weir_state_" + std::to_string(getpid()) + "_" + std::to_string(made++)))
                .string();
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TestAccount final : public MemoryAccount {
 public:
  explicit TestAccount(size_t target) : target_(target) {}
  void Use(int64_t delta) override { used_ += delta; }
  size_t used() const override { return static_cast<size_t>(std::max<int64_t>(used_, 0)); }
  size_t target() const override { return target_; }
  int64_t raw() const { return used_; }

 private:
  const size_t target_;
  int64_t used_ = 0;
};

/// Keys of one int64 column.
inline std::shared_ptr<const KeyStorage> KeysOfNumbers(const std::vector<int64_t>& numbers,
                                                       const std::vector<int64_t>& times = {}) {
  ColumnBuilder builder(Type::Of(TypeKind::kInt64), static_cast<uint32_t>(numbers.size()));
  for (const int64_t n : numbers) builder.Append<int64_t>(n);
  const std::vector<Column> columns{builder.Build()};
  if (times.empty()) return EncodeKeys(columns, static_cast<uint32_t>(numbers.size()), nullptr);
  ColumnBuilder time_builder(Type::Of(TypeKind::kTimestamp), static_cast<uint32_t>(numbers.size()));
  for (const int64_t t : times) time_builder.Append<int64_t>(t);
  const Column time = time_builder.Build();
  return EncodeKeys(columns, static_cast<uint32_t>(numbers.size()), &time);
}

inline std::string KeyText(int64_t number) {
  const auto keys = KeysOfNumbers({number});
  return std::string(keys->bytes[0].view());
}

inline constexpr uint32_t kTestGroups = 16;

inline uint16_t GroupOfNumber(int64_t number) {
  return KeyGroupOf(HashKey(KeyText(number)), kTestGroups).value;
}

/// What a test job declares: a value, a map, a log and timers, each a node of its own.
inline std::vector<TaskStateEntry> TestStates() {
  const std::vector<Type> key{Type::Of(TypeKind::kInt64)};
  const Schema row({{"n", Type::Of(TypeKind::kInt64), true},
                    {"text", Type::Of(TypeKind::kString), true},
                    {"price", Type::Decimal(20, 2), true}});
  const Schema log_row(
      {{"n", Type::Of(TypeKind::kInt64), true}, {"text", Type::Of(TypeKind::kString), true}});
  std::vector<TaskStateEntry> entries;
  const auto add = [&](std::string name, StateKind kind, const Schema& schema, bool namespaced) {
    const auto index = static_cast<uint16_t>(entries.size());
    entries.push_back(
        {NodeIndex{index},
         "node" + std::to_string(index),
         StateIndex{0},
         {.name = std::move(name), .kind = kind, .row = schema, .namespaced = namespaced},
         key});
  };
  add("values", StateKind::kValue, row, true);
  add("map", StateKind::kMap, row, true);
  add("log", StateKind::kLog, log_row, false);
  add("timers", StateKind::kEventTimers, Schema(), true);
  return entries;
}

struct ModelRow {
  std::optional<int64_t> n;
  std::optional<std::string> text;
  friend bool operator==(const ModelRow&, const ModelRow&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const ModelRow& row) {
  return out << "{" << (row.n ? std::to_string(*row.n) : "null") << ", "
             << (row.text ? row.text->substr(0, 20) : "null") << "}";
}

/// The state as it ought to be.
struct Model {
  std::map<std::pair<int64_t, int64_t>, ModelRow> values;             // (ns, key)
  std::map<std::tuple<int64_t, int64_t, std::string>, ModelRow> map;  // (ns, key, subkey)
  std::map<int64_t, std::vector<std::pair<int64_t, ModelRow>>>
      log;  // key -> (time, row) in arrival order
  std::map<std::tuple<int64_t, int, int64_t, std::string>, std::string>
      timers;  // (time, group, ns, key text) -> cursor
  std::vector<int64_t> horizon = std::vector<int64_t>(kTestGroups, INT64_MIN);
  std::vector<int64_t> map_horizon = std::vector<int64_t>(kTestGroups, INT64_MIN);
  int64_t log_expired = INT64_MIN;
};

struct MachineOptions {
  size_t hot_target = 1;  // bytes: nothing may stay
  size_t buffer_bytes = 4096;
  int keys = 40;
  int namespaces = 4;
  std::string compression = "lz4";
};

class Machine {
 public:
  using BackendFactory = std::function<std::unique_ptr<StateBackend>(Env&, size_t buffer_bytes)>;

  Machine(Env& files, BackendFactory make, std::string directory, uint64_t seed,
          MachineOptions options)
      : env_(files),
        directory_(std::move(directory)),
        options_(options),
        random_(seed),
        backend_(make(env_, options.buffer_bytes)) {
    auto store = OpenFileStore(env_, "file://" + directory_ + "/storage");
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(store).value();
  }
  ~Machine() {
    Close();
    backend_ = nullptr;
  }

  struct Saved {
    Model model;
    std::vector<StateImage> images;  // of all tasks; files by storage name
  };

  /// All tasks anew, from `saved` or empty. False: refused, see status().
  bool Start(uint32_t parallelism, const Saved* saved) {
    Close();
    ++attempt_;
    for (uint32_t task = 0; task < parallelism; ++task) {
      auto made = std::make_unique<Task>();
      made->account = std::make_unique<TestAccount>(options_.hot_target);
      made->spec.job = "job";
      made->spec.attempt = {attempt_};
      made->spec.task_name = "task" + std::to_string(task);
      made->spec.groups = GroupsOf({static_cast<uint16_t>(task)}, kTestGroups, parallelism);
      made->spec.key_groups = kTestGroups;
      made->spec.states = TestStates();
      made->spec.directory =
          directory_ + "/work/" + std::to_string(attempt_) + "/" + made->spec.task_name;
      made->spec.compression = options_.compression;
      made->spec.hot = made->account.get();
      std::vector<StateImage> images;
      if (saved != nullptr) {
        for (const StateImage& image : saved->images) {
          if (image.groups.last < made->spec.groups.first ||
              image.groups.first > made->spec.groups.last)
            continue;
          StateImage fetched = image;
          for (ImageFile& file : fetched.files) {
            file.local = directory_ + "/fetched/" + std::to_string(attempt_) + "_" +
                         std::to_string(task) + "_" + std::to_string(fetched_++);
            status_ = env_.MakeDirectory(directory_ + "/fetched");
            if (status_.ok()) status_ = store_->Fetch(file.name, file.bytes, file.local).status();
            if (status_.ok()) status_ = VerifyImageFile(env_, file, file.local);
            if (!status_.ok()) return false;
          }
          images.push_back(std::move(fetched));
        }
      }
      auto opened = backend_->Open(made->spec, images);
      status_ = opened.status();
      if (!opened.ok()) return false;
      made->state = std::move(opened).value();
      made->values = std::get<ValueState*>(made->state->state({0}, {0}));
      made->map = std::get<MapState*>(made->state->state({1}, {0}));
      made->log = std::get<LogState*>(made->state->state({2}, {0}));
      made->timers = std::get<TimerState*>(made->state->state({3}, {0}));
      tasks_.push_back(std::move(made));
    }
    model_ = saved != nullptr ? saved->model : Model();
    return true;
  }

  void Close() {
    tasks_.clear();
    env_.Clear();
  }

  /// One random operation on the state and on the model. False: the state reported an error.
  bool Step() {
    Between();
    switch (random_() % 16) {
      case 0:
      case 1:
      case 2:
        UpdateValues();
        break;
      case 3:
        FindValues();
        break;
      case 4:
        EraseValues();
        break;
      case 5:
        ScanValues();
        break;
      case 6:
      case 7:
        UpdateMap();
        break;
      case 8:
        EraseMap();
        break;
      case 9:
        ScanMap();
        break;
      case 10:
        AppendLog();
        break;
      case 11:
        ScanLog();
        break;
      case 12:
        SetTimers();
        break;
      case 13:
        DeleteTimers();
        break;
      case 14:
        FireTimers();
        break;
      default:
        DropOrExpire();
        break;
    }
    return ok();
  }

  bool ok() {
    for (const auto& task : tasks_) {
      if (status_.ok() && !task->state->status().ok()) status_ = task->state->status();
    }
    return status_.ok();
  }
  const Status& status() const { return status_; }
  void ClearStatus() { status_ = Status::Ok(); }

  /// Freezes all tasks; the model of that moment comes back with FinishCheckpoint.
  CheckpointId Freeze() {
    const CheckpointId n{++checkpoint_};
    frozen_ = model_;
    for (const auto& task : tasks_) task->state->Freeze(n, EventTime::Min());
    return n;
  }
  /// Writes, uploads, completes. Empty: an error, or `abort`.
  std::optional<Saved> Finish(CheckpointId n, bool abort_before = false, bool abort_after = false) {
    if (abort_before) {
      for (const auto& task : tasks_) task->state->Aborted(n);
      if (random_() % 2 == 0) {
        for (const auto& task : tasks_) {
          const auto image = task->state->Write(n);
          EXPECT_EQ(image.status().code(), Code::kCancelled);
        }
      }
      return std::nullopt;
    }
    Saved saved;
    saved.model = frozen_;
    new_files_ = named_files_ = 0;
    for (const auto& task : tasks_) {
      auto image = task->state->Write(n);
      if (!image.ok()) {
        status_ = image.status();
        return std::nullopt;
      }
      for (ImageFile& file : image->files) {
        if (file.local.empty()) {
          ++named_files_;
          const Status present = store_->Size(file.name).status();
          EXPECT_NE(present.code(), Code::kNotFound)
              << "named without being in the storage: " << file.name;
          if (status_.ok()) status_ = present;
        } else {
          ++new_files_;
          if (status_.ok()) status_ = VerifyImageFile(env_, file, file.local);
          if (status_.ok()) status_ = store_->Adopt(file.local, file.name);
        }
        file.local.clear();
      }
      saved.images.push_back(std::move(image).value());
    }
    if (!status_.ok()) return std::nullopt;
    for (const auto& task : tasks_) {
      if (abort_after) {
        task->state->Aborted(n);
      } else {
        task->state->Completed(n);
      }
    }
    if (abort_after) return std::nullopt;
    return saved;
  }

  /// Everything in the state is read and compared with the model.
  void CheckAll() {
    for (int ns = 0; ns < namespaces_used_; ++ns) {
      if (!ok()) return;
      ScanNamespaceOf(ns, true);
      ScanNamespaceOf(ns, false);
    }
    for (int key = 0; key < options_.keys && ok(); ++key)
      ScanLogKey(key, {EventTime::Min(), EventTime::Max(), {}});
    FireAll();
  }

  int new_files() const { return new_files_; }
  int named_files() const { return named_files_; }
  std::mt19937_64& random() { return random_; }
  SteppedEnv& env() { return env_; }
  CheckpointStore& store() { return *store_; }
  const std::string& directory() const { return directory_; }
  const Model& model() const { return model_; }
  StateUsage UsageOf(size_t task) const { return tasks_[task]->state->usage(); }
  int64_t AccountOf(size_t task) const { return tasks_[task]->account->raw(); }
  TaskState& state(size_t task) { return *tasks_[task]->state; }

 private:
  struct Task {
    std::unique_ptr<TestAccount> account;
    TaskStateSpec spec;
    std::unique_ptr<TaskState> state;
    ValueState* values = nullptr;
    MapState* map = nullptr;
    LogState* log = nullptr;
    TimerState* timers = nullptr;
  };

  size_t TaskOfGroup(uint16_t group) const {
    return TaskOf({group}, kTestGroups, static_cast<uint32_t>(tasks_.size())).value;
  }

  /// What the task does between calls.
  void Between() {
    while (random_() % 3 == 0 && env_.RunOne(random_)) {
    }
    for (const auto& task : tasks_) {
      for (int i = 0; i < 2 && task->account->used() > task->account->target(); ++i)
        task->state->Evict(task->account->used());
      int guard = 0;
      while (!task->state->CanTakeBatch(4)) {
        if (!env_.RunOne(random_)) break;
        if (++guard > 10000) break;
      }
    }
  }

  /// Repeats a call that waits, with evictions in between, as the runtime does.
  void Until(const std::function<Ready()>& call) {
    for (int tries = 0; ok(); ++tries) {
      ASSERT_LT(tries, 5000) << "a call waits for ever";
      if (call() == Ready::kReady) return;
      env_.RunOne(random_);
      Between();
    }
  }

  std::vector<int64_t> SomeKeys(size_t task) {
    std::vector<int64_t> keys;
    const size_t count = 1 + random_() % 40;
    for (size_t i = 0; i < count; ++i) {
      const auto key = static_cast<int64_t>(random_() % static_cast<uint64_t>(options_.keys));
      if (TaskOfGroup(GroupOfNumber(key)) == task) keys.push_back(key);
    }
    return keys;
  }
  std::vector<Namespace> SomeNamespaces(const std::vector<int64_t>& keys,
                                        const std::vector<int64_t>& horizon) {
    std::vector<Namespace> ns;
    for (const int64_t key : keys) {
      int64_t at =
          base_ns_ + static_cast<int64_t>(random_() % static_cast<uint64_t>(options_.namespaces));
      at = std::max(
          at, horizon[GroupOfNumber(key)] == INT64_MIN ? at : horizon[GroupOfNumber(key)] + 1);
      namespaces_used_ = std::max<int>(namespaces_used_, static_cast<int>(at) + 1);
      ns.push_back(random_() % 20 == 0 ? kSkip : Namespace{at});
    }
    return ns;
  }
  std::string SomeText() {
    const size_t lengths[] = {0, 3, 8, 9, 20, 200, 3000};
    return std::string(lengths[random_() % (random_() % 4 == 0 ? 7 : 5)],
                       static_cast<char>('a' + random_() % 26));
  }
  size_t SomeTask() { return random_() % tasks_.size(); }

  static ModelRow RowOf(const KeyedState& state, StateRow* row) {
    ModelRow result;
    const auto& fields = state.layout().fields;
    if (!row->IsNull(fields[0])) result.n = row->Get<int64_t>(fields[0]);
    if (!row->IsNull(fields[1])) result.text = std::string(row->GetBytes(fields[1]));
    return result;
  }
  void Write(KeyedState& state, StateRow* row, ModelRow& model) {
    const auto& fields = state.layout().fields;
    const auto n = static_cast<int64_t>(random_());
    if (random_() % 4 != 0) {
      row->Set<int64_t>(fields[0], n);
      model.n = n;
    } else {
      row->SetNull(fields[0]);
      model.n.reset();
    }
    if (random_() % 2 == 0) {
      const std::string text = SomeText();
      state.SetBytes(row, fields[1], text);
      model.text = text;
    }
  }

  void UpdateValues() {
    const size_t at = SomeTask();
    Task& task = *tasks_[at];
    const std::vector<int64_t> keys = SomeKeys(at);
    const auto storage = KeysOfNumbers(keys);
    const std::vector<Namespace> ns = SomeNamespaces(keys, model_.horizon);
    std::vector<StateRow*> rows(keys.size());
    const KeyBatch view = storage->View();
    Until([&] { return task.values->Update(view, ns, rows); });
    if (!ok()) return;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (ns[i] == kSkip) {
        EXPECT_EQ(rows[i], nullptr);
        continue;
      }
      const auto [it, fresh] = model_.values.try_emplace({ns[i].value, keys[i]});
      ASSERT_EQ(RowOf(*task.values, rows[i]), it->second) << "key " << keys[i] << " ns " << ns[i];
      Write(*task.values, rows[i], it->second);
    }
  }

  void FindValues() {
    const size_t at = SomeTask();
    Task& task = *tasks_[at];
    const std::vector<int64_t> keys = SomeKeys(at);
    const auto storage = KeysOfNumbers(keys);
    std::vector<Namespace> ns = SomeNamespaces(keys, std::vector<int64_t>(kTestGroups, INT64_MIN));
    std::vector<StateRow*> rows(keys.size());
    const KeyBatch view = storage->View();
    Until([&] { return task.values->Find(view, ns, rows); });
    if (!ok()) return;
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto it = model_.values.find({ns[i].value, keys[i]});
      if (ns[i] == kSkip || it == model_.values.end()) {
        ASSERT_EQ(rows[i], nullptr) << "key " << keys[i] << " ns " << ns[i];
        continue;
      }
      ASSERT_NE(rows[i], nullptr) << "key " << keys[i] << " ns " << ns[i];
      ASSERT_EQ(RowOf(*task.values, rows[i]), it->second) << "key " << keys[i] << " ns " << ns[i];
      if (random_() % 4 == 0) {
        StateRow* row = task.values->Change(rows[i]);
        Write(*task.values, row, it->second);
        // Later doubles of this key were found before the change.
        for (size_t j = i + 1; j < keys.size(); ++j) {
          if (keys[j] == keys[i] && ns[j] == ns[i]) ns[j] = kSkip, rows[j] = nullptr;
        }
      }
    }
  }

  void EraseValues() {
    const size_t at = SomeTask();
    std::vector<int64_t> keys = SomeKeys(at);
    if (keys.size() > 5) keys.resize(5);
    const std::vector<Namespace> ns =
        SomeNamespaces(keys, std::vector<int64_t>(kTestGroups, INT64_MIN));
    const auto storage = KeysOfNumbers(keys);
    tasks_[at]->values->Erase(storage->View(), ns);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (ns[i] != kSkip) model_.values.erase({ns[i].value, keys[i]});
    }
  }

  void ScanValues() {
    ScanNamespaceOf(
        base_ns_ + static_cast<int64_t>(random_() % static_cast<uint64_t>(options_.namespaces)),
        random_() % 2 == 0);
  }

  void ScanNamespaceOf(int64_t ns, bool values) {
    for (const auto& task : tasks_) {
      KeyedState& state =
          values ? static_cast<KeyedState&>(*task->values) : static_cast<KeyedState&>(*task->map);
      std::map<std::pair<int64_t, std::string>, ModelRow> expected, found;
      if (values) {
        for (const auto& [id, row] : model_.values) {
          if (id.first == ns && task->spec.groups.Contains({GroupOfNumber(id.second)}))
            expected[{id.second, ""}] = row;
        }
      } else {
        for (const auto& [id, row] : model_.map) {
          if (std::get<0>(id) == ns && task->spec.groups.Contains({GroupOfNumber(std::get<1>(id))}))
            expected[{std::get<1>(id), std::get<2>(id)}] = row;
        }
      }
      std::map<std::string, int64_t> numbers;
      for (int key = 0; key < options_.keys; ++key) numbers[KeyText(key)] = key;
      RowBlock block;
      GroupRange groups = task->spec.groups;
      std::string after;
      for (bool more = true; more;) {
        Until([&] { return state.ScanNamespace({ns}, groups, after, block); });
        if (!ok()) return;
        for (size_t i = 0; i < block.rows.size(); ++i) {
          const std::string key(block.key[i]);
          ASSERT_TRUE(numbers.contains(key));
          ASSERT_EQ(block.hash[i], HashKey(key));
          const bool fresh =
              found
                  .emplace(
                      std::pair{numbers[key], values ? std::string() : std::string(block.sort[i])},
                      RowOf(state, block.rows[i]))
                  .second;
          ASSERT_TRUE(fresh) << "shown twice: key " << numbers[key];
        }
        more = block.more;
        if (more) {
          ASSERT_FALSE(block.rows.empty());
          groups.first = KeyGroupOf(block.hash.back(), kTestGroups);
          after = block.key.back();
        }
      }
      ASSERT_EQ(found, expected) << (values ? "values" : "map") << " ns " << ns;
    }
  }

  std::string SomeSubkey() {
    return std::string(1 + random_() % 3, static_cast<char>('a' + random_() % 6));
  }

  void UpdateMap() {
    const size_t at = SomeTask();
    Task& task = *tasks_[at];
    const std::vector<int64_t> keys = SomeKeys(at);
    const auto storage = KeysOfNumbers(keys);
    const std::vector<Namespace> ns = SomeNamespaces(keys, model_.map_horizon);
    std::vector<std::string> subkeys;
    for (size_t i = 0; i < keys.size(); ++i) subkeys.push_back(SomeSubkey());
    const std::vector<std::string_view> views(subkeys.begin(), subkeys.end());
    std::vector<StateRow*> rows(keys.size());
    const KeyBatch view = storage->View();
    Until([&] { return task.map->Update(view, ns, views, rows); });
    if (!ok()) return;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (ns[i] == kSkip) continue;
      const auto it = model_.map.try_emplace({ns[i].value, keys[i], subkeys[i]}).first;
      ASSERT_EQ(RowOf(*task.map, rows[i]), it->second)
          << "key " << keys[i] << " ns " << ns[i] << " subkey " << subkeys[i];
      Write(*task.map, rows[i], it->second);
    }
  }

  void EraseMap() {
    const size_t at = SomeTask();
    std::vector<int64_t> keys = SomeKeys(at);
    const std::vector<Namespace> ns =
        SomeNamespaces(keys, std::vector<int64_t>(kTestGroups, INT64_MIN));
    std::vector<std::string> subkeys;
    for (size_t i = 0; i < keys.size(); ++i) subkeys.push_back(SomeSubkey());
    const std::vector<std::string_view> views(subkeys.begin(), subkeys.end());
    const auto storage = KeysOfNumbers(keys);
    tasks_[at]->map->Erase(storage->View(), ns, views);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (ns[i] != kSkip) model_.map.erase({ns[i].value, keys[i], subkeys[i]});
    }
  }

  void ScanMap() {
    const size_t at = SomeTask();
    Task& task = *tasks_[at];
    std::vector<int64_t> keys = SomeKeys(at);
    std::vector<Namespace> ns = SomeNamespaces(keys, std::vector<int64_t>(kTestGroups, INT64_MIN));
    std::vector<std::string> from, to;
    for (size_t i = 0; i < keys.size(); ++i) {
      from.push_back(random_() % 2 == 0 ? "" : SomeSubkey());
      to.push_back(random_() % 2 == 0 ? "" : SomeSubkey());
    }
    const bool descending = random_() % 2 == 0;
    size_t done = 0;
    RowBlock block;
    while (done < keys.size()) {
      const std::vector<int64_t> rest(keys.begin() + static_cast<ptrdiff_t>(done), keys.end());
      const std::vector<Namespace> rest_ns(ns.begin() + static_cast<ptrdiff_t>(done), ns.end());
      std::vector<SubkeyRange> ranges;
      for (size_t i = done; i < keys.size(); ++i) ranges.push_back({from[i], to[i], descending});
      const auto storage = KeysOfNumbers(rest);
      const KeyBatch view = storage->View();
      Until([&] { return task.map->Scan(view, rest_ns, ranges, block); });
      if (!ok()) return;
      ASSERT_GT(block.first.size(), 1U);
      ASSERT_FALSE(block.more);
      for (size_t i = 0; i + 1 < block.first.size(); ++i) {
        std::vector<std::pair<std::string, ModelRow>> expected, found;
        for (const auto& [id, row] : model_.map) {
          const auto& [in, key, subkey] = id;
          if (in == rest_ns[i].value && key == rest[i] && rest_ns[i] != kSkip &&
              subkey >= from[done + i] && (to[done + i].empty() || subkey < to[done + i]))
            expected.emplace_back(subkey, row);
        }
        if (descending) std::reverse(expected.begin(), expected.end());
        for (uint32_t r = block.first[i]; r < block.first[i + 1]; ++r)
          found.emplace_back(block.sort[r], RowOf(*task.map, block.rows[r]));
        ASSERT_EQ(found, expected) << "key " << rest[i] << " ns " << rest_ns[i];
      }
      done += block.first.size() - 1;
    }
  }

  void AppendLog() {
    const size_t at = SomeTask();
    const std::vector<int64_t> keys = SomeKeys(at);
    if (keys.empty()) return;
    std::vector<int64_t> times;
    const Schema& schema = tasks_[at]->spec.states[2].spec.row;
    RowBuilder builder(std::make_shared<const Schema>(schema), 4096);
    for (const int64_t key : keys) {
      times.push_back(now_ + static_cast<int64_t>(random_() % 100));
      ModelRow row;
      if (random_() % 5 != 0) row.n = static_cast<int64_t>(random_());
      if (random_() % 5 != 0) row.text = SomeText();
      row.n ? builder.column(size_t{0}).Append<int64_t>(*row.n)
            : builder.column(size_t{0}).AppendNull();
      row.text ? builder.column(size_t{1}).AppendString(*row.text)
               : builder.column(size_t{1}).AppendNull();
      builder.FinishRow();
      if (times.back() > model_.log_expired) model_.log[key].emplace_back(times.back(), row);
    }
    const auto storage = KeysOfNumbers(keys, times);
    tasks_[at]->log->Append(storage->View(), {}, builder.Build());
    now_ += static_cast<int64_t>(random_() % 5);
  }

  void ScanLog() {
    TimeRange range{{now_ - static_cast<int64_t>(random_() % 200)},
                    {now_ + static_cast<int64_t>(random_() % 100)},
                    {}};
    ScanLogKey(static_cast<int64_t>(random_() % static_cast<uint64_t>(options_.keys)), range);
  }

  void ScanLogKey(int64_t key, TimeRange range) {
    Task& task = *tasks_[TaskOfGroup(GroupOfNumber(key))];
    const auto storage = KeysOfNumbers({key});
    const KeyBatch view = storage->View();
    std::vector<ModelRow> expected, found;
    auto rows = model_.log[key];
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [time, row] : rows) {
      if (time >= range.from.us && time <= range.to.us && time > model_.log_expired)
        expected.push_back(row);
    }
    RowBlock block;
    std::string after;
    for (bool more = true; more;) {
      range.after = after;
      Until([&] { return task.log->Scan(view, {}, {&range, 1}, block); });
      if (!ok()) return;
      for (StateRow* row : block.rows) found.push_back(RowOf(*task.log, row));
      more = block.more;
      if (more) after = block.sort.back();
    }
    ASSERT_EQ(found, expected) << "log key " << key;
  }

  void SetTimers() {
    const size_t at = SomeTask();
    Task& task = *tasks_[at];
    const std::vector<int64_t> keys = SomeKeys(at);
    std::vector<EventTime> times;
    for (size_t i = 0; i < keys.size(); ++i)
      times.push_back({timer_now_ + static_cast<int64_t>(random_() % 8'000'000)});
    const auto storage = KeysOfNumbers(keys);
    task.timers->Set(storage->View(), {}, times);
    for (size_t i = 0; i < keys.size(); ++i)
      model_.timers.try_emplace({times[i].us, GroupOfNumber(keys[i]), 0, KeyText(keys[i])}, "");
    const KeyGroup group{static_cast<uint16_t>(
        task.spec.groups.first.value +
        random_() % (task.spec.groups.last.value - task.spec.groups.first.value + 1u))};
    const EventTime time{timer_now_ + static_cast<int64_t>(random_() % 8'000'000)};
    task.timers->Set({&group, 1}, {7}, time);
    model_.timers.try_emplace({time.us, group.value, 7, ""}, "");
  }

  void DeleteTimers() {
    const size_t at = SomeTask();
    std::vector<int64_t> keys;
    std::vector<EventTime> times;
    for (const auto& [id, cursor] : model_.timers) {
      const auto& [time, group, ns, key] = id;
      if (key.empty() || TaskOfGroup(static_cast<uint16_t>(group)) != at || random_() % 6 != 0)
        continue;
      for (int number = 0; number < options_.keys; ++number) {
        if (KeyText(number) == key) keys.push_back(number), times.push_back({time});
      }
    }
    const auto storage = KeysOfNumbers(keys);
    tasks_[at]->timers->Delete(storage->View(), {}, times);
    for (size_t i = 0; i < keys.size(); ++i)
      model_.timers.erase({times[i].us, GroupOfNumber(keys[i]), 0, KeyText(keys[i])});
  }

  void FireTimers() {
    timer_now_ += static_cast<int64_t>(random_() % 2'000'000);
    for (const auto& task : tasks_) Fire(*task, {timer_now_}, random_() % 4 == 0);
  }

  void FireAll() {
    for (const auto& task : tasks_) Fire(*task, EventTime{timer_now_ + 100'000'000}, false);
  }

  void Fire(Task& task, EventTime up_to, bool stop_early) {
    std::vector<Timer> due;
    while (ok()) {
      Until([&] { return task.timers->Due(up_to, due); });
      if (!ok()) return;
      std::vector<std::tuple<int64_t, int, int64_t, std::string>> expected, found;
      for (const auto& [id, cursor] : model_.timers) {
        if (std::get<0>(id) <= up_to.us &&
            task.spec.groups.Contains({static_cast<uint16_t>(std::get<1>(id))}))
          expected.push_back(id);
      }
      for (const Timer& timer : due) {
        found.emplace_back(timer.time.us, timer.group.value, timer.ns.value,
                           std::string(timer.key));
        ASSERT_EQ(timer.cursor, model_.timers[found.back()]);
      }
      if (expected.size() > kTimersPerCallMax) expected.resize(kTimersPerCallMax);
      ASSERT_EQ(found, expected);
      if (due.empty()) return;
      ASSERT_LE(task.timers->Earliest().us, due[0].time.us);
      const size_t done = stop_early ? random_() % (due.size() + 1) : due.size();
      const std::string cursor =
          done < due.size() && random_() % 2 == 0 ? "at" + std::to_string(random_() % 1000) : "";
      for (size_t i = 0; i < done; ++i) model_.timers.erase(found[i]);
      if (!cursor.empty()) model_.timers[found[done]] = cursor;
      task.timers->Done(done, cursor);
      if (stop_early) return;
    }
  }

  void DropOrExpire() {
    if (random_() % 3 != 0) return;
    if (random_() % 4 == 0) {
      const int64_t up_to = now_ - 150;
      model_.log_expired = std::max(model_.log_expired, up_to);
      for (const auto& task : tasks_) task->log->Expire({up_to});
      return;
    }
    const bool values = random_() % 2 == 0;
    std::vector<int64_t>& horizon = values ? model_.horizon : model_.map_horizon;
    const bool all = random_() % 3 != 0;
    const int64_t up_to = base_ns_;
    for (const auto& task : tasks_) {
      GroupRange groups = task->spec.groups;
      if (!all)
        groups.last = groups.first = {static_cast<uint16_t>(
            groups.first.value + random_() % (groups.last.value - groups.first.value + 1u))};
      values ? task->values->Drop({up_to}, groups) : task->map->Drop({up_to}, groups);
      for (uint16_t g = groups.first.value; g <= groups.last.value; ++g) {
        horizon[g] = std::max(horizon[g], up_to);
        EXPECT_EQ((values ? task->values->Horizon({g}) : task->map->Horizon({g})).value,
                  horizon[g]);
      }
    }
    std::erase_if(model_.values, [&](const auto& e) {
      return e.first.first <= model_.horizon[GroupOfNumber(e.first.second)];
    });
    std::erase_if(model_.map, [&](const auto& e) {
      return std::get<0>(e.first) <= model_.map_horizon[GroupOfNumber(std::get<1>(e.first))];
    });
    if (all && random_() % 2 == 0) ++base_ns_;
  }

  SteppedEnv env_;
  const std::string directory_;
  const MachineOptions options_;
  std::mt19937_64 random_;
  std::unique_ptr<StateBackend> backend_;
  std::unique_ptr<CheckpointStore> store_;
  std::vector<std::unique_ptr<Task>> tasks_;
  Model model_, frozen_;
  Status status_;
  uint64_t attempt_ = 0, checkpoint_ = 0;
  int fetched_ = 0, new_files_ = 0, named_files_ = 0;
  int64_t base_ns_ = 0, now_ = 1000, timer_now_ = 0;
  int namespaces_used_ = 0;
};

}  // namespace weir::state
