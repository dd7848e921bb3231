#pragma once
// NoClients: the clients of a machine without a network; each answers kUnavailable with `why`. For
// harnesses and simulations. Any thread.

#include <memory>
#include <string>
#include <utility>

#include "engine/api/clients.h"

namespace weir {

class NoClients final : public Clients {
 public:
  explicit NoClients(std::string why) : why_(std::move(why)) {}
  Result<std::unique_ptr<KafkaConsumer>> MakeKafkaConsumer(const KafkaConsumerConfig&,
                                                           Waker) override {
    return None();
  }
  Result<std::unique_ptr<KafkaProducer>> MakeKafkaProducer(const KafkaProducerConfig&,
                                                           Waker) override {
    return None();
  }
  Result<std::unique_ptr<KafkaAdmin>> MakeKafkaAdmin(const KafkaConnection&) override {
    return None();
  }

 private:
  Status None() const { return Status(Code::kUnavailable, why_); }
  const std::string why_;
};

}  // namespace weir
