#include "engine/runtime/channel.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/data/row_builder.h"
#include "engine/runtime/keyed_batch.h"

namespace weir::runtime {

Channel::Channel(Options options)
    : options_(std::move(options)),
      queue_(options_.queue_items),
      granted_rows_(options_.batch_rows),
      granted_bytes_(options_.share_bytes),
      batch_rows_(options_.batch_rows) {}

// --- ChannelSender

ChannelSender::ChannelSender(std::shared_ptr<Channel> channel)
    : channel_(std::move(channel)),
      granted_rows_(channel_->options_.batch_rows),
      granted_bytes_(channel_->options_.share_bytes),
      batch_rows_(channel_->options_.batch_rows) {}

void ChannelSender::ReadGrant() {
  OnGrant({.rows = channel_->granted_rows_.load(std::memory_order_acquire),
           .bytes = channel_->granted_bytes_.load(std::memory_order_acquire),
           .needs = channel_->needs_.load(std::memory_order_acquire),
           .batch_rows = channel_->batch_rows_.load(std::memory_order_relaxed)});
}

void ChannelSender::OnGrant(const Grant& grant) {
  // Totals only rise: an old or repeated one changes nothing.
  if (grant.rows >= granted_rows_) batch_rows_ = std::max(grant.batch_rows, uint32_t{1});
  granted_rows_ = std::max(granted_rows_, grant.rows);
  granted_bytes_ = std::max(granted_bytes_, grant.bytes);
  needs_ = std::max(needs_, grant.needs);
}

void ChannelSender::Send(Batch batch, int64_t ingest_us, Duration now) {
  WEIR_CHECK_LT(unsent_rows_, kBatchRowsMax);
  WEIR_CHECK(!ended_);
  if (batch.rows() == 0) return;
  ReadGrant();
  const size_t bytes = batch.bytes();
  // A piece of a quarter or more is not worth a copy.
  if (gathered_.empty() && (batch.rows() >= (batch_rows_ + 3) / 4 || bytes >= share_bytes() / 4)) {
    Enqueue(std::move(batch), ingest_us);
    if (gathered_watermark_ != EventTime::Min()) CloseGathered();  // behind the rows: later is safe
    Pump(now);
    return;
  }
  gathered_rows_ += batch.rows();
  gathered_bytes_ += bytes;
  if (gathered_.empty() || gathered_ingest_us_ == 0) gathered_ingest_us_ = ingest_us;
  gathered_.push_back(std::move(batch));
  if (!gathered_since_) gathered_since_ = now;
  if (gathered_rows_ >= batch_rows_ || gathered_bytes_ >= share_bytes()) {
    CloseGathered();
    Pump(now);
  }
}

/// Cuts to the consumer's batch size. Bytes count whole arenas, so a piece cut by bytes takes its
/// rows along into arenas of their own.
void ChannelSender::Enqueue(Batch batch, int64_t ingest_us) {
  const uint32_t rows = batch.rows();
  const size_t bytes = batch.bytes();
  uint32_t piece_rows = std::min(rows, batch_rows_);
  const bool by_bytes = bytes > share_bytes() && rows > 1;
  if (by_bytes)
    piece_rows = std::clamp(static_cast<uint32_t>(size_t{rows} * share_bytes() / bytes),
                            uint32_t{1}, piece_rows);
  if (piece_rows == rows) {
    unsent_rows_ += rows;
    unsent_bytes_ += bytes;
    unsent_.push_back({std::move(batch), ingest_us});
    return;
  }
  for (uint32_t first = 0; first < rows; first += piece_rows) {
    const uint32_t count = std::min(piece_rows, rows - first);
    Batch piece;
    if (by_bytes) {
      Selection selection;
      for (uint32_t row = first; row < first + count; ++row)
        selection.mutable_rows().push_back(row);
      piece = TakeWithKeys(batch, selection);
    } else {
      piece = batch.Slice(first, count);
    }
    unsent_rows_ += count;
    unsent_bytes_ += piece.bytes();
    unsent_.push_back({std::move(piece), ingest_us});
  }
}

void ChannelSender::CloseGathered() {
  if (!gathered_.empty()) {
    Enqueue(ConcatWithKeys(gathered_), gathered_ingest_us_);
    gathered_.clear();
    gathered_rows_ = 0;
    gathered_bytes_ = 0;
    gathered_ingest_us_ = 0;
  }
  if (gathered_watermark_ != EventTime::Min()) {
    const EventTime time = std::exchange(gathered_watermark_, EventTime::Min());
    if (!unsent_.empty() && std::holds_alternative<WatermarkItem>(unsent_.back().item)) {
      unsent_.back() = {WatermarkItem{time}, watermark_ingest_us_};
    } else {
      unsent_.push_back({WatermarkItem{time}, watermark_ingest_us_});
    }
  }
  gathered_since_.reset();
}

void ChannelSender::SendWatermark(EventTime time, int64_t ingest_us, Duration now) {
  WEIR_CHECK(!ended_);
  WEIR_CHECK_GT(time.us, watermark_.us);
  watermark_ = time;
  gathered_watermark_ = time;
  watermark_ingest_us_ = ingest_us;
  if (!gathered_since_) gathered_since_ = now;
}

void ChannelSender::SendIdle(Duration now) {
  CloseGathered();
  unsent_.push_back({IdleItem{}, 0});
  Pump(now);
}

void ChannelSender::SendActive(Duration now) {
  CloseGathered();
  if (!unsent_.empty() && std::holds_alternative<IdleItem>(unsent_.back().item)) {
    unsent_.pop_back();  // never idle, as far as the consumer is concerned: between two batches
                         // lies one mark at most
  } else {
    unsent_.push_back({ActiveItem{}, 0});
  }
  Pump(now);
}

void ChannelSender::SendBarrier(CheckpointId n, Duration now) {
  WEIR_CHECK(!ended_);
  WEIR_CHECK_GT(n.value, barrier_.value);
  barrier_ = n;
  CloseGathered();
  unsent_.push_back({BarrierItem{n}, 0});
  Pump(now);
}

void ChannelSender::SendEnd(Duration now) {
  if (ended_) return;
  CloseGathered();
  ended_ = true;
  unsent_.push_back({EndItem{}, 0});
  Pump(now);
}

void ChannelSender::SendCancel(CheckpointId n) {
  if (channel_->cancelled_.load(std::memory_order_relaxed) >= n.value) return;
  channel_->cancelled_.store(n.value, std::memory_order_release);
  channel_->options_.consumer->Raise();
}

void ChannelSender::Flush(Duration now, bool always) {
  if (!gathered_since_ || (!always && now < *flush_at())) return;
  CloseGathered();
  Pump(now);
}

std::optional<Duration> ChannelSender::flush_at() const {
  if (!gathered_since_) return std::nullopt;
  // Nothing waits at the consumer: soon. Else the rows would only wait there.
  return *gathered_since_ + (channel_->queue_.size() == 0 ? kPartialAgeLeast : kPartialAgeMost);
}

bool ChannelSender::CanPush(const ChannelItem& front) {
  if (!channel_->queue_.HasRoom()) return false;
  if (const Batch* batch = std::get_if<Batch>(&front.item)) {
    if (batch->rows() == 1 && batch->bytes() > share_bytes())
      return !need_sent_ || needs_ > needs_used_;
    return granted_rows_ > sent_rows_ && granted_bytes_ > sent_bytes_;
  }
  // A watermark behind an undelivered one waits here, where a newer one replaces it.
  if (std::holds_alternative<WatermarkItem>(front.item))
    return !(last_was_watermark_ && unsent_.size() == 1 && channel_->queue_.size() != 0);
  return true;
}

bool ChannelSender::PushFront() {
  ChannelItem& front = unsent_.front();
  if (!CanPush(front)) return false;
  last_was_watermark_ = std::holds_alternative<WatermarkItem>(front.item);
  if (Batch* batch = std::get_if<Batch>(&front.item)) {
    const size_t bytes = batch->bytes();
    if (batch->rows() == 1 && bytes > share_bytes()) {
      if (!need_sent_) {
        WEIR_CHECK(channel_->queue_.Push({NeedItem{bytes}, 0}));
        need_sent_ = true;
        return true;
      }
      need_sent_ = false;
      ++needs_used_;
    } else {
      WEIR_CHECK_LT(sent_rows_, granted_rows_);
      sent_rows_ += batch->rows();
      sent_bytes_ += bytes;
    }
    unsent_rows_ -= batch->rows();
    unsent_bytes_ -= bytes;
    total_rows_ += batch->rows();
    total_bytes_ += bytes;
  }
  channel_->sent_rows_.store(total_rows_, std::memory_order_relaxed);
  channel_->sent_bytes_.store(total_bytes_, std::memory_order_relaxed);
  WEIR_CHECK(channel_->queue_.Push(std::move(front)));
  unsent_.pop_front();
  return true;
}

bool ChannelSender::Pump(Duration now) {
  if (unsent_.empty()) return false;
  ReadGrant();
  bool moved = false;
  while (!unsent_.empty()) {
    if (PushFront()) {
      moved = true;
      continue;
    }
    channel_->producer_waits_.store(true, std::memory_order_seq_cst);
    ReadGrant();  // credit or a slot may have come between
    if (!CanPush(unsent_.front())) break;
  }
  channel_->backlog_rows_.store(unsent_rows_, std::memory_order_relaxed);
  if (moved) channel_->options_.consumer->Raise();
  if (unsent_rows_ != 0 && !blocked_since_) blocked_since_ = now;
  if (unsent_rows_ == 0 && blocked_since_) {
    channel_->blocked_us_.store(channel_->blocked_us_.load(std::memory_order_relaxed) +
                                    static_cast<uint64_t>((now - *blocked_since_).us),
                                std::memory_order_relaxed);
    blocked_since_.reset();
  }
  return moved;
}

// --- ChannelReceiver

ChannelReceiver::ChannelReceiver(std::shared_ptr<Channel> channel)
    : channel_(std::move(channel)),
      granted_rows_(channel_->options_.batch_rows),
      granted_bytes_(channel_->options_.share_bytes),
      window_rows_(channel_->options_.batch_rows),
      window_bytes_(channel_->options_.share_bytes),
      batch_rows_(channel_->options_.batch_rows) {}

void ChannelReceiver::WakeProducer() {
  if (channel_->producer_waits_.load(std::memory_order_seq_cst) &&
      channel_->producer_waits_.exchange(false, std::memory_order_seq_cst)) {
    channel_->options_.producer->Raise();
  }
}

ChannelItem ChannelReceiver::Pop() {
  ChannelItem item = std::move(*channel_->queue_.Front());
  channel_->queue_.Pop();
  if (const Batch* batch = std::get_if<Batch>(&item.item)) {
    const size_t bytes = batch->bytes();
    consumed_rows_ += batch->rows();
    consumed_bytes_ += bytes;
    if (needs_open_ != 0 && batch->rows() == 1 && bytes > channel_->options_.share_bytes) {
      --needs_open_;
    } else {
      WEIR_CHECK_LT(credited_rows_,
                    granted_rows_);  // sent against credit; only the last may overdraw
      credited_rows_ += batch->rows();
      credited_bytes_ += bytes;
    }
    Announce();
  } else if (const auto* watermark = std::get_if<WatermarkItem>(&item.item)) {
    WEIR_CHECK_GT(watermark->time.us, watermark_.us);
    watermark_ = watermark->time;
  } else if (const auto* barrier = std::get_if<BarrierItem>(&item.item)) {
    WEIR_CHECK_GT(barrier->checkpoint.value, barrier_.value);
    barrier_ = barrier->checkpoint;
  }
  WakeProducer();
  return item;
}

void ChannelReceiver::Announce() {
  const uint64_t rows = restricted_ ? channel_->options_.batch_rows : window_rows_;
  const uint64_t bytes = restricted_ ? channel_->options_.share_bytes : window_bytes_;
  granted_rows_ = std::max(granted_rows_, credited_rows_ + rows);
  granted_bytes_ = std::max(granted_bytes_, credited_bytes_ + bytes);
  channel_->batch_rows_.store(batch_rows_, std::memory_order_relaxed);
  channel_->granted_rows_.store(granted_rows_, std::memory_order_release);
  channel_->granted_bytes_.store(granted_bytes_, std::memory_order_release);
  channel_->consumed_rows_.store(consumed_rows_, std::memory_order_relaxed);
  channel_->consumed_bytes_.store(consumed_bytes_, std::memory_order_relaxed);
}

void ChannelReceiver::SetWindow(uint64_t rows, uint64_t bytes, uint32_t batch_rows) {
  window_rows_ = rows;
  window_bytes_ = bytes;
  batch_rows_ = batch_rows;
  Announce();
  WakeProducer();
}

void ChannelReceiver::Restrict(bool blocked) {
  if (restricted_ == blocked) return;
  restricted_ = blocked;
  if (blocked) return;
  Announce();
  WakeProducer();
}

void ChannelReceiver::GrantNeed() {
  ++needs_open_;
  channel_->needs_.store(++needs_, std::memory_order_release);
  WakeProducer();
}

}  // namespace weir::runtime
