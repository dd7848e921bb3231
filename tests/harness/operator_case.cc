#include "tests/harness/operator_case.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <random>

#include "engine/api/clients.h"
#include "engine/api/memory.h"
#include "engine/api/options.h"
#include "engine/base/env_posix.h"
#include "engine/data/decimal.h"
#include "engine/data/key_encoding.h"
#include "operators/register.h"
#include "state/state.h"
#include "tests/harness/no_clients.h"

namespace weir::testing {
namespace {

constexpr uint32_t kKeyGroups = 16;
constexpr auto kWakeTimeout = std::chrono::seconds(20);
constexpr int kCallsWithoutProgressMax = 1000;

const Registry& Operators() {
  static const Registry kRegistry = [] {
    Registry all;
    RegisterOperators(all);
    return all;
  }();
  return kRegistry;
}

/// Wakes a waiting test thread.
class Signal {
 public:
  void Set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  bool Wait() {
    std::unique_lock lock(mutex_);
    const bool woken = changed_.wait_for(lock, kWakeTimeout, [this] { return set_; });
    set_ = false;
    return woken;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

class Account final : public MemoryAccount {
 public:
  explicit Account(size_t target) : target_(target) {}
  void Use(int64_t delta) override {
    used_ = static_cast<size_t>(static_cast<int64_t>(used_) + delta);
  }
  size_t used() const override { return used_; }
  size_t target() const override { return target_; }

 private:
  std::atomic<size_t> used_ = 0;
  const size_t target_;
};

/// A non-keyed list, as the runtime keeps it.
class PlainList final : public ListState {
 public:
  ListId Add(std::string_view item) override {
    items_.emplace_back(ListId{++last_}, std::string(item));
    return ListId{last_};
  }
  void Remove(ListId item) override {
    std::erase_if(items_, [&](const auto& entry) { return entry.first == item; });
  }
  std::vector<std::pair<ListId, std::string>> Items() const override { return items_; }

 private:
  std::vector<std::pair<ListId, std::string>> items_;
  uint64_t last_ = 0;
};

class Context final : public OperatorContext {
 public:
  Context(NodeInfo info, Env& env, TaskState* state, const NodeShape& shape, Signal& signal)
      : info_(std::move(info)), env_(env), state_(state), signal_(signal) {
    lists_.resize(shape.states.size());
  }
  const NodeInfo& node() const override { return info_; }
  EventTime processing_time() const override { return env_.Now(); }
  Waker waker() const override {
    return Waker([signal = &signal_] { signal->Set(); });
  }
  void WakeAfter(Duration) override { signal_.Set(); }
  void Post(std::function<void()> job) override {
    env_.Post([job = std::move(job), signal = &signal_] {
      job();
      signal->Set();
    });
  }
  Env& env() override { return env_; }
  Clients& clients() override { return clients_; }
  MemoryAccount& memory() override { return account_; }
  MemoryAccount& client_memory() override { return account_; }
  Counter& counter(std::string_view name) override { return counters_[std::string(name)]; }
  ValueState& value(StateIndex state) override {
    return *std::get<ValueState*>(state_->state(NodeIndex{0}, state));
  }
  MapState& map(StateIndex state) override {
    return *std::get<MapState*>(state_->state(NodeIndex{0}, state));
  }
  LogState& log(StateIndex state) override {
    return *std::get<LogState*>(state_->state(NodeIndex{0}, state));
  }
  TimerState& timers(StateIndex state) override {
    return *std::get<TimerState*>(state_->state(NodeIndex{0}, state));
  }
  ListState& list(StateIndex state) override { return lists_[state.value]; }
  EventTime watermark() const override { return least; }
  EventTime watermark(KeyGroup) const override { return least; }
  void HoldWatermark(EventTime) override {}

  EventTime least = EventTime::Min();  // the task's watermark

 private:
  const NodeInfo info_;
  Env& env_;
  TaskState* const state_;
  Signal& signal_;
  NoClients clients_{"operators have no clients in this harness"};
  Account account_{SIZE_MAX};
  std::map<std::string, Counter> counters_;
  std::vector<PlainList> lists_;
};

/// One parallel instance of the operator with its state.
struct Task {
  GroupRange groups;
  std::unique_ptr<Account> hot;
  std::unique_ptr<TaskState> state;
  std::unique_ptr<Context> context;
  std::unique_ptr<Operator> op;
  std::unique_ptr<Output> out;
  std::vector<std::pair<Port, Batch>> in_flight;  // restored rows, taken before anything else
};

/// Everything of one run of a case.
class Run {
 public:
  Run(const std::string& type, const Json& options, const Schema& input,
      const OperatorCase::Variation& variation)
      : variation_(variation),
        random_(variation.seed),
        env_(MakePosixEnv(2)),
        schema_(std::make_shared<const Schema>(input)) {
    const NodeType* entry = Operators().Find(type);
    if (entry == nullptr) {
      ADD_FAILURE() << "no operator is named " << type;
      return;
    }
    Json filled = options;
    filled["type"] = type;
    FillFallbacks(Operators(), OptionsOf(*entry), filled);
    auto settings = std::make_shared<JobSettings>();
    settings->name = "case";
    PortShape port;
    port.schema = schema_;
    port.has_event_time = schema_->Find(kEventTimeColumn).has_value();
    config_.emplace(Operators(), *entry, "node", filled,
                    std::vector<NodeConfig::Input>{{"in", port}}, settings, &problems_);
    entry->infer(*config_, shape_);
    for (const Problem& problem : problems_.list()) {
      if (!problem.warning)
        ADD_FAILURE() << problem.code << " at " << problem.pointer << ": " << problem.message;
    }
    if (problems_.has_errors()) return;
    directory_ = std::filesystem::temp_directory_path() /
                 ("weir_case_" + std::to_string(getpid()) + "_" + std::to_string(++instances));
    std::filesystem::create_directories(directory_);
    if (variation.rocksdb) {
      auto made = state::MakeRocksdbBackend(
          *env_, {.cache_bytes = size_t{8} << 20, .write_buffer_bytes = size_t{4} << 20});
      EXPECT_TRUE(made.ok()) << made.status().ToString();
      if (!made.ok()) return;
      backend_ = std::move(made).value();
    } else {
      backend_ = state::MakeMemoryBackend(*env_);
    }
    Open(variation.tasks, {}, EventTime::Min(), {});
    good_ = !::testing::Test::HasFailure();
  }
  ~Run() {
    tasks_.clear();
    backend_.reset();
    env_.reset();  // its pool still removes what the states left
    std::filesystem::remove_all(directory_);
  }

  bool good() const { return good_; }

  void Rows(const Json& rows) {
    const Batch all = RowsFromJson(schema_, rows);
    input_rows += all.rows();
    for (uint32_t first = 0; first < all.rows();) {
      uint64_t units = variation_.batch_rows == 0 ? all.rows() : variation_.batch_rows;
      if (variation_.batch_rows == UINT32_MAX) units = 1 + random_() % 5;
      const auto count = static_cast<uint32_t>(
          std::min<uint64_t>(units * variation_.rows_per_unit, all.rows() - first));
      Give(all.Slice(first, count));
      first += count;
    }
  }

  void Watermark(EventTime watermark) {
    watermark_ = watermark;
    for (size_t i = 0; i < tasks_.size(); ++i) Advance(i, /*end=*/false);
    AfterCall();
  }

  void End() {
    watermark_ = EventTime::Max();
    for (size_t i = 0; i < tasks_.size(); ++i) Advance(i, /*end=*/true);
  }

  std::map<std::string, std::vector<Json>> output;  // by port name
  std::map<std::string, int> errors;
  std::map<std::string, int64_t> outcomes;
  uint64_t input_rows = 0;
  const NodeShape& shape() const { return shape_; }

 private:
  static inline int instances = 0;

  static bool Keyed(const NodeShape& shape) {
    return !shape.keys.empty() && shape.keys[0].has_value();
  }

  void Open(uint32_t count, const std::vector<StateImage>& images, EventTime restored,
            std::vector<std::pair<Port, Batch>> in_flight) {
    combiner_.reset();  // it may hold the context of a task
    tasks_.clear();
    ++attempt_;
    for (uint32_t i = 0; i < count; ++i) {
      Task task;
      task.groups = GroupsOf(TaskIndex{static_cast<uint16_t>(i)}, kKeyGroups, count);
      if (shape_.has_keyed_state()) {
        TaskStateSpec spec;
        spec.job = "case";
        spec.incarnation = "u";
        spec.attempt.value = attempt_;
        spec.task_name = "t" + std::to_string(i);
        spec.groups = task.groups;
        spec.key_groups = kKeyGroups;
        for (uint16_t state = 0; state < shape_.states.size(); ++state) {
          if (shape_.states[state].kind == StateKind::kList) continue;
          TaskStateEntry entry{NodeIndex{0}, "node", StateIndex{state}, shape_.states[state], {}};
          if (Keyed(shape_)) {
            for (const Expression& key : *shape_.keys[0]) entry.key_types.push_back(key.type());
          }
          spec.states.push_back(std::move(entry));
        }
        spec.directory =
            (directory_ / ("state-" + std::to_string(attempt_) + "-" + std::to_string(i))).string();
        task.hot = std::make_unique<Account>(variation_.cold ? 1 : size_t{64} << 20);
        spec.hot = task.hot.get();
        spec.wake = [this] { signal_.Set(); };
        std::vector<StateImage> overlapping;
        for (const StateImage& image : images) {
          if (image.groups.first <= task.groups.last && task.groups.first <= image.groups.last)
            overlapping.push_back(image);
        }
        Result<std::unique_ptr<TaskState>> opened = backend_->Open(spec, overlapping);
        ASSERT_TRUE(opened.ok()) << opened.status().ToString();
        task.state = std::move(opened).value();
      }
      NodeInfo info;
      info.job = "case";
      info.id = "node";
      info.task.value = static_cast<uint16_t>(i);
      info.parallelism = count;
      info.key_groups = kKeyGroups;
      info.groups = task.groups;
      task.context =
          std::make_unique<Context>(std::move(info), *env_, task.state.get(), shape_, signal_);
      task.context->least = restored;
      std::vector<Output::PortSlot> slots;
      for (const PortShape& port : shape_.outputs) {
        Output::PortSlot slot;
        slot.schema = port.schema;
        slots.push_back(std::move(slot));
      }
      task.out = std::make_unique<Output>(std::move(slots));
      for (uint16_t port = 0; port < shape_.outputs.size(); ++port) {
        if (shape_.outputs[port].schema != nullptr)
          task.out->SetLimits(Port{port}, variation_.output_rows, kBatchBytesMax);
      }
      auto factory = std::get<Factory<std::unique_ptr<Operator>>>(config_->type().create);
      Result<std::unique_ptr<Operator>> made = factory(*config_, shape_);
      ASSERT_TRUE(made.ok()) << made.status().ToString();
      task.op = std::move(made).value();
      const Status opened = task.op->Open(*task.context);
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      tasks_.push_back(std::move(task));
    }
    // Restored rows go first, each to the task that owns its key now.
    for (auto& [port, batch] : in_flight) {
      for (auto& [index, part] : Split(batch)) tasks_[index].in_flight.emplace_back(port, part);
    }
    for (size_t i = 0; i < tasks_.size(); ++i) {
      auto rows = std::move(tasks_[i].in_flight);
      tasks_[i].in_flight.clear();
      for (auto& [port, batch] : rows) Call(i, port, batch);
      if (restored != EventTime::Min()) Advance(i, /*end=*/false);
    }
  }

  Batch WithKeys(const Batch& batch) {
    if (!Keyed(shape_)) return batch;
    std::vector<Column> columns;
    RowErrors ignored;
    for (uint16_t i = 0; i < shape_.keys[0]->size(); ++i) {
      columns.push_back(IsPartial(batch) ? batch.column(ColumnIndex{i})
                                         : (*shape_.keys[0])[i].Evaluate(batch, ignored));
    }
    const auto time_column = batch.schema().Find(kEventTimeColumn);
    Column time;
    if (time_column) time = batch.column(*time_column);
    return batch.WithKeys(EncodeKeys(columns, batch.rows(), time_column ? &time : nullptr));
  }

  std::vector<std::pair<size_t, Batch>> Split(const Batch& batch) {
    std::vector<std::pair<size_t, Batch>> parts;
    const Batch keyed = WithKeys(batch);
    if (tasks_.size() == 1 || !Keyed(shape_)) return {{0, keyed}};
    for (size_t task = 0; task < tasks_.size(); ++task) {
      Selection rows;
      for (uint32_t row = 0; row < batch.rows(); ++row) {
        if (tasks_[task].groups.Contains(KeyGroupOf(keyed.keys().hash[row], kKeyGroups)))
          rows.mutable_rows().push_back(row);
      }
      if (!rows.empty()) parts.emplace_back(task, WithKeys(batch.Take(rows)));
    }
    return parts;
  }

  bool IsPartial(const Batch& batch) const {
    return shape_.combine && batch.schema().size() == shape_.combine->partial.size() &&
           batch.schema_ref() != schema_;
  }

  void Give(const Batch& batch) {
    const Batch given = shape_.combine ? Combined(batch) : batch;
    if (given) {
      for (auto& [task, part] : Split(given)) Call(task, kMain, part);
    }
    AfterCall();
  }

  /// What the task of the producer would send.
  Batch Combined(const Batch& batch) {
    if (combiner_ == nullptr) {
      Result<std::unique_ptr<Combiner>> made =
          shape_.combine->create(*config_, shape_, *tasks_[0].context);
      EXPECT_TRUE(made.ok()) << made.status().ToString();
      combiner_ = std::move(made).value();
    }
    std::vector<Output::PortSlot> slots(1);
    slots[0].schema = std::make_shared<const Schema>(shape_.combine->partial);
    Output out(std::move(slots));
    combiner_->Combine(WithKeys(batch), out);
    Batch partial = out.Take(kMain);
    EXPECT_LE(partial ? partial.rows() : 0, batch.rows());
    for (const RowError& error : out.errors().errors()) {
      ++errors[std::string(RecordCodeName(error.code))];
      outcomes["error"] += error.detached ? 0 : 1;
    }
    for (size_t i = 0; i < kOutcomes; ++i)
      outcomes[std::string(OutcomeName(static_cast<Outcome>(i)))] += out.outcomes()[i];
    return partial;
  }

  /// Drives one batch to its end; with restores also in the middle of it.
  void Call(size_t index, Port port, Batch rest) {
    for (int idle = 0; rest && rest.rows() != 0;) {
      Task& task = tasks_[index];
      Evict(task);
      const Result<Step> step = task.op->OnBatch(port, rest, *task.out);
      ASSERT_TRUE(step.ok()) << step.status().ToString();
      const uint32_t done = step->kind == Step::kDone ? rest.rows() : step->rows_done;
      ASSERT_LE(done, rest.rows());
      const bool emitted = Collect(task, done);
      if (step->kind == Step::kWait) {
        ASSERT_TRUE(signal_.Wait()) << "a call waits and nobody wakes it";
      }
      idle = done == 0 && !emitted ? idle + 1 : 0;
      ASSERT_LT(idle, kCallsWithoutProgressMax) << "calls without progress";
      rest = done == rest.rows() ? Batch() : rest.Slice(done, rest.rows() - done);
      if (rest && !step->mid_row && done != 0 && RestoreDue()) {
        // The rows left are the in-flight section of the snapshot.
        Restore({{port, rest}});
        return;
      }
    }
  }

  void Advance(size_t index, bool end) {
    tasks_[index].context->least = std::max(tasks_[index].context->least, watermark_);
    for (uint16_t state = 0; state < shape_.states.size(); ++state) {
      if (shape_.states[state].kind == StateKind::kEventTimers)
        FireTimers(index, StateIndex{state});
    }
    Task& task = tasks_[index];
    Drive(task, [&] {
      return end ? task.op->OnEnd(*task.out) : task.op->OnWatermark(watermark_, *task.out);
    });
  }

  void FireTimers(size_t index, StateIndex state) {
    Task& task = tasks_[index];
    TimerState& timers = task.context->timers(state);
    EventTime last = EventTime::Min();
    for (;;) {
      std::vector<Timer> due;
      while (timers.Due(task.context->least, due) == Ready::kWait) ASSERT_TRUE(signal_.Wait());
      if (due.empty()) return;
      for (size_t first = 0, idle = 0; first < due.size();) {
        Evict(task);
        const std::span<Timer> rest = std::span(due).subspan(first);
        ASSERT_GE(rest[0].time, last) << "timers fire in order of time";
        ASSERT_LE(rest[0].time, task.context->least);
        last = rest[0].time;
        const Result<Step> step = task.op->OnTimers(rest, *task.out);
        ASSERT_TRUE(step.ok()) << step.status().ToString();
        const size_t done = step->kind == Step::kDone ? rest.size() : step->rows_done;
        const bool emitted = Collect(task, 0);
        if (step->kind == Step::kWait) {
          ASSERT_TRUE(signal_.Wait()) << "a firing waits and nobody wakes it";
        }
        idle = done == 0 && !emitted ? idle + 1 : 0;
        ASSERT_LT(idle, kCallsWithoutProgressMax) << "a firing without progress";
        first += done;
        timers.Done(done,
                    first < due.size() ? std::string_view(due[first].cursor) : std::string_view());
        if (first < due.size() && done != 0) break;  // ask again: what is due is in the state
      }
    }
  }

  template <class Body>
  void Drive(Task& task, Body&& body) {
    for (int calls = 0;; ++calls) {
      ASSERT_LT(calls, kCallsWithoutProgressMax);
      const Result<Step> step = body();
      ASSERT_TRUE(step.ok()) << step.status().ToString();
      Collect(task, 0);
      if (step->kind == Step::kDone) return;
      if (step->kind == Step::kWait) {
        ASSERT_TRUE(signal_.Wait());
      }
    }
  }

  /// Takes what a call left; errors of rows not done come again.
  bool Collect(Task& task, uint32_t rows_done) {
    bool any = false;
    for (uint16_t port = 0; port < task.out->ports(); ++port) {
      if (!task.out->HasOutput(Port{port})) continue;
      const Batch batch = task.out->Take(Port{port});
      any = any || batch.rows() != 0;
      EXPECT_LE(batch.rows(),
                std::max<uint32_t>(variation_.output_rows, std::max(variation_.output_rows, 2U)) +
                    (port == kMain.value ? 0 : 4096));
      for (Json& row : RowsToJson(batch)) output[shape_.port_names[port]].push_back(std::move(row));
    }
    for (const RowError& error : task.out->errors().errors()) {
      if (error.detached || error.row < rows_done)
        ++errors[std::string(RecordCodeName(error.code))];
    }
    int64_t failed = 0;
    for (const RowError& error : task.out->errors().errors())
      failed += !error.detached && error.row < rows_done ? 1 : 0;
    outcomes["error"] += failed;
    any = any || failed != 0;
    task.out->errors().Clear();
    for (size_t i = 0; i < kOutcomes; ++i) {
      outcomes[std::string(OutcomeName(static_cast<Outcome>(i)))] += task.out->outcomes()[i];
      task.out->outcomes()[i] = 0;
    }
    return any;
  }

  void Evict(Task& task) {
    if (variation_.cold && task.state != nullptr) task.state->Evict(SIZE_MAX);
    if (task.state != nullptr) {
      ASSERT_TRUE(task.state->status().ok()) << task.state->status().ToString();
    }
  }

  bool RestoreDue() {
    return variation_.restore_every != 0 && ++calls_ % variation_.restore_every == 0;
  }
  void AfterCall() {
    if (RestoreDue()) Restore({});
  }

  void Restore(std::vector<std::pair<Port, Batch>> in_flight) {
    std::vector<StateImage> images;
    ++checkpoint_;
    for (Task& task : tasks_) {
      if (task.state == nullptr) continue;
      task.state->Freeze(CheckpointId{checkpoint_}, task.context->least);
      Result<StateImage> image = task.state->Write(CheckpointId{checkpoint_});
      ASSERT_TRUE(image.ok()) << image.status().ToString();
      for (ImageFile& file : image->files) {
        const std::filesystem::path kept = directory_ / "store" / file.name;
        if (!file.local.empty()) {
          std::filesystem::create_directories(kept.parent_path());
          std::filesystem::copy_file(file.local, kept,
                                     std::filesystem::copy_options::overwrite_existing);
        }
        const std::filesystem::path local = directory_ / "fetched" / std::to_string(++fetched_);
        std::filesystem::create_directories(local.parent_path());
        std::filesystem::copy_file(kept, local);
        file.local = local.string();
      }
      task.state->Completed(CheckpointId{checkpoint_});
      images.push_back(std::move(image).value());
    }
    EventTime watermark = tasks_[0].context->least;
    const uint32_t count =
        tasks_.size() == variation_.tasks ? variation_.tasks_after_restore : variation_.tasks;
    Open(count, images, watermark, std::move(in_flight));
  }

  const OperatorCase::Variation& variation_;
  std::mt19937_64 random_;
  std::unique_ptr<Env> env_;
  SchemaRef schema_;
  Problems problems_;
  std::optional<NodeConfig> config_;
  NodeShape shape_;
  std::filesystem::path directory_;
  std::unique_ptr<StateBackend> backend_;
  Signal signal_;
  std::vector<Task> tasks_;
  std::unique_ptr<Combiner> combiner_;
  EventTime watermark_ = EventTime::Min();
  uint64_t attempt_ = 0, checkpoint_ = 0, fetched_ = 0, calls_ = 0;
  bool good_ = false;
};

/// Only the columns that an expected row names, if that is fewer: metadata columns are optional.
Json Comparable(const Json& row, const Json& expected) {
  Json kept = Json::object();
  for (const auto& [name, value] : row.items()) {
    if (!IsMetadataColumn(name) || (expected.is_object() && expected.contains(name)))
      kept[name] = value;
  }
  return kept;
}

std::string Canonical(const Json& row) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : row.items()) sorted[name] = value.dump();
  std::string text;
  for (const auto& [name, value] : sorted) text += name + "=" + value + " ";
  return text;
}

std::vector<std::string> CanonicalRows(const std::vector<Json>& rows, const Json& expected) {
  std::vector<std::string> texts;
  texts.reserve(rows.size());
  for (const Json& row : rows)
    texts.push_back(Canonical(Comparable(row, expected.empty() ? Json() : expected.front())));
  std::sort(texts.begin(), texts.end());
  return texts;
}

}  // namespace

Schema ParseColumns(const std::string& columns) {
  std::vector<Field> fields;
  for (size_t begin = 0; begin < columns.size();) {
    size_t end = begin;
    for (int depth = 0; end < columns.size() && (depth != 0 || columns[end] != ','); ++end)
      depth += columns[end] == '(' ? 1 : columns[end] == ')' ? -1 : 0;
    std::string text = columns.substr(begin, end - begin);
    text.erase(0, text.find_first_not_of(' '));
    const size_t blank = text.find(' ');
    std::string type = text.substr(blank + 1);
    const bool nullable = type.ends_with("?");
    if (nullable) type.pop_back();
    const std::optional<Type> parsed = ParseType(type);
    EXPECT_TRUE(parsed) << "no type: " << type;
    fields.push_back(
        {text.substr(0, blank), parsed.value_or(Type::Of(TypeKind::kInt64)), nullable});
    begin = end + 1;
  }
  return Schema(std::move(fields));
}

Batch RowsFromJson(const SchemaRef& schema, const Json& rows) {
  RowBuilder builder(schema, UINT32_MAX, SIZE_MAX);
  for (const Json& row : rows) {
    for (size_t i = 0; i < schema->size(); ++i) {
      const Field& field = schema->fields()[i];
      ColumnBuilder& column = builder.column(i);
      const auto place = row.find(field.name);
      if (place == row.end() || place->is_null()) {
        column.AppendNull();
        continue;
      }
      switch (field.type.kind) {
        case TypeKind::kBool:
          column.Append<uint8_t>(place->get<bool>() ? 1 : 0);
          break;
        case TypeKind::kInt32:
        case TypeKind::kDate:
          column.Append<int32_t>(place->get<int32_t>());
          break;
        case TypeKind::kFloat32:
          column.Append<float>(place->get<float>());
          break;
        case TypeKind::kFloat64:
          column.Append<double>(place->get<double>());
          break;
        case TypeKind::kDecimal:
          column.Append<Int128>(
              ParseDecimalExact(place->get<std::string>(), field.type.precision, field.type.scale)
                  .value());
          break;
        case TypeKind::kString:
        case TypeKind::kBytes:
          column.AppendString(place->get<std::string>());
          break;
        default:
          column.Append<int64_t>(place->get<int64_t>());
          break;
      }
    }
    builder.FinishRow();
  }
  return builder.Build();
}

Json RowsToJson(const Batch& batch) {
  Json rows = Json::array();
  for (uint32_t row = 0; row < batch.rows(); ++row) {
    Json object = Json::object();
    for (uint16_t i = 0; i < batch.schema().size(); ++i) {
      const ColumnIndex column{i};
      const Field& field = batch.schema().field(column);
      Json& value = object[field.name];
      if (!batch.Valid(column)[row]) continue;
      switch (field.type.kind) {
        case TypeKind::kBool:
          value = batch.Values<uint8_t>(column)[row] != 0;
          break;
        case TypeKind::kInt32:
          if (field.name == kOpColumn) {
            value = OpName(static_cast<Op>(batch.Values<int32_t>(column)[row]));
          } else {
            value = batch.Values<int32_t>(column)[row];
          }
          break;
        case TypeKind::kDate:
          value = batch.Values<int32_t>(column)[row];
          break;
        case TypeKind::kFloat32:
          value = batch.Values<float>(column)[row];
          break;
        case TypeKind::kFloat64:
          value = batch.Values<double>(column)[row];
          break;
        case TypeKind::kDecimal:
          value = DecimalToString(batch.Values<Int128>(column)[row], field.type.scale);
          break;
        case TypeKind::kString:
        case TypeKind::kBytes:
          value = std::string(batch.Values<Utf8View>(column)[row].view());
          break;
        default:
          value = batch.Values<int64_t>(column)[row];
          break;
      }
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

OperatorCase::OperatorCase(std::string type, std::string options)
    : type_(std::move(type)), options_(Json::parse(options)) {}

OperatorCase& OperatorCase::Input(const std::string& columns) {
  input_ = ParseColumns(columns);
  return *this;
}
OperatorCase& OperatorCase::Rows(const std::string& json) {
  events_.push_back({Event::kRows, Json::parse(json), 0});
  return *this;
}
OperatorCase& OperatorCase::Watermark(int64_t us) {
  events_.push_back({Event::kWatermark, {}, us});
  return *this;
}
OperatorCase& OperatorCase::End() {
  events_.push_back({Event::kEnd, {}, 0});
  return *this;
}
OperatorCase& OperatorCase::RowsPerUnit(uint32_t rows) {
  rows_per_unit_ = rows;
  return *this;
}
OperatorCase& OperatorCase::Expect(const std::string& port, const std::string& json) {
  expected_[port] = Json::parse(json);
  return *this;
}
OperatorCase& OperatorCase::ExpectFinal(const std::string& json) {
  expected_final_ = Json::parse(json);
  return *this;
}
OperatorCase& OperatorCase::ExpectErrors(std::map<std::string, int> codes) {
  expected_errors_ = std::move(codes);
  return *this;
}
OperatorCase& OperatorCase::ExpectOutcomes(std::map<std::string, int64_t> outcomes) {
  expected_outcomes_ = std::move(outcomes);
  return *this;
}

void OperatorCase::Run() {
  const std::vector<Variation> variations = {
      {.name = "one big batch"},
      {.name = "one row per batch", .batch_rows = 1},
      {.name = "random cuts", .batch_rows = UINT32_MAX, .seed = 7},
      {.name = "room for one output row", .output_rows = 1},
      {.name = "room for one output row, one row per batch", .batch_rows = 1, .output_rows = 1},
      {.name = "rocksdb, every row cold", .batch_rows = 3, .cold = true, .rocksdb = true},
      {.name = "restore between all calls", .batch_rows = 2, .output_rows = 1, .restore_every = 1},
      {.name = "rocksdb, cold, restore between all calls",
       .batch_rows = UINT32_MAX,
       .output_rows = 2,
       .cold = true,
       .rocksdb = true,
       .restore_every = 1,
       .seed = 3},
      {.name = "restored into two tasks and back",
       .batch_rows = 2,
       .restore_every = 2,
       .tasks = 1,
       .tasks_after_restore = 2},
      {.name = "rocksdb, restored into three tasks and back",
       .batch_rows = 1,
       .rocksdb = true,
       .restore_every = 3,
       .tasks = 1,
       .tasks_after_restore = 3},
  };
  for (const Variation& variation : variations) {
    SCOPED_TRACE(variation.name);
    RunOne(variation);
    if (::testing::Test::HasFailure()) return;  // the first variation that fails says enough
  }
}

void OperatorCase::RunOne(const Variation& wanted) {
  Variation variation = wanted;
  variation.rows_per_unit = rows_per_unit_;
  {
    // A node that allows one task only is not split.
    weir::testing::Run probe(type_, options_, input_, wanted);
    if (!probe.good()) return;
    if (probe.shape().keys.empty() || probe.shape().parallelism_max == 1)
      variation.tasks_after_restore = variation.tasks;
  }
  weir::testing::Run run(type_, options_, input_, variation);
  if (!run.good()) return;
  for (const Event& event : events_) {
    switch (event.kind) {
      case Event::kRows:
        run.Rows(event.rows);
        break;
      case Event::kWatermark:
        run.Watermark(EventTime{event.watermark});
        break;
      case Event::kEnd:
        run.End();
        break;
    }
    if (::testing::Test::HasFailure()) return;
  }
  for (const auto& [port, rows] : expected_) {
    const std::vector<Json> wanted_rows(rows.begin(), rows.end());
    EXPECT_EQ(CanonicalRows(run.output[port], rows), CanonicalRows(wanted_rows, rows))
        << "port '" << port << "'";
  }
  if (expected_final_) {
    std::map<std::string, Json> table;
    for (const Json& row : run.output[""]) {
      std::string key;
      for (const std::string& column : run.shape().outputs[0].unique_key)
        key += row[column].dump() + "|";
      const std::string op = row.value("_op", std::string("insert"));
      if (op == "delete" || op == "update_before") {
        table.erase(key);
      } else {
        table[key] = row;
      }
    }
    std::vector<Json> left;
    left.reserve(table.size());
    for (const auto& [key, row] : table) left.push_back(row);
    const std::vector<Json> wanted_rows(expected_final_->begin(), expected_final_->end());
    EXPECT_EQ(CanonicalRows(left, *expected_final_), CanonicalRows(wanted_rows, *expected_final_));
  }
  EXPECT_EQ(run.errors, expected_errors_);
  for (const auto& [name, count] : expected_outcomes_)
    EXPECT_EQ(run.outcomes[name], count) << "outcome " << name;
  int64_t all = 0;
  for (const auto& [name, count] : run.outcomes) all += count;
  EXPECT_EQ(all, static_cast<int64_t>(run.input_rows))
      << "every input row ends in exactly one class";
}

}  // namespace weir::testing
