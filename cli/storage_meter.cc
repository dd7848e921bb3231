#include "cli/storage_meter.h"

#include <utility>
#include <vector>

namespace weir::cli {
namespace {

class MeteredStore final : public CheckpointStore {
 public:
  MeteredStore(std::unique_ptr<CheckpointStore> store, StorageMeter& meter, Env& env)
      : store_(std::move(store)), meter_(meter), env_(env) {}

  Status Put(std::string_view name, std::string_view bytes) override {
    return Count(StorageOperation::kWrite, [&] { return store_->Put(name, bytes); });
  }
  Status PutNew(std::string_view name, std::string_view bytes) override {
    return Count(StorageOperation::kWrite, [&] { return store_->PutNew(name, bytes); });
  }
  Status Adopt(const Path& local, std::string_view name) override {
    return Count(StorageOperation::kWrite, [&] { return store_->Adopt(local, name); });
  }
  Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                       const Path& local) override {
    return Count(StorageOperation::kRead, [&] { return store_->Fetch(name, bytes, local); });
  }
  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    return Count(StorageOperation::kRead, [&] { return store_->Read(name, offset, bytes); });
  }
  Result<uint64_t> Size(std::string_view name) override {
    return Count(StorageOperation::kRead, [&] { return store_->Size(name); });
  }
  Status Remove(std::string_view name) override {
    return Count(StorageOperation::kRemove, [&] { return store_->Remove(name); });
  }
  Result<std::vector<StoredFile>> List(std::string_view prefix) override {
    return Count(StorageOperation::kList, [&] { return store_->List(prefix); });
  }
  Status Probe() override {
    return Count(StorageOperation::kWrite, [&] { return store_->Probe(); });
  }
  Status RemoveUnfinished(std::string_view prefix) override {
    return Count(StorageOperation::kRemove, [&] { return store_->RemoveUnfinished(prefix); });
  }
  void RetryUntil(Duration deadline) override { store_->RetryUntil(deadline); }
  void Interrupt() override { store_->Interrupt(); }
  std::string Describe() const override { return store_->Describe(); }

 private:
  static const Status& StatusOf(const Status& status) { return status; }
  template <typename T>
  static Status StatusOf(const Result<T>& result) {
    return result.ok() ? Status::Ok() : result.status();
  }

  template <typename Call>
  auto Count(StorageOperation operation, const Call& call) -> decltype(call()) {
    const Duration begin = env_.Steady();
    auto result = call();
    meter_.Count(operation, StatusOf(result), env_.Steady() - begin);
    return result;
  }

  const std::unique_ptr<CheckpointStore> store_;
  StorageMeter& meter_;
  Env& env_;
};

}  // namespace

std::string_view StorageOperationName(StorageOperation operation) {
  switch (operation) {
    case StorageOperation::kWrite:
      return "write";
    case StorageOperation::kRead:
      return "read";
    case StorageOperation::kList:
      return "list";
    case StorageOperation::kRemove:
      return "remove";
  }
  return "";
}

void StorageMeter::Count(StorageOperation operation, const Status& status, Duration took) {
  const bool answered =
      status.ok() || status.code() == Code::kNotFound || status.code() == Code::kAlreadyExists;
  const std::lock_guard lock(mutex_);
  Counts& counts = counts_[static_cast<size_t>(operation)];
  ++(answered ? counts.completed : counts.failed);
  counts.seconds.Observe(took);
}

StorageMeter::Values StorageMeter::Of(StorageOperation operation) const {
  const std::lock_guard lock(mutex_);
  const Counts& counts = counts_[static_cast<size_t>(operation)];
  return {counts.completed, counts.failed, counts.seconds.Values()};
}

std::unique_ptr<CheckpointStore> Metered(std::unique_ptr<CheckpointStore> store,
                                         StorageMeter& meter, Env& env) {
  return std::make_unique<MeteredStore>(std::move(store), meter, env);
}

}  // namespace weir::cli
