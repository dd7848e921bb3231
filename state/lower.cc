#include "state/lower.h"

#include <algorithm>

namespace weir::state {
namespace {

constexpr size_t kRangeBytesMax = size_t{1} << 20;  // of a part of a range that a scan asked for

/// A row to write and its place in the order of keys.
struct Outgoing {
  uint64_t place;   // state, group, rank of the namespace
  uint64_t prefix;  // of the key
  uintptr_t from;   // a Row, or an Evicted with the low bit set
  uint32_t age;     // later ones replace earlier ones of the same key

  const Row* row() const { return (from & 1) != 0 ? nullptr : reinterpret_cast<const Row*>(from); }
  const Evicted* evicted() const { return reinterpret_cast<const Evicted*>(from & ~uintptr_t{1}); }
  uint16_t state() const { return static_cast<uint16_t>(place >> 48); }
  uint16_t group() const { return static_cast<uint16_t>(place >> 32); }
  uint32_t rank() const { return static_cast<uint32_t>(place); }
  /// Key and sort bytes lie side by side.
  std::string_view text() const { return row() != nullptr ? TextOf(*row()) : TextOf(*evicted()); }
  template <class T>
  static std::string_view TextOf(const T& from) {
    return {from.key, size_t{from.key_bytes} + from.sort_bytes};
  }
};
static_assert(sizeof(Outgoing) == kWriteBytesPerRow);
static_assert(alignof(Row) > 1 && alignof(Evicted) > 1);

bool SameKey(const Outgoing& a, const Outgoing& b) {
  return a.place == b.place && a.prefix == b.prefix && a.text() == b.text();
}

bool Before(const Outgoing& a, const Outgoing& b) {
  if (a.place != b.place) return a.place < b.place;
  if (a.prefix != b.prefix) return a.prefix < b.prefix;
  const int order = a.text().compare(b.text());
  return order != 0 ? order < 0 : a.age < b.age;
}

/// The namespaces of some rows in order, so that a row names its own by a small number.
class NamespaceRanks {
 public:
  void Add(int64_t ns) {
    if (all_.empty() || all_.back() != ns) all_.push_back(ns);
  }
  void Sort() {
    std::sort(all_.begin(), all_.end());
    all_.erase(std::unique(all_.begin(), all_.end()), all_.end());
  }
  uint32_t Of(int64_t ns) {
    if (all_[last_] != ns)
      last_ = static_cast<size_t>(std::lower_bound(all_.begin(), all_.end(), ns) - all_.begin());
    return static_cast<uint32_t>(last_);
  }
  int64_t At(uint32_t rank) const { return all_[rank]; }

 private:
  std::vector<int64_t> all_;
  size_t last_ = 0;
};

}  // namespace

bool ImageView::Gone(size_t state, const RowCodec& codec, std::string_view key,
                     std::string_view value) const {
  if (key.size() < kStorageKeyHead) return true;
  const KeyGroup group{GroupOfStorageKey(key)};
  if (!groups.Contains(group)) return true;
  const size_t at = size_t{group.value} - groups.first.value;
  const StateView& view = states[state];
  if (!view.horizons.empty() && NamespaceOfStorageKey(key) <= view.horizons[at]) return true;
  if (!view.expired.empty() && view.expired[at] != INT64_MIN &&
      key.size() >= kStorageKeyHead + kLogSortBytes &&
      GetOrdered(key.data() + key.size() - kLogSortBytes) <= view.expired[at]) {
    return true;
  }
  if (ttls[state].has_value() && watermark != INT64_MIN) {
    const int64_t touched = codec.TouchedOf(value);
    if (touched != INT64_MIN && SatAdd(touched, ttls[state]->us) <= watermark) return true;
  }
  return false;
}

template <class T>
void Lower::PushNode(std::atomic<Node<T>*>& list, T value) {
  auto* node = new Node<T>{std::move(value), list.load(std::memory_order_relaxed)};
  while (!list.compare_exchange_weak(node->next, node, std::memory_order_release,
                                     std::memory_order_relaxed)) {
  }
}

template <class T>
std::vector<T> Lower::TakeNodes(std::atomic<Node<T>*>& list) {
  std::vector<T> taken;
  Node<T>* node = list.exchange(nullptr, std::memory_order_acquire);
  while (node != nullptr) {
    taken.push_back(std::move(node->value));
    Node<T>* next = node->next;
    delete node;
    node = next;
  }
  std::reverse(taken.begin(), taken.end());
  return taken;
}

Lower::Lower(Env& env, std::vector<RowCodec> codecs, std::unique_ptr<ColdStore> store,
             std::function<void()> wake)
    : env_(env), codecs_(std::move(codecs)), wake_(std::move(wake)), store_(std::move(store)) {}

Lower::~Lower() {
  TakeNodes(down_);
  TakeNodes(up_);
}

void Lower::Push(std::shared_ptr<WriteSet> set) { PushNode(down_, std::move(set)); }

void Lower::PostDrain() {
  env_.Post([lower = shared_from_this()] {
    const std::lock_guard lock(lower->writer_);
    if (lower->closed_ || lower->failed_) return;
    lower->PullLocked();
    const Status status = lower->DrainLocked(nullptr);
    if (!status.ok()) lower->Fail(status);
  });
}

void Lower::PostReads(std::vector<ColdRead> reads) {
  env_.Post([lower = shared_from_this(), orders = std::move(reads)]() mutable {
    if (lower->closed_ || lower->failed_) return;
    const Status status = lower->ReadAll(orders);
    if (!status.ok()) return lower->Fail(status);
    PushNode(lower->up_, Arrival{nullptr, std::move(orders)});
    if (lower->wake_) lower->wake_();
  });
}

std::vector<Arrival> Lower::Take() { return TakeNodes(up_); }

Status Lower::ReadAll(std::vector<ColdRead>& reads) {
  // Rows of one state in one call of the store; keys and ranges one by one.
  std::vector<std::string> keys;
  std::vector<ColdRead*> rows;
  std::vector<std::optional<std::string>> values;
  std::sort(reads.begin(), reads.end(), [](const ColdRead& a, const ColdRead& b) {
    return std::tie(a.state, a.group, a.ns, a.key) < std::tie(b.state, b.group, b.ns, b.key);
  });
  for (size_t at = 0; at < reads.size();) {
    if (reads[at].kind != ColdRead::Kind::kRow) {
      WEIR_TRY(Read(reads[at++]));
      continue;
    }
    keys.clear();
    rows.clear();
    const uint16_t state = reads[at].state;
    for (; at < reads.size() && reads[at].state == state && reads[at].kind == ColdRead::Kind::kRow;
         ++at) {
      std::string& key = keys.emplace_back();
      PutStorageKeyHead(reads[at].group, reads[at].ns, key);
      key.append(reads[at].key);
      rows.push_back(&reads[at]);
    }
    WEIR_TRY(store_->Get(state, keys, values));
    for (size_t i = 0; i < rows.size(); ++i) {
      if (values[i].has_value()) rows[i]->rows.emplace_back(std::string(), std::move(*values[i]));
    }
  }
  return Status::Ok();
}

Status Lower::Read(ColdRead& read) {
  std::string head;
  PutStorageKeyHead(read.group, read.ns, head);
  const RowCodec& codec = codecs_[read.state];
  const std::string prefix = head + read.key;
  if (read.kind == ColdRead::Kind::kKey) {
    return store_->Scan(
        read.state, prefix, PrefixEnd(prefix), [&](std::string_view key, std::string_view value) {
          uint32_t key_bytes = 0;
          int64_t touched = 0;
          std::string_view rest = value;
          const bool other =
              codec.DecodeHead(rest, &key_bytes, &touched) && key_bytes != read.key.size();
          if (!other)
            read.rows.emplace_back(std::string(key.substr(prefix.size())), std::string(value));
          return true;
        });
  }
  // Behind all rows of `read.key`; whole keys only, so that the answer says all of each of them.
  std::string from = prefix;
  if (!read.key.empty()) from = codec.sorted() ? PrefixEnd(prefix) : prefix + '\0';
  read.end = true;
  std::string last;
  size_t bytes = 0;
  return store_->Scan(read.state, from, PrefixEnd(head),
                      [&](std::string_view key, std::string_view value) {
                        std::string_view rest = value;
                        uint32_t key_bytes = 0;
                        int64_t touched = 0;
                        const std::string_view text = key.substr(head.size());
                        if (!codec.sorted() || !codec.DecodeHead(rest, &key_bytes, &touched))
                          key_bytes = static_cast<uint32_t>(text.size());
                        const bool full = read.rows.size() >= read.rows_max ||
                                          (read.rows_max != SIZE_MAX && bytes >= kRangeBytesMax);
                        if (full && text.substr(0, key_bytes) != last) {
                          read.end = false;
                          return false;
                        }
                        last.assign(text.substr(0, key_bytes));
                        read.rows.emplace_back(std::string(text), std::string(value));
                        bytes += text.size() + value.size();
                        return true;
                      });
}

Result<StateImage> Lower::Write(CheckpointId n) {
  const std::lock_guard lock(writer_);
  if (closed_) return Status(Code::kCancelled, "the task's state is closed");
  if (failed_) return status();
  PullLocked();
  std::shared_ptr<WriteSet> target;
  for (const auto& set : queue_) {
    if (set->kind == WriteSet::Kind::kFrozen && set->checkpoint == n && !set->aborted) target = set;
  }
  if (target == nullptr) {
    return Status(Code::kCancelled, "checkpoint " + std::to_string(n.value) +
                                        " was aborted before its state was written");
  }
  StateImage image;
  image.groups = target->view.groups;
  Status written = DrainLocked(target.get());
  if (written.ok()) {
    Result<std::vector<ImageFile>> files = store_->Image(n, target->view);
    written = files.status();
    if (files.ok()) image.files = std::move(files).value();
  }
  if (!written.ok()) {
    Fail(written);
    return written;
  }
  image.metadata = target->describe();
  PushNode(up_, Arrival{target, {}});
  if (wake_) wake_();
  return image;
}

void Lower::PullLocked() {
  for (auto& set : TakeNodes(down_)) queue_.push_back(std::move(set));
}

Status Lower::DrainLocked(const WriteSet* target) {
  std::vector<std::shared_ptr<WriteSet>> sets;
  const auto write = [&]() -> Status {
    WEIR_TRY(WriteSetsLocked(sets));
    for (auto& set : sets) {
      if (set.get() != target) PushNode(up_, Arrival{std::move(set), {}});
    }
    if (!sets.empty() && wake_) wake_();
    sets.clear();
    return Status::Ok();
  };
  while (!queue_.empty()) {
    const std::shared_ptr<WriteSet> set = queue_.front();
    const bool last = set.get() == target;
    // A checkpoint beyond n stands for n: a freeze that an awaited one follows is not waited for.
    if (set->kind == WriteSet::Kind::kFrozen && !last && target == nullptr && !set->aborted) break;
    queue_.pop_front();
    if (set->kind == WriteSet::Kind::kCompleted || set->kind == WriteSet::Kind::kAborted) {
      WEIR_TRY(store_->Forget(set->checkpoint, set->kind == WriteSet::Kind::kCompleted));
      continue;
    }
    sets.push_back(set);
    if (last) break;
  }
  return write();
}

Status Lower::WriteSetsLocked(std::span<const std::shared_ptr<WriteSet>> sets) {
  NamespaceRanks ranks;
  size_t count = 0;
  for (const auto& set : sets) {
    if (set->batch != nullptr) {
      count += set->batch->rows().size();
      for (const Evicted* evicted : set->batch->rows()) ranks.Add(evicted->ns);
    }
    for (const auto& [slice, items] : set->rows) {
      count += items.size();
      ranks.Add(slice->ns.value);
    }
  }
  if (count == 0) return Status::Ok();
  ranks.Sort();
  std::vector<Outgoing> rows;
  rows.reserve(count);
  uint32_t age = 0;  // a row may be in one batch twice: evicted, taken back, evicted again
  const auto add = [&](uint16_t state, uint16_t group, int64_t ns, std::string_view text,
                       uintptr_t from) {
    rows.push_back(
        {uint64_t{state} << 48 | uint64_t{group} << 32 | ranks.Of(ns), Prefix(text), from, age++});
  };
  for (const auto& set : sets) {
    if (set->batch != nullptr) {
      for (const Evicted* evicted : set->batch->rows())
        add(evicted->state, evicted->group, evicted->ns, Outgoing::TextOf(*evicted),
            reinterpret_cast<uintptr_t>(evicted) | 1);
    }
    for (const auto& [slice, items] : set->rows) {
      const StateView& view = set->view.states[slice->state];
      for (Row* row : items) {
        if (row->absent()) set->absent.push_back(row);
        if (slice->ns.value <= view.horizons[size_t{row->group} - set->view.groups.first.value])
          continue;
        add(slice->state, row->group, slice->ns.value, Outgoing::TextOf(*row),
            reinterpret_cast<uintptr_t>(row));
      }
    }
  }
  std::sort(rows.begin(), rows.end(), Before);
  std::string key, value;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + 1 < rows.size() && SameKey(rows[i], rows[i + 1])) continue;  // a newer one follows
    const Outgoing& outgoing = rows[i];
    const size_t state = outgoing.state();
    key.clear();
    PutStorageKeyHead(outgoing.group(), ranks.At(outgoing.rank()), key);
    key.append(outgoing.text());
    const Row* row = outgoing.row();
    if (row != nullptr ? row->absent() : outgoing.evicted()->absent) {
      WEIR_TRY(store_->Erase(state, key));
    } else if (row != nullptr) {
      value.clear();
      codecs_[state].Encode(*row, *row->payload(), value);
      WEIR_TRY(store_->Put(state, key, value));
    } else {
      WEIR_TRY(store_->Put(state, key, outgoing.evicted()->value_view()));
    }
  }
  return store_->Finish();
}

void Lower::Close() {
  closed_ = true;
  const std::lock_guard lock(writer_);
}

void Lower::Fail(const Status& status) {
  {
    const std::lock_guard lock(error_mutex_);
    if (error_.ok()) error_ = status;
  }
  failed_ = true;
  if (wake_) wake_();
}

Status Lower::status() const {
  if (failed_) {
    const std::lock_guard lock(error_mutex_);
    return error_;
  }
  return store_->status();
}

}  // namespace weir::state
