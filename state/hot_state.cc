#include "state/hot_state.h"

#include <algorithm>

namespace weir::state {
namespace {

constexpr size_t kEvictionBufferLeast = size_t{8} << 20;
constexpr size_t kEvictionBufferLow = size_t{1} << 20;  // where the target itself is small
constexpr size_t kEvictionBufferShare = 16;             // of the task's hot target
constexpr size_t kBatchShare = 8;          // a batch goes down at this part of the buffer
constexpr size_t kRowBytesExpected = 128;  // of a row in the eviction buffer
constexpr int64_t kEvictBudget = 3000;     // visits of the clock in one call: about 0.2 ms
constexpr int kEvictStepsPerBatch = 4;     // calls of the clock before a batch is taken
constexpr int64_t kClockRounds = 2;        // after so many every row has lost its second chance
constexpr size_t kSettledPerCall = 4096;   // rows freed in one call

bool IsTimers(StateKind kind) {
  return kind == StateKind::kEventTimers || kind == StateKind::kProcessingTimers;
}

}  // namespace

HotState::HotState(const TaskStateSpec& spec, std::string backend, size_t eviction_buffer_bytes,
                   std::shared_ptr<Lower> lower)
    : backend_(std::move(backend)),
      key_groups_(spec.key_groups),
      hot_(spec.hot),
      wake_(spec.wake),
      buffer_bytes_fixed_(eviction_buffer_bytes),
      lower_(std::move(lower)) {
  shared_.pump = this;
  shared_.groups = spec.groups;
  shared_.key_groups = spec.key_groups;
  SizeBuffer();
  for (const TaskStateEntry& entry : spec.states) {
    const auto index = static_cast<uint16_t>(tables_.size());
    tables_.push_back(std::make_unique<HotTable>(shared_, index, entry, lower_->codecs()[index]));
    HotTable& table = *tables_.back();
    timers_by_state_.push_back(nullptr);
    if (entry.spec.kind == StateKind::kValue) {
      states_.emplace_back(values_.emplace_back(std::make_unique<HotValueState>(table)).get());
    } else if (entry.spec.kind == StateKind::kMap) {
      states_.emplace_back(maps_.emplace_back(std::make_unique<HotMapState>(table)).get());
    } else if (entry.spec.kind == StateKind::kLog) {
      states_.emplace_back(logs_.emplace_back(std::make_unique<HotLogState>(table)).get());
    } else if (IsTimers(entry.spec.kind)) {
      timers_by_state_.back() = timers_.emplace_back(std::make_unique<HotTimerState>(table)).get();
      states_.emplace_back(timers_by_state_.back());
    } else {
      states_.emplace_back();  // lists are the task's
    }
  }
}

HotState::~HotState() {
  lower_->Close();
  if (reported_bytes_ != 0) hot_->Use(-reported_bytes_);
}

void HotState::Restore(const std::vector<ImageDescription>& images) {
  bool first = true;
  for (const ImageDescription& image : images) {
    shared_.watermark = first ? image.watermark : std::min(shared_.watermark, image.watermark);
    first = false;
    const uint16_t from = std::max(image.groups.first.value, shared_.groups.first.value);
    const uint16_t to = std::min(image.groups.last.value, shared_.groups.last.value);
    if (from > to) continue;
    for (const StateDescription& state : image.states) {
      for (const auto& table : tables_) {
        if (table->entry().node_id != state.node_id || table->entry().spec.name != state.spec.name)
          continue;
        StateView& view = table->view();
        for (uint32_t group = from; group <= to; ++group) {
          const size_t old = size_t{group} - image.groups.first.value,
                       at = table->At(static_cast<uint16_t>(group));
          if (!state.horizons.empty()) view.horizons[at] = state.horizons[old];
          if (!state.expired.empty() && !view.expired.empty())
            view.expired[at] = state.expired[old];
        }
        table->next_number = std::max(table->next_number, state.next_number);
        const auto overlap = static_cast<uint64_t>(to - from) + 1;
        for (const auto& [ns, rows] : state.namespaces) {
          for (uint32_t group = from; group <= to; ++group) {
            if (ns.value <= view.horizons[table->At(static_cast<uint16_t>(group))]) continue;
            table->MakeSlice(ns).Spill(static_cast<uint16_t>(group));
          }
          if (Slice* slice = table->FindSlice(ns)) {
            slice->live.Add(static_cast<int64_t>(
                rows * overlap /
                (uint64_t{image.groups.last.value} - image.groups.first.value + 1)));
          }
        }
        if (HotTimerState* timers = timers_by_state_[table->state()]) {
          for (const TimerCursor& cursor : state.cursors) {
            const uint16_t group = HotTimerState::GroupOfText(cursor.timer);
            if (group >= from && group <= to)
              timers->cursors().insert_or_assign(cursor.timer, cursor.cursor);
          }
        }
      }
    }
  }
  // A slice that was made before all horizons were known.
  for (const auto& table : tables_) {
    const int64_t highest =
        *std::max_element(table->view().horizons.begin(), table->view().horizons.end());
    for (auto& [ns, slice] : table->slices()) slice->partly_dropped = ns <= highest;
  }
}

StatePointer HotState::state(NodeIndex node, StateIndex state) {
  for (const auto& table : tables_) {
    if (table->entry().node == node && table->entry().state == state)
      return states_[table->state()];
  }
  return {};
}

void HotState::TakeReads() {
  if (lower_->has_arrivals()) TakeArrivals();
  Publish();
}

void HotState::TakeArrivals() {
  for (Arrival& arrival : lower_->Take()) {
    for (ColdRead& read : arrival.reads) tables_[read.state]->Arrive(read);
    if (arrival.set != nullptr) arrived_.push_back(std::move(arrival));
  }
}

void HotState::SendOrders() {
  if (!shared_.orders.empty()) lower_->PostReads(std::exchange(shared_.orders, {}));
}

void HotState::Settle() {
  if (lower_->has_arrivals()) TakeArrivals();
  if (!arrived_.empty()) {
    size_t budget = kSettledPerCall;
    size_t done = 0;
    for (; done < arrived_.size(); ++done) {
      if (!SettleSet(*arrived_[done].set, budget)) break;
      ++sets_settled_;
    }
    arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<ptrdiff_t>(done));
    auto& graves = shared_.graveyard;
    const auto open = std::find_if(graves.begin(), graves.end(),
                                   [&](const auto& grave) { return grave.first > sets_settled_; });
    graves.erase(graves.begin(), open);
  } else if (!shared_.graveyard.empty() && sets_settled_ == shared_.sets_pushed) {
    shared_.graveyard.clear();
  }
  Publish();
}

/// False: more is to be done in the next call.
bool HotState::SettleSet(WriteSet& set, size_t& budget) {
  const auto spend = [&] { return budget > 0 ? (--budget, true) : false; };
  if (set.batch != nullptr) {
    const std::vector<Evicted*>& rows = set.batch->rows();
    for (; set.evicted_at < rows.size(); ++set.evicted_at) {
      if (!spend()) return false;
      tables_[rows[set.evicted_at]->state]->Written(rows[set.evicted_at]);
    }
    shared_.buffered_bytes -= set.batch->bytes();
    set.batch = nullptr;
  }
  if (set.kind != WriteSet::Kind::kFrozen) return true;
  // The set's rows stay frozen until its erased ones are gone, so none of these pointers can
  // dangle.
  for (; set.absent_at < set.absent.size(); ++set.absent_at) {
    if (!spend()) return false;
    Row* row = set.absent[set.absent_at];
    HotTable& table = *tables_[row->slice->state];
    if (!row->marked(kSuperseded) && !table.Awaited(*row)) table.Free(row);
  }
  if (shared_.clean_through < set.epoch) {
    shared_.clean_through = set.epoch;
    std::erase_if(freezes_, [&](const auto& freeze) { return freeze.get() == &set; });
    if (shared_.buffered_bytes > 0 && freezes_.empty()) lower_->PostDrain();
  }
  for (; set.slice_at < set.rows.size(); ++set.slice_at) {
    Slice& slice = *set.rows[set.slice_at].first;
    std::vector<Row*>& old = slice.superseded;
    size_t kept = 0;
    for (size_t i = 0; i < old.size(); ++i) {
      if (old[i]->epoch <= shared_.clean_through && spend()) {
        tables_[slice.state]->Free(old[i]);
      } else {
        old[kept++] = old[i];
      }
    }
    old.resize(kept);
    if (budget == 0) return false;
  }
  shared_.totals.bytes -= static_cast<int64_t>(std::exchange(set.row_bytes, 0));
  return true;
}

void HotState::PushBatch() {
  if (shared_.batch == nullptr) return;
  auto set = std::make_shared<WriteSet>();
  set->kind = WriteSet::Kind::kEvicted;
  set->batch = std::move(shared_.batch);
  shared_.buffered_bytes += set->batch->bytes();
  ++shared_.sets_pushed;
  lower_->Push(std::move(set));
  if (freezes_.empty()) lower_->PostDrain();
}

void HotState::PushNote(WriteSet::Kind kind, CheckpointId n) {
  auto note = std::make_shared<WriteSet>();
  note->kind = kind;
  note->checkpoint = n;
  lower_->Push(std::move(note));
  lower_->PostDrain();
}

void HotState::Advance(EventTime watermark) {
  shared_.watermark = std::max(shared_.watermark, watermark);
}

void HotState::Freeze(CheckpointId n, EventTime watermark) {
  Settle();
  Advance(watermark);
  auto set = std::make_shared<WriteSet>();
  set->kind = WriteSet::Kind::kFrozen;
  set->checkpoint = n;
  set->epoch = shared_.epoch++;
  set->batch = std::move(shared_.batch);
  if (set->batch != nullptr) shared_.buffered_bytes += set->batch->bytes();
  for (Slice* slice : shared_.dirty_slices) {
    if (slice == nullptr) continue;
    set->row_bytes += slice->DirtyBytes();
    set->rows.emplace_back(slice, slice->TakeDirty());
    slice->dirty_slot = SIZE_MAX;
  }
  shared_.dirty_slices.clear();
  shared_.totals.bytes += static_cast<int64_t>(set->row_bytes);
  set->view.groups = shared_.groups;
  set->view.watermark = watermark.us;
  for (const auto& table : tables_) {
    set->view.states.push_back(table->view());
    set->view.ttls.push_back(table->entry().spec.ttl);
  }
  set->describe = [description = Describe(n, watermark)] {
    std::string metadata;
    EncodeMetadata(description, metadata);
    return metadata;
  };
  freezes_.push_back(set);
  ++shared_.sets_pushed;
  lower_->Push(std::move(set));
}

ImageDescription HotState::Describe(CheckpointId n, EventTime watermark) const {
  ImageDescription image{backend_, n, shared_.groups, key_groups_, watermark, {}};
  for (const auto& table : tables_) {
    StateDescription& state = image.states.emplace_back();
    state.node_id = table->entry().node_id;
    state.spec = table->entry().spec;
    state.key_types = table->entry().key_types;
    state.horizons = table->view().horizons;
    state.expired = table->view().expired;
    state.next_number = table->next_number;
    for (const auto& [ns, slice] : table->slices()) {
      if (!slice->Empty())
        state.namespaces.emplace_back(
            slice->ns, static_cast<uint64_t>(std::max<int64_t>(slice->live.value(), 0)));
    }
    if (HotTimerState* timers = timers_by_state_[table->state()]) {
      for (const auto& [timer, cursor] : timers->cursors())
        state.cursors.push_back({timer, cursor});
    }
  }
  return image;
}

void HotState::Completed(CheckpointId n) { PushNote(WriteSet::Kind::kCompleted, n); }

void HotState::Aborted(CheckpointId n) {
  for (const auto& freeze : freezes_) {
    if (freeze->checkpoint <= n) freeze->aborted = true;
  }
  std::erase_if(freezes_, [&](const auto& freeze) { return freeze->aborted.load(); });
  PushNote(WriteSet::Kind::kAborted, n);
}

/// The account's target changes as other tasks of the process come and go.
void HotState::SizeBuffer() {
  const size_t target = hot_->target();
  shared_.buffer_bytes_max =
      buffer_bytes_fixed_ != 0
          ? buffer_bytes_fixed_
          : std::min(std::max(kEvictionBufferLeast, target / kEvictionBufferShare),
                     std::max(kEvictionBufferLow, target / 2));
}

/// The eviction buffer's part of the target is not for hot rows: what leaves the table for the
/// buffer is still in memory.
size_t HotState::Excess() const {
  const size_t target = hot_->target();
  const size_t goal = target - std::min(shared_.buffer_bytes_max, target / 2);
  const auto bytes = static_cast<size_t>(std::max<int64_t>(shared_.totals.bytes, 0));
  return bytes > goal ? bytes - goal : 0;
}

size_t HotState::excess() const { return Excess(); }

size_t HotState::Evict(size_t bytes) {
  Settle();
  SizeBuffer();
  const size_t freed = EvictSome(bytes).freed;
  Publish();
  return freed;
}

HotState::Pass HotState::EvictSome(size_t bytes) {
  int64_t budget = kEvictBudget, freed = 0;
  bool room = true;
  for (size_t visited = 0;
       visited < tables_.size() && room && budget > 0 && freed < static_cast<int64_t>(bytes);
       ++visited) {
    HotTable& table = *tables_[evict_table_ % tables_.size()];
    int64_t of_table = 0;
    room = table.Evict(bytes - static_cast<size_t>(freed), budget, of_table);
    freed += std::max<int64_t>(of_table, 0);
    table.AgeRanges();
    if (room && budget > 0) ++evict_table_;
  }
  if (shared_.batch != nullptr &&
      (!room || shared_.batch->bytes() >= shared_.buffer_bytes_max / kBatchShare))
    PushBatch();
  return {static_cast<size_t>(std::max<int64_t>(freed, 0)), kEvictBudget - budget, room};
}

/// Eviction keeps pace with what calls add: hot rows beyond their part of the target and what lies
/// in the eviction buffer have together no more room than the buffer. So a batch waits where the
/// pool is behind, or an image is being written whose rows may not leave.
bool HotState::HasRoomFor(uint32_t rows) {
  Settle();
  const auto fits = [&] {
    const size_t excess = Excess();
    return excess == 0 || excess + shared_.BufferBytes() + size_t{rows} * kRowBytesExpected <=
                              shared_.buffer_bytes_max;
  };
  if (Excess() != 0) {
    SizeBuffer();
    for (int step = 0; step < kEvictStepsPerBatch && Excess() != 0; ++step) {
      const Pass pass = EvictSome(Excess());
      visits_without_batch_ += std::max<int64_t>(pass.visits, 1);
      if (!pass.room) break;
    }
    Publish();
  }
  bool takes = fits();
  if (!takes) {
    const bool in_flight =
        shared_.batch != nullptr || shared_.buffered_bytes != 0 || !freezes_.empty();
    PushBatch();
    if (!in_flight) {
      // Nothing that could be waited for. What the clock has passed over twice and still stays is
      // what the batch itself waited for.
      takes = visits_without_batch_ > kClockRounds * shared_.totals.hot;
      if (!takes && wake_) wake_();
    }
  }
  if (takes) visits_without_batch_ = 0;
  return takes;
}

bool HotState::CanTakeBatch(uint32_t rows) const {
  // Logically a question; looking at what the pool has done since is bookkeeping.
  return const_cast<HotState*>(this)->HasRoomFor(rows);
}

Status HotState::status() const {
  if (!shared_.error.ok()) return shared_.error;
  return lower_->status();
}

void HotState::Publish() {
  const int64_t bytes = shared_.totals.bytes + static_cast<int64_t>(shared_.BufferBytes());
  if (bytes != reported_bytes_) {
    hot_->Use(bytes - reported_bytes_);
    reported_bytes_ = bytes;
  }
  published_.hot_bytes.store(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
  published_.hot_rows.store(static_cast<uint64_t>(shared_.totals.hot), std::memory_order_relaxed);
  published_.rows.store(static_cast<uint64_t>(std::max<int64_t>(shared_.totals.live, 0)),
                        std::memory_order_relaxed);
  published_.evictions.store(shared_.evictions, std::memory_order_relaxed);
  published_.cold_reads.store(shared_.cold_reads, std::memory_order_relaxed);
}

StateUsage HotState::usage() const {
  StateUsage usage;
  usage.hot_bytes = published_.hot_bytes.load(std::memory_order_relaxed);
  usage.hot_rows = published_.hot_rows.load(std::memory_order_relaxed);
  usage.rows = published_.rows.load(std::memory_order_relaxed);
  usage.evictions = published_.evictions.load(std::memory_order_relaxed);
  usage.cold_reads = published_.cold_reads.load(std::memory_order_relaxed);
  lower_->store().AddUsage(usage);
  return usage;
}

}  // namespace weir::state
