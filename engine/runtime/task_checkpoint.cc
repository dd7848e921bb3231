// The part of Task that takes checkpoints: when one is ready, what is frozen on W,
// what is written on P, the one ack.

#include <algorithm>
#include <utility>

#include "engine/base/log.h"
#include "engine/runtime/task.h"

namespace weir::runtime {

bool Task::CheckpointReady() {
  if (command_ > aligner_.done() && aligner_.all_ended() &&
      !(aligner_.aligning() && aligner_.current() == command_))
    aligner_.OnCommand(command_);
  if (!aligner_.ready()) return false;
  if (image_ != nullptr) {  // of a checkpoint that was given up: its rows are still being written
    PollPending();
    if (image_ != nullptr) return false;
  }
  return StackCanBeSaved();
}

bool Task::StackCanBeSaved() const {
  for (size_t i = 0; i < stack_.size(); ++i) {
    const Frame& frame = stack_[i];
    const TaskNode& node = *nodes_[frame.node];
    if (frame.mid_row || node.HasOutput() || !node.generated.empty()) return false;
    switch (frame.call) {
      case Frame::Call::kWatermark:
      case Frame::Call::kTimers:
        break;
      case Frame::Call::kBatch:
        if (i != 0 || is_source()) return false;
        break;
      case Frame::Call::kWake:
      case Frame::Call::kHarvest:
        return false;
    }
  }
  return true;
}

void Task::TakeCheckpoint(CheckpointId n) {
  WEIR_CHECK_GT(n.value, last_barrier_.value);
  last_barrier_ = n;
  moved_ = true;
  const Duration begin = services_.env->Steady();
  if (pending_) Abandon();
  for (Exchange* exchange : exchanges_)
    exchange->Barrier(n, now_);  // first: alignment downstream overlaps with the rest

  pending_.emplace(Pending{});
  pending_->n = n;
  pending_->since = begin;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->role != TaskNode::Role::kSink) continue;
    nodes_[i]->sink->Prepare(n);
    pending_->sinks.push_back(i);
  }
  FillSnapshot(pending_->snapshot);
  if (state_ != nullptr) {
    EventTime least = EventTime::Max();
    for (const auto& node : nodes_) {
      if (node->keyed) least = std::min(least, node->time.watermark);
    }
    state_->Freeze(n, least);
    pending_->needs_image = true;
  }
  aligner_.Complete();
  for (Input& input : inputs_) input.wired.channel->Restrict(false);
  if (aligning_since_) head().alignment.Observe(begin - *aligning_since_);
  aligning_since_.reset();
  head().snapshot_sync.Observe(services_.env->Steady() - begin);
  if (pending_->needs_image) WriteImage(n);
  PollPending();
  BookCall(head(), BusyPart::kStateWrite);
}

void Task::FillSnapshot(TaskSnapshot& snapshot) {
  snapshot.task = key();
  snapshot.groups = groups_;
  snapshot.finished = finished_;
  snapshot.changes = changes_;
  for (const auto& node : nodes_) {
    snapshot.watermarks[node->plan.id] = node->time.watermark;
    if (node->role == TaskNode::Role::kOperator && node->plan.shape.exact_conservation) {
      const int64_t rows = static_cast<int64_t>(node->restored_rows) +
                           node->counters.outcomes[static_cast<size_t>(Outcome::kBuffered)];
      if (rows != 0)
        snapshot.buffered[node->plan.id][groups_.first.value] = static_cast<uint64_t>(rows);
    }
    if (node->generator) SaveMaxTs(*node->generator, node->operator_context->list(kMaxTsState));
    if (node->operator_context != nullptr) {
      for (const auto& [state, list] : node->operator_context->lists) {
        ListItems items{node->plan.id, state, {}};
        for (auto& [id, item] : list->Items()) items.items.push_back(std::move(item));
        snapshot.lists.push_back(std::move(items));
      }
    }
    for (const auto& lane : node->lanes) {
      // A retired lane stays in the manifest until it has published what it owes.
      if (lane->restored.lane.value == spec_.task.value || lane->protocol->progress().resolved)
        continue;
      snapshot.lanes.push_back({node->plan.id, lane->restored, node->plan.shape.guarantee});
    }
  }
  if (source_ != nullptr) snapshot.splits[head().plan.id] = source_->Snapshot();
  if (!stack_.empty() && stack_.front().call == Frame::Call::kBatch && stack_.front().rest &&
      stack_.front().rest.rows() != 0) {
    snapshot.in_flight.push_back({head().plan.id, stack_.front().port, stack_.front().rest});
  }
  for (const InFlightRows& rows : restored_) snapshot.in_flight.push_back(rows);
}

/// P: the frozen rows become files, new files go into the storage.
void Task::WriteImage(CheckpointId n) {
  image_ = std::make_shared<ImageResult>();
  image_of_ = n;
  services_.post([this, n, image = image_, prefix = plan_.job + "/" + options_.incarnation + "/"] {
    const Duration begin = services_.env->Steady();
    Result<StateImage> written = state_->Write(n);
    const Duration end = services_.env->Steady();
    image->write = end - begin;
    if (!written.ok()) {
      image->status = written.status();
    } else {
      image->image = std::move(*written);
      for (ImageFile& file : image->image.files) {
        if (file.local.empty()) continue;
        image->status = options_.store->Adopt(file.local, prefix + file.name);
        if (!image->status.ok()) break;
        file.local.clear();
      }
      image->upload = services_.env->Steady() - end;
    }
    image->done.store(true, std::memory_order_release);
    spec_.signal->Raise();
  });
}

void Task::PollPending() {
  if (image_ != nullptr && image_->done.load(std::memory_order_acquire)) {
    const std::shared_ptr<ImageResult> image = std::exchange(image_, nullptr);
    if (pending_ && pending_->n == image_of_ && pending_->needs_image && !pending_->image_done) {
      head().snapshot_async.Observe(image->write);
      head().snapshot_upload.Observe(image->upload);
      if (!image->status.ok()) {
        const CheckpointId n = pending_->n;
        Abandon();
        options_.listener->OnDeclined(key(), n, image->status);
      } else {
        pending_->snapshot.image = std::move(image->image);
        pending_->image_done = true;
      }
    }
    if (abort_after_image_.value != 0)
      state_->Aborted(std::exchange(abort_after_image_, CheckpointId{}));
  }
  if (!pending_) return;
  const CheckpointId n = pending_->n;
  for (size_t i = 0; i < pending_->sinks.size();) {
    TaskNode& node = *nodes_[pending_->sinks[i]];
    Result<std::optional<LaneState>> prepared = node.sink->Prepared(n);
    if (!prepared.ok()) {
      Abandon();
      return options_.listener->OnDeclined(key(), n, prepared.status());
    }
    if (!prepared->has_value()) {
      ++i;
      continue;
    }
    node.sink_commit.Observe(services_.env->Steady() - pending_->since);
    pending_->snapshot.lanes.push_back(
        {node.plan.id, std::move(**prepared), node.plan.shape.guarantee});
    pending_->sinks.erase(pending_->sinks.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (!pending_->sinks.empty() || (pending_->needs_image && !pending_->image_done)) return;
  TaskSnapshot kept;  // what Complete needs
  kept.lanes = pending_->snapshot.lanes;
  kept.splits = pending_->snapshot.splits;
  taken_[n] = std::move(kept);
  TaskSnapshot snapshot = std::move(pending_->snapshot);
  pending_.reset();
  options_.listener->OnAck(n, std::move(snapshot));
}

/// The checkpoint will not be: its rows are dirty again, its sink rows first in line for the next.
void Task::Abandon() {
  const CheckpointId n = pending_->n;
  const bool frozen = pending_->needs_image;
  pending_.reset();
  for (const auto& node : nodes_) {
    if (node->role == TaskNode::Role::kSink) node->sink->Abort(n);
  }
  if (!frozen) return;
  if (image_ != nullptr && image_of_ == n) {
    abort_after_image_ = n;
  } else {
    state_->Aborted(n);
  }
}

void Task::Complete(CheckpointId n) {
  const auto found = taken_.find(n);
  if (found == taken_.end()) return;  // late or repeated
  if (state_ != nullptr) state_->Completed(n);
  if (source_ != nullptr) source_->source().OnComplete(n, found->second.splits[head().plan.id]);
  for (const auto& node : nodes_) {
    for (const auto& lane : node->lanes) {
      for (const NodeLane& state : found->second.lanes) {
        if (state.node_id != node->plan.id || state.lane.lane != lane->restored.lane) continue;
        lane->protocol->Commit(n, state.lane);
        lane->basics.wake->Wake();
      }
    }
  }
  taken_.erase(taken_.begin(), std::next(found));
}

void Task::Abort(CheckpointId n) {
  Cancel(n);
  if (pending_ && pending_->n <= n) Abandon();
  while (!taken_.empty() && taken_.begin()->first <= n) {
    const CheckpointId given_up = taken_.begin()->first;
    taken_.erase(taken_.begin());
    for (const auto& node : nodes_) {
      if (node->role == TaskNode::Role::kSink) node->sink->Abort(given_up);
    }
    if (state_ != nullptr) state_->Aborted(given_up);
  }
}

void Task::Cancel(CheckpointId n) {
  if (!aligner_.OnCancel(n)) return;
  for (Input& input : inputs_) input.wired.channel->Restrict(false);
  aligning_since_.reset();
  for (Exchange* exchange : exchanges_) exchange->Cancel(n);
}

void Task::CheckCancels() {
  for (Input& input : inputs_) {
    const CheckpointId n = input.wired.channel->cancelled();
    if (n > aligner_.done()) Cancel(n);
  }
}

}  // namespace weir::runtime
