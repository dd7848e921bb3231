#include "engine/api/bounded_clients.h"

#include <algorithm>

#include "engine/base/env.h"

namespace weir {
namespace {

constexpr Duration kLeast = Milliseconds(1);  // an inner client takes no zero: it would never ask

class BoundedAdmin final : public KafkaAdmin {
 public:
  BoundedAdmin(std::unique_ptr<KafkaAdmin> inner, Env& env,
               std::shared_ptr<const std::atomic<int64_t>> until, Duration share_until)
      : inner_(std::move(inner)), env_(env), until_(std::move(until)), share_until_(share_until) {}

  Result<std::vector<KafkaTopic>> Topics(std::span<const std::string> names,
                                         Duration deadline) override {
    return inner_->Topics(names, Bounded(deadline));
  }
  Result<std::vector<KafkaTopic>> AllTopics(Duration deadline) override {
    return inner_->AllTopics(Bounded(deadline));
  }
  Status CreateTopic(const std::string& name, int32_t partitions, int32_t replication,
                     Duration deadline) override {
    return inner_->CreateTopic(name, partitions, replication, Bounded(deadline));
  }
  Result<std::vector<int64_t>> Offsets(std::span<const std::pair<std::string, int32_t>> partitions,
                                       When when, EventTime time, Duration deadline) override {
    return inner_->Offsets(partitions, when, time, Bounded(deadline));
  }
  Result<uint64_t> MessageBytesMax(const std::string& topic, Duration deadline) override {
    return inner_->MessageBytesMax(topic, Bounded(deadline));
  }
  Result<std::vector<int64_t>> Committed(
      const std::string& group, std::span<const std::pair<std::string, int32_t>> partitions,
      Duration deadline) override {
    return inner_->Committed(group, partitions, Bounded(deadline));
  }

 private:
  Duration Bounded(Duration deadline) const {
    const Duration until =
        std::min(Duration{until_->load(std::memory_order_relaxed)}, share_until_);
    return std::max(kLeast, std::min(deadline, until - env_.Steady()));
  }

  const std::unique_ptr<KafkaAdmin> inner_;
  Env& env_;
  const std::shared_ptr<const std::atomic<int64_t>> until_;
  const Duration share_until_;
};

}  // namespace

BoundedClients::BoundedClients(Clients& inner, Env& env)
    : inner_(inner), env_(env), until_(std::make_shared<std::atomic<int64_t>>(INT64_MAX)) {}

Result<std::unique_ptr<KafkaAdmin>> BoundedClients::MakeKafkaAdmin(
    const KafkaConnection& connection) {
  WEIR_ASSIGN(std::unique_ptr<KafkaAdmin> inner, inner_.MakeKafkaAdmin(connection));
  Duration share_until{INT64_MAX};
  if (shares_ > 0) {
    const Duration now = env_.Steady();
    const int64_t left = until_->load(std::memory_order_relaxed) - now.us;
    share_until = now + Duration{std::max<int64_t>(0, left) / static_cast<int64_t>(shares_)};
    --shares_;
  }
  return std::unique_ptr<KafkaAdmin>(
      std::make_unique<BoundedAdmin>(std::move(inner), env_, until_, share_until));
}

}  // namespace weir
