#include "engine/runtime/task.h"

#include <algorithm>
#include <utility>

#include "engine/base/log.h"
#include "engine/data/key_encoding.h"
#include "engine/runtime/keyed_batch.h"

namespace weir::runtime {
namespace {

constexpr double kSmoothing = 0.2;  // of the measured time per row
constexpr uint32_t kMergeRowsMax =
    256;  // queued batches below this are joined while the task is behind
constexpr uint32_t kMergedRowsMax = 2048;

/// Cold rows are waited for by keyed nodes, unless their type asks an outside system.
bool WaitsForState(const TaskNode& node) { return node.keyed && !node.plan.type->waits; }

}  // namespace

// --- One run

Task::Answer Task::Run() {
  if (failed_) return {Why::kStopped, false, std::nullopt};
  now_ = services_.env->Steady();
  services_.now = services_.env->Now();
  if (!begun_) BeginRunning();
  const uint64_t waited = [&] {
    const Duration before = time_.last();
    time_.BookWait(booked_as_, now_);
    return static_cast<uint64_t>((time_.last() - before).us);
  }();
  if (booked_as_ == TimeState::kBusy) {
    const bool reads = last_why_ == Why::kWaiting;
    (reads ? *waiting_node_ : head())
        .counters
        .busy_us[static_cast<size_t>(reads ? BusyPart::kStateRead : BusyPart::kThreadWait)] +=
        waited;
  }
  slice_end_ = now_ + kTimeSlice;
  moved_ = false;
  no_room_ = false;

  ReadMailbox();
  CheckCancels();
  for (Exchange* exchange : exchanges_) moved_ |= exchange->Pump(now_);
  TakeWakes();
  RunLanes();
  PollPending();
  TickClocks();
  TickFlow();
  Evict();
  RefreshLimits();
  if (!stack_.empty()) moved_ |= ReadAhead();

  while (!failed_) {
    if (CheckpointReady()) {
      TakeCheckpoint(aligner_.current());
      continue;
    }
    if (stack_.empty()) {
      if (PushNext()) {
        moved_ = true;
        if (stack_.empty() && now_ >= slice_end_) return Stop(Why::kSlice);
        continue;
      }
      return Stop(no_room_ ? Why::kNoRoom : Why::kNoInput);
    }
    const size_t top = stack_.size() - 1;
    TaskNode& node = *nodes_[stack_[top].node];
    // Room for it was there when the call began; a flush since then may have used it for rows that
    // were being gathered.
    if (node.HasOutput() && !MakeRoom(node)) return Stop(Why::kNoRoom);
    if (TakeOutput(top) || ForwardGenerated(stack_[top].node)) {
      moved_ = true;
      continue;
    }
    if (stack_[top].finished) {
      Pop();
      continue;
    }
    if (stack_[top].waits) {
      if (!node.retry && !(node.role == TaskNode::Role::kOperator && node.basics.wake->Take())) {
        waiting_node_ = &node;
        return Stop(Why::kWaiting);
      }
      node.retry = false;
      stack_[top].waits = false;
    }
    if (!MakeRoom(node)) return Stop(Why::kNoRoom);
    Call(top);
    moved_ = true;
    if (!failed_ && aligner_.aligning()) ReadAhead();
    if (now_ >= slice_end_) return Stop(Why::kSlice);
  }
  return Stop(Why::kStopped);
}

bool Task::MakeRoom(TaskNode& node) {
  if (node.HasRoom()) return true;
  for (Exchange* exchange : node.exchanges) moved_ |= exchange->Pump(now_);
  return node.HasRoom();
}

Task::Answer Task::Stop(Why why) {
  const bool idle = why == Why::kNoInput;
  for (Exchange* exchange : exchanges_) exchange->Flush(now_, idle || why == Why::kWaiting);
  BookCall(head(), BusyPart::kCompute);
  // A task that did nothing holds what it held.
  if (moved_ || held_bytes_ != 0) {
    const size_t held = HeldBytes();
    if (held != held_bytes_)
      spec_.batches->Use(static_cast<int64_t>(held) - static_cast<int64_t>(held_bytes_));
    held_bytes_ = held;
  }
  last_why_ = why;
  changes_seen_.store(changes_, std::memory_order_relaxed);
  switch (why) {
    case Why::kSlice:
      booked_as_ = TimeState::kBusy;
      break;
    case Why::kNoRoom:
      booked_as_ = TimeState::kBackpressured;
      break;
    case Why::kWaiting:
      booked_as_ = WaitsForState(*waiting_node_) ? TimeState::kBusy : TimeState::kBackpressured;
      break;
    default:
      booked_as_ = TimeState::kIdle;
  }
  if (moved_) {
    dirty_ = true;
    time_.EndStall();
  }
  if (dirty_ && now_ - published_at_ >= kPublishPeriod) Publish(now_);
  return {why, moved_, NextTime()};
}

/// Batches in the task's hands: rows not done, results not taken, what waits to be sent. Parts of
/// one batch count its arenas each.
size_t Task::HeldBytes() const {
  size_t bytes = 0;
  for (const Frame& frame : stack_) bytes += frame.rest.bytes();
  for (const InFlightRows& rows : restored_) bytes += rows.batch.bytes();
  for (const auto& node : nodes_) bytes += node->out.bytes();
  for (const Exchange* exchange : exchanges_) bytes += exchange->held_bytes();
  if (source_ != nullptr) bytes += source_->held_bytes();
  return bytes;
}

std::optional<Duration> Task::NextTime() const {
  std::optional<Duration> next;
  const auto take = [&](const std::optional<Duration>& at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const Exchange* exchange : exchanges_) take(exchange->flush_at());
  for (const auto& node : nodes_) {
    take(node->basics.wake_at);
    if (node->generator) take(node->generator->next_tick());
    for (const auto& lane : node->lanes) take(lane->basics.wake_at);
    for (const TimerState* timers : node->processing_timers) {
      const EventTime earliest = timers->Earliest();
      if (earliest != EventTime::Max())
        take(now_ + Duration{std::max<int64_t>(0, SatAdd(earliest.us, -services_.now.us))});
    }
  }
  if (source_ != nullptr) {
    take(source_->tracker().next_tick());
    if (!stop_sources_ && !drained_) take(source_->rate_at());
  }
  if (dirty_) take(published_at_ + kPublishPeriod);
  return next;
}

/// Books the time since the last reading of the clock.
void Task::BookCall(TaskNode& node, BusyPart part) {
  now_ = std::max(now_, services_.env->Steady());
  call_us_ = time_.Book(TimeState::kBusy, now_);
  node.counters.busy_us[static_cast<size_t>(part)] += call_us_;
}

void Task::ReadMailbox() {
  if (mailbox_.empty()) return;
  for (TaskCommand& command : mailbox_.TakeAll()) {
    if (failed_) return;
    DoCommand(command);
  }
}

void Task::DoCommand(TaskCommand& command) {
  moved_ = true;
  switch (command.kind) {
    case TaskCommand::Kind::kSplits: {
      if (source_ == nullptr || drained_) return;
      const Status added = source_->AddSplits(command.splits, splits_started_, marks_);
      if (!added.ok()) return Fail(head(), added);
      if (!splits_started_) source_->tracker().Started(marks_);
      splits_started_ = true;
      source_waits_ = false;
      if (command.complete) source_->tracker().NoMoreSplits(marks_);
      return;
    }
    case TaskCommand::Kind::kBarrier:
      command_ = std::max(command_, command.checkpoint);
      return;
    case TaskCommand::Kind::kComplete:
      return Complete(command.checkpoint);
    case TaskCommand::Kind::kAbort:
      return Abort(command.checkpoint);
    case TaskCommand::Kind::kStopSources:
      stop_sources_ = true;
      return;
    case TaskCommand::Kind::kDrain: {
      if (source_ == nullptr || drained_) return;
      drained_ = true;
      if (!splits_started_) source_->tracker().Started(marks_);
      splits_started_ = true;
      if (stack_.empty()) {
        for (uint32_t i = 0; i < source_->tracker().splits(); ++i)
          source_->tracker().OnEnd({i}, marks_);
        source_->tracker().NoMoreSplits(marks_);
      }
      return;
    }
  }
}

void Task::TakeWakes() {
  const bool state = state_wake_ != nullptr && state_wake_->Take();
  for (const auto& node : nodes_) {
    NodeBasics& basics = node->basics;
    if (basics.wake_at && *basics.wake_at <= now_) {
      basics.wake_at.reset();
      basics.wake->woken.store(true, std::memory_order_relaxed);
    }
    if (state && node->keyed) node->retry = true;
    if (node->role != TaskNode::Role::kSink || !basics.wake->Take()) continue;
    node->retry = true;
    const Status status = node->sink->OnWake();
    if (!status.ok()) return Fail(*node, status);
    BookCall(*node, BusyPart::kEncode);
  }
}

size_t Task::lanes() const {
  size_t sum = 0;
  for (const auto& node : nodes_) sum += node->lanes.size();
  return sum;
}

void Task::RunLanes() {
  for (const auto& node : nodes_) {
    for (const auto& lane : node->lanes) {
      if (lane->basics.wake_at && *lane->basics.wake_at <= now_) {
        lane->basics.wake_at.reset();
        lane->basics.wake->woken.store(true, std::memory_order_relaxed);
      }
      if (!lane->basics.wake->Take() && lane->done) continue;
      const Result<Step> step = lane->protocol->Run();
      if (!step.ok()) return Fail(*node, step.status());
      lane->done = step->kind != Step::kMoreOutput;
      moved_ |= !lane->done;
      BookCall(*node, BusyPart::kEncode);
      const LaneProgress progress = lane->protocol->progress();
      const bool news = !lane->told_once || progress.resolved != lane->told.resolved ||
                        progress.fence_set != lane->told.fence_set ||
                        progress.marked != lane->told.marked ||
                        progress.confirmed != lane->told.confirmed;
      if (!news) continue;
      lane->told_once = true;
      lane->told = progress;
      Publish(now_);
      options_.listener->OnLaneResolved(node->plan.id, lane->restored.lane, progress);
    }
  }
}

void Task::TickClocks() {
  if (source_ != nullptr && begun_) {
    const bool blocked = !stack_.empty() || !AllHaveRoom();
    source_->tracker().Tick(
        now_, services_.now, blocked,
        [&](SplitIndex) { return stop_sources_ || source_->rate_at().has_value(); }, marks_);
  }
  for (const auto& node : nodes_) {
    if (!node->generator || node->time.watermark == EventTime::Max()) continue;
    node->generator->Tick(
        now_, services_.now, !stack_.empty() || !AllHaveRoom(), [](SplitIndex) { return false; },
        node->generated);
  }
}

void Task::TickFlow() {
  if (!flow_.Tick(now_, time_.non_idle()) || inputs_.empty()) return;
  std::vector<uint64_t> backlog;
  backlog.reserve(inputs_.size());
  for (const Input& input : inputs_) backlog.push_back(input.wired.channel->backlog_rows());
  const std::vector<ChannelWindow> windows = flow_.Deal(backlog);
  int64_t granted = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    inputs_[i].wired.channel->SetWindow(windows[i].rows, windows[i].bytes, flow_.batch_rows());
    granted += static_cast<int64_t>(windows[i].bytes);
  }
  // What may come, not what has: hot state has to have made room for it before.
  if (spec_.queues != nullptr)
    spec_.queues->Use(granted - static_cast<int64_t>(spec_.queues->used()));
}

void Task::Evict() {
  if (state_ == nullptr) return;
  const Status status = state_->status();
  if (!status.ok()) {
    for (const auto& node : nodes_) {
      if (node->keyed) return Fail(*node, status);
    }
    return Fail(head(), status);
  }
  if (ttl_by_clock_) state_->Advance(services_.now);
  if (const size_t excess = state_->excess(); excess != 0) {
    state_->Evict(std::min(excess, kEvictBytesAtOnce));
    BookCall(head(), BusyPart::kStateWrite);
  }
}

/// Batches follow the consumers' rates: what one call may make is what one batch of each channel
/// takes.
void Task::RefreshLimits() {
  rows_limit_ = kBatchRowsMax;
  const uint32_t most =
      options_.batch_rows_initial < kBatchRowsLeast ? options_.batch_rows_initial : kBatchRowsMax;
  for (const auto& node : nodes_) {
    node->rows_limit = most;
    for (size_t port = 0; port < node->targets.size(); ++port) {
      uint32_t rows = most;
      for (const Target& target : node->targets[port]) {
        if (target.exchange != nullptr) rows = std::min(rows, target.exchange->rows_limit());
      }
      node->out.SetLimits({static_cast<uint16_t>(port)}, rows, kBatchBytesMax);
      node->rows_limit = std::min(node->rows_limit, rows);
    }
    rows_limit_ = std::min(rows_limit_, node->rows_limit);
  }
}

bool Task::AllHaveRoom() const {
  return std::all_of(exchanges_.begin(), exchanges_.end(),
                     [](const Exchange* exchange) { return exchange->has_room(); });
}

// --- What comes next

bool Task::PushNext() {
  if (PushMark()) return true;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (ForwardGenerated(i)) return true;
  }
  if (PushRestored() || PushWake() || PushProcessingTimers()) return true;
  return is_source() ? PushPoll() : PushInput();
}

bool Task::PushMark() {
  if (next_mark_ == marks_.size()) {
    marks_.clear();
    next_mark_ = 0;
    return false;
  }
  const Mark mark = marks_[next_mark_++];
  switch (mark.kind) {
    case Mark::Kind::kWatermark:
      stack_.push_back(
          {.call = Frame::Call::kWatermark, .ingest_us = marks_ingest_us_, .time = mark.time});
      break;
    case Mark::Kind::kEnd:
      stack_.push_back({.call = Frame::Call::kWatermark, .time = EventTime::Max(), .end = true});
      break;
    case Mark::Kind::kIdle:
      ForwardStatus(0, false, false);
      break;
    case Mark::Kind::kActive:
      ForwardStatus(0, true, false);
      break;
  }
  return true;
}

bool Task::PushRestored() {
  if (restored_.empty()) return false;
  InFlightRows rows = std::move(restored_.front());
  restored_.pop_front();
  stack_.push_back({.call = Frame::Call::kBatch,
                    .port = rows.port,
                    .rest = std::move(rows.batch),
                    .restored = true});
  return true;
}

bool Task::PushWake() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->role != TaskNode::Role::kOperator || !nodes_[i]->basics.wake->Take()) continue;
    stack_.push_back({.call = Frame::Call::kWake, .node = i});
    return true;
  }
  return false;
}

bool Task::PushProcessingTimers() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (size_t k = 0; k < nodes_[i]->processing_timers.size(); ++k) {
      if (nodes_[i]->processing_timers[k]->Earliest() > services_.now) continue;
      stack_.push_back(
          {.call = Frame::Call::kTimers, .node = i, .time = services_.now, .timers = k});
      return true;
    }
  }
  return false;
}

bool Task::PushInput() {
  for (size_t tried = 0; tried < inputs_.size(); ++tried) {
    const size_t input = (next_input_ + tried) % inputs_.size();
    if (!TakeItem(input)) continue;
    next_input_ = (input + 1) % inputs_.size();
    return true;
  }
  return false;
}

bool Task::TakeItem(size_t index) {
  Input& input = inputs_[index];
  if (!input.held.empty()) {
    const Mark mark = input.held.front();
    input.held.erase(input.held.begin());
    OnInputMark(index, mark);
    return true;
  }
  if (input.ended || aligner_.blocked(index)) return false;
  ChannelItem* front = input.wired.channel->Front();
  if (front == nullptr) return false;
  if (std::holds_alternative<NeedItem>(front->item) && reserve_lent_) return false;
  ChannelItem item = input.wired.channel->Pop();
  if (std::holds_alternative<Batch>(item.item)) {
    TakeBatch(index, std::move(item));
  } else if (const auto* watermark = std::get_if<WatermarkItem>(&item.item)) {
    marks_ingest_us_ = item.ingest_us;
    OnInputMark(index, {Mark::Kind::kWatermark, watermark->time});
  } else if (std::holds_alternative<IdleItem>(item.item)) {
    OnInputMark(index, {Mark::Kind::kIdle});
  } else if (std::holds_alternative<ActiveItem>(item.item)) {
    OnInputMark(index, {Mark::Kind::kActive});
  } else if (const auto* barrier = std::get_if<BarrierItem>(&item.item)) {
    OnBarrier(index, barrier->checkpoint);
  } else if (std::holds_alternative<EndItem>(item.item)) {
    aligner_.OnEnd(index);
    OnInputMark(index, {Mark::Kind::kEnd});
  } else if (std::holds_alternative<NeedItem>(item.item)) {
    reserve_lent_ = index;
    input.wired.channel->GrantNeed();
  }
  return true;
}

void Task::TakeBatch(size_t index, ChannelItem item) {
  ChannelReceiver& channel = *inputs_[index].wired.channel;
  if (reserve_lent_ == index) reserve_lent_.reset();
  Batch batch = std::get<Batch>(std::move(item.item));
  flow_.OnConsumed(batch.rows(), batch.bytes());
  if (batch.rows() < kMergeRowsMax) {
    std::vector<Batch> parts;
    uint32_t rows = batch.rows();
    while (rows < kMergedRowsMax && !reserve_lent_) {
      ChannelItem* next = channel.Front();
      const Batch* follows = next == nullptr ? nullptr : std::get_if<Batch>(&next->item);
      if (follows == nullptr || follows->rows() >= kMergeRowsMax) break;
      if (parts.empty()) parts.push_back(std::move(batch));
      rows += follows->rows();
      flow_.OnConsumed(follows->rows(), follows->bytes());
      parts.push_back(std::get<Batch>(channel.Pop().item));
    }
    if (!parts.empty()) batch = ConcatWithKeys(parts);
  }
  // NOLINTNEXTLINE(bugprone-use-after-move): moved into parts, it has been made anew from them
  changes_ += batch.rows();
  stack_.push_back({.call = Frame::Call::kBatch,
                    .port = inputs_[index].wired.port,
                    .rest = std::move(batch),
                    .ingest_us = item.ingest_us});
}

void Task::OnInputMark(size_t input, const Mark& mark) {
  switch (mark.kind) {
    case Mark::Kind::kWatermark:
      if (!valve_.OnWatermark(input, mark.time, marks_))
        head().basics.anomalies["watermark_back"].Add(1);
      break;
    case Mark::Kind::kIdle:
      valve_.OnIdle(input, marks_);
      break;
    case Mark::Kind::kActive:
      valve_.OnActive(input, marks_);
      break;
    case Mark::Kind::kEnd:
      inputs_[input].ended = true;
      valve_.OnEnd(input, marks_);
      break;
  }
}

void Task::OnBarrier(size_t input, CheckpointId n) {
  const CheckpointId subsumed = aligner_.OnBarrier(input, n);
  if (subsumed.value != 0) {
    for (Input& other : inputs_) other.wired.channel->Restrict(false);
    aligning_since_.reset();
  }
  if (!aligner_.aligning()) return;
  if (!aligning_since_) aligning_since_ = now_;
  if (aligner_.blocked(input)) inputs_[input].wired.channel->Restrict(true);
}

/// While a call is under way: marks are read ahead, so that a barrier with nothing but marks before
/// it is found.
bool Task::ReadAhead() {
  bool found = false;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Input& input = inputs_[i];
    while (!aligner_.ended(i) && !aligner_.blocked(i)) {
      ChannelItem* front = input.wired.channel->Front();
      if (front == nullptr || std::holds_alternative<Batch>(front->item) ||
          std::holds_alternative<NeedItem>(front->item))
        break;
      const ChannelItem item = input.wired.channel->Pop();
      found = true;
      if (const auto* barrier = std::get_if<BarrierItem>(&item.item)) {
        OnBarrier(i, barrier->checkpoint);
      } else if (const auto* watermark = std::get_if<WatermarkItem>(&item.item)) {
        const Mark mark{Mark::Kind::kWatermark, watermark->time};
        if (!input.held.empty() && input.held.back().kind == Mark::Kind::kWatermark) {
          input.held.back() = mark;
        } else {
          input.held.push_back(mark);
        }
      } else if (std::holds_alternative<EndItem>(item.item)) {
        aligner_.OnEnd(i);
        input.held.push_back({Mark::Kind::kEnd});
      } else {
        input.held.push_back({std::holds_alternative<IdleItem>(item.item) ? Mark::Kind::kIdle
                                                                          : Mark::Kind::kActive});
      }
    }
  }
  return found;
}

bool Task::PushPoll() {
  TaskNode& node = head();
  if (drained_ && !source_->tracker().finished()) {  // the harvest that was in hand has gone down
    for (uint32_t i = 0; i < source_->tracker().splits(); ++i)
      source_->tracker().OnEnd({i}, marks_);
    source_->tracker().NoMoreSplits(marks_);
    return true;
  }
  if (stop_sources_ || drained_ || !splits_started_ || source_->tracker().finished()) return false;
  if (node.basics.wake->Take()) source_waits_ = false;
  if (source_waits_) return false;
  if (!AllHaveRoom()) {
    no_room_ = true;
    return false;
  }
  if (!source_->MayPoll(now_, std::min(flow_.batch_rows(), rows_limit_))) return false;
  const Result<Step> step = source_->Poll(services_.now, now_, node.counters, *this, marks_);
  if (!step.ok()) {
    Fail(node, step.status());
    return false;
  }
  source_waits_ = step->kind == Step::kWait;
  BookCall(node, BusyPart::kDecode);
  for (const Batch& batch : source_->harvest()) {
    flow_.OnConsumed(batch.rows(), batch.bytes());
    changes_ += batch.rows();
  }
  if (source_->harvest().empty() && !source_->has_reports() && !node.HasOutput())
    return !source_waits_;
  stack_.push_back({.call = Frame::Call::kHarvest, .ingest_us = now_.us});
  // ACTIVE precedes the rows: marks that came with the poll go first.
  for (; next_mark_ < marks_.size(); ++next_mark_) {
    const Mark mark = marks_[next_mark_];
    if (mark.kind == Mark::Kind::kActive) {
      ForwardStatus(0, true, false);
    } else {
      break;
    }
  }
  return true;
}

// --- Frames

void Task::Pop() {
  const Frame frame = std::move(stack_.back());
  stack_.pop_back();
  TaskNode& node = *nodes_[frame.node];
  if (frame.call == Frame::Call::kHarvest) {
    source_->Finish(marks_);
    marks_ingest_us_ = frame.ingest_us;
    ++changes_;
    return;
  }
  if (frame.call == Frame::Call::kWatermark) {
    ++changes_;
    if (frame.end && frame.node == 0) Finished();
    return;
  }
  // A hold that rose, or went, lets the watermark follow (3.1, step 4).
  if (!node.generator && node.role == TaskNode::Role::kOperator &&
      node.time.watermark != EventTime::Max() &&
      std::min(node.time.watermark, node.time.hold) > node.time.announced) {
    ForwardWatermark(frame.node, node.time.watermark, false, frame.ingest_us);
  }
}

bool Task::TakeOutput(size_t frame) {
  TaskNode& node = *nodes_[stack_[frame].node];
  const int64_t ingest_us = stack_[frame].ingest_us;
  for (size_t port = 0; port < node.out.ports(); ++port) {
    const Port at{static_cast<uint16_t>(port)};
    if (!node.out.HasOutput(at)) continue;
    Batch batch = node.out.Take(at);
    if (node.generator && at == kMain) batch = OutputTimes(node, std::move(batch));
    if (!batch || batch.rows() == 0) continue;
    node.counters.records_out += batch.rows();
    node.counters.bytes_out += batch.bytes();
    std::vector<Target>& targets = node.targets[port];
    for (size_t i = targets.size(); i-- > 0;) Deliver(node, targets[i], batch, ingest_us);
    return true;
  }
  return false;
}

void Task::Deliver(TaskNode& node, Target& target, const Batch& out, int64_t ingest_us) {
  Batch batch = target.rewrites_updates ? WithoutUpdates(out) : out;
  bool ship_keys = true;
  if (target.combine != nullptr) {
    CombineStep& combine = *target.combine;
    combine.time.watermark = node.time.announced;
    combine.counters.records_in += batch.rows();
    combine.counters.bytes_in += batch.bytes();
    RowErrors errors;
    Batch keyed = WithEvaluatedKeys(batch, combine.keys, errors);
    if (!errors.empty()) {
      Selection good;
      for (uint32_t row = 0; row < batch.rows(); ++row) {
        if (!errors.Has(row)) good.mutable_rows().push_back(row);
      }
      const Status status = ApplyCombineErrors(combine, batch, errors);
      if (!status.ok()) return FailNode(combine.consumer.id, status);
      if (good.empty()) return;
      RowErrors none;
      keyed = WithEvaluatedKeys(batch.Take(good), combine.keys, none);
    }
    combine.combiner->Combine(keyed, combine.out);
    combine.counters.Take(combine.out);
    if (!combine.out.errors().empty()) {
      const Status status = ApplyCombineErrors(combine, keyed, combine.out.errors());
      combine.out.errors().Clear();
      if (!status.ok()) return FailNode(combine.consumer.id, status);
    }
    batch = combine.out.Take(kMain);
    if (!batch) return;
    WEIR_CHECK_LE(batch.rows(), keyed.rows());
    batch = WithLeadingKeys(batch, combine.keys.size());
  } else if (target.exchange != nullptr && target.edge->kind == EdgeKind::kHash &&
             target.exchange->targets() > 1) {
    RowErrors errors;
    batch = WithEvaluatedKeys(batch, target.edge->hash_keys, errors);
    ship_keys =
        errors.empty();  // else the consumer evaluates again and knows what to do with the bad ones
  }
  if (target.local) {
    stack_.push_back({.call = Frame::Call::kBatch,
                      .node = *target.local,
                      .port = target.edge->to,
                      .rest = std::move(batch),
                      .ingest_us = ingest_us});
  } else {
    target.exchange->Scatter(std::move(batch), ship_keys, ingest_us, now_);
  }
}

void Task::Call(size_t index) {
  Frame& frame = stack_[index];
  TaskNode& node = *nodes_[frame.node];
  Status status;
  switch (frame.call) {
    case Frame::Call::kBatch:
      status = CallBatch(frame, node);
      break;
    case Frame::Call::kWatermark:
      status = CallWatermark(index, node);
      break;
    case Frame::Call::kTimers: {
      bool done = false;
      status = CallTimers(frame, node, *node.processing_timers[frame.timers], done);
      frame.finished = done;
      break;
    }
    case Frame::Call::kWake: {
      const Result<Step> step = node.op->OnWake(node.out);
      status = step.ok() ? After(frame, node, *step, 0) : step.status();
      if (step.ok()) frame.finished = step->kind == Step::kDone;
      break;
    }
    case Frame::Call::kHarvest:
      if (source_->harvest().empty()) {
        frame.finished = true;
      } else {
        node.out.Emit(kMain, std::move(source_->harvest().front()));
        source_->harvest().pop_front();
      }
      break;
  }
  if (!status.ok()) Fail(node, status);
  BookCall(node, node.role == TaskNode::Role::kSink ? BusyPart::kEncode : BusyPart::kCompute);
}

/// What holds after every call of an operator or a sink.
Status Task::After(Frame& frame, TaskNode& node, const Step& step, uint32_t rows_done) {
  node.counters.Take(node.out);
  frame.waits = step.kind == Step::kWait;
  frame.mid_row = step.mid_row;
  if (step.kind == Step::kMoreOutput && rows_done == 0 && !node.HasOutput() &&
      node.out.errors().empty()) {
    return Status(
        Code::kInternal,
        "node '" + node.plan.id + "' asked for room without having used any: it makes no progress");
  }
  return Status::Ok();
}

/// Keys are made once, before the first call; rows whose key cannot be computed go to the node's
/// errors.
Status Task::Prepare(Frame& frame, TaskNode& node) {
  frame.prepared = true;
  node.counters.bytes_in += frame.rest.bytes();
  if (frame.ingest_us != 0 && (frame.node == 0 || node.role == TaskNode::Role::kSink))
    node.latency.Observe(now_ - Duration{frame.ingest_us});
  const bool keyed = frame.port.value < node.keys.size() && node.keys[frame.port.value].has_value();
  if (!keyed) return Status::Ok();
  if (!frame.rest.has_keys()) {
    RowErrors& errors = node.out.errors();
    const auto with_keys = [&](const Batch& batch) {
      return node.combined ? WithLeadingKeys(batch, node.key_columns)
                           : WithEvaluatedKeys(batch, *node.keys[frame.port.value], errors);
    };
    Batch made = with_keys(frame.rest);
    if (frame.restored) {  // of a task whose key groups overlapped ours; a row without a key was
                           // dealt to one task
      Selection owned;
      for (uint32_t row = 0; row < made.rows(); ++row) {
        if (errors.Has(row) ||
            groups_.Contains(KeyGroupOf(made.keys().hash[row], plan_.key_groups)))
          owned.mutable_rows().push_back(row);
      }
      if (owned.size() != made.rows()) {
        errors.Clear();
        frame.rest = frame.rest.Take(owned);
        made = owned.empty() ? Batch() : with_keys(frame.rest);
      }
    }
    if (!errors.empty()) {
      Selection good;
      for (uint32_t row = 0; row < frame.rest.rows(); ++row) {
        if (!errors.Has(row)) good.mutable_rows().push_back(row);
      }
      node.counters.records_in += errors.rows();
      WEIR_TRY(ApplyErrors(node, frame.rest, frame.rest.rows()));
      frame.rest = frame.rest.Take(good);
      made = good.empty() ? Batch() : with_keys(frame.rest);
    }
    frame.rest = std::move(made);
  }
  if (!frame.rest || frame.rest.rows() == 0) return Status::Ok();
  for (const uint64_t hash : frame.rest.keys().hash)
    WEIR_CHECK(groups_.Contains(KeyGroupOf(hash, plan_.key_groups)));
  if (state_cold_) {
    for (KeyedState* state : node.prefetched) state->Prefetch(frame.rest.keys());
  }
  return Status::Ok();
}

Status Task::CallBatch(Frame& frame, TaskNode& node) {
  if (!frame.prepared) {
    WEIR_TRY(Prepare(frame, node));
    if (!frame.rest || frame.rest.rows() == 0) {
      frame.finished = true;
      return Status::Ok();
    }
    if (node.HasOutput()) return Status::Ok();  // error rows go down first
  }
  uint32_t rows = std::min(frame.rest.rows(), node.rows_limit);
  if (node.us_per_row > 0)
    rows = std::min(
        rows, static_cast<uint32_t>(std::clamp(static_cast<double>(kCallAim.us) / node.us_per_row,
                                               1.0, static_cast<double>(rows))));
  if (node.keyed && state_ != nullptr && !state_->CanTakeBatch(rows)) {
    frame.waits = true;
    return Status::Ok();
  }
  const Batch argument = rows == frame.rest.rows() ? frame.rest : frame.rest.Slice(0, rows);
  const bool sink = node.role == TaskNode::Role::kSink;
  const bool restored = frame.restored;
  const Duration before = now_;
  const Result<Step> step = sink ? node.sink->Write(argument, node.out.errors())
                                 : node.op->OnBatch(frame.port, argument, node.out);
  if (!step.ok()) return step.status();
  const uint32_t done = step->kind == Step::kDone ? rows : step->rows_done;
  WEIR_CHECK_LE(done, rows);
  WEIR_TRY(After(frame, node, *step, done));
  if (!node.combined) {
    node.counters.records_in += done;
  } else if (restored) {
    // Partial rows are counted where they were combined, but of these that was in an attempt whose
    // counters are gone.
    const ColumnIndex stands_for{static_cast<uint16_t>(argument.schema().size() - 1)};
    for (const int64_t rows_behind : argument.Values<int64_t>(stands_for).first(done))
      node.counters.records_in += static_cast<uint64_t>(rows_behind);
  }
  if (sink) node.counters.outcomes[static_cast<size_t>(Outcome::kPassed)] += done;
  if (!node.out.errors().empty()) {
    if (sink) {
      for (const RowError& error : node.out.errors().errors())
        node.counters.outcomes[static_cast<size_t>(Outcome::kPassed)] -=
            !error.detached && error.row < done ? 1 : 0;
    }
    WEIR_TRY(ApplyErrors(node, argument, done));
  }
  if (done != 0) {
    const Duration after = services_.env->Steady();
    const double us_per_row = static_cast<double>((after - before).us) / done;
    node.us_per_row = node.us_per_row == 0
                          ? us_per_row
                          : node.us_per_row + kSmoothing * (us_per_row - node.us_per_row);
  }
  if (done == frame.rest.rows()) {
    frame.rest = {};
    frame.finished = true;
    frame.waits = false;
  } else if (done != 0) {
    frame.rest = frame.rest.Slice(done, frame.rest.rows() - done);
  }
  return Status::Ok();
}

Status Task::CallTimers(Frame& frame, TaskNode& node, TimerState& timers, bool& done) {
  due_.clear();
  if (timers.Due(frame.time, due_) == Ready::kWait) {
    frame.waits = true;
    return Status::Ok();
  }
  done = due_.empty();
  if (done) return Status::Ok();
  WEIR_CHECK_LE(due_.size(), kTimersPerCallMax);
  for (const Timer& timer : due_) {
    WEIR_CHECK_LE(timer.time.us, frame.time.us);
    WEIR_CHECK(groups_.Contains(timer.group));
  }
  if (state_ != nullptr && !state_->CanTakeBatch(node.rows_limit)) {
    frame.waits = true;
    return Status::Ok();
  }
  const Result<Step> step = node.op->OnTimers(due_, node.out);
  if (!step.ok()) return step.status();
  const size_t fired = step->kind == Step::kDone ? due_.size() : step->rows_done;
  WEIR_CHECK_LE(fired, due_.size());
  WEIR_TRY(After(frame, node, *step, static_cast<uint32_t>(fired)));
  timers.Done(fired,
              fired < due_.size() ? std::string_view(due_[fired].cursor) : std::string_view());
  changes_ += fired;
  return node.out.errors().empty() ? Status::Ok() : ApplyErrors(node, Batch(), 0);
}

/// One step of 3.1 per call; what a step emitted has gone down before the next one.
Status Task::CallWatermark(size_t index, TaskNode& node) {
  Frame& frame = stack_[index];
  enum Phase : uint8_t { kEnter, kFire, kTell, kLast, kForward };
  switch (frame.phase) {
    case kEnter:
      WEIR_CHECK_GE(frame.time.us, node.time.watermark.us);
      node.time.watermark = frame.time;
      if (node.keyed) AdvanceState();
      frame.phase = node.role == TaskNode::Role::kOperator ? kFire : kForward;
      return Status::Ok();
    case kFire: {
      const size_t of_event = node.event_timers.size();
      const size_t all = of_event + (frame.end ? node.processing_timers.size() : 0);
      if (frame.timers == all) {
        // A timer may have been set behind the one that was looked at first.
        const bool again = std::any_of(
            node.event_timers.begin(), node.event_timers.end(), [&](TimerState* timers) {
              return timers->Earliest() <= frame.time && timers->Earliest() != EventTime::Max();
            });
        frame.timers = 0;
        if (!again) frame.phase = kTell;
        return Status::Ok();
      }
      TimerState& timers = frame.timers < of_event
                               ? *node.event_timers[frame.timers]
                               : *node.processing_timers[frame.timers - of_event];
      bool done = false;
      WEIR_TRY(CallTimers(frame, node, timers, done));
      if (done) ++frame.timers;
      return Status::Ok();
    }
    case kTell: {
      const Result<Step> step = node.op->OnWatermark(frame.time, node.out);
      if (!step.ok()) return step.status();
      WEIR_TRY(After(frame, node, *step, 0));
      if (step->kind == Step::kDone) frame.phase = frame.end ? kLast : kForward;
      return node.out.errors().empty() ? Status::Ok() : ApplyErrors(node, Batch(), 0);
    }
    case kLast: {
      const Result<Step> step = node.op->OnEnd(node.out);
      if (!step.ok()) return step.status();
      WEIR_TRY(After(frame, node, *step, 0));
      if (step->kind == Step::kDone) frame.phase = kForward;
      return node.out.errors().empty() ? Status::Ok() : ApplyErrors(node, Batch(), 0);
    }
    default:
      break;
  }
  frame.finished = true;
  const bool end = frame.end;
  ForwardWatermark(frame.node, frame.time, end, frame.ingest_us);  // `frame` is no longer valid
  return Status::Ok();
}

/// State judges `ttl` by the least W of the nodes that have some.
void Task::AdvanceState() {
  if (state_ == nullptr || ttl_by_clock_) return;
  EventTime least = EventTime::Max();
  for (const auto& node : nodes_) {
    if (node->keyed) least = std::min(least, node->time.watermark);
  }
  state_->Advance(least);
}

void Task::ForwardWatermark(size_t index, EventTime time, bool end, int64_t ingest_us) {
  TaskNode& node = *nodes_[index];
  if (!end) {
    if (node.generator) return;  // marks from upstream end here
    time = std::min(time, node.time.hold);
    if (time <= node.time.announced) return;
    node.time.announced = time;
  }
  for (Exchange* exchange : node.exchanges) {
    if (end) {
      exchange->End(now_);
    } else {
      exchange->Watermark(time, ingest_us, now_);
    }
  }
  for (size_t i = node.followers.size(); i-- > 0;) {
    stack_.push_back({.call = Frame::Call::kWatermark,
                      .node = node.followers[i],
                      .ingest_us = ingest_us,
                      .time = time,
                      .end = end});
  }
}

/// Idle and active marks pass without a call, down to where a generator makes its own.
void Task::ForwardStatus(size_t index, bool active, bool own) {
  TaskNode& node = *nodes_[index];
  if (node.generator && !own) return;
  for (Exchange* exchange : node.exchanges) {
    if (active) {
      exchange->Active(now_);
    } else {
      exchange->Idle(now_);
    }
  }
  for (const size_t follower : node.followers) ForwardStatus(follower, active, false);
}

bool Task::ForwardGenerated(size_t index) {
  TaskNode& node = *nodes_[index];
  if (node.generated.empty()) return false;
  const Mark mark = node.generated.front();
  node.generated.erase(node.generated.begin());
  if (mark.kind != Mark::Kind::kWatermark) {
    ForwardStatus(index, mark.kind == Mark::Kind::kActive, true);
    return true;
  }
  if (mark.time <= node.time.announced || node.time.watermark == EventTime::Max()) return true;
  node.time.announced = mark.time;
  for (Exchange* exchange : node.exchanges) exchange->Watermark(mark.time, 0, now_);
  for (size_t i = node.followers.size(); i-- > 0;)
    stack_.push_back(
        {.call = Frame::Call::kWatermark, .node = node.followers[i], .time = mark.time});
  return true;
}

void Task::Finished() {
  finished_ = true;
  Publish(now_);
  options_.listener->OnFinished(key());
}

void Task::Fail(TaskNode& node, const Status& status) { FailNode(node.plan.id, status); }

void Task::FailNode(const std::string& node_id, const Status& status) {
  if (failed_) return;
  failed_ = true;
  options_.listener->OnFailed(node_id, key(), status);
}

}  // namespace weir::runtime
