#include "engine/runtime/segment_log.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "engine/api/memory.h"
#include "engine/runtime/mailbox.h"

namespace weir::runtime {
namespace {

Path DirectoryOf(const Path& path) {
  const size_t slash = path.rfind('/');
  return slash == Path::npos ? Path(".") : slash == 0 ? Path("/") : path.substr(0, slash);
}

struct Order {
  enum class Kind : uint8_t { kOpen, kWrite, kSync, kClose } kind;
  Path path = {};
  uint64_t offset = 0;
  std::string bytes = {};
  uint64_t ticket = 0;
};

/// What W and the pool job share: orders one way, progress the other.
struct Shared {
  explicit Shared(Env& environment) : env(environment) {}
  Env& env;
  Mailbox<Order> orders;
  std::atomic<uint64_t> durable{0};       // ticket
  std::atomic<uint64_t> written{0};       // bytes that have left the queue
  std::atomic<bool> running{false};       // a pool job is working
  std::atomic<Status*> failure{nullptr};  // set once
  // The running pool job only.
  std::unique_ptr<WritableFile> file;
  Path path;
  bool name_durable = false;

  ~Shared() { delete failure.load(); }

  void Work() {
    while (true) {
      for (Order& order : orders.TakeAll()) {
        if (failure.load(std::memory_order_acquire) != nullptr) continue;
        Status status = Do(order);
        if (!status.ok()) failure.store(new Status(std::move(status)), std::memory_order_release);
      }
      running.store(false, std::memory_order_seq_cst);
      if (orders.empty() || running.exchange(true, std::memory_order_seq_cst)) return;
    }
  }

  Status Do(Order& order) {
    switch (order.kind) {
      case Order::Kind::kOpen: {
        path = order.path;
        name_durable = false;
        if (order.offset == 0) {
          WEIR_ASSIGN(file, env.Create(path, CreateMode::kTruncate));
          return Status::Ok();
        }
        WEIR_TRY(env.Truncate(path, order.offset));
        WEIR_ASSIGN(file, env.Create(path, CreateMode::kAppend));
        return Status::Ok();
      }
      case Order::Kind::kWrite:
        WEIR_TRY(file->Append(order.bytes));
        written.fetch_add(order.bytes.size(), std::memory_order_release);
        return Status::Ok();
      case Order::Kind::kSync:
        if (file != nullptr) WEIR_TRY(file->Sync());
        if (!name_durable && file != nullptr) WEIR_TRY(env.SyncDirectory(DirectoryOf(path)));
        name_durable = true;
        durable.store(order.ticket, std::memory_order_release);
        return Status::Ok();
      case Order::Kind::kClose:
        if (file != nullptr) WEIR_TRY(file->Close());
        file.reset();
        return Status::Ok();
    }
    return Status::Ok();
  }
};

class FileSegmentLog final : public SegmentLog {
 public:
  explicit FileSegmentLog(NodeContext& context)
      : context_(context), shared_(std::make_shared<Shared>(context.env())) {}

  void Open(const Path& path, uint64_t offset) override {
    FlushBlock();
    size_ = offset;
    Put({.kind = Order::Kind::kOpen, .path = path, .offset = offset});
  }
  Status Append(std::string_view bytes) override {
    if (const Status* failed = shared_->failure.load(std::memory_order_acquire)) return *failed;
    const uint64_t queued = appended_ - shared_->written.load(std::memory_order_acquire);
    if (queued != 0 && queued + bytes.size() > kSegmentQueueBytesMax) {
      FlushBlock();
      return Status(Code::kQueueFull, "the disk lags behind");
    }
    block_.append(bytes);
    appended_ += bytes.size();
    size_ += bytes.size();
    if (block_.size() >= kSegmentBlockBytes) FlushBlock();
    return Status::Ok();
  }
  uint64_t size() const override { return size_; }
  uint64_t Sync() override {
    FlushBlock();
    Put({.kind = Order::Kind::kSync, .ticket = ++ticket_});
    return ticket_;
  }
  uint64_t Close() override {
    const uint64_t ticket = Sync();
    Put({.kind = Order::Kind::kClose});
    return ticket;
  }
  Result<bool> Durable(uint64_t ticket) override {
    Book();
    if (shared_->durable.load(std::memory_order_acquire) >= ticket) return true;
    if (const Status* failed = shared_->failure.load(std::memory_order_acquire)) return *failed;
    return false;
  }

 private:
  void FlushBlock() {
    if (block_.empty()) return;
    Put({.kind = Order::Kind::kWrite, .bytes = std::exchange(block_, {})});
    Book();
  }
  /// What waits for the disk, as of the last block or question.
  void Book() {
    const uint64_t queued = appended_ - shared_->written.load(std::memory_order_acquire);
    context_.memory().Use(static_cast<int64_t>(queued) - static_cast<int64_t>(booked_));
    booked_ = queued;
  }
  void Put(Order order) {
    shared_->orders.Put(std::move(order));
    if (shared_->running.exchange(true, std::memory_order_seq_cst)) return;
    context_.Post([shared = shared_] { shared->Work(); });
  }

  NodeContext& context_;
  const std::shared_ptr<Shared> shared_;
  std::string block_;
  uint64_t size_ = 0, appended_ = 0, ticket_ = 0, booked_ = 0;
};

}  // namespace

std::unique_ptr<SegmentLog> MakeFileSegmentLog(NodeContext& context) {
  return std::make_unique<FileSegmentLog>(context);
}

}  // namespace weir::runtime
