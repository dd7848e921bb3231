#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "engine/api/operator.h"
#include "engine/api/registry.h"
#include "engine/base/json.h"
#include "engine/data/key_encoding.h"
#include "operators/aggregate_combiner.h"
#include "operators/aggregate_definition.h"
#include "operators/aggregate_functions.h"
#include "operators/detached_rows.h"
#include "operators/row_limit.h"
#include "operators/window.h"

namespace weir {
namespace {

constexpr int64_t kSlicesOpenMax = 10'000;
constexpr StateIndex kSlices{0},
    kTimers{1};  // then `emitted` if results are revised, then one map per count(DISTINCT)
constexpr std::string_view kDistinctRowField = "n";
constexpr size_t kUnitKeysAim = 16'384;              // keys merged at once when a window fires
constexpr size_t kResultBytesAim = size_t{1} << 20;  // of one batch of results
constexpr uint32_t kUnitGroupsGrowth = 4;  // what one unit found says little of the next ones

/// Text of what gives the rows of the state their sense; another one is verdict `reset`.
std::string Meaning(const AggregateDefinition& definition) {
  std::string text = "window(size=" + std::to_string(definition.windows.size) +
                     ",every=" + std::to_string(definition.windows.every) +
                     ",offset=" + std::to_string(definition.windows.offset) + ") keys(";
  for (const BoundKey& key : definition.keys) text += key.expression.ToString() + ";";
  return text + ")";
}

void CollectUses(const AggregateDefinition& definition, const Schema& input,
                 std::set<std::string>& uses) {
  const auto add = [&](const Expression& expression) {
    for (const ColumnIndex column : expression.columns()) uses.insert(input.field(column).name);
  };
  for (const BoundKey& key : definition.keys) add(key.expression);
  for (const AggregateCall& call : definition.calls) {
    for (const Expression& argument : call.arguments) add(argument);
    if (call.filter) add(*call.filter);
  }
  uses.insert(std::string(kEventTimeColumn));
}

void Infer(NodeConfig& config, NodeShape& shape) {
  const PortShape& input = config.input(kMain);
  if (!input.has_event_time) {
    config.Error("window", "W0501", "a window of event time needs rows that have one",
                 "declare \"event_time\": {\"field\": ..., \"max_delay\": ...} on the source");
  }
  AggregateDefinition definition = DefineAggregate(config);
  const Windows& windows = definition.windows;
  if (windows.size <= 0 || windows.every <= 0) return;  // reported as out of range with the option
  if (windows.offset <= -windows.every || windows.offset >= windows.every) {
    config.Error("window/offset", "W0204", "|offset| must be below the distance of two windows");
  }
  if (windows.SlicesOpen(definition.lateness) > kSlicesOpenMax) {
    config.Error("window", "W0504",
                 "this window would keep " +
                     std::to_string(windows.SlicesOpen(definition.lateness)) +
                     " slices open, more than " + std::to_string(kSlicesOpenMax),
                 "make 'every' longer, or 'size' or 'allowed_lateness' shorter");
  }
  shape.port_names = {"", "late"};
  PortShape output;
  output.schema = definition.output;
  output.has_event_time = true;
  std::vector<std::string> names;
  std::vector<Expression> keys;
  for (const BoundKey& key : definition.keys) {
    names.push_back(key.name);
    keys.push_back(key.expression);
  }
  output.partitioned_by = names;
  shape.key_names = names;
  if (definition.revises) {
    output.kind = definition.upsert ? kUpsert : kChangelog;
    output.unique_key = names;
    output.unique_key.emplace_back(kWindowStartColumn);
  }
  shape.outputs = {std::move(output), definition.late_port ? input : PortShape{}};
  if (keys.empty()) shape.parallelism_max = 1;
  shape.keys = {std::move(keys)};
  if (definition.late_port) shape.passes_through = true;  // late rows leave unchanged
  if (!definition.complete) {
    shape.outputs[0].schema = nullptr;
    return;
  }
  CollectUses(definition, *input.schema, shape.uses);

  std::string calls_text;
  for (const AggregateCall& call : definition.calls) calls_text += call.text + ";";
  const std::string meaning = Meaning(definition);
  shape.states.push_back({.name = "slices",
                          .kind = StateKind::kValue,
                          .row = SliceRow(definition),
                          .namespaced = true,
                          .meaning = meaning + " calls(" + calls_text + ")"});
  shape.states.push_back(
      {.name = "timers", .kind = StateKind::kEventTimers, .row = {}, .meaning = meaning});
  if (definition.revises && !definition.upsert) {
    std::vector<Field> emitted;
    for (size_t i = 0; i < definition.results.size(); ++i) {
      Type type = definition.results[i].type();
      if (type.is_text()) type = Type::Of(TypeKind::kBytes);
      emitted.push_back({definition.result_names[i], type, true});
    }
    shape.states.push_back({.name = "emitted",
                            .kind = StateKind::kValue,
                            .row = Schema(emitted),
                            .namespaced = true,
                            .meaning = meaning});
  }
  if (CanCombine(definition, config))
    shape.combine = CombineSpec{PartialRow(definition), MakeAggregateCombiner};
  for (const AggregateCall& call : definition.calls) {
    if (!call.distinct) continue;
    shape.states.push_back(
        {.name = "distinct " + call.text,
         .kind = StateKind::kMap,
         .row = Schema({{std::string(kDistinctRowField), Type::Of(TypeKind::kInt64), true}}),
         .namespaced = true,
         .meaning = meaning});
  }
}

/// Writes bytes fields through the state, which accounts them.
class StateWriter final : public BytesWriter {
 public:
  explicit StateWriter(KeyedState& state) : state_(state) {}
  void Set(StateRow* row, const StateLayout::Slot& slot, std::string_view value) override {
    state_.SetBytes(row, slot, value);
  }

 private:
  KeyedState& state_;
};

/// Windowed aggregation over slices. A row changes one slice accumulator; a
/// window's result merges its slices when its end fires. Timers are per key group and instant: at t
/// fires the window whose last instant is t, then goes the slice whose clean-up is due at t.
class Aggregate final : public Operator {
 public:
  Aggregate(AggregateDefinition definition, bool combined, const JobSettings& job)
      : definition_(std::move(definition)),
        windows_(definition_.windows),
        limit_(job, *definition_.output),
        combined_(combined),
        slice_column_{static_cast<uint16_t>(definition_.keys.size())} {}

  Status Open(OperatorContext& context) override {
    context_ = &context;
    slices_ = &context.value(kSlices);
    timers_ = &context.timers(kTimers);
    uint16_t next = 2;
    if (definition_.revises && !definition_.upsert) emitted_ = &context.value(StateIndex{next++});
    const StateLayout& layout = slices_->layout();
    rows_slot_ = layout.fields[0];
    accumulators_ = MakeAccumulators(definition_, layout);
    for (const AggregateCall& call : definition_.calls)
      distinct_.push_back(call.distinct ? &context.map(StateIndex{next++}) : nullptr);
    merged_.emplace(layout);
    partial_.emplace(layout);
    writer_.emplace(*slices_);
    for (const BoundKey& key : definition_.keys) key_types_.push_back(key.expression.type());
    timers_set_words_ = (context.node().key_groups + 63) / 64;
    return Status::Ok();
  }

  Result<Step> OnBatch(Port, const Batch& whole, Output& out) override {
    Batch batch = whole;
    uint32_t finished = 0;
    if (!revisions_.empty()) {  // of the rows before; the first row of this batch is the last of
                                // those, accumulated already
      if (const std::optional<Step> step = Revise(out)) return *step;
      if (batch.rows() == 1) return Step::Done();
      batch = batch.Slice(1, batch.rows() - 1);
      finished = 1;
    }
    const Ready ready = Accumulate(batch, out);
    if (ready == Ready::kWait) return Step::Wait(finished);
    if (revisions_.empty()) return Step::Done();
    if (const std::optional<Step> step = Revise(out)) {
      // All rows are in the state, but their revisions are not out: the last row stays in hand.
      return step->kind == Step::kWait ? Step::Wait(whole.rows() - 1, /*mid_row=*/true)
                                       : Step::More(whole.rows() - 1, /*mid_row=*/true);
    }
    return Step::Done();
  }

  Result<Step> OnTimers(std::span<Timer> due, Output& out) override {
    uint32_t done = 0;
    while (done < due.size()) {
      if (out.HasOutput(kMain)) return Step::More(done);
      if (unit_ == 0) unit_ = UnitAt(due.subspan(done));
      const int64_t time = due[done].time.us;
      const GroupRange groups{due[done].group, due[done + unit_ - 1].group};
      if (windows_.IsMaxTime(time) && !fired_) {
        const int64_t start = time + 1 - windows_.size;
        if (!scanned_ && Scan(start, groups) == Ready::kWait) return Step::Wait(done);
        if (!scanned_) out.Count(NodeCount::kWindowsFired, merged_rows_.size());
        scanned_ = true;
        // Once a part of the unit's results is out, the rest exists nowhere else: no barrier until
        // all are.
        const Emission emission = EmitWindow(start, out);
        if (emission == Emission::kNoRoom) return Step::More(done, /*mid_row=*/true);
        if (emission == Emission::kWait) return Step::Wait(done, /*mid_row=*/emit_at_ != 0);
        fired_ = true;
      }
      const int64_t cleaned = time - definition_.lateness;
      if (windows_.IsMaxTime(cleaned) &&
          CleanUp(cleaned + 1 - windows_.size, groups, out) == Ready::kWait)
        return Step::Wait(done, /*mid_row=*/fired_);
      done += unit_;
      unit_ = 0;
      fired_ = scanned_ = false;
    }
    return Step::Done();
  }

 private:
  /// A (window, key) whose result has to be sent again.
  struct Revision {
    int64_t window_start;
    uint64_t hash;
    std::string key;
  };

  // --- rows into slices

  struct SliceJudgement {
    Windows::Slice slice{0, 0};
    int64_t windows = 0;        // that hold its rows
    int64_t first_cleanup = 0;  // of the earliest window
    int64_t last_cleanup = 0;   // of the latest
    int64_t first_max = 0;      // last instant of the earliest window
  };

  SliceJudgement Judge(int64_t ts) const {
    SliceJudgement judgement;
    judgement.slice = windows_.SliceOf(ts);
    int64_t first = 0;
    windows_.ForEachWindow(ts, [&](int64_t start) {
      first = start;
      ++judgement.windows;
    });
    if (judgement.windows == 0) return judgement;
    judgement.first_max = windows_.MaxTime(first);
    judgement.first_cleanup = SatAdd(judgement.first_max, definition_.lateness);
    judgement.last_cleanup = SatAdd(windows_.MaxTime(windows_.LastStart(ts)), definition_.lateness);
    return judgement;
  }

  /// Highest watermark that judges any of the task's key groups, asked once per batch: above it
  /// nothing is late anywhere.
  int64_t HighestWatermark() const {
    const GroupRange groups = context_->node().groups;
    int64_t highest = context_->watermark().us;
    for (uint32_t group = groups.first.value; group <= groups.last.value; ++group) {
      highest = std::max(highest, context_->watermark(KeyGroup{static_cast<uint16_t>(group)}).us);
    }
    return highest;
  }

  /// Timers at the front of `due` that fire as one unit: equal time, neighbouring key groups, as
  /// many as promise a bounded number of keys. Groups without a timer in between are never taken
  /// along: they may have fired this window before a restore.
  uint32_t UnitAt(std::span<const Timer> due) const {
    uint32_t unit = 1;
    while (unit < due.size() && unit < unit_groups_ && due[unit].time == due[0].time &&
           due[unit].group.value == due[unit - 1].group.value + 1)
      ++unit;
    return unit;
  }

  Ready Accumulate(const Batch& batch, Output& out) {
    const uint32_t rows = batch.rows();
    const KeyBatch& keys = batch.keys();
    // Of a partial row the slice's start stands for its time: all its rows are in the same windows.
    const ColumnIndex time_column =
        combined_ ? slice_column_ : *batch.schema().Find(kEventTimeColumn);
    const std::span<const int64_t> times = batch.Values<int64_t>(time_column);
    const std::span<const int64_t> weights =
        combined_
            ? batch.Values<int64_t>(ColumnIndex{static_cast<uint16_t>(batch.schema().size() - 1)})
            : std::span<const int64_t>();
    const auto weight = [&](uint32_t row) { return combined_ ? weights[row] : 1; };

    // 1. Everything that may fail per row, into errors of our own: the call may come again.
    errors_.Clear();
    if (!combined_) arguments_.Evaluate(definition_, batch, errors_);

    // 2. Where each row goes.
    namespaces_.assign(rows, kSkip);
    const int64_t highest = HighestWatermark();
    int64_t gap = 0, taken = 0, late = 0, late_partial = 0, late_assignments = 0;
    late_rows_.mutable_rows().clear();
    revision_rows_.clear();
    const bool failures = !errors_.empty();
    SliceJudgement judgement;
    for (uint32_t i = 0; i < rows; ++i) {
      if (failures && errors_.Has(i)) continue;
      if (!judgement.slice.Contains(times[i])) judgement = Judge(times[i]);
      if (judgement.windows == 0) {
        gap += weight(i);
        continue;
      }
      if (judgement.first_cleanup > highest && judgement.first_max > highest) [[likely]] {
        namespaces_[i] = Namespace{judgement.slice.start};
        taken += weight(i);
        continue;
      }
      const int64_t watermark =
          context_->watermark(KeyGroupOf(keys.hash[i], context_->node().key_groups)).us;
      if (judgement.last_cleanup <= watermark) {
        late += weight(i);
        late_assignments += judgement.windows * weight(i);
        late_rows_.mutable_rows().push_back(i);
        continue;
      }
      int64_t lost = 0;
      bool revises = false;
      windows_.ForEachWindow(times[i], [&](int64_t start) {
        const int64_t last = windows_.MaxTime(start);
        if (SatAdd(last, definition_.lateness) <= watermark) {
          ++lost;
        } else if (last <= watermark) {
          revises = true;
        }
      });
      if (lost != 0) {
        late_partial += weight(i);
        late_assignments += lost * weight(i);
      }
      if (revises) revision_rows_.push_back(i);
      namespaces_[i] = Namespace{judgement.slice.start};
      taken += weight(i);
    }

    // 3. Rows of the state, all of them before the first change.
    slice_rows_.resize(rows);
    if (slices_->Update(keys, namespaces_, slice_rows_) == Ready::kWait) return Ready::kWait;
    for (size_t call = 0; call < definition_.calls.size(); ++call) {
      if (distinct_[call] != nullptr && UpdateDistinct(call, keys) == Ready::kWait)
        return Ready::kWait;
    }

    // 4. The changes.
    if (combined_) {
      MergePartial(batch);
    } else {
      for (uint32_t i = 0; i < rows; ++i) {
        if (slice_rows_[i] != nullptr)
          slice_rows_[i]->Set(rows_slot_, slice_rows_[i]->Get<int64_t>(rows_slot_) + 1);
      }
      for (size_t call = 0; call < definition_.calls.size(); ++call) {
        if (accumulators_[call] == nullptr) continue;
        accumulators_[call]->Update(arguments_.Targets(call, slice_rows_), arguments_.columns[call],
                                    times, *writer_);
      }
    }
    SetTimers(keys, times, highest);
    for (const uint32_t row : revision_rows_) AddRevisions(keys, row, times[row]);

    for (const RowError& error : errors_.errors())
      out.errors().Add(error.row, error.code, error.message);
    out.Count(Outcome::kBuffered, taken);
    out.Count(Outcome::kGap, gap);
    out.Count(NodeCount::kLatePartialRecords, static_cast<uint64_t>(late_partial));
    out.Count(NodeCount::kLateAssignments, static_cast<uint64_t>(late_assignments));
    out.Count(definition_.late_port ? Outcome::kLateSide : Outcome::kLateDropped, late);
    if (definition_.late_port && late != 0 && out.wanted(kLate))
      out.Emit(kLate, batch.Take(late_rows_));
    return Ready::kReady;
  }

  /// Adds partial rows to the rows of the state that were found for them.
  void MergePartial(const Batch& batch) {
    const uint32_t rows = batch.rows();
    partial_->Clear();
    partial_rows_.clear();
    for (uint32_t i = 0; i < rows; ++i) partial_rows_.push_back(partial_->Add());
    const StateLayout& layout = slices_->layout();
    // The columns behind the keys and the slice are the row's fields; its first one comes last.
    for (size_t field = 0; field < layout.fields.size(); ++field) {
      const StateLayout::Slot& slot = layout.fields[field];
      const size_t column = field == 0 ? batch.schema().size() - 1 : slice_column_.value + field;
      const ColumnIndex index{static_cast<uint16_t>(column)};
      const Validity valid = batch.Valid(index);
      VisitKind(slot.type.kind, [&]<TypeKind kKind>() {
        using T = Physical<kKind>;
        if constexpr (!std::is_same_v<T, Utf8View>) {
          const std::span<const T> values = batch.Values<T>(index);
          for (uint32_t i = 0; i < rows; ++i) {
            if (valid[i]) partial_rows_[i]->Set(slot, values[i]);
          }
        }
      });
    }
    for (uint32_t i = 0; i < rows; ++i) {
      if (slice_rows_[i] != nullptr) AddTo(slice_rows_[i], partial_rows_[i], *writer_);
    }
  }

  /// Rows of the distinct values; the map's rows count how often each was seen.
  Ready UpdateDistinct(size_t call, const KeyBatch& keys) {
    const uint32_t rows = keys.rows();
    const Column& values = arguments_.columns[call][0];
    const Validity valid = values.Valid();
    distinct_ns_.assign(rows, kSkip);
    const auto take = [&](uint32_t row) {
      if (slice_rows_[row] != nullptr && valid[row]) distinct_ns_[row] = namespaces_[row];
    };
    if (definition_.calls[call].filter) {
      for (const uint32_t row : arguments_.filters[call]) take(row);
    } else {
      for (uint32_t row = 0; row < rows; ++row) take(row);
    }
    subkey_bytes_.clear();
    subkey_ends_.clear();
    for (uint32_t row = 0; row < rows; ++row) {
      if (distinct_ns_[row] != kSkip) AppendKeyBytes(values, row, subkey_bytes_);
      subkey_ends_.push_back(subkey_bytes_.size());
    }
    subkeys_.clear();
    for (uint32_t row = 0; row < rows; ++row) {
      const size_t begin = row == 0 ? 0 : subkey_ends_[row - 1];
      subkeys_.push_back(std::string_view(subkey_bytes_).substr(begin, subkey_ends_[row] - begin));
    }
    distinct_rows_.resize(rows);
    if (distinct_[call]->Update(keys, distinct_ns_, subkeys_, distinct_rows_) == Ready::kWait)
      return Ready::kWait;
    const StateLayout::Slot& slot = distinct_[call]->layout().fields[0];
    for (uint32_t row = 0; row < rows; ++row) {
      if (distinct_rows_[row] != nullptr) distinct_rows_[row]->Set<int64_t>(slot, 1);
    }
    return Ready::kReady;
  }

  /// One timer per window end and key group. What is set already is remembered, per slice and, as
  /// slices share the ends of their windows, per instant; after a restore timers are set again,
  /// which collapses.
  void SetTimers(const KeyBatch& keys, std::span<const int64_t> times, int64_t highest) {
    const uint32_t key_groups = context_->node().key_groups;
    std::vector<uint64_t>* known = nullptr;
    int64_t known_slice = 0;
    fresh_.clear();
    for (uint32_t i = 0; i < times.size(); ++i) {
      if (slice_rows_[i] == nullptr) continue;
      const int64_t slice = namespaces_[i].value;
      if (known == nullptr || slice != known_slice) {
        known = &timers_set_[slice];
        if (known->empty()) known->resize(timers_set_words_);
        known_slice = slice;
      }
      const KeyGroup group = KeyGroupOf(keys.hash[i], key_groups);
      uint64_t& word = (*known)[group.value / 64];
      const uint64_t bit = uint64_t{1} << (group.value % 64);
      if ((word & bit) != 0) continue;
      word |= bit;
      fresh_[slice].push_back(group);
    }
    for (const auto& [slice, groups] : fresh_) {
      windows_.ForEachWindow(slice, [&](int64_t start) {
        const int64_t last = windows_.MaxTime(start);
        if (last > highest) {
          SetTimersOnce(groups, last);
          return;
        }
        for (const KeyGroup group :
             groups) {  // a window that has fired for a group is revised, not fired again
          if (last > context_->watermark(group).us)
            timers_->Set(std::span(&group, 1), Namespace{0}, EventTime{last});
        }
      });
      SetTimersOnce(groups,
                    SatAdd(windows_.MaxTime(windows_.LastStart(slice)), definition_.lateness));
    }
  }

  /// `instant` has not fired for any of `groups`.
  void SetTimersOnce(std::span<const KeyGroup> groups, int64_t instant) {
    std::vector<uint64_t>& known = instants_set_[instant];
    if (known.empty()) known.resize(timers_set_words_);
    unset_.clear();
    for (const KeyGroup group : groups) {
      uint64_t& word = known[group.value / 64];
      const uint64_t bit = uint64_t{1} << (group.value % 64);
      if ((word & bit) == 0) unset_.push_back(group);
      word |= bit;
    }
    if (!unset_.empty()) timers_->Set(unset_, Namespace{0}, EventTime{instant});
  }

  // --- windows out of slices

  enum class Emission : uint8_t { kAll, kNoRoom, kWait };

  /// How far a walk over several namespaces has come. Kept over a wait: rows that were fetched may
  /// leave memory again, so a walk that began anew each time would never end where state is larger
  /// than memory.
  struct Walk {
    bool begun = false;
    size_t step = 0;  // namespaces walked to their end
    std::optional<KeyGroup> first;
    std::string after;  // within the namespace of `step`
  };

  void ClearMerged() {
    merged_->Clear();
    merged_keys_.clear();
    merged_rows_.clear();
    merged_hashes_.clear();
    std::fill(merged_index_.begin(), merged_index_.end(), 0);
    distinct_counts_.assign(definition_.calls.size(), {});
    distinct_seen_.assign(definition_.calls.size(), {});
    absorbed_ = 0;
    emit_at_ = 0;
    AccountMerged();
  }

  /// A unit may be large where a key group has very many keys: hot state makes room for it.
  void AccountMerged() {
    size_t bytes = merged_->bytes() + merged_index_.size() * sizeof(uint32_t) +
                   merged_rows_.size() * (sizeof(StateRow*) + sizeof(uint64_t));
    for (const std::string& key : merged_keys_) bytes += sizeof(key) + key.size();
    context_->memory().Use(static_cast<int64_t>(bytes) - static_cast<int64_t>(accounted_));
    accounted_ = bytes;
  }

  /// Merges the slices of a window for some key groups into the merged rows; goes on where it had
  /// to wait.
  Ready Scan(int64_t window_start, GroupRange groups) {
    if (!walk_.begun) {
      ClearMerged();
      walk_.begun = true;
    }
    std::vector<int64_t> slices;
    windows_.ForEachSlice(window_start, [&](int64_t slice) { slices.push_back(slice); });
    size_t step = 0;
    for (const int64_t slice : slices) {
      const bool last_window = slice < window_start + windows_.every;
      const Ready ready = ForEachRow(*slices_, slice, groups, step++, [&](size_t i) {
        if (last_window) absorbed_ += block_.rows[i]->Get<int64_t>(rows_slot_);
        MergeRow(block_.rows[i], block_.key[i], block_.hash[i]);
      });
      if (ready == Ready::kWait) return Ready::kWait;
    }
    for (size_t call = 0; call < definition_.calls.size(); ++call) {
      if (distinct_[call] == nullptr) continue;
      for (const int64_t slice : slices) {
        // A union over the slices: a value counts once, however many slices have seen it.
        const Ready ready = ForEachRow(*distinct_[call], slice, groups, step++, [&](size_t i) {
          std::string key(block_.key[i]);
          if (slices.size() == 1 ||
              distinct_seen_[call].emplace(key, std::string(block_.sort[i])).second)
            ++distinct_counts_[call][std::move(key)];
        });
        if (ready == Ready::kWait) return Ready::kWait;
      }
    }
    walk_ = {};
    const size_t groups_taken = groups.last.value - groups.first.value + 1U;
    const size_t keys_per_group = std::max<size_t>(merged_rows_.size() / groups_taken, 1);
    unit_groups_ = static_cast<uint32_t>(
        std::clamp<size_t>(kUnitKeysAim / keys_per_group, 1,
                           std::min<size_t>(groups_taken * kUnitGroupsGrowth, kTimersPerCallMax)));
    AccountMerged();
    return Ready::kReady;
  }

  /// Calls `body(i)` for each row i of block_, block after block; `step` is the number of this
  /// namespace in the walk.
  template <class Body>
  Ready ForEachRow(KeyedState& state, int64_t ns, GroupRange groups, size_t step, Body&& body) {
    if (step < walk_.step) return Ready::kReady;  // walked before the wait
    for (;;) {
      if (walk_.first) groups.first = *walk_.first;
      if (state.ScanNamespace(Namespace{ns}, groups, walk_.after, block_) == Ready::kWait)
        return Ready::kWait;
      for (size_t i = 0; i < block_.rows.size(); ++i) body(i);
      if (!block_.more) break;
      walk_.after.assign(block_.key.back());
      walk_.first = KeyGroupOf(block_.hash.back(), context_->node().key_groups);
    }
    ++walk_.step;
    walk_.first.reset();
    walk_.after.clear();
    return Ready::kReady;
  }

  void MergeRow(const StateRow* row, std::string_view key, uint64_t hash) {
    if (row->Get<int64_t>(rows_slot_) == 0)
      return;  // made by a call that had to wait, never counted
    if ((merged_rows_.size() + 1) * 2 > merged_index_.size()) GrowIndex();
    const size_t mask = merged_index_.size() - 1;
    for (size_t place = hash & mask;; place = (place + 1) & mask) {
      const uint32_t found = merged_index_[place];
      if (found != 0) {
        if (merged_hashes_[found - 1] != hash || !SameKey(merged_keys_[found - 1], key)) continue;
        return MergeInto(merged_rows_[found - 1], row);
      }
      merged_keys_.emplace_back(key);
      merged_hashes_.push_back(hash);
      merged_rows_.push_back(merged_->Add());
      merged_index_[place] = static_cast<uint32_t>(merged_rows_.size());
      return MergeInto(merged_rows_.back(), row);
    }
  }

  void GrowIndex() {
    merged_index_.assign(std::max<size_t>(merged_index_.size() * 2, 1024), 0);
    const size_t mask = merged_index_.size() - 1;
    for (uint32_t i = 0; i < merged_hashes_.size(); ++i) {
      size_t place = merged_hashes_[i] & mask;
      while (merged_index_[place] != 0) place = (place + 1) & mask;
      merged_index_[place] = i + 1;
    }
  }

  void MergeInto(StateRow* into, const StateRow* row) { AddTo(into, row, *merged_); }
  void AddTo(StateRow* into, const StateRow* row, BytesWriter& writer) {
    into->Set(rows_slot_, into->Get<int64_t>(rows_slot_) + row->Get<int64_t>(rows_slot_));
    for (const std::unique_ptr<Accumulator>& accumulator : accumulators_) {
      if (accumulator != nullptr) accumulator->Merge(into, row, writer);
    }
  }

  /// Emits the merged rows from emit_at_ on.
  Emission EmitWindow(int64_t window_start, Output& out) {
    while (emit_at_ < merged_rows_.size()) {
      if (out.HasOutput(kMain)) return Emission::kNoRoom;
      const uint32_t room = std::max<uint32_t>(out.Rows(kMain).rows_max(), 1);
      const size_t row_bytes = std::max<size_t>(accounted_ / merged_rows_.size(), 1);
      const auto count = static_cast<uint32_t>(
          std::min<size_t>({room, merged_rows_.size() - emit_at_,
                            std::max<size_t>(kResultBytesAim / row_bytes, 1)}));
      Batch results = Results(window_start, emit_at_, count);
      if (results && definition_.revises) {
        if (emitted_ != nullptr && Remember(window_start, results) == Ready::kWait)
          return Emission::kWait;
        results = WithOp(results, definition_.upsert ? Op::kUpdateAfter : Op::kInsert);
      }
      ReportResultErrors(out);
      emit_at_ += count;
      if (results) out.Emit(kMain, std::move(results));
    }
    return Emission::kAll;
  }

  /// Errors of result rows count once the call that made them goes through.
  void ReportResultErrors(Output& out) {
    for (const RowError& error : result_errors_)
      out.errors().AddResult(error.code, error.message, error.raw);
    result_errors_.clear();
  }

  /// Rows [first, first + count) of the merged ones as output columns without `_op`; kept:
  /// positions in the merged rows. Empty if none passes `having`.
  Batch Results(int64_t window_start, size_t first, uint32_t count) {
    result_errors_.clear();
    RowBuilder calls(definition_.call_schema, count, SIZE_MAX);
    std::vector<ColumnBuilder*> keys;
    for (size_t i = 0; i < key_types_.size(); ++i) keys.push_back(&calls.column(i));
    kept_.clear();
    for (uint32_t i = 0; i < count; ++i) {
      const StateRow* row = merged_rows_[first + i];
      WEIR_CHECK(DecodeKeyBytes(merged_keys_[first + i], key_types_, keys));
      size_t column = key_types_.size();
      calls.column(column++).Append<int64_t>(window_start);
      calls.column(column++).Append<int64_t>(window_start + windows_.size);
      bool good = true;
      for (size_t call = 0; call < accumulators_.size(); ++call, ++column) {
        if (accumulators_[call] != nullptr) {
          good = accumulators_[call]->Finish(row, calls.column(column)) && good;
        } else {
          const auto place = distinct_counts_[call].find(merged_keys_[first + i]);
          calls.column(column).Append<int64_t>(
              place == distinct_counts_[call].end() ? 0 : place->second);
        }
      }
      if (good) {
        calls.FinishRow();
        kept_.push_back(static_cast<uint32_t>(first + i));
      } else {
        AddResultError(RecordCode::kExpressionOverflow,
                       "the result of an aggregate does not fit its type", window_start, first + i);
        for (size_t c = 0; c < definition_.call_schema->size(); ++c)
          calls.column(c).Truncate(calls.rows());
      }
    }
    if (calls.empty()) return {};
    Batch batch = calls.Build();

    RowErrors errors;
    Selection passed;
    std::vector<Column> results;
    results.reserve(definition_.results.size());
    for (const Expression& result : definition_.results)
      results.push_back(result.Evaluate(batch, errors));
    if (definition_.having) {
      passed = definition_.having.SelectTrue(batch, errors);
    } else {
      passed = Selection::All(batch.rows());
    }
    if (!errors.empty()) {
      for (const RowError& error : errors.errors())
        AddResultError(error.code, error.message, window_start, kept_[error.row]);
      std::erase_if(passed.mutable_rows(), [&](uint32_t row) { return errors.Has(row); });
    }
    if (passed.empty()) return {};
    std::vector<Column> columns;
    for (uint16_t i = 0; i < definition_.group_schema->size(); ++i)
      columns.push_back(batch.column(ColumnIndex{i}));
    const Column time = Constant(window_start + windows_.size - 1, batch.rows());
    if (definition_.window_time) columns.push_back(time);
    columns.insert(columns.end(), results.begin(), results.end());
    columns.push_back(time);
    Batch all = Batch::Make(PlainSchema(), batch.rows(), std::move(columns));
    if (const std::vector<uint32_t> large = limit_.Beyond(all); !large.empty()) {
      std::erase_if(passed.mutable_rows(), [&](uint32_t row) {
        if (!std::binary_search(large.begin(), large.end(), row)) return false;
        AddResultError(RecordCode::kExpressionLimit, limit_.message(), window_start, kept_[row]);
        return true;
      });
      if (passed.empty()) return {};
    }
    if (passed.size() == batch.rows()) return all;
    std::vector<uint32_t> still;
    for (const uint32_t row : passed) still.push_back(kept_[row]);
    kept_ = std::move(still);
    return all.Take(passed);
  }

  void AddResultError(RecordCode code, std::string message, int64_t window_start, size_t merged) {
    result_errors_.push_back({.row = 0,
                              .code = code,
                              .message = std::move(message),
                              .detached = true,
                              .raw = RawKey(window_start, merged)});
  }

  std::string RawKey(int64_t window_start, size_t merged) const {
    Json row = Json::object();
    RowBuilder values(std::make_shared<const Schema>(std::vector<Field>(
        definition_.group_schema->fields().begin(),
        definition_.group_schema->fields().begin() + static_cast<ptrdiff_t>(key_types_.size()))));
    std::vector<ColumnBuilder*> keys;
    for (size_t i = 0; i < key_types_.size(); ++i) keys.push_back(&values.column(i));
    WEIR_CHECK(DecodeKeyBytes(merged_keys_[merged], key_types_, keys));
    if (!key_types_.empty()) {
      values.FinishRow();
      const Batch batch = values.Build();
      for (uint16_t i = 0; i < key_types_.size(); ++i)
        row[definition_.keys[i].name] = ValueToString(batch.column(ColumnIndex{i}), 0);
    }
    row["window_start_us"] = window_start;
    return row.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  static Column Constant(int64_t value, uint32_t rows) {
    auto buffer = std::make_shared<Buffer>(rows * sizeof(int64_t));
    std::fill_n(buffer->as<int64_t>(), rows, value);
    return Column(TimestampType(), rows, std::move(buffer), nullptr, nullptr);
  }
  static Column OpColumn(Op op, uint32_t rows) {
    auto buffer = std::make_shared<Buffer>(rows * sizeof(int32_t));
    std::fill_n(buffer->as<int32_t>(), rows, static_cast<int32_t>(op));
    return Column(Type::Of(TypeKind::kInt32), rows, std::move(buffer), nullptr, nullptr);
  }
  /// The output's schema without `_op`.
  const SchemaRef& PlainSchema() {
    if (!definition_.revises) return definition_.output;
    if (plain_ == nullptr) {
      std::vector<Field> fields = definition_.output->fields();
      fields.pop_back();
      plain_ = std::make_shared<const Schema>(std::move(fields));
    }
    return plain_;
  }
  Batch WithOp(const Batch& plain, Op op) const {
    std::vector<Column> columns;
    for (uint16_t i = 0; i < plain.schema().size(); ++i)
      columns.push_back(plain.column(ColumnIndex{i}));
    columns.push_back(OpColumn(op, plain.rows()));
    return Batch::Make(definition_.output, plain.rows(), std::move(columns));
  }

  // --- revisions

  void AddRevisions(const KeyBatch& keys, uint32_t row, int64_t time) {
    const int64_t watermark =
        context_->watermark(KeyGroupOf(keys.hash[row], context_->node().key_groups)).us;
    windows_.ForEachWindow(time, [&](int64_t start) {
      const int64_t last = windows_.MaxTime(start);
      if (last > watermark || SatAdd(last, definition_.lateness) <= watermark) return;
      std::string key(keys.bytes[row].view());
      if (revised_.emplace(start, key).second)
        revisions_.push_back({start, keys.hash[row], std::move(key)});
    });
  }

  /// Sends due revisions, one whole result each, as many as there is room for. Empty: all are out.
  /// Else how the call ends.
  std::optional<Step> Revise(Output& out) {
    if (out.HasOutput(kMain)) return Step::More(0, /*mid_row=*/true);
    const uint32_t room = out.Rows(kMain).rows_max();
    std::vector<Batch> parts;
    uint32_t rows = 0;
    Ready ready = Ready::kReady;
    while (!revisions_.empty() && (parts.empty() || rows + 2 <= room)) {
      Batch change;
      ready = ReviseOne(revisions_.front(), change);
      if (ready == Ready::kWait) break;
      ReportResultErrors(out);
      if (change) {
        rows += change.rows();
        parts.push_back(std::move(change));
      }
      revised_.erase({revisions_.front().window_start, revisions_.front().key});
      revisions_.pop_front();
    }
    if (!parts.empty()) out.Emit(kMain, Concat(parts));
    if (ready == Ready::kWait) return Step::Wait(0, /*mid_row=*/true);
    if (!revisions_.empty()) return Step::More(0, /*mid_row=*/true);
    return std::nullopt;
  }

  /// What changes for readers; empty if nothing does. kWait: nothing was changed.
  Ready ReviseOne(const Revision& revision, Batch& change) {
    KeyStorage key;
    key.hash = {revision.hash};
    key.bytes = {Utf8View(revision.key)};
    const KeyBatch keys = key.View();
    if (MergeKey(revision, keys) == Ready::kWait) return Ready::kWait;
    if (emitted_ == nullptr) {
      const Batch now = Results(revision.window_start, 0, 1);
      change = now ? WithOp(now, Op::kUpdateAfter) : Deletion(revision);
      return Ready::kReady;
    }
    StateRow* old = nullptr;
    const Namespace ns{revision.window_start};
    if (emitted_->Find(keys, std::span(&ns, 1), std::span(&old, 1)) == Ready::kWait)
      return Ready::kWait;
    const Batch before = old == nullptr ? Batch() : EmittedRow(revision, old);
    const Batch now = Results(revision.window_start, 0, 1);
    if (now) {
      if (Remember(revision.window_start, now) == Ready::kWait) return Ready::kWait;
    } else if (before) {
      emitted_->Erase(keys, std::span(&ns, 1));
    }
    change = Change(before, now);
    return Ready::kReady;
  }

  /// All slices of the window for one key into merged row 0.
  Ready MergeKey(const Revision& revision, const KeyBatch& keys) {
    ClearMerged();
    merged_keys_.push_back(revision.key);
    merged_hashes_.push_back(revision.hash);
    merged_rows_.push_back(merged_->Add());
    Ready ready = Ready::kReady;
    std::vector<std::set<std::string>> values(definition_.calls.size());
    windows_.ForEachSlice(revision.window_start, [&](int64_t slice) {
      if (ready == Ready::kWait) return;
      const Namespace ns{slice};
      StateRow* row = nullptr;
      ready = slices_->Find(keys, std::span(&ns, 1), std::span(&row, 1));
      if (ready == Ready::kReady && row != nullptr) MergeInto(merged_rows_[0], row);
      for (size_t call = 0; call < distinct_.size() && ready == Ready::kReady; ++call) {
        if (distinct_[call] == nullptr) continue;
        std::string from;
        for (;;) {
          const SubkeyRange range{from, {}};
          ready = distinct_[call]->Scan(keys, std::span(&ns, 1), std::span(&range, 1), block_);
          if (ready == Ready::kWait) break;
          for (const std::string_view value : block_.sort) values[call].emplace(value);
          if (!block_.more) break;
          from = std::string(block_.sort.back()) + '\0';
        }
      }
    });
    if (ready == Ready::kWait) return ready;
    for (size_t call = 0; call < values.size(); ++call) {
      if (distinct_[call] != nullptr)
        distinct_counts_[call][revision.key] = static_cast<int64_t>(values[call].size());
    }
    return ready;
  }

  Batch Change(const Batch& before, const Batch& now) const {
    if (before && now) {
      if (SameResults(before, now)) return {};
      const std::array<Batch, 2> pair = {WithOp(before, Op::kUpdateBefore),
                                         WithOp(now, Op::kUpdateAfter)};
      return Concat(pair);
    }
    if (now) return WithOp(now, Op::kInsert);
    return before ? WithOp(before, Op::kDelete) : Batch();
  }

  static bool SameResults(const Batch& a, const Batch& b) {
    for (uint16_t i = 0; i < a.schema().size(); ++i) {
      std::string left, right;
      AppendKeyBytes(a.column(ColumnIndex{i}), 0, left);
      AppendKeyBytes(b.column(ColumnIndex{i}), 0, right);
      if (left != right) return false;
    }
    return true;
  }

  size_t FirstResult() const {
    return definition_.group_schema->size() + (definition_.window_time ? 1 : 0);
  }

  /// Keeps the emitted results; kept_ names the merged rows they belong to.
  Ready Remember(int64_t window_start, const Batch& results) {
    KeyStorage storage;
    for (uint32_t i = 0; i < results.rows(); ++i) {
      const std::string& key = merged_keys_[kept_[i]];
      storage.hash.push_back(HashKey(key));
      storage.bytes.push_back(Utf8View(key));
    }
    emitted_rows_.resize(results.rows());
    const std::vector<Namespace> ns(results.rows(), Namespace{window_start});
    if (emitted_->Update(storage.View(), ns, emitted_rows_) == Ready::kWait) return Ready::kWait;
    const StateLayout& layout = emitted_->layout();
    for (size_t field = 0; field < definition_.results.size(); ++field) {
      const Column column =
          results.column(ColumnIndex{static_cast<uint16_t>(FirstResult() + field)});
      const Validity valid = column.Valid();
      VisitKind(column.type().kind, [&]<TypeKind kKind>() {
        using T = Physical<kKind>;
        const std::span<const T> values = column.Values<T>();
        for (uint32_t i = 0; i < results.rows(); ++i) {
          if (!valid[i]) {
            emitted_rows_[i]->SetNull(layout.fields[field]);
          } else if constexpr (std::is_same_v<T, Utf8View>) {
            emitted_->SetBytes(emitted_rows_[i], layout.fields[field], values[i].view());
          } else {
            emitted_rows_[i]->Set(layout.fields[field], values[i]);
          }
        }
      });
    }
    return Ready::kReady;
  }

  /// Key and window columns of a revision, results NULL or from `row`, as an output row without
  /// `_op`.
  Batch EmittedRow(const Revision& revision, const StateRow* row) {
    RowBuilder builder(PlainSchema());
    AppendKeyAndWindow(revision, builder);
    const StateLayout& layout = emitted_->layout();
    for (size_t field = 0; field < definition_.results.size(); ++field) {
      ColumnBuilder& column = builder.column(FirstResult() + field);
      if (row->IsNull(layout.fields[field])) {
        column.AppendNull();
        continue;
      }
      VisitKind(definition_.results[field].type().kind, [&]<TypeKind kKind>() {
        using T = Physical<kKind>;
        if constexpr (std::is_same_v<T, Utf8View>) {
          column.AppendString(row->GetBytes(layout.fields[field]));
        } else {
          column.Append<T>(row->Get<T>(layout.fields[field]));
        }
      });
    }
    builder.FinishRow();
    return builder.Build();
  }

  /// An upsert's delete: the key, all else NULL.
  Batch Deletion(const Revision& revision) {
    RowBuilder builder(PlainSchema());
    AppendKeyAndWindow(revision, builder);
    for (size_t field = 0; field < definition_.results.size(); ++field)
      builder.column(FirstResult() + field).AppendNull();
    builder.FinishRow();
    return WithOp(builder.Build(), Op::kDelete);
  }

  void AppendKeyAndWindow(const Revision& revision, RowBuilder& builder) {
    std::vector<ColumnBuilder*> keys;
    for (size_t i = 0; i < key_types_.size(); ++i) keys.push_back(&builder.column(i));
    WEIR_CHECK(DecodeKeyBytes(revision.key, key_types_, keys));
    size_t column = key_types_.size();
    builder.column(column++).Append<int64_t>(revision.window_start);
    builder.column(column++).Append<int64_t>(revision.window_start + windows_.size);
    if (definition_.window_time)
      builder.column(column).Append<int64_t>(revision.window_start + windows_.size - 1);
    builder.column(definition_.output->size() - (definition_.revises ? 2 : 1))
        .Append<int64_t>(revision.window_start + windows_.size - 1);
  }

  // --- clean-up

  /// Drops the slices whose last window starts at `window_start`, for some key groups.
  Ready CleanUp(int64_t window_start, GroupRange groups, Output& out) {
    const int64_t up_to = window_start + windows_.every - 1;
    if (definition_.lateness !=
        0) {  // another window fired just now, if any: this one did before its lateness passed
      if (!walk_.begun) {
        walk_.begun = true;
        absorbed_ = 0;
      }
      size_t step = 0;
      Ready ready = Ready::kReady;
      windows_.ForEachSlice(window_start, [&](int64_t slice) {
        if (slice > up_to || ready == Ready::kWait) return;
        ready = ForEachRow(*slices_, slice, groups, step++, [&](size_t i) {
          absorbed_ += block_.rows[i]->Get<int64_t>(rows_slot_);
        });
      });
      if (ready == Ready::kWait) return Ready::kWait;
      walk_ = {};
    }
    const int64_t rows = absorbed_;
    slices_->Drop(Namespace{up_to}, groups);
    for (MapState* distinct : distinct_) {
      if (distinct != nullptr) distinct->Drop(Namespace{up_to}, groups);
    }
    if (emitted_ != nullptr) emitted_->Drop(Namespace{window_start}, groups);
    out.Count(Outcome::kAbsorbed, rows);
    out.Count(Outcome::kBuffered, -rows);
    for (auto slice = timers_set_.begin(); slice != timers_set_.end() && slice->first <= up_to;) {
      for (uint32_t group = groups.first.value; group <= groups.last.value; ++group)
        slice->second[group / 64] &= ~(uint64_t{1} << (group % 64));
      const bool empty = std::all_of(slice->second.begin(), slice->second.end(),
                                     [](uint64_t word) { return word == 0; });
      slice = empty ? timers_set_.erase(slice) : std::next(slice);
    }
    // Instants before this one have fired, or would only be set again.
    instants_set_.erase(instants_set_.begin(), instants_set_.lower_bound(window_start));
    return Ready::kReady;
  }

  // Fixed after Open.
  const AggregateDefinition definition_;
  const Windows windows_;
  const RowLimit limit_;
  const bool combined_;             // rows come added up by slice and key (aggregate_combiner.h)
  const ColumnIndex slice_column_;  // then
  OperatorContext* context_ = nullptr;
  ValueState* slices_ = nullptr;
  ValueState* emitted_ = nullptr;  // only where results are taken back
  TimerState* timers_ = nullptr;
  std::vector<std::unique_ptr<Accumulator>> accumulators_;  // by call; null: count(DISTINCT)
  std::vector<MapState*> distinct_;                         // by call
  std::vector<Type> key_types_;
  StateLayout::Slot rows_slot_;
  std::optional<StateWriter> writer_;
  SchemaRef plain_;
  size_t timers_set_words_ = 0;

  // Scratch of one call, kept for its memory.
  RowErrors errors_;
  AggregateArguments arguments_;
  std::optional<DetachedRows> partial_;
  std::vector<StateRow*> partial_rows_;
  std::vector<Namespace> namespaces_, distinct_ns_;
  std::vector<StateRow*> slice_rows_, distinct_rows_, emitted_rows_;
  std::string subkey_bytes_;
  std::vector<size_t> subkey_ends_;
  std::vector<std::string_view> subkeys_;
  Selection late_rows_;
  std::vector<uint32_t> revision_rows_, kept_;
  std::map<int64_t, std::vector<KeyGroup>> fresh_;
  std::vector<KeyGroup> unset_;
  RowBlock block_;

  // What a stopped call goes on with: the unit in hand, and revisions of rows that are in the
  // state. Never needed after a restore.
  std::optional<DetachedRows> merged_;
  std::vector<std::string> merged_keys_;
  std::vector<StateRow*> merged_rows_;
  std::vector<uint64_t> merged_hashes_;
  std::vector<uint32_t> merged_index_;  // open addressing by hash: position + 1 in the merged rows
  std::vector<std::unordered_map<std::string, int64_t>> distinct_counts_;
  std::vector<std::set<std::pair<std::string, std::string>>> distinct_seen_;
  Walk walk_;
  std::vector<RowError> result_errors_;
  int64_t absorbed_ = 0;  // rows of the scanned slices that no later window needs
  size_t emit_at_ = 0;
  uint32_t unit_ = 0, unit_groups_ = 1;
  size_t accounted_ = 0;  // bytes of the merged rows
  bool scanned_ = false, fired_ = false;
  std::deque<Revision> revisions_;
  std::set<std::pair<int64_t, std::string>> revised_;  // those in revisions_: one per (window, key)
  std::map<int64_t, std::vector<uint64_t>>
      timers_set_;  // slice -> key groups that have their timers
  std::map<int64_t, std::vector<uint64_t>> instants_set_;  // instant of timers -> the same
};

std::vector<Option> WindowFields(bool sliding) {
  std::vector<Option> fields = {
      {.name = "size",
       .type = OptionType::kDuration,
       .doc = "Length of a window.",
       .allowed = "1ms..36500d",
       .required = true,
       .substitute = true},
      {.name = "offset",
       .type = OptionType::kDuration,
       .doc = "Shifts all window borders.",
       .fallback = "0s",
       .allowed = "-36500d..36500d",
       .substitute = true},
      {.name = "window_time",
       .type = OptionType::kBool,
       .doc = "Adds the column window_time: window_end minus 1 us, the event time of the result.",
       .fallback = "false"},
      {.name = "clock",
       .type = OptionType::kEnum,
       .doc = "Whose time windows follow.",
       .fallback = "event",
       .allowed = "event|planned:processing"},
      {.name = "timezone",
       .type = OptionType::kString,
       .doc = "Windows of whole days in local time.",
       .since = "planned"},
  };
  if (sliding) {
    fields.push_back({.name = "every",
                      .type = OptionType::kDuration,
                      .doc = "Distance of the starts of two windows.",
                      .allowed = "1ms..36500d",
                      .required = true,
                      .substitute = true});
  }
  return fields;
}

}  // namespace

void RegisterAggregate(Registry& registry) {
  registry.Add({
      .name = "aggregate",
      .doc = "Aggregates rows by key and event-time window. Output: the keys, window_start, "
             "window_end, the aggregates.",
      .options =
          {
              {.name = "key_by",
               .type = OptionType::kKeyList,
               .doc = "Columns, or expressions with a name. Without keys there is one group, in "
                      "one task.",
               .fallback = "[]"},
              {.name = "window",
               .type = OptionType::kVariant,
               .doc = "How rows are grouped in time.",
               .required = true,
               .variants =
                   {{.name = "tumbling",
                     .doc = "Windows one behind the other.",
                     .fields = WindowFields(false)},
                    {.name = "sliding",
                     .doc =
                         "Windows of `size`, a new one each `every`; they overlap or leave gaps.",
                     .fields = WindowFields(true)},
                    {.name = "session",
                     .doc = "Rows of a key that follow one another within a gap.",
                     .fields = {},
                     .planned = true},
                    {.name = "none",
                     .doc = "One never-ending group per key.",
                     .fields = {},
                     .planned = true},
                    {.name = "cumulate", .doc = "Growing windows.", .fields = {}, .planned = true},
                    {.name = "count",
                     .doc = "Windows of so many rows.",
                     .fields = {},
                     .planned = true}}},
              {.name = "aggregates",
               .type = OptionType::kExpressionMap,
               .doc = "Column name to expression over aggregate functions and keys.",
               .required = true},
              {.name = "having",
               .type = OptionType::kBoolExpression,
               .doc = "Only results for which it is true are sent."},
              {.name = "allowed_lateness",
               .type = OptionType::kDuration,
               .doc = "How long after its end a window still takes rows and sends revisions.",
               .fallback = "0s",
               .substitute = true},
              {.name = "late",
               .type = OptionType::kEnum,
               .doc = "What happens to rows that are too late for all their windows.",
               .fallback = "drop",
               .allowed = "drop|side_output"},
              {.name = "emit",
               .type = OptionType::kObject,
               .doc = "How results that change are sent.",
               .fallback = "{}",
               .fields = {{.name = "mode",
                           .type = OptionType::kEnum,
                           .doc = "With the old row (changelog), or the new one alone (upsert).",
                           .fallback = "changelog",
                           .allowed = "changelog|upsert"},
                          {.name = "early_every",
                           .type = OptionType::kDuration,
                           .doc = "Results of open windows as event time passes.",
                           .since = "planned"},
                          {.name = "early_clock",
                           .type = OptionType::kEnum,
                           .doc = "Whose time early results follow.",
                           .allowed = "event",
                           .since = "planned"}}},
          },
      .inputs = {.least = 1, .most = kInputsMax, .accepts = kAppend},
      .ports = {"late"},
      .infer = Infer,
      .create = [](const NodeConfig& config,
                   const NodeShape& shape) -> Result<std::unique_ptr<Operator>> {
        return std::make_unique<Aggregate>(DefineAggregate(config), shape.combine.has_value(),
                                           config.job());
      },
      .example =
          R"json({"type": "aggregate", "inputs": ["clicks"], "key_by": ["page"], "window": {"type": "tumbling", "size": "1m"}, "aggregates": {"views": "count(*)"}})json",
  });
}

}  // namespace weir
