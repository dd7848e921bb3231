#pragma once
// Channel: the bounded way from one producer task to one consumer task. Rows take
// credit, in rows and bytes; control items take none but keep their place. One SPSC queue of items
// forward, cumulative counters of credit back. A ChannelSender belongs to the producer's task and a
// ChannelReceiver to the consumer's (one thread each, they may be the same); a remote channel is
// two of these with a pump between.
//
// Invariants, checked always: no batch leaves without credit, the last one may overdraw, so a queue
// holds at most its granted window plus one batch; granted credit is never revoked; per channel
// watermarks and barriers only rise, nothing follows END.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/spsc_queue.h"
#include "engine/data/stream_item.h"
#include "engine/runtime/signal.h"

namespace weir::runtime {

inline constexpr uint32_t kBatchRowsLeast = 64;  // a batch follows the consumer's rate down to this
inline constexpr uint32_t kQueueItemsDefault = 256;  // slots of a channel's queue
inline constexpr Duration kPartialAgeLeast = Microseconds(100);
inline constexpr Duration kPartialAgeMost = Milliseconds(5);

/// An item and the steady time at which its oldest row entered the job (0: none), for sampled
/// latencies.
struct ChannelItem {
  StreamItem item;
  int64_t ingest_us = 0;
};

/// Credit from the consumer: totals since the start, so repeated, lost and old ones are harmless.
struct Grant {
  uint64_t rows = 0, bytes = 0;  // granted
  uint64_t consumed_rows = 0, consumed_bytes = 0;
  uint64_t needs = 0;          // oversized rows that may be sent
  uint32_t batch_rows = 1024;  // how large batches shall be
};

/// What both ends share. Made by the attempt.
class Channel {
 public:
  struct Options {
    uint32_t queue_items = kQueueItemsDefault;
    uint32_t batch_rows = 1024;              // also the exclusive window, in rows
    size_t share_bytes = size_t{256} << 10;  // a batch's bytes, and the exclusive window
    std::shared_ptr<TaskSignal> producer, consumer;
  };
  explicit Channel(Options options);

 private:
  friend class ChannelSender;
  friend class ChannelReceiver;
  const Options options_;
  SpscQueue<ChannelItem> queue_;
  // Written by the consumer.
  std::atomic<uint64_t> granted_rows_, granted_bytes_;
  std::atomic<uint64_t> consumed_rows_{0}, consumed_bytes_{0}, needs_{0};
  std::atomic<uint32_t> batch_rows_;
  // Written by the producer.
  std::atomic<bool> producer_waits_{false};
  std::atomic<uint64_t> backlog_rows_{0}, sent_rows_{0}, sent_bytes_{0};
  std::atomic<uint64_t> blocked_us_{0};  // time with rows that had no credit
  std::atomic<uint64_t> cancelled_{0};
};

class ChannelSender {
 public:
  explicit ChannelSender(std::shared_ptr<Channel> channel);

  /// Rows in order; small ones are gathered, large ones cut to the consumer's batch size. REQUIRES:
  /// has_room(), but for rows that a mark sent between the two has closed: fewer than a batch.
  void Send(Batch batch, int64_t ingest_us, Duration now);
  void SendWatermark(
      EventTime time, int64_t ingest_us,
      Duration now);  // leaves with the rows being gathered, or by the same age limit
  void SendIdle(Duration now);
  void SendActive(Duration now);
  void SendBarrier(CheckpointId n, Duration now);  // what was gathered leaves first
  void SendEnd(Duration now);
  void SendCancel(CheckpointId n);  // overtakes

  /// No piece of an earlier Send is unsent: one more batch may be given.
  bool has_room() const { return unsent_rows_ == 0; }
  /// Sends what can be sent; true if something left.
  bool Pump(Duration now);
  /// Lets gathered rows and the watermark go if they are older than their limit (or `always`: the
  /// task has no input).
  void Flush(Duration now, bool always);
  /// Steady time at which Flush has something to do; empty: nothing gathered.
  std::optional<Duration> flush_at() const;

  /// A Grant as it came over a wire; local channels read the shared counters.
  void OnGrant(const Grant& grant);

  uint32_t batch_rows() const { return batch_rows_; }
  size_t share_bytes() const { return channel_->options_.share_bytes; }
  int64_t credits() const {
    return static_cast<int64_t>(granted_rows_) - static_cast<int64_t>(sent_rows_);
  }
  uint64_t sent_rows() const { return sent_rows_; }
  /// Of rows that are not in the queue yet.
  size_t held_bytes() const { return gathered_bytes_ + unsent_bytes_; }
  bool ended() const { return ended_; }

 private:
  void ReadGrant();
  void CloseGathered();
  void Enqueue(Batch batch, int64_t ingest_us);
  bool PushFront();
  bool CanPush(const ChannelItem& front);

  const std::shared_ptr<Channel> channel_;
  uint64_t granted_rows_, granted_bytes_, needs_ = 0;
  uint32_t batch_rows_;
  uint64_t sent_rows_ = 0, sent_bytes_ = 0, needs_used_ = 0;
  uint64_t total_rows_ = 0, total_bytes_ = 0;  // with rows that went by a need
  // Being gathered.
  std::vector<Batch> gathered_;
  uint32_t gathered_rows_ = 0;
  size_t gathered_bytes_ = 0;
  int64_t gathered_ingest_us_ = 0;
  EventTime gathered_watermark_ = EventTime::Min();
  int64_t watermark_ingest_us_ = 0;
  std::optional<Duration> gathered_since_;
  // In order, waiting for credit or a slot.
  std::deque<ChannelItem> unsent_;
  uint64_t unsent_rows_ = 0;
  size_t unsent_bytes_ = 0;
  bool need_sent_ = false;
  bool last_was_watermark_ = false;
  bool ended_ = false;
  EventTime watermark_ = EventTime::Min();
  CheckpointId barrier_;
  std::optional<Duration> blocked_since_;
};

class ChannelReceiver {
 public:
  explicit ChannelReceiver(std::shared_ptr<Channel> channel);

  /// The oldest item; nullptr: none. Valid until Pop.
  ChannelItem* Front() { return channel_->queue_.Front(); }
  /// Takes the front; rows count as consumed and credit for others is given.
  ChannelItem Pop();
  /// CANCEL(n) that has overtaken everything; 0: none yet.
  CheckpointId cancelled() const { return {channel_->cancelled_.load(std::memory_order_acquire)}; }

  /// Size of the window from now on. A smaller one takes effect as credit is used up. While
  /// `Restrict`ed only the exclusive part counts.
  void SetWindow(uint64_t rows, uint64_t bytes, uint32_t batch_rows);
  void Restrict(bool blocked);
  /// Lends the task's reserve for the oversized row that was announced.
  void GrantNeed();

  uint64_t backlog_rows() const { return channel_->backlog_rows_.load(std::memory_order_relaxed); }
  uint64_t queued_rows() const {
    return channel_->sent_rows_.load(std::memory_order_relaxed) - consumed_rows_;
  }
  uint64_t queued_bytes() const {
    return channel_->sent_bytes_.load(std::memory_order_relaxed) - consumed_bytes_;
  }
  uint64_t consumed_rows() const { return consumed_rows_; }
  uint64_t consumed_bytes() const { return consumed_bytes_; }
  uint64_t window_rows() const { return window_rows_; }
  uint64_t granted_rows() const { return granted_rows_; }
  uint64_t blocked_us() const { return channel_->blocked_us_.load(std::memory_order_relaxed); }
  /// Rows that came by a need took none.
  int64_t credits() const {
    return static_cast<int64_t>(granted_rows_ + consumed_rows_ - credited_rows_) -
           static_cast<int64_t>(channel_->sent_rows_.load(std::memory_order_relaxed));
  }

 private:
  void Announce();
  void WakeProducer();

  const std::shared_ptr<Channel> channel_;
  uint64_t granted_rows_, granted_bytes_;
  uint64_t window_rows_, window_bytes_;
  uint32_t batch_rows_;
  uint64_t consumed_rows_ = 0, consumed_bytes_ = 0;
  uint64_t credited_rows_ = 0, credited_bytes_ = 0;  // consumed, without rows that came by a need
  uint64_t needs_ = 0, needs_open_ = 0;
  bool restricted_ = false;
  EventTime watermark_ = EventTime::Min();
  CheckpointId barrier_;
};

}  // namespace weir::runtime
