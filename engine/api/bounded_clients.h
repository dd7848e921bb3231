#pragma once
// BoundedClients: clients whose questions to a cluster end by a moment that the whole of a start
// has to keep to, whatever deadline each of them asks for. Used while a job starts: by the probes
// of its environment and by the first attempt, so that `--connect-timeout` bounds them together.
// SetUntil from any thread, at any time: admins that were made before obey it too; ShareOut by the
// thread that makes admins. Consumers and producers are the inner ones. The inner clients and the
// Env must outlive this and all it made.

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/api/clients.h"
#include "engine/base/time.h"

namespace weir {

class Env;

class BoundedClients final : public Clients {
 public:
  /// Without a bound until SetUntil.
  BoundedClients(Clients& inner, Env& env);

  void SetUntil(Duration steady) { until_->store(steady.us, std::memory_order_relaxed); }
  /// Each of the next `admins` admins gets an equal part of what is left when it is made: a broker
  /// that does not answer must not keep the others from being asked.
  void ShareOut(Duration until, uint64_t admins) {
    SetUntil(until);
    shares_ = admins;
  }
  /// Later by `more`.
  void Extend(Duration more) {
    until_->store(SatAdd(until_->load(std::memory_order_relaxed), more.us),
                  std::memory_order_relaxed);
  }
  void Lift() { SetUntil(Duration{INT64_MAX}); }

  Result<std::unique_ptr<KafkaConsumer>> MakeKafkaConsumer(const KafkaConsumerConfig& config,
                                                           Waker waker) override {
    return inner_.MakeKafkaConsumer(config, std::move(waker));
  }
  Result<std::unique_ptr<KafkaProducer>> MakeKafkaProducer(const KafkaProducerConfig& config,
                                                           Waker waker) override {
    return inner_.MakeKafkaProducer(config, std::move(waker));
  }
  Result<std::unique_ptr<KafkaAdmin>> MakeKafkaAdmin(const KafkaConnection& connection) override;

 private:
  Clients& inner_;
  Env& env_;
  const std::shared_ptr<std::atomic<int64_t>> until_;  // shared with the admins
  uint64_t shares_ = 0;                                // of admins to be made; 0: no shares
};

}  // namespace weir
