#pragma once
// ForwardingStore: a CheckpointStore that hands everything to another one; tests override what they
// want to go wrong.

#include <string>
#include <vector>

#include "engine/api/checkpoint_store.h"

namespace weir::control {

class ForwardingStore : public CheckpointStore {
 public:
  explicit ForwardingStore(CheckpointStore& base) : base_(base) {}

  Status PutNew(std::string_view name, std::string_view bytes) override {
    return base_.PutNew(name, bytes);
  }
  Result<std::string> Read(std::string_view name, uint64_t offset, size_t bytes) override {
    return base_.Read(name, offset, bytes);
  }
  Status Put(std::string_view name, std::string_view bytes) override {
    return base_.Put(name, bytes);
  }
  Status Adopt(const Path& local, std::string_view name) override {
    return base_.Adopt(local, name);
  }
  Result<std::optional<Hash128>> Fetch(std::string_view name, uint64_t bytes,
                                       const Path& local) override {
    return base_.Fetch(name, bytes, local);
  }
  Result<uint64_t> Size(std::string_view name) override { return base_.Size(name); }
  Status Remove(std::string_view name) override { return base_.Remove(name); }
  Result<std::vector<StoredFile>> List(std::string_view prefix) override {
    return base_.List(prefix);
  }
  Status Probe() override { return base_.Probe(); }
  Status RemoveUnfinished(std::string_view prefix) override {
    return base_.RemoveUnfinished(prefix);
  }
  void RetryUntil(Duration deadline) override { base_.RetryUntil(deadline); }
  void Interrupt() override { base_.Interrupt(); }
  std::string Describe() const override { return base_.Describe(); }

 protected:
  static Status NoAnswer() {
    return Status(Code::kUnavailable, "no answer", Fault::kExternal, Retry::kBackoff);
  }

 private:
  CheckpointStore& base_;
};

}  // namespace weir::control
