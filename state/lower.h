#pragma once
// Lower: the part of a task's state that pool threads work on: write sets going down in order, cold
// reads coming up, the store. Shared by HotState and by its jobs, so it lives until the last of
// them has ended. W pushes and takes without a lock (two lists that are swapped whole); P works
// under `writer_`, which W never takes.
//
// Order is what makes images exact: sets are written in the order they were pushed; behind a freeze
// nothing is written until its image has been taken, or it was aborted.

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/env.h"
#include "state/cold_store.h"
#include "state/slice.h"

namespace weir::state {

/// Changes on their way down.
struct WriteSet {
  enum class Kind : uint8_t { kEvicted, kFrozen, kCompleted, kAborted };
  Kind kind = Kind::kEvicted;
  CheckpointId checkpoint;  // all but kEvicted
  uint32_t epoch = 0;       // kFrozen: of its rows
  std::vector<std::pair<Slice*, std::vector<Row*>>> rows;
  size_t row_bytes = 0;  // of the lists in `rows` and of putting them in order; W accounts them
  std::unique_ptr<EvictionBatch> batch;   // older than `rows`
  ImageView view;                         // kFrozen
  std::function<std::string()> describe;  // kFrozen: encodes the metadata, on P
  std::atomic<bool> aborted = false;      // W sets, P reads: no image is wanted any more
  std::vector<Row*> absent;               // P: erased rows that were written; W frees them
  size_t evicted_at = 0, absent_at = 0, slice_at = 0;  // W: how far it has settled this
};

/// One read of rows that are not hot.
struct ColdRead {
  enum class Kind : uint8_t { kRow, kKey, kRange };
  Kind kind = Kind::kRow;
  uint16_t state = 0, group = 0;
  int64_t ns = 0;
  uint64_t hash = 0;
  int64_t ticket = 0;  // an answer is taken only by what waits for this very order
  std::string key;     // kRow, kKey: the key; kRange: behind this key
  size_t rows_max = SIZE_MAX;
  // The answer.
  std::vector<std::pair<std::string, std::string>>
      rows;          // kRow, kKey: (sort bytes, value); kRange: (key and sort bytes, value)
  bool end = false;  // kRange: nothing lies behind the last row
};

struct Arrival {
  std::shared_ptr<WriteSet> set;  // it has been written
  std::vector<ColdRead> reads;
};

class Lower : public std::enable_shared_from_this<Lower> {
 public:
  Lower(Env& env, std::vector<RowCodec> codecs, std::unique_ptr<ColdStore> store,
        std::function<void()> wake);
  ~Lower();

  // W.
  void Push(std::shared_ptr<WriteSet> set);
  void PostDrain();
  void PostReads(std::vector<ColdRead> reads);
  /// What has come up since the last call, oldest first.
  std::vector<Arrival> Take();
  bool has_arrivals() const { return up_.load(std::memory_order_relaxed) != nullptr; }

  // P.
  /// Writes all sets up to the freeze of `n`, then takes its image. kCancelled if it was aborted.
  Result<StateImage> Write(CheckpointId n);
  /// The last call: waits for a running job, later ones do nothing.
  void Close();

  // A.
  Status status() const;
  ColdStore& store() { return *store_; }
  const std::vector<RowCodec>& codecs() const { return codecs_; }

 private:
  template <class T>
  struct Node {
    T value;
    Node* next = nullptr;
  };
  template <class T>
  static void PushNode(std::atomic<Node<T>*>& list, T value);
  template <class T>
  static std::vector<T> TakeNodes(std::atomic<Node<T>*>& list);

  void PullLocked();
  /// Writes sets from the front; stops at a freeze that is still wanted, unless it is `target`.
  Status DrainLocked(const WriteSet* target);
  Status WriteSetsLocked(std::span<const std::shared_ptr<WriteSet>> sets);
  Status Read(ColdRead& read);
  Status ReadAll(std::vector<ColdRead>& reads);
  void Fail(const Status& status);

  Env& env_;
  const std::vector<RowCodec> codecs_;
  const std::function<void()> wake_;
  const std::unique_ptr<ColdStore> store_;
  std::atomic<Node<std::shared_ptr<WriteSet>>*> down_ = nullptr;
  std::atomic<Node<Arrival>*> up_ = nullptr;
  std::atomic<bool> closed_ = false, failed_ = false;

  std::mutex writer_;
  std::deque<std::shared_ptr<WriteSet>> queue_;  // Guarded by writer_.
  mutable std::mutex error_mutex_;
  Status error_;  // Guarded by error_mutex_.
};

}  // namespace weir::state
